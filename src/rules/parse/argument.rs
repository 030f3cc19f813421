//! The arguments of actions other than those on capabilities: strings, commands, what is varied, and the numbers of faults.

use std::sync::Arc;
use std::time::Duration;

use nom::Parser;
use nom::bytes::complete::take_while;

use super::condition::{delimited, unescape};
use super::modifier::number;
use super::{KEYWORDS, Parsed, blanks, fault, is_blank, quote, suggest, word};
use crate::rules::action::{Inserted, Pattern, Refusal, Words};
use crate::rules::fault::{Fault, Trouble};
use crate::rules::vary::{self, Ways};
use crate::wire::imap;

/// The longest string of a rule, in octets: a line that every peer takes.
const LONGEST: usize = 8192;

/// A string in quotes that can stand within a line.
fn string<'a>(line: &'a str, what: &str, example: &str) -> Parsed<'a, String> {
    let (at, _) = blanks(line)?;
    let help = || format!("for example: {example}");
    let Some(inside) = at.strip_prefix('"') else {
        let len = word(at).map_or(0, str::len);
        return fault(at, len, format!("here {what} is missing, in \"double quotes\""), help());
    };
    let (rest, raw) = delimited(at, inside, '"')?;
    let len = at.len() - rest.len();
    let text = unescape(raw);
    if let Some(place) = raw.find(|c: char| c.is_control() && c != '\t') {
        let help = "what a rule says is one line: its end is added, and no line break or control character is in it";
        return fault(&inside[place..], 1, "this cannot be put into a text", help);
    }
    if text.len() > LONGEST {
        return fault(at, len, format!("this is longer than {LONGEST} octets"), help());
    }
    Ok((rest, text))
}

/// `"TEXT"` of replace-text.
pub fn text<'a>(line: &'a str, example: &str) -> Parsed<'a, Words> {
    string(line, "the new text", example).map(|(rest, text)| (rest, Words::Text(text.into_bytes().into())))
}

/// `"[CODE]"` of replace-code; the brackets may be left out, and nothing takes the code away.
pub fn code<'a>(line: &'a str, example: &str) -> Parsed<'a, Words> {
    let (at, _) = blanks(line)?;
    let (rest, text) = string(at, "the new code", example)?;
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(&text).trim();
    if inside.contains([']', '[']) {
        let help = format!("a code stands in one pair of brackets; for example: {example}");
        return fault(at, at.len() - rest.len(), format!("{} is no code", quote(&text)), help);
    }
    Ok((rest, Words::Code(inside.as_bytes().into())))
}

/// `"LINE"` of insert-before and insert-after.
pub fn line<'a>(from: &'a str, before: bool, example: &str) -> Parsed<'a, Inserted> {
    let (at, _) = blanks(from)?;
    let (rest, text) = string(at, "the line", example)?;
    let mut line = text.into_bytes();
    let len = at.len() - rest.len();
    if line.trim_ascii().is_empty() {
        return fault(at, len, "this line is empty", format!("for example: {example}"));
    }
    line.extend_from_slice(b"\r\n");
    if imap::literal(&line, 0).is_some() {
        let help = "a line that is put there is complete: no literal follows it";
        return fault(at, len, "this line announces a literal", help);
    }
    Ok((rest, Inserted { before, line: line.into() }))
}

/// `COMMAND [with "REPLY"]` of refuse.
pub fn refusal<'a>(line: &'a str, example: &str) -> Parsed<'a, Refusal> {
    let (mut rest, mut words) = (line, Vec::new());
    let keyword = |word: &str| KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(word));
    loop {
        let (at, _) = blanks(rest)?;
        let Some(name) = word(at) else { break };
        if keyword(name) {
            break;
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"*-_+.".contains(&b)) {
            let help = format!("a reply stands behind `with`; for example: {example}");
            return fault(at, name.len(), format!("{} is no command", quote(name)), help);
        }
        if words.len() == 2 {
            return fault(at, name.len(), "a command has two words at the most", format!("for example: {example}"));
        }
        words.push(name);
        rest = &at[name.len()..];
    }
    let (at, _) = blanks(rest)?;
    if words.is_empty() {
        return fault(at, 0, "here the command is missing", format!("for example: {example}"));
    }
    let mut refusal = Refusal { command: Pattern(words.join(" ").into_bytes()), reply: None };
    let with = word(at).filter(|word| word.eq_ignore_ascii_case("with"));
    let Some(with) = with else { return Ok((rest, refusal)) };
    let (at, _) = blanks(&at[with.len()..])?;
    let (rest, reply) = string(at, "the reply", example)?;
    let reply = reply.trim_matches(is_blank);
    if reply.is_empty() {
        return fault(at, at.len() - rest.len(), "this reply is empty", format!("for example: {example}"));
    }
    if imap::literal(format!("{reply}\r\n").as_bytes(), 0).is_some() {
        return fault(at, at.len() - rest.len(), "this reply announces a literal", format!("for example: {example}"));
    }
    refusal.reply = Some(Arc::from(reply.as_bytes()));
    Ok((rest, refusal))
}

