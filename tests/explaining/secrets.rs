//! No secret is reported in the open, however it is spelled, cut into chunks, answered or cut off. The canaries are
//! searched in the raw events: outside the spans that a text marks as secret, and in data that is not marked so.

use crate::canary::Parts;
use crate::lanes::log::log;
use crate::lanes::{self, Cutting, Run, Step, c, orders, run, s};
use crate::ruled::compiled;
use crate::thorough::thorough;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imapscope::event::{Peer, What};

/// A password that occurs nowhere else.
const CANARY: &str = "kanarie77";

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

/// `\0alice\0kanarie77`, as PLAIN sends it.
fn plain() -> String {
    encoded(&format!("\0alice\0{CANARY}"))
}

/// What an observer could read of a run.
fn visible(run: &Run) -> Vec<Vec<u8>> {
    let mut shown = Vec::new();
    for seen in &run.events {
        match &seen.what {
            What::Text(text) => {
                let mut bytes = seen.bytes.clone();
                for span in &text.secrets {
                    bytes[span.start as usize..span.end as usize].fill(b'.');
                }
                shown.push(bytes);
            }
            What::Data(data) if !data.secret => shown.push(seen.bytes.clone()),
            _ => {}
        }
    }
    shown
}

/// Runs one conversation under many cuttings and looks for any of the needles.
fn hides(steps: &[Step], needles: &[&str]) {
    let longest = steps.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(1);
    let mut cuttings = vec![Cutting::Whole, Cutting::Sizes(vec![3, 1, 11, 2])];
    if longest <= 4_096 {
        cuttings.extend([Cutting::Every(1), Cutting::Every(2)]);
        cuttings.extend((1..longest).step_by(1 + longest / 50).map(|at| Cutting::Sizes(vec![at, usize::MAX])));
    } else {
        cuttings.extend([Cutting::Every(1_000), Cutting::Every(65_536), Cutting::Every(65_535)]);
    }
    let parts = Parts::of(needles);
    for cutting in &cuttings {
        let done = run(Run::tap(), steps, cutting);
        done.check();
        none_open(&done, steps, &parts);
    }
}

/// No part of a secret is in what an observer could read.
fn none_open(done: &Run, steps: &[Step], parts: &Parts) {
    for bytes in visible(done) {
        assert!(!parts.are_in(&bytes), "in the open: {}\nsent as:\n{}", bytes.escape_ascii(), script(steps));
    }
}

fn script(steps: &[Step]) -> String {
    let line = |(from, bytes): &Step| {
        let text = bytes.escape_ascii().to_string();
        format!("  {}: {}\n", from.word(), &text[..text.len().min(300)])
    };
    steps.iter().map(line).collect()
}

/// The client's octets with each of the usual endings of a conversation: alone, answered, refused, asked for more, in every order.
fn against_servers(parts: &[Vec<u8>], needles: &[&str]) {
    let answers: [&[&str]; 7] = [
        &[],
        &["a OK in\r\n"],
        &["a NO no\r\n"],
        &["a BAD what\r\n", "+ go\r\n"],
        &["+ go\r\n", "+ go\r\n", "+ go\r\n", "a OK in\r\n"],
        &["+ go\r\n", "a NO no\r\n"],
        &["* BAD eh\r\n", "* BYE bye\r\n"],
    ];
    for greeting in [&[][..], &[s("* OK [CAPABILITY IMAP4rev1] hi\r\n")][..]] {
        for answers in answers {
            for steps in orders(greeting, parts, answers) {
                hides(&steps, needles);
            }
        }
    }
    // Cut off anywhere.
    let all = parts.concat();
    if all.len() < 4_096 {
        for end in 1..all.len() {
            hides_once(&[c(&all[..end])], needles);
        }
    }
}

fn hides_once(steps: &[Step], needles: &[&str]) {
    let done = run(Run::tap(), steps, &Cutting::Whole);
    none_open(&done, steps, &Parts::of(needles));
}

fn lines(parts: &[&str]) -> Vec<Vec<u8>> {
    parts.iter().map(|part| part.as_bytes().to_vec()).collect()
}

