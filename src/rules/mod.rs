//! Rules: a reading and the user's wishes in, other octets out. Edits are spans of the original text and their
//! replacement; a message is never serialised anew. Knows no grammar, no session and no clock.
//!
//! Rules run in the order in which they are written. Conditions look at the text as it was received; actions act on
//! what the rules before them made of it. An edit that would break the framing is not applied, and said. What a rule
//! has counted belongs to one connection, and lies outside of the rules ([`Progress`]).

mod action;
mod condition;
mod fault;
mod limit;
mod lines;
mod parse;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::event::{Form, ListKind, Literal, MAX_TEXT, Peer, Reading, State};
use crate::problem::Problem;
use crate::wire::body;
use action::{Action, Names, NamesAction, Pattern, TooLong};
use condition::{Condition, Sender, Truth};
pub use fault::{Fault, Trouble};
use limit::Limits;
pub use limit::Progress;
use parse::Verb;

/// The user's rules, compiled; immutable and shared by all connections.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    seed: u64,
}

/// Gives the content of a file that a rule names, or why it cannot.
pub type Reader<'a> = &'a dyn Fn(&str) -> Result<String, String>;

#[derive(Debug)]
struct Rule {
    written: Arc<str>,
    action: Action,
    condition: Option<Condition>,
    /// How often it acts, and its place among the rules that count.
    limits: Option<(usize, Limits)>,
    /// Per sender, whether the condition can hold.
    lanes: [bool; 2],
}

/// One rule as the user wrote it, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What is parsed.
    text: String,
    /// Where it stands, without a column: `--rule 1`, `rules.txt:3`, `--drop-cap`.
    origin: String,
    /// What it is called in the log.
    written: Arc<str>,
    /// The option that it was given to, if it is one that is short for a rule.
    option: Option<Verb>,
}

/// A text, and where it stands. Its `Debug` output shows no octets: the text may hold secrets.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Who sent it.
    pub from: Peer,
    /// As received, line end included.
    pub text: &'a [u8],
    /// What it is.
    pub reading: &'a Reading,
    /// Reads a text that stands in its place, in the same way as `reading` came about. `None` for what would not be cut as
    /// one text.
    pub read: &'a dyn Fn(&[u8]) -> Option<Reading>,
    /// It begins a command or response, rather than going on with one behind a literal.
    pub first: bool,
    /// The state in which it was sent.
    pub state: State,
    /// Which legs are under TLS: `[client, server]`.
    pub tls: [bool; 2],
    /// The grammar's name.
    pub protocol: &'a str,
    /// The number of the connection.
    pub connection: u64,
    /// The verb of the command that it is or answers, in upper case; empty if none.
    pub command: &'a str,
    /// The client's address, without the port; empty if it is not known.
    pub client: &'a str,
    /// Who has logged in; empty if nobody has, or it is not known.
    pub user: &'a str,
}

/// What the rules make of a text. Its `Debug` output shows no octets: the text may hold secrets.
#[derive(Clone, PartialEq, Default)]
pub struct Edit {
    /// What to send instead; `None` to send it as it is (every matching rule was refused).
    pub bytes: Option<Vec<u8>>,
    /// The rules that changed it, as the user wrote them.
    pub fired: Vec<Arc<str>>,
    /// The rules that matched and were not applied, each with the reason.
    pub refused: Vec<(Arc<str>, String)>,
    /// What is to happen on the way, and the rules that say so.
    pub faults: Vec<(Arc<str>, Fault)>,
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scene {{ from: {:?}, octets: {}, state: {:?} }}", self.from, self.text.len(), self.state)
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.bytes.as_ref().map(Vec::len);
        write!(f, "Edit {{ octets: {octets:?}, fired: {:?}, refused: {:?} }}", self.fired, self.refused)
    }
}

/// What the capability options were given, one entry a use of the option.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// `--only-caps`
    pub only: &'a [String],
    /// `--drop-cap`
    pub drop: &'a [String],
    /// `--replace-cap`
    pub replace: &'a [String],
    /// `--add-cap`
    pub add: &'a [String],
}

