//! What the rules do to a text: they look at it in the light of the session, and what they make of it is sent in its place,
//! or it is taken away. What cannot be done here and now is told.

use std::sync::Arc;

use super::dialogue::InFlight;
use super::enforce::Refused;
use super::lane::Fate;
use super::secret::Masked;
use super::{Outbox, Session};
use crate::event::{Edited, Form, Kind, Peer, Reading};
use crate::exchange::command::{MAX_VERB, spell};
use crate::exchange::is_untagged;
use crate::grammar::Then;
use crate::rules::{self, Scene};
use crate::wire;

/// Why a rule is not applied to what left before it could be read.
const LATE: &str = "its first octets were already on their way when the rest could be read";

/// Why a fault is not applied where another one ends the direction before the text.
const MISSED: &str = "another rule lets nothing leave before";

/// A rule, and what it does to the connection.
pub(super) type Struck = (Arc<str>, rules::Fault);

/// The faults of a text that can happen, and the rules of those that come after one that ends everything before the text.
fn until_the_last(mut faults: Vec<Struck>) -> (Vec<Struck>, Vec<Arc<str>>) {
    let ends = |(_, fault): &Struck| fault.at_byte.is_none() && fault.what.is_last();
    let Some(last) = faults.iter().position(ends) else { return (faults, Vec::new()) };
    let mut missed: Vec<Arc<str>> = faults.drain(last + 1..).map(|(rule, _)| rule).collect();
    faults.retain(|(rule, fault)| {
        let before = fault.at_byte.is_none();
        if !before {
            missed.push(Arc::clone(rule));
        }
        before
    });
    (faults, missed)
}

/// What becomes of a text.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What becomes of it as a whole.
    pub fate: Fate,
    edited: Option<Box<Edited>>,
    bytes: Option<Vec<u8>>,
}

impl Plan {
    /// A text that is taken away because it belongs to another one, by the rule that answers it.
    pub fn of(fate: Fate, rule: Option<Arc<str>>) -> Self {
        let edited = rule.map(|rule| Box::new(Edited { fired: vec![rule], ..Edited::default() }));
        Plan { fate, edited, bytes: None }
    }

    /// True if no rule does anything.
    pub fn is_nothing(&self) -> bool {
        self.fate == Fate::Sent && self.edited.is_none() && self.bytes.is_none()
    }

    /// What is reported of it, with what is sent in its place. `text`: the text and its reading.
    pub fn edited(
        self,
        session: &Session,
        (text, reading): (&[u8], &Reading),
        masked: &Masked,
        out: &mut Outbox,
    ) -> Option<Box<Edited>> {
        let mut edited = self.edited?;
        let bytes = self
            .bytes
            .as_deref()
            .filter(|_| (!edited.fired.is_empty() || !edited.would.is_empty()) && self.fate == Fate::Sent);
        if let Some(bytes) = bytes {
            edited.bytes = out.keep(bytes);
            edited.secrets = session.secrets_of_edit(text, reading, masked, bytes);
        }
        edited.answered = self.fate == Fate::Refused;
        Some(edited)
    }
}

