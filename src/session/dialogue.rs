//! Who waits for what: the commands in flight, and the continuation requests that they wait for. Bounded, whatever
//! the peers send; what falls out is answered without a pairing, never wrongly paired.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{Ask, State};
use crate::exchange::command::{MAX_VERB, spell};
use crate::grammar::Then;

/// Commands in flight that are kept where tags tell them apart, which have to be searched for; a peer that exceeds it loses
/// the pairing of its oldest ones.
const MAX_TAGGED: usize = 1024;
/// The same where replies come in the order of commands; the pairing of those that come later is lost, and of no others.
pub const MAX_IN_FLIGHT: usize = 4096;
/// Octets of a tag that are kept. Two longer tags of equal length and beginning are taken for the same.
pub const MAX_TAG: usize = 128;

/// A command that was not answered yet.
#[derive(Debug, Default)]
pub struct InFlight {
    /// Its frame.
    pub frame: u64,
    pub(super) tag: Box<[u8]>,
    pub(super) tag_len: usize,
    /// Its verb, for rules, as [`spell`] has it; empty for what cannot be one.
    pub verb: Box<str>,
    /// What follows it on the wire.
    pub then: Option<Then>,
    /// For AUTHENTICATE: the mechanism may put a security layer under the session.
    pub layer: bool,
    /// Its reply lists what the server offers.
    pub lists: bool,
    /// That list goes on to a line that is a dot.
    pub dotted: bool,
    /// So many octets of the client's follow it at once.
    pub octets: Option<u64>,
    /// Number of line ends among those that came.
    pub(super) lines: u32,
    /// Its message, or the last chunk of it, has begun, so that its verdict is one on the message.
    pub sent: bool,
    /// There will be a reply for each recipient.
    pub each: bool,
    /// It may have no reply of its own: it was sent within IDLE, or may be no command.
    pub doubtful: bool,
    /// It was said by us, not by the client.
    pub inserted: bool,
    /// The server has not got it: it is ours to answer.
    pub ours: Option<Box<Answer>>,
    /// The state after success.
    pub on_ok: Option<State>,
    /// The state after failure.
    pub on_no: Option<State>,
    /// How many replies are still to come; 0 while that is not known.
    pub(super) left: u32,
}

/// What we answer a command that the server has not got.
#[derive(Debug)]
pub struct Answer {
    /// The rule that has refused it.
    pub rule: Arc<str>,
    /// With its line end.
    pub line: Box<[u8]>,
    /// All of the command has come, so that it can be said.
    pub due: bool,
}

impl InFlight {
    /// A command that was just sent.
    pub fn new(frame: u64, tag: &[u8], verb: &[u8], then: Option<Then>) -> Self {
        let (tag_len, tag) = (tag.len(), tag[..tag.len().min(MAX_TAG)].into());
        let verb = spell(verb, &mut [0; MAX_VERB]).unwrap_or_default().into();
        InFlight { frame, tag, tag_len, verb, then, ..InFlight::default() }
    }

    fn has_tag(&self, tag: &[u8]) -> bool {
        self.tag_len == tag.len() && *self.tag == tag[..tag.len().min(MAX_TAG)]
    }
}

/// The state of the conversation.
#[derive(Debug, Default)]
pub struct Dialogue {
    /// In the order of their frames.
    in_flight: VecDeque<InFlight>,
    wants: VecDeque<(u64, Ask)>,
    /// The IDLE commands that the client has not ended.
    idles: VecDeque<u64>,
    /// The commands with a `{n+}` literal, which some servers answer with a continuation request.
    non_sync: VecDeque<u64>,
    /// Recipients that the server has accepted for the message to come.
    recipients: u32,
    /// Empty lines of the client's since its last command, each of which a server may refuse.
    blanks: u32,
    /// The frame of the first of them.
    blank: u64,
    /// Number of replies that may still come and answer no command: to lines that are none, or to commands that are not kept.
    spare: u16,
    /// A command that a continuation request may belong to is not kept.
    lost: bool,
    /// How often the server ended IDLE by itself, while the client's DONE may have been on its way.
    late: u8,
    /// There was a reply too many, and none since that fits a command.
    astray: bool,
    /// So many commands wait for their replies behind those that are kept; the last of them is kept too.
    beyond: u64,
    latest: Option<Box<InFlight>>,
}

