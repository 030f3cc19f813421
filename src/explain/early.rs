//! A client that speaks before the server's greeting. In SMTP that is a fault only where the server does not offer PIPECONNECT,
//! which its answer to EHLO shows: the finding waits for that answer.

use super::Explainer;
use super::book::Book;
use super::finding::{finding, note};
use crate::event::{NoteKind, Peer};
use crate::exchange::capability::Names;
use crate::grammar::{Command, Lists};

/// What allows a client that was here before to speak first (Exim), by its name of today and its first one.
const ALLOWED: [&str; 2] = ["PIPECONNECT", "X_PIPE_CONNECT"];

/// What is known of it on one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Early {
    /// The client waited, so far.
    #[default]
    No,
    /// It asked for the extensions before the greeting: the list will tell whether it might.
    Held,
    /// It was judged.
    Judged,
}

impl Explainer {
    /// A command came before the greeting.
    pub(super) fn spoke_early(&mut self, known: &Command) {
        if self.early != Early::No || !matches!(self.book, Book::Smtp | Book::Pop3) {
            return;
        }
        if self.book == Book::Smtp && known.lists == Some(Lists::Capabilities) {
            self.early = Early::Held;
            let text = "sent before the greeting of the server, which is allowed only if the server offers PIPECONNECT";
            return self.notes.push(note(NoteKind::Session, text, "RFC 5321 section 4.3.1"));
        }
        self.early = Early::Judged;
        let rfc = if self.book == Book::Smtp { "RFC 5321 section 4.3.1" } else { "RFC 1939 section 3" };
        self.notes.push(finding(Peer::Client, "before-greeting", "spoke before the greeting of the server", rfc));
    }

    /// The server has listed what it offers.
    pub(super) fn judge_early(&mut self, server: &Names) {
        if self.early == Early::Held {
            self.early = Early::Judged;
            if !ALLOWED.iter().any(|name| server.has(name)) {
                let text = "spoke before the greeting of the server, which does not offer PIPECONNECT";
                self.notes.push(finding(Peer::Client, "before-greeting", text, "RFC 5321 section 4.3.1"));
            }
        }
    }
}
