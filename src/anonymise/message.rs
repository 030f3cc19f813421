//! Data as it comes: messages keep their lines, the names of their fields and the shape of their parts. Words of fields are
//! replaced one by one; bodies are filled, for a text whose words were would tell too much. How data is cut changes nothing: an
//! incomplete line waits for its end, or for [`MAX_WAITING`] octets.

use super::argument::{Content, Listing, is_date};
use super::stand_in::StandIns;
use super::vocabulary;
use crate::event::{DataKind, MAX_HEAD};
use crate::wire::imap;

/// So many octets of a line wait for its end.
pub const MAX_WAITING: usize = 4096;

/// The longest line that may be a boundary (RFC 2046 section 5.1.1).
const BOUNDARY: usize = 76;

/// The octets of a binary PROXY header before addresses begin.
const PROXY: usize = 16;

/// The longest name of a field.
const FIELD: usize = 80;

/// What bodies are filled with.
const FILLING: &[u8] =
    b"lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut labore et \
dolore magna aliqua ";

/// What lines of base64 are filled with: the same in base64, of a length that four divides.
const CODED: &[u8] = b"bG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQgY29uc2VjdGV0dXIg";

/// Where the next line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// At the beginning of lines of the server's, which may be a message or a listing.
    #[default]
    Start,
    /// In a header.
    Header,
    /// In a body.
    Body,
    /// In a listing.
    Listing(Listing),
    /// In a name.
    Name,
    /// In human text.
    Said,
    /// In what cannot be read: each octet is filled.
    Unread,
    /// In what has no lines at all.
    Opaque,
}

/// What the value of a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Field {
    #[default]
    Names,
    /// Words of MIME.
    Plain,
    /// A type and its parameters.
    Typed,
    Date,
}

/// The data of one lane.
#[derive(Debug, Clone, Default)]
pub struct Stream {
    /// The block in progress.
    block: Option<(u64, DataKind)>,
    place: Place,
    /// Where a message in chunks has got to.
    chunked: Option<Place>,
    field: Field,
    /// Octets of an incomplete line.
    waiting: Vec<u8>,
    /// So many octets stay: of the header of PROXY what tells that it is one, and its length.
    fixed: usize,
    /// The line goes on with what comes next.
    inside: bool,
    /// The first octets of the block, replaced.
    head: Vec<u8>,
}

impl Stream {
    /// A new message begins with the next chunk.
    pub fn forget_chunks(&mut self) {
        self.chunked = None;
    }

    /// Replaces a piece of a block; `out` gets what is ready. `next`: what a literal holds.
    pub fn piece(
        &mut self,
        block: (u64, DataKind),
        next: Content,
        bytes: &[u8],
        out: &mut Vec<u8>,
        names: &mut StandIns,
    ) {
        if self.block != Some(block) {
            self.begin(block, next);
        }
        let start = out.len();
        let mut all = std::mem::take(&mut self.waiting);
        all.extend_from_slice(bytes);
        let mut at = 0;
        while at < all.len() {
            let window = &all[at..all.len().min(at + MAX_WAITING)];
            let end = memchr::memchr(b'\n', window).map(|end| end + 1);
            let Some(len) = end.or((window.len() == MAX_WAITING).then_some(MAX_WAITING)) else { break };
            self.line(&mut all[at..at + len], end.is_some(), names);
            at += len;
        }
        out.extend_from_slice(&all[..at]);
        self.waiting = all.split_off(at);
        self.remember(&out[start..]);
    }

    /// Replaces what has waited at the end of a block: the octets, and the first ones of the whole block.
    pub fn finish(&mut self, names: &mut StandIns) -> (Vec<u8>, Vec<u8>) {
        let mut rest = std::mem::take(&mut self.waiting);
        self.line(&mut rest, true, names);
        self.remember(&rest);
        if self.block.take().is_some_and(|(_, kind)| kind == DataKind::Chunk) {
            self.chunked = Some(self.place);
        }
        (rest, std::mem::take(&mut self.head))
    }

