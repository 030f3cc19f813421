//! Cutting and reading: where a text ends, and what it is. Sees octets only: no grammar, no session, no clock.
//!
//! [`Framer::cut`] divides one lane into texts and data. The pieces it gives, put together, are its input, whatever
//! the input and however it arrives; what is expected next is told to it by the session. Reading a complete text is
//! the work of the forms: [`imap`], [`status`], [`managesieve`], [`mod@line`].

pub mod coded;
pub mod dot;
pub mod foreign;
pub mod hello;
pub mod imap;
pub mod line;
pub mod login;
pub mod managesieve;
pub mod name;
pub mod sasl;
pub mod status;

use memchr::{memchr, memchr2};

use crate::event::{Form, Kind, ListKind, MAX_TEXT, Peer, Reading};
pub use dot::Dot;
pub use foreign::foreign;

/// What a lane is expected to bring next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expect {
    /// A text, to its LF.
    #[default]
    Line,
    /// So many octets of data; never zero.
    Octets(u64),
    /// The rest of a line that is longer than [`MAX_TEXT`], to its LF.
    Overlong,
    /// Data to a line that is a dot.
    Dot(Ends),
    /// Nothing that can be read: data until the end.
    Opaque,
}

/// Which dot ends lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    /// One between CRLF and CRLF: what a client sends ([`Dot::strict`]).
    CrLf,
    /// One on any line of its own: what a server sends ([`Dot::lenient`]).
    Any,
}

/// How many lines make a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Gather {
    /// One.
    #[default]
    One,
    /// All lines of a reply: those with `-` behind three digits, and the one after them (RFC 5321 section 4.2.1).
    Codes,
    /// If the first says yes (`+OK`, `101`), all to a line that is a dot (RFC 1939 section 3, RFC 3977 section 3.1.1).
    Dot,
    /// All to a line that begins with OK, NO or BYE, or ends with the announcement of a literal (RFC 5804 section 1.2).
    Response,
}

impl Gather {
    /// True if a text ends with this line. `first`: it begins with it.
    fn ends(self, line: &[u8], first: bool) -> bool {
        let line = body(line);
        match self {
            Gather::One => true,
            Gather::Codes if first => !(status::code(line) && line.get(3) == Some(&b'-')),
            // A line without a code does not end a reply, for then its last line would be taken for another.
            Gather::Codes => line.is_empty() || (status::code(line) && line.get(3) != Some(&b'-')),
            Gather::Dot if first => !matches!(line.first(), Some(b'+' | b'1' | b'2')),
            Gather::Dot => line == b".",
            // A server of another protocol ends no response here, and nobody would get to see its greeting.
            Gather::Response => {
                managesieve::ends(line) || (first && foreign::greets_otherwise(line, Form::Managesieve))
            }
        }
    }

    /// True if these lines are one text, no more and no less.
    #[must_use]
    pub fn holds(self, text: &[u8]) -> bool {
        let mut lines = text.split_inclusive(|&b| b == b'\n').peekable();
        let mut first = true;
        while let Some(line) = lines.next() {
            if self.ends(line, first) != lines.peek().is_none() {
                return false;
            }
            first = false;
        }
        !first
    }
}

/// One piece of a lane.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut<'s> {
    /// Octets of a line that is not complete; the framer keeps a copy.
    Part(&'s [u8]),
    /// A complete line. Its last `fresh` octets came in this input, the others were parts before.
    Text {
        /// The line with its line end.
        whole: &'s [u8],
        /// How many of its octets this cut consumed.
        fresh: usize,
    },
    /// The first [`MAX_TEXT`] octets of a line that goes on; [`Expect::Overlong`] holds from here.
    Head {
        /// The octets.
        whole: &'s [u8],
        /// How many of them this cut consumed.
        fresh: usize,
    },
    /// Octets of data.
    Data {
        /// The octets.
        bytes: &'s [u8],
        /// True if the block or overlong line is complete; [`Expect::Line`] holds from here.
        done: bool,
    },
}

