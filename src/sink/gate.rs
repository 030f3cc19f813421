//! A sink behind a gate: something that decides what of all events the sink is given.

use std::io;

use super::Sink;
use crate::exchange::Explained;

/// Decides what a sink is given.
pub trait Gate: Send {
    /// Gives the sink what it is to have of an event, or lets it skip the event.
    fn put(&mut self, event: &Explained<'_>, sink: &mut dyn Sink) -> io::Result<()>;
    /// Takes note of an event that was kept back before it came here.
    fn skip(&mut self, _: &Explained<'_>) {}
}

/// A sink that is given only what a gate lets through.
pub struct Behind<G, S> {
    gate: G,
    sink: S,
}

impl<G: Gate, S: Sink> Behind<G, S> {
    /// This sink behind this gate.
    pub const fn gate(gate: G, sink: S) -> Self {
        Behind { gate, sink }
    }
}

impl<G: Gate, S: Sink> Sink for Behind<G, S> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        self.gate.put(event, &mut self.sink)
    }

    fn skip(&mut self, event: &Explained<'_>) {
        self.gate.skip(event);
        self.sink.skip(event);
    }

    fn is_full(&self) -> bool {
        self.sink.is_full()
    }

    fn wants_octets(&self) -> bool {
        self.sink.wants_octets()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        self.sink.end()
    }
}
