//! The language of rules, read with nom: complete parsers over one complete line. What cannot be read becomes a
//! [`Fault`] that points at the octets; `Problem`s with file and column are made of it by `mod`.
//!
//! `RULE = ACTION [when ANY] MODIFIER*`, `ANY = ALL (|| ALL)*`, `ALL = NOT (&& NOT)*`, `NOT = ! NOT | ( ANY ) | TEST`,
//! `TEST = FIELD (== != < >) VALUE | FIELD ~ REGEX | FIELD in { VALUE, … }`.

mod argument;
mod condition;
mod modifier;
mod sed;

use std::sync::Arc;

use nom::bytes::complete::{take_till1, take_while, take_while1};
use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult, Parser};

use super::action::{Action, NamesAction, Pattern};
use super::condition::Condition;
use super::fault::Trouble;
use super::limit::Limits;
use crate::wording::nearest;
use argument::Given;
use condition::Asker;

/// A mistake in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The line from the mistake on.
    pub at: &'a str,
    /// How many octets of it are the mistake; none for something that is missing.
    pub len: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub help: String,
}

impl<'a> ParseError<&'a str> for Fault<'a> {
    fn from_error_kind(at: &'a str, _: ErrorKind) -> Self {
        Fault { at, len: 1, what: "this cannot be read".into(), help: String::new() }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Parsed<'a, T> = IResult<&'a str, T, Fault<'a>>;

fn fault<'a, T>(at: &'a str, len: usize, what: impl Into<String>, help: impl Into<String>) -> Parsed<'a, T> {
    Err(Err::Failure(Fault { at, len, what: what.into(), help: help.into() }))
}

/// The options that are short for a capability rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Takes away.
    Drop,
    /// Puts there.
    Add,
    /// Takes away all others.
    Only,
    /// Puts one for another.
    Replace,
}

/// What an action is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Names of capabilities.
    Names(Verb),
    /// The new human text.
    Text,
    /// The new response code.
    Code,
    /// A line that is put before the text, or behind it.
    Line { before: bool },
    /// Nothing.
    Drop,
    /// A command, and perhaps a reply.
    Refuse,
    /// What a fault needs.
    Fault(Given),
    /// What is varied.
    Ways,
}

/// The actions, with an example each; `s/REGEX/REPLACEMENT/` is one more.
const ACTIONS: &[(&str, Shape, &str)] = &[
    ("drop-capability", Shape::Names(Verb::Drop), "drop-capability IDLE AUTH=*"),
    ("add-capability", Shape::Names(Verb::Add), "add-capability IDLE"),
    ("only-capabilities", Shape::Names(Verb::Only), "only-capabilities IMAP4rev1 IDLE"),
    ("replace-capability", Shape::Names(Verb::Replace), "replace-capability LITERAL+ LITERAL-"),
    ("replace-text", Shape::Text, "replace-text \"try again\" when status == NO"),
    ("replace-code", Shape::Code, "replace-code \"[UNAVAILABLE]\" when status == NO"),
    ("insert-before", Shape::Line { before: true }, "insert-before \"* 1 EXPUNGE\" when command == NOOP"),
    ("insert-after", Shape::Line { before: false }, "insert-after \"* 5 EXISTS\" when command == NOOP"),
    ("drop", Shape::Drop, "drop when command == NOOP"),
    ("refuse", Shape::Refuse, "refuse FETCH with \"NO not today\""),
    ("vary", Shape::Ways, "vary case order when from == server"),
    ("delay", Shape::Fault(Given::Delay), "delay 2s"),
    ("throttle", Shape::Fault(Given::Throttle), "throttle 10k"),
    ("slice", Shape::Fault(Given::Slice), "slice 1"),
    ("stall", Shape::Fault(Given::Nothing(Trouble::Stall)), "stall"),
    ("close", Shape::Fault(Given::Nothing(Trouble::Close)), "close"),
    ("reset", Shape::Fault(Given::Nothing(Trouble::Reset)), "reset"),
];

/// Words that end the arguments of an action.
const KEYWORDS: &[&str] = &["when", "once", "times", "after", "chance", "enforced", "with", "at-byte", "per-line"];

fn available() -> String {
    let names: Vec<&str> = ACTIONS.iter().map(|(name, ..)| *name).collect();
    format!("the actions are {} and s/REGEX/REPLACEMENT/", names.join(", "))
}

/// A rule as it was written, and what of it is still to be read.
#[derive(Debug)]
pub struct Sentence<'a> {
    /// What it does.
    pub action: Action,
    /// When.
    pub condition: Option<Condition>,
    /// How often.
    pub limits: Limits,
    /// The files of names that the action is to have too: each as it stands in the line, behind its `@`.
    pub files: Vec<&'a str>,
}

