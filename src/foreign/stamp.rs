//! Times before the lines of a log, in the ways in which programs write them.

/// Number of bytes at the start of a line in which a time is looked for.
const MAX_STAMP: usize = 48;

/// A time before a mark, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub enum Stamp {
    /// Since 1970.
    Moment(u64),
    /// Since midnight.
    OfDay(u64),
}

/// The time at the start of a line, and where what follows it begins.
#[must_use]
pub fn stamp(line: &[u8]) -> Option<(Stamp, usize)> {
    let start = &line[..line.len().min(MAX_STAMP)];
    if !start.iter().find(|b| !b" [".contains(b)).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let start = std::str::from_utf8(start)
        .unwrap_or_else(|error| std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default());
    let open = start.len() - start.trim_start_matches([' ', '[']).len();
    let rest = &start[open..];
    let token = rest.split([' ', ']']).next()?;
    let mut used = token.len();
    let found = if let Some((date, time)) = token.split_once('T') {
        moment(date, time)?
    } else if token.len() == 10 && token.as_bytes()[4] == b'-' {
        let time = rest.get(11..)?.split([' ', ']']).next()?;
        used += 1 + time.len();
        moment(token, time)?
    } else if token.contains(':') {
        let time: jiff::civil::Time = token.replace(',', ".").parse().ok()?;
        Stamp::OfDay(u64::try_from(time.duration_since(jiff::civil::Time::midnight()).as_nanos()).ok()?)
    } else {
        Stamp::Moment(epoch(token)?)
    };
    let behind = rest[used..].trim_start_matches("]").trim_start_matches(" UTC");
    // One blank belongs to the time; more may be the mark's.
    let behind = behind.strip_prefix(' ').unwrap_or(behind);
    Some((found, start.len() - behind.len()))
}

fn moment(date: &str, time: &str) -> Option<Stamp> {
    let text = format!("{date}T{}", time.replace(',', "."));
    let timestamp = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
    })?;
    u64::try_from(timestamp.as_nanosecond()).ok().map(Stamp::Moment)
}

/// Seconds since 1970 with a fraction, as at least nine digits, a dot, and up to nine digits.
#[must_use]
pub fn epoch(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if seconds.len() < 9 || !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let nanoseconds = fraction.parse::<u64>().ok()? * 10_u64.pow(9 - fraction.len() as u32);
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}
