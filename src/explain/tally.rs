//! Counting for the closing summary: commands by verb, rules, findings, time in IDLE. Bounded: [`MAX_VERBS`] verbs and
//! [`MAX_RULES`] rules, what comes after them is counted under `other`. Reads no clock.

use std::sync::Arc;
use std::time::Duration;

use crate::event::{Culprit, Peer, Tally};

/// How many verbs are counted apart.
pub const MAX_VERBS: usize = 64;

/// How many rules are counted apart.
pub const MAX_RULES: usize = 256;

/// The longest verb that is counted apart, in octets.
const MAX_VERB: usize = 40;

/// The name under which the rest is counted.
const OTHER: &str = "other";

/// The name of what must not be shown; its length is not told.
pub const HIDDEN: &str = "<hidden>";

/// The counts of one connection.
#[derive(Debug, Default)]
pub struct Tallies {
    /// Commands by verb, in the order of their first use.
    pub commands: Vec<Tally>,
    /// How many times each rule fired.
    pub rules: Vec<(Arc<str>, u64)>,
    /// Rules tell only what they would do.
    pub dry: bool,
    /// Findings against `[client, server]`.
    pub findings: [u64; 2],
    /// Time spent in IDLE.
    pub idle: Duration,
}

impl Tallies {
    /// Counts a command as sent, and gives its place in `commands`. Without a verb that can be shown it is `other`.
    pub fn sent(&mut self, verb: &[u8]) -> u16 {
        let verb =
            if verb.is_empty() || verb.len() > MAX_VERB || !verb.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
                OTHER.as_bytes()
            } else {
                verb
            };
        let at = self.place(verb);
        self.commands[at].count += 1;
        at as u16
    }

    fn place(&mut self, verb: &[u8]) -> usize {
        let same = |name: &str| name.as_bytes().eq_ignore_ascii_case(verb);
        if let Some(at) = self.commands.iter().position(|tally| same(&tally.verb)) {
            return at;
        }
        let room = self.commands.len() < MAX_VERBS - 1;
        if !room && let Some(at) = self.commands.iter().position(|tally| tally.verb == OTHER) {
            return at;
        }
        let name = if room { String::from_utf8_lossy(verb).to_ascii_uppercase() } else { OTHER.to_owned() };
        let ours = [OTHER, HIDDEN].into_iter().find(|ours| name.eq_ignore_ascii_case(ours));
        let name = ours.map_or(name, str::to_owned);
        // They are few, and kept for as long as the connection lasts.
        self.commands.reserve_exact(1);
        self.commands.push(Tally { verb: name, ..Tally::default() });
        self.commands.len() - 1
    }

    /// Counts an answer to the command at this place.
    pub fn answered(&mut self, at: u16, failed: bool, after: Option<Duration>) {
        if let Some(tally) = self.commands.get_mut(usize::from(at)) {
            tally.answered += 1;
            tally.failed += u64::from(failed);
            tally.total = tally.total.saturating_add(after.unwrap_or_default());
            tally.longest = tally.longest.max(after);
        }
    }

    /// Counts a command at this place as never answered.
    pub fn unanswered(&mut self, at: u16) {
        if let Some(tally) = self.commands.get_mut(usize::from(at)) {
            tally.unanswered += 1;
        }
    }

    /// Knows of a rule that has not fired.
    pub fn know(&mut self, rule: &Arc<str>) {
        if self.rules.len() < MAX_RULES && self.rules.iter().all(|(known, _)| known != rule) {
            self.rules.push((Arc::clone(rule), 0));
        }
    }

    /// Counts a rule that fired.
    pub fn fired(&mut self, rule: &Arc<str>) {
        if let Some((_, count)) = self.rules.iter_mut().find(|(known, _)| known == rule) {
            *count += 1;
        } else if self.rules.len() < MAX_RULES {
            self.rules.push((Arc::clone(rule), 1));
        }
    }

    /// A rule that was counted did nothing after all.
    pub fn missed(&mut self, rule: &Arc<str>) {
        if let Some((_, count)) = self.rules.iter_mut().find(|(known, _)| known == rule) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a finding, if its culprit is known.
    pub fn found(&mut self, culprit: Culprit) {
        for peer in [Peer::Client, Peer::Server].into_iter().filter(|peer| culprit.has(*peer)) {
            self.findings[peer.index()] += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_counted_in_any_case_and_in_order() {
        let mut tallies = Tallies::default();
        let at = tallies.sent(b"noop");
        assert_eq!(tallies.sent(b"NOOP"), at);
        tallies.answered(at, false, Some(Duration::from_millis(3)));
        tallies.answered(at, true, Some(Duration::from_millis(9)));
        let want = Tally {
            verb: "NOOP".into(),
            count: 2,
            failed: 1,
            answered: 2,
            unanswered: 0,
            total: Duration::from_millis(12),
            longest: Some(Duration::from_millis(9)),
        };
        assert_eq!(tallies.commands, [want]);
    }

    #[test]
    fn a_flood_of_verbs_ends_under_other() {
        let mut tallies = Tallies::default();
        for n in 0..10_000 {
            tallies.sent(format!("V{n}").as_bytes());
        }
        tallies.sent(&[b'x'; 5000]);
        assert_eq!(tallies.commands.len(), MAX_VERBS);
        assert_eq!(tallies.commands.iter().map(|t| t.count).sum::<u64>(), 10_001);
        assert_eq!(tallies.commands.last().map(|t| t.verb.as_str()), Some(OTHER));
    }

    #[test]
    fn what_is_hidden_is_counted_under_one_name() {
        let mut tallies = Tallies::default();
        let at = tallies.sent(HIDDEN.as_bytes());
        assert_eq!(tallies.sent(HIDDEN.as_bytes()), at);
        assert_eq!(tallies.commands[usize::from(at)].verb, HIDDEN);
    }

    #[test]
    fn rules_are_bounded() {
        let mut tallies = Tallies::default();
        for n in 0..1000 {
            tallies.fired(&Arc::from(format!("rule {n}")));
        }
        tallies.fired(&Arc::from("rule 0"));
        let mut quiet = Tallies::default();
        quiet.know(&Arc::from("a"));
        quiet.know(&Arc::from("a"));
        quiet.fired(&Arc::from("b"));
        assert_eq!(quiet.rules, [(Arc::from("a"), 0), (Arc::from("b"), 1)]);
        assert_eq!(tallies.rules.len(), MAX_RULES);
        assert_eq!(tallies.rules[0].1, 2);
    }
}
