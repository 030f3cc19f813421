//! TLS in the middle: a STARTTLS of the client's that is followed on both legs, one that we offer the client and answer
//! ourselves, and one that we send to the server before anything is relayed. What is said here without a peer is shown
//! as our own words.

use std::time::Duration;

use super::dialogue::Dialogue;
use super::dialogue::MAX_TAG;
use super::lane::{Lane, Manner, Wait};
use super::turn::Turn;
use super::{Outbox, Session};
use crate::event::{DataKind, Form, Kind, ListKind, Peer, Reading, State, Status};
use crate::grammar::Then;
use crate::wire::Expect;
use crate::wording::duration;

/// How much of a server's refusal is told, in octets.
const TOLD: usize = 200;

/// Where TLS stands, and what is to become of a STARTTLS.
#[derive(Debug, Default)]
pub(super) struct StartTls {
    /// The driver can begin TLS on both legs when the client asks for it.
    follows: bool,
    /// The client is offered TLS by us, whatever the server says.
    offers: bool,
    /// We ask the server for TLS, and nothing is relayed before.
    opening: Option<Box<Opening>>,
    /// The frame of the STARTTLS that waits for an answer.
    asked: Option<u64>,
    /// It is ours to answer.
    ours: bool,
    /// It was answered with consent, and TLS has not begun.
    consented: bool,
    /// Which legs are under TLS: `[client, server]`.
    pub legs: [bool; 2],
    /// How long the text at hand has waited for the answer to a STARTTLS, in milliseconds; 0 if it has not.
    pub waited: u32,
    /// The list that a server told unasked, for it is told again behind TLS.
    list: Vec<u8>,
}

impl StartTls {
    /// Returns true if TLS was agreed to, and begins with what comes next.
    pub(super) const fn is_agreed(&self) -> bool {
        self.consented
    }

    /// Returns true if we ask the server for TLS, and nothing is relayed before.
    pub(super) const fn is_opening(&self) -> bool {
        self.opening.is_some()
    }

    /// Returns true if the STARTTLS of this frame is ours to answer.
    pub(super) fn is_ours(&self, frame: u64) -> bool {
        self.ours && self.asked == Some(frame)
    }
}

/// What we have said and heard before anything is relayed.
#[derive(Debug, Default)]
struct Opening {
    /// What the client will be greeted with; empty until the server has greeted.
    greeting: Vec<u8>,
    /// So many of our commands are sent.
    said: usize,
    /// The last status that was heard, and the beginning of its text.
    heard: Option<(Status, String)>,
}

/// TLS that is to begin: the driver secures the server's leg first, then sends `consent` and secures the client's leg.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// TLS begins with the server. What was read of it before belongs nowhere then.
    pub server: bool,
    /// TLS begins with the client behind these octets, which it has not got.
    pub consent: Option<Vec<u8>>,
    /// What the session takes next, as if the server had sent it then.
    pub next: Vec<u8>,
}

impl Session {
    /// The same for a driver that can begin TLS on both legs when the client asks for it: see [`Outbox::upgrade`] and
    /// [`Session::waits`]. Without this, what follows is relayed unread.
    #[must_use]
    pub const fn following_tls(mut self) -> Self {
        self.tls.follows = true;
        self
    }

    /// The same for a driver that can begin TLS with the client alone. A STARTTLS of the client's is answered by us, in
    /// its turn; the server does not hear of it. That the lists offer it is the work of rules. Changes nothing if the
    /// grammar does not say how.
    #[must_use]
    pub fn offering_tls(mut self) -> Self {
        self.tls.offers = self.grammar.starttls.is_some();
        self
    }

    /// The same for a driver that can begin TLS with the server alone: that is done first, and nothing is relayed before.
    /// If it cannot be done, [`Outbox::failed`] says why. Changes nothing if the grammar does not say how.
    #[must_use]
    pub fn beginning_tls(mut self) -> Self {
        self.tls.opening = self.grammar.starttls.is_some().then(Box::default);
        self
    }

