//! What becomes of a lane that brings no more: what waited, was held or is incomplete is settled, sent on and reported.

use super::lane::{Answer, Fate, Wait};
use super::secret::of_torn;
use super::{Outbox, Session};
use crate::event::{Oddity, Peer, Reading, Text, What};

impl Session {
    /// Settles and reports all that is unfinished on a lane that brings no more; what was held is sent on.
    pub(super) fn finish(&mut self, from: Peer, out: &mut Outbox) {
        self.read_late(from, out);
        self.settle_all(from, out);
        self.end_run(from, out);
        let rest = self.end_layer(from, out);
        self.settle_all(from, out);
        self.end_run(from, out);
        self.flush(from, None, out);
        self.report_block(from, true, out);
        self.count_rest(from, &rest, out);
        self.disarm(from, out);
        self.lane(from).finished = true;
    }

    /// Settles what waits on a lane that brings no more: the likeliest answer is assumed.
    pub(super) fn settle_all(&mut self, from: Peer, out: &mut Outbox) {
        while let Some((wait, _)) = self.lane(from).wait.filter(|_| !self.has_done_enough(out)) {
            // A message of which nothing came has not begun.
            let begun = wait == Wait::Message && !self.lane(from).undecided.is_empty();
            let likely = begun || matches!(wait, Wait::Literal(_) | Wait::Sasl);
            self.settle(from, if likely { Answer::Assumed } else { Answer::Refused }, out);
        }
    }

    /// What is said of something incomplete: whoever ended the connection first has left it so.
    pub(super) fn cut_off(&self, from: Peer) -> Oddity {
        if self.stopped {
            return Oddity::Unfinished;
        }
        if self.lanes[from.other().index()].finished { Oddity::CutShort } else { Oddity::Truncated }
    }

    /// Sends bytes to the other peer, inside the layer of this lane where that is made anew. While what lies inside is being
    /// dealt with, the layer is not in its lane, and its bytes are put into it by whoever took it.
    pub(super) fn send_on(&mut self, from: Peer, bytes: &[u8], out: &mut Outbox) {
        match self.lane(from).deflate.as_mut().and_then(|layer| layer.pack(bytes)) {
            Some(packed) => out.send(from.other(), &packed),
            None => out.send(from.other(), bytes),
        }
    }

    /// Sends on and reports an incomplete line as it is.
    pub(super) fn flush(&mut self, from: Peer, oddity: Option<Oddity>, out: &mut Outbox) {
        let cut_off = self.cut_off(from);
        self.flush_with(from, oddity.into_iter().chain([cut_off]).collect(), out);
    }

    /// The same, with what is odd about it.
    pub(super) fn flush_with(&mut self, from: Peer, oddities: Vec<Oddity>, out: &mut Outbox) {
        let lane = self.lane(from);
        let held = lane.framer.release();
        let gone = std::mem::take(&mut lane.gone);
        if held.is_empty() {
            return;
        }
        let rest = &held[gone.min(held.len())..];
        let away = self.lane(from).frame.is_some() && self.lane(from).fate != Fate::Sent;
        if !away {
            self.send_on(from, rest, out);
        }
        // What is missing of a list may be its best part.
        let reading = Reading { list: None, ..self.read(from, &held) };
        let first = self.lane(from).frame.is_none();
        let frame = self.number(from, &held, &reading);
        let mut masked = self.masked(from, &held, &reading);
        if from == Peer::Server {
            masked.spans.extend(of_torn(&held));
        }
        let again = self.repeats(from, held.len());
        let text = Text {
            frame,
            first,
            bytes: out.keep(&held),
            edit: None,
            reading,
            answers: None,
            more: false,
            state: self.state,
            secrets: masked.spans,
            decoded: None,
            oddities: oddities
                .into_iter()
                .chain(again)
                .chain(away.then_some(Oddity::Dropped))
                .chain(self.inferred())
                .collect(),
        };
        out.report(from, What::Text(text));
    }
}
