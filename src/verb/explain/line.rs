//! A line that was pasted, explained word by word: of the log, of a transcript, or as it stood on the wire. It is taken apart by its
//! form alone, so that half a line will do.

use std::io;
use std::sync::Arc;

use super::{Sheet, class, enhanced, protocol};
use crate::grammar::Grammar;

/// Maximum number of words of a line that are explained.
const MAX_WORDS: usize = 12;

/// A word of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A word that descriptions may have.
    Word(String),
    /// The announcement of a literal: its size as it stands there, whether its bytes come at once, and whether they are binary.
    Literal(String, bool, bool),
}

/// Explains the words of a line that was pasted. Returns false if none of them is known.
pub(super) fn pasted(grammars: &[Arc<Grammar>], wanted: &str, sheet: &mut Sheet<'_>) -> io::Result<bool> {
    let (parts, protocols) = self::parts(wanted);
    let whole = parts.len() == 1 && !wanted.contains(' ') && !is_code(wanted);
    let fits = |grammar: &&Arc<Grammar>| protocols.is_empty() || protocols.contains(&grammar.name.as_str());
    let of: Vec<Arc<Grammar>> = grammars.iter().filter(fits).cloned().collect();
    let mut known = false;
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Literal(size, plus, binary) => {
                let how = if *plus { "at once" } else { "once the other peer has asked for them with +" };
                let what = if *binary { "binary literal" } else { "literal" };
                sheet.head(what, what, "announced at the end of a line")?;
                sheet.prose(&format!("Its {size} bytes follow the line end, {how}."))?;
                let rfc = if *binary { "RFC 3516 section 4.2" } else { "RFC 9051 section 4.3" };
                sheet.row("defined in", if *plus { "RFC 7888 section 3" } else { rfc })?;
                known = true;
            }
            // A single word was looked up already.
            Part::Word(_) if whole => {}
            Part::Word(word) if parts[..at].contains(part) || word.len() > 64 => {}
            // What is no line of a known form may be plain English.
            Part::Word(word)
                if protocols.is_empty() && !word.contains(|c: char| c.is_ascii_uppercase() || c == '\\') => {}
            Part::Word(word) => {
                let code = word.get(..4).filter(|_| word.as_bytes().get(3) == Some(&b'-'));
                let (word, more) = code.map_or((word.as_str(), ""), |code| (&code[..3], &word[4..]));
                for word in [word, more].into_iter().filter(|word| !word.is_empty()) {
                    known |= match class(word) {
                        Some(class) => enhanced(&of, word, class, sheet)? == 0,
                        None => of.iter().try_fold(false, |known, grammar| {
                            let found = names_exactly(grammar, word) && protocol(grammar, &of, word, sheet)?;
                            io::Result::Ok(known | found)
                        })?,
                    };
                }
            }
        }
    }
    Ok(known)
}

/// Returns true for a word that a description has as it is, and not by a pattern: in a line anything may look like that.
fn names_exactly(grammar: &Grammar, word: &str) -> bool {
    grammar.names().any(|name| name.eq_ignore_ascii_case(word))
        || grammar.vocabularies.iter().any(|it| it.words.exact(word.as_bytes()).is_some())
}

/// What a line is made of, and the protocols that have such lines; empty if that cannot be told.
pub(super) fn parts(line: &str) -> (Vec<Part>, &'static [&'static str]) {
    let line = without_prefix(line).trim();
    let mut parts = Vec::new();
    let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
    let protocols = protocols(&words);
    let human = human(&words);
    let mut inside = 0_i32;
    for (at, word) in words.iter().enumerate() {
        if parts.len() >= MAX_WORDS {
            break;
        }
        if let Some(literal) = literal(word) {
            parts.push(literal);
            continue;
        }
        // After the code of a reply people speak.
        let bracket = word.starts_with('[') || word.starts_with('(') && at > 0 && is_status(words[at - 1]);
        if human.is_some_and(|first| at >= first) && inside == 0 && !bracket && !is_enhanced(word) {
            continue;
        }
        let before = inside;
        inside += opened(word);
        // Of a code only the name is a word of the protocol.
        if before > 0 && human.is_some() {
            continue;
        }
        let bare = word.trim_matches(|c: char| "()[]\"<>,;:".contains(c));
        let pair = words.get(at + 1).map(|next| format!("{bare} {next}"));
        match pair.filter(|_| bare.eq_ignore_ascii_case("UID") && before == 0) {
            Some(pair) => parts.push(Part::Word(pair)),
            None if bare.eq_ignore_ascii_case("UID") || bare.is_empty() || bare == "*" => {}
            None => parts.push(Part::Word(bare.to_owned())),
        }
    }
    (parts, protocols)
}

