//! No secret is shown where a message is not what its mechanism or command wants: other separators, another order, another
//! case, another coding, parts that are missing or too many, prompts that nobody knows. Every mechanism and login command of
//! every protocol, through every output. The canaries are searched in five bytes at a time, as they are and in base64 at
//! every place in its group of three, in any case.

use crate::lanes::{c, s};
use crate::search::{CANARY, DIGEST, Search, Turns, WAYS, Way, answers, outputs, session};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use imapscope::grammar::{Decode, mechanisms};

/// A part of a message.
#[derive(Clone)]
enum Part {
    Text(Vec<u8>),
    Between(Vec<u8>),
}

use Part::{Between, Text};

impl Part {
    fn bytes(&self) -> &[u8] {
        let (Text(bytes) | Between(bytes)) = self;
        bytes
    }
}

fn whole(parts: &[Part]) -> Vec<u8> {
    parts.iter().flat_map(Part::bytes).copied().collect()
}

/// The messages of a mechanism, in parts.
fn messages(decode: Decode, user: &str) -> Vec<Vec<Part>> {
    let text = |text: &str| Text(text.as_bytes().to_vec());
    let between = |text: &str| Between(text.as_bytes().to_vec());
    let of = |parts: &[&str]| -> Vec<Part> {
        // Every second part is a separator.
        parts.iter().enumerate().map(|(at, part)| if at % 2 == 0 { text(part) } else { between(part) }).collect()
    };
    match decode {
        Decode::Plain => vec![of(&["", "\0", user, "\0", CANARY]), of(&["adm", "\0", user, "\0", CANARY])],
        Decode::Login => vec![of(&[user]), of(&[CANARY])],
        Decode::CramMd5 => vec![of(&[user, " ", DIGEST])],
        Decode::Digest => vec![of(&[
            &format!("username=\"{user}\""),
            ",",
            "realm=\"x\"",
            ",",
            "nonce=\"abc\"",
            ",",
            "qop=auth",
            ",",
            &format!("response={DIGEST}"),
        ])],
        Decode::Scram => vec![
            of(&["n", ",", "", ",", &format!("n={user}"), ",", "r=abc"]),
            of(&["c=biws", ",", "r=abcdef", ",", &format!("p={CANARY}")]),
        ],
        Decode::Oauthbearer => vec![of(&[
            "n",
            ",",
            &format!("a={user}"),
            ",\x01",
            "host=h",
            "\x01",
            &format!("auth=Bearer {CANARY}"),
            "\x01\x01",
        ])],
        Decode::Xoauth2 => vec![of(&[&format!("user={user}"), "\x01", &format!("auth=Bearer {CANARY}"), "\x01\x01"])],
        Decode::Otp => vec![of(&["", "\0", user]), of(&["word:", "", CANARY])],
        Decode::Ntlm | Decode::External | Decode::Anonymous => vec![of(&[CANARY]), of(&["", "\0", user, "\0", CANARY])],
        Decode::Opaque => vec![of(&["", "\0", user, "\0", CANARY]), of(&[CANARY])],
    }
}

const SEPARATORS: [&str; 22] = [
    "\0",
    "\x01",
    "^A",
    "\\x01",
    "\\001",
    "%01",
    "%00",
    "\\0",
    " ",
    ",",
    ";",
    ":",
    "=",
    "|",
    "&",
    "\t",
    "\n",
    "",
    "A",
    "\u{1}\u{1}",
    "\x1f",
    "\u{2028}",
];

