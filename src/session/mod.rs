//! The sans-io core: octets in; octets, and events, out. Infallible, with no clock, no sockets and no output.
//!
//! Each lane is cut into texts and data; a text is read, rules may edit it, and it moves the state of the dialogue
//! (`turn`). In Tap an octet leaves in the call in which it came; in Edit an incomplete text is held, and nothing
//! else. Octets that cannot be classified before the other side has spoken are relayed at once and read later
//! (`wait`): until then they are not reported, so that no secret is.

mod abridged;
mod amount;
mod blank;
mod block;
mod deflate;
pub mod dialogue;
mod early;
mod edit;
mod enforce;
mod fault;
mod finish;
mod gap;
mod inflate;
pub mod lane;
mod message;
pub mod outbox;
mod owed;
mod own;
mod packer;
mod read;
mod relay;
mod secret;
pub mod silence;
mod starttls;
mod subject;
mod suspect;
mod turn;
mod user;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Closed, Closer, DataKind, Form, Kind, Oddity, Peer, Reading, RouteName, State, Text, What};
use crate::grammar::Grammar;
pub use crate::rules::Trouble;
use crate::rules::{Progress, Rules};
use crate::wire::{self, Cut, Ends, Expect, Framer, imap, managesieve};
pub use amount::MAX_EVENTS;
use deflate::Deflate;
use dialogue::Dialogue;
use edit::Plan;
use gap::Sight;
use lane::{Block, Fate, Lane, Manner, Start, Wait, start};
pub use outbox::{Fault, Outbox, Piece, Step};
use own::Own;
use relay::Relay;
use secret::Mask;
use starttls::StartTls;
pub use starttls::Upgrade;
use user::Login;

/// One connection: two lanes, and what is going on between them.
#[derive(Debug)]
pub struct Session {
    grammar: Arc<Grammar>,
    rules: Arc<Rules>,
    /// What rules have counted.
    progress: Progress,
    /// Responses of the server that leave slowly, to their end.
    pace: Option<Box<fault::Pace>>,
    connection: u64,
    /// The client's address.
    client: Box<str>,
    /// Its route, for conditions.
    route: Option<Arc<RouteName>>,
    /// Who has logged in.
    user: Box<str>,
    login: Login,
    lanes: [Lane; 2],
    dialogue: Dialogue,
    state: State,
    frames: u64,
    /// Commands wait for replies, as far as the grammar tells.
    replies: bool,
    /// A chunk of the message in progress was sent already.
    chunked: bool,
    /// The server's last list offers commands that bytes follow.
    chunks: bool,
    /// The last command was the first that is not kept among those in flight, and this was not said.
    untold: bool,
    /// TLS that begins in the middle.
    tls: StartTls,
    /// What rules have us say.
    own: Own,
    /// All octets of data are reported.
    octets: bool,
    /// The connection was ended by neither peer.
    stopped: bool,
    /// A rule may answer commands, or put lines between them.
    speaks: bool,
    /// What came behind a false end of the last message.
    suspect: Option<Vec<u8>>,
    /// What can be known where bytes are missing from what is read.
    sight: Sight,
    /// The state is inferred from commands, and no reply has confirmed it.
    unsure: bool,
    /// What is read is a log of lines, which may leave bodies out.
    log: bool,
    /// What the call in progress has done, and how many events were in the batch before it: see `amount`.
    work: usize,
    before: usize,
    /// What is read now is little, and is read whole.
    at_once: bool,
}