/// Cuts one lane.
#[derive(Debug, Default)]
pub struct Framer {
    expect: Expect,
    gather: Gather,
    /// Where in `held` the incomplete line of a text of several lines begins.
    line: usize,
    held: Vec<u8>,
    /// `held` was given out as a complete text and goes with the next cut.
    spent: bool,
    ending: Ending,
    /// The search for the end of the lines to a dot, in progress or just completed.
    dot: Option<Box<Dot>>,
}

impl Framer {
    /// Cuts the next piece off `input`, which must not be empty.
    pub fn cut<'s, 'a: 's>(&'s mut self, input: &mut &'a [u8]) -> Cut<'s> {
        self.forget();
        match self.expect {
            Expect::Line => self.line(input),
            Expect::Octets(left) => {
                let n = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
                let left = left - n as u64;
                self.expect = if left == 0 { Expect::Line } else { Expect::Octets(left) };
                Cut::Data { bytes: take(input, n), done: left == 0 }
            }
            Expect::Overlong => {
                let (n, done) = self.ending.rest(input, self.gather);
                if done {
                    self.expect = Expect::Line;
                }
                Cut::Data { bytes: take(input, n), done }
            }
            Expect::Dot(_) => {
                let (n, done) = self.dot.get_or_insert_with(|| Box::new(Dot::strict())).feed(input);
                if done {
                    self.expect = Expect::Line;
                }
                Cut::Data { bytes: take(input, n), done }
            }
            Expect::Opaque => Cut::Data { bytes: take(input, input.len()), done: false },
        }
    }

    fn line<'s, 'a: 's>(&'s mut self, input: &mut &'a [u8]) -> Cut<'s> {
        let room = MAX_TEXT - self.held.len();
        let window = &input[..input.len().min(room)];
        let Some(end) = self.end(window) else {
            let bytes = take(input, window.len());
            if bytes.len() < room {
                self.held.extend_from_slice(bytes);
                return Cut::Part(bytes);
            }
            self.expect = Expect::Overlong;
            self.ending = Ending { first: self.line == 0, ..Ending::default() };
            let line = self.line.min(self.held.len());
            self.ending.feed(&self.held[..line]);
            self.ending.begin();
            self.ending.feed(&self.held[line..]);
            if self.line > line {
                self.ending.feed(&bytes[..self.line - line]);
                self.ending.begin();
            }
            self.ending.feed(&bytes[self.line - line..]);
            self.line = 0;
            let (whole, fresh) = self.complete(bytes);
            return Cut::Head { whole, fresh };
        };
        let bytes = take(input, end);
        let (whole, fresh) = self.complete(bytes);
        Cut::Text { whole, fresh }
    }

    /// Where in the window the text in progress ends, if it does. `self.line` is kept for the next window.
    fn end(&mut self, window: &[u8]) -> Option<usize> {
        let held = self.held.len();
        let mut at = 0;
        while let Some(step) = memchr(b'\n', &window[at..]) {
            at += step + 1;
            if self.gather == Gather::One {
                return Some(at);
            }
            let ends = if self.line < held {
                // The line began in an earlier chunk; one that matters is short.
                let mut line = self.held[self.line..].to_vec();
                line.extend_from_slice(&window[..at]);
                self.gather.ends(&line, self.line == 0)
            } else {
                self.gather.ends(&window[self.line - held..at], self.line == 0)
            };
            self.line = held + at;
            if ends {
                self.line = 0;
                return Some(at);
            }
        }
        None
    }

