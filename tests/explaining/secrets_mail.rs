//! No secret is shown in the protocols beside IMAP either: however it is spelled, cut, answered, repeated or edited. The
//! canary is searched in the raw events of the client, and in the log that the whole chain makes: as it is, in base64 at
//! every place in its group of three, and in capitals.

use std::sync::{Arc, LazyLock};

use crate::canary::{PART, Parts};
use crate::lanes::log::log;
use crate::lanes::{Cutting, Run, Step, c, orders, run, s};
use crate::ruled::compiled;
use crate::thorough::thorough;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imapscope::event::{Batch, Peer, What};
use imapscope::grammar::Grammar;
use imapscope::rules::Rules;
use imapscope::session::{Outbox, Session};

/// A password that occurs nowhere else.
pub const CANARY: &str = "kanarie77";

pub fn encoded(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

/// `\0alice\0kanarie77`, as PLAIN sends it.
pub fn plain() -> String {
    encoded(format!("\0alice\0{CANARY}"))
}

/// The canary in capitals, and what base64 makes of it behind none, one or two other octets, in capitals too.
fn needles() -> Vec<Vec<u8>> {
    let shifted = |by: usize| {
        let text = encoded([&b"xx"[..by], CANARY.as_bytes()].concat());
        text[(by * 8).div_ceil(6)..(by + CANARY.len()) * 8 / 6].to_ascii_uppercase().into_bytes()
    };
    vec![CANARY.to_ascii_uppercase().into_bytes(), shifted(0), shifted(1), shifted(2)]
}

/// Returns true if five bytes of a needle are in these, in any case.
fn leaks(bytes: &[u8]) -> bool {
    static PARTS: LazyLock<Parts> = LazyLock::new(|| Parts::in_any_case(needles(), PART));
    PARTS.are_in(bytes)
}

fn script(steps: &[Step]) -> String {
    let line = |(from, bytes): &Step| {
        let text = bytes.escape_ascii().to_string();
        format!("  {}: {}\n", from.word(), &text[..text.len().min(300)])
    };
    steps.iter().map(line).collect()
}

/// What an observer could read of the client's events.
fn visible(run: &Run) -> Vec<Vec<u8>> {
    let mut shown = Vec::new();
    for seen in run.events.iter().filter(|seen| seen.from == Peer::Client) {
        match &seen.what {
            What::Text(text) => {
                let mut bytes = seen.bytes.clone();
                text.secrets.iter().for_each(|span| bytes[span.start as usize..span.end as usize].fill(b'.'));
                shown.push(bytes);
            }
            What::Data(data) if !data.secret => shown.push(seen.bytes.clone()),
            _ => {}
        }
    }
    shown
}

/// A number that a conversation always has: which of the cuts and rules it meets. There are tens of thousands of conversations, of
/// which many differ in one line only, so that every line meets every cut and every rule in some of them.
fn turn(steps: &[Step]) -> usize {
    let bytes = steps.iter().flat_map(|(_, bytes)| bytes);
    bytes.fold(0, |turn: usize, byte| turn.wrapping_mul(31).wrapping_add((*byte).into()))
}

/// The raw events of a conversation, whole, in single bytes, and cut in two in a quarter of the places, or in a sixteenth.
fn hides_raw(protocol: &str, steps: &[Step]) {
    let longest = steps.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(1);
    let mut cuttings = vec![Cutting::Whole, Cutting::Sizes(vec![3, 1, 11, 2])];
    if longest <= 1_000 {
        cuttings.push(Cutting::Every(1));
        let share = if thorough() { 4 } else { 16 };
        let places = (1 + turn(steps) % share..longest).step_by(share * (1 + longest / 40));
        cuttings.extend(places.map(|at| Cutting::Sizes(vec![at, usize::MAX])));
    } else {
        cuttings.extend([Cutting::Every(1_000), Cutting::Every(65_536), Cutting::Every(65_535)]);
    }
    for cutting in &cuttings {
        let done = run(Run::of(protocol, Rules::default()), steps, cutting);
        done.check();
        for bytes in visible(&done) {
            assert!(!leaks(&bytes), "{protocol}: {}\nsent as:\n{}", bytes.escape_ascii(), script(steps));
        }
    }
}

/// The log of a conversation, cut and whole.
fn hides_in_log(protocol: &str, rules: &[&str], steps: &[Step]) {
    let sizes: &[usize] = if rules.is_empty() { &[usize::MAX, 1_000, 7] } else { &[usize::MAX] };
    for &size in sizes {
        let log = log(protocol, compiled(rules), steps, size);
        assert!(!leaks(log.as_bytes()), "{protocol} with {rules:?}:\n{log}\nsent as:\n{}", script(steps));
    }
}

/// Rules that leave everything, say the same otherwise, turn words around, and change verbs: what is hidden is hidden in what they make too.
const RULES: [&[&str]; 5] = [
    &["vary all"],
    &["s/never said/nor this/"],
    &["s/^(\\S+) (\\S+) (.*)$/$1 $3 $2/ when from == client"],
    &["s/AUTH/HELP/ when from == client"],
    &["s/PASS/NOOP/ when from == client"],
];

pub fn hides(protocol: &str, steps: &[Step]) {
    hides_raw(protocol, steps);
    hides_in_log(protocol, &[], steps);
    let rules = if thorough() { 2 } else { 1 };
    for nth in [turn(steps), turn(steps) + 2].into_iter().take(rules) {
        hides_in_log(protocol, RULES[nth % RULES.len()], steps);
    }
}

/// The client's parts with each of these answers, in each of their [`orders`].
/// Before them and after them comes what a client usually says.
fn against(protocol: &str, parts: &[&str], repeated: bool) {
    for (nth, opening) in openings(protocol).iter().enumerate() {
        for answers in answers(protocol) {
            // What a reply repeats is known once the line is read: not while an earlier reply has to decide what the line is.
            let repeats = answers.iter().any(|it| leaks(it.as_bytes()));
            if repeats && (!repeated || nth == 0 || nth == 3 || parts.len() > 1) {
                continue;
            }
            for steps in orders(opening, parts, &answers) {
                hides(protocol, &steps);
            }
        }
    }
    // Repeated after all is read.
    let repeat = |answers: &&Vec<String>| repeated && answers.iter().any(|it| leaks(it.as_bytes()));
    for answers in answers(protocol).iter().filter(repeat) {
        let mut steps = openings(protocol).swap_remove(2);
        for part in parts {
            steps.extend([c(part), s(go_ahead(protocol))]);
        }
        steps.extend(answers.iter().filter(|it| leaks(it.as_bytes())).map(s));
        hides(protocol, &steps);
    }
    // Cut off anywhere.
    let all = parts.concat();
    if all.len() < 1_000 {
        for end in 1..all.len() {
            let steps = [openings(protocol).swap_remove(1), vec![c(&all[..end])]].concat();
            for bytes in visible(&run(Run::of(protocol, Rules::default()), &steps, &Cutting::Whole)) {
                assert!(!leaks(&bytes), "{protocol}: {}\nsent as:\n{}", bytes.escape_ascii(), script(&steps));
            }
        }
    }
}

fn openings(protocol: &str) -> Vec<Vec<Step>> {
    let (greeting, hello, reply) = match protocol {
        "smtp" => ("220 mx\r\n", "EHLO me\r\n", "250-mx\r\n250 AUTH PLAIN LOGIN\r\n"),
        "lmtp" => ("220 mx\r\n", "LHLO me\r\n", "250-mx\r\n250 AUTH PLAIN LOGIN\r\n"),
        "pop3" => ("+OK hi\r\n", "CAPA\r\n", "+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n"),
        "managesieve" => ("\"SASL\" \"PLAIN\"\r\nOK\r\n", "NOOP\r\n", "OK\r\n"),
        "nntp" => ("200 hi\r\n", "CAPABILITIES\r\n", "101 list\r\nVERSION 2\r\nAUTHINFO USER SASL\r\n.\r\n"),
        _ => (":irc NOTICE * :hi\r\n", "CAP LS 302\r\n", ":irc CAP * LS :sasl\r\n"),
    };
    vec![vec![], vec![s(greeting)], vec![s(greeting), c(hello), s(reply)], vec![s(greeting), c(hello)]]
}

fn go_ahead(protocol: &str) -> &'static str {
    match protocol {
        "smtp" | "lmtp" => "334 \r\n",
        "pop3" => "+ \r\n",
        "managesieve" => "\"\"\r\n",
        "nntp" => "383 =\r\n",
        _ => "AUTHENTICATE +\r\n",
    }
}

