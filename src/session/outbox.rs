//! What a session wants sent and reported: per direction a queue of steps, and a batch of events. Owned by the driver.

use std::ops::Range;

use super::Upgrade;
use crate::event::{Batch, Event, Peer, Span, What};

/// One piece to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// This range of the chunk that was just received.
    Pass(Range<usize>),
    /// This range of the outbox's own octets.
    Own(Range<usize>),
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

    /// Reports an event.
    pub fn report(&mut self, from: Peer, what: What) {
        self.batch.events.push(Event { from, what });
    }

    /// Copies octets into the batch's arena, for an event to point at.
    pub fn keep(&mut self, bytes: &[u8]) -> Span {
        let start = self.batch.bytes.len();
        self.batch.bytes.extend_from_slice(bytes);
        Span::new(start, self.batch.bytes.len())
    }

    /// What goes to a peer, in order; `chunk` is what was just received.
    pub fn pieces<'a>(&'a self, to: Peer, chunk: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.steps[to.index()].iter().map(move |step| match step {
            Step::Pass(range) => &chunk[range.clone()],
            Step::Own(range) => &self.own[range.clone()],
        })
    }

    /// Forgets what was to be sent; the batch stays until the driver takes it.
    pub fn clear(&mut self) {
        for steps in &mut self.steps {
            steps.clear();
            steps.shrink_to(KEEP);
        }
        self.own.clear();
        self.own.shrink_to(KEEP * size_of::<Step>());
    }
}
