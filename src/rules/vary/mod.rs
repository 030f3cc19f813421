//! Harmless variation: the same meaning in other octets. A map of a text says where its keywords, strings and lists are; what
//! is not on the map stays as it came. Octets in, other octets out; whether they may be sent is decided by `draft`.

mod command;
mod mail;
mod response;
mod scan;

use crate::event::{Form, Kind, ListKind, Literal, Peer, Reading, Span};
use crate::wire::{self, Cut, Expect, Framer, Gather};

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ways {
    /// Letters of keywords.
    pub case: bool,
    /// The order of what has none.
    pub order: bool,
    /// Atoms are quoted, and quoted strings atoms.
    pub quoting: bool,
    /// Quoted strings are literals.
    pub literal: bool,
    /// Every octet is written by itself.
    pub slices: bool,
}

/// The names of the ways, in the order in which they are taken, and `all`.
pub const NAMES: [&str; 6] = ["case", "order", "quoting", "literal", "slices", "all"];

impl Ways {
    /// Takes in the way of this name, one of [`NAMES`]; false for any other.
    pub const fn add(&mut self, name: &str) -> bool {
        let all = name.eq_ignore_ascii_case("all");
        let mut known = all;
        let ways = [&mut self.case, &mut self.order, &mut self.quoting, &mut self.literal, &mut self.slices];
        let mut nth = 0;
        while nth < ways.len() {
            let this = name.eq_ignore_ascii_case(NAMES[nth]);
            *ways[nth] |= all || this;
            known |= this;
            nth += 1;
        }
        known
    }
}

/// One way: the text as it is then, or `None` if that changes nothing.
pub type Way = fn(Place<'_>) -> Option<Vec<u8>>;

/// A text, and what is known of its place.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// How lines of the protocol look.
    pub form: Form,
    /// Who sent it.
    pub from: Peer,
    /// The text.
    pub text: &'a [u8],
    /// What it is.
    pub reading: &'a Reading,
}

/// What can be varied in a text. Spans are in order, and apart from each other within each list.
#[derive(Debug, Default)]
struct Map {
    /// Words that mean the same in any case.
    keywords: Vec<Span>,
    /// Strings, with their quotes, and atoms.
    strings: Vec<Written>,
    /// Things whose order has no meaning.
    groups: Vec<Vec<Span>>,
}

/// A string as it is written.
#[derive(Debug, Clone, Copy)]
struct Written {
    span: Span,
    /// What may stand for it besides a quoted string and a literal.
    bare: Bare,
}

/// Whether a string can be an atom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// Never.
    No,
    /// As an astring (RFC 9051 section 9).
    Atom,
    /// As the pattern of LIST, in which `%` and `*` may stand too.
    Pattern,
}

impl Bare {
    fn holds(self, octet: u8) -> bool {
        let atom = octet.is_ascii_graphic() && !b"(){%*\"\\".contains(&octet);
        match self {
            Bare::No => false,
            Bare::Atom => atom,
            Bare::Pattern => atom || b"%*".contains(&octet),
        }
    }
}

impl Map {
    fn of(place: Place<'_>) -> Self {
        let Place { form, from, text, reading } = place;
        let mut map = match (form, from) {
            (Form::Imap, Peer::Client) => command::map(text, reading),
            (Form::Imap, Peer::Server) => response::map(text, reading),
            (Form::Codes, _) => mail::codes(text, reading),
            (Form::Pop3, _) => mail::pop3(text, reading),
            (Form::Managesieve, _) => mail::managesieve(from, text, reading),
            (Form::Line, _) => Map::default(),
        };
        if let Some(list) = &reading.list
            && form == Form::Imap
        {
            // A value may have a case of its own, and the name of a mechanism is in upper case (RFC 4422 section 3.1).
            let name = |item: Span| up_to(text, item, b"=");
            map.keywords.extend(list.items.iter().map(|item| name(item.name)));
            map.groups.push(list.items.iter().map(|item| item.name).collect());
            if matches!(list.kind, ListKind::Code)
                && let Kind::Reply { code: Some(code), .. } = reading.kind
            {
                map.keywords.push(up_to(text, code, b" "));
            }
        }
        map.keywords.sort_by_key(|span| span.start);
        map
    }
}

/// A span, up to the first of these octets.
fn up_to(text: &[u8], span: Span, stops: &[u8]) -> Span {
    let len = span.of(text).iter().take_while(|b| !stops.contains(b)).count();
    Span::new(span.start as usize, span.start as usize + len)
}

/// The text with every other letter of its keywords in the other case, the first of each word among them.
pub fn case(place: Place<'_>) -> Option<Vec<u8>> {
    let mut text = place.text.to_vec();
    for span in Map::of(place).keywords {
        let mut other = true;
        for octet in &mut text[span.start as usize..span.end as usize] {
            if octet.is_ascii_alphabetic() {
                *octet ^= if other { 0x20 } else { 0 };
                other = !other;
            } else {
                other = true;
            }
        }
    }
    (text != place.text).then_some(text)
}