impl Session {
    /// A connection that was just accepted, numbered by the driver.
    #[must_use]
    pub fn new(connection: u64, grammar: Arc<Grammar>, rules: Arc<Rules>) -> Self {
        let lane = |peer| Lane { edit: rules.touches(peer), ..Lane::default() };
        // Before a greeting nothing tells that a line is a command.
        let lanes = [Lane { wary: true, ..lane(Peer::Client) }, lane(Peer::Server)];
        let line = grammar.form == Form::Line;
        let replies = grammar.replies();
        // Protocols of lines need not greet.
        let state = if line { grammar.begins } else { State::Greeting };
        let dialogue = Dialogue::default();
        let speaks = rules.may_speak();
        Session {
            grammar,
            progress: rules.begin(connection),
            pace: None,
            rules,
            connection,
            client: Box::default(),
            route: None,
            user: Box::default(),
            login: Login::default(),
            lanes,
            dialogue,
            state,
            frames: 0,
            replies,
            chunked: false,
            chunks: false,
            suspect: None,
            sight: Sight::default(),
            unsure: false,
            log: false,
            untold: false,
            tls: StartTls::default(),
            own: Own::default(),
            octets: false,
            stopped: false,
            speaks,
            work: 0,
            before: 0,
            at_once: false,
        }
    }

    /// The same, and with it all octets of data are reported as they come ([`What::Octets`]): for outputs that keep them.
    #[must_use]
    pub const fn reporting_octets(mut self, octets: bool) -> Self {
        self.octets = octets;
        self
    }

    /// The same with the client's address, without its port, and the route that it came by: for conditions.
    #[must_use]
    pub fn with_client(mut self, address: &str, route: Arc<RouteName>) -> Self {
        (self.client, self.route) = (address.into(), Some(route));
        self
    }

    /// The form of the protocol's lines.
    #[must_use]
    pub fn form(&self) -> Form {
        self.grammar.form
    }

    /// The rules, as the user wrote them, in their order.
    #[must_use]
    pub fn rules(&self) -> Vec<Arc<str>> {
        self.rules.names().cloned().collect()
    }

    /// In which lanes a rule may edit: `[client, server]`.
    #[must_use]
    pub const fn edits(&self) -> [bool; 2] {
        [self.lanes[0].edit, self.lanes[1].edit]
    }

    /// Takes what one read gave and says, through `out`, what to send where. Returns how many octets of `chunk` it
    /// has taken: fewer than all of them where a layer begins or ends, and where the call has done enough ([`MAX_EVENTS`]),
    /// for a peer chooses how many events an octet becomes. The driver then empties the outbox and calls again with the
    /// rest. A call that takes nothing has read what came before; calling again always comes to an end. What is sent may
    /// be one octet more than is taken.
    pub fn receive(&mut self, from: Peer, chunk: &[u8], out: &mut Outbox) -> usize {
        self.begin_call(out);
        self.find_left_out(from, chunk, out);
        if let Some(taken) = self.catch_up(from, chunk, out) {
            return taken;
        }
        let taken = self.take(from, chunk, out);
        self.leave_off(from, taken, chunk)
    }

    fn take(&mut self, from: Peer, chunk: &[u8], out: &mut Outbox) -> usize {
        let lane = self.lane(from);
        if !lane.started && !chunk.is_empty() {
            lane.started = true;
            if start(chunk) != Start::Line {
                lane.wait = Some((Wait::Start, 0));
            }
        }
        if self.lane(from).deflate.is_some() {
            return self.unpack(from, chunk, Manner::Fresh, out);
        }
        let taken = self.go_on(from, chunk, self.manner(from), out);
        self.speak(out);
        taken
    }

    /// Like [`Session::receive`], for bytes that came before: they waited so long for the answer to a STARTTLS.
    pub fn receive_late(&mut self, from: Peer, chunk: &[u8], waited: Duration, out: &mut Outbox) -> usize {
        self.tls.waited = waited.as_millis().try_into().unwrap_or(u32::MAX).max(1);
        let taken = self.receive(from, chunk, out);
        self.tls.waited = 0;
        taken
    }

    /// The peer will send no more. What was held or undecided is settled and reported.
    pub fn closed(&mut self, from: Peer, out: &mut Outbox) {
        self.begin_call(out);
        if !self.lane(from).finished {
            self.finish(from, out);
            if from == Peer::Server {
                // No consent can come any more.
                self.no_answer(out);
            }
            out.report(from, What::HalfClosed);
        }
    }

