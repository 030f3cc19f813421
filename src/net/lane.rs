//! What waits to be sent to one peer, and the desk of a worker thread: the read buffer and the outbox that are lent
//! to whichever connection is readable, so that an idle connection owns neither. Knows octets only.

use std::cell::RefCell;
use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;
use std::task::Context;

use super::trouble::{Next, Troubles};
use crate::session::{Fault, Outbox};

/// The size of a read, in octets.
pub const READ: usize = 256 * 1024;

/// Up to this many octets, what could not be written is copied; beyond, the read buffer itself is kept.
const COPY: usize = 64 * 1024;

/// Read buffers that a thread keeps for re-use.
const SPARE: usize = 2;

thread_local! {
    static DESK: RefCell<Desk> = RefCell::new(Desk::default());
}

/// What a worker thread lends to a connection for the time of one read.
#[derive(Debug, Default)]
pub struct Desk {
    /// [`READ`] octets.
    pub buffer: Vec<u8>,
    /// Empty.
    pub out: Outbox,
    spare: Vec<Vec<u8>>,
}

/// Lends this thread's desk. Must not be called within itself, nor be kept over an await.
pub fn lend<T>(work: impl FnOnce(&mut Desk) -> T) -> T {
    DESK.with(|desk| {
        let desk = &mut *desk.borrow_mut();
        if desk.buffer.len() != READ {
            desk.buffer = desk.spare.pop().unwrap_or_else(|| vec![0; READ]);
        }
        // Not empty only if a session broke off in the middle.
        desk.out.clear();
        desk.out.batch.bytes.clear();
        desk.out.batch.events.clear();
        work(desk)
    })
}

fn give_back(buffer: Vec<u8>) {
    if buffer.len() == READ {
        DESK.with(|desk| {
            if let Ok(mut desk) = desk.try_borrow_mut()
                && desk.spare.len() < SPARE
            {
                desk.spare.push(buffer);
            }
        });
    }
}

/// Octets on their way to one peer that its socket did not take yet. Owns no memory while there are none and nothing
/// happens to them.
#[derive(Debug, Default)]
pub struct Lane {
    bytes: Vec<u8>,
    range: Range<usize>,
    troubles: Option<Box<Troubles>>,
}

impl Lane {
    /// True if nothing waits, and nothing is to happen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty() && !self.is_marked()
    }

    /// True if nothing happens to what goes this way: [`Lane::next`] need not be asked.
    #[must_use]
    pub const fn is_calm(&self) -> bool {
        self.troubles.is_none()
    }

    /// True if something is to happen yet.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.troubles.as_ref().is_some_and(|troubles| troubles.is_marked())
    }

    /// True if nothing leaves any more.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.troubles.as_ref().is_some_and(|troubles| troubles.is_stalled())
    }

    /// Lets something happen behind what waits.
    pub fn mark(&mut self, fault: &Fault) {
        self.troubles.get_or_insert_default().mark(self.range.len(), fault.clone());
    }

    /// What is to be done with what waits, in a lane that is not calm.
    pub fn next(&mut self, cx: &mut Context<'_>) -> Next {
        let Some(troubles) = &mut self.troubles else { return Next::Nothing };
        let next = troubles.poll(self.range.len(), cx);
        if troubles.is_over() && next == Next::Nothing {
            self.troubles = None;
        }
        next
    }

    /// The rules of stalls and ends that have not happened.
    pub fn missed(&self) -> impl Iterator<Item = &Arc<str>> {
        self.troubles.iter().flat_map(|troubles| troubles.missed())
    }

    /// The rule that holds back what waits, if one does, and whether it does so for ever.
    #[must_use]
    pub fn holder(&self) -> Option<(&Arc<str>, bool)> {
        self.troubles.as_ref().and_then(|troubles| troubles.holder())
    }

    /// How many octets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// What waits.
    #[must_use]
    pub fn waiting(&self) -> IoSlice<'_> {
        IoSlice::new(&self.bytes[self.range.clone()])
    }

    /// Adds a copy of `piece` at the end.
    pub fn add(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        if self.range.is_empty() {
            self.free();
        }
        self.bytes.truncate(self.range.end);
        self.bytes.extend_from_slice(piece);
        self.range.end = self.bytes.len();
    }

    /// Keeps `rest` of a read buffer: by copy if it is small, else by taking the buffer.
    pub fn keep(&mut self, buffer: &mut Vec<u8>, rest: Range<usize>) {
        if self.range.is_empty() && rest.len() > COPY {
            self.free();
            self.bytes = std::mem::take(buffer);
            self.range = rest;
        } else {
            self.add(&buffer[rest]);
        }
    }

    /// `count` octets were sent.
    pub fn sent(&mut self, count: usize) {
        let count = count.min(self.range.len());
        self.range.start += count;
        if let Some(troubles) = &mut self.troubles {
            troubles.sent(count);
        }
        if self.range.is_empty() {
            self.free();
        }
    }

    /// Forgets what waits and what was to happen, and gives the memory back.
    pub fn clear(&mut self) {
        self.troubles = None;
        self.free();
    }

    fn free(&mut self) {
        self.range = 0..0;
        if self.bytes.capacity() > 0 {
            give_back(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_keeps_order_and_then_nothing() {
        let mut lane = Lane::default();
        lane.add(b"abc");
        lane.add(b"def");
        lane.sent(4);
        lane.add(b"g");
        assert_eq!(&*lane.waiting(), b"efg");
        lane.sent(3);
        assert!(lane.is_empty() && lane.bytes.capacity() == 0);
    }

    #[test]
    fn a_large_rest_takes_the_buffer_and_a_small_one_does_not() {
        let mut buffer = vec![b'x'; READ];
        let mut lane = Lane::default();
        lane.keep(&mut buffer, READ - 10..READ);
        assert_eq!((buffer.len(), lane.len()), (READ, 10));
        lane.clear();
        buffer[READ - 1] = b'y';
        lane.keep(&mut buffer, 1..READ);
        assert_eq!((buffer.len(), lane.len()), (0, READ - 1));
        lane.add(b"z");
        lane.sent(READ - 2);
        assert_eq!(&*lane.waiting(), b"yz");
        lane.sent(2);
        lend(|desk| assert_eq!(desk.buffer.len(), READ));
    }
}
