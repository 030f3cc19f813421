//! What is known of a text, field by field: of one that passes the rules, and of one of which only the sender is known.

use super::Scene;
use super::condition::{Field, is_mark};
use crate::event::{Item, Kind, Peer, Reading, RouteName};

/// What is known about one field of one text.
#[derive(Debug, Clone)]
pub enum Fact<'a> {
    /// The text has no such thing: every comparison is false.
    Absent,
    /// It cannot be said now.
    Unknown,
    /// A word. Equality holds for either form, a regex sees the whole.
    Word {
        /// The short form: a verb without `UID `, a response code's name.
        word: &'a [u8],
        /// All of it.
        whole: &'a [u8],
    },
    /// The lines of a text: each of them, or all together, can be what is looked for.
    Lines(&'a [u8]),
    /// How a reply begins.
    Status {
        /// The status that it comes to; empty for a continuation request.
        status: &'a [u8],
        /// The mark as it stands there: `250`, `+OK`; `OK` where that is the status.
        mark: &'a [u8],
    },
    /// A number.
    Number(u64),
    /// Several words: equality holds if one of them is equal.
    Names {
        /// What the items point into.
        text: &'a [u8],
        /// The words.
        items: &'a [Item],
    },
    /// A route: the number or the text can be equal, a regex sees the text.
    Route {
        /// Its place on the command line, from 1.
        number: u32,
        /// As the user wrote it.
        written: &'a str,
    },
    /// Several words or sentences, none of which need be short.
    Several(Vec<&'a [u8]>),
}

impl<'a> Fact<'a> {
    /// A word that has one form only.
    #[must_use]
    pub const fn word(word: &'a [u8]) -> Self {
        Fact::Word { word, whole: word }
    }

    /// A word that has one form only, if there is one.
    #[must_use]
    pub const fn word_if_any(word: &'a [u8]) -> Self {
        if word.is_empty() { Fact::Absent } else { Fact::word(word) }
    }

    /// A command: `UID FETCH` is `FETCH`, too.
    #[must_use]
    pub fn command(whole: &'a [u8]) -> Self {
        if whole.is_empty() {
            return Fact::Absent;
        }
        let short = whole.get(..4).filter(|start| start.eq_ignore_ascii_case(b"UID ")).map(|_| &whole[4..]);
        Fact::Word { word: short.unwrap_or(whole), whole }
    }

    /// The legs under TLS: `[client, server]`.
    #[must_use]
    pub const fn legs(legs: [bool; 2]) -> Self {
        Fact::word(match legs {
            [false, false] => b"none",
            [true, false] => b"client",
            [false, true] => b"server",
            [true, true] => b"both",
        })
    }

    /// A route: its number, or how it was written.
    #[must_use]
    pub fn route(route: Option<&'a RouteName>) -> Self {
        let route = route.filter(|route| !route.written.is_empty());
        route.map_or(Fact::Absent, |RouteName { number, written }| Fact::Route { number: *number, written })
    }

    /// What a text says about itself: its tag, status, code, and the names in its list. Nothing about the other fields.
    #[must_use]
    pub fn read(field: Field, reading: &'a Reading, text: &'a [u8]) -> Self {
        match field {
            Field::Text => Fact::Lines(text),
            Field::Size => Fact::Number(text.len() as u64),
            Field::Tag => Fact::word_if_any(tag(reading, text)),
            Field::Capability => {
                reading.list.as_ref().map_or(Fact::Absent, |list| Fact::Names { text, items: &list.items })
            }
            Field::Status => {
                let (status, mark): (&[u8], _) = match reading.kind {
                    Kind::Reply { status, word, .. } => (status.word().as_bytes(), word.of(text)),
                    Kind::GoAhead { word, .. } => (b"", word.of(text)),
                    // A reply that begins with 1 says something beforehand.
                    Kind::Info { name, .. } if is_mark(name.of(text)) => (b"", name.of(text)),
                    _ => return Fact::Absent,
                };
                Fact::Status { status, mark }
            }
            Field::Code => match reading.kind {
                Kind::Reply { code: Some(code), .. } => {
                    let whole = code.of(text);
                    Fact::Word { word: whole.split(|&b| b == b' ').next().unwrap_or_default(), whole }
                }
                _ => Fact::Absent,
            },
            _ => Fact::Absent,
        }
    }
}

/// Whatever a condition can be evaluated over.
pub trait Facts {
    /// What is known about a field.
    fn fact(&self, field: Field) -> Fact<'_>;

    /// True if what is not found in this field may be in a part of the text that is not here.
    fn is_partial(&self, _: Field) -> bool {
        false
    }
}

impl Facts for Scene<'_> {
    fn fact(&self, field: Field) -> Fact<'_> {
        let row = field.row();
        if row.not_in_rules.is_some() {
            return Fact::Unknown;
        }
        if row.only.is_some_and(|only| only != self.from) {
            return Fact::Absent;
        }
        match field {
            Field::From => Fact::word(self.from.word().as_bytes()),
            Field::Conn => Fact::Number(self.connection),
            Field::Protocol => Fact::word_if_any(self.protocol.as_bytes()),
            Field::State => Fact::word(self.state.word().as_bytes()),
            Field::Tls => Fact::legs(self.tls),
            Field::Command => Fact::command(self.command.as_bytes()),
            Field::Client => Fact::word_if_any(self.client.as_bytes()),
            Field::User => Fact::word_if_any(self.user.as_bytes()),
            Field::Route => Fact::route(self.route),
            _ => Fact::read(field, self.reading, self.text),
        }
    }
}

/// The tag of a text, `*` or `+`; empty if it has none.
fn tag<'a>(reading: &Reading, text: &'a [u8]) -> &'a [u8] {
    match reading.kind {
        Kind::Command { tag, .. } => tag.of(text),
        Kind::Reply { tag, .. } if tag.is_empty() => b"*",
        Kind::Reply { tag, .. } => tag.of(text),
        Kind::Info { .. } => b"*",
        Kind::GoAhead { .. } => b"+",
        _ => b"",
    }
}

/// All that is known of a text of which only the sender is known.
pub struct Sender(pub Peer);

impl Facts for Sender {
    fn fact(&self, field: Field) -> Fact<'_> {
        match field {
            Field::From => Fact::word(self.0.word().as_bytes()),
            _ if field.row().only.is_some_and(|only| only != self.0) => Fact::Absent,
            _ => Fact::Unknown,
        }
    }
}