/// A message in every other shape.
fn shapes(parts: &[Part]) -> Vec<Vec<u8>> {
    let mut all = vec![whole(parts)];
    let texts: Vec<usize> = (0..parts.len()).filter(|&at| matches!(parts[at], Text(_))).collect();
    let between: Vec<usize> = (0..parts.len()).filter(|&at| matches!(parts[at], Between(_))).collect();
    let with = |at: usize, part: Part| {
        let mut parts = parts.to_vec();
        parts[at] = part;
        parts
    };
    for separator in SEPARATORS {
        let separator = || Between(separator.as_bytes().to_vec());
        let mut every = parts.to_vec();
        between.iter().for_each(|&at| every[at] = separator());
        all.push(whole(&every));
        all.extend(between.iter().map(|&at| whole(&with(at, separator()))));
    }
    for (nth, &one) in texts.iter().enumerate() {
        for &other in &texts[nth + 1..] {
            let mut swapped = parts.to_vec();
            swapped.swap(one, other);
            all.push(whole(&swapped));
            // Three in a ring.
            for &third in texts.iter().filter(|&&it| it != one && it != other) {
                let mut ring = swapped.clone();
                ring.swap(one, third);
                all.push(whole(&ring));
            }
        }
    }
    for at in 0..parts.len() {
        let mut less = parts.to_vec();
        less.remove(at);
        all.push(whole(&less));
        let mut twice = parts.to_vec();
        twice.insert(at, parts[at].clone());
        all.push(whole(&twice));
        for (before, behind) in [("", " "), (" ", ""), ("", " x"), ("", "\u{0}")] {
            let text = [before.as_bytes(), parts[at].bytes(), behind.as_bytes()].concat();
            all.push(whole(&with(at, Text(text))));
        }
    }
    all.push(whole(parts).to_ascii_uppercase());
    all.push(whole(parts).to_ascii_lowercase());
    all.push(whole(parts).into_iter().rev().collect());
    all.push(whole(&parts.iter().rev().cloned().collect::<Vec<_>>()));
    all
}

/// How a message comes: in base64 or nearly so.
const CODINGS: [fn(&[u8]) -> String; 9] = [
    |message| STANDARD.encode(message),
    |message| STANDARD.encode(message),
    |message| STANDARD.encode(message),
    |message| STANDARD_NO_PAD.encode(message),
    |message| URL_SAFE.encode(message),
    |message| format!("{} x", STANDARD.encode(message)),
    |message| {
        let coded = STANDARD.encode(message);
        let (one, two) = coded.split_at(coded.len() / 2);
        format!("{one} {two}")
    },
    |message| format!("={}", STANDARD.encode(message)),
    |message| message.iter().map(|&b| if b.is_ascii_graphic() { char::from(b) } else { ' ' }).collect(),
];

/// The names of all mechanisms, and one of none.
fn names() -> Vec<(String, Decode)> {
    let known = mechanisms().iter().map(|it| (it.name.replace('*', "X"), it.decode));
    known.chain([("X-OWN".to_owned(), Decode::Opaque)]).collect()
}

/// Every shape of every message; of codings, answers and names, one of each in turn. `share`: so many of all shapes.
fn every_shape(way: &Way, share: usize) {
    let (mut turns, mut search) = (Turns(share as u64), Search::new());
    let scram = [String::new(), STANDARD.encode("r=abcdef,s=c2FsdA==,i=4096")];
    let mut nth = 0;
    for (name, decode) in names() {
        let canary = if matches!(decode, Decode::CramMd5 | Decode::Digest) { DIGEST } else { CANARY };
        let answers = answers(way, canary);
        // What is hidden whole needs less of it.
        let step = if decode == Decode::Opaque { share * 60 } else { share };
        for user in ["bob", "bob@example.org", "bob42"] {
            let messages = messages(decode, user);
            for at in 0..messages.len() {
                for shape in shapes(&messages[at]) {
                    nth += 1;
                    if nth % step != 0 {
                        continue;
                    }
                    let coding = turns.next(&CODINGS);
                    let mut lines: Vec<String> =
                        messages[..at].iter().map(|before| STANDARD.encode(whole(before))).collect();
                    lines.push(coding(&shape));
                    let early = *turns.next(&[true, false]);
                    let challenges = if decode == Decode::Scram && early { &scram[1..] } else { &scram[..] };
                    // A server repeats nothing but what it was sent, whole; and where no exchange is followed, what is no base64 is
                    // one word.
                    let sent = memchr::memmem::find_iter(&shape, canary.as_bytes()).count() == 1;
                    let lost = ["nntp", "irc"].contains(&way.protocol) && STANDARD.decode(&lines[at]).is_err();
                    let answer = turns.next(if sent && !lost { &answers } else { &answers[..2] });
                    search.clean(way.protocol, &session(way, &name, challenges, &lines, early, answer));
                }
            }
        }
    }
    assert!(search.sessions > 20, "{} sessions", search.sessions);
    search.end();
}

