//! The shared nouns: what a connection reports, and how it looks once it is explained.
//!
//! Plain data, no logic, and nothing of ours imported. Bytes are never copied into an event: a [`Batch`] owns
//! one arena, and events point into it with a [`Span`]. `net` stamps a batch with its time, `explain` adds marks
//! and notes and masks secrets.

mod connection;
mod data;
mod explained;
mod known;
mod list;
mod oddity;
mod probed;
mod protocol;
mod tls;
mod verdict;
mod wait;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use connection::{Closed, Closer, Opened, RouteName};
pub use data::{Data, DataKind, MAX_HEAD, MAX_OCTETS, MAX_SUBJECT, Octets};
pub use explained::{
    Consequence, Culprit, FILLER, Fate, Mark, Note, NoteKind, Role, Severity, Summary, Tally, Used, Waiting, is_masked,
};
pub use known::{Known, Part, Value};
pub use list::{Item, List, ListKind};
pub use oddity::{FalseEnd, LineEnd, Oddity, repeated, says_odd};
pub use probed::{Offer, Probed, Secured, Stage};
pub use protocol::{Form, State};
pub use tls::{Certificate, Hello, TlsFacts, Verification};
pub use verdict::{Cause, Suspect, Verdict, VerdictKind};
pub use wait::{Ask, Line, Owed, Wait};

/// The largest text that is held or read as one piece, in octets (line end included). What is longer is
/// [`DataKind::Overlong`] data: relayed and counted, shown by its head.
pub const MAX_TEXT: usize = 64 * 1024;

/// One of the two ends of a connection. A lane is named by the peer that sends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// The mail client, which connected to us.
    Client,
    /// The mail server, to which we connected.
    Server,
}

impl Peer {
    /// The other end.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Peer::Client => Peer::Server,
            Peer::Server => Peer::Client,
        }
    }

    /// 0 for the client, 1 for the server: to index a pair of lanes.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// `client` or `server`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Peer::Client => "client",
            Peer::Server => "server",
        }
    }
}

/// A moment, in nanoseconds since the Unix epoch; never runs backwards within one process. Zero where none is known, as in a
/// transcript without times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub u64);

impl Time {
    /// The time from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The same, or `None` if no time is known.
    #[must_use]
    pub const fn after(self, earlier: Time) -> Option<Duration> {
        if self.0 == 0 { None } else { Some(self.since(earlier)) }
    }
}

/// A half-open range of octets: of a batch's arena, or of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(into = "(u32, u32)", from = "(u32, u32)")]
pub struct Span {
    /// First octet.
    pub start: u32,
    /// One past the last octet.
    pub end: u32,
}

impl Span {
    /// The range `start..end`. Both must fit 32 bits, which every text and every arena does.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Span { start: start as u32, end: end as u32 }
    }

    /// Length in octets.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// True for a span of no octets.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.end <= self.start
    }

    /// The octets of `bytes` that this span covers; empty where it does not fit.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// The same span, `by` octets further on.
    #[must_use]
    pub const fn shifted(self, by: usize) -> Self {
        Span { start: self.start + by as u32, end: self.end + by as u32 }
    }
}

impl From<(u32, u32)> for Span {
    fn from((start, end): (u32, u32)) -> Self {
        Span { start, end }
    }
}

impl From<Span> for (u32, u32) {
    fn from(span: Span) -> Self {
        (span.start, span.end)
    }
}

/// The events that came of one socket read of one connection, with the arena they point into.
///
/// Its `Debug` output shows counts only: the arena may hold secrets.
#[derive(Clone, Default)]
pub struct Batch {
    /// The number of the connection in this process, from 1.
    pub connection: u64,
    /// When the octets arrived.
    pub at: Time,
    /// The arena.
    pub bytes: Vec<u8>,
    /// In the order in which they happened.
    pub events: Vec<Event>,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Batch {{ connection: {}, events: {}, bytes: {} }}",
            self.connection,
            self.events.len(),
            self.bytes.len()
        )
    }
}

