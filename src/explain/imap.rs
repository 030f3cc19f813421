//! A second opinion: imap-proto as the example of a client that parses strictly. It gives details in words, and says
//! where it fails. Asked only where it is known to be right, and never about more than a sample of a flood.
//!
//! imap-proto recurses and can panic, so a frame is measured first ([`MAX_FRAME`], [`MAX_DEPTH`]), inputs that are known
//! to panic are not given to it, and unwinding is caught. A panic hook belongs to the whole program and is not touched
//! here; one that wants to stay silent about a caught panic can ask [`parsing`].

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use imap_proto::{Address, AttributeValue, BodyStructure, ContentEncoding, MailboxDatum, Response, StatusAttribute};

use super::phrase::{excerpt, names};
use crate::event::{Data, Kind, Reading, Span};
use crate::wire::body;
use crate::wording::{amount, thousands};

/// The largest frame that is judged, in octets, without the literals that were left out.
pub const MAX_FRAME: usize = 16 * 1024;

/// The deepest nesting of parentheses that is judged.
pub const MAX_DEPTH: usize = 40;

/// The first so many responses of a connection are judged, …
pub const ALL_OF: u64 = 64;

/// … and from then on one of so many.
pub const ONE_OF: u64 = 64;

/// FETCH items that imap-proto reads as the standard defines them (RFC 3501 section 7.4.2, RFC 7162, RFC 8474).
const ITEMS: [&str; 13] = [
    "FLAGS",
    "UID",
    "RFC822.SIZE",
    "INTERNALDATE",
    "ENVELOPE",
    "BODYSTRUCTURE",
    "RFC822",
    "RFC822.HEADER",
    "RFC822.TEXT",
    "MODSEQ",
    "EMAILID",
    "X-GM-MSGID",
    "X-GM-THRID",
];

/// STATUS items that imap-proto knows.
const STATUS_ITEMS: [&str; 6] = ["MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ"];

/// What the strict parser makes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opinion {
    /// It was not asked, or its refusal would mean nothing.
    Silent,
    /// It accepts the frame; in words, if there is more to say than what stands there.
    Accepted(Option<String>),
    /// It refuses the frame, from this octet on, at this item.
    Refused {
        /// Relative to the frame as it was put together.
        at: usize,
        /// The item at fault, if it could be told.
        item: Option<String>,
    },
}

/// Puts the frames of a server together and asks about a sample of them.
#[derive(Debug, Default)]
pub struct Strict {
    frame: Option<u64>,
    bytes: Vec<u8>,
    /// Where octets of the frame were left out or put in: position here, and in the frame as sent.
    seams: Vec<(usize, u64)>,
    sent: u64,
    seen: u64,
    /// How many frames were judged, and how many of them refused.
    pub judged: (u64, u64),
}

impl Strict {
    /// Takes the first text of a server's frame, or one that goes on with it. Gives an opinion when the frame is complete;
    /// the position of a refusal is relative to the frame as it was sent.
    pub fn text(&mut self, frame: u64, first: bool, text: &[u8], reading: &Reading) -> Opinion {
        if first {
            self.frame = None;
            if !eligible(text, reading) {
                return Opinion::Silent;
            }
            self.seen += 1;
            if self.seen > ALL_OF && !self.seen.is_multiple_of(ONE_OF) {
                return Opinion::Silent;
            }
            self.frame = Some(frame);
            self.bytes.clear();
            self.seams.clear();
            self.sent = 0;
        } else if self.frame != Some(frame) {
            return Opinion::Silent;
        }
        let end = reading.literal.map_or(text.len(), |literal| literal.span.start as usize);
        self.append(&text[..end], end as u64);
        self.sent = self.sent.saturating_add((text.len() - end) as u64);
        if reading.literal.is_some() || self.frame.is_none() {
            return Opinion::Silent;
        }
        self.frame = None;
        let opinion = judge(&self.bytes);
        let opinion = self.count(opinion);
        // Frames are judged seldom: a quiet connection keeps no room for them.
        (self.bytes, self.seams) = Default::default();
        opinion
    }

