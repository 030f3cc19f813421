//! The json output: one object an event, one a line, for jq, DuckDB and programs. `json.schema.json` beside this folder
//! is its description; the names of the fields are those of conditions where they mean the same.
//!
//! What data holds is not here beyond its first octets ([`crate::event::MAX_HEAD`]): that is for the raw output.

mod facts;
mod form;
mod line;
mod names;
mod text;

use std::fmt::Write as _;
use std::io::{self, Write};

use jiff::Timestamp;

use super::Sink;
use crate::event::{Time, What};
use crate::exchange::{Explained, Run};
use form::Object;

/// The buffer should be written out when it holds so many octets.
const FULL: usize = 128 * 1024;

/// The description of the lines: a JSON Schema, draft 2020-12.
pub const SCHEMA: &str = include_str!("../json.schema.json");

/// JSON Lines, written to `W`.
#[derive(Debug)]
pub struct Json<W> {
    writer: W,
    out: Vec<u8>,
    calendar: Calendar,
    run: Run,
}

impl<W: Write + Send> Json<W> {
    /// An output that nothing is written to yet.
    #[must_use]
    pub fn new(writer: W) -> Self {
        Json { writer, out: Vec::new(), calendar: Calendar::default(), run: Run::default() }
    }
}

impl<W: Write + Send> Sink for Json<W> {
    fn put(&mut self, event: &Explained<'_>) -> io::Result<()> {
        if matches!(event.event.what, What::Octets(_)) {
            return Ok(());
        }
        self.run.see(event);
        let since = match &event.event.what {
            What::Waiting(wait) => self.calendar.stamp(wait.since).to_owned(),
            _ => String::new(),
        };
        let stamp = self.calendar.stamp(event.at);
        Object::write(&mut self.out, |line| line::write(line, event, stamp, &since));
        self.out.push(b'\n');
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.out.len() >= FULL
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = self.writer.write_all(&self.out);
        self.out.clear();
        written?;
        self.writer.flush()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.run.is_worth_telling() {
            let stamp = self.calendar.stamp(self.run.last());
            Object::write(&mut self.out, |line| line::run(line, &self.run, stamp));
            self.out.push(b'\n');
        }
        self.flush()
    }
}

/// Writes moments as RFC 3339 has them, in UTC. What is the same as in the moment before is not worked out again.
#[derive(Debug, Default)]
pub(in crate::sink) struct Calendar {
    second: Option<u64>,
    stamp: String,
}

impl Calendar {
    pub fn stamp(&mut self, at: Time) -> &str {
        let (second, rest) = (at.0 / 1_000_000_000, at.0 % 1_000_000_000);
        if self.second != Some(second) {
            self.second = Some(second);
            self.stamp = moment(i64::try_from(second).unwrap_or(i64::MAX));
        }
        self.stamp.truncate("2026-01-01T00:00:00".len());
        // A string takes all that is written.
        let _ = write!(self.stamp, ".{rest:09}Z");
        &self.stamp
    }
}

/// A second since 1970 as RFC 3339 has it; before the year 1 and after 9999, the first and last one.
fn moment(second: i64) -> String {
    let (first, last) = (-62_135_596_800, Timestamp::MAX.as_second());
    Timestamp::from_second(second.clamp(first, last)).unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_nanoseconds() {
        let mut calendar = Calendar::default();
        for (at, stamp) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1_767_225_600_000_000_001, "2026-01-01T00:00:00.000000001Z"),
            (1_767_225_600_999_999_999, "2026-01-01T00:00:00.999999999Z"),
            (1_767_225_601_000_000_000, "2026-01-01T00:00:01.000000000Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ] {
            assert_eq!(calendar.stamp(Time(at)), stamp);
        }
    }
}
