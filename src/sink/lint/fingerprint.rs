//! Identity of a finding, in this run and in others: check, culprit, protocol, command, what line it is, and what its span
//! holds. No tag, number, date, host or place is in it, and no sentence of ours: those may be worded better one day.

use ring::digest::{SHA256, digest};

use crate::event::{Culprit, Kind, Note, NoteKind, Span, What, is_masked};
use crate::exchange::{Explained, Tie};

/// Number of bytes of a span or line that are looked at.
const MAX: usize = 64;

/// Number of bytes of the digest that are kept.
const KEPT: usize = 16;

/// Days and months: parts of dates.
const DATES: [&str; 19] = [
    "MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN", "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP",
    "OCT", "NOV", "DEC",
];

/// Returns the fingerprint of a finding of this event, in hexadecimal digits.
#[must_use]
pub fn of(event: &Explained<'_>, note: &Note) -> String {
    let culprit = if let NoteKind::Finding(culprit) = note.kind { culprit } else { Culprit::None };
    let parts = [
        note.check.to_owned(),
        culprit.word().to_owned(),
        event.connection.protocol().unwrap_or_default().to_owned(),
        command(event),
        shape(event),
        note.about.as_deref().unwrap_or_default().to_ascii_uppercase(),
        note.span.map(|span| normal(hidden(span.of(event.bytes)))).unwrap_or_default(),
        note.consequence.map_or("", |first| first.check).to_owned(),
    ];
    made(&parts)
}

/// Returns the fingerprint of a check that only the end of a connection shows.
#[must_use]
pub fn at_end(check: &str, culprit: Culprit, event: &Explained<'_>) -> String {
    let oldest = event.connection.waiting.oldest().map_or("", |exchange| exchange.verb());
    made(&[
        check.to_owned(),
        culprit.word().to_owned(),
        event.connection.protocol().unwrap_or_default().to_owned(),
        oldest.to_owned(),
    ])
}

fn made(parts: &[String]) -> String {
    // No part has a NUL, as each is of words.
    let digest = digest(&SHA256, parts.join("\0").as_bytes());
    digest.as_ref()[..KEPT].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The command that the event is or answers. Of what is only guessed to belong to one, it may be another the next time.
fn command(event: &Explained<'_>) -> String {
    let exchange = event.connection.exchange().filter(|(_, tie)| *tie != Tie::Guess);
    exchange.map_or_else(String::new, |(exchange, _)| normal(exchange.verb().as_bytes()))
}

/// Returns the kind of the line or block.
fn shape(event: &Explained<'_>) -> String {
    let bytes = event.bytes;
    let word = |span: Span| normal(hidden(span.of(bytes)));
    match &event.event.what {
        What::Text(text) => match text.reading.kind {
            Kind::Command { verb, .. } => format!("command {}", word(verb)),
            Kind::Reply { tag, status, code, .. } => {
                let code = code.map(|code| word(code).split(' ').next().unwrap_or_default().to_owned());
                let tagged = if tag.is_empty() { "" } else { "tagged " };
                format!("{tagged}reply {} {}", status.word(), code.unwrap_or_default())
            }
            Kind::GoAhead { .. } => "continuation".to_owned(),
            Kind::Info { name, .. } => format!("data {}", word(name)),
            Kind::More => "more".to_owned(),
            Kind::Done => "done".to_owned(),
            Kind::Sasl | Kind::Cancel => "response".to_owned(),
            Kind::Blank => "blank".to_owned(),
            Kind::Foreign(_) => "foreign".to_owned(),
            Kind::Unknown => normal(bytes),
        },
        What::Data(data) => format!("block {:?}", data.kind),
        _ => String::new(),
    }
}

/// A part of a text, unless it is masked.
fn hidden(bytes: &[u8]) -> &[u8] {
    if !bytes.is_empty() && is_masked(bytes) { b"<hidden>" } else { bytes }
}

/// Words in upper case, without what is another one in another run: numbers, dates, names of hosts, strings.
fn normal(bytes: &[u8]) -> String {
    let mut out = String::new();
    let mut rest = &bytes[..bytes.len().min(MAX)];
    while let Some(&byte) = rest.first() {
        let len = rest.iter().position(|&byte| !is_word(byte)).unwrap_or(rest.len());
        if len > 0 {
            let word = String::from_utf8_lossy(&rest[..len]).to_ascii_uppercase();
            let named = word.trim_matches('.').contains(['.', '@']);
            let counts = word.bytes().any(|byte| byte.is_ascii_digit()) || DATES.contains(&word.as_str());
            out.push_str(if counts {
                "0"
            } else if named {
                "NAME"
            } else {
                &word
            });
            rest = &rest[len..];
        } else if byte == b'"' {
            out.push('"');
            let end = rest[1..].iter().position(|&byte| byte == b'"');
            rest = end.map_or(&[], |end| &rest[end + 2..]);
        } else {
            if byte == b'*' && out.ends_with('*') {
                // The length of a secret is none of its marks.
            } else if byte.is_ascii_graphic() || byte == b' ' {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("\\x{byte:02x}"));
            }
            rest = &rest[1..];
        }
    }
    out
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'@' | b'-' | b'_' | b':' | 0x80..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_gone() {
        for (one, other) in [
            ("a17 FETCH 12 (UID 77)", "b3 FETCH 9 (UID 12001)"),
            ("Date: Mon, 01 Jan 2026", "Date: Tue, 13 Feb 2031"),
            ("HELO one.example", "HELO mail.two.example"),
            ("X \"a string\"", "X \"another\""),
            ("<alice@one.example>", "<bob@two.example>"),
        ] {
            assert_eq!(normal(one.as_bytes()), normal(other.as_bytes()));
        }
        assert_ne!(normal(b"FETCH"), normal(b"STORE"));
        assert_eq!(normal(b"\0"), "\\x00");
        assert_ne!(normal(b"\0"), normal(b"\r"));
        assert_eq!(hidden(b"*****"), b"<hidden>");
        assert_eq!(normal(b"X *****"), normal(b"X ***"));
    }
}
