//! The byte path in every protocol that comes with the program: what leaves is what came, however it was cut, and what is
//! reported does not depend on that. `passthrough.rs` looks at IMAP more closely.

use crate::lanes::{self, Cutting, Run, Step, run};
use crate::ruled::compiled;
use crate::thorough::cases;
use imapscope::event::{Peer, What, repeated};
use imapscope::grammar::BUILTIN;
use imapscope::rules::Rules;
use proptest::prelude::*;

/// What clients say, right and wrong; `{}` becomes any octets.
const CLIENT: &[&str] = &[
    "EHLO me\r\n",
    "LHLO me\r\n",
    "MAIL FROM:<a@b>\r\n",
    "RCPT TO:<c@d>\r\n",
    "DATA\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "QUIT\r\n",
    "BDAT 5\r\nhello",
    "BDAT 3 LAST\r\na\n.",
    "BDAT 0 LAST\r\n",
    "BDAT 99999999999999999999\r\n",
    "BDAT x\r\n",
    "AUTH PLAIN\r\n",
    "AUTH PLAIN AGEAYg==\r\n",
    "AUTH LOGIN\r\n",
    "AUTH GSSAPI\r\n",
    "AGEAYg==\r\n",
    "*\r\n",
    "STARTTLS\r\n",
    "Subject: x\r\n\r\nbody\r\n",
    ".\r\n",
    "..\r\n",
    "\r\n.\r\n",
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r\n.\r",
    ".",
    "\n",
    "\r",
    "USER a\r\n",
    "PASS b\r\n",
    "CAPA\r\n",
    "STLS\r\n",
    "LIST\r\n",
    "LIST 1\r\n",
    "RETR 1\r\n",
    "TOP 1 0\r\n",
    "UIDL\r\n",
    "AUTH\r\n",
    "AUTHENTICATE \"PLAIN\"\r\n",
    "AUTHENTICATE \"PLAIN\" {8+}\r\nAGEAYg==\r\n",
    "\"AGEAYg==\"\r\n",
    "\"*\"\r\n",
    "{4+}\r\nabcd\r\n",
    "PUTSCRIPT \"x\" {3+}\r\na\r\n\r\n",
    "LISTSCRIPTS\r\n",
    "GETSCRIPT \"x\"\r\n",
    "CAPABILITY\r\n",
    "LOGOUT\r\n",
    "UNAUTHENTICATE\r\n",
    "CAPABILITIES\r\n",
    "ARTICLE 1\r\n",
    "POST\r\n",
    "IHAVE <x>\r\n",
    "TAKETHIS <x>\r\n",
    "AUTHINFO USER a\r\n",
    "GROUP x\r\n",
    "LISTGROUP\r\n",
    "OVER 1-2\r\n",
    "MODE READER\r\n",
    "NICK a\r\n",
    ":a PRIVMSG b :c\r\n",
    "PING x\r\n",
    "@a=b PASS c\r\n",
    "a NOOP\r\n",
    "GET / HTTP/1.1\r\n",
    "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
    "\x16\x03\x01",
    "\0",
    "\r\n",
    "é",
    "{}",
];

/// What servers say.
const SERVER: &[&str] = &[
    "220 mx\r\n",
    "250-mx\r\n250-SIZE\r\n250 AUTH PLAIN\r\n",
    "250-mx\r\n",
    "250 ok\r\n",
    "250-x\r\n550 y\r\n",
    "250-x\r\nno code\r\n",
    "354 go\r\n",
    "334 \r\n",
    "334 eA==\r\n",
    "235 in\r\n",
    "535 5.7.8 no\r\n",
    "503 what\r\n",
    "421 bye\r\n",
    "353 each\r\n",
    "221 bye\r\n",
    "150 so\r\n",
    "+OK hi\r\n",
    "+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n",
    "+OK\r\n",
    "+ \r\n",
    "-ERR no\r\n",
    "-ERR [AUTH] no\r\n",
    "..x\r\n",
    ".\r\n",
    "\n.\n",
    ".",
    "\"SASL\" \"PLAIN\"\r\nOK\r\n",
    "\"SASL\" \"PLAIN\"\r\n",
    "OK\r\n",
    "NO \"x\"\r\n",
    "BYE\r\n",
    "\"eA==\"\r\n",
    "{3}\r\nabc\r\nOK\r\n",
    "OK (SASL \"eA==\")\r\n",
    "NO (QUOTA) {3+}\r\nabc\r\n",
    "200 hi\r\n",
    "101 list\r\nVERSION 2\r\n.\r\n",
    "101 list\r\n",
    "211 1 1 1 x\r\n",
    "220 1 <x>\r\nA: b\r\n\r\nc\r\n.\r\n",
    "335 go\r\n",
    "340 go\r\n",
    "381 more\r\n",
    "383 =\r\n",
    "281 in\r\n",
    "206 deflate\r\n",
    "382 tls\r\n",
    "502 no\r\n",
    ":i 001 a :hi\r\n",
    "PING :x\r\n",
    "AUTHENTICATE +\r\n",
    ":i CAP * LS :sasl\r\n",
    "* OK hi\r\n",
    "a OK\r\n",
    "\r\n",
    "\r",
    "\n",
    "\0",
    "{}",
];

