//! Logs that leave bodies out, as those of curl and fetchmail do: what was announced is not there, and the lines that follow it
//! show that. Only where each chunk is a line of a log.

use super::{Outbox, Session};
use crate::event::{DataKind, Form, Oddity, Peer};
use crate::wire::Expect;

impl Session {
    /// The same for a log of lines, which may lack literals and messages: each call of [`Session::receive`] has one line at most.
    #[must_use]
    pub const fn of_a_log(mut self, log: bool) -> Self {
        self.log = log;
        self
    }

    /// A line of a log comes. Ends a block of which nothing came, if this line belongs to what follows it.
    pub(super) fn find_left_out(&mut self, from: Peer, line: &[u8], out: &mut Outbox) {
        if !self.log || from == Peer::Client {
            return;
        }
        let (replies, tagged) = (self.is_status(line), self.is_tagged(line));
        match self.empty_block(Peer::Server) {
            Some(DataKind::Literal) if tagged || goes_on(line) => {
                self.leave_out(Peer::Server, out);
                if tagged {
                    self.lane(Peer::Server).frame = None;
                }
            }
            Some(DataKind::Lines) if replies && self.dialogue.oldest().is_some() => self.leave_out(Peer::Server, out),
            _ => {}
        }
        match self.empty_block(Peer::Client) {
            Some(DataKind::Literal) if tagged || self.grammar.form != Form::Imap && replies => {
                self.leave_out(Peer::Client, out);
                self.lane(Peer::Client).frame = None;
            }
            Some(DataKind::Message | DataKind::Chunk) if replies => self.leave_out(Peer::Client, out),
            _ => {}
        }
    }

    /// The log says how many bytes of a peer it leaves out, in all or in a further part. Nothing else depends on it.
    pub fn left_out(&mut self, from: Peer, bytes: u64, all: bool) {
        let kind = self.empty_block(from).filter(|_| self.log);
        if let Some(block) = self.lane(from).block.as_mut().filter(|_| kind.is_some()) {
            let before = block.left_out.filter(|_| !all).unwrap_or(0);
            block.left_out = Some(before.saturating_add(bytes));
        }
    }

    /// What the log left out, if the block in progress is such.
    pub(super) fn is_left_out(&self, from: Peer) -> bool {
        self.log && self.empty_block(from).is_some()
    }

    /// The kind of the block in progress, if nothing of it came and it is one that logs leave out.
    fn empty_block(&self, peer: Peer) -> Option<DataKind> {
        let lane = &self.lanes[peer.index()];
        let block = lane.block.as_ref().filter(|block| block.len == 0 && lane.framer.held().is_empty())?;
        let left = matches!(block.kind, DataKind::Literal | DataKind::Message | DataKind::Chunk | DataKind::Lines);
        left.then_some(block.kind)
    }

    fn leave_out(&mut self, peer: Peer, out: &mut Outbox) {
        self.lane(peer).framer.expect(Expect::Line);
        self.report_block_with(peer, vec![Oddity::LeftOut], out);
    }

    /// True for a reply that answers a command.
    fn is_status(&self, line: &[u8]) -> bool {
        let starts = |words: &[&[u8]]| words.iter().any(|word| line.starts_with(word));
        match self.grammar.form {
            Form::Codes => line.len() > 3 && line[..3].iter().all(u8::is_ascii_digit) && b" -\r\n".contains(&line[3]),
            Form::Pop3 => starts(&[b"+OK", b"-ERR"]),
            Form::Managesieve => starts(&[b"OK", b"NO", b"BYE"]),
            Form::Imap | Form::Line => false,
        }
    }

    /// True for a reply of IMAP to a command in flight.
    fn is_tagged(&self, line: &[u8]) -> bool {
        let tag = line.split(|&b| b == b' ').next().unwrap_or_default();
        let status = line.get(tag.len() + 1..).unwrap_or_default();
        let says = [&b"OK"[..], b"NO", b"BAD"].iter().any(|word| status.starts_with(word));
        says && self.grammar.form == Form::Imap && self.dialogue.tagged(tag).is_some()
    }
}

/// Returns true for what may follow a literal in a response, and hardly ever begins one.
fn goes_on(line: &[u8]) -> bool {
    match line {
        [b')', ..] => true,
        [b' ', first, ..] if first.is_ascii_uppercase() => {
            let word = line[1..].split(|&b| b == b' ' || b == b'[').next().unwrap_or_default();
            let items: [&[u8]; 10] = [
                b"BODY",
                b"BINARY",
                b"UID",
                b"FLAGS",
                b"RFC822",
                b"RFC822.SIZE",
                b"RFC822.HEADER",
                b"RFC822.TEXT",
                b"INTERNALDATE",
                b"MODSEQ",
            ];
            items.contains(&word)
        }
        _ => false,
    }
}