    /// The connection is over; `end` is reported as its last event.
    pub fn ended(&mut self, from: Peer, mut end: Closed, out: &mut Outbox) {
        self.begin_call(out);
        let neither = self.lanes.iter().all(|lane| !lane.finished);
        self.stopped = neither && matches!(end.by, Closer::Ours | Closer::Unseen);
        for peer in [from, from.other()] {
            if !self.lane(peer).finished {
                self.finish(peer, out);
            }
        }
        let ratio = |lane: &Lane| match &lane.deflate {
            Some(layer) => (layer.packed, layer.plain),
            None => lane.ratio.as_deref().copied().unwrap_or_default(),
        };
        end.inflated = self.lanes.each_ref().map(ratio);
        out.report(from, What::Closed(Box::new(end)));
    }

    /// How many bytes of this lane are kept back: those of an incomplete text, and those that cannot be classified
    /// yet, never more than [`crate::event::MAX_TEXT`]; and as many again of a DEFLATE block that is not complete.
    #[must_use]
    pub fn held(&self, from: Peer) -> usize {
        let lane = &self.lanes[from.index()];
        lane.framer.held().len() + lane.undecided.len() + lane.deflate.as_deref().map_or(0, Deflate::waiting)
    }

    const fn lane(&mut self, peer: Peer) -> &mut Lane {
        &mut self.lanes[peer.index()]
    }

    /// Cuts octets and deals with the pieces, until there are none left or, for octets that came before, the lane has
    /// to wait. Returns how many are dealt with.
    fn go_on(&mut self, from: Peer, chunk: &[u8], manner: Manner, out: &mut Outbox) -> usize {
        // The framer is out of its lane meanwhile, so that a text can point into it while the session changes.
        let mut framer = std::mem::take(&mut self.lane(from).framer);
        let mut input = chunk;
        let mut manner = manner;
        while !input.is_empty() {
            let before = chunk.len() - input.len();
            self.relax(from, out);
            let whole = self.at_once || matches!(manner, Manner::Injected | Manner::Ours);
            if !whole && (before > 0 && self.has_done_enough(out) || self.is_behind(from)) {
                self.lane(from).framer = framer;
                if matches!(manner, Manner::Early | Manner::Known) {
                    self.lane(from).late = manner;
                }
                return before;
            }
            if self.lane(from).wait.is_some() {
                self.lane(from).framer = framer;
                if !manner.is_new() && manner != Manner::Inside {
                    return before;
                }
                let kept = self.postpone(from, input, out);
                if manner == Manner::Fresh {
                    out.pass(from.other(), before..before + kept);
                }
                framer = std::mem::take(&mut self.lane(from).framer);
                input = &input[kept..];
                // It may have been settled to be the beginning of a layer, or of one that is waited for.
                if manner.is_new() && (self.waits(from) || self.lane(from).deflate.is_some()) {
                    self.lane(from).framer = framer;
                    return before + kept;
                }
                continue;
            }
            if self.lane(from).sealable && framer.expected() == Expect::Line && framer.held().is_empty() {
                self.lane(from).sealable = false;
                // No line begins with a NUL, and every sealed buffer does, being shorter than 2^24 octets.
                if input[0] == 0 {
                    framer.expect(self.open_layer(from, crate::event::Layer::Sasl, true, out));
                }
            }
            let may_begin = self.lane(from).due || self.sight.lacks();
            if may_begin && framer.expected() == Expect::Line && framer.held().is_empty() {
                self.tls_or_text(from, input[0], &mut framer, out);
            }
            let begins = self.lane(from).unasked && framer.expected() == Expect::Line && framer.held().is_empty();
            if begins && self.begins_unasked(input) {
                framer.expect(Expect::Dot(Ends::CrLf));
            }
            if framer.expected() == Expect::Line && framer.held().is_empty() {
                framer.gather(self.gather(from));
            }
            let rest = Relay { chunk, range: before..chunk.len(), manner };
            let skipped = self.skip_run(from, &framer, &rest, out);
            if skipped > 0 {
                input = &input[skipped..];
                continue;
            }
            let cut = framer.cut(&mut input);
            // What is read again was sent where the server wanted it.
            let early = manner == Manner::Early && self.lane(from).again == 0;
            let as_it_came = if manner == Manner::Early && !early { Manner::Known } else { manner };
            let relay = Relay { chunk, range: before..chunk.len() - input.len(), manner: as_it_came };
            let mut next = self.piece(from, cut, &relay, out);
            if next.is_none() && self.lane(from).block.is_some() {
                next = self.passed(from, &framer, &relay, out);
            }
            if let Some(expect) = next {
                framer.expect(expect);
            }
            if self.has_own(from) {
                self.say_own(from, framer.expected() == Expect::Line && framer.held().is_empty(), out);
            }
            if self.lane(from).deflate.is_some() && manner == Manner::Fresh {
                // What follows is compressed.
                self.lane(from).framer = framer;
                return chunk.len() - input.len();
            }
            if manner.is_new() && self.waits(from) {
                self.lane(from).framer = framer;
                return chunk.len() - input.len();
            }
            if early {
                // Said of the first piece, it need not be said of those behind it.
                manner = Manner::Known;
            }
        }
        self.lane(from).framer = framer;
        self.relax(from, out);
        chunk.len()
    }

