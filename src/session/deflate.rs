//! COMPRESS=DEFLATE (RFC 4978) on one lane. Where no rule acts, the compressed octets are passed on as they came and a copy
//! is inflated to be read; where rules may act, what they leave is compressed anew. Bounded: a piece at a time, and a stream
//! that grows too much is not read on.

use std::fmt;

use flate2::{Compress, Compression, FlushCompress};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::lane::{Block, Manner};
use super::{MAX_EVENTS, Outbox, Piece, Session};
use crate::event::{DataKind, Layer, Oddity, Peer};

/// So many octets are inflated at once.
const PIECE: usize = 16 * 1024;

/// A stream of more than [`SOME`] octets that is larger than this many times its compressed size is taken for a bomb: even
/// mail of nothing but zeros would not last so long.
const MOST: u64 = 500;

/// What is smaller may grow as it likes, in octets.
const SOME: u64 = 64 * 1024 * 1024;

/// How hard to compress anew: three times as fast as the usual 6, for a tenth more octets.
const EFFORT: u32 = 2;

/// The first so many octets are sent as they are, in blocks of their own (RFC 1951 section 3.2.4). Most clients never say more,
/// and so need no compressor, which is larger than all else that a connection has.
const STORED: usize = 16 * 1024;

/// The layer of one lane.
pub struct Deflate {
    /// Of miniz_oxide itself: flate2 does not tell what was read before a mistake.
    inflate: Box<InflateState>,
    /// Rules may edit the lane: it is compressed anew.
    edit: bool,
    /// Once more than [`STORED`] octets were sent.
    compress: Option<Compress>,
    /// How many were sent without it.
    stored: usize,
    /// Octets that came, as they came and inflated.
    pub packed: u64,
    /// See `packed`.
    pub plain: u64,
}

impl fmt::Debug for Deflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Deflate {{ packed: {}, plain: {} }}", self.packed, self.plain)
    }
}

impl Deflate {
    /// A layer that begins now.
    fn new(edit: bool) -> Self {
        let inflate = InflateState::new_boxed(DataFormat::Raw);
        Deflate { inflate, edit, compress: None, stored: 0, packed: 0, plain: 0 }
    }

    /// Inflates one piece into `plain`; says how many octets of the input that took, and whether the stream is sound.
    fn next(&mut self, input: &[u8], plain: &mut Vec<u8>) -> (usize, bool) {
        plain.resize(PIECE, 0);
        let done = inflate(&mut self.inflate, input, plain, MZFlush::None);
        plain.truncate(done.bytes_written);
        self.packed += done.bytes_consumed as u64;
        self.plain += done.bytes_written as u64;
        let bomb = self.plain > SOME && self.plain / MOST > self.packed;
        // That there is nothing to read is no mistake, and that the stream ends is one only if something follows.
        let sound = matches!(done.status, Ok(MZStatus::Ok | MZStatus::StreamEnd) | Err(MZError::Buf));
        let stuck = done.bytes_consumed == 0 && done.bytes_written == 0 && !input.is_empty();
        (done.bytes_consumed, sound && !stuck && !bomb)
    }

    /// Compresses octets, so that the peer can read all of them at once. `None` where octets pass as they came, and where
    /// there are none.
    pub fn pack(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        if !self.edit || plain.is_empty() {
            return None;
        }
        if self.compress.is_none() && self.stored + plain.len() <= STORED {
            self.stored += plain.len();
            return Some(store(plain));
        }
        // It points back to nothing that it has not seen, so it can begin behind any such block.
        let compress = self.compress.get_or_insert_with(|| Compress::new(Compression::new(EFFORT), false));
        let mut packed = Vec::with_capacity(plain.len() / 2 + 64);
        let before = compress.total_in();
        loop {
            let done = usize::try_from(compress.total_in() - before).unwrap_or(plain.len()).min(plain.len());
            // Memory cannot run out: the room is ours.
            let _ = compress.compress_vec(&plain[done..], &mut packed, FlushCompress::Sync);
            let all = compress.total_in() - before == plain.len() as u64;
            if all && packed.len() < packed.capacity() {
                return Some(packed);
            }
            packed.reserve(packed.capacity().max(64));
        }
    }
}

/// Octets as they are, in blocks that end with whole octets.
fn store(plain: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(plain.len() + 5);
    for piece in plain.chunks(usize::from(u16::MAX)) {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        blocks.push(0);
        blocks.extend_from_slice(&length.to_le_bytes());
        blocks.extend_from_slice(&(!length).to_le_bytes());
        blocks.extend_from_slice(piece);
    }
    blocks
}

impl Session {
    /// DEFLATE begins on a lane. False if it is there already.
    pub(super) fn begin_deflate(&mut self, from: Peer) -> bool {
        let lane = self.lane(from);
        if lane.packed {
            return false;
        }
        lane.packed = true;
        // What is inside of it was not reported before, as what came was.
        lane.again = 0;
        lane.deflate = Some(Box::new(Deflate::new(lane.edit)));
        true
    }

    /// DEFLATE ends on both lanes (RFC 8437 section 3).
    pub(super) fn end_deflate(&mut self) {
        for lane in &mut self.lanes {
            lane.packed = false;
            if let Some(layer) = lane.deflate.take() {
                (lane.ratio, lane.remains) = ((layer.packed, layer.plain), true);
            }
        }
    }