#[test]
fn login_in_one_line() {
    let verbs: &[&str] = if thorough() { &["LOGIN", "login", "LoGiN"] } else { &["LoGiN"] };
    for verb in verbs {
        for line in [
            "a VERB alice kanarie77\r\n",
            "a VERB \"alice\" \"kanarie77\"\r\n",
            "a VERB \"al\\\"ice\" \"\\\"kana\\\\rie77 kanarie77\"\r\n",
            "a VERB alice \"kanarie77\r\n",
            "a VERB \"alice kanarie77\r\n",
            "a VERB alice kanarie77\"\r\n",
            "a VERB al\"ice kanarie77\r\n",
            "a VERB alice kanarie77 kanarie77 kanarie77\r\n",
            "a VERB kanarie77\r\n",
            "a VERB \"kanarie77\"\r\n",
            "a VERB  alice  kanarie77 \r\n",
            "a VERB alice\tkanarie77\r\n",
            "a\tVERB\talice\tkanarie77\r\n",
            "  a  VERB alice kanarie77\r\n",
            "a VERB alice kanarie77\n",
            "a VERB alice kanarie77\r\r\n",
            "a VERB alice kan\rarie77\r\n",
            "a VERB (alice kanarie77)\r\n",
            "a VERB alice (kanarie77)\r\n",
            "a VERB \"alice\"kanarie77\r\n",
            "a VERB \"alice\"\"kanarie77\"\r\n",
            "a VERB alice:kanarie77\r\n",
            "a VERB {5} kanarie77\r\n",
            "a VERB alice {kanarie77}\r\n",
            "VERB alice kanarie77\r\n",
            "VERB noop kanarie77\r\n",
            "VERB list kanarie77\r\n",
            "VERB \"alice\" \"kanarie77\"\r\n",
            "VERB kanarie77\r\n",
            "VERB VERB alice kanarie77\r\n",
            "a VERB\"alice\" \"kanarie77\"\r\n",
            "a VERB(alice kanarie77)\r\n",
            "VERB\"alice\" \"kanarie77\"\r\n",
            "a b VERB alice kanarie77\r\n",
            "a UID VERB alice kanarie77\r\n",
            "\0a VERB alice kanarie77\r\n",
            "a \0VERB alice kanarie77\r\n",
            "a VERB\0 alice kanarie77\r\n",
            "* VERB alice kanarie77\r\n",
            "+ VERB alice kanarie77\r\n",
            ". VERB alice kanarie77\r\n",
            "a XVERB alice kanarie77\r\n",
            "a VERB1 alice kanarie77\r\n",
            "a VE\0RB alice kanarie77\r\n",
            "a\rVERB\ralice\rkanarie77\r\n",
            "a ID NIL\rb VERB alice kanarie77\r\n",
            "a NOOP\rb VERB alice kanarie77\r",
        ] {
            let line = line.replace("VERB", verb);
            against_servers(&lines(&[&line]), &[CANARY]);
            against_servers(&lines(&["x NOOP\r\ny CAPABILITY\r\n", &line, "z NOOP\r\n"]), &[CANARY]);
        }
    }
}

#[test]
fn other_ways_to_log_in() {
    for line in [
        "a LOGON alice kanarie77\r\n",
        "a AUTH PLAIN kanarie77\r\n",
        "USER alice\r\nPASS kanarie77\r\n",
        "a PROXYAUTH kanarie77\r\n",
        "a X-TOKEN {9}\r\nkanarie77\r\n",
        "a X-TOKEN {9+}\r\nkanarie77\r\n",
        "a X-TOKEN x {1+}\r\ny kanarie77\r\n",
    ] {
        hides(&[s("* OK hi\r\n"), c(line), s("a NO\r\n")], &[CANARY]);
        hides(&[s("* OK hi\r\n"), c(format!("y NOOP\r\n{line}z NOOP\r\n")), s("+\r\na NO\r\n")], &[CANARY]);
    }
}

