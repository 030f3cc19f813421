//! What is known of a connection, and of each command with its replies: learned once from each event, in the order of events, and
//! lent to the explainer, filters and sinks. Facts, no words. One [`Connection`] each; its memory is bounded whatever the peers send
//! (the constants of the files below).

pub mod capability;
pub mod command;
mod explained;
pub mod waiting;
pub mod words;

use std::sync::Arc;

use crate::event::{
    Data, DataKind, Event, Form, Kind, Oddity, Opened, Peer, Span, State, Status, Text, Time, TlsFacts, What,
};
use crate::grammar::{Grammar, Then};
use capability::Offers;
pub use command::{Disposition, Exchange};
pub use explained::Explained;
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
    /// Bytes are missing that the next texts may rest on: it is not known again where the session stands.
    pub unsure: bool,
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
    pub opened: Option<Box<Opened>>,
    /// When its first event came.
    pub began: Time,
    /// The facts of TLS on the legs to `[client, server]`; `None` where there is none.
    pub legs: [Option<Box<TlsFacts>>; 2],
    /// Where it stands: the state in which the last text or block of data was sent.
    pub state: State,
    /// The capability lists: what the server offered, what the client was offered, and what the client used.
    pub offers: Offers,
    /// The commands that wait for their last reply.
    pub waiting: Waiting,
    /// What is missing.
    pub missing: Missing,
    /// The last text shows where the session stands.
    sure: bool,
    lanes: [Lane; 2],
    /// Who sent the last event, if that is a text or data.
    turn: Option<Peer>,
}

/// What a peer is saying.
#[derive(Debug, Default)]
struct Lane {
    /// Its last frame.
    frame: u64,
    /// The command that this frame is, answers or belongs to, by that one's frame.
    of: Option<(u64, Tie)>,
    /// That command, if it does not wait.
    done: Option<Exchange>,
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
        self.turn = None;
        self.missing.unsure &= !std::mem::take(&mut self.sure);
        match &event.what {
            What::Text(text) => self.text(from, text, bytes, at),
            What::Data(data) => self.data(from, data, at),
            What::Octets(octets) => {
                self.turn = Some(from);
                self.enter(from, octets.frame);
            }
            What::Opened(opened) => {
                self.opened = Some(opened.clone());
                self.began = at;
            }
            What::Tls(facts) => self.legs[from.index()] = Some(facts.clone()),
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
                    self.lose_track();
                }
            }
            What::Hello(_) | What::Abrupt | What::Upgrade(_) | What::Missed(_) | What::HalfClosed | What::Closed(_) => {
            }
        }
    }

    /// The exchange that the last event belongs to, and why. `None` where it answers nothing, and for what concerns the
    /// connection as a whole.
    #[must_use]
    pub fn exchange(&self) -> Option<(&Exchange, Tie)> {
        let lane = &self.lanes[self.turn?.index()];
        let (frame, tie) = lane.of?;
        let done = || lane.done.as_ref().filter(|done| done.frame == frame);
        Some((self.waiting.get(frame).or_else(done)?, tie))
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
        (self.turn, self.state) = (Some(from), text.state);
        self.missing.unsure &= text.state == State::Opaque;
        // A tag proves that this answers a command that is not missing.
        let tagged = matches!(text.reading.kind, Kind::Reply { .. }) && self.grammar.form == Form::Imap;
        self.sure = tagged && text.answers.is_some() && !text.more;
        if text.first {
            let of = match (text.reading.kind, from) {
                (Kind::Command { tag, verb, arguments }, _) => {
                    self.command_begins(from, text, bytes, [tag, verb, arguments], at);
                    Some((text.frame, Tie::Command))
                }
                (kind, Peer::Client) => self.said(text, kind),
                (kind, Peer::Server) => self.heard(text, kind),
            };
            let lane = &mut self.lanes[from.index()];
            (lane.frame, lane.of) = (text.frame, of);
        } else {
            self.enter(from, text.frame);
        }
        match from {
            Peer::Client => self.touch(at),
            Peer::Server => self.answer(text, at),
        }
    }

    fn data(&mut self, from: Peer, data: &Data, at: Time) {
        (self.turn, self.state) = (Some(from), data.state);
        self.enter(from, data.frame);
        let lane = &self.lanes[from.index()];
        if from == Peer::Server && data.kind == DataKind::Overlong && lane.of.is_none() && data.state != State::Greeting
        {
            self.lanes[from.index()].of = self.waiting.oldest().map(|oldest| (oldest.frame, Tie::Guess));
        }
        if from == Peer::Client {
            self.touch(at);
        }
    }

    /// What comes now belongs to this frame, which goes on, or begins without a text.
    fn enter(&mut self, from: Peer, frame: u64) {
        let known = self.waiting.get(frame).is_some();
        let lane = &mut self.lanes[from.index()];
        if lane.frame != frame {
            (lane.frame, lane.of) = (frame, known.then_some((frame, Tie::Command)));
        }
    }

    /// A client's command.
    fn command_begins(&mut self, from: Peer, text: &Text, bytes: &[u8], parts: [Span; 3], at: Time) {
        let known = self.grammar.command(parts[1].of(bytes));
        let mut exchange = Exchange::new(text, bytes, parts, known, at);
        exchange.ours = text.oddities.contains(&Oddity::Ours);
        exchange.disposition = disposition(text);
        if exchange.disposition == Disposition::Drop || !self.grammar.replies() {
            self.lanes[from.index()].done = Some(exchange);
        } else if self.grammar.form == Form::Imap {
            self.waiting.tagged(exchange);
        } else {
            self.waiting.queued(exchange);
        }
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
    fn touch(&mut self, at: Time) {
        if let Some((frame, _)) = self.lanes[Peer::Client.index()].of
            && let Some(exchange) = self.waiting.get_mut(frame)
        {
            exchange.at = at;
        }
    }

    /// A server's text moves on the exchange that it answers.
    fn answer(&mut self, text: &Text, at: Time) {
        let status = match text.reading.kind {
            Kind::Reply { status, .. } => status,
            // One that was not waited for is the reply (331 of FTP).
            Kind::GoAhead { .. } if !text.more && text.answers.is_some() => Status::Ok,
            Kind::GoAhead { .. } if text.answers.is_some() => {
                if let Some(exchange) = text.answers.and_then(|frame| self.waiting.get_mut(frame)) {
                    exchange.granted = true;
                }
                return;
            }
            Kind::GoAhead { .. } => Status::Ok,
            _ => return,
        };
        let Some(frame) = text.answers else {
            if self.grammar.form != Form::Imap && text.state != State::Greeting && status != Status::Bye {
                self.waiting.spare();
            }
            return;
        };
        let Some(exchange) = self.waiting.get_mut(frame) else { return };
        exchange.replies = exchange.replies.saturating_add(1);
        exchange.status = Some(status);
        exchange.latency = at.after(exchange.at);
        if !text.more {
            self.lanes[Peer::Server.index()].done = self.waiting.take(frame);
        }
    }

    /// Concludes nothing from what was under way.
    fn lose_track(&mut self) {
        self.waiting.clear();
        self.lanes = Default::default();
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

/// Where a command went, by what rules did to it.
fn disposition(text: &Text) -> Disposition {
    match &text.edit {
        Some(edit) if edit.answered => Disposition::Refuse,
        Some(edit) if !edit.fired.is_empty() && edit.bytes.is_empty() => Disposition::Drop,
        _ if text.oddities.contains(&Oddity::Dropped) => Disposition::Drop,
        _ => Disposition::Forward,
    }
}