    /// Joins the last octets of a text to those held before; in the common case there are none, and nothing is copied.
    fn complete<'s, 'a: 's>(&'s mut self, bytes: &'a [u8]) -> (&'s [u8], usize) {
        if self.held.is_empty() {
            return (bytes, bytes.len());
        }
        self.held.extend_from_slice(bytes);
        self.spent = true;
        (&self.held, bytes.len())
    }

    fn forget(&mut self) {
        if self.spent {
            self.spent = false;
            self.held.clear();
            // An idle lane keeps no buffer worth speaking of.
            self.held.shrink_to(1024);
        }
    }

    /// Says what the lane will bring next. Only between a complete piece and the next cut.
    pub fn expect(&mut self, expect: Expect) {
        debug_assert!(expect != Expect::Octets(0), "a block of no octets is complete already");
        if let Expect::Dot(ends) = expect {
            let dot = match ends {
                Ends::CrLf => Dot::strict(),
                Ends::Any => Dot::lenient(),
            };
            self.dot = Some(Box::new(dot));
        }
        self.expect = expect;
    }

    /// How many bytes at the beginning of `input` are whole empty lines, and how many lines that is; none where an empty
    /// line is not a text by itself. Only between texts.
    #[must_use]
    pub fn empty_lines(&self, input: &[u8]) -> (usize, u64) {
        if !self.gather.ends(b"\r\n", true) {
            return (0, 0);
        }
        let (mut at, mut lines) = (0, 0);
        while at < input.len() {
            match input[at..] {
                [b'\n', ..] => at += 1,
                [b'\r', b'\n', ..] => at += 2,
                _ => break,
            }
            lines += 1;
        }
        (at, lines)
    }

    /// Says how many lines make a text. Only between texts.
    pub fn gather(&mut self, gather: Gather) {
        self.forget();
        debug_assert!(self.held.is_empty() || gather == self.gather, "a text in progress keeps its form");
        self.gather = gather;
    }

    /// The lines to a dot in progress, or those that were completed last.
    #[must_use]
    pub fn dot(&self) -> Option<&Dot> {
        self.dot.as_deref()
    }

    /// What the lane is expected to bring next.
    #[must_use]
    pub const fn expected(&self) -> Expect {
        self.expect
    }

    /// The octets of the incomplete line.
    #[must_use]
    pub fn held(&self) -> &[u8] {
        if self.spent { &[] } else { &self.held }
    }

    /// Returns true if the text in progress has whole lines, and needs another one.
    #[must_use]
    pub const fn is_amid_lines(&self) -> bool {
        !self.spent && self.line > 0
    }

    /// Takes the octets of the incomplete line out, for a lane that turns out to hold something else.
    pub fn release(&mut self) -> Vec<u8> {
        self.forget();
        self.line = 0;
        std::mem::take(&mut self.held)
    }

    /// How the overlong line that was just completed ends.
    #[must_use]
    pub const fn ending(&self) -> &Ending {
        &self.ending
    }
}

/// Reads the first text of a frame as `from` would send it in a protocol of this form.
#[must_use]
pub fn read(form: Form, from: Peer, text: &[u8]) -> Reading {
    match form {
        Form::Imap => imap::read(from, text),
        Form::Codes => status::read(from, text),
        Form::Pop3 => status::read_pop3(from, text),
        Form::Managesieve => managesieve::read(from, text),
        Form::Line => line::read(from, text),
    }
}

/// Reads a text that goes on with a frame after a literal.
#[must_use]
pub fn read_more(form: Form, from: Peer, text: &[u8]) -> Reading {
    match form {
        Form::Managesieve => managesieve::read_more(from, text),
        _ => imap::read_more(text),
    }
}

/// Reads a client's line inside a SASL exchange: a lone `*` cancels it (RFC 4422 section 3.5).
#[must_use]
pub fn read_response(form: Form, text: &[u8]) -> Reading {
    let line = body(text);
    if form == Form::Managesieve {
        return managesieve::read_sasl(text);
    }
    let kind = if line == b"*" { Kind::Cancel } else { Kind::Sasl };
    Reading { kind, ..Reading::default() }
}

/// Reads a text that stands in the place of another of the same peer, which reads like this.
#[must_use]
pub fn reread(form: Form, from: Peer, reading: &Reading, text: &[u8]) -> Reading {
    let mut new = match reading.kind {
        Kind::More => read_more(form, from, text),
        Kind::Sasl | Kind::Cancel => read_response(form, text),
        _ => read(form, from, text),
    };
    match reading.list.as_ref().map(|list| list.kind) {
        Some(ListKind::Lines(kind)) if form != Form::Managesieve => new.list = Some(status::list(kind, text)),
        // Only the session knows whether it is a list.
        None if form == Form::Managesieve => new.list = None,
        _ => {}
    }
    new
}