fn answers(protocol: &str) -> Vec<Vec<String>> {
    let go = go_ahead(protocol);
    let (yes, no) = match protocol {
        "smtp" | "lmtp" => (["235 in\r\n", "250 ok\r\n"], ["535 no\r\n", "503 order\r\n"]),
        "pop3" => (["+OK\r\n", "+OK in\r\n"], ["-ERR no\r\n", "-ERR what\r\n"]),
        "managesieve" => (["OK\r\n", "OK \"in\"\r\n"], ["NO \"no\"\r\n", "BYE\r\n"]),
        "nntp" => (["281 in\r\n", "200 ok\r\n"], ["481 no\r\n", "502 no\r\n"]),
        _ => ([":irc 903 me :in\r\n", ":irc 001 me :hi\r\n"], [":irc 904 me :no\r\n", "ERROR :no\r\n"]),
    };
    // What the server repeats of what it was sent.
    let echo = |text: &str| match protocol {
        "managesieve" => format!("NO \"what is {text}?\"\r\n"),
        "irc" => format!(":irc 421 me {text} :what?\r\n"),
        _ => format!("{}what is {text}?\r\n", no[0].trim_end_matches("no\r\n")),
    };
    let rows: [&[&str]; 7] =
        [&[], &[yes[0]], &[yes[1], yes[1]], &[no[0], no[1]], &[go, go, go, yes[0]], &[go, no[0]], &[no[1], go, yes[0]]];
    let mut all: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|&it| it.to_owned()).collect()).collect();
    for text in [CANARY.to_owned(), CANARY.to_ascii_uppercase(), encoded(CANARY), plain(), plain().to_ascii_uppercase()]
    {
        all.push(vec![echo(&text), echo(&text)]);
        all.push(vec![go.to_owned(), echo(&text)]);
    }
    all
}

