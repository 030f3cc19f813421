//! Transcripts: lines of both peers, each with a mark before it that says whose it is, and maybe a time before that. The
//! first marked line decides which marks count. Line ends become CRLF.

use std::collections::VecDeque;
use std::io::BufRead;

use super::lines::Lines;
use super::start::Start;
use super::{Piece, Times, guess, start};
use crate::event::{Peer, State, Time};
use crate::wording::amount;

/// Lines that are no peer's are told one by one, up to so many.
const MAX_TOLD: u64 = 20;

/// Maximum number of bytes of such a line that are looked at.
const MAX_QUOTE: usize = 200;

/// So many lines may wait for one that tells the protocol.
const MAX_WAITING: usize = 32;

/// A time is looked for in so many octets at the start of a line.
const MAX_STAMP: usize = 48;

/// How lines are marked.
#[derive(Debug)]
struct Style {
    client: &'static [&'static [u8]],
    server: &'static [&'static [u8]],
    /// What the program that wrote it remarks.
    remark: &'static [&'static [u8]],
    /// The marks stand behind a time only.
    timed: bool,
    /// The marks stand anywhere in the line.
    inside: bool,
}

/// All of them. A mark may end in a blank, which a line of nothing else can lack.
const STYLES: [Style; 9] = [
    // Documents, and many programs.
    Style { client: &[b"C: ", b"C:"], server: &[b"S: ", b"S:"], ..NOTHING },
    // swaks: in the clear, under TLS, and with errors.
    Style {
        client: &[b" -> ", b" ~> ", b"**> ", b"*~> "],
        server: &[b"<-  ", b"<~  ", b"<** ", b"<~* "],
        remark: &[b"=== ", b"*** "],
        ..NOTHING
    },
    // msmtp and mpop.
    Style { client: &[b"--> "], server: &[b"<-- "], ..NOTHING },
    Style { client: &[b">>> "], server: &[b"<<< "], ..NOTHING },
    Style { client: &[b"-> "], server: &[b"<- "], ..NOTHING },
    // curl -v
    Style { client: &[b"> "], server: &[b"< "], remark: &[b"* ", b"{ [", b"} ["], ..NOTHING },
    // fetchmail -v -v
    Style {
        client: &[b"fetchmail: IMAP> ", b"fetchmail: POP3> ", b"fetchmail: SMTP> ", b"fetchmail: LMTP> "],
        server: &[b"fetchmail: IMAP< ", b"fetchmail: POP3< ", b"fetchmail: SMTP< ", b"fetchmail: LMTP< "],
        remark: &[b"fetchmail: "],
        ..NOTHING
    },
    // Dovecot's raw log of both sides in one; behind `>` a line goes on.
    Style { client: &[b"I: ", b"I> "], server: &[b"O: ", b"O> "], timed: true, ..NOTHING },
    // Thunderbird's log of IMAP.
    Style { client: &[b":SendData: "], server: &[b":CreateNewLineFromSocket: "], inside: true, ..NOTHING },
];

const NOTHING: Style = Style { client: &[], server: &[], remark: &[], timed: false, inside: false };

/// True if a file that begins like this is a transcript: both peers speak, or one says what begins a known protocol.
#[must_use]
pub fn is_transcript(first: &[u8]) -> bool {
    if first.contains(&0) {
        return false;
    }
    STYLES.iter().any(|style| {
        let mut spoke = [false; 2];
        first.split(|&b| b == b'\n').any(|line| {
            let Some((from, text, _)) = style.read(line.strip_suffix(b"\r").unwrap_or(line)) else { return false };
            spoke[from.index()] = true;
            spoke == [true; 2] || guess::of_line(from, text).is_some()
        })
    })
}

impl Style {
    /// The first mark of the client, and of the server.
    fn marks(&self) -> [&'static str; 2] {
        [self.client, self.server].map(|marks| std::str::from_utf8(marks[0]).unwrap_or_default())
    }

    /// Whose line it is, what it says, and when, if the line has one of the marks.
    fn read<'a>(&self, line: &'a [u8]) -> Option<(Peer, &'a [u8], Option<Stamp>)> {
        let (stamp, rest) = match stamp(line) {
            Some((stamp, len)) => (Some(stamp), &line[len..]),
            None => (None, line),
        };
        if self.timed && stamp.is_none() {
            return None;
        }
        let text = |marks: &[&[u8]]| {
            marks.iter().find_map(|mark| {
                if self.inside {
                    let at = memchr::memmem::find(&line[..line.len().min(512)], mark)?;
                    return Some(&line[at + mark.len()..]);
                }
                let bare = rest == mark.trim_ascii_end();
                rest.strip_prefix(*mark).or_else(|| bare.then_some(&[][..]))
            })
        };
        if let Some(text) = text(self.client) {
            return Some((Peer::Client, text, stamp));
        }
        text(self.server).map(|text| (Peer::Server, text, stamp))
    }
}