#[test]
fn login_with_literals() {
    for parts in [
        &["a LOGIN {5}\r\n", "alice {9}\r\n", "kanarie77\r\n"][..],
        &["a LOGIN {5+}\r\n", "alice {9+}\r\n", "kanarie77\r\n"],
        &["a LOGIN {5}\r\n", "alice \"kanarie77\"\r\n"],
        &["a LOGIN {5}\r\n", "alice kanarie77\r\n"],
        &["a LOGIN {5+}\r\n", "alice kanarie77 kanarie77\r\n"],
        &["a LOGIN alice {9}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {9+}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice ~{9}\r\n", "kanarie77\r\n"],
        &["a LOGIN \"alice\" {9}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice{9}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {0009}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {9} \r\n", "kanarie77\r\n"],
        &["a LOGIN alice {9}x\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {99999999999999999999999}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {-9}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {4}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {4+}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {0}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {0+}\r\n", "kanarie77\r\n"],
        &["a LOGIN alice {12}\r\n", "kanarie77\r\nb NOOP\r\n"],
        &["a LOGIN \"alice {9}\r\n", "kanarie77\r\n"],
        &["a LOGIN \"alice {9+}\r\n", "kanarie77\r\n"],
        &["LOGIN {5}\r\n", "alice {9}\r\n", "kanarie77\r\n"],
        &["LOGIN {5+}\r\n", "alice {9+}\r\n", "kanarie77\r\n"],
        &["LOGIN alice {9}\r\n", "kanarie77\r\n"],
        &["LOGIN\r\n", "alice kanarie77\r\n"],
        &["a LOGIN\r\n", "kanarie77\r\n"],
        &["a LOGIN\r\n", "alice kanarie77\r\n"],
        &["a LOGIN alice\r\n", "kanarie77\r\n"],
        &["a LOGIN{5}\r\n", "alice {9}\r\n", "kanarie77\r\n"],
    ] {
        against_servers(&lines(parts), &[CANARY]);
        let mut pipelined = vec!["x NOOP\r\n"];
        pipelined.extend(parts);
        pipelined.push("z NOOP\r\nzz SELECT INBOX\r\n");
        against_servers(&lines(&pipelined), &[CANARY]);
    }
}

#[test]
fn a_refused_literal_whose_octets_come_all_the_same() {
    for answer in ["a NO no\r\n", "a BAD no\r\n", "+ go\r\n", "a OK eh\r\n"] {
        let client = "a LOGIN {5}\r\nalice {9}\r\nkanarie77\r\nb NOOP\r\n".as_bytes();
        for at in 1..client.len() {
            for second in [at, client.len() - 3] {
                let second = second.max(at);
                let steps = [
                    s("* OK\r\n"),
                    c(&client[..at]),
                    s(answer),
                    c(&client[at..second]),
                    s(answer),
                    c(&client[second..]),
                ];
                for cutting in [Cutting::Whole, Cutting::Every(1)] {
                    let done = run(Run::tap(), &steps, &cutting);
                    none_open(&done, &steps, &Parts::of(&[CANARY]));
                }
            }
        }
    }
}

/// The names of all mechanisms, and some of none.
fn mechanisms() -> Vec<String> {
    let known = imapscope::grammar::mechanisms().iter().map(|it| it.name.replace('*', "SHA-1"));
    known.chain(["X-OWN".to_owned(), "plain".to_owned(), "A-NAME-THAT-IS-MUCH-TOO-LONG-FOR-ONE".to_owned()]).collect()
}

#[test]
fn authenticate_with_every_mechanism() {
    let plain = plain();
    let password = encoded(CANARY);
    let needles = [plain.as_str(), password.as_str(), CANARY];
    for name in mechanisms() {
        for start in [
            format!("a AUTHENTICATE {name} {plain}\r\n"),
            format!("a authenticate {name}  {plain}\r\n"),
            format!("a AUTHENTICATE \"{name}\" {plain}\r\n"),
            format!("a AUTHENTICATE {name}\t{plain}\r\n"),
            format!("a AUTHENTICATE {plain}\r\n"),
            format!("AUTHENTICATE {name} {plain}\r\n"),
        ] {
            hides(&[s("* OK\r\n"), c(&start), s("a OK\r\n")], &needles);
            hides(&[s("* OK\r\n"), c(&start), s("+ \r\n"), c(format!("{password}\r\n")), s("a NO\r\n")], &needles);
        }
        let start = format!("a AUTHENTICATE {name}\r\n");
        let line = format!("{password}\r\n");
        hides(&[s("* OK\r\n"), c(&start), s("+\r\n"), c(&line), s("+ x\r\n"), c(&line), s("a OK\r\n")], &needles);
        hides(&[s("* OK\r\n"), c(&start), s("a NO no\r\n"), c(&line), c(&line), s("b OK\r\n")], &needles);
    }
}