    /// Deals with one piece; says what the lane must expect next, where it is the session that decides it.
    fn piece(&mut self, from: Peer, cut: Cut<'_>, relay: &Relay<'_>, out: &mut Outbox) -> Option<Expect> {
        match cut {
            Cut::Part(bytes) => {
                if relay.manner != Manner::Fresh || !(self.lane(from).edit || self.holds(from)) {
                    self.lane(from).gone += bytes.len();
                    relay.pass(from, out);
                }
                None
            }
            Cut::Text { whole, fresh } => Some(self.text(from, whole, fresh, relay, out)),
            Cut::Head { whole, fresh } => {
                self.works(whole.len());
                self.end_run(from, out);
                if self.lane(from).frame.is_none() {
                    self.lane(from).fate = Fate::Sent;
                }
                if self.lane(from).fate == Fate::Sent {
                    relay.pass_rest(from, whole, fresh, &mut self.lane(from).gone, out);
                }
                let reading = self.read(from, whole);
                let unruled = self.would_rule(from, whole, &reading);
                let frame = self.number(from, whole, &reading);
                let masked = self.masked(from, whole, &reading);
                let mut block = Block::new(DataKind::Overlong, frame, None, masked.mask != Mask::Nothing);
                block.oddity = unruled.then_some(Oddity::Unruled);
                let lane = self.lane(from);
                if let Some(open) = &mut lane.frame {
                    open.mask = masked.mask;
                }
                lane.block = Some(Box::new(block));
                lane.long = Some(Box::new(reading));
                self.feed(from, whole, relay.manner, out);
                None
            }
            Cut::Data { bytes, done } => {
                if self.lane(from).fate == Fate::Sent {
                    self.pass_data(from, relay, out);
                }
                // Of a message it is the framer that knows what of it may be shown.
                if self.lane(from).block.as_ref().is_none_or(|block| block.kind != DataKind::Message) {
                    self.feed(from, bytes, relay.manner, out);
                }
                let block = self.lane(from).block.as_mut()?;
                block.over = done;
                let said = std::mem::take(&mut block.said);
                said.into_iter().for_each(|hello| out.report(from, What::Hello(Box::new(hello))));
                None
            }
        }
    }

