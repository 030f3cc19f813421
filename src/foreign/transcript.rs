//! Transcripts: lines of both peers, each with a mark before it that says whose it is (`style.rs`), and maybe a time before that.
//! Line ends become CRLF.

use std::collections::VecDeque;
use std::io::{BufRead, Chain, Cursor, Read};

use super::lines::Lines;
use super::stamp::Stamp;
use super::style::{self, Dress};
use super::talk::Talk;
use super::unicode::Unicode;
use super::{Piece, Times, guess};
use crate::event::{Peer, Time};
use crate::wording::amount;

/// Lines that are no peer's are told one by one, up to so many.
const MAX_TOLD: u64 = 20;

/// Maximum number of bytes of such a line that are looked at.
const MAX_QUOTE: usize = 200;

/// Number of bytes from which the style is found out.
const SAMPLE: u64 = 16 * 1024;

/// Maximum number of connections under way at a time; then the oldest is ended.
const MAX_TALKS: usize = 64;

/// What programs say when a connection begins or ends.
const BORDERS: [&str; 4] =
    ["=== Connection closed", "* Closing connection", "* shutting down connection", ">> Connection to"];

/// True if a file that begins like this is a transcript: both peers speak, or one says what begins a known protocol.
#[must_use]
pub fn is_transcript(first: &[u8]) -> bool {
    !first.contains(&0) && Dress::of(lines_of(first)).is_some()
}

