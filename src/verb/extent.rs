//! What a file has: which connections, from when to when. This is told where a connection or a while was asked for that is not in it,
//! for what shows nothing looks as if nothing had been said.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::select::Selection;
use crate::cli::SelectionFlags;
use crate::event::{Batch, Time};
use crate::foreign::Times;
use crate::problem::Problem;

/// So many runs of numbers are remembered: connections are numbered as they come, and make one.
const RUNS: usize = 64;

/// So many of them are told.
const TOLD: usize = 8;

/// What has come of a file.
#[derive(Debug)]
pub struct Extent {
    /// What its times are worth.
    times: Times,
    /// The numbers of its connections, first and last of each run, in order.
    runs: Vec<(u64, u64)>,
    /// There are more than are remembered.
    more: bool,
    /// Connections that are wanted, and have not come.
    missing: BTreeSet<u64>,
    bounds: Option<(Time, Time)>,
}

impl Extent {
    /// That of a file of which nothing has come yet.
    #[must_use]
    pub fn new(wanted: &Selection, times: Times) -> Self {
        Extent { times, runs: Vec::new(), more: false, missing: wanted.connections.clone(), bounds: None }
    }

    /// Takes note of what has come.
    pub fn feed(&mut self, batch: &Batch) {
        let (first, last) = self.bounds.unwrap_or((batch.at, batch.at));
        self.bounds = Some((first.min(batch.at), last.max(batch.at)));
        let number = batch.connection;
        self.missing.remove(&number);
        let at = self.runs.partition_point(|&(_, last)| last < number);
        if self.runs.get(at).is_some_and(|&(first, _)| first <= number) {
            return;
        }
        let follows = at > 0 && self.runs[at - 1].1 + 1 == number;
        let leads = self.runs.get(at).is_some_and(|&(first, _)| first == number + 1);
        match (follows, leads) {
            (true, true) => self.runs[at - 1].1 = self.runs.remove(at).1,
            (true, false) => self.runs[at - 1].1 = number,
            (false, true) => self.runs[at].0 = number,
            (false, false) if self.runs.len() < RUNS => self.runs.insert(at, (number, number)),
            (false, false) => self.more = true,
        }
    }

    /// What was asked for, and is not in the file of this name, once all of it has come; `flags` is what the user wrote.
    #[must_use]
    pub fn lacks(&self, wanted: &Selection, flags: &SelectionFlags, name: &str) -> Vec<Problem> {
        let (since, until) = (flags.since.as_deref(), flags.until.as_deref());
        let has = format!("{name} has {}", self.connections());
        let none =
            |number| Problem::new(format!("--conn {number}"), "there is no connection of this number", has.clone());
        let mut found: Vec<Problem> = self.missing.iter().map(none).collect();
        let Some((first, last)) = self.bounds else { return found };
        let zone = wanted.zone.clone().unwrap_or(TimeZone::UTC);
        let [from, to] = [wanted.since, wanted.until].map(|moment| moment.map(|moment| moment.time(first, &zone)));
        let goes = format!("{name} {}", self.goes(first, last, &zone));
        if let (Some(text), Some(from)) = (since, from)
            && from > last
        {
            found.push(Problem::new(format!("--since {text}"), "nothing happened then or later", goes));
        } else if let (Some(text), Some(to)) = (until, to)
            && to < first
        {
            found.push(Problem::new(format!("--until {text}"), "nothing had happened by then", goes));
        } else if let (Some(text), Some(from), Some(to)) = (since, from, to)
            && from > to
        {
            found.push(Problem::new(
                format!("--since {text}"),
                "this is later than --until, and nothing is between",
                goes,
            ));
        }
        found
    }

    /// The numbers of the connections, in words.
    fn connections(&self) -> String {
        let told = self.runs.iter().take(TOLD).map(|&(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first} to {last}"),
        });
        let told = told.collect::<Vec<_>>().join(", ");
        let others = if self.more || self.runs.len() > TOLD { " and others" } else { "" };
        match self.runs.as_slice() {
            [] => "none at all".to_owned(),
            [(first, last)] if first == last => format!("connection {first} alone"),
            _ => format!("connections {told}{others}"),
        }
    }

    /// From when to when the file goes: in whole seconds, between which everything lies.
    fn goes(&self, first: Time, last: Time, zone: &TimeZone) -> String {
        let form = match self.times {
            Times::Unknown => return "does not say when something happened".to_owned(),
            Times::OfDay => "%H:%M:%S",
            Times::Known => "%Y-%m-%dT%H:%M:%S",
        };
        let said = |second: u64| {
            let moment = i64::try_from(second).ok().and_then(|second| Timestamp::from_second(second).ok());
            moment.map_or_else(|| second.to_string(), |moment| zone.to_datetime(moment).strftime(form).to_string())
        };
        const SECOND: u64 = 1_000_000_000;
        format!("goes from {} to {} (local time)", said(first.0 / SECOND), said(last.0.div_ceil(SECOND)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(numbers: &[u64]) -> Extent {
        let mut extent = Extent::new(&Selection::default(), Times::Known);
        numbers.iter().for_each(|&connection| extent.feed(&Batch { connection, ..Batch::default() }));
        extent
    }

    #[test]
    fn the_numbers_of_connections_are_told_in_runs() {
        for (numbers, told) in [
            (&[][..], "none at all"),
            (&[7, 7], "connection 7 alone"),
            (&[2, 1], "connections 1, 2"),
            (&[1, 3, 9, 2, 0, u64::MAX], "connections 0 to 3, 9, 18446744073709551615"),
            (&[u64::MAX, u64::MAX - 1, 5], "connections 5, 18446744073709551614, 18446744073709551615"),
        ] {
            assert_eq!(extent(numbers).connections(), told);
        }
    }

    #[test]
    fn a_file_goes_from_second_to_second_where_it_has_times() {
        let goes = |times| {
            let extent = Extent { times, ..extent(&[]) };
            extent.goes(Time(1_772_445_600_100_000_000), Time(1_772_445_601_000_000_001), &TimeZone::UTC)
        };
        assert_eq!(goes(Times::Known), "goes from 2026-03-02T10:00:00 to 2026-03-02T10:00:02 (local time)");
        assert_eq!(goes(Times::OfDay), "goes from 10:00:00 to 10:00:02 (local time)");
        assert_eq!(goes(Times::Unknown), "does not say when something happened");
    }

    #[test]
    fn many_runs_are_bounded() {
        let numbers: Vec<u64> = (0..10_000).map(|number| number * 2).collect();
        let extent = extent(&numbers);
        assert_eq!(extent.runs.len(), RUNS);
        assert_eq!(extent.connections(), "connections 0, 2, 4, 6, 8, 10, 12, 14 and others");
    }
}