    /// Takes a literal of the frame: whole if it is known whole, else as an empty one.
    pub fn data(&mut self, data: &Data, head: &[u8]) {
        if self.frame != Some(data.frame) {
            return;
        }
        let whole = head.len() as u64 == data.len && data.announced == Some(data.len) && !data.secret;
        let head = if whole { head } else { &[][..] };
        let announcement = format!("{{{}}}\r\n", head.len());
        self.append(announcement.as_bytes(), 0);
        self.append(head, data.len);
    }

    /// Gives the frame up: it holds octets that were hidden, or is odd already.
    pub fn skip(&mut self) {
        self.frame = None;
    }

    fn append(&mut self, bytes: &[u8], sent: u64) {
        if self.bytes.len() + bytes.len() > MAX_FRAME {
            self.frame = None;
            return;
        }
        self.seams.push((self.bytes.len(), self.sent));
        self.bytes.extend_from_slice(bytes);
        // The octets of a block are as many as a recording says.
        self.sent = self.sent.saturating_add(sent);
    }

    fn count(&mut self, opinion: Opinion) -> Opinion {
        match opinion {
            Opinion::Silent => Opinion::Silent,
            Opinion::Accepted(detail) => {
                self.judged.0 += 1;
                Opinion::Accepted(detail)
            }
            Opinion::Refused { at, item } => {
                self.judged.0 += 1;
                self.judged.1 += 1;
                let seam = self.seams.iter().rev().find(|seam| seam.0 <= at).copied().unwrap_or_default();
                let at = (seam.1 as usize).saturating_add(at - seam.0);
                Opinion::Refused { at, item }
            }
        }
    }
}

/// True for the responses about which imap-proto is worth asking.
#[must_use]
pub fn eligible(text: &[u8], reading: &Reading) -> bool {
    match reading.kind {
        Kind::Info { number, name, .. } => {
            let name = name.of(text);
            let is = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
            if number.is_some() {
                is(&["FETCH", "EXISTS", "RECENT", "EXPUNGE"])
            } else {
                is(&["STATUS", "LIST", "LSUB", "SEARCH", "FLAGS"])
            }
        }
        // It panics on some text that is not ASCII behind a code, and knows few capability lists.
        Kind::Reply { code, .. } => reading.list.is_none() && code.is_none() && text.is_ascii(),
        _ => false,
    }
}

/// What imap-proto says about one complete frame.
#[must_use]
pub fn judge(frame: &[u8]) -> Opinion {
    if frame.len() > MAX_FRAME || !shallow(frame) || panics(frame) {
        return Opinion::Silent;
    }
    if body(frame).contains(&0) {
        return Opinion::Silent; // pointed out already, and skipped by lenient clients
    }
    match Shape::of(frame) {
        Shape::Fetch(start) => fetch(frame, start),
        Shape::Status if !known_status(frame) => Opinion::Silent,
        Shape::List if extended(frame) => Opinion::Silent,
        _ => match parse(frame) {
            Some(Ok(response)) => Opinion::Accepted(plain(&response)),
            Some(Err(())) => Opinion::Refused { at: 0, item: None },
            None => Opinion::Silent,
        },
    }
}

thread_local! {
    static PARSING: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread is inside imap-proto, whose panics are caught and mean nothing to the user.
#[must_use]
pub fn parsing() -> bool {
    PARSING.get()
}

/// Parses a frame to its end. `None` if imap-proto panicked.
fn parse(frame: &[u8]) -> Option<Result<Response<'_>, ()>> {
    PARSING.set(true);
    let parsed = catch_unwind(AssertUnwindSafe(|| match Response::parse(frame) {
        Ok(([], response)) => Ok(response),
        _ => Err(()),
    }));
    PARSING.set(false);
    parsed.ok()
}

/// True for what is known to make imap-proto 0.17 panic: `INTERNALDATE NIL`, also by way of an item that it skips.
fn panics(frame: &[u8]) -> bool {
    const FATAL: &[u8] = b"INTERNALDATE N";
    frame.windows(FATAL.len()).any(|window| window.eq_ignore_ascii_case(FATAL))
}

