//! What is known of a connection, and of each command with its replies: learned once from each event, in the order of events, and
//! lent to the explainer, filters and sinks. Facts, no words. One [`Connection`] each; its memory is bounded whatever the peers send
//! (the constants of the files below).

pub mod capability;
pub mod command;
mod explained;
pub mod run;
pub mod used;
pub mod waiting;
pub mod words;

use std::sync::Arc;

use crate::event::{
    Data, DataKind, Edited, Event, Form, Kind, Oddity, Opened, Part, Peer, State, Status, Text, Time, TlsFacts, What,
};
use crate::grammar::{Grammar, Then};
use crate::wire;
use capability::Offers;
pub use command::{Disposition, Exchange, Sent};
pub use explained::Explained;
pub use run::Run;
use waiting::Waiting;

/// Why an event belongs to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tie {
    /// It is the command, or a part of it.
    Command,
    /// It answers the command: a reply, a continuation request, or a client's line that such a request asked for.
    Answer,
    /// It answers nothing, and most likely belongs to the oldest command that waits: untagged data.
    Guess,
}

/// What is missing of a connection. No finding rests on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missing {
    /// What was read begins in the middle of the connection.
    pub beginning: bool,
    /// Number of holes, and their bytes in all, by peer.
    pub holes: [(u64, u64); 2],
    /// Events that the log lost because it could not keep up.
    pub events: u64,
    /// Bytes are missing that the next texts may rest on: the state of the session is not known again.
    pub unsure: bool,
    /// Replies without tags may have been to what is missing, or to what is no command: which commands they answer is uncertain.
    pub unpaired: bool,
}

impl Missing {
    /// Returns true if nothing is missing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub struct Connection {
    /// Its number in this process, from 1.
    pub number: u64,
    grammar: Arc<Grammar>,
    /// Its opening, once that has come.
    pub opened: Option<Arc<Opened>>,
    /// When its first event came.
    pub began: Time,
    /// The facts of TLS on the legs to `[client, server]`; `None` where there is none.
    pub legs: [Option<Arc<TlsFacts>>; 2],
    /// Its state: the one in which the last text or block of data was sent.
    pub state: State,
    /// The capability lists: what the server offered, what the client was offered, and what the client used.
    pub offers: Offers,
    /// The commands that wait for their last reply.
    pub waiting: Waiting,
    /// What is missing.
    pub missing: Missing,
    /// The last text shows the state of the session.
    sure: bool,
    /// After the last text nobody knows its state.
    misread: bool,
    lanes: [Lane; 2],
    /// The commands that these frames are, answer or belong to, where they do not wait.
    done: [Option<Box<Exchange>>; 2],
    /// The command that was forgotten for the last one, as too many wait.
    pub forgotten: Option<Box<Exchange>>,
    /// Who sent the last event, if that is a text or data, and what it is of its frame.
    turn: Option<(Peer, Part)>,
}

/// What a peer is saying.
#[derive(Debug, Default)]
struct Lane {
    /// Its last frame.
    frame: u64,
    /// A text or data of that frame has come.
    begun: bool,
    /// The command that this frame is, answers or belongs to, by that one's frame.
    of: Option<(u64, Tie)>,
}

impl Connection {
    /// A connection of which nothing is known but the protocol.
    #[must_use]
    pub fn new(grammar: Arc<Grammar>) -> Self {
        Connection { grammar, ..Self::default() }
    }

    /// Learns from an event. `bytes`: a text as received, or a data block's head, in which secrets are masked. Every event has to
    /// pass here once, in its order.
    pub fn follow(&mut self, event: &Event, bytes: &[u8], at: Time) {
        let from = event.from;
        (self.turn, self.forgotten) = (None, None);
        self.missing.unsure &= !std::mem::take(&mut self.sure);
        if std::mem::take(&mut self.misread) {
            (self.missing.unsure, self.missing.unpaired) = (true, true);
        }
        match &event.what {
            What::Text(text) => self.text(from, text, bytes, at),
            What::Data(data) => self.data(from, data, bytes, at),
            What::Octets(octets) => self.enter(from, octets.frame, false),
            What::Opened(opened) => {
                self.opened = Some(Arc::new((**opened).clone()));
                self.missing.beginning |= opened.middle.is_some();
                self.missing.unsure |= opened.middle.is_some();
                self.missing.unpaired |= opened.middle.is_some() && self.grammar.form != Form::Imap;
                self.began = at;
            }
            What::Tls(facts) => self.legs[from.index()] = Some(Arc::new((**facts).clone())),
            What::Lag { events, .. } => {
                self.missing.events = self.missing.events.saturating_add(*events);
                self.lose_track();
            }
            What::Gap { bytes, data } => {
                match bytes {
                    Some(bytes) => {
                        let (holes, all) = &mut self.missing.holes[from.index()];
                        (*holes, *all) = (*holes + 1, all.saturating_add(*bytes));
                    }
                    None => self.missing.beginning = true,
                }
                self.missing.unsure = true;
                if !data {
                    self.missing.unpaired = self.grammar.form != Form::Imap;
                    self.lose_track();
                }
            }
            What::Waiting(_)
            | What::Hello(_)
            | What::Abrupt
            | What::Upgrade(_)
            | What::Missed(_)
            | What::HalfClosed
            | What::Closed(_) => {}
        }
    }

