//! Entries by name, in any ASCII case, with patterns: the exact name first, then the longest `PREFIX*` that fits.
//! Looking up allocates nothing. Knows nothing of what the entries mean.

use std::cmp::Ordering;

/// An entry that knows its own name.
pub trait Named {
    /// The name as the table spells it; a pattern ends in `*`.
    fn name(&self) -> &str;
}

/// Named entries, in the order of their names.
#[derive(Debug, Clone)]
pub struct Table<T> {
    /// Sorted by [`order`].
    entries: Vec<T>,
    /// Positions of the patterns in `entries`, the longest prefix first.
    patterns: Vec<usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table { entries: Vec::new(), patterns: Vec::new() }
    }
}

impl<T: Named> Table<T> {
    /// A table of these entries. Of two with one name (in any case) the first is kept.
    #[must_use]
    pub fn new(mut entries: Vec<T>) -> Self {
        entries.sort_by(|a, b| order(a.name().as_bytes(), b.name().as_bytes()));
        entries.dedup_by(|b, a| order(a.name().as_bytes(), b.name().as_bytes()).is_eq());
        let mut patterns: Vec<usize> =
            entries.iter().enumerate().filter(|(_, e)| prefix(e.name()).is_some()).map(|(at, _)| at).collect();
        patterns.sort_by_key(|&at| std::cmp::Reverse(entries[at].name().len()));
        Table { entries, patterns }
    }

    /// The entry of exactly this name; never a pattern that merely fits.
    #[must_use]
    pub fn exact(&self, name: &[u8]) -> Option<&T> {
        let at = self.entries.binary_search_by(|entry| order(entry.name().as_bytes(), name)).ok()?;
        self.entries.get(at)
    }

    /// The entry of this name, else the one with the longest prefix that fits.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&T> {
        self.exact(name).or_else(|| {
            self.patterns.iter().filter_map(|&at| self.entries.get(at)).find(|entry| fits(entry.name(), name))
        })
    }

    /// All entries, in the order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.entries.iter()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<'a, T: Named> IntoIterator for &'a Table<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The fixed part of a pattern: `AUTH=` of `AUTH=*`. `None` for a plain name, as which `\*`, the flag, counts.
#[must_use]
pub fn prefix(name: &str) -> Option<&str> {
    name.strip_suffix('*').filter(|fixed| !fixed.is_empty() && !fixed.ends_with('\\'))
}

/// True if the pattern `name` covers `word`, in any case.
fn fits(name: &str, word: &[u8]) -> bool {
    prefix(name)
        .is_some_and(|fixed| word.get(..fixed.len()).is_some_and(|head| head.eq_ignore_ascii_case(fixed.as_bytes())))
}

/// Compares two names without regard to ASCII case. Every word of a conversation is looked up, most of them more than
/// once, so this is a plain loop: a chain of iterators cost an eighth of the time of the tests, which are not optimised.
fn order(a: &[u8], b: &[u8]) -> Ordering {
    for (x, y) in a.iter().zip(b) {
        if x != y && !x.eq_ignore_ascii_case(y) {
            return x.to_ascii_uppercase().cmp(&y.to_ascii_uppercase());
        }
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Word(&'static str);

    impl Named for Word {
        fn name(&self) -> &str {
            self.0
        }
    }

    fn found(words: &[&'static str], name: &str) -> Option<&'static str> {
        Table::new(words.iter().map(|w| Word(w)).collect()).get(name.as_bytes()).map(|w| w.0)
    }

    #[test]
    fn exact_comes_before_the_longest_prefix_before_the_generic_one() {
        let words = ["X*", "XAOL*", "XAOL-READ", "IDLE", "AUTH=*"];
        assert_eq!(found(&words, "xaol-read"), Some("XAOL-READ"));
        assert_eq!(found(&words, "XAOL-READS"), Some("XAOL*"));
        assert_eq!(found(&words, "xyz"), Some("X*"));
        assert_eq!(found(&words, "idle"), Some("IDLE"));
        assert_eq!(found(&words, "auth=plain"), Some("AUTH=*"));
        assert_eq!(found(&words, "AUTH"), None);
        assert_eq!(found(&words, ""), None);
    }

    #[test]
    fn the_flag_backslash_star_is_a_name_and_no_pattern() {
        assert_eq!(found(&["\\*", "\\Seen"], "\\Answered"), None);
        assert_eq!(found(&["\\*", "\\Seen"], "\\*"), Some("\\*"));
    }
}
