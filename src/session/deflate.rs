//! COMPRESS=DEFLATE (RFC 4978) on one lane. Where no rule acts, the compressed bytes are passed on as they came and a copy
//! is inflated to be read; where rules may act, what they leave is compressed anew. Only complete blocks are read: what a
//! stream breaks in is passed on and reported as it came ([`super::inflate`]), and a peer that goes on in plain text is read.

use super::inflate::{Inflate, Step};
use super::lane::{Block, Manner, Undecided};
use super::packer::Packer;
use super::{Outbox, Piece, Session};
use crate::event::{DataKind, Kind, Layer, Oddity, Peer, State};
use crate::wire::{self, Expect};

/// Cost of a compressed byte and of a block, in bytes of text: its tables are built anew, even if 10 bits are all of it.
const PACKED: usize = 2;
const STEP: usize = 1024;

/// Number of inflated bytes that cost as much as a byte of text.
const INFLATED: usize = 2;

/// Longest line that is looked for where a stream may be plain text, in bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// The last block of a stream, empty (RFC 1951 section 3.2.6).
const LAST: [u8; 2] = [0x03, 0x00];

/// The layer of one lane.
#[derive(Debug)]
pub struct Deflate {
    inflate: Inflate,
    packer: Packer,
    phase: Phase,
    start: Start,
    /// Plain text comes in its place, and this was said.
    said: bool,
    /// It ends with the flush in progress.
    ending: bool,
    /// The step whose bytes are being read, and how many of them are.
    due: Option<Step>,
    read: usize,
    /// The last step filled the window, so that the next one may need no input.
    more: bool,
    /// How those bytes came.
    manner: Manner,
    /// Bytes that came before it was known that they are compressed, and are not inflated yet. They were passed on.
    late: Undecided,
    /// Bytes that were read, as they came and inflated.
    pub packed: u64,
    /// See `packed`.
    pub plain: u64,
}

/// What a lane brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A stream.
    Stream,
    /// What follows the end of one.
    Over,
    /// What is no stream: all since the last settled place is kept until it is clear whether it is a line.
    Lost,
    /// Plain text.
    Text,
}

/// What the bytes since the last settled place look like, which is a border of blocks and of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// The beginning of a line.
    Open,
    /// A whole line, which is one if this turns out to be no stream.
    Line,
    /// No text.
    Binary,
}

/// The bytes of one call on their way.
struct Flow<'a> {
    chunk: &'a [u8],
    manner: Manner,
    /// They leave compressed anew.
    edit: bool,
    /// How many of the chunk are dealt with.
    used: usize,
    /// The first that came since the last settled place.
    mark: usize,
    /// What is to be sent on inside the layer.
    sent: Vec<u8>,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All bytes are dealt with, or enough of them for one call.
    Enough,
    /// The layer has ended: what came since the last settled place is plain.
    Ended,
    /// What came since then is plain text in the place of a stream.
    Text,
    /// What came since then is nothing that can be read.
    Broken,
}

impl Deflate {
    /// A layer that begins now.
    fn new(edit: bool) -> Self {
        Deflate {
            inflate: Inflate::default(),
            packer: Packer::new(edit),
            phase: Phase::Stream,
            start: Start::Open,
            said: false,
            ending: false,
            due: None,
            read: 0,
            more: false,
            manner: Manner::Fresh,
            late: Undecided::default(),
            packed: 0,
            plain: 0,
        }
    }

    /// All that was inflated was read; `input` is what that took, but for what is kept.
    fn settle(&mut self, input: &[u8]) {
        self.packed += (self.inflate.kept().len() + input.len()) as u64;
        self.plain += self.inflate.held() as u64;
        self.inflate.settle();
        self.read = 0;
    }

    /// True if there is something to read before any further byte is taken.
    pub const fn is_behind(&self) -> bool {
        self.due.is_some() || self.more || !self.late.is_empty()
    }

    /// Compresses bytes, so that the peer can read all of them at once. `None` where bytes pass as they came, and where
    /// there are none.
    pub fn pack(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        if self.phase == Phase::Text { None } else { self.packer.pack(plain) }
    }

