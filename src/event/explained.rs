//! What explaining adds to events: marks, notes, and the closing summary.

use std::sync::Arc;
use std::time::Duration;

use super::{Peer, Span, Verdict};

/// What a secret is masked with, octet by octet; its line ends stay.
pub const FILLER: u8 = b'*';

/// True if these octets of a secret are masked. They are not where secrets are shown.
#[must_use]
pub fn is_masked(secret: &[u8]) -> bool {
    secret.iter().all(|octet| matches!(*octet, FILLER | b'\r' | b'\n'))
}

/// A span with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Relative to the text.
    pub span: Span,
    /// What it is.
    pub role: Role,
}

/// What a part of a text is; a sink gives it its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A tag, `*` or `+`.
    Tag,
    /// A command's verb.
    Verb,
    /// The name of untagged data or of a data item.
    Name,
    /// OK, PREAUTH.
    Good,
    /// NO, BAD, BYE.
    Bad,
    /// A response code.
    Code,
    /// A capability.
    Capability,
    /// A capability that a rule takes away.
    Removed,
    /// A capability that a rule put there.
    Added,
    /// A string.
    String,
    /// A flag or keyword.
    Flag,
    /// A literal's announcement.
    Literal,
    /// Human text.
    Human,
    /// Masked octets.
    Secret,
    /// From where it was not understood, or what breaks the grammar.
    Surprise,
}

/// An explanation of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What sort of remark it is.
    pub kind: NoteKind,
    /// The name that it is about (a capability, a code), if any.
    pub about: Option<String>,
    /// One sentence or phrase. May quote a peer's octets; a sink escapes them.
    pub text: String,
    /// Where the rule or meaning is written: `RFC 9051 section 6.3.1`.
    pub rfc: Option<String>,
    /// Of a finding: the id of its check; empty for every other note.
    pub check: &'static str,
    /// Of a finding: the bytes of the text that it is about, if that is not all of it.
    pub span: Option<Span>,
    /// Of a finding: the first cause, if it follows from another one.
    pub consequence: Option<Consequence>,
}

impl Note {
    /// A note with the place of a rule or meaning, which may be empty.
    #[must_use]
    pub fn new(kind: NoteKind, text: impl Into<String>, rfc: &str) -> Self {
        let rfc = (!rfc.is_empty()).then(|| rfc.to_owned());
        Note { kind, about: None, text: text.into(), rfc, check: "", span: None, consequence: None }
    }
}

/// The finding from which another one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consequence {
    /// The frame in which it was made.
    pub frame: u64,
    /// The id of its check.
    pub check: &'static str,
}

/// How bad a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Legal, and known to break peers. Accuses nobody.
    Quirk,
    /// A rule with SHOULD is broken.
    Should,
    /// A rule with MUST, or the grammar, is broken.
    Must,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Severity; 3] = [Severity::Must, Severity::Should, Severity::Quirk];

    /// `must`, `should` or `quirk`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Severity::Must => "must",
            Severity::Should => "should",
            Severity::Quirk => "quirk",
        }
    }
}

/// Whose fault a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Culprit {
    /// The client's.
    Client,
    /// The server's.
    Server,
    /// That of both.
    Both,
    /// That of a box between them.
    Path,
    /// Nobody's.
    #[default]
    None,
}

impl Culprit {
    /// `client`, `server`, `both`, `path` or `none`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Culprit::Client => "client",
            Culprit::Server => "server",
            Culprit::Both => "both",
            Culprit::Path => "path",
            Culprit::None => "none",
        }
    }

    /// Returns true if this peer is at fault, alone or with the other one.
    #[must_use]
    pub const fn has(self, peer: Peer) -> bool {
        matches!((self, peer), (Culprit::Client, Peer::Client) | (Culprit::Server, Peer::Server) | (Culprit::Both, _))
    }
}

impl From<Peer> for Culprit {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Client => Culprit::Client,
            Peer::Server => Culprit::Server,
        }
    }
}

/// The sorts of notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteKind {
    /// What a command, response or code means.
    Meaning,
    /// What it answers, and after how long.
    Answer,
    /// One entry of a capability list.
    Capability(Fate),
    /// What a later capability list changes, and why.
    Difference,
    /// What a SASL message says, masked.
    Decoded,
    /// What the strict parser makes of it.
    Detail,
    /// What a rule did, or why it did not.
    Rule,
    /// Progress of the session: IDLE began, state changed, layer began.
    Session,
    /// A violation, and whose fault it is.
    Finding(Culprit),
}

/// What became of a capability between the server and the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Passed on.
    Kept,
    /// Taken away by a rule.
    Removed,
    /// Put there by a rule.
    Added,
}

/// A wait in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Who waits: `client`, `server`, or `imapscope`.
    pub by: &'static str,
    /// What for: `21 bytes of the client's literal`.
    pub what: String,
    /// The sentence, which says since when.
    pub text: String,
}

/// A connection in numbers, at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// What it comes to.
    pub verdict: Verdict,
    /// From the accept to the end, if times are known.
    pub lasted: Option<Duration>,
    /// Commands by verb, in the order of their first use.
    pub commands: Vec<Tally>,
    /// Capabilities that the client was offered and used, in the order of the first use.
    pub used: Vec<Used>,
    /// Capabilities that the client was offered and did not use.
    pub unused: Vec<String>,
    /// Capabilities that the client was offered and whose use nothing shows, or whose use may be in what was not seen.
    pub undetermined: Vec<String>,
    /// What the client used although it was not offered it: `(verb or feature, capability)`.
    pub unadvertised: Vec<(String, String)>,
    /// What a rule hid and the client tried all the same: `(verb or feature, capability)`.
    pub hidden_tried: Vec<(String, String)>,
    /// How many times each rule fired, as the user wrote it.
    pub rules: Vec<(Arc<str>, u64)>,
    /// In a dry run the counts of rules are those of texts on which they would have acted.
    pub dry: bool,
    /// How many findings there were, by culprit: `[client, server]`.
    pub findings: [u64; 2],
    /// Time spent in IDLE.
    pub idle: Duration,
    /// Responses that the strict parser has seen, and that it refused.
    pub strict: (u64, u64),
}

/// A capability in use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Used {
    /// As the server lists it, without its parameters.
    pub name: String,
    /// The frame in which it was used first: the client's command, or what the server sent.
    pub frame: u64,
    /// What used it first: `t3 UID SEARCH RETURN`.
    pub by: String,
}

/// How often a command was used, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// The verb in upper case.
    pub verb: String,
    /// How many were sent.
    pub count: u64,
    /// How many were answered with NO or BAD.
    pub failed: u64,
    /// How many were answered.
    pub answered: u64,
    /// How many were never answered, although an answer was due.
    pub unanswered: u64,
    /// The sum of the latencies of the answered ones.
    pub total: Duration,
    /// The longest latency, if there is one and times are known.
    pub longest: Option<Duration>,
}
