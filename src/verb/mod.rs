//! The verbs: from flags to a plan, and where the parts meet. Every error of the user is raised here, before a socket
//! opens. A verb returns the exit code: 0 fine, 1 a failure that was reported, 2 usage, 3 a finding
//! that is denied.

pub mod ca;
pub mod child;
mod deadline;
pub mod demo;
pub mod desk;
pub mod ending;
pub mod explain;
pub mod extent;
pub mod follow;
pub mod foreign;
pub mod gate;
pub mod grammar;
pub mod input;
pub mod lint;
pub mod log;
pub mod probe;
pub mod protocols;
pub mod proxy;
pub mod read;
pub mod route;
pub mod scope;
pub mod secure;
pub mod select;
pub mod source;

use std::borrow::Cow;
use std::io::{self, BufRead as _, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::CommandFactory;

use crate::cli::{self, Cli, RuleFlags, Verb};
use crate::event::Form;
use crate::file;
use crate::grammar::{Grammar, mechanism};
use crate::problem::Problem;
use crate::recording;
use crate::rules::{Options, Rules, Source};
use crate::sink::json::SCHEMA;
use crate::wording::nearest;
use input::Pipes;
use protocols::Protocols;
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
        Verb::Read(flags) => read::run(&flags),
        Verb::Lint(flags) => lint::run(&flags, out),
        Verb::Probe(flags) => probe::run(&flags, out),
        Verb::Explain(flags) if flags.json_schema => Ok(written(out.write_all(SCHEMA.as_bytes()))),
        Verb::Explain(flags) => {
            let Asked { words, files, protocol } = apart(flags)?;
            explain::explain_from(&Protocols::with(&files)?, protocol.as_deref(), &words.join(" "), out)
        }
        Verb::Grammar(cli::Grammar::List) => grammar::list(out),
        Verb::Grammar(cli::Grammar::Show { name }) => grammar::show(&name, out),
        Verb::Grammar(cli::Grammar::Check { file }) => grammar::check(&file, out),
        Verb::Ca(verb) => ca::run(&verb, out),
        Verb::Completions { shell } => Ok(completions(shell, out)),
        Verb::Man => Ok(manual(out)),
    }
}

/// The words to explain, and the files of `--grammar`. A word may begin with a hyphen (-ERR), so what follows the first
/// word comes as a word, the option too.
fn apart(flags: cli::Explain) -> Result<Asked, Problem> {
    let mut asked = Asked { words: Vec::new(), files: flags.grammar, protocol: flags.protocol };
    let mut given = flags.words.into_iter();
    while let Some(word) = given.next() {
        let flag = ["--grammar", "--protocol"]
            .into_iter()
            .find(|flag| word.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('=')));
        let Some(flag) = flag else {
            asked.words.push(word);
            continue;
        };
        let value = word.split_once('=').map(|(_, value)| value.to_owned()).or_else(|| given.next());
        match (flag, value) {
            ("--grammar", Some(file)) => asked.files.push(file.into()),
            (_, Some(name)) => asked.protocol = Some(name),
            (flag, None) => {
                let value = if flag == "--grammar" { "FILE" } else { "NAME" };
                return Err(Problem::new(flag, "the value is missing", format!("write {flag} {value}")));
            }
        }
    }
    Ok(asked)
}

/// What `explain` is asked.
struct Asked {
    words: Vec<String>,
    files: Vec<PathBuf>,
    protocol: Option<String>,
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
    compiled(flags, &sources(flags, &[], Pipes::Wait)?, flags.seed.unwrap_or(0), Pipes::Wait)
}

/// Rules with what flags say of all of them.
fn compiled(flags: &RuleFlags, sources: &[Source], seed: u64, pipes: Pipes) -> Result<Rules, Problem> {
    let rules = compile(sources, pipes)?.seeded(seed);
    let rules = if flags.enforce { rules.enforcing() } else { rules };
    Ok(if flags.dry_run { rules.dry() } else { rules })
}

