//! When a silence is told: a while after the last byte, later again, and then from time to time. Counts; the clock is the
//! driver's, which asks before anything new is taken, so that what is told does not depend on when it asks.

use std::time::Duration;

/// Maximum number of times that one silence is told: a day and some minutes.
pub const MOST: u32 = 300;

/// How long nothing moves before that is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// The first time.
    pub first: Duration,
    /// The second time.
    pub second: Duration,
    /// After that, each time that this much has passed since the last byte.
    pub each: Duration,
}

impl Thresholds {
    /// 5 seconds, 30 seconds, and every 5 minutes.
    pub const USUAL: Thresholds =
        Thresholds { first: Duration::from_secs(5), second: Duration::from_secs(30), each: Duration::from_secs(300) };

    /// The threshold after so many that have passed; `None` after the last one.
    #[must_use]
    pub fn after(&self, passed: u32) -> Option<Duration> {
        match passed {
            0 => Some(self.first),
            1 => Some(self.second),
            2..MOST => Some(self.each.saturating_mul(passed - 1)),
            _ => None,
        }
    }
}

/// A silence, since the last byte that moved at `T`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Silence<T> {
    since: T,
    passed: u32,
}

impl<T: Copy + PartialEq> Silence<T> {
    /// One that begins at this moment.
    pub const fn new(since: T) -> Self {
        Silence { since, passed: 0 }
    }

    /// How many thresholds have passed.
    #[must_use]
    pub const fn passed(&self) -> u32 {
        self.passed
    }

    /// The last byte moved at `since`: the next threshold, measured from there. `None` if there is none.
    pub fn next(&mut self, since: T, thresholds: &Thresholds) -> Option<Duration> {
        if self.since != since {
            *self = Self::new(since);
        }
        thresholds.after(self.passed)
    }

    /// That threshold has passed.
    pub const fn pass(&mut self) {
        self.passed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_after_5_s_and_30_s_and_every_5_minutes_for_a_day() {
        let mut silence = Silence::new(1);
        let mut told = Vec::new();
        while let Some(next) = silence.next(1, &Thresholds::USUAL) {
            silence.pass();
            told.push(next.as_secs());
        }
        assert_eq!(told[..5], [5, 30, 300, 600, 900]);
        assert_eq!((told.len(), told.last()), (MOST as usize, Some(&89_400)));
        assert_eq!(silence.next(2, &Thresholds::USUAL), Some(Duration::from_secs(5)), "another silence is another one");
    }
}
