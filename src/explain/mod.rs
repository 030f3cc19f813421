//! Explaining: a batch of events in, the same events with marks, notes, latency and findings out, secrets masked.
//! Lives on events and the grammar alone; knows no session, socket or sink, reads no clock. One [`Explainer`] a
//! connection; its memory is bounded whatever the peers send (the constants of the files below).

mod consequence;
mod early;
mod enabled;
mod foreign;
mod hide;
mod hurdle;
pub mod imap;
mod kin;
pub mod list;
mod login;
pub mod mark;
mod octets;
mod odd;
mod outcome;
pub mod phrase;
mod refusal;
pub mod sasl;
pub mod secret;
mod spoken;
mod summary;
pub mod tally;
pub mod tls;
pub mod url;
mod usage;
mod verdict;
pub mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::check::Standard;
use crate::event::{
    Batch, Closed, Closer, Culprit, Data, DataKind, Event, Foreign, Kind, Layer, Mark, Note, NoteKind, Oddity, Peer,
    Reading, Role, Span, Status, Text, Time, What, says_odd,
};
use crate::exchange::words::Words;
use crate::exchange::{Connection, Explained, Sent};
use crate::grammar::Grammar;
use crate::wire;
use crate::wording::{amount, thousands};
use imap::{Opinion, Strict};
use sasl::Exchange;
use secret::Vault;
use tally::Tallies;

/// A server that has said nothing for so long would have had the time.
const SILENCE: Duration = Duration::from_secs(1);

/// How many names of each sort are remembered as explained already.
const MAX_MET: usize = 128;

/// The longest tag and the longest name that are remembered, in octets.
const MAX_NAME: usize = 64;

/// Marks for which there is room from the beginning of a batch.
const MARKS: usize = 32;

/// Explains the events of one connection.
#[derive(Debug)]
pub struct Explainer {
    grammar: Arc<Grammar>,
    standard: Standard,
    vault: Vault,
    connection: Connection,
    early: early::Early,
    /// The greeting named the other one of SMTP and LMTP.
    other_kin: bool,
    tallies: Tallies,
    strict: Strict,
    exchange: Option<Box<Exchange>>,
    claim: Option<Box<login::Claim>>,
    idle: Option<Idle>,
    /// Who logs in, once it has been said.
    who: Option<Box<login::Who>>,
    /// Commands have replies, as far as the grammar tells.
    replies: bool,
    /// Of SMTP: a login has succeeded.
    authenticated: bool,
    /// The recipients that were accepted, for replies to each of them.
    recipients: Vec<String>,
    met: [Words; 5],
    began: Option<Time>,
    /// The server leg is under TLS from its beginning.
    secured: bool,
    reason: list::Reason,
    hurdles: hurdle::Hurdles,
    /// The client's last text announced a literal that it did not wait with.
    unasked: bool,
    /// The refusal that is being explained: how far its login had got, and whether its code speaks of credentials.
    refused: Option<(Sent, bool)>,
    /// The client's last text or block was smuggled.
    smuggled: bool,
    /// For the verdict.
    outcome: Box<outcome::Outcome>,
    /// What later findings may follow from.
    strays: Vec<consequence::Stray>,
    /// Of each lane, octets of data that may hold the beginning of a secret.
    tails: octets::Tails,
    marks: Vec<Mark>,
    sent_marks: Vec<Mark>,
    notes: Vec<Note>,
}

#[derive(Debug)]
struct Idle {
    frame: u64,
    since: Time,
    updates: u64,
}

/// What names are explained the first time only.
#[derive(Clone, Copy)]
enum Met {
    Verb,
    Response,
    Code,
    Status,
    Implied,
}