fn lines_of(text: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    text.split(|&b| b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Reads a transcript.
#[derive(Debug)]
pub struct Transcript<R> {
    lines: Lines<Chain<Cursor<Vec<u8>>, Unicode<R>>>,
    dress: Option<Dress>,
    given: Option<String>,
    times: Times,
    /// The last time that was read, in nanoseconds, and how many midnights have passed.
    now: u64,
    days: u64,
    /// Who said the last line, and on which connection, while it goes on.
    speaker: Option<(Peer, Vec<u8>)>,
    /// How many connections there were.
    count: u64,
    /// Those that are under way, by what the log calls them; the one that spoke last is the last.
    talks: Vec<(Vec<u8>, Talk)>,
    /// The server, if a remark has told.
    server: Option<String>,
    /// What a remark has told of TLS, until its connection is open.
    tls: Option<(String, String)>,
    /// The last remark is about TLS, and so is the number of bytes that follows it.
    about_tls: bool,
    /// Lines that are nobody's.
    nobody: u64,
    /// Lines of the program that wrote it.
    remarks: u64,
    ready: VecDeque<Piece>,
    over: bool,
}

impl<R: BufRead> Transcript<R> {
    /// Reads as far as the first line of a peer's.
    pub fn begin(input: R, protocol: Option<&str>) -> Self {
        let mut input = Unicode::new(input);
        let mut sample = Vec::new();
        // What cannot be read now is said when its turn comes.
        let _ = input.by_ref().take(SAMPLE).read_to_end(&mut sample);
        let dress = Dress::of(lines_of(&sample));
        let mut transcript = Transcript {
            lines: Lines::new(Cursor::new(sample).chain(input)),
            dress,
            given: protocol.map(str::to_owned),
            times: Times::Unknown,
            now: 0,
            days: 0,
            speaker: None,
            count: 0,
            talks: Vec::new(),
            server: None,
            tls: None,
            about_tls: false,
            nobody: 0,
            remarks: 0,
            ready: VecDeque::new(),
            over: false,
        };
        while transcript.count == 0 && !transcript.over {
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
        let ended = self.lines.ended || self.lines.over;
        match self.dress.as_ref().and_then(|dress| dress.read(&line)) {
            Some(said) => {
                let (from, key) = (said.from, said.key);
                self.tell_time(said.stamp);
                self.say(&key, from, said.text, ended && !said.cut, true);
                self.speaker = Some((from, key));
            }
            None if self.is_unmarked_server(&line) => {
                self.say(b"", Peer::Server, &line, ended, true);
                self.speaker = Some((Peer::Server, Vec::new()));
            }
            None => self.nobodys(&line),
        }
        self.lines.line = line;
    }

    /// A further part of a line that is too long for one piece.
    fn go_on(&mut self) {
        if let Some((from, key)) = self.speaker.take() {
            let line = std::mem::take(&mut self.lines.line);
            self.say(&key, from, &line, self.lines.ended || self.lines.over, false);
            self.lines.line = line;
            self.speaker = Some((from, key));
        }
    }

    /// True for what only a server says, where the client alone has marks (`mbsync -DN`).
    fn is_unmarked_server(&self, line: &[u8]) -> bool {
        let alone = self.dress.as_ref().is_some_and(|dress| dress.one_sided && dress.is_remark(line));
        let told = || guess::of_line(Peer::Server, line).or_else(|| guess::of_later(Peer::Server, line)).is_some();
        alone
            && (line.starts_with(b"* ") || line.starts_with(b"+ ") || line == b"+" || told())
            && !style::is_program(line)
    }

    /// A peer says a line, or a further part of one.
    fn say(&mut self, key: &[u8], from: Peer, text: &[u8], ended: bool, first: bool) {
        if first && self.talks.iter().any(|(known, talk)| known == key && talk.is_over(from, text)) {
            self.close(key);
        }
        match self.talks.iter().position(|(known, _)| known == key) {
            Some(at) => {
                let talk = self.talks.remove(at);
                self.talks.push(talk);
            }
            None => {
                if self.talks.len() == MAX_TALKS {
                    let oldest = self.talks[0].0.clone();
                    self.close(&oldest);
                }
                self.count += 1;
                let server = self.server.clone().unwrap_or_else(|| "server".into());
                self.talks.push((key.to_vec(), Talk::new(self.count, self.given.clone(), server)));
                self.tell_tls();
            }
        }
        if let Some((_, talk)) = self.talks.last_mut() {
            talk.say(Time(self.now), from, text, ended, first, &mut self.ready);
        }
    }

    /// Reports TLS that began before anybody spoke when somebody does.
    fn tell_tls(&mut self) {
        let Some((_, talk)) = self.talks.last_mut() else { return };
        if let Some((version, suite)) = self.tls.take() {
            talk.secure(Time(self.now), version, suite, &mut self.ready);
        }
    }

    /// A line that is no peer's.
    fn nobodys(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(&line[..line.len().min(MAX_QUOTE)]).trim().to_owned();
        if text.is_empty() {
            return;
        }
        let about_tls = std::mem::replace(&mut self.about_tls, text.starts_with("* TLS"));
        if let Some(size) = size_in(&text).filter(|_| !about_tls)
            && let Some((_, talk)) = self.talks.last_mut()
        {
            talk.leave_out(Time(self.now), size, &mut self.ready);
        }
        let remark = style::is_remark(line) || self.dress.as_ref().is_some_and(|dress| dress.is_remark(line));
        if remark {
            self.server = server_in(&text).or(self.server.take());
            if let Some(told) = tls_in(&text) {
                self.tls = Some(told);
                return self.tell_tls();
            }
        }
        if BORDERS.iter().any(|end| text.starts_with(end))
            && let Some((key, _)) = self.talks.last()
        {
            let key = key.clone();
            self.close(&key);
        }
        // Neither is quoted: it may be a part of a login, and nobody has hidden or anonymised it.
        if remark {
            self.remarks += 1;
            return;
        }
        self.nobody += 1;
        if self.nobody <= MAX_TOLD {
            let (number, size) = (self.lines.number, amount(line.len() as u64, "byte"));
            let [client, server] = self.dress.as_ref().map_or(["C: ", "S: "], Dress::marks);
            self.remark(format!("line {number}: {size} without a mark; expected \"{client}\" or \"{server}\""), true);
        }
    }

    /// Tells something of the connection that spoke last, in its place.
    fn remark(&mut self, text: String, damage: bool) {
        let at = Time(self.now);
        match self.talks.last_mut() {
            Some((_, talk)) => talk.remark(at, text, damage, &mut self.ready),
            None => self.ready.push_back(Piece::Remark { connection: None, at, text, damage }),
        }
    }

    fn close(&mut self, key: &[u8]) {
        if let Some(at) = self.talks.iter().position(|(known, _)| known == key) {
            let (_, talk) = self.talks.remove(at);
            talk.close(Time(self.now), &mut self.ready);
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
        for (_, talk) in std::mem::take(&mut self.talks) {
            talk.close(Time(self.now), &mut self.ready);
        }
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

/// Whose bytes a remark of curl's or fetchmail's counts that the log does not have, how many, and whether these are all.
fn size_in(text: &str) -> Option<(Peer, u64, bool)> {
    let number = |text: &str| {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        text[..digits].parse::<u64>().ok()
    };
    let marks = [
        ("} [", Peer::Client, false),
        ("{ [", Peer::Server, false),
        ("* upload completely sent off: ", Peer::Client, true),
    ];
    let marked = marks.into_iter().find_map(|(mark, from, all)| Some((from, number(text.strip_prefix(mark)?)?, all)));
    let read = || text.strip_prefix("reading message ")?.rsplit_once('(').filter(|(_, size)| size.contains(" octets)"));
    marked.or_else(|| Some((Peer::Server, number(read()?.1)?, true)))
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
