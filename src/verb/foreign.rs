//! What other programs have recorded, on its way to the explainer: the sessions of a live connection, fed from a file.

use std::collections::HashMap;
use std::sync::Arc;

use super::deadline::{self, Deadlines, Telling, Watch};
use super::desk::named;
use crate::event::{
    Batch, Closed, Closer, Form, Opened, Peer, RouteName, State, Time, TlsFacts, Verification, Wait, What,
};
use crate::foreign::Piece;
use crate::grammar::Grammar;
use crate::problem::Problem;
use crate::rules::Rules;
use crate::session::{Outbox, Session};
use crate::wording::{nearest, thousands};

/// Maximum number of connections that are open at a time, as in a recording; others are passed over.
const MAX_OPEN: usize = crate::recording::MAX_OPEN;

/// Maximum number of bytes that all connections together keep back: incomplete lines, and what waits for an answer.
const MAX_HELD: usize = 64 * 1024 * 1024;

/// The connections of a file.
pub struct Passages {
    grammars: Vec<Arc<Grammar>>,
    open: HashMap<u64, Passage>,
    last: Time,
    /// Number of bytes that all of them keep back.
    held: usize,
    /// The state in which connections begin, if the user says so.
    given: Option<State>,
    deadlines: Deadlines,
}

/// Maximum number of bytes of one peer that are kept until the other one shows whether they are inside TLS.
const MAX_EARLY: usize = 4 * 1024;

struct Passage {
    number: u64,
    session: Session,
    received: [u64; 2],
    /// What lies inside TLS is there as it was said.
    inside: bool,
    /// TLS has begun: it is told once.
    secured: bool,
    /// The opening said that the beginning is missing.
    late: bool,
    /// How many of its bytes are in the sum of all.
    counted: usize,
    /// Text in the place of TLS: whoever else speaks shows whether TLS was taken away from the file, or was not spoken.
    early: Vec<(Peer, Time, Vec<u8>)>,
    watch: Watch,
}

/// What a peer says where TLS is to begin.
enum Beginning {
    /// TLS, or something else that is between the peers.
    Peers,
    /// What lies inside TLS.
    Inside,
    /// Text, of which the other peer's words will tell what it is.
    Unclear,
}

impl Passage {
    /// TLS has begun, as the file says, or as what follows a consent shows. What is said in it follows.
    fn secure(&mut self, version: String, suite: String, out: &mut Outbox) {
        if self.session.expects_tls() {
            self.session.in_plain();
        }
        if !std::mem::replace(&mut self.secured, true) {
            let facts = TlsFacts { version, suite, verdict: Verification::Untold, ..TlsFacts::default() };
            out.report(Peer::Server, What::Tls(Box::new(facts.clone())));
            out.report(Peer::Client, What::Tls(Box::new(facts)));
        }
    }

    /// How many bytes are kept back.
    fn held(&self) -> usize {
        let early: usize = self.early.iter().map(|(.., bytes)| bytes.len()).sum();
        self.session.held(Peer::Client) + self.session.held(Peer::Server) + early
    }

    /// Takes what a peer said.
    fn hear(&mut self, at: Time, from: Peer, bytes: &[u8], came: &mut dyn FnMut(Came)) {
        self.received[from.index()] += bytes.len() as u64;
        let mut rest = self.feed(at, from, bytes, came);
        while !rest.is_empty() {
            match self.beginning(from, rest) {
                Beginning::Unclear => return self.early.push((from, at, rest.to_vec())),
                Beginning::Inside => {
                    let mut out = Outbox::default();
                    self.secure(String::new(), String::new(), &mut out);
                    let first = self.early.first().map_or(at, |(_, at, _)| *at);
                    hand_over(self.number, first, &mut out, came);
                }
                Beginning::Peers => self.session.left_to_peers(),
            }
            self.replay(came);
            rest = self.feed(at, from, rest, came);
        }
    }

