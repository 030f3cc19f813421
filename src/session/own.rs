//! What rules have us say: lines that are put between those of a peer, and answers to commands that the server does not get.
//! An answer waits until it is its turn; a line, until nothing is in progress. What the server answers to a line of ours
//! is not for the client.

use std::collections::VecDeque;
use std::sync::Arc;

use super::deflate::Deflate;
use super::dialogue::{Answer, InFlight};
use super::edit::Plan;
use super::lane::Fate;
use super::secret::{Mask, mask};
use super::{Outbox, Session};
use crate::event::{Edited, Form, Kind, Oddity, Peer, Reading, State, Text, What};
use crate::grammar::Then;
use crate::rules::Insertion;
use crate::wire::{self, Gather};

/// So many lines wait for the end of a frame, and so many answers for their turn where tags tell commands apart.
const MOST: usize = 64;

/// Maximum number of bytes of answers that wait for their turn where tags tell commands apart, and one answer more: a tag may be long.
const MOST_BYTES: usize = 64 * 1024;

/// What marks our own words for people.
const MARK: &[u8] = b"[imapscope]";

/// What is ours to say.
#[derive(Debug, Default)]
pub(super) struct Own {
    /// The command that is being taken away, as far as it tells what follows it.
    pub taken: Option<Box<InFlight>>,
    /// The answer that it will have, with its frame once that has one.
    open: Option<Box<(u64, Answer)>>,
    /// What most connections never have.
    rare: Option<Box<Rare>>,
    /// So many answers wait among the commands in flight.
    waiting: usize,
    /// There was a line of ours to the server.
    inserted: bool,
    /// What the client was offered last, as far as there is room; `None` before the first list.
    pub offered: Option<Vec<Box<str>>>,
    /// The longest literal that the client may send without waiting: as the server offered it, and the client got to know.
    pub at_once: u32,
}

/// What most connections never have.
#[derive(Debug, Default)]
struct Rare {
    /// Answers that are due, with their frames, where tags tell them apart.
    due: VecDeque<(u64, Answer)>,
    /// What the client may still say of a command that was taken away, before it learns of that.
    trail: Option<Trail>,
    /// The capabilities of which was reported that a rule cannot take them away, as others imply them.
    implied: Vec<Box<str>>,
}

impl Own {
    /// True if an answer is due where tags tell them apart.
    fn is_due(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.due.is_empty())
    }

    /// The capabilities of which was reported that others imply them.
    pub fn implied(&self) -> &[Box<str>] {
        self.rare.as_ref().map_or(&[], |rare| &rare.implied)
    }

    /// It was reported that this capability is implied.
    pub fn told_implied(&mut self, name: Box<str>) {
        self.rare.get_or_insert_default().implied.push(name);
    }
}

/// Lines that belong to a command which the server did not get. It must not get them either: it would take them for commands,
/// and a response of SASL holds credentials.
#[derive(Debug)]
enum Trail {
    /// This many DONEs, after IDLE.
    Done(u32),
    /// Responses, after a login; with the rule that refused it, if it was answered.
    Responses(Option<Arc<str>>),
}

impl Session {
    /// What becomes of a client's text that belongs to a command which was taken away; `None` if it does not belong to one.
    pub(super) fn trailing(&mut self, text: &[u8], reading: &Reading) -> Option<Plan> {
        let known = |verb: &[u8]| self.grammar.commands.exact(verb).is_some();
        let response = match reading.kind {
            Kind::Command { tag, verb, arguments } => tag.is_empty() && arguments.is_empty() && !known(verb.of(text)),
            Kind::Unknown | Kind::Blank => true,
            _ => false,
        };
        match (self.own.rare.as_mut().and_then(|rare| rare.trail.as_mut()), reading.kind) {
            (Some(Trail::Done(left @ 1..)), Kind::Done) if self.dialogue.idle().is_none() => {
                *left -= 1;
                Some(Plan::of(Fate::Dropped, None))
            }
            (Some(Trail::Responses(rule)), _) if response && is_response(wire::body(text)) => {
                let rule = rule.clone();
                let answered = rule.filter(|rule| self.promise(text, reading, None, Arc::clone(rule)).is_ok());
                let fate = if answered.is_some() { Fate::Refused } else { Fate::Dropped };
                Some(Plan::of(fate, answered))
            }
            _ => None,
        }
    }

