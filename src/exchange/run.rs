//! What all connections of a run come to: counts, and their verdicts put together. Each output gathers what it shows, so that a
//! part of a recording (`--conn`, a filter) ends with what that part comes to. Bounded, whatever the number of connections.

use std::collections::HashSet;
use std::time::Duration;

use super::Explained;
use crate::event::{Closed, Closer, Culprit, Summary, Time, Verdict, VerdictKind, What};

/// Maximum number of different verdicts of each kind that are kept.
pub const MAX_VERDICTS: usize = 8;

/// Maximum length of a sentence that is kept, in bytes.
pub const MAX_SENTENCE: usize = 256;

/// Maximum number of connections that are named for each verdict.
pub const MAX_CONNECTIONS: usize = 4;

/// Maximum number of different capabilities that are counted in each list.
const MAX_NAMES: usize = 128;

/// Maximum length of a capability's name that is kept, in bytes.
const MAX_NAME: usize = 64;

/// Gathers the connections of a run, as they are shown.
#[derive(Debug, Default)]
pub struct Run {
    /// Number of connections.
    pub connections: u64,
    /// Number of those whose end is not in what was read.
    pub unended: u64,
    first: Option<Time>,
    last: Time,
    /// Commands: sent, and of these refused and never answered.
    pub commands: [u64; 3],
    /// Bytes received from `[client, server]`.
    pub received: [u64; 2],
    /// Bytes sent on to `[client, server]`.
    pub sent: [u64; 2],
    /// Findings by culprit: `[client, server]`.
    pub findings: [u64; 2],
    /// In the order of [`VerdictKind::ALL`].
    kinds: [OfKind; VerdictKind::ALL.len()],
    /// Capabilities that clients were offered and used.
    pub used: Names,
    /// Capabilities that clients used without having been offered them.
    pub unadvertised: Names,
    /// Capabilities that a rule hid and clients tried all the same.
    pub hidden_tried: Names,
}

/// The verdicts of one kind.
#[derive(Debug, Default)]
struct OfKind {
    connections: u64,
    shared: Vec<Shared>,
}

/// A verdict that one or more connections share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// Its kind.
    pub kind: VerdictKind,
    /// The check that gives it; empty where none does.
    pub check: &'static str,
    /// Whose fault it is.
    pub culprit: Culprit,
    /// The sentence of the first of these connections, [`MAX_SENTENCE`] bytes at most.
    pub text: String,
    /// How many connections share it.
    pub count: u64,
    /// The numbers of the first ones, [`MAX_CONNECTIONS`] at most.
    pub connections: Vec<u64>,
    /// What makes it the same verdict: its sentence, in which numbers may differ.
    sentence: String,
}

/// Capabilities, with the number of connections that concern each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    names: Vec<(String, u64)>,
    /// True if there was no room for some.
    pub cut: bool,
}

impl Names {
    fn count<'a>(&mut self, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for name in names.filter(|name| seen.insert(*name)) {
            let name = start_of(name, MAX_NAME);
            if let Some((_, count)) = self.names.iter_mut().find(|(known, _)| known == name) {
                *count += 1;
            } else if self.names.len() < MAX_NAMES {
                self.names.push((name.to_owned(), 1));
            } else {
                self.cut = true;
            }
        }
    }

    /// Returns the names with their counts, the most frequent ones first.
    #[must_use]
    pub fn sorted(&self) -> Vec<(&str, u64)> {
        let mut names: Vec<_> = self.names.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        names.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        names
    }
}

impl Run {
    /// Takes note of an event that is shown.
    pub fn see(&mut self, event: &Explained<'_>) {
        self.first = Some(self.first.map_or(event.at, |first| first.min(event.at)));
        self.last = self.last.max(event.at);
        if let What::Closed(closed) = &event.event.what {
            self.end(event.connection.number, closed, event.summary);
        }
    }

    fn end(&mut self, connection: u64, closed: &Closed, summary: Option<&Summary>) {
        self.connections += 1;
        self.unended += u64::from(closed.by == Closer::Unseen);
        add(&mut self.received, closed.received);
        add(&mut self.sent, closed.sent);
        let Some(summary) = summary else { return };
        for tally in &summary.commands {
            add(&mut self.commands, [tally.count, tally.failed, tally.unanswered]);
        }
        add(&mut self.findings, summary.findings);
        self.used.count(summary.used.iter().map(|used| used.name.as_str()));
        self.unadvertised.count(summary.unadvertised.iter().map(|(_, name)| name.as_str()));
        self.hidden_tried.count(summary.hidden_tried.iter().map(|(_, name)| name.as_str()));
        let place = VerdictKind::ALL.iter().position(|kind| *kind == summary.verdict.kind);
        if let Some(kind) = place.and_then(|place| self.kinds.get_mut(place)) {
            kind.add(connection, &summary.verdict);
        }
    }