    /// Hands bytes to the session. Returns what is left where TLS is to begin.
    fn feed<'a>(&mut self, at: Time, from: Peer, bytes: &'a [u8], came: &mut dyn FnMut(Came)) -> &'a [u8] {
        let (mut rest, mut out) = (bytes, Outbox::default());
        while !rest.is_empty() && !self.session.expects_tls() {
            if !self.inside && self.session.waits_for_tls(from) {
                // It did not wait for the answer: what this is shows with it.
                self.session.forgo_tls();
            }
            let used = self.session.receive(from, rest, &mut out);
            rest = &rest[used..];
            hand_over(self.number, at, &mut out, came);
        }
        rest
    }

    fn beginning(&self, from: Peer, bytes: &[u8]) -> Beginning {
        // The middle of a record may begin like text.
        let text = bytes.iter().take(32).all(|byte| matches!(byte, b'\t' | b'\r' | b'\n' | b' '..=b'~'));
        let kept: usize = self.early.iter().map(|(.., bytes)| bytes.len()).sum();
        let before = self.early.iter().find(|(peer, ..)| *peer != from).map(|(.., bytes)| bytes.as_slice());
        match (text, before) {
            _ if self.inside => Beginning::Inside,
            (true, Some(before)) => {
                let server = if from == Peer::Server { bytes } else { before };
                if is_lost(self.session.form(), server) { Beginning::Peers } else { Beginning::Inside }
            }
            (true, None) if kept + bytes.len() <= MAX_EARLY => Beginning::Unclear,
            _ => Beginning::Peers,
        }
    }

    /// Hands over what waited for the other peer, who said nothing.
    fn resolve(&mut self, came: &mut dyn FnMut(Came)) {
        if !self.early.is_empty() {
            self.session.left_to_peers();
            self.replay(came);
        }
    }

    /// Tells what is owed, once for each threshold that has passed by now.
    fn pass_time(&mut self, now: Time, deadlines: &mut Deadlines, came: &mut dyn FnMut(Came)) {
        // Whoever was heard, and is not read yet, is not silent; and a log may lack a side.
        let unclear = self.watch.behind || !self.early.is_empty() || self.inside && self.received.contains(&0);
        self.watch.stop(self.number, deadlines);
        while let Some((since, due)) = self.watch.ring(now) {
            let Some(wait) = self.session.owed().filter(|_| !unclear) else { return };
            match deadlines.tell() {
                Telling::Wait => {
                    let mut out = Outbox::default();
                    out.report(wait.by.other(), What::Waiting(Box::new(Wait { since, ..wait })));
                    hand_over(self.number, due, &mut out, came);
                }
                Telling::TooMany => {
                    let most = thousands(deadline::MOST.into());
                    came(Came::Told(format!("there were {most} waits; further ones are left out"), true));
                }
                Telling::Nothing => {}
            }
        }
        self.watch.arm(self.number, deadlines);
    }

    fn replay(&mut self, came: &mut dyn FnMut(Came)) {
        for (from, at, bytes) in std::mem::take(&mut self.early) {
            self.feed(at, from, &bytes, came);
        }
    }
}

/// Returns true for a reply of a server that does not understand what it hears, as if it had taken it for TLS.
fn is_lost(form: Form, reply: &[u8]) -> bool {
    let codes: [&[u8]; 6] = [b"421", b"454", b"500", b"501", b"502", b"503"];
    match form {
        Form::Codes => codes.iter().any(|code| reply.starts_with(code)),
        Form::Imap => {
            let mut words = reply.split(|&b| b == b' ');
            matches!((words.next(), words.next()), (_, Some(b"BAD")) | (Some(b"*"), Some(b"BYE")))
        }
        _ => false,
    }
}

/// What comes of a piece.
pub enum Came {
    /// Events to explain.
    Events(Batch),
    /// Something to tell, and whether anything is damaged or passed over.
    Told(String, bool),
}