/// The text with what has no order the other way round.
pub fn order(place: Place<'_>) -> Option<Vec<u8>> {
    let mut text = place.text.to_vec();
    // A group within an item of another comes before that one in the map, and is as long as before when it is turned round:
    // so all spans stay right.
    for group in Map::of(place).groups {
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        let (start, end) = (first.start as usize, last.end as usize);
        let mut now = Vec::with_capacity(end - start);
        let mut at = start;
        for (item, other) in group.iter().zip(group.iter().rev()) {
            now.extend_from_slice(&text[at..item.start as usize]);
            now.extend_from_slice(other.of(&text));
            at = item.end as usize;
        }
        text[start..end].copy_from_slice(&now);
    }
    (text != place.text).then_some(text)
}

/// The text with its atoms quoted, and its quoted strings as atoms where they can be.
pub fn quoting(place: Place<'_>) -> Option<Vec<u8>> {
    respelled(place, |Written { span, bare }| {
        let token = span.of(place.text);
        if bare == Bare::No {
            return None;
        }
        let Some(inside) = plain(token) else { return Some([b"\"", token, b"\""].concat()) };
        // What is spelled like NIL may be taken for it.
        let can = !inside.is_empty() && inside.iter().all(|&b| bare.holds(b)) && !inside.eq_ignore_ascii_case(b"NIL");
        can.then_some(inside)
    })
}

/// The text with its quoted strings as literals of `most` octets at the most; `None` if it has none, or would be cut elsewhere
/// than is meant. What comes out is no longer one text, but several with the literals between them.
pub fn literals(place: Place<'_>, most: u32) -> Option<Vec<u8>> {
    let sign = if place.from == Peer::Client { "+" } else { "" };
    let out = respelled(place, |Written { span, .. }| {
        let inside = plain(span.of(place.text)).filter(|inside| inside.len() <= most as usize)?;
        Some([format!("{{{}{sign}}}\r\n", inside.len()).as_bytes(), &inside].concat())
    });
    // A text without an end is not complete.
    out.filter(|out| place.text.ends_with(b"\n") && cut_as_meant(place, out))
}

/// True if whoever gets these octets cuts them into texts and literals that are one frame, as the text was.
fn cut_as_meant(place: Place<'_>, octets: &[u8]) -> bool {
    let Place { form, from, reading, .. } = place;
    let mut framer = Framer::default();
    framer.gather(match form {
        Form::Codes if from == Peer::Server => Gather::Codes,
        Form::Managesieve if from == Peer::Server => Gather::Response,
        _ => Gather::One,
    });
    let mut rest = octets;
    let mut first = reading.kind != Kind::More;
    loop {
        let read = match framer.cut(&mut rest) {
            Cut::Text { whole, .. } if first => wire::read(form, from, whole),
            Cut::Text { whole, .. } => wire::read_more(form, from, whole),
            Cut::Data { .. } if !rest.is_empty() => continue,
            _ => return false,
        };
        first = false;
        let same = |one: Literal, other: Literal| (one.len, one.synchronizing) == (other.len, other.synchronizing);
        if rest.is_empty() {
            return match (read.literal, reading.literal) {
                (Some(one), Some(other)) => same(one, other),
                (one, other) => one.is_none() && other.is_none(),
            };
        }
        if read.literal.is_some() && matches!(read.kind, Kind::Reply { .. }) {
            // What ends a reply whose text is a literal has no status.
            framer.gather(Gather::One);
        }
        match read.literal {
            Some(literal) if literal.len > 0 => framer.expect(Expect::Octets(literal.len)),
            Some(_) => {}
            None => return false,
        }
    }
}

/// The text with other spellings of its strings; `None` if all stay as they are.
fn respelled(place: Place<'_>, spelling: impl Fn(Written) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let text = place.text;
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut at = 0;
    for string in Map::of(place).strings {
        let Some(instead) = spelling(string) else { continue };
        out.extend_from_slice(&text[at..string.span.start as usize]);
        out.extend_from_slice(&instead);
        at = string.span.end as usize;
    }
    out.extend_from_slice(&text[at..]);
    (at > 0).then_some(out)
}

/// What a quoted string means; `None` for an atom, and for what is no such string.
fn plain(token: &[u8]) -> Option<Vec<u8>> {
    let inside = token.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut plain = Vec::with_capacity(inside.len());
    let mut rest = inside.iter();
    while let Some(&octet) = rest.next() {
        plain.push(match octet {
            b'\\' => *rest.next().filter(|octet| b"\"\\".contains(octet))?,
            b'\r' | b'\n' | 0 => return None,
            octet => octet,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_literals(form: Form, text: &str) -> Option<String> {
        let reading = wire::read(form, Peer::Server, text.as_bytes());
        let place = Place { form, from: Peer::Server, text: text.as_bytes(), reading: &reading };
        literals(place, u32::MAX).map(|out| String::from_utf8(out).expect("ASCII stays ASCII"))
    }

    #[test]
    fn literals_are_made_only_where_they_are_cut_as_is_meant() {
        let sieve = |text| with_literals(Form::Managesieve, text);
        assert_eq!(sieve("OK \"fine\"\r\n").as_deref(), Some("OK {4}\r\nfine\r\n"));
        assert_eq!(sieve("OK\"fine\"\r\n"), None, "no blank before it");
        assert_eq!(sieve("\"a\" x all\r\n\"b\"\r\nOK\r\n"), None, "a line that names no script");
        let imap = |text| with_literals(Form::Imap, text);
        assert!(imap("* LIST () \"/\" \"a\"\r\n").is_some_and(|out| out.ends_with(" {1}\r\na\r\n")));
        assert_eq!(imap("* LIST () \"/\" \"a\""), None, "it has no end");
    }
}