    /// True if nothing can be put between the bytes that pass.
    pub fn is_sealed(&self) -> bool {
        !self.packer.edit && self.phase != Phase::Text
    }

    /// How many bytes are kept back.
    pub fn waiting(&self) -> usize {
        self.inflate.kept().len()
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
        // What is inside of it was not reported before, as what came was.
        lane.again = 0;
        lane.deflate = Some(Box::new(Deflate::new(lane.edit)));
        true
    }

    /// DEFLATE ends on both lanes (RFC 8437 section 3), where each is between two flushes.
    pub(super) fn end_deflate(&mut self) {
        for lane in &mut self.lanes {
            lane.packed = false;
            if let Some(layer) = &mut lane.deflate {
                layer.ending = true;
                if layer.phase == Phase::Text {
                    lane.deflate = None;
                }
            }
        }
    }

    /// Takes compressed bytes; `manner` says whether they are to be sent on. Returns how many are dealt with.
    pub(super) fn unpack(&mut self, from: Peer, chunk: &[u8], manner: Manner, out: &mut Outbox) -> usize {
        let Some(mut layer) = self.lane(from).deflate.take() else { return self.go_on(from, chunk, manner, out) };
        if layer.phase == Phase::Text {
            self.lane(from).deflate = Some(layer);
            return self.text_inside(from, chunk, manner, out);
        }
        let edit = manner == Manner::Fresh && layer.packer.edit;
        let mut flow = Flow { chunk, manner, edit, used: 0, mark: 0, sent: Vec::new() };
        layer.manner = manner;
        let end = self.inflate(from, &mut layer, &mut flow, out);
        layer.manner = flow.manner;
        let used = flow.used;
        layer.inflate.keep(&chunk[flow.mark..used]);
        if manner == Manner::Fresh && !edit {
            out.pass(from.other(), 0..used);
        }
        // What follows the end of the layer here is little.
        let before = std::mem::replace(&mut self.at_once, end != End::Enough);
        let late = std::mem::take(&mut layer.late);
        match end {
            End::Enough => {
                self.send_inside(from, &mut layer, &mut flow.sent, out);
                layer.late = late;
                self.lane(from).deflate = Some(layer);
                return used;
            }
            End::Ended => self.leave_layer(from, layer, flow, out),
            End::Text => self.begin_text(from, layer, flow, out),
            End::Broken => self.give_up(from, layer, flow, true, out),
        }
        self.at_once = before;
        if !late.is_empty() {
            self.put_back(from, late);
            self.lane(from).late = Manner::Known;
        }
        // What follows is no longer inside, and comes again.
        if used == 0 { self.go_on(from, chunk, manner, out) } else { used }
    }

    /// Reads what came before it was known that it is compressed. It is on its way, and so is all that follows: a layer that was
    /// made anew could not go on after it.
    pub(super) fn unpack_early(&mut self, from: Peer, bytes: Undecided, out: &mut Outbox) {
        if let Some(layer) = self.lane(from).deflate.as_mut().filter(|_| !bytes.is_empty()) {
            layer.packer.edit = false;
            (layer.late, layer.manner) = (bytes, Manner::Early);
            self.unpack_late(from, out);
        }
    }

    /// Reads what is inflated and what came early, as far as this call goes.
    pub(super) fn unpack_late(&mut self, from: Peer, out: &mut Outbox) {
        while !self.has_done_enough(out) && !self.is_behind(from) {
            let Some(layer) = self.lane(from).deflate.as_mut().filter(|layer| layer.is_behind()) else { return };
            let (mut late, manner) = (std::mem::take(&mut layer.late), layer.manner);
            let used = self.unpack(from, late.bytes(), manner, out);
            late.advance(used);
            if let Some(layer) = self.lane(from).deflate.as_mut().filter(|layer| layer.phase != Phase::Text) {
                layer.late = late;
            } else {
                // It is read without the layer now.
                self.put_back(from, late);
                self.lane(from).late = Manner::Known;
            }
        }
    }