#[test]
fn every_message_of_imap() {
    every_shape(&WAYS[0], 13);
}

#[test]
fn every_message_of_mail() {
    every_shape(&WAYS[1], 53);
    every_shape(&WAYS[2], 211);
    every_shape(&WAYS[3], 59);
}

#[test]
fn every_message_of_the_others() {
    every_shape(&WAYS[4], 53);
    every_shape(&WAYS[5], 211);
    every_shape(&WAYS[6], 211);
}

/// The shapes by which a password was once shown, each with each answer.
#[test]
fn fields_in_another_order() {
    let mut search = Search::new();
    for way in &WAYS {
        for message in [
            format!("bob\0{CANARY}\0"),
            format!("{CANARY}\0bob\0"),
            format!("\0{CANARY}\0bob"),
            format!("{CANARY}\0\0bob"),
            format!("{CANARY}\0bob\0adm"),
            format!("{CANARY}\0bob"),
            format!("\0{CANARY}\0{CANARY}"),
        ] {
            for answer in answers(way, CANARY) {
                let lines = [STANDARD.encode(&message)];
                search.clean(way.protocol, &session(way, "PLAIN", &[], &lines, false, &answer));
                search.clean(way.protocol, &session(way, "PLAIN", &[], &lines, true, &answer));
            }
        }
    }
    search.end();
}

/// A password that is spelled like a name is no less hidden, unless the server takes it for one.
#[test]
fn a_password_that_is_a_plain_word() {
    let way = &WAYS[0];
    for (name, message) in [
        ("PLAIN", "\0correcthorse\0bob"),
        ("PLAIN", "bob\0correcthorse\0"),
        ("XOAUTH2", "user=correcthorse\x01auth=Bearer bob\x01\x01"),
        ("LOGIN", "correcthorse"),
        ("EXTERNAL", "correcthorse"),
        ("ANONYMOUS", "correcthorse"),
    ] {
        let answer = way.no.replace("TEXT", "what is correcthorse?");
        let steps = session(way, name, &[], &[STANDARD.encode(message)], false, &answer);
        for (output, bytes) in outputs(way.protocol, &steps, true) {
            assert!(memchr::memmem::find(&bytes, b"correcth").is_none(), "{name} in {output}");
        }
    }
}

/// Prompts of AUTH LOGIN in any words and order, answered in any order.
#[test]
fn prompts_of_every_kind() {
    let mut search = Search::new();
    let prompts: Vec<String> = [
        "Username:",
        "User Name\0",
        "User Name:",
        "Password:",
        "Kennwort:",
        "user",
        "",
        "login",
        "login:",
        "userid",
        "Username for kennwort:",
        "\u{1}",
        "Benutzername:",
    ]
    .iter()
    .map(|text| STANDARD.encode(text))
    .chain(["VXNlcm5hbWU6 x".to_owned(), "Username:".to_owned(), "=".to_owned()])
    .collect();
    let [user, canary] = ["bob", CANARY].map(|text| STANDARD.encode(text));
    let orders: [&[&String]; 5] =
        [&[&user, &canary], &[&canary, &user], &[&canary, &canary], &[&canary], &[&user, &user, &canary]];
    for way in &WAYS[..5] {
        let answers = answers(way, CANARY);
        for (nth, first) in prompts.iter().enumerate() {
            for (turn, order) in orders.iter().enumerate() {
                let second = &prompts[(nth + turn + 1) % prompts.len()];
                let lines: Vec<String> = order.iter().map(|&line| line.clone()).collect();
                let challenges = [first.clone(), second.clone(), first.clone()];
                let answer = &answers[(nth + turn) % answers.len()];
                search.clean(way.protocol, &session(way, "LOGIN", &challenges, &lines, nth % 4 == 3, answer));
            }
        }
    }
    search.end();
}

