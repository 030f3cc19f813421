//! The work a peer can make is linear in what it sends: four times the octets cost about four times the time, for
//! the worst conversations that are known. The bound is coarse, so that only a cost that grows faster can fail.

use std::time::{Duration, Instant};

use crate::lanes::{Run, Step, c, s};
use imapscope::event::{MAX_TEXT, Peer};
use imapscope::rules::{Rules, Source};

/// The shortest of so many runs.
fn cost(protocol: &str, rule: Option<&str>, steps: &[Step], size: usize, runs: usize) -> Duration {
    let sources = Vec::from_iter(rule.map(|rule| Source::rule(1, rule)));
    let once = || {
        let mut run = Run::of(protocol, Rules::compile(&sources).expect("a rule"));
        let start = Instant::now();
        for (from, bytes) in steps {
            for chunk in bytes.chunks(size) {
                run.feed(*from, chunk);
            }
        }
        run.close(Peer::Client);
        run.close(Peer::Server);
        start.elapsed()
    };
    (0..runs).map(|_| once()).min().unwrap_or_default()
}

/// Compares a conversation of so many octets with one four times as long.
fn linear(name: &str, octets: usize, size: usize, make: impl Fn(usize) -> Vec<Step>) {
    linear_in("imap", name, octets, size, make);
}

fn linear_in(protocol: &str, name: &str, octets: usize, size: usize, make: impl Fn(usize) -> Vec<Step>) {
    linear_with(protocol, None, name, octets, size, make);
}

fn linear_with(
    protocol: &str,
    rule: Option<&str>,
    name: &str,
    octets: usize,
    size: usize,
    make: impl Fn(usize) -> Vec<Step>,
) {
    let (few, many) = (make(octets), make(octets * 4));
    // The few are cheap, and a pause in their run would hide what the many cost.
    let measure = || (cost(protocol, rule, &few, size, 2), cost(protocol, rule, &many, size, 1));
    let (mut short, mut long) = measure();
    for _ in 0..3 {
        if long >= short * 10 + Duration::from_millis(100) {
            // The machine may have been busy with something else.
            (short, long) = measure();
        }
    }
    let per = long.as_nanos() / (octets as u128 * 4);
    let name = name.escape_debug();
    println!("{name} in chunks of {size}: {short:?}, {long:?}, {per} ns an octet");
    // Quadratic cost would be sixteen times; a pause of the machine must not count.
    assert!(long < short * 10 + Duration::from_millis(100), "{name} in chunks of {size}: {short:?} became {long:?}");
}

fn repeat(word: &str, octets: usize) -> Vec<u8> {
    word.as_bytes().iter().copied().cycle().take(octets).collect()
}

/// Lines of one octet repeated, as long as a text may be and longer.
fn lines(start: &str, word: &str, end: &str, length: usize, octets: usize) -> Vec<u8> {
    let line = [start.as_bytes(), &repeat(word, length - start.len() - end.len()), end.as_bytes()].concat();
    line.iter().copied().cycle().take(octets).collect()
}

#[test]
fn long_lines_of_one_octet() {
    for word in ["[", "(", "\"", "{", "]", ")", "}", "\\", " ", "\0", "\r", "x ", "[]", "([", "\\\"", "{1}", ")]", "a]"]
    {
        for (from, start) in [
            (Peer::Server, "* OK ["),
            (Peer::Server, "* CAPABILITY "),
            (Peer::Client, "a LOGIN "),
            (Peer::Client, "a ENABLE "),
        ] {
            for length in [MAX_TEXT, MAX_TEXT * 3] {
                linear(&format!("{start}{word}"), 100_000, 16_384, |octets| {
                    vec![(from, lines(start, word, "\r\n", length, octets))]
                });
            }
        }
    }
}

#[test]
fn one_octet_at_a_time() {
    for word in ["a NOOP\r\n", "x", "a LOGIN {1}\r\n", "a APPEND x {9+}\r\n", "\r\n", "\n"] {
        linear(word, 10_000, 1, |octets| vec![c(repeat(word, octets))]);
        linear(word, 10_000, 1, |octets| vec![s(repeat(word, octets))]);
    }
}

#[test]
fn many_commands_in_flight() {
    for command in ["a NOOP\r\n", "a IDLE\r\n", "a X {0+}\r\n\r\n", "a X {1+}\r\nx {1+}\r\nx\r\n", "DONE\r\n", "x\r\n"]
    {
        for answer in ["b OK\r\n", "a OK\r\n", "+\r\n", "* BYE\r\n", "* 1 EXISTS\r\n"] {
            linear(&format!("{command}{answer}"), 16_000, 16_384, |octets| {
                vec![c(repeat(command, octets)), s(repeat(answer, octets))]
            });
        }
    }
}

#[test]
fn questions_that_are_answered_slowly() {
    for question in ["a X {1}\r\n", "a X {0}\r\n", "a AUTHENTICATE X\r\n", "a STARTTLS\r\n"] {
        for answer in ["+\r\n", "a NO\r\n", "a BAD\r\n+\r\n"] {
            // The client's octets wait; each answer frees a few of them, and as many come.
            linear(&format!("{question}{answer}"), 16_000, 16_384, |octets| {
                let mut steps = vec![c(repeat(question, MAX_TEXT))];
                for _ in 0..octets / question.len() {
                    steps.push(s(answer));
                    steps.push(c(question));
                }
                steps
            });
        }
        linear(question, 100_000, 16_384, |octets| vec![c(repeat(question, octets))]);
    }
}