/// The state of this name, spelled as in the log or in conditions, of this protocol or of any.
///
/// # Errors
/// No such state; with the nearest.
pub fn state(name: &str, grammar: Option<&Arc<Grammar>>) -> Result<State, Problem> {
    let known: Vec<State> = match grammar {
        Some(grammar) => grammar.form.states().to_vec(),
        None => State::ALL.into_iter().filter(|state| *state != State::Opaque).collect(),
    };
    let unknown = || {
        let words: Vec<&str> = known.iter().map(|state| state.short()).collect();
        let all = format!("one of {}", words.join(", "));
        let near = nearest(name, known.iter().flat_map(|state| [state.short(), state.word()]));
        let help = near.map_or_else(|| all.clone(), |near| format!("did you mean {near}? {all}"));
        Problem::new("--state", format!("unknown state \"{name}\""), help)
    };
    State::named(name).filter(|state| known.contains(state)).ok_or_else(unknown)
}

impl Passages {
    /// None so far.
    #[must_use]
    pub fn new(grammars: Vec<Arc<Grammar>>) -> Self {
        Passages {
            grammars,
            open: HashMap::new(),
            last: Time(0),
            held: 0,
            given: None,
            deadlines: Deadlines::default(),
        }
    }

    /// The same with connections that begin in this state, as the user says: whole ones in [`State::Greeting`].
    #[must_use]
    pub const fn beginning_in(mut self, given: Option<State>) -> Self {
        self.given = given;
        self
    }

    /// Takes a piece, and says what comes of it.
    pub fn take(&mut self, piece: Piece, came: &mut dyn FnMut(Came)) {
        self.pass_time(piece.connection(), piece.at(), came);
        match piece {
            Piece::Opened { connection, at, protocol, client, server, inside, middle } => {
                self.begin(connection, at, protocol.as_deref(), (client, server), (inside, middle), came);
            }
            Piece::Octets { connection, at, from, bytes } => {
                let Some(passage) = self.open.get_mut(&connection) else { return };
                passage.hear(at, from, &bytes, came);
                passage.watch.moved(connection, at, self.last, &mut self.deadlines);
                self.weigh(connection, at, came);
            }
            Piece::TlsFirst { connection, .. } => {
                if let Some(passage) = self.open.get_mut(&connection) {
                    passage.session.expect_tls();
                }
            }
            Piece::Tls { connection, at, version, suite } => {
                let Some(passage) = self.open.get_mut(&connection) else { return };
                let mut out = Outbox::default();
                passage.secure(version, suite, &mut out);
                hand_over(connection, at, &mut out, came);
            }
            // What the user says of the beginning is said.
            Piece::Lost { bytes: None, .. } if self.given.is_some() => {}
            Piece::Lost { connection, at, from, bytes } => {
                let Some(passage) = self.open.get_mut(&connection) else { return };
                let mut out = Outbox::default();
                if !passage.early.is_empty() {
                    // Whoever did not answer may have.
                    passage.session.doubt();
                    passage.resolve(came);
                }
                passage.session.missed(from, bytes, &mut out);
                if bytes.is_none() && passage.late {
                    out.batch.events.clear();
                }
                hand_over(connection, at, &mut out, came);
            }
            Piece::LeftOut { connection, from, bytes, all, .. } => {
                if let Some(passage) = self.open.get_mut(&connection) {
                    passage.session.left_out(from, bytes, all);
                }
            }
            Piece::Behind { connection, behind, .. } => {
                if let Some(passage) = self.open.get_mut(&connection) {
                    passage.watch.behind = behind;
                    passage.watch.arm(connection, &mut self.deadlines);
                }
            }
            Piece::Closed { connection, at, by, reset } => {
                let by = match by {
                    Some(peer) if reset => Closer::Reset(peer),
                    Some(peer) => Closer::Peer(peer),
                    None => Closer::Unseen,
                };
                self.end(connection, at, by, came);
            }
            Piece::Remark { connection, text, damage, .. } => {
                let about = connection.map(|number| format!("connection {number}: ")).unwrap_or_default();
                came(Came::Told(format!("{about}{text}"), damage));
            }
        }
    }