fn said(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = (prop::sample::select(words), prop::collection::vec(any::<u8>(), 0..5), 0..12usize).prop_map(
        |(word, any, cut)| {
            let octets = if word == "{}" { any } else { word.as_bytes().to_vec() };
            // Now and then the line does not end.
            let keep = octets.len() - usize::from(cut == 0).min(octets.len());
            octets[..keep].to_vec()
        },
    );
    prop::collection::vec(word, 1..6).prop_map(|words| words.concat())
}

fn conversation() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        said(CLIENT).prop_map(|bytes| (Peer::Client, bytes)),
        said(SERVER).prop_map(|bytes| (Peer::Server, bytes)),
    ];
    prop::collection::vec(step, 1..14)
}

type Words = &'static [&'static str];

/// For each protocol, how a conversation begins, and the few words of which one is made that gets far.
const DEEP: &[(&str, [&str; 3], Words, Words)] = &[
    ("smtp", ["220 mx\r\n", "EHLO me\r\n", "250-mx\r\n250 SIZE\r\n"], MESSAGES, REPLIES),
    ("lmtp", ["220 mx\r\n", "LHLO me\r\n", "250-mx\r\n250 SIZE\r\n"], MESSAGES, REPLIES),
    (
        "pop3",
        ["+OK hi\r\n", "NOOP\r\n", "+OK\r\n"],
        &["CAPA\r\n", "RETR 1\r\n", "LIST\r\n", "NOOP\r\n", "AUTH PLAIN\r\n", "AUTH\r\n", "AGEAYg==\r\n", "*\r\n"],
        &["+OK\r\n", "-ERR\r\n", "+ \r\n", "USER\r\n", ".\r\n", "..\n", ".\n", "\r\n", "+OK\r\nSIZE\r\n.\r\n"],
    ),
    (
        "managesieve",
        ["\"SASL\" \"PLAIN\"\r\nOK\r\n", "NOOP\r\n", "OK\r\n"],
        &[
            "AUTHENTICATE \"PLAIN\"\r\n",
            "\"YQ==\"\r\n",
            "\"*\"\r\n",
            "{4+}\r\nYQ==\r\n",
            "PUTSCRIPT \"x\" {2}\r\nab\r\n",
            "NOOP\r\n",
            "CAPABILITY\r\n",
        ],
        &[
            "OK\r\n",
            "NO\r\n",
            "\"YQ==\"\r\n",
            "{4}\r\nYQ==",
            "\r\n",
            "\"x\" \"{1}\"\r\n",
            "OK {2}\r\nab",
            "BYE\r\n",
            "OK (SASL \"YQ==\")\r\n",
            "\n",
        ],
    ),
    (
        "nntp",
        ["200 hi\r\n", "MODE READER\r\n", "200 ok\r\n"],
        &[
            "POST\r\n",
            "TAKETHIS <x>\r\n",
            "body\r\n",
            ".\r\n",
            "\n.\r\n",
            "CAPABILITIES\r\n",
            "ARTICLE\r\n",
            "DATE\r\n",
            "GROUP x\r\n",
        ],
        &[
            "340 go\r\n",
            "240 ok\r\n",
            "440 no\r\n",
            "101 list\r\n",
            "220 1\r\n",
            ".\r\n",
            "x\r\n",
            "111 1\r\n",
            "239 x\r\n",
            "211 x\r\n",
        ],
    ),
];

const MESSAGES: &[&str] = &[
    "DATA\r\n",
    "DATA\r\n",
    "MAIL FROM:<a@b>\r\n",
    "RCPT TO:<c@d>\r\n",
    "RCPT TO:<c@d>\r\n",
    "NOOP\r\n",
    "AUTH PLAIN\r\n",
    "RSET\r\n",
    "Subject: x\r\n",
    "\r\n",
    ".",
    "\r",
    "\n",
    "\r\n.\r\n",
    "\r\n.\r\n",
    ".\r\n",
    "\n.\n",
    "\n.\r\n",
    "\r\n.\r",
    "x",
    "BDAT 3\r\nabc",
    "BDAT 2 LAST\r\n.\n",
    "STARTTLS\r\n",
];