impl Dialogue {
    /// A command was sent whose reply comes in its turn. False if it is the first that is not kept.
    pub fn queued(&mut self, command: InFlight) -> bool {
        if self.beyond == 0 && self.in_flight.len() < MAX_IN_FLIGHT {
            self.in_flight.push_back(command);
            return true;
        }
        self.beyond += 1;
        if let Some(before) = self.latest.replace(Box::new(command)) {
            self.forget(before.frame);
        }
        self.beyond > 1
    }

    /// True if a further command would be kept, and one more.
    pub fn has_room(&self) -> bool {
        self.beyond == 0 && self.in_flight.len() + 1 < MAX_IN_FLIGHT
    }

    /// The command of this frame is complete: its answer, which is ours, is due.
    pub fn due(&mut self, frame: u64) {
        if let Some(at) = self.find(frame)
            && let Some(answer) = &mut self.in_flight[at].ours
        {
            answer.due = true;
        }
    }

    /// The oldest command, if it is ours to answer and that is due.
    pub fn take_due(&mut self) -> Option<InFlight> {
        let due = |command: &InFlight| command.ours.as_ref().is_some_and(|answer| answer.due);
        let frame = self.in_flight.front().filter(|command| due(command))?.frame;
        self.answered(frame)
    }

    /// True if a command that is not kept has its reply now.
    pub fn beyond(&mut self) -> bool {
        let waits = self.in_flight.is_empty() && self.beyond > 0;
        if waits {
            self.beyond -= 1;
            self.catch_up();
        }
        waits
    }

    /// Once all before it are answered, the last command that was sent takes its place again.
    fn catch_up(&mut self) {
        if self.in_flight.is_empty() && self.beyond == 1 {
            self.beyond = 0;
            self.in_flight.extend(self.latest.take().map(|latest| *latest));
        }
    }

    /// A command was sent that its tag finds again, or the first part of one.
    pub fn sent(&mut self, mut command: InFlight) {
        command.doubtful |= !self.idles.is_empty();
        if self.in_flight.len() == MAX_TAGGED
            && let Some(lost) = self.in_flight.pop_front()
        {
            self.forget(lost.frame);
            self.lost = true;
            self.spare(1);
        }
        if command.then == Some(Then::Idle) {
            self.idles.push_back(command.frame);
        }
        self.blanks = 0;
        if self.in_flight.capacity() == 0 {
            // Most clients wait for the answer before they send the next.
            self.in_flight.reserve_exact(1);
        }
        self.in_flight.push_back(command);
    }

    /// The client sent something that is no command, and to which this many replies may come.
    pub fn spare(&mut self, replies: u16) {
        self.spare = self.spare.saturating_add(replies);
    }

    /// A reply came that answers nothing. True if it may be one to something that is no command.
    pub fn excuse(&mut self) -> bool {
        let was = self.spare;
        self.spare = was.saturating_sub(1);
        was > 0
    }

    /// True if a command was in flight that is not kept any more.
    pub const fn has_lost(&self) -> bool {
        self.lost
    }

    /// A DONE came outside IDLE. True if the server had ended an IDLE by itself, so that the client could not know.
    pub fn done_too_late(&mut self) -> bool {
        let was = self.late;
        self.late = was.saturating_sub(1);
        was > 0
    }

    /// The client sent empty lines, the last of them in this frame.
    pub fn blank(&mut self, lines: u64, frame: u64) {
        if self.blanks == 0 {
            self.blank = frame;
        }
        self.blanks = self.blanks.saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
    }

    /// A refusal came that no command waits for. True if it may be that of an empty line.
    pub fn blank_refused(&mut self) -> bool {
        let was = self.blanks;
        self.blanks = was.saturating_sub(1);
        was > 0
    }

    /// Maximum number of replies that are still to come, if each command that waits has one, and each empty line.
    pub fn due_replies(&self) -> u32 {
        u32::try_from(self.in_flight.len()).unwrap_or(u32::MAX).saturating_add(self.blanks)
    }

    /// Lines have passed that belong to a command whose bytes follow it at once. Returns false if it does not wait.
    pub fn lines(&mut self, frame: u64, lines: u32) -> bool {
        let Some(at) = self.find(frame) else { return false };
        let command = &mut self.in_flight[at];
        command.lines = command.lines.saturating_add(lines);
        true
    }

    /// A reply came that the command of this frame waits for. Returns true if it may be that of an empty line before it, being
    /// a refusal of what is no command.
    pub const fn blank_before(&mut self, frame: u64, unknown: bool) -> bool {
        let before = self.blanks > 0 && self.blank < frame;
        if before && !unknown {
            // Those before it had theirs, or get none.
            self.blanks = 0;
        }
        before && unknown
    }

