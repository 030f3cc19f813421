//! Raw logs of Dovecot's: `NAME.in` has what the client sent, `NAME.out` beside it what the server sent. With a time before each
//! line the two are merged by it; without, in the order that `order.rs` makes out.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::lines::Lines;
use super::order::Order;
use super::stamp::epoch;
use super::start::Start;
use super::{Foreign, NAME_IT, Piece, Times, guess, start};
use crate::event::{Peer, State, Time};
use crate::problem::Problem;

/// A folder may have so many pairs.
const MAX_PAIRS: usize = 10_000;

/// The ends of the names, by peer.
const ENDS: [&str; 2] = ["in", "out"];

/// True for a name that half a raw log has.
#[must_use]
pub fn is_half(path: &Path) -> bool {
    path.extension().is_some_and(|end| ENDS.iter().any(|known| end == *known))
}

/// True if the other half is there, too.
#[must_use]
pub fn is_paired(path: &Path) -> bool {
    ENDS.iter().all(|end| path.with_extension(end).is_file())
}

/// Opens the pair that a file belongs to, or all of a folder, in the order of their names.
///
/// # Errors
/// A folder without raw logs.
pub fn read(path: &Path, protocol: Option<&str>) -> Result<Foreign, Problem> {
    let origin = path.display().to_string();
    let mut pairs: Vec<PathBuf> = if path.is_dir() {
        let entries = fs::read_dir(path).map_err(|error| Problem::new(&origin, error.to_string(), ""))?;
        let halves = entries.flatten().map(|entry| entry.path()).filter(|path| is_half(path));
        halves.map(|path| path.with_extension("")).collect()
    } else {
        vec![path.with_extension("")]
    };
    pairs.sort();
    pairs.dedup();
    if pairs.is_empty() {
        return Err(Problem::new(origin, "no raw logs are in this folder", "files NAME.in and NAME.out"));
    }
    let too_many = pairs.len().saturating_sub(MAX_PAIRS);
    pairs.truncate(MAX_PAIRS);
    // What the first pair shows is said of all.
    let times = if Pair::open(&pairs[0], 1, protocol).timed { Times::Known } else { Times::Unknown };
    let mut ready = VecDeque::new();
    if too_many > 0 {
        let text = format!("{too_many} more raw logs in this folder are not read");
        ready.push_back(Piece::Remark { connection: None, at: Time(0), text, damage: true });
    }
    let logs = Logs { pairs: pairs.into(), protocol: protocol.map(str::to_owned), number: 0, pair: None, ready };
    Ok(Foreign { times, pieces: Box::new(logs) })
}

/// Pairs, one after the other.
struct Logs {
    pairs: VecDeque<PathBuf>,
    protocol: Option<String>,
    number: u64,
    pair: Option<Pair>,
    ready: VecDeque<Piece>,
}

impl Iterator for Logs {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        loop {
            if let Some(piece) = self.ready.pop_front() {
                return Some(piece);
            }
            if let Some(pair) = &mut self.pair {
                if !pair.step(&mut self.ready) {
                    self.pair = None;
                }
                continue;
            }
            let path = self.pairs.pop_front()?;
            self.number += 1;
            self.pair = Some(Pair::open(&path, self.number, self.protocol.as_deref()));
        }
    }
}

/// Both halves of one connection.
struct Pair {
    connection: u64,
    halves: [Option<Half>; 2],
    /// Each line has a time.
    timed: bool,
    order: Order,
    /// What is to be told before anything else.
    opening: Option<Vec<Piece>>,
    last: Time,
}

impl Pair {
    fn open(path: &Path, connection: u64, protocol: Option<&str>) -> Pair {
        let mut remarks = Vec::new();
        let halves = [Peer::Client, Peer::Server].map(|peer| {
            // The name has dots of its own.
            let mut path = path.as_os_str().to_owned();
            path.push(".");
            path.push(ENDS[peer.index()]);
            let path = PathBuf::from(path);
            match File::open(&path) {
                Ok(file) => Some(Half::begin(file)),
                Err(error) => {
                    let end = ENDS[peer.index()];
                    remarks.push(format!(
                        "no file with what the {} sent, whose name ends in .{end}: {error}",
                        peer.word()
                    ));
                    None
                }
            }
        });
        let timed = halves.iter().flatten().all(|half| half.timed);
        let first = |peer: Peer| {
            let half = halves[peer.index()].as_ref()?;
            guess::of_line(peer, half.text(timed))
        };
        let protocol = protocol.map(str::to_owned);
        let later = || guess::of_later(Peer::Server, halves[1].as_ref()?.text(timed));
        let told = || first(Peer::Server).or_else(|| first(Peer::Client)).or_else(later);
        let protocol = protocol.or_else(|| told().map(str::to_owned));
        let at = halves.iter().flatten().filter(|_| timed).map(|half| half.at).min().unwrap_or_default();
        if protocol.is_none() {
            remarks.push(format!("the protocol is not recognised: {NAME_IT}"));
        }
        if !timed && halves.iter().all(Option::is_some) {
            remarks.push(
                "the raw log has no times: which answer follows which command is made out from what they say".into(),
            );
        }
        let middle = begins(&halves, timed, protocol.as_deref());
        let order = Order::of(protocol.as_deref(), middle.is_none() && first(Peer::Server).is_some());
        let name = path.display().to_string();
        let opened = Piece::Opened {
            connection,
            at,
            protocol,
            client: format!("client of {name}"),
            server: "server".into(),
            inside: true,
            middle,
        };
        let remark = |text| Piece::Remark { connection: Some(connection), at, text, damage: false };
        let opening = std::iter::once(opened).chain(remarks.into_iter().map(remark)).collect();
        Pair { connection, halves, timed, order, opening: Some(opening), last: at }
    }

