//! How fast captures are read: 256 MiB of mail in segments of 1448 octets, of one and of 200 connections, in order and with each
//! pair of neighbours swapped.
//!
//! `cargo bench --bench foreign`

#[path = "../tests/support/segment/mod.rs"]
mod segment;

use std::hint::black_box;
use std::io::Cursor;
use std::time::Instant;

use imapscope::foreign::{self, Kind, Piece};
use segment::{ACK, SYN, Spelling};

const OCTETS: usize = 256 << 20;
const SEGMENT: usize = 1448;
const ROUNDS: usize = 5;

/// A capture of so many connections, one segment of each in turn.
fn capture(connections: usize, swapped: bool) -> Vec<u8> {
    let server = "10.0.0.2:143";
    let clients: Vec<String> = (0..connections).map(|at| format!("10.0.1.{}:{}", at % 250 + 1, 40_000 + at)).collect();
    let payload = [b'x'; SEGMENT];
    let mut frames = Vec::new();
    for client in &clients {
        frames.push(segment::frame(1, &segment::ip(client, server, &segment::tcp(client, server, 0, 0, SYN, b""))));
        let answer = segment::tcp(server, client, 0, 1, SYN | ACK, b"");
        frames.push(segment::frame(1, &segment::ip(server, client, &answer)));
    }
    let begin = frames.len();
    for at in 0..OCTETS / SEGMENT {
        let client = &clients[at % connections];
        let number = 1 + (at / connections * SEGMENT) as u32;
        let tcp = segment::tcp(server, client, number, 1, ACK, &payload);
        frames.push(segment::frame(1, &segment::ip(server, client, &tcp)));
    }
    if swapped {
        // Of one connection: its neighbours are as far apart as there are connections.
        for at in (begin..frames.len() - connections).step_by(2 * connections) {
            frames.swap(at, at + connections);
        }
    }
    segment::pcap(Spelling::PLAIN, 1, &frames)
}

fn main() {
    for (connections, swapped) in [(1, false), (200, false), (1, true)] {
        let file = capture(connections, swapped);
        let mut rates: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let copy = Cursor::new(file.clone());
                let start = Instant::now();
                let pieces = foreign::read(copy, Kind::Pcap, "file", None).expect("a capture");
                let mut octets = 0;
                for piece in pieces {
                    if let Piece::Octets { bytes, .. } = piece {
                        octets += black_box(bytes).len();
                    }
                }
                assert_eq!(octets, OCTETS / SEGMENT * SEGMENT);
                file.len() as f64 / start.elapsed().as_secs_f64() / 1e6
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        let how = if swapped { ", neighbours swapped" } else { "" };
        println!("{connections} connections{how}: {:.0} MB/s", rates[ROUNDS / 2]);
    }
}
