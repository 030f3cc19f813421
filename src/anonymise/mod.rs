//! Anonymising what connections reported, so that a recording can be shown to anybody: names, addresses, subjects and the words of
//! servers are replaced in the arena by stand-ins of the same length, bodies are filled, and all that a protocol consists of
//! stays. Comes before the explainer: what that says is made of what is left. Fails closed: what is not known to be harmless
//! is replaced. Knows events and the grammar; no session, no sink, no file.

mod address;
mod argument;
mod message;
mod stand_in;
mod structure;
mod text;
mod vocabulary;
mod word;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{
    Batch, Certificate, Data, Decoded, Edited, Event, Form, Hello, Kind, MAX_HEAD, Octets, Opened, Owed, Peer, Reading,
    RouteName, Span, Text, TlsFacts, Verification, Wait, What, repeated,
};
use crate::grammar::{Grammar, mechanism};
use crate::wire;
use argument::Listing;
use message::Stream;
pub use stand_in::{Key, MAX_WORDS, StandIns};
use text::{Draft, Frame};
use vocabulary::Words;

/// Seconds of a day: certificates keep the day of their dates, for the second would tell which one it is.
const DAY: i64 = 86_400;

/// Maximum number of commands whose answers are waited for; of older ones it is not known what their lines hold.
const MAX_ASKED: usize = 4096;

/// Replaces what names people, hosts and what they have written.
#[derive(Debug)]
pub struct Anonymiser {
    names: StandIns,
    protocols: HashMap<String, Arc<Known>>,
    open: HashMap<u64, Connection>,
}

/// What is known of a protocol.
#[derive(Debug)]
struct Known {
    grammar: Arc<Grammar>,
    words: Words,
}

#[derive(Debug)]
struct Connection {
    known: Arc<Known>,
    lanes: [Lane; 2],
    /// Commands of POP3 that may be answered with lines, by their frames.
    asked: VecDeque<(u64, Listing)>,
}

#[derive(Debug, Default)]
struct Lane {
    frame: Frame,
    stream: Stream,
}

impl Connection {
    fn new(known: &Arc<Known>) -> Self {
        Connection { known: known.clone(), lanes: Default::default(), asked: VecDeque::new() }
    }

    /// Finds out what the lines hold that may follow this reply.
    fn pair(&mut self, from: Peer, text: &Text, bytes: &[u8]) {
        if self.known.grammar.form != Form::Pop3 {
            return;
        }
        match (from, text.reading.kind) {
            (Peer::Client, Kind::Command { verb, .. }) => {
                let listing = match &*verb.of(bytes).to_ascii_uppercase() {
                    b"UIDL" => Listing::Named,
                    b"LIST" => Listing::Numbers,
                    _ => return,
                };
                if self.asked.len() == MAX_ASKED {
                    self.asked.pop_front();
                }
                self.asked.push_back((text.frame, listing));
            }
            (Peer::Server, _) => {
                let at = self.asked.iter().position(|(frame, _)| text.answers == Some(*frame));
                // They are answered in turn.
                let asked = at.and_then(|at| self.asked.drain(..=at).next_back());
                self.lanes[Peer::Server.index()].frame.asked = asked.map(|(_, listing)| listing);
            }
            _ => {}
        }
    }
}

impl Anonymiser {
    /// One whose stand-ins depend on this key, for connections of these protocols.
    #[must_use]
    pub fn new(key: Key, grammars: &[Arc<Grammar>]) -> Self {
        let mut names = StandIns::new(key);
        for words in [vocabulary::ours(), vocabulary::mime(), vocabulary::fields()] {
            names.reserve(words.iter().map(|word| &**word));
        }
        let mut protocols = HashMap::new();
        for grammar in grammars {
            let words = vocabulary::of_grammar(grammar);
            names.reserve(words.iter().map(|word| &**word));
            protocols.insert(grammar.name.clone(), Arc::new(Known { grammar: grammar.clone(), words }));
        }
        Anonymiser { names, protocols, open: HashMap::new() }
    }