    /// Makes the next line ready. False when nothing more comes.
    fn step(&mut self, ready: &mut VecDeque<Piece>) -> bool {
        if let Some(opening) = self.opening.take() {
            ready.extend(opening);
            return true;
        }
        let waits = [0, 1].map(|at| self.halves[at].as_ref().is_some_and(|half| half.waits));
        let from = match waits {
            [false, false] => {
                let closed = Piece::Closed { connection: self.connection, at: self.last, by: None, reset: false };
                ready.push_back(closed);
                return false;
            }
            [true, false] => Peer::Client,
            [false, true] => Peer::Server,
            [true, true] if self.timed => {
                let at = |peer: Peer| self.halves[peer.index()].as_ref().map(|half| half.at);
                if at(Peer::Server) < at(Peer::Client) { Peer::Server } else { Peer::Client }
            }
            [true, true] => self.order.next(self.halves[1].as_ref().map_or(&[], |half| half.text(false))),
        };
        let Some(half) = &mut self.halves[from.index()] else { return true };
        let text = half.text(self.timed);
        if !half.lines.continues {
            self.order.said(from, text);
        }
        let at = if self.timed { half.at } else { Time(0) };
        self.last = at;
        let mut bytes = Vec::with_capacity(text.len() + 2);
        bytes.extend_from_slice(text);
        if half.lines.ended {
            bytes.extend_from_slice(if half.lines.bare { b"\n" } else { b"\r\n" });
        }
        ready.push_back(Piece::Octets { connection: self.connection, at, from, bytes });
        if let Err(error) = half.advance() {
            let text = format!("line {} of what the {} sent: reading failed: {error}", half.lines.number, from.word());
            ready.push_back(Piece::Remark { connection: Some(self.connection), at, text, damage: true });
        }
        true
    }
}

/// Where a connection begins whose halves begin like this, if not with a greeting: Dovecot writes them from the login on, but for
/// protocols that have none.
fn begins(halves: &[Option<Half>; 2], timed: bool, protocol: Option<&str>) -> Option<State> {
    let mut firsts: Vec<(Time, Peer, &[u8])> = [Peer::Server, Peer::Client]
        .into_iter()
        .filter_map(|peer| halves[peer.index()].as_ref().map(|half| (half.at, peer, half)))
        .filter(|(_, _, half)| half.waits)
        .map(|(at, peer, half)| (at, peer, half.text(timed)))
        .collect();
    if timed {
        firsts.sort_by_key(|(at, _, _)| *at);
    }
    let lines: Vec<(Peer, &[u8])> = firsts.iter().map(|&(_, from, line)| (from, line)).collect();
    let whole = lines.is_empty() || start::of(protocol, &lines, true) == Start::Whole;
    let state = match protocol {
        Some("imap" | "managesieve") => State::Authenticated,
        Some("pop3") => State::Transaction,
        _ => State::Opaque,
    };
    (!whole).then_some(state)
}

/// One of the two files, at one line.
struct Half {
    lines: Lines<BufReader<File>>,
    /// The first line has a time.
    timed: bool,
    /// The time of this line, and where its text begins.
    at: Time,
    start: usize,
    /// There is a line.
    waits: bool,
}

impl Half {
    fn begin(file: File) -> Half {
        let lines = Lines::new(BufReader::with_capacity(64 * 1024, file));
        let mut half = Half { lines, timed: true, at: Time(0), start: 0, waits: true };
        // What cannot be read is said when its turn comes, and is as good as nothing now.
        half.waits = half.advance().is_ok() && half.waits;
        half.timed = half.start > 0 || !half.waits;
        half
    }

    fn text(&self, timed: bool) -> &[u8] {
        if timed { &self.lines.line[self.start..] } else { &self.lines.line }
    }

    /// Goes to the next line.
    fn advance(&mut self) -> std::io::Result<()> {
        self.waits = false;
        self.waits = self.lines.next()?;
        self.start = 0;
        if self.waits && !self.lines.continues {
            let line = &self.lines.line;
            let stamp = line.iter().take(32).position(|&b| b == b' ');
            let time = stamp.and_then(|end| epoch(std::str::from_utf8(&line[..end]).ok()?));
            if let (Some(end), Some(time)) = (stamp, time) {
                self.at = Time(time);
                self.start = end + 1;
            }
        }
        Ok(())
    }
}
