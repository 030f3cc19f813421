//! What a text does to the conversation: commands are numbered and wait for their answers, replies are paired with
//! them, and the state changes as the grammar says.

use super::dialogue::{InFlight, Want};
use super::lane::{Frame, Wait};
use super::secret::{Mask, first_word};
use super::{Outbox, Session};
use crate::event::{Foreign, Kind, Layer, Oddity, Peer, Reading, State, Status};
use crate::grammar::{self, Then};
use crate::wire::Expect;

/// How a text stands to those before it.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The frame that it answers.
    pub answers: Option<u64>,
    /// What its continuation request was waited for.
    want: Option<Want>,
    /// The command that it completes.
    completes: Option<InFlight>,
}

impl Session {
    /// Gives a text its frame: a new one, which for a command is put in flight, or the one in progress.
    pub(super) fn number(&mut self, from: Peer, text: &[u8], reading: &Reading) -> u64 {
        if let Some(frame) = self.lane(from).frame {
            return frame.number;
        }
        self.frames += 1;
        let number = self.frames;
        let mut mask = Mask::Nothing;
        if let Kind::Command { tag, verb, arguments } = reading.kind {
            let command = self.grammar.command(verb.of(text));
            let then = command.and_then(|command| command.then);
            mask = command.and_then(|command| command.secret).into();
            let mut in_flight = InFlight::new(number, tag.of(text), verb.of(text), then);
            in_flight.layer = then == Some(Then::Sasl)
                && grammar::mechanism(first_word(arguments.of(text))).is_some_and(|mechanism| mechanism.layer);
            self.dialogue.sent(in_flight);
        } else if let Kind::Info { name, .. } = reading.kind {
            mask = self.grammar.response(name.of(text)).and_then(|response| response.secret).into();
        }
        self.lane(from).frame = Some(Frame { number, mask, hide_data: false });
        number
    }

    /// What may follow a command on the wire.
    pub(super) fn then(&self, verb: &[u8]) -> Option<Then> {
        self.grammar.command(verb).and_then(|command| command.then)
    }

    /// Pairs a text with what went before; what does not fit is pointed out.
    pub(super) fn pair(&mut self, from: Peer, text: &[u8], reading: &Reading, odd: &mut Vec<Oddity>) -> Turn {
        let mut turn = Turn::default();
        match reading.kind {
            Kind::Command { verb, .. } => {
                let idle = self.then(verb.of(text)) == Some(Then::Idle);
                let inside = self.dialogue.idle();
                let own = self.lane(from).frame.map(|frame| frame.number);
                if inside.is_some() && inside != own && !idle {
                    odd.push(Oddity::InsideIdle);
                }
            }
            Kind::Done => match self.dialogue.idle() {
                Some(idle) => turn.answers = Some(idle),
                None => odd.push(Oddity::StrayDone),
            },
            Kind::Reply { tag, .. } if !tag.is_empty() => {
                match self.dialogue.tagged(tag.of(text)).map(|command| command.frame) {
                    Some(frame) => {
                        turn.answers = Some(frame);
                        turn.completes = self.dialogue.answered(frame);
                    }
                    None => odd.push(Oddity::UnknownTag),
                }
            }
            Kind::GoAhead { .. } => match self.dialogue.go_ahead() {
                Some((frame, want)) => (turn.answers, turn.want) = (Some(frame), want),
                None => odd.push(Oddity::UnexpectedGoAhead),
            },
            _ => {}
        }
        if from == Peer::Server && reading.literal.is_some_and(|literal| !literal.synchronizing) {
            odd.push(Oddity::ServerNonSync);
        }
        turn
    }

    /// Draws the consequences of a text, and says what its lane must expect next.
    pub(super) fn conclude(&mut self, from: Peer, reading: &Reading, turn: Turn, out: &mut Outbox) -> Expect {
        let Some(frame) = self.lane(from).frame.map(|frame| frame.number) else { return Expect::Line };
        if let Some(literal) = reading.literal {
            if from == Peer::Server {
                return self.expect_octets(from, literal.len, out);
            }
            if literal.synchronizing {
                self.wait_for(Wait::Literal(literal.len), frame, Some(Want::Literal));
                return Expect::Line;
            }
            self.dialogue.announced(frame);
            return self.expect_octets(from, literal.len, out);
        }
        self.lane(from).frame = None;
        match reading.kind {
            Kind::Command { .. } | Kind::More if from == Peer::Client => self.commanded(frame),
            Kind::Sasl | Kind::Cancel => self.responded(),
            Kind::Done => self.dialogue.done(),
            Kind::GoAhead { .. } => self.granted(turn, out),
            // A browser or a wrong server goes on in its own language, and not without secrets.
            Kind::Foreign(Foreign::Http | Foreign::Ssh) => return self.shut(from),
            Kind::Reply { tag, status, .. } if tag.is_empty() => self.announced(status),
            Kind::Reply { status, .. } => return self.completed(turn, status, out),
            _ => {}
        }
        Expect::Line
    }