    /// Octets of a data block have passed; says what comes next, if that was its end.
    fn passed(&mut self, from: Peer, framer: &Framer, relay: &Relay<'_>, out: &mut Outbox) -> Option<Expect> {
        let lane = self.lane(from);
        let block = lane.block.as_ref()?;
        if block.kind == DataKind::Message {
            self.feed_message(from, framer, &relay.chunk[relay.range.clone()], relay.manner, out);
            self.watch(from, framer, &relay.chunk[relay.range.clone()]);
        }
        let lane = self.lane(from);
        let block = lane.block.as_ref().filter(|block| block.over)?;
        if lane.long.is_some() {
            return Some(self.long_line(from, framer, out));
        }
        if matches!(block.kind, DataKind::Message | DataKind::Lines) {
            self.lines_over(from, framer, out);
        } else {
            self.report_block(from, false, out);
        }
        None
    }

    /// A text is complete: it is read, edited, sent on and reported, and it moves the dialogue.
    fn text(&mut self, from: Peer, whole: &[u8], fresh: usize, relay: &Relay<'_>, out: &mut Outbox) -> Expect {
        if from == Peer::Server && self.suspect.is_some() && self.asked().is_none() && !whole.starts_with(b"421") {
            self.read_smuggled(out);
        }
        self.works(whole.len());
        let reading = self.read(from, whole);
        let first = self.lane(from).frame.is_none();
        let late = relay.manner != Manner::Fresh || self.lane(from).gone > 0;
        let for_us = relay.manner == Manner::Fresh && self.is_for_us(from, whole, &reading);
        let between = !matches!(relay.manner, Manner::Kept | Manner::Ours) && !for_us;
        let answers_us = between && first && self.answers_us(from, whole, &reading);
        // What goes on with a text that was taken away goes with it.
        let gone = !first && self.lane(from).fate != Fate::Sent;
        let asks = between && !answers_us && !gone;
        let plan = if asks { self.ask(from, whole, &reading, [first, late], out) } else { Plan::default() };
        let whole_is_here = relay.manner == Manner::Fresh && self.lane(from).gone == 0;
        let trails = from == Peer::Client && asks && first && whole_is_here && plan.fate == Fate::Sent;
        let trailing = if trails { self.trailing(whole, &reading) } else { None };
        let trails = trailing.is_some();
        let plan = trailing.unwrap_or(plan);
        let plain = between && first && !answers_us && relay.manner != Manner::Injected && plan.is_nothing();
        if self.is_in_run(from, (whole, &reading), plain, out) {
            relay.pass_rest(from, whole, fresh, &mut self.lane(from).gone, out);
            self.run_on(from, whole, 1, relay.manner, out);
            return Expect::Line;
        }
        // Not before a run of empty lines that ends here is reported: it was sent.
        if first {
            self.lane(from).fate = if answers_us { Fate::Dropped } else { plan.fate };
        }
        let away = self.lane(from).fate != Fate::Sent;
        let frame = self.number(from, whole, &reading);
        let masked = self.masked(from, whole, &reading);
        self.lane(from).torn = false;
        if !away {
            self.name_user(from, frame, whole, &reading);
        }
        let edit = plan.edited(self, (whole, &reading), &masked, out);
        let mut oddities = self.oddities(from, whole, &reading, &masked);
        oddities.extend(relay.manner.oddity());
        if relay.manner == Manner::Fresh && self.tls.waited > 0 {
            oddities.push(Oddity::Waited(self.tls.waited.into()));
        }
        if relay.manner != Manner::Ours {
            oddities.extend(self.repeats(from, whole.len()));
        }
        if answers_us {
            oddities.push(Oddity::Kept);
        } else if away && (!first || trails) {
            oddities.push(Oddity::Dropped);
        }
        if for_us {
            self.is_ours(frame);
            oddities.push(Oddity::Kept);
        }
        if from == Peer::Server && relay.manner.is_new() {
            self.listen(whole, &reading);
        }
        let lane = self.lane(from);
        if lane.due && !std::mem::replace(&mut lane.undue, true) {
            oddities.push(Oddity::InsteadOfTls);
        }
        if std::mem::take(&mut lane.instead) {
            oddities.push(Oddity::InsteadOfDeflate);
        }
        self.infer_state(from, whole, &reading);
        let turn = self.pair(from, whole, &reading, &mut oddities);
        self.excuse(from, &reading, &turn, &mut oddities);
        oddities.extend(self.inferred());
        let begin = self.strike(from, frame, out);
        let instead = edit.as_ref().filter(|edit| !edit.fired.is_empty()).map(|edit| edit.bytes);
        if from == Peer::Server && reading.list.as_ref().is_some_and(|list| list.kind.offers()) {
            self.chunks = self.offers_chunks(whole, &reading);
        }
        if from == Peer::Server && !away && reading.list.as_ref().is_some_and(|list| list.kind.offers()) {
            // What would be sent counts where nothing is changed.
            let heard = edit.as_ref().map(|edit| edit.bytes).filter(|span| !span.is_empty());
            self.hear(whole, &reading, heard.map(|span| span.of(&out.batch.bytes)));
        }
        if relay.manner.is_new() && self.consents(from, &reading, &turn) {
            // The client must not begin before the server's leg is secured.
            let gone = std::mem::take(&mut self.lane(from).gone);
            let rest = || whole[gone.min(whole.len())..].to_vec();
            self.begin_tls(instead.map_or_else(rest, |span| span.of(&out.batch.bytes).to_vec()), out);
        } else if for_us || away {
            self.lane(from).gone = 0;
        } else {
            match instead {
                None => relay.pass_rest(from, whole, fresh, &mut self.lane(from).gone, out),
                Some(bytes) => out.send_kept(from.other(), bytes),
            }
        }
        let text = Text {
            frame,
            first,
            bytes: out.keep(whole),
            edit,
            reading: Reading::default(),
            answers: turn.answers,
            more: turn.more(),
            state: self.state,
            secrets: masked.spans,
            decoded: None,
            oddities,
        };
        if let Some(open) = &mut self.lane(from).frame {
            (open.mask, open.hide_data) = (masked.mask, masked.data);
            open.reply |= matches!(reading.kind, Kind::Reply { .. });
        }
        let at = out.batch.events.len();
        out.report(from, What::Text(text));
        let passed = begin.map(|begin| begin..out.octets(from.other()));
        let expect = self.conclude(from, &reading, turn, out);
        if let Some(passed) = passed {
            self.arm(from, frame, passed, at, out);
        }
        // What follows from a text may be reported in the same breath; the reading moves into its event last.
        if let What::Text(text) = &mut out.batch.events[at].what {
            text.reading = reading;
        }
        expect
    }

