//! Where a description is looked through: collects what is wrong with it, with the place, the line at fault and what
//! would be right. Knows the text and no entry.

use std::ops::Range;

use toml::Spanned;

use super::{Capability, Table};
use crate::event::Form;
use crate::problem::Problem;
use crate::wording::nearest;

/// More problems than this are not listed.
const MAX_PROBLEMS: usize = 100;

/// So many are collected before the first ones are picked, so that a hopeless file costs no more than its length.
const MAX_COLLECTED: usize = 10 * MAX_PROBLEMS;

/// How many letters of a line at fault are shown.
const MAX_SHOWN: usize = 100;

/// The text at work, and the problems found so far.
pub(super) struct Desk<'t> {
    origin: &'t str,
    text: &'t str,
    /// The form of the protocol's lines, once it has been read: it says which states there are.
    pub(super) form: Form,
    found: Vec<(usize, Problem)>,
}

impl<'t> Desk<'t> {
    /// A desk with this text on it.
    pub(super) fn new(origin: &'t str, text: &'t str) -> Self {
        Desk { origin, text, form: Form::default(), found: Vec::new() }
    }

    /// Adds a problem at a place of the text.
    pub(super) fn add(&mut self, place: Range<usize>, what: &str, help: &str) {
        if self.found.len() >= MAX_COLLECTED {
            return;
        }
        let start = floor(self.text, place.start);
        let end = floor(self.text, place.end).max(start);
        let begin = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let row = self.text[..start].matches('\n').count() + 1;
        let column = self.text[begin..start].chars().count() + 1;
        let shown = self.text[begin..].lines().next().unwrap_or_default();
        let what = if shown.trim().is_empty() {
            what.to_owned()
        } else {
            let carets = self.text[start..end].lines().next().map_or(1, |l| l.chars().count()).max(1);
            format!("{what}\n{}", excerpt(shown, row, column, carets))
        };
        self.found.push((start, Problem::new(format!("{}:{row}:{column}", self.origin), what, help)));
    }

    /// Adds what the TOML reader says; `entry` is the place of the entry's name, for what is missing from it.
    pub(super) fn refuse(&mut self, error: &toml::de::Error, entry: Option<Range<usize>>) {
        let message = error.message();
        let place = error.span().or_else(|| entry.clone()).unwrap_or_default();
        let quoted = |text: &str| -> Vec<String> {
            text.split('`').skip(1).step_by(2).map(str::to_owned).collect() // between back-quotes
        };
        let (head, expected) = message.split_once(", expected ").unwrap_or((message, ""));
        let word = quoted(head).into_iter().next().unwrap_or_default();
        let known = quoted(expected);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        if head.starts_with("unknown field") {
            self.unknown(place, "key", &word, &known);
        } else if head.starts_with("unknown variant") {
            self.unknown(place, "word", &word, &known);
        } else if head.starts_with("missing field") {
            let help =
                format!("add `{word} = …`; every entry needs `does` (a sentence) and `rfc` (where it is defined)");
            self.add(entry.unwrap_or(place), &format!("missing key `{word}`"), &help);
        } else {
            self.add(place, message, "");
        }
    }

    /// Adds that `word` is none of `known`, with the one that may be meant.
    pub(super) fn unknown(&mut self, place: Range<usize>, kind: &str, word: &str, known: &[&str]) {
        let meant = nearest(word, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        let list =
            if (1..=20).contains(&known.len()) { format!("known here: {}", known.join(", ")) } else { String::new() };
        let help: Vec<String> = meant.into_iter().chain((!list.is_empty()).then_some(list)).collect();
        self.add(place, &format!("unknown {kind} `{word}`"), &help.join(" "));
    }

    /// Adds a problem unless `word` is one of `known`, in any case.
    pub(super) fn require(&mut self, word: &Spanned<String>, kind: &str, known: &[&str]) {
        if !known.iter().any(|name| name.eq_ignore_ascii_case(word.as_ref())) {
            self.unknown(word.span(), kind, word.as_ref(), known);
        }
    }

    /// Adds a problem unless `word` is one of these capabilities, or fits a pattern.
    pub(super) fn require_capability(&mut self, word: &Spanned<String>, known: &Table<Capability>) {
        if known.get(word.as_ref().as_bytes()).is_none() {
            let names: Vec<&str> = known.iter().map(|c| c.name.as_str()).collect();
            self.unknown(word.span(), "capability", word.as_ref(), &names);
        }
    }

    /// `whole` if nothing was wrong, else all problems.
    pub(super) fn done<T>(mut self, whole: T) -> Result<T, Vec<Problem>> {
        if self.found.is_empty() { Ok(whole) } else { Err(self.take()) }
    }

    /// The problems, in the order of their places.
    pub(super) fn take(&mut self) -> Vec<Problem> {
        let mut found = std::mem::take(&mut self.found);
        found.sort_by_key(|(at, _)| *at);
        found.truncate(MAX_PROBLEMS);
        found.into_iter().map(|(_, problem)| problem).collect()
    }
}

/// The largest index up to `at` that is a letter's border.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The line at fault with carets under the fault; control characters are replaced.
fn excerpt(line: &str, row: usize, column: usize, carets: usize) -> String {
    let safe: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let from = (column - 1).saturating_sub(MAX_SHOWN / 2);
    let shown: String = safe.iter().skip(from).take(MAX_SHOWN).collect();
    let number = row.to_string();
    let carets = carets.min(shown.chars().count().saturating_sub(column - 1 - from)).max(1);
    let blank = " ".repeat(number.len());
    format!("  {number} | {shown}\n  {blank} | {}{}", " ".repeat(column - 1 - from), "^".repeat(carets))
}
