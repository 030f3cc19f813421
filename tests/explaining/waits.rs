//! Who owes what to whom: a row for each thing that can be owed, and for each that is not. Wherever a conversation stops, whoever
//! owes something is the one that would have spoken next, and a file tells what the live log told.

use std::sync::Arc;

use imapscope::event::{Ask, Batch, Closed, Closer, DataKind, Event, Line, Owed, Peer, Time, Wait, What};
use imapscope::explain::Explainer;
use imapscope::foreign::Piece;
use imapscope::grammar::Grammar;
use imapscope::rules::Rules;
use imapscope::session::silence::Thresholds;
use imapscope::session::{Outbox, Session};
use imapscope::verb::foreign::{Came, Passages};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::ruled::compile;
use crate::thorough::cases;

fn feed(session: &mut Session, from: Peer, mut bytes: &[u8]) {
    let mut out = Outbox::default();
    while !bytes.is_empty() {
        let used = session.receive(from, bytes, &mut out);
        out.clear();
        bytes = &bytes[used..];
    }
}

/// What is owed after these lines: `C: ` and `S: ` with CRLF, `C| ` and `S| ` without, `C.` and `S.` an end.
fn after(protocol: &str, lines: &[&str]) -> Option<Wait> {
    let grammar = Grammar::builtin(protocol).expect("it is built in");
    let mut session = Session::new(1, grammar, Arc::new(Rules::default()));
    for line in lines {
        let from = if line.starts_with('C') { Peer::Client } else { Peer::Server };
        let text = line.get(3..).unwrap_or_default();
        match &line[1..2] {
            ":" => feed(&mut session, from, format!("{text}\r\n").as_bytes()),
            "|" => feed(&mut session, from, text.as_bytes()),
            _ => session.closed(from, &mut Outbox::default()),
        }
    }
    session.owed()
}

#[track_caller]
fn owes(protocol: &str, by: Peer, owed: &Owed, lines: &[&str]) {
    let wait = after(protocol, lines);
    assert_eq!(wait.as_ref().map(|wait| (wait.by, &wait.owed)), Some((by, owed)), "{protocol} {lines:?}");
}

