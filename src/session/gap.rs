//! What a file lacks of a connection: bytes of a lane, or its beginning. A live connection lacks nothing. What was under way
//! is over, and nothing that follows is believed, or found odd, until a command is known again.

use super::dialogue::Dialogue;
use super::lane::{Answer, Block, Wait};
use super::turn::Turn;
use super::{Outbox, Session};
use crate::event::{DataKind, Form, Kind, Oddity, Peer, Reading, State, What};
use crate::grammar::Command;
use crate::wire::{self, Expect};

/// How much can be seen after a hole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sight {
    /// The state of the session is not known (again).
    pub blind: bool,
    /// Bytes are missing: a reply may always be one to what is.
    holed: bool,
    /// The server may have answered what is no command: a reply may always be one to that.
    misread: bool,
    /// Number of replies to come, with those to commands, if it answers all that it may. `None` where bytes are missing.
    owed: Option<u16>,
    /// Replies since the client's last command.
    replies: u8,
    /// The last command came before any reply to the one before it.
    ahead: bool,
    /// The command before the last one was the only one under way, and had one reply.
    alone: bool,
    /// Nobody knows how many recipients were accepted.
    pub uncounted: bool,
}

impl Sight {
    const fn lose(&mut self) {
        let Sight { misread, .. } = *self;
        *self = Sight {
            blind: true,
            holed: true,
            misread,
            owed: None,
            replies: u8::MAX,
            ahead: false,
            alone: false,
            uncounted: true,
        };
    }

    /// Loses count of replies, though no byte is missing.
    const fn lose_count(&mut self, owed: u16) {
        let Sight { holed, .. } = *self;
        self.lose();
        (self.holed, self.misread, self.owed) = (holed, true, Some(owed));
    }

    /// Returns true if bytes are missing that what comes may rest on.
    pub(super) const fn lacks(&self) -> bool {
        self.blind && self.owed.is_none()
    }

    /// Further lines came that the server may answer.
    pub(super) fn owe(&mut self, lines: u32) {
        let lines = u16::try_from(lines).unwrap_or(u16::MAX);
        self.owed = self.owed.map(|owed| owed.saturating_add(lines));
    }
}

impl Session {
    /// Reports that bytes of a peer are missing at this place, and how many if that is known; `None` for the beginning of the
    /// connection, of either peer. Of data whose size was announced, the rest is read on.
    pub fn missed(&mut self, from: Peer, bytes: Option<u64>, out: &mut Outbox) {
        self.begin_call(out);
        // What comes next is no beginning.
        self.lanes.iter_mut().for_each(|lane| lane.started = true);
        let data = bytes.is_some_and(|bytes| self.skip(from, bytes));
        if !data {
            let before = out.batch.events.len();
            self.lose_track(from, out);
            // Whatever waited for an answer is read as if it had been refused, and proves nothing.
            for event in &mut out.batch.events[before..] {
                match &mut event.what {
                    What::Text(text) => tear(&mut text.oddities),
                    What::Data(data) => tear(&mut data.oddities),
                    _ => {}
                }
            }
        }
        for peer in [Peer::Client, Peer::Server] {
            self.lane(peer).torn |= (peer == from && !data) || bytes.is_none();
        }
        out.report(from, What::Gap { bytes, data });
    }

    /// Nobody knows what was said by one of the peers, or what it was taken for: nothing is found odd until a command is known again.
    pub const fn doubt(&mut self) {
        self.sight.lose();
        (self.state, self.unsure) = (State::Opaque, true);
    }

    /// The server may read as commands this many lines of data, or have a reply for each of any number of recipients: nobody knows
    /// what the next replies answer.
    pub(super) fn lose_count(&mut self, lines: u32) {
        self.distrust();
        let owed = lines.saturating_add(self.dialogue.due_replies());
        self.sight.lose_count(u16::try_from(owed).unwrap_or(u16::MAX));
        (self.state, self.unsure) = (State::Opaque, true);
    }