    /// The same on legs of which these are under TLS already: `[client, server]`.
    #[must_use]
    pub const fn under_tls(mut self, legs: [bool; 2]) -> Self {
        self.tls.legs = legs;
        self
    }

    /// True while nothing of this peer's may be taken: behind the client's STARTTLS and before its answer, behind a
    /// consent, and of the client's while we begin TLS with the server. What it sends meanwhile belongs under TLS, was
    /// slipped in, or comes too early. Also while so many of the client's commands wait for their replies that a rule could not
    /// answer the next one: it is taken in its turn then.
    #[must_use]
    pub fn waits(&self, peer: Peer) -> bool {
        (peer == Peer::Client && self.speaks && self.is_full()) || self.waits_for_tls(peer)
    }

    /// Returns true if what this peer sends waits for TLS, or for the answer to a STARTTLS.
    #[must_use]
    pub fn waits_for_tls(&self, peer: Peer) -> bool {
        let asked = || self.tls.asked.is_some_and(|frame| self.dialogue.command(frame).is_some());
        self.tls.consented || (peer == Peer::Client && (self.tls.opening.is_some() || asked()))
    }

    /// How many commands the server was sent so far, while TLS with it is ours to begin and has not begun.
    #[must_use]
    pub fn opening(&self) -> Option<usize> {
        self.tls.opening.as_ref().map(|opening| opening.said)
    }

    /// The sentence for a server that took longer than `limit` for its next word while [`Session::opening`].
    #[must_use]
    pub fn late_opening(&self, limit: Duration) -> String {
        let said = self.opening().and_then(|said| said.checked_sub(1));
        let says = self.grammar.starttls.as_ref().zip(said).and_then(|(how, nth)| how.says.get(nth));
        let what = says.map_or_else(|| "greet".to_owned(), |says| format!("answer {says}"));
        let limit = duration(limit);
        format!(
            "the server did not {what} within {limit}, so TLS did not begin; nothing was relayed; --connect-timeout allows longer"
        )
    }

    /// Gives up following the client's STARTTLS, whose answer has not come: the client will send no more, so TLS cannot
    /// begin. What it sent meanwhile can be taken then. Returns false if nothing is followed.
    pub fn forgo_tls(&mut self) -> bool {
        let followed = !self.tls.ours && !self.tls.consented && self.tls.opening.is_none();
        let Some(frame) = self.tls.asked.filter(|_| followed) else { return false };
        (self.tls.asked, self.tls.follows) = (None, false);
        self.hold_on();
        self.wait_for(Wait::Tls, frame, None);
        true
    }

    /// What of a line of the server's is held now stays held until its end.
    fn hold_on(&mut self) {
        let server = &mut self.lanes[Peer::Server.index()];
        server.edit |= !server.framer.held().is_empty() && server.gone == 0;
    }

    /// Reports octets that came before TLS began and do not belong there; they are passed on to nobody.
    /// [`super::MAX_EVENTS`] come of them at the most, give or take those of one line; what is more is one event with its
    /// size.
    pub fn slipped_in(&mut self, from: Peer, octets: &[u8], out: &mut Outbox) {
        if !octets.is_empty() {
            let state = self.state;
            self.inject(from, octets, out);
            self.state = state;
        }
    }

    /// TLS has begun where [`Outbox::upgrade`] said. What comes next on both legs is a session anew, and nothing that was
    /// said before is answered in it; where only the client's leg changed, the server goes on. A further STARTTLS is
    /// not followed.
    pub fn secured(&mut self) {
        let alone = self.tls.ours;
        let opened = self.tls.opening.take().is_some();
        // What was offered in plain text means nothing now.
        (self.own.offered, self.own.at_once) = (None, 0);
        self.tls.legs[Peer::Client.index()] |= !opened;
        self.tls.legs[Peer::Server.index()] |= !alone;
        (self.tls.asked, self.tls.ours, self.tls.consented) = (None, false, false);
        self.tls.follows = false;
        self.chunked = false;
        self.lanes[Peer::Client.index()].renew(opened);
        if alone {
            self.tls.offers = false;
            self.hold_on();
            // Who greets with EHLO must greet again (RFC 3207 section 4.2).
            if self.grammar.begins == State::Connected {
                self.state = State::Connected;
            }
            return;
        }
        self.lanes[Peer::Server.index()].renew(opened);
        (self.dialogue, self.suspect, self.untold) = (Dialogue::default(), None, false);
        if opened {
            self.state = State::Greeting;
        }
    }

