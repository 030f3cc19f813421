//! What other programs wrote, read as what two peers said: transcripts with a mark before each line, pairs of Dovecot's raw
//! logs, and captures of the network in pcap and pcapng.
//!
//! Everything is read as it comes, and nothing of a file is believed: what is damaged is a remark with its place, and all
//! that can be read still comes. Knows files and octets, and not what the octets mean beyond naming their protocol.

mod capture;
mod ether;
mod fragment;
mod frame;
mod guess;
mod ip;
mod lane;
mod lines;
mod order;
mod rawlog;
mod stamp;
mod start;
mod style;
mod talk;
mod tcp;
mod transcript;
mod unicode;

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use crate::event::{Peer, State, Time};
use crate::problem::Problem;

/// The most octets of one piece.
pub const MAX_OCTETS: usize = 32 * 1024;

/// From so many octets at the start of a file it can be told what it is.
pub const ENOUGH: usize = 4 * 1024;

/// What is to be named where a protocol is not recognised.
const NAME_IT: &str = "name the protocol: --protocol imap";

/// A part of what was read, in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A connection begins.
    Opened {
        /// Its number, from 1.
        connection: u64,
        /// When; of a connection that only its greeting tells to be one of mail, that is some pieces ago.
        at: Time,
        /// The name of the protocol, if it was recognised or given.
        protocol: Option<String>,
        /// The client's address, or what else is known of it.
        client: String,
        /// The server's.
        server: String,
        /// What lies inside TLS is there as it was said, and not as it was on the wire.
        inside: bool,
        /// Set if the file lacks its beginning: the state at the first line that is there, [`State::Opaque`] where that is
        /// not known.
        middle: Option<State>,
    },
    /// TLS has begun between the peers; what it holds follows.
    Tls {
        /// On this connection.
        connection: u64,
        /// When.
        at: Time,
        /// The version: `TLS 1.3`.
        version: String,
        /// The cipher suite, by the name that the file has.
        suite: String,
    },
    /// TLS begins with the first byte of both peers, by the port of the server. Comes before anything that they said.
    TlsFirst {
        /// On this connection.
        connection: u64,
        /// When.
        at: Time,
    },
    /// A peer said something.
    Octets {
        /// On this connection, which was opened before.
        connection: u64,
        /// When.
        at: Time,
        /// Who.
        from: Peer,
        /// What: [`MAX_OCTETS`] at most.
        bytes: Vec<u8>,
    },
    /// Bytes of a peer are missing from the file at this place.
    Lost {
        /// On this connection, which was opened before.
        connection: u64,
        /// When they are missed.
        at: Time,
        /// Whose.
        from: Peer,
        /// How many; `None` where that is not known.
        bytes: Option<u64>,
    },
    /// Bytes of a peer were sent and are not told yet, or are missing: whoever seems to be silent has spoken.
    Behind {
        /// On this connection, which was opened before.
        connection: u64,
        /// When.
        at: Time,
        /// This begins; or all is told again.
        behind: bool,
    },
    /// The file says how large a message is that it leaves out.
    LeftOut {
        /// On this connection, which was opened before.
        connection: u64,
        /// When.
        at: Time,
        /// Whose.
        from: Peer,
        /// How many bytes.
        bytes: u64,
        /// These are all of them; otherwise they come to those that were told before.
        all: bool,
    },
    /// A connection is over; nothing more comes of it.
    Closed {
        /// The connection.
        connection: u64,
        /// When.
        at: Time,
        /// Who ended it first, if that can be seen.
        by: Option<Peer>,
        /// It was broken off.
        reset: bool,
    },
    /// Something about the file: damage, with its place, or what is missing.
    Remark {
        /// The connection that it concerns, if it is one.
        connection: Option<u64>,
        /// When.
        at: Time,
        /// One sentence. May quote the file; whoever shows it escapes it.
        text: String,
        /// Something is damaged or missing, and not only to be known.
        damage: bool,
    },
}

