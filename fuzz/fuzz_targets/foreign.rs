//! Files of other programs: whatever they hold, pieces are bounded, a connection opens before anything else is said of it, and
//! nothing is said of it once it is closed. The first octet chooses what the input is: a file as it is, one behind a good head,
//! or segments of TCP that are to be put in order, five octets each.
#![no_main]

#[path = "../../tests/support/segment/mod.rs"]
mod segment;

use std::collections::HashMap;
use std::io::Cursor;

use imapscope::foreign::{self, Kind, MAX_OCTETS, Piece};
use libfuzzer_sys::fuzz_target;
use segment::{CLIENT, SERVER, Spelling};

fuzz_target!(|input: &[u8]| {
    let Some((&first, input)) = input.split_first() else { return };
    let (kind, file) = match first % 6 {
        0 => (Kind::of(input), input.to_vec()),
        1 => (Kind::Transcript, input.to_vec()),
        2 => (Kind::Pcap, [&segment::pcap(Spelling::PLAIN, 1, &[])[..], input].concat()),
        3 => (Kind::Pcapng, [&segment::section(Spelling::PLAIN, 101)[..], input].concat()),
        // Each frame as long as its first octet says.
        4 => (Kind::Pcap, segment::pcap(Spelling::PLAIN, 101, &frames(input))),
        _ => (Kind::Pcap, segment::pcap(Spelling::PLAIN, 101, &segments(input))),
    };
    let protocol = (first & 0x80 != 0).then_some("imap");
    if let Ok(pieces) = foreign::read(Cursor::new(file), kind, "file", protocol) {
        check(pieces);
    }
});

fn check(pieces: impl Iterator<Item = Piece>) {
    let mut open: HashMap<u64, bool> = HashMap::new();
    for piece in pieces {
        match piece {
            Piece::Opened { connection, .. } => {
                assert_eq!(connection, open.len() as u64 + 1, "connections are counted");
                open.insert(connection, true);
            }
            Piece::Octets { connection, bytes, .. } => {
                assert_eq!(open.get(&connection), Some(&true), "it is open");
                assert!((1..=MAX_OCTETS).contains(&bytes.len()));
            }
            Piece::TlsFirst { connection, .. } | Piece::Tls { connection, .. } | Piece::Lost { connection, .. } | Piece::Behind { connection, .. } | Piece::LeftOut { connection, .. } => assert_eq!(open.get(&connection), Some(&true), "it is open"),
            Piece::Closed { connection, .. } => assert_eq!(open.insert(connection, false), Some(true), "it is open"),
            Piece::Remark { text, .. } => assert!(text.len() < 1024 && !text.is_empty()),
        }
    }
    assert!(open.values().all(|open| !open), "all are closed in the end");
}

fn frames(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((&len, rest)) = input.split_first() {
        let (frame, rest) = rest.split_at(rest.len().min(usize::from(len)));
        frames.push(frame.to_vec());
        input = rest;
    }
    frames
}

/// Segments near each other: who, with which flags, where, how long, and what was acknowledged.
fn segments(input: &[u8]) -> Vec<Vec<u8>> {
    let octets: Vec<u8> = (0..=255).collect();
    let each = |op: &[u8]| {
        let (from, to) = if op[0] & 0x80 == 0 { (CLIENT, SERVER) } else { (SERVER, CLIENT) };
        let payload = &octets[..usize::from(op[3] / 4)];
        let number = 0xffff_ffc0_u32.wrapping_add(u32::from(op[1]));
        let acknowledges = 0xffff_ffc0_u32.wrapping_add(u32::from(op[2]));
        // One in 64 is far off.
        let number = if op[4] < 4 { number ^ 0x3000_0000 } else { number };
        segment::ip(from, to, &segment::tcp(from, to, number, acknowledges, op[0] & 0x17, payload))
    };
    input.chunks_exact(5).map(each).collect()
}