#[test]
fn what_is_owed_has_a_row() {
    use Peer::{Client, Server};
    let reply = |frame, behind| Owed::Reply { frame, behind };
    let asks = |frame, ask| Owed::Continuation { frame, ask };
    let literal = |left| Owed::Bytes { data: DataKind::Literal, left };
    let line = |came, verb: Option<&str>| Owed::LineEnd { line: Line::Text, came, verb: verb.map(Into::into) };
    let (hi, ok) = ("S: * PREAUTH hi", "S: +OK");
    for (protocol, by, owed, lines) in [
        ("imap", Client, Owed::Greeting, &[][..]),
        ("imap", Client, Owed::Greeting, &["C: a NOOP"]),
        ("smtp", Client, Owed::Greeting, &["C: EHLO x"]),
        ("pop3", Client, Owed::Greeting, &["C."]),
        ("managesieve", Client, Owed::Greeting, &[]),
        ("nntp", Client, Owed::Greeting, &[]),
        // The reply to the oldest command, however many follow it; untagged data answer none.
        ("imap", Client, reply(2, 0), &[hi, "C: a NOOP"]),
        ("imap", Client, reply(2, 0), &[hi, "C: a NOOP", "C| b NO"]),
        ("imap", Client, reply(2, 2), &[hi, "C: a NOOP", "C: b NOOP", "C: c NOOP", "S: * 3 EXISTS"]),
        ("imap", Client, reply(3, 0), &[hi, "C: a NOOP", "C: b NOOP", "S: a OK"]),
        ("imap", Client, reply(2, 0), &[hi, "C: a NOOP", "C."]),
        ("imap", Client, reply(2, 0), &[hi, "C: a NOOP", "S: * BAD no tag"]),
        ("imap", Client, reply(2, 0), &[hi, "C: a LOGOUT", "S: * BYE"]),
        ("imap", Client, reply(2, 0), &[hi, "C: a STARTTLS"]),
        ("imap", Client, reply(2, 0), &[hi, "C: a COMPRESS DEFLATE"]),
        ("imap", Client, asks(2, Ask::Sasl), &["S: * OK hi", "C: a AUTHENTICATE PLAIN", "S: +", "C: *"]),
        ("smtp", Client, reply(2, 2), &["S: 220 hi", "C: MAIL FROM:<a@b>", "C: RCPT TO:<a@b>", "C: DATA"]),
        ("smtp", Client, reply(2, 0), &["S: 220 hi", "C: BDAT 3 LAST", "C| abc"]),
        ("nntp", Client, reply(2, 0), &["S: 200 hi", "C: DATE"]),
        // Its line in the middle comes first.
        ("imap", Client, line(Some(4), None), &[hi, "C: a NOOP", "S| a OK"]),
        ("imap", Client, line(Some(1), None), &[hi, "C: a APPEND x {3}", "S| +"]),
        ("smtp", Client, Owed::LastLine { came: 8 }, &["S: 220 hi", "C: EHLO x", "S: 250-hi"]),
        ("smtp", Client, Owed::LastLine { came: 10 }, &["S: 220 hi", "C: EHLO x", "S: 250-hi", "S| 25"]),
        ("smtp", Client, Owed::LastLine { came: 8 }, &["S: 220-hi"]),
        ("pop3", Client, Owed::LastLine { came: 5 }, &[ok, "C: CAPA", ok]),
        ("pop3", Client, Owed::Dot { data: DataKind::Lines, came: 3 }, &[ok, "C: LIST", ok, "S| 1 2"]),
        ("managesieve", Client, Owed::LastLine { came: 8 }, &["S: \"SASL\""]),
        ("imap", Client, literal(7), &[hi, "C: a FETCH 1 X", "S: * 1 FETCH (X {9}", "S| ab"]),
        (
            "imap",
            Client,
            Owed::LineEnd { line: Line::Rest, came: Some(0), verb: None },
            &[hi, "C: a FETCH 1 X", "S: * 1 FETCH (X {2}", "S| ab"],
        ),
        // What is compressed can be read only up to a flush.
        ("imap", Server, Owed::Block { came: 3 }, &[hi, "C: a COMPRESS DEFLATE", "S: a OK", "C| \x4a\x34\x52"]),
        // What the client may not send yet, and what it may.
        ("imap", Client, asks(2, Ask::Literal), &[hi, "C: a APPEND x {9}"]),
        ("imap", Client, asks(2, Ask::Literal), &[hi, "C: a APPEND x {9}", "C| ahead"]),
        ("imap", Client, asks(2, Ask::Idle), &[hi, "C: a IDLE"]),
        ("imap", Client, asks(2, Ask::Sasl), &["S: * OK hi", "C: a AUTHENTICATE PLAIN"]),
        ("imap", Client, asks(2, Ask::Sasl), &["S: * OK hi", "C: a AUTHENTICATE PLAIN", "C: AGEAYg=="]),
        ("smtp", Client, asks(2, Ask::Message), &["S: 220 hi", "C: DATA"]),
        ("pop3", Client, asks(2, Ask::Sasl), &[ok, "C: AUTH PLAIN"]),
        ("imap", Server, literal(9), &[hi, "C: a APPEND x {9}", "S: +"]),
        ("imap", Server, literal(4), &[hi, "C: a APPEND x {9}", "S: +", "C| abcde"]),
        ("imap", Server, literal(4), &[hi, "C: a APPEND x {9+}", "C| abcde"]),
        ("imap", Server, Owed::Response { frame: 2 }, &["S: * OK hi", "C: a AUTHENTICATE PLAIN", "S: +"]),
        (
            "imap",
            Server,
            Owed::LineEnd { line: Line::Response, came: None, verb: None },
            &["S: * OK hi", "C: a AUTHENTICATE PLAIN", "S: +", "C| AGE"],
        ),
        ("imap", Server, Owed::Done { frame: 2 }, &[hi, "C: a IDLE", "S: +", "C: b NOOP"]),
        ("smtp", Server, Owed::Dot { data: DataKind::Message, came: 0 }, &["S: 220 hi", "C: DATA", "S: 354 go"]),
        ("smtp", Server, Owed::Bytes { data: DataKind::Chunk, left: 1 }, &["S: 220 hi", "C: BDAT 3", "C| ab"]),
        // The end of a line: its length and verb only where they tell nothing secret.
        ("pop3", Server, line(Some(4), Some("QUIT")), &[ok, "C| QUIT"]),
        ("pop3", Server, line(Some(5), Some("QUIT")), &[ok, "C| quit\r"]),
        ("imap", Server, line(Some(8), Some("LOGOUT")), &[hi, "C| a LOGOUT"]),
        ("imap", Server, line(Some(11), None), &[hi, "C| a SELECT in"]),
        ("imap", Server, line(None, None), &[hi, "C| a LOGIN alice sec"]),
        ("pop3", Server, line(None, None), &[ok, "C| PASS sec"]),
        ("pop3", Server, line(None, None), &[ok, "C| sec"]),
        ("irc", Server, line(Some(4), Some("PING")), &["C| PING"]),
        // TLS that was agreed to, or begun.
        ("imap", Server, Owed::Tls { agreed: true }, &["S: * OK hi", "C: a STARTTLS", "S: a OK"]),
        ("imap", Client, Owed::Tls { agreed: true }, &["S: * OK hi", "C: a STARTTLS", "S: a OK", "C| \x16\x03\x01"]),
        ("imap", Client, Owed::Tls { agreed: false }, &["C| \x16\x03\x01"]),
    ] {
        owes(protocol, by, &owed, lines);
    }
}

