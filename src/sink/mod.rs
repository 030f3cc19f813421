//! Consumers of explained events: the trait, and the fan-out to several of them.

use std::io;

use crate::event::Explained;

/// A consumer of explained events.
pub trait Sink: Send {
    /// Takes one event. May buffer.
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()>;
    /// Makes all that was put visible; called when nothing more is waiting.
    fn flush(&mut self) -> io::Result<()>;
    /// No more events will come.
    fn end(&mut self) -> io::Result<()>;
}