fn take<'a>(input: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (head, rest) = input.split_at(n);
    *input = rest;
    head
}

/// What must be known of a text that was not kept: the first and the last octets of its last line, and whether a quoted
/// string is open there.
#[derive(Debug, Default)]
pub struct Ending {
    /// The line is the first of its text.
    first: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
    quoted: bool,
    escaped: bool,
}

impl Ending {
    /// Enough for `~{18446744073709551615+}` and CRLF with leading zeros to spare.
    const TAIL: usize = 48;

    /// Octets of the head that are kept; where a text ends is told by fewer.
    const HEAD: usize = 64;

    /// Takes the rest of the text, as far as it is there: how many octets, and whether that is its end.
    fn rest(&mut self, input: &[u8], gather: Gather) -> (usize, bool) {
        let mut at = 0;
        while let Some(step) = memchr(b'\n', &input[at..]) {
            self.feed(&input[at..at + step + 1]);
            at += step + 1;
            let literal = gather == Gather::Response && imap::announcement(&self.tail).is_some();
            if gather.ends(&self.head, self.first) || literal {
                return (at, true);
            }
            self.first = false;
            self.begin();
        }
        self.feed(&input[at..]);
        (input.len(), false)
    }

    /// Another line begins.
    fn begin(&mut self) {
        self.head.clear();
        self.tail.clear();
        (self.quoted, self.escaped) = (false, false);
    }

    fn feed(&mut self, bytes: &[u8]) {
        let room = Self::HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
        let mut at = 0;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
                continue;
            }
            let Some(step) = memchr2(b'"', b'\\', &bytes[at..]) else { break };
            at += step + 1;
            match bytes[at - 1] {
                b'"' => self.quoted = !self.quoted,
                _ => self.escaped = self.quoted,
            }
        }
        let keep = bytes.len().min(Self::TAIL);
        let drop = (self.tail.len() + keep).saturating_sub(Self::TAIL);
        self.tail.drain(..drop.min(self.tail.len()));
        self.tail.extend_from_slice(&bytes[bytes.len() - keep..]);
    }

    /// The first octets of the last line; 64 at most, and its line end if it is no longer.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The last octets, line end included; 48 at most.
    #[must_use]
    pub fn tail(&self) -> &[u8] {
        &self.tail
    }

    /// True if a quoted string is open at the end.
    #[must_use]
    pub const fn quoted(&self) -> bool {
        self.quoted
    }
}