/// How many brackets a word opens more than it closes.
fn opened(word: &str) -> i32 {
    word.chars().map(|c| i32::from("([".contains(c)) - i32::from(")]".contains(c))).sum()
}

/// A line without what a log has before it: `12:00:00.123 #1 S: selected `, or `S: `.
fn without_prefix(line: &str) -> &str {
    let marks = ["C: ", "S: ", "C~ ", "S~ ", "C* ", "S* "];
    let Some((at, mark)) = marks.iter().filter_map(|mark| Some((line.find(mark)?, mark))).min() else { return line };
    let before = &line[..at];
    let logged = before.contains('#');
    if !before.is_empty() && !logged {
        return line;
    }
    let rest = &line[at + mark.len()..];
    let state = rest.split(' ').next().unwrap_or_default();
    match logged && crate::event::State::named(state).is_some() {
        true => rest[state.len()..].trim_start(),
        false => rest,
    }
}

fn is_status(word: &str) -> bool {
    ["OK", "NO", "BAD", "BYE", "PREAUTH", "+OK", "-ERR"].iter().any(|status| status.eq_ignore_ascii_case(word))
}

fn is_code(word: &str) -> bool {
    let digits = word.get(..3).is_some_and(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
    digits && (word.len() == 3 || word.as_bytes()[3] == b'-')
}

fn is_enhanced(word: &str) -> bool {
    super::class(word.trim_end_matches(|c: char| !c.is_ascii_digit())).is_some()
}

/// From which word on people speak: after the status of a reply; `None` in lines without one.
fn human(words: &[&str]) -> Option<usize> {
    if words.first().is_some_and(|word| is_code(word)) {
        return Some(1);
    }
    words.iter().take(2).position(|word| is_status(word)).map(|at| at + 1)
}

/// The protocols that have such lines.
fn protocols(words: &[&str]) -> &'static [&'static str] {
    let first = words.first().copied().unwrap_or_default();
    match words.iter().take(2).find(|word| is_status(word)) {
        Some(word) if word.starts_with(['+', '-']) => &["pop3"],
        Some(_) if words.iter().any(|word| word.starts_with('(')) && is_status(first) => &["managesieve"],
        Some(_) => &["imap"],
        None if is_code(first) => &["smtp", "lmtp"],
        None if first == "*" => &["imap"],
        None => &[],
    }
}

/// The announcement of a literal at the end of a word.
fn literal(word: &str) -> Option<Part> {
    let start = word.find('{')?;
    let inside = word[start + 1..].strip_suffix('}')?;
    let binary = word[..start].ends_with('~');
    let (digits, plus) = inside.strip_suffix('+').map_or((inside, false), |digits| (digits, true));
    let plain = !digits.is_empty() && digits.len() <= 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| Part::Literal(digits.to_owned(), plus, binary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_apart_by_their_form() {
        for (line, words, protocols) in [
            (
                "a1 NO [AUTHENTICATIONFAILED] Invalid credentials",
                &["a1", "NO", "AUTHENTICATIONFAILED"][..],
                &["imap"][..],
            ),
            ("NO [OVERQUOTA] full", &["NO", "OVERQUOTA"], &["imap"]),
            ("NO (QUOTA/MAXSIZE) \"too big\"", &["NO", "QUOTA/MAXSIZE"], &["managesieve"]),
            ("535 5.7.8 Authentication failed", &["535", "5.7.8"], &["smtp", "lmtp"]),
            ("550-5.1.1 The account does not exist", &["550-5.1.1"], &["smtp", "lmtp"]),
            ("-ERR [IN-USE] locked", &["-ERR", "IN-USE"], &["pop3"]),
            ("* 1 FETCH (FLAGS (\\Seen) UID 7", &["1", "FETCH", "FLAGS", "\\Seen", "7"], &["imap"]),
            ("12:00:00.123 #1 S: selected * 3 EXISTS", &["3", "EXISTS"], &["imap"]),
            ("C: a2 UID FETCH 1:* (FLAGS)", &["a2", "UID FETCH", "FETCH", "1:*", "FLAGS"], &[]),
        ] {
            let (parts, of) = parts(line);
            let found: Vec<String> = parts
                .into_iter()
                .map(|part| match part {
                    Part::Word(word) => word,
                    Part::Literal(..) => "literal".to_owned(),
                })
                .collect();
            assert_eq!(
                (found.iter().map(String::as_str).collect::<Vec<_>>(), of),
                (words.to_vec(), protocols),
                "{line}"
            );
        }
        assert_eq!(parts("{21+}").0, [Part::Literal("21".into(), true, false)]);
        assert_eq!(parts("BODY[] ~{3}").0[1], Part::Literal("3".into(), false, true));
    }
}