impl Explainer {
    /// For a new connection. With `show_secrets` nothing is masked.
    #[must_use]
    pub fn new(grammar: Arc<Grammar>, show_secrets: bool) -> Self {
        let replies = grammar.replies();
        Explainer {
            standard: Standard::of(&grammar),
            connection: Connection::new(Arc::clone(&grammar)),
            grammar,
            vault: Vault::new(show_secrets),
            early: early::Early::default(),
            other_kin: false,
            tallies: Tallies::default(),
            strict: Strict::default(),
            exchange: None,
            claim: None,
            idle: None,
            who: None,
            replies,
            authenticated: false,
            recipients: Vec::new(),
            met: Default::default(),
            began: None,
            secured: false,
            reason: list::Reason::default(),
            hurdles: hurdle::Hurdles::default(),
            unasked: false,
            refused: None,
            smuggled: false,
            outcome: Box::default(),
            strays: Vec::new(),
            tails: octets::Tails::default(),
            marks: Vec::new(),
            sent_marks: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The same for the events of a recording, whose secrets are hidden already, or shown if it was made so.
    #[must_use]
    pub fn of_recording(grammar: Arc<Grammar>, show_secrets: bool) -> Self {
        Explainer { vault: Vault::sealed(show_secrets), ..Self::new(grammar, show_secrets) }
    }

    /// Explains all events of a batch in order. An event's secrets are masked in the batch's arena (filler `*`, same
    /// length) before the event is put.
    pub fn explain(&mut self, batch: &mut Batch, put: &mut dyn FnMut(&Explained<'_>)) {
        let at = batch.at;
        self.began.get_or_insert(at);
        self.connection.number = batch.connection;
        let mut events = std::mem::take(&mut batch.events);
        self.marks.reserve(MARKS);
        for event in &mut events {
            self.octets_before(event, &mut batch.bytes, at, put);
            if let What::Octets(octets) = &event.what
                && octets.bytes.is_empty()
            {
                continue;
            }
            self.marks.clear();
            self.sent_marks.clear();
            self.notes.clear();
            let latency = self.event(event, &mut batch.bytes, at);
            self.doubt(&event.what);
            let (bytes, sent, beside) = slices(&event.what, &batch.bytes);
            self.trace(event, bytes);
            self.remember(event, bytes, at);
            let summary = match &event.what {
                What::Closed(closed) => Some(self.summary(closed, at)),
                _ => None,
            };
            let waiting = match &event.what {
                What::Waiting(wait) => Some(self.waits(wait, at)),
                _ => None,
            };
            for note in &self.notes {
                if let NoteKind::Finding(culprit) = note.kind
                    && consequence::is_first(note)
                {
                    self.tallies.found(culprit);
                }
            }
            put(&Explained {
                connection: &self.connection,
                at,
                event,
                bytes,
                sent,
                beside,
                marks: &self.marks,
                sent_marks: &self.sent_marks,
                latency,
                user: self.who.as_ref().and_then(|who| who.user.as_deref()),
                notes: &self.notes,
                summary: summary.as_ref(),
                waiting: waiting.as_ref(),
                known: None,
            });
        }
        batch.events = events;
        // A quiet connection keeps no room.
        (self.marks, self.sent_marks, self.notes) = Default::default();
    }

    fn event(&mut self, event: &mut Event, bytes: &mut [u8], at: Time) -> Option<Duration> {
        let from = event.from;
        // What is learned of an event is what the log shows of it.
        let decoded = match &mut event.what {
            What::Text(text) => {
                let decoded = self.decode(from, text, bytes);
                self.hide(text, bytes);
                decoded
            }
            What::Data(data) => {
                self.hide_data(from, data, bytes);
                None
            }
            _ => None,
        };
        self.connection.follow(event, slices(&event.what, bytes).0, at);
        match &mut event.what {
            What::Text(text) => return self.text(from, text, bytes, decoded, at),
            What::Data(data) => self.data(from, data, bytes),
            What::Upgrade(layer) => {
                if *layer == Layer::Tls {
                    self.connection.offers.forget();
                    self.reason = list::Reason::Tls;
                }
                self.notes.push(tls::layer(*layer, from, self.standard));
            }
            What::Lag { events, bytes } => self.lag(*events, *bytes),
            What::Gap { bytes, data } => self.gap(*bytes, *data),
            What::Opened(opened) => {
                self.began = Some(at);
                opened.rules.iter().for_each(|rule| self.tallies.know(rule));
            }
            What::Tls(facts) => {
                self.secured |= from == Peer::Server;
                self.hurdles.legs[from.index()] = true;
                self.notes.extend(tls::notes(facts, at));
                self.notes.extend(tls::inside(facts).filter(|_| from == Peer::Server));
            }
            What::Hello(hello) => self.notes.push(tls::hello(hello, from)),
            What::Abrupt => self.notes.push(tls::abrupt()),
            What::Closed(closed) => self.silent(closed, at),
            What::Missed(rule) => self.tallies.missed(rule),
            What::Waiting(_) | What::HalfClosed | What::Octets(_) => {}
        }
        None
    }

    /// A server that never said a word may wait for TLS, as it does on another port.
    fn silent(&mut self, closed: &Closed, at: Time) {
        let lasted = self.began.map_or(Duration::ZERO, |began| at.since(began));
        let said = closed.received[Peer::Server.index()] > 0;
        let reached = !matches!(closed.by, Closer::Unreachable | Closer::Tls(_));
        if !said && lasted >= SILENCE && reached && !self.secured {
            let like = self.standard.tls_port().map_or_else(String::new, |port| format!(", as port {port} does"));
            let text = format!(
                "the server said nothing at all: does this port want TLS at once{like}? Then the route needs a scheme for \
                it, such as imaps://"
            );
            self.notes.push(Note::new(NoteKind::Session, text, ""));
        }
    }

    /// Events are missing: what was under way may be over, so nothing is concluded from it any more.
    fn lag(&mut self, events: u64, bytes: u64) {
        self.lose_track();
        let text = format!(
            "{} events with {} are missing here: the log could not keep up; everything was relayed all the same",
            thousands(events),
            amount(bytes, "octet")
        );
        self.notes.push(Note::new(NoteKind::Session, text, ""));
    }

    /// The file lacks bytes here.
    fn gap(&mut self, bytes: Option<u64>, data: bool) {
        if !data {
            self.lose_track();
        }
        let text = match bytes {
            Some(_) if data => "they belong to the data that is under way",
            Some(_) => "whatever was under way may be over: nothing is concluded from it",
            None => "nothing is known of what was said before, nor who has logged in",
        };
        self.notes.push(Note::new(NoteKind::Session, text, ""));
    }

    /// No finding rests on what is missing, and no list that may lack a part is believed.
    fn doubt(&mut self, what: &What) {
        let torn = match what {
            What::Text(text) => text.oddities.contains(&Oddity::Torn),
            What::Data(data) => data.oddities.contains(&Oddity::Torn),
            // The facts of TLS are those of a handshake that was seen.
            What::Tls(_) => return,
            _ => false,
        };
        if self.connection.missing.unsure {
            self.connection.offers.forget();
        }
        if torn || self.connection.missing.unsure {
            self.notes.retain(|note| !matches!(note.kind, NoteKind::Finding(_)));
        }
    }

    /// Concludes nothing from what was under way.
    fn lose_track(&mut self) {
        self.connection.offers.blind = true;
        if let Some(exchange) = &mut self.exchange {
            exchange.confuse();
        }
        self.idle = None;
        self.connection.offers.forget();
        if let Some(who) = &mut self.who {
            who.enabled.forget();
        }
        self.early = early::Early::Judged;
        (self.authenticated, self.smuggled, self.unasked) = (false, false, false);
        self.strict.skip();
    }

    fn text(&mut self, from: Peer, text: &Text, bytes: &[u8], decoded: Option<Note>, at: Time) -> Option<Duration> {
        let shown: &[u8] = text.bytes.of(bytes);
        let sent = replaced(text).map(|span| span.of(bytes));
        let sent_reading = sent.map(|sent| wire::reread(self.grammar.form, from, &text.reading, sent));
        let latency = match from {
            Peer::Client => self.client(text, shown, decoded, at),
            Peer::Server => self.server(text, shown, decoded, at),
        };
        self.news();
        self.rules(from, text, sent);
        if let Some(edit) = text.edit.as_ref().filter(|edit| !edit.would.is_empty()) {
            self.tallies.dry = true;
            for (nth, (rule, what)) in edit.would.iter().enumerate() {
                // A rule can do two things to a text.
                if edit.would[..nth].iter().all(|(before, _)| before != rule) {
                    self.tallies.fired(rule);
                }
                let said = format!("{rule} would {what}");
                self.notes.push(Note {
                    kind: NoteKind::Rule,
                    about: Some(rule.to_string()),
                    text: said,
                    ..Note::new(NoteKind::Rule, "", "")
                });
            }
            if !edit.bytes.is_empty() {
                let instead = phrase::excerpt(wire::body(edit.bytes.of(bytes)));
                self.notes.push(Note::new(NoteKind::Rule, format!("would be sent: {instead}"), ""));
            }
        }
        if text.reading.list.is_some() || sent_reading.as_ref().is_some_and(|reading| reading.list.is_some()) {
            self.list(text, shown, sent.zip(sent_reading.as_ref()));
            if from == Peer::Server {
                self.hurdles_of_list();
            }
        }
        self.oddities(from, text, shown);
        if from == Peer::Server && self.standard == Standard::Imap {
            self.second_opinion(text, shown);
        }
        if text.oddities.contains(&Oddity::Ours) {
            // Whatever is wrong with our own words, no peer is to blame.
            for note in &mut self.notes {
                note.kind =
                    if let NoteKind::Finding(_) = note.kind { NoteKind::Finding(Culprit::None) } else { note.kind };
            }
        }
        self.mark(text, shown, sent.zip(sent_reading.as_ref()));
        if self.vault.shows() {
            mark::reveal(&mut self.marks);
            mark::reveal(&mut self.sent_marks);
        }
        latency
    }

    fn data(&mut self, from: Peer, data: &Data, bytes: &[u8]) {
        self.connection.offers.blind |= matches!(data.kind, DataKind::Opaque | DataKind::Overlong);
        match from {
            Peer::Client if data.kind == DataKind::Overlong => self.overlong(data.frame),
            Peer::Client => {}
            Peer::Server => self.strict.data(data, data.head.of(bytes)),
        }
        match data.kind {
            DataKind::Proxy => self.notes.push(foreign::foreign(Foreign::Proxy, from)),
            DataKind::Overlong => {
                let text =
                    format!("a line of {}: too long to be read, passed on as it came", amount(data.len, "octet"));
                self.notes.push(Note::new(NoteKind::Session, text, ""));
            }
            DataKind::Rest => {
                let text = format!("the rest of it, {}: too many lines to be read", amount(data.len, "octet"));
                self.notes.push(Note::new(NoteKind::Session, text, ""));
            }
            // What all others are is said by their size.
            _ => {}
        }
        if self.is_unbegun(from, data) {
            let others: Vec<Oddity> = data.oddities.iter().copied().filter(|odd| *odd != Oddity::Truncated).collect();
            self.notes.push(Note::new(NoteKind::Session, "none of it came: the client ended the connection", ""));
            return self.odd(from, &others, false);
        }
        self.odd(from, &data.oddities, false);
    }

    fn rules(&mut self, from: Peer, text: &Text, sent: Option<&[u8]>) {
        let Some(edit) = &text.edit else { return };
        let dropped = sent.is_some_and(<[u8]>::is_empty) && !text.bytes.is_empty();
        let last = edit.fired.len().saturating_sub(1);
        for (nth, rule) in edit.fired.iter().enumerate() {
            self.tallies.fired(rule);
            let command = from == Peer::Client && matches!(text.reading.kind, Kind::Command { .. });
            let what = match () {
                () if edit.answered && nth == last => {
                    format!("refused by {rule}: imapscope answers, and the server does not hear of it")
                }
                () if dropped && nth == last && command => format!("dropped by {rule}: it stays unanswered"),
                () if dropped && nth == last => format!("dropped by {rule}"),
                () => match edit.varied.iter().find(|(varies, _)| varies == rule) {
                    Some((_, ways)) => format!("varied by {rule}: {ways}"),
                    None => format!("changed by {rule}"),
                },
            };
            self.notes.push(Note {
                kind: NoteKind::Rule,
                about: Some(rule.to_string()),
                text: what,
                ..Note::new(NoteKind::Rule, "", "")
            });
        }
        if let Some(rule) = &edit.made {
            let what = if text.answers.is_some() { "the answer of" } else { "inserted by" };
            if text.answers.is_none() {
                self.tallies.fired(rule);
            }
            let text = format!("{what} {rule}");
            self.notes.push(Note {
                kind: NoteKind::Rule,
                about: Some(rule.to_string()),
                text,
                ..Note::new(NoteKind::Rule, "", "")
            });
        }
        for (rule, what) in &edit.faults {
            // What varies a text and how it leaves was counted.
            if !edit.fired.contains(rule) {
                self.tallies.fired(rule);
            }
            let text = format!("{what} by {rule}");
            self.notes.push(Note {
                kind: NoteKind::Rule,
                about: Some(rule.to_string()),
                text,
                ..Note::new(NoteKind::Rule, "", "")
            });
        }
        for (rule, why) in &edit.refused {
            let text = format!("not applied: {why}");
            self.notes.push(Note {
                kind: NoteKind::Rule,
                about: Some(rule.to_string()),
                text,
                ..Note::new(NoteKind::Rule, "", "")
            });
        }
    }

    fn second_opinion(&mut self, text: &Text, shown: &[u8]) {
        let hidden = !text.secrets.is_empty() && !self.vault.shows();
        if hidden || says_odd(&text.oddities) || text.reading.stopped.is_some() {
            return self.strict.skip();
        }
        match self.strict.text(text.frame, text.first, shown, &text.reading) {
            Opinion::Silent | Opinion::Accepted(None) => {}
            Opinion::Accepted(Some(detail)) => self.notes.push(Note::new(NoteKind::Detail, detail, "")),
            Opinion::Refused { at, item } => {
                let item = item.map(|item| format!(", in {item}")).unwrap_or_default();
                let text = format!("a client that parses strictly would fail here (from octet {at}{item})");
                self.notes.push(Note::new(NoteKind::Detail, text, ""));
            }
        }
    }

    fn mark(&mut self, text: &Text, shown: &[u8], sent: Option<(&[u8], &Reading)>) {
        let Some((sent, sent_reading)) = sent else {
            return mark::mark(&mut self.marks, shown, &text.reading, &text.secrets, &|_| None);
        };
        let names = |bytes: &[u8], reading: &Reading| -> BTreeSet<Vec<u8>> {
            let entries = reading.list.iter().flat_map(|list| list::entries(list, bytes));
            entries.map(|(_, name)| name.to_ascii_uppercase()).collect()
        };
        let (came, went) = (names(shown, &text.reading), names(sent, sent_reading));
        let lacks = |list: &BTreeSet<Vec<u8>>, name: &[u8]| !list.contains(&name.to_ascii_uppercase());
        mark::mark(&mut self.marks, shown, &text.reading, &text.secrets, &|name| {
            lacks(&went, name).then_some(Role::Removed)
        });
        let secrets = text.edit.as_ref().map_or(&[][..], |edit| edit.secrets.as_slice());
        mark::mark(&mut self.sent_marks, sent, sent_reading, secrets, &|name| {
            lacks(&came, name).then_some(Role::Added)
        });
    }

    /// True the first time that this name is met; false once too many are remembered.
    fn first_time(&mut self, sort: Met, name: &[u8]) -> bool {
        let met = &mut self.met[sort as usize];
        met.count() < MAX_MET && name.len() <= MAX_NAME && met.add(&String::from_utf8_lossy(name))
    }
}

/// The octets of an event, what was sent instead, and what else it points at.
fn slices<'a>(what: &What, bytes: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>, &'a [u8]) {
    match what {
        What::Text(text) => {
            let beside = text.edit.as_ref().map_or(&[][..], |edit| edit.bytes.of(bytes));
            (text.bytes.of(bytes), replaced(text).map(|span| span.of(bytes)), beside)
        }
        What::Data(data) => (data.head.of(bytes), None, data.subject.of(bytes)),
        What::Octets(octets) => (octets.bytes.of(bytes), None, &[]),
        _ => (&[], None, &[]),
    }
}

/// What was sent in the place of a text, if any rule was applied.
fn replaced(text: &Text) -> Option<Span> {
    text.edit.as_ref().filter(|edit| !edit.fired.is_empty()).map(|edit| edit.bytes)
}

/// A span of the arena as a range that fits it.
fn range(span: Span, len: usize) -> std::ops::Range<usize> {
    let end = (span.end as usize).min(len);
    (span.start as usize).min(end)..end
}

/// Adds spans to those that are there.
fn add(secrets: &mut Vec<Span>, more: Vec<Span>) {
    if more.is_empty() {
        return;
    }
    secrets.extend(more);
    *secrets = secret::joined(std::mem::take(secrets));
}

fn failed(status: Status) -> bool {
    matches!(status, Status::No | Status::Bad)
}
