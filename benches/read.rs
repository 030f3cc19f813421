//! How fast conversations are recorded, and recordings are read: FETCH responses of 800 octets, and one big literal of text
//! and of octets that are no UTF-8. Reading is the program itself, `imapscope read FILE`, with the pretty log to nowhere.
//!
//! `cargo bench --bench read`; prints MB/s of the octets of the conversation, medians of the rounds. With `-- tshark` smaller
//! conversations follow, as captures (pcapng), which the program and tshark read in turn.

#[path = "flood/mod.rs"]
mod flood;

use std::fs::File;
use std::hint::black_box;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use flood::Dice;
use imapscope::event::{Batch, Closed, Closer, Opened, Peer, Time, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::recording::{Head, Reader, State, Writer};
use imapscope::rules::Rules;
use imapscope::session::{Outbox, Session};
use imapscope::sink::Sink;

/// Odd, so that there is a median.
const ROUNDS: usize = 5;

/// For what is slow.
const FEW_ROUNDS: usize = 3;

const PROGRAM: &str = env!("CARGO_BIN_EXE_imapscope");

/// What one read of a socket gives.
const CHUNK: usize = 64 * 1024;

/// A server's octets, piece by piece.
type Octets = Box<dyn Iterator<Item = Vec<u8>>>;

/// A recorder: the parts of a live connection but for the sockets.
struct Scope<W> {
    session: Session,
    explainer: Explainer,
    writer: Writer<W>,
    out: Outbox,
    now: Time,
    /// What the writer alone took.
    writing: Duration,
}

impl<W: Write + Send> Scope<W> {
    fn new(to: W) -> Self {
        let grammar = Grammar::builtin("imap").expect("it is built in");
        let session = Session::new(1, grammar.clone(), Arc::new(Rules::default())).reporting_octets(true);
        let protocols = [(grammar.name.clone(), grammar.form)].into_iter().collect();
        let writer = Writer::new(to, Head { protocols, ..Head::default() });
        let now = Time(1_767_225_600_000_000_000);
        let mut scope = Scope {
            session,
            explainer: Explainer::new(grammar.clone(), false),
            writer,
            out: Outbox::default(),
            now,
            writing: Duration::ZERO,
        };
        let opened = Opened { protocol: grammar.name.clone(), form: grammar.form, ..Opened::default() };
        scope.out.report(Peer::Client, What::Opened(Box::new(opened)));
        scope.carry();
        scope
    }

    fn give(&mut self, from: Peer, octets: &[u8]) {
        for mut chunk in octets.chunks(CHUNK) {
            while !chunk.is_empty() {
                let taken = self.session.receive(from, chunk, &mut self.out);
                self.carry();
                chunk = &chunk[taken..];
            }
        }
    }

    fn carry(&mut self) {
        let mut batch = std::mem::take(&mut self.out.batch);
        self.out.clear();
        self.now.0 += 40_000;
        (batch.connection, batch.at) = (1, self.now);
        let (writer, writing) = (&mut self.writer, &mut self.writing);
        self.explainer.explain(&mut batch, &mut |event| {
            let start = Instant::now();
            writer.put(event).expect("there is room");
            if writer.is_full() {
                writer.flush().expect("there is room");
            }
            *writing += start.elapsed();
        });
    }

    fn end(mut self) -> Duration {
        let end = Closed { by: Closer::Ours, why: None, received: [0; 2], sent: [0; 2], inflated: [(0, 0); 2] };
        self.session.ended(Peer::Client, end, &mut self.out);
        self.carry();
        self.writer.end().expect("there is room");
        self.writing
    }
}

/// Records what a server sends behind a command; says how many octets these were and how long the writer took.
fn record(to: impl Write + Send, octets: Octets) -> (u64, Duration) {
    let mut scope = Scope::new(to);
    scope.give(Peer::Server, b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n");
    scope.give(Peer::Client, b"a1 SELECT INBOX\r\n");
    scope.give(Peer::Server, b"a1 OK [READ-WRITE] done\r\n");
    scope.give(Peer::Client, b"a2 FETCH 1:* ALL\r\n");
    let mut sum = 0;
    for piece in octets {
        sum += piece.len() as u64;
        scope.give(Peer::Server, &piece);
    }
    scope.give(Peer::Server, b"a2 OK done\r\n");
    (sum, scope.end())
}

fn fetches(total: usize) -> Octets {
    let mut dice = Dice(1);
    let lines: Vec<Vec<u8>> = (0..256).map(|_| dice.line()).collect();
    let all = lines.concat();
    Box::new((0..total / all.len()).map(move |_| all.clone()))
}

/// One literal of so many octets: lines of a message, or anything.
fn literal(total: usize, text: bool) -> Octets {
    let mut dice = Dice(2);
    let mut piece = Vec::new();
    while piece.len() < CHUNK {
        if text && piece.len() % 80 == 78 {
            piece.extend_from_slice(b"\r\n");
        } else if text {
            piece.push(b' ' + dice.roll(95) as u8);
        } else {
            piece.push(dice.roll(256) as u8);
        }
    }
    piece.truncate(CHUNK);
    let start = format!("* 1 FETCH (BODY[] {{{}}}\r\n", total / CHUNK * CHUNK).into_bytes();
    let pieces = (0..total / CHUNK).map(move |_| piece.clone());
    Box::new([start].into_iter().chain(pieces).chain([b")\r\n".to_vec()]))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn rate(octets: u64, took: Duration) -> f64 {
    octets as f64 / took.as_secs_f64() / 1e6
}

/// From the file to events, and nothing else.
fn events(path: &Path) -> Duration {
    let start = Instant::now();
    let mut reader = Reader::new(File::open(path).expect("it is there")).expect("it can be read");
    let mut batch = Batch::default();
    while reader.next(&mut batch).expect("it can be read") == State::Events {
        black_box(batch.events.len());
    }
    assert_eq!(reader.finish(), [""; 0]);
    start.elapsed()
}

/// A program, from its start to its end.
fn run(program: &str, arguments: &[&str]) -> Duration {
    let start = Instant::now();
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("the program runs").success(), "{program} {arguments:?}");
    start.elapsed()
}

fn read(path: &str) -> Duration {
    run(PROGRAM, &["read", path])
}

/// The usual way to make tshark tell a conversation line by line.
fn tshark(path: &str) -> Duration {
    let fields = ["imap.request", "imap.response", "imap.line"];
    run("tshark", &[&["-r", path, "-T", "fields"][..], &fields.map(|field| ["-e", field]).concat()].concat())
}

/// The same captures through the program and through tshark.
fn beside_tshark(folder: &Path) {
    let [recording, capture] = ["recording", "capture.pcapng"].map(|name| folder.join(name));
    let capture = capture.to_str().expect("a plain name");
    println!("\nMB/s of the conversation in a capture, medians of {FEW_ROUNDS} rounds");
    println!("{:42} {:>8} {:>8}", "", "read", "tshark");
    let cases: [(&str, Make); 3] = [
        ("FETCH responses of 800 octets, 32 MiB", || fetches(32 << 20)),
        ("one literal of text, 4 MiB", || literal(4 << 20, true)),
        ("one literal of binary octets, 4 MiB", || literal(4 << 20, false)),
    ];
    for (name, make) in cases {
        let (octets, _) = record(BufWriter::new(File::create(&recording).expect("a file")), make());
        let output = format!("pcapng:{capture}");
        run(PROGRAM, &["read", recording.to_str().expect("a plain name"), "-o", &output]);
        let [ours, theirs] =
            [read, tshark].map(|read| rate(octets, median((0..FEW_ROUNDS).map(|_| read(capture)).collect())));
        println!("{name:42} {ours:8.1} {theirs:8.1}");
    }
}

type Make = fn() -> Octets;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("recording");
    println!("MB/s of the conversation, medians of {ROUNDS} rounds");
    println!("{:42} {:>8} {:>8} {:>8} {:>14}", "", "write", "events", "read", "file/octets");
    let cases: [(&str, Make); 3] = [
        ("FETCH responses of 800 octets, 128 MiB", || fetches(128 << 20)),
        ("one literal of text, 256 MiB", || literal(256 << 20, true)),
        ("one literal of binary octets, 256 MiB", || literal(256 << 20, false)),
    ];
    for (name, make) in cases {
        let (octets, _) = record(BufWriter::new(File::create(&path).expect("a file")), make());
        let size = path.metadata().expect("it is there").len();
        let writing = (0..ROUNDS).map(|_| record(io::sink(), make()).1).collect();
        let reading = (0..ROUNDS).map(|_| events(&path)).collect();
        let whole = (0..ROUNDS).map(|_| read(path.to_str().expect("a plain name"))).collect();
        let [writing, reading, whole] = [writing, reading, whole].map(|times| rate(octets, median(times)));
        println!("{name:42} {writing:8.0} {reading:8.0} {whole:8.0} {:14.2}", size as f64 / octets as f64);
    }
    if std::env::args().any(|argument| argument == "tshark") {
        beside_tshark(folder.path());
    }
}