/// Reads a rule.
pub fn rule(line: &str) -> Result<Sentence<'_>, Fault<'_>> {
    finish(whole_rule(line))
}

/// Reads what an option that is short for a capability rule was given.
pub fn option(verb: Verb, value: &str) -> Result<Sentence<'_>, Fault<'_>> {
    let sentence = |(action, files)| Sentence { action, condition: None, limits: Limits::default(), files };
    if verb == Verb::Replace
        && let Some(split) = parted(value)
    {
        return finish(split.and_then(|split| pair(value, split))).map(|action| sentence((action, Vec::new())));
    }
    finish(names(value, verb, false)).map(sentence)
}

/// The names of a file, and no others.
pub fn named(file: &str) -> Sentence<'_> {
    let action = Action::Names(NamesAction::Only(Vec::new()));
    Sentence { action, condition: None, limits: Limits::default(), files: vec![file] }
}

/// Reads the names in a file: several a line, `#` begins a comment.
pub fn file(line: &str) -> Result<Vec<Pattern>, Fault<'_>> {
    let line = line.split('#').next().unwrap_or_default();
    let mut rest = line;
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c| is_blank(c) || c == ',');
        if rest.is_empty() {
            return Ok(found);
        }
        let name;
        (rest, name) = match capability(rest, true) {
            Ok(read) => read,
            Err(error) => return finish(Err(error)),
        };
        found.push(Pattern(name.into()));
    }
}

/// Reads a condition alone, as it stands in a filter.
pub fn filter(text: &str) -> Result<Condition, Fault<'_>> {
    finish(whole_filter(text))
}

fn whole_filter(line: &str) -> Parsed<'_, Condition> {
    let (rest, condition) = condition::condition(line, Asker::Filter)?;
    let (rest, _) = blanks(rest)?;
    let Some(word) = word(rest) else { return Ok((rest, condition)) };
    let help = if word.starts_with(')') { "there is no ( for this )" } else { "conditions are joined with && and ||" };
    fault(rest, word.len(), format!("{} does not belong here", quote(word)), help)
}

fn finish<T>(parsed: Parsed<'_, T>) -> Result<T, Fault<'_>> {
    match parsed {
        Ok((_, value)) => Ok(value),
        Err(Err::Error(fault) | Err::Failure(fault)) => Err(fault),
        // Complete parsers never ask for more.
        Err(Err::Incomplete(_)) => Err(Fault::from_error_kind("", ErrorKind::Complete)),
    }
}

fn whole_rule(line: &str) -> Parsed<'_, Sentence<'_>> {
    let (rest, _) = blanks(line)?;
    let (rest, (mut action, files)) = action(rest)?;
    let (rest, condition) = when(rest)?;
    let (rest, limits) = modifier::limits(rest, &mut action)?;
    let (rest, ()) = modifier::end(rest)?;
    Ok((rest, Sentence { action, condition, limits, files }))
}

/// An action, and the files of names that it is to have too.
type Acts<'a> = (Action, Vec<&'a str>);

fn action(line: &str) -> Parsed<'_, Acts<'_>> {
    if let Some(rest) = line.strip_prefix('s')
        && let Some(delimiter) = rest.chars().next()
        && delimiter.is_ascii_punctuation()
        && delimiter != '\\'
    {
        let (rest, found) = sed::substitution(rest, delimiter)?;
        return Ok((rest, (Action::Substitute(found), Vec::new())));
    }
    let Ok((rest, name)) = take_till1::<_, _, Fault<'_>>(is_blank).parse(line) else {
        return fault(line, 0, "here an action is missing", available());
    };
    let Some(&(known, shape, example)) = ACTIONS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)) else {
        let known = ACTIONS.iter().map(|(name, ..)| *name);
        return fault(line, name.len(), format!("{} is no action", quote(name)), suggest(name, known, &available()));
    };
    let (rest, action) = match shape {
        Shape::Names(verb) => return names(rest, verb, true),
        Shape::Text => argument::text(rest, example).map(|(rest, words)| (rest, Action::Words(words)))?,
        Shape::Code => argument::code(rest, example).map(|(rest, words)| (rest, Action::Words(words)))?,
        Shape::Line { before } => argument::line(rest, before, example).map(|(rest, it)| (rest, Action::Insert(it)))?,
        Shape::Drop => (rest, Action::Drop),
        Shape::Refuse => argument::refusal(rest, example).map(|(rest, it)| (rest, Action::Refuse(it)))?,
        Shape::Ways => argument::ways(rest, example).map(|(rest, ways)| (rest, Action::Vary(ways)))?,
        Shape::Fault(given) => {
            argument::trouble(rest, given, known, example).map(|(rest, it)| (rest, Action::Fault(it)))?
        }
    };
    Ok((rest, (action, Vec::new())))
}

