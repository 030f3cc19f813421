//! Who waits for what: the commands in flight, and the continuation requests that they wait for. Bounded, whatever
//! the peers send; what falls out is answered without a pairing, never wrongly paired.

use std::collections::VecDeque;

use crate::grammar::Then;

/// Commands in flight that are kept; a peer that exceeds it loses the pairing of its oldest ones.
const MAX_IN_FLIGHT: usize = 1024;
/// Octets of a tag that are kept. Two longer tags of equal length and beginning are taken for the same.
const MAX_TAG: usize = 128;

/// A command that was not answered yet.
#[derive(Debug)]
pub struct InFlight {
    /// Its frame.
    pub frame: u64,
    tag: Box<[u8]>,
    tag_len: usize,
    /// Its verb in upper case, for rules; cut at 32 octets.
    pub verb: Box<str>,
    /// What follows it on the wire.
    pub then: Option<Then>,
    /// It announced a `{n+}` literal, which some servers answer with a continuation request.
    pub non_sync: bool,
    /// For IDLE: the client has ended it.
    pub done: bool,
    /// For AUTHENTICATE: the mechanism may put a security layer under the session.
    pub layer: bool,
}

impl InFlight {
    /// A command that was just sent.
    pub fn new(frame: u64, tag: &[u8], verb: &[u8], then: Option<Then>) -> Self {
        let verb = String::from_utf8_lossy(&verb[..verb.len().min(32)]).to_ascii_uppercase();
        let (tag_len, tag) = (tag.len(), tag[..tag.len().min(MAX_TAG)].into());
        InFlight { frame, tag, tag_len, verb: verb.into(), then, non_sync: false, done: false, layer: false }
    }

    fn has_tag(&self, tag: &[u8]) -> bool {
        self.tag_len == tag.len() && *self.tag == tag[..tag.len().min(MAX_TAG)]
    }
}

/// What a continuation request is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// To send a literal.
    Literal,
    /// To send a SASL response.
    Sasl,
    /// To know that IDLE has begun.
    Idle,
}

/// The state of the conversation.
#[derive(Debug, Default)]
pub struct Dialogue {
    in_flight: VecDeque<InFlight>,
    wants: VecDeque<(u64, Want)>,
}

impl Dialogue {
    /// A command was sent, or the first part of one.
    pub fn sent(&mut self, command: InFlight) {
        if self.in_flight.len() == MAX_IN_FLIGHT
            && let Some(lost) = self.in_flight.pop_front()
        {
            self.forget(lost.frame);
        }
        self.in_flight.push_back(command);
    }

    /// The command of this frame, if it is in flight.
    pub fn command(&mut self, frame: u64) -> Option<&mut InFlight> {
        self.in_flight.iter_mut().rev().find(|command| command.frame == frame)
    }

    /// The oldest command in flight, which untagged data most likely belongs to.
    pub fn oldest(&self) -> Option<&InFlight> {
        self.in_flight.front()
    }

    /// The oldest command in flight with this tag.
    pub fn tagged(&self, tag: &[u8]) -> Option<&InFlight> {
        self.in_flight.iter().find(|command| command.has_tag(tag))
    }

    /// The command with this frame has its tagged answer.
    pub fn answered(&mut self, frame: u64) -> Option<InFlight> {
        let at = self.in_flight.iter().position(|command| command.frame == frame)?;
        self.forget(frame);
        self.in_flight.remove(at)
    }

    /// From now on this command waits for a continuation request.
    pub fn want(&mut self, frame: u64, want: Want) {
        if self.wants.len() < MAX_IN_FLIGHT {
            self.wants.push_back((frame, want));
        }
    }

    /// A continuation request came: whom it answers, and what for. With nobody waiting it belongs to a running
    /// IDLE, or to a command whose `{n+}` the server takes for `{n}`.
    pub fn go_ahead(&mut self) -> Option<(u64, Option<Want>)> {
        if let Some((frame, want)) = self.wants.pop_front() {
            return Some((frame, Some(want)));
        }
        self.idle().map(|idle| (idle.frame, None)).or_else(|| {
            let command = self.in_flight.iter_mut().find(|command| command.non_sync)?;
            command.non_sync = false;
            Some((command.frame, None))
        })
    }

    /// Whom the next continuation request would answer.
    pub fn next_want(&self) -> Option<(u64, Want)> {
        self.wants.front().copied()
    }

    /// The IDLE that the client has not ended yet.
    pub fn idle(&mut self) -> Option<&mut InFlight> {
        self.in_flight.iter_mut().find(|command| command.then == Some(Then::Idle) && !command.done)
    }

    fn forget(&mut self, frame: u64) {
        self.wants.retain(|(wanting, _)| *wanting != frame);
    }
}