    /// Tells the silences that have lasted long enough by now, in the order of their times, and first of all that of this
    /// connection, on which something happens at this time.
    fn pass_time(&mut self, about: Option<u64>, at: Time, came: &mut dyn FnMut(Came)) {
        self.last = self.last.max(at);
        while let Some((due, number)) = self.deadlines.take(self.last) {
            if let Some(passage) = self.open.get_mut(&number) {
                passage.pass_time(passage.watch.own(due), &mut self.deadlines, came);
            }
        }
        if let Some(passage) = about.and_then(|number| self.open.get_mut(&number))
            && passage.watch.is_due(at)
        {
            passage.pass_time(at, &mut self.deadlines, came);
        }
    }

    /// Ends a connection that keeps something back where all together keep back too much: of a line without end in each of
    /// many connections, nobody learns anything.
    fn weigh(&mut self, number: u64, at: Time, came: &mut dyn FnMut(Came)) {
        let Some(passage) = self.open.get_mut(&number) else { return };
        let held = passage.held();
        self.held = self.held - std::mem::replace(&mut passage.counted, held) + held;
        if held > 0 && self.held > MAX_HELD {
            let what =
                format!("connection {number} is given up: {} MiB wait for the ends of their lines", MAX_HELD >> 20);
            came(Came::Told(what, true));
            self.end(number, at, Closer::Unseen, came);
        }
    }

    /// The file is at its end.
    pub fn finish(&mut self, came: &mut dyn FnMut(Came)) {
        let mut open: Vec<u64> = self.open.keys().copied().collect();
        open.sort_unstable();
        for connection in open {
            self.end(connection, self.last, Closer::Unseen, came);
        }
    }

    fn begin(
        &mut self,
        number: u64,
        at: Time,
        protocol: Option<&str>,
        (client, server): (String, String),
        (inside, middle): (bool, Option<State>),
        came: &mut dyn FnMut(Came),
    ) {
        let grammar = protocol.and_then(|name| named(&self.grammars, name));
        let Some(grammar) = grammar else {
            let why = match protocol {
                Some(name) => format!("no description of {name} is known (--grammar FILE)"),
                None => "its protocol was not recognised (--protocol NAME)".to_owned(),
            };
            return came(Came::Told(format!("connection {number} is passed over: {why}"), true));
        };
        if self.open.len() >= MAX_OPEN {
            return came(Came::Told(format!("connection {number} is passed over: {MAX_OPEN} are open already"), true));
        }
        let rules = Arc::new(Rules::default());
        let mut session =
            Session::new(number, grammar.clone(), rules).reporting_octets(true).following_tls().of_a_log(inside);
        let middle = self.begins(number, &grammar, middle, came);
        if let Some(state) = middle {
            session = session.beginning_in_the_middle(state);
        }
        let opened = Opened {
            middle,
            protocol: grammar.name.clone(),
            form: grammar.form,
            client,
            server,
            route: Arc::new(RouteName::default()),
            edit: session.edits(),
            rules: Vec::new(),
        };
        let mut out = Outbox::default();
        out.report(Peer::Client, What::Opened(Box::new(opened)));
        let mut watch = Watch::default();
        watch.moved(number, at, self.last, &mut self.deadlines);
        let passage = Passage {
            number,
            session,
            received: [0; 2],
            inside,
            secured: false,
            late: middle.is_some(),
            counted: 0,
            early: Vec::new(),
            watch,
        };
        self.open.insert(number, passage);
        hand_over(number, at, &mut out, came);
    }

    /// The state in which a connection begins whose beginning is missing: what the user says goes before what the file shows.
    fn begins(
        &self,
        number: u64,
        grammar: &Grammar,
        middle: Option<State>,
        came: &mut dyn FnMut(Came),
    ) -> Option<State> {
        match self.given {
            None => middle,
            Some(State::Greeting) => None,
            Some(state) if grammar.form.states().contains(&state) => Some(state),
            Some(state) => {
                let states: Vec<&str> = grammar.form.states().iter().map(|state| state.short()).collect();
                let (name, word, states) = (&grammar.name, state.short(), states.join(", "));
                came(Came::Told(format!("connection {number}: {name} has no state {word}, only {states}"), true));
                middle
            }
        }
    }