#[test]
fn what_is_not_owed_has_a_row() {
    let (hi, ok) = ("S: * PREAUTH hi", "S: +OK");
    for (protocol, lines) in [
        ("imap", &[hi][..]),
        ("imap", &["S: * OK hi"]),
        ("imap", &["S: * BYE full"]),
        ("imap", &[hi, "C: a NOOP", "S: a OK"]),
        ("imap", &[hi, "C: a NOOP", "S: a OK", "C."]),
        ("imap", &[hi, "C: a NOOP", "S."]),
        ("imap", &[hi, "C: a IDLE", "S: +"]),
        ("imap", &[hi, "C: a IDLE", "S: +", "C: b NOOP", "S: a BAD expected DONE"]),
        ("imap", &[hi, "C: a IDLE", "S: + idling", "S: * 3 EXISTS", "S: * OK still here"]),
        ("imap", &[hi, "C: a LOGOUT", "S: * BYE", "S: a OK"]),
        ("imap", &[hi, "C: a NOOP", "S: * BYE"]),
        ("imap", &[hi, "C: ", "C: "]),
        ("imap", &["S: * OK hi", "C: a STARTTLS", "S: a OK", "C| \x16\x03\x01", "S| \x16\x03\x01"]),
        ("imap", &[hi, "C: a AUTHENTICATE GSSAPI", "S: a OK", "C| \0\0\0\x02ab"]),
        ("imap", &["S: * OK hi", "C: GET / HTTP/1.1"]),
        ("imap", &["S: 220 mx.example.org ESMTP"]),
        ("smtp", &["S: 220 hi", "C: QUIT", "S: 221 bye"]),
        ("smtp", &["S: 554 no"]),
        ("smtp", &["S: 220 hi", "C: NOOP", "S: 421 bye"]),
        ("pop3", &[ok, "C: QUIT", ok]),
        ("pop3", &[ok, "C: CAPA", "S: -ERR"]),
        ("pop3", &[ok, "C: CAPA", ok, "S: ."]),
        ("managesieve", &["S: OK"]),
        ("irc", &[]),
        ("irc", &["C: NICK alice", "C: JOIN #x"]),
        ("nntp", &["S: 200 hi", "C: DATE", "S: 111 20260101000000"]),
    ] {
        assert_eq!(after(protocol, lines), None, "{protocol} {lines:?}");
    }
}

