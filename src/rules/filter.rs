//! Filters: a condition that is asked of events once they are explained, so that every field is known. What events do not say again,
//! such as the command that a reply answers, their connection knows.
//!
//! A command or response is judged by its first line, and what goes on with it behind a literal follows it. What concerns
//! the connection as a whole has few fields: it is shown unless these alone contradict the condition.

mod known;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::Source;
use super::condition::{Condition, Field, Truth};
use super::fact::{Fact, Facts};
use super::parse;
use crate::check::{Check, concluded};
use crate::event::{Cause, Edited, Note, NoteKind, Opened, Part, Peer, What};
use crate::exchange::Explained;
use crate::problem::Problem;
use crate::wording::amount;
pub use known::known;

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

/// A filter at work.
#[derive(Debug)]
pub struct FilterState {
    filter: Filter,
    connections: HashMap<u64, Shown>,
    /// Nothing is said of what is not shown.
    silent: bool,
    /// A finding about the connection as a whole is shown only if it matches for certain.
    judging: bool,
}

/// What a filter remembers of a connection.
#[derive(Debug, Default)]
struct Shown {
    /// Whether the frame in progress is shown, by peer.
    frames: [bool; 2],
    /// Number of events that were not shown.
    hidden: u64,
}

impl FilterState {
    /// A filter that has seen nothing yet.
    #[must_use]
    pub fn new(filter: Filter) -> Self {
        FilterState { filter, connections: HashMap::new(), silent: false, judging: false }
    }

    /// Makes [`FilterState::told`] return nothing, for a log that is not meant to be whole.
    #[must_use]
    pub fn without_remarks(self) -> Self {
        FilterState { silent: true, ..self }
    }

    /// Makes findings about the connection as a whole match only for certain: what is not of a command is in no FETCH.
    #[must_use]
    pub fn judging(self) -> Self {
        FilterState { judging: true, ..self }
    }

    /// Returns true if this event is to be shown. Wants all events of all connections, in their order.
    pub fn shows(&mut self, event: &Explained<'_>) -> bool {
        let number = event.connection.number;
        let connection = self.connections.entry(number).or_default();
        let frame = &mut connection.frames[event.event.from.index()];
        let judged = self.judging && finds(event);
        let truth = || self.filter.condition.evaluate(&Seen { event, judged });
        let shown = match (event.connection.part(), &event.event.what) {
            (Part::Around, _) if judged => truth() == Truth::Yes,
            (Part::Around, _) => truth() != Truth::No,
            // They follow what announced them: what is judged comes after them.
            (part, What::Octets(_)) => matches!(part, Part::Later(_)) && *frame,
            (Part::First(_), _) => truth() == Truth::Yes,
            (Part::Later(_), _) => truth() == Truth::Yes || *frame,
        };
        if !matches!(event.event.what, What::Octets(_)) {
            connection.hidden += u64::from(!shown);
            if event.connection.part() != Part::Around {
                *frame = shown;
            }
        }
        if matches!(event.event.what, What::Closed(_)) {
            self.connections.remove(&number);
        }
        shown
    }

    /// What is to be said of a connection before its last event: that its log is not whole.
    #[must_use]
    pub fn told(&self, connection: u64) -> Option<Note> {
        let hidden = self.connections.get(&connection).map(|it| it.hidden);
        let hidden = hidden.filter(|hidden| *hidden > 0 && !self.silent)?;
        let text = format!("not shown: {}, by --filter {}", amount(hidden, "event"), self.filter.written);
        Some(Note { kind: NoteKind::Session, about: None, text, rfc: None, ..Note::new(NoteKind::Session, "", "") })
    }
}

/// An event, as a condition sees it.
struct Seen<'a> {
    event: &'a Explained<'a>,
    /// Its findings are what is asked about.
    judged: bool,
}

/// Returns true if a finding was made of this event.
fn finds(event: &Explained<'_>) -> bool {
    ended(event).is_some() || event.notes.iter().any(|note| matches!(note.kind, NoteKind::Finding(_)))
}

/// The finding that the end of a connection shows, with its last event.
fn ended<'a>(event: &Explained<'a>) -> Option<&'a Cause> {
    event.summary.and_then(|summary| concluded(&summary.verdict))
}