/// Reads a transcript.
#[derive(Debug)]
pub struct Transcript<R> {
    lines: Lines<R>,
    style: Option<&'static Style>,
    given: Option<String>,
    /// The protocol of the connection that is not open yet, once a line has told.
    protocol: Option<String>,
    times: Times,
    /// The last time that was read, in nanoseconds, and how many midnights have passed.
    now: u64,
    days: u64,
    /// Who said the last line, while it goes on.
    speaker: Option<Peer>,
    /// The connection that came last, and the last whose opening was told.
    connection: u64,
    opened: u64,
    open: bool,
    /// The server, if a remark has told.
    server: Option<String>,
    /// What a remark has told of TLS, until its connection is open.
    tls: Option<(String, String)>,
    /// Lines that are nobody's.
    nobody: u64,
    /// Lines of the program that wrote it.
    remarks: u64,
    /// What waits for a line that tells the protocol.
    waiting: Vec<Piece>,
    ready: VecDeque<Piece>,
    over: bool,
}

impl<R: BufRead> Transcript<R> {
    /// Reads as far as the first line of a peer's.
    pub fn begin(input: R, protocol: Option<&str>) -> Self {
        let mut transcript = Transcript {
            lines: Lines::new(input),
            style: None,
            given: protocol.map(str::to_owned),
            protocol: None,
            times: Times::Unknown,
            now: 0,
            days: 0,
            speaker: None,
            connection: 0,
            opened: 0,
            open: false,
            server: None,
            tls: None,
            nobody: 0,
            remarks: 0,
            waiting: Vec::new(),
            ready: VecDeque::new(),
            over: false,
        };
        while transcript.connection == 0 && !transcript.over {
            transcript.step();
        }
        transcript
    }

    /// What the times are worth, as the first line of a peer's shows.
    pub fn times(&self) -> Times {
        self.times
    }

    fn step(&mut self) {
        match self.lines.next() {
            Ok(true) if self.lines.continues => self.go_on(),
            Ok(true) => self.line(),
            Ok(false) => self.end(None),
            Err(error) => self.end(Some(format!("line {}: reading failed: {error}", self.lines.number))),
        }
    }

    fn line(&mut self) {
        self.speaker = None;
        let line = std::mem::take(&mut self.lines.line);
        let style = self.style.or_else(|| STYLES.iter().find(|style| style.read(&line).is_some()));
        match style.and_then(|style| style.read(&line)) {
            Some((from, text, stamp)) => {
                self.style = style;
                self.tell_time(stamp);
                self.speaker = Some(from);
                // What Dovecot cut off, `>`, has no line end.
                let cut = style.is_some_and(|style| style.timed) && line[..line.len() - text.len()].ends_with(b"> ");
                self.say(from, text, (self.lines.ended || self.lines.over) && !cut);
            }
            None => self.nobodys(&line),
        }
        self.lines.line = line;
    }

    /// A further part of a line that is too long for one piece.
    fn go_on(&mut self) {
        if let Some(from) = self.speaker {
            let line = std::mem::take(&mut self.lines.line);
            self.say(from, &line, self.lines.ended || self.lines.over);
            self.lines.line = line;
        }
    }

    /// A peer says something: a connection is open.
    fn enter(&mut self) {
        if !self.open {
            self.open = true;
            self.connection += 1;
            self.tell_tls();
        }
    }

    /// TLS that began before anybody spoke is told when somebody does.
    fn tell_tls(&mut self) {
        if !self.open {
            return;
        }
        let Some((version, suite)) = self.tls.take() else { return };
        // What is told again while the protocol is not decided changes nothing.
        if !self.waiting.iter().any(|piece| matches!(piece, Piece::Tls { .. })) {
            self.tell(Piece::Tls { connection: self.connection, at: Time(self.now), version, suite });
        }
    }

