//! What a session wants sent and reported: per direction a queue of steps, and a batch of events. Owned by the driver.

use std::ops::Range;
use std::sync::Arc;

use super::{Trouble, Upgrade};
use crate::event::{Batch, DataKind, Event, MAX_OCTETS, Octets, Peer, Span, What};

/// What a rule does to the octets for a peer, from a place among them on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `None` ends all throttles and slices that have begun.
    pub what: Option<Trouble>,
    /// The rule, as the user wrote it.
    pub rule: Arc<str>,
}

/// A step, for the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These octets are to be sent.
    Octets(&'a [u8]),
    /// This is to happen behind the octets before it.
    Fault(&'a Fault),
}

/// One piece to send, or what happens before the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This range of the chunk that was just received.
    Pass(Range<usize>),
    /// This range of the outbox's own octets.
    Own(Range<usize>),
    /// This happens behind the octets before it.
    Fault(Fault),
}

/// Steps for which room is kept between calls.
const KEEP: usize = 256;

/// Filled by a session during one call, emptied by the driver after it.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The events of the call.
    pub batch: Batch,
    /// TLS is to begin. The driver takes it, reads nothing more before that is done, and says [`super::Session::secured`]
    /// then.
    pub upgrade: Option<Upgrade>,
    /// The connection cannot go on, and why. The driver ends it.
    pub failed: Option<String>,
    steps: [Vec<Step>; 2],
    /// There is a fault among the steps.
    troubled: [bool; 2],
    own: Vec<u8>,
}

impl Outbox {
    /// Sends a range of the current chunk to a peer; joins the piece before it where they meet.
    pub fn pass(&mut self, to: Peer, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let steps = &mut self.steps[to.index()];
        if let Some(Step::Pass(last)) = steps.last_mut()
            && last.end == range.start
        {
            last.end = range.end;
            return;
        }
        steps.push(Step::Pass(range));
    }

    /// Sends octets that are not in the current chunk.
    pub fn send(&mut self, to: Peer, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        let steps = &mut self.steps[to.index()];
        if let Some(Step::Own(last)) = steps.last_mut()
            && last.end == start
        {
            last.end = self.own.len();
            return;
        }
        steps.push(Step::Own(start..self.own.len()));
    }

    /// Sends octets that lie in the batch's arena already.
    pub fn send_kept(&mut self, to: Peer, span: Span) {
        let bytes = std::mem::take(&mut self.batch.bytes);
        self.send(to, span.of(&bytes));
        self.batch.bytes = bytes;
    }

    /// Lets something happen behind the octets that a peer is to get so far.
    pub fn fault(&mut self, to: Peer, fault: Fault) {
        self.troubled[to.index()] = true;
        self.steps[to.index()].push(Step::Fault(fault));
    }

    /// Lets something happen behind the first `at` octets that a peer is to get.
    pub fn fault_at(&mut self, to: Peer, at: usize, fault: Fault) {
        self.troubled[to.index()] = true;
        let steps = &mut self.steps[to.index()];
        let mut before = at;
        for index in 0..steps.len() {
            let (Step::Pass(range) | Step::Own(range)) = &mut steps[index] else { continue };
            if before < range.len() {
                let rest = range.start + before..range.end;
                range.end = rest.start;
                let rest = if matches!(steps[index], Step::Pass(_)) { Step::Pass(rest) } else { Step::Own(rest) };
                steps.splice(index + 1..index + 1, [Step::Fault(fault), rest]);
                return;
            }
            before -= range.len();
        }
        steps.push(Step::Fault(fault));
    }

    /// How many octets a peer is to get so far.
    #[must_use]
    pub fn octets(&self, to: Peer) -> usize {
        let octets = |step: &Step| match step {
            Step::Pass(range) | Step::Own(range) => range.len(),
            Step::Fault(_) => 0,
        };
        self.steps[to.index()].iter().map(octets).sum()
    }

    /// True if something happens to what goes to a peer: then [`Outbox::steps`] says where.
    #[must_use]
    pub const fn is_troubled(&self, to: Peer) -> bool {
        self.troubled[to.index()]
    }

    /// Reports an event.
    pub fn report(&mut self, from: Peer, what: What) {
        self.batch.events.push(Event { from, what });
    }

    /// Reports bytes of a data block. Those that follow each other within a call are one event, up to [`MAX_OCTETS`].
    /// They are of this frame and kind; the last says whether they are secret.
    pub fn report_bytes(&mut self, from: Peer, of: (u64, DataKind, bool), bytes: &[u8]) {
        let (frame, kind, secret) = of;
        let mut rest = bytes;
        let end = self.batch.bytes.len();
        if let Some(Event { from: before, what: What::Octets(last) }) = self.batch.events.last_mut()
            && (*before, last.frame, last.kind, last.secret) == (from, frame, kind, secret)
            && last.bytes.end as usize == end
        {
            let more = rest.len().min(MAX_OCTETS.saturating_sub(last.bytes.len()));
            last.bytes = Span::new(last.bytes.start as usize, end + more);
            self.batch.bytes.extend_from_slice(&rest[..more]);
            rest = &rest[more..];
        }
        for piece in rest.chunks(MAX_OCTETS) {
            let bytes = self.keep(piece);
            self.report(from, What::Octets(Octets { frame, kind, bytes, secret }));
        }
    }

    /// Copies octets into the batch's arena, for an event to point at.
    pub fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(bytes);
        Span::new(start, self.batch.bytes.len())
    }

    /// What goes to a peer, in order; `chunk` is what was just received.
    pub fn pieces<'a>(&'a self, to: Peer, chunk: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.steps(to, chunk).filter_map(|piece| match piece {
            Piece::Octets(octets) => Some(octets),
            Piece::Fault(_) => None,
        })
    }

    /// The same with what happens between them.
    pub fn steps<'a>(&'a self, to: Peer, chunk: &'a [u8]) -> impl Iterator<Item = Piece<'a>> {
        self.steps[to.index()].iter().map(move |step| match step {
            Step::Pass(range) => Piece::Octets(&chunk[range.clone()]),
            Step::Own(range) => Piece::Octets(&self.own[range.clone()]),
            Step::Fault(fault) => Piece::Fault(fault),
        })
    }

    /// Forgets what was to be sent; the batch stays until the driver takes it.
    pub fn clear(&mut self) {
        for steps in &mut self.steps {
            steps.clear();
            steps.shrink_to(KEEP);
        }
        self.troubled = [false; 2];
        self.own.clear();
        self.own.shrink_to(KEEP * size_of::<Step>());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_stands_behind_any_octet() {
        for at in 0..=8 {
            let mut out = Outbox::default();
            out.send(Peer::Client, b"ab");
            out.pass(Peer::Client, 0..4);
            out.send(Peer::Client, b"gh");
            out.fault_at(Peer::Client, at, Fault { what: None, rule: "here".into() });
            let (mut before, mut all, mut met) = (0, Vec::new(), 0);
            for step in out.steps(Peer::Client, b"cdef") {
                match step {
                    Piece::Octets(octets) => all.extend_from_slice(octets),
                    Piece::Fault(_) => (before, met) = (all.len(), met + 1),
                }
            }
            assert_eq!((before, met, &all[..], out.octets(Peer::Client)), (at, 1, &b"abcdefgh"[..], 8));
            assert!(out.is_troubled(Peer::Client) && !out.is_troubled(Peer::Server));
            out.clear();
            assert!(!out.is_troubled(Peer::Client));
        }
    }
}