/// Offsets of NTLM that point where they should not.
#[test]
fn names_of_ntlm_at_any_place() {
    let mut search = Search::new();
    let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
    message.resize(64, 0);
    let responses = format!("{CANARY}-{CANARY}-{CANARY}");
    for (at, text) in [(12, &*responses), (20, &*responses), (28, "DOM"), (36, "bob"), (44, "PC")] {
        let (len, from) = (text.len() as u16, message.len() as u32);
        message[at..at + 2].copy_from_slice(&len.to_le_bytes());
        message[at + 4..at + 8].copy_from_slice(&from.to_le_bytes());
        message.extend_from_slice(text.as_bytes());
    }
    for at in (12..60).filter(|at| at % 8 < 2 || at % 8 == 4) {
        for value in [0, 1, 9, 24, 60, 64, 70, 80, 93, 100, 125, 255] {
            let mut other = message.clone();
            other[at] = value;
            let lines = [STANDARD.encode(&other)];
            search.clean("imap", &session(&WAYS[0], "NTLM", &[], &lines, false, WAYS[0].yes));
        }
    }
    search.end();
}

/// Commands that log in: the words between which something stands, the secret among them.
const COMMANDS: [(&str, &[&str]); 14] = [
    ("imap", &["a1", "LOGIN", "bob", "SECRET"]),
    ("imap", &["a1", "LOGIN", "bob@example.org", "SECRET"]),
    ("imap", &["a1", "LOGIN", "\"bob\"", "\"SECRET\""]),
    ("imap", &["a1", "LOGIN", "bob42", "SECRET", "x"]),
    ("smtp", &["AUTH", "PLAIN", "PLAIN64"]),
    ("smtp", &["AUTH", "LOGIN", "SECRET64"]),
    ("lmtp", &["AUTH", "PLAIN", "PLAIN64"]),
    ("pop3", &["PASS", "SECRET"]),
    ("pop3", &["APOP", "bob", "SECRET"]),
    ("pop3", &["AUTH", "PLAIN", "PLAIN64"]),
    ("managesieve", &["AUTHENTICATE", "\"PLAIN\"", "\"PLAIN64\""]),
    ("nntp", &["AUTHINFO", "PASS", "SECRET"]),
    ("irc", &["OPER", "bob", "SECRET"]),
    ("irc", &["PASS", "SECRET"]),
];

/// Login commands with other blanks, case and order of their arguments.
#[test]
fn commands_in_other_shapes() {
    let mut search = Search::new();
    for (protocol, words) in COMMANDS {
        let way = WAYS.iter().find(|way| way.protocol == protocol).expect("a protocol");
        let answers = answers(way, CANARY);
        let fill = |word: &str| {
            let plain = STANDARD.encode(format!("\0bob\0{CANARY}"));
            word.replace("PLAIN64", &plain).replace("SECRET64", &STANDARD.encode(CANARY)).replace("SECRET", CANARY)
        };
        let words: Vec<String> = words.iter().map(|word| fill(word)).collect();
        let verb = usize::from(protocol == "imap");
        let mut lines = Vec::new();
        for between in [" ", "  ", "\t", ",", " :", "=", "\u{0}", "\r", "\" \"", " \"", " {9}", ""] {
            // Without blanks it is no command of IMAP.
            if protocol != "imap" || between.contains([' ', '\t', '\r']) {
                lines.push((words.join(between), between.trim().is_empty() && !between.is_empty()));
            }
            let line = [words[..=verb].join(" "), words[verb + 1..].join(between)].join(" ");
            lines.push((line, between.trim().is_empty() && !between.is_empty()));
        }
        for swap in verb + 1..words.len() {
            for other in swap + 1..words.len() {
                let mut swapped = words.clone();
                swapped.swap(swap, other);
                lines.push((swapped.join(" "), true));
            }
            let mut less = words.clone();
            less.remove(swap);
            lines.push((less.join(" "), true));
            let mut same = words.clone();
            same[swap] = CANARY.to_owned();
            lines.push((same.join(" "), true));
        }
        lines.push((words.join(" ").to_ascii_lowercase(), true));
        lines.push((words.join(" ").to_ascii_uppercase(), true));
        // Of what is glued together, a server is not expected to take a part.
        for (nth, (line, parted)) in lines.iter().enumerate() {
            let mut steps = Vec::new();
            for (client, server) in way.opening {
                if !client.is_empty() {
                    steps.push(c(format!("{client}\r\n")));
                }
                steps.push(s(format!("{server}\r\n")));
            }
            steps.push(c(format!("{line}\r\n")));
            let coded = [STANDARD.encode(CANARY), STANDARD.encode(format!("\0bob\0{CANARY}")), CANARY.to_owned()];
            let sent = coded.iter().any(|it| line.contains(it));
            let answers = if sent && *parted { &answers } else { &answers[..2] };
            steps.push(s(format!("{}\r\n", answers[nth % answers.len()])));
            search.clean(protocol, &steps);
        }
    }
    search.end();
}