const REPLIES: &[&str] = &[
    "354 go\r\n",
    "354 go\r\n",
    "250 ok\r\n",
    "250 ok\r\n",
    "250 ok\r\n250 ok\r\n",
    "550 no\r\n",
    "421 bye\r\n",
    "250-a\r\n",
    "334 \r\n",
    "353 each\r\n",
    "220 go\r\n",
    "x\r\n",
    "\r\n",
];

fn deep() -> impl Strategy<Value = (&'static str, Vec<Step>)> {
    prop::sample::select(DEEP).prop_flat_map(|(protocol, opening, client, server)| {
        let some = |words: &'static [&'static str], peer: Peer| {
            prop::collection::vec(prop::sample::select(words), 1..6)
                .prop_map(move |words| (peer, words.concat().into_bytes()))
        };
        let step = prop_oneof![3 => some(client, Peer::Client), 2 => some(server, Peer::Server)];
        prop::collection::vec(step, 1..16).prop_map(move |more| {
            let mut steps: Vec<Step> = [Peer::Server, Peer::Client, Peer::Server]
                .into_iter()
                .zip(opening)
                .map(|(peer, line)| (peer, line.as_bytes().to_vec()))
                .collect();
            steps.extend(more);
            (protocol, steps)
        })
    })
}

fn same(protocol: &str, whole: &Run, other: &Run) {
    for (at, (a, b)) in whole.events.iter().zip(&other.events).enumerate() {
        assert_eq!(a, b, "{protocol}: event {at}");
    }
    assert_eq!(whole.events.len(), other.events.len(), "{protocol}: events");
}

fn accounted(protocol: &str, steps: &[Step], run: &Run) {
    let came = [run.input[0].len() as u64, run.input[1].len() as u64];
    let smuggled = run.events.iter().any(|seen| {
        let odd = match &seen.what {
            What::Text(text) => &text.oddities,
            What::Data(data) => &data.oddities,
            _ => return false,
        };
        repeated(odd) > 0
    });
    // What was read again as commands is counted twice.
    if !smuggled {
        assert_eq!(run.accounted(), came, "{protocol}: {steps:?}");
    }
}

fn prove(protocol: &str, steps: &[Step], sizes: &[usize]) {
    let start = || Run::of(protocol, Rules::default());
    let whole = run(start(), steps, &Cutting::Whole);
    whole.check();
    assert_eq!(whole.output, whole.input, "{protocol}");
    accounted(protocol, steps, &whole);
    for cutting in [Cutting::Every(1), Cutting::Sizes(sizes.to_vec())] {
        let other = run(start(), steps, &cutting);
        assert_eq!(other.output, other.input, "{protocol}");
        same(protocol, &whole, &other);
    }
    let mut watched = start();
    for (from, bytes) in steps {
        watched.feed(*from, bytes);
        assert!(watched.output == watched.input, "{protocol}: an octet stayed behind or was changed");
    }
}

/// With rules that never match.
fn prove_edit(protocol: &str, steps: &[Step], sizes: &[usize]) {
    let start = || Run::of(protocol, compiled(&["drop-capability NEVER-OFFERED", "s/never said/nor this/"]));
    let whole = run(start(), steps, &Cutting::Whole);
    let split = run(start(), steps, &Cutting::Sizes(sizes.to_vec()));
    assert!(whole.output == whole.input && split.output == split.input, "{protocol}");
    whole.check();
    split.check();
    same(protocol, &whole, &split);
    same(protocol, &run(Run::of(protocol, Rules::default()), steps, &Cutting::Whole), &whole);
}

/// With rules that do, all but the texts that they changed is as it was.
fn prove_changes(protocol: &str, steps: &[Step], sizes: &[usize]) {
    let start = || Run::of(protocol, compiled(&["drop-capability SIZE SASL", "add-capability X-NEW", "s/NOOP/HELP/"]));
    let whole = run(start(), steps, &Cutting::Whole);
    let split = run(start(), steps, &Cutting::Sizes(sizes.to_vec()));
    accounted(protocol, steps, &whole);
    whole.check();
    split.check();
    for from in [Peer::Client, Peer::Server] {
        let changed = |run: &Run| run.events.iter().any(|seen| seen.from == from && edited(seen));
        if !changed(&whole) {
            assert_eq!(whole.output[from.index()], whole.input[from.index()], "{protocol}");
        }
        if !changed(&split) {
            assert_eq!(split.output[from.index()], split.input[from.index()], "{protocol}");
        }
    }
}