    /// Inflates a chunk and deals with all that is sound.
    fn inflate(&mut self, from: Peer, layer: &mut Deflate, flow: &mut Flow<'_>, out: &mut Outbox) -> End {
        loop {
            if let Some(step) = layer.due {
                if !self.read_inside(from, layer, flow, out) {
                    return End::Enough;
                }
                layer.due = None;
                layer.more = step == Step::Full;
                layer.settle(&flow.chunk[flow.mark..flow.used]);
                flow.mark = flow.used;
                layer.ending |= !self.lane(from).packed;
                let line = step != Step::Full && layer.inflate.is_flush(None) && self.is_between_lines(from);
                layer.start = if line { Start::Open } else { Start::Binary };
                if step == Step::End {
                    layer.phase = Phase::Over;
                    if layer.ending {
                        return End::Ended;
                    }
                }
                if self.has_done_enough(out) || self.is_behind(from) {
                    return End::Enough;
                }
            }
            let rest = &flow.chunk[flow.used..];
            if layer.ending && layer.inflate.is_flush(None) {
                // Nothing but the end of its last flush still belongs to it.
                match rest.first() {
                    Some(&next) if !layer.inflate.is_flush(Some(next)) => return End::Ended,
                    Some(_) => {
                        let (taken, step) = layer.inflate.step(&rest[..1]);
                        flow.used += taken;
                        layer.inflate.keep(&rest[..taken]);
                        flow.mark = flow.used;
                        match step {
                            Step::Block => layer.settle(&[]),
                            Step::End => return End::Ended,
                            _ => {}
                        }
                        continue;
                    }
                    None => return End::Enough,
                }
            }
            let open = layer.start == Start::Open;
            let room = match layer.phase {
                _ if open => line_or_binary(rest),
                Phase::Stream => rest.len(),
                // One is enough to tell, and none of it depends on how many came with it.
                _ => rest.len().min(1),
            };
            let (taken, step) =
                if layer.phase == Phase::Stream { layer.inflate.step(&rest[..room]) } else { (room, Step::More) };
            flow.used += taken;
            layer.more = false;
            self.work += STEP + taken * PACKED;
            match step {
                // A line whose end is still to come may inflate to something; to a line it does not.
                Step::Block if open && !layer.inflate.ends_line() && !layer.ending => {}
                Step::Block | Step::Full | Step::End => {
                    layer.due = Some(step);
                    self.work += layer.inflate.held() / INFLATED;
                    continue;
                }
                Step::Broken => layer.phase = Phase::Lost,
                Step::More => {}
            }
            if open && taken == room && room > 0 {
                let raw = [layer.inflate.kept(), &flow.chunk[flow.mark..flow.used]].concat();
                let text = is_text(rest[room - 1]);
                let (ends, long) = (rest[room - 1] == b'\n', raw.len() >= LONGEST_LINE);
                layer.start = match text {
                    // Of a peer that goes on in plain text, all text is that.
                    true if layer.said && layer.plain == 0 && (ends || long) => return End::Text,
                    true if ends && self.is_line(from, &raw, true) => return End::Text,
                    true if ends && self.is_line(from, &raw, false) => Start::Line,
                    true if !ends && !long => Start::Open,
                    _ => Start::Binary,
                };
            }
            if layer.phase != Phase::Stream && (room > 0 || layer.phase == Phase::Lost) {
                match layer.start {
                    Start::Line => return End::Text,
                    Start::Binary => return End::Broken,
                    Start::Open => {}
                }
            }
            if flow.used == flow.chunk.len() {
                return End::Enough;
            }
        }
    }

