//! How fast the pretty log, and the json output, take FETCH-heavy traffic: lines of 800 octets with marks and without notes.
//!
//! `cargo bench --bench pretty`

#[path = "../tests/support/sample/mod.rs"]
mod sample;

use std::hint::black_box;
use std::io;
use std::time::Instant;

use imapscope::event::{Mark, Peer, Role, Span, State};
use imapscope::sink::Sink;
use imapscope::sink::json::Json;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::Look;
use sample::{Followed, Made};

const LINES: u64 = 500_000;
const ROUNDS: usize = 5;

struct Nowhere;

impl io::Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(black_box(bytes).len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One FETCH line of about 800 octets with `marks` marks.
fn line(marks: usize) -> Made {
    let mut text = String::from("* 23 FETCH (UID 4711 FLAGS (\\Seen \\Answered) ENVELOPE (");
    let mut spans = vec![(0, 1), (5, 10), (12, 15), (21, 26), (28, 33), (34, 43), (45, 53)];
    while text.len() < 796 {
        let start = text.len();
        text.push_str("\"Re: the next meeting of the board\" ");
        spans.push((start, text.len() - 1));
    }
    text.push_str("))\r\n");
    let roles = [Role::Tag, Role::Name, Role::Flag, Role::Code];
    let mut made = sample::text(0, 1, Peer::Server, State::Selected, text.as_bytes());
    made.marks = spans
        .into_iter()
        .take(marks)
        .enumerate()
        .map(|(at, (start, end))| Mark { span: Span::new(start, end), role: roles[at % roles.len()] })
        .collect();
    made
}

/// Puts the line many times into a sink; in MB/s.
fn rate(made: &mut Made, sink: &mut dyn Sink) -> f64 {
    let start = Instant::now();
    let mut followed = Followed::default();
    for number in 0..LINES {
        made.millisecond = number / 20; // some twenty lines come in one read
        followed.put(made, sink);
        if sink.is_full() {
            sink.flush().expect("nowhere has room");
        }
    }
    sink.end().expect("nowhere has room");
    (LINES * made.bytes.len() as u64) as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[ROUNDS / 2]
}

fn main() {
    for (color, marks) in [(false, 0), (false, 30), (true, 0), (true, 7), (true, 30)] {
        let mut made = line(marks);
        let pretty = || Pretty::new(Nowhere, Look { color, ..Look::default() });
        let rates = (0..ROUNDS).map(|_| rate(&mut made, &mut pretty())).collect();
        println!("colour {color:5}  marks {:2}  {:6.0} MB/s", made.marks.len(), middle(rates));
    }
    let mut made = line(30);
    let rates = (0..ROUNDS).map(|_| rate(&mut made, &mut Json::new(Nowhere))).collect();
    println!("json                    {:6.0} MB/s", middle(rates));
}