    /// Takes compressed octets; `manner` says whether they are to be sent on. Returns how many are dealt with.
    pub(super) fn unpack(&mut self, from: Peer, chunk: &[u8], manner: Manner, out: &mut Outbox) -> usize {
        let Some(mut layer) = self.lane(from).deflate.take() else { return 0 };
        let (fresh, edit) = (manner == Manner::Fresh, layer.edit);
        let (mut used, mut plain, mut sent) = (0, Vec::new(), Vec::new());
        let mut whole = true;
        while self.lane(from).packed {
            let (taken, sound) = layer.next(&chunk[used..], &mut plain);
            used += taken;
            whole = sound;
            let stuck = plain.len() < PIECE && used == chunk.len();
            if fresh && edit {
                self.edit_inside(from, &plain, &mut layer, out, &mut sent);
            } else {
                let manner = if fresh { Manner::Inside } else { manner };
                self.go_on(from, &plain, manner, out);
            }
            let full = used > 0 && used < chunk.len() && out.batch.events.len() >= MAX_EVENTS;
            if !whole || stuck || (fresh && full) {
                break;
            }
        }
        if !whole {
            self.give_up(from, out);
        }
        if fresh && !edit {
            out.pass(from.other(), 0..used);
        } else if fresh && let Some(packed) = layer.pack(&sent) {
            out.send(from.other(), &packed);
        }
        let lane = self.lane(from);
        if whole && lane.packed {
            lane.deflate = Some(layer);
        } else {
            (lane.ratio, lane.remains) = ((layer.packed, layer.plain), whole);
        }
        // The rest of a broken stream is opaque, and comes again.
        if used == 0 && !whole { self.go_on(from, chunk, manner, out) } else { used }
    }

    /// After the end of the layer may come what is left of its last flush, which cannot begin a line. Returns how many
    /// octets that are.
    pub(super) fn skip_remains(&mut self, from: Peer, chunk: &[u8], out: &mut Outbox) -> usize {
        let count = chunk.iter().take_while(|octet| !octet.is_ascii_graphic()).count();
        let lane = self.lane(from);
        lane.remains = count == chunk.len();
        lane.ratio.0 += count as u64;
        // Where the layer was made anew, so was its last flush.
        if !lane.edit {
            out.pass(from.other(), 0..count);
        }
        count
    }

    /// Deals with inflated octets that rules may edit; adds to `sent` what is to be sent on.
    fn edit_inside(&mut self, from: Peer, plain: &[u8], layer: &mut Deflate, out: &mut Outbox, sent: &mut Vec<u8>) {
        let mut inner = Outbox::default();
        std::mem::swap(&mut inner.batch, &mut out.batch);
        let mut at = 0;
        while at < plain.len() {
            let rest = &plain[at..];
            at += self.go_on(from, rest, Manner::Fresh, &mut inner);
            for step in inner.steps(from.other(), rest) {
                match step {
                    Piece::Octets(octets) => sent.extend_from_slice(octets),
                    Piece::Fault(fault) => {
                        // What is before it must be readable by itself.
                        if let Some(packed) = layer.pack(sent) {
                            out.send(from.other(), &packed);
                        }
                        sent.clear();
                        out.fault(from.other(), fault.clone());
                    }
                }
            }
            // What we answer the peer itself goes through the layer of the other lane, if it has one.
            let back: Vec<&[u8]> = inner.pieces(from, rest).collect();
            out.send(from, &back.concat());
            inner.clear();
        }
        std::mem::swap(&mut inner.batch, &mut out.batch);
    }

    /// From here on nothing of this lane can be read.
    fn give_up(&mut self, from: Peer, out: &mut Outbox) {
        self.flush(from, None, out);
        self.report_block(from, true, out);
        self.frames += 1;
        let mut block = Block::new(DataKind::Opaque, self.frames, Some(0), true);
        block.oddity = Some(Oddity::NotDeflate);
        self.lane(from).block = Some(Box::new(block));
        self.report_block(from, false, out);
        let expect = self.open_layer(from, Layer::Deflate, false, out);
        self.lane(from).framer.expect(expect);
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    fn packed(layer: &mut Deflate, plain: &[u8]) -> Vec<u8> {
        layer.pack(plain).expect("there is something to compress")
    }

    #[test]
    fn what_is_compressed_anew_can_be_read_at_once_and_a_little_needs_no_compressor() {
        let (mut layer, mut reader) = (Deflate::new(true), Decompress::new(false));
        let mut is_read = |packed: &[u8], plain: &[u8]| {
            let mut read = Vec::with_capacity(plain.len() + 1);
            reader.decompress_vec(packed, &mut read, FlushDecompress::None).expect("a sound stream");
            assert!(read == plain, "{} octets instead of {}", read.len(), plain.len());
        };
        assert_eq!(layer.pack(b""), None);
        for _ in 0..STORED / 8 {
            is_read(&packed(&mut layer, b"a NOOP\r\n"), b"a NOOP\r\n");
        }
        assert!(layer.compress.is_none());
        is_read(&packed(&mut layer, b"b"), b"b");
        assert!(layer.compress.is_some());
        let much = b"the same again, ".repeat(10_000);
        let short = packed(&mut layer, &much);
        is_read(&short, &much);
        assert!(short.len() < much.len() / 10);
        is_read(&packed(&mut layer, b"c NOOP\r\n"), b"c NOOP\r\n");
    }

    #[test]
    fn much_at_once_is_compressed_from_the_start_and_a_tap_compresses_nothing() {
        let much = b"the same again, ".repeat(10_000);
        assert!(packed(&mut Deflate::new(true), &much).len() < much.len() / 10);
        assert_eq!(Deflate::new(false).pack(&much), None);
        assert_eq!(store(&much).len(), much.len() + 3 * 5);
    }
}