    /// TLS is to begin with the first byte of both peers. The driver says whether it did: [`Session::left_to_peers`] or
    /// [`Session::in_plain`], before it hands over what comes.
    pub const fn expect_tls(&mut self) {
        self.tls.consented = true;
    }

    /// Returns true where TLS is to begin with what comes next, and the driver has not said whether it did.
    #[must_use]
    pub const fn expects_tls(&self) -> bool {
        self.tls.consented
    }

    /// TLS begins between the peers, and is not read. Text that comes in its place is read, and pointed out.
    pub fn left_to_peers(&mut self) {
        (self.tls.asked, self.tls.ours, self.tls.consented, self.tls.follows) = (None, false, false, false);
        self.dialogue = Dialogue::default();
        self.state = State::Opaque;
        for lane in &mut self.lanes {
            (lane.due, lane.started, lane.frame, lane.wait) = (true, true, None, None);
        }
    }

    /// What lies inside TLS comes in plain text.
    pub fn in_plain(&mut self) {
        if self.tls.asked.is_some() {
            return self.secured();
        }
        (self.tls.legs, self.tls.consented, self.tls.follows) = ([true; 2], false, false);
    }

    /// How the octets of a read are to be taken.
    pub(super) const fn manner(&self, from: Peer) -> Manner {
        match (from, &self.tls.opening) {
            (Peer::Server, Some(_)) => Manner::Kept,
            _ => Manner::Fresh,
        }
    }

    /// True while a peer's texts are held until they are complete: one of them may be the consent to TLS, or what we
    /// answer; and our own words must not stand in the middle of the server's.
    pub(super) const fn holds(&self, from: Peer) -> bool {
        match from {
            Peer::Server => self.tls.offers || self.tls.asked.is_some(),
            Peer::Client => self.tls.offers,
        }
    }

    /// True for a command that asks for TLS which we have offered. Not inside DEFLATE: our answer would have to be, too; nor
    /// with a tag that is not kept in full.
    pub(super) fn is_for_us(&self, from: Peer, text: &[u8], reading: &Reading) -> bool {
        let Kind::Command { tag, verb, .. } = reading.kind else { return false };
        let packed = self.lanes.iter().any(|lane| lane.packed);
        // What could not be told again behind TLS: the client would wait for it.
        let lists = self.grammar.starttls.as_ref().is_some_and(|how| how.lists);
        let unlisted = lists && self.tls.list.is_empty() && self.state != State::Greeting;
        let can = self.tls.offers && from == Peer::Client && !packed && !unlisted && tag.of(text).len() <= MAX_TAG;
        can && self.then(verb.of(text)) == Some(Then::Tls)
    }

    /// The command of this frame is ours to answer.
    pub(super) const fn is_ours(&mut self, frame: u64) {
        (self.tls.asked, self.tls.ours) = (Some(frame), true);
    }

    /// A command that asks for TLS is complete. True if it waits for nothing but its answer.
    pub(super) fn asks_for_tls(&mut self, frame: u64) -> bool {
        let ours = self.tls.ours && self.tls.asked == Some(frame);
        // Not inside DEFLATE, nor while another STARTTLS is in flight, nor with a server that says no more.
        let ended = self.lanes[Peer::Server.index()].finished;
        let follows = (self.tls.follows || self.tls.opening.is_some()) && !ended;
        let can = follows && self.tls.asked.is_none() && self.lanes.iter().all(|lane| !lane.packed);
        if can {
            self.tls.asked = Some(frame);
        }
        ours || can
    }

