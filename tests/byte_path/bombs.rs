//! What a few bytes become is bounded in each call of a session, whatever they are, and comes to an end: nothing is lost, and
//! what leaves is what came.

use std::sync::Arc;

use crate::bomb::{Bomb, bombs};
use crate::lanes::{Cutting, Run, run};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use imapscope::event::{DataKind, Peer, What};
use imapscope::grammar::Grammar;
use imapscope::rules::{Rules, Source};
use imapscope::session::{MAX_EVENTS, Outbox, Session};

/// What one text may bring about beside itself.
const MORE: usize = 16;

const BYTES: usize = 64 * 1024;

fn edits() -> Rules {
    Rules::compile(&[Source::rule(1, "s/nowhere/x/")]).expect("a rule")
}

fn greeted(rules: Rules, bomb: &Bomb) -> Run {
    let mut run = Run::with(rules);
    run.feed(Peer::Server, b"* PREAUTH hi\r\n");
    if bomb.packed {
        run.feed(Peer::Client, b"z COMPRESS DEFLATE\r\n");
        run.feed(Peer::Server, b"z OK\r\n");
    }
    run
}

fn inflated(packed: &[u8]) -> Vec<u8> {
    let mut stream = Decompress::new(false);
    let mut plain = Vec::with_capacity(BYTES + 4096);
    stream.decompress_vec(packed, &mut plain, FlushDecompress::Sync).expect("a sound stream");
    plain
}

#[test]
fn each_call_reports_a_bounded_number_of_events_and_nothing_is_lost() {
    for bomb in bombs(BYTES) {
        for from in [Peer::Client, Peer::Server] {
            for edit in [false, true] {
                let what = format!("{} of the {}, edit: {edit}, packed: {}", bomb.name, from.word(), bomb.packed);
                let mut run = greeted(if edit { edits() } else { Rules::default() }, &bomb);
                let (before, told) = (run.output[from.index()].len(), run.accounted()[from.index()]);
                run.most = 0;
                run.feed(from, &bomb.wire);
                run.close(from);
                run.end();
                assert!(run.most <= MAX_EVENTS + MORE, "{what}: {} events", run.most);
                assert_eq!(run.accounted()[from.index()] - told, bomb.plain as u64, "{what}");
                let left = &run.output[from.index()][before..];
                if bomb.packed && edit {
                    assert!(inflated(left) == inflated(&bomb.wire), "{what}");
                } else {
                    assert!(left == bomb.wire, "{what}");
                }
                run.check();
            }
        }
    }
}

#[test]
fn a_run_of_empty_lines_is_one_event_however_it_comes() {
    for line in ["\n", "\r\n"] {
        for (rules, compressed) in [(Rules::default(), false), (edits(), false), (Rules::default(), true)] {
            let lines = line.repeat(10_000).into_bytes();
            let mut run = Run::with(rules);
            run.feed(Peer::Server, b"* PREAUTH hi\r\n");
            if compressed {
                let bomb =
                    bombs(20_000).into_iter().find(|bomb| bomb.packed && bomb.name == "CRLF").expect("it is there");
                run = greeted(Rules::default(), &bomb);
                run.feed(Peer::Server, &bomb.wire);
            } else {
                lines.chunks(997).for_each(|chunk| run.feed(Peer::Server, chunk));
                run.feed(Peer::Server, b"* OK\r\n");
            }
            run.end();
            let blank = |what: &What| matches!(what, What::Data(data) if data.kind == DataKind::Blank);
            let runs: Vec<_> = run.events.iter().filter(|seen| blank(&seen.what)).collect();
            assert_eq!(runs.len(), 1, "{line:?}");
            let What::Data(data) = &runs[0].what else { unreachable!("it is data") };
            assert_eq!(data.lines, Some(10_000 - 3), "{line:?}");
            assert!(run.events.len() < 12, "{line:?}: {:?}", run.events);
        }
    }
}