/// What is said of rules that announce capabilities in the server's place: a warning each.
#[must_use]
pub fn added_capabilities(rules: &Rules) -> Vec<String> {
    let told = |(rule, names): (&Arc<str>, Vec<Cow<'_, str>>)| {
        let names = names.join(" and ");
        format!("{rule}: a server that does not have {names} will not do what clients ask for because of it")
    };
    rules.additions().filter(|_| !rules.is_dry()).map(told).collect()
}

/// Rules of which some may name files.
///
/// # Errors
/// A rule or file that cannot be read.
fn compile(sources: &[Source], pipes: Pipes) -> Result<Rules, Problem> {
    Rules::compile_with(sources, &|file| text_of(Path::new(file), pipes).map_err(|error| error.to_string()))
}

/// What a file of names says; of a recording, its lists of capabilities. In a transcript of peers there may be anything.
fn text_of(file: &Path, pipes: Pipes) -> io::Result<String> {
    input::patiently(file, || {
        let mut input = BufReader::new(input::open(file, pipes)?);
        if input.fill_buf()?.starts_with(recording::START) {
            return recording::lists(input);
        }
        Ok(String::from_utf8_lossy(&file::small(input)?).into_owned())
    })
}

/// The text of a file of rules.
fn read_text(file: &Path, pipes: Pipes) -> io::Result<String> {
    let octets = input::patiently(file, || file::small(input::open(file, pipes)?))?;
    String::from_utf8(octets).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|&&b| b == b'\n').count() + 1;
        io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8"))
    })
}

/// A seed for the chances of rules, where none was given: another one in each run.
#[must_use]
pub fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    // Short enough to be copied by hand.
    RandomState::new().hash_one(std::process::id()) % 1_000_000_000
}

/// The rules that the flags of `proxy` ask for: these first, and what hides these names of STARTTLS if that is wanted.
///
/// # Errors
/// As [`rules`].
pub fn rules_of(flags: &cli::Proxy, first: &[Source], starttls: &[&str], seed: u64) -> Result<Rules, Problem> {
    rules_from(flags, first, starttls, seed, Pipes::Wait)
}

/// Like [`rules_of`], and says what is done with pipes.
fn rules_from(
    flags: &cli::Proxy,
    first: &[Source],
    starttls: &[&str],
    seed: u64,
    pipes: Pipes,
) -> Result<Rules, Problem> {
    let mut hide = Vec::new();
    if flags.tls.starttls == cli::StartTls::Hide && !starttls.is_empty() {
        hide.push(("--starttls hide", starttls.join(",")));
    }
    if flags.compress == cli::Compress::Hide {
        hide.push(("--compress hide", "COMPRESS*,XFEATURE-COMPRESS*".to_owned()));
    }
    compiled(&flags.rules, &[first, &sources(&flags.rules, &hide, pipes)?].concat(), seed, pipes)
}

fn sources(flags: &RuleFlags, hide: &[(&str, String)], pipes: Pipes) -> Result<Vec<Source>, Problem> {
    let mut sources = Source::options(Options {
        like: flags.caps_like.as_deref(),
        only: &flags.only_caps,
        drop: &flags.drop_cap,
        replace: &flags.replace_cap,
        add: &flags.add_cap,
        hide,
    });
    sources.extend(flags.rule.iter().zip(1..).map(|(text, nth)| Source::rule(nth, text)));
    for file in &flags.rules {
        let name = file.display().to_string();
        let content = read_text(file, pipes).map_err(|error| {
            let help = "name a text file in UTF-8, one rule a line";
            Problem::new(format!("--rules {name}"), format!("the file cannot be read: {error}"), help)
        })?;
        sources.extend(Source::file(&name, &content));
    }
    Ok(sources)
}

/// What is said of capabilities that rules name and no protocol in use knows: a warning each, for it may be a new or
/// private one.
#[must_use]
pub fn unknown_capabilities(rules: &Rules, grammars: &[Arc<Grammar>]) -> Vec<String> {
    let unknown = rules.capabilities().filter(|name| !name.contains('*') && !grammars.iter().any(|g| knows(g, name)));
    let places = grammars.iter().map(|grammar| grammar.name.as_str()).collect::<Vec<_>>().join(" or ");
    let warning = unknown.map(|name| match grammars.iter().find_map(|g| g.suggest_capability(&name)) {
        Some(near) => {
            format!("no capability {name} is known in {places}; did you mean {near}? (the rule is applied as it is)")
        }
        None => format!("no capability {name} is known in {places} (the rule is applied as it is)"),
    });
    warning.collect()
}

