//! Roles: which part of a text is what, as marks for the sinks. Few and cheap: a FETCH line is looked at once, its
//! nested values are skipped. Marks are in order, apart from each other and inside the text. Knows no grammar.

use memchr::{memchr, memchr2};

use super::list;
use crate::event::{Kind, Mark, Reading, Role, Span, Status};
use crate::wire::{body, imap, status};

/// Arguments longer than this are not searched for strings and flags (octets); FETCH items are, in any length.
const MAX_SEARCHED: usize = 4096;

/// The most marks a text gets; what comes after them stays plain.
const MAX_MARKS: usize = 1024;

/// Fills `marks` with the roles of a text's parts. `secrets` are relative to it; `odd` tells whether a listed name is
/// to stand out, and how.
pub fn mark(
    marks: &mut Vec<Mark>,
    text: &[u8],
    reading: &Reading,
    secrets: &[Span],
    odd: &dyn Fn(&[u8]) -> Option<Role>,
) {
    marks.clear();
    let line = body(text);
    match reading.kind {
        Kind::Command { tag, verb, arguments } => {
            push(marks, tag, Role::Tag);
            push(marks, verb, Role::Verb);
            listed(marks, text, reading, odd);
            if reading.list.is_none() {
                words(marks, line, arguments, true);
            }
        }
        Kind::Reply { tag, status, word, .. } if tag.is_empty() && memchr(b'\n', line).is_some() => {
            several(marks, text, status, word, reading, odd);
        }
        Kind::Reply { tag, status, word, code, text: human } => {
            reply(marks, line, tag, status, word);
            if let Some(code) = code {
                coded(marks, line, code, reading, odd);
            }
            push(marks, human, Role::Human);
        }
        Kind::GoAhead { word, text: human } => {
            push(marks, word, Role::Tag);
            listed(marks, text, reading, odd);
            let behind = marks.last().map_or(human.start, |last| last.span.end.max(human.start));
            push(marks, Span { start: behind, ..human }, Role::Human);
        }
        Kind::Info { name, arguments, .. } => {
            let star = line.iter().position(|&b| b != 0).filter(|&at| line[at] == b'*');
            if let Some(star) = star {
                push(marks, Span::new(star, star + 1), Role::Tag);
            }
            push(marks, name, Role::Name);
            listed(marks, text, reading, odd);
            if name.of(line).eq_ignore_ascii_case(b"FETCH") {
                items(marks, arguments.of(line), arguments.start as usize);
            } else if reading.list.is_none() {
                words(marks, line, arguments, true);
            }
        }
        Kind::More => {
            let end = reading.literal.map_or(line.len(), |literal| literal.span.start as usize);
            words(marks, line, Span::new(0, end), true);
        }
        Kind::Done | Kind::Cancel => push(marks, Span::new(0, line.len()), Role::Verb),
        Kind::Sasl => push(marks, Span::new(0, line.len()), Role::Secret),
        Kind::Foreign(_) => push(marks, Span::new(0, line.len()), Role::Surprise),
        Kind::Blank | Kind::Unknown => {}
    }
    if let Some(literal) = reading.literal {
        push(marks, literal.span, Role::Literal);
    }
    marks.retain(|mark| mark.span.end as usize <= text.len());
    surprises(marks, line, reading);
    for &secret in secrets {
        overlay(marks, secret, Role::Secret, text.len());
    }
}

/// Where secrets are shown they stand in the text, and are words as others.
pub fn reveal(marks: &mut [Mark]) {
    marks.iter_mut().filter(|mark| mark.role == Role::Secret).for_each(|mark| mark.role = Role::String);
}

/// Appends a mark if it has octets, comes after the last one and there is room.
#[inline]
fn push(marks: &mut Vec<Mark>, span: Span, role: Role) {
    let after = marks.last().is_none_or(|last| last.span.end <= span.start);
    if !span.is_empty() && after && marks.len() < MAX_MARKS {
        marks.push(Mark { span, role });
    }
}

/// The tag or star and the status word of a reply.
fn reply(marks: &mut Vec<Mark>, line: &[u8], tag: Span, status: Status, word: Span) {
    if !tag.is_empty() {
        push(marks, tag, Role::Tag);
    } else if let Some(star) = memchr(b'*', &line[..(word.start as usize).min(line.len())]) {
        push(marks, Span::new(star, star + 1), Role::Tag);
    }
    let role = if matches!(status, Status::Ok | Status::Preauth) { Role::Good } else { Role::Bad };
    push(marks, word, role);
}

