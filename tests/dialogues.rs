//! Runs every file of `tests/dialogues`: what goes in on either side, what must come out on the other, and the log.
//!
//! Each runs in several chunkings, which may change neither. `BLESS=1 cargo test --test dialogues` writes the logs
//! anew; look at the difference before you commit it. The format is described in `tests/README.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imapscope::event::{Batch, Certificate, Closed, Closer, Opened, Peer, RouteName, Time, TlsFacts, Verdict, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;

mod dialogue;
use dialogue::{Dialogue, Step, Written};

/// 2026-01-01, 00:00:00 UTC.
const START: Time = Time(1_767_225_600_000_000_000);
/// What passes between two turns of the conversation, in nanoseconds.
const TURN: u64 = 10_000_000;

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dialogues");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    assert!(files.len() >= 20, "the dialogues are there: {} found in {}", files.len(), root.display());
    let mut failures = String::new();
    for file in &files {
        let name = file.strip_prefix(&root).unwrap_or(file).display().to_string();
        if let Err(failure) = check(file) {
            let _ = writeln!(failures, "\n== {name}\n{failure}");
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("the entry can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "txt") {
            files.push(path);
        }
    }
}

fn check(file: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let dialogue = Dialogue::parse(&text)?;
    let grammar = protocol(file, &dialogue)?;
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

/// The protocol of a dialogue: the one that its folder is named after, unless it names a file.
fn protocol(file: &Path, dialogue: &Dialogue) -> Result<Arc<Grammar>, String> {
    if let Some(name) = &dialogue.grammar {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        return Grammar::load(name, &text).map(Arc::new).map_err(|problems| format!("{}", problems[0]));
    }
    let folder = file.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    Grammar::builtin(&folder).ok_or_else(|| format!("no protocol is called {folder}"))
}

/// Runs a dialogue through the very parts that run live; gives the log, and what the client and the server were sent.
fn run(dialogue: &Dialogue, chunking: Chunking, grammar: &Arc<Grammar>) -> (String, [Vec<u8>; 2], Result<(), String>) {
    let route = Arc::new(RouteName { number: 1, written: dialogue::ROUTE.to_owned() });
    let session = Session::new(1, grammar.clone(), dialogue.rules.clone()).with_client("127.0.0.1", route.clone());
    let mut session = session.reporting_octets(true);
    let (written, recorded) = (Written::default(), Written::default());
    let mut scope = Scope {
        explainer: Explainer::new(grammar.clone(), false),
        sink: dialogue::log(written.clone(), dialogue.filter.as_ref()),
        recording: Writer::new(recorded.clone(), Head::default()),
        out: Outbox::default(),
        now: START,
        sent: [Vec::new(), Vec::new()],
        received: [0; 2],
    };
    let opened = Opened {
        protocol: grammar.name.clone(),
        form: grammar.form,
        client: "127.0.0.1:50000".to_owned(),
        server: format!("{}://mail.example.org:{}", grammar.name, grammar.port),
        route,
        edit: session.edits(),
        rules: session.rules(),
    };
    scope.out.report(Peer::Client, What::Opened(Box::new(opened)));
    scope.carry(&[]);
    let mut last = None;
    let mut closer = None;
    let steps = if matches!(chunking, Chunking::Joined) { joined(&dialogue.steps) } else { dialogue.steps.clone() };
    for step in &steps {
        if last.is_some_and(|last| last != step.from()) {
            scope.now.0 += TURN;
        }
        last = Some(step.from());
        match step {
            Step::Send { from, bytes, .. } => {
                for chunk in chunks(bytes, chunking) {
                    scope.received[from.index()] += chunk.len() as u64;
                    let mut rest = chunk;
                    while !rest.is_empty() {
                        let taken = session.receive(*from, rest, &mut scope.out);
                        assert!(taken > 0, "something is taken");
                        scope.carry(rest);
                        rest = &rest[taken..];
                    }
                }
            }
            Step::Tls { from, name } => {
                scope.out.report(*from, What::Tls(Box::new(facts(*from, name))));
                scope.carry(&[]);
            }
            Step::Close { from } => {
                closer.get_or_insert(*from);
                session.closed(*from, &mut scope.out);
                scope.carry(&[]);
            }
        }
    }
    let end = Closed {
        by: closer.map_or(Closer::Ours, Closer::Peer),
        why: None,
        received: scope.received,
        sent: scope.sent.each_ref().map(|sent| sent.len() as u64),
        inflated: [(0, 0); 2],
    };
    session.ended(closer.unwrap_or(Peer::Client), end, &mut scope.out);
    scope.carry(&[]);
    scope.sink.flush().expect("a log in memory cannot fail");
    scope.recording.flush().expect("a recording in memory cannot fail");
    let (log, recording) = (written.text(), recorded.text());
    let (again, copy) = read_again(&recording, dialogue, grammar);
    let copied =
        if copy == recording { Ok(()) } else { Err(format!("the copy differs\n{}", differences(&recording, &copy))) };
    let same = if again == log { copied } else { Err(format!("its recording differs\n{}", differences(&log, &again))) };
    (log, scope.sent, same)
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

/// What the log tells of TLS on a leg.
fn facts(peer: Peer, name: &str) -> TlsFacts {
    let certificate = Certificate {
        subject: format!("CN={name}"),
        issuer: "CN=Authority".to_owned(),
        names: vec![name.to_owned()],
        not_before: 1_735_689_600,
        not_after: 1_798_761_600,
        ..Certificate::default()
    };
    TlsFacts {
        version: "TLS 1.3".to_owned(),
        suite: "TLS_AES_256_GCM_SHA384".to_owned(),
        name: Some(name.to_owned()),
        certificate: Some(certificate),
        verdict: if peer == Peer::Server { Verdict::Verified } else { Verdict::Ours },
        ..TlsFacts::default()
    }
}

/// The driver of a dialogue: the parts of a live connection, without sockets and clocks.
struct Scope {
    explainer: Explainer,
    sink: Box<dyn Sink>,
    recording: Writer<Written>,
    out: Outbox,
    now: Time,
    sent: [Vec<u8>; 2],
    received: [u64; 2],
}

impl Scope {
    /// Takes what a call has left in the outbox to where it belongs.
    fn carry(&mut self, chunk: &[u8]) {
        for peer in [Peer::Client, Peer::Server] {
            for piece in self.out.pieces(peer, chunk) {
                self.sent[peer.index()].extend_from_slice(piece);
            }
        }
        let mut batch = std::mem::take(&mut self.out.batch);
        self.out.clear();
        (batch.connection, batch.at) = (1, self.now);
        let (sink, recording) = (&mut self.sink, &mut self.recording);
        self.explainer.explain(&mut batch, &mut |event| {
            sink.put(event).expect("a log in memory cannot fail");
            recording.put(event).expect("a recording in memory cannot fail");
        });
    }
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
