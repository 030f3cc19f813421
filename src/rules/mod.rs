//! Rules: a reading and the user's wishes in, other octets out. Edits are spans of the original text and their
//! replacement; a message is never serialised anew. Knows no grammar, no session and no clock.

use std::sync::Arc;

use crate::event::{Peer, Reading, State};

/// The user's rules, compiled; immutable and shared by all connections.
#[derive(Debug, Default)]
pub struct Rules {}

/// A text, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// Who sent it.
    pub from: Peer,
    /// As received, line end included.
    pub text: &'a [u8],
    /// What it is.
    pub reading: &'a Reading,
    /// The state in which it was sent.
    pub state: State,
    /// The grammar's name.
    pub protocol: &'a str,
    /// The number of the connection.
    pub connection: u64,
    /// The verb of the command that it is or answers, in upper case; empty if none.
    pub command: &'a str,
}

/// What the rules make of a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Edit {
    /// What to send instead; `None` to send it as it is (every matching rule was refused).
    pub bytes: Option<Vec<u8>>,
    /// The rules that changed it, as the user wrote them.
    pub fired: Vec<Arc<str>>,
    /// The rules that matched and were not applied, each with the reason.
    pub refused: Vec<(Arc<str>, String)>,
}

impl Rules {
    /// True if a rule can touch what this peer sends.
    #[must_use]
    pub fn touches(&self, _from: Peer) -> bool {
        false
    }

    /// Applies all rules to a text; `None` if none of them matches.
    #[must_use]
    pub fn edit(&self, _scene: &Scene<'_>) -> Option<Edit> {
        None
    }
}
