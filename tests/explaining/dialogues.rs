//! Runs every file of `tests/dialogues`: what goes in on either side, what must come out on the other, and the log.
//!
//! Each runs in several chunkings, which may change neither. `BLESS=1 cargo test --test dialogues` writes the logs
//! anew; look at the difference before you commit it. The format is described in `tests/README.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use imapscope::event::{Batch, Peer};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::sink::{Sink, Sinks};

use crate::dialogue::{self, Dialogue, Step, Written, play};

/// How the octets of a step are divided.
#[derive(Debug, Clone, Copy)]
enum Chunking {
    /// As one.
    Whole,
    /// One at a time.
    Single,
    /// In pieces of 1 to 40 octets, by this seed.
    Random(u64),
    /// Together with the following steps of the same side.
    Joined,
}

#[test]
fn every_dialogue_relays_and_reads_as_written() {
    let root = play::root();
    let mut failures = String::new();
    for file in &play::files() {
        let name = file.strip_prefix(&root).unwrap_or(file).display().to_string();
        if let Err(failure) = check(file) {
            let _ = writeln!(failures, "\n== {name}\n{failure}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn check(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let dialogue = Dialogue::parse(&text)?;
    let grammar = play::protocol(file, &dialogue)?;
    let chunkings = [Chunking::Whole, Chunking::Single, Chunking::Random(1), Chunking::Random(2), Chunking::Joined];
    let mut first: Option<String> = None;
    for chunking in chunkings {
        let (log, sent, recorded) = run(&dialogue, chunking, &grammar);
        recorded?;
        for peer in [Peer::Client, Peer::Server] {
            let expected = dialogue.expected(peer);
            if sent[peer.index()] != expected {
                return Err(format!(
                    "{chunking:?}: what the {} was sent differs\n expected: {}\n    found: {}",
                    peer.word(),
                    expected.escape_ascii(),
                    sent[peer.index()].escape_ascii()
                ));
            }
        }
        match &first {
            None => first = Some(log),
            Some(first) if *first != log => {
                return Err(format!("the log depends on chunking ({chunking:?})\n{}", differences(first, &log)));
            }
            Some(_) => {}
        }
    }
    let log = first.unwrap_or_default();
    if std::env::var_os("BLESS").is_some() {
        let blessed = dialogue.with_log(&text, &log);
        return if blessed == text { Ok(()) } else { std::fs::write(file, blessed).map_err(|error| error.to_string()) };
    }
    if dialogue.log == log { Ok(()) } else { Err(format!("the log differs\n{}", differences(&dialogue.log, &log))) }
}

/// Runs a dialogue through the very parts that run live; gives the log, and what the client and the server were sent.
fn run(dialogue: &Dialogue, chunking: Chunking, grammar: &Arc<Grammar>) -> (String, [Vec<u8>; 2], Result<(), String>) {
    let (written, recorded) = (Written::default(), Written::default());
    let mut sinks = Sinks::default();
    sinks.add("log", dialogue::log(written.clone(), dialogue.filter.as_ref()));
    sinks.add("recording", Box::new(Writer::new(recorded.clone(), Head::default())));
    let steps = if matches!(chunking, Chunking::Joined) { joined(&dialogue.steps) } else { dialogue.steps.clone() };
    let sent = play::play_cut(dialogue, &steps, grammar, (1, false), &|bytes| chunks(bytes, chunking), &mut sinks);
    let (log, recording) = (written.text(), recorded.text());
    let (again, copy) = read_again(&recording, dialogue, grammar);
    let copied =
        if copy == recording { Ok(()) } else { Err(format!("the copy differs\n{}", differences(&recording, &copy))) };
    let same = if again == log { copied } else { Err(format!("its recording differs\n{}", differences(&log, &again))) };
    (log, sent, same)
}

/// The log that a recording gives, and another recording made of it.
fn read_again(recording: &str, dialogue: &Dialogue, grammar: &Arc<Grammar>) -> (String, String) {
    let (written, recorded) = (Written::default(), Written::default());
    let mut reader = Reader::new(recording.as_bytes()).expect("it is in memory");
    let mut explainer = Explainer::of_recording(grammar.clone(), false);
    let (mut sink, mut copy) =
        (dialogue::log(written.clone(), dialogue.filter.as_ref()), Writer::new(recorded.clone(), Head::default()));
    let mut batch = Batch::default();
    while reader.next(&mut batch).expect("it is in memory") == State::Events {
        explainer.explain(&mut batch, &mut |event| {
            sink.put(event).expect("a log in memory cannot fail");
            copy.put(event).expect("a recording in memory cannot fail");
        });
    }
    assert_eq!(reader.finish(), [""; 0]);
    sink.flush().expect("a log in memory cannot fail");
    copy.flush().expect("a recording in memory cannot fail");
    (written.text(), recorded.text())
}

/// Joins steps of the same side that follow one another.
fn joined(steps: &[Step]) -> Vec<Step> {
    let mut joined: Vec<Step> = Vec::new();
    for step in steps {
        match (joined.last_mut(), step) {
            (Some(Step::Send { from: last, bytes, .. }), Step::Send { from, bytes: more, .. }) if last == from => {
                bytes.extend_from_slice(more);
            }
            _ => joined.push(step.clone()),
        }
    }
    joined
}

/// One step in pieces.
fn chunks(bytes: &[u8], chunking: Chunking) -> Vec<&[u8]> {
    match chunking {
        Chunking::Whole | Chunking::Joined => vec![bytes],
        Chunking::Single => bytes.chunks(1).collect(),
        Chunking::Random(mut seed) => {
            let mut rest = bytes;
            let mut chunks = Vec::new();
            while !rest.is_empty() {
                // A linear congruential generator is random enough to find a place to cut.
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (chunk, after) = rest.split_at(rest.len().min(1 + (seed >> 33) as usize % 40));
                chunks.push(chunk);
                rest = after;
            }
            chunks
        }
    }
}

fn differences(expected: &str, found: &str) -> String {
    let mut text = String::new();
    let (expected, found): (Vec<_>, Vec<_>) = (expected.lines().collect(), found.lines().collect());
    for at in 0..expected.len().max(found.len()) {
        let (was, is) = (expected.get(at), found.get(at));
        if was != is {
            let _ = writeln!(text, "line {}\n  - {}\n  + {}", at + 1, was.unwrap_or(&""), is.unwrap_or(&""));
            if text.len() > 4000 {
                break;
            }
        }
    }
    text
}
