//! Times as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::event::Time;

/// How times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimeStyle {
    /// Not at all.
    None,
    /// Time of day in the local zone, with milliseconds.
    #[default]
    Local,
    /// Seconds since the line before.
    Delta,
    /// Date and time in UTC, with milliseconds.
    Iso,
    /// Seconds since 1970, with milliseconds.
    Epoch,
}

/// Writes times; what stays the same within a second is rendered once.
#[derive(Debug)]
pub struct Clock {
    style: TimeStyle,
    zone: TimeZone,
    second: Option<u64>,
    rendered: Vec<u8>,
    last: Option<Time>,
}

impl Clock {
    /// A clock in the local time zone.
    #[must_use]
    pub fn new(style: TimeStyle) -> Self {
        let zone = if style == TimeStyle::Local { TimeZone::system() } else { TimeZone::UTC };
        Clock { style, zone, second: None, rendered: Vec::new(), last: None }
    }

    /// How many columns a time takes, with the blank behind it.
    #[must_use]
    pub const fn width(&self) -> usize {
        match self.style {
            TimeStyle::None => 0,
            TimeStyle::Local => 13,
            TimeStyle::Delta => 10,
            TimeStyle::Iso => 25,
            TimeStyle::Epoch => 15,
        }
    }

    /// Appends a time and a blank.
    pub fn write(&mut self, at: Time, out: &mut Vec<u8>) {
        let millis = (at.0 / 1_000_000 % 1000) as u16;
        match self.style {
            TimeStyle::None => return,
            TimeStyle::Delta => {
                let passed = at.since(self.last.unwrap_or(at));
                out.extend_from_slice(format!("{:>+9.3}", passed.as_secs_f64()).as_bytes());
                self.last = Some(at);
            }
            TimeStyle::Local | TimeStyle::Iso | TimeStyle::Epoch => {
                self.render(at.0 / 1_000_000_000);
                out.extend_from_slice(&self.rendered);
                out.push(b'.');
                out.extend([millis / 100, millis / 10 % 10, millis % 10].map(|digit| b'0' + digit as u8));
                if self.style == TimeStyle::Iso {
                    out.push(b'Z');
                }
            }
        }
        out.push(b' ');
    }

    fn render(&mut self, second: u64) {
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        let moment = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
        let Some(zoned) = moment.map(|moment| self.zone.to_datetime(moment)) else {
            self.rendered = second.to_string().into_bytes();
            return;
        };
        let (hour, minute, seconds) = (zoned.hour(), zoned.minute(), zoned.second());
        self.rendered = match self.style {
            TimeStyle::Epoch => second.to_string(),
            TimeStyle::Iso => {
                let (year, month, day) = (zoned.year(), zoned.month(), zoned.day());
                format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{seconds:02}")
            }
            _ => format!("{hour:02}:{minute:02}:{seconds:02}"),
        }
        .into_bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(style: TimeStyle, times: &[u64]) -> Vec<String> {
        let mut clock = Clock::new(style);
        let one = |at: &u64| {
            let mut out = Vec::new();
            clock.write(Time(*at), &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        times.iter().map(one).collect()
    }

    #[test]
    fn every_style_keeps_its_width() {
        let at = 1_767_225_601_005_000_000;
        assert_eq!(written(TimeStyle::Iso, &[at]), ["2026-01-01T00:00:01.005Z "]);
        assert_eq!(written(TimeStyle::Epoch, &[at]), ["1767225601.005 "]);
        assert_eq!(written(TimeStyle::Delta, &[at, at + 43_000_000]), ["   +0.000 ", "   +0.043 "]);
        assert_eq!(written(TimeStyle::None, &[at]), [""]);
        for style in [TimeStyle::None, TimeStyle::Local, TimeStyle::Delta, TimeStyle::Iso, TimeStyle::Epoch] {
            assert_eq!(written(style, &[at])[0].len(), Clock::new(style).width(), "{style:?}");
        }
        assert!(written(TimeStyle::Local, &[u64::MAX])[0].ends_with(' '));
    }
}