#[test]
fn sasl_lines_at_the_wrong_time() {
    let plain = plain();
    let password = encoded(CANARY);
    let needles = [plain.as_str(), password.as_str(), CANARY];
    let (plain, password) = (format!("{plain}\r\n"), format!("{password}\r\n"));
    for parts in [
        vec!["a AUTHENTICATE PLAIN\r\n", &plain],
        vec!["a AUTHENTICATE PLAIN\r\n", &plain, "b NOOP\r\n"],
        vec!["a AUTHENTICATE LOGIN\r\n", "YWxpY2U=\r\n", &password],
        vec!["a AUTHENTICATE LOGIN\r\n", "YWxpY2U=\r\n", &password, "*\r\n", "b NOOP\r\n"],
        vec!["a AUTHENTICATE LOGIN\r\n", "*\r\n", &password],
        vec!["a AUTHENTICATE PLAIN {28}\r\n", &plain],
        vec!["a AUTHENTICATE PLAIN {28+}\r\n", &plain],
        vec!["a AUTHENTICATE {5}\r\n", "PLAIN ", &plain],
        vec!["a AUTHENTICATE {5+}\r\n", "PLAIN\r\n", &plain],
        vec!["a AUTHENTICATE\r\n", &plain],
        vec!["a AUTHENTICATE PLAIN \r\n", &plain],
        vec!["a AUTHENTICATE PLAIN =\r\n", &plain],
        vec!["AUTHENTICATE PLAIN\r\n", &plain],
        vec!["AUTHENTICATE\r\n", &plain],
        vec!["x NOOP\r\ny STARTTLS\r\n", "a AUTHENTICATE PLAIN\r\n", &plain],
        vec!["x IDLE\r\n", "a AUTHENTICATE PLAIN\r\n", &plain],
        vec!["x COMPRESS DEFLATE\r\n", "a AUTHENTICATE PLAIN\r\n", &plain],
        vec!["a AUTHENTICATE XOAUTH2 ", &plain, "\r\n", &plain],
    ] {
        against_servers(&lines(&parts), &needles);
    }
    let ahead = c(format!("x APPEND y {{3}}\r\na AUTHENTICATE PLAIN\r\n{plain}"));
    hides(&[ahead, s("x NO\r\n+\r\na OK\r\n")], &needles);
}

#[test]
fn secrets_longer_than_a_text() {
    let secret = CANARY.repeat(8_000);
    let coded = encoded(&secret);
    let needles = [CANARY, &coded[..12]];
    for parts in [
        vec![format!("a LOGIN alice {secret}\r\n")],
        vec![format!("a LOGIN \"alice\" \"{secret}\"\r\n")],
        vec![format!("a LOGIN \"alice\" \"{secret}\r\n")],
        vec![format!("a LOGIN {secret}\r\n")],
        vec![format!("LOGIN alice {secret}\r\n"), format!("{secret}\r\n")],
        vec![format!("a LOGIN alice {{{}}}\r\n", secret.len()), format!("{secret}\r\n")],
        vec![format!("a LOGIN alice {{{}+}}\r\n", secret.len()), format!("{secret}\r\n")],
        vec!["a LOGIN {5}\r\n".into(), format!("alice {secret}\r\n")],
        vec!["a LOGIN {5}\r\n".into(), format!("alice {secret} {{5+}}\r\n"), "kanarie77\r\n".into()],
        vec![format!("a LOGIN alice {secret} {{9}}\r\n"), "kanarie77\r\n".into()],
        vec![format!("a LOGIN alice \"{secret} {{9+}}\r\n"), "kanarie77\r\n".into()],
        vec![format!("a AUTHENTICATE PLAIN {coded}\r\n")],
        vec!["a AUTHENTICATE PLAIN\r\n".into(), format!("{coded}\r\n"), format!("{coded}\r\n")],
        vec!["x NOOP\r\n".into(), "a AUTHENTICATE LOGIN\r\n".into(), format!("{coded}\r\n"), "b NOOP\r\n".into()],
        vec!["a LOGIN {5}\r\n".into(), format!("alice {{{}}}\r\n", secret.len()), format!("{secret}\r\n")],
    ] {
        let parts: Vec<Vec<u8>> = parts.into_iter().map(String::into_bytes).collect();
        against_servers(&parts, &needles);
    }
}