/// Lines with `PLAIN` and `CANARY64` put in.
fn filled(line: &str) -> String {
    line.replace("{plain}", &plain()).replace("{coded}", &encoded(CANARY)).replace("{secret}", CANARY)
}

fn all_of(protocol: &str, cases: &[&[&str]]) {
    for case in cases {
        let parts: Vec<String> = case.iter().map(|line| filled(line)).collect();
        // What is only a part of the word that was hidden is not looked for.
        let part = case.iter().any(|line| ["PASS{s", "PASS:{s", "{15+}"].iter().any(|it| line.contains(it)));
        against(protocol, &parts.iter().map(String::as_str).collect::<Vec<_>>(), !part);
    }
}

const AUTH: &[&[&str]] = &[
    &["AUTH PLAIN {plain}\r\n"],
    &["auth plain {plain}\r\n"],
    &["AUTH  PLAIN  {plain} \r\n"],
    &["AUTH\tPLAIN\t{plain}\r\n"],
    &[" AUTH PLAIN {plain}\n"],
    &["AUTH {plain}\r\n"],
    &["AUTH=PLAIN {plain}\r\n"],
    &["AUHT PLAIN {plain}\r\n"],
    &["AUTHPLAIN {plain}\r\n"],
    &["AUTHENTICATE PLAIN {plain}\r\n"],
    &["a AUTH PLAIN {plain}\r\n"],
    &["AUTH PLAIN {plain}\r\nNOOP\r\n"],
    &["NOOP\r\nAUTH PLAIN {plain}\r\n", "QUIT\r\n"],
    &["AUTH PLAIN\r\n", "{plain}\r\n"],
    &["AUTH PLAIN\r\n", "{plain}\r\n", "NOOP\r\n"],
    &["AUTH PLAIN\r\n", "{plain}\r\n", "AUTH PLAIN {plain}\r\n", "{plain}\r\n"],
    &["AUTH\r\n", "PLAIN {plain}\r\n"],
    &["AUTH PLAIN =\r\n", "{plain}\r\n"],
    &["AUTH LOGIN\r\n", "YWxpY2U=\r\n", "{coded}\r\n"],
    &["AUTH LOGIN YWxpY2U=\r\n", "{coded}\r\n"],
    &["AUTH LOGIN\r\n", "*\r\n", "{coded}\r\n"],
    &["AUTH LOGIN\r\n", "{secret}\r\n", "{secret}\r\n"],
    &["AUTH LOGIN\r\n", "alice {secret}\r\n"],
    &["AUTH PLAIN\r{plain}\r\n"],
    &["NOOP\rAUTH PLAIN {plain}\r\n"],
];

