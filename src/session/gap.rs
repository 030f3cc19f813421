//! What a file lacks of a connection: bytes of a lane, or its beginning. A live connection lacks nothing. What was under way
//! is over, and nothing that follows is believed, or found odd, until a command is known again.

use super::dialogue::Dialogue;
use super::turn::Turn;
use super::{Outbox, Session};
use crate::event::{Kind, Oddity, Peer, Reading, State, What};
use crate::wire::Expect;

impl Session {
    /// Reports that bytes of a peer are missing at this place, so many if that is known; `None` for the beginning of the
    /// connection, of either peer. Of data whose size was announced, the rest is read on.
    pub fn missed(&mut self, from: Peer, bytes: Option<u64>, out: &mut Outbox) {
        self.begin_call(out);
        let data = bytes.is_some_and(|bytes| self.skip(from, bytes));
        if !data {
            self.lose_track(from, out);
        }
        out.report(from, What::Gap { bytes, data });
    }

    /// Counts missing bytes as those of the data that is under way. False if it ends among them.
    fn skip(&mut self, from: Peer, bytes: u64) -> bool {
        let lane = self.lane(from);
        let Some(block) = &mut lane.block else { return false };
        match lane.framer.expected() {
            Expect::Octets(left) if bytes < left => {
                lane.framer.expect(Expect::Octets(left - bytes));
                block.len += bytes;
                true
            }
            // The line that ends it may be among what is missing. Then commands follow, whatever it looks like.
            Expect::Dot(_) => {
                block.len += bytes;
                block.secret |= from == Peer::Client;
                (block.behind, block.subject) = (None, None);
                true
            }
            Expect::Opaque => {
                block.len += bytes;
                true
            }
            _ => false,
        }
    }

    /// Removes what seems odd about a text and may fit what is missing. A reply to a command that followed the gap ends this.
    pub(super) fn excuse(&mut self, reading: &Reading, turn: &Turn, odd: &mut Vec<Oddity>) {
        odd.retain(|odd| matches!(odd, Oddity::Smuggled(_)));
        if reading.kind == Kind::Unknown {
            odd.push(Oddity::Torn);
        }
        self.blind &= !turn.completes();
    }

    /// Ends what is under way, as far as it may have gone on in what is missing.
    fn lose_track(&mut self, from: Peer, out: &mut Outbox) {
        self.distrust();
        if from == Peer::Client {
            // What waits was followed by something else.
            self.refuse_all(out);
        }
        self.end_run(from, out);
        let rest = self.end_layer(from, out);
        self.flush_with(from, vec![Oddity::Torn], out);
        self.report_block_with(from, vec![Oddity::Torn], out);
        self.count_rest(from, &rest, out);
        let layered = self.lane(from).packed;
        let expect = if layered { self.shut(from) } else { Expect::Line };
        let lane = self.lane(from);
        lane.framer.expect(expect);
        (lane.frame, lane.long, lane.deflate) = (None, None, None);
        self.lane(Peer::Client).sasl = None;
        self.blind = true;
        self.state = State::Opaque;
        // Nobody knows which replies are missing.
        self.dialogue = Dialogue::default();
        self.refuse_all(out);
    }

    /// Reads what waits on the client's lane as if it had been refused.
    fn refuse_all(&mut self, out: &mut Outbox) {
        while self.lane(Peer::Client).wait.is_some() {
            self.settle(Peer::Client, false, out);
        }
    }
}
