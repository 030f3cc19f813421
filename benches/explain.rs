//! How fast FETCH responses are read and explained, in MB/s on one core: the tokenizer beside imap-proto, the reader, and
//! the explainer on a flood without notes. Run with `cargo bench --bench explain`; prints medians of rounds that alternate.

use std::hint::black_box;
use std::time::Instant;

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

/// A small generator of numbers: the lines are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn word(&mut self, most: usize) -> String {
        (0..1 + self.roll(most)).map(|_| char::from(b'a' + self.roll(26) as u8)).collect()
    }

    fn words(&mut self, most: usize) -> String {
        (0..1 + self.roll(most)).map(|_| self.word(9)).collect::<Vec<_>>().join(" ")
    }

    fn addresses(&mut self) -> String {
        if self.roll(4) == 0 {
            return "NIL".into();
        }
        let one = |dice: &mut Self| {
            let name = if dice.roll(3) == 0 { "NIL".into() } else { format!("\"{}\"", dice.words(3)) };
            format!("({name} NIL \"{}\" \"{}.example.org\")", dice.word(12), dice.word(8))
        };
        let count = 1 + self.roll(2);
        format!("({})", (0..count).map(|_| one(self)).collect::<String>())
    }

    /// A FETCH response of about 800 octets, as a client asks for when it fills its list of messages.
    fn line(&mut self) -> Vec<u8> {
        let flags = [r"\Seen", r"\Answered", r"\Flagged", "$Forwarded", "$Junk"];
        let flags: Vec<&str> = flags.into_iter().filter(|_| self.roll(2) == 0).collect();
        let parts: String = (0..1 + self.roll(3))
            .map(|_| {
                format!(
                    "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"{}\") NIL NIL \"BASE64\" {} {} NIL (\"ATTACHMENT\" (\"NAME\" \"{}\")) NIL NIL)",
                    self.word(8),
                    self.roll(100_000),
                    self.roll(1000),
                    self.words(3)
                )
            })
            .collect();
        let people: Vec<String> = (0..6).map(|_| self.addresses()).collect();
        format!(
            "* {} FETCH (UID {} FLAGS ({}) INTERNALDATE \"17-Jul-2024 02:44:25 -0700\" RFC822.SIZE {} ENVELOPE \
             (\"Wed, 17 Jul 2024 02:23:25 -0700\" \"{}\" {} NIL \"<{}@example.org>\") BODYSTRUCTURE ({parts} \"MIXED\" \
             (\"BOUNDARY\" \"{}\") NIL NIL NIL))\r\n",
            self.roll(10_000),
            self.roll(1_000_000),
            flags.join(" "),
            self.roll(10_000_000),
            self.words(12),
            people.join(" "),
            self.word(30),
            self.word(30)
        )
        .into_bytes()
    }
}

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