    /// An overlong line is complete: it is reported by its head, and moves the dialogue like a text.
    fn long_line(&mut self, from: Peer, framer: &Framer, out: &mut Outbox) -> Expect {
        let form = self.grammar.form;
        let lane = self.lane(from);
        let mut reading = lane.long.take().map_or_else(Reading::default, |reading| *reading);
        let ending = framer.ending();
        let mut head = lane.block.as_ref().map_or_else(Vec::new, |block| block.head.clone());
        if from == Peer::Server && matches!(form, Form::Codes | Form::Managesieve) {
            // Of a reply of many lines it is the last that counts.
            head = ending.head().to_vec();
            reading = self.judge(&head, wire::read(form, from, &head));
        }
        let lane = self.lane(from);
        let human = matches!(reading.kind, Kind::Reply { .. } | Kind::GoAhead { .. } | Kind::Sasl | Kind::Unknown);
        reading.literal = imap::announcement(ending.tail()).filter(|_| !human && !ending.quoted());
        if form == Form::Managesieve {
            reading.literal = managesieve::announcement(ending.tail());
        }
        if !matches!(form, Form::Imap | Form::Managesieve) {
            reading.literal = None;
        }
        if let Some(frame) = &mut lane.frame {
            frame.hide_data = frame.mask != Mask::Nothing;
            if frame.hide_data {
                frame.mask = Mask::Rest;
            }
        }
        self.report_block(from, false, out);
        let turn = self.pair(from, &head, &reading, &mut Vec::new());
        self.conclude(from, &reading, turn, out)
    }
}
