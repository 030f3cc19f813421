//! One line of a recording as serde sees it. Octets stand there as text where they are UTF-8, and in base64 where not.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::event::{
    Closed, DataKind, Decoded, Edited, Hello, Layer, Oddity, Opened, Peer, Reading, Span, State, TlsFacts, Wait,
};

/// A string that points into the line where it can.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Str<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// An event. Fields that say nothing are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Line<'a> {
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// The number of the connection.
    pub conn: u64,
    /// Who sent it, or brought it about.
    pub from: Peer,
    /// The frame that a text or a piece of data belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame: Option<u64>,
    /// The state in which it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// A text: its octets without the CRLF at their end.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub line: Option<Str<'a>>,
    /// A text that does not end with CRLF, or octets of data: all octets.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Str<'a>>,
    /// The same in base64.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<Str<'a>>,
    /// The same, all of them hidden: how many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<u32>,
    /// These are octets of data: of this kind of block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piece: Option<DataKind>,
    /// These octets of data are secret, and stand here all the same: the recording was made to have secrets.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// The text goes on with a frame.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// The frame that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answers: Option<u64>,
    /// Further replies to the same command are to come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// What the text is, where its form alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<Reading>,
    /// What of it is filler.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Span>,
    /// What it said of credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoded: Option<Decoded>,
    /// What was odd about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub odd: Vec<Oddity>,
    /// What rules did to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<Edited>,
    /// What was sent instead, where rules had a look at it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<Octets<'a>>,
    /// A block of data is over.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Block<'a>>,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Other>,
}

impl Line<'_> {
    /// An event of which nothing is known but these.
    #[must_use]
    pub const fn new(at: u64, conn: u64, from: Peer) -> Self {
        Line {
            at,
            conn,
            from,
            frame: None,
            state: None,
            line: None,
            text: None,
            base64: None,
            hidden: None,
            piece: None,
            secret: false,
            more: false,
            answers: None,
            unfinished: false,
            reading: None,
            secrets: Vec::new(),
            decoded: None,
            odd: Vec::new(),
            edit: None,
            sent: None,
            data: None,
            event: None,
        }
    }
}

/// A block of data that is over. Its octets came before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Block<'a> {
    /// What kind of block.
    pub kind: DataKind,
    /// Octets that came.
    pub len: u64,
    /// Octets that were announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<u64>,
    /// How many lines it has, where they are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    /// Its first octets, where they are not those that came before.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Octets<'a>>,
    /// The subject of the message.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Octets<'a>>,
    /// It was not to be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// What happens beside texts and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Other {
    /// A connection begins.
    Opened(Box<Opened>),
    /// It began in an earlier file of the recording.
    Continued(Box<Opened>),
    /// The leg to this peer is under TLS.
    Tls(Box<TlsFacts>),
    /// The peer begins TLS with the other peer.
    Hello(Box<Hello>),
    /// The peer ended its TLS without close_notify.
    Abrupt,
    /// The lane speaks another layer from here on.
    Upgrade(Layer),
    /// So many events with so many octets are missing.
    Lag(u64, u64),
    /// This many bytes are missing, within data or not; no number for the beginning of the connection.
    Gap(Option<u64>, bool),
    /// This rule did not find its octet.
    Missed(std::sync::Arc<str>),
    /// Somebody waits.
    Waiting(Box<Wait>),
    /// The peer will send no more.
    HalfClosed,
    /// The connection is over.
    Closed(Box<Closed>),
}

/// Octets inside a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Octets<'a> {
    /// They are UTF-8, and CRLF follows.
    #[serde(borrow)]
    Line(Str<'a>),
    /// They are UTF-8.
    #[serde(borrow)]
    Text(Str<'a>),
    /// They are not.
    #[serde(borrow)]
    Base64(Str<'a>),
}

impl<'a> Octets<'a> {
    /// As they are written.
    #[must_use]
    pub fn of(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => match text.strip_suffix("\r\n") {
                Some(line) => Octets::Line(Str(Cow::Borrowed(line))),
                None => Octets::Text(Str(Cow::Borrowed(text))),
            },
            Err(_) => Octets::Base64(Str(Cow::Owned(STANDARD.encode(bytes)))),
        }
    }

    /// Appends them; false if it is no base64.
    #[must_use]
    pub fn append(&self, to: &mut Vec<u8>) -> bool {
        match self {
            Octets::Line(Str(line)) => {
                to.extend_from_slice(line.as_bytes());
                to.extend_from_slice(b"\r\n");
            }
            Octets::Text(Str(text)) => to.extend_from_slice(text.as_bytes()),
            Octets::Base64(Str(coded)) => return STANDARD.decode_vec(coded.as_bytes(), to).is_ok(),
        }
        true
    }
}
