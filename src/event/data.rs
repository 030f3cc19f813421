//! Octets that no rule edits: literals, messages, what is too long or cannot be read.

use serde::{Deserialize, Serialize};

use super::{Oddity, Span, State};

/// How many octets of a data block are kept for the log ([`Data::head`]).
pub const MAX_HEAD: usize = 512;

/// The largest piece in which all octets of a data block are reported ([`Octets`]).
pub const MAX_OCTETS: usize = 32 * 1024;

/// How many octets of a message's subject are kept ([`Data::subject`]).
pub const MAX_SUBJECT: usize = 256;

/// A piece of a data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octets {
    /// The frame it belongs to.
    pub frame: u64,
    /// What kind of block.
    pub kind: DataKind,
    /// The octets, into the arena; [`MAX_OCTETS`] at most.
    pub bytes: Span,
    /// True if they must not be shown.
    pub secret: bool,
}

/// A block of octets that no rule edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The frame it belongs to.
    pub frame: u64,
    /// What kind of block.
    pub kind: DataKind,
    /// Octets that came.
    pub len: u64,
    /// Octets that were announced, if any were; larger than `len` when the peer stopped early.
    pub announced: Option<u64>,
    /// The first [`MAX_HEAD`] octets or fewer, into the arena.
    pub head: Span,
    /// The subject, if these are lines of a message and it was found ([`MAX_SUBJECT`]); into the arena.
    pub subject: Span,
    /// How many lines it has, where they are counted: see [`DataKind::Blank`].
    pub lines: Option<u64>,
    /// True if it must not be shown: the head then is there for decoding only.
    pub secret: bool,
    /// The state in which it was sent.
    pub state: State,
    /// What was odd about it on the wire.
    pub oddities: Vec<Oddity>,
}

/// The kinds of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataKind {
    /// The octets of a literal.
    Literal,
    /// A line longer than [`MAX_TEXT`](super::MAX_TEXT), whole.
    Overlong,
    /// Everything after an upgrade, or a layer that cannot be read.
    Opaque,
    /// A binary PROXY protocol header.
    Proxy,
    /// Lines of the client's to a dot: a message (DATA).
    Message,
    /// The octets of a chunk of a message (BDAT).
    Chunk,
    /// Lines of the server's to a dot: a message (RETR), or a listing (LIST).
    Lines,
    /// Lines that are too many to be read: those between STARTTLS and TLS, or those that still waited when their peer ended.
    Rest,
    /// A run of empty lines: those after the first few, which are texts.
    Blank,
}
