//! What a text does to the conversation: commands are numbered and wait for their answers, replies are paired with
//! them, and the state changes as the grammar says.

use super::dialogue::InFlight;
use super::lane::{Answer, Fate, Frame, Wait};
use super::secret::{Mask, unquoted};
use super::starttls::Answered;
use super::{Outbox, Session};
use crate::event::{Ask, DataKind, Foreign, Form, Kind, Layer, Oddity, Peer, Reading, Span, State, Status, What};
use crate::grammar::{self, Lists, Replies, Then};
use crate::wire::{Expect, foreign};

/// How a text stands to those before it.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// The frame that it answers.
    pub answers: Option<u64>,
    /// What its continuation request was waited for.
    want: Option<Ask>,
    /// The command that it completes.
    completes: Option<InFlight>,
    /// It accepts a message that has not ended for the standard.
    early: bool,
    /// Lines to a dot follow, as the response itself says.
    lines: bool,
    /// It shows that the server may read as commands what is none: this many lines.
    misread: Option<u32>,
}

impl Turn {
    /// True for the last reply to a command with which this may follow.
    pub fn completed_with(&self, then: Then) -> bool {
        self.completes.as_ref().is_some_and(|command| command.then == Some(then))
    }

    /// True for the last reply to a command.
    pub const fn completes(&self) -> bool {
        self.completes.is_some()
    }

