//! Reading one complete IMAP text (RFC 9051 section 9, RFC 3501 section 9): its kind, the spans of its parts, the
//! literal it announces, the list of capabilities in it. Tolerant: what real peers send is read, what cannot be read
//! is `Unknown` with the octet where reading stopped. Linear in the text, and never out of its bounds.

use memchr::{memchr, memchr_iter, memchr2};

use super::body;
use crate::event::{Item, Kind, List, ListKind, Literal, Oddity, Peer, Reading, Span, Status};

/// Reads the first text of a frame as `from` would send it.
#[must_use]
pub fn read(from: Peer, text: &[u8]) -> Reading {
    match from {
        Peer::Client => read_command(text),
        Peer::Server => read_response(text),
    }
}

/// Reads a text that goes on with a frame after a literal.
#[must_use]
pub fn read_more(text: &[u8]) -> Reading {
    Reading { kind: Kind::More, literal: literal(text, 0), ..Reading::default() }
}

/// Reads a client's line where a command is expected (RFC 9051 section 2.2.1).
#[must_use]
pub fn read_command(text: &[u8]) -> Reading {
    let line = body(text);
    let (tag, after) = word(line, blanks(line, 0));
    if tag.is_empty() {
        return Reading { kind: Kind::Blank, ..Reading::default() };
    }
    let start = blanks(line, after);
    let (mut verb, mut end) = word(line, start);
    if verb.is_empty() {
        let kind = if tag.of(line).eq_ignore_ascii_case(b"DONE") { Kind::Done } else { Kind::Unknown };
        let stopped = (kind == Kind::Unknown).then_some(after as u32);
        return Reading { kind, stopped, ..Reading::default() };
    }
    if verb.of(line).eq_ignore_ascii_case(b"UID") {
        let (form, after) = word(line, blanks(line, end));
        if !form.is_empty() {
            (verb, end) = (Span { start: verb.start, end: form.end }, after);
        }
    }
    let literal = literal(text, end);
    let arguments = arguments(line, end, literal);
    let list = verb
        .of(line)
        .eq_ignore_ascii_case(b"ENABLE")
        .then(|| list(line, ListKind::Enable, arguments, Span { start: verb.start, end: arguments.end }));
    Reading { kind: Kind::Command { tag, verb, arguments }, literal, list, stopped: None }
}

/// Reads a server's line where a response is expected (RFC 9051 section 2.2.2).
#[must_use]
pub fn read_response(text: &[u8]) -> Reading {
    let line = body(text);
    // NULs before a response are seen in the wild; they are skipped here and pointed out by the session.
    let start = line.iter().position(|&b| b != 0).unwrap_or(line.len());
    match line.get(start) {
        None => Reading { kind: Kind::Blank, ..Reading::default() },
        Some(b'*') => untagged(text, line, Span::new(start, start + 1)),
        Some(b'+') => {
            let from = start + 1 + usize::from(line.get(start + 1) == Some(&b' '));
            let list = code(line, from).and_then(|close| code_list(line, from, close));
            Reading {
                kind: Kind::GoAhead { word: Span::new(start, start + 1), text: Span::new(from, line.len()) },
                list,
                ..Reading::default()
            }
        }
        Some(_) => tagged(line, start),
    }
}

fn untagged(text: &[u8], line: &[u8], star: Span) -> Reading {
    let none = Span::new(star.start as usize, star.start as usize);
    let start = blanks(line, star.end as usize);
    if line.get(start) == Some(&b'[') {
        return reply(line, none, Status::Ok, Span::new(start, start), start);
    }
    let (mut name, mut end) = word(line, start);
    if let Some(status) = status(name.of(line)) {
        return reply(line, none, status, name, end);
    }
    let mut number = None;
    if !name.is_empty() && name.of(line).iter().all(u8::is_ascii_digit) {
        number = Some(name);
        (name, end) = word(line, blanks(line, end));
    }
    if name.is_empty() {
        return Reading { stopped: Some(end as u32), ..Reading::default() };
    }
    let literal = literal(text, end);
    let arguments = arguments(line, end, literal);
    let kind = match name.of(line) {
        name if name.eq_ignore_ascii_case(b"CAPABILITY") => Some(ListKind::Data),
        name if name.eq_ignore_ascii_case(b"ENABLED") => Some(ListKind::Enabled),
        _ => None,
    };
    let list = kind.filter(|_| number.is_none()).map(|kind| {
        let whole = Span { start: name.start, end: arguments.end };
        list(line, kind, Span::new(end, arguments.end as usize), whole)
    });
    Reading { kind: Kind::Info { number, name, arguments }, literal, list, stopped: None }
}

