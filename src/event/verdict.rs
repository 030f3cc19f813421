//! What a connection comes to: who is at fault, who waits for what, or after which line the client stopped.

use super::{Culprit, Time};

/// What a connection comes to, at its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// In one word.
    pub kind: VerdictKind,
    /// The first cause, where something broke a rule, was refused, or waits.
    pub cause: Cause,
    /// In one sentence, which names the kind. May quote a peer; sinks escape it.
    pub text: String,
    /// What else was found, in the order in which it came. Bounded; see [`Verdict::more`].
    pub others: Vec<Cause>,
    /// Number of further findings, which are not among the others.
    pub more: u64,
    /// The capabilities in use at the end, with what used each, the most suspect one first.
    pub suspects: Vec<Suspect>,
}

/// A capability that may be to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// Its name.
    pub name: String,
    /// What used it first: `t3 UID SEARCH RETURN`.
    pub by: String,
    /// What to try: `--drop-cap MOVE`.
    pub try_it: String,
}

/// The kinds of verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum VerdictKind {
    /// The server broke a rule, first.
    Server,
    /// The client broke a rule, first.
    Client,
    /// Nothing is wrong in what was said, and the client went no further.
    Stopped,
    /// The server, or imapscope for a rule, refused what the session was for.
    Refused,
    /// The same because of a limit: a quota, a size, a number of connections, a time.
    Limit,
    /// When it ended, a peer had waited in vain.
    Waiting,
    /// Nothing is wrong.
    #[default]
    None,
}

impl VerdictKind {
    /// All of them, the worst first.
    pub const ALL: [VerdictKind; 7] = [
        VerdictKind::Server,
        VerdictKind::Client,
        VerdictKind::Refused,
        VerdictKind::Limit,
        VerdictKind::Waiting,
        VerdictKind::Stopped,
        VerdictKind::None,
    ];

    /// The word that json has for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            VerdictKind::Server => "server",
            VerdictKind::Client => "client",
            VerdictKind::Stopped => "stopped",
            VerdictKind::Refused => "refused",
            VerdictKind::Limit => "limit",
            VerdictKind::Waiting => "waiting",
            VerdictKind::None => "none",
        }
    }
}

/// A finding, or another fact that explains how a connection went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cause {
    /// The name of the check; empty where none is concerned.
    pub check: &'static str,
    /// Whose fault it is.
    pub culprit: Culprit,
    /// The frame in which it was seen; 0 for what concerns the connection as a whole.
    pub frame: u64,
    /// When.
    pub at: Time,
    /// In one sentence. May quote a peer.
    pub text: String,
    /// The line in which it was seen, with its sender before it: `S: a1 OK done`. May quote a peer.
    pub line: String,
}