#[test]
fn before_a_starttls_of_ours_it_is_imapscope_that_waits() {
    let grammar = Grammar::builtin("imap").expect("it is built in");
    let mut session = Session::new(1, grammar, Arc::new(Rules::default())).beginning_tls();
    let owed = |session: &Session| session.owed().map(|wait| (wait.ours, wait.owed));
    assert_eq!(owed(&session), Some((true, Owed::Greeting)));
    feed(&mut session, Peer::Server, b"* OK hi\r\n");
    assert_eq!(owed(&session), Some((true, Owed::Reply { frame: 2, behind: 0 })), "it has said STARTTLS");
}

#[test]
fn what_a_rule_took_away_is_waited_for_by_imapscope() {
    let grammar = Grammar::builtin("imap").expect("it is built in");
    for (rule, ours) in [("refuse APPEND", true), ("drop when command == APPEND", true), ("refuse NOOP", false)] {
        let mut session = Session::new(1, grammar.clone(), Arc::new(compile(&[rule])));
        feed(&mut session, Peer::Server, b"* PREAUTH hi\r\n");
        feed(&mut session, Peer::Client, b"a APPEND x {5+}\r\nab");
        let owed = Owed::Bytes { data: DataKind::Literal, left: 3 };
        assert_eq!(session.owed(), Some(Wait { by: Peer::Server, ours, since: Time(0), owed }), "{rule}");
        feed(&mut session, Peer::Client, b"cde\r\n");
        assert_eq!(session.owed().is_some(), !ours, "{rule}: it was answered, or nobody answers");
    }
}

#[test]
fn where_bytes_may_be_missing_nothing_is_owed() {
    for lost in [Peer::Client, Peer::Server] {
        let grammar = Grammar::builtin("imap").expect("it is built in");
        let mut session = Session::new(1, grammar, Arc::new(Rules::default()));
        feed(&mut session, Peer::Server, b"* PREAUTH hi\r\n");
        feed(&mut session, Peer::Client, b"a NOOP\r\n");
        assert!(session.owed().is_some());
        session.missed(lost, Some(100), &mut Outbox::default());
        assert_eq!(session.owed(), None);
        feed(&mut session, Peer::Client, b"b SELECT x\r\n");
        assert_eq!(session.owed(), None, "it is not known where the session stands");
        feed(&mut session, Peer::Server, b"b OK\r\n");
        feed(&mut session, Peer::Client, b"c NOOP\r\n");
        assert!(session.owed().is_some(), "now it is");
    }
}

