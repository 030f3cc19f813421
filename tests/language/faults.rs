//! Where faults stand among the octets, however these are cut: before a text, behind an octet of its data, at the end of its
//! frame; how often they happen, and what the log says. What they do to a connection is in `faults_relay.rs`.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use imapscope::event::{Batch, Event, Peer, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::session::{Fault, Outbox, Piece, Session, Trouble};
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::Look;
use std::sync::Arc;

use crate::ruled::compile;

const C: Peer = Peer::Client;
const S: Peer = Peer::Server;

fn sign(fault: &Fault) -> String {
    match fault.what {
        None => "<even>".into(),
        Some(Trouble::Delay(time)) => format!("<delay {}>", time.as_millis()),
        Some(Trouble::Throttle(rate)) => format!("<throttle {rate}>"),
        Some(Trouble::Slice(size)) => format!("<slice {size}>"),
        Some(Trouble::Stall) => "<stall>".into(),
        Some(Trouble::Close) => "<close>".into(),
        Some(Trouble::Reset) => "<reset>".into(),
    }
}

/// A session that is driven by hand.
struct Run {
    session: Session,
    out: Outbox,
    /// What goes to each peer, with signs where something happens.
    went: [Vec<u8>; 2],
    /// The same without them.
    octets: [Vec<u8>; 2],
    batch: Batch,
}

impl Run {
    fn new(protocol: &str, connection: u64, rules: &[&str]) -> Run {
        let grammar = Grammar::builtin(protocol).unwrap();
        let session = Session::new(connection, grammar, Arc::new(compile(rules)));
        Run {
            session,
            out: Outbox::default(),
            went: [vec![], vec![]],
            octets: [vec![], vec![]],
            batch: Batch::default(),
        }
    }

    fn feed(&mut self, from: Peer, octets: &[u8], step: usize) {
        for mut chunk in octets.chunks(step) {
            while !chunk.is_empty() {
                let used = self.session.receive(from, chunk, &mut self.out);
                self.carry(chunk);
                chunk = &chunk[used..];
            }
        }
    }

    fn end(&mut self, from: Peer) {
        self.session.closed(from, &mut self.out);
        self.carry(&[]);
    }

    fn carry(&mut self, chunk: &[u8]) {
        for peer in [C, S] {
            let mut troubled = false;
            for step in self.out.steps(peer, chunk) {
                match step {
                    Piece::Octets(octets) => {
                        self.went[peer.index()].extend_from_slice(octets);
                        self.octets[peer.index()].extend_from_slice(octets);
                    }
                    Piece::Fault(fault) => {
                        troubled = true;
                        self.went[peer.index()].extend(sign(fault).into_bytes());
                    }
                }
            }
            assert_eq!(troubled, self.out.is_troubled(peer));
        }
        let base = self.batch.bytes.len();
        // Events are looked at for their kinds only.
        self.batch.events.append(&mut self.out.batch.events);
        self.batch.bytes.truncate(base);
        self.out.batch.bytes.clear();
        self.out.clear();
    }

    fn missed(&self) -> usize {
        self.batch.events.iter().filter(|event| matches!(event.what, What::Missed(_))).count()
    }

    fn refused(&self) -> Vec<String> {
        let edits = self.batch.events.iter().filter_map(|event| match event {
            Event { what: What::Text(text), .. } => text.edit.as_deref(),
            _ => None,
        });
        edits.flat_map(|edit| edit.refused.iter().map(|(_, why)| why.clone())).collect()
    }
}

/// Runs a conversation in several cuttings; what goes to `to` must be the same in each.
fn placed(protocol: &str, rules: &[&str], talk: &[(Peer, &str)], to: Peer) -> String {
    let mut seen: Option<String> = None;
    for step in [1, 2, 3, 7, 1000] {
        let mut run = Run::new(protocol, 1, rules);
        for (from, octets) in talk {
            run.feed(*from, octets.as_bytes(), step);
        }
        let said: String = talk.iter().filter(|(from, _)| *from != to).map(|(_, octets)| *octets).collect();
        assert_eq!(String::from_utf8_lossy(&run.octets[to.index()]), said, "no octet is changed");
        let went = String::from_utf8(run.went[to.index()].clone()).unwrap();
        assert_eq!(*seen.get_or_insert_with(|| went.clone()), went, "in steps of {step}");
    }
    seen.unwrap()
}

