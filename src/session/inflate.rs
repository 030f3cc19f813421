//! A DEFLATE stream (RFC 1951), block by block: what a block inflates to is given out once the block is complete, and until
//! then its compressed bytes are kept. So where a stream breaks, nothing of what is broken was read, and nothing is lost.

use std::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress_with_limit, inflate_flags};

/// Size of the window, in bytes (RFC 1951 section 2). Of a longer block, this much is given out before its end.
pub const WINDOW: usize = 32 * 1024;

/// Longest empty block, in bytes: the marker of a flush, and what is left of the byte before it.
const LONGEST_FLUSH: usize = 6;

/// An empty block of fixed codes, 10 bits (RFC 1951 section 3.2.6).
const FIXED: (u64, u32) = (0b010, 10);

/// An empty block of dynamic codes, 93 bits (RFC 1951 section 3.2.7): an odd number, which no other kind of empty block has.
/// Its only literal code is the end of the block; the lengths are coded with 1 as `0`, 0 as `10` and 18 as `11`.
const DYNAMIC: [(u64, u32); 12] = [
    (0b100, 3),
    (0, 10),
    (14, 4),
    // The lengths of the codes for 16, 17, 18, 0, then thirteen that are not used, and 1.
    (0, 6),
    (2, 3),
    (2, 3),
    (0, 39),
    (1, 3),
    // 138 zeros and 118 more, the length of the end's code, no distance, and the end.
    (0b11 | 127 << 2, 9),
    (0b11 | 107 << 2, 9),
    (0b010, 3),
    (0, 1),
];

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The input is used up.
    More,
    /// The end of a block: what was inflated is sound.
    Block,
    /// A window full of one block, which goes on.
    Full,
    /// The end of the last block: the stream ends here.
    End,
    /// No DEFLATE.
    Broken,
}

/// A stream that is being inflated.
pub struct Inflate {
    state: Box<DecompressorOxide>,
    /// What was inflated last, around [`Inflate::at`].
    window: Box<[u8]>,
    at: usize,
    /// The window was full once. Until then a distance can point before the beginning.
    full: bool,
    /// How many of the last bytes are not given out.
    held: usize,
    /// The input since the last settled place, as far as [`Inflate::keep`] was given it.
    kept: Vec<u8>,
    /// The bits of the byte before that place which belong after it: how many, and which.
    edge: (u8, u8),
    /// That place is the border of two blocks.
    border: bool,
    /// The last byte of the input that a step has used, and that byte at the settled place.
    last: u8,
    shared: u8,
}

impl fmt::Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inflate {{ held: {}, kept: {} }}", self.held, self.kept.len())
    }
}

impl Default for Inflate {
    fn default() -> Self {
        Inflate {
            state: Box::default(),
            window: vec![0; WINDOW].into_boxed_slice(),
            at: 0,
            full: false,
            held: 0,
            kept: Vec::new(),
            edge: (0, 0),
            border: true,
            last: 0,
            shared: 0,
        }
    }
}

impl Inflate {
    /// Inflates up to the end of a block, or as far as the input or the window allow. Returns how many bytes of the input
    /// that took. After [`Step::Block`], [`Step::Full`] and [`Step::End`] come [`Inflate::sound`] and [`Inflate::settle`].
    pub fn step(&mut self, input: &[u8]) -> (usize, Step) {
        let mut used = 0;
        loop {
            let mut flags = inflate_flags::TINFL_FLAG_HAS_MORE_INPUT
                | inflate_flags::TINFL_FLAG_IGNORE_ADLER32
                | inflate_flags::TINFL_FLAG_STOP_ON_BLOCK_BOUNDARY;
            if !self.full {
                // So distances are checked.
                flags |= inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
            }
            let room = WINDOW - self.held;
            let (status, taken, made) =
                decompress_with_limit(&mut self.state, &input[used..], &mut self.window, self.at, room, flags);
            used += taken;
            self.at += made;
            self.held += made;
            if self.at == WINDOW {
                (self.at, self.full) = (0, true);
            }
            self.last = input[..used].last().copied().unwrap_or(self.last);
            let step = match status {
                TINFLStatus::NeedsMoreInput => Step::More,
                TINFLStatus::HasMoreOutput if self.held == WINDOW => Step::Full,
                TINFLStatus::HasMoreOutput if taken + made > 0 => continue,
                TINFLStatus::BlockBoundary => Step::Block,
                TINFLStatus::Done => Step::End,
                _ => Step::Broken,
            };
            return (used, step);
        }
    }