impl Source {
    /// The `nth` rule of `--rule`, from 1.
    #[must_use]
    pub fn rule(nth: usize, text: &str) -> Self {
        Self::new(text, format!("--rule {nth}"))
    }

    /// The rules of a file, one a line; blank lines and those that begin with `#` say nothing.
    #[must_use]
    pub fn file(name: &str, content: &str) -> Vec<Self> {
        let content = content.strip_prefix('\u{feff}').unwrap_or(content);
        let lines = content.lines().enumerate().filter(|(_, line)| {
            let line = line.trim_start();
            !line.is_empty() && !line.starts_with('#')
        });
        lines.map(|(index, line)| Self::new(line, format!("{name}:{}", index + 1))).collect()
    }

    /// The capability options. The order in which they stand on the command line says nothing: first `only` takes
    /// away, then `drop`; then `replace` and at last `add` put something there. All `only` together are one rule.
    #[must_use]
    pub fn options(options: Options<'_>) -> Vec<Self> {
        let only = (!options.only.is_empty()).then(|| Self::option(Verb::Only, "--only-caps", &options.only.join(",")));
        let drop = options.drop.iter().map(|value| Self::option(Verb::Drop, "--drop-cap", value));
        let replace = options.replace.iter().map(|value| Self::option(Verb::Replace, "--replace-cap", value));
        let add = options.add.iter().map(|value| Self::option(Verb::Add, "--add-cap", value));
        only.into_iter().chain(drop).chain(replace).chain(add).collect()
    }

    /// The rules of a route that offers clients TLS by itself, which the log calls by the route's scheme: this capability
    /// is in every list until TLS has begun with the client, and in none behind that.
    #[must_use]
    pub fn offering(scheme: &str, capability: &str) -> [Self; 2] {
        let rule = |text: String| Source { written: scheme.into(), ..Self::new(&text, scheme.to_owned()) };
        [
            rule(format!("add-capability {capability} when tls in {{none, server}}")),
            rule(format!("drop-capability {capability} when tls in {{client, both}}")),
        ]
    }

    fn new(text: &str, origin: String) -> Self {
        Source { text: text.to_string(), origin, written: text.trim().into(), option: None }
    }

    fn option(verb: Verb, flag: &str, value: &str) -> Self {
        let written = format!("{flag} {}", value.trim()).into();
        Source { text: value.trim().to_string(), origin: flag.to_string(), written, option: Some(verb) }
    }

    fn compile(&self, read: Reader<'_>) -> Result<Rule, Problem> {
        if let Some(at) = self.text.find(['\n', '\r']) {
            let what = "this holds a line break";
            return Err(self.problem(at, 1, what, "a rule is one line, and no rule can put a line break into a text"));
        }
        let parsed = match self.option {
            None => parse::rule(&self.text),
            Some(verb) => parse::option(verb, &self.text),
        };
        let found = parsed.map_err(|fault| {
            let at = self.text.len().saturating_sub(fault.at.len());
            self.problem(at, fault.len, &fault.what, &fault.help)
        })?;
        let parse::Sentence { mut action, condition, limits, files } = found;
        for file in files {
            self.add(&mut action, file, read)?;
        }
        if let Some(what) = unavailable(&action) {
            let start = self.text.len() - self.text.trim_start().len();
            let len = self.text.trim().split([' ', '\t']).next().map_or(0, str::len);
            return Err(self.problem(start, len, &format!("{what} is not in this version"), ""));
        }
        let can_hold = |from| condition.as_ref().is_none_or(|when| when.evaluate(&Sender(from)) != Truth::No);
        let lanes = [can_hold(Peer::Client), can_hold(Peer::Server)];
        let limits = (!limits.is_empty()).then_some((0, limits));
        Ok(Rule { written: Arc::clone(&self.written), action, condition, limits, lanes })
    }

