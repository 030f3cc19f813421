//! Filters: a condition that is asked of events once they are explained, so that every field is known. Remembers of each
//! connection what events do not say again: which command a reply answers, and what stands at its beginning.
//!
//! A command or response is judged by its first line, and what goes on with it behind a literal follows it. What concerns
//! the connection as a whole has few fields: it is shown unless these alone contradict the condition.

mod known;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::Source;
use super::condition::{Condition, Field, Truth};
use super::fact::{Fact, Facts};
use super::parse;
use crate::event::{Edited, Kind, Note, NoteKind, Opened, Part, Peer, RouteName, State, Text, What};
use crate::exchange::Explained;
use crate::problem::Problem;
use crate::wording::amount;
pub use known::Witness;

/// So many commands without an answer are remembered of a connection; of more, the oldest is forgotten.
const MAX_PENDING: usize = 1024;

/// So many octets of a command's verb are remembered.
const MAX_VERB: usize = 64;

/// What the user wants to see.
#[derive(Debug, Clone)]
pub struct Filter {
    condition: Arc<Condition>,
    written: Arc<str>,
}

impl Filter {
    /// Reads a condition.
    ///
    /// # Errors
    /// What cannot be read, with its place and what would be right.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let source = Source::new(text, "--filter".to_owned());
        if let Some(at) = text.find(['\n', '\r']) {
            return Err(source.problem(at, 1, "this holds a line break", "a condition is one line"));
        }
        let condition = parse::filter(text).map_err(|fault| {
            let at = text.len().saturating_sub(fault.at.len());
            source.problem(at, fault.len, &fault.what, &fault.help)
        })?;
        Ok(Filter { condition: Arc::new(condition), written: source.written })
    }

    /// The protocols that it names, as the user wrote them.
    pub fn protocols(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.condition.words(Field::Protocol).into_iter().map(String::from_utf8_lossy)
    }

    /// The commands that it names, as the user wrote them.
    pub fn commands(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.condition.words(Field::Command).into_iter().map(String::from_utf8_lossy)
    }

    /// The routes that it names, as the user wrote them.
    pub fn routes(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.condition.words(Field::Route).into_iter().map(String::from_utf8_lossy)
    }
}

/// A filter at work, with its memory.
#[derive(Debug)]
pub struct Watch {
    filter: Filter,
    connections: HashMap<u64, Connection>,
}

impl Watch {
    /// A filter that has seen nothing yet.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        Watch { filter, connections: HashMap::new() }
    }

    /// True if this event is to be shown. Wants all events of all connections, in their order.
    pub fn shows(&mut self, event: &Explained<'_>) -> bool {
        let connection = self.connections.entry(event.connection.number).or_default();
        let shown = connection.shows(event, &self.filter.condition);
        connection.hidden += u64::from(!shown && !matches!(event.event.what, What::Octets(_)));
        if matches!(event.event.what, What::Closed(_)) {
            self.connections.remove(&event.connection.number);
        }
        shown
    }

    /// What is to be said of a connection before its last event: that its log is not whole.
    #[must_use]
    pub fn told(&self, connection: u64) -> Option<Note> {
        let hidden = self.connections.get(&connection).map(|it| it.hidden).filter(|hidden| *hidden > 0)?;
        let text = format!("not shown: {}, by --filter {}", amount(hidden, "event"), self.filter.written);
        Some(Note { kind: NoteKind::Session, about: None, text, rfc: None })
    }
}

/// What is remembered of a connection.
#[derive(Debug, Default)]
struct Connection {
    protocol: Box<str>,
    client: Box<str>,
    route: Arc<RouteName>,
    tls: [bool; 2],
    /// The last frame of each lane.
    frames: [Frame; 2],
    /// The commands that wait for their answer: their frames and verbs.
    pending: VecDeque<(u64, Box<[u8]>)>,
    /// So many events were not shown.
    hidden: u64,
}

/// A command or response of which parts may be still to come.
#[derive(Debug, Default)]
struct Frame {
    number: u64,
    command: Box<[u8]>,
    shown: bool,
}

