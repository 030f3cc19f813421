//! How much one call does, whatever the peers send: it ends early once it has reported enough events or done enough work.
//! What it leaves comes first in the next call. A peer chooses how many events a byte becomes, and a layer how many
//! bytes, so neither a number of bytes nor a number of calls bounds anything by itself.

use super::lane::{Block, Manner};
use super::{Outbox, Session};
use crate::event::{DataKind, Peer};

/// Maximum number of events reported in one call, give or take those that one text brings about.
pub const MAX_EVENTS: usize = 1024;

/// Cost of a text beside its bytes.
const TEXT: usize = 64;

/// Maximum work of one call, in bytes of text; each text costs [`TEXT`] more, give or take one text. Data costs nothing: it is
/// not read. What fills this is what a layer makes of its bytes: the largest read of a driver, 256 KiB, of text that is not too
/// many events costs no more, and so is read at once.
pub(super) const MAX_WORK: usize = 256 * 1024 + MAX_EVENTS * TEXT;

impl Session {
    /// A call of the driver begins.
    pub(super) const fn begin_call(&mut self, out: &Outbox) {
        (self.work, self.before) = (0, out.batch.events.len());
    }

    /// A text of this many bytes is read.
    pub(super) const fn works(&mut self, len: usize) {
        self.work += len + TEXT;
    }

    /// True if the call has done enough.
    pub(super) fn has_done_enough(&self, out: &Outbox) -> bool {
        self.work >= MAX_WORK || out.batch.events.len().saturating_sub(self.before) >= MAX_EVENTS
    }

    /// True if bytes that came before have to be read before further ones of this peer are: its own, and before the server's
    /// also those of the client's, which may be the commands that the server answers.
    pub(super) fn is_behind(&self, from: Peer) -> bool {
        let lane = |peer: Peer| &self.lanes[peer.index()];
        let late = |peer: Peer| lane(peer).wait.is_none() && !lane(peer).undecided.is_empty();
        let inside = || lane(Peer::Client).deflate.as_ref().is_some_and(|layer| layer.is_behind());
        late(from) || (from == Peer::Server && (late(Peer::Client) || inside()))
    }

    /// True if a call for this peer has something to do before it takes anything of its chunk.
    fn owes(&self, from: Peer) -> bool {
        let inside = || self.lanes[from.index()].deflate.as_ref().is_some_and(|layer| layer.is_behind());
        self.is_behind(from) || inside()
    }

    /// Goes on where the call before had to stop. `None` if that is done and the chunk can be taken; else how many of its
    /// bytes are dealt with, none or one.
    pub(super) fn catch_up(&mut self, from: Peer, chunk: &[u8], out: &mut Outbox) -> Option<usize> {
        let behind = self.owes(from);
        if behind {
            for peer in [Peer::Client, from] {
                self.read_late(peer, out);
            }
        }
        if chunk.is_empty() || !(behind || self.lane(from).owed) {
            return behind.then_some(0);
        }
        if self.lane(from).owed && (chunk.len() > 1 || !self.owes(from)) {
            self.lane(from).owed = false;
            return Some(1);
        }
        Some(0)
    }

    /// A call has dealt with this many bytes of its chunk. Returns how many of them the driver need not bring again: where
    /// something is left to do, the last one comes again.
    pub(super) fn leave_off(&mut self, from: Peer, taken: usize, chunk: &[u8]) -> usize {
        if taken < chunk.len() || taken == 0 || !self.owes(from) {
            return taken;
        }
        self.lane(from).owed = true;
        taken - 1
    }

    /// How many of the first bytes that [`Session::receive`] has left are dealt with all the same, none or one. A driver asks
    /// if it wants to do something else with them, which it does only before TLS.
    pub fn dealt_with(&mut self, from: Peer) -> usize {
        usize::from(std::mem::take(&mut self.lane(from).owed))
    }

    /// Reads what of a lane could not be read before, as far as this call goes.
    pub(super) fn read_late(&mut self, peer: Peer, out: &mut Outbox) {
        let lane = self.lane(peer);
        if lane.wait.is_none() && !lane.undecided.is_empty() {
            let mut waiting = std::mem::take(&mut lane.undecided);
            let manner = lane.late;
            let used = self.go_on(peer, waiting.bytes(), manner, out);
            waiting.advance(used);
            self.put_back(peer, waiting);
        }
        if !self.is_behind(peer) && self.lane(peer).deflate.as_ref().is_some_and(|layer| layer.is_behind()) {
            self.unpack_late(peer, out);
        }
    }

    /// The lane ends, and what is left of it is too much to be read in one call: it is counted.
    pub(super) fn count_rest(&mut self, from: Peer, inside: &[u8], out: &mut Outbox) {
        let lane = self.lane(from);
        let (undecided, late) = (std::mem::take(&mut lane.undecided), lane.late);
        if undecided.is_empty() && inside.is_empty() {
            return;
        }
        self.flush(from, None, out);
        self.report_block(from, true, out);
        self.frames += 1;
        // Nobody has looked whether there is a secret in it.
        self.lane(from).block = Some(Box::new(Block::new(DataKind::Rest, self.frames, None, true)));
        self.feed(from, undecided.bytes(), late, out);
        self.feed(from, inside, Manner::Inside, out);
        self.report_block(from, false, out);
    }
}