/// Something that happened on a connection.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Who sent it; for what concerns the connection as a whole, the peer that caused it.
    pub from: Peer,
    /// What happened.
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A client was accepted and the server leg is about to open.
    Opened(Box<Opened>),
    /// Complete line(s) that rules may edit.
    Text(Text),
    /// Octets of a data block as they come, where an output wants them all. How they are cut means nothing.
    Octets(Octets),
    /// Octets that no rule edits, reported once, when they are complete or were cut off.
    Data(Data),
    /// The leg to this peer is under TLS from its first octet on; everything else is what lies inside.
    Tls(Box<TlsFacts>),
    /// The peer begins TLS with the other peer: what it says in the clear, before the rest cannot be read.
    Hello(Box<Hello>),
    /// The peer ended its TLS without close_notify, so that more may have been cut off (RFC 8446 section 6.1).
    Abrupt,
    /// From the next octet on this lane speaks another layer.
    Upgrade(Layer),
    /// What was read lacks bytes of this peer here, as a capture may.
    Gap {
        /// How many; `None` for the beginning of the connection, of both peers.
        bytes: Option<u64>,
        /// They belong to the data that is under way, which goes on.
        data: bool,
    },
    /// Events were lost because the log could not keep up; the relay went on.
    Lag {
        /// How many events are missing.
        events: u64,
        /// How many octets of arena they held.
        bytes: u64,
    },
    /// What a rule was to do behind so many octets of data did not happen: fewer came, or were there to be stopped.
    Missed(Arc<str>),
    /// Nothing moved for a while, although somebody owes something. The event is from who owes it, and its time is when this was
    /// due to be said.
    Waiting(Box<Wait>),
    /// The peer will send no more (half-close); the other direction may go on.
    HalfClosed,
    /// The connection is over.
    Closed(Box<Closed>),
}

/// A complete text and what it turned out to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The frame it belongs to, numbered per connection from 1.
    pub frame: u64,
    /// False for a text that goes on after data within the same frame.
    pub first: bool,
    /// As received, line end included; into the arena.
    pub bytes: Span,
    /// What rules did to it, if anything.
    pub edit: Option<Box<Edited>>,
    /// What it is.
    pub reading: Reading,
    /// The frame it answers: a tagged reply or a continuation request its command.
    pub answers: Option<u64>,
    /// Further replies to the same command are to come (RFC 2033 section 4.2).
    pub more: bool,
    /// The state in which it was sent.
    pub state: State,
    /// Octets that must not be shown, relative to the text, in order and apart from each other.
    pub secrets: Vec<Span>,
    /// What it says of credentials. The explainer puts it there, for it can be told only while nothing is hidden yet.
    pub decoded: Option<Box<Decoded>>,
    /// What was odd about it on the wire.
    pub oddities: Vec<Oddity>,
}

impl Text {
    /// A text that begins a frame and answers nothing, as it came, with nothing secret or odd in it.
    pub fn bare(frame: u64, bytes: Span, state: State, reading: Reading) -> Self {
        Text {
            frame,
            first: true,
            bytes,
            edit: None,
            reading,
            answers: None,
            more: false,
            state,
            secrets: Vec::new(),
            decoded: None,
            oddities: Vec::new(),
        }
    }
}

/// What a text says of credentials, secrets hidden.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Decoded {
    /// In words.
    pub text: String,
    /// The mechanism of the SASL exchange in progress; empty without one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mechanism: String,
    /// Who logs in, in that exchange, once it has been said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The first octet of the exchange's GS2 header (RFC 5801 section 4), once it has been said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<u8>,
}

/// What rules did to a text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Edited {
    /// What was sent instead, into the arena; empty if it was dropped, and where no rule has fired.
    #[serde(skip)]
    pub bytes: Span,
    /// Octets of the sent text that must not be shown, relative to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Span>,
    /// The rules that changed it, as the user wrote them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fired: Vec<Arc<str>>,
    /// Of these, the rules that only vary how it is written, each with what it varied: `case, order`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub varied: Vec<(Arc<str>, String)>,
    /// Rules that matched and were not applied, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<(Arc<str>, String)>,
    /// It was taken away, and imapscope answers it.
    #[serde(skip_serializing_if = "is_false")]
    pub answered: bool,
    /// Rules that would do something, and what, where nothing is to be changed; `bytes` is what would be sent instead then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub would: Vec<(Arc<str>, Cow<'static, str>)>,
    /// It is not the peer's but ours, said because of this rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made: Option<Arc<str>>,
    /// Rules that do something to the connection, each with what it does: `delayed 2.00 s`. They change no octet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<(Arc<str>, String)>,
}

