//! The language of rules, read with nom: complete parsers over one complete line. What cannot be read becomes a
//! [`Fault`] that points at the octets; `Problem`s with file and column are made of it by `mod`.
//!
//! `RULE = ACTION [when ANY]`, `ANY = ALL (|| ALL)*`, `ALL = NOT (&& NOT)*`, `NOT = ! NOT | ( ANY ) | TEST`,
//! `TEST = FIELD (== != < >) VALUE | FIELD ~ REGEX | FIELD in { VALUE, … }`.

mod condition;
mod sed;

use std::sync::Arc;

use nom::bytes::complete::{take_till1, take_while, take_while1};
use nom::error::{ErrorKind, ParseError};
use nom::{Err, IResult, Parser};

use super::action::{Action, NamesAction, Pattern};
use super::condition::Condition;
use crate::wording::nearest;

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

/// The actions of this version, with an example each.
const ACTIONS: &[(&str, Verb, &str)] = &[
    ("drop-capability", Verb::Drop, "drop-capability IDLE AUTH=*"),
    ("add-capability", Verb::Add, "add-capability IDLE"),
    ("only-capabilities", Verb::Only, "only-capabilities IMAP4rev1 IDLE"),
    ("replace-capability", Verb::Replace, "replace-capability LITERAL+ LITERAL-"),
];

/// The actions that the language has a place for and this version does not have.
const NOT_YET: &[&str] = &[
    "replace-text",
    "replace-code",
    "insert-before",
    "insert-after",
    "drop",
    "refuse",
    "delay",
    "throttle",
    "slice",
    "stall",
    "close",
    "reset",
];

/// Words that end the names of a capability rule.
const KEYWORDS: &[&str] = &["when", "once", "times", "after", "chance", "enforced"];

fn available() -> String {
    let names: Vec<&str> = ACTIONS.iter().map(|(name, ..)| *name).collect();
    format!("the actions are {} and s/REGEX/REPLACEMENT/", names.join(", "))
}

/// Reads a rule.
pub fn rule(line: &str) -> Result<(Action, Option<Condition>), Fault<'_>> {
    finish(whole_rule(line))
}

/// Reads what an option that is short for a capability rule was given.
pub fn option(verb: Verb, value: &str) -> Result<Action, Fault<'_>> {
    if verb == Verb::Replace
        && let Some(split) = parted(value)
    {
        return finish(split.and_then(|split| pair(value, split)));
    }
    finish(names(value, verb, false)).map(Action::Names)
}

/// Reads a condition alone.
#[cfg(test)]
pub fn condition(text: &str) -> Result<Condition, Fault<'_>> {
    let (rest, condition) = match condition::any(text, 0) {
        Ok(found) => found,
        Err(error) => return finish(Err(error)),
    };
    finish(end(rest)).map(|()| condition)
}

fn finish<T>(parsed: Parsed<'_, T>) -> Result<T, Fault<'_>> {
    match parsed {
        Ok((_, value)) => Ok(value),
        Err(Err::Error(fault) | Err::Failure(fault)) => Err(fault),
        // Complete parsers never ask for more.
        Err(Err::Incomplete(_)) => Err(Fault::from_error_kind("", ErrorKind::Complete)),
    }
}

fn whole_rule(line: &str) -> Parsed<'_, (Action, Option<Condition>)> {
    let (rest, _) = blanks(line)?;
    let (rest, action) = action(rest)?;
    let (rest, condition) = when(rest)?;
    let (rest, ()) = end(rest)?;
    Ok((rest, (action, condition)))
}

fn action(line: &str) -> Parsed<'_, Action> {
    if let Some(rest) = line.strip_prefix('s')
        && let Some(delimiter) = rest.chars().next()
        && delimiter.is_ascii_punctuation()
        && delimiter != '\\'
    {
        return sed::substitution(rest, delimiter).map(|(rest, found)| (rest, Action::Substitute(found)));
    }
    let Ok((rest, name)) = take_till1::<_, _, Fault<'_>>(is_blank).parse(line) else {
        return fault(line, 0, "here an action is missing", available());
    };
    if let Some(&(_, verb, _)) = ACTIONS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)) {
        return names(rest, verb, true).map(|(rest, action)| (rest, Action::Names(action)));
    }
    if NOT_YET.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return fault(line, name.len(), format!("{} is not available in this version", quote(name)), available());
    }
    let known = ACTIONS.iter().map(|(name, ..)| *name).chain(NOT_YET.iter().copied());
    fault(line, name.len(), format!("{} is no action", quote(name)), suggest(name, known, &available()))
}

fn when(line: &str) -> Parsed<'_, Option<Condition>> {
    let (rest, _) = blanks(line)?;
    match word(rest) {
        Some(word) if word.eq_ignore_ascii_case("when") => {
            condition::any(&rest[word.len()..], 0).map(|(rest, condition)| (rest, Some(condition)))
        }
        _ => Ok((rest, None)),
    }
}

/// The end of a rule, where modifiers will stand.
fn end(line: &str) -> Parsed<'_, ()> {
    let (rest, _) = blanks(line)?;
    let Some(word) = word(rest) else { return Ok((rest, ())) };
    if KEYWORDS[1..].iter().any(|known| known.eq_ignore_ascii_case(word)) {
        let help = "a rule without it acts on every text that its condition holds for";
        return fault(rest, word.len(), format!("{} is not available in this version", quote(word)), help);
    }
    let help = match word.chars().next() {
        Some('#') => "a comment stands on a line of its own",
        Some('&' | '|') => "conditions are joined with && and ||",
        Some(')') => "there is no ( for this )",
        _ => "a rule is an action with its arguments, then perhaps: when CONDITION",
    };
    fault(rest, word.len(), format!("{} does not belong here", quote(word)), help)
}

/// The names of a capability rule, up to a keyword or the end.
fn names(line: &str, verb: Verb, keywords: bool) -> Parsed<'_, NamesAction> {
    let example = ACTIONS.iter().find(|(_, known, _)| *known == verb).map_or("", |(.., example)| example);
    let example = if keywords { format!("for example: {example}") } else { String::new() };
    let mut found = Vec::new();
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
        if verb == Verb::Replace && found.len() == 2 {
            return fault(rest, word.len(), "one name is replaced by one other", example);
        }
        let name;
        (rest, name) = capability(rest, may_match)?;
        found.push(name);
    }
    let patterns = |found: Vec<&str>| found.into_iter().map(|name| Pattern(name.into())).collect();
    let action = match (verb, &found[..]) {
        (_, []) => return fault(rest, 0, "here the name of a capability is missing", example),
        (Verb::Replace, [old, new]) => NamesAction::Replace(Pattern((*old).into()), Arc::from(new.as_bytes())),
        (Verb::Replace, _) => {
            return fault(rest, 0, "here the name is missing that is put in its place", example);
        }
        (Verb::Drop, _) => NamesAction::Drop(patterns(found)),
        (Verb::Only, _) => NamesAction::Only(patterns(found)),
        (Verb::Add, _) => NamesAction::Add(found.iter().map(|name| Arc::from(name.as_bytes())).collect()),
    };
    Ok((rest, action))
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
