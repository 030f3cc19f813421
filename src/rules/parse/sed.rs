//! The syntax of `s/REGEX/REPLACEMENT/flags`, as sed has it where the two regex languages agree: any punctuation as
//! delimiter, `&` and `\1` to `\9`, the flags `g`, `i`, `I` and a number.

use regex::bytes::{Regex, RegexBuilder};

use super::{Parsed, fault, is_blank, quote};
use crate::rules::action::{Part, Substitution};

const FORM: &str = "the form is s/REGEX/REPLACEMENT/flags";

/// Reads from the first delimiter on.
pub fn substitution(line: &str, delimiter: char) -> Parsed<'_, Substitution> {
    let after = &line[delimiter.len_utf8()..];
    let (second, pattern) = part(after, delimiter, true)?;
    let (rest, replaced) = part(second, delimiter, false)?;
    let (rest, flags) = flags(rest)?;
    if pattern.is_empty() {
        return fault(after, 0, "the regex is empty", FORM);
    }
    let built = RegexBuilder::new(&unescape(pattern, delimiter)).unicode(false).case_insensitive(flags.blind).build();
    let regex = match built {
        Ok(regex) => regex,
        Err(error) => return regex_fault(after, pattern.len(), &error),
    };
    let (_, replacement) = replacement(second, replaced, delimiter, &regex)?;
    Ok((rest, Substitution { regex, replacement, first: flags.first, all: flags.all }))
}

/// Up to the next delimiter. In a regex one inside `[…]` stands for itself.
fn part(line: &str, delimiter: char, regex: bool) -> Parsed<'_, &str> {
    let mut escaped = false;
    // The octet at which a `]` does not close the class, because it is its first member.
    let mut class = None;
    for (at, c) in line.char_indices() {
        match (c, class) {
            _ if escaped => escaped = false,
            ('\\', _) => escaped = true,
            ('^', Some(first)) if first == at => class = Some(at + 1),
            (']', Some(first)) if first != at => class = None,
            (_, Some(_)) => {}
            ('[', None) if regex && delimiter != '[' => class = Some(at + 1),
            (c, None) if c == delimiter => return Ok((&line[at + c.len_utf8()..], &line[..at])),
            _ => {}
        }
    }
    let end = &line[line.len()..];
    let which = if regex { "the regex" } else { "the replacement" };
    let help = if class.is_some() { "inside [ ] the delimiter stands for itself: the [ is still open" } else { FORM };
    fault(end, 0, format!("{which} has no end: here {} is missing", quote(&delimiter.to_string())), help)
}

/// An escaped delimiter stands for itself: where it means something to the regex it stays escaped.
fn unescape(pattern: &str, delimiter: char) -> String {
    const MEANS: &str = "\\.+*?()|[]{}^$#&-~";
    let mut out = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(c) = letters.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match letters.next() {
            Some(next) if next == delimiter && !MEANS.contains(next) => out.push(next),
            Some(next) => out.extend(['\\', next]),
            None => out.push('\\'),
        }
    }
    out
}

/// What the regex crate says, without its drawing of the pattern.
pub fn regex_fault<'a, T>(at: &'a str, len: usize, error: &regex::Error) -> Parsed<'a, T> {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    let why = last.strip_prefix("error: ").unwrap_or(last);
    let help = "groups are ( ), alternatives |, and what should stand for itself has a backslash before it";
    fault(at, len, format!("this regex cannot be used: {why}"), help)
}

fn replacement<'a>(at: &'a str, text: &'a str, delimiter: char, regex: &Regex) -> Parsed<'a, Vec<Part>> {
    const BREAKS: &str = "a text stays one text: a replacement cannot break the line or hold a NUL";
    let mut parts = Vec::new();
    let mut octets = Vec::new();
    let mut letters = text.char_indices();
    let mut group = |octets: &mut Vec<u8>, number: usize| {
        if !octets.is_empty() {
            parts.push(Part::Octets(std::mem::take(octets)));
        }
        parts.push(Part::Group(number));
    };
    while let Some((start, c)) = letters.next() {
        match c {
            '&' if delimiter != '&' => group(&mut octets, 0),
            '\0' | '\r' | '\n' => return fault(&at[start..], 1, "this cannot be put into a text", BREAKS),
            '\\' => match letters.next() {
                Some((_, digit @ '0'..='9')) => {
                    let number = digit as usize - '0' as usize;
                    if number >= regex.captures_len() {
                        let what = format!("the regex has no group {number}");
                        return fault(&at[start..], 2, what, "a group is written ( ), without backslashes");
                    }
                    group(&mut octets, number);
                }
                Some((_, 't')) => octets.push(b'\t'),
                Some((_, 'n' | 'r')) => return fault(&at[start..], 2, "this would break the line", BREAKS),
                Some((_, c)) if c == delimiter || c.is_ascii_punctuation() => octets.push(c as u8),
                Some((_, c)) => {
                    let what = format!("{} means nothing in a replacement", quote(&format!("\\{c}")));
                    let help = r"possible are \1 to \9, \&, \\, \t and the escaped delimiter";
                    return fault(&at[start..], 1 + c.len_utf8(), what, help);
                }
                // The delimiter that ends the text is never escaped, so something always follows.
                None => octets.push(b'\\'),
            },
            c => octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if !octets.is_empty() {
        parts.push(Part::Octets(octets));
    }
    Ok(("", parts))
}

struct Flags {
    blind: bool,
    all: bool,
    first: u32,
}

fn flags(line: &str) -> Parsed<'_, Flags> {
    let end = line.find(is_blank).unwrap_or(line.len());
    let mut flags = Flags { blind: false, all: false, first: 1 };
    let mut letters = line[..end].char_indices().peekable();
    while let Some((start, c)) = letters.next() {
        match c {
            'g' => flags.all = true,
            'i' | 'I' => flags.blind = true,
            '1'..='9' => {
                let mut stop = start + 1;
                while letters.next_if(|(_, c)| c.is_ascii_digit()).is_some() {
                    stop += 1;
                }
                let Ok(first) = line[start..stop].parse() else {
                    return fault(&line[start..], stop - start, "no text has so many matches", "");
                };
                flags.first = first;
            }
            _ => {
                let help = "flags are g (all), i (any case) and a number (that match; with g, from it on)";
                return fault(&line[start..], c.len_utf8(), format!("{} is no flag", quote(&c.to_string())), help);
            }
        }
    }
    Ok((&line[end..], flags))
}
