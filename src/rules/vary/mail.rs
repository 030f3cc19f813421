//! The maps of texts of SMTP and LMTP, POP3 and ManageSieve. What logs in is left alone but for its verb.

use super::scan::Scan;
use super::{Bare, Map, Written, up_to};
use crate::event::{Form, Item, Kind, ListKind, Peer, Reading, Span};
use crate::wire::{body, status};

/// Verbs of SMTP and LMTP.
const CODES: [&str; 19] = [
    "HELO", "EHLO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "VRFY", "EXPN", "HELP", "NOOP", "QUIT", "STARTTLS",
    "AUTH", "ETRN", "BURL", "XCLIENT", "XFORWARD",
];

/// Verbs of POP3.
const POP3: [&str; 17] = [
    "USER", "PASS", "APOP", "AUTH", "STLS", "CAPA", "STAT", "LIST", "RETR", "DELE", "NOOP", "RSET", "QUIT", "TOP",
    "UIDL", "UTF8", "LANG",
];

/// Verbs of ManageSieve.
const MANAGESIEVE: [&str; 14] = [
    "AUTHENTICATE",
    "STARTTLS",
    "LOGOUT",
    "CAPABILITY",
    "HAVESPACE",
    "PUTSCRIPT",
    "LISTSCRIPTS",
    "SETACTIVE",
    "GETSCRIPT",
    "DELETESCRIPT",
    "RENAMESCRIPT",
    "CHECKSCRIPT",
    "NOOP",
    "UNAUTHENTICATE",
];

fn is(verb: &[u8], known: &[&str]) -> bool {
    known.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(verb))
}

/// What can be varied in a text of SMTP or LMTP.
pub fn codes(text: &[u8], reading: &Reading) -> Map {
    let Kind::Command { verb, arguments, .. } = reading.kind else { return lines(text, reading) };
    let mut scan = Scan::new(text, arguments);
    match verb.of(text).to_ascii_uppercase().as_slice() {
        b"MAIL" | b"RCPT" => {
            let _ = address(&mut scan);
        }
        b"BDAT" => {
            let _ = scan.word().and_then(|_| scan.passes(b' ')).and_then(|()| scan.keyword());
        }
        _ => {}
    }
    if is(verb.of(text), &CODES) {
        scan.map.keywords.push(verb);
    }
    scan.map
}

/// `FROM:<ADDRESS> NAME=VALUE NAME`, the parameters in any order (RFC 5321 section 4.1.1.11)
fn address(scan: &mut Scan<'_>) -> Option<()> {
    let name = scan.run(|b| b.is_ascii_alphabetic())?;
    scan.passes(b':')?;
    scan.map.keywords.push(name);
    let _ = scan.passes(b' ');
    scan.passes(b'<')?;
    while scan.passes(b'>').is_none() {
        scan.quoted().map(|_| ()).or_else(|| scan.run(|b| b != b'"' && b != b'>').map(|_| ()))?;
    }
    let mut parameters = Vec::new();
    while scan.passes(b' ').is_some() {
        let parameter = scan.run(|b| b.is_ascii_graphic())?;
        scan.map.keywords.push(up_to(scan.whole(), parameter, b"="));
        parameters.push(parameter);
    }
    scan.map.groups.push(parameters);
    Some(())
}

/// What can be varied in a text of POP3. Its indicators are in upper case (RFC 1939 section 3).
pub fn pop3(text: &[u8], reading: &Reading) -> Map {
    let Kind::Command { verb, .. } = reading.kind else { return lines(text, reading) };
    let keywords = if is(verb.of(text), &POP3) { vec![verb] } else { Vec::new() };
    Map { keywords, ..Map::default() }
}

/// A list of capabilities, each on a line of its own: their names have no case, and the lines no order.
fn lines(text: &[u8], reading: &Reading) -> Map {
    let mut map = Map::default();
    let Some(list) = &reading.list else { return map };
    let ListKind::Lines(form) = list.kind else { return map };
    // In NNTP the first has to be VERSION (RFC 3977 section 5.2.2).
    if form == Form::Line {
        return map;
    }
    let before = if form == Form::Managesieve { "\"".len() as u32 } else { 0 };
    let line = |item: &Item| {
        let end = item.with_space.start as usize + body(item.with_space.of(text)).len();
        Span::new(item.name.start.saturating_sub(before) as usize, end)
    };
    let items = || list.items.iter().filter(|item| !item.part);
    map.keywords.extend(items().map(|item| up_to(text, item.name, b"=")));
    map.groups.push(items().map(line).collect());
    map
}

/// What can be varied in a text of ManageSieve.
pub fn managesieve(from: Peer, text: &[u8], reading: &Reading) -> Map {
    if from == Peer::Client {
        let Kind::Command { verb, arguments, .. } = reading.kind else { return Map::default() };
        let mut scan = Scan::new(text, arguments);
        if !is(verb.of(text), &["AUTHENTICATE"]) {
            while scan.string().or_else(|| scan.word().map(|_| ())).and_then(|()| scan.passes(b' ')).is_some() {}
        }
        if is(verb.of(text), &MANAGESIEVE) {
            scan.map.keywords.push(verb);
            return scan.map;
        }
        return Map::default();
    }
    // Behind a literal, and in front of one, is not told apart what is whose.
    let Kind::Reply { word, code, text: human, .. } = reading.kind else { return Map::default() };
    let mut map = if reading.list.is_some() { lines(text, reading) } else { listing(text, word.start as usize) };
    map.keywords.push(word);
    map.keywords.extend(code.map(|code| up_to(text, code, b" /")));
    // A list of capabilities is read again, as one text.
    if reading.list.is_none() && reading.literal.is_none() {
        let mut scan = Scan::new(text, human);
        // What stands at the status without a blank is no string of its own.
        let apart = text[..human.start as usize].ends_with(b" ");
        if let Some(span) = scan.quoted().filter(|_| apart && scan.rest().is_empty()) {
            map.strings.push(Written { span, bare: Bare::No });
        }
    }
    map
}

/// The lines before the status: the names of scripts, one of which may be active (RFC 5804 section 2.7). A line of another
/// shape may be anything, and then all may.
fn listing(text: &[u8], end: usize) -> Map {
    let mut map = Map::default();
    for (start, line) in status::lines(&text[..end]) {
        let mut scan = Scan::new(text, Span::new(start, start + line.len()));
        let named = scan.string().is_some();
        if scan.passes(b' ').is_some() {
            scan.keyword();
        }
        if !named || !scan.rest().is_empty() {
            return Map::default();
        }
        map.keywords.append(&mut scan.map.keywords);
        map.strings.append(&mut scan.map.strings);
    }
    map
}