/// A reply of several lines: on each its status, if it has one, and names or human text.
fn several(
    marks: &mut Vec<Mark>,
    text: &[u8],
    status: Status,
    word: Span,
    reading: &Reading,
    odd: &dyn Fn(&[u8]) -> Option<Role>,
) {
    let role = if matches!(status, Status::Ok | Status::Preauth) { Role::Good } else { Role::Bad };
    let mut items = reading.list.iter().flat_map(|list| list::entries(list, text)).peekable();
    for (start, line) in status::lines(text) {
        let end = start + line.len();
        let mut from = start;
        if (word.start as usize) >= start && (word.end as usize) <= end {
            push(marks, word, role);
            from = word.end as usize;
        } else if status::code(line) {
            push(marks, Span::new(start, start + 3), role);
            from = start + 4.min(line.len());
        }
        let mut listed = false;
        while let Some((place, name)) = items.next_if(|(place, _)| (place.start as usize) < end) {
            push(marks, place, odd(&name).unwrap_or(Role::Capability));
            listed = true;
        }
        if !listed {
            push(marks, Span::new(from, end), Role::Human);
        }
    }
}

/// A response code: its name alone where it holds a list, else the whole of it.
fn coded(marks: &mut Vec<Mark>, line: &[u8], code: Span, reading: &Reading, odd: &dyn Fn(&[u8]) -> Option<Role>) {
    if reading.list.is_none() {
        return push(marks, code, Role::Code);
    }
    let name = code.of(line).iter().take_while(|&&b| b != b' ').count();
    push(marks, Span::new(code.start as usize, code.start as usize + name), Role::Code);
    listed(marks, line, reading, odd);
}

/// The names of a list.
fn listed(marks: &mut Vec<Mark>, text: &[u8], reading: &Reading, odd: &dyn Fn(&[u8]) -> Option<Role>) {
    for (place, name) in reading.list.iter().flat_map(|list| list::entries(list, text)) {
        push(marks, place, odd(&name).unwrap_or(Role::Capability));
    }
}

/// Strings and flags among arguments.
fn words(marks: &mut Vec<Mark>, line: &[u8], span: Span, strings: bool) {
    let octets = span.of(line);
    if octets.len() > MAX_SEARCHED {
        return;
    }
    for token in imap::tokens(octets) {
        let role = match token.kind {
            imap::TokenKind::Flag => Role::Flag,
            imap::TokenKind::Quoted if strings => Role::String,
            imap::TokenKind::OpenQuote => Role::Surprise,
            _ => continue,
        };
        push(marks, token.span.shifted(span.start as usize), role);
    }
}

/// The names of the items of a FETCH response, and the flags among them. `base` is where `octets` stand in the text.
fn items(marks: &mut Vec<Mark>, octets: &[u8], base: usize) {
    let mut at = usize::from(octets.first() == Some(&b'('));
    while at < octets.len() {
        match octets[at] {
            b' ' | b')' => at += 1,
            _ => {
                let start = at;
                at = atom(octets, at);
                let name = &octets[start..at];
                if name.is_empty() {
                    return; // not where a name may stand: an unknown shape stays plain
                }
                push(marks, Span::new(base + start, base + at), Role::Name);
                if octets.get(at) == Some(&b' ') {
                    at += 1;
                }
                at = value(marks, octets, at, base, name.eq_ignore_ascii_case(b"FLAGS"));
            }
        }
    }
}

/// Skips one value, and marks the flags in it if it is a list of them.
fn value(marks: &mut Vec<Mark>, octets: &[u8], at: usize, base: usize, flags: bool) -> usize {
    match octets.get(at) {
        Some(b'"') => quoted(octets, at),
        Some(b'(') => {
            let end = list(octets, at);
            if flags {
                let mut from = at + 1;
                while from < end {
                    let stop = from + octets[from..end].iter().take_while(|b| !b" ()".contains(b)).count();
                    push(marks, Span::new(base + from, base + stop), Role::Flag);
                    from = stop + 1;
                }
            }
            end
        }
        Some(_) => atom(octets, at).max(at),
        None => at,
    }
}

/// The end of an atom, sections in brackets included.
#[inline]
fn atom(octets: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = octets.get(at) {
        match byte {
            b' ' | b'(' | b')' | b'"' => break,
            b'[' => match memchr(b']', &octets[at..]) {
                Some(close) => at += close + 1,
                None => return octets.len(),
            },
            _ => at += 1,
        }
    }
    at
}

/// The end of a quoted string.
#[inline]
fn quoted(octets: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(step) = octets.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += step + 1;
        if octets[at - 1] == b'"' {
            return at;
        }
        at += 1;
    }
    octets.len()
}