/// True if no way of reading the frame nests deeper than [`MAX_DEPTH`].
///
/// What a parser takes for a quoted string decides which parentheses count, and imap-proto may see that differently. So
/// both ways of dividing the octets at the quotation marks are measured, which are all there are if nothing is escaped.
fn shallow(frame: &[u8]) -> bool {
    let count = frame.iter().filter(|&&b| b == b'(').count();
    if count <= MAX_DEPTH {
        return true;
    }
    let escaped = frame.windows(2).any(|pair| pair == b"\\\"" || pair == b"\\\\");
    !escaped && [false, true].into_iter().all(|quoted| climb(frame, quoted) <= MAX_DEPTH)
}

/// The highest climb of the nesting from any point on, outside quotes.
fn climb(frame: &[u8], mut quoted: bool) -> usize {
    let (mut level, mut highest) = (0usize, 0usize);
    for &byte in frame {
        match byte {
            b'"' => quoted = !quoted,
            b'(' if !quoted => {
                level += 1;
                highest = highest.max(level);
            }
            // Below the lowest point a new climb begins.
            b')' if !quoted => level = level.saturating_sub(1),
            _ => {}
        }
    }
    highest
}

enum Shape {
    /// FETCH; its items begin at this octet.
    Fetch(usize),
    Status,
    List,
    Other,
}

impl Shape {
    fn of(frame: &[u8]) -> Shape {
        let rest = frame.strip_prefix(b"* ").unwrap_or_default();
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let starts = |at: usize, word: &[u8]| {
            rest.get(at..at + word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word))
        };
        match () {
            () if digits > 0 && starts(digits, b" FETCH (") => Shape::Fetch(2 + digits + 8),
            () if starts(0, b"STATUS ") => Shape::Status,
            () if starts(0, b"LIST ") || starts(0, b"LSUB ") => Shape::List,
            () => Shape::Other,
        }
    }
}

fn fetch(frame: &[u8], start: usize) -> Opinion {
    let Some(items) = split(frame, start) else { return Opinion::Silent };
    let known = |item: &Item| knows(item.name.of(frame), item.value.of(frame));
    if items.is_empty() || !items.iter().all(known) {
        return piecemeal(frame, start, &items.into_iter().filter(known).collect::<Vec<_>>(), false);
    }
    match parse(frame) {
        Some(Ok(Response::Fetch(number, values))) if !values.contains(&AttributeValue::Unknown) => {
            Opinion::Accepted(message(Some(number), &values))
        }
        Some(_) => piecemeal(frame, start, &items, true),
        None => Opinion::Silent,
    }
}

/// Asks about each item alone: to find the one at fault, or because of items that imap-proto does not know.
fn piecemeal(frame: &[u8], start: usize, items: &[Item], refused: bool) -> Opinion {
    let mut details = Vec::new();
    for item in items {
        let one = [b"* 1 FETCH (", item.name.of(frame), b" ", item.value.of(frame), b")\r\n"].concat();
        match parse(&one) {
            Some(Ok(Response::Fetch(_, values))) if !values.contains(&AttributeValue::Unknown) => {
                details.extend(message(None, &values));
            }
            Some(_) => {
                let item_name = excerpt(item.name.of(frame));
                return Opinion::Refused { at: item.value.start as usize, item: Some(item_name) };
            }
            None => return Opinion::Silent,
        }
    }
    match refused {
        true => Opinion::Refused { at: start, item: None },
        false if items.is_empty() => Opinion::Silent,
        false => Opinion::Accepted((!details.is_empty()).then(|| details.join("; "))),
    }
}

/// One item of a FETCH response.
struct Item {
    name: Span,
    value: Span,
}

/// Divides the items; `None` if they cannot be told apart, which is no fault of the server's that imap-proto could show.
fn split(frame: &[u8], start: usize) -> Option<Vec<Item>> {
    let mut at = start;
    let mut items = Vec::new();
    loop {
        let name = at;
        at = ending(frame, at, true)?;
        if at == name || frame.get(at) != Some(&b' ') {
            return None;
        }
        let value = at + 1;
        at = ending(frame, value, false)?;
        items.push(Item { name: Span::new(name, value - 1), value: Span::new(value, at) });
        match frame.get(at)? {
            b' ' => at += 1,
            b')' if frame.get(at + 1..)? == b"\r\n" => return Some(items),
            _ => return None,
        }
    }
}

