//! Wording that several parts share, so that one thing is said in one way: numbers, durations, "did you mean". Knows
//! numbers and strings only; imports nothing of ours, and whoever words something may import it.

use std::time::Duration;

/// Longer words than this are not compared, so that the cost stays bounded.
const MAX_WORD: usize = 64;

/// A number with its noun, which is put into the plural by an `s`: `1 octet`, `53,482 octets`.
#[must_use]
pub fn amount(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A number with a comma between the thousands.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in the unit that suits it: `430 µs`, `43 ms`, `1.23 s`, `5 min 12 s`, `2 h 3 min`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match time.as_micros() {
        0..1_000 => format!("{} µs", time.as_micros()),
        1_000..10_000 => format!("{}.{} ms", time.as_micros() / 1000, time.as_micros() / 100 % 10),
        10_000..1_000_000 => format!("{} ms", time.as_millis()),
        1_000_000..60_000_000 => format!("{seconds}.{:02} s", time.subsec_millis() / 10),
        60_000_000..3_600_000_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", thousands(seconds / 3600), seconds / 60 % 60),
    }
}

/// A day in UTC, from seconds since 1970: `2026-11-24`. Days before year 1 and after year 9999 are those years' ends.
#[must_use]
pub fn date(seconds: i64) -> String {
    let (first, last) = (jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    let day = jiff::Timestamp::from_second(seconds.clamp(first, last)).unwrap_or_default();
    day.strftime("%Y-%m-%d").to_string()
}

/// The candidate with the smallest edit distance to `word`, in any case; `None` if none is close: at most one edit in three
/// letters, or one in a shorter word, and at least one letter kept. A pattern (`AUTH=*`) is compared by its fixed part.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    let given: Vec<char> = word.chars().take(MAX_WORD + 1).flat_map(char::to_uppercase).collect();
    if given.is_empty() || given.len() > MAX_WORD {
        return None;
    }
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let fixed = candidate.strip_suffix('*').unwrap_or(candidate);
        // Most are far too long or short: that is seen without a look at their letters. A letter has 4 bytes at most.
        if fixed.len() > 4 * (given.len() + 4) || fixed.is_ascii() && fixed.len().abs_diff(given.len()) > 4 {
            continue;
        }
        let name: Vec<char> = fixed.chars().flat_map(char::to_uppercase).collect();
        let limit = (given.len().max(name.len()) / 3).max(1).min(given.len() - 1).min(4);
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

    #[test]
    fn numbers_have_commas() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (53_482, "53,482"), (u64::MAX, "18,446,744,073,709,551,615")]
        {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(amount(1, "octet"), "1 octet");
        assert_eq!(amount(0, "octet"), "0 octets");
    }

    #[test]
    fn times_have_the_unit_that_suits_them() {
        for (microseconds, text) in [
            (430, "430 µs"),
            (4_360, "4.3 ms"),
            (43_999, "43 ms"),
            (1_239_000, "1.23 s"),
            (312_000_000, "5 min 12 s"),
            (7_380_000_000, "2 h 3 min"),
        ] {
            assert_eq!(duration(Duration::from_micros(microseconds)), text);
        }
        assert!(duration(Duration::MAX).ends_with(" min"));
    }

    #[test]
    fn days_are_written_as_numbers() {
        assert_eq!([date(0), date(1_795_478_400)], ["1970-01-01", "2026-11-24"]);
        assert!(date(i64::MAX).starts_with("9999-12-3") && !date(i64::MIN).is_empty());
    }

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
        assert_eq!(nearest("foo", ["NOOP", "QUOTA"].into_iter()), None);
        assert_eq!(among(""), None);
        assert_eq!(among(&"A".repeat(100_000)), None);
    }
}