fn when(line: &str) -> Parsed<'_, Option<Condition>> {
    let (rest, _) = blanks(line)?;
    match word(rest) {
        Some(word) if word.eq_ignore_ascii_case("when") => {
            condition::condition(&rest[word.len()..], Asker::Rule).map(|(rest, condition)| (rest, Some(condition)))
        }
        _ => Ok((rest, None)),
    }
}

/// The names of a capability rule, up to a keyword or the end.
fn names(line: &str, verb: Verb, keywords: bool) -> Parsed<'_, Acts<'_>> {
    let example = ACTIONS.iter().find(|(_, shape, _)| *shape == Shape::Names(verb)).map_or("", |(.., example)| example);
    let example = if keywords { format!("for example: {example}") } else { String::new() };
    let (mut found, mut files) = (Vec::new(), Vec::new());
    let mut rest = line;
    loop {
        (rest, _) = take_while(|c| is_blank(c) || c == ',').parse(rest)?;
        let Some(word) = word(rest) else { break };
        if keywords && KEYWORDS.iter().any(|keyword| keyword.eq_ignore_ascii_case(word)) {
            break;
        }
        let may_match = match verb {
            Verb::Drop | Verb::Only => true,
            Verb::Add => false,
            Verb::Replace => found.is_empty(),
        };
        if let Some(file) = word.strip_prefix('@') {
            if !matches!(verb, Verb::Drop | Verb::Only) {
                let help = "a file of names is for drop-capability and only-capabilities";
                return fault(rest, word.len(), format!("{} cannot stand here", quote(word)), help);
            }
            if file.is_empty() {
                return fault(&rest[1..], 0, "here the name of a file is missing", "@FILE stands for the names in it");
            }
            files.push(&rest[1..=file.len()]);
            rest = &rest[word.len()..];
            continue;
        }
        if verb == Verb::Replace && found.len() == 2 {
            return fault(rest, word.len(), "one name is replaced by one other", example);
        }
        let name;
        (rest, name) = capability(rest, may_match)?;
        found.push(name);
    }
    let patterns = |found: Vec<&str>| found.into_iter().map(|name| Pattern(name.into())).collect();
    let action = match (verb, &found[..]) {
        (_, []) if files.is_empty() => return fault(rest, 0, "here the name of a capability is missing", example),
        (Verb::Replace, [old, new]) => NamesAction::Replace(Pattern((*old).into()), Arc::from(new.as_bytes())),
        (Verb::Replace, _) => {
            return fault(rest, 0, "here the name is missing that is put in its place", example);
        }
        (Verb::Drop, _) => {
            let (after, _) = blanks(rest)?;
            let enforced = keywords && self::word(after).is_some_and(|word| word.eq_ignore_ascii_case("enforced"));
            if enforced {
                rest = &after["enforced".len()..];
            }
            NamesAction::Drop(patterns(found), enforced)
        }
        (Verb::Only, _) => NamesAction::Only(patterns(found)),
        (Verb::Add, _) => NamesAction::Add(found.iter().map(|name| Arc::from(name.as_bytes())).collect()),
    };
    Ok((rest, (Action::Names(action), files)))
}

/// One name, bare or in quotes.
fn capability(line: &str, may_match: bool) -> Parsed<'_, &str> {
    let (rest, at, name) = match line.strip_prefix('"') {
        Some(inside) => match inside.find('"') {
            Some(close) => (&inside[close + 1..], inside, &inside[..close]),
            None => return fault(line, line.len(), "this string has no end", "close it with \""),
        },
        None => {
            let (rest, name) = take_till1(|c| is_blank(c) || c == ',').parse(line)?;
            (rest, line, name)
        }
    };
    if name.is_empty() {
        return fault(line, 2, "a capability has a name", "");
    }
    valid(at, name, may_match).map(|(_, name)| (rest, name))
}

/// A name as it may be; `at` is the line from it on. With its parameters it has blanks, but neither first nor last.
fn valid<'a>(at: &'a str, name: &'a str, may_match: bool) -> Parsed<'a, &'a str> {
    let wrong = |start: usize, c: char| match c {
        ' ' => start == 0 || start + 1 == name.len(),
        '*' => !may_match,
        _ => !c.is_ascii_graphic() || "(){}%\\\"[]".contains(c),
    };
    if let Some((start, c)) = name.char_indices().find(|&(start, c)| wrong(start, c)) {
        let help = match c {
            '*' => "a name that is put into a list is written in full; patterns say what is taken away",
            _ => "names consist of ASCII letters, digits and signs such as - + = _ .",
        };
        return fault(&at[start..], c.len_utf8(), format!("{} cannot stand in this name", quote(&c.to_string())), help);
    }
    Ok(("", name))
}