    /// A command goes on to the server: the client has gone on to something else.
    pub(super) fn leave_trail(&mut self) {
        if let Some(rare) = &mut self.own.rare {
            rare.trail = None;
        }
    }

    /// True if there may be something of ours to say, now that this lane has moved.
    pub(super) fn has_own(&self, from: Peer) -> bool {
        let own = &self.own;
        own.open.is_some() || own.waiting > 0 || own.is_due() || !self.lanes[from.index()].after.is_empty()
    }

    /// Says what is due. `line`: the lane is between two texts.
    pub(super) fn say_own(&mut self, from: Peer, line: bool, out: &mut Outbox) {
        let lane = &mut self.lanes[from.index()];
        let over = lane.frame.is_none() && lane.block.is_none();
        if from == Peer::Client
            && over
            && let Some((frame, answer)) = self.own.open.take().map(|open| *open)
        {
            if self.grammar.form == Form::Imap {
                self.own.rare.get_or_insert_default().due.push_back((frame, answer));
            } else {
                self.dialogue.due(frame);
            }
        }
        if line && !self.lanes[from.index()].after.is_empty() && self.is_between(from) {
            for Insertion { rule, line, .. } in std::mem::take(&mut self.lane(from).after) {
                self.utter(from, &line, rule, None, out);
            }
        }
        self.answer_own(out);
    }

    /// Gives the answers that are due.
    fn answer_own(&mut self, out: &mut Outbox) {
        loop {
            let server = &self.lanes[Peer::Server.index()];
            let amid =
                server.frame.is_some() || server.block.is_some() || server.gone > 0 || server.finished || server.due;
            if amid || self.state == State::Greeting || self.waits(Peer::Server) {
                return;
            }
            let next = match self.dialogue.take_due() {
                Some(InFlight { frame, ours: Some(answer), .. }) => {
                    self.own.waiting = self.own.waiting.saturating_sub(1);
                    Some((frame, *answer))
                }
                _ => self.own.rare.as_mut().and_then(|rare| rare.due.pop_front()),
            };
            let Some((frame, Answer { rule, line, .. })) = next else { return };
            self.utter(Peer::Server, &line, rule, Some(frame), out);
        }
    }

    /// Says a line in the place of a peer, and reports it. It pairs with nothing but what it answers.
    fn utter(&mut self, from: Peer, line: &[u8], rule: Arc<str>, answers: Option<u64>, out: &mut Outbox) {
        self.send_on(from, line, out);
        self.frames += 1;
        let frame = self.frames;
        let reading = wire::read(self.grammar.form, from, line);
        let mut secrets = Vec::new();
        if let Kind::Command { tag, verb, arguments } = reading.kind {
            let known = self.grammar.command(verb.of(line));
            let hides: Mask = known.and_then(|command| command.secret).into();
            let (start, end) = (arguments.start as usize, arguments.end as usize);
            secrets = mask(line, start, end, hides, false, false).spans;
            if self.replies && from == Peer::Client {
                let command = InFlight { inserted: true, ..self.in_flight(frame, line, [tag, verb, arguments], known) };
                self.own.inserted = true;
                if self.grammar.form == Form::Imap {
                    self.dialogue.sent(command);
                } else {
                    self.dialogue.queued(command);
                }
            }
        }
        let edit = Some(Box::new(Edited { made: Some(rule), ..Edited::default() }));
        let oddities = vec![Oddity::Ours];
        let bytes = out.keep(line);
        let text = Text { edit, answers, secrets, oddities, ..Text::bare(frame, bytes, self.state, reading) };
        out.report(from, What::Text(text));
    }

