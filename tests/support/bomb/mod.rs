//! Bytes that become many times as many events: what a peer sends to exhaust a reader.
// Each test uses a part of it.
#![allow(dead_code)]

use flate2::{Compress, Compression, FlushCompress};

/// A bomb: what it is called, what a peer sends, and what that is once it is inflated. `None` where it is not compressed.
#[derive(Debug, Clone)]
pub struct Bomb {
    /// Its name.
    pub name: &'static str,
    /// What goes through the socket.
    pub wire: Vec<u8>,
    /// It is inside of DEFLATE.
    pub packed: bool,
    /// How many bytes the session reads.
    pub plain: usize,
}

/// Lines, and what is none, that cost a reader more than they cost a peer.
const UNITS: [(&str, &str); 9] = [
    ("line feeds", "\n"),
    ("CRLF", "\r\n"),
    ("NUL", "\0"),
    ("NUL and line feed", "\0\n"),
    ("short lines", "a\n"),
    ("short lines among empty ones", "\n\n\n\n\na\n"),
    ("replies", "* OK\r\n"),
    ("empty literals", "a {0+}\r\n"),
    ("names", "* CAPABILITY A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A A\r\n"),
];

/// Every bomb, of so many bytes inflated.
pub fn bombs(bytes: usize) -> Vec<Bomb> {
    let mut all = Vec::new();
    for (name, unit) in UNITS {
        let plain = unit.repeat(bytes / unit.len()).into_bytes();
        all.push(Bomb { name, wire: packed(&plain), packed: true, plain: plain.len() });
        // A tenth is enough of what is not compressed.
        let plain = unit.repeat(bytes / 10 / unit.len()).into_bytes();
        all.push(Bomb { name, plain: plain.len(), packed: false, wire: plain });
    }
    for (name, block) in [("stored blocks", stored()), ("fixed blocks", fixed()), ("dynamic blocks", dynamic())] {
        let wire = block.repeat(bytes / 10 / block.len());
        all.push(Bomb { name, wire, packed: true, plain: 0 });
    }
    all
}

fn packed(plain: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(plain.len() / 100 + 4096);
    let mut stream = Compress::new(Compression::best(), false);
    stream.compress_vec(plain, &mut wire, FlushCompress::Sync).expect("there is room");
    assert_eq!(stream.total_in(), plain.len() as u64);
    wire
}

/// An empty block without compression (RFC 1951 section 3.2.4).
fn stored() -> Vec<u8> {
    vec![0, 0, 0, 0xff, 0xff]
}

/// Eight empty blocks with fixed codes, which end with a byte (RFC 1951 section 3.2.6).
fn fixed() -> Vec<u8> {
    eight(&[(0, 1), (1, 2), (0, 7)])
}

/// Eight empty blocks with codes of their own: two of one bit for bytes, of which the second ends the block, and one for
/// distances (RFC 1951 section 3.2.7).
fn dynamic() -> Vec<u8> {
    let mut bits = vec![(0, 1), (2, 2), (0, 5), (0, 5), (14, 4)];
    // The lengths of two codes are there: a run of zeros, and one.
    let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1];
    bits.extend(order.map(|symbol| (u32::from(symbol == 18 || symbol == 1), 3)));
    // 255 codes that are not there, two of one bit, one distance; then the end.
    bits.extend([(1, 1), (127, 7), (1, 1), (106, 7), (0, 1), (0, 1), (0, 1), (1, 1)]);
    eight(&bits)
}

fn eight(bits: &[(u32, u32)]) -> Vec<u8> {
    let (mut bytes, mut byte, mut filled) = (Vec::new(), 0u8, 0);
    for _ in 0..8 {
        for &(value, count) in bits {
            for bit in 0..count {
                byte |= u8::from(value >> bit & 1 == 1) << filled;
                filled += 1;
                if filled == 8 {
                    bytes.push(std::mem::take(&mut byte));
                    filled = 0;
                }
            }
        }
    }
    assert_eq!(filled, 0);
    bytes
}
