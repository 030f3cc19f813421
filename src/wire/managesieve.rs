//! Reading ManageSieve (RFC 5804 sections 1.2 and 4): commands and responses made of strings, which may be literals. A
//! response is a run of lines of data and a line that begins with OK, NO or BYE; one text holds as much of it as comes
//! before a literal. Linear in the text, and never out of its bounds.

use super::{body, imap, status};
use crate::event::{Form, Item, Kind, List, ListKind, Literal, Peer, Reading, Span, Status};

/// Reads the first text of a frame.
#[must_use]
pub fn read(from: Peer, text: &[u8]) -> Reading {
    match from {
        Peer::Client => {
            let mut reading = status::read_command(text);
            if let Kind::Command { arguments, .. } = &mut reading.kind {
                reading.literal = literal(text, arguments.start as usize);
                let end = reading.literal.map_or(arguments.end, |literal| literal.span.start);
                arguments.end = end.max(arguments.start);
            }
            reading
        }
        Peer::Server => read_response(text, false),
    }
}

/// Reads a text that goes on after a literal.
#[must_use]
pub fn read_more(from: Peer, text: &[u8]) -> Reading {
    match from {
        Peer::Client => Reading { kind: Kind::More, literal: literal(text, 0), ..Reading::default() },
        Peer::Server => read_response(text, true),
    }
}

/// Reads a client's line inside a SASL exchange: a string, of which `*` cancels (RFC 5804 section 2.1).
#[must_use]
pub fn read_sasl(text: &[u8]) -> Reading {
    let kind = if body(text) == b"\"*\"" { Kind::Cancel } else { Kind::Sasl };
    Reading { kind, literal: literal(text, 0), ..Reading::default() }
}

/// Reads a server's challenge inside a SASL exchange, if it is one: a string on a line of its own.
#[must_use]
pub fn challenge(text: &[u8]) -> Option<Reading> {
    let line = body(text);
    let literal = literal(text, 0);
    if line.first() != Some(&b'"') && literal.is_none() {
        return None;
    }
    let word = Span::new(0, 0);
    let inside = if literal.is_some() { word } else { string(line, 0, line.len()) };
    Some(Reading { kind: Kind::GoAhead { word, text: inside }, literal, ..Reading::default() })
}

/// The literal that the last octets of a line announce.
#[must_use]
pub fn announcement(tail: &[u8]) -> Option<Literal> {
    imap::announcement(tail).map(|literal| Literal { synchronizing: false, ..literal })
}

/// True if a text of the server ends with this line.
#[must_use]
pub fn ends(line: &[u8]) -> bool {
    verdict(line).is_some() || literal(line, 0).is_some()
}

/// A literal; its octets follow at once in both directions, whether it has a `+` or not.
fn literal(text: &[u8], from: usize) -> Option<Literal> {
    imap::literal(text, from).map(|literal| Literal { synchronizing: false, ..literal })
}

/// The status that a line begins with, and the length of its word.
fn verdict(line: &[u8]) -> Option<(Status, usize)> {
    let len = line.iter().take_while(|&&b| !b" \t(\"".contains(&b)).count();
    let status = match &line[..len] {
        word if word.eq_ignore_ascii_case(b"OK") => Status::Ok,
        word if word.eq_ignore_ascii_case(b"NO") => Status::No,
        word if word.eq_ignore_ascii_case(b"BYE") => Status::Bye,
        _ => return None,
    };
    Some((status, len))
}

fn read_response(text: &[u8], more: bool) -> Reading {
    let Some((start, line)) = status::lines(text).last() else { return Reading::default() };
    let literal = literal(text, start);
    let end = literal.map_or(start + line.len(), |literal| literal.span.start as usize);
    let Some((status, len)) = verdict(line) else {
        if more {
            return Reading { kind: Kind::More, literal, ..Reading::default() };
        }
        let first = body(text);
        if first.is_empty() {
            return Reading { kind: Kind::Blank, ..Reading::default() };
        }
        let name = string(text, 0, body(text).len());
        let stopped = (name.is_empty() && literal.is_none()).then_some(0);
        let end = end.max(name.end as usize);
        let arguments = Span::new((name.end as usize + 1).min(end), end);
        let kind = if stopped.is_some() { Kind::Unknown } else { Kind::Info { number: None, name, arguments } };
        return Reading { kind, literal, list: None, stopped };
    };
    let word = Span::new(start, start + len);
    let at = start + len + usize::from(text.get(start + len) == Some(&b' '));
    let code = code(text, at, end);
    let from = code.map_or(at, |code| (code.end as usize + 1).min(end));
    let human = from + usize::from(text.get(from) == Some(&b' ') && from < end);
    let none = Span::new(start, start);
    let kind = Kind::Reply { tag: none, status, word, code, text: Span::new(human.min(end), end) };
    // A list of capabilities ends with OK (RFC 5804 section 1.7).
    let list = if status == Status::Ok { capabilities(text, start) } else { None };
    Reading { kind, literal, list, stopped: None }
}