    /// Counts missing bytes as those of the data that is under way. False if it ends among them.
    fn skip(&mut self, from: Peer, bytes: u64) -> bool {
        let lane = self.lane(from);
        let Some(block) = &mut lane.block else { return false };
        match lane.framer.expected() {
            Expect::Octets(left) if bytes < left => {
                lane.framer.expect(Expect::Octets(left - bytes));
                block.len += bytes;
                true
            }
            // The line that ends it may be among what is missing. Then commands follow, whatever it looks like.
            Expect::Dot(_) => {
                block.len += bytes;
                block.secret |= from == Peer::Client;
                (block.behind, block.subject) = (None, None);
                self.doubt();
                true
            }
            Expect::Opaque => {
                block.len += bytes;
                true
            }
            _ => false,
        }
    }

    /// The beginning of the connection is missing: `state` is that at its first line, [`State::Opaque`] where that is not known.
    /// Call it before anything is received.
    #[must_use]
    pub const fn beginning_in_the_middle(mut self, state: State) -> Self {
        self.sight.lose();
        self.unsure = matches!(state, State::Opaque);
        self.state = state;
        self
    }

    /// Where the state is not known, a command that needs one shows it, as far as the client is right. A reply confirms it. A state
    /// that the user gave is not known any more if it does not fit: the reply to what is missing may have changed it.
    pub(super) fn infer_state(&mut self, from: Peer, text: &[u8], reading: &Reading) {
        let Kind::Command { verb, .. } = reading.kind else { return };
        if from == Peer::Server || !self.unsure && !self.sight.lacks() {
            return;
        }
        let Some(known) = self.grammar.command(verb.of(text)) else { return };
        let Some(first) = known.states.first().filter(|_| !known.states.contains(&self.state)) else { return };
        let early = |state: &State| matches!(state, State::Connected | State::NotAuthenticated | State::Authorization);
        if known.states.len() == 1 || !known.states.iter().any(early) {
            self.state = *first;
        } else if !self.unsure {
            self.state = State::Opaque;
        }
        self.unsure = true;
    }

    /// A command was done, and nothing else can have been answered: one that needs a single state confirms it.
    pub(super) fn confirm_state(&mut self, verb: &str) {
        if self.unsure && !self.sight.blind && self.state != State::Opaque {
            self.unsure = self.grammar.command(verb).is_none_or(|known| known.states != [self.state]);
        }
    }

    /// It is known again which commands replies answer. Where no command needs a state or leads to one, all is known.
    fn see(&mut self) {
        (self.sight.blind, self.sight.owed) = (false, None);
        let leads = |state: Option<State>| state.is_some_and(|state| state != State::Logout);
        let stateless = |command: &Command| command.states.is_empty() && !leads(command.on_ok) && !leads(command.on_no);
        if self.unsure && self.grammar.commands.iter().all(stateless) {
            (self.state, self.unsure) = (self.grammar.begins, false);
        }
    }

    /// What is to be said of the state that a text is sent in.
    pub(super) fn inferred(&self) -> Option<Oddity> {
        (self.unsure && self.state != State::Opaque).then_some(Oddity::Inferred)
    }

    /// True for what may be a line of a message that began before the gap, or its end: nothing waits for a reply to it.
    pub(super) fn may_be_data(&mut self, text: &[u8], known: bool) -> bool {
        if !self.sight.lacks() || self.grammar.form == Form::Imap {
            return false;
        }
        if matches!(text, b".\r\n" | b".\n") {
            // What came before was the message.
            self.dialogue = Dialogue::default();
        }
        if !known {
            self.dialogue.spare(1);
        }
        !known
    }

    /// True if bytes are missing before this.
    pub(super) const fn is_holed(&self) -> bool {
        self.sight.holed
    }

    /// A command of the client's comes after a hole. Where replies have no tags, those that came before it answered all that was
    /// sent: hardly any client sends on after some of the replies that it waits for.
    pub(super) fn restart(&mut self) {
        if self.sight.lacks() && self.sight.replies > 0 && self.grammar.form != Form::Imap {
            self.dialogue = Dialogue::default();
        }
    }

