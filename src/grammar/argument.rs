//! What the arguments of a command of IMAP make use of, by the words that the description knows, each where it may stand:
//! an item of FETCH, a key of SEARCH, an option behind RETURN. Strings, and values of keys, are never taken for words.

use super::{Grammar, Word};

/// So many octets of the arguments of a command are looked at.
const ARGUMENTS: usize = 4096;

/// So many words of a command are looked at.
const WORDS: usize = 256;

/// Where words of a kind stand among the arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind the first argument, in parentheses or not.
    Behind,
    /// In the parentheses behind RETURN.
    Return,
    /// In parentheses, wherever they stand.
    Group,
    /// In parentheses that come first.
    First,
    /// Outside of those.
    Keys,
}

/// The kinds of words that a command has, without UID before it.
fn kinds(command: &str) -> &'static [(&'static str, Place)] {
    match command {
        "FETCH" => &[("fetch item", Place::Behind), ("modifier", Place::Behind)],
        "STORE" => &[("modifier", Place::Group), ("store item", Place::Behind)],
        "SEARCH" => &[("search return option", Place::Return), ("search key", Place::Keys)],
        "SORT" => &[("search return option", Place::Return), ("sort key", Place::First), ("search key", Place::Keys)],
        "THREAD" => &[("search key", Place::Keys)],
        "STATUS" => &[("status item", Place::Group)],
        "SELECT" | "EXAMINE" => &[("select parameter", Place::Group)],
        "LIST" => &[("list option", Place::First), ("list option", Place::Return)],
        "APPEND" => &[("append part", Place::Behind)],
        _ => &[],
    }
}

/// How many values stand behind a key of SEARCH that could look like another key.
fn values(key: &[u8]) -> usize {
    match key {
        b"BCC" | b"BODY" | b"CC" | b"FROM" | b"SUBJECT" | b"TEXT" | b"TO" | b"KEYWORD" | b"UNKEYWORD" | b"FILTER" => 1,
        b"HEADER" => 2,
        _ => 0,
    }
}

/// Something that a command makes use of besides itself, and the capabilities of which one allows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use<'a> {
    /// As the description writes it, without the sign of a pattern: `BINARY.PEEK`; or a phrase.
    pub what: &'a str,
    /// One of these has to be offered.
    pub needs: Vec<&'a str>,
}

/// What a command of IMAP with these arguments makes use of, by its form first, then by its words in their order.
#[must_use]
pub fn uses<'a>(grammar: &'a Grammar, command: &str, arguments: &[u8]) -> Vec<Use<'a>> {
    let upper = arguments[..arguments.len().min(ARGUMENTS)].to_ascii_uppercase();
    let mut found: Vec<Use<'a>> = form(command, &upper).into_iter().collect();
    let kinds = kinds(command.strip_prefix("UID ").unwrap_or(command));
    if kinds.is_empty() {
        return found;
    }
    let sorts = command.ends_with("SORT");
    let mut skip = 0;
    for (nth, word) in Words::of(&upper).take(WORDS).enumerate() {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let holds = |place: Place| match place {
            Place::Behind => nth > 0,
            Place::Return => word.depth > 0 && word.before == b"RETURN",
            Place::Group => word.depth > 0,
            Place::First => word.depth > 0 && word.before.is_empty(),
            Place::Keys => word.before != b"RETURN",
        };
        for (kind, _) in kinds.iter().filter(|(_, place)| holds(*place)) {
            let known = grammar.vocabulary(kind).and_then(|words| words.get(word.text));
            // What SEARCH has from ESEARCH, SORT has from ESORT (RFC 5267 section 3), which its form tells.
            let of_its_own = |known: &&Word| !(known.needs.is_empty() || sorts && known.needs == ["ESEARCH"]);
            found.extend(known.filter(of_its_own).map(|known| Use {
                what: known.name.trim_end_matches(['[', '*']),
                needs: known.needs.iter().map(String::as_str).collect(),
            }));
            if *kind == "search key" {
                skip = values(word.text);
            }
        }
    }
    found
}

/// What the form of a command makes use of, whatever its words are. `upper`: the arguments, in capitals.
fn form(command: &str, upper: &[u8]) -> Option<Use<'static>> {
    let first = upper.split(|&b| b == b' ').next().unwrap_or_default();
    let returns = || upper.windows(9).any(|window| window == b" RETURN (");
    let (what, need) = match command.strip_prefix("UID ").unwrap_or(command) {
        "SEARCH" if first == b"RETURN" => ("RETURN", "ESEARCH"),
        "SORT" if first == b"RETURN" => ("RETURN", "ESORT"),
        "LIST" if first.starts_with(b"(") || returns() => ("an extended LIST", "LIST-EXTENDED"),
        "FETCH" | "STORE" | "COPY" | "MOVE" if first == b"$" => ("$", "SEARCHRES"),
        _ => return None,
    };
    Some(Use { what, needs: vec![need] })
}