    /// The exchange that the last event belongs to, and why. `None` where it answers nothing, and for what concerns the
    /// connection as a whole.
    #[must_use]
    pub fn exchange(&self) -> Option<(&Exchange, Tie)> {
        let (frame, tie) = self.lanes[self.turn?.0.index()].of?;
        Some((self.find(frame)?, tie))
    }

    /// What the last event is of the frame that it belongs to.
    #[must_use]
    pub const fn part(&self) -> Part {
        match self.turn {
            Some((_, part)) => part,
            None => Part::Around,
        }
    }

    /// The exchange of this command, if it waits or was answered just now.
    #[must_use]
    pub fn find(&self, frame: u64) -> Option<&Exchange> {
        let mut done = self.done.iter().flatten();
        done.find(|done| done.frame == frame).map(|done| &**done).or_else(|| self.waiting.get(frame))
    }

    /// Lends the exchange that was answered just now; to be given back with [`Connection::give_back`].
    pub fn borrow_done(&mut self, frame: u64) -> Option<Box<Exchange>> {
        self.done.iter_mut().find(|done| done.as_ref().is_some_and(|done| done.frame == frame))?.take()
    }

    /// Takes back an exchange that was lent.
    pub fn give_back(&mut self, exchange: Box<Exchange>) {
        self.keep(exchange);
    }

    /// The verb of that exchange; `None` without one, and where it is hidden.
    #[must_use]
    pub fn command(&self) -> Option<&str> {
        self.exchange().map(|(exchange, _)| exchange.verb()).filter(|verb| !verb.is_empty())
    }