    /// Deals with what was inflated and is sound, as far as this call goes. Returns whether that is all of it.
    fn read_inside(&mut self, from: Peer, layer: &mut Deflate, flow: &mut Flow<'_>, out: &mut Outbox) -> bool {
        let mut before = layer.read;
        for plain in layer.inflate.sound() {
            let mut rest = &plain[before.min(plain.len())..];
            before -= before.min(plain.len());
            while !rest.is_empty() {
                if !self.at_once && self.is_behind(from) {
                    return false;
                }
                let read = match (flow.edit, flow.manner) {
                    (true, _) => self.edit_inside(from, rest, (&mut layer.packer, &mut flow.sent), out),
                    (false, Manner::Fresh) => self.go_on(from, rest, Manner::Inside, out),
                    (false, manner) => self.go_on(from, rest, manner, out),
                };
                if flow.manner != Manner::Fresh && (read > 0 || self.lane(from).wait.is_some()) {
                    // Said of the first, it need not be said again; and what has to wait does so inflated.
                    flow.manner = Manner::Inside;
                }
                layer.read += read;
                rest = &rest[read..];
                if !rest.is_empty() && !self.at_once && self.has_done_enough(out) {
                    return false;
                }
            }
        }
        true
    }

    /// Deals with inflated bytes that rules may edit; adds to what is to be sent on. Returns how many are dealt with.
    fn edit_inside(&mut self, from: Peer, plain: &[u8], into: (&mut Packer, &mut Vec<u8>), out: &mut Outbox) -> usize {
        let (packer, sent) = into;
        let mut inner = Outbox::default();
        std::mem::swap(&mut inner.batch, &mut out.batch);
        let taken = self.go_on(from, plain, Manner::Fresh, &mut inner);
        for step in inner.steps(from.other(), plain) {
            match step {
                Piece::Octets(bytes) => sent.extend_from_slice(bytes),
                Piece::Fault(fault) => {
                    // What is before it must be readable by itself.
                    let packed = packer.pack(sent);
                    out.send(from.other(), packed.as_deref().unwrap_or(sent));
                    sent.clear();
                    out.fault(from.other(), fault.clone());
                }
            }
        }
        // What we answer the peer itself goes through the layer of the other lane, if it has one.
        let back: Vec<&[u8]> = inner.pieces(from, plain).collect();
        out.send(from, &back.concat());
        std::mem::swap(&mut inner.batch, &mut out.batch);
        taken
    }

    /// Sends what has gathered for the inside of the layer.
    fn send_inside(&mut self, from: Peer, layer: &mut Deflate, sent: &mut Vec<u8>, out: &mut Outbox) {
        if let Some(packed) = layer.packer.pack(sent) {
            out.send(from.other(), &packed);
        }
        sent.clear();
    }

    /// The layer has ended, and the lane goes on without it.
    fn leave_layer(&mut self, from: Peer, mut layer: Box<Deflate>, mut flow: Flow<'_>, out: &mut Outbox) {
        let lane = self.lane(from);
        lane.ratio = Some(Box::new((layer.packed, layer.plain)));
        if flow.edit {
            // What of a line came inside leaves inside.
            let gone = lane.gone.min(lane.framer.held().len());
            flow.sent.extend_from_slice(&lane.framer.held()[gone..]);
            lane.gone = lane.framer.held().len();
        }
        self.send_inside(from, &mut layer, &mut flow.sent, out);
        self.send_last(from, &layer, out);
        self.go_on_plainly(from, layer.inflate.kept(), &flow, out);
    }

    /// The receiver of a stream that was made anew gets its end where the sender's has ended.
    fn send_last(&mut self, from: Peer, layer: &Deflate, out: &mut Outbox) {
        if layer.packer.edit && layer.phase == Phase::Over {
            out.send(from.other(), &LAST);
        }
    }

    /// Deals with bytes that came in the layer's place and are not part of the chunk at hand.
    fn go_on_plainly(&mut self, from: Peer, bytes: &[u8], flow: &Flow<'_>, out: &mut Outbox) {
        if flow.edit {
            let (mut passes, mut sent, mut at) = (Packer::new(false), Vec::new(), 0);
            while at < bytes.len() {
                at += self.edit_inside(from, &bytes[at..], (&mut passes, &mut sent), out);
            }
            out.send(from.other(), &sent);
            return;
        }
        let manner = if flow.manner == Manner::Fresh { Manner::Inside } else { flow.manner };
        let read = self.go_on(from, bytes, manner, out);
        self.go_on(from, &bytes[read..], Manner::Inside, out);
    }