/// Exchanges of clients and servers that wait for each other, by protocol: the first is the beginning. `C`: the client's.
const TALKS: [(&str, &[&[&str]]); 5] = [
    (
        "imap",
        &[
            &["S* PREAUTH hi\r\n"],
            &["Ca NOOP\r\n", "Sa OK done\r\n"],
            &["Cb UID FETCH 1 X\r\n", "S* 1 FETCH (X {5}\r\nhello)\r\n", "Sb OK done\r\n"],
            &["Cc APPEND x {5}\r\n", "S+ go\r\n", "Chello\r\n", "Sc OK done\r\n"],
            &["Cd APPEND x {5+}\r\nhello {2}\r\n", "S+ go\r\n", "Cab\r\n", "Sd NO full\r\n"],
            &["Ce IDLE\r\n", "S+ idling\r\n", "S* 3 EXISTS\r\n", "CDONE\r\n", "Se OK done\r\n"],
            &["Cf APPEND x {5}\r\n", "Sf NO no\r\n"],
        ],
    ),
    (
        "smtp",
        &[
            &["S220 hi\r\n"],
            &["CEHLO me\r\n", "S250-mx\r\n250-AUTH PLAIN LOGIN\r\n250 CHUNKING\r\n"],
            &[
                "CMAIL FROM:<a@b>\r\n",
                "S250 ok\r\n",
                "CRCPT TO:<a@b>\r\n",
                "S250 ok\r\n",
                "CDATA\r\n",
                "S354 go\r\n",
                "CSubject: a\r\n\r\nb\r\n.\r\n",
                "S250 ok\r\n",
            ],
            &["CMAIL FROM:<a@b>\r\n", "S250 ok\r\n", "CBDAT 5 LAST\r\nhello", "S250 ok\r\n"],
            &[
                "CAUTH LOGIN\r\n",
                "S334 VXNlcm5hbWU6\r\n",
                "CYQ==\r\n",
                "S334 UGFzc3dvcmQ6\r\n",
                "CYg==\r\n",
                "S535 no\r\n",
            ],
        ],
    ),
    (
        "pop3",
        &[
            &["S+OK hi\r\n"],
            &["CCAPA\r\n", "S+OK\r\nUIDL\r\n.\r\n"],
            &["CRETR 1\r\n", "S+OK\r\nSubject: a\r\n\r\n..\r\n.\r\n"],
            &["CAUTH PLAIN\r\n", "S+ \r\n", "CAGEAYg==\r\n", "S-ERR no\r\n"],
            &["CLIST 7\r\n", "S-ERR none\r\n"],
        ],
    ),
    (
        "managesieve",
        &[
            &["S\"SASL\" \"PLAIN\"\r\nOK\r\n"],
            &["CLISTSCRIPTS\r\n", "S\"a\"\r\n\"b\" ACTIVE\r\nOK\r\n"],
            &["CPUTSCRIPT \"a\" {5+}\r\nkeep;\r\n", "SNO {5}\r\nwrong\r\n"],
            &["CAUTHENTICATE \"PLAIN\"\r\n", "S\"\"\r\n", "C\"AGEAYg==\"\r\n", "SOK\r\n"],
        ],
    ),
    (
        "nntp",
        &[
            &["S200 hi\r\n"],
            &["CDATE\r\n", "S111 20260101000000\r\n"],
            &["CLIST\r\n", "S215 list\r\na 1 2 y\r\n.\r\n"],
            &["CPOST\r\n", "S340 go\r\n", "CSubject: a\r\n\r\nb\r\n.\r\n", "S240 ok\r\n"],
        ],
    ),
];

/// What one peer says at once, and how many seconds nothing moves after it.
type Said = (Peer, Vec<u8>, u64);

/// A conversation of these exchanges, cut at random. With it, where in it all is complete.
fn conversation(talk: &[&[&str]], choices: &[usize], cuts: &[(usize, u64)]) -> Vec<Said> {
    let exchanges = [0].into_iter().chain(choices.iter().map(|choice| 1 + choice % (talk.len() - 1)));
    let mut cuts = cuts.iter().cycle();
    let mut said = Vec::new();
    for text in exchanges.flat_map(|nth| talk[nth]) {
        let (from, mut rest) = (if text.starts_with('C') { Peer::Client } else { Peer::Server }, &text.as_bytes()[1..]);
        while !rest.is_empty() {
            let (len, silence) = cuts.next().copied().unwrap_or((1, 0));
            let (now, later) = rest.split_at(len.clamp(1, rest.len()));
            said.push((from, now.to_vec(), silence));
            rest = later;
        }
    }
    said
}

const SECOND: u64 = 1_000_000_000;

/// When what wait is told of a conversation live, and after how many things that were said.
fn told_live(said: &[Said], grammar: &Arc<Grammar>) -> Vec<(usize, Time, Wait)> {
    let mut session = Session::new(1, grammar.clone(), Arc::new(Rules::default()));
    let (mut now, mut told) = (SECOND, Vec::new());
    for (nth, (from, bytes, rest)) in said.iter().enumerate() {
        feed(&mut session, *from, bytes);
        let thresholds = (0..).map_while(|passed| Thresholds::USUAL.after(passed));
        for next in thresholds.take_while(|next| next.as_secs() <= *rest) {
            let at = Time(now + next.as_nanos() as u64);
            told.extend(session.owed().map(|wait| (nth, at, Wait { since: Time(now), ..wait })));
        }
        now += rest * SECOND;
    }
    told
}