    fn end(&mut self, number: u64, at: Time, by: Closer, came: &mut dyn FnMut(Came)) {
        let Some(mut passage) = self.open.remove(&number) else { return };
        passage.watch.stop(number, &mut self.deadlines);
        self.held -= passage.counted;
        passage.resolve(came);
        let mut out = Outbox::default();
        let first = match by {
            Closer::Peer(peer) | Closer::Reset(peer) => peer,
            _ => Peer::Client,
        };
        let [client, server] = passage.received;
        let closed =
            Closed { by, why: None, received: [client, server], sent: [server, client], inflated: [(0, 0); 2] };
        passage.session.ended(first, closed, &mut out);
        hand_over(number, at, &mut out, came);
    }
}

/// Takes the events of a call; where octets go is nobody's business here.
fn hand_over(connection: u64, at: Time, out: &mut Outbox, came: &mut dyn FnMut(Came)) {
    let mut batch = std::mem::take(&mut out.batch);
    out.clear();
    if !batch.events.is_empty() {
        (batch.connection, batch.at) = (connection, at);
        came(Came::Events(batch));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A capture that begins late: what the opening says is not said again, and the first bytes may be the middle of a line.
    #[test]
    fn a_late_beginning_is_said_once() {
        let begun = |middle: Option<State>| {
            let grammar = Grammar::builtin("pop3").expect("it is built in");
            let mut passages = Passages::new(vec![grammar]);
            let (client, server) = ("a:1".to_owned(), "b:110".to_owned());
            let (connection, at, from) = (1, Time(1), Peer::Client);
            let protocol = Some("pop3".to_owned());
            let mut seen = Vec::new();
            for piece in [
                Piece::Opened { connection, at, protocol, client, server, inside: false, middle },
                Piece::Lost { connection, at, from, bytes: None },
                Piece::Octets { connection, at, from, bytes: b"AT\r\n".to_vec() },
            ] {
                passages.take(piece, &mut |came| {
                    let Came::Events(batch) = came else { return };
                    seen.extend(batch.events.into_iter().map(|event| match event.what {
                        What::Opened(_) => "opened",
                        What::Gap { .. } => "gap",
                        What::Text(text) => match text.reading.kind {
                            crate::event::Kind::Command { .. } => "command",
                            _ => "text",
                        },
                        _ => "other",
                    }));
                });
            }
            seen
        };
        assert_eq!(begun(Some(State::Opaque)), ["opened", "command"]);
        assert_eq!(begun(None), ["opened", "gap", "command"]);
    }

    #[test]
    fn what_all_connections_keep_back_is_bounded() {
        let grammar = Grammar::builtin("imap").expect("it is built in");
        let mut passages = Passages::new(vec![grammar]);
        let (mut told, mut closed) = (0, 0);
        for connection in 1..=2_000 {
            let opened = Piece::Opened {
                connection,
                at: Time(1),
                protocol: Some("imap".to_owned()),
                client: "a:1".to_owned(),
                server: "b:143".to_owned(),
                inside: false,
                middle: None,
            };
            let line = Piece::Octets { connection, at: Time(2), from: Peer::Server, bytes: vec![b'x'; 60_000] };
            for piece in [opened, line] {
                passages.take(piece, &mut |came| match came {
                    Came::Told(what, damage) => told += usize::from(damage && what.contains("64 MiB")),
                    Came::Events(batch) => {
                        closed += batch.events.iter().filter(|event| matches!(event.what, What::Closed(_))).count();
                    }
                });
                assert!(passages.held <= MAX_HELD);
            }
            if connection % 100 == 0 {
                assert_eq!(passages.held, passages.open.values().map(Passage::held).sum::<usize>());
            }
        }
        assert!(told > 800 && told == closed, "{told} {closed}");
        passages.finish(&mut |_| {});
        assert_eq!(passages.held, 0);
    }
}