    /// A line has come in the place of the layer: it and what follows is read as text.
    fn begin_text(&mut self, from: Peer, mut layer: Box<Deflate>, mut flow: Flow<'_>, out: &mut Outbox) {
        self.send_inside(from, &mut layer, &mut flow.sent, out);
        self.send_last(from, &layer, out);
        let raw = layer.inflate.kept().to_vec();
        layer.inflate.restart();
        layer.phase = Phase::Text;
        self.lane(from).instead = !std::mem::replace(&mut layer.said, true);
        self.lane(from).deflate = Some(layer);
        self.go_on_plainly(from, &raw, &flow, out);
    }

    /// Goes on with plain text in the place of the layer, which may still begin if nothing of it has come.
    fn text_inside(&mut self, from: Peer, chunk: &[u8], manner: Manner, out: &mut Outbox) -> usize {
        let text = chunk.first().is_none_or(|&first| is_text(first));
        let may_begin = self.lane(from).deflate.as_ref().is_some_and(|layer| layer.plain == 0);
        if !self.is_between_lines(from) || (text && !may_begin) {
            return self.go_on(from, chunk, manner, out);
        }
        let Some(mut layer) = self.lane(from).deflate.take() else { return 0 };
        if may_begin {
            (layer.phase, layer.start) = (Phase::Stream, Start::Open);
            self.lane(from).deflate = Some(layer);
            return self.unpack(from, chunk, manner, out);
        }
        let flow = Flow { chunk, manner, edit: false, used: 0, mark: 0, sent: Vec::new() };
        self.give_up(from, layer, flow, true, out);
        self.go_on(from, chunk, manner, out)
    }

    /// From here on nothing of this lane can be read: what came since the last settled place, and what follows, is passed on and
    /// reported as it came. `wrong` says whether that is a mistake of its sender's, and not only the end of the connection.
    fn give_up(&mut self, from: Peer, mut layer: Box<Deflate>, mut flow: Flow<'_>, wrong: bool, out: &mut Outbox) {
        let hidden = self.may_hold_secret(from, &layer.inflate);
        self.lane(from).ratio = Some(Box::new((layer.packed, layer.plain)));
        self.flush_inside(from, &mut flow, !wrong, out);
        self.send_inside(from, &mut layer, &mut flow.sent, out);
        self.send_last(from, &layer, out);
        if flow.edit {
            out.send(from.other(), &layer.inflate.hand_over());
        }
        self.report_block(from, !wrong, out);
        self.frames += 1;
        let mut block = Block::new(DataKind::Opaque, self.frames, None, hidden);
        block.oddity = wrong.then_some(Oddity::NotDeflate);
        self.lane(from).block = Some(Box::new(block));
        self.feed(from, &layer.inflate.raw(), Manner::Inside, out);
        let block = self.lane(from).block.as_mut();
        let (hidden, word) =
            block.map_or((hidden, Vec::new()), |block| (block.secret, std::mem::take(&mut block.word)));
        let odd = Vec::from_iter((!wrong).then_some(self.cut_off(from)));
        self.report_block_with(from, odd, out);
        if !wrong {
            return;
        }
        let expect = self.open_layer(from, Layer::Deflate, false, out);
        if let Some(block) = &mut self.lane(from).block {
            (block.secret, block.word) = (hidden, word);
        }
        self.lane(from).framer.expect(expect);
    }

    /// Reports what is held of a text, and sends it on inside the layer. `ends`: the connection ends here, and not only what can be
    /// read.
    fn flush_inside(&mut self, from: Peer, flow: &mut Flow<'_>, ends: bool, out: &mut Outbox) {
        let mut inner = Outbox::default();
        std::mem::swap(&mut inner.batch, &mut out.batch);
        let cut_off = ends.then(|| self.cut_off(from));
        self.flush_with(from, Vec::from_iter(cut_off), &mut inner);
        inner.pieces(from.other(), &[]).for_each(|bytes| flow.sent.extend_from_slice(bytes));
        std::mem::swap(&mut inner.batch, &mut out.batch);
    }

