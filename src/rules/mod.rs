//! Rules: a reading and the user's wishes in, other octets out. Edits are spans of the original text and their
//! replacement; a message is never serialised anew. Knows no grammar, no session and no clock.
//!
//! Rules run in the order in which they are written. Conditions look at the text as it was received; actions act on
//! what the rules before them made of it. An edit that would break the framing is not applied, and said. What a rule
//! has counted belongs to one connection, and lies outside of the rules ([`Progress`]).

mod action;
mod asked;
pub mod book;
mod condition;
mod draft;
mod fact;
mod fault;
pub mod filter;
mod like;
mod limit;
mod lines;
mod parse;
mod vary;
mod words;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::event::{Form, Peer, Reading, RouteName, State};
use crate::problem::Problem;
use action::{Action, NamesAction, Pattern};
use condition::{Condition, Field, Truth};
use draft::{Draft, Varied};
use fact::Sender;
pub use fault::{Fault, Response, Trouble};
use limit::Limits;
pub use limit::Progress;
use parse::Verb;

/// The user's rules, compiled; immutable and shared by all connections.
#[derive(Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    seed: u64,
    dry: bool,
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
    /// What it takes out of lists is refused too.
    enforced: bool,
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
    /// It is the name of a file, in which the capabilities are.
    file: bool,
}

/// A text, and where it stands. Its `Debug` output shows no octets: the text may hold secrets.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Who sent it.
    pub from: Peer,
    /// As received, line end included.
    pub text: &'a [u8],
    /// How lines of the protocol look.
    pub form: Form,
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
    /// The verb of the command that it is, answers or belongs to, in upper case; empty if none.
    pub command: &'a str,
    /// For the first text of a response, the frame of that command. `None` without one, for a client's text, and for a
    /// continuation request, which is a response of its own.
    pub exchange: Option<u64>,
    /// The client's address, without the port; empty if it is not known.
    pub client: &'a str,
    /// Who has logged in; empty if nobody has, or it is not known.
    pub user: &'a str,
    /// The route of the connection, if it is known.
    pub route: Option<&'a RouteName>,
    /// The longest literal that a client of IMAP may send without waiting, as it was offered; 0 if none.
    pub at_once: u32,
}

impl<'a> Scene<'a> {
    /// A text that begins a command or response on connection 1, of which nothing else is known: no command, client, user or
    /// route, the first [`State`], no TLS, a protocol without a name.
    pub fn bare(
        from: Peer,
        text: &'a [u8],
        form: Form,
        reading: &'a Reading,
        read: &'a dyn Fn(&[u8]) -> Option<Reading>,
    ) -> Self {
        Scene {
            from,
            text,
            form,
            reading,
            read,
            first: true,
            state: State::default(),
            tls: [false; 2],
            protocol: "",
            connection: 1,
            command: "",
            exchange: None,
            client: "",
            user: "",
            route: None,
            at_once: 0,
        }
    }
}

/// What the rules make of a text. Its `Debug` output shows no octets: the text may hold secrets.
#[derive(Clone, PartialEq, Default)]
pub struct Edit {
    /// What to send instead; `None` to send it as it is (every matching rule was refused). A text; where strings were made
    /// literals, several, with the literals between them.
    pub bytes: Option<Vec<u8>>,
    /// The rules that changed it, as the user wrote them.
    pub fired: Vec<Arc<str>>,
    /// The rules that matched and were not applied, each with the reason.
    pub refused: Vec<(Arc<str>, String)>,
    /// Of the rules that changed it, those that only vary how it is written, and in which ways.
    pub varied: Vec<(Arc<str>, String)>,
    /// What is to happen on the way, and the rules that say so.
    pub faults: Vec<(Arc<str>, Fault)>,
    /// It is taken away, with all that belongs to it; `bytes` is empty then. The last rule that fired has done it.
    pub dropped: bool,
    /// It is a command, and is taken away and answered: with this behind the tag, or with what the protocol says to unknown
    /// commands.
    pub answer: Option<Option<Arc<[u8]>>>,
    /// Lines of our own, in the order of the rules.
    pub inserted: Vec<Insertion>,
}