#[test]
fn other_secrets_of_the_protocol() {
    for steps in [
        [
            c("a URLFETCH imap://x/y;urlauth=anonymous:internal:kanarie77\r\n"),
            s("* URLFETCH \"imap://x/y;urlauth=anonymous:internal:kanarie77\" NIL\r\na OK\r\n"),
        ],
        [
            c("a GENURLAUTH imap://x/y INTERNAL\r\n"),
            s("* GENURLAUTH \"imap://x/y;urlauth=anonymous:internal:kanarie77\"\r\na OK\r\n"),
        ],
        [c("a GENURLAUTH imap://x/y INTERNAL\r\n"), s("* GENURLAUTH {9}\r\nkanarie77\r\na OK\r\n")],
    ] {
        hides(&steps, &[CANARY]);
    }
}

#[test]
fn what_is_no_secret_is_shown() {
    let steps = [
        s("* OK hi\r\n"),
        c("a LOGIN alice kanarie77\r\n"),
        s("a NO\r\n"),
        c("b LOGIN {5}\r\n"),
        s("+\r\n"),
        c("alice kanarie77\r\n"),
        s("b NO\r\n"),
        c("c AUTHENTICATE PLAIN\r\n"),
        s("c NO\r\n"),
        c("d AUTHENTICATE X-Y\r\ne NOOP\r\nf SELECT INBOX\r\n"),
        s("d NO\r\n"),
    ];
    let done = run(Run::tap(), &steps, &Cutting::Whole);
    let client = |seen: &&lanes::Seen| seen.from == Peer::Client;
    assert_eq!(done.events.iter().filter(client).count(), 10);
    let shown = visible(&done);
    for line in [
        &b"a LOGIN alice .........\r\n"[..],
        b"b LOGIN {5}\r\n",
        b"..........\r\n",
        b"c AUTHENTICATE PLAIN\r\n",
        b"d AUTHENTICATE X-Y\r\n",
        b"e NOOP\r\n",
        b"f SELECT INBOX\r\n",
    ] {
        assert!(shown.iter().any(|bytes| bytes == line), "{} is hidden or changed", line.escape_ascii());
    }
}

/// What is only written otherwise is as secret as it was, in the log as well, and in what a server repeats of it.
#[test]
fn secrets_that_are_varied() {
    let offers = "* OK [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n";
    let lines = [
        "a LOGIN alice kanarie77\r\n",
        "a login \"alice\" \"kanarie77\"\r\n",
        "a LOGIN alice \"kanarie77\"\r\n",
        "a LOGIN \"al ice\" kanarie77\r\n",
        "a LOGIN \"al\\\"ice\" \"kanarie77\"\r\n",
        "a LOGIN \"alice\" {9+}\r\nkanarie77\r\n",
        "a LOGIN {5+}\r\nalice \"kanarie77\"\r\n",
        "a LOGIN \"kanarie77\"\r\n",
        "LOGIN \"alice\" \"kanarie77\"\r\n",
        "a LOIGN \"alice\" \"kanarie77\"\r\n",
        "a AUTHENTICATE PLAIN AGFsaWNlAGthbmFyaWU3Nw==\r\n",
        "a kanarie77\r\n",
    ];
    let coded = encoded(CANARY);
    let parts = Parts::in_any_case([CANARY, &coded, "AGthbmFyaWU3Nw"], 6);
    let mut varied = 0;
    for rule in ["vary all", "vary case", "vary quoting", "vary literal", "vary order quoting literal"] {
        for line in lines {
            for answer in ["a OK in\r\n", "a NO \"kanarie77\"\r\n", "* BAD kanarie77\r\na NO [X] kanarie77\r\n"] {
                let rules = || compiled(&[rule]);
                let steps = [s(offers), c(line), s(answer)];
                let shown = log("imap", rules(), &steps, usize::MAX);
                assert!(!parts.are_in(shown.as_bytes()), "{rule}: {line}{answer}{shown}");
                // Nor is it found by luck: what leaves is marked before anything is known of it.
                let done = run(Run::with(rules()), &steps, &Cutting::Whole);
                for seen in done.events.iter().filter(|seen| seen.from == Peer::Client) {
                    let (What::Text(text), Some(sent)) = (&seen.what, &seen.sent) else { continue };
                    let mut sent = sent.clone();
                    for span in text.edit.iter().flat_map(|edit| &edit.secrets) {
                        sent[span.start as usize..span.end as usize].fill(b'.');
                    }
                    assert!(!parts.are_in(&sent), "{rule}: {line}{}", sent.escape_ascii());
                    varied += 1;
                }
            }
        }
    }
    assert!(varied > 50, "secrets were varied: {varied}");
}