const FETCH: [(Peer, &str); 3] =
    [(S, "* PREAUTH hi\r\n"), (C, "a FETCH 1 BODY[]\r\n"), (S, "* 1 FETCH (BODY[] {6}\r\nabcdef)\r\na OK done\r\n")];

#[test]
fn without_a_place_they_stand_before_the_text() {
    let rest = "* 1 FETCH (BODY[] {6}\r\nabcdef)\r\na OK done\r\n";
    for (action, sign) in
        [("delay 2s", "<delay 2000>"), ("stall", "<stall>"), ("close", "<close>"), ("reset", "<reset>")]
    {
        assert_eq!(
            placed("imap", &[&format!("{action} when text ~ /^a OK/")], &FETCH, C),
            format!("* PREAUTH hi\r\n* 1 FETCH (BODY[] {{6}}\r\nabcdef)\r\n{sign}a OK done\r\n")
        );
        assert_eq!(
            placed("imap", &[&format!("{action} when from == server && state == greeting")], &FETCH, C),
            format!("{sign}* PREAUTH hi\r\n{rest}"),
            "the greeting"
        );
        assert_eq!(
            placed("imap", &[&format!("{action} when from == client && command == FETCH")], &FETCH, S),
            format!("{sign}a FETCH 1 BODY[]\r\n"),
            "what goes to the server"
        );
    }
}

#[test]
fn with_a_place_they_stand_in_the_literal() {
    for (at, want) in [(0, "{6}\r\n<stall>abcdef)"), (4, "{6}\r\nabcd<stall>ef)"), (6, "{6}\r\nabcdef<stall>)")] {
        let rule = format!("stall at-byte {at} when text ~ /FETCH/ && from == server");
        let went = placed("imap", &[&rule], &FETCH, C);
        assert!(went.contains(want) && went.matches("<stall>").count() == 1, "{went}");
    }
    let rule = "close at-byte 7 when text ~ /FETCH/ && from == server";
    assert!(!placed("imap", &[rule], &FETCH, C).contains("<close>"));
    let mut run = Run::new("imap", 1, &[rule]);
    FETCH.iter().for_each(|(from, octets)| run.feed(*from, octets.as_bytes(), 1000));
    assert_eq!(run.refused(), ["the data has 6 octets only"]);
    let append = [
        (S, "* PREAUTH hi\r\n"),
        (C, "a APPEND x {4}\r\n"),
        (S, "+ go\r\n"),
        (C, "abcd\r\nb APPEND x {2+}\r\nef\r\nc NOOP\r\n"),
    ];
    assert_eq!(
        placed("imap", &["delay 1s at-byte 1 when command == APPEND && from == client"], &append, S),
        "a APPEND x {4}\r\na<delay 1000>bcd\r\nb APPEND x {2+}\r\ne<delay 1000>f\r\nc NOOP\r\n"
    );
    assert_eq!(
        placed("imap", &["reset at-byte 1 when command == APPEND && from == client"], &append, S),
        "a APPEND x {4}\r\na<reset>bcd\r\nb APPEND x {2+}\r\nef\r\nc NOOP\r\n",
        "nothing happens any more where nothing leaves"
    );
}

#[test]
fn with_a_place_they_stand_in_messages_and_lines() {
    let mail = [
        (S, "220 h\r\n"),
        (C, "EHLO c\r\n"),
        (S, "250-h\r\n250-SIZE 1\r\n250 OK\r\n"),
        (C, "MAIL FROM:<a>\r\n"),
        (S, "250 ok\r\n"),
        (C, "RCPT TO:<b>\r\n"),
        (S, "250 ok\r\n"),
        (C, "DATA\r\n"),
        (S, "354 go\r\n"),
        (C, "A: b\r\n\r\nhello\r\n.\r\n"),
        (S, "250 taken\r\n"),
        (C, "QUIT\r\n"),
    ];
    let went = placed("smtp", &["close at-byte 10 when command == DATA && from == client"], &mail, S);
    assert!(went.contains("DATA\r\nA: b\r\n\r\nhe<close>llo\r\n.\r\nQUIT"), "{went}");
    let went = placed("smtp", &["delay 1s at-byte 7 when command == EHLO && from == server"], &mail, C);
    assert_eq!(
        went,
        "220 h\r\n250-h\r\n<delay 1000>250-SIZE 1\r\n250 OK\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"
    );
    let pop = [
        (S, "+OK hi\r\n"),
        (C, "USER a\r\n"),
        (S, "+OK\r\n"),
        (C, "PASS b\r\n"),
        (S, "+OK\r\n"),
        (C, "RETR 1\r\n"),
        (S, "+OK mail\r\nA: b\r\n\r\nx\r\n.\r\n"),
        (C, "NOOP\r\n"),
        (S, "+OK\r\n"),
    ];
    let went = placed("pop3", &["slice 1 at-byte 3 when command == RETR && from == server"], &pop, C);
    assert!(went.ends_with("+OK mail\r\nA: <slice 1>b\r\n\r\nx\r\n.\r\n<even>+OK\r\n"), "{went}");
}