#[test]
fn smtp() {
    all_of("smtp", AUTH);
    all_of(
        "smtp",
        &[
            &[
                "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n",
                "BURL imap://j@h/x;UID=1;urlauth=submit+j:internal:{secret} LAST\r\n",
            ],
            &["BURL imap://j@h/x;UID=1;urlauth=submit+j:internal:{secret}\r\n"],
            &["BRUL imap://j@h/x;UID=1;urlauth=submit+j:internal:{secret}\r\n"],
            &["CLIENTID UUID {secret}\r\n"],
            &["X-EXPS PLAIN {plain}\r\n"],
            &["PASS {secret}\r\n"],
            &["LOGIN alice {secret}\r\n"],
        ],
    );
}

#[test]
fn lmtp() {
    all_of("lmtp", &AUTH[..12]);
}

#[test]
fn pop3() {
    all_of("pop3", AUTH);
    all_of(
        "pop3",
        &[
            &["USER alice\r\n", "PASS {secret}\r\n"],
            &["USER alice\r\nPASS {secret}\r\n"],
            &["user alice\r\n", "pass {secret}\r\n", "STAT\r\n"],
            &["USER alice\r\n", "PASS my  word {secret} \r\n"],
            &["USER alice\r\n", "PASS  {secret}\r\n"],
            &["USER alice\r\n", "PASS\t{secret}\r\n"],
            &["USER alice\r\n", "PASS\r\n", "{secret}\r\n"],
            &["USER alice\r\n", "{secret}\r\n"],
            &["USER alice\r\n", "PSAS {secret}\r\n"],
            &["USER alice\r\n", "PASS{secret}\r\n"],
            &["USER alice\r\n", "PASS:{secret}\r\n"],
            &["USER alice\r\n", "PASSWORD {secret}\r\n"],
            &["PASS {secret}\r\n", "USER alice\r\n"],
            &["USER alice\rPASS {secret}\r\n"],
            &["APOP alice {secret}\r\n"],
            &["apop  alice  {secret}\r\n"],
            &["APOP {secret}\r\n"],
            &["XAUTH alice {secret}\r\n"],
        ],
    );
}

#[test]
fn managesieve() {
    let length = plain().len();
    let literal = format!("AUTHENTICATE \"PLAIN\" {{{length}}}\r\n{{plain}}\r\n");
    let plus = format!("AUTHENTICATE \"PLAIN\" {{{length}+}}\r\n{{plain}}\r\n");
    let short = format!("AUTHENTICATE \"PLAIN\" {{{}+}}\r\n{{plain}}\r\n", length - 9);
    let both = format!("AUTHENTICATE {{5+}}\r\nPLAIN {{{length}+}}\r\n{{plain}}\r\n");
    let named = "AUTHENTICATE {5+}\r\nPLAIN \"{plain}\"\r\n";
    let line = format!("{{{length}+}}\r\n{{plain}}\r\n");
    all_of(
        "managesieve",
        &[
            &["AUTHENTICATE \"PLAIN\" \"{plain}\"\r\n"],
            &["authenticate \"plain\" \"{plain}\"\r\n"],
            &["AUTHENTICATE PLAIN {plain}\r\n"],
            &["AUTHENTICATE  \"PLAIN\"  \"{plain}\"\r\n"],
            &["AUTHENTICATE\t\"PLAIN\"\t\"{plain}\"\r\n"],
            &["AUTHENTICATE \"PLAIN\"\"{plain}\"\r\n"],
            &["AUTHENTICATE \"PLAIN {plain}\"\r\n"],
            &["AUTHENTICATE \"PLAIN {plain}\r\n"],
            &["AUTHENTICATE \"{plain}\"\r\n"],
            &["AUTHENTIACTE \"PLAIN\" \"{plain}\"\r\n"],
            &["AUTHENTICATE\"PLAIN\" \"{plain}\"\r\n"],
            &["a AUTHENTICATE \"PLAIN\" \"{plain}\"\r\n"],
            &["LOGIN \"alice\" \"{secret}\"\r\n"],
            &["AUTHENTICATE \"PLAIN\"\r\n", "\"{plain}\"\r\n"],
            &["AUTHENTICATE \"PLAIN\"\r\n", &line, "NOOP\r\n"],
            &["AUTHENTICATE \"PLAIN\"\r\n", "{plain}\r\n", "{plain}\r\n"],
            &["AUTHENTICATE \"LOGIN\"\r\n", "\"YWxpY2U=\"\r\n", "\"{coded}\"\r\n"],
            &["AUTHENTICATE \"LOGIN\"\r\n", "\"*\"\r\n", "\"{coded}\"\r\n"],
            &["AUTHENTICATE \"LOGIN\"\r\n", "{8+}\r\nYWxpY2U=\r\n", "{12+}\r\n{coded}\r\n", "LOGOUT\r\n"],
            &["NOOP\r\nAUTHENTICATE \"PLAIN\" \"{plain}\"\r\nLISTSCRIPTS\r\n"],
            &[&literal],
            &[&plus, "NOOP\r\n"],
            &[&short],
            &[&both],
            &[named],
        ],
    );
}