    /// Adds the names of a file to those of an action. `file` is a part of the rule.
    fn add(&self, action: &mut Action, file: &str, read: Reader<'_>) -> Result<(), Problem> {
        let at = file.as_ptr() as usize - self.text.as_ptr() as usize;
        let wrong =
            |what: String| self.problem(at, file.len(), &what, "a file of names in UTF-8, one or several a line");
        let content = read(file).map_err(|why| wrong(format!("{file} cannot be read: {why}")))?;
        let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
        let mut names: Vec<Pattern> = Vec::new();
        for (nth, line) in content.lines().enumerate() {
            names.extend(parse::file(line).map_err(|fault| {
                let here = Source::new(line, format!("{file}:{}", nth + 1));
                let end = line.split('#').next().map_or(0, str::len);
                here.problem(end.saturating_sub(fault.at.len()), fault.len, &fault.what, &fault.help)
            })?);
        }
        match action {
            Action::Names(NamesAction::Only(patterns) | NamesAction::Drop(patterns, _)) => {
                patterns.extend(names);
                if patterns.is_empty() { Err(wrong(format!("there is no name in {file}"))) } else { Ok(()) }
            }
            // The parser takes files for no other action.
            _ => Ok(()),
        }
    }

    /// The problem at so many octets of the text from an octet on, with the line drawn under it.
    fn problem(&self, at: usize, len: usize, what: &str, help: &str) -> Problem {
        /// How many letters of a long line are shown before and behind the mistake.
        const AROUND: usize = 60;
        let column = self.text[..at].chars().count();
        let marked = self.text[at..].char_indices().take_while(|&(start, _)| start < len).count().clamp(1, AROUND);
        let from = column.saturating_sub(AROUND);
        let before = if from > 0 { "…" } else { "" };
        let mut letters = self.text.chars().skip(from).map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        });
        let mut shown: String = letters.by_ref().take(column - from + marked + AROUND).collect();
        if letters.next().is_some() {
            shown.push('…');
        }
        let indent = " ".repeat(column - from + before.chars().count());
        let what = format!("{what}\n    {before}{shown}\n    {indent}{}", "^".repeat(marked));
        let origin = match self.option {
            None => format!("{}:{}", self.origin, column + 1),
            Some(_) => self.origin.clone(),
        };
        Problem::new(origin, what, help)
    }
}

impl Rules {
    /// Compiles rules; they will run in this order. The first mistake is reported.
    ///
    /// # Errors
    /// A rule that cannot be read or does not make sense, with its place and remedy; one that names a file.
    pub fn compile(sources: &[Source]) -> Result<Self, Problem> {
        Self::compile_with(sources, &|_| Err("no file is read here".to_owned()))
    }

    /// The same, with what gives the files of names that rules have behind an `@`.
    ///
    /// # Errors
    /// As [`Rules::compile`], and a file that cannot be read.
    pub fn compile_with(sources: &[Source], read: Reader<'_>) -> Result<Self, Problem> {
        let mut rules = Vec::with_capacity(sources.len());
        let mut counting = 0;
        for source in sources {
            let mut rule = source.compile(read)?;
            if let Some((nth, _)) = &mut rule.limits {
                *nth = counting;
                counting += 1;
            }
            rules.push(rule);
        }
        Ok(Rules { rules, seed: 0 })
    }

