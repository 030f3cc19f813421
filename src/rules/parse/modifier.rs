//! What may follow an action and its condition: `once`, `times N`, `after N`, `chance P`, and for some `per-line`, in any order.

use super::{Parsed, blanks, fault, is_blank, quote, word};
use crate::rules::action::Action;
use crate::rules::limit::Limits;

/// The modifiers, for messages.
const ALL: &str = "modifiers are once, times N, after N, chance P (10% or 0.1) and per-line";

/// Reads modifiers, up to what is none; `per-line` goes into the action.
pub fn limits<'a>(line: &'a str, action: &mut Action) -> Parsed<'a, Limits> {
    let mut found = Limits::default();
    let mut rest = line;
    loop {
        let (at, _) = blanks(rest)?;
        let Some(name) = word(at) else { return Ok((at, found)) };
        let behind = &at[name.len()..];
        let twice = |first: &str| fault(at, name.len(), format!("{} stands here with {first}", quote(name)), ALL);
        match name.to_ascii_lowercase().as_str() {
            "once" | "times" if found.times.is_some() => return twice("another count"),
            "after" if found.after.is_some() => return twice("another `after`"),
            "chance" if found.chance.is_some() => return twice("another `chance`"),
            "per-line" => match action {
                Action::Fault(fault) if fault.per_line => return twice("another one"),
                Action::Fault(fault) if fault.is_once_a_response() => (rest, fault.per_line) = (behind, true),
                _ => {
                    let help = "delay and throttle act once per response unless `per-line` follows; all others act on each text";
                    return self::fault(at, name.len(), "`per-line` is for delay and throttle only", help);
                }
            },
            "once" => (rest, found.times) = (behind, Some(1)),
            "times" => {
                let (after, count) = number(behind, "times", "s/a/b/ times 3", 1)?;
                (rest, found.times) = (after, Some(count));
            }
            "after" => {
                let (after, count) = number(behind, "after", "s/a/b/ after 2", 0)?;
                (rest, found.after) = (after, Some(count));
            }
            "chance" => {
                let (after, chance) = chance(behind)?;
                (rest, found.chance) = (after, Some(chance));
            }
            _ => return Ok((at, found)),
        }
    }
}

/// A number behind a word.
pub fn number<'a>(line: &'a str, of: &str, example: &str, least: u64) -> Parsed<'a, u64> {
    let (at, _) = blanks(line)?;
    let help = format!("for example: {example}");
    let Some(word) = word(at) else { return fault(at, 0, format!("here the number of `{of}` is missing"), help) };
    match word.parse::<u64>() {
        Ok(number) if number >= least && word.bytes().all(|b| b.is_ascii_digit()) => Ok((&at[word.len()..], number)),
        Ok(_) => fault(at, word.len(), format!("`{of}` is {least} at the least"), help),
        Err(_) => fault(at, word.len(), format!("{} is no number", quote(word)), help),
    }
}

/// `10%` or `0.1`.
fn chance(line: &str) -> Parsed<'_, f64> {
    const EXAMPLE: &str = "a share of the texts, above nothing: 10% or 0.1";
    let (at, _) = blanks(line)?;
    let Some(word) = word(at) else { return fault(at, 0, "here the share of `chance` is missing", EXAMPLE) };
    let (digits, whole) = word.strip_suffix('%').map_or((word, 1.0), |digits| (digits, 100.0));
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match digits.parse::<f64>() {
        Ok(share) if plain && share > 0.0 && share <= whole => Ok((&at[word.len()..], share / whole)),
        Ok(_) if plain => fault(at, word.len(), format!("{} is not above 0 and up to 100%", quote(word)), EXAMPLE),
        _ => fault(at, word.len(), format!("{} is no share", quote(word)), EXAMPLE),
    }
}

/// Nothing more may come; what stands here all the same is told apart.
pub fn end(line: &str) -> Parsed<'_, ()> {
    let (rest, _) = blanks(line)?;
    let Some(word) = word(rest) else { return Ok((rest, ())) };
    let help = match word.chars().next() {
        Some('#') => "a comment stands on a line of its own",
        Some('&' | '|') => "conditions are joined with && and ||",
        Some(')') => "there is no ( for this )",
        _ if word.eq_ignore_ascii_case("when") => "a rule has one condition, and modifiers stand behind it",
        _ if word.eq_ignore_ascii_case("enforced") => "`enforced` stands behind the names of drop-capability",
        _ => {
            "a rule is an action with its arguments, then perhaps: when CONDITION, then perhaps: once, times N, after N, chance P, per-line"
        }
    };
    let word = word.trim_end_matches(is_blank);
    fault(rest, word.len(), format!("{} does not belong here", quote(word)), help)
}