/// With rules that take texts away, answer them and say lines of their own: neither what is said nor what is reported depends
/// on how it is cut, and what leaves is what the events say.
fn prove_own(protocol: &str, steps: &[Step], sizes: &[usize]) {
    let lines = [
        "drop when text ~ \"[xc]\" && from == server chance 50%",
        "drop when command in {RCPT, DELE, CHECKSCRIPT, GROUP}",
        "refuse NOOP",
        "refuse BDAT with \"554 no\"",
        "refuse TAKETHIS with \"439 no\"",
        "refuse PUTSCRIPT",
        "refuse RETR with \"-ERR no\"",
        "insert-before \"RSET\" when command in {MAIL, STAT, LISTSCRIPTS}",
        "insert-after \"NOOP\" when command in {DATA, MAIL, STAT, SETACTIVE} && from == client",
        "insert-after \"250 ours\" when from == server after 1 times 2",
        "replace-text \"hm\" when status in {OK, NO}",
        "replace-code \"[X]\" chance 0.3",
    ];
    let start = || Run::of(protocol, compiled(&lines));
    // A lane that begins like another protocol is not edited before it is clear that it speaks this one.
    let steps: Vec<Step> = [(Peer::Server, b"220 hi\r\n".to_vec()), (Peer::Client, b"HELP\r\n".to_vec())]
        .into_iter()
        .chain(steps.iter().cloned())
        .collect();
    let whole = run(start(), &steps, &Cutting::Whole);
    let split = run(start(), &steps, &Cutting::Sizes(sizes.to_vec()));
    same(protocol, &whole, &split);
    assert_eq!(whole.output, split.output, "{protocol}");
    assert_eq!(whole.ours, split.ours, "{protocol}");
    if let Some([left, said]) = whole.delivered() {
        assert_eq!(left, said, "{protocol}: {steps:?}");
    }
    whole.check();
}

fn edited(seen: &lanes::Seen) -> bool {
    matches!(&seen.what, What::Text(text) if text.edit.as_ref().is_some_and(|edit| !edit.fired.is_empty()))
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn every_protocol_is_relayed_and_read_the_same_however_it_is_cut(
        steps in conversation(),
        sizes in prop::collection::vec(1..20usize, 1..10),
    ) {
        for (protocol, _) in BUILTIN {
            prove(protocol, &steps, &sizes);
            prove_edit(protocol, &steps, &sizes);
            prove_changes(protocol, &steps, &sizes);
        }
    }
}

proptest! {
    #![proptest_config(cases(8_000))]

    #[test]
    fn messages_lists_and_exchanges_too((protocol, steps) in deep(), sizes in prop::collection::vec(1..20usize, 1..10)) {
        prove(protocol, &steps, &sizes);
        prove_edit(protocol, &steps, &sizes);
        prove_changes(protocol, &steps, &sizes);
        prove_own(protocol, &steps, &sizes);
    }
}

#[test]
fn a_reply_of_many_lines_is_held_to_its_last_and_no_longer() {
    for (protocol, hello, lines) in [
        ("smtp", "EHLO me\r\n", &["250-mx\r\n", "250-SIZE 9\r\n", "250 HELP\r\n"][..]),
        ("pop3", "CAPA\r\n", &["+OK\r\n", "USER\r\n", ".\r\n"]),
        ("managesieve", "CAPABILITY\r\n", &["\"SIEVE\" \"x\"\r\n", "\"VERSION\" \"1\"\r\n", "OK\r\n"]),
        ("nntp", "CAPABILITIES\r\n", &["101 list\r\n", "VERSION 2\r\n", ".\r\n"]),
    ] {
        let greeting = match protocol {
            "smtp" => "220 mx\r\n",
            "pop3" => "+OK hi\r\n",
            "managesieve" => "OK\r\n",
            _ => "200 hi\r\n",
        };
        let mut run = Run::of(protocol, compiled(&["drop-capability NEVER-OFFERED"]));
        run.feed(Peer::Server, greeting.as_bytes());
        run.feed(Peer::Client, hello.as_bytes());
        for (at, line) in lines.iter().enumerate() {
            run.feed(Peer::Server, line.as_bytes());
            let done = at + 1 == lines.len();
            let behind = run.input[1].len() - run.output[1].len();
            assert_eq!(behind == 0, done, "{protocol}: {behind} octets are held behind line {at}");
        }
    }
}
