//! Octets that cannot be classified yet: a client that does not wait for the server's answer. They were relayed when
//! they came; here they are kept, bounded, and read once the server has decided what they are.

use super::lane::{Answer, Block, Fate, Lane, Manner, START, Start, Undecided, Wait, start};
use super::secret::Mask;
use super::{MAX_EVENTS, Outbox, Session};
use crate::event::{DataKind, Foreign, Hello, Kind, Layer, MAX_TEXT, Oddity, Peer, Reading, Text, What};
use crate::wire::{self, Expect, Framer, hello};

impl Session {
    /// Keeps octets that cannot be classified yet. Once [`MAX_TEXT`] are kept, the likeliest answer is assumed.
    /// Returns how many were taken, for the caller to relay: one at the least, for what is full is settled at once.
    pub(super) fn postpone(&mut self, from: Peer, bytes: &[u8], out: &mut Outbox) -> usize {
        let lane = self.lane(from);
        let Some((wait, _)) = lane.wait else { return 0 };
        if wait == Wait::Start {
            // No more than it takes to tell: what comes behind them is read as it comes.
            let unclear = |count: &usize| start(&[lane.undecided.bytes(), &bytes[..*count]].concat()) == Start::Unclear;
            let most = bytes.len().min(START);
            let need = (1..most).find(|count| !unclear(count)).unwrap_or(most);
            lane.undecided.fill(&bytes[..need], START);
            if start(lane.undecided.bytes()) != Start::Unclear {
                self.settle(from, Answer::Granted, out);
            }
            return need;
        }
        let kept = lane.undecided.fill(bytes, MAX_TEXT);
        let decided = lane.undecided.len() >= MAX_TEXT;
        if decided {
            self.settle(from, Answer::Assumed, out);
        }
        kept
    }

    /// Reads the bytes that waited: what they waited for was granted, or was not.
    pub(super) fn settle(&mut self, from: Peer, answer: Answer, out: &mut Outbox) {
        let granted = answer != Answer::Refused;
        let Some((wait, frame)) = self.lane(from).wait.take() else { return };
        let mut waiting = std::mem::take(&mut self.lane(from).undecided);
        let mut manner = Manner::Early;
        let packed = self.lane(from).packed;
        match wait {
            Wait::Start => {
                manner = Manner::Known;
                let used = self.begin(from, waiting.bytes(), out);
                waiting.advance(used);
            }
            Wait::Tls if granted && waiting.bytes().first().is_some_and(|&first| !hello::begins(first)) => {
                self.inject(from, waiting.bytes(), out);
                waiting.advance(waiting.len());
                // The rest of a line of which the beginning came too early may hold a secret.
                let expect = self.shut_tls(from, &[]);
                self.lane(from).framer.expect(expect);
            }
            _ => self.decide(from, wait, frame, answer, out),
        }
        if wait == Wait::Deflate && granted && !packed {
            return self.unpack_early(from, waiting, out);
        }
        let used = self.go_on(from, waiting.bytes(), manner, out);
        waiting.advance(used);
        self.put_back(from, waiting);
    }

    /// What of octets that waited could not be read yet comes before what came later.
    pub(super) fn put_back(&mut self, from: Peer, mut waiting: Undecided) {
        let lane = self.lane(from);
        if !lane.undecided.is_empty() {
            waiting.fill(lane.undecided.bytes(), usize::MAX);
        }
        lane.undecided = waiting;
    }

    /// Draws the consequences of an answer, or of its absence, for the octets that come next.
    fn decide(&mut self, from: Peer, wait: Wait, frame: u64, answer: Answer, out: &mut Outbox) {
        let granted = answer != Answer::Refused;
        match wait {
            Wait::Literal(len) if granted => {
                let expect = self.expect_octets(from, len, out);
                self.lane(from).framer.expect(expect);
            }
            Wait::Literal(len) => self.abandon(from, len, out),
            Wait::Sasl if granted => self.lane(from).sasl = Some(frame),
            Wait::Tls if granted => self.close_off(from, Layer::Tls, out),
            Wait::Deflate if granted => {
                self.begin_deflate(from);
            }
            Wait::Message if granted => {
                let expect = self.begin_message(frame);
                self.lane(from).framer.expect(expect);
            }
            Wait::Sasl | Wait::Tls | Wait::Deflate | Wait::Message | Wait::Start => {}
        }
        if answer == Answer::Assumed {
            self.hide_begun(from);
        }
    }

    /// Hides what begins now as a literal or message: the server may have read commands in its place, a login among them.
    fn hide_begun(&mut self, from: Peer) {
        let lane = self.lane(from);
        if let Some(block) = &mut lane.block {
            (block.secret, block.subject) = (true, None);
        }
        if let Some(frame) = &mut lane.frame {
            (frame.mask, frame.hide_data) = (Mask::Rest, true);
        }
    }