    /// Puts a line before a text that has come and is not sent yet, or has it wait for the end of what that belongs to.
    ///
    /// # Errors
    /// Why it cannot stand there.
    pub(super) fn insert(&mut self, from: Peer, line: Insertion, out: &mut Outbox) -> Result<(), &'static str> {
        let form = self.grammar.form;
        let gather = match (from, form) {
            (Peer::Server, Form::Codes) => Gather::Codes,
            (Peer::Server, Form::Managesieve) => Gather::Response,
            _ => Gather::One,
        };
        let reading = wire::read(form, from, &line.line);
        if !gather.holds(&line.line) || reading.literal.is_some() {
            return Err("its line is no complete text of this protocol");
        }
        if let Kind::Command { verb, .. } = reading.kind
            && !matches!(self.then(verb.of(&line.line)), None | Some(Then::ServerDot | Then::ServerLines))
        {
            return Err("more must follow such a command, and none would say it");
        }
        if self.replies && from == Peer::Client && !self.dialogue.has_room() {
            return Err("too many commands wait for their replies");
        }
        if !line.before {
            let after = &mut self.lane(from).after;
            if after.len() == MOST {
                return Err("too many lines wait for the end of this already");
            }
            after.push(line);
            return Ok(());
        }
        if !self.is_between(from) {
            return Err("the client is in the middle of something, in which no line can stand");
        }
        self.utter(from, &line.line, line.rule, None, out);
        Ok(())
    }

    /// True if a line of ours can stand where a lane is now.
    fn is_between(&self, from: Peer) -> bool {
        let lane = &self.lanes[from.index()];
        let busy =
            lane.frame.is_some() || lane.block.is_some() || lane.wait.is_some() || lane.sasl.is_some() || lane.due;
        let sealed = lane.deflate.as_deref().is_some_and(Deflate::is_sealed);
        let idles = from == Peer::Client && self.dialogue.idle().is_some();
        !sealed && !busy && !idles && !self.waits(from)
    }

    /// True for a reply to a line of ours: it is not for the client.
    pub(super) fn answers_us(&self, from: Peer, text: &[u8], reading: &Reading) -> bool {
        if from == Peer::Client || !self.own.inserted {
            return false;
        }
        let command = match reading.kind {
            Kind::Reply { tag, .. } if !tag.is_empty() => self.dialogue.tagged(tag.of(text)),
            Kind::Reply { .. } | Kind::GoAhead { .. } => self.asked(),
            _ => None,
        };
        command.is_some_and(|command| command.inserted)
    }

    /// Makes the answer to a command that is to be refused.
    ///
    /// # Errors
    /// Why it cannot be answered by us.
    pub(super) fn promise(
        &mut self,
        text: &[u8],
        reading: &Reading,
        reply: Option<&[u8]>,
        rule: Arc<str>,
    ) -> Result<(), &'static str> {
        let Kind::Command { tag, .. } = reading.kind else { return Err("it is no command") };
        let tag = tag.of(text);
        if self.grammar.form == Form::Imap && tag.is_empty() {
            return Err("it has no tag that an answer could have");
        }
        if self.is_crowded() {
            return Err("too many commands wait for their replies");
        }
        let line = self.refusal(tag, reply).ok_or("its reply is none of this protocol")?;
        self.own.open = Some(Box::new((0, Answer { rule, line: line.into(), due: false })));
        Ok(())
    }

    /// True if no further command could be answered by us.
    fn is_crowded(&self) -> bool {
        let due = self.own.rare.as_ref().map(|rare| &rare.due);
        let bytes = |due: &VecDeque<(u64, Answer)>| due.iter().map(|(_, answer)| answer.line.len()).sum::<usize>();
        !self.dialogue.has_room() || due.is_some_and(|due| due.len() >= MOST || bytes(due) >= MOST_BYTES)
    }

    /// True if the client's next command has to wait until others are answered, as a rule may have to answer it, too. Only
    /// between two commands: what belongs to one that was taken goes on. A server that says no more makes no room.
    pub(super) fn is_full(&self) -> bool {
        let [client, server] = &self.lanes;
        let between =
            client.frame.is_none() && client.block.is_none() && client.wait.is_none() && client.sasl.is_none();
        between && !server.finished && self.is_crowded()
    }

    /// The line with which a command is refused; `None` if it is no reply here.
    fn refusal(&self, tag: &[u8], reply: Option<&[u8]>) -> Option<Vec<u8>> {
        let form = self.grammar.form;
        let strict = self.grammar.begins == State::Connected;
        let words: &[u8] = match (reply, form) {
            (Some(reply), _) => reply,
            (None, Form::Imap) => b"BAD command unknown",
            (None, Form::Codes) if strict => b"502 5.5.1 command not implemented",
            (None, Form::Codes) => b"500 command unknown",
            (None, Form::Pop3) => b"-ERR command unknown",
            (None, Form::Managesieve) => b"NO \"command unknown\"",
            (None, Form::Line) => return None,
        };
        let mut line = tag.to_vec();
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(words);
        if form == Form::Managesieve && !words.ends_with(b"\"") {
            // Its text is a string, and its code stands before that (RFC 5804 section 1.2).
            let status = words.iter().position(|&b| b == b' ').unwrap_or(words.len());
            let code = words[status..].starts_with(b" (").then(|| words.iter().position(|&b| b == b')')).flatten();
            let head = code.map_or(status, |end| end + 1);
            line.truncate(head);
            line.extend_from_slice(b" \"");
            line.extend(words[head..].trim_ascii_start().iter().filter(|b| !b"\"\\".contains(b)));
            line.push(b'"');
        }
        if !words.windows(MARK.len()).any(|window| window == MARK) {
            let quote = form == Form::Managesieve && line.pop_if(|last| *last == b'"').is_some();
            if !line.ends_with(b"\"") && !line.ends_with(b" ") {
                line.push(b' ');
            }
            line.extend_from_slice(MARK);
            line.extend(quote.then_some(b'"'));
        }
        line.extend_from_slice(b"\r\n");
        let reading = wire::read(form, Peer::Server, &line);
        let reply = matches!(reading.kind, Kind::Reply { .. }) && reading.literal.is_none();
        let gather = if form == Form::Codes { Gather::Codes } else { Gather::One };
        (reply && gather.holds(&line)).then_some(line)
    }

    /// A command does not go to the server: what would follow it is remembered, and its place among those that wait, if it is
    /// ours to answer.
    pub(super) fn take_away(&mut self, command: InFlight) {
        let frame = command.frame;
        let trail = self.own.rare.as_mut().and_then(|rare| rare.trail.take());
        let trail = match (command.then, trail) {
            (Some(Then::Idle), Some(Trail::Done(left))) => Some(Trail::Done(left.saturating_add(1))),
            (Some(Then::Idle), _) => Some(Trail::Done(1)),
            (Some(Then::Sasl), _) => {
                Some(Trail::Responses(self.own.open.as_ref().map(|open| Arc::clone(&open.1.rule))))
            }
            // What looks like a command may be a response all the same.
            (None, Some(Trail::Responses(rule))) => Some(Trail::Responses(rule)),
            _ => None,
        };
        if trail.is_some() {
            self.own.rare.get_or_insert_default().trail = trail;
        }
        if self.lanes[Peer::Client.index()].fate == Fate::Refused
            && let Some((open, answer)) = self.own.open.as_deref_mut()
        {
            *open = frame;
            if self.grammar.form != Form::Imap {
                let rule = Arc::clone(&answer.rule);
                let ours = Answer { rule, line: std::mem::take(&mut answer.line), due: false };
                let in_turn = InFlight { ours: Some(Box::new(ours)), ..InFlight::new(frame, b"", b"", None) };
                self.dialogue.queued(in_turn);
                self.own.waiting += 1;
            }
        }
        self.own.taken = Some(Box::new(command));
    }
}

/// True for what can be a response of SASL: base64, or a lone `*` (RFC 4422 section 3.5).
fn is_response(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\"").and_then(|line| line.strip_suffix(b"\"")).unwrap_or(line);
    let letters = line.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b));
    line == b"*" || line == b"=" || letters && line.len().is_multiple_of(4)
}
