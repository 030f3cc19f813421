//! A silence in which somebody owes something.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DataKind, Peer, Time};

/// Who waits for what, after a silence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Wait {
    /// Who waits. The other peer owes, unless imapscope does ([`Owed::Held`]).
    pub by: Peer,
    /// imapscope waits in its place: the peer was not told of what is owed.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub ours: bool,
    /// When the last byte moved.
    pub since: Time,
    /// What is owed.
    pub owed: Owed,
}

/// What is owed. Frames are those of commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owed {
    /// The server's greeting.
    Greeting,
    /// The last reply to a command.
    Reply {
        /// The command.
        frame: u64,
        /// Number of commands that wait behind it.
        behind: u64,
    },
    /// A continuation request.
    Continuation {
        /// The command that needs it.
        frame: u64,
        /// What it is needed for.
        ask: Ask,
    },
    /// The client's answer to a challenge.
    Response {
        /// The command that began the exchange.
        frame: u64,
    },
    /// The end of IDLE: a command waits behind it.
    Done {
        /// The command that began it.
        frame: u64,
    },
    /// The rest of what was announced.
    Bytes {
        /// What it is.
        data: DataKind,
        /// Number of bytes that are missing.
        left: u64,
    },
    /// The line with a single dot, which ends a message or lines.
    Dot {
        /// What it ends.
        data: DataKind,
        /// Number of bytes that came.
        came: u64,
    },
    /// The end of a line.
    LineEnd {
        /// What line it is.
        line: Line,
        /// Number of bytes of it that came; `None` where it may hold a secret.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        came: Option<u64>,
        /// The verb, in the spelling of the grammar, if what came is a whole command but for its line end.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verb: Option<Box<str>>,
    },
    /// The last line of a reply of several lines.
    LastLine {
        /// Number of bytes that came.
        came: u64,
    },
    /// The end of a block of DEFLATE, before which its bytes cannot be read.
    Block {
        /// Number of compressed bytes that came.
        came: u64,
    },
    /// The peer's part of a TLS handshake.
    Tls {
        /// Both peers agreed to it.
        agreed: bool,
    },
    /// The peer does not read what waits for it.
    Room {
        /// Number of bytes that wait.
        bytes: u64,
    },
    /// A rule of the user's holds back what waits for the peer.
    Held {
        /// Number of bytes that wait.
        bytes: u64,
        /// The rule, as the user wrote it.
        rule: Arc<str>,
        /// They never leave.
        stalled: bool,
    },
}

/// What a line is whose end is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A command or response, or its first line.
    Text,
    /// What follows a literal in one.
    Rest,
    /// The client's answer to a challenge.
    Response,
}

/// What a continuation request is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// To send a literal.
    Literal,
    /// To send a SASL response.
    Sasl,
    /// To know that IDLE has begun.
    Idle,
    /// To send a message.
    Message,
}