    /// Replaces all that has to be in a batch. Nothing changes its length or its place, but for octets of data, whose incomplete
    /// lines wait for the next piece. Events of a connection whose protocol is not known are taken out.
    pub fn anonymise(&mut self, batch: &mut Batch) {
        let mut events = Vec::with_capacity(batch.events.len());
        for mut event in std::mem::take(&mut batch.events) {
            if let What::Opened(opened) = &event.what
                && let Some(known) = self.protocols.get(&opened.protocol)
            {
                self.open.insert(batch.connection, Connection::new(known));
            }
            let Some(mut connection) = self.open.remove(&batch.connection) else { continue };
            let known = connection.known.clone();
            if let What::Text(text) = &event.what {
                connection.pair(event.from, text, text.bytes.of(&batch.bytes));
            }
            let lane = &mut connection.lanes[event.from.index()];
            if let What::Data(data) = &mut event.what {
                let rest = self.data(lane, data, &mut batch.bytes);
                events.extend(rest.map(|rest| Event { from: event.from, what: What::Octets(rest) }));
            } else {
                self.event(&known, lane, &mut event, &mut batch.bytes);
            }
            if !matches!(event.what, What::Closed(_)) {
                self.open.insert(batch.connection, connection);
            }
            events.push(event);
        }
        batch.events = events;
    }

    /// A route as the first line of a recording has it.
    #[must_use]
    pub fn route(&mut self, route: &str) -> String {
        // `LISTEN=SERVER`
        route.split('=').map(|side| self.place(side)).collect::<Vec<_>>().join("=")
    }

    fn event(&mut self, known: &Known, lane: &mut Lane, event: &mut Event, bytes: &mut Vec<u8>) {
        let from = event.from;
        match &mut event.what {
            What::Text(text) => self.text(known, lane, from, text, bytes),
            What::Octets(octets) => self.octets(lane, octets, bytes),
            What::Opened(opened) => self.opened(opened),
            What::Tls(facts) => self.facts(facts),
            What::Hello(hello) => self.hello(hello),
            What::Missed(rule) => self.rule(rule),
            What::Waiting(wait) => self.wait(known, wait),
            What::Closed(closed) => closed.why = closed.why.take().map(|why| self.sentence(&why)),
            What::Data(_)
            | What::Abrupt
            | What::Upgrade(_)
            | What::Lag { .. }
            | What::Gap { .. }
            | What::HalfClosed => {}
        }
    }

    fn wait(&mut self, known: &Known, wait: &mut Wait) {
        match &mut wait.owed {
            Owed::Held { rule, .. } => self.rule(rule),
            // Nothing but a word of the protocol is ever written there; a file may be made by anybody.
            Owed::LineEnd { verb, .. } => {
                *verb = verb.take().filter(|verb| known.grammar.commands.exact(verb.as_bytes()).is_some());
            }
            _ => {}
        }
    }

    fn text(&mut self, known: &Known, lane: &mut Lane, from: Peer, text: &mut Text, bytes: &mut [u8]) {
        let span = range(text.bytes, bytes.len());
        if let Kind::Command { verb, .. } = text.reading.kind {
            let verb = verb.of(&bytes[span.clone()]).to_ascii_uppercase();
            if matches!(&*verb, b"MAIL" | b"RSET" | b"EHLO" | b"LHLO" | b"HELO" | b"DATA") {
                lane.stream.forget_chunks();
            }
        }
        let octets = &bytes[span.clone()];
        let shown = text.secrets.iter().any(|secret| secret.of(octets).iter().any(|b| !b"*\r\n".contains(b)));
        let before = lane.frame.clone();
        let names = &mut self.names;
        if let Some(edit) = &mut text.edit {
            let sent = range(edit.bytes, bytes.len());
            let reading = wire::reread(known.grammar.form, from, &text.reading, &bytes[sent.clone()]);
            let mut frame = before;
            draft(known, names, from, &mut bytes[sent], &reading, &edit.secrets, &mut frame);
        }
        draft(known, names, from, &mut bytes[span], &text.reading, &text.secrets, &mut lane.frame);
        if let Some(edit) = &mut text.edit {
            self.edit(edit);
        }
        if let Some(decoded) = &mut text.decoded {
            self.decoded(decoded, shown);
        }
    }

