//! Writes the time of a line. Knows the time zone, reads no clock: moments are handed in.
//!
//! What is the same as on the line before is not rendered again, so that a stamp costs a few nanoseconds.

use jiff::tz::TimeZone;
use jiff::{Timestamp, tz::Offset};

use super::style::TimeStyle;
use crate::event::Time;
use crate::wording::duration;

/// Octets of `.123` and the blank behind it.
const TAIL: usize = 5;

/// Renders stamps of one style, one after the other.
#[derive(Debug)]
pub struct Clock {
    style: TimeStyle,
    zone: TimeZone,
    /// The stamp as it was last written, with a blank behind it.
    stamp: Vec<u8>,
    /// The millisecond that `stamp` shows.
    millisecond: Option<u64>,
    /// The quarter of an hour (since the epoch) for which `offset` was looked up.
    quarter: Option<u64>,
    offset: Offset,
    /// The moment of the line before.
    before: Option<Time>,
}

impl Clock {
    /// A clock that shows moments as they are called in `zone`.
    #[must_use]
    pub fn new(style: TimeStyle, zone: TimeZone) -> Self {
        Clock {
            style,
            zone,
            stamp: Vec::with_capacity(32),
            millisecond: None,
            quarter: None,
            offset: Offset::UTC,
            before: None,
        }
    }

    /// The columns that a stamp takes, with the blank behind it.
    #[must_use]
    pub fn width(&self) -> usize {
        match self.style {
            TimeStyle::Now => "12:00:00.123 ".len(),
            TimeStyle::None => 0,
            TimeStyle::Delta => "+1234.123 ".len(),
            TimeStyle::Iso => "2026-11-24T12:00:00.123+01:00 ".len(),
            TimeStyle::Epoch => "1795000000.123 ".len(),
        }
    }

    /// True if a stamp depends on the line before.
    #[must_use]
    pub fn is_relative(&self) -> bool {
        self.style == TimeStyle::Delta
    }

    /// True if stamps are times of a day that they do not name.
    #[must_use]
    pub fn hides_the_date(&self) -> bool {
        self.style == TimeStyle::Now
    }

    /// The stamp of a line, with a blank behind it; of no octets if no time is wanted.
    pub fn stamp(&mut self, at: Time) -> &[u8] {
        let millisecond = at.0 / 1_000_000;
        match self.style {
            TimeStyle::None => return b"",
            TimeStyle::Delta => self.render_delta(at),
            _ if self.millisecond == Some(millisecond) => return &self.stamp,
            TimeStyle::Iso => self.render(millisecond),
            TimeStyle::Now | TimeStyle::Epoch => {
                if self.millisecond.is_some_and(|shown| shown / 1000 == millisecond / 1000) {
                    self.mend(millisecond % 1000);
                } else {
                    self.render(millisecond);
                }
            }
        }
        self.millisecond = Some(millisecond);
        &self.stamp
    }

    /// A moment in a sentence: as a line's stamp has it, or where stamps are differences, the time since `began`.
    pub fn moment(&mut self, at: Time, began: Time) -> Option<String> {
        match self.style {
            TimeStyle::None => None,
            TimeStyle::Delta => Some(format!("after {}", duration(at.since(began)))),
            _ => std::str::from_utf8(self.stamp(at)).ok().map(|stamp| format!("at {}", stamp.trim_end())),
        }
    }

    /// The local date of a moment, `2026-11-24`. `None` on the first day of 1970, which stands for days that are not known.
    #[must_use]
    pub fn date(&self, at: Time) -> Option<String> {
        const DAY: u64 = 86_400_000_000_000;
        let timestamp = timestamp(at.0 / 1_000_000);
        (at.0 >= DAY).then(|| self.zone.to_offset(timestamp).to_datetime(timestamp).date().to_string())
    }

    /// Writes the thousandths over those of the stamp before.
    fn mend(&mut self, thousandths: u64) {
        let start = self.stamp.len().saturating_sub(TAIL - 1);
        for (digit, place) in self.stamp[start..].iter_mut().zip([100, 10, 1]) {
            *digit = b'0' + (thousandths / place % 10) as u8;
        }
    }

