//! The sans-io core: octets in; octets, and events, out. Infallible, with no clock, no sockets and no output.

pub mod outbox;

use crate::event::{Closed, Event, Peer, What};
pub use outbox::{Outbox, Step};

/// One connection: two lanes, and what is going on between them.
#[derive(Debug, Default)]
pub struct Session {}

impl Session {
    /// Takes what one read gave and says, through `out`, what to send where. Returns how many octets of `chunk`
    /// belong to the present layer: fewer than all of them only after a [`What::Upgrade`] that the driver must act on.
    pub fn receive(&mut self, from: Peer, chunk: &[u8], out: &mut Outbox) -> usize {
        out.pass(from.other(), 0..chunk.len());
        chunk.len()
    }

    /// The peer will send no more. What was held or undecided is settled.
    pub fn closed(&mut self, from: Peer, out: &mut Outbox) {
        out.batch.events.push(Event { from, what: What::HalfClosed });
    }

    /// The connection is over; `end` is reported as its last event.
    pub fn ended(&mut self, from: Peer, end: Closed, out: &mut Outbox) {
        out.batch.events.push(Event { from, what: What::Closed(Box::new(end)) });
    }
}
