//! What the tests of the descriptions share: loading them, lists of names, and what every entry must say.

#![allow(dead_code, reason = "no test uses all of it")]

use std::sync::Arc;

use imapscope::grammar::{Grammar, Named, Table};

/// The description of that name.
pub fn grammar(name: &str) -> Arc<Grammar> {
    Grammar::builtin(name).unwrap_or_else(|| panic!("the description {name} is not there or does not load"))
}

/// The names of a list, each with the kind that it is of.
pub fn names(list: &'static str) -> Vec<(&'static str, &'static str)> {
    let mut kind = "";
    let mut names = Vec::new();
    for line in list.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(title) => kind = title,
            None => names.push((kind, line)),
        }
    }
    names
}

/// The names of those entries that have a mark, with it.
pub fn marked<T: Named, M>(table: &Table<T>, mark: impl Fn(&T) -> Option<M>) -> Vec<(&str, M)> {
    table.iter().filter_map(|entry| Some((entry.name(), mark(entry)?))).collect()
}

/// Fails unless every entry of a description says what it means, in one line that fits a log, and where that is defined.
pub fn assert_all_told(g: &Grammar) {
    assert_told(&g.commands, |c| (&c.does, &c.rfc));
    assert_told(&g.capabilities, |c| (&c.does, &c.rfc));
    assert_told(&g.responses, |r| (&r.does, &r.rfc));
    assert_told(&g.codes, |c| (&c.does, &c.rfc));
    for vocabulary in &g.vocabularies {
        assert_told(&vocabulary.words, |w| (&w.does, &w.rfc));
    }
}

fn assert_told<'a, T: Named + 'a>(table: &'a Table<T>, about: impl Fn(&T) -> (&str, &str)) {
    for entry in table {
        let (does, rfc) = about(entry);
        assert!(does.ends_with('.') && does.len() > 6, "{}: {does:?} is no sentence", entry.name());
        assert!(!does.contains('\n') && does.chars().count() <= 120, "{}: {does:?} is too long", entry.name());
        assert!(!rfc.is_empty(), "{} is defined nowhere", entry.name());
    }
}