fn tagged(line: &[u8], start: usize) -> Reading {
    let (tag, after) = word(line, start);
    let (name, end) = word(line, blanks(line, after));
    match status(name.of(line)) {
        Some(status @ (Status::Ok | Status::No | Status::Bad)) => reply(line, tag, status, name, end),
        _ => Reading { stopped: Some(name.start), ..Reading::default() },
    }
}

/// Reads what follows a status word: a response code if `[` stands there, then human text, which holds no literal.
fn reply(line: &[u8], tag: Span, status: Status, word: Span, end: usize) -> Reading {
    let start = end + usize::from(line.get(end) == Some(&b' '));
    let Some(close) = code(line, start) else {
        let kind = Kind::Reply { tag, status, word, code: None, text: Span::new(start.min(line.len()), line.len()) };
        return Reading { kind, ..Reading::default() };
    };
    let text = after_code(line, close);
    let kind =
        Kind::Reply { tag, status, word, code: Some(Span::new(start + 1, close)), text: Span::new(text, line.len()) };
    Reading { kind, list: code_list(line, start, close), ..Reading::default() }
}

/// The end of the response code that begins at `start`, if one does.
fn code(line: &[u8], start: usize) -> Option<usize> {
    (line.get(start) == Some(&b'[')).then(|| code_end(line, start + 1)).flatten()
}

/// Where human text begins behind a response code.
fn after_code(line: &[u8], close: usize) -> usize {
    close + 1 + usize::from(line.get(close + 1) == Some(&b' '))
}

/// The capabilities in the response code between `start` and `close`, if that is what it holds.
fn code_list(line: &[u8], start: usize, close: usize) -> Option<List> {
    let (name, after) = word(&line[..close], start + 1);
    let whole = Span::new(start, after_code(line, close));
    let listed = name.of(line).eq_ignore_ascii_case(b"CAPABILITY");
    listed.then(|| list(line, ListKind::Code, Span::new(after, close), whole))
}

/// The `]` that ends a response code (RFC 9051 section 7.1). Gmail prints keywords with `]` in them inside
/// parentheses, so while one is open only `)]` counts, if there is one.
fn code_end(line: &[u8], from: usize) -> Option<usize> {
    let close = from + memchr(b']', &line[from..])?;
    let inside = &line[from..close];
    let open = inside.iter().filter(|&&b| b == b'(').count() > inside.iter().filter(|&&b| b == b')').count();
    if open && let Some(at) = memchr::memmem::find(&line[close..], b")]") {
        return Some(close + at + 1);
    }
    Some(close)
}

fn status(word: &[u8]) -> Option<Status> {
    let all = [Status::Ok, Status::No, Status::Bad, Status::Bye, Status::Preauth];
    all.into_iter().find(|status| word.eq_ignore_ascii_case(status.word().as_bytes()))
}

/// The first octet at or after `from` that is no blank. Tabs are no separators in the standard, but are seen.
fn blanks(line: &[u8], from: usize) -> usize {
    let from = from.min(line.len());
    from + line[from..].iter().take_while(|&&b| b == b' ' || b == b'\t').count()
}

/// The octets up to the next blank, and where they end.
fn word(line: &[u8], from: usize) -> (Span, usize) {
    let end = memchr2(b' ', b'\t', &line[from..]).map_or(line.len(), |at| from + at);
    (Span::new(from, end), end)
}