    fn say(&mut self, from: Peer, text: &[u8], ended: bool) {
        self.enter();
        let mut bytes = Vec::with_capacity(text.len() + 2);
        bytes.extend_from_slice(text);
        if ended {
            bytes.extend_from_slice(b"\r\n");
        }
        let at = Time(self.now);
        let piece = Piece::Octets { connection: self.connection, at, from, bytes };
        if !self.is_unknown() {
            return self.ready.push_back(piece);
        }
        if self.protocol.is_none() {
            self.protocol = guess::of_line(from, text).map(str::to_owned);
        }
        self.waiting.push(piece);
        self.try_to_open(self.waiting.len() >= MAX_WAITING);
    }

    /// Opens the connection if its protocol and its beginning can be told, or with `all` in any case.
    fn try_to_open(&mut self, all: bool) {
        let lines = |waiting: &[Piece]| -> Vec<(Peer, Vec<u8>)> {
            let line = |piece: &Piece| match piece {
                Piece::Octets { from, bytes, .. } => Some((*from, bytes.trim_ascii_end().to_vec())),
                _ => None,
            };
            waiting.iter().filter_map(line).collect()
        };
        let lines = lines(&self.waiting);
        let lines: Vec<(Peer, &[u8])> = lines.iter().map(|(from, line)| (*from, line.as_slice())).collect();
        let later = || lines.iter().find_map(|(from, line)| guess::of_later(*from, line)).map(str::to_owned);
        let protocol = self.given.clone().or_else(|| self.protocol.clone());
        let protocol = protocol.or_else(|| if all { later() } else { None });
        let start = start::of(protocol.as_deref(), &lines, all);
        if all || protocol.is_some() && start != Start::Unclear {
            self.open_with(protocol, (start == Start::Middle).then_some(State::Opaque));
        }
    }

    /// True while the protocol of this connection is not decided, and so its opening not told.
    fn is_unknown(&self) -> bool {
        self.opened < self.connection
    }

    fn open_with(&mut self, protocol: Option<String>, middle: Option<State>) {
        let first = self.waiting.first().map_or(Time(self.now), Piece::at);
        self.opened = self.connection;
        self.ready.push_back(Piece::Opened {
            connection: self.connection,
            at: first,
            protocol,
            client: "client".into(),
            server: self.server.clone().unwrap_or_else(|| "server".into()),
            inside: true,
            middle,
        });
        self.protocol = None;
        self.ready.extend(self.waiting.drain(..));
    }

    /// A line that is no peer's.
    fn nobodys(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(&line[..line.len().min(MAX_QUOTE)]).trim_end().to_owned();
        if text.is_empty() {
            return;
        }
        let marks = |style: &Style| style.remark.iter().any(|mark| line.starts_with(mark));
        let remark = self.style.map_or_else(|| STYLES.iter().any(marks), marks);
        if remark || self.style.is_none() {
            self.server = server_in(&text).or(self.server.take());
            if let Some(told) = tls_in(&text) {
                self.tls = Some(told);
                return self.tell_tls();
            }
        }
        if ["=== Connection closed", "* Closing connection", "* shutting down connection"]
            .iter()
            .any(|end| text.starts_with(end))
        {
            self.close();
        }
        // Neither is quoted: it may be a part of a login, and nobody has hidden or anonymised it.
        if remark {
            self.remarks += 1;
            return;
        }
        self.nobody += 1;
        if self.nobody <= MAX_TOLD {
            let (number, size) = (self.lines.number, amount(line.len() as u64, "byte"));
            let [client, server] = self.style.map_or(["C: ", "S: "], Style::marks);
            self.remark(format!("line {number}: {size} without a mark; expected \"{client}\" or \"{server}\""), true);
        }
    }

    fn remark(&mut self, text: String, damage: bool) {
        let connection = self.open.then_some(self.connection);
        self.tell(Piece::Remark { connection, at: Time(self.now), text, damage });
    }