#[test]
fn what_did_not_happen_is_told() {
    let mut run = Run::new("smtp", 1, &["stall at-byte 500 when command == DATA && from == client"]);
    for (from, octets) in [
        (S, "220 h\r\n"),
        (C, "EHLO c\r\n"),
        (S, "250 h\r\n"),
        (C, "MAIL FROM:<a>\r\n"),
        (S, "250 ok\r\n"),
        (C, "RCPT TO:<b>\r\n"),
        (S, "250 ok\r\n"),
        (C, "DATA\r\n"),
        (S, "354 go\r\n"),
        (C, "A: b\r\n\r\nhello\r\n.\r\n"),
        (S, "250 taken\r\n"),
        (C, "DATA\r\n"),
        (S, "503 no\r\n"),
    ] {
        run.feed(from, octets.as_bytes(), 5);
    }
    assert_eq!(run.missed(), 2, "one was too short, one was refused and never came");
    run.feed(C, b"DATA\r\n", 100);
    run.end(C);
    assert_eq!(run.missed(), 3);
    assert_eq!(run.octets, run.went);
    let mut run = Run::new("smtp", 1, &["reset at-byte 8"]);
    run.feed(S, b"220 h\r\n220 hello\r\n", 100);
    assert_eq!(run.refused(), ["the text has 7 octets only"]);
    assert_eq!(run.went[C.index()], b"220 h\r\n220 hell<reset>o\r\n");
    // What a client says before the server allows it is on its way when it is understood.
    let mut run = Run::new("imap", 1, &["stall at-byte 2 when command == APPEND && from == client"]);
    run.feed(S, b"* PREAUTH hi\r\n", 100);
    run.feed(C, b"a APPEND x {5}\r\nabcde\r\n", 100);
    run.feed(S, b"+ go\r\n", 100);
    run.feed(C, b"b NOOP\r\n", 100);
    assert_eq!((run.missed(), &run.went), (1, &run.octets));
}

#[test]
fn what_lasts_ends_with_the_frame() {
    assert_eq!(
        placed("imap", &["slice 3 when text ~ /FETCH/ && from == server"], &FETCH, C),
        "* PREAUTH hi\r\n<slice 3>* 1 FETCH (BODY[] {6}\r\nabcdef)\r\n<even>a OK done\r\n"
    );
    assert_eq!(
        placed("imap", &["throttle 1k when text ~ /^a OK/", "slice 9 at-byte 2 when text ~ /^a OK/"], &FETCH, C),
        "* PREAUTH hi\r\n* 1 FETCH (BODY[] {6}\r\nabcdef)\r\n<throttle 1000>a <slice 9>OK done\r\n<even>"
    );
    let mut run = Run::new("imap", 1, &["throttle 1 when command == APPEND && from == client"]);
    run.feed(S, b"* PREAUTH hi\r\n", 100);
    run.feed(C, b"a APPEND x {5}\r\n", 100);
    run.feed(S, b"a NO full\r\n", 100);
    run.feed(C, b"b NOOP\r\n", 100);
    assert_eq!(run.went[S.index()], b"<throttle 1>a APPEND x {5}\r\n<even>b NOOP\r\n");
}