impl Connection {
    fn shows(&mut self, event: &Explained<'_>, condition: &Condition) -> bool {
        let lane = event.event.from.index();
        let Some(part) = self.enter(event) else {
            // Octets follow what announced them: what is judged comes behind them.
            let last = &self.frames[lane];
            return matches!(&event.event.what, What::Octets(octets) if last.number == octets.frame) && last.shown;
        };
        let truth = condition.evaluate(&Seen::of(event, self, part));
        let shown = match part {
            Part::Around => return truth != Truth::No,
            Part::First(_) => truth == Truth::Yes,
            Part::Later(_) => truth == Truth::Yes || self.frames[lane].shown,
        };
        self.frames[lane].shown = shown;
        shown
    }

    /// Takes note of an event, and says what it is of what it belongs to. Bare octets are nothing by themselves.
    fn enter(&mut self, event: &Explained<'_>) -> Option<Part> {
        let from = event.event.from;
        let part = match &event.event.what {
            What::Octets(_) => return None,
            What::Text(text) => self.part(from, text.frame, !text.first),
            What::Data(data) => self.part(from, data.frame, true),
            what => {
                self.learn(from, what);
                Part::Around
            }
        };
        if let Part::First(number) = part {
            let command = self.command(from, number, event);
            self.frames[from.index()] = Frame { number, command, shown: false };
        }
        if let What::Text(text) = &event.event.what {
            self.settle(from, text);
        }
        Some(part)
    }

    /// Whether a text or data are the first of their frame.
    fn part(&self, from: Peer, frame: u64, may_go_on: bool) -> Part {
        if may_go_on && self.frames[from.index()].number == frame { Part::Later(frame) } else { Part::First(frame) }
    }

    /// Takes note of what is told about the connection.
    fn learn(&mut self, from: Peer, what: &What) {
        match what {
            What::Opened(opened) => {
                let Opened { protocol, client, route, .. } = &**opened;
                let host = client.rsplit_once(':').map_or(client.as_str(), |(host, _)| host);
                self.protocol = protocol.as_str().into();
                self.client = host.trim_matches(['[', ']']).into();
                self.route = Arc::clone(route);
            }
            What::Tls(_) => self.tls[from.index()] = true,
            What::Lag { .. } | What::Gap { data: false, .. } => self.pending.clear(),
            _ => {}
        }
    }

    /// The command that a text is or answers, or that data belong to: of untagged data, the oldest that waits.
    fn command(&mut self, from: Peer, frame: u64, event: &Explained<'_>) -> Box<[u8]> {
        let of = |frame: u64| self.pending.iter().rev().find(|(number, _)| *number == frame);
        let oldest = || self.pending.front();
        let found = match &event.event.what {
            What::Text(Text { reading, edit, .. }) if from == Peer::Client => {
                if let Kind::Command { verb, .. } = reading.kind {
                    let verb = verb.of(event.bytes);
                    let verb: Box<[u8]> = verb[..verb.len().min(MAX_VERB)].into();
                    // What a rule has dropped waits for nothing.
                    let gone = event.sent.is_some_and(<[u8]>::is_empty) && edit.as_ref().is_some_and(|it| !it.answered);
                    if !gone {
                        if self.pending.len() == MAX_PENDING {
                            self.pending.pop_front();
                        }
                        self.pending.push_back((frame, verb.clone()));
                    }
                    return verb;
                }
                oldest()
            }
            What::Text(text) if text.state == State::Greeting && text.answers.is_none() => None,
            What::Text(text) => text.answers.map_or_else(oldest, of),
            // A line that is too long to be read has no text.
            _ if from == Peer::Server => of(frame).or_else(oldest),
            _ => of(frame),
        };
        found.map(|(_, verb)| verb.clone()).unwrap_or_default()
    }

    /// A command with its last reply waits no more.
    fn settle(&mut self, from: Peer, text: &Text) {
        let replies = matches!(text.reading.kind, Kind::Reply { .. } | Kind::GoAhead { .. });
        if from == Peer::Server
            && replies
            && !text.more
            && let Some(frame) = text.answers
        {
            self.pending.retain(|(number, _)| *number != frame);
        }
    }
}

/// An event, and what is known beside it.
struct Seen<'a> {
    event: &'a Explained<'a>,
    connection: &'a Connection,
    command: &'a [u8],
    part: Part,
}

impl<'a> Seen<'a> {
    /// An event of which the connection has taken note.
    fn of(event: &'a Explained<'a>, connection: &'a Connection, part: Part) -> Self {
        let command: &[u8] =
            if part == Part::Around { b"" } else { &connection.frames[event.event.from.index()].command };
        Seen { event, connection, command, part }
    }