/// Where the `=` of `OLD=NEW` stands; `None` if it is blanks that part the two names. The names themselves may hold a `=`,
/// and blanks: `SIZE 1=SIZE 2` is such a pair, and so is `SIZE=SIZE 2`; `AUTH=A AUTH=B` is not.
fn parted(value: &str) -> Option<Parsed<'_, usize>> {
    if let Some(inside) = value.strip_prefix('"') {
        let close = inside.find('"')? + 2;
        return value[close..].starts_with('=').then_some(Ok(("", close)));
    }
    if value.contains(['\t', ',']) || value.contains(" \"") {
        return None;
    }
    let signs: Vec<usize> = value.match_indices('=').map(|(at, _)| at).collect();
    let words = value.split(' ').filter(|word| !word.is_empty()).count();
    let split = match (words, &signs[..]) {
        (0 | 1, [split] | [_, split, _]) => *split,
        (0 | 1, []) => {
            return Some(fault(value, value.len(), "this does not say what is put in its place", "write OLD=NEW"));
        }
        // Two words may be the two names.
        (2, [split]) => {
            let first = |name: &str| name.split(' ').find(|word| !word.is_empty()).unwrap_or_default().to_string();
            let (old, new) = (value[..*split].trim_start(), &value[split + 1..]);
            let number = |name: &str| name.split(' ').nth(1).is_some_and(|it| it.bytes().all(|b| b.is_ascii_digit()));
            if !(first(old).eq_ignore_ascii_case(&first(new)) || number(old) || number(new) || new.starts_with('"')) {
                return None;
            }
            *split
        }
        (2, _) | (_, []) => return None,
        (_, [split]) => *split,
        _ => {
            let help = "put a blank between the names: 'OLD NEW', and quotes around one that has blanks: '\"A 1\" B'";
            return Some(fault(value, value.len(), "it is not clear which = parts the two names", help));
        }
    };
    Some(Ok(("", split)))
}

/// `OLD=NEW`, parted at this octet.
fn pair<'a>(value: &'a str, (_, split): (&str, usize)) -> Parsed<'a, Action> {
    let (old, new) = (&value[..split], &value[split + 1..]);
    if old.is_empty() {
        return fault(value, 0, "here the name is missing that is replaced", "write OLD=NEW");
    }
    if new.is_empty() {
        return fault(&value[value.len()..], 0, "here the name is missing that is put in its place", "write OLD=NEW");
    }
    // A fault has to point into the value, so the new name is read from where it stands.
    let (_, new) = whole(new, false)?;
    let old = match finish(whole(old, true)) {
        Ok(old) => old,
        Err(found) => {
            let start = split - found.at.len();
            return fault(&value[start..], found.len, found.what, found.help);
        }
    };
    Ok(("", Action::Names(NamesAction::Replace(Pattern(old.into()), Arc::from(new.as_bytes())))))
}

/// A name that takes up all of this, in quotes or not.
fn whole(text: &str, may_match: bool) -> Parsed<'_, &str> {
    let text = text.trim_matches(is_blank);
    if !text.starts_with('"') {
        return valid(text, text, may_match).map(|(_, name)| ("", name));
    }
    let (rest, name) = capability(text, may_match)?;
    if rest.is_empty() {
        return Ok((rest, name));
    }
    fault(rest, rest.len(), format!("{} does not belong here", quote(rest)), "write OLD=NEW")
}

fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn blanks(line: &str) -> Parsed<'_, &str> {
    take_while(is_blank).parse(line)
}

/// The word that stands here, if there is one.
fn word(line: &str) -> Option<&str> {
    let word: IResult<&str, &str> = take_while1(|c| !is_blank(c) && c != ',').parse(line);
    match word {
        Ok((_, word)) => Some(word),
        Err(_) if line.is_empty() => None,
        Err(_) => line.get(..1),
    }
}

/// What the user wrote, fit to be shown in a sentence.
fn quote(word: &str) -> String {
    const MOST: usize = 40;
    let mut shown: String = word.chars().take(MOST).flat_map(char::escape_debug).collect();
    if word.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The known word that is spelled most like it, and all that is possible.
fn suggest<'k>(word: &str, known: impl Iterator<Item = &'k str>, all: &str) -> String {
    match nearest(word, known) {
        Some(known) => format!("did you mean `{known}`? {all}"),
        None => all.to_string(),
    }
}

#[cfg(test)]
mod tests;