    /// What is no octets comes in its place among them.
    fn tell(&mut self, piece: Piece) {
        if self.waiting.is_empty() && !self.is_unknown() {
            self.ready.push_back(piece);
        } else {
            self.waiting.push(piece);
        }
    }

    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            if self.is_unknown() {
                self.try_to_open(true);
            }
            let at = Time(self.now);
            self.ready.push_back(Piece::Closed { connection: self.connection, at, by: None, reset: false });
        }
    }

    fn end(&mut self, why: Option<String>) {
        self.over = true;
        if self.nobody > MAX_TOLD {
            self.remark(format!("{} more lines without a mark", self.nobody - MAX_TOLD), true);
        }
        if self.remarks > 0 {
            // What a program says of itself is no damage.
            let count = amount(self.remarks, "line");
            self.remark(format!("{count} of the program that wrote this: not shown"), false);
        }
        if let Some(why) = why {
            self.remark(why, true);
        }
        self.close();
        self.ready.extend(self.waiting.drain(..));
    }

    fn tell_time(&mut self, stamp: Option<Stamp>) {
        let Some(stamp) = stamp else { return };
        match stamp {
            Stamp::Moment(time) => {
                self.times = Times::Known;
                self.now = time;
            }
            Stamp::OfDay(time) => {
                const DAY: u64 = 86_400_000_000_000;
                if self.times == Times::Unknown {
                    self.times = Times::OfDay;
                }
                if time + DAY / 2 < self.now % DAY {
                    self.days += 1;
                }
                self.now = self.days.saturating_mul(DAY).saturating_add(time);
            }
        }
    }
}

impl<R: BufRead> Iterator for Transcript<R> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while self.ready.is_empty() && !self.over {
            self.step();
        }
        self.ready.pop_front()
    }
}

/// The server that a remark of swaks's or curl's names.
fn server_in(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("=== Trying ") {
        return Some(rest.trim_end_matches('.').to_owned());
    }
    let (host, rest) = text.strip_prefix("* Connected to ")?.split_once(' ')?;
    let port: String = rest.split_once("port ")?.1.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("{host}:{port}"))
}

/// What a remark of swaks's or curl's tells of TLS: the version, and the suite.
fn tls_in(text: &str) -> Option<(String, String)> {
    let told = ["=== TLS started with cipher ", "* SSL connection using "];
    let told = told.iter().find_map(|mark| text.strip_prefix(mark))?;
    let mut words = told.split([':', '/', ' ']).filter(|word| !word.is_empty());
    let version = words.next()?.strip_prefix("TLSv")?;
    let suite = words.next()?;
    let plain = |word: &str, len, more: &[u8]| {
        let known = |octet: u8| octet.is_ascii_alphanumeric() || more.contains(&octet);
        word.len() <= len && word.starts_with(|first: char| first.is_ascii_alphanumeric()) && word.bytes().all(known)
    };
    let point = if version.contains('.') { "" } else { ".0" };
    let known = plain(version, 4, b".") && plain(suite, 64, b"_-");
    known.then(|| (format!("TLS {version}{point}"), suite.to_owned()))
}

/// A time before a mark, in nanoseconds.
#[derive(Debug, Clone, Copy)]
enum Stamp {
    Moment(u64),
    OfDay(u64),
}

/// The time at the start of a line, and where what follows it begins.
fn stamp(line: &[u8]) -> Option<(Stamp, usize)> {
    let start = &line[..line.len().min(MAX_STAMP)];
    if !start.iter().find(|b| !b" [".contains(b)).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let start = std::str::from_utf8(start)
        .unwrap_or_else(|error| std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default());
    let open = start.len() - start.trim_start_matches([' ', '[']).len();
    let rest = &start[open..];
    let token = rest.split([' ', ']']).next()?;
    let mut used = token.len();
    let found = if let Some((date, time)) = token.split_once('T') {
        moment(date, time)?
    } else if token.len() == 10 && token.as_bytes()[4] == b'-' {
        let time = rest.get(11..)?.split([' ', ']']).next()?;
        used += 1 + time.len();
        moment(token, time)?
    } else if token.contains(':') {
        let time: jiff::civil::Time = token.replace(',', ".").parse().ok()?;
        Stamp::OfDay(u64::try_from(time.duration_since(jiff::civil::Time::midnight()).as_nanos()).ok()?)
    } else {
        Stamp::Moment(epoch(token)?)
    };
    let behind = rest[used..].trim_start_matches("]").trim_start_matches(" UTC");
    // One blank belongs to the time; more may be the mark's.
    let behind = behind.strip_prefix(' ').unwrap_or(behind);
    Some((found, start.len() - behind.len()))
}

fn moment(date: &str, time: &str) -> Option<Stamp> {
    let text = format!("{date}T{}", time.replace(',', "."));
    let timestamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    u64::try_from(timestamp.as_nanosecond()).ok().map(Stamp::Moment)
}

/// Seconds since 1970 with a fraction, as at least nine digits, a dot, and up to nine digits.
pub fn epoch(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if seconds.len() < 9 || !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanoseconds = fraction.parse::<u64>().ok()? * 10_u64.pow(9 - fraction.len() as u32);
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}
