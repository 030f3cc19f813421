//! The syntax of conditions: `from == server && !(state in {selected, logout})`.

use nom::Parser;
use nom::bytes::complete::{take_till, take_while1};
use regex::bytes::{Regex, RegexBuilder};

use super::sed::regex_fault;
use super::{Fault, Parsed, blanks, fault, quote, suggest};
use crate::event::State;
use crate::rules::condition::{Condition, FIELDS, Field, FieldRow, Relation, Scale, is_mark};

/// How deep parentheses and `!` may nest: evaluation recurses.
const MOST_NESTED: usize = 64;

/// Who asks: that decides which fields are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A rule, while a text is on its way.
    Rule,
    /// A filter of the log, once everything is known.
    Filter,
}

/// Where a part of a condition stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    asker: Asker,
    depth: usize,
}

impl Place {
    const fn inside(self) -> Self {
        Place { depth: self.depth + 1, ..self }
    }
}

/// A whole condition.
pub fn condition(line: &str, asker: Asker) -> Parsed<'_, Condition> {
    any(line, Place { asker, depth: 0 })
}

/// Conditions joined with `||`.
fn any(line: &str, place: Place) -> Parsed<'_, Condition> {
    let (rest, parts) = joined(line, "||", place, all)?;
    Ok((rest, one_or(parts, Condition::Any)))
}

fn all(line: &str, place: Place) -> Parsed<'_, Condition> {
    let (rest, parts) = joined(line, "&&", place, not)?;
    Ok((rest, one_or(parts, Condition::All)))
}

fn joined<'a>(
    line: &'a str,
    sign: &str,
    place: Place,
    part: fn(&'a str, Place) -> Parsed<'a, Condition>,
) -> Parsed<'a, Vec<Condition>> {
    let (mut rest, first) = part(line, place)?;
    let mut parts = vec![first];
    loop {
        let (after, _) = blanks(rest)?;
        let Some(after) = after.strip_prefix(sign) else { return Ok((rest, parts)) };
        let next;
        (rest, next) = part(after, place)?;
        parts.push(next);
    }
}

fn one_or(mut parts: Vec<Condition>, join: fn(Vec<Condition>) -> Condition) -> Condition {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

fn not(line: &str, place: Place) -> Parsed<'_, Condition> {
    let (rest, _) = blanks(line)?;
    if place.depth > MOST_NESTED {
        return fault(rest, 1, format!("this is nested more than {MOST_NESTED} deep"), "");
    }
    if let Some(inner) = rest.strip_prefix('!') {
        let (rest, inner) = not(inner, place.inside())?;
        return Ok((rest, Condition::Not(Box::new(inner))));
    }
    let Some(inner) = rest.strip_prefix('(') else { return test(rest, place.asker) };
    let (after, inner) = any(inner, place.inside())?;
    let (after, _) = blanks(after)?;
    match after.strip_prefix(')') {
        Some(rest) => Ok((rest, inner)),
        None if after.is_empty() => fault(after, 0, "here a ) is missing", "each ( needs its )"),
        None => {
            let word = super::word(after).unwrap_or_default();
            fault(after, word.len(), format!("{} cannot stand here", quote(word)), "here && or || or ) is possible")
        }
    }
}

impl Asker {
    /// True if this field is known to whoever asks.
    fn knows(self, row: &FieldRow) -> bool {
        self == Asker::Filter || row.not_in_rules.is_none()
    }

    fn fields(self) -> String {
        let known: Vec<&str> = FIELDS.iter().filter(|row| self.knows(row)).map(|row| row.word).collect();
        let whose = if self == Asker::Rule { "the fields that a rule can ask about are" } else { "the fields are" };
        format!("{whose} {}", known.join(" "))
    }
}

fn test(line: &str, asker: Asker) -> Parsed<'_, Condition> {
    let name = take_while1(|c: char| c.is_alphanumeric() || c == '-' || c == '_').parse(line);
    let Ok::<_, nom::Err<Fault<'_>>>((rest, name)) = name else {
        let word = super::word(line).unwrap_or_default();
        return fault(line, word.len(), "here a comparison is missing", "for example: from == server");
    };
    let Some(row) = FIELDS.iter().find(|row| row.word.eq_ignore_ascii_case(name)) else {
        let known = FIELDS.iter().filter(|row| asker.knows(row)).map(|row| row.word);
        return fault(line, name.len(), format!("{} is no field", quote(name)), suggest(name, known, &asker.fields()));
    };
    if let Some(why) = row.not_in_rules.filter(|_| !asker.knows(row)) {
        return fault(line, name.len(), format!("{} {why}", quote(row.word)), asker.fields());
    }
    let (rest, _) = blanks(rest)?;
    let (rest, relation) = relation(rest, row)?;
    Ok((rest, Condition::Test(row.field, relation)))
}