    /// The protocol's name; `None` before the opening.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.opened.as_ref().map(|opened| opened.protocol.as_str()).filter(|protocol| !protocol.is_empty())
    }

    /// Returns true if the leg to this peer is under TLS.
    #[must_use]
    pub const fn has_tls(&self, peer: Peer) -> bool {
        self.legs[peer.index()].is_some()
    }

    fn text(&mut self, from: Peer, text: &Text, bytes: &[u8], at: Time) {
        self.state = text.state;
        self.missing.unsure &= text.state == State::Opaque || text.oddities.contains(&Oddity::Inferred);
        self.missing.unpaired &= self.missing.unsure;
        // A tag proves that this answers a command that is not missing.
        let tagged = matches!(text.reading.kind, Kind::Reply { .. }) && self.grammar.form == Form::Imap;
        self.sure = tagged && text.answers.is_some() && !text.more;
        self.misread = text.oddities.contains(&Oddity::Misread);
        if text.first {
            let of = match (text.reading.kind, from) {
                (Kind::Command { tag, verb, arguments }, _) => {
                    let parts = [tag, verb, arguments];
                    let exchange = Exchange::new(text.frame, bytes, parts, &text.secrets, &self.grammar);
                    let disposition = disposition(text.edit.as_deref(), &text.oddities);
                    let ours = text.oddities.contains(&Oddity::Ours);
                    self.begins(Exchange { began: at, state: text.state, disposition, ours, ..exchange });
                    Some((text.frame, Tie::Command))
                }
                (kind, Peer::Client) => self.said(text, kind),
                (kind, Peer::Server) => self.heard(text, kind),
            };
            let lane = &mut self.lanes[from.index()];
            (lane.frame, lane.begun, lane.of) = (text.frame, true, of);
            self.turn = Some((from, Part::First(text.frame)));
        } else {
            self.enter(from, text.frame, true);
        }
        match from {
            Peer::Client => {
                let waits = text.reading.literal.is_some_and(|literal| literal.synchronizing);
                let cancels = text.reading.kind == Kind::Cancel;
                self.touch(at, |exchange| {
                    exchange.unsent = exchange.frame == text.frame && waits;
                    exchange.sent = if cancels { Sent::Cancelled } else { exchange.sent };
                });
            }
            Peer::Server => self.answer(text, at),
        }
    }

    fn data(&mut self, from: Peer, data: &Data, bytes: &[u8], at: Time) {
        self.state = data.state;
        self.enter(from, data.frame, true);
        if data.kind == DataKind::Overlong && matches!(self.part(), Part::First(_)) {
            self.overlong(from, data, bytes, at);
        }
        if from == Peer::Client {
            self.touch(at, |exchange| exchange.whole |= data.kind == DataKind::Message);
        }
    }

    /// What comes now belongs to this frame, which goes on, or begins without a text.
    fn enter(&mut self, from: Peer, frame: u64, begins: bool) {
        let lane = &mut self.lanes[from.index()];
        if lane.frame != frame {
            let known = self.waiting.get(frame).is_some();
            (lane.frame, lane.begun, lane.of) = (frame, false, known.then_some((frame, Tie::Command)));
        }
        self.turn = Some((from, if lane.begun { Part::Later(frame) } else { Part::First(frame) }));
        lane.begun |= begins;
    }

    /// A client's command, which waits for its reply unless it went nowhere.
    fn begins(&mut self, exchange: Exchange) {
        let exchange = Box::new(exchange);
        self.lanes[Peer::Client.index()].of = Some((exchange.frame, Tie::Command));
        if exchange.disposition == Disposition::Drop || !self.grammar.replies() {
            self.keep(exchange);
        } else {
            let imap = self.grammar.form == Form::Imap;
            let lost = if imap { self.waiting.tagged(exchange) } else { self.waiting.queued(exchange) };
            self.forgotten = lost;
        }
    }

    /// Keeps an exchange that does not wait for as long as a frame in progress belongs to it: there are two of them at most.
    fn keep(&mut self, exchange: Box<Exchange>) {
        let lanes = &self.lanes;
        let needed = |done: &Exchange| lanes.iter().any(|lane| lane.of.is_some_and(|(frame, _)| frame == done.frame));
        let free = self.done.iter_mut().find(|done| !done.as_deref().is_some_and(needed));
        if let Some(free) = free {
            *free = Some(exchange);
        }
    }

    /// A line that is too long to be a text: its head says what it is.
    fn overlong(&mut self, from: Peer, data: &Data, head: &[u8], at: Time) {
        let (form, frame) = (self.grammar.form, data.frame);
        let of = match (wire::read(form, from, head).kind, from) {
            (Kind::Command { tag, verb, arguments }, Peer::Client) => {
                let exchange = Exchange::new(frame, head, [tag, verb, arguments], &[], &self.grammar);
                let disposition = disposition(None, &data.oddities);
                self.begins(Exchange { began: at, state: data.state, disposition, ..exchange });
                Some((frame, Tie::Command))
            }
            (_, Peer::Client) => None,
            (Kind::Reply { tag, status, .. }, _) if form != Form::Imap || !tag.is_empty() => {
                let tagged = self.waiting.iter().find(|exchange| exchange.tag() == tag.of(head));
                let answers = if form == Form::Imap { tagged } else { self.waiting.oldest() };
                let answers = answers.map(|exchange| exchange.frame);
                self.lanes[from.index()].of = answers.map(|frame| (frame, Tie::Answer));
                return self.replied(answers, Some(status), false, data.state, at);
            }
            (kind, _) if is_untagged(form, kind, data.state) => {
                self.waiting.oldest().map(|oldest| (oldest.frame, Tie::Guess))
            }
            _ => None,
        };
        self.lanes[from.index()].of = of;
    }

    /// A client's line that is no command: what it belongs to.
    fn said(&self, text: &Text, kind: Kind) -> Option<(u64, Tie)> {
        match kind {
            Kind::Sasl | Kind::Cancel => {
                let exchange = self.waiting.iter().find(|exchange| exchange.then == Some(Then::Sasl));
                exchange.map(|exchange| (exchange.frame, Tie::Answer))
            }
            _ => text.answers.map(|frame| (frame, Tie::Answer)),
        }
    }

    /// A server's text: what it answers or belongs to.
    fn heard(&self, text: &Text, kind: Kind) -> Option<(u64, Tie)> {
        let guess = || self.waiting.oldest().map(|oldest| (oldest.frame, Tie::Guess));
        match text.answers {
            Some(frame) => Some((frame, Tie::Answer)),
            None if is_untagged(self.grammar.form, kind, text.state) => guess(),
            None => None,
        }
    }

    /// The last bytes of the client's exchange came now.
    fn touch(&mut self, at: Time, learn: impl FnOnce(&mut Exchange)) {
        if let Some((frame, _)) = self.lanes[Peer::Client.index()].of
            && let Some(exchange) = self.waiting.get_mut(frame)
        {
            exchange.at = at;
            learn(exchange);
        }
    }

    /// A server's text moves on the exchange that it answers.
    fn answer(&mut self, text: &Text, at: Time) {
        let status = match text.reading.kind {
            Kind::Reply { status, .. } => Some(status),
            // One that was not waited for is the reply (331 of FTP).
            Kind::GoAhead { .. } if !text.more => Some(Status::Ok),
            Kind::GoAhead { .. } => None,
            _ => return,
        };
        self.replied(text.answers, status, text.more, text.state, at);
    }

    /// A reply came, or without a status a continuation request.
    fn replied(&mut self, answers: Option<u64>, status: Option<Status>, more: bool, state: State, at: Time) {
        let Some(frame) = answers else {
            if self.grammar.form != Form::Imap && state != State::Greeting && status != Some(Status::Bye) {
                self.waiting.spare();
            }
            return;
        };
        let Some(exchange) = self.waiting.get_mut(frame) else { return };
        let Some(status) = status else {
            (exchange.granted, exchange.unsent) = (true, false);
            return;
        };
        exchange.replies = exchange.replies.saturating_add(1);
        exchange.taken += u32::from(!is_bad(exchange, status));
        exchange.status = Some(status);
        exchange.latency = at.after(exchange.at);
        if !more && let Some(exchange) = self.waiting.take(frame) {
            self.keep(exchange);
        }
    }

    /// Concludes nothing from what was under way.
    fn lose_track(&mut self) {
        self.waiting.clear();
        (self.lanes, self.done) = Default::default();
    }
}

