//! Octets on their way through: where those of a piece come from, and whether they are still to be sent.

use std::ops::Range;

use super::Outbox;
use super::lane::Manner;
use crate::event::Peer;

/// Where the octets of a piece come from, and whether they are still to be sent.
#[derive(Debug, Clone)]
pub struct Relay<'a> {
    pub chunk: &'a [u8],
    pub range: Range<usize>,
    pub manner: Manner,
}

impl Relay<'_> {
    /// Sends the piece on.
    pub fn pass(&self, from: Peer, out: &mut Outbox) {
        if self.manner == Manner::Fresh {
            out.pass(from.other(), self.range.clone());
        }
    }

    /// Sends on what of a complete text was not sent before; its last `fresh` octets are this piece.
    pub fn pass_rest(&self, from: Peer, whole: &[u8], fresh: usize, gone: &mut usize, out: &mut Outbox) {
        debug_assert!(self.chunk[self.range.clone()].len() == fresh, "a cut consumes what it says");
        let held = whole.len() - fresh;
        if !matches!(self.manner, Manner::Kept | Manner::Ours) {
            out.send(from.other(), &whole[(*gone).min(held)..held]);
        }
        self.pass(from, out);
        *gone = 0;
    }
}