/// Parts a text from its line end: CRLF, bare LF, or none (at the end of a connection).
#[must_use]
pub fn body(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// The first octets of a version 2 PROXY header.
pub const PROXY: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts of a lane, the same in every segmentation.
    fn texts(gather: Gather, bytes: &[u8]) -> Vec<String> {
        let run = |step: usize| {
            let mut framer = Framer::default();
            framer.gather(gather);
            let (mut found, mut passed) = (Vec::new(), 0);
            for mut chunk in bytes.chunks(step) {
                while !chunk.is_empty() {
                    match framer.cut(&mut chunk) {
                        Cut::Text { whole, fresh } => {
                            found.push(String::from_utf8_lossy(whole).into_owned());
                            passed += fresh;
                        }
                        Cut::Part(part) => passed += part.len(),
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert_eq!(passed, bytes.len());
            found
        };
        let whole = run(bytes.len());
        for step in 1..9 {
            assert_eq!(run(step), whole, "{step} octets at a time");
        }
        whole
    }

    #[test]
    fn all_lines_of_a_reply_are_one_text() {
        let lane = b"220 hi\r\n250-a\r\nstray\r\n250-b\n250 c\r\n221\r\n250-d\r\n\r\n250 e\r\n";
        let want = ["220 hi\r\n", "250-a\r\nstray\r\n250-b\n250 c\r\n", "221\r\n", "250-d\r\n\r\n", "250 e\r\n"];
        assert_eq!(texts(Gather::Codes, lane), want);
    }

    #[test]
    fn lines_to_a_dot_are_one_text_after_ok() {
        let lane = b"-ERR no\r\n+OK list\r\nTOP\r\n..\r\n.\r\n+OK x\r\n.\r\n";
        assert_eq!(texts(Gather::Dot, lane), ["-ERR no\r\n", "+OK list\r\nTOP\r\n..\r\n.\r\n", "+OK x\r\n.\r\n"]);
    }

    #[test]
    fn a_response_of_managesieve_ends_with_its_status_or_before_a_literal() {
        let lane = b"\"A\" \"x\"\r\n\"OK\"\r\nOK\r\n\"s\" {3}\r\nno (Q) \"full\"\r\n";
        assert_eq!(
            texts(Gather::Response, lane),
            ["\"A\" \"x\"\r\n\"OK\"\r\nOK\r\n", "\"s\" {3}\r\n", "no (Q) \"full\"\r\n"]
        );
    }

    #[test]
    fn lines_to_a_dot_are_data_and_a_text_follows() {
        let lane = b"a\n.\nb\r\n.\r\nQUIT\r\n";
        for step in 1..=lane.len() {
            let mut framer = Framer::default();
            framer.expect(Expect::Dot(Ends::CrLf));
            let (mut data, mut over, mut text) = (0, 0, Vec::new());
            for mut chunk in lane.chunks(step) {
                while !chunk.is_empty() {
                    match framer.cut(&mut chunk) {
                        Cut::Data { bytes, done } => (data, over) = (data + bytes.len(), over + usize::from(done)),
                        Cut::Text { whole, .. } => text = whole.to_vec(),
                        _ => {}
                    }
                }
            }
            assert_eq!((data, over, text.as_slice()), (10, 1, &b"QUIT\r\n"[..]), "{step} octets at a time");
            assert_eq!(framer.dot().map(|dot| dot.false_ends().count()), Some(1));
        }
    }

    #[test]
    fn a_reply_that_is_too_long_is_data_to_its_own_end() {
        let reply = [&b"250-a\r\n".repeat(20_000)[..], b"250 z\r\n"].concat();
        let lane = [&reply[..], b"221 bye\r\n"].concat();
        for step in [lane.len(), 7, 65_537, 4096] {
            let mut framer = Framer::default();
            framer.gather(Gather::Codes);
            let (mut long, mut over, mut text) = (0, 0, Vec::new());
            for mut chunk in lane.chunks(step) {
                while !chunk.is_empty() {
                    match framer.cut(&mut chunk) {
                        Cut::Part(_) => {}
                        Cut::Head { whole, .. } => long += whole.len(),
                        Cut::Data { bytes, done } => (long, over) = (long + bytes.len(), over + usize::from(done)),
                        Cut::Text { whole, .. } => text = whole.to_vec(),
                    }
                }
            }
            assert_eq!((long, over, text.as_slice()), (reply.len(), 1, &b"221 bye\r\n"[..]), "{step} octets at a time");
            assert_eq!(framer.ending().head(), b"250 z\r\n");
        }
    }

    #[test]
    fn a_gathering_knows_whether_lines_are_one_text() {
        assert!(Gather::Codes.holds(b"250-a\r\n250 b\r\n") && Gather::Codes.holds(b"250 b\r\n"));
        for text in [&b""[..], b"250-a\r\n", b"250 a\r\n250 b\r\n", b"250-a\r\n250 b\r\n250 c\r\n"] {
            assert!(!Gather::Codes.holds(text), "{}", text.escape_ascii());
        }
        assert!(Gather::One.holds(b"a\r\n") && !Gather::One.holds(b"a\r\nb\r\n"));
        assert!(Gather::Dot.holds(b"+OK\r\n.\r\n") && !Gather::Dot.holds(b"+OK\r\nA\r\n"));
    }
}