    fn edit(&mut self, edit: &mut Edited) {
        let Edited { bytes: _, secrets: _, fired, refused, answered: _, would, made, faults, varied } = edit;
        fired.iter_mut().chain(made).for_each(|rule| self.rule(rule));
        for (rule, why) in refused.iter_mut().chain(faults).chain(varied) {
            self.rule(rule);
            *why = self.sentence(why);
        }
        for (rule, what) in would {
            self.rule(rule);
            *what = self.sentence(what).into();
        }
    }

    /// `shown`: secrets may stand in it.
    fn decoded(&mut self, decoded: &mut Decoded, shown: bool) {
        let Decoded { text, mechanism: method, user, header: _ } = decoded;
        // What is quoted there is a name, whatever it looks like.
        let mut said = std::mem::take(text).into_bytes();
        if shown {
            self.names.names(&mut said);
        } else {
            self.names.said(&mut said, vocabulary::ours());
        }
        *text = String::from_utf8_lossy(&said).into_owned();
        self.names.begin_learning(true);
        *user = user.as_deref().map(|user| self.name(user));
        self.names.begin_learning(false);
        if mechanism(&*method).is_none() {
            *method = self.name(method);
        }
    }

    fn octets(&mut self, lane: &mut Lane, octets: &mut Octets, bytes: &mut Vec<u8>) {
        let span = range(octets.bytes, bytes.len());
        if octets.secret {
            return fill(&mut bytes[span]);
        }
        let piece = bytes[span].to_vec();
        let start = bytes.len();
        let block = (octets.frame, octets.kind);
        lane.stream.piece(block, lane.frame.content, &piece, bytes, &mut self.names);
        octets.bytes = Span::new(start, bytes.len());
    }

    /// Replaces the beginning of a block that is over; gives the octets of it that have waited.
    fn data(&mut self, lane: &mut Lane, data: &mut Data, bytes: &mut Vec<u8>) -> Option<Octets> {
        let (mut rest, mut head) = lane.stream.finish(&mut self.names);
        let span = range(data.head, bytes.len());
        if data.secret {
            fill(&mut bytes[span]);
        } else {
            let repeats = repeated(&data.oddities) > 0;
            if repeats || head.len() < span.len() {
                // The octets of its beginning are not there, only these.
                let (piece, block) = (bytes[span.clone()].to_vec(), (data.frame, data.kind));
                head.clear();
                lane.stream.piece(block, lane.frame.content, &piece, &mut Vec::new(), &mut self.names);
                head = lane.stream.finish(&mut self.names).1;
                if !repeats {
                    rest.clear();
                }
            }
            debug_assert!(head.len() >= span.len() || span.len() > MAX_HEAD, "as many octets as came");
            let len = head.len().min(span.len());
            bytes[span][..len].copy_from_slice(&head[..len]);
        }
        let subject = range(data.subject, bytes.len());
        self.names.names(&mut bytes[subject]);
        if rest.is_empty() {
            return None;
        }
        let start = bytes.len();
        bytes.extend_from_slice(&rest);
        Some(Octets { frame: data.frame, kind: data.kind, bytes: Span::new(start, bytes.len()), secret: data.secret })
    }

    fn opened(&mut self, opened: &mut Opened) {
        // All fields are named here, so that nobody adds one without a thought for what it says.
        let Opened { protocol: _, form: _, client, server, route, edit: _, rules, middle: _ } = opened;
        *client = self.place(client);
        *server = self.place(server);
        *route = Arc::new(RouteName { written: self.route(&route.written), number: route.number });
        rules.iter_mut().for_each(|rule| self.rule(rule));
    }