#[test]
fn nntp() {
    all_of(
        "nntp",
        &[
            &["AUTHINFO USER alice\r\n", "AUTHINFO PASS {secret}\r\n"],
            &["authinfo user alice\r\nauthinfo pass {secret}\r\n"],
            &["AUTHINFO  PASS  with blanks {secret}\r\n"],
            &["AUTHINFO\tPASS\t{secret}\r\n"],
            &["AUTHINFO {secret}\r\n"],
            &["AUTHINOF PASS {secret}\r\n"],
            &["PASS {secret}\r\n"],
            &["AUTHINFO PASS\r\n", "{secret}\r\n"],
            &["AUTHINFO USER alice\r\n", "{secret}\r\n"],
            &["AUTHINFO SASL PLAIN {plain}\r\n"],
            &["AUTHINFO SASL PLAIN\r\n", "{plain}\r\n"],
            &["AUTHINFO SASL LOGIN\r\n", "YWxpY2U=\r\n", "{coded}\r\n", "GROUP x\r\n"],
            &["AUTHINFO SASL LOGIN\r\n", "*\r\n", "{coded}\r\n"],
            &["AUTHINFO GENERIC x {secret}\r\n"],
            &["AUTHINFO SIMPLE\r\n", "alice {secret}\r\n"],
            &["MODE READER\r\nAUTHINFO PASS {secret}\r\nGROUP x\r\n"],
        ],
    );
}

#[test]
fn irc() {
    all_of(
        "irc",
        &[
            &["PASS {secret}\r\nNICK me\r\nUSER me 0 * :me\r\n"],
            &["pass :{secret}\r\n"],
            &["PASS  {secret}\r\n"],
            &[":me PASS {secret}\r\n"],
            &[" PASS {secret}\r\n"],
            &["@label=1 PASS {secret}\r\n"],
            &["@label=1 PRIVMSG NickServ :IDENTIFY {secret}\r\n"],
            &["PSAS {secret}\r\n"],
            &["PASS\r\n", "{secret}\r\n"],
            &["OPER alice {secret}\r\n"],
            &["OPER {secret}\r\n"],
            &["oper\talice\t{secret}\r\n"],
            &["AUTHENTICATE PLAIN\r\n", "AUTHENTICATE {plain}\r\n"],
            &["AUTHENTICATE {plain}\r\n"],
            &["authenticate {coded}\r\n"],
            &["AUTHENTICATE PLAIN\r\n", "{plain}\r\n"],
            &["NICKSERV IDENTIFY {secret}\r\n"],
            &["NS IDENTIFY alice {secret}\r\n"],
            &["REGISTER alice a@b {secret}\r\n"],
        ],
    );
}

/// The names of all mechanisms, and some of none.
fn mechanisms() -> Vec<String> {
    let known = imapscope::grammar::mechanisms().iter().map(|it| it.name.replace('*', "SHA-1"));
    known.chain(["X-OWN".to_owned(), "plain".to_owned(), "A-NAME-THAT-IS-MUCH-TOO-LONG-FOR-ONE".to_owned()]).collect()
}