    /// The same rules, with the chances that belong to this seed.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Rules { seed, ..self }
    }

    /// True if a rule has a chance.
    #[must_use]
    pub fn has_chances(&self) -> bool {
        self.rules.iter().any(|rule| rule.limits.is_some_and(|(_, limits)| limits.chance.is_some()))
    }

    /// What the connection with this number has counted before its first text.
    #[must_use]
    pub fn begin(&self, connection: u64) -> Progress {
        Progress::begin(self.seed, connection, self.rules.iter().filter(|rule| rule.limits.is_some()).count())
    }

    /// The rules as the user wrote them, in the order in which they run.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().map(|rule| &rule.written)
    }

    /// The capabilities that the rules name, as the user wrote them; may be patterns with `*`.
    pub fn capabilities(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let named: Vec<&[u8]> = self.rules.iter().flat_map(|rule| rule.action.capabilities()).collect();
        named.into_iter().map(String::from_utf8_lossy)
    }

    /// The protocols that conditions name, as the user wrote them.
    pub fn protocols(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let conditions = self.rules.iter().filter_map(|rule| rule.condition.as_ref());
        conditions.flat_map(|condition| condition.words(condition::Field::Protocol)).map(String::from_utf8_lossy)
    }

    /// True if a rule can touch what this peer sends.
    #[must_use]
    pub fn touches(&self, from: Peer) -> bool {
        self.rules.iter().any(|rule| rule.lanes[from.index()] && rule.action.touches(from))
    }

    /// Applies all rules to a text; `None` if none of them matches, or none of those that match changes anything.
    #[must_use]
    pub fn edit(&self, scene: &Scene<'_>, progress: &mut Progress) -> Option<Edit> {
        let mut draft = Draft::new(scene);
        let mut edit = Edit::default();
        for rule in self.rules.iter().filter(|rule| rule.lanes[scene.from.index()]) {
            if matches!(rule.action, Action::Names(_)) && !draft.has_names() {
                continue;
            }
            if rule.condition.as_ref().is_some_and(|when| when.evaluate(scene) != Truth::Yes) {
                continue;
            }
            if let Action::Fault(fault) = rule.action {
                // A command or response has one beginning, whatever literals are in it.
                if scene.first && rule.limits.is_none_or(|(nth, limits)| progress.turn(nth, &limits)) {
                    edit.faults.push((Arc::clone(&rule.written), fault));
                }
                continue;
            }
            // Only what a rule would do shows whether it has something to count.
            let before = rule.limits.map(|limits| (limits, draft.clone()));
            match draft.act(&rule.action) {
                Ok(true) => match before {
                    Some(((nth, limits), before)) if !progress.turn(nth, &limits) => draft = before,
                    _ => edit.fired.push(Arc::clone(&rule.written)),
                },
                Ok(false) => {}
                Err(why) => edit.refused.push((Arc::clone(&rule.written), why.to_string())),
            }
        }
        edit.bytes = draft.changed();
        if edit.bytes.is_none() {
            // What was changed was changed back.
            edit.fired.clear();
        }
        (edit.bytes.is_some() || !edit.refused.is_empty() || !edit.faults.is_empty()).then_some(edit)
    }
}

/// What an action is called that the language has and this version does not.
fn unavailable(action: &Action) -> Option<String> {
    match action {
        Action::Names(NamesAction::Drop(_, true)) => Some("`enforced`".to_owned()),
        Action::Names(_) | Action::Substitute(_) | Action::Fault(_) => None,
        Action::Words(words) => Some(format!("to replace {words:?}")),
        Action::Insert(line) => Some(format!("to insert {line:?}")),
        Action::Drop => Some("`drop`".to_owned()),
        Action::Refuse(refusal) => Some(format!("to refuse {refusal:?}")),
    }
}

/// A text on its way through the rules.
#[derive(Clone)]
struct Draft<'a> {
    scene: &'a Scene<'a>,
    /// What `reading` and `names` point into.
    base: Cow<'a, [u8]>,
    reading: Cow<'a, Reading>,
    /// The list, once a capability rule has asked for it. It outlives the rule, so that what one rule has emptied a
    /// later one can still fill.
    names: Option<Names>,
    /// The text as it is now, where it differs from `base`.
    text: Option<Vec<u8>>,
}

impl<'a> Draft<'a> {
    const fn new(scene: &'a Scene<'a>) -> Self {
        let (base, reading) = (Cow::Borrowed(scene.text), Cow::Borrowed(scene.reading));
        Draft { scene, base, reading, names: None, text: None }
    }

    fn has_names(&self) -> bool {
        self.reading.list.is_some()
    }

    fn text(&self) -> &[u8] {
        self.text.as_deref().unwrap_or(&self.base)
    }