    /// What was inflated since the last settled place, in two pieces.
    #[must_use]
    pub fn sound(&self) -> [&[u8]; 2] {
        let behind = self.held.saturating_sub(self.at);
        [&self.window[WINDOW - behind..], &self.window[self.at - (self.held - behind)..self.at]]
    }

    /// How many bytes were inflated since the last settled place.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// True if what was inflated since the last settled place ends in LF.
    #[must_use]
    pub fn ends_line(&self) -> bool {
        let last = if self.at == 0 { WINDOW } else { self.at } - 1;
        self.held > 0 && self.window[last] == b'\n'
    }

    /// Settles the place up to which all was given out: the end of the last step.
    pub fn settle(&mut self) {
        self.held = 0;
        self.kept.clear();
        self.kept.shrink_to(LONGEST_FLUSH);
        let border = self.state.block_boundary_state();
        self.border = border.is_some();
        self.edge = border.map_or((0, 0), |border| (border.num_bits, border.bit_buf));
        self.shared = self.last;
    }

    /// Keeps input that the steps since the last settled place have used.
    pub fn keep(&mut self, input: &[u8]) {
        self.kept.extend_from_slice(input);
    }

    /// The input since the last settled place.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// The same as it came, with the byte in which that place is if the bits after it are more than the beginning of a flush.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        let shared = (self.edge.0 > 0 && !self.begins_flush(&[])).then_some(self.shared);
        shared.iter().chain(&self.kept).copied().collect()
    }

    /// True if that input and one more byte can be an empty block, or its beginning: the end of a flush.
    #[must_use]
    pub fn is_flush(&self, next: Option<u8>) -> bool {
        let bytes = self.kept.iter().chain(&next).take(LONGEST_FLUSH + 1).copied().collect::<Vec<u8>>();
        self.held == 0 && self.begins_flush(&bytes)
    }

    /// True if these bytes can, after the settled place.
    fn begins_flush(&self, bytes: &[u8]) -> bool {
        if !self.border || bytes.len() > LONGEST_FLUSH {
            return false;
        }
        let (mut bits, mut count) = (u64::from(self.edge.1), u32::from(self.edge.0));
        for &byte in bytes {
            bits |= u64::from(byte) << count;
            count += 8;
        }
        // The header, and zeros to the end of its byte, or the code that ends the block and zeros.
        let first = u32::from(self.edge.0);
        let pad = if first >= 3 { first } else { first + 8 };
        let stored = 0xffff_0000 << pad;
        let begins = |all: u64| bits == all & ((1 << count) - 1);
        [0, 1].iter().any(|last| begins(last | stored) && count <= pad + 32)
            || [2, 3].iter().any(|&all| begins(all) && count < 10 + 8)
    }

    /// What has to be sent, to a peer that has inflated all up to the last settled place and is at the border of a byte, so
    /// that it inflates what is kept as it would have: empty blocks up to the bit at which that begins, and its bytes.
    #[must_use]
    pub fn hand_over(&self) -> Vec<u8> {
        let mut bits = Bits::default();
        let (count, edge) = (u32::from(self.edge.0), u64::from(self.edge.1));
        if count > 0 {
            let mut at = 8 - count;
            if at % 2 == 1 {
                DYNAMIC.iter().for_each(|&(value, count)| bits.put(value, count));
                at += 3;
            }
            (0..at % 8 / 2).for_each(|_| bits.put(FIXED.0, FIXED.1));
            bits.put(edge, count);
        }
        bits.bytes.extend_from_slice(&self.kept);
        bits.bytes
    }

    /// Begins anew, with another stream.
    pub fn restart(&mut self) {
        self.state.init();
        (self.at, self.full, self.held) = (0, false, 0);
        self.kept.clear();
        (self.edge, self.border, self.shared) = ((0, 0), true, 0);
    }
}