/// Returns true for what a server says without a tag, and which is not paired with a command: most likely it belongs to the oldest
/// one. A reply, or a continuation request, that answers nothing has no command. Before the greeting nobody was heard.
#[must_use]
pub fn is_untagged(form: Form, kind: Kind, state: State) -> bool {
    state != State::Greeting
        && match kind {
            Kind::Reply { tag, .. } => form == Form::Imap && tag.is_empty(),
            Kind::Info { .. } | Kind::Unknown => true,
            _ => false,
        }
}

/// Returns true for a reply that does not do what the command is for.
#[must_use]
pub fn is_bad(exchange: &Exchange, status: Status) -> bool {
    match status {
        Status::No | Status::Bad => true,
        Status::Bye => exchange.on_ok != Some(State::Logout),
        Status::Ok | Status::Preauth => false,
    }
}

/// Where a command went, by what rules did to it.
fn disposition(edit: Option<&Edited>, oddities: &[Oddity]) -> Disposition {
    match edit {
        Some(edit) if edit.answered => Disposition::Refuse,
        Some(edit) if !edit.fired.is_empty() && edit.bytes.is_empty() => Disposition::Drop,
        _ if oddities.contains(&Oddity::Dropped) => Disposition::Drop,
        _ => Disposition::Forward,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half a KiB more than before the connection was followed, together with the 192 bytes of the explainer's own size: what the
    /// opening owns, and what a command that waits owns, which took 112 bytes then.
    #[test]
    fn an_idle_connection_is_small() {
        let (opened, exchange) = (size_of::<Opened>(), size_of::<Exchange>());
        assert!(opened + exchange - 112 <= 512 - 192 - 64, "opened {opened}, exchange {exchange}");
    }

    #[test]
    fn a_reply_is_tied_to_its_command_until_the_next_frame() {
        let grammar = Grammar::builtin("imap").expect("it is built in");
        let mut connection = Connection::new(grammar);
        let mut frame = 0;
        let mut follow = |from, line: &[u8], answers| {
            frame += 1;
            let reading = wire::read(Form::Imap, from, line);
            let span = crate::event::Span::new(0, line.len());
            let text = Text { answers, ..Text::bare(frame, span, State::Selected, reading) };
            connection.follow(&Event { from, what: What::Text(text) }, line, Time(frame));
            let tied = connection.exchange().map(|(exchange, tie)| (exchange.verb().to_owned(), tie, exchange.status));
            (tied, connection.waiting.all().count())
        };
        let verb = |tie, status| Some(("UID FETCH".to_owned(), tie, status));
        assert_eq!(follow(Peer::Client, b"a uid fetch 1 FLAGS\r\n", None), (verb(Tie::Command, None), 1));
        assert_eq!(follow(Peer::Server, b"* 1 FETCH ()\r\n", None), (verb(Tie::Guess, None), 1));
        assert_eq!(follow(Peer::Server, b"x OK not mine\r\n", None), (None, 1));
        assert_eq!(follow(Peer::Server, b"a NO gone\r\n", Some(1)), (verb(Tie::Answer, Some(Status::No)), 0));
        assert_eq!(follow(Peer::Server, b"* 2 EXISTS\r\n", None), (None, 0));
    }
}