/// The inside of the parentheses that begin at `at`; they nest, and hold strings (RFC 5804 section 4).
fn code(text: &[u8], at: usize, end: usize) -> Option<Span> {
    if text.get(at) != Some(&b'(') {
        return None;
    }
    let (mut depth, mut quoted, mut place) = (0usize, false, at);
    while place < end {
        match text[place] {
            b'\\' if quoted => place += 1,
            b'"' => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(Span::new(at + 1, place));
                }
            }
            _ => {}
        }
        place += 1;
    }
    None
}

/// The inside of the quoted string that begins at `at`, or the word.
fn string(text: &[u8], at: usize, end: usize) -> Span {
    if text.get(at) == Some(&b'"') {
        let stop = text[at + 1..end].iter().position(|&b| b == b'"').map_or(end, |len| at + 1 + len);
        return Span::new(at + 1, stop);
    }
    let stop = text[at..end].iter().position(|&b| b == b' ').map_or(end, |len| at + len);
    Span::new(at, stop)
}

/// The lines before the last as a list of capabilities, if each of them can be one (RFC 5804 section 1.7): a quoted
/// name, and maybe a string. A listing of scripts looks the same; whether it is one is for the session to say.
fn capabilities(text: &[u8], last: usize) -> Option<List> {
    let mut items = Vec::new();
    for (start, line) in status::lines(&text[..last]) {
        let end = start + line.len();
        let name = string(text, start, end);
        if line.first() != Some(&b'"') || name.is_empty() {
            return None;
        }
        let after = name.end as usize + 1;
        let value = (after + 1).min(end);
        let parameters = string(text, value, end);
        let whole = text[end..].iter().position(|&b| b == b'\n').map_or(text.len(), |at| end + at + 1);
        items.push(Item { name, with_space: Span::new(start, whole), parameters, part: false });
        if name.of(text).eq_ignore_ascii_case(b"SASL") {
            status::mechanisms(text, parameters, &mut items);
        }
    }
    let whole = Span::new(0, last);
    (!items.is_empty()).then_some(List { kind: ListKind::Lines(Form::Managesieve), whole, items })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_with_its_capabilities() {
        let text =
            b"\"IMPLEMENTATION\" \"X (y)\"\r\n\"SASL\" \"PLAIN LOGIN\"\r\n\"STARTTLS\"\r\nOK (TAG \"a)\") \"hi\"\r\n";
        let reading = read(Peer::Server, text);
        let Kind::Reply { status: Status::Ok, code: Some(code), .. } = reading.kind else {
            panic!("{:?}", reading.kind)
        };
        assert_eq!(code.of(text), b"TAG \"a)\"");
        let list = reading.list.expect("a list");
        let names: Vec<_> = list.items.iter().map(|item| item.name.of(text)).collect();
        assert_eq!(names, [&b"IMPLEMENTATION"[..], b"SASL", b"PLAIN", b"LOGIN", b"STARTTLS"]);
        assert_eq!(list.items[4].with_space.of(text), b"\"STARTTLS\"\r\n");
    }

    #[test]
    fn literals_follow_at_once_in_both_directions() {
        for from in [Peer::Client, Peer::Server] {
            for text in [&b"X {5}\r\n"[..], b"X {5+}\r\n"] {
                let literal = read(from, text).literal.expect("a literal");
                assert_eq!((literal.len, literal.synchronizing), (5, false));
            }
        }
        assert!(ends(b"NO {12}") && ends(b"{3}") && ends(b"bye") && !ends(b"\"OK\""));
    }
}