/// What `vary` varies: one word or several.
pub fn ways<'a>(line: &'a str, example: &str) -> Parsed<'a, Ways> {
    let (mut rest, mut found) = (line, Ways::default());
    let help = format!("what can be varied: {}; for example: {example}", vary::NAMES.join(", "));
    loop {
        let (at, _) = take_while(|c| is_blank(c) || c == ',').parse(rest)?;
        let Some(name) = word(at).filter(|name| !KEYWORDS.iter().any(|known| known.eq_ignore_ascii_case(name))) else {
            if found == Ways::default() {
                return fault(at, 0, "here is missing what is varied", help);
            }
            return Ok((rest, found));
        };
        if !found.add(name) {
            let what = format!("{} cannot be varied", quote(name));
            return fault(at, name.len(), what, suggest(name, vary::NAMES.into_iter(), &help));
        }
        rest = &at[name.len()..];
    }
}

/// What a fault is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A time.
    Delay,
    /// Octets in a second.
    Throttle,
    /// Octets in a write.
    Slice,
    /// Nothing: it is this.
    Nothing(Trouble),
}

/// The arguments of a fault, and `at-byte N`.
pub fn trouble<'a>(line: &'a str, given: Given, name: &'static str, example: &str) -> Parsed<'a, Fault> {
    let (rest, what) = match given {
        Given::Delay => time(line, example).map(|(rest, time)| (rest, Trouble::Delay(time)))?,
        Given::Throttle => rate(line, name, example).map(|(rest, rate)| (rest, Trouble::Throttle(rate)))?,
        Given::Slice => number(line, name, example, 1).map(|(rest, size)| (rest, Trouble::Slice(size)))?,
        Given::Nothing(what) => (line, what),
    };
    let (at, _) = blanks(rest)?;
    match word(at).filter(|word| word.eq_ignore_ascii_case("at-byte")) {
        None => Ok((rest, Fault::before(what))),
        Some(word) => {
            let (rest, at) = number(&at[word.len()..], "at-byte", &format!("{example} at-byte 1000"), 0)?;
            Ok((rest, Fault { at_byte: Some(at), ..Fault::before(what) }))
        }
    }
}

/// Digits and a unit.
fn time<'a>(line: &'a str, example: &str) -> Parsed<'a, Duration> {
    let (at, _) = blanks(line)?;
    let help = || format!("a number with ms, s, m or h behind it, up to one year; for example: {example}");
    let Some(word) = word(at) else { return fault(at, 0, "here a time is missing", help()) };
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match &word[digits..] {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let millis = unit.and_then(|unit| word[..digits].parse::<u64>().ok()?.checked_mul(unit));
    match millis {
        Some(millis @ 1..=31_536_000_000) => Ok((&at[word.len()..], Duration::from_millis(millis))),
        _ => fault(at, word.len(), format!("{} is no time", quote(word)), help()),
    }
}

/// A number with k or M behind it.
fn rate<'a>(line: &'a str, of: &str, example: &str) -> Parsed<'a, u64> {
    let (at, _) = blanks(line)?;
    let (digits, unit) = match word(at).map(|word| (word, word.chars().last())) {
        Some((word, Some('k' | 'K'))) => (&word[..word.len() - 1], 1_000),
        Some((word, Some('M'))) => (&word[..word.len() - 1], 1_000_000),
        _ => return number(at, of, example, 1),
    };
    match digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit)) {
        Some(rate) if rate > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok((&at[digits.len() + 1..], rate)),
        _ => {
            let help = format!("octets in a second, perhaps with k or M behind it; for example: {example}");
            fault(at, digits.len() + 1, format!("{} is no rate", quote(word(at).unwrap_or_default())), help)
        }
    }
}
