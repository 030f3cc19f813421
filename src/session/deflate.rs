//! COMPRESS=DEFLATE (RFC 4978) on one lane. Where no rule acts, the compressed octets are passed on as they came and a copy
//! is inflated to be read; where rules may act, what they leave is compressed anew. Bounded: a piece at a time, and a stream
//! that grows too much is not read on.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::lane::{Block, Manner};
use super::{MAX_EVENTS, Outbox, Session};
use crate::event::{DataKind, Layer, Oddity, Peer};

/// So many octets are inflated at once.
const PIECE: usize = 16 * 1024;

/// A stream of more than [`SOME`] octets that is larger than this many times its compressed size is taken for a bomb: mail
/// seldom shrinks to a twentieth.
const MOST: u64 = 200;

/// What is smaller may grow as it likes, in octets.
const SOME: u64 = 1024 * 1024;

/// The layer of one lane.
#[derive(Debug)]
pub struct Deflate {
    inflate: Decompress,
    /// In a lane that rules may edit.
    compress: Option<Compress>,
    /// Octets that came, as they came and inflated.
    pub packed: u64,
    /// See `packed`.
    pub plain: u64,
}

/// A stream that cannot be read on.
#[derive(Debug)]
struct Broken;

impl Deflate {
    /// A layer that begins now.
    fn new(edit: bool) -> Self {
        let compress = edit.then(|| Compress::new(Compression::default(), false));
        Deflate { inflate: Decompress::new(false), compress, packed: 0, plain: 0 }
    }

    /// Inflates one piece into `plain`; says how many octets of the input that took.
    fn next(&mut self, input: &[u8], plain: &mut Vec<u8>) -> Result<usize, Broken> {
        plain.clear();
        plain.reserve(PIECE);
        let before = self.inflate.total_in();
        let status = self.inflate.decompress_vec(input, plain, FlushDecompress::None);
        let taken = usize::try_from(self.inflate.total_in() - before).unwrap_or_default();
        self.packed += taken as u64;
        self.plain += plain.len() as u64;
        let bomb = self.plain > SOME && self.plain / MOST > self.packed;
        match status {
            Err(_) | Ok(Status::StreamEnd) => Err(Broken),
            Ok(_) if bomb => Err(Broken),
            Ok(_) => Ok(taken),
        }
    }

    /// Compresses octets, so that the peer can read all of them at once.
    pub fn pack(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        let compress = self.compress.as_mut()?;
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

impl Session {
    /// DEFLATE begins on a lane. False if it is there already.
    pub(super) fn begin_deflate(&mut self, from: Peer) -> bool {
        let lane = self.lane(from);
        if lane.packed {
            return false;
        }
        lane.packed = true;
        lane.deflate = Some(Box::new(Deflate::new(lane.edit)));
        true
    }

    /// DEFLATE ends on both lanes (RFC 8437 section 3).
    pub(super) fn end_deflate(&mut self) {
        for lane in &mut self.lanes {
            lane.packed = false;
            lane.deflate = None;
        }
    }

    /// Takes compressed octets; `manner` says whether they are to be sent on. Returns how many are dealt with.
    pub(super) fn unpack(&mut self, from: Peer, chunk: &[u8], manner: Manner, out: &mut Outbox) -> usize {
        let Some(mut layer) = self.lane(from).deflate.take() else { return 0 };
        let (fresh, edit) = (manner == Manner::Fresh, layer.compress.is_some());
        let (mut used, mut plain, mut sent) = (0, Vec::new(), Vec::new());
        let mut whole = true;
        while self.lane(from).packed {
            match layer.next(&chunk[used..], &mut plain) {
                Ok(taken) => used += taken,
                Err(Broken) => {
                    whole = false;
                    break;
                }
            }
            let stuck = plain.len() < PIECE && used == chunk.len();
            if fresh && edit {
                self.edit_inside(from, &plain, out, &mut sent);
            } else {
                let manner = if fresh { Manner::Inside } else { manner };
                self.go_on(from, &plain, manner, out);
            }
            let full = used > 0 && used < chunk.len() && out.batch.events.len() >= MAX_EVENTS;
            if stuck || (fresh && full) {
                break;
            }
        }
        if !whole {
            self.give_up(from, out);
            // What cannot be read is passed on all the same.
            used = chunk.len();
        }
        match layer.pack(&sent).filter(|_| fresh && !sent.is_empty()) {
            Some(packed) => out.send(from.other(), &packed),
            None if fresh && !edit => out.pass(from.other(), 0..used),
            None => {}
        }
        let lane = self.lane(from);
        if whole && lane.packed {
            lane.deflate = Some(layer);
        } else {
            lane.ratio = (layer.packed, layer.plain);
        }
        used
    }

    /// Deals with inflated octets that rules may edit; adds to `sent` what is to be sent on.
    fn edit_inside(&mut self, from: Peer, plain: &[u8], out: &mut Outbox, sent: &mut Vec<u8>) {
        let mut inner = Outbox::default();
        std::mem::swap(&mut inner.batch, &mut out.batch);
        let mut at = 0;
        while at < plain.len() {
            let rest = &plain[at..];
            at += self.go_on(from, rest, Manner::Fresh, &mut inner);
            inner.pieces(from.other(), rest).for_each(|piece| sent.extend_from_slice(piece));
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