/// Makes a conversation of so many octets.
type Make = Box<dyn Fn(usize) -> Vec<Step>>;

#[test]
fn replies_and_messages_of_other_protocols() {
    let hello = || vec![s("220 mx\r\n"), c("EHLO me\r\n")];
    let data = || vec![s("220 mx\r\n"), c("DATA\r\n"), s("354 go\r\n")];
    // Both ways: whole, and in drips.
    for size in [1, 16_384] {
        let octets = if size == 1 { 4_000 } else { 40_000 };
        let mut shapes: Vec<(&str, &str, Make)> = Vec::new();
        for word in ["250-SIZE\r\n", "250-\n", "x\n", "250 ok\r\n", "\r\n", "354 go\r\n", "421 x\r\n"] {
            shapes.push(("smtp", word, Box::new(move |octets| [hello(), vec![s(repeat(word, octets))]].concat())));
        }
        for word in [".\n", "\n.\n", ".\r", "\r\n..", "x\n.\r\nNOOP\r\n", ".\r\n", "x"] {
            for answer in ["", "250 ok\r\n", "250 ok\r\n250 ok\r\n250 ok\r\n"] {
                let make = move |octets| {
                    let end = vec![c(repeat(word, octets)), s(answer), c("\r\n.\r\n"), s(repeat("250 ok\r\n", octets))];
                    [data(), end].concat()
                };
                shapes.push(("smtp", word, Box::new(make)));
            }
        }
        for (client, server) in [
            ("NOOP\r\n", "250 ok\r\n"),
            ("BDAT 1\r\nx", "250 ok\r\n"),
            ("RCPT TO:<a@b>\r\n", "250 ok\r\n"),
            ("AUTH PLAIN\r\n", "334 \r\n"),
            ("AUTH PLAIN\r\nYQ==\r\n", "535 no\r\n"),
            ("EHLO x\r\n", "250-a\r\n250 b\r\n"),
            ("DATA\r\n", "503 no\r\n"),
        ] {
            let make = move |octets| vec![s("220 mx\r\n"), c(repeat(client, octets)), s(repeat(server, octets))];
            shapes.push(("lmtp", client, Box::new(make)));
        }
        // As many replies as recipients.
        shapes.push((
            "lmtp",
            "recipients",
            Box::new(|octets| {
                let many = octets / 15;
                let all = ["250 ok\r\n".repeat(many), "354 go\r\n".to_owned()].concat();
                vec![
                    s("220 mx\r\n"),
                    c(["RCPT TO:<a@b>\r\n".repeat(many), "DATA\r\n".to_owned()].concat()),
                    s(all),
                    c("x\r\n.\r\n"),
                    s("250 ok\r\n".repeat(many + 9)),
                ]
            }),
        ));
        for word in ["x\r\n", "..\r\n", "\n", "."] {
            let make = move |octets| vec![s("+OK\r\n"), c("RETR 1\r\n"), s("+OK\r\n"), s(repeat(word, octets))];
            shapes.push(("pop3", word, Box::new(make)));
            let make = move |octets| vec![s("+OK\r\n"), c("CAPA\r\n"), s("+OK\r\n"), s(repeat(word, octets))];
            shapes.push(("pop3", word, Box::new(make)));
        }
        for word in ["\"x\"\r\n", "\"SASL\" \"A B\"\r\n", "\"", "{1}\r\nx", "{0}\r\n", "(", "OK (", "\\", "\"\\"] {
            shapes.push(("managesieve", word, Box::new(move |octets| vec![s(repeat(word, octets))])));
            shapes.push(("managesieve", word, Box::new(move |octets| vec![s("OK\r\n"), c(repeat(word, octets))])));
        }
        for word in ["PSAS x\r\n", "x\r\n", ":a\r\n", "@a\r\n"] {
            shapes.push(("irc", word, Box::new(move |octets| vec![c(repeat(word, octets)), s(repeat(word, octets))])));
        }
        for (protocol, name, make) in &shapes {
            linear_in(protocol, name, octets, size, make);
        }
    }
}

/// Texts of the greatest length that are varied, of what takes long to look at: what is open and never closed, and lists of
/// little things. Each is one text, so that the cost of a text shows.
#[test]
fn texts_that_are_varied() {
    let cases = [
        ("imap", "* 1 FETCH (UID 1", " MODSEQ x["),
        ("imap", "* 1 FETCH (UID 1", " FLAGS (a b)"),
        ("imap", "* 1 FETCH (ENVELOPE (", "(\"a\" NIL)"),
        ("imap", "* 1 FETCH (ENVELOPE ", "("),
        ("imap", "* FLAGS (x", " \\a"),
        ("imap", "* CAPABILITY", " A=b"),
        ("imap", "* SEARCH", " 1"),
        ("imap", "a SEARCH", " FROM \"x\""),
        ("imap", "a SEARCH ", "("),
        ("imap", "a LOGIN \"", "\\\""),
        ("smtp", "MAIL FROM:<a>", " A=b"),
        ("smtp", "MAIL FROM:<", "\"a\""),
        ("managesieve", "RENAMESCRIPT", " \"a\""),
    ];
    for (protocol, start, word) in cases {
        linear_with(protocol, Some("vary all"), &format!("{protocol} {start}{word}"), 15_000, 4096, |octets| {
            let text = [start.as_bytes(), &repeat(word, octets), b"\r\n"].concat();
            let from = if start.starts_with('*') { Peer::Server } else { Peer::Client };
            vec![(from, text); 8]
        });
    }
}