/// What one text turned out to be. All spans are relative to the text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Reading {
    /// Its shape.
    pub kind: Kind,
    /// The literal that it announces at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub literal: Option<Literal>,
    /// The list of names in it that capability rules act on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<List>,
    /// Where reading stopped, if the text could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<u32>,
}

/// The shapes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A client's command. For an empty tag or verb the span is empty.
    Command {
        /// IMAP's tag; empty in protocols without.
        tag: Span,
        /// The verb, with `UID ` before it where the client said so.
        verb: Span,
        /// What follows the verb and one space, without the line end and the literal's announcement.
        arguments: Span,
    },
    /// A status reply: tagged, or untagged with an empty tag (then it may be the greeting).
    Reply {
        /// The tag, empty for an untagged one.
        tag: Span,
        /// OK, NO, BAD, BYE or PREAUTH; what comes to the same in other protocols.
        status: Status,
        /// The status as it stands there: `OK`, `+OK`, `250`; empty where it is missing.
        word: Span,
        /// The response code's inside, without brackets.
        code: Option<Span>,
        /// The human text, without the line end.
        text: Span,
    },
    /// A continuation request (`+`, or a reply that begins with 3: RFC 5321 section 4.2.1).
    GoAhead {
        /// The `+` or the three digits.
        word: Span,
        /// What follows it.
        text: Span,
    },
    /// Untagged server data.
    Info {
        /// The number before the name, if one stands there (`* 3 EXISTS`).
        number: Option<Span>,
        /// The response's name.
        name: Span,
        /// What follows the name and one space, without line end and the literal's announcement.
        arguments: Span,
    },
    /// The frame goes on after data.
    More,
    /// The line that ends IDLE.
    Done,
    /// A client's line inside a SASL exchange. Always secret as a whole.
    Sasl,
    /// A client's bare `*` that cancels a SASL exchange.
    Cancel,
    /// An empty line.
    Blank,
    /// Not this protocol at all.
    Foreign(Foreign),
    /// Not understood.
    #[default]
    Unknown,
}

/// The status word of a reply (RFC 9051 section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Success or information.
    Ok,
    /// Failure.
    No,
    /// Not understood, or not allowed now.
    Bad,
    /// The server is about to close.
    Bye,
    /// A greeting that skips login.
    Preauth,
}

impl Status {
    /// As it stands on the wire.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Status::Ok => "OK",
            Status::No => "NO",
            Status::Bad => "BAD",
            Status::Bye => "BYE",
            Status::Preauth => "PREAUTH",
        }
    }
}

/// Traffic of other protocols that is recognised at the start of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Foreign {
    /// A TLS handshake record: the peer expects TLS where plain text is spoken.
    Tls,
    /// A TLS alert record.
    TlsAlert,
    /// An HTTP request or response.
    Http,
    /// A PROXY protocol header, version 1 (text) or 2 (binary).
    Proxy,
    /// An SSH banner.
    Ssh,
    /// IMAP, where another mail protocol is expected.
    Imap,
    /// POP3, likewise.
    Pop3,
    /// SMTP, likewise.
    Smtp,
    /// LMTP, likewise.
    Lmtp,
    /// ManageSieve, likewise.
    Managesieve,
    /// NNTP, likewise.
    Nntp,
    /// IRC, likewise.
    Irc,
    /// FTP, likewise.
    Ftp,
}

/// A literal announced at the end of a text (RFC 9051 section 4.3, RFC 7888, RFC 3516).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Literal {
    /// The announcement, `{` to `}`, with a `~` before it.
    pub span: Span,
    /// Octets that follow; never allocated. Saturates at `u64::MAX`.
    pub len: u64,
    /// False for `{n+}`, whose octets follow at once.
    pub synchronizing: bool,
    /// True for `~{n}`.
    pub binary: bool,
}

/// A layer that begins under the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// TLS, after STARTTLS or from the first octet.
    Tls,
    /// DEFLATE (RFC 4978).
    Deflate,
    /// A SASL security layer (RFC 4422 section 3.7).
    Sasl,
}

/// For fields of recordings that are left out where they say nothing.
const fn is_false(value: &bool) -> bool {
    !*value
}
