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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_told_after_5_s_and_30_s_and_every_5_minutes_for_a_day() {
        let told: Vec<u64> = (0..).map_while(|passed| Thresholds::USUAL.after(passed)).map(|it| it.as_secs()).collect();
        assert_eq!(told[..5], [5, 30, 300, 600, 900]);
        assert_eq!((told.len(), told.last()), (MOST as usize, Some(&89_400)));
    }
}
