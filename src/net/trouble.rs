//! What happens to octets on their way to one peer: places among them at which they wait or end, and how fast they leave.
//! Knows octets and time, not what they mean. A lane to which nothing happens has none of this.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::session::{Fault, Trouble};

/// A throttle lets octets of this time leave at once, in milliseconds.
const BURST: u64 = 100;

/// What happens to the octets of a lane.
#[derive(Debug, Default)]
pub struct Troubles {
    /// In order, each behind so many octets of all that left or waits since this began.
    marks: VecDeque<(u64, Fault)>,
    left: u64,
    slice: Option<u64>,
    bucket: Option<Bucket>,
    /// Nothing leaves before.
    until: Option<Instant>,
    /// The rule of the last delay.
    delayer: Option<Arc<str>>,
    timer: Option<Pin<Box<Sleep>>>,
    stalled: bool,
    /// The first mark is one behind which nothing leaves, and it was met.
    met: bool,
    /// A slice has just left.
    rests: bool,
}

/// What to do with the octets that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Write so many of them at the most; at least one.
    Write(usize),
    /// Nothing for now; the task is woken.
    Wait,
    /// End the connection: close it, or reset it.
    End(Fault),
    /// There is nothing to do.
    Nothing,
}

impl Troubles {
    /// Something happens behind the `waiting` octets that wait.
    pub fn mark(&mut self, waiting: usize, fault: Fault) {
        self.marks.push_back((self.left + waiting as u64, fault));
    }

    /// True if something is to happen yet, beside a pace.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.until.is_some() || !self.marks.is_empty()
    }

    /// True if nothing happens any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.is_marked() && self.slice.is_none() && self.bucket.is_none()
    }

    /// The rules of stalls and ends that have not happened.
    pub fn missed(&self) -> impl Iterator<Item = &Arc<str>> {
        let last = |fault: &Fault| fault.what.is_some_and(Trouble::is_last);
        let marks = self.marks.iter().filter(move |(_, fault)| last(fault)).map(|(_, fault)| &fault.rule);
        marks.skip(usize::from(self.met))
    }

    /// True if no octet will leave any more.
    #[must_use]
    pub const fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// The rule that holds back what waits, if one does, and whether it does so for ever.
    #[must_use]
    pub fn holder(&self) -> Option<(&Arc<str>, bool)> {
        let front = self.marks.front().map(|(_, fault)| &fault.rule).filter(|_| self.stalled);
        front
            .map(|rule| (rule, true))
            .or_else(|| self.delayer.as_ref().filter(|_| self.until.is_some()).map(|rule| (rule, false)))
    }

    /// So many octets have left.
    pub fn sent(&mut self, count: usize) {
        self.left += count as u64;
        if let Some(bucket) = &mut self.bucket {
            bucket.spend(count);
        }
        self.rests = self.slice.is_some();
    }

    /// What to do while so many octets wait.
    pub fn poll(&mut self, waiting: usize, cx: &mut Context<'_>) -> Next {
        if std::mem::take(&mut self.rests) && waiting > 0 {
            // Other connections have their turn between two slices.
            cx.waker().wake_by_ref();
            return Next::Wait;
        }
        let mut now = Instant::now();
        loop {
            let due = match self.step(waiting, now) {
                Ok(next) => return next,
                Err(due) => due,
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Next::Wait;
            }
            now = Instant::now().max(due);
        }
    }

    /// What to do now, or until when to wait.
    fn step(&mut self, waiting: usize, now: Instant) -> Result<Next, Instant> {
        loop {
            if let Some(until) = self.until {
                if now < until {
                    return Err(until);
                }
                self.until = None;
            }
            let Some((_, fault)) = self.marks.front().filter(|(at, _)| *at <= self.left) else { break };
            match fault.what {
                None => (self.slice, self.bucket) = (None, None),
                Some(Trouble::Delay(time)) => {
                    (self.until, self.delayer) = (now.checked_add(time), Some(Arc::clone(&fault.rule)));
                }
                Some(Trouble::Throttle(rate)) => self.bucket = Some(Bucket::new(rate, now)),
                Some(Trouble::Slice(size)) => self.slice = Some(size.max(1)),
                Some(Trouble::Stall) => {
                    (self.stalled, self.met) = (true, true);
                    return Ok(Next::Wait);
                }
                // What ends a connection stays, so that nothing behind it leaves in the end.
                Some(Trouble::Close | Trouble::Reset) => {
                    self.met = true;
                    return Ok(Next::End(fault.clone()));
                }
            }
            self.marks.pop_front();
        }
        let room = self.marks.front().map_or(u64::MAX, |(at, _)| at - self.left).min(waiting as u64);
        if room == 0 {
            return Ok(Next::Nothing);
        }
        let mut most = self.slice.map_or(room, |size| size.min(room));
        if let Some(bucket) = &mut self.bucket {
            most = bucket.allow(most, now)?;
        }
        // Not more than wait.
        Ok(Next::Write(most as usize))
    }
}