#[test]
fn a_delay_or_throttle_is_for_a_whole_response() {
    const PEERS: [(Peer, &str); 11] = [
        (S, "* PREAUTH hi\r\n"),
        (C, "a FETCH 1:2 FLAGS\r\nb FETCH 3 FLAGS\r\nc NOOP\r\n"),
        (S, "* 1 FETCH ()\r\n"),
        (S, "c OK done\r\n"),
        (S, "* 2 FETCH (BODY[] {3}\r\nabc)\r\n"),
        (S, "b OK done\r\n"),
        (S, "a OK done\r\n"),
        (S, "* 4 EXISTS\r\n"),
        (C, "d IDLE\r\n"),
        (S, "+ go\r\n"),
        (S, "* 5 EXISTS\r\n* 6 EXISTS\r\n"),
    ];
    let went = |rules: &[&str]| {
        let mut run = Run::new("imap", 1, rules);
        PEERS.iter().for_each(|(from, bytes)| run.feed(*from, bytes.as_bytes(), 100));
        let went = String::from_utf8(run.went[C.index()].clone()).unwrap();
        went.replace("\r\n", "|").replace("* PREAUTH hi|", "").replace(" done", "")
    };
    // Two responses, one between the lines of the other, and a third one that is to none of these.
    assert_eq!(
        went(&["delay 1s when command == FETCH && from == server"]),
        "<delay 1000>* 1 FETCH ()|c OK|* 2 FETCH (BODY[] {3}|abc)|<delay 1000>b OK|a OK|* 4 EXISTS|+ go|* 5 EXISTS|* 6 EXISTS|"
    );
    assert_eq!(
        went(&["throttle 1k when command == FETCH && from == server"]),
        "<throttle 1000>* 1 FETCH ()|c OK|* 2 FETCH (BODY[] {3}|abc)|<throttle 1000>b OK|a OK|<even>* 4 EXISTS|+ go|* 5 EXISTS|* 6 EXISTS|"
    );
    // A continuation request is a response of its own, and what answers nothing too.
    assert_eq!(
        went(&["delay 1s when from == server && text ~ \"EXISTS|[+]\""]),
        "* 1 FETCH ()|c OK|* 2 FETCH (BODY[] {3}|abc)|b OK|a OK|<delay 1000>* 4 EXISTS|<delay 1000>+ go|<delay 1000>* 5 EXISTS|* 6 EXISTS|"
    );
    assert_eq!(
        went(&["delay 1s when command == IDLE && from == server per-line"]),
        "* 1 FETCH ()|c OK|* 2 FETCH (BODY[] {3}|abc)|b OK|a OK|* 4 EXISTS|<delay 1000>+ go|<delay 1000>* 5 EXISTS|<delay 1000>* 6 EXISTS|"
    );
    // The first text that has such a byte; and the response that is passed over is passed over whole.
    assert_eq!(
        went(&[
            "delay 1s at-byte 20 when command == FETCH && from == server",
            "delay 2s when command == FETCH && from == server after 1"
        ]),
        "* 1 FETCH ()|c OK|* 2 FETCH (BODY[] {3}|abc)|<delay 2000>b OK|a OK|* 4 EXISTS|+ go|* 5 EXISTS|* 6 EXISTS|"
    );
    assert_eq!(
        went(&["delay 1s at-byte 12 when command == FETCH && from == server"]),
        "* 1 FETCH ()|<delay 1000>c OK|* 2 FETCH (BODY[] {3}|abc)|b OK|a OK|* 4 EXISTS|+ go|* 5 EXISTS|* 6 EXISTS|"
            .replace("<delay 1000>c OK", "c OK")
            .replace("()|", "()<delay 1000>|")
    );
    // What belongs to a reply belongs to the response.
    let mut run = Run::new("pop3", 1, &["throttle 1k when command == RETR && from == server"]);
    for (from, bytes) in [
        (S, "+OK hi\r\n"),
        (C, "USER a\r\nPASS b\r\n"),
        (S, "+OK\r\n+OK\r\n"),
        (C, "RETR 1\r\nNOOP\r\n"),
        (S, "+OK here\r\na\r\n.\r\n+OK\r\n"),
    ] {
        run.feed(from, bytes.as_bytes(), 100);
    }
    let went = String::from_utf8(run.went[C.index()].clone()).unwrap();
    assert!(went.ends_with("<throttle 1000>+OK here\r\na\r\n.\r\n<even>+OK\r\n"), "{went}");
}