impl Piece {
    /// The connection on which it happened; `None` for a remark.
    #[must_use]
    pub const fn connection(&self) -> Option<u64> {
        match self {
            Piece::Opened { connection, .. }
            | Piece::Octets { connection, .. }
            | Piece::Tls { connection, .. }
            | Piece::TlsFirst { connection, .. }
            | Piece::Lost { connection, .. }
            | Piece::Behind { connection, .. }
            | Piece::LeftOut { connection, .. }
            | Piece::Closed { connection, .. } => Some(*connection),
            Piece::Remark { .. } => None,
        }
    }

    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Time {
        match self {
            Piece::Opened { at, .. }
            | Piece::Octets { at, .. }
            | Piece::Tls { at, .. }
            | Piece::TlsFirst { at, .. }
            | Piece::Lost { at, .. }
            | Piece::Behind { at, .. }
            | Piece::LeftOut { at, .. }
            | Piece::Closed { at, .. }
            | Piece::Remark { at, .. } => *at,
        }
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Our own recording.
    Recording,
    /// A capture of the network, as tcpdump writes it.
    Pcap,
    /// The same, as Wireshark writes it.
    Pcapng,
    /// Lines of both peers, each with a mark before it.
    Transcript,
    /// One peer's half of a raw log of Dovecot's. Known by the file's name.
    Rawlog,
    /// None of these.
    Unknown,
}

impl Kind {
    /// What a file is that begins with these octets: the first [`ENOUGH`], or all that there are.
    #[must_use]
    pub fn of(first: &[u8]) -> Kind {
        if first.starts_with(br#"{"imapscope":"#) {
            Kind::Recording
        } else if frame::is_pcap(first) {
            Kind::Pcap
        } else if first.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a]) {
            Kind::Pcapng
        } else if transcript::is_transcript(&unicode::decoded(first)) {
            Kind::Transcript
        } else {
            Kind::Unknown
        }
    }

    /// What a file of this name is that begins with these octets: the name decides only where they do not. Mail in a raw log
    /// may look like a transcript; but what swaks printed into `swaks.out` has no `swaks.in` beside it.
    #[must_use]
    pub fn named(path: &Path, first: &[u8]) -> Kind {
        match Kind::of(first) {
            Kind::Unknown if rawlog::is_half(path) => Kind::Rawlog,
            Kind::Transcript if rawlog::is_half(path) && rawlog::is_paired(path) => Kind::Rawlog,
            kind => kind,
        }
    }
}

/// What the times of the pieces are worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// There are none: all are zero.
    Unknown,
    /// Times of a day that is not known, which is taken for the first of 1970.
    OfDay,
    /// Real ones.
    Known,
}

/// What a file holds, piece by piece.
pub struct Foreign {
    /// What its times are worth.
    pub times: Times,
    pieces: Box<dyn Iterator<Item = Piece> + Send>,
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foreign {{ times: {:?} }}", self.times)
    }
}

impl Iterator for Foreign {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        self.pieces.next()
    }
}

/// Opens a file, or a folder of raw logs. `protocol` is what the user calls it, and goes before all that is recognised; in a
/// capture it is for connections of which nothing else tells.
///
/// # Errors
/// A file that cannot be opened, or is nothing that can be read here.
pub fn open(path: &Path, protocol: Option<&str>) -> Result<Foreign, Problem> {
    let origin = path.display().to_string();
    let wrong = |error: std::io::Error| Problem::new(&origin, error.to_string(), "a file that can be read");
    if path.is_dir() {
        return rawlog::read(path, protocol);
    }
    let mut input = BufReader::with_capacity(64 * 1024, File::open(path).map_err(wrong)?);
    let mut first = Vec::new();
    input.by_ref().take(ENOUGH as u64).read_to_end(&mut first).map_err(wrong)?;
    match Kind::named(path, &first) {
        Kind::Rawlog => rawlog::read(path, protocol),
        kind => read(std::io::Cursor::new(first).chain(input), kind, &origin, protocol),
    }
}

/// Reads what [`Kind::of`] says it is. `origin` names it where it cannot be read.
///
/// # Errors
/// What is no transcript and no capture, or a capture of what holds no IP.
pub fn read(
    input: impl BufRead + Send + 'static,
    kind: Kind,
    origin: &str,
    protocol: Option<&str>,
) -> Result<Foreign, Problem> {
    match kind {
        Kind::Pcap | Kind::Pcapng => {
            let pieces = capture::Capture::begin(input, origin, protocol)?;
            Ok(Foreign { times: Times::Known, pieces: Box::new(pieces) })
        }
        Kind::Transcript => {
            let transcript = transcript::Transcript::begin(input, protocol);
            Ok(Foreign { times: transcript.times(), pieces: Box::new(transcript) })
        }
        Kind::Recording => Err(Problem::new(origin, "this is a recording of imapscope's own", "")),
        Kind::Rawlog | Kind::Unknown => Err(Problem::new(
            origin,
            "it is not known what this is",
            "a recording; a capture (pcap or pcapng, not compressed); a transcript with `C: ` and `S: ` before each \
             line, or what swaks or `curl -v` prints; a raw log of Dovecot's (NAME.in, NAME.out, or their folder)",
        )),
    }
}