/// A word of the arguments.
struct Argument<'a> {
    /// A string is a word without octets.
    text: &'a [u8],
    /// In so many parentheses.
    depth: usize,
    /// What stands before the outermost of them.
    before: &'a [u8],
}

/// Cuts arguments into words. What stands in brackets (`BODY[HEADER.FIELDS (DATE)]`) belongs to its word.
struct Words<'a> {
    rest: &'a [u8],
    depth: usize,
    last: &'a [u8],
    before: &'a [u8],
}

impl<'a> Words<'a> {
    fn of(rest: &'a [u8]) -> Words<'a> {
        Words { rest, depth: 0, last: b"", before: b"" }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Argument<'a>;

    fn next(&mut self) -> Option<Argument<'a>> {
        loop {
            let (&first, rest) = self.rest.split_first()?;
            match first {
                b' ' => self.rest = rest,
                b'(' => {
                    if self.depth == 0 {
                        self.before = self.last;
                    }
                    self.depth += 1;
                    self.rest = rest;
                }
                b')' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.rest = rest;
                }
                _ => break,
            }
        }
        let before = if self.depth > 0 { self.before } else { b"" };
        let (text, rest) = if self.rest[0] == b'"' { (&b""[..], behind_string(self.rest)) } else { word(self.rest) };
        self.rest = rest;
        if self.depth == 0 {
            self.last = if text.is_empty() { b"\"" } else { text };
        }
        Some(Argument { text, depth: self.depth, before })
    }
}

/// What follows a quoted string; nothing if it has no end.
fn behind_string(text: &[u8]) -> &[u8] {
    let mut escaped = true;
    for (at, &octet) in text.iter().enumerate() {
        match octet {
            b'"' if !escaped => return &text[at + 1..],
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    b""
}

/// One word, and what follows it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let mut brackets = false;
    let ends = |&octet: &u8| {
        brackets = (brackets || octet == b'[') && octet != b']';
        !brackets && matches!(octet, b' ' | b'(' | b')' | b'"')
    };
    text.split_at(text.iter().position(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(command: &str, arguments: &str) -> String {
        let grammar = Grammar::builtin("imap").expect("it is there");
        let uses = uses(&grammar, command, arguments.as_bytes());
        uses.iter().map(|found| found.needs.join("|")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn words_are_found_where_they_may_stand_and_nowhere_else() {
        for (command, arguments, expected) in [
            ("FETCH", "1:* (UID BINARY.PEEK[1] PREVIEW (LAZY)) (CHANGEDSINCE 1)", "BINARY PREVIEW CONDSTORE"),
            ("UID FETCH", "1 BODY.PEEK[HEADER.FIELDS (PREVIEW SAVEDATE)]", ""),
            ("SEARCH", "RETURN (SAVE COUNT) YOUNGER 10", "ESEARCH SEARCHRES ESEARCH WITHIN"),
            ("SEARCH", "(ALL) SUBJECT YOUNGER HEADER OLDER SAVEDON \"SAVEDON\\\" SAVEDON\"", ""),
            ("UID SEARCH", "OR (SAVEDON 1-JAN-2026) MODSEQ 5", "SAVEDATE CONDSTORE"),
            ("SORT", "(DISPLAYFROM SIZE) UTF-8 OLDER 5", "SORT=DISPLAY SORT WITHIN"),
            ("SORT", "RETURN (MIN) (ARRIVAL) UTF-8 ALL", "ESORT"),
            ("STATUS", "SIZE (MESSAGES SIZE)", "STATUS=SIZE"),
            ("LIST", "(SPECIAL-USE) \"\" STATUS", "LIST-EXTENDED SPECIAL-USE"),
            ("LIST", "\"\" (STATUS %) RETURN (STATUS (MESSAGES))", "LIST-EXTENDED LIST-STATUS"),
            ("APPEND", "CATENATE CATENATE (URL \"/x\")", "CATENATE"),
            ("SELECT", "QRESYNC (QRESYNC (1 2))", "QRESYNC"),
            ("STORE", "1 (UNCHANGEDSINCE 5) FLAGS (\\SEEN)", "CONDSTORE"),
            ("COPY", "$ x", "SEARCHRES"),
            ("NOOP", "", ""),
            ("SEARCH", "SUBJECT \"open", ""),
        ] {
            assert_eq!(found(command, arguments), expected, "{command} {arguments}");
        }
    }
}