impl Session {
    /// Lets the rules have a look, and says what is ours to say before the text. What they would do to one that is on its
    /// way already is refused, and does not count.
    pub(super) fn ask(
        &mut self,
        from: Peer,
        text: &[u8],
        reading: &Reading,
        [first, late]: [bool; 2],
        out: &mut Outbox,
    ) -> Plan {
        if self.rules.is_dry() {
            return self.suppose(from, text, reading, first);
        }
        let lane = &self.lanes[from.index()];
        if !lane.edit || lane.due || lane.over {
            return Plan::default();
        }
        let (edit, enforced) = self.judged(from, text, reading, first, late);
        let Some(edit) = edit.or_else(|| enforced.is_some().then(rules::Edit::default)) else {
            return Plan::default();
        };
        let rules::Edit { bytes, mut fired, varied, mut refused, dropped, mut answer, inserted, faults } = edit;
        if let Some((rule, reply)) = enforced.filter(|_| !dropped && answer.is_none()) {
            fired.push(rule);
            answer = Some(reply.map(|reply| Arc::from(reply.as_bytes())));
        }
        let mut fate = match (dropped, &answer) {
            (false, None) => Fate::Sent,
            (true, _) => Fate::Dropped,
            (false, Some(_)) => Fate::Refused,
        };
        let why = match (late, &answer) {
            (true, _) => Some(LATE),
            (false, Some(reply)) => {
                let rule = fired.last().cloned().unwrap_or_else(|| Arc::from(""));
                self.promise(text, reading, reply.as_deref(), rule).err()
            }
            (false, None) if dropped && self.leads_to_a_layer(from, text, reading) => {
                Some("a layer begins behind it, which its receiver must know of")
            }
            _ => None,
        };
        if let Some(why) = why {
            let whole = fate == Fate::Sent || late;
            let from = if whole { 0 } else { fired.len().saturating_sub(1) };
            refused.extend(fired.drain(from..).map(|rule| (rule, why.to_owned())));
            fate = Fate::Sent;
            if !whole {
                // What was changed before it went is not sent in pieces.
                refused
                    .extend(fired.drain(..).map(|rule| (rule, "it was to be taken away by another rule".to_owned())));
            }
        }
        for line in inserted {
            let rule = Arc::clone(&line.rule);
            let put = if late { Err(LATE) } else { self.insert(from, line, out) };
            refused.extend(put.err().map(|why| (rule, why.to_owned())));
        }
        let mut edited = Edited { fired, varied, refused, ..Edited::default() };
        // Nothing happens to what is not sent.
        if fate != Fate::Sent {
            faults.iter().for_each(|(_, fault)| self.progress.forget(fault.response));
        } else {
            if late {
                edited.refused.extend(faults.into_iter().map(|(rule, _)| (rule, LATE.to_owned())));
            } else if !faults.is_empty() {
                let (faults, missed) = until_the_last(faults);
                edited.refused.extend(missed.into_iter().map(|rule| (rule, MISSED.to_owned())));
                edited.faults = faults.iter().map(|(rule, fault)| (Arc::clone(rule), fault.told())).collect();
                self.lane(from).struck = faults;
            }
        }
        let nothing = edited.fired.is_empty() && edited.refused.is_empty() && edited.faults.is_empty();
        Plan { fate, edited: (!nothing).then(|| Box::new(edited)), bytes }
    }

