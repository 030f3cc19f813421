//! Octets that cannot be classified yet: a client that does not wait for the server's answer. They were relayed when
//! they came; here they are kept, bounded, and read once the server has decided what they are.

use super::lane::{Block, Lane, Manner, Mask, Start, Wait, start};
use super::{Outbox, Session};
use crate::event::{DataKind, Foreign, Kind, Layer, MAX_TEXT, Oddity, Peer, Reading, Text, What};
use crate::wire::{self, Expect};

impl Session {
    /// Keeps octets, already relayed, until they can be classified: no more than [`MAX_TEXT`] of them, then the
    /// likeliest answer is assumed.
    pub(super) fn postpone(&mut self, from: Peer, bytes: &[u8], out: &mut Outbox) {
        let lane = self.lane(from);
        let Some((wait, _)) = lane.wait else { return };
        let room = MAX_TEXT.saturating_sub(lane.undecided.len());
        let (kept, over) = bytes.split_at(bytes.len().min(room));
        lane.undecided.extend_from_slice(kept);
        let decided = match wait {
            Wait::Start => start(&lane.undecided) != Start::Unclear,
            _ => !over.is_empty(),
        };
        if decided {
            self.settle(from, wait, true, out);
        }
        if !over.is_empty() {
            self.go_on(from, over, Manner::Known, out);
        }
    }

    /// Reads the octets that waited: what they waited for was granted, or was not.
    pub(super) fn settle(&mut self, from: Peer, wait: Wait, granted: bool, out: &mut Outbox) {
        let Some((_, frame)) = self.lane(from).wait.take() else { return };
        let waiting = std::mem::take(&mut self.lane(from).undecided);
        let mut rest = waiting.as_slice();
        let mut manner = Manner::Early;
        match wait {
            Wait::Start => {
                manner = Manner::Known;
                rest = &waiting[self.begin(from, &waiting, out)..];
            }
            Wait::Literal(len) if granted => {
                let expect = self.expect_octets(from, len, out);
                self.lane(from).framer.expect(expect);
            }
            Wait::Literal(len) => self.abandon(from, len, out),
            Wait::Sasl if granted => self.lane(from).sasl = Some(frame),
            Wait::Sasl => self.lane(from).wary = true,
            Wait::Tls if granted && !waiting.is_empty() && start(&waiting) != Start::Tls => {
                self.go_on(from, &waiting, Manner::Injected, out);
                self.flush(from, Some(Oddity::Injected), out);
                rest = &[];
                self.close_off(from, Layer::Tls, out);
            }
            Wait::Tls if granted => self.close_off(from, Layer::Tls, out),
            Wait::Deflate if granted => self.close_off(from, Layer::Deflate, out),
            Wait::Tls | Wait::Deflate => {}
        }
        self.go_on(from, rest, manner, out);
    }

    /// Acts on a lane's first octets, now that there are enough of them. Returns how many of them are dealt with.
    fn begin(&mut self, from: Peer, bytes: &[u8], out: &mut Outbox) -> usize {
        match start(bytes) {
            Start::Unclear | Start::Line => 0,
            Start::Tls => {
                self.frames += 1;
                let text = Text {
                    frame: self.frames,
                    first: true,
                    bytes: out.keep(&bytes[..2]),
                    edit: None,
                    reading: Reading {
                        kind: Kind::Foreign(wire::foreign(bytes).unwrap_or(Foreign::Tls)),
                        ..Reading::default()
                    },
                    answers: None,
                    state: self.state,
                    secrets: Vec::new(),
                    oddities: Vec::new(),
                };
                out.report(from, What::Text(text));
                self.close_off(from, Layer::Tls, out);
                2
            }
            Start::Proxy(len) => {
                self.frames += 1;
                let block = Block::new(DataKind::Proxy, self.frames, Some(len), false);
                let lane = self.lane(from);
                lane.block = Some(Box::new(block));
                lane.framer.expect(Expect::Octets(len));
                0
            }
        }
    }

    /// A literal of so many octets comes next on a lane. One of none is complete at once.
    pub(super) fn expect_octets(&mut self, from: Peer, len: u64, out: &mut Outbox) -> Expect {
        let lane = self.lane(from);
        let (frame, secret) = lane.frame.map_or((0, false), |frame| (frame.number, frame.hide_data));
        lane.block = Some(Box::new(Block::new(DataKind::Literal, frame, Some(len), secret)));
        if len > 0 {
            return Expect::Octets(len);
        }
        self.report_block(from, false, out);
        Expect::Line
    }

    /// The server refused a literal: its octets will not come, and the command ends here.
    fn abandon(&mut self, from: Peer, len: u64, out: &mut Outbox) {
        let lane = self.lane(from);
        let Some(frame) = lane.frame.take() else { return };
        // A client that did not wait sent its secrets as if they had been allowed.
        lane.wary = frame.mask != Mask::Nothing;
        let mut block = Block::new(DataKind::Literal, frame.number, Some(len), frame.hide_data);
        block.oddity = Some(Oddity::LiteralRefused);
        lane.block = Some(Box::new(block));
        self.report_block(from, false, out);
    }

    /// From here nothing on this lane can be read, whoever began the layer.
    fn close_off(&mut self, from: Peer, layer: Layer, out: &mut Outbox) {
        let expect = self.open_layer(from, layer, false, out);
        self.lane(from).framer.expect(expect);
    }

    /// A layer begins on this lane that is not read; `tell` says whether this is news. The caller's framer must
    /// expect what is returned.
    pub(super) fn open_layer(&mut self, from: Peer, layer: Layer, tell: bool, out: &mut Outbox) -> Expect {
        if tell {
            out.report(from, What::Upgrade(layer));
        }
        self.frames += 1;
        let block = Block::new(DataKind::Opaque, self.frames, None, true);
        let lane: &mut Lane = self.lane(from);
        lane.frame = None;
        lane.block = Some(Box::new(block));
        Expect::Opaque
    }
}
