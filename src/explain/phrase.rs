//! Small pieces of wording: quoted octets of a peer, durations, lists of names. Bounded, and without a clock.

use std::time::Duration;

/// The most characters that a note quotes of a peer's octets.
pub const MAX_QUOTE: usize = 200;

/// The most names that one phrase lists.
const MAX_NAMES: usize = 24;

/// A peer's octets as text: lossy where they are not UTF-8, cut at [`MAX_QUOTE`] characters. Not escaped: sinks do that.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    // A character has four octets at most, so what is further on cannot be shown anyway.
    let head = &bytes[..bytes.len().min(MAX_QUOTE * 4)];
    let text = String::from_utf8_lossy(head);
    let mut out: String = text.chars().take(MAX_QUOTE).collect();
    if out.len() < text.len() || head.len() < bytes.len() {
        out.push('…');
    }
    out
}

/// The same between quotation marks.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    format!("\"{}\"", excerpt(bytes))
}

/// A duration as people say it: `850 µs`, `43 ms`, `1.25 s`, `3 min 20 s`, `2 h 5 min`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match time.as_micros() {
        0..1_000 => format!("{} µs", time.as_micros()),
        1_000..10_000 => format!("{}.{} ms", time.as_millis(), time.as_micros() / 100 % 10),
        10_000..1_000_000 => format!("{} ms", time.as_millis()),
        1_000_000..60_000_000 => format!("{seconds}.{:02} s", time.subsec_millis() / 10),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Names with commas between them; of many the first and how many more.
#[must_use]
pub fn names<S: AsRef<str>>(names: &[S]) -> String {
    let mut out = String::new();
    for (at, name) in names.iter().take(MAX_NAMES).enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(name.as_ref());
    }
    if names.len() > MAX_NAMES {
        out.push_str(&format!(" and {} more", names.len() - MAX_NAMES));
    }
    out
}

/// A count of octets with its unit: `1 octet`, `2,279 octets`.
#[must_use]
pub fn octets(count: u64) -> String {
    if count == 1 { "1 octet".into() } else { format!("{} octets", grouped(count)) }
}

/// A number with a comma between groups of three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_keep_two_figures() {
        let said = |micros| duration(Duration::from_micros(micros));
        assert_eq!(said(0), "0 µs");
        assert_eq!(said(999), "999 µs");
        assert_eq!(said(1_250), "1.2 ms");
        assert_eq!(said(43_900), "43 ms");
        assert_eq!(said(1_256_000), "1.25 s");
        assert_eq!(said(200_000_000), "3 min 20 s");
        assert_eq!(said(7_500_000_000), "2 h 5 min");
    }

    #[test]
    fn quotes_are_cut_and_survive_octets_that_are_no_text() {
        assert_eq!(quote(b"a\xffb"), "\"a\u{fffd}b\"");
        assert_eq!(excerpt(&[b'x'; 1000]).chars().count(), MAX_QUOTE + 1);
        assert_eq!(excerpt("ä".repeat(MAX_QUOTE).as_bytes()), "ä".repeat(MAX_QUOTE));
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(octets(1), "1 octet");
        assert_eq!(octets(53_482), "53,482 octets");
    }
}