/// Bits that are put together to bytes, the lowest first.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    rest: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u64, count: u32) {
        self.rest |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.extend(self.rest.to_le_bytes().first());
            self.rest >>= 8;
            self.count -= 8;
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    /// What a stream inflates to, and how that ends; in pieces of the input.
    fn inflated(packed: &[u8], size: usize) -> (Vec<u8>, Step) {
        let (mut all, mut inflate, mut last) = (Vec::new(), Inflate::default(), Step::More);
        for chunk in packed.chunks(size) {
            let (mut at, mut mark) = (0, 0);
            loop {
                let (used, step) = inflate.step(&chunk[at..]);
                (at, last) = (at + used, step);
                match step {
                    Step::More => break,
                    Step::Broken | Step::End => return ([all, inflate.sound().concat()].concat(), step),
                    Step::Block | Step::Full => {
                        all.extend(inflate.sound().concat());
                        inflate.settle();
                        mark = at;
                    }
                }
            }
            inflate.keep(&chunk[mark..at]);
        }
        ([all, inflate.sound().concat()].concat(), last)
    }

    fn packed(plain: &[u8], flushes: &[FlushCompress]) -> Vec<u8> {
        let (mut stream, mut out) = (Compress::new(Compression::default(), false), Vec::new());
        let size = plain.len() / flushes.len() + 1;
        for (piece, flush) in plain.chunks(size).zip(flushes) {
            out.reserve(piece.len() + 1000);
            stream.compress_vec(piece, &mut out, *flush).expect("there is room");
        }
        out
    }

    #[test]
    fn much_is_inflated_however_it_comes() {
        let plain: Vec<u8> =
            (0..200_000u32).flat_map(|n| (u64::from(n) * u64::from(n) % 1009).to_string().into_bytes()).collect();
        let flushes = [FlushCompress::None, FlushCompress::Sync, FlushCompress::Finish];
        let packed = packed(&plain, &flushes);
        for size in [1, 7, 1000, usize::MAX] {
            let (all, last) = inflated(&packed, size);
            assert!(all == plain && last == Step::End, "{size} bytes at a time");
        }
    }

    #[test]
    fn a_distance_before_the_beginning_is_no_deflate() {
        // Text that inflates to zeros where nobody looks.
        assert_eq!(inflated(b"b NOOP\r\nb NOOP\r\n", usize::MAX).1, Step::Broken);
    }

    #[test]
    fn the_end_of_a_flush_is_known() {
        let at_border = |edge: (u8, u8), kept: &[u8]| Inflate { edge, kept: kept.to_vec(), ..Inflate::default() };
        for (edge, kept) in [
            ((0, 0), &[0, 0, 0, 0xff, 0xff][..]),
            ((5, 0), &[0, 0, 0xff, 0xff]),
            ((2, 0), &[0, 0, 0, 0xff, 0xff]),
            ((0, 0), &[1, 0, 0, 0xff, 0xff]),
            ((0, 0), &[2, 0]),
            ((0, 0), &[3, 0]),
            ((4, 0b0010), &[0]),
            ((1, 0), &[1, 0]),
        ] {
            for some in 0..=kept.len() {
                assert!(at_border(edge, &kept[..some]).is_flush(None), "{edge:?} {:?}", &kept[..some]);
            }
            for byte in b' '..=b'~' {
                let next = at_border(edge, kept).is_flush(Some(byte));
                assert!(!next, "{edge:?} {kept:?} and {byte}");
            }
        }
        assert!(!at_border((5, 1), &[]).is_flush(Some(b'A')));
        assert!(!at_border((0, 0), &[0, 0, 0, 0, 0]).is_flush(None));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

        /// At whatever bit a block begins, what is handed over inflates as what came.
        #[test]
        fn what_is_handed_over_inflates_as_it_came(
            plain in prop::collection::vec(prop::sample::select(&b"abcdefgh \r\n"[..]), 1..400),
            flushes in prop::collection::vec(prop::sample::select(&[FlushCompress::None, FlushCompress::Partial, FlushCompress::Sync][..]), 1..5),
            stop in any::<prop::sample::Index>(),
            junk in prop::collection::vec(any::<u8>(), 0..30),
        ) {
            let mut stream = packed(&plain, &flushes);
            stream.truncate(stop.index(stream.len() + 1));
            stream.extend(junk);
            let mut inflate = Inflate::default();
            let (mut at, mut mark, mut before) = (0, 0, Vec::new());
            loop {
                let (used, step) = inflate.step(&stream[at..]);
                at += used;
                if step != Step::Block {
                    break;
                }
                before.extend(inflate.sound().concat());
                inflate.settle();
                mark = at;
            }
            inflate.keep(&stream[mark..at]);
            let mut again = Vec::with_capacity(before.len() + 100);
            Compress::new(Compression::fast(), false).compress_vec(&before, &mut again, FlushCompress::Sync).expect("room");
            again.extend(inflate.hand_over());
            prop_assert_eq!(inflated(&again, usize::MAX), inflated(&stream[..at], usize::MAX));
        }
    }
}