    /// Returns true if there is more to say of all connections than was said of each: there were several.
    #[must_use]
    pub const fn is_worth_telling(&self) -> bool {
        self.connections > 1
    }

    /// Returns the time of the last event.
    #[must_use]
    pub const fn last(&self) -> Time {
        self.last
    }

    /// Returns the time from the first event to the last one, if times are known.
    #[must_use]
    pub fn lasted(&self) -> Option<Duration> {
        self.last.after(self.first.filter(|first| first.0 > 0)?)
    }

    /// Returns the kinds of verdicts that occurred, the worst first, with the number of connections of each.
    pub fn kinds(&self) -> impl Iterator<Item = (VerdictKind, u64)> {
        let kinds = VerdictKind::ALL.iter().zip(&self.kinds);
        kinds.map(|(kind, of)| (*kind, of.connections)).filter(|(_, connections)| *connections > 0)
    }

    /// Returns the verdicts, the worst kind first, and of each kind the most frequent ones first. Of each kind, only
    /// [`MAX_VERDICTS`] different ones are kept: [`Run::kinds`] counts all.
    #[must_use]
    pub fn verdicts(&self) -> Vec<&Shared> {
        let mut verdicts = Vec::new();
        for kind in &self.kinds {
            let start = verdicts.len();
            verdicts.extend(&kind.shared);
            verdicts[start..].sort_by_key(|shared| std::cmp::Reverse(shared.count));
        }
        verdicts
    }
}

impl OfKind {
    fn add(&mut self, connection: u64, verdict: &Verdict) {
        self.connections += 1;
        let cause = &verdict.cause;
        let sentence = if cause.text.is_empty() { &verdict.text } else { &cause.text };
        let sentence = start_of(sentence, MAX_SENTENCE);
        let same = |shared: &&mut Shared| {
            (shared.check, shared.culprit) == (cause.check, cause.culprit) && is_alike(&shared.sentence, sentence)
        };
        if let Some(shared) = self.shared.iter_mut().find(same) {
            shared.count += 1;
            if shared.connections.len() < MAX_CONNECTIONS {
                shared.connections.push(connection);
            }
        } else if self.shared.len() < MAX_VERDICTS {
            let text = start_of(&verdict.text, MAX_SENTENCE);
            let cut = if text.len() < verdict.text.len() { "…" } else { "" };
            self.shared.push(Shared {
                kind: verdict.kind,
                check: cause.check,
                culprit: cause.culprit,
                text: format!("{text}{cut}"),
                count: 1,
                connections: vec![connection],
                sentence: sentence.to_owned(),
            });
        }
    }
}

fn add<const N: usize>(sums: &mut [u64; N], numbers: [u64; N]) {
    for (sum, number) in sums.iter_mut().zip(numbers) {
        *sum = sum.saturating_add(number);
    }
}