/// Where a value ends: at the blank or parenthesis after it, outside quotes, lists, literals and, in a name, brackets.
fn ending(frame: &[u8], mut at: usize, name: bool) -> Option<usize> {
    let mut depth = 0usize;
    let mut bracket = false;
    loop {
        match frame.get(at)? {
            b'"' => at = closing(frame, at)?,
            b'[' if name => bracket = true,
            b']' if name => bracket = false,
            b'{' if !name => {
                let digits = frame.get(at + 1..)?.iter().take_while(|b| b.is_ascii_digit()).count();
                let len: usize = std::str::from_utf8(&frame[at + 1..at + 1 + digits]).ok()?.parse().ok()?;
                let begin = at + 1 + digits;
                if frame.get(begin..begin + 3)? != b"}\r\n" {
                    return None;
                }
                at = begin + 2 + len; // the octet before the next one
            }
            b'(' if !bracket => depth += 1,
            b')' if !bracket && depth == 0 => return Some(at),
            b')' if !bracket => depth -= 1,
            b' ' if !bracket && depth == 0 => return Some(at),
            _ => {}
        }
        at += 1;
    }
}

/// The quotation mark that closes the string which begins at `start`.
fn closing(frame: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match frame.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// True if a refusal of this item would be the server's fault. Sizes above 32 bits are legal in IMAP4rev2.
fn knows(name: &[u8], value: &[u8]) -> bool {
    let large = name.eq_ignore_ascii_case(b"RFC822.SIZE") && value.len() > 9;
    let section = name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case(b"BODY["));
    let listed = ITEMS.iter().any(|item| name.eq_ignore_ascii_case(item.as_bytes()));
    // A part with an empty multipart, NIL types and message/global are legal or common, and unknown to it.
    let exotic = value.windows(17).any(|w| w.eq_ignore_ascii_case(b"\"MESSAGE\" \"GLOBAL"));
    (section || listed) && !large && !exotic
}

/// True if a STATUS response has only items that imap-proto knows.
fn known_status(frame: &[u8]) -> bool {
    let line = body(frame);
    let Some(open) = memchr::memrchr(b'(', line) else { return true };
    let inside = line[open + 1..].strip_suffix(b")").unwrap_or(&line[open + 1..]);
    let words: Vec<&[u8]> = inside.split(|&b| b == b' ').filter(|word| !word.is_empty()).collect();
    words.chunks(2).all(|pair| {
        STATUS_ITEMS.iter().any(|known| pair[0].eq_ignore_ascii_case(known.as_bytes()))
            && pair.get(1).is_none_or(|value| value.len() <= 9 || pair[0].eq_ignore_ascii_case(b"HIGHESTMODSEQ"))
    })
}

/// True for a LIST response with extended data behind the name (RFC 5258 section 6), or with attributes that are not
/// separated, which many servers send.
fn extended(frame: &[u8]) -> bool {
    let line = body(frame);
    let close = memchr::memchr(b')', line).unwrap_or(0);
    line.ends_with(b")") && line[close + 1..].contains(&b'(')
}

/// What is worth saying about other responses than FETCH.
fn plain(response: &Response<'_>) -> Option<String> {
    let Response::MailboxData(data) = response else { return None };
    match data {
        MailboxDatum::Status { mailbox, status } => {
            let said: Vec<String> = status
                .iter()
                .filter_map(|item| {
                    Some(match item {
                        StatusAttribute::Messages(n) => amount((*n).into(), "message"),
                        StatusAttribute::Recent(n) => format!("{} recent", thousands((*n).into())),
                        StatusAttribute::Unseen(n) => format!("{} unseen", thousands((*n).into())),
                        StatusAttribute::UidNext(n) => format!("next UID {n}"),
                        StatusAttribute::UidValidity(n) => format!("UIDs valid under {n}"),
                        StatusAttribute::HighestModSeq(n) => format!("last change {n}"),
                        _ => return None,
                    })
                })
                .collect();
            Some(format!("mailbox {}: {}", excerpt(mailbox.as_bytes()), said.join(", ")))
        }
        MailboxDatum::Search(found) => Some(match found.len() {
            0 => "nothing found".into(),
            n => format!("{} found", amount(n as u64, "message")),
        }),
        _ => None,
    }
}