#[test]
fn modifiers_and_conditions_count_them() {
    let count = |connection, rule: &str| {
        let mut run = Run::new("imap", connection, &[rule]);
        run.feed(S, b"* PREAUTH hi\r\n", 100);
        run.feed(S, &b"* 1 EXISTS\r\n".repeat(40), 100);
        run.went[C.index()].windows(9).filter(|part| part == b"<delay 1>").count()
    };
    assert_eq!(count(1, "delay 1ms"), 41);
    assert_eq!(count(1, "delay 1ms once"), 1);
    assert_eq!(count(1, "delay 1ms times 3"), 3);
    assert_eq!(count(1, "delay 1ms after 39"), 2);
    assert_eq!((count(2, "delay 1ms when conn == 3"), count(3, "delay 1ms when conn == 3")), (0, 41));
    let some = count(1, "delay 1ms chance 50%");
    assert!(some > 5 && some < 36 && some == count(1, "delay 1ms chance 50%"), "{some}");
    let mut run = Run::new("imap", 1, &["stall"]);
    run.feed(S, &b"* 1 EXISTS\r\n".repeat(40), 100);
    assert_eq!(run.went[C.index()].windows(7).filter(|part| part == b"<stall>").count(), 1, "nothing leaves after it");
}

#[test]
fn inside_compress_they_stand_where_they_would() {
    for step in [1, 5, 1000] {
        let rule = "stall at-byte 4 when text ~ /FETCH/ && from == server";
        let mut run = Run::new("imap", 1, &[rule]);
        run.feed(S, b"* PREAUTH hi\r\n", 100);
        run.feed(C, b"a COMPRESS DEFLATE\r\n", 100);
        run.feed(S, b"a OK active\r\n", 100);
        run.went[C.index()].clear();
        let mut packed = Vec::with_capacity(1000);
        Compress::new(Compression::default(), false)
            .compress_vec(b"* 1 FETCH (BODY[] {6}\r\nabcdef)\r\n", &mut packed, FlushCompress::Sync)
            .unwrap();
        run.feed(S, &packed, step);
        let went = &run.went[C.index()];
        let at = went.windows(7).position(|part| part == b"<stall>").expect("it is there");
        let mut stream = Decompress::new(false);
        for (part, want) in [(&went[..at], "* 1 FETCH (BODY[] {6}\r\nabcd"), (&went[at + 7..], "ef)\r\n")] {
            let mut plain = Vec::with_capacity(1000);
            stream.decompress_vec(part, &mut plain, FlushDecompress::Sync).unwrap();
            assert_eq!(String::from_utf8_lossy(&plain), want);
        }
    }
}

#[test]
fn the_log_says_what_is_done_and_the_summary_counts_it() {
    let rules = ["delay 2s when from == server", "stall at-byte 50 when command == DATA && from == client"];
    let grammar = Grammar::builtin("smtp").unwrap();
    let mut session = Session::new(1, grammar.clone(), Arc::new(compile(&rules)));
    let mut explainer = Explainer::new(grammar, false);
    let (mut log, mut out) = (Vec::new(), Outbox::default());
    let mut pretty = Pretty::new(&mut log, Look::default());
    for (from, octets) in
        [(S, "220 h\r\n"), (C, "DATA\r\n"), (S, "354 go\r\n"), (C, "x\r\n.\r\n"), (S, "250 ok\r\n"), (C, "QUIT\r\n")]
    {
        session.receive(from, octets.as_bytes(), &mut out);
        let mut batch = std::mem::take(&mut out.batch);
        out.clear();
        batch.connection = 1;
        explainer.explain(&mut batch, &mut |event| pretty.put(event).unwrap());
    }
    let end = imapscope::event::Closed {
        by: imapscope::event::Closer::Ours,
        why: None,
        received: [0; 2],
        sent: [0; 2],
        inflated: [(0, 0); 2],
    };
    session.ended(C, end, &mut out);
    let mut batch = std::mem::take(&mut out.batch);
    batch.connection = 1;
    explainer.explain(&mut batch, &mut |event| pretty.put(event).unwrap());
    pretty.end().unwrap();
    drop(pretty);
    let log = String::from_utf8(log).unwrap();
    assert_eq!(log.matches("delayed 2.00 s by delay 2s when from == server").count(), 3, "{log}");
    assert!(log.contains("stalled behind 50 octets by stall at-byte 50"), "{log}");
    assert!(log.contains("`stall at-byte 50 when command == DATA && from == client` did nothing"), "{log}");
    assert!(!log.contains("=> "), "nothing was sent in the place of a text: {log}");
    let counted = log.lines().any(|line| line.contains("delay 2s when from == server") && line.contains('3'));
    assert!(counted, "{log}");
}