/// The names of a LOGIN as literals, either of which may be the password.
#[test]
fn literals_in_other_orders() {
    let mut search = Search::new();
    for answer in answers(&WAYS[0], CANARY) {
        for (first, second) in [("bob", CANARY), (CANARY, "bob"), (CANARY, CANARY)] {
            let greeting = s("* OK hi\r\n");
            let (one, two) = (first.len(), second.len());
            let rows = [
                vec![c(format!("a1 LOGIN {{{one}+}}\r\n{first} {{{two}+}}\r\n{second}\r\n"))],
                vec![c(format!("a1 LOGIN {{{one}+}}\r\n{first} {second}\r\n"))],
                vec![
                    c(format!("a1 LOGIN {{{one}}}\r\n")),
                    s("+ go\r\n"),
                    c(format!("{first} {{{two}}}\r\n")),
                    s("+ go\r\n"),
                    c(format!("{second}\r\n")),
                ],
            ];
            for row in rows {
                search.clean("imap", &[vec![greeting.clone()], row, vec![s(format!("{answer}\r\n"))]].concat());
            }
        }
    }
    search.end();
}

/// The other side of it: a login that is accepted names its user in every log.
#[test]
fn who_logs_in_is_shown_once_it_is_known() {
    for way in &WAYS[..5] {
        for (name, lines, want) in [
            ("PLAIN", vec!["\0alice\0secret"], "PLAIN authcid=\"alice\" pass=<hidden>"),
            ("PLAIN", vec!["\0bob42\0X9!k"], "PLAIN authcid=\"bob42\" pass=<hidden>"),
            ("LOGIN", vec!["alice", "secret"], "LOGIN user=\"alice\""),
            ("XOAUTH2", vec!["user=bob\x01auth=Bearer abc\x01\x01"], "XOAUTH2 user=\"bob\" auth=<hidden>"),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| STANDARD.encode(line)).collect();
            let prompts = ["Username:", "Password:"].map(|text| STANDARD.encode(text));
            let user = want.split('"').nth(1).expect("a name");
            for early in [false, true] {
                let challenges = if early { &prompts[1..] } else { &prompts[..] };
                let steps = session(way, name, challenges, &lines, early, way.yes);
                let outputs = outputs(way.protocol, &steps, true);
                let log = String::from_utf8_lossy(&outputs[0].1);
                let known = format!("logged in as {user}");
                assert!(log.contains(want) && log.contains(&known), "{}: {want}\n{log}", way.protocol);
                let json = String::from_utf8_lossy(&outputs[1].1);
                assert!(json.contains(&format!("\"user\":\"{user}\"")), "{}:\n{json}", way.protocol);
            }
        }
    }
    for (line, user) in [
        ("a1 LOGIN alice secret", "alice"),
        ("a1 LOGIN bob42 X9!k", "bob42"),
        ("a1 LOGIN {5+}\r\nalice {6+}\r\nsecret", "alice"),
        ("a1 LOGIN {5+}\r\nalice secret", "alice"),
        ("a1 LOGIN bob42 {4+}\r\nX9!k", "bob42"),
    ] {
        let steps = [s("* OK hi\r\n"), c(format!("{line}\r\n")), s("a1 OK in\r\n")];
        let log = outputs("imap", &steps, true).swap_remove(0).1;
        let log = String::from_utf8_lossy(&log);
        assert!(log.contains(&format!("logged in as {user}")), "{line}\n{log}");
    }
}