    /// Reads octets that were injected behind STARTTLS. No answer to them will be seen, so that what they would have
    /// waited for counts as granted; a layer does not begin in them. [`MAX_EVENTS`] come of them at the most, give or take
    /// those of one line: what is more is counted and not read.
    pub(super) fn inject(&mut self, from: Peer, bytes: &[u8], out: &mut Outbox) {
        let most = out.batch.events.len() + MAX_EVENTS;
        let mut rest = bytes;
        while !rest.is_empty() && out.batch.events.len() < most {
            let end = rest.iter().position(|&octet| octet == b'\n').map_or(rest.len(), |at| at + 1);
            let used = self.go_on(from, &rest[..end], Manner::Injected, out);
            rest = &rest[used..];
            if let Some((wait, frame)) = self.lane(from).wait.take() {
                let likely = matches!(wait, Wait::Literal(_) | Wait::Sasl | Wait::Message);
                self.decide(from, wait, frame, if likely { Answer::Assumed } else { Answer::Refused }, out);
            }
        }
        // What ends here ends with the plain text, and not with the connection.
        let stopped = std::mem::replace(&mut self.stopped, true);
        self.flush(from, Some(Oddity::Injected), out);
        self.report_block(from, true, out);
        self.stopped = stopped;
        if !rest.is_empty() {
            self.frames += 1;
            // Nobody has looked whether there is a secret in it.
            let block = Block::new(DataKind::Rest, self.frames, None, true);
            self.lane(from).block = Some(Box::new(block));
            self.feed(from, rest, Manner::Injected, out);
            self.report_block(from, false, out);
        }
        let lane = self.lane(from);
        (lane.sasl, lane.long) = (None, None);
    }

    /// TLS begins, and what the client sent before is not understood yet: it was on its way before it could be kept back.
    pub(super) fn leave_behind(&mut self, out: &mut Outbox) {
        let lane = self.lane(Peer::Client);
        lane.wait = None;
        let waiting = std::mem::take(&mut lane.undecided);
        let state = self.state;
        self.inject(Peer::Client, waiting.bytes(), out);
        self.state = state;
    }

    /// Acts on a lane's first octets, now that there are enough of them. Returns how many of them are dealt with.
    fn begin(&mut self, from: Peer, bytes: &[u8], out: &mut Outbox) -> usize {
        match start(bytes) {
            Start::Unclear | Start::Line => 0,
            Start::Tls => {
                self.frames += 1;
                let kind = Kind::Foreign(wire::foreign(bytes).unwrap_or(Foreign::Tls));
                let reading = Reading { kind, ..Reading::default() };
                let text = Text::bare(self.frames, out.keep(&bytes[..2]), self.state, reading);
                out.report(from, What::Text(text));
                let expect = self.shut_tls(from, &bytes[..2]);
                self.lane(from).framer.expect(expect);
                2
            }
            Start::Proxy(len) => {
                // A server that does not know it sees four lines.
                if from == Peer::Client {
                    self.dialogue.spare(4);
                }
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
        let mut block = Block::new(DataKind::Literal, frame.number, Some(len), frame.hide_data);
        block.oddity = Some(Oddity::LiteralRefused);
        lane.block = Some(Box::new(block));
        self.report_block(from, false, out);
    }

    /// A layer begins on this lane, and is no news, whoever began it.
    pub(super) fn close_off(&mut self, from: Peer, layer: Layer, out: &mut Outbox) {
        let expect = self.open_layer(from, layer, false, out);
        self.lane(from).framer.expect(expect);
    }

    /// A layer begins on this lane that is not read; `tell` says whether this is news. TLS shows with its first octet: until
    /// then it is only due, and no rule changes anything any more. The caller's framer must expect what is returned.
    pub(super) fn open_layer(&mut self, from: Peer, layer: Layer, tell: bool, out: &mut Outbox) -> Expect {
        if tell {
            out.report(from, What::Upgrade(layer));
        }
        if layer != Layer::Tls {
            return self.shut(from);
        }
        let lane = self.lane(from);
        // What is held of a line is held to its end: `edit` stays.
        (lane.due, lane.frame) = (true, None);
        Expect::Line
    }

    /// What begins on a lane on which TLS is due: this is its first octet, or the first of a line.
    pub(super) fn tls_or_text(&mut self, from: Peer, first: u8, framer: &mut Framer, out: &mut Outbox) {
        if hello::begins(first) {
            framer.expect(self.shut_tls(from, &[]));
        } else if self.lane(from).due && !matches!(first, b'\t' | b'\r' | b'\n' | b' '..=b'~') {
            // It may be the middle of a record.
            if !self.sight.lacks() {
                out.report(from, What::Hello(Box::new(Hello::NoTls)));
            }
            framer.expect(self.shut(from));
        }
    }

    /// TLS has begun on this lane, between the peers; its first octets were dealt with before. The caller's framer must
    /// expect what is returned.
    fn shut_tls(&mut self, from: Peer, dealt_with: &[u8]) -> Expect {
        let expect = self.shut(from);
        if let Some(block) = &mut self.lane(from).block {
            let mut reader = hello::Reader::new(from);
            reader.feed(dealt_with, &mut block.said);
            block.hello = Some(Box::new(reader));
        }
        expect
    }

    /// Nothing more can be read on this lane. The caller's framer must expect what is returned.
    pub(super) fn shut(&mut self, from: Peer) -> Expect {
        self.frames += 1;
        let block = Block::new(DataKind::Opaque, self.frames, None, true);
        let lane: &mut Lane = self.lane(from);
        (lane.frame, lane.due) = (None, false);
        // What cannot be read is taken away from nobody.
        lane.fate = Fate::Sent;
        lane.block = Some(Box::new(block));
        Expect::Opaque
    }
}
