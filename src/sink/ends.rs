//! Connections by their ends: an opening and a close with its summary, and nothing between. An opening waits for its close, so that
//! both are shown together, however many connections are open at once.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::Sink;
use super::gate::{Behind, Gate};
use crate::event::{Event, Note, Opened, Peer, Time, What};
use crate::exchange::{Connection, Explained};

/// A sink that is given the ends of connections only.
pub type OnlyEnds<S> = Behind<Ends, S>;

impl<S: Sink> OnlyEnds<S> {
    /// Wraps a sink.
    pub fn new(sink: S) -> Self {
        Behind::gate(Ends::default(), sink)
    }
}

/// Lets the ends of connections through.
#[derive(Debug, Default)]
pub struct Ends {
    /// The openings of connections that are open. Bounded by their number.
    openings: HashMap<u64, Opening>,
}

#[derive(Debug)]
struct Opening {
    at: Time,
    from: Peer,
    opened: Arc<Opened>,
    notes: Vec<Note>,
}

impl Opening {
    fn put(self, connection: &Connection, sink: &mut dyn Sink) -> io::Result<()> {
        let event = Event { from: self.from, what: What::Opened(Box::new((*self.opened).clone())) };
        sink.put(&Explained { notes: &self.notes, ..Explained::bare(connection, self.at, &event) })
    }
}

impl Gate for Ends {
    fn put(&mut self, event: &Explained<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        match &event.event.what {
            What::Opened(opened) => {
                let opened = event.connection.opened.clone().unwrap_or_else(|| Arc::new((**opened).clone()));
                let opening = Opening { at: event.at, from: event.event.from, opened, notes: event.notes.to_vec() };
                self.openings.insert(event.connection.number, opening);
                Ok(())
            }
            What::Closed(_) => {
                if let Some(opening) = self.openings.remove(&event.connection.number) {
                    opening.put(event.connection, sink)?;
                }
                sink.put(event)
            }
            _ => {
                sink.skip(event);
                Ok(())
            }
        }
    }

    fn skip(&mut self, event: &Explained<'_>) {
        if matches!(event.event.what, What::Closed(_)) {
            self.openings.remove(&event.connection.number);
        }
    }
}
