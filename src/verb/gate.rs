//! Decides on the exit code by what was found: the flags of `lint`, and of `proxy` and `read` where they are given.

use std::collections::BTreeMap;
use std::path::Path;

use super::input::{self, Pipes};
use super::tell;
use crate::cli::GateFlags;
use crate::file;
use crate::problem::Problem;
use crate::sink::Sink;
use crate::sink::lint::policy::Policy;
use crate::sink::lint::report::Report;
use crate::sink::lint::{Shared, baseline};
use crate::wording::{amount, thousands};

/// Reads what is denied, allowed and known.
///
/// # Errors
/// A word that cannot be meant, or a baseline that cannot be read.
pub fn policy(flags: &GateFlags) -> Result<Policy, Problem> {
    let policy = Policy::read(&flags.deny, &flags.allow)?;
    match &flags.baseline {
        Some(path) => Ok(policy.knowing(known(path)?)),
        None => Ok(policy),
    }
}

fn known(path: &Path) -> Result<Vec<String>, Problem> {
    let help = "name a file that `imapscope lint --write-baseline FILE` has written";
    let problem = |why: String| Problem::new(format!("--baseline {}", path.display()), why, help);
    let bytes = input::patiently(path, || file::small(input::open(path, Pipes::Wait)?));
    let bytes = bytes.map_err(|error| problem(format!("the file cannot be read: {error}")))?;
    baseline::read(&bytes).map_err(|why| problem(format!("not a baseline: {why}")))
}

/// Judges what else is shown or relayed.
pub struct Gatekeeper {
    found: Shared,
}

impl Gatekeeper {
    /// One by these flags; `None` if nothing is denied.
    ///
    /// # Errors
    /// A word that cannot be meant, a baseline that cannot be read, or flags without `--deny`.
    pub fn read(flags: &GateFlags) -> Result<Option<Self>, Problem> {
        let policy = policy(flags)?;
        if flags.deny.is_empty() {
            let given = [("--allow", !flags.allow.is_empty()), ("--baseline", flags.baseline.is_some())];
            return match given.into_iter().find(|(_, given)| *given) {
                Some((option, _)) => Err(Problem::new(option, "requires --deny", "give both, such as --deny must")),
                None => Ok(None),
            };
        }
        Ok(Some(Gatekeeper { found: Shared::new(Report::new(policy)) }))
    }

    /// Returns the sink that judges, which wants all events.
    #[must_use]
    pub fn sink(&self) -> Box<dyn Sink> {
        Box::new(self.found.sink("", true))
    }

    /// The exit code of a program that else would have this one: a failure goes before what was found. Tells what was denied.
    #[must_use]
    pub fn judge(&self, code: u8) -> u8 {
        let report = self.found.lock();
        if report.unjudged > 0 {
            tell(&format!("warning: {} not judged: the log could not keep up", amount(report.unjudged, "event")));
        }
        if report.denied.is_empty() {
            return code;
        }
        let denied = report.policy.denied();
        let found = amount(report.denied.values().sum(), "finding");
        tell(&format!("error: {found} denied by --deny {denied}: {}", counts(&report.denied)));
        if code == 0 { 3 } else { code }
    }
}

/// `bare-cr, tag-unknown (12 times)`
fn counts(found: &BTreeMap<&'static str, u64>) -> String {
    let one = |(id, count): (&&str, &u64)| match count {
        1 => (*id).to_owned(),
        count => format!("{id} ({} times)", thousands(*count)),
    };
    found.iter().map(one).collect::<Vec<_>>().join(", ")
}
