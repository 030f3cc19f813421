//! One direction of a connection: its framer, the frame and the data block in progress, and the octets that cannot be
//! classified before the other side has spoken.

use std::sync::Arc;

use super::deflate::Deflate;
use super::fault::Armed;
use super::secret::Mask;
use super::subject::Subject;
use crate::event::{DataKind, Foreign, Hello, MAX_HEAD, Oddity, Reading};
use crate::rules::{Fault, Insertion};
use crate::wire::hello::Reader;
use crate::wire::login::Login;
use crate::wire::{Framer, PROXY};

/// What a client's octets wait for before they can be read. They are relayed at once all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The lane's first octets, which may belong to another protocol.
    Start,
    /// The server's answer to a synchronizing literal of this many octets.
    Literal(u64),
    /// The server's next challenge, or its verdict.
    Sasl,
    /// The answer to STARTTLS.
    Tls,
    /// The answer to COMPRESS.
    Deflate,
    /// Leave to send a message.
    Message,
}

/// What came of such an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The server said yes.
    Granted,
    /// The server has said nothing and will not be heard: what most likely follows is read, and not shown.
    Assumed,
    /// The server said no, or what it would have to say yes to did not begin.
    Refused,
}

impl Answer {
    /// The answer of a server that said yes, or did not.
    pub const fn of(granted: bool) -> Self {
        if granted { Answer::Granted } else { Answer::Refused }
    }
}

/// A frame that is not complete.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// Its number.
    pub number: u64,
    /// What of its rest must not be shown.
    pub mask: Mask,
    /// The literal that comes next must not be shown.
    pub hide_data: bool,
    /// It is a reply, which ends with the line behind its literal (RFC 5804 section 1.2).
    pub reply: bool,
}

/// What becomes of the frame in progress, and of what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// It is sent on.
    #[default]
    Sent,
    /// A rule has dropped it, or it answers us: nothing of it is sent on.
    Dropped,
    /// It is not sent on, and we answer it.
    Refused,
}

/// A data block in progress.
#[derive(Debug)]
pub struct Block {
    /// What it is.
    pub kind: DataKind,
    /// The frame it belongs to.
    pub frame: u64,
    /// Octets that were announced.
    pub announced: Option<u64>,
    /// Octets that came.
    pub len: u64,
    /// The first of them.
    pub head: Vec<u8>,
    /// It must not be shown.
    pub secret: bool,
    /// How some of it came.
    pub oddity: Option<Oddity>,
    /// So many of its octets, the first ones, were reported before.
    pub again: u64,
    /// The search for its subject, if it may be a message.
    pub subject: Option<Box<Subject>>,
    /// What came behind the first false end of a message, until there is too much of it.
    pub behind: Option<Vec<u8>>,
    /// The search for a login after that, once there is one.
    pub login: Option<Box<Login>>,
    /// The number of its bytes, as the log says that lacks them.
    pub left_out: Option<u64>,
    /// It is complete, and only to be reported.
    pub over: bool,
    /// What may be the beginning of a word, where words decide whether the rest is a secret.
    pub word: Vec<u8>,
    /// Where TLS begins: what is read of it.
    pub hello: Option<Box<Reader>>,
    /// What was read, and is to be reported.
    pub said: Vec<Hello>,
    /// How many lines came, of a run of empty ones.
    pub lines: u64,
}

impl Block {
    /// An empty block.
    pub const fn new(kind: DataKind, frame: u64, announced: Option<u64>, secret: bool) -> Self {
        Block {
            kind,
            frame,
            announced,
            len: 0,
            head: Vec::new(),
            secret,
            oddity: None,
            again: 0,
            subject: None,
            behind: None,
            login: None,
            left_out: None,
            over: false,
            word: Vec::new(),
            hello: None,
            said: Vec::new(),
            lines: 0,
        }
    }

    /// An empty block of what may be a message.
    pub fn message(kind: DataKind, frame: u64, announced: Option<u64>) -> Self {
        Block { subject: Some(Box::default()), behind: Some(Vec::new()), ..Block::new(kind, frame, announced, false) }
    }
}

impl Block {
    /// Counts octets and keeps the first, and how they came.
    pub fn feed(&mut self, bytes: &[u8], manner: Manner) {
        self.len += bytes.len() as u64;
        let room = MAX_HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if !bytes.is_empty() {
            self.oddity = self.oddity.or(manner.oddity());
        }
        if let Some(subject) = &mut self.subject {
            subject.feed(bytes);
        }
        if let Some(hello) = &mut self.hello {
            hello.feed(bytes, &mut self.said);
        }
    }
}

/// How the octets that are now going through a lane came to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Manner {
    /// Just now.
    #[default]
    Fresh,
    /// Before; they are on their way already, and were only not classified.
    Known,
    /// Before, and before the server had allowed them.
    Early,
    /// Behind STARTTLS and before its answer.
    Injected,
    /// Just now, inside a layer whose octets were passed on as they came.
    Inside,
    /// Just now, from the server, as an answer to us: it is not for the client.
    Kept,
    /// Not at all: these are our own words.
    Ours,
}

impl Manner {
    /// True for octets of the read at hand, of which some may be left for the next call.
    #[must_use]
    pub const fn is_new(self) -> bool {
        matches!(self, Manner::Fresh | Manner::Kept)
    }

