//! A client that speaks before the server's greeting. In SMTP that is a fault only where the server does not offer PIPECONNECT,
//! which its answer to EHLO shows: the finding waits for that answer.

use super::Explainer;
use crate::check::Standard;
use crate::check::session::BEFORE_GREETING;
use crate::event::{Note, NoteKind, Peer};
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
        if self.early != Early::No || !matches!(self.standard, Standard::Smtp | Standard::Pop3) {
            return;
        }
        if self.standard == Standard::Smtp && known.lists == Some(Lists::Capabilities) {
            self.early = Early::Held;
            let text = "sent before the greeting of the server, which is allowed only if the server offers PIPECONNECT";
            return self.notes.push(Note::new(NoteKind::Session, text, "RFC 5321 section 4.3.1"));
        }
        self.early = Early::Judged;
        self.notes.push(BEFORE_GREETING.found(Peer::Client, "spoke before the greeting of the server", self.standard));
    }

    /// The server has listed what it offers.
    pub(super) fn judge_early(&mut self, server: &Names) {
        if self.early == Early::Held {
            self.early = Early::Judged;
            if !ALLOWED.iter().any(|name| server.has(name)) {
                let text = "spoke before the greeting of the server, which does not offer PIPECONNECT";
                self.notes.push(BEFORE_GREETING.found(Peer::Client, text, self.standard));
            }
        }
    }
}
