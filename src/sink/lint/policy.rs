//! Decides which findings count: those that are denied, those that are allowed, and those that a baseline knows.

use std::collections::BTreeSet;

use crate::check::Check;
use crate::event::Severity;
use crate::problem::Problem;
use crate::wording::nearest;

/// Whether a finding counts for the exit code, where it is denied at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    New,
    /// The user allows its check.
    Allowed,
    /// The baseline has it.
    Known,
    /// It is about words of imapscope itself, which a rule of the user's put there.
    Ours,
}

impl Standing {
    /// The word that json has for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Standing::New => "new",
            Standing::Allowed => "allowed",
            Standing::Known => "known",
            Standing::Ours => "ours",
        }
    }
}

/// Denied, allowed and known findings.
#[derive(Debug, Clone)]
pub struct Policy {
    /// From this severity on, everything is denied.
    from: Option<Severity>,
    /// Checks that are denied by name.
    deny: Vec<&'static Check>,
    allow: Vec<&'static Check>,
    known: BTreeSet<String>,
    /// A baseline was given.
    pub has_baseline: bool,
    /// `--deny`, as it was written.
    written: String,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            from: Some(Severity::Must),
            deny: Vec::new(),
            allow: Vec::new(),
            known: BTreeSet::new(),
            has_baseline: false,
            written: Severity::Must.word().to_owned(),
        }
    }
}

impl Policy {
    /// Reads what is denied (severities, ids, `none`; without any `must`) and allowed (ids).
    ///
    /// # Errors
    /// A word that is neither, with the nearest one; a check that is both denied and allowed.
    pub fn read(deny: &[String], allow: &[String]) -> Result<Self, Problem> {
        let mut policy = Policy::default();
        if !deny.is_empty() {
            (policy.from, policy.written) = (None, deny.join(","));
        }
        for word in deny.iter().map(|word| word.trim()) {
            if let Some(severity) = Severity::ALL.into_iter().find(|severity| severity.word() == word) {
                policy.from = Some(policy.from.map_or(severity, |from| from.min(severity)));
            } else if word == "none" {
                if deny.len() > 1 {
                    let help = "--deny none, or the others without none";
                    return Err(Problem::new("--deny", "none excludes everything else", help));
                }
            } else {
                policy.deny.push(named("--deny", word, &["must", "should", "quirk", "none"])?);
            }
        }
        policy.allow = allow.iter().map(|word| named("--allow", word.trim(), &[])).collect::<Result<_, _>>()?;
        match policy.deny.iter().find(|check| policy.allow.contains(check)) {
            Some(both) => {
                Err(Problem::new("--allow", format!("{} is denied and allowed", both.id), "give it to one of them"))
            }
            None => Ok(policy),
        }
    }

    /// Adds the fingerprints of a baseline.
    #[must_use]
    pub fn knowing(self, fingerprints: impl IntoIterator<Item = String>) -> Self {
        Policy { known: fingerprints.into_iter().collect(), has_baseline: true, ..self }
    }

    /// Returns whether a finding of this check counts. `ours`: it is about words of imapscope itself.
    #[must_use]
    pub fn standing(&self, check: &'static Check, fingerprint: &str, ours: bool) -> Standing {
        if ours {
            Standing::Ours
        } else if self.allow.contains(&check) {
            Standing::Allowed
        } else if self.known.contains(fingerprint) {
            Standing::Known
        } else {
            Standing::New
        }
    }

    /// Returns true if findings of this check are denied, where they count.
    #[must_use]
    pub fn denies(&self, check: &'static Check) -> bool {
        self.from.is_some_and(|from| check.severity >= from) || self.deny.contains(&check)
    }

    /// Returns `--deny`, as it was written: `must`.
    #[must_use]
    pub fn denied(&self) -> &str {
        &self.written
    }
}

/// The check of this id.
fn named(option: &str, id: &str, others: &[&str]) -> Result<&'static Check, Problem> {
    Check::named(id).ok_or_else(|| {
        let near = nearest(id, crate::check::ALL.iter().map(|check| check.id).chain(others.iter().copied()));
        let help = near.map_or_else(String::new, |near| format!("did you mean {near}? "));
        let words = if others.is_empty() { "an id" } else { "must, should, quirk, none, or an id" };
        Problem::new(option, format!("unknown check \"{id}\""), format!("{help}{words} of `imapscope lint --list`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{imap, line, tls};

    fn policy(deny: &str, allow: &str) -> Result<Policy, Problem> {
        let words = |text: &str| text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        Policy::read(&words(deny), &words(allow))
    }

    #[test]
    fn a_severity_denies_all_that_is_as_bad() {
        let should = crate::check::ALL.iter().find(|check| check.severity == Severity::Should).expect("one of them");
        for (deny, expected) in [
            ("", [true, false, false]),
            ("must", [true, false, false]),
            ("should", [true, true, false]),
            ("quirk", [true, true, true]),
            ("quirk,must", [true, true, true]),
            ("none", [false, false, false]),
            ("old-tls", [false, false, true]),
            ("must,old-tls", [true, false, true]),
            ("tag-unknown", [true, false, false]),
            ("bare-cr", [false, false, false]),
        ] {
            let policy = policy(deny, "").expect(deny);
            let denied = [&imap::TAG_UNKNOWN, *should, &tls::OLD_TLS].map(|check| policy.denies(check));
            assert_eq!(denied, expected, "{deny}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_the_nearest_id() {
        for (deny, allow, said) in [
            ("mist", "", "must"),
            ("tag-unknwn", "", "did you mean tag-unknown?"),
            ("", "bare-rc", "did you mean bare-"),
            ("", "must", "unknown check \"must\""),
            ("none,must", "", "none excludes everything else"),
            ("bare-cr", "bare-cr", "denied and allowed"),
            ("", "wombat", "lint --list"),
        ] {
            let problem = policy(deny, allow).expect_err(said).to_string();
            assert!(problem.contains(said), "{problem}");
        }
    }

    #[test]
    fn what_is_allowed_or_known_does_not_count() {
        let policy = policy("", "bare-cr").expect("an id").knowing(["ab".to_owned()]);
        for (check, fingerprint, ours, standing) in [
            (&line::BARE_CR, "cd", false, Standing::Allowed),
            (&line::BARE_LF, "ab", false, Standing::Known),
            (&line::BARE_LF, "cd", false, Standing::New),
            (&line::BARE_CR, "ab", true, Standing::Ours),
        ] {
            assert_eq!(policy.standing(check, fingerprint, ours), standing, "{}", check.id);
        }
    }
}