    fn render(&mut self, millisecond: u64) {
        let seconds = millisecond / 1000;
        let thousandths = millisecond % 1000;
        let quarter = Some(seconds / 900);
        let timestamp = timestamp(millisecond);
        if self.quarter != quarter {
            // Offsets change at full quarters of an hour only.
            self.quarter = quarter;
            self.offset = self.zone.to_offset(timestamp);
        }
        let local = self.offset.to_datetime(timestamp);
        let text = match self.style {
            TimeStyle::Epoch => format!("{seconds}.{thousandths:03} "),
            TimeStyle::Iso => {
                let minutes = self.offset.seconds() / 60;
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
                format!(
                    "{}T{:02}:{:02}:{:02}.{thousandths:03}{sign}{hours:02}:{minutes:02} ",
                    local.date(),
                    local.hour(),
                    local.minute(),
                    local.second()
                )
            }
            _ => format!("{:02}:{:02}:{:02}.{thousandths:03} ", local.hour(), local.minute(), local.second()),
        };
        self.stamp = text.into_bytes();
    }

    fn render_delta(&mut self, at: Time) {
        let gone = at.since(self.before.unwrap_or(at));
        self.before = Some(at);
        self.stamp = format!("+{:>8.3} ", gone.as_secs_f64()).into_bytes();
    }
}

fn timestamp(millisecond: u64) -> Timestamp {
    i64::try_from(millisecond).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = 1_795_521_600; // 2026-11-24 12:00:00 UTC

    fn stamps(style: TimeStyle, zone: TimeZone, milliseconds: &[u64]) -> Vec<String> {
        let mut clock = Clock::new(style, zone);
        let moments = milliseconds.iter().map(|ms| Time((NOON * 1000 + ms) * 1_000_000 + 999_999));
        let stamps: Vec<_> = moments.map(|at| String::from_utf8_lossy(clock.stamp(at)).into_owned()).collect();
        assert!(stamps.iter().all(|stamp| stamp.len() == clock.width()), "{stamps:?}");
        stamps
    }

    #[test]
    fn stamps_of_every_style() {
        let east = TimeZone::fixed(Offset::from_seconds(5 * 3600 + 1800).expect("an offset"));
        let at = [0, 7, 7, 430, 1000, 61_001];
        assert_eq!(
            stamps(TimeStyle::Now, TimeZone::UTC, &at),
            ["12:00:00.000 ", "12:00:00.007 ", "12:00:00.007 ", "12:00:00.430 ", "12:00:01.000 ", "12:01:01.001 "]
        );
        assert_eq!(stamps(TimeStyle::Now, east.clone(), &[5]), ["17:30:00.005 "]);
        assert_eq!(stamps(TimeStyle::Iso, east, &[5]), ["2026-11-24T17:30:00.005+05:30 "]);
        assert_eq!(stamps(TimeStyle::Epoch, TimeZone::UTC, &[5, 6]), ["1795521600.005 ", "1795521600.006 "]);
        assert_eq!(stamps(TimeStyle::Delta, TimeZone::UTC, &[5, 1048]), ["+   0.000 ", "+   1.043 "]);
        assert_eq!(stamps(TimeStyle::None, TimeZone::UTC, &[5]), [""]);
    }

    #[test]
    fn the_largest_moment_is_no_trouble() {
        for style in [TimeStyle::Now, TimeStyle::Iso, TimeStyle::Epoch, TimeStyle::Delta] {
            Clock::new(style, TimeZone::UTC).stamp(Time(u64::MAX));
        }
        let clock = Clock::new(TimeStyle::Now, TimeZone::UTC);
        assert!(clock.date(Time(u64::MAX)).is_some_and(|date| !date.is_empty()));
        assert_eq!(clock.date(Time(86_399_999_999_999)), None, "no day is known");
        assert_eq!(clock.date(Time(86_400_000_000_000)).as_deref(), Some("1970-01-02"));
    }

    #[test]
    fn a_change_of_the_offset_is_seen() {
        let Ok(zone) = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3") else { panic!("a zone") };
        let mut clock = Clock::new(TimeStyle::Now, zone);
        let change = 1_774_746_000; // 2026-03-29 01:00:00 UTC
        let mut at = |second: u64| String::from_utf8_lossy(clock.stamp(Time(second * 1_000_000_000))).into_owned();
        assert_eq!(at(change - 1), "01:59:59.000 ");
        assert_eq!(at(change), "03:00:00.000 ");
    }
}