    /// Takes note of the server's consent to begin TLS, where that is followed. It is not for the client yet: true if it
    /// must be kept back.
    pub(super) fn consents(&mut self, from: Peer, reading: &Reading, turn: &Turn) -> bool {
        let tls = turn.completed_with(Then::Tls);
        let ok = matches!(reading.kind, Kind::Reply { status: Status::Ok, .. });
        let asked = self.tls.asked.is_some() && self.tls.asked == turn.answers && !self.tls.ours;
        let consents = from == Peer::Server && tls && ok && asked;
        self.tls.consented |= consents;
        consents
    }

    /// A consent is kept back: the driver is told what to begin.
    pub(super) fn begin_tls(&mut self, consent: Vec<u8>, out: &mut Outbox) {
        out.upgrade = Some(match &mut self.tls.opening {
            None => Upgrade { server: true, consent: Some(consent), next: Vec::new() },
            // A server that lists its capabilities behind TLS greets the client so.
            Some(opening) if self.grammar.starttls.as_ref().is_some_and(|how| how.lists) => {
                opening.greeting.clear();
                Upgrade { server: true, ..Upgrade::default() }
            }
            Some(opening) => Upgrade { server: true, consent: None, next: std::mem::take(&mut opening.greeting) },
        });
    }

    /// The STARTTLS of this frame has an answer. What follows is read by nobody if it was a consent.
    pub(super) fn tls_answered(&mut self, frame: u64) -> Answered {
        if self.tls.consented {
            return Answered::Begins;
        }
        if self.tls.asked != Some(frame) {
            return Answered::Other;
        }
        self.tls.asked = None;
        Answered::Unfollowed
    }

    /// The peer with which TLS begins, and with which it begins first if it is both.
    pub(super) const fn tls_with(&self) -> Peer {
        if self.tls.ours { Peer::Client } else { Peer::Server }
    }

    /// The server will send no more: no answer can come.
    pub(super) fn no_answer(&mut self, out: &mut Outbox) {
        if !self.tls.ours {
            self.tls.asked = None;
        }
        if self.tls.opening.is_some() && !self.tls.consented {
            out.failed = Some("the server ended the connection before TLS began; nothing was relayed".to_owned());
        }
    }

    /// A status or list of the server's: what it greets with, and what it says to our own commands.
    pub(super) fn listen(&mut self, text: &[u8], reading: &Reading) {
        let unasked = reading.list.as_ref().filter(|list| matches!(list.kind, ListKind::Lines(Form::Managesieve)));
        if self.tls.offers && unasked.is_some() {
            // Where its text is a literal, this is not all of it.
            let whole = reading.literal.is_none();
            self.tls.list = if whole { text.to_vec() } else { Vec::new() };
        }
        let greets = self.state == State::Greeting;
        let Some(opening) = &mut self.tls.opening else { return };
        let (status, human) = match reading.kind {
            Kind::Reply { status, .. } => (status, text),
            Kind::GoAhead { .. } => (Status::No, text),
            _ => return,
        };
        let words = crate::wire::body(human);
        opening.heard = Some((status, words[..words.len().min(TOLD)].escape_ascii().to_string()));
        if greets {
            // What it offers in plain text means nothing behind TLS (RFC 9051 section 6.2.1).
            let code = reading.list.as_ref().filter(|list| list.kind == ListKind::Code).map(|list| list.whole);
            opening.greeting = match code {
                Some(code) => [&text[..code.start as usize], &text[code.end as usize..]].concat(),
                None => text.to_vec(),
            };
        }
    }

    /// Says what is ours to say now.
    pub(super) fn speak(&mut self, out: &mut Outbox) {
        if self.tls.consented {
            return;
        }
        if self.tls.opening.is_some() {
            self.open_tls(out);
        } else if self.tls.ours {
            self.answer_tls(out);
        }
    }

