//! What rules do to the connection: where, among the octets that leave, a fault stands. Before the text that a rule matched,
//! or behind an octet of the data that belongs to it; a throttle or slice ends with the frame. What happens there is the
//! driver's work: this knows no clock and no socket.

use std::ops::Range;
use std::sync::Arc;

use super::edit::Struck;
use super::lane::{Manner, Wait};
use super::{Fault, Outbox, Relay, Session, Trouble};
use crate::event::{Peer, What};
use crate::wording::amount;

/// What is still to happen within a frame.
#[derive(Debug)]
pub struct Armed {
    frame: u64,
    /// What waits for its byte of the data, and for which. The rules bound their number.
    faults: Vec<(u64, Struck)>,
    /// The data has begun.
    begun: bool,
    /// The rule that has begun a throttle or slice.
    paced: Option<Arc<str>>,
}

/// Responses of which the rest leaves slowly.
#[derive(Debug)]
pub struct Pace {
    /// The rule that began the last of them.
    rule: Arc<str>,
    /// The commands that they belong to, by their frames: never more than are in flight.
    exchanges: Vec<u64>,
}

impl Session {
    /// What rules do before a text leaves. Says how many octets the other peer has before it, if something is left that has
    /// to find its octet.
    pub(super) fn strike(&mut self, from: Peer, frame: u64, out: &mut Outbox) -> Option<usize> {
        if self.lane(from).struck.is_empty() {
            return None;
        }
        let struck = std::mem::take(&mut self.lane(from).struck);
        let (later, now): (Vec<_>, Vec<_>) = struck.into_iter().partition(|(_, fault)| fault.at_byte.is_some());
        for (rule, fault) in now {
            out.fault(from.other(), self.begin_fault(from, frame, (rule, fault)));
        }
        self.lane(from).struck = later;
        (!self.lane(from).struck.is_empty()).then(|| out.octets(from.other()))
    }

    /// A fault that is at its place, or will be; one that lasts ends with the frame, or with the whole response.
    fn begin_fault(&mut self, from: Peer, frame: u64, (rule, fault): Struck) -> Fault {
        self.lane(from).over |= fault.what.is_last();
        match (fault.what, fault.response) {
            (Trouble::Throttle(_), Some(response)) => self.pace(&rule, response.exchange),
            (Trouble::Throttle(_) | Trouble::Slice(_), _) => {
                self.armed(from, frame).paced = Some(Arc::clone(&rule));
            }
            _ => {}
        }
        Fault { what: Some(fault.what), rule }
    }

    fn armed(&mut self, from: Peer, frame: u64) -> &mut Armed {
        let new = || Box::new(Armed { frame, faults: Vec::new(), begun: false, paced: None });
        self.lane(from).armed.get_or_insert_with(new)
    }