    /// Lets an action act: whether it changed the text, or why it may not.
    fn act(&mut self, action: &Action) -> Result<bool, &'static str> {
        match action {
            Action::Names(action) => self.act_on_names(action),
            Action::Substitute(substitution) => {
                let found = substitution.apply(self.text()).map_err(|TooLong| TOO_LONG)?;
                let Some(text) = found else { return Ok(false) };
                if text == self.text() {
                    return Ok(false);
                }
                let reading = self.check(&text)?;
                self.base = Cow::Owned(text);
                self.reading = Cow::Owned(reading);
                (self.names, self.text) = (None, None);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    fn act_on_names(&mut self, action: &NamesAction) -> Result<bool, &'static str> {
        let Some(list) = &self.reading.list else { return Ok(false) };
        if let ListKind::Lines(form) = list.kind {
            return self.act_on_lines(action, form);
        }
        let mut names = self.names.take().unwrap_or_else(|| Names::new(list, &self.base));
        let before = names.clone();
        names.act(action, &self.base);
        let text = names.write(&self.base);
        if text == self.text() {
            self.names = Some(names);
            return Ok(false);
        }
        if action.puts_blank() {
            self.names = Some(before);
            return Err("a name in this list has no blank");
        }
        match self.check(&text) {
            Ok(_) => {
                (self.names, self.text) = (Some(names), Some(text));
                Ok(true)
            }
            Err(why) => {
                self.names = Some(before);
                Err(why)
            }
        }
    }

    /// A list of lines is read anew after each rule: what is left of it is a list still.
    fn act_on_lines(&mut self, action: &NamesAction, form: Form) -> Result<bool, &'static str> {
        let Some(list) = &self.reading.list else { return Ok(false) };
        let text = lines::act(action, form, list, &self.base);
        if text == *self.base {
            return Ok(false);
        }
        let mut reading = self.check_lines(&text)?;
        reading.list.get_or_insert_with(|| lines::list(form, &text));
        self.base = Cow::Owned(text);
        self.reading = Cow::Owned(reading);
        Ok(true)
    }

    /// Whether a text may stand in for the present one: what it reads as, or why it may not.
    fn check(&self, text: &[u8]) -> Result<Reading, &'static str> {
        let (old, new) = (self.text(), body(text));
        // What precedes a line end must not run into it.
        if text.len() <= MAX_TEXT && !ends(old).eq(ends(text)) {
            return Err(LINE_END);
        }
        if [b'\r', b'\n'].iter().any(|&octet| count(new, octet) > count(body(old), octet)) {
            return Err(BROKEN);
        }
        self.check_lines(text)
    }

    /// The same for a text in which lines may come and go.
    fn check_lines(&self, text: &[u8]) -> Result<Reading, &'static str> {
        if text.len() > MAX_TEXT {
            return Err(TOO_LONG);
        }
        if !ends(self.text()).last().eq(&ends(text).last()) {
            return Err(LINE_END);
        }
        if count(text, b'\0') > count(self.text(), b'\0') {
            return Err(BROKEN);
        }
        let Some(reading) = (self.scene.read)(text) else { return Err("it would change where the reply ends") };
        if !same(self.reading.literal, reading.literal) {
            return Err("it would change the literal that the text announces");
        }
        Ok(reading)
    }

    /// The text at the end, if it is not what was received.
    fn changed(self) -> Option<Vec<u8>> {
        let text = self.text.or(match self.base {
            Cow::Owned(base) => Some(base),
            Cow::Borrowed(_) => None,
        });
        text.filter(|text| text != self.scene.text)
    }
}

const TOO_LONG: &str = "the text would grow beyond 64 KiB";
const LINE_END: &str = "it would change the line end";
const BROKEN: &str = "it would put a line break or a NUL into the text";

/// The lengths of the line ends.
fn ends(text: &[u8]) -> impl Iterator<Item = usize> {
    text.split_inclusive(|&b| b == b'\n').map(|line| line.len() - body(line).len())
}

fn count(text: &[u8], octet: u8) -> usize {
    memchr::memchr_iter(octet, text).count()
}

/// True if the same octets follow under the same terms.
fn same(old: Option<Literal>, new: Option<Literal>) -> bool {
    let terms = |literal: Literal| (literal.len, literal.synchronizing, literal.binary);
    old.map(terms) == new.map(terms)
}

#[cfg(test)]
mod tests;