impl Seen<'_> {
    /// What the event is of its frame.
    const fn part(&self) -> Part {
        self.event.connection.part()
    }

    /// A fact about the connection that may not be known yet.
    fn about<'f>(&self, known: Fact<'f>) -> Fact<'f> {
        match known {
            Fact::Absent if self.part() == Part::Around => Fact::Unknown,
            known => known,
        }
    }

    /// What an event has of its own.
    fn own(&self, field: Field) -> Fact<'_> {
        let bytes = self.event.bytes;
        match (&self.event.event.what, field) {
            (What::Text(text), Field::State) => Fact::word(text.state.word().as_bytes()),
            (What::Data(data), Field::State) => Fact::word(data.state.word().as_bytes()),
            (What::Text(_) | What::Data(_), Field::Command) => {
                Fact::command(self.event.connection.command().unwrap_or_default().as_bytes())
            }
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
                words.push(culprit.word().as_bytes());
                words.push(note.check.as_bytes());
                words.extend(note.about.as_ref().map(String::as_bytes));
                words.push(note.text.as_bytes());
            }
        }
        if let Some(cause) = ended(self.event) {
            words.extend([cause.culprit.word(), cause.check, &cause.text].map(str::as_bytes));
        }
        self.about(if words.is_empty() { Fact::Absent } else { Fact::Several(words) })
    }

    /// How bad the findings are.
    fn severities(&self) -> Fact<'_> {
        let ids = self.event.notes.iter().map(|note| note.check).chain(ended(self.event).map(|cause| cause.check));
        let checks = ids.filter_map(Check::named);
        let words: Vec<&[u8]> = checks.map(|check| check.severity.word().as_bytes()).collect();
        self.about(if words.is_empty() { Fact::Absent } else { Fact::Several(words) })
    }
}

impl Facts for Seen<'_> {
    fn fact(&self, field: Field) -> Fact<'_> {
        let Seen { event, .. } = self;
        let opened = event.connection.opened.as_deref();
        let opens = matches!(event.event.what, What::Opened(_));
        // These concern both peers, whoever has caused them.
        let both = matches!(event.event.what, What::Opened(_) | What::Closed(_) | What::Lag { .. } | What::Waiting(_));
        match field {
            Field::From if both => match ended(event).filter(|_| self.judged) {
                Some(cause) => Fact::word(cause.culprit.word().as_bytes()),
                None => Fact::Unknown,
            },
            Field::Tls if opens => Fact::Unknown,
            Field::From => Fact::word(event.event.from.word().as_bytes()),
            Field::Conn => Fact::Number(event.connection.number),
            Field::Protocol => self.about(Fact::word_if_any(opened.map_or("", |opened| &opened.protocol).as_bytes())),
            Field::Client => self.about(Fact::word_if_any(opened.map_or("", client).as_bytes())),
            Field::Route => self.about(Fact::route(opened.map(|opened| &*opened.route))),
            Field::Tls => Fact::legs([Peer::Client, Peer::Server].map(|peer| event.connection.has_tls(peer))),
            Field::User => self.about(Fact::word_if_any(event.user.unwrap_or_default().as_bytes())),
            Field::Rule => self.rules(),
            Field::Check => self.findings(),
            Field::Severity => self.severities(),
            Field::Latency => {
                let nanoseconds = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
                self.about(event.latency.map_or(Fact::Absent, |time| Fact::Number(nanoseconds(time))))
            }
            _ => self.own(field),
        }
    }

    fn is_partial(&self, field: Field) -> bool {
        use Field::{Check, Client, Command, Conn, From, Protocol, Route, Rule, Severity, State, Tls, User};
        match self.part() {
            Part::First(_) => false,
            Part::Later(_) => !matches!(field, From | Conn | Protocol | Route | Client | User | State | Tls | Command),
            Part::Around => matches!(field, Check | Rule | Severity),
        }
    }
}

/// The client's host, without its port.
fn client(opened: &Opened) -> &str {
    let client = opened.client.as_str();
    client.rsplit_once(':').map_or(client, |(host, _)| host).trim_matches(['[', ']'])
}

/// The rules that an edit tells of.
fn rules(edit: &Edited) -> impl Iterator<Item = &Arc<str>> {
    let Edited { fired, refused, would, made, faults, .. } = edit;
    let others = would.iter().map(|(rule, _)| rule).chain(faults.iter().map(|(rule, _)| rule));
    fired.iter().chain(made).chain(others).chain(refused.iter().map(|(rule, _)| rule))
}
