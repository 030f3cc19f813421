//! How fast FETCH responses are read and explained, in MB/s on one core: the tokenizer beside imap-proto, the reader, and
//! the explainer on a flood without notes. Run with `cargo bench --bench explain`; prints medians of rounds that alternate.

#[path = "flood/mod.rs"]
mod flood;

use std::hint::black_box;
use std::time::Instant;

use flood::Dice;
use imapscope::event::{Batch, Event, Peer, Span, State, Text, Time, What};
use imapscope::explain::Explainer;
use imapscope::grammar::Grammar;
use imapscope::wire::{body, imap};

/// One round handles so many octets.
const ROUND: usize = 16 * 1024 * 1024;

/// Odd, so that there is a median.
const ROUNDS: usize = 9;

/// How many different lines take turns, so that no branch is learned by heart.
const LINES: usize = 256;

fn rate(octets: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    work();
    octets as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// A batch of all lines, read already.
fn batch(lines: &[Vec<u8>]) -> Batch {
    let mut batch = Batch { connection: 1, at: Time(1), ..Batch::default() };
    for line in lines {
        let start = batch.bytes.len();
        batch.bytes.extend_from_slice(line);
        let text = Text {
            frame: batch.events.len() as u64 + 1,
            first: true,
            bytes: Span::new(start, start + line.len()),
            edit: None,
            reading: imap::read(Peer::Server, line),
            answers: None,
            more: false,
            state: State::Selected,
            secrets: Vec::new(),
            decoded: None,
            oddities: Vec::new(),
        };
        batch.events.push(Event { from: Peer::Server, what: What::Text(text) });
    }
    batch
}

fn main() {
    let mut dice = Dice(1);
    let lines: Vec<Vec<u8>> = (0..LINES).map(|_| dice.line()).collect();
    for line in &lines {
        assert!(imap_proto::Response::parse(line).is_ok(), "{}", String::from_utf8_lossy(line));
    }
    let mut batch = batch(&lines);
    let turns = ROUND / batch.bytes.len();
    let octets = turns * batch.bytes.len();
    let grammar = Grammar::builtin("imap").expect("the grammar of IMAP is built in");
    let mut explainer = Explainer::new(grammar, false);
    // Past the responses that are all judged by the second opinion.
    explainer.explain(&mut batch, &mut |_| {});
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..ROUNDS {
        rates[0].push(rate(octets, || {
            for line in (0..turns).flat_map(|_| &lines) {
                black_box(imap::tokens(body(black_box(line))).fold(0, |sum, token| sum + token.span.end));
            }
        }));
        rates[1].push(rate(octets, || {
            for line in (0..turns).flat_map(|_| &lines) {
                black_box(imap_proto::Response::parse(black_box(line)).is_ok());
            }
        }));
        rates[2].push(rate(octets, || {
            for line in (0..turns).flat_map(|_| &lines) {
                black_box(imap::read(Peer::Server, black_box(line)));
            }
        }));
        rates[3].push(rate(octets, || {
            for _ in 0..turns {
                explainer.explain(&mut batch, &mut |explained| {
                    black_box(explained.marks.len());
                });
            }
        }));
    }
    let [tokenizer, strict, reader, explained] = rates.map(median);
    let mean = batch.bytes.len() / LINES;
    println!("{LINES} FETCH lines of {mean} octets on average, medians of {ROUNDS} rounds of 16 MiB, MB/s on one core");
    println!("tokenizer      {tokenizer:8.0}   gate 1000, and twice imap-proto: {:.1} times", tokenizer / strict);
    println!("imap-proto     {strict:8.0}");
    println!("reader         {reader:8.0}");
    println!("explainer      {explained:8.0}   gate 700, second opinion sampled");
}