    /// The next of our commands to the server, or why there is none.
    fn open_tls(&mut self, out: &mut Outbox) {
        let grammar = self.grammar.clone();
        let (Some(opening), Some(how)) = (&mut self.tls.opening, &grammar.starttls) else { return };
        let words = opening.heard.as_ref().map_or("", |(_, words)| words);
        let server = &self.lanes[Peer::Server.index()];
        if server.block.as_ref().is_some_and(|block| block.kind == DataKind::Opaque) {
            out.failed = Some(
                "the server does not begin in plain text of this protocol, so that STARTTLS cannot be sent to it"
                    .to_owned(),
            );
            return;
        }
        let refuses = matches!(opening.heard, Some((Status::No | Status::Bad, _)));
        if opening.said == 0 && refuses && server.frame.is_none() {
            out.failed = Some(format!("the server refused the connection, it said \"{words}\"; nothing was relayed"));
            return;
        }
        if self.state == State::Greeting || self.dialogue.oldest().is_some() || server.frame.is_some() {
            return;
        }
        if opening.greeting.is_empty() && !how.lists {
            let why = "the server's greeting is too long to be kept for the client; nothing was relayed";
            out.failed = Some(why.to_owned());
            return;
        }
        let over = self.state == State::Logout;
        if over || opening.said == how.says.len() {
            let what = if over { "ended the session before TLS began" } else { "refused to begin TLS" };
            out.failed = Some(format!("the server {what}, it said \"{words}\"; nothing was relayed"));
            return;
        }
        if self.state == State::Authenticated {
            let why = "the server greets with PREAUTH, after which TLS cannot begin (RFC 9051 section 6.2.1)";
            out.failed = Some(format!("{why}; nothing was relayed"));
            return;
        }
        let tag = if grammar.form == Form::Imap { format!("imapscope{} ", opening.said + 1) } else { String::new() };
        let line = format!("{tag}{}\r\n", how.says[opening.said]);
        opening.said += 1;
        out.send(Peer::Server, line.as_bytes());
        self.say(Peer::Client, line.as_bytes(), out);
    }

    /// Our consent to the client, once it is due: where replies have no tags, all before it must have come; and it must
    /// not stand in the middle of something else.
    fn answer_tls(&mut self, out: &mut Outbox) {
        let grammar = self.grammar.clone();
        let (Some(how), Some(frame)) = (&grammar.starttls, self.tls.asked) else { return };
        let server = &self.lanes[Peer::Server.index()];
        let amid = server.frame.is_some() || server.block.is_some() || server.gone > 0;
        let Some(command) = self.dialogue.command(frame) else { return };
        // Where there are tags, all with the same one.
        let first = match grammar.form {
            Form::Imap => self.dialogue.tagged(&command.tag),
            _ => self.dialogue.oldest(),
        };
        if amid || first.is_none_or(|first| first.frame != frame) || self.state == State::Greeting {
            return;
        }
        let mut line = command.tag.to_vec();
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(how.consents.as_bytes());
        line.extend_from_slice(b"\r\n");
        self.tls.consented = true;
        self.say(Peer::Server, &line, out);
        let next = if how.lists { std::mem::take(&mut self.tls.list) } else { Vec::new() };
        out.upgrade = Some(Upgrade { server: false, consent: Some(line), next });
    }

    /// Reads and reports a line of ours as one of this peer's. The caller sends it.
    fn say(&mut self, from: Peer, line: &[u8], out: &mut Outbox) {
        // What of a line has come is not touched.
        let framer = std::mem::take(&mut self.lanes[from.index()].framer);
        self.go_on(from, line, Manner::Ours, out);
        self.lanes[from.index()].framer = framer;
    }
}

/// What an answer to STARTTLS means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answered {
    /// TLS begins, by the driver.
    Begins,
    /// It was to be followed, and cannot be.
    Unfollowed,
    /// It was never to be followed.
    Other,
}

impl Lane {
    /// Begins anew under TLS: what is kept is only what concerns the connection. `unused` is a lane of which nothing was
    /// relayed.
    fn renew(&mut self, unused: bool) {
        let Lane { edit, started, spoken, .. } = *self;
        let ratio = self.ratio.take();
        *self = Lane { edit, ratio, started: started && !unused, spoken: spoken && !unused, ..Lane::default() };
        self.framer.expect(Expect::Line);
    }
}