/// What stands after a name and one space, without the literal's announcement.
fn arguments(line: &[u8], end: usize, literal: Option<Literal>) -> Span {
    let start = end + usize::from(line.get(end).is_some_and(|&b| b == b' ' || b == b'\t'));
    let stop = literal.map_or(line.len(), |literal| literal.span.start as usize);
    Span::new(start.min(stop), stop)
}

/// Cuts a list of names into tokens; `span` begins at the blank before the first of them.
fn list(line: &[u8], kind: ListKind, span: Span, whole: Span) -> List {
    let (mut at, end) = (span.start as usize, span.end as usize);
    let line = &line[..end];
    let mut items = Vec::new();
    // In the arguments of ENABLE the blank before the first name is part of what goes with it.
    if at > 0 && line.get(at - 1).is_some_and(|&b| b == b' ' || b == b'\t') {
        at -= 1;
    }
    while at < end {
        let (name, after) = word(line, blanks(line, at));
        if !name.is_empty() {
            let with_space = Span { start: at as u32, end: name.end };
            items.push(Item { name, with_space, parameters: Span::new(after, after), part: false });
        }
        at = after;
    }
    List { kind, whole, items }
}

/// The literal announced at the end of a text whose quoted strings may begin at `from`
/// (RFC 9051 section 4.3, RFC 7888, RFC 3516 section 7). Inside an open quote there is none.
#[must_use]
pub fn literal(text: &[u8], from: usize) -> Option<Literal> {
    let literal = announcement(text)?;
    let before = text.get(from..literal.span.start as usize)?;
    open_quote(before).is_none().then_some(literal)
}

/// The same for the end of a text of which only the last octets are known.
#[must_use]
pub fn announcement(text: &[u8]) -> Option<Literal> {
    let line = body(text);
    let rest = line.strip_suffix(b"}")?;
    let (rest, synchronizing) = match rest.strip_suffix(b"+") {
        Some(rest) => (rest, false),
        None => (rest, true),
    };
    let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let open = rest.len().checked_sub(digits + 1)?;
    if digits == 0 || rest[open] != b'{' {
        return None;
    }
    let len =
        rest[open + 1..].iter().fold(0u64, |n, &digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    let binary = open > 0 && rest[open - 1] == b'~';
    Some(Literal { span: Span::new(open - usize::from(binary), line.len()), len, synchronizing, binary })
}

/// What looks like an announcement at the end of a text that was read without a literal.
#[must_use]
pub fn not_a_literal(text: &[u8]) -> Option<Oddity> {
    let line = body(text);
    let inside = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inside)?;
    let number = &inside[open + 1..];
    let counts = !number.is_empty() && number.iter().all(|b| b.is_ascii_digit() || b"+-".contains(b));
    counts.then_some(Oddity::NotALiteral(open as u32))
}

/// Where the quoted string begins that is still open at the end of these octets.
#[must_use]
pub fn open_quote(bytes: &[u8]) -> Option<usize> {
    // Most texts have no escapes, and an even number of quotes; both are seen at a glance.
    let escapes = memchr_iter(b'\\', bytes).any(|at| matches!(bytes.get(at + 1), Some(b'"' | b'\\')));
    if !escapes && memchr_iter(b'"', bytes).count().is_multiple_of(2) {
        return None;
    }
    let mut at = 0;
    let mut open = None;
    while let Some(step) = memchr2(b'"', b'\\', &bytes[at..]) {
        let found = at + step;
        at = found + 1;
        match (bytes[found], open) {
            (b'"', None) => open = Some(found),
            (b'"', Some(_)) => open = None,
            // A backslash escapes only inside a quoted string; outside it begins a flag.
            (_, Some(_)) => at = (at + 1).min(bytes.len()),
            (_, None) => {}
        }
    }
    open
}

/// One token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Where it stands, relative to the octets that were tokenized.
    pub span: Span,
    /// What it is.
    pub kind: TokenKind,
}