    fn wait_for(&mut self, wait: Wait, frame: u64, want: Option<Want>) {
        self.lane(Peer::Client).wait = Some((wait, frame));
        if let Some(want) = want {
            self.dialogue.want(frame, want);
        }
    }

    /// A command is complete: what comes next from the client may depend on the server.
    fn commanded(&mut self, frame: u64) {
        match self.dialogue.command(frame).and_then(|command| command.then) {
            Some(Then::Sasl) => self.wait_for(Wait::Sasl, frame, Some(Want::Sasl)),
            Some(Then::Idle) => self.dialogue.want(frame, Want::Idle),
            Some(Then::Tls) => self.wait_for(Wait::Tls, frame, None),
            Some(Then::Deflate) => self.wait_for(Wait::Deflate, frame, None),
            // What only other forms than IMAP's have.
            Some(Then::ClientDotNow | Then::ClientDot | Then::ClientOctets | Then::ServerDot | Then::ServerLines) => {}
            Some(Then::Reset) | None => {}
        }
    }

    /// A SASL response was sent; while its exchange is alive the server speaks next.
    fn responded(&mut self) {
        if let Some(frame) = self.lane(Peer::Client).sasl.take()
            && self.dialogue.command(frame).is_some()
        {
            self.wait_for(Wait::Sasl, frame, Some(Want::Sasl));
        }
    }

    fn granted(&mut self, turn: Turn, out: &mut Outbox) {
        let Some((wait, frame)) = self.lane(Peer::Client).wait else { return };
        let matches =
            matches!((turn.want, wait), (Some(Want::Literal), Wait::Literal(_)) | (Some(Want::Sasl), Wait::Sasl));
        if matches && turn.answers == Some(frame) {
            self.settle(Peer::Client, true, out);
        }
    }

    /// An untagged status: the greeting, or a farewell.
    fn announced(&mut self, status: Status) {
        self.state = match (self.state, status) {
            (_, Status::Bye) => State::Logout,
            (State::Greeting, Status::Ok) => State::NotAuthenticated,
            (State::Greeting, Status::Preauth) => State::Authenticated,
            (state, _) => state,
        };
    }

    /// A command has its tagged reply.
    fn completed(&mut self, turn: Turn, status: Status, out: &mut Outbox) -> Expect {
        let Some(command) = turn.completes else { return Expect::Line };
        let entry = self.grammar.command(command.verb.as_bytes());
        let next = match status {
            Status::Ok => entry.and_then(|entry| entry.on_ok),
            Status::No => entry.and_then(|entry| entry.on_no),
            _ => None,
        };
        // A failed SELECT leaves the mailbox that was open; it opens no session that was not.
        let deselects = status == Status::No && self.state != State::Selected;
        if let Some(state) = next.filter(|_| !deselects) {
            self.state = state;
        }
        let ok = status == Status::Ok;
        let client = self.lane(Peer::Client);
        // A response that has begun stays one.
        if client.sasl == Some(command.frame) && client.framer.held().is_empty() {
            client.sasl = None;
        }
        if ok && command.layer {
            self.lanes.iter_mut().for_each(|lane| lane.sealable = true);
        }
        let layer = match command.then {
            Some(Then::Tls) if ok => Some(Layer::Tls),
            Some(Then::Deflate) if ok => Some(Layer::Deflate),
            _ => None,
        };
        // Announced once, before what the client may have sent ahead.
        let expect = layer.map(|layer| self.open_layer(Peer::Server, layer, true, out));
        if let Some((wait, frame)) = self.lane(Peer::Client).wait
            && frame == command.frame
        {
            self.settle(Peer::Client, ok && matches!(wait, Wait::Tls | Wait::Deflate), out);
        }
        if layer.is_some() {
            self.state = State::Opaque;
        }
        expect.unwrap_or(Expect::Line)
    }
}