    /// The text is on its way, as this range of what the other peer is to get, and its event has this place: the other
    /// faults get their octet. It is one of the data that belongs to the text, or where there is none, of the text.
    pub(super) fn arm(&mut self, from: Peer, frame: u64, passed: Range<usize>, event: usize, out: &mut Outbox) {
        let to = from.other();
        let lane = self.lane(from);
        let block = lane.block.as_ref().filter(|block| block.frame == frame);
        let (next, most) = match (block, lane.wait) {
            (Some(block), _) => (true, block.announced),
            (None, Some((Wait::Literal(len), of))) if of == frame => (false, Some(len)),
            (None, Some((Wait::Message, of))) if of == frame => (false, None),
            _ => {
                for (rule, fault) in std::mem::take(&mut self.lane(from).struck) {
                    let at = fault.at_byte.and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX);
                    if at <= passed.len() {
                        let fault = self.begin_fault(from, frame, (rule, fault));
                        out.fault_at(to, passed.start + at, fault);
                    } else {
                        self.progress.forget(fault.response);
                        refuse(event, &rule, &format!("the text has {}", amount(passed.len() as u64, "octet")), out);
                    }
                }
                return;
            }
        };
        for (rule, fault) in std::mem::take(&mut self.lane(from).struck) {
            let at = fault.at_byte.unwrap_or_default();
            if let Some(most) = most.filter(|&most| at > most) {
                self.progress.forget(fault.response);
                refuse(event, &rule, &format!("the data has {}", amount(most, "octet")), out);
            } else if at == 0 && (next || most == Some(0)) {
                let fault = self.begin_fault(from, frame, (rule, fault));
                out.fault_at(to, passed.end, fault);
            } else {
                self.armed(from, frame).faults.push((at, (rule, fault)));
            }
        }
        if let Some(armed) = &mut self.lane(from).armed {
            armed.faults.sort_by_key(|&(at, _)| at);
        }
    }

    /// Sends data on, with what happens within it.
    pub(super) fn pass_data(&mut self, from: Peer, relay: &Relay<'_>, out: &mut Outbox) {
        let lane = self.lane(from);
        let (Some(armed), Some(block)) = (&mut lane.armed, &lane.block) else { return relay.pass(from, out) };
        if armed.frame != block.frame {
            return relay.pass(from, out);
        }
        armed.begun = true;
        let frame = armed.frame;
        if relay.manner != Manner::Fresh {
            return;
        }
        let (before, mut range) = (block.len, relay.range.clone());
        let after = before + range.len() as u64;
        let base = range.start;
        // What it was to happen before may have come too early to be stopped.
        let first = armed.faults.partition_point(|&(at, _)| at < before);
        let last = armed.faults.partition_point(|&(at, _)| at <= after);
        // Nothing happens any more once nothing leaves; what is left was missed.
        let ends = |(_, (_, fault)): &(u64, Struck)| fault.what.is_last();
        let last = match armed.faults[first..last].iter().position(ends) {
            _ if lane.over => first,
            Some(at) => {
                lane.over = true;
                first + at + 1
            }
            None => last,
        };
        let due: Vec<(u64, Struck)> = armed.faults.drain(first..last).collect();
        for (at, struck) in due {
            // Not beyond the octets at hand, which were measured.
            let here = base + (at - before) as usize;
            out.pass(from.other(), range.start..here);
            range.start = here;
            let fault = self.begin_fault(from, frame, struck);
            out.fault(from.other(), fault);
        }
        out.pass(from.other(), range);
    }

    /// Ends what lasts if its frame is over, and reports what did not happen.
    pub(super) fn relax(&mut self, from: Peer, out: &mut Outbox) {
        self.relax_frame(from, out);
        let lane = &self.lanes[Peer::Server.index()];
        if self.pace.is_some() && from == Peer::Server && lane.frame.is_none() && lane.block.is_none() {
            self.hurry(from, out);
        }
    }

    fn relax_frame(&mut self, from: Peer, out: &mut Outbox) {
        let lane = self.lane(from);
        let Some(armed) = &mut lane.armed else { return };
        let data = lane.block.as_ref().is_some_and(|block| block.frame == armed.frame);
        let waits = matches!(lane.wait, Some((Wait::Literal(_) | Wait::Message, frame)) if frame == armed.frame);
        let over = !data && !waits && lane.frame.is_none_or(|frame| frame.number != armed.frame);
        if !over && armed.begun && !data {
            for (_, (rule, _)) in armed.faults.drain(..) {
                out.report(from, What::Missed(rule));
            }
        }
        if over {
            self.disarm(from, out);
        }
    }

    /// The rest of the response to this command leaves slowly.
    fn pace(&mut self, rule: &Arc<str>, exchange: u64) {
        let new = || Box::new(Pace { rule: Arc::clone(rule), exchanges: Vec::new() });
        let pace = self.pace.get_or_insert_with(new);
        pace.rule = Arc::clone(rule);
        if !pace.exchanges.contains(&exchange) {
            pace.exchanges.push(exchange);
        }
    }

    /// Ends the pace of responses once the last reply of each has come.
    fn hurry(&mut self, from: Peer, out: &mut Outbox) {
        let Some(mut pace) = self.pace.take() else { return };
        pace.exchanges.retain(|exchange| self.dialogue.command(*exchange).is_some());
        if pace.exchanges.is_empty() {
            out.fault(from.other(), Fault { what: None, rule: pace.rule });
        } else {
            self.pace = Some(pace);
        }
    }

    /// The frame is over, or the lane.
    pub(super) fn disarm(&mut self, from: Peer, out: &mut Outbox) {
        let Some(armed) = self.lane(from).armed.take() else { return };
        for (_, (rule, _)) in armed.faults {
            out.report(from, What::Missed(rule));
        }
        // While a response leaves slowly, its end is that of a slice, too.
        if let Some(rule) = armed.paced.filter(|_| from == Peer::Client || self.pace.is_none()) {
            out.fault(from.other(), Fault { what: None, rule });
        }
    }
}

/// A fault that was reported with this event cannot happen.
fn refuse(event: usize, rule: &Arc<str>, why: &str, out: &mut Outbox) {
    let Some(What::Text(text)) = out.batch.events.get_mut(event).map(|event| &mut event.what) else { return };
    let Some(edit) = &mut text.edit else { return };
    if let Some(at) = edit.faults.iter().position(|(fault, _)| fault == rule) {
        edit.faults.remove(at);
    }
    edit.refused.push((Arc::clone(rule), format!("{why} only")));
}