    fn remember(&mut self, bytes: &[u8]) {
        let room = MAX_HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn begin(&mut self, block: (u64, DataKind), next: Content) {
        let place = match (block.1, next) {
            (DataKind::Literal, Content::Name) => Place::Name,
            (DataKind::Literal, Content::Body) => Place::Body,
            (DataKind::Literal, Content::Said) => Place::Said,
            (DataKind::Literal, Content::Message) | (DataKind::Message, _) => Place::Header,
            (DataKind::Literal, Content::Lines(_)) => Place::Name,
            (DataKind::Chunk, _) => self.chunked.unwrap_or(Place::Header),
            (DataKind::Lines, Content::Lines(Listing::Body)) => Place::Body,
            (DataKind::Lines, Content::Lines(listing)) => Place::Listing(listing),
            (DataKind::Lines, _) => Place::Start,
            (DataKind::Overlong | DataKind::Rest | DataKind::Blank, _) => Place::Unread,
            (DataKind::Opaque | DataKind::Proxy, _) => Place::Opaque,
        };
        let fixed = if block.1 == DataKind::Proxy { PROXY } else { 0 };
        *self = Stream { block: Some(block), place, fixed, chunked: self.chunked, ..Self::default() };
    }

    fn line(&mut self, line: &mut [u8], ends: bool, names: &mut StandIns) {
        let inside = std::mem::replace(&mut self.inside, !ends);
        let len = line.len() - line.iter().rev().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if self.place == Place::Start {
            let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
            let listed = digits > 0 && line.get(digits).is_none_or(u8::is_ascii_whitespace);
            self.place = if listed { Place::Listing(Listing::Named) } else { Place::Header };
        }
        let content = &mut line[..len];
        match self.place {
            Place::Header if inside => self.value(content, false, names),
            Place::Header => self.header(content, names),
            Place::Body if !inside && content.starts_with(b"--") && content.len() <= BOUNDARY => {
                names.names(content);
                let part = content.len() > 3 && !content.ends_with(b"--");
                (self.place, self.field) = (if part { Place::Header } else { Place::Body }, Field::Names);
            }
            Place::Body | Place::Start => fill_line(content),
            // The line of a dot ends them, and what goes on is a name wherever it was cut.
            Place::Listing(_) if inside => names.names(content),
            Place::Listing(listing) => names.listed(content, listing),
            Place::Name => names.names(content),
            Place::Said => names.answered(content, vocabulary::said()),
            Place::Unread => {
                let literal = imap::announcement(content).map_or(content.len(), |literal| literal.span.start as usize);
                content[..literal].iter_mut().for_each(blot);
            }
            Place::Opaque => {
                let fixed = self.fixed.min(line.len());
                self.fixed -= fixed;
                line[fixed..].fill(b'x');
            }
        }
    }

    fn header(&mut self, line: &mut [u8], names: &mut StandIns) {
        if line.is_empty() {
            self.place = Place::Body;
            return;
        }
        if line[0] == b' ' || line[0] == b'\t' {
            return self.value(line, false, names);
        }
        let name = line.iter().take(FIELD).position(|&b| b == b':').filter(|&end| end > 0);
        let Some(end) = name.filter(|&end| line[..end].iter().all(u8::is_ascii_graphic)) else {
            // No header, or none any more. The line of a dot is no line.
            if line != b"." {
                self.place = Place::Body;
                fill_line(line);
            }
            return;
        };
        let (name, value) = line.split_at_mut(end);
        self.field = match &*name.to_ascii_lowercase() {
            b"content-type" | b"content-disposition" => Field::Typed,
            b"mime-version"
            | b"content-transfer-encoding"
            | b"content-length"
            | b"lines"
            | b"precedence"
            | b"auto-submitted"
            | b"importance"
            | b"x-priority" => Field::Plain,
            b"date" | b"resent-date" | b"delivery-date" => Field::Date,
            _ => Field::Names,
        };
        names.unlisted(name, vocabulary::fields());
        self.value(&mut value[1..], true, names);
    }

    /// The value of a field, or its next line.
    fn value(&mut self, value: &mut [u8], first: bool, names: &mut StandIns) {
        match self.field {
            Field::Date if is_date(value) => {}
            Field::Names | Field::Date => names.names(value),
            Field::Plain => names.unlisted(value, vocabulary::mime()),
            Field::Typed => {
                for (nth, part) in value.split_mut(|&b| b == b';').enumerate() {
                    parameter(part, first && nth == 0, names);
                }
            }
        }
    }
}

/// Parameters whose value is a word of MIME.
const PLAIN: [&[u8]; 10] = [
    b"charset",
    b"format",
    b"delsp",
    b"protocol",
    b"micalg",
    b"type",
    b"reply-type",
    b"report-type",
    b"method",
    b"smime-type",
];

/// True for a parameter whose value may stay.
#[must_use]
pub fn is_plain(key: &[u8]) -> bool {
    PLAIN.iter().any(|plain| key.trim_ascii().eq_ignore_ascii_case(plain))
}

/// A type, or a parameter of one (RFC 2045 section 5.1).
fn parameter(part: &mut [u8], is_type: bool, names: &mut StandIns) {
    let end = part.iter().position(|&b| b == b'=').unwrap_or(part.len());
    if is_type {
        return names.unlisted(part, vocabulary::mime());
    }
    if end == part.len() {
        return names.names(part);
    }
    let (key, value) = part.split_at_mut(end);
    names.unlisted(key, vocabulary::mime());
    match is_plain(key) {
        true => names.unlisted(value, vocabulary::mime()),
        false => names.names(value),
    }
}

/// A line of a body.
fn fill_line(line: &mut [u8]) {
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || b"+/=".contains(b);
    if line.len().is_multiple_of(4) && line.iter().all(base64) && !line.iter().all(|&b| b == b'=') {
        let padding = line.iter().rev().take_while(|&&b| b == b'=').count();
        let len = line.len() - padding;
        line[..len].iter_mut().zip(CODED.iter().cycle()).for_each(|(old, new)| *old = *new);
        return;
    }
    fill(line);
}

/// Fills octets of a body. Line ends stay, dots at the beginning of a line, a `=` at its end, and what kind of octet each is.
pub fn fill(bytes: &mut [u8]) {
    let old = bytes.to_vec();
    let (mut at, mut column, mut begins) = (0, 0, true);
    for chunk in old.utf8_chunks() {
        for letter in chunk.valid().chars() {
            let len = letter.len_utf8();
            let ends = old.get(at + 1).is_none_or(|b| matches!(b, b'\r' | b'\n'));
            let stays = letter.is_ascii_control() || (letter == '.' && begins) || (letter == '=' && ends);
            match len {
                1 if stays => {}
                1 => bytes[at] = FILLING[column % FILLING.len()],
                2 => bytes[at..at + 2].copy_from_slice("é".as_bytes()),
                3 => bytes[at..at + 3].copy_from_slice("あ".as_bytes()),
                _ => bytes[at..at + len].copy_from_slice("🙂".as_bytes()),
            }
            begins = matches!(letter, '\r' | '\n') || (letter == '.' && begins);
            column = if letter == '\n' { 0 } else { column + 1 };
            at += len;
        }
        bytes[at..at + chunk.invalid().len()].fill(0xFF);
        at += chunk.invalid().len();
        begins &= chunk.invalid().is_empty();
    }
}

/// An octet of what cannot be read.
fn blot(byte: &mut u8) {
    *byte = match *byte {
        b'0'..=b'9' => b'0',
        b'a'..=b'z' | b'A'..=b'Z' => b'x',
        0x80.. => 0xFF,
        other => other,
    };
}