/// What is said of commands that rules or a filter name and no protocol in use knows: a warning each, for it may be a new or
/// private one.
#[must_use]
pub fn unknown_commands<'a>(names: impl Iterator<Item = Cow<'a, str>>, grammars: &[Arc<Grammar>]) -> Vec<String> {
    let places = grammars.iter().map(|grammar| grammar.name.as_str()).collect::<Vec<_>>().join(" or ");
    let known = |name: &str| name.contains('*') || grammars.iter().any(|grammar| grammar.command(name).is_some());
    let mut unknown: Vec<Cow<'_, str>> = Vec::new();
    for name in names.filter(|name| !known(name)) {
        if !unknown.contains(&name) {
            unknown.push(name);
        }
    }
    let warning = unknown.iter().map(|name| {
        let all = grammars.iter().flat_map(|grammar| grammar.commands.iter()).map(|command| command.name.as_str());
        let near = nearest(name, all).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        format!("no command {name} is known in {places}{near} (it is taken as it is)")
    });
    warning.collect()
}

/// What is said of protocols that conditions name and no description has: a warning each, as this holds nowhere.
#[must_use]
pub fn unknown_protocols<'a>(names: impl Iterator<Item = Cow<'a, str>>, protocols: &Protocols) -> Vec<String> {
    let unknown = names.filter(|name| protocols.grammar(name).is_none());
    let warning = unknown.map(|name| {
        let names = protocols.grammars().iter().map(|grammar| grammar.name.as_str());
        let near = protocols.scheme(&name).map(|scheme| scheme.protocol).or_else(|| nearest(&name, names));
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        format!("no protocol {name} is known{near} (the condition is taken as it is)")
    });
    warning.collect()
}

/// What is said of routes that conditions name by a number that none of so many has: a warning each.
#[must_use]
pub fn unknown_routes<'a>(names: impl Iterator<Item = Cow<'a, str>>, count: usize) -> Vec<String> {
    let numbers = names.filter_map(|name| name.parse::<usize>().ok());
    let unknown = numbers.filter(|number| !(1..=count).contains(number));
    unknown
        .map(|number| {
            format!(
                "there is no route {number}: {} given",
                if count == 1 { "one is".to_owned() } else { format!("{count} are") }
            )
        })
        .collect()
}