#[test]
fn every_mechanism() {
    for name in mechanisms() {
        for (protocol, first, second, line, go, yes, no) in [
            ("smtp", "AUTH NAME", "AUTH NAME {plain}", "{coded}", "334 x", "235 in", "535 no"),
            ("lmtp", "AUTH NAME", "AUTH NAME {plain}", "{coded}", "334 x", "235 in", "535 no"),
            ("pop3", "AUTH NAME", "AUTH NAME {plain}", "{coded}", "+ x", "+OK", "-ERR no"),
            (
                "managesieve",
                "AUTHENTICATE \"NAME\"",
                "AUTHENTICATE \"NAME\" \"{plain}\"",
                "\"{coded}\"",
                "\"x\"",
                "OK",
                "NO",
            ),
            ("nntp", "AUTHINFO SASL NAME", "AUTHINFO SASL NAME {plain}", "{coded}", "383 x", "281 in", "481 no"),
            (
                "irc",
                "AUTHENTICATE NAME",
                "AUTHENTICATE {plain}",
                "AUTHENTICATE {coded}",
                "AUTHENTICATE +",
                ":i 903 me :in",
                ":i 904 me :no",
            ),
        ] {
            let line_of = |text: &str| format!("{}\r\n", filled(&text.replace("NAME", &name)));
            let [first, second, line, go, yes, no] = [first, second, line, go, yes, no].map(line_of);
            let opening = openings(protocol).swap_remove(2);
            for tail in [
                vec![c(&second), s(&yes)],
                vec![c(&second), s(&no), c(&line), s(&no)],
                vec![c(&second), s(&go), c(&line), s(&yes)],
                vec![c(&first), s(&go), c(&line), s(&go), c(&line), s(&no), c(&line)],
                vec![c(&first), s(&no), c(&line), c(&line), s(&no)],
                vec![c(format!("{first}{line}")), s(&go), s(&no), c(&second)],
            ] {
                let steps = [opening.clone(), tail].concat();
                hides_raw(protocol, &steps);
                // With these, the message is a name.
                if !["ANONYMOUS", "EXTERNAL", "OTP"].contains(&name.as_str()) {
                    hides_in_log(protocol, &[], &steps);
                }
            }
        }
    }
}

#[test]
fn secrets_longer_than_a_text() {
    let (secret, coded) = (CANARY.repeat(8_000), encoded(CANARY.repeat(8_000)));
    for (protocol, lines) in [
        ("smtp", vec![format!("AUTH PLAIN {coded}\r\n")]),
        ("smtp", vec!["AUTH PLAIN\r\n".into(), format!("{coded}\r\n"), format!("{coded}\r\n")]),
        ("smtp", vec!["NOOP\r\nAUTH LOGIN\r\n".into(), format!("{coded}\r\nNOOP\r\n")]),
        ("smtp", vec![format!("AUTHPLAIN {coded}\r\n")]),
        ("smtp", vec![format!("BURL {secret}\r\n")]),
        ("pop3", vec!["USER a\r\n".into(), format!("PASS {secret}\r\n")]),
        ("pop3", vec!["USER a\r\n".into(), format!("PASS{secret}\r\n"), format!("{secret}\r\n")]),
        ("pop3", vec![format!("APOP a {secret}\r\n")]),
        ("pop3", vec!["AUTH PLAIN\r\n".into(), format!("{coded}\r\n"), format!("{coded}\r\n")]),
        ("managesieve", vec![format!("AUTHENTICATE \"PLAIN\" \"{coded}\"\r\n")]),
        ("managesieve", vec![format!("AUTHENTICATE \"PLAIN\" {{{}+}}\r\n{coded}\r\n", coded.len())]),
        ("managesieve", vec!["AUTHENTICATE \"PLAIN\"\r\n".into(), format!("{{{}}}\r\n{coded}\r\n", coded.len())]),
        (
            "managesieve",
            vec!["AUTHENTICATE \"PLAIN\"\r\n".into(), format!("\"{coded}\"\r\n"), format!("\"{coded}\"\r\n")],
        ),
        ("nntp", vec!["AUTHINFO USER a\r\n".into(), format!("AUTHINFO PASS {secret}\r\n")]),
        ("nntp", vec!["AUTHINFO SASL PLAIN\r\n".into(), format!("{coded}\r\n")]),
        ("irc", vec![format!("PASS {secret}\r\n"), format!("{secret}\r\n")]),
        ("irc", vec![format!("@a=b PASS {secret}\r\n")]),
        ("irc", vec![format!("OPER a {secret}\r\n")]),
    ] {
        for answers in answers(protocol).iter().take(7) {
            let mut steps = openings(protocol).swap_remove(2);
            for (at, line) in lines.iter().enumerate() {
                steps.push(c(line));
                steps.extend(answers.get(at).map(s));
            }
            hides_raw(protocol, &steps);
            hides_in_log(protocol, &[], &steps);
        }
    }
}

