//! Lines to a dot: messages of the client's, which a server may see end elsewhere than the standard does, and what a server
//! sends in that form.

use super::lane::{Block, Manner, Undecided};
use super::{Outbox, Session};
use crate::event::{DataKind, FalseEnd, Kind, MAX_TEXT, Oddity, Peer};
use crate::wire::dot::behind;
use crate::wire::{self, Ends, Expect, Framer};

impl Session {
    /// A message of the client's begins, in this frame. The client's framer must expect what is returned.
    pub(super) fn begin_message(&mut self, frame: u64) -> Expect {
        self.dialogue.begun(frame);
        self.suspect = None;
        self.lane(Peer::Client).block = Some(Box::new(Block::message(DataKind::Message, frame, None)));
        Expect::Dot(Ends::CrLf)
    }

    /// A chunk of a message begins behind its command.
    pub(super) fn begin_chunk(&mut self, frame: u64, len: u64) -> Expect {
        if len == 0 {
            return Expect::Line;
        }
        let first = !std::mem::replace(&mut self.chunked, true);
        let mut block = Block::message(DataKind::Chunk, frame, Some(len));
        if !first {
            block.subject = None;
        }
        self.lane(Peer::Client).block = Some(Box::new(block));
        Expect::Octets(len)
    }

    /// Lines of the server's begin behind its reply.
    pub(super) fn begin_lines(&mut self, frame: u64) -> Expect {
        self.lane(Peer::Server).block = Some(Box::new(Block::message(DataKind::Lines, frame, None)));
        Expect::Dot(Ends::Any)
    }

    /// True while the client is in the middle of the message of this frame.
    pub(super) fn inside_message(&self, frame: u64) -> bool {
        let block = self.lanes[Peer::Client.index()].block.as_ref();
        block.is_some_and(|block| block.kind == DataKind::Message && block.frame == frame)
    }

    /// Octets of a message have passed, and belong to its block. What follows a false end may be a login that the server
    /// reads as one: from there on all is secret.
    pub(super) fn feed_message(&mut self, from: Peer, framer: &Framer, bytes: &[u8], manner: Manner, out: &mut Outbox) {
        let end = framer.dot().and_then(|dot| dot.false_ends().next()).map(after).filter(|_| self.octets);
        let mut open = bytes.len();
        if let Some(end) = end
            && let Some(block) = &mut self.lanes[from.index()].block
        {
            let start = usize::try_from(end.saturating_sub(block.len)).unwrap_or(usize::MAX).min(bytes.len());
            let grammar = &self.grammar;
            let logs_in = |verb: &[u8]| grammar.commands.exact(verb).is_some_and(|it| it.secret.is_some());
            let login = block.login.get_or_insert_default();
            open = login.feed(&bytes[start..], &logs_in).map_or(bytes.len(), |at| start + at);
        }
        let (shown, hidden) = bytes.split_at(open);
        self.feed(from, shown, manner, out);
        if !hidden.is_empty() {
            self.feed_secret(from, hidden, manner, out);
        }
    }

    /// Octets of a message have passed: keeps those behind its first false end, in case the server takes it for the end.
    pub(super) fn watch(&mut self, from: Peer, framer: &Framer, bytes: &[u8]) {
        let Some(block) = self.lane(from).block.as_mut().filter(|block| block.kind == DataKind::Message) else {
            return;
        };
        let Some(end) = framer.dot().and_then(|dot| dot.false_ends().next()).map(after) else { return };
        let Some(behind) = &mut block.behind else { return };
        let before = block.len - bytes.len() as u64;
        let start = usize::try_from(end.saturating_sub(before)).unwrap_or(usize::MAX).min(bytes.len());
        if behind.len() + bytes.len() - start > MAX_TEXT {
            block.behind = None;
        } else {
            behind.extend_from_slice(&bytes[start..]);
        }
    }

    /// Reports lines to a dot that are complete.
    pub(super) fn lines_over(&mut self, from: Peer, framer: &Framer, out: &mut Outbox) {
        let strict = self.lane(from).block.as_ref().is_some_and(|block| block.kind == DataKind::Message);
        let odd = if strict { false_ends(framer) } else { Vec::new() };
        if let Some(block) = self.lane(from).block.as_mut().filter(|_| strict) {
            self.suspect = block.behind.take().filter(|behind| !behind.is_empty());
        }
        self.report_block_with(from, odd, out);
    }

    /// The server replied to nothing, after a message with a false end: if commands stood behind that, it is them that
    /// it answers, and they are read now. Only while the client is between two commands.
    pub(super) fn read_smuggled(&mut self, out: &mut Outbox) {
        let Some(behind) = self.suspect.take() else { return };
        let Kind::Command { verb, .. } = wire::read(self.grammar.form, Peer::Client, &behind).kind else { return };
        let known = verb.of(&behind).split(|&b| b == b'\r' || b == b'\n').next();
        let known = known.is_some_and(|verb| self.grammar.commands.exact(verb).is_some());
        let lane = self.lane(Peer::Client);
        let busy = lane.wait.is_some() || lane.block.is_some() || lane.frame.is_some() || lane.sasl.is_some();
        if known && !busy && lane.framer.held().is_empty() && lane.framer.expected() == Expect::Line {
            self.read_again(behind, out);
        }
    }

    /// Reads octets as commands that have passed, and were reported, as a message.
    fn read_again(&mut self, octets: Vec<u8>, out: &mut Outbox) {
        let mut waiting = Undecided::of(octets);
        self.lane(Peer::Client).again = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
        let used = self.go_on(Peer::Client, waiting.bytes(), Manner::Known, out);
        waiting.advance(used);
        self.put_back(Peer::Client, waiting);
    }

    /// The server has accepted a message that has not ended for the standard. If there is a false end in it, that is where
    /// the server saw it end, and what came behind it is read as the server reads it.
    pub(super) fn close_message(&mut self, out: &mut Outbox) {
        if self.sight.lacks() {
            self.lane(Peer::Client).framer.expect(Expect::Line);
            return self.report_block_with(Peer::Client, vec![Oddity::Torn], out);
        }
        let framer = &self.lanes[Peer::Client.index()].framer;
        let Some(dot) = framer.dot() else { return };
        // Whoever ends lines with CR has seen a dot and CR, and waits for no LF.
        let Some(first) = dot.false_ends().next().or(dot.pending()) else { return };
        let end = after(first);
        let mut odd = false_ends(framer);
        if odd.is_empty() {
            odd.push(Oddity::FalseEnd(first.0, first.1));
        }
        let client = self.lane(Peer::Client);
        let Some(behind) = client.block.as_mut().and_then(|block| block.behind.take()) else { return };
        if let Some(block) = &mut client.block {
            block.len = end;
            block.again = block.again.min(end);
            block.head.truncate(usize::try_from(end).unwrap_or(usize::MAX));
        }
        client.framer.expect(Expect::Line);
        odd.push(Oddity::ClosedEarly);
        self.report_block_with(Peer::Client, odd, out);
        if !behind.is_empty() {
            self.read_again(behind, out);
        }
    }
}

/// The octet behind a false end.
const fn after((end, at): (FalseEnd, u64)) -> u64 {
    behind(end, at)
}

/// What a server may take for the end of the message that this framer is in.
pub(super) fn false_ends(framer: &Framer) -> Vec<Oddity> {
    framer.dot().map(|dot| dot.false_ends().map(|(end, at)| Oddity::FalseEnd(end, at)).collect()).unwrap_or_default()
}
