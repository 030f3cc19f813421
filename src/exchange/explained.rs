//! An event with everything that is known about it: what filters and sinks are lent.

use std::time::Duration;

use super::Connection;
use crate::event::{Data, DataKind, Event, Known, Mark, Note, Summary, Time, Waiting, is_masked};

/// An event with everything that is known about it. Secrets are masked already in every slice.
#[derive(Debug, Clone, Copy)]
pub struct Explained<'a> {
    /// Its connection, as it is with this event: see [`Connection::exchange`] for the command that the event belongs to.
    pub connection: &'a Connection,
    /// When it happened.
    pub at: Time,
    /// The event itself.
    pub event: &'a Event,
    /// A text as received, or a data block's head.
    pub bytes: &'a [u8],
    /// A text as sent, where a rule changed it; empty when it was dropped.
    pub sent: Option<&'a [u8]>,
    /// With a text, what rules made of it or would make; with a data block, its subject. Empty if there is none.
    pub beside: &'a [u8],
    /// Roles of parts of `bytes`, in order and apart from each other.
    pub marks: &'a [Mark],
    /// Roles of parts of `sent`.
    pub sent_marks: &'a [Mark],
    /// For a reply, how long after the end of its command it came.
    pub latency: Option<Duration>,
    /// Who has logged in, as far as it is known.
    pub user: Option<&'a str>,
    /// Explanations, in the order in which they should be read.
    pub notes: &'a [Note],
    /// With [`What::Closed`](crate::event::What::Closed): the connection in numbers.
    pub summary: Option<&'a Summary>,
    /// With [`What::Waiting`](crate::event::What::Waiting): the wait in words.
    pub waiting: Option<&'a Waiting>,
    /// What conditions can ask about it, for a sink that is told.
    pub known: Option<&'a Known<'a>>,
}

impl<'a> Explained<'a> {
    /// True if nothing is to be shown of a block of data: it is a secret that is masked, or nobody can read it.
    #[must_use]
    pub fn hides(&self, data: &Data) -> bool {
        data.secret && (data.kind == DataKind::Opaque || is_masked(self.bytes))
    }

    /// An event of which nothing is known but itself.
    #[must_use]
    pub const fn bare(connection: &'a Connection, at: Time, event: &'a Event) -> Self {
        Explained {
            connection,
            at,
            event,
            bytes: &[],
            sent: None,
            beside: &[],
            marks: &[],
            sent_marks: &[],
            latency: None,
            user: None,
            notes: &[],
            summary: None,
            waiting: None,
            known: None,
        }
    }
}