/// True if a capability is known by its first word: what stands behind that is its value (`SIZE 1000`). Where values
/// stand behind the name, `NAME=VALUE` is one of them.
fn knows(grammar: &Grammar, name: &str) -> bool {
    let word = name.split_whitespace().next().unwrap_or_default();
    let part = word.split_once('=').filter(|_| grammar.form != Form::Imap);
    grammar.capability(word).is_some()
        || part.is_some_and(|(head, value)| {
            grammar.capability(head).is_some() || head.eq_ignore_ascii_case("AUTH") && mechanism(value).is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(protocols: &[&str], drop: &str) -> Vec<String> {
        let flags = RuleFlags { drop_cap: vec![drop.to_owned()], ..RuleFlags::default() };
        let grammars: Vec<_> = protocols.iter().filter_map(|name| Grammar::builtin(name)).collect();
        assert_eq!(grammars.len(), protocols.len());
        unknown_capabilities(&rules(&flags).expect("the rule is right"), &grammars)
    }

    #[test]
    fn a_capability_is_unknown_if_no_protocol_in_use_has_it() {
        assert_eq!(warnings(&["smtp"], "CHUNKING,AUTH=PLAIN,AUTH=X-OWN,AUTH=*,SIZE"), [""; 0]);
        assert_eq!(warnings(&["pop3"], "AUTH=PLAIN,SASL=PLAIN,uidl"), [""; 0]);
        assert_eq!(warnings(&["smtp", "imap"], "CHUNKING,IDLE,AUTH=PLAIN"), [""; 0]);
        assert!(warnings(&["imap"], "CHUNKING")[0].contains("no capability CHUNKING is known in imap ("));
        let warning = &warnings(&["imap", "smtp"], "CHUNKNIG")[0];
        assert!(warning.contains("is known in imap or smtp; did you mean CHUNKING"), "{warning}");
        assert!(warnings(&["smtp"], "COMPRESS=DEFLATE")[0].contains("COMPRESS=DEFLATE"));
    }

    #[test]
    fn what_is_announced_in_the_place_of_the_server_is_a_warning() {
        let mut flags = RuleFlags { add_cap: vec!["IDLE,X-A".to_owned()], ..RuleFlags::default() };
        let told = |flags: &RuleFlags| added_capabilities(&rules(flags).expect("the rule is right"));
        let warnings = told(&flags);
        assert!(
            warnings[0].starts_with("--add-cap IDLE,X-A: a server that does not have IDLE and X-A "),
            "{warnings:?}"
        );
        assert_eq!(warnings.len(), 1);
        flags.dry_run = true;
        assert_eq!(told(&flags), [""; 0], "nothing is announced");
        flags.add_cap.clear();
        flags.only_caps = vec!["IDLE".to_owned()];
        assert_eq!(told(&RuleFlags { dry_run: false, ..flags }), [""; 0]);
    }

    #[test]
    fn a_command_that_nobody_knows_is_said_once() {
        let rules = [
            "refuse FETHC when command in {STORE, NOPO}",
            "drop when !(command == nopo) && command == fethc",
            "refuse AUTH*",
        ];
        let flags = RuleFlags { rule: rules.map(str::to_owned).to_vec(), ..RuleFlags::default() };
        let rules = super::rules(&flags).expect("the rules are right");
        let grammars = [Grammar::builtin("imap").expect("it is there"), Grammar::builtin("smtp").expect("it is there")];
        let found = unknown_commands(rules.commands(), &grammars);
        let want = ["no command FETHC is known in imap or smtp; did you mean FETCH?", "no command NOPO is known"];
        assert!(found.iter().zip(want).all(|(found, want)| found.starts_with(want)), "{found:?}");
        assert_eq!(found.len(), 4, "each spelling once: {found:?}");
    }

    #[test]
    fn a_route_has_a_number_that_is_given() {
        let names = ["1", "2", "3", "0", "imap://h"].map(Cow::Borrowed);
        let told = unknown_routes(names.into_iter(), 2);
        assert_eq!(told, ["there is no route 3: 2 are given", "there is no route 0: 2 are given"]);
    }

    #[test]
    fn a_condition_names_a_description_and_no_scheme() {
        let flags = RuleFlags {
            rule: ["imap", "submission", "smpt", "{POP3, xmpp}"]
                .map(|name| format!("s/a/b/ when !(protocol {} {name})", if name.contains('{') { "in" } else { "==" }))
                .to_vec(),
            ..RuleFlags::default()
        };
        let found = {
            let rules = rules(&flags).expect("the rules are right");
            unknown_protocols(rules.protocols(), &Protocols::builtin())
        };
        let want = ["submission is known; did you mean smtp?", "smpt is known; did you mean smtp?", "xmpp is known ("];
        assert_eq!(found.len(), want.len(), "{found:?}");
        assert!(found.iter().zip(want).all(|(found, want)| found.contains(want)), "{found:?}");
    }

    #[test]
    fn a_value_is_no_part_of_a_name() {
        for protocol in ["smtp", "lmtp"] {
            let flags = RuleFlags { replace_cap: vec!["SIZE 52428800=SIZE 1000".to_owned()], ..RuleFlags::default() };
            let grammar = Grammar::builtin(protocol).expect("it is built in");
            let rules = rules(&flags).expect("the flag is well written");
            assert_eq!(unknown_capabilities(&rules, std::slice::from_ref(&grammar)), [""; 0]);
            assert!(knows(&grammar, "SIZE 1000") && !knows(&grammar, "SIZES 1000"));
        }
    }
}