    /// A command announced a literal whose octets follow at once.
    pub fn announced(&mut self, frame: u64) {
        if self.non_sync.back() != Some(&frame) && self.find(frame).is_some() {
            self.non_sync.push_back(frame);
        }
    }

    fn find(&self, frame: u64) -> Option<usize> {
        self.in_flight.binary_search_by_key(&frame, |command| command.frame).ok()
    }

    /// The command of this frame, if it is in flight.
    pub fn command(&self, frame: u64) -> Option<&InFlight> {
        let latest = || self.latest.as_deref().filter(|latest| latest.frame == frame);
        self.find(frame).map(|at| &self.in_flight[at]).or_else(latest)
    }

    /// The oldest command in flight, which untagged data most likely belongs to.
    pub fn oldest(&self) -> Option<&InFlight> {
        self.in_flight.front()
    }

    /// The oldest command in flight that is sure to have a reply of its own: one within IDLE may be taken for a wrong DONE.
    pub fn oldest_due(&self) -> Option<&InFlight> {
        self.in_flight.iter().find(|command| !command.doubtful)
    }

    /// Number of commands that wait after the oldest one.
    pub fn behind_oldest(&self) -> u64 {
        (self.in_flight.len() as u64).saturating_sub(1).saturating_add(self.beyond)
    }

    /// The last command that was sent, of those that are kept.
    pub fn newest(&self) -> Option<u64> {
        self.latest.as_deref().or_else(|| self.in_flight.back()).map(|command| command.frame)
    }

    /// What this command waits for, if nothing was asked for before it.
    pub fn asks(&self, frame: u64) -> Option<Ask> {
        self.wants.front().filter(|(wanting, _)| *wanting == frame).map(|(_, ask)| *ask)
    }

    /// The oldest command in flight that this may follow.
    pub fn oldest_with(&self, then: Then) -> Option<&InFlight> {
        self.in_flight.iter().find(|command| command.then == Some(then))
    }

    /// The oldest command in flight with this tag.
    pub fn tagged(&self, tag: &[u8]) -> Option<&InFlight> {
        self.in_flight.iter().find(|command| command.has_tag(tag))
    }

    /// The command with this frame has its tagged answer.
    pub fn answered(&mut self, frame: u64) -> Option<InFlight> {
        let at = self.find(frame)?;
        let waits = self.wants.iter().any(|(wanting, _)| *wanting == frame);
        if self.idles.contains(&frame) && !waits {
            self.late = self.late.saturating_add(1);
        }
        self.forget(frame);
        let command = self.in_flight.remove(at);
        self.catch_up();
        command
    }

    /// The oldest command has a reply. Gives the command if that was the last one. `unread`: the reply refuses the command
    /// itself, so that no recipient has one of its own.
    pub fn replied(&mut self, unread: bool) -> Option<InFlight> {
        self.astray = false;
        let oldest = self.in_flight.front_mut()?;
        oldest.sent &= !(unread && oldest.left == 0 && oldest.octets.is_some());
        if oldest.left == 0 {
            oldest.left = if oldest.each && oldest.sent { self.recipients.max(1) } else { 1 };
        }
        oldest.left -= 1;
        if oldest.left > 0 {
            return None;
        }
        let frame = oldest.frame;
        self.answered(frame)
    }

    /// The oldest command will have a reply for each recipient, and one more (353 of PRDR).
    pub fn replies_follow(&mut self) {
        let recipients = self.recipients;
        if let Some(oldest) = self.in_flight.front_mut() {
            oldest.left = recipients.saturating_add(1);
        }
    }

    /// A reply came that no command waits for. True if that is news.
    pub fn stray(&mut self) -> bool {
        !std::mem::replace(&mut self.astray, true)
    }

    /// The message of this command begins.
    pub fn begun(&mut self, frame: u64) {
        if let Some(at) = self.find(frame) {
            self.in_flight[at].sent = true;
        }
    }

    /// A recipient was accepted.
    pub fn accepted(&mut self) {
        self.recipients = self.recipients.saturating_add(1);
    }

    /// No recipient is accepted any more.
    pub fn start_over(&mut self) {
        self.recipients = 0;
    }

    /// What the oldest command waits for.
    pub fn wanted(&self) -> Option<Ask> {
        self.asks(self.oldest()?.frame)
    }

