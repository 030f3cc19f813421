//! What conditions can ask about a line, for the script of the page: in a template, which shows nothing and of which no browser
//! makes anything. One fact a line, `FIELD WORD`, in printable ASCII; `? FIELD …` cannot be said, `-FIELD` is no more.
//!
//! What the page shows anyway is not told again: the connection, who speaks, and the octets of the line; nor what seldom changes
//! until it does, nor words that are a part of others. What the page hides, it hides here too.

use std::borrow::Cow;

use super::markup::Markup;
use crate::event::{Known, Part, Role, Value, What};
use crate::exchange::Explained;
use crate::sink::text::{End, split_end};

/// What is often as it was in the line before of a connection.
const LASTING: [&str; 7] = ["protocol", "client", "route", "tls", "user", "state", "command"];

/// Of these, what is a secret in the octets is one here.
const QUOTED: [&str; 4] = ["tag", "status", "code", "capability"];

/// Stands for every secret, whatever its length.
const HIDDEN: &[u8] = b"********";

/// What was told last of a connection.
#[derive(Debug, Default)]
pub struct Told {
    begun: bool,
    lasting: [Markup; LASTING.len()],
}

/// Writes what is known of an event. `here` is true if its octets stand in the page.
pub fn write(page: &mut Markup, event: &Explained<'_>, known: &Known<'_>, here: bool, told: &mut Told) {
    page.raw("<template>");
    part(page, known.part);
    if !std::mem::replace(&mut told.begun, true) {
        page.raw("\nnew");
    }
    let value = |name: &str| known.facts.iter().find(|(field, _)| *field == name).map(|(_, value)| value);
    for (name, before) in LASTING.into_iter().zip(&mut told.lasting) {
        let mut now = Markup::default();
        match value(name) {
            None => {}
            Some(Value::Unknown) => line(&mut now, "?", name.as_bytes()),
            Some(value) => fact(&mut now, name, value, (name == "command").then_some(1)),
        }
        if now.bytes() == before.bytes() {
            continue;
        }
        if now.bytes().is_empty() {
            page.raw("\n-");
            page.raw(name);
        }
        page.append(&now);
        *before = now;
    }
    let secret = event.marks.iter().any(|mark| mark.role == Role::Secret);
    let mut unknown = Vec::new();
    for (name, value) in known.facts.iter().filter(|(name, _)| *name != "conn" && !LASTING.contains(name)) {
        let (name, around) = (*name, known.part == Part::Around);
        match value {
            Value::Unknown => unknown.push(name),
            // Who sent a line can be seen.
            _ if name == "from" && !around => {}
            // With the size, the length of what is hidden would be told.
            _ if (name == "size" && secret) || (name == "text" && !here) => unknown.push(name),
            _ if name == "text" => {}
            value => fact(page, name, value, (secret && QUOTED.contains(&name)).then_some(2)),
        }
    }
    if value("text").is_none() && known.part != Part::Around {
        page.raw("\n-text");
    }
    if !unknown.is_empty() {
        page.raw("\n?");
        for name in unknown {
            page.raw(" ");
            page.raw(name);
        }
    }
    if matches!(event.event.what, What::Text(_)) {
        ends(page, event.bytes);
    }
    page.raw("</template>");
}

fn part(page: &mut Markup, part: Part) {
    let (word, frame) = match part {
        Part::First(frame) => ("first ", frame),
        Part::Later(frame) => ("later ", frame),
        Part::Around => return page.raw("around"),
    };
    page.raw(word);
    page.number(frame);
}

fn line(page: &mut Markup, name: &'static str, word: &[u8]) {
    page.raw("\n");
    page.raw(name);
    page.raw(" ");
    page.coded(word);
}

/// A fact; masks of so many octets at least are hidden in it.
fn fact(page: &mut Markup, name: &'static str, value: &Value<'_>, masks: Option<usize>) {
    match value {
        Value::Unknown => {}
        Value::Number(number) => line(page, name, number.to_string().as_bytes()),
        Value::Words(words) if words.is_empty() => {
            page.raw("\n");
            page.raw(name);
        }
        Value::Words(words) => {
            for word in written(name, words) {
                line(page, name, &masks.map_or(Cow::Borrowed(&**word), |least| Cow::Owned(hide(word, least))));
            }
        }
    }
}

/// The words that cannot be made of the first.
fn written<'w, 'a>(name: &str, words: &'w [Cow<'a, [u8]>]) -> &'w [Cow<'a, [u8]>] {
    match words {
        [_, _] if matches!(name, "command" | "code") => &words[..1],
        [status, mark] if name == "status" && status == mark => &words[..1],
        words => words,
    }
}

/// What of a text's lines cannot be seen: one that ends before its first octet, and an end that is not CRLF.
fn ends(page: &mut Markup, bytes: &[u8]) {
    let (body, end) = split_end(bytes);
    page.raw(if body.starts_with(b"\r\n") { "\nled" } else { "" });
    page.raw(match end {
        End::CrLf => "",
        End::Lf => "\nends lf",
        End::Open => "\nends open",
    });
}

/// A word whose masked parts, of so many octets at least, have lost their length.
fn hide(word: &[u8], least: usize) -> Vec<u8> {
    let mut hidden = Vec::with_capacity(word.len());
    for run in word.chunk_by(|a, b| (*a == b'*') == (*b == b'*')) {
        hidden.extend_from_slice(if run[0] == b'*' && run.len() >= least { HIDDEN } else { run });
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_lose_their_length_and_nothing_else_changes() {
        for (word, least, expected) in [
            ("LOGIN", 1, "LOGIN"),
            ("***", 1, "********"),
            ("*", 1, "********"),
            ("*", 2, "*"),
            ("a**b*c", 2, "a********b*c"),
            ("", 1, ""),
        ] {
            assert_eq!(hide(word.as_bytes(), least), expected.as_bytes(), "{word}");
        }
    }
}