/// A FETCH response in words.
fn message(number: Option<u32>, values: &[AttributeValue<'_>]) -> Option<String> {
    let mut head: Vec<String> = number.iter().map(|n| format!("message {n}")).collect();
    let mut tail = Vec::new();
    for value in values {
        match value {
            AttributeValue::Uid(uid) => head.push(format!("UID {uid}")),
            AttributeValue::Flags(flags) if flags.is_empty() => head.push("no flags".into()),
            AttributeValue::Flags(flags) => head.push(format!("flags {}", names(flags))),
            AttributeValue::Rfc822Size(size) => head.push(amount((*size).into(), "octet")),
            AttributeValue::InternalDate(date) => head.push(format!("arrived {}", excerpt(date.trim().as_bytes()))),
            AttributeValue::ModSeq(n) => head.push(format!("change {n}")),
            AttributeValue::Envelope(envelope) => {
                let mut said = Vec::new();
                said.extend(envelope.from.as_ref().and_then(|from| from.first()).map(|a| format!("from {}", mail(a))));
                said.extend(envelope.to.as_ref().and_then(|to| to.first()).map(|a| format!("to {}", mail(a))));
                said.extend(envelope.subject.as_ref().map(|s| format!("subject \"{}\"", short(s, 80))));
                said.extend(envelope.date.as_ref().map(|date| format!("dated {}", short(date, 40))));
                if !said.is_empty() {
                    tail.push(said.join(", "));
                }
            }
            AttributeValue::BodyStructure(structure) => tail.push(parts(structure)),
            _ => {}
        }
    }
    // A number alone says no more than the line itself.
    if tail.is_empty() && head.len() <= usize::from(number.is_some()) {
        return None;
    }
    let head = head.join(", ");
    Some(if head.is_empty() {
        tail.join("; ")
    } else {
        std::iter::once(head).chain(tail).collect::<Vec<_>>().join("; ")
    })
}

fn short(bytes: &[u8], most: usize) -> String {
    let text = excerpt(bytes);
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn mail(address: &Address<'_>) -> String {
    let part = |part: &Option<std::borrow::Cow<'_, [u8]>>| part.as_ref().map(|p| short(p, 64)).unwrap_or_default();
    format!("{}@{}", part(&address.mailbox), part(&address.host))
}

/// The shape of a message: its type, and for a multipart the types of its first parts.
fn parts(structure: &BodyStructure<'_>) -> String {
    const MAX_PARTS: usize = 8;
    match structure {
        BodyStructure::Multipart { common, .. } => {
            let mut leaves = Vec::new();
            let mut due = vec![structure];
            while let Some(part) = due.pop() {
                match part {
                    BodyStructure::Multipart { bodies, .. } => due.extend(bodies.iter().rev()),
                    leaf => leaves.push(leaf),
                }
            }
            let said: Vec<String> = leaves.iter().take(MAX_PARTS).map(|leaf| part(leaf)).collect();
            let more = leaves.len().saturating_sub(MAX_PARTS);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(
                "multipart/{}: {}{more}",
                short(common.ty.subtype.as_bytes(), 40).to_ascii_lowercase(),
                said.join(", ")
            )
        }
        leaf => part(leaf),
    }
}

fn part(structure: &BodyStructure<'_>) -> String {
    let (common, other) = match structure {
        BodyStructure::Basic { common, other, .. }
        | BodyStructure::Text { common, other, .. }
        | BodyStructure::Message { common, other, .. } => (common, other),
        BodyStructure::Multipart { .. } => return "multipart".into(),
    };
    let encoding = match &other.transfer_encoding {
        ContentEncoding::Base64 => ", base64",
        ContentEncoding::QuotedPrintable => ", quoted-printable",
        ContentEncoding::Binary => ", binary",
        _ => "",
    };
    let kind = format!("{}/{}", short(common.ty.ty.as_bytes(), 40), short(common.ty.subtype.as_bytes(), 40));
    format!("{} {}{encoding}", kind.to_ascii_lowercase(), amount(other.octets.into(), "octet"))
}

#[cfg(test)]
mod tests;