/// The longest start of a text that has at most `most` bytes.
fn start_of(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// Returns true if two sentences differ in their numbers at most: tags, places, times.
fn is_alike(one: &str, other: &str) -> bool {
    one == other || without_numbers(one).eq(without_numbers(other))
}

/// The letters of a text, each number as one zero.
fn without_numbers(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .scan(false, |within, c| {
            let again = std::mem::replace(within, c.is_ascii_digit()) && *within;
            Some((!again).then_some(if *within { '0' } else { c }))
        })
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::super::Connection;
    use super::*;
    use crate::event::{Cause, Event, Peer, Tally, Used};

    /// Puts a connection from its opening to its end into a run.
    fn put(run: &mut Run, number: u64, verdict: Verdict, names: &[String]) {
        let connection = Connection { number, ..Connection::default() };
        let (from, at) = (Peer::Client, Time(number * 1_000_000_000));
        let opened = Event { from, what: What::Opened(Box::default()) };
        run.see(&Explained::bare(&connection, at, &opened));
        let summary = Summary {
            verdict,
            commands: vec![Tally { count: 3, failed: 1, unanswered: 1, ..Tally::default() }],
            used: names.iter().map(|name| Used { name: name.clone(), ..Used::default() }).collect(),
            unadvertised: names.iter().map(|name| ("X".to_owned(), name.clone())).collect(),
            hidden_tried: names.iter().map(|name| ("X".to_owned(), name.clone())).collect(),
            findings: [1, 0],
            ..Summary::default()
        };
        let closed = Closed { by: Closer::Ours, why: None, received: [5, 7], sent: [7, 5], inflated: [(0, 0); 2] };
        let closed = Event { from, what: What::Closed(Box::new(closed)) };
        let event = Explained::bare(&connection, Time(at.0 + 500_000_000), &closed);
        run.see(&Explained { summary: Some(&summary), ..event });
    }

    fn verdict(kind: VerdictKind, text: &str) -> Verdict {
        Verdict { kind, text: text.to_owned(), ..Verdict::default() }
    }

    fn told(run: &Run) -> Vec<(VerdictKind, &str, u64, u64)> {
        run.verdicts().iter().map(|it| (it.kind, it.text.as_str(), it.count, it.connections[0])).collect()
    }

    #[test]
    fn the_worst_verdicts_come_first_and_equal_ones_are_one() {
        use VerdictKind::{Client, Limit, None, Refused, Server, Stopped, Waiting};
        let mut run = Run::default();
        let kinds = [None, Stopped, Waiting, Limit, Refused, Client, Server, None, Client, Client];
        for (number, kind) in (1..).zip(kinds) {
            let text = if number > 8 { "it broke line 17 of a9".to_owned() } else { format!("it is {}", kind.word()) };
            put(&mut run, number, verdict(kind, &text), &[]);
        }
        put(&mut run, 11, verdict(Client, "it broke line 203 of a12"), &[]);
        let expected = [
            (Server, "it is server", 1, 7),
            (Client, "it broke line 17 of a9", 3, 9),
            (Client, "it is client", 1, 6),
            (Refused, "it is refused", 1, 5),
            (Limit, "it is limit", 1, 4),
            (Waiting, "it is waiting", 1, 3),
            (Stopped, "it is stopped", 1, 2),
            (None, "it is none", 2, 1),
        ];
        assert_eq!(told(&run), expected);
        assert_eq!(run.verdicts()[1].connections, [9, 10, 11]);
        assert_eq!(run.kinds().find(|(kind, _)| *kind == Client), Some((Client, 4)));
        assert_eq!((run.connections, run.unended, run.lasted()), (11, 0, Some(Duration::from_millis(10_500))));
        assert_eq!((run.commands, run.findings, run.received), ([33, 11, 11], [11, 0], [55, 77]));
    }

    #[test]
    fn what_makes_a_verdict_the_same_is_its_cause() {
        let mut run = Run::default();
        for (number, (check, line)) in (1..).zip([("a", "one"), ("a", "two"), ("b", "one")]) {
            let cause = Cause { check, text: "it is odd".to_owned(), ..Cause::default() };
            put(&mut run, number, Verdict { cause, ..verdict(VerdictKind::Server, line) }, &[]);
        }
        assert_eq!(told(&run), [(VerdictKind::Server, "one", 2, 1), (VerdictKind::Server, "one", 1, 3)]);
    }

    #[test]
    fn any_number_of_connections_takes_bounded_memory_and_is_counted() {
        let mut run = Run::default();
        let letters = |number: u64| number.to_string().bytes().map(|digit| char::from(digit + 49)).collect::<String>();
        for number in 1..=10_000 {
            let kind = VerdictKind::ALL[number as usize % VerdictKind::ALL.len()];
            let text = format!("{}{}", letters(number), "ü".repeat(400));
            let names = [letters(number), format!("{}{}", letters(number + 1), "ü".repeat(100)), "IDLE".to_owned()];
            put(&mut run, number, verdict(kind, &text), &names);
        }
        assert_eq!((run.connections, run.kinds().map(|(_, count)| count).sum::<u64>()), (10_000, 10_000));
        let verdicts = run.verdicts();
        assert_eq!(verdicts.len(), VerdictKind::ALL.len() * MAX_VERDICTS);
        for shared in verdicts {
            assert_eq!((shared.count, shared.connections.len()), (1, 1));
            assert!(shared.text.len() <= MAX_SENTENCE + "…".len() && shared.sentence.len() <= MAX_SENTENCE);
            assert!(shared.text.ends_with("ü…"), "it is cut between letters: {}", shared.text);
        }
        for names in [&run.used, &run.unadvertised, &run.hidden_tried] {
            assert!(names.cut && names.names.len() == MAX_NAMES);
            assert!(names.names.iter().all(|(name, _)| name.len() <= MAX_NAME));
            assert_eq!(names.sorted()[0], ("IDLE", 10_000));
        }
    }
}
