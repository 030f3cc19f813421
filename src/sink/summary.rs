//! The closing summary of a connection, as lines.

use std::time::Duration;

use crate::event::{Closed, Summary, Tally};

/// `1 octet`, `53,482 octets`.
pub fn octets(count: u64) -> String {
    format!("{} octet{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// A number with commas between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A span of time in the unit that suits it.
pub fn span(time: Duration) -> String {
    let micros = time.as_micros();
    match micros {
        0..1_000 => format!("{micros} µs"),
        1_000..10_000 => format!("{:.1} ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", micros / 1_000),
        1_000_000..60_000_000 => format!("{:.1} s", micros as f64 / 1e6),
        _ => format!("{} min {} s", micros / 60_000_000, micros / 1_000_000 % 60),
    }
}

/// The summary, line by line.
pub fn lines(closed: &Closed, summary: &Summary) -> Vec<String> {
    let mut lines = vec![format!(
        "after {}; from the client {}, from the server {}",
        span(summary.lasted),
        octets(closed.received[0]),
        octets(closed.received[1])
    )];
    for (who, received, sent) in
        [("client", closed.received[1], closed.sent[0]), ("server", closed.received[0], closed.sent[1])]
    {
        if received != sent {
            lines.push(format!("the {who} was sent {}", octets(sent)));
        }
    }
    lines.extend(commands(&summary.commands));
    if !summary.idle.is_zero() {
        lines.push(format!("in IDLE for {}", span(summary.idle)));
    }
    if !summary.unused.is_empty() {
        lines.push(format!("offered and not used: {}", summary.unused.join(" ")));
    }
    for (verb, capability) in &summary.unadvertised {
        lines.push(format!("used and not offered: {}", pair(verb, capability)));
    }
    for (verb, capability) in &summary.hidden_tried {
        lines.push(format!("hidden by a rule, and used all the same: {}", pair(verb, capability)));
    }
    for (rule, count) in &summary.rules {
        lines.push(format!("rule {rule}: fired {}", times(*count)));
    }
    match summary.findings {
        [0, 0] => {}
        [client, server] => lines.push(format!("findings: client {client}, server {server}")),
    }
    match summary.strict {
        (0, _) => {}
        (seen, 0) => lines.push(format!("a strict parser was shown {} responses and took them all", grouped(seen))),
        (seen, refused) => {
            lines.push(format!(
                "a strict parser was shown {} responses and refused {}",
                grouped(seen),
                grouped(refused)
            ));
        }
    }
    lines
}

fn pair(verb: &str, capability: &str) -> String {
    if verb.eq_ignore_ascii_case(capability) { verb.to_owned() } else { format!("{verb} (needs {capability})") }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{} times", grouped(count)),
    }
}

/// A table of the commands, in columns.
fn commands(tallies: &[Tally]) -> Vec<String> {
    let width = tallies.iter().map(|tally| tally.verb.chars().count()).max().unwrap_or(0).min(24);
    let row = |tally: &Tally| {
        let answered = tally.count.saturating_sub(tally.unanswered);
        let mean = tally.total / u32::try_from(answered).unwrap_or(u32::MAX).max(1);
        let mut row = format!("{:<width$} {:>6}", tally.verb, grouped(tally.count));
        match answered {
            0 => {}
            1 => row += &format!("  {:>8}", span(mean)),
            _ => row += &format!("  {:>8} on average, {} at most", span(mean), span(tally.longest)),
        }
        for (count, what) in [(tally.failed, "failed"), (tally.unanswered, "unanswered")] {
            if count > 0 {
                row += &format!("  {} {what}", grouped(count));
            }
        }
        row
    };
    tallies.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(octets(1), "1 octet");
        assert_eq!(octets(53_482), "53,482 octets");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(span(Duration::from_micros(430)), "430 µs");
        assert_eq!(span(Duration::from_micros(4_300)), "4.3 ms");
        assert_eq!(span(Duration::from_millis(43)), "43 ms");
        assert_eq!(span(Duration::from_millis(4_321)), "4.3 s");
        assert_eq!(span(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(times(2), "twice");
    }
}