    /// Removes what seems odd about a text and may fit what is missing, until it is known again which command a reply answers: by
    /// its tag; and without tags by two commands in a row that had one reply each before anything else was sent.
    pub(super) fn excuse(&mut self, from: Peer, reading: &Reading, turn: &Turn, odd: &mut Vec<Oddity>) {
        if !self.sight.holed && !self.sight.misread {
            return;
        }
        let unpaired = [Oddity::UnknownTag, Oddity::UnexpectedReply, Oddity::UnexpectedGoAhead, Oddity::StrayDone];
        odd.retain(|odd| !unpaired.contains(odd));
        if !self.sight.blind {
            return;
        }
        if self.sight.lacks() {
            odd.retain(|odd| matches!(odd, Oddity::Smuggled(_) | Oddity::Misread));
            if reading.kind == Kind::Unknown {
                odd.push(Oddity::Torn);
            }
        } else {
            odd.retain(|odd| *odd != Oddity::InsideMessage);
        }
        match (from, reading.kind) {
            (Peer::Client, Kind::Command { .. }) => {
                let last = self.lanes[from.index()].frame.and_then(|frame| self.dialogue.command(frame.number));
                // With a reply for each recipient, nobody knows how many there will be.
                self.sight.owe(if last.is_some_and(|command| command.each) { u32::MAX } else { 1 });
                self.sight.alone = self.sight.replies == 1 && !self.sight.ahead;
                self.sight.ahead = self.sight.replies == 0;
                self.sight.replies = 0;
            }
            (Peer::Client, Kind::Blank | Kind::Unknown) => self.sight.owe(1),
            (Peer::Server, Kind::Reply { .. } | Kind::GoAhead { .. }) => {
                if matches!(reading.kind, Kind::Reply { .. }) {
                    self.sight.owed = self.sight.owed.map(|owed| owed.saturating_sub(1));
                }
                self.sight.replies = self.sight.replies.saturating_add(1);
            }
            _ => {}
        }
        let tagged = self.grammar.form == Form::Imap;
        // Where nothing answers anything, whole lines prove all that there is to know.
        if !self.replies && self.lanes.iter().all(|lane| !lane.torn) {
            return self.see();
        }
        let alone = self.sight.alone && self.sight.replies == 1 && self.sight.owed.unwrap_or(0) == 0;
        if turn.completes() && (tagged || alone) {
            self.see();
        }
    }

    /// Ends what is under way, as far as it may have gone on in what is missing.
    fn lose_track(&mut self, from: Peer, out: &mut Outbox) {
        self.distrust();
        let client = self.lane(Peer::Client);
        client.unasked = from == Peer::Server && matches!(client.wait, Some((Wait::Message, _)));
        if from == Peer::Client {
            // What waits was followed by something else.
            self.refuse_all(out);
        }
        self.end_run(from, out);
        let rest = self.end_layer(from, out);
        self.flush_with(from, vec![Oddity::Torn], out);
        self.report_block_with(from, vec![Oddity::Torn], out);
        self.count_rest(from, &rest, out);
        let layered = self.lane(from).packed;
        let expect = if layered { self.shut(from) } else { Expect::Line };
        let lane = self.lane(from);
        lane.framer.expect(expect);
        (lane.frame, lane.long, lane.deflate) = (None, None, None);
        self.lane(Peer::Client).sasl = None;
        self.doubt();
        // Nobody knows which replies are missing.
        self.dialogue = Dialogue::default();
        self.refuse_all(out);
    }

    /// Begins a message whose consent is missing, unless these bytes of the client's read as a command. All of it is hidden: it may be
    /// something else. Returns true if it begins.
    pub(super) fn begins_unasked(&mut self, bytes: &[u8]) -> bool {
        if !std::mem::take(&mut self.lane(Peer::Client).unasked) {
            return false;
        }
        let line = memchr::memchr(b'\n', bytes).map_or(bytes, |at| &bytes[..=at]);
        let reading = wire::read(self.grammar.form, Peer::Client, line);
        if matches!(reading.kind, Kind::Command { verb, .. } if self.grammar.command(verb.of(line)).is_some()) {
            return false;
        }
        self.frames += 1;
        self.lane(Peer::Client).block = Some(Box::new(Block::new(DataKind::Message, self.frames, None, true)));
        true
    }

    /// Reads what waits on the client's lane as if it had been refused.
    fn refuse_all(&mut self, out: &mut Outbox) {
        while self.lane(Peer::Client).wait.is_some() {
            self.settle(Peer::Client, Answer::Refused, out);
        }
    }
}

fn tear(odd: &mut Vec<Oddity>) {
    if !odd.contains(&Oddity::Torn) {
        odd.push(Oddity::Torn);
    }
}