    /// The lane brings no more: what is kept of its layer is read as far as it goes, and sent on. Returns what is too much to be
    /// read in this call.
    pub(super) fn end_layer(&mut self, from: Peer, out: &mut Outbox) -> Vec<u8> {
        let Some(mut layer) = self.lane(from).deflate.take() else {
            let lane = self.lane(from);
            // Of a stream that broke with the last byte, all was reported.
            let packed = lane.packed;
            lane.block = lane.block.take().filter(|block| !packed || block.kind != DataKind::Opaque || block.len > 0);
            return Vec::new();
        };
        if layer.phase == Phase::Text {
            self.lane(from).ratio = Some(Box::new((layer.packed, layer.plain)));
            return Vec::new();
        }
        let mut rest = Vec::new();
        let edit = layer.packer.edit;
        let mut flow = Flow { chunk: &[], manner: Manner::Fresh, edit, used: 0, mark: 0, sent: Vec::new() };
        let none = layer.inflate.is_flush(None) || layer.inflate.raw().is_empty();
        let wrong = match (layer.phase, layer.start) {
            _ if layer.due.is_some() => None,
            (_, Start::Line) => {
                let before = std::mem::replace(&mut self.at_once, true);
                self.begin_text(from, layer, flow, out);
                self.at_once = before;
                return rest;
            }
            (Phase::Lost | Phase::Over, _) if !none => Some(true),
            (_, Start::Open) if !none => Some(false),
            _ if layer.inflate.held() == 0 && !none => Some(false),
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.give_up(from, layer, flow, wrong, out);
            return rest;
        }
        if !self.read_inside(from, &mut layer, &mut flow, out) {
            rest = layer.inflate.sound().concat().split_off(layer.read);
            if edit {
                flow.sent.extend_from_slice(&rest);
            }
        }
        rest.extend_from_slice(layer.late.bytes());
        layer.settle(&[]);
        self.lane(from).ratio = Some(Box::new((layer.packed, layer.plain)));
        self.flush_inside(from, &mut flow, true, out);
        self.send_inside(from, &mut layer, &mut flow.sent, out);
        self.send_last(from, &layer, out);
        rest
    }

    /// True if the next byte of a lane begins a text.
    fn is_between_lines(&self, from: Peer) -> bool {
        let lane = &self.lanes[from.index()];
        let amid = lane.frame.is_some() || lane.block.is_some() || lane.wait.is_some() || lane.sasl.is_some();
        !amid && lane.framer.expected() == Expect::Line && lane.framer.held().is_empty()
    }

    /// True if bytes begin with a line of the protocol; `sure` asks for one that no stream begins with by chance.
    fn is_line(&self, from: Peer, bytes: &[u8], sure: bool) -> bool {
        let end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let line = &bytes[..end];
        let known = match wire::read(self.grammar.form, from, line).kind {
            Kind::Command { verb, .. } => self.grammar.commands.exact(verb.of(line)).is_some(),
            Kind::Info { name, .. } => self.grammar.response(name.of(line)).is_some(),
            Kind::Reply { .. } | Kind::Done => true,
            Kind::GoAhead { .. } => false,
            Kind::Unknown | Kind::Blank => return false,
            _ => false,
        };
        known || !sure
    }

    /// True if what cannot be read may have a secret in it: before login and in the middle of one, and where one is named.
    fn may_hold_secret(&self, from: Peer, inflate: &Inflate) -> bool {
        let lane = &self.lanes[from.index()];
        let inside = matches!(self.state, State::Authenticated | State::Selected);
        let named = |bytes: &[u8]| bytes.split(|b| !b.is_ascii_alphanumeric()).any(|word| self.logs_in(word));
        !inside || lane.sasl.is_some() || lane.wary || lane.wait.is_some() || named(&inflate.sound().concat())
    }
}

/// Where the first line or the first byte that is no text ends, if either is there.
fn line_or_binary(bytes: &[u8]) -> usize {
    bytes.iter().position(|&byte| byte == b'\n' || !is_text(byte)).map_or(bytes.len(), |at| at + 1)
}

/// Returns true for what may be in a line.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~')
}