    /// A fact about the connection that may not be known yet.
    fn about<'f>(&self, known: Fact<'f>) -> Fact<'f> {
        match known {
            Fact::Absent if self.part == Part::Around => Fact::Unknown,
            known => known,
        }
    }

    /// What an event has of its own.
    fn own(&self, field: Field) -> Fact<'_> {
        let bytes = self.event.bytes;
        match (&self.event.event.what, field) {
            (What::Text(text), Field::State) => Fact::word(text.state.word().as_bytes()),
            (What::Data(data), Field::State) => Fact::word(data.state.word().as_bytes()),
            (What::Text(_) | What::Data(_), Field::Command) => Fact::command(self.command),
            (What::Text(text), field) => Fact::read(field, &text.reading, bytes),
            (What::Data(data), Field::Size) => Fact::Number(data.len),
            (What::Data(_), Field::Text) if !bytes.is_empty() => Fact::Lines(bytes),
            (What::Data(_), _) => Fact::Absent,
            _ => Fact::Unknown,
        }
    }

    /// The rules that did something, or would have, or could not.
    fn rules(&self) -> Fact<'_> {
        let rules: Vec<&[u8]> = match &self.event.event.what {
            What::Text(text) => text.edit.iter().flat_map(|edit| rules(edit)).map(|rule| rule.as_bytes()).collect(),
            What::Missed(rule) => vec![rule.as_bytes()],
            _ => Vec::new(),
        };
        self.about(if rules.is_empty() { Fact::Absent } else { Fact::Several(rules) })
    }

    /// The findings: who is to blame, what they are about, and what they say.
    fn findings(&self) -> Fact<'_> {
        let mut words: Vec<&[u8]> = Vec::new();
        for note in self.event.notes {
            if let NoteKind::Finding(culprit) = note.kind {
                words.extend(culprit.map(|peer| peer.word().as_bytes()));
                words.extend(note.about.as_ref().map(String::as_bytes));
                words.push(note.text.as_bytes());
            }
        }
        self.about(if words.is_empty() { Fact::Absent } else { Fact::Several(words) })
    }
}

impl Facts for Seen<'_> {
    fn fact(&self, field: Field) -> Fact<'_> {
        let Seen { event, connection, .. } = self;
        let opens = matches!(event.event.what, What::Opened(_));
        // These concern both peers, whoever has caused them.
        let both = matches!(event.event.what, What::Opened(_) | What::Closed(_) | What::Lag { .. });
        match field {
            Field::From if both => Fact::Unknown,
            Field::Tls if opens => Fact::Unknown,
            Field::From => Fact::word(event.event.from.word().as_bytes()),
            Field::Conn => Fact::Number(event.connection.number),
            Field::Protocol => self.about(Fact::word_if_any(connection.protocol.as_bytes())),
            Field::Client => self.about(Fact::word_if_any(connection.client.as_bytes())),
            Field::Route => self.about(Fact::route(Some(&connection.route))),
            Field::Tls => Fact::legs(connection.tls),
            Field::User => self.about(Fact::word_if_any(event.user.unwrap_or_default().as_bytes())),
            Field::Rule => self.rules(),
            Field::Check => self.findings(),
            Field::Latency => {
                let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                self.about(event.latency.map_or(Fact::Absent, |time| Fact::Number(nanoseconds(time))))
            }
            _ => self.own(field),
        }
    }

    fn is_partial(&self, field: Field) -> bool {
        use Field::{Check, Client, Command, Conn, From, Protocol, Route, Rule, State, Tls, User};
        match self.part {
            Part::First(_) => false,
            Part::Later(_) => !matches!(field, From | Conn | Protocol | Route | Client | User | State | Tls | Command),
            Part::Around => matches!(field, Check | Rule),
        }
    }
}

/// The rules that an edit tells of.
fn rules(edit: &Edited) -> impl Iterator<Item = &Arc<str>> {
    let Edited { fired, refused, would, made, faults, .. } = edit;
    let others = would.iter().map(|(rule, _)| rule).chain(faults.iter().map(|(rule, _)| rule));
    fired.iter().chain(made).chain(others).chain(refused.iter().map(|(rule, _)| rule))
}
