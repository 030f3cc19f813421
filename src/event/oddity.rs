//! What may be wrong with a text or block on the wire, and how it came.

use serde::{Deserialize, Serialize};

/// What may be wrong with a text or data block on the wire. Never a reason to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oddity {
    /// Ended by LF without CR.
    BareLf,
    /// A CR that is not followed by LF, at this octet.
    BareCr(u32),
    /// A NUL, at this octet.
    Nul(u32),
    /// The connection ended before the line or block did.
    Truncated,
    /// The other peer ended the connection before the line or block was complete.
    CutShort,
    /// Bytes before it, after it or within it are missing from what was read.
    Torn,
    /// The log, or imapscope itself, ended the connection before the line or block was complete; no peer did.
    Unfinished,
    /// What should be a DEFLATE stream is none.
    NotDeflate,
    /// Plain text where DEFLATE should be; said of the first of a peer's.
    InsteadOfDeflate,
    /// A quoted string is still open at the line end; it begins at this octet.
    OpenQuote(u32),
    /// `{…}` at the line end that is no literal (not plain digits, or inside an open quote), at this octet.
    NotALiteral(u32),
    /// A tagged reply whose tag no command in flight has.
    UnknownTag,
    /// A continuation request that nothing asked for.
    UnexpectedGoAhead,
    /// Octets that were sent before the server had said whether they may be; read after its answer.
    Early,
    /// It waited for the answer to STARTTLS, this many milliseconds, before it was sent on.
    Waited(u64),
    /// Bytes after STARTTLS and before its answer: they would be injected into the protected session.
    Injected,
    /// Text after the server's consent to TLS, in the place of TLS; said of the first of a peer's.
    InsteadOfTls,
    /// A command inside IDLE instead of DONE.
    InsideIdle,
    /// A text longer than [`MAX_TEXT`](super::MAX_TEXT) that a rule would have acted on: it was passed on as it came.
    Unruled,
    /// A literal that the server refused: its octets were never sent.
    LiteralRefused,
    /// A server announced `{n+}`, which only clients may.
    ServerNonSync,
    /// A DONE outside IDLE.
    StrayDone,
    /// An untagged response code without its status word, or a status word without a text.
    Malformed,
    /// A reply that no command was waiting for; said of the first of several.
    UnexpectedReply,
    /// More commands wait for their replies than are kept; said of the first of them.
    TooManyInFlight,
    /// A reply whose lines do not all have the same code.
    CodeChanges,
    /// What some servers would take for the end of a message, this many bytes into it, and is none (RFC 5321 section 4.1.1.4).
    FalseEnd(FalseEnd, u64),
    /// A reply to a message that has not ended for the standard.
    InsideMessage,
    /// Inside a message for the standard, and after its end for a server that took a false end for it. This many bytes, the
    /// first ones, were reported before as the message's, and are read a second time: see [`repeated`].
    Smuggled(u64),
    /// A message was closed where a server that replied early may have seen its end.
    ClosedEarly,
    /// Nothing odd: after this reply nobody knows which commands the next ones answer, until one is answered alone. The server may
    /// read data as commands, each with a reply of its own, or have accepted any number of recipients.
    Misread,
    /// Not sent on: it is between the peer and imapscope.
    Kept,
    /// Said by imapscope itself, and not by the peer.
    Ours,
    /// Not sent on: it goes on with what a rule has taken away.
    Dropped,
    /// The log has nothing of this block: it leaves such out.
    LeftOut,
    /// Nothing odd: its state is inferred from the client's commands, as bytes before it are missing, and no reply has
    /// confirmed it.
    Inferred,
}

impl Oddity {
    /// The word for it, which json has too; a finding that it gives is a check of this name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Oddity::BareLf => "bare-lf",
            Oddity::BareCr(_) => "bare-cr",
            Oddity::Nul(_) => "nul",
            Oddity::Truncated => "truncated",
            Oddity::CutShort => "cut-short",
            Oddity::Torn => "torn",
            Oddity::LeftOut => "left-out",
            Oddity::Inferred => "inferred",
            Oddity::Unfinished => "unfinished",
            Oddity::NotDeflate => "not-deflate",
            Oddity::InsteadOfDeflate => "instead-of-deflate",
            Oddity::OpenQuote(_) => "open-quote",
            Oddity::NotALiteral(_) => "not-a-literal",
            Oddity::UnknownTag => "unknown-tag",
            Oddity::UnexpectedGoAhead => "unexpected-go-ahead",
            Oddity::Early => "early",
            Oddity::Waited(_) => "waited",
            Oddity::Injected => "injected",
            Oddity::InsteadOfTls => "instead-of-tls",
            Oddity::InsideIdle => "inside-idle",
            Oddity::Unruled => "unruled",
            Oddity::LiteralRefused => "literal-refused",
            Oddity::ServerNonSync => "server-non-sync",
            Oddity::StrayDone => "stray-done",
            Oddity::Malformed => "malformed",
            Oddity::UnexpectedReply => "unexpected-reply",
            Oddity::TooManyInFlight => "too-many-in-flight",
            Oddity::CodeChanges => "code-changes",
            Oddity::FalseEnd(..) => "false-end",
            Oddity::InsideMessage => "inside-message",
            Oddity::Smuggled(_) => "smuggled",
            Oddity::ClosedEarly => "closed-early",
            Oddity::Misread => "misread",
            Oddity::Kept => "kept",
            Oddity::Ours => "ours",
            Oddity::Dropped => "dropped",
        }
    }
}

/// True if one of these says that something is odd.
#[must_use]
pub fn says_odd(oddities: &[Oddity]) -> bool {
    oddities.iter().any(|odd| !matches!(odd, Oddity::Inferred | Oddity::Misread))
}

/// How many of the first octets of a text or of data with these oddities were reported before: what keeps octets passes them
/// over. All others are reported once.
#[must_use]
pub fn repeated(oddities: &[Oddity]) -> u64 {
    let counts = oddities.iter().map(|odd| if let Oddity::Smuggled(count) = odd { *count } else { 0 });
    counts.max().unwrap_or(0)
}

/// A dot on what looks like a line of its own, and is not between CRLF and CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FalseEnd {
    /// The line end before the dot.
    pub before: LineEnd,
    /// The line end after it.
    pub after: LineEnd,
}

/// The line ends that are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineEnd {
    /// CR LF
    CrLf,
    /// LF alone
    Lf,
    /// CR alone
    Cr,
}

impl LineEnd {
    /// For people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            LineEnd::CrLf => "CRLF",
            LineEnd::Lf => "LF",
            LineEnd::Cr => "CR",
        }
    }
}
