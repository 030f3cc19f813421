//! What rules do to the connection: where, among the octets that leave, a fault stands. Before the text that a rule matched,
//! or behind an octet of the data that belongs to it; a throttle or slice ends with the frame. What happens there is the
//! driver's work: this knows no clock and no socket.

use std::ops::Range;
use std::sync::Arc;

use super::lane::{Manner, Wait};
use super::{Fault, Outbox, Relay, Session, Trouble};
use crate::event::{Peer, What};
use crate::wording::amount;

/// What is still to happen within a frame.
#[derive(Debug)]
pub struct Armed {
    frame: u64,
    /// What waits for its octet of the data, and for which. The rules bound their number.
    faults: Vec<(u64, Fault)>,
    /// The data has begun.
    begun: bool,
    /// The rule that has begun a throttle or slice.
    paced: Option<Arc<str>>,
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
            out.fault(from.other(), self.begin_fault(from, frame, fault.what, rule));
        }
        self.lane(from).struck = later;
        (!self.lane(from).struck.is_empty()).then(|| out.octets(from.other()))
    }

    /// A fault that stands at its place, or will; one that lasts ends with the frame.
    fn begin_fault(&mut self, from: Peer, frame: u64, what: Trouble, rule: Arc<str>) -> Fault {
        if matches!(what, Trouble::Throttle(_) | Trouble::Slice(_)) {
            self.armed(from, frame).paced = Some(Arc::clone(&rule));
        }
        self.lane(from).over |= what.is_last();
        Fault { what: Some(what), rule }
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
                        let fault = self.begin_fault(from, frame, fault.what, rule);
                        out.fault_at(to, passed.start + at, fault);
                    } else {
                        refuse(event, &rule, &format!("the text has {}", amount(passed.len() as u64, "octet")), out);
                    }
                }
                return;
            }
        };
        for (rule, fault) in std::mem::take(&mut self.lane(from).struck) {
            let at = fault.at_byte.unwrap_or_default();
            if let Some(most) = most.filter(|&most| at > most) {
                refuse(event, &rule, &format!("the data has {}", amount(most, "octet")), out);
            } else if at == 0 && (next || most == Some(0)) {
                let fault = self.begin_fault(from, frame, fault.what, rule);
                out.fault_at(to, passed.end, fault);
            } else {
                self.armed(from, frame).faults.push((at, Fault { what: Some(fault.what), rule }));
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
        let ends = |(_, fault): &(u64, Fault)| fault.what.is_some_and(Trouble::is_last);
        let last = match armed.faults[first..last].iter().position(ends) {
            _ if lane.over => first,
            Some(at) => {
                lane.over = true;
                first + at + 1
            }
            None => last,
        };
        for (at, fault) in armed.faults.drain(first..last) {
            // Not beyond the octets at hand, which were measured.
            let here = base + (at - before) as usize;
            out.pass(from.other(), range.start..here);
            range.start = here;
            if matches!(fault.what, Some(Trouble::Throttle(_) | Trouble::Slice(_))) {
                armed.paced = Some(Arc::clone(&fault.rule));
            }
            out.fault(from.other(), fault);
        }
        out.pass(from.other(), range);
    }

    /// Ends what lasts if its frame is over, and reports what did not happen.
    pub(super) fn relax(&mut self, from: Peer, out: &mut Outbox) {
        let lane = self.lane(from);
        let Some(armed) = &mut lane.armed else { return };
        let data = lane.block.as_ref().is_some_and(|block| block.frame == armed.frame);
        let waits = matches!(lane.wait, Some((Wait::Literal(_) | Wait::Message, frame)) if frame == armed.frame);
        let over = !data && !waits && lane.frame.is_none_or(|frame| frame.number != armed.frame);
        if !over && armed.begun && !data {
            for (_, fault) in armed.faults.drain(..) {
                out.report(from, What::Missed(fault.rule));
            }
        }
        if over {
            self.disarm(from, out);
        }
    }

    /// The frame is over, or the lane.
    pub(super) fn disarm(&mut self, from: Peer, out: &mut Outbox) {
        let Some(armed) = self.lane(from).armed.take() else { return };
        for (_, fault) in armed.faults {
            out.report(from, What::Missed(fault.rule));
        }
        if let Some(rule) = armed.paced {
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