/// So many octets a second.
#[derive(Debug)]
struct Bucket {
    rate: u64,
    /// Octets that may leave, times the nanoseconds of a second.
    credit: u128,
    at: Instant,
}

const SECOND: u128 = 1_000_000_000;

impl Bucket {
    fn new(rate: u64, now: Instant) -> Self {
        let rate = rate.max(1);
        let mut bucket = Bucket { rate, credit: 0, at: now };
        bucket.credit = u128::from(bucket.burst()) * SECOND;
        bucket
    }

    /// Octets that may leave at once.
    fn burst(&self) -> u64 {
        (self.rate / (1000 / BURST)).max(1)
    }

    /// How many of `want` octets may leave now, or when they may.
    fn allow(&mut self, want: u64, now: Instant) -> Result<u64, Instant> {
        let passed = now.saturating_duration_since(self.at).as_nanos();
        let most = u128::from(self.burst()) * SECOND;
        self.credit = self.credit.saturating_add(passed.saturating_mul(self.rate.into())).min(most);
        self.at = now;
        let want = want.min(self.burst());
        let lacking = (u128::from(want) * SECOND).saturating_sub(self.credit);
        if lacking == 0 {
            return Ok(want);
        }
        // A tenth of a second, or a second for a single octet, at the most.
        let wait = lacking.div_ceil(self.rate.into());
        Err(now + Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
    }

    fn spend(&mut self, count: usize) {
        self.credit = self.credit.saturating_sub(count as u128 * SECOND);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn fault(what: Option<Trouble>) -> Fault {
        Fault { what, rule: "a rule".into() }
    }

    /// Lets octets leave as they may: how many and when, in milliseconds by a clock of its own.
    fn leave(troubles: &mut Troubles, mut waiting: usize) -> Vec<(u128, usize)> {
        let begun = Instant::now();
        let (mut now, mut seen) = (begun, Vec::new());
        while waiting > 0 {
            match troubles.step(waiting, now) {
                Ok(Next::Write(count)) => {
                    troubles.sent(count);
                    waiting -= count;
                    seen.push((now.duration_since(begun).as_millis(), count));
                }
                Ok(next) => panic!("{next:?}"),
                Err(due) => now = due,
            }
        }
        troubles.step(0, now).unwrap();
        seen
    }

    #[test]
    fn a_delay_begins_when_what_is_before_it_has_left() {
        let mut troubles = Troubles::default();
        troubles.mark(3, fault(Some(Trouble::Delay(Duration::from_secs(2)))));
        troubles.mark(5, fault(Some(Trouble::Delay(Duration::from_secs(1)))));
        assert_eq!(leave(&mut troubles, 9), [(0, 3), (2000, 2), (3000, 4)]);
        assert!(troubles.is_over());
    }

    #[test]
    fn slices_and_throttles_last_until_they_are_ended() {
        let mut troubles = Troubles::default();
        troubles.mark(0, fault(Some(Trouble::Slice(2))));
        troubles.mark(5, fault(None));
        assert_eq!(leave(&mut troubles, 9), [(0, 2), (0, 2), (0, 1), (0, 4)]);
        assert!(troubles.is_over());
        troubles.mark(0, fault(Some(Trouble::Throttle(100))));
        troubles.mark(35, fault(None));
        let seen = leave(&mut troubles, 50);
        assert_eq!(seen, [(0, 10), (100, 10), (200, 10), (250, 5), (250, 15)]);
        troubles.mark(0, fault(Some(Trouble::Throttle(1))));
        assert_eq!(leave(&mut troubles, 3), [(0, 1), (1000, 1), (2000, 1)]);
        assert!(!troubles.is_over() && !troubles.is_marked(), "it lasts while nothing waits");
        troubles.mark(0, fault(Some(Trouble::Throttle(u64::MAX))));
        assert_eq!(leave(&mut troubles, 1_000_000), [(0, 1_000_000)]);
    }

    #[test]
    fn nothing_leaves_behind_an_end_or_a_stall() {
        let cx = &mut Context::from_waker(Waker::noop());
        for what in [Trouble::Close, Trouble::Reset, Trouble::Stall] {
            let mut troubles = Troubles::default();
            troubles.mark(1, fault(Some(what)));
            assert_eq!(troubles.poll(1, cx), Next::Write(1));
            troubles.sent(1);
            let stalls = what == Trouble::Stall;
            let end = if stalls { Next::Wait } else { Next::End(fault(Some(what))) };
            assert_eq!((troubles.poll(5, cx), troubles.poll(5, cx)), (end.clone(), end));
            assert_eq!((troubles.is_stalled(), troubles.is_marked()), (stalls, true));
        }
    }
}
