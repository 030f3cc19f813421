//! Decides what each arm of the pump does at the moment, from state alone. The arms act on these values and on nothing
//! else, so a turn can be checked: an arm whose gate changed after it was polled has to be polled again.

use super::{ANSWERS, Pump};
use crate::event::Peer;

/// What the write arm to one peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WriteGate {
    /// Nothing: whatever opens it is progress of another arm.
    Closed,
    /// Writes the bytes that wait.
    Bytes,
    /// Asks the faults of the lane what may be written, and when.
    Faults,
    /// Sends what a layer has taken and its socket has not.
    Flush,
    /// Sends the end of the direction.
    Shutdown,
}

/// What the read arm from one peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadGate {
    /// Nothing: whatever opens it is progress of another arm, or room in the log's queue.
    Closed,
    /// Takes what was read before.
    Ahead,
    /// Reads from the socket.
    Socket,
    /// Reads a little that has to wait, so that the end of the peer is seen.
    LookAhead,
    /// Reads a little that goes nowhere, for the same reason.
    LookOut,
}

/// The gates of all four arms, by peer.
pub(super) type Gates = [(WriteGate, ReadGate); 2];

impl Pump {
    /// The gates as they are now.
    pub(super) fn gates(&self) -> Gates {
        [Peer::Client, Peer::Server].map(|peer| (self.write_gate(peer), self.read_gate(peer)))
    }

    /// The gate of the write arm to `to`.
    pub(super) fn write_gate(&self, to: Peer) -> WriteGate {
        let at = to.index();
        let lane = &self.lanes[at];
        if !lane.is_empty() && lane.is_calm() {
            return WriteGate::Bytes;
        }
        // Each slice is a record of its own, and what comes before an end leaves before it.
        if self.legs[at].owes() && self.broken.is_none_or(|(peer, _)| peer != to) {
            return WriteGate::Flush;
        }
        if !lane.is_empty() {
            return WriteGate::Faults;
        }
        if self.ended[to.other().index()] && !self.shut[at] { WriteGate::Shutdown } else { WriteGate::Closed }
    }

    /// The gate of the read arm from `from`: open only when its bytes can leave at once and its events have room.
    pub(super) fn read_gate(&self, from: Peer) -> ReadGate {
        let (at, to) = (from.index(), from.other().index());
        let muted = self.broken.is_some_and(|(peer, _)| peer != from);
        if self.ended[at] || muted || !self.report.has_room() {
            return ReadGate::Closed;
        }
        // Answers to a peer count until it has read them.
        let answers = self.answers[at].min(self.lanes[at].len());
        // What is in the place of the server's next words comes before what the client says under TLS.
        let turn = self.begins.is_none() && !(from == Peer::Client && self.words_first);
        if !self.lanes[to].is_empty() || answers > ANSWERS || !turn {
            // Nothing opens this arm any more where a lane is stalled, and the end of the peer has to be seen.
            let stalled = self.lanes[to].is_stalled() || (!turn && self.lanes[at].is_stalled());
            return if stalled { ReadGate::LookOut } else { ReadGate::Closed };
        }
        if self.session.waits(from) {
            return ReadGate::LookAhead;
        }
        if self.ahead[at].is_empty() { ReadGate::Socket } else { ReadGate::Ahead }
    }
}