    /// What is odd about it.
    pub const fn oddity(self) -> Option<Oddity> {
        match self {
            Manner::Kept => Some(Oddity::Kept),
            Manner::Ours => Some(Oddity::Ours),
            Manner::Fresh | Manner::Known | Manner::Inside => None,
            Manner::Early => Some(Oddity::Early),
            Manner::Injected => Some(Oddity::Injected),
        }
    }
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Lane {
    /// Cuts it.
    pub framer: Framer,
    /// A rule may touch it: incomplete texts are held.
    pub edit: bool,
    /// How many octets of the incomplete line have been sent on.
    pub gone: usize,
    /// The frame in progress.
    pub frame: Option<Frame>,
    /// The verb of the command that it is, answers or belongs to, where rules act and a literal goes on with it.
    pub verb: Box<str>,
    /// What becomes of it, and of the data behind it.
    pub fate: Fate,
    /// Lines of our own that follow it.
    pub after: Vec<Insertion>,
    /// The data block in progress.
    pub block: Option<Box<Block>>,
    /// What rules do to the connection at the text in progress.
    pub struck: Vec<(Arc<str>, Fault)>,
    /// A fault has ended what leaves: no rule acts any more.
    pub over: bool,
    /// What they still have to do within its frame.
    pub armed: Option<Box<Armed>>,
    /// What its octets wait for, and the frame whose answer decides it.
    pub wait: Option<(Wait, u64)>,
    /// The octets that wait. With nothing to wait for, these were too many to be read in one call, and come before all else.
    pub undecided: Undecided,
    /// How the next of them came.
    pub late: Manner,
    /// The last byte of the chunk before is dealt with, and comes again, so that the driver does.
    pub owed: bool,
    /// Empty lines in a row that were texts.
    pub blanks: u8,
    /// Those that came after them, as one block.
    pub run: Option<Box<Block>>,
    /// So many octets were reported as those of a message, and are read again: those that wait, or have begun a line, and no more.
    pub again: u32,
    /// The next line is a SASL response, in the exchange that this frame began.
    pub sasl: Option<u64>,
    /// A command with secrets was the last that is known: what is no known command may belong to it, sent by a
    /// client that did not wait for an answer or forgot something.
    pub wary: bool,
    /// What the overlong line in progress is, as far as its head tells.
    pub long: Option<Box<Reading>>,
    /// DEFLATE has begun; with its state, but while octets are being inflated.
    pub packed: bool,
    /// See `packed`.
    pub deflate: Option<Box<Deflate>>,
    /// Octets that came compressed and what they were, of a layer that has ended.
    pub ratio: Option<Box<(u64, u64)>>,
    /// The next text is in its place.
    pub instead: bool,
    /// A SASL security layer may begin with the next octet.
    pub sealable: bool,
    /// TLS is to begin with the next octet, between the peers; if it is text that comes, this stays so.
    pub due: bool,
    /// Such text was pointed out.
    pub undue: bool,
    /// Bytes are missing before the next text.
    pub torn: bool,
    /// The consent to a message may be missing: what comes is the message, unless it reads as a command.
    pub unasked: bool,
    /// An octet has been seen.
    pub started: bool,
    /// A text has been read; before the first, other protocols are recognised.
    pub spoken: bool,
    /// It began in this other mail protocol, so that nothing on it means what it seems to.
    pub strange: Option<Foreign>,
    /// It has ended and everything about it has been reported.
    pub finished: bool,
}

/// Octets that wait to be classified: [`crate::event::MAX_TEXT`] at most. Taking from the front costs what is taken, however often
/// it is done: a hostile client can have one answer a few octets. Most clients wait for answers, and then need no memory.
#[derive(Debug, Default)]
pub struct Undecided(Option<Box<Waiting>>);

/// Octets of which some wait.
#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// How many of them are dealt with, never all.
    done: usize,
}

impl Undecided {
    /// How many octets wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// True if none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The octets that wait.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |waiting| &waiting.bytes[waiting.done..])
    }

    /// These octets.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Undecided((!bytes.is_empty()).then(|| Box::new(Waiting { bytes, done: 0 })))
    }

    /// Adds octets until `most` wait; returns how many were added.
    pub fn fill(&mut self, bytes: &[u8], most: usize) -> usize {
        let waits = self.len();
        let room = bytes.len().min(most.saturating_sub(waits));
        if room > 0 {
            let waiting = self.0.get_or_insert_default();
            if waiting.done >= waits {
                waiting.bytes.drain(..waiting.done);
                waiting.done = 0;
            }
            waiting.bytes.extend_from_slice(&bytes[..room]);
        }
        room
    }

    /// The first so many octets are dealt with.
    pub fn advance(&mut self, by: usize) {
        if by >= self.len() {
            self.0 = None;
        } else if let Some(waiting) = &mut self.0 {
            waiting.done += by;
        }
    }
}

/// What the first octets of a lane are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Too few to say.
    Unclear,
    /// A line of text, as far as the first octets tell.
    Line,
    /// A TLS record.
    Tls,
    /// A binary PROXY header of this many octets in all.
    Proxy(u64),
}

/// So many octets are always enough for [`start`] to tell.
pub const START: usize = 16;

/// Looks at the first octets of a lane (PROXY protocol version 2: 12 octets of signature, then version, family and a
/// length of two octets).
pub fn start(bytes: &[u8]) -> Start {
    match bytes {
        [] | [0x15 | 0x16] => Start::Unclear,
        [0x15 | 0x16, 0x03, ..] => Start::Tls,
        _ if bytes.len() < 12 && PROXY.starts_with(bytes) => Start::Unclear,
        _ if !bytes.starts_with(&PROXY) => Start::Line,
        [.., _] if bytes.len() < 16 => Start::Unclear,
        _ => Start::Proxy(16 + u64::from(bytes[14]) * 256 + u64::from(bytes[15])),
    }
}
