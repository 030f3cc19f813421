//! "Did you mean": the known name that is spelled most like a given one. Knows nothing but strings.

use super::table::prefix;

/// Longer words than this are not compared, so that the cost stays bounded.
const MAX_WORD: usize = 64;

/// The candidate with the smallest edit distance to `word`, in any case; `None` if none is close: at most one edit in three
/// letters, and at least one letter kept. A pattern (`AUTH=*`) is compared by its fixed part.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let given: Vec<char> = word.chars().take(MAX_WORD + 1).flat_map(char::to_uppercase).collect();
    if given.is_empty() || given.len() > MAX_WORD {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let fixed = prefix(candidate).unwrap_or(candidate);
        let name: Vec<char> = fixed.chars().flat_map(char::to_uppercase).collect();
        let limit = given.len().max(name.len()).div_ceil(3).min(given.len().saturating_sub(1)).min(4);
        if given.len().abs_diff(name.len()) > limit || name.len() < 2 {
            continue;
        }
        let far = distance(&given, &name);
        if far <= limit && best.is_none_or(|(least, _)| far < least) {
            best = Some((far, candidate));
        }
    }
    best.map(|(_, name)| name.to_owned())
}

/// How many letters to insert, delete, replace or swap with the next one to make `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut least = (above[j] + usize::from(x != y)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a[i - 1] == *y && b[j - 1] == *x {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(word: &str) -> Option<String> {
        nearest(word, ["IDLE", "QRESYNC", "CONDSTORE", "AUTH=*", "ID", "COMPRESS=DEFLATE"].into_iter())
    }

    #[test]
    fn a_slip_of_the_finger_is_mended() {
        assert_eq!(among("idel").as_deref(), Some("IDLE"));
        assert_eq!(among("QRSYNC").as_deref(), Some("QRESYNC"));
        assert_eq!(among("CONSTORE").as_deref(), Some("CONDSTORE"));
        assert_eq!(among("COMPRESS=DEFALTE").as_deref(), Some("COMPRESS=DEFLATE"));
    }

    #[test]
    fn what_is_far_from_everything_has_no_suggestion() {
        assert_eq!(among("WOMBAT"), None);
        assert_eq!(among(""), None);
        assert_eq!(among(&"A".repeat(100_000)), None);
    }
}