    /// True for a reply to a command that has further ones to come.
    pub const fn more(&self) -> bool {
        self.answers.is_some() && self.completes.is_none()
    }
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
            mask = command.and_then(|command| command.secret).into();
            // The header is in the first chunk behind any other command.
            self.chunked &= command.and_then(|command| command.then) == Some(Then::ClientOctets);
            let in_flight = self.in_flight(number, text, [tag, verb, arguments], command);
            let known = command.is_some();
            self.own.taken = None;
            if self.may_be_data(text, known) {
                // Its reply, if it has one, is that to a command that nobody saw.
            } else if self.lanes[from.index()].fate != Fate::Sent {
                self.take_away(in_flight);
            } else if self.replies {
                self.leave_trail();
                self.restart();
                if self.grammar.form == Form::Imap {
                    self.dialogue.sent(in_flight);
                } else {
                    self.untold |= !self.dialogue.queued(in_flight);
                }
            }
        } else if let Kind::Info { name, .. } = reading.kind {
            mask = self.grammar.response(name.of(text)).and_then(|response| response.secret).into();
        }
        self.lane(from).frame = Some(Frame { number, mask, hide_data: false, reply: false });
        number
    }

    /// A command, as it waits for its reply.
    pub(super) fn in_flight(
        &self,
        number: u64,
        text: &[u8],
        parts: [Span; 3],
        command: Option<&grammar::Command>,
    ) -> InFlight {
        let [tag, verb, arguments] = parts.map(|part| part.of(text));
        let form = self.grammar.form;
        let bare = arguments.trim_ascii().is_empty();
        let lists = command.is_some_and(|command| command.lists == Some(Lists::Capabilities));
        let said = command.and_then(|command| command.then);
        let listing = said == Some(Then::Sasl) && bare && form == Form::Pop3;
        let then = command.and_then(|command| command.leads_to(form, bare));
        let mut words = arguments.split(|&b| b == b' ').filter(|word| !word.is_empty());
        let first = words.next().unwrap_or_default();
        let octets = number_of(first).filter(|_| then == Some(Then::ClientOctets));
        let last = words.next().is_some_and(|word| word.eq_ignore_ascii_case(b"LAST"));
        // Chunks before the last one change nothing.
        let ends = then != Some(Then::ClientOctets) || last;
        InFlight {
            layer: then == Some(Then::Sasl) && grammar::mechanism(unquoted(first)).is_some_and(|it| it.layer),
            lists,
            dotted: lists && (form == Form::Pop3 || said == Some(Then::ServerDot)),
            octets,
            sent: octets.is_some() && last,
            doubtful: self.sight.blind,
            each: ends && command.is_some_and(|command| command.replies == Some(Replies::EachRecipient)),
            on_ok: command.and_then(|command| command.on_ok).filter(|_| ends && !listing),
            on_no: command.and_then(|command| command.on_no),
            ..InFlight::new(number, tag, verb, then)
        }
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
                if std::mem::take(&mut self.untold) {
                    odd.push(Oddity::TooManyInFlight);
                }
            }
            Kind::Blank if from == Peer::Client => self.dialogue.blank(1, self.frames),
            // No command, and answered all the same.
            Kind::Unknown if from == Peer::Client => self.dialogue.spare(1),
            Kind::Foreign(Foreign::Proxy) if from == Peer::Client => self.dialogue.spare(1),
            // It belongs to a command that was taken away.
            Kind::Done if self.lane(from).fate != Fate::Sent => {}
            Kind::Done => match self.dialogue.idle() {
                Some(idle) => turn.answers = Some(idle),
                None if self.dialogue.done_too_late() => self.dialogue.spare(1),
                None => {
                    odd.push(Oddity::StrayDone);
                    self.dialogue.spare(1);
                }
            },
            Kind::Reply { tag, .. } if !tag.is_empty() => {
                match self.dialogue.tagged(tag.of(text)).map(|command| command.frame) {
                    Some(frame) => {
                        turn.answers = Some(frame);
                        turn.completes = self.dialogue.answered(frame);
                    }
                    // The server answers whatever is where it looks for a tag, in what is no command.
                    None if self.is_strange(Peer::Client) || self.dialogue.excuse() => {}
                    None => odd.push(Oddity::UnknownTag),
                }
            }
            Kind::Reply { word, status, .. } if self.grammar.form != Form::Imap => {
                self.pair_reply(text, reading, word, status, &mut turn, odd);
            }
            Kind::GoAhead { .. } if self.grammar.form != Form::Imap => self.pair_go_ahead(&mut turn, odd),
            Kind::GoAhead { .. } => match self.dialogue.go_ahead() {
                Some((frame, want)) => (turn.answers, turn.want) = (Some(frame), want),
                None if self.dialogue.has_lost() => {}
                None => {
                    self.distrust();
                    odd.push(Oddity::UnexpectedGoAhead);
                }
            },
            _ => {}
        }
        let literal = reading.literal.filter(|_| self.grammar.form == Form::Imap);
        if from == Peer::Server && literal.is_some_and(|literal| !literal.synchronizing) {
            odd.push(Oddity::ServerNonSync);
        }
        turn
    }

    /// Pairs a reply without a tag, which answers the oldest command.
    fn pair_reply(
        &mut self,
        text: &[u8],
        reading: &Reading,
        word: Span,
        status: Status,
        turn: &mut Turn,
        odd: &mut Vec<Oddity>,
    ) {
        let response = self.grammar.response(word.of(text));
        turn.lines = response.is_some_and(|response| response.then == Some(Then::ServerDot));
        // Behind a hole, this is the reply to something before.
        let early =
            |command: &&InFlight| command.then == Some(Then::ClientDot) && !command.sent && status == Status::Ok;
        let asked = self.asked().filter(|command| !(self.sight.lacks() && early(command)));
        let Some((frame, dotted)) = asked.map(|command| (command.frame, command.dotted)) else {
            // The greeting, a farewell, or the capabilities that a server tells unasked.
            if self.state != State::Greeting && status != Status::Bye && self.dialogue.beyond() {
                return;
            }
            let unasked = self.state == State::Greeting || status == Status::Bye || reading.list.is_some();
            // An empty line is no command, and most servers refuse it as one; another protocol may be told anything.
            let refuses = matches!(status, Status::No | Status::Bad) && self.dialogue.blank_refused();
            let foreign = self.is_strange(Peer::Client);
            let due = self.lanes[Peer::Server.index()].due;
            if !unasked && !refuses && !foreign && !due && !self.dialogue.excuse() && self.dialogue.stray() {
                odd.push(Oddity::UnexpectedReply);
            }
            return;
        };
        turn.lines &= !dotted;
        turn.answers = Some(frame);
        // A farewell may come at any time (RFC 5321 section 3.8).
        if self.inside_message(frame) && status != Status::Bye {
            odd.push(Oddity::InsideMessage);
            // Its end may be missing.
            turn.early = status == Status::Ok || self.sight.lacks();
        }
        // The codes of RFC 5321 section 4.3.2 that are about the command itself, whatever it is.
        let code = if self.grammar.form == Form::Codes { word.of(text) } else { b"" };
        let unread = matches!(code, b"500" | b"501" | b"502" | b"503" | b"504");
        let blank = self.dialogue.blank_before(frame, code == b"500");
        turn.completes = self.dialogue.replied(unread);
        // The next replies may be to the same message.
        let uncounted =
            self.sight.uncounted && turn.completes.as_ref().is_some_and(|command| command.each && command.sent);
        let refused = matches!(status, Status::No | Status::Bad);
        let chunk = turn.completes.as_ref().is_some_and(|command| command.octets.is_some_and(|octets| octets > 0));
        // Whoever knows how many bytes follow discards them (RFC 3030 section 2). Others read commands.
        let commands = refused && chunk && (!self.chunks || unread && code != b"503");
        if blank || commands || uncounted {
            turn.misread = Some(turn.completes.as_ref().map_or(0, |command| command.lines));
            odd.push(Oddity::Misread);
        }
    }

    /// True if a lane is in another protocol, or is not read any more.
    fn is_strange(&self, peer: Peer) -> bool {
        let lane = &self.lanes[peer.index()];
        lane.strange.is_some() || lane.block.as_ref().is_some_and(|block| block.kind == DataKind::Opaque)
    }

    /// Pairs a go-ahead without a tag: the oldest command waits for it, or takes it for its reply.
    fn pair_go_ahead(&mut self, turn: &mut Turn, odd: &mut Vec<Oddity>) {
        if self.is_holed() {
            self.dialogue.skip_to_wanted();
        }
        let Some((frame, sent)) = self.asked().map(|command| (command.frame, command.sent)) else {
            self.distrust();
            if !self.dialogue.beyond() {
                odd.push(Oddity::UnexpectedGoAhead);
            }
            return;
        };
        turn.answers = Some(frame);
        if self.dialogue.wanted().is_some() {
            turn.want = self.dialogue.go_ahead().and_then(|(_, want)| want);
        } else if sent {
            self.dialogue.replies_follow();
        } else {
            // The client may answer with a line that is no command.
            self.distrust();
            turn.completes = self.dialogue.replied(false);
        }
    }

    /// Draws the consequences of a text, and says what its lane must expect next.
    pub(super) fn conclude(&mut self, from: Peer, reading: &Reading, turn: Turn, out: &mut Outbox) -> Expect {
        let Some(frame) = self.lane(from).frame.map(|frame| frame.number) else { return Expect::Line };
        if let Some(literal) = reading.literal {
            if from == Peer::Server {
                if matches!(reading.kind, Kind::GoAhead { .. }) {
                    // A challenge as a literal: the client waits for its end, and what it may send is known now.
                    self.granted(&turn, out);
                    if let Some(frame) = &mut self.lane(from).frame {
                        frame.hide_data = true;
                    }
                }
                if let Kind::Reply { tag, status, .. } = reading.kind {
                    if turn.answers.is_none() && tag.is_empty() {
                        self.announced(status);
                    }
                    // Its human text is the literal: nothing in it changes what the reply does.
                    let expect = self.completed(frame, turn, status, out);
                    if expect != Expect::Line {
                        return expect;
                    }
                }
                return self.expect_octets(from, literal.len, out);
            }
            let fate = self.lane(from).fate;
            if literal.synchronizing && fate == Fate::Refused {
                // Our answer comes in place of the go-ahead, and ends the command.
                self.lane(from).frame = None;
                return Expect::Line;
            }
            if fate != Fate::Sent {
                return self.expect_octets(from, literal.len, out);
            }
            if literal.synchronizing {
                self.wait_for(Wait::Literal(literal.len), frame, Some(Ask::Literal));
                return Expect::Line;
            }
            self.dialogue.announced(frame);
            return self.expect_octets(from, literal.len, out);
        }
        self.lane(from).frame = None;
        match reading.kind {
            Kind::Command { .. } | Kind::More if from == Peer::Client => return self.commanded(frame),
            Kind::Sasl | Kind::Cancel => self.responded(),
            Kind::Done => self.dialogue.done(),
            Kind::GoAhead { .. } if turn.completes.is_some() => {
                // It leads on, but to nothing that only a consent begins.
                let tls = turn.completed_with(Then::Tls);
                return self.completed(frame, turn, if tls { Status::No } else { Status::Ok }, out);
            }
            Kind::GoAhead { .. } => self.granted(&turn, out),
            // A browser or a wrong server goes on in its own language, and not without secrets.
            Kind::Foreign(Foreign::Http | Foreign::Ssh) => return self.shut(from),
            // A client's lines are still told apart, so that none of them is shown or repeated.
            Kind::Foreign(what) if from == Peer::Server && foreign::is_mail(what) => return self.shut(from),
            Kind::Reply { tag, status, .. } if turn.answers.is_none() && tag.is_empty() => self.announced(status),
            Kind::Reply { status, .. } => return self.completed(frame, turn, status, out),
            _ => {}
        }
        Expect::Line
    }

    pub(super) fn wait_for(&mut self, wait: Wait, frame: u64, want: Option<Ask>) {
        self.lane(Peer::Client).wait = Some((wait, frame));
        if let Some(want) = want {
            self.dialogue.want(frame, want);
        }
    }

    /// A command is complete: what comes next from the client may depend on the server.
    fn commanded(&mut self, frame: u64) -> Expect {
        if let Some(taken) = self.own.taken.take() {
            return match (taken.then, taken.octets) {
                (Some(Then::ClientDotNow), _) => self.begin_message(frame),
                (Some(Then::ClientOctets), Some(len)) => self.begin_chunk(frame, len),
                // The server would have to speak first, and does not know of it.
                _ => Expect::Line,
            };
        }
        let octets = self.dialogue.command(frame).and_then(|command| command.octets);
        match self.dialogue.command(frame).and_then(|command| command.then) {
            Some(Then::Sasl) => self.wait_for(Wait::Sasl, frame, Some(Ask::Sasl)),
            Some(Then::Idle) => self.dialogue.want(frame, Ask::Idle),
            Some(Then::Tls) if self.asks_for_tls(frame) => {}
            Some(Then::Tls) => self.wait_for(Wait::Tls, frame, None),
            Some(Then::Deflate) => self.wait_for(Wait::Deflate, frame, None),
            Some(Then::ClientDot) => self.wait_for(Wait::Message, frame, Some(Ask::Message)),
            Some(Then::ClientDotNow) => return self.begin_message(frame),
            Some(Then::ClientOctets) => return octets.map_or(Expect::Line, |len| self.begin_chunk(frame, len)),
            Some(Then::ServerDot | Then::ServerLines | Then::Reset) => {}
            // The end of a SASL response that was a literal, or nothing.
            None => self.responded(),
        }
        Expect::Line
    }

    /// A SASL response was sent; while its exchange is alive the server speaks next.
    fn responded(&mut self) {
        if let Some(frame) = self.lane(Peer::Client).sasl.take()
            && self.dialogue.command(frame).is_some()
        {
            self.wait_for(Wait::Sasl, frame, Some(Ask::Sasl));
        }
    }

    fn granted(&mut self, turn: &Turn, out: &mut Outbox) {
        let Some((wait, frame)) = self.lane(Peer::Client).wait else { return };
        let matches = matches!(
            (turn.want, wait),
            (Some(Ask::Literal), Wait::Literal(_))
                | (Some(Ask::Sasl), Wait::Sasl)
                | (Some(Ask::Message), Wait::Message)
        );
        if matches && turn.answers == Some(frame) {
            self.settle(Peer::Client, Answer::Granted, out);
        }
    }

    /// A status that answers nothing: the greeting, or a farewell.
    fn announced(&mut self, status: Status) {
        if self.state == State::Greeting && self.lanes[Peer::Server.index()].frame.is_none() {
            self.trust();
        }
        // It may answer what is missing.
        self.unsure |= self.sight.blind;
        self.state = match (self.state, status) {
            (_, Status::Bye) => State::Logout,
            (State::Greeting, Status::Preauth) => State::Authenticated,
            // Refused, an SMTP server still waits for QUIT (RFC 5321 section 3.1).
            (State::Greeting, status) if status == Status::Ok || self.grammar.form != Form::Imap => self.grammar.begins,
            (state, _) => state,
        };
    }

    /// A command has its reply, in this frame.
    fn completed(&mut self, frame: u64, turn: Turn, status: Status, out: &mut Outbox) -> Expect {
        let mut lines = turn.lines;
        let (early, misread) = (turn.early, turn.misread);
        let expect = match turn.completes {
            Some(command) => {
                lines |= status == Status::Ok && command.then == Some(Then::ServerDot);
                self.answered(command, status, out)
            }
            None => Expect::Line,
        };
        if early {
            self.close_message(out);
        }
        if let Some(lines) = misread {
            self.lose_count(lines);
        }
        if lines && expect == Expect::Line { self.begin_lines(frame) } else { expect }
    }

    /// A command has its last reply: the state may change, and what the client sent ahead can be read.
    fn answered(&mut self, command: InFlight, status: Status, out: &mut Outbox) -> Expect {
        self.settle_user(&command, status);
        // A message that was sent is gone, whatever became of it.
        let lines = matches!(command.then, Some(Then::ClientDot | Then::ClientDotNow));
        let over = command.sent && (lines || command.each);
        let next = match status {
            Status::Bye => Some(State::Logout).filter(|state| self.grammar.form.states().contains(state)),
            Status::Ok => command.on_ok,
            _ if over => command.on_ok,
            Status::No => command.on_no,
            _ => None,
        };
        if next == Some(State::Rcpt) && status == Status::Ok {
            self.dialogue.accepted();
        } else if next.is_some() {
            self.dialogue.start_over();
            self.sight.uncounted &= self.sight.blind;
            self.chunked = false;
        }
        // A failed SELECT leaves the mailbox that was open; it opens no session that was not.
        // A message that was refused for now leaves its transaction all the same.
        let deselects = status == Status::No && !over && self.state != State::Selected;
        // Before login, QUIT has nothing to bring up to date (RFC 1939 section 6).
        let updates = next == Some(State::Update) && self.state == State::Authorization;
        // RSET is no greeting (RFC 5321 section 4.1.4).
        let greets = self.state != State::Connected || &*command.verb != "RSET";
        if let Some(state) = next.filter(|_| !deselects && !updates && greets) {
            if self.sight.blind {
                // That reply may be another command's.
                self.unsure |= state != self.state;
            } else {
                self.state = state;
                self.unsure &= status != Status::Ok;
            }
        } else if status == Status::Ok {
            self.confirm_state(&command.verb);
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
        // A consent that was on its way when it was understood cannot be held back: what follows is between the peers.
        let tls = command.then == Some(Then::Tls);
        let answered = if tls { self.tls_answered(command.frame) } else { Answered::Other };
        let layer = (ok && tls && answered != Answered::Begins).then_some(Layer::Tls);
        match command.then {
            Some(Then::Deflate) if ok && self.begin_deflate(Peer::Server) => {
                out.report(Peer::Server, What::Upgrade(Layer::Deflate));
            }
            Some(Then::Reset) if ok => self.end_deflate(),
            Some(Then::Tls) if answered == Answered::Begins => {
                out.report(self.tls_with(), What::Upgrade(Layer::Tls));
                self.leave_behind(out);
            }
            Some(Then::Tls) if answered == Answered::Unfollowed && ok => self.close_off(Peer::Client, Layer::Tls, out),
            _ => {}
        }
        // Announced once, before what the client may have sent ahead.
        let expect = layer.map(|layer| self.open_layer(Peer::Server, layer, true, out));
        if let Some((wait, frame)) = self.lane(Peer::Client).wait
            && frame == command.frame
        {
            let granted = ok && matches!(wait, Wait::Tls | Wait::Deflate);
            self.settle(Peer::Client, Answer::of(granted), out);
        }
        if layer.is_some() {
            self.state = State::Opaque;
        }
        expect.unwrap_or(Expect::Line)
    }
}

/// The number that these digits are; the largest there is, if it is larger. `None` for anything else.
fn number_of(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all.then(|| digits.iter().fold(0u64, |n, digit| n.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}