fn relation<'a>(line: &'a str, row: &FieldRow) -> Parsed<'a, Relation> {
    if row.scale == Scale::Time && !line.starts_with(['<', '>']) {
        let word = super::word(line).unwrap_or_default();
        let help = format!("times are compared with < and >, such as {} > 200ms", row.word);
        return fault(line, word.len(), format!("`{}` is a time, which is never met exactly", row.word), help);
    }
    let in_list = line.get(..2).filter(|word| word.eq_ignore_ascii_case("in")).map(|_| &line[2..]);
    if let Some(rest) = in_list.filter(|rest| rest.starts_with([' ', '\t', '{'])) {
        let (rest, values) = list(rest, row)?;
        return Ok((rest, one_of(values, row)));
    }
    if let Some(rest) = line.strip_prefix("==") {
        let (rest, value) = value(rest, row)?;
        return Ok((rest, one_of(vec![value], row)));
    }
    if let Some(rest) = line.strip_prefix("!=") {
        let (rest, value) = value(rest, row)?;
        let relation = match value {
            Value::Word(word) => Relation::NoneOf(vec![word]),
            Value::Number(number) => Relation::NoneOfNumbers(vec![number]),
        };
        return Ok((rest, relation));
    }
    if let Some(rest) = line.strip_prefix('~') {
        if row.scale == Scale::Number {
            return fault(line, 1, format!("`{}` is a number", row.word), "numbers are compared with == != < > and in");
        }
        return regex(rest, row).map(|(rest, regex)| (rest, Relation::Matches(regex)));
    }
    if let Some(sign) = line.get(..1).filter(|sign| matches!(*sign, "<" | ">")) {
        if !matches!(row.scale, Scale::Number | Scale::Time) {
            let help = "< and > compare numbers: conn and size; words are compared with == != ~ and in";
            return fault(line, 1, format!("`{}` is not a number", row.word), help);
        }
        if line[1..].starts_with('=') {
            let time = row.scale == Scale::Time;
            let help = if time {
                "write latency > 200ms"
            } else {
                "to include the number itself, take the next one: size < 101"
            };
            return fault(line, 2, format!("there is no {sign}="), help);
        }
        let (rest, value) = value(&line[1..], row)?;
        let Value::Number(number) = value else { return fault(line, 1, "this compares numbers", "") };
        return Ok((rest, if sign == "<" { Relation::Below(number) } else { Relation::Above(number) }));
    }
    let word = super::word(line).unwrap_or_default();
    let (len, help) = match line.strip_prefix('=') {
        Some(_) => (1, "to compare, write =="),
        None => (word.len(), "comparisons are == != < > ~ (regex) and in {A, B}"),
    };
    fault(line, len, format!("here a comparison with `{}` is missing", row.word), help)
}

enum Value {
    Word(Vec<u8>),
    Number(u64),
}

fn one_of(values: Vec<Value>, row: &FieldRow) -> Relation {
    let mut words = Vec::new();
    let mut numbers = Vec::new();
    for value in values {
        match value {
            Value::Word(word) => words.push(word),
            Value::Number(number) => numbers.push(number),
        }
    }
    if row.scale == Scale::Number { Relation::OneOfNumbers(numbers) } else { Relation::OneOf(words) }
}

fn list<'a>(line: &'a str, row: &FieldRow) -> Parsed<'a, Vec<Value>> {
    let (rest, _) = blanks(line)?;
    let Some(mut rest) = rest.strip_prefix('{') else {
        return fault(rest, 1.min(rest.len()), "here a list is missing", "for example: in {client, server}");
    };
    let mut values = Vec::new();
    loop {
        let found;
        (rest, found) = value(rest, row)?;
        values.push(found);
        let (after, _) = blanks(rest)?;
        let mut letters = after.chars();
        match letters.next() {
            Some(',') => rest = letters.as_str(),
            Some('}') => return Ok((letters.as_str(), values)),
            Some(_) => return fault(after, 1, "here , or } is missing", "for example: in {client, server}"),
            None => return fault(after, 0, "here a } is missing", "each { needs its }"),
        }
    }
}

