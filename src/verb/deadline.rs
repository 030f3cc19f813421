//! When silences of the connections of a file are told. The only clock of a file are the times of what it holds, of whichever
//! connection: so all deadlines lie in one queue.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::Time;
use crate::session::silence::Thresholds;

/// Maximum number of waits that are told of a file: whoever makes one chooses how long its silences are.
pub const MOST: u32 = 65_536;

/// What is to be told of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// The wait.
    Wait,
    /// That there were [`MOST`], and further ones are left out.
    TooMany,
    /// Nothing: that was told.
    Nothing,
}

/// The deadlines of all connections, one each at the most.
#[derive(Debug, Default)]
pub struct Deadlines {
    queue: BTreeSet<(Time, u64)>,
    told: u32,
}

impl Deadlines {
    /// Takes out the first deadline that has come by this time, and the connection whose it is.
    pub fn take(&mut self, now: Time) -> Option<(Time, u64)> {
        let first = *self.queue.first().filter(|(due, _)| *due <= now)?;
        self.queue.remove(&first);
        Some(first)
    }

    /// Counts a wait that is to be told.
    pub const fn tell(&mut self) -> Telling {
        self.told = self.told.saturating_add(1);
        match self.told {
            ..=MOST => Telling::Wait,
            told if told == MOST + 1 => Telling::TooMany,
            _ => Telling::Nothing,
        }
    }
}

/// The silence of one connection.
#[derive(Debug, Default)]
pub struct Watch {
    /// When the last byte came.
    since: Time,
    /// How many thresholds have passed since then.
    passed: u32,
    /// By how many nanoseconds the connection's times are behind those of the file.
    lag: u64,
    /// Its place in the queue: a time of the file.
    queued: Option<Time>,
    /// Bytes were sent that are not told yet.
    pub behind: bool,
}

impl Watch {
    /// Bytes came, or the connection began; `last` is the latest time of the file. Where no times are known, nothing is due.
    pub fn moved(&mut self, number: u64, at: Time, last: Time, deadlines: &mut Deadlines) {
        if at > self.since {
            (self.since, self.passed) = (at, 0);
        }
        self.lag = last.0.saturating_sub(self.since.0);
        let first = after(Time(self.since.0.saturating_add(self.lag)), Thresholds::USUAL.first);
        // What is due earlier is looked at then, and moved on.
        if self.since > Time(0) && self.queued.is_none_or(|due| due > first) {
            self.set(number, first, deadlines);
        }
    }

    /// Returns true if the silence may have to be told by now.
    pub fn is_due(&self, now: Time) -> bool {
        let next = Thresholds::USUAL.after(self.passed);
        self.queued.is_some() && next.is_some_and(|next| after(self.since, next) <= now)
    }

    /// The connection's own time when the file's is this.
    #[must_use]
    pub const fn own(&self, now: Time) -> Time {
        Time(now.0.saturating_sub(self.lag))
    }

    /// The silence that is to be told by now: since when, and the time at which it was due.
    pub fn ring(&mut self, now: Time) -> Option<(Time, Time)> {
        let next = Thresholds::USUAL.after(self.passed)?;
        let due = after(self.since, next);
        let rings = due <= now && self.since > Time(0);
        if rings {
            self.passed += 1;
        }
        rings.then_some((self.since, due))
    }

    /// The silence goes on.
    pub fn arm(&mut self, number: u64, deadlines: &mut Deadlines) {
        if self.since > Time(0)
            && let Some(next) = Thresholds::USUAL.after(self.passed)
        {
            let due = after(self.since, next).0.saturating_add(self.lag);
            self.set(number, Time(due), deadlines);
        }
    }

    /// Nothing is due any more.
    pub fn stop(&mut self, number: u64, deadlines: &mut Deadlines) {
        if let Some(due) = self.queued.take() {
            deadlines.queue.remove(&(due, number));
        }
    }

    fn set(&mut self, number: u64, due: Time, deadlines: &mut Deadlines) {
        self.stop(number, deadlines);
        self.queued = Some(due);
        deadlines.queue.insert((due, number));
    }
}

const fn after(since: Time, silence: Duration) -> Time {
    Time(since.0.saturating_add(silence.as_nanos() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_connection_has_one_deadline_and_none_at_its_end() {
        let (mut deadlines, mut watch) = (Deadlines::default(), Watch::default());
        watch.moved(1, Time(0), Time(0), &mut deadlines);
        assert!(deadlines.queue.is_empty(), "there are no times");
        let seconds = |seconds| Time(seconds * SECOND);
        for second in 1..100 {
            watch.moved(1, seconds(second), seconds(second), &mut deadlines);
            assert_eq!(deadlines.queue.len(), 1);
        }
        assert_eq!(deadlines.take(seconds(100)), Some((seconds(6), 1)), "it is not moved with each byte");
        assert_eq!(watch.ring(seconds(6)), None);
        watch.arm(1, &mut deadlines);
        assert_eq!((deadlines.take(seconds(103)), deadlines.take(seconds(104))), (None, Some((seconds(104), 1))));
        assert_eq!(watch.ring(seconds(104)), Some((seconds(99), seconds(104))));
        watch.arm(1, &mut deadlines);
        assert_eq!(deadlines.queue.first(), Some(&(seconds(129), 1)));
        watch.moved(1, seconds(105), seconds(105), &mut deadlines);
        assert_eq!(deadlines.queue.first(), Some(&(seconds(110), 1)), "bytes begin another silence");
        watch.stop(1, &mut deadlines);
        assert!(deadlines.queue.is_empty());
    }

    #[test]
    fn a_connection_whose_times_are_behind_those_of_the_file_is_not_taken_for_silent() {
        let (mut deadlines, mut watch) = (Deadlines::default(), Watch::default());
        watch.moved(1, Time(SECOND), Time(100 * SECOND), &mut deadlines);
        assert_eq!(deadlines.take(Time(104 * SECOND)), None);
        assert_eq!(watch.own(Time(104 * SECOND)), Time(5 * SECOND));
        assert_eq!(watch.ring(Time(7 * SECOND)), Some((Time(SECOND), Time(6 * SECOND))), "its own times count");
    }

    #[test]
    fn too_many_waits_are_left_out_and_that_is_told_once() {
        let mut deadlines = Deadlines::default();
        let told: Vec<Telling> = (0..MOST + 5).map(|_| deadlines.tell()).collect();
        assert_eq!(told.iter().filter(|it| **it == Telling::Wait).count(), MOST as usize);
        assert_eq!(told[MOST as usize..][..2], [Telling::TooMany, Telling::Nothing]);
    }

    #[test]
    fn times_at_the_end_of_time_are_no_endless_loop() {
        let (mut deadlines, mut watch) = (Deadlines::default(), Watch::default());
        watch.moved(1, Time(u64::MAX), Time(u64::MAX), &mut deadlines);
        let mut rings = 0;
        while deadlines.take(Time(u64::MAX)).is_some() {
            while watch.ring(Time(u64::MAX)).is_some() {
                rings += 1;
            }
            watch.arm(1, &mut deadlines);
        }
        assert_eq!(rings, 300);
    }
}