/// The same of a file.
fn told_of_a_file(said: &[Said], grammar: &Arc<Grammar>) -> Vec<(Time, Wait)> {
    let mut passages = Passages::new(vec![grammar.clone()]);
    let mut told = Vec::new();
    let mut came = |came: Came| {
        if let Came::Events(batch) = came {
            let at = batch.at;
            told.extend(batch.events.into_iter().filter_map(|event| match event.what {
                What::Waiting(wait) => Some((at, *wait)),
                _ => None,
            }));
        }
    };
    let mut now = SECOND;
    let (client, server) = ("a:1".to_owned(), "b:2".to_owned());
    let protocol = Some(grammar.name.clone());
    let opened = Piece::Opened { connection: 1, at: Time(now), protocol, client, server, inside: false, middle: None };
    passages.take(opened, &mut came);
    for (from, bytes, rest) in said {
        passages.take(Piece::Octets { connection: 1, at: Time(now), from: *from, bytes: bytes.clone() }, &mut came);
        now += rest * SECOND;
    }
    passages.take(Piece::Closed { connection: 1, at: Time(now), by: None, reset: false }, &mut came);
    passages.finish(&mut came);
    told
}

proptest! {
    #![proptest_config(cases(1024))]

    /// Wherever a conversation stops, whoever owes something is the one that speaks next in it.
    #[test]
    fn whoever_owes_speaks_next(
        protocol in 0..TALKS.len(),
        choices in vec(any::<usize>(), 0..8),
        cuts in vec((1..40_usize, prop_oneof![Just(0), 1..10_u64, 20..700_u64]), 1..20),
    ) {
        let (name, talk) = TALKS[protocol];
        let grammar = Grammar::builtin(name).expect("it is built in");
        let said = conversation(talk, &choices, &cuts);
        let told = told_live(&said, &grammar);
        let of_a_file: Vec<(Time, Wait)> = told.iter().map(|(_, at, wait)| (*at, wait.clone())).collect();
        prop_assert_eq!(told_of_a_file(&said, &grammar), of_a_file);
        for (nth, (_, _, silence)) in said.iter().enumerate() {
            let next = said.get(nth + 1).map(|(from, ..)| *from);
            let owes = told.iter().find(|(after, ..)| *after == nth).map(|(_, _, wait)| wait.by.other());
            let so_far = || said[..=nth].iter().map(|(from, it, _)| format!("{from:?} {}\n", it.escape_ascii())).collect::<String>();
            match owes {
                Some(peer) => prop_assert_eq!(next.unwrap_or(peer), peer, "{}", so_far()),
                None if *silence < 5 => {}
                // A new command, the end of IDLE, or news within it.
                None => {
                    let news = said.get(nth + 1).is_some_and(|(_, bytes, _)| bytes.starts_with(b"*"));
                    prop_assert!(next != Some(Peer::Server) || news, "{}", so_far());
                }
            }
        }
    }
}

#[test]
fn a_verdict_says_who_waited_for_what_a_rule_held_back() {
    let grammar = Grammar::builtin("pop3").expect("it is built in");
    let mut explainer = Explainer::new(grammar, false);
    let owed = Owed::Held { bytes: 5, rule: "stall".into(), stalled: true };
    let wait = Wait { by: Peer::Client, ours: false, since: Time(SECOND), owed };
    let by = Closer::Peer(Peer::Client);
    let end = Closed { by, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
    let mut verdict = String::new();
    for (second, what) in
        [(1, What::Opened(Box::default())), (6, What::Waiting(Box::new(wait))), (8, What::Closed(Box::new(end)))]
    {
        let events = vec![Event { from: Peer::Client, what }];
        let mut batch = Batch { connection: 1, at: Time(second * SECOND), events, ..Batch::default() };
        explainer.explain(&mut batch, &mut |event| {
            verdict.extend(event.summary.map(|summary| summary.verdict.text.clone()));
        });
    }
    assert!(
        verdict.starts_with("waiting: the client for 5 bytes that imapscope holds back, since 7.00 s"),
        "{verdict}"
    );
}
