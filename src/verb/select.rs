//! Which part of a recording is wanted: connections, a side, a while. A connection of which something is wanted begins with
//! its opening, whenever that was.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{DateTime, Time as TimeOfDay};
use jiff::tz::TimeZone;

use crate::cli;
use crate::event::{Event, Peer, Time, What};
use crate::exchange::Explained;
use crate::problem::Problem;
use crate::sink::Sink;
use crate::sink::gate::{Behind, Gate};

/// A moment as the user writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// This very moment.
    At(Time),
    /// So long after the first event.
    After(Duration),
    /// This time on the day of the first event.
    Daily(TimeOfDay),
}

impl Moment {
    /// Reads one.
    ///
    /// # Errors
    /// What is no moment.
    pub fn read(option: &str, text: &str, zone: &TimeZone) -> Result<Self, Problem> {
        if let Ok(after) = cli::duration(text) {
            return Ok(Moment::After(after));
        }
        // A time of the day would be read out of a date, too.
        if let Ok(time) = text.parse::<TimeOfDay>()
            && !text.contains('-')
        {
            return Ok(Moment::Daily(time));
        }
        let local = || text.parse::<DateTime>().ok().and_then(|time| zone.to_timestamp(time).ok());
        let moment = text.parse::<Timestamp>().ok().or_else(local);
        // What is before or behind all that a recording can have is a moment all the same.
        let nanoseconds = moment.map(|moment| u64::try_from(moment.as_nanosecond().max(0)).unwrap_or(u64::MAX));
        nanoseconds.map(|at| Moment::At(Time(at))).ok_or_else(|| {
            let help = "2026-03-02T10:00:00Z, 2026-03-02T10:00:00 (local time), 10:00:05 (on the day of the first event), or \
                        90s (after the first event)";
            Problem::new(option, format!("{text:?} is no moment"), help)
        })
    }

    /// The moment, in a recording with this first event.
    #[must_use]
    pub fn time(self, first: Time, zone: &TimeZone) -> Time {
        match self {
            Moment::At(time) => time,
            Moment::After(after) => Time(first.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))),
            Moment::Daily(time) => {
                let day = Timestamp::from_nanosecond(i128::from(first.0)).map(|first| zone.to_datetime(first).date());
                let moment = day.and_then(|day| zone.to_timestamp(day.to_datetime(time)));
                let moment = moment.ok().and_then(|moment| u64::try_from(moment.as_nanosecond()).ok());
                Time(moment.unwrap_or(first.0))
            }
        }
    }
}

/// What of a recording is wanted.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// These connections; all if it is empty.
    pub connections: BTreeSet<u64>,
    /// What this peer has sent.
    pub side: Option<Peer>,
    /// What happened then or later.
    pub since: Option<Moment>,
    /// What happened then or before.
    pub until: Option<Moment>,
    /// The zone of times of the day.
    pub zone: Option<TimeZone>,
}

/// A sink that is given only what is wanted.
pub type Selected<S> = Behind<Selecting, S>;

impl<S: Sink> Selected<S> {
    /// This sink for what is wanted.
    pub fn new(wanted: Selection, sink: S) -> Self {
        Behind::gate(Selecting { wanted, bounds: None, earlier: HashMap::new() }, sink)
    }
}

/// A selection at work.
pub struct Selecting {
    wanted: Selection,
    /// The first and the last moment, once the first event has come.
    bounds: Option<(Time, Time)>,
    /// Openings before the first moment.
    earlier: HashMap<u64, (Time, Event)>,
}

impl Selecting {
    fn bounds(&mut self, first: Time) -> (Time, Time) {
        let (wanted, zone) = (&self.wanted, self.wanted.zone.clone().unwrap_or(TimeZone::UTC));
        *self.bounds.get_or_insert_with(|| {
            let time = |moment: Option<Moment>, other| moment.map_or(other, |moment| moment.time(first, &zone));
            (time(wanted.since, Time(0)), time(wanted.until, Time(u64::MAX)))
        })
    }
}

impl Gate for Selecting {
    fn put(&mut self, event: &Explained<'_>, sink: &mut dyn Sink) -> io::Result<()> {
        let (since, until) = self.bounds(event.at);
        let Event { from, what } = event.event;
        let whole = matches!(what, What::Opened(_) | What::Closed(_) | What::Lag { .. } | What::Waiting(_));
        if !self.wanted.connections.is_empty() && !self.wanted.connections.contains(&event.connection.number)
            || !whole && self.wanted.side.is_some_and(|side| side != *from)
            || event.at > until
        {
            sink.skip(event);
            return Ok(());
        }
        if event.at < since {
            sink.skip(event);
            match what {
                What::Opened(_) => {
                    self.earlier.insert(event.connection.number, (event.at, event.event.clone()));
                }
                What::Closed(_) => {
                    self.earlier.remove(&event.connection.number);
                }
                _ => {}
            }
            return Ok(());
        }
        if let Some((at, opened)) = self.earlier.remove(&event.connection.number) {
            sink.put(&Explained::bare(event.connection, at, &opened))?;
        }
        sink.put(event)
    }

    fn skip(&mut self, event: &Explained<'_>) {
        // The first event is the first one, shown or not.
        self.bounds(event.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_four_forms() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let first = Time(1_772_445_600_000_000_000); // 2026-03-02T10:00:00Z, 12:00 there
        let time = |text: &str| Moment::read("--since", text, &zone).expect("a moment").time(first, &zone).0;
        assert_eq!(time("90s"), first.0 + 90_000_000_000);
        assert_eq!(time("12:00:05"), first.0 + 5_000_000_000);
        assert_eq!(time("2026-03-02T12:00:00"), first.0);
        assert_eq!(time("2026-03-02T10:00:00.5Z"), first.0 + 500_000_000);
        assert_eq!(time("2026-03-02T11:00:00+01:00"), first.0);
        assert_eq!(time("2026-03-03T12:00:00"), first.0 + 86_400_000_000_000, "another day");
        assert_eq!((time("1969-01-01T00:00:00Z"), time("3000-01-01T00:00:00Z")), (0, u64::MAX));
        for wrong in ["", "soon", "25:00:00", "1969-13-01T00:00:00Z", "-5s", "9999999999999999999"] {
            let problem = Moment::read("--since", wrong, &zone).expect_err(wrong);
            assert!(problem.to_string().contains("--since") && !problem.help.is_empty(), "{problem}");
        }
    }
}