    /// A continuation request came that the oldest command does not wait for, and a later one does: those before it were
    /// answered in what is missing, or by what was taken for the replies to others.
    pub fn skip_to_wanted(&mut self) {
        let Some(&(frame, _)) = self.wants.front() else { return };
        while self.oldest().is_some_and(|oldest| oldest.frame < frame && oldest.ours.is_none()) {
            let oldest = self.in_flight.pop_front().map(|command| command.frame);
            oldest.into_iter().for_each(|frame| self.forget(frame));
        }
    }

    /// From now on this command waits for a continuation request.
    pub fn want(&mut self, frame: u64, want: Ask) {
        debug_assert!(self.wants.back().is_none_or(|(last, _)| *last <= frame), "a client asks in the order of frames");
        if self.wants.len() < MAX_IN_FLIGHT {
            self.wants.push_back((frame, want));
        }
    }

    /// A continuation request came: whom it answers, and what for. With nobody waiting it belongs to a running
    /// IDLE, or to a command whose `{n+}` the server takes for `{n}`.
    pub fn go_ahead(&mut self) -> Option<(u64, Option<Ask>)> {
        if let Some((frame, want)) = self.wants.pop_front() {
            return Some((frame, Some(want)));
        }
        self.idle().or_else(|| self.non_sync.pop_front()).map(|frame| (frame, None))
    }

    /// The frame that the next continuation request answers: see [`Dialogue::go_ahead`].
    pub fn next_to_go_ahead(&self) -> Option<u64> {
        let wants = self.wants.front().map(|(frame, _)| *frame);
        wants.or_else(|| self.idle()).or_else(|| self.non_sync.front().copied())
    }

    /// The frame of the IDLE that the client has not ended yet.
    pub fn idle(&self) -> Option<u64> {
        self.idles.front().copied()
    }

    /// The client has ended its IDLE.
    pub fn done(&mut self) {
        self.idles.pop_front();
    }

    fn forget(&mut self, frame: u64) {
        remove(&mut self.wants, frame, |(wanting, _)| *wanting);
        remove(&mut self.idles, frame, |idle| *idle);
        remove(&mut self.non_sync, frame, |asked| *asked);
    }
}

/// Takes out what belongs to a frame. The queues are in the order of their frames, as a client's commands are.
fn remove<T>(queue: &mut VecDeque<T>, frame: u64, of: impl Fn(&T) -> u64) {
    let from = queue.partition_point(|it| of(it) < frame);
    let to = queue.partition_point(|it| of(it) <= frame);
    queue.drain(from..to);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(frame: u64) -> InFlight {
        InFlight::new(frame, b"", b"NOOP", None)
    }

    #[test]
    fn what_is_too_much_is_answered_without_a_pairing_and_the_last_is_known_again() {
        let mut dialogue = Dialogue::default();
        let all = MAX_IN_FLIGHT as u64 + 10;
        let kept: Vec<bool> = (0..all).map(|frame| dialogue.queued(command(frame))).collect();
        assert_eq!(kept.iter().position(|kept| !kept), Some(MAX_IN_FLIGHT), "it is said of the first");
        assert_eq!(kept.iter().filter(|kept| !**kept).count(), 1, "and once");
        assert!(dialogue.command(all - 1).is_some(), "what follows the last can be read");
        for frame in 0..MAX_IN_FLIGHT as u64 {
            assert!(!dialogue.beyond());
            assert_eq!(dialogue.replied(false).map(|it| it.frame), Some(frame));
        }
        for _ in 0..9 {
            assert!(dialogue.oldest().is_none() && dialogue.beyond());
        }
        assert!(!dialogue.beyond());
        assert_eq!(dialogue.replied(false).map(|it| it.frame), Some(all - 1));
        assert!(dialogue.queued(command(all)) && dialogue.replied(false).is_some_and(|it| it.frame == all));
    }

    #[test]
    fn a_reply_for_each_recipient_counts_those_that_were_accepted() {
        let mut dialogue = Dialogue::default();
        dialogue.queued(InFlight { each: true, sent: true, ..command(1) });
        dialogue.accepted();
        dialogue.accepted();
        assert!(dialogue.replied(false).is_none() && dialogue.replied(false).is_some());
        dialogue.start_over();
        dialogue.queued(InFlight { each: true, sent: true, ..command(2) });
        assert!(dialogue.replied(false).is_some(), "without a recipient there is one");
        dialogue.queued(InFlight { sent: true, ..command(3) });
        dialogue.accepted();
        dialogue.replies_follow();
        assert!(
            dialogue.replied(false).is_none() && dialogue.replied(false).is_some(),
            "one each, and one over all (PRDR)"
        );
    }
}