fn value<'a>(line: &'a str, row: &FieldRow) -> Parsed<'a, Value> {
    let (at, _) = blanks(line)?;
    let (rest, raw) = raw(at, row)?;
    let mut text = unescape(raw);
    let len = at.len() - rest.len();
    // States are spelled as the log shows them, or as the standard does.
    if row.field == Field::State
        && let Some(state) = State::named(&text)
    {
        text = state.word().to_owned();
    }
    match row.scale {
        Scale::Word => {}
        Scale::Number => {
            return match text.parse() {
                Ok(number) => Ok((rest, Value::Number(number))),
                Err(_) => {
                    fault(at, len, format!("{} is no number", quote(&text)), format!("`{}` is a number", row.word))
                }
            };
        }
        Scale::Time => {
            return match nanoseconds(&text) {
                Some(time) => Ok((rest, Value::Number(time))),
                None => fault(at, len, format!("{} is no time", quote(&text)), TIME),
            };
        }
        Scale::OneOf(words) => {
            if !words.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
                let all = format!("`{}` is one of {}", row.word, words.join(" "));
                let help = suggest(&text, words.iter().copied(), &all);
                return fault(at, len, format!("{} is no value of `{}`", quote(&text), row.word), help);
            }
        }
        Scale::OneOfOrMark(words) => {
            if !words.iter().any(|word| word.eq_ignore_ascii_case(&text)) && !is_mark(text.as_bytes()) {
                let help = suggest(&text, words.iter().copied(), &words_or_mark(row, words));
                return fault(at, len, format!("{} is no value of `{}`", quote(&text), row.word), help);
            }
        }
    }
    Ok((rest, Value::Word(text.into_bytes())))
}

/// How times are written.
const TIME: &str = "a whole number with us, ms, s or m behind it, such as 200ms";

/// Digits and a unit.
fn nanoseconds(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &text[digits..] {
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

fn words_or_mark(row: &FieldRow, words: &[&str]) -> String {
    format!("`{}` is one of {}, or what the reply begins with: three digits, +OK, -ERR or +", row.word, words.join(" "))
}

/// A string without its quotes, its escapes as they are; or a bare word.
fn raw<'a>(line: &'a str, row: &FieldRow) -> Parsed<'a, &'a str> {
    if let Some(inside) = line.strip_prefix('"') {
        return delimited(line, inside, '"');
    }
    const STOPS: &str = " \t(){},\"'&|!<>";
    let (rest, word) = take_till(|c| STOPS.contains(c)).parse(line)?;
    if !word.is_empty() {
        return Ok((rest, word));
    }
    let help = match (line.chars().next(), row.scale) {
        (Some('\''), _) => "strings stand in \"double quotes\"".to_string(),
        (_, Scale::OneOf(words)) => format!("`{}` is one of {}", row.word, words.join(" ")),
        (_, Scale::OneOfOrMark(words)) => words_or_mark(row, words),
        (_, Scale::Number) => format!("`{}` is a number", row.word),
        (_, Scale::Time) => TIME.to_string(),
        (_, Scale::Word) => "a word, or a string in \"double quotes\"".to_string(),
    };
    fault(line, usize::from(!line.is_empty()), "here a value is missing", help)
}

/// What stands up to the sign that closes it, with its escapes.
pub fn delimited<'a>(line: &'a str, inside: &'a str, close: char) -> Parsed<'a, &'a str> {
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == close => return Ok((&inside[at + 1..], &inside[..at])),
            _ => {}
        }
    }
    fault(line, line.len(), "this has no end", format!("close it with {close}"))
}

/// In a string `\"` is a quote and `\\` a backslash; other backslashes stand for themselves.
pub fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut letters = raw.chars().peekable();
    while let Some(c) = letters.next() {
        match letters.peek() {
            Some(&next @ ('"' | '\\')) if c == '\\' => {
                text.push(next);
                letters.next();
            }
            _ => text.push(c),
        }
    }
    text
}

/// `"REGEX"`, `/REGEX/`, `/REGEX/i` or a bare word. Names have no case, so only `text` is matched with case.
fn regex<'a>(line: &'a str, row: &FieldRow) -> Parsed<'a, Regex> {
    let (at, _) = blanks(line)?;
    let mut blind = row.field != Field::Text;
    let (rest, raw) = match at.strip_prefix('/') {
        Some(inside) => {
            let (rest, raw) = delimited(at, inside, '/')?;
            match rest.strip_prefix('i') {
                Some(rest) => {
                    blind = true;
                    (rest, raw)
                }
                None => (rest, raw),
            }
        }
        None => raw(at, row)?,
    };
    // The regex knows \" and \/ as what they are here.
    match RegexBuilder::new(raw).unicode(false).case_insensitive(blind).build() {
        Ok(regex) => Ok((rest, regex)),
        Err(error) => regex_fault(at, at.len() - rest.len(), &error),
    }
}