/// The tokens of IMAP (RFC 9051 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// An atom, with a `[section]` and `<partial>` that belong to it.
    Atom,
    /// Digits only.
    Number,
    /// An atom that begins with a backslash.
    Flag,
    /// A quoted string with its quotes.
    Quoted,
    /// A quoted string that the line end cut off.
    OpenQuote,
    /// `(`
    Open,
    /// `)`
    Close,
    /// A control octet or one above 127 outside a string.
    Surprise,
}

/// Tokenizes one line without its line end.
#[must_use]
pub const fn tokens(line: &[u8]) -> Tokens<'_> {
    Tokens { line, at: 0, sections: true }
}

/// The iterator of [`tokens`]. Linear: no octet is looked at more than twice.
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    line: &'a [u8],
    at: usize,
    /// False once no `]` was found: then there is none further on either, and looking again would not be linear.
    sections: bool,
}

const BLANK: u8 = 0;
const ATOM: u8 = 1;
const DIGIT: u8 = 2;
const QUOTE: u8 = 3;
const OPEN: u8 = 4;
const CLOSE: u8 = 5;
const SECTION: u8 = 6;
const CONTROL: u8 = 7;

/// The class of every octet.
static CLASS: [u8; 256] = {
    let mut class = [ATOM; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b' ' | b'\t' => BLANK,
            b'0'..=b'9' => DIGIT,
            b'"' => QUOTE,
            b'(' => OPEN,
            b')' => CLOSE,
            b'[' => SECTION,
            0..=31 | 127..=255 => CONTROL,
            _ => ATOM,
        };
        byte += 1;
    }
    class
};

impl Iterator for Tokens<'_> {
    type Item = Token;

    #[inline]
    fn next(&mut self) -> Option<Token> {
        let line = self.line;
        let mut at = self.at;
        while at < line.len() && CLASS[line[at] as usize] == BLANK {
            at += 1;
        }
        let start = at;
        let first = *line.get(at)?;
        let (end, kind) = match CLASS[first as usize] {
            OPEN => (at + 1, TokenKind::Open),
            CLOSE => (at + 1, TokenKind::Close),
            QUOTE => quoted(line, at),
            CONTROL => {
                let run = line[at..].iter().take_while(|&&b| CLASS[b as usize] == CONTROL).count();
                (at + run, TokenKind::Surprise)
            }
            class => self.atom(at, class),
        };
        self.at = end;
        Some(Token { span: Span::new(start, end), kind })
    }
}

#[inline]
fn quoted(line: &[u8], start: usize) -> (usize, TokenKind) {
    let mut at = start + 1;
    while at < line.len() {
        match line[at] {
            b'"' => return (at + 1, TokenKind::Quoted),
            b'\\' => at += 2, // may step past the end, which ends the loop
            _ => at += 1,
        }
    }
    (line.len(), TokenKind::OpenQuote)
}

impl Tokens<'_> {
    /// The same where it is known that no `]` follows: nobody looks for one.
    #[must_use]
    pub const fn without_sections(self) -> Self {
        Tokens { sections: false, ..self }
    }

    #[inline]
    fn atom(&mut self, start: usize, class: u8) -> (usize, TokenKind) {
        let line = self.line;
        let mut at = start;
        let mut seen = class;
        while at < line.len() {
            match CLASS[line[at] as usize] {
                DIGIT => {}
                ATOM => seen = ATOM,
                SECTION => {
                    seen = ATOM;
                    // A section may hold blanks and parentheses: BODY[HEADER.FIELDS (DATE)].
                    match self.sections.then(|| memchr(b']', &line[at..])).flatten() {
                        Some(close) => at += close,
                        None => self.sections = false,
                    }
                }
                _ => break,
            }
            at += 1;
        }
        let kind = match seen {
            DIGIT => TokenKind::Number,
            _ if line[start] == b'\\' => TokenKind::Flag,
            _ => TokenKind::Atom,
        };
        (at, kind)
    }
}