    /// What the rules would do to a text.
    fn suppose(&mut self, from: Peer, text: &[u8], reading: &Reading, first: bool) -> Plan {
        let (edit, enforced) = self.judged(from, text, reading, first, false);
        let edit = edit.unwrap_or_default();
        let gone = edit.dropped || edit.answer.is_some();
        let last = edit.fired.len().saturating_sub(1);
        let mut would: Vec<(Arc<str>, &'static str)> = Vec::new();
        for (nth, rule) in edit.fired.into_iter().enumerate() {
            let what = match (nth == last, edit.dropped, edit.answer.is_some()) {
                (true, true, _) => "drop this",
                (true, false, true) => "refuse this",
                _ if edit.varied.iter().any(|(varies, _)| *varies == rule) => "vary this",
                _ => "change this",
            };
            would.push((rule, what));
        }
        would.extend(enforced.filter(|_| !gone).map(|(rule, _)| (rule, "refuse this")));
        would.extend(edit.inserted.into_iter().map(|line| (line.rule, "insert a line here")));
        would.extend(edit.faults.into_iter().filter(|_| !gone).map(|(rule, _)| (rule, "disturb the connection here")));
        let nothing = would.is_empty() && edit.refused.is_empty();
        let would = would.into_iter().map(|(rule, what)| (rule, what.into())).collect();
        let edited = Edited { would, refused: edit.refused, ..Edited::default() };
        let bytes = edit.bytes.filter(|_| !gone);
        Plan { fate: Fate::Sent, edited: (!nothing).then(|| Box::new(edited)), bytes }
    }

    /// True if a rule would act on a text of which this is the beginning. It is on its way, and there is no telling what the rule
    /// would say of the rest, so that it is not applied.
    pub(super) fn would_rule(&mut self, from: Peer, head: &[u8], reading: &Reading) -> bool {
        let lane = &self.lanes[from.index()];
        if !(lane.edit || self.rules.is_dry()) || lane.due {
            return false;
        }
        let first = lane.frame.is_none();
        if first {
            // It may end with a literal.
            self.lane(from).verb = self.command_of(from, head, reading).0;
        }
        self.judged(from, head, reading, first, true).0.is_some()
    }

    /// What the rules make of a text, and which of them refuses it for a capability that it takes away. What they would have
    /// done to one that comes too late does not count.
    fn judged(
        &mut self,
        from: Peer,
        text: &[u8],
        reading: &Reading,
        first: bool,
        late: bool,
    ) -> (Option<rules::Edit>, Option<Refused>) {
        let (command, exchange) = self.command_of(from, text, reading);
        let (form, gather) = (self.grammar.form, self.gather(from));
        let mut progress = if late { self.progress.clone() } else { std::mem::take(&mut self.progress) };
        let scene = Scene {
            from,
            text,
            form,
            reading,
            read: &|text| gather.holds(text).then(|| wire::reread(form, from, reading, text)),
            first,
            state: self.state,
            tls: self.tls.legs,
            protocol: &self.grammar.name,
            connection: self.connection,
            command: &command,
            exchange,
            client: &self.client,
            user: &self.user,
            route: self.route.as_deref(),
            at_once: self.own.at_once,
        };
        let mut edit = self.rules.edit(&scene, &mut progress);
        let enforced = if late { None } else { self.enforced(&scene) };
        let implied = self.implied(&scene, edit.as_ref().and_then(|edit| edit.bytes.as_deref()));
        for (rule, name, why) in implied {
            self.own.told_implied(name);
            edit.get_or_insert_default().refused.push((rule, why));
        }
        if !late {
            self.progress = progress;
        }
        (edit, enforced)
    }

    /// The verb of the command that a text is, answers or belongs to, as [`crate::exchange`] has it from events, and for the
    /// first text of a response the frame of that command. Empty if there is none. A continuation request is a response of its own.
    fn command_of(&mut self, from: Peer, text: &[u8], reading: &Reading) -> (Box<str>, Option<u64>) {
        let lane = &self.lanes[from.index()];
        if lane.frame.is_some() {
            return (lane.verb.clone(), None);
        }
        let (verb, exchange) = match reading.kind {
            Kind::Command { verb, .. } => (spell(verb.of(text), &mut [0; MAX_VERB]).unwrap_or_default().into(), None),
            kind => match self.exchange_of(from, text, kind) {
                Some(command) => {
                    let lines = from == Peer::Server && !matches!(kind, Kind::GoAhead { .. });
                    (command.verb.clone(), lines.then_some(command.frame))
                }
                None => Default::default(),
            },
        };
        if reading.literal.is_some() {
            // What goes on after it belongs to the same one, which may be answered by then.
            self.lane(from).verb.clone_from(&verb);
        }
        (verb, exchange)
    }

    /// The command that a text other than a command answers or belongs to.
    fn exchange_of(&self, from: Peer, text: &[u8], kind: Kind) -> Option<&InFlight> {
        let form = self.grammar.form;
        match (kind, from) {
            (Kind::Done, Peer::Client) => self.dialogue.command(self.dialogue.idle()?),
            (Kind::Sasl | Kind::Cancel, Peer::Client) => self.dialogue.oldest_with(Then::Sasl),
            (_, Peer::Client) => None,
            (Kind::Reply { tag, .. }, _) if !tag.is_empty() => self.dialogue.tagged(tag.of(text)),
            (Kind::GoAhead { .. }, _) if form == Form::Imap => self.dialogue.command(self.dialogue.next_to_go_ahead()?),
            (Kind::Reply { .. } | Kind::GoAhead { .. }, _) if form != Form::Imap => self.asked(),
            _ if is_untagged(form, kind, self.state) => self.dialogue.oldest().filter(|command| command.ours.is_none()),
            _ => None,
        }
    }

    /// True for a reply behind which a layer begins.
    fn leads_to_a_layer(&self, from: Peer, text: &[u8], reading: &Reading) -> bool {
        let Kind::Reply { tag, .. } = reading.kind else { return false };
        let command = if tag.is_empty() { self.asked() } else { self.dialogue.tagged(tag.of(text)) };
        from == Peer::Server
            && command.is_some_and(|it| matches!(it.then, Some(Then::Tls | Then::Deflate | Then::Reset)))
    }
}
