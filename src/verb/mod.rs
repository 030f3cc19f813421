//! The verbs: from flags to a plan, and where the parts meet. Every error of the user is raised here, before a socket
//! opens. A verb returns the exit code: 0 fine, 1 a failure that was reported, 2 usage.

pub mod route;

use crate::cli::RuleFlags;
use crate::grammar::Grammar;
use crate::problem::Problem;
use crate::rules::{Options, Rules, Source};

/// The rules that flags ask for.
///
/// # Errors
/// A rule or file that cannot be read, with its place and remedy.
pub fn rules(flags: &RuleFlags) -> Result<Rules, Problem> {
    let mut sources = Source::options(Options {
        only: &flags.only_caps,
        drop: &flags.drop_cap,
        replace: &flags.replace_cap,
        add: &flags.add_cap,
    });
    sources.extend(flags.rule.iter().zip(1..).map(|(text, nth)| Source::rule(nth, text)));
    for file in &flags.rules {
        let name = file.display().to_string();
        let content = std::fs::read_to_string(file).map_err(|error| {
            Problem::new(
                format!("--rules {name}"),
                format!("the file cannot be read: {error}"),
                "name a text file in UTF-8, one rule a line",
            )
        })?;
        sources.extend(Source::file(&name, &content));
    }
    Rules::compile(&sources)
}

/// What is said of capabilities that rules name and nobody knows: a warning each, for it may be a new or private one.
#[must_use]
pub fn unknown_capabilities(rules: &Rules, grammar: &Grammar) -> Vec<String> {
    let unknown =
        rules.capabilities().filter(|name| !name.contains('*') && grammar.capability(name.as_bytes()).is_none());
    let warning = unknown.map(|name| match grammar.suggest_capability(&name) {
        Some(near) => format!("no capability {name} is known; did you mean {near}? (the rule is applied as it is)"),
        None => format!("no capability {name} is known (the rule is applied as it is)"),
    });
    warning.collect()
}
