//! The clock of the live program: the wall clock once, at the start, and from then on only forwards.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::event::Time;

/// A clock that never runs backwards.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Time,
    since: Instant,
}

impl Clock {
    /// A clock that starts at the wall clock's time.
    #[must_use]
    pub fn start() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Clock { start: Time(u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX)), since: Instant::now() }
    }

    /// The time of a moment after the start; moments before it count as the start.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Time {
        let passed = u64::try_from(moment.saturating_duration_since(self.since).as_nanos()).unwrap_or(u64::MAX);
        Time(self.start.0.saturating_add(passed))
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Time {
        self.at(Instant::now())
    }
}