    fn facts(&mut self, facts: &mut TlsFacts) {
        let TlsFacts { version: _, suite: _, name, alpn, certificate, verdict, legacy: _, insecure: _ } = facts;
        *name = name.as_deref().map(|name| self.name(name));
        *alpn = alpn.as_deref().map(|name| self.sentence(name));
        if let Some(certificate) = certificate {
            self.certificate(certificate);
        }
        if let Verification::Unverified(why) = verdict {
            *why = self.sentence(why);
        }
    }

    fn certificate(&mut self, certificate: &mut Certificate) {
        let Certificate { subject, issuer, names, more_names: _, not_before, not_after, self_signed: _ } = certificate;
        for name in [subject, issuer] {
            // `CN=` and the like say what a name is.
            let parts = name.split(", ").map(|part| match part.split_once('=') {
                Some((kind, value)) if kind.len() <= 2 => format!("{kind}={}", self.name(value)),
                _ => self.name(part),
            });
            *name = parts.collect::<Vec<_>>().join(", ");
        }
        names.iter_mut().for_each(|name| *name = self.name(name));
        for date in [not_before, not_after] {
            *date = date.div_euclid(DAY) * DAY;
        }
    }

    fn hello(&mut self, hello: &mut Hello) {
        match hello {
            Hello::Client { name, alpn, .. } => {
                *name = name.as_deref().map(|name| self.name(name));
                alpn.iter_mut().for_each(|name| *name = self.sentence(name));
            }
            Hello::Server { alpn, .. } => *alpn = alpn.as_deref().map(|name| self.sentence(name)),
            Hello::Alert { .. } | Hello::Unread(_) | Hello::NoTls => {}
        }
    }

    fn rule(&mut self, rule: &mut Arc<str>) {
        *rule = self.sentence(rule).into();
    }

    /// A host with its port, maybe with a scheme: those stay, and so does this machine.
    fn place(&mut self, place: &str) -> String {
        let (scheme, rest) = place.split_once("://").map_or(("", place), |(scheme, rest)| (scheme, rest));
        let (host, port) =
            rest.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).unwrap_or((rest, ""));
        let local = ["", "localhost", "[::1]", "0.0.0.0", "*"].contains(&host) || host.starts_with("127.");
        let host = if local { host.to_owned() } else { self.name(host) };
        let between = if scheme.is_empty() { "" } else { "://" };
        let colon = if port.is_empty() { "" } else { ":" };
        format!("{scheme}{between}{host}{colon}{port}")
    }

    fn name(&mut self, name: &str) -> String {
        let mut bytes = name.as_bytes().to_vec();
        self.names.names(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What imapscope or its user says: a rule, a reason.
    fn sentence(&mut self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        // What is quoted in a rule is human text as well.
        bytes.split_mut(|&b| b == b'"').for_each(|part| self.names.said(part, vocabulary::ours()));
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// Replaces a text, or what was sent in its place; what is secret of it is filler, whatever it was before.
fn draft(
    known: &Known,
    names: &mut StandIns,
    from: Peer,
    bytes: &mut [u8],
    reading: &Reading,
    secrets: &[Span],
    frame: &mut Frame,
) {
    // A server may repeat it.
    secrets.iter().for_each(|secret| names.learn(secret.of(bytes)));
    hide(bytes, secrets);
    if !bytes.is_empty() {
        Draft { bytes, reading, from, frame, known, names }.replace();
    }
    hide(bytes, secrets);
}

fn hide(bytes: &mut [u8], secrets: &[Span]) {
    for span in secrets {
        let hidden = range(*span, bytes.len());
        fill(&mut bytes[hidden]);
    }
}

/// Filler for all but line ends, on which framing depends.
fn fill(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| !matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b'*');
}

/// A span as a range that fits.
fn range(span: Span, len: usize) -> std::ops::Range<usize> {
    let end = (span.end as usize).min(len);
    (span.start as usize).min(end)..end
}