/// What a client says that waits for an answer, and the answer that lets all be read that came behind it.
const ASKED: [(&str, &str); 4] = [
    ("a AUTHENTICATE PLAIN\r\n", "a NO\r\n"),
    ("a LOGIN {4}\r\n", "a BAD\r\n"),
    ("a COMPRESS DEFLATE\r\n", "a NO\r\n"),
    ("a STARTTLS\r\n", "a BAD\r\n"),
];

#[test]
fn what_waited_for_an_answer_is_read_in_bounded_calls() {
    for line in ["\n", "a\n", "b NOOP\r\n", "{0}\n"] {
        for (asks, answer) in ASKED {
            let behind = line.repeat(16_000 / line.len());
            let steps = [
                (Peer::Server, b"* OK hi\r\n".to_vec()),
                (Peer::Client, [asks, &behind].concat().into_bytes()),
                // Nothing comes behind the answer: what waited must be read all the same.
                (Peer::Server, answer.as_bytes().to_vec()),
            ];
            for edit in [false, true] {
                let start = || Run::with(if edit { edits() } else { Rules::default() });
                let whole = run(start(), &steps, &Cutting::Whole);
                let split = run(start(), &steps, &Cutting::Every(1000));
                assert_eq!(whole.events, split.events, "{asks:?} {line:?}");
                for run in [whole, split] {
                    assert!(run.most <= MAX_EVENTS + MORE, "{asks:?} {line:?}: {} events", run.most);
                    assert!(run.output == run.input, "{asks:?} {line:?}");
                    assert_eq!(run.accounted()[0], (asks.len() + behind.len()) as u64, "{asks:?} {line:?}");
                    run.check();
                }
            }
        }
    }
}

#[test]
fn what_still_waits_at_the_end_is_counted() {
    for line in ["\n", "a\n", "b NOOP\r\n"] {
        let behind = line.repeat(16_000 / line.len());
        let asks = "a AUTHENTICATE PLAIN\r\n";
        let mut run = Run::tap();
        run.feed(Peer::Server, b"* OK hi\r\n");
        run.feed(Peer::Client, [asks, &behind].concat().as_bytes());
        run.most = 0;
        run.close(Peer::Client);
        assert!(run.most <= MAX_EVENTS + MORE, "{line:?}: {} events", run.most);
        run.end();
        assert_eq!(run.accounted()[0], (asks.len() + behind.len()) as u64, "{line:?}");
        run.check();
    }
}

#[test]
fn one_call_takes_a_large_read_of_ordinary_lines_and_much_of_compressed_mail() {
    let line = format!("* 1 FETCH (X-NOTE \"{}\")\r\n", "x".repeat(780));
    let lines = line.repeat(256 * 1024 / line.len());
    let mail: String = (0..40_000u64).map(|n| format!("report {} of {n}\r\n", n * 7919 % 100_003)).collect();
    let mut packed = Vec::with_capacity(mail.len());
    let mut stream = Compress::new(Compression::default(), false);
    let head = format!("* 1 FETCH (BODY[] {{{}}}\r\n", mail.len());
    for part in [head, mail] {
        stream.compress_vec(part.as_bytes(), &mut packed, FlushCompress::Sync).expect("there is room");
    }
    let mut session = Session::new(1, Grammar::builtin("imap").expect("it is built in"), Arc::new(Rules::default()));
    let mut out = Outbox::default();
    let mut say = |from: Peer, bytes: &[u8]| {
        out.clear();
        out.batch.events.clear();
        session.receive(from, bytes, &mut out)
    };
    say(Peer::Server, b"* PREAUTH hi\r\n");
    assert_eq!(say(Peer::Server, lines.as_bytes()), lines.len());
    say(Peer::Client, b"z COMPRESS DEFLATE\r\n");
    say(Peer::Server, b"z OK\r\n");
    assert!(packed.len() > 64 * 1024, "{}", packed.len());
    let taken = say(Peer::Server, &packed);
    assert!(taken >= 64 * 1024, "{taken} of {}", packed.len());
}
