//! The octets of data blocks that are under way, as many of each as are to be shown at its end.

use std::collections::HashMap;

use super::style::Body;
use crate::event::{Data, MAX_HEAD, Peer, What, repeated};
use crate::exchange::Explained;

/// The most octets of one block that are kept, whatever is wanted.
pub const MOST: usize = 1024 * 1024;

/// Maximum number of bytes that are kept of all blocks under way. Of those that find no room the beginning is shown.
const ALL: usize = 32 * 1024 * 1024;

/// What has come of the blocks under way. Empty where the first octets, which every block brings along, are enough.
#[derive(Debug, Default)]
pub struct Bulk {
    most: usize,
    lanes: HashMap<(u64, Peer), Block>,
    /// Number of bytes in all lanes.
    kept: usize,
}

/// What has come of one block.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Some found no room: those that follow would not fit to what is here.
    cut: bool,
}

impl Bulk {
    /// For blocks of which so much is shown.
    #[must_use]
    pub fn new(body: Body) -> Self {
        let most = match body {
            Body::All => MOST,
            Body::Octets(octets) => usize::try_from(octets).unwrap_or(MOST).min(MOST),
            Body::Fold | Body::None => 0,
        };
        Bulk { most: if most > MAX_HEAD { most } else { 0 }, lanes: HashMap::new(), kept: 0 }
    }

    /// True if more is wanted than a block brings along.
    #[must_use]
    pub const fn is_wanted(&self) -> bool {
        self.most > 0
    }

    /// Takes note of octets that have come.
    pub fn feed(&mut self, event: &Explained<'_>) {
        if self.most > 0 && matches!(&event.event.what, What::Octets(octets) if !octets.secret) {
            let block = self.lanes.entry((event.connection.number, event.event.from)).or_default();
            let room = self.most.saturating_sub(block.bytes.len()).min(ALL.saturating_sub(self.kept));
            let fresh = &event.bytes[..event.bytes.len().min(if block.cut { 0 } else { room })];
            block.cut |= fresh.len() < event.bytes.len();
            block.bytes.extend_from_slice(fresh);
            self.kept += fresh.len();
        }
    }

    /// The octets of the block that is over; nothing if none were kept, or not the first of them.
    pub fn take(&mut self, event: &Explained<'_>, data: &Data) -> Option<Vec<u8>> {
        let mut kept = self.lanes.remove(&(event.connection.number, event.event.from))?.bytes;
        self.kept -= kept.len();
        // A server may have seen its end before some that had come.
        kept.truncate(usize::try_from(data.len).unwrap_or(usize::MAX));
        let before = usize::try_from(repeated(&data.oddities)).unwrap_or(usize::MAX);
        kept.splice(0..0, event.bytes.get(..before)?.iter().copied());
        // Where nothing found room, the block has more with it.
        Some(kept).filter(|kept| kept.len() >= event.bytes.len())
    }

    /// The connection is over.
    pub fn leave(&mut self, connection: u64) {
        if !self.lanes.is_empty() {
            self.lanes.retain(|(number, _), _| *number != connection);
            self.kept = self.lanes.values().map(|block| block.bytes.len()).sum();
        }
    }
}
