//! Data blocks: their octets are reported as they come, each once, and the block at its end. What was smuggled is read a second
//! time, and not reported as octets then.

use memchr::memchr_iter;

use super::lane::{Block, Fate, Manner};
use super::message::false_ends;
use super::{Outbox, Session};
use crate::event::{Data, DataKind, Oddity, Peer, Span, What};

/// Number of bytes at the beginning of a chunk in which a login is looked for: a server that does not know BDAT reads commands.
const NEAR: u64 = 1024;

/// Maximum number of bytes of a word that may be the name of a command.
const LONGEST_NAME: usize = 32;

impl Session {
    /// Octets belong to the data block in progress.
    pub(super) fn feed(&mut self, from: Peer, bytes: &[u8], manner: Manner, out: &mut Outbox) {
        let secret = self.lane(from).block.as_ref().is_some_and(|block| block.secret);
        self.feed_as(from, bytes, manner, secret, out);
    }

    /// The same with octets that must not be shown, whatever the others are.
    pub(super) fn feed_secret(&mut self, from: Peer, bytes: &[u8], manner: Manner, out: &mut Outbox) {
        self.feed_as(from, bytes, manner, true, out);
    }

    fn feed_as(&mut self, from: Peer, bytes: &[u8], manner: Manner, secret: bool, out: &mut Outbox) {
        let octets = self.octets;
        let (bytes, secret) = match self.shown(from, bytes) {
            shown if shown < bytes.len() => {
                let (before, behind) = bytes.split_at(shown);
                if shown > 0 {
                    self.feed(from, before, manner, out);
                }
                if let Some(block) = &mut self.lane(from).block {
                    block.secret = true;
                }
                (behind, true)
            }
            _ => (bytes, secret),
        };
        let lane = &mut self.lanes[from.index()];
        let Some(block) = &mut lane.block else { return };
        if block.kind == DataKind::Chunk {
            let lines = u32::try_from(memchr_iter(b'\n', bytes).count()).unwrap_or(u32::MAX);
            if !self.dialogue.lines(block.frame, lines) {
                self.sight.owe(lines);
            }
        }
        block.feed(bytes, manner);
        let again = take_off(&mut lane.again, bytes.len());
        block.again += again as u64;
        if octets {
            out.report_bytes(from, (block.frame, block.kind, secret), &bytes[again..]);
        }
    }

    /// How many of these bytes can be shown of a block that is no secret otherwise: of a chunk, those before a login near its
    /// beginning; of one that nobody can read, those before what follows the name of a command with secrets.
    fn shown(&mut self, from: Peer, bytes: &[u8]) -> usize {
        let chunk = |block: &&mut Box<Block>| block.kind == DataKind::Chunk && !block.secret && block.len < NEAR;
        if let Some(block) = self.lanes[from.index()].block.as_mut().filter(chunk) {
            let near = bytes.len().min(usize::try_from(NEAR - block.len).unwrap_or(usize::MAX));
            let logs_in = |verb: &[u8]| self.grammar.commands.exact(verb).is_some_and(|it| it.secret.is_some());
            return block.login.get_or_insert_default().feed(&bytes[..near], &logs_in).unwrap_or(bytes.len());
        }
        let block = self.lane(from).block.as_mut().filter(|block| block.kind == DataKind::Opaque && !block.secret);
        let Some(mut word) = block.map(|block| std::mem::take(&mut block.word)) else { return bytes.len() };
        for (at, byte) in bytes.iter().enumerate() {
            if byte.is_ascii_alphanumeric() {
                // No such name is longer.
                if word.len() < LONGEST_NAME {
                    word.push(*byte);
                }
            } else if self.logs_in(&word) {
                return at;
            } else {
                word.clear();
            }
        }
        if let Some(block) = &mut self.lane(from).block {
            block.word = word;
        }
        bytes.len()
    }

    /// What is to be said of a text of so many octets that is reported now, if some of them were reported before.
    pub(super) fn repeats(&mut self, from: Peer, len: usize) -> Option<Oddity> {
        let again = take_off(&mut self.lane(from).again, len);
        (again > 0).then_some(Oddity::Smuggled(again as u64))
    }

    /// Reports the data block in progress, and ends it.
    pub(super) fn report_block(&mut self, from: Peer, truncated: bool, out: &mut Outbox) {
        let lane = self.lane(from);
        // What cannot be read has no end of its own.
        let open = truncated && lane.block.as_ref().is_some_and(|block| block.kind != DataKind::Opaque);
        let cut_off = if self.is_left_out(from) { Oddity::LeftOut } else { self.cut_off(from) };
        let mut odd = Vec::from_iter(open.then_some(cut_off));
        let lane = self.lane(from);
        if lane.block.as_ref().is_some_and(|block| block.kind == DataKind::Message) {
            odd.extend(false_ends(&lane.framer));
        }
        self.report_block_with(from, odd, out);
    }

    /// The same, with what was odd about it.
    pub(super) fn report_block_with(&mut self, from: Peer, odd: Vec<Oddity>, out: &mut Outbox) {
        if let Some(block) = self.lane(from).block.take() {
            self.report_whole(from, *block, odd, out);
        }
    }

    /// Reports a block that is taken out of its lane.
    pub(super) fn report_whole(&mut self, from: Peer, block: Block, odd: Vec<Oddity>, out: &mut Outbox) {
        let state = self.state;
        let away = (self.lane(from).fate != Fate::Sent).then_some(Oddity::Dropped);
        let again = Some(Oddity::Smuggled(block.again)).filter(|_| block.again > 0);
        // Where replies are missing, nobody knows what was allowed.
        let came = block.oddity.filter(|odd| !self.sight.blind || *odd != Oddity::Early);
        let left_out = odd.contains(&Oddity::LeftOut);
        let oddities = came.into_iter().chain(again).chain(odd).chain(away).collect();
        let data = Data {
            frame: block.frame,
            kind: block.kind,
            len: block.len,
            announced: block.announced.or(block.left_out.filter(|_| left_out)),
            head: out.keep(&block.head),
            subject: block.subject.map_or_else(Span::default, |subject| out.keep(subject.found())),
            lines: (block.kind == DataKind::Blank).then_some(block.lines),
            secret: block.secret,
            state,
            oddities,
        };
        out.report(from, What::Data(data));
    }
}

/// How many of so many octets that are read now are read again; they are taken off.
pub(super) fn take_off(again: &mut u32, len: usize) -> usize {
    let count = u32::try_from(len).unwrap_or(u32::MAX).min(*again);
    *again -= count;
    count as usize
}
