//! Which command an event is, answers or belongs to, for outputs that say so with every event. Bounded: of each
//! connection, a number of commands that wait for their answer.

use std::collections::{BTreeMap, HashMap};

use crate::event::{Explained, Kind, Peer, Span, Text, What};

/// So many commands that wait are remembered of a connection; of more, the oldest are forgotten.
const MAX_COMMANDS: usize = 1024;

/// A longer verb is none that anybody knows, in octets.
const MAX_VERB: usize = 64;

/// A command's verb in upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verb {
    /// Without the `UID` before it.
    pub name: Box<str>,
    /// Whether IMAP's `UID` stands before it.
    pub uid: bool,
}

impl Verb {
    /// The verb that stands there; `None` if it is missing, too long or not printable.
    #[must_use]
    pub fn read(verb: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(verb).ok().filter(|verb| (1..=MAX_VERB).contains(&verb.len()))?;
        let upper = text.to_ascii_uppercase();
        // What is masked, or what a peer hides behind control octets, is no verb.
        if !upper.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') || upper.bytes().all(|byte| byte == b'*')
        {
            return None;
        }
        Some(match upper.strip_prefix("UID ").map(str::trim_ascii).filter(|rest| !rest.is_empty()) {
            Some(name) => Verb { name: name.into(), uid: true },
            None => Verb { name: upper.into(), uid: false },
        })
    }
}

/// What is remembered of the connections that are open.
#[derive(Debug, Default)]
pub struct Exchanges {
    open: HashMap<u64, Connection>,
    /// The connection that was closed last, with its protocol.
    closed: Option<(u64, Box<str>)>,
}

/// One connection.
#[derive(Debug, Default)]
struct Connection {
    protocol: Box<str>,
    /// Commands that wait for their answer, by frame.
    waiting: BTreeMap<u64, Verb>,
    /// The frame that each peer sends, and the command that it is or answers.
    last: [Option<(u64, Verb)>; 2],
}

impl Exchanges {
    /// Takes note of an event; every one has to pass here.
    pub fn follow(&mut self, event: &Explained<'_>) {
        match &event.event.what {
            What::Opened(opened) => {
                let protocol = opened.protocol.as_str().into();
                self.open.insert(event.connection, Connection { protocol, ..Connection::default() });
            }
            What::Text(text) => {
                let connection = self.open.entry(event.connection).or_default();
                connection.text(event.event.from, text, event.bytes);
            }
            What::Closed(_) => {
                // Its protocol is asked for once more.
                if let Some(connection) = self.open.remove(&event.connection) {
                    self.closed = Some((event.connection, connection.protocol));
                }
            }
            // Who answers what is not known behind a gap.
            What::Lag { .. } | What::Gap { data: false, .. } => {
                if let Some(connection) = self.open.get_mut(&event.connection) {
                    (connection.waiting, connection.last) = Default::default();
                }
            }
            _ => {}
        }
    }

    /// The command that an event is, answers or belongs to.
    #[must_use]
    pub fn command(&self, event: &Explained<'_>) -> Option<&Verb> {
        let frame = match &event.event.what {
            What::Text(text) => text.frame,
            What::Octets(octets) => octets.frame,
            What::Data(data) => data.frame,
            _ => return None,
        };
        let connection = self.open.get(&event.connection)?;
        let last = connection.last[event.event.from.index()].as_ref();
        last.filter(|(last, _)| *last == frame).map(|(_, verb)| verb).or_else(|| connection.waiting.get(&frame))
    }

    /// The protocol of a connection; also of the one that was closed last.
    #[must_use]
    pub fn protocol(&self, connection: u64) -> Option<&str> {
        let closed = self.closed.as_ref().filter(|(number, _)| *number == connection).map(|(_, protocol)| &**protocol);
        let open = self.open.get(&connection).map(|connection| &*connection.protocol);
        open.or(closed).filter(|protocol| !protocol.is_empty())
    }
}

impl Connection {
    fn text(&mut self, from: Peer, text: &Text, bytes: &[u8]) {
        let last = &mut self.last[from.index()];
        if let Kind::Command { verb, .. } = text.reading.kind {
            let verb = Verb::read(shown(verb, bytes, &text.secrets));
            if let Some(verb) = verb.clone() {
                self.waiting.insert(text.frame, verb);
                if self.waiting.len() > MAX_COMMANDS {
                    self.waiting.pop_first();
                }
            }
            *last = verb.map(|verb| (text.frame, verb));
        } else if let Some(answers) = text.answers {
            let over = matches!(text.reading.kind, Kind::Reply { .. }) && !text.more;
            let verb = if over { self.waiting.remove(&answers) } else { self.waiting.get(&answers).cloned() };
            *last = verb.map(|verb| (text.frame, verb));
        }
    }
}

/// The octets of a span; none if a part of them is secret.
fn shown<'a>(span: Span, bytes: &'a [u8], secrets: &[Span]) -> &'a [u8] {
    if secrets.iter().any(|secret| secret.start < span.end && span.start < secret.end) { b"" } else { span.of(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_read_in_upper_case_without_their_uid() {
        let read = |verb: &[u8]| Verb::read(verb).map(|verb| (verb.name.to_string(), verb.uid));
        assert_eq!(read(b"fetch"), Some(("FETCH".to_owned(), false)));
        assert_eq!(read(b"uid Fetch"), Some(("FETCH".to_owned(), true)));
        assert_eq!(read(b"UID "), Some(("UID ".to_owned(), false)));
        for none in [&b""[..], b"a\x1bb", b"\xff", b"***", &[b'a'; 65]] {
            assert_eq!(read(none), None, "{}", none.escape_ascii());
        }
    }
}