/// The end of a list, nested ones and strings included.
#[inline]
fn list(octets: &[u8], mut at: usize) -> usize {
    let mut depth = 0u32;
    while let Some(&byte) = octets.get(at) {
        match byte {
            b'"' => {
                at = quoted(octets, at);
                continue;
            }
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    octets.len()
}

/// What breaks the grammar: from where reading stopped, and control octets.
fn surprises(marks: &mut Vec<Mark>, line: &[u8], reading: &Reading) {
    if let Some(stopped) = reading.stopped {
        overlay(marks, Span::new(stopped as usize, line.len()), Role::Surprise, line.len());
    }
    if !line.iter().fold(false, |odd, &byte| odd | (byte < 32) | (byte == 127)) {
        return;
    }
    let mut at = 0;
    let mut found = 0;
    while let Some(step) = line[at..].iter().position(|&b| (b < 32 && b != b'\t') || b == 127) {
        let start = at + step;
        at = start + line[start..].iter().take_while(|&&b| (b < 32 && b != b'\t') || b == 127).count();
        overlay(marks, Span::new(start, at), Role::Surprise, line.len());
        found += 1;
        if found == 64 {
            return; // noise: more marks would say no more
        }
    }
}

/// Puts a mark over those that are there, which are cut where they meet it.
fn overlay(marks: &mut Vec<Mark>, span: Span, role: Role, len: usize) {
    let span = Span { start: span.start, end: span.end.min(len as u32) };
    if span.is_empty() {
        return;
    }
    let first = marks.partition_point(|mark| mark.span.end <= span.start);
    let last = marks.partition_point(|mark| mark.span.start < span.end);
    let mut middle = Vec::with_capacity(3);
    if let Some(mark) = marks.get(first..last).and_then(<[Mark]>::first)
        && mark.span.start < span.start
    {
        middle.push(Mark { span: Span { start: mark.span.start, end: span.start }, role: mark.role });
    }
    middle.push(Mark { span, role });
    if let Some(mark) = marks.get(first..last).and_then(<[Mark]>::last)
        && mark.span.end > span.end
    {
        middle.push(Mark { span: Span { start: span.end, end: mark.span.end }, role: mark.role });
    }
    marks.splice(first..last.max(first), middle);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Peer;

    fn roles(from: Peer, text: &str, secrets: &[Span]) -> Vec<(Role, String)> {
        let mut marks = Vec::new();
        mark(&mut marks, text.as_bytes(), &imap::read(from, text.as_bytes()), secrets, &|_| None);
        marks.iter().map(|m| (m.role, String::from_utf8_lossy(m.span.of(text.as_bytes())).into_owned())).collect()
    }

    fn pairs(found: &[(Role, String)]) -> Vec<(Role, &str)> {
        found.iter().map(|(role, text)| (*role, text.as_str())).collect()
    }

    #[test]
    fn a_fetch_line_shows_its_items_and_flags() {
        let text = "* 3 FETCH (UID 7 FLAGS (\\Seen $Forwarded) ENVELOPE (\"d\" \"a (b\" NIL) BODY[HEADER.FIELDS (TO)] {12}\r\n";
        let found = roles(Peer::Server, text, &[]);
        let want = [
            (Role::Tag, "*"),
            (Role::Name, "FETCH"),
            (Role::Name, "UID"),
            (Role::Name, "FLAGS"),
            (Role::Flag, "\\Seen"),
            (Role::Flag, "$Forwarded"),
            (Role::Name, "ENVELOPE"),
            (Role::Name, "BODY[HEADER.FIELDS (TO)]"),
            (Role::Literal, "{12}"),
        ];
        assert_eq!(pairs(&found), want);
    }

    #[test]
    fn a_reply_shows_status_code_and_text() {
        let found = roles(Peer::Server, "a1 NO [AUTHENTICATIONFAILED] no way\r\n", &[]);
        let want =
            [(Role::Tag, "a1"), (Role::Bad, "NO"), (Role::Code, "AUTHENTICATIONFAILED"), (Role::Human, "no way")];
        assert_eq!(pairs(&found), want);
        let found = roles(Peer::Server, "* OK [CAPABILITY IMAP4rev1 IDLE] hi\r\n", &[]);
        let want = [
            (Role::Tag, "*"),
            (Role::Good, "OK"),
            (Role::Code, "CAPABILITY"),
            (Role::Capability, "IMAP4rev1"),
            (Role::Capability, "IDLE"),
            (Role::Human, "hi"),
        ];
        assert_eq!(pairs(&found), want);
    }

    #[test]
    fn secrets_and_control_octets_lie_over_everything() {
        let found = roles(Peer::Client, "a1 LOGIN \"al\" \"secret\"\r\n", &[Span::new(14, 22)]);
        let want = [(Role::Tag, "a1"), (Role::Verb, "LOGIN"), (Role::String, "\"al\""), (Role::Secret, "\"secret\"")];
        assert_eq!(pairs(&found), want);
        let found = roles(Peer::Server, "a1 OK f\u{1b}[31mine\r\n", &[]);
        let want = [
            (Role::Tag, "a1"),
            (Role::Good, "OK"),
            (Role::Human, "f"),
            (Role::Surprise, "\u{1b}"),
            (Role::Human, "[31mine"),
        ];
        assert_eq!(pairs(&found), want);
    }

    #[test]
    fn what_was_not_read_is_a_surprise() {
        assert_eq!(pairs(&roles(Peer::Client, "hello\r\n", &[])), []);
        assert_eq!(pairs(&roles(Peer::Server, "gibberish here\r\n", &[])), [(Role::Surprise, "here")]);
    }
}