#[test]
fn the_proof_of_the_server_in_the_reply_of_managesieve() {
    for (first, proof) in [
        ("AUTHENTICATE \"SCRAM-SHA-256\" \"biwsbj1hbGljZSxyPWFiYw==\"", format!("v={CANARY}")),
        ("AUTHENTICATE \"DIGEST-MD5\"", format!("rspauth={CANARY}")),
        ("AUTHENTICATE \"X-OWN\"", CANARY.to_owned()),
    ] {
        let proof = encoded(proof);
        for reply in [
            format!("OK (SASL \"{proof}\") \"in\"\r\n"),
            format!("ok (sasl \"{proof}\")\r\n"),
            format!("OK (SASL  \"{proof}\")\r\n"),
            format!("OK (SASL {{{}}}\r\n{proof}) \"in\"\r\n", proof.len()),
            format!("OK (SASL {{{}+}}\r\n{proof})\r\n", proof.len()),
            format!("NO (SASL \"{proof}\")\r\n"),
            format!("OK(SASL \"{proof}\")\r\n"),
            format!("\"{proof}\"\r\nOK\r\n"),
            format!("{{{}}}\r\n{proof}\r\nOK\r\n", proof.len()),
        ] {
            let steps =
                [s("OK\r\n"), c(format!("{first}\r\n")), s("\"\"\r\n"), c("\"\"\r\n"), s(&reply), c("LISTSCRIPTS\r\n")];
            hides_in_log("managesieve", &[], &steps);
        }
    }
}

/// What of the octets of data may be shown, of a client that sends these steps in chunks of `size`.
fn open_octets(steps: &[Step], size: usize) -> Vec<u8> {
    let grammar = Grammar::builtin("smtp").expect("the description loads");
    let mut session = Session::new(1, grammar, Arc::new(Rules::default())).reporting_octets(true);
    let (mut out, mut open) = (Outbox::default(), Vec::new());
    for (from, bytes) in steps {
        for mut chunk in bytes.chunks(size.min(bytes.len().max(1))) {
            while !chunk.is_empty() {
                let taken = session.receive(*from, chunk, &mut out);
                chunk = &chunk[taken..];
                for event in &out.batch.events {
                    if let What::Octets(octets) = &event.what
                        && !octets.secret
                    {
                        open.extend_from_slice(octets.bytes.of(&out.batch.bytes));
                    }
                }
                out.clear();
                out.batch = Batch::default();
            }
        }
    }
    open
}

#[test]
fn a_login_behind_a_false_end_is_hidden_before_the_server_has_read_it() {
    let opening = [
        s("220 mx ESMTP\r\n"),
        c("EHLO c\r\n"),
        s("250-mx\r\n250 AUTH PLAIN LOGIN\r\n"),
        c("MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n"),
        s("250 ok\r\n250 ok\r\n354 go\r\n"),
    ];
    let logins = [
        format!("AUTH PLAIN {}\r\n", plain()),
        format!("auth login\r\n{}\r\n{}\r\n", encoded("alice"), encoded(CANARY)),
        format!("RSET\r\n  AUTH LOGIN {}\r\n{}\r\n", encoded("alice"), encoded(CANARY)),
    ];
    let answers: [&[&str]; 4] = [
        &[],
        &["250 queued\r\n"],
        &["250 queued\r\n", "235 in\r\n", "221 bye\r\n"],
        &["250 queued\r\n", "250 ok\r\n", "334 UGFzc3dvcmQ6\r\n", "235 in\r\n"],
    ];
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r"] {
        for login in &logins {
            for behind in ["QUIT\r\n.\r\n", "QUIT\r\n"] {
                for answers in answers {
                    let message = format!("Subject: hello\r\n\r\ntext{end}{login}{behind}");
                    let mut steps = opening.to_vec();
                    steps.push(c(&message));
                    steps.extend(answers.iter().map(s));
                    hides_in_log("smtp", &[], &steps);
                    for size in [usize::MAX, 1, 5] {
                        let open = open_octets(&steps, size);
                        assert!(open.starts_with(b"Subject: hello"), "{}", open.escape_ascii());
                        assert!(!leaks(&open), "{}\nsent as:\n{}", open.escape_ascii(), script(&steps));
                    }
                }
            }
        }
    }
}