/// A line of our own, for the receiver of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insertion {
    /// The rule that wants it.
    pub rule: Arc<str>,
    /// It stands before the text, rather than behind what belongs to it.
    pub before: bool,
    /// With its line end.
    pub line: Arc<[u8]>,
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scene {{ from: {:?}, octets: {}, state: {:?} }}", self.from, self.text.len(), self.state)
    }
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let octets = self.bytes.as_ref().map(Vec::len);
        let Edit { fired, refused, dropped, answer, inserted, .. } = self;
        let (answered, lines) = (answer.is_some(), inserted.len());
        write!(f, "Edit {{ octets: {octets:?}, fired: {fired:?}, refused: {refused:?}, dropped: {dropped}, ")?;
        write!(f, "answered: {answered}, inserted: {lines} }}")
    }
}

/// What the capability options were given, one entry a use of the option.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// `--caps-like`
    pub like: Option<&'a str>,
    /// `--only-caps`
    pub only: &'a [String],
    /// `--drop-cap`
    pub drop: &'a [String],
    /// `--replace-cap`
    pub replace: &'a [String],
    /// `--add-cap`
    pub add: &'a [String],
    /// What other options take away besides: the option as it is written, and names.
    pub hide: &'a [(&'a str, String)],
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

    /// The capability options. The order in which they stand on the command line says nothing: first `like` and `only` take
    /// away, then `drop`; then `replace` and at last `add` put something there. All `only` together are one rule.
    #[must_use]
    pub fn options(options: Options<'_>) -> Vec<Self> {
        let only = (!options.only.is_empty()).then(|| Self::option(Verb::Only, "--only-caps", &options.only.join(",")));
        let drop = options.drop.iter().map(|value| Self::option(Verb::Drop, "--drop-cap", value));
        let replace = options.replace.iter().map(|value| Self::option(Verb::Replace, "--replace-cap", value));
        let add = options.add.iter().map(|value| Self::option(Verb::Add, "--add-cap", value));
        let hide = options.hide.iter().map(|(flag, names)| Source {
            text: names.clone(),
            origin: (*flag).to_owned(),
            written: (*flag).into(),
            option: Some(Verb::Drop),
            file: false,
        });
        let like = options.like.map(|file| Source { file: true, ..Self::option(Verb::Only, "--caps-like", file) });
        like.into_iter().chain(only).chain(drop).chain(hide).chain(replace).chain(add).collect()
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
        Source { text: text.to_string(), origin, written: text.trim().into(), option: None, file: false }
    }

    fn option(verb: Verb, flag: &str, value: &str) -> Self {
        let written = format!("{flag} {}", value.trim()).into();
        Source { text: value.trim().to_string(), origin: flag.to_string(), written, option: Some(verb), file: false }
    }

    fn compile(&self, read: Reader<'_>) -> Result<Rule, Problem> {
        if let Some(at) = self.text.find(['\n', '\r']) {
            let what = "this holds a line break";
            return Err(self.problem(at, 1, what, "a rule is one line, and no rule can put a line break into a text"));
        }
        let parsed = match self.option {
            _ if self.file => Ok(parse::named(&self.text)),
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
        let can_hold = |from| condition.as_ref().is_none_or(|when| when.evaluate(&Sender(from)) != Truth::No);
        let lanes = [can_hold(Peer::Client), can_hold(Peer::Server)];
        let limits = (!limits.is_empty()).then_some((0, limits));
        let enforced = matches!(action, Action::Names(NamesAction::Drop(_, true)));
        if enforced && !lanes[Peer::Client.index()] {
            let at = self.text.to_ascii_lowercase().find("enforced").unwrap_or(0);
            let what = "the condition never holds for what a client sends, so nothing could be refused";
            return Err(self.problem(at, "enforced".len(), what, "leave out `enforced`, or the part about the sender"));
        }
        Ok(Rule { written: Arc::clone(&self.written), action, condition, limits, lanes, enforced })
    }

    /// Adds the names of a file to those of an action. `file` is a part of the rule.
    fn add(&self, action: &mut Action, file: &str, read: Reader<'_>) -> Result<(), Problem> {
        let at = file.as_ptr() as usize - self.text.as_ptr() as usize;
        let wrong = |what: String| {
            self.problem(
                at,
                file.len(),
                &what,
                "a file of names, one or several a line, or a log with a server's list of them",
            )
        };
        let content = read(file).map_err(|why| wrong(format!("{file} cannot be read: {why}")))?;
        let content = content.strip_prefix('\u{feff}').unwrap_or(&content);
        let listed = like::names(content);
        let mut names: Vec<Pattern> = Vec::new();
        // What peers have listed stands among other lines.
        let lines = if listed.is_some() { "" } else { content };
        names.extend(listed.into_iter().flatten().map(|name| Pattern(name.into_bytes())));
        for (nth, line) in lines.lines().enumerate() {
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
        Ok(Rules { rules, seed: 0, dry: false })
    }

    /// The same rules, with the chances that belong to this seed.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Rules { seed, ..self }
    }

    /// The same rules, of which none does what it says: it is only told what they would do.
    #[must_use]
    pub fn dry(self) -> Self {
        Rules { dry: true, ..self }
    }

    /// True if it is only to be told what they would do.
    #[must_use]
    pub const fn is_dry(&self) -> bool {
        self.dry
    }

    /// The same rules, of which all that take capabilities away are enforced.
    #[must_use]
    pub fn enforcing(mut self) -> Self {
        for rule in &mut self.rules {
            let hides = matches!(&rule.action, Action::Names(names) if !matches!(names, NamesAction::Add(_)));
            rule.enforced |= hides && rule.lanes[Peer::Client.index()];
        }
        self
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

    /// What rules put into lists, of each that does: the rule, and the names.
    pub fn additions(&self) -> impl Iterator<Item = (&Arc<str>, Vec<Cow<'_, str>>)> {
        self.rules.iter().filter_map(|rule| match &rule.action {
            Action::Names(NamesAction::Add(names)) => {
                Some((&rule.written, names.iter().map(|name| String::from_utf8_lossy(name)).collect()))
            }
            _ => None,
        })
    }

    /// The protocols that conditions name, as the user wrote them.
    pub fn protocols(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let conditions = self.rules.iter().filter_map(|rule| rule.condition.as_ref());
        conditions.flat_map(|condition| condition.words(Field::Protocol)).map(String::from_utf8_lossy)
    }

    /// The commands that rules refuse or conditions name, as the user wrote them; may be patterns with `*`.
    pub fn commands(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let named = self.rules.iter().flat_map(|rule| {
            let refused = if let Action::Refuse(refusal) = &rule.action { Some(&*refusal.command.0) } else { None };
            let conditions = rule.condition.iter().flat_map(|condition| condition.words(Field::Command));
            refused.into_iter().chain(conditions)
        });
        named.map(String::from_utf8_lossy)
    }

    /// The routes that conditions name, as the user wrote them.
    pub fn routes(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let conditions = self.rules.iter().filter_map(|rule| rule.condition.as_ref());
        conditions.flat_map(|condition| condition.words(Field::Route)).map(String::from_utf8_lossy)
    }

    /// True if a rule can touch what this peer sends, or have something said in its place.
    #[must_use]
    pub fn touches(&self, from: Peer) -> bool {
        !self.dry
            && self.rules.iter().any(|rule| {
                let own = rule.lanes[from.index()] && rule.action.touches(from);
                // What a rule says to the server is answered, and what it refuses is too.
                own || (from == Peer::Server
                    && rule.lanes[Peer::Client.index()]
                    && (rule.enforced || rule.action.has_answers()))
            })
    }

    /// Applies all rules to a text; `None` if none of them matches, or none of those that match changes anything.
    #[must_use]
    pub fn edit(&self, scene: &Scene<'_>, progress: &mut Progress) -> Option<Edit> {
        let mut draft = Draft::new(scene);
        let mut edit = Edit::default();
        for (place, rule) in self.rules.iter().enumerate().filter(|(_, rule)| rule.lanes[scene.from.index()]) {
            if matches!(rule.action, Action::Names(_)) && !draft.has_names() {
                continue;
            }
            if rule.condition.as_ref().is_some_and(|when| when.evaluate(scene) != Truth::Yes) {
                continue;
            }
            let gone = edit.dropped || edit.answer.is_some();
            if let Action::Fault(mut fault) = rule.action {
                // A command or response has one beginning, whatever literals are in it.
                if !scene.first {
                    continue;
                }
                let response = |exchange| Response { rule: place as u32, exchange };
                fault.response = scene.exchange.filter(|_| fault.is_once_a_response()).map(response);
                if fault.response.is_none_or(|response| progress.begins(response))
                    && rule.limits.is_none_or(|(nth, limits)| progress.turn(nth, &limits))
                {
                    edit.faults.push((Arc::clone(&rule.written), fault));
                }
                continue;
            }
            if gone && !matches!(rule.action, Action::Insert(_)) {
                continue;
            }
            // Only what a rule would do shows whether it has something to count.
            let before = rule.limits.map(|limits| (limits, draft.clone()));
            match (rule.act(scene, &mut draft), before) {
                (Ok(Acts(true, _)), Some(((nth, limits), before))) if !progress.turn(nth, &limits) => draft = before,
                (Ok(Acts(acts, varied)), _) => edit.take(rule, acts, varied, scene.first),
                (Err(why), _) => edit.refused.push((Arc::clone(&rule.written), why.to_string())),
            }
        }
        if edit.dropped || edit.answer.is_some() {
            edit.bytes = Some(Vec::new());
            return Some(edit);
        }
        edit.bytes = draft.changed();
        if edit.bytes.is_none() {
            // What was changed was changed back.
            edit.fired.clear();
            edit.varied.clear();
        }
        let acts = !edit.refused.is_empty() || !edit.inserted.is_empty() || !edit.faults.is_empty();
        (edit.bytes.is_some() || acts).then_some(edit)
    }
}

/// Whether a rule acts on a text, and how it varies it if that is what it does.
struct Acts(bool, Varied);

impl Rule {
    /// Lets it act on a draft, or says whether it would do what is none of the draft's business.
    fn act(&self, scene: &Scene<'_>, draft: &mut Draft<'_>) -> Result<Acts, &'static str> {
        let acts = match &self.action {
            Action::Vary(ways) => {
                let varied = draft.vary(*ways)?;
                return Ok(Acts(!varied.ways.is_empty() || (ways.slices && scene.first), varied));
            }
            Action::Drop => whole(scene),
            Action::Insert(line) if line.before => whole(scene),
            Action::Insert(_) => Ok(true),
            Action::Refuse(refusal) => Ok(refusal.is_for(scene)),
            action => draft.act(action),
        };
        acts.map(|acts| Acts(acts, Varied::default()))
    }
}

impl Edit {
    /// Takes note of a rule that was asked, and perhaps acts.
    fn take(&mut self, rule: &Rule, acts: bool, varied: Varied, first: bool) {
        let name = || Arc::clone(&rule.written);
        self.refused.extend(varied.refused.map(|why| (name(), why.to_owned())));
        if !acts {
            return;
        }
        match &rule.action {
            Action::Insert(it) => {
                self.inserted.push(Insertion { rule: name(), before: it.before, line: Arc::clone(&it.line) });
                return;
            }
            Action::Vary(ways) => {
                if ways.slices && first {
                    self.faults.push((name(), Fault::before(Trouble::Slice(1))));
                }
                if varied.ways.is_empty() {
                    return;
                }
                self.varied.push((name(), varied.ways.join(", ")));
            }
            Action::Drop => self.dropped = true,
            Action::Refuse(refusal) => self.answer = Some(refusal.reply.clone()),
            _ => {}
        }
        self.fired.push(name());
    }
}

/// Whether a text begins what it belongs to.
const fn whole(scene: &Scene<'_>) -> Result<bool, &'static str> {
    if scene.first { Ok(true) } else { Err("this goes on with what was begun before, and cannot be parted from it") }
}

#[cfg(test)]
mod tests;
