//! The verbs: from flags to a plan, and where the parts meet. Every error of the user is raised here, before a socket
//! opens. A verb returns the exit code: 0 fine, 1 a failure that was reported, 2 usage.

pub mod demo;
pub mod explain;
pub mod grammar;
pub mod log;
pub mod proxy;
pub mod route;
pub mod scope;

use std::io::{self, Write};

use clap::CommandFactory;

use crate::cli::{self, Cli, RuleFlags, Verb};
use crate::grammar::Grammar;
use crate::problem::Problem;
use crate::rules::{Options, Rules, Source};
pub use scope::tell;

/// Does what the command line says. Returns the exit code.
///
/// # Errors
/// Everything in the command line that cannot be meant.
pub fn run(verb: Verb) -> Result<u8, Problem> {
    let out = &mut io::stdout().lock();
    match verb {
        Verb::Proxy(flags) => proxy::run(&flags),
        Verb::Demo(flags) => demo::run(&flags),
        Verb::Explain(flags) => explain::explain(&flags.words.join(" "), out),
        Verb::Grammar(cli::Grammar::List) => grammar::list(out),
        Verb::Grammar(cli::Grammar::Show { name }) => grammar::show(&name, out),
        Verb::Grammar(cli::Grammar::Check { file }) => grammar::check(&file, out),
        Verb::Completions { shell } => Ok(completions(shell, out)),
        Verb::Man => Ok(manual(out)),
    }
}

fn completions(shell: clap_complete::Shell, out: &mut dyn Write) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "imapscope", &mut script);
    written(out.write_all(&script))
}

fn manual(out: &mut dyn Write) -> u8 {
    let mut pages = Vec::new();
    let mut command = Cli::command();
    command.build();
    written(pages_of(&command, &mut pages).and_then(|()| out.write_all(&pages)))
}

/// The page of a command, and those of the commands under it.
fn pages_of(command: &clap::Command, pages: &mut Vec<u8>) -> io::Result<()> {
    let source = concat!("imapscope ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).render(pages)?;
    let mut under = command.get_subcommands().filter(|command| command.get_name() != "help");
    under.try_for_each(|command| pages_of(command, pages))
}

/// Whoever closes the pipe has read enough.
fn written(result: io::Result<()>) -> u8 {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            tell(&format!("error: standard output: {error}"));
            1
        }
        _ => 0,
    }
}

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
            let help = "name a text file in UTF-8, one rule a line";
            Problem::new(format!("--rules {name}"), format!("the file cannot be read: {error}"), help)
        })?;
        sources.extend(Source::file(&name, &content));
    }
    Rules::compile(&sources)
}

/// What is said of capabilities that rules name and nobody knows: a warning each, for it may be a new or private one.
#[must_use]
pub fn unknown_capabilities(rules: &Rules, grammar: &Grammar) -> Vec<String> {
    let named = rules.capabilities();
    let unknown = named.filter(|name| !name.contains('*') && grammar.capability(name.as_bytes()).is_none());
    let warning = unknown.map(|name| match grammar.suggest_capability(&name) {
        Some(near) => format!("no capability {name} is known; did you mean {near}? (the rule is applied as it is)"),
        None => format!("no capability {name} is known (the rule is applied as it is)"),
    });
    warning.collect()
}
