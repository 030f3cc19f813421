//! The map of a client's command of IMAP (RFC 9051 section 6). Its tag stays. Of what logs in by a mechanism only the verb is
//! on the map, and of what stands behind a literal nothing.

use super::response::{item, structure};
use super::scan::Scan;
use super::{Bare, Map};
use crate::event::{Kind, Reading, Span};
use crate::wire::body;
use crate::wire::imap::TokenKind;

/// Commands of which the verb alone is varied.
const BARE: [&str; 24] = [
    "CAPABILITY",
    "NOOP",
    "LOGOUT",
    "STARTTLS",
    "AUTHENTICATE",
    "CLOSE",
    "UNSELECT",
    "CHECK",
    "EXPUNGE",
    "IDLE",
    "NAMESPACE",
    "COMPRESS",
    "UNAUTHENTICATE",
    "SETQUOTA",
    "SETACL",
    "DELETEACL",
    "LISTRIGHTS",
    "GETMETADATA",
    "SETMETADATA",
    "NOTIFY",
    "GENURLAUTH",
    "RESETKEY",
    "URLFETCH",
    "REPLACE",
];

/// What can be varied in a client's text.
pub fn map(text: &[u8], reading: &Reading) -> Map {
    match reading.kind {
        Kind::Command { verb, arguments, .. } => {
            let name = verb.of(text).to_ascii_uppercase();
            let name = name.strip_prefix(b"UID ").unwrap_or(&name);
            let mut scan = Scan::new(text, arguments);
            if parts(&mut scan, name).is_some() {
                scan.map.keywords.push(verb);
            }
            scan.map
        }
        Kind::Done => {
            let mut scan = Scan::new(text, Span::new(0, body(text).len()));
            scan.keyword();
            scan.map
        }
        _ => Map::default(),
    }
}

/// Takes the arguments; `None` if the command is not known.
fn parts(scan: &mut Scan<'_>, name: &[u8]) -> Option<()> {
    match name {
        b"LOGIN" => scan.astring(Bare::Atom).and_then(|()| scan.passes(b' ')).and_then(|()| scan.astring(Bare::Atom)),
        b"SELECT" | b"EXAMINE" | b"CREATE" | b"DELETE" | b"SUBSCRIBE" | b"UNSUBSCRIBE" | b"GETQUOTAROOT"
        | b"MYRIGHTS" | b"GETACL" => scan.mailbox(),
        b"GETQUOTA" => scan.astring(Bare::Atom),
        b"RENAME" => scan.mailbox().and_then(|()| scan.passes(b' ')).and_then(|()| scan.mailbox()),
        b"STATUS" => scan.mailbox().and_then(|()| scan.passes(b' ')).and_then(|()| scan.keywords()),
        b"LIST" | b"LSUB" | b"XLIST" => list(scan),
        b"APPEND" => scan.mailbox().and_then(|()| scan.passes(b' ')).and_then(|()| scan.flags()),
        b"STORE" => store(scan),
        b"COPY" | b"MOVE" => scan.value().and_then(|()| scan.passes(b' ')).and_then(|()| scan.mailbox()),
        b"FETCH" => fetch(scan),
        b"SEARCH" => search(scan),
        b"SORT" => sort(scan),
        b"THREAD" => scan.keyword().and_then(|_| charset(scan)).and_then(|()| search(scan)),
        b"ID" => structure(scan, &[]),
        // Its names are a list.
        b"ENABLE" => Some(()),
        name => return BARE.iter().any(|bare| bare.as_bytes() == name).then_some(()),
    };
    Some(())
}

/// `[(OPTIONS) ]REFERENCE PATTERN`
fn list(scan: &mut Scan<'_>) -> Option<()> {
    if scan.rest().first() == Some(&b'(') {
        scan.keywords()?;
        scan.passes(b' ')?;
    }
    scan.mailbox()?;
    scan.passes(b' ')?;
    scan.astring(Bare::Pattern)
}

/// `SET [(MODIFIERS) ]+FLAGS.SILENT (FLAGS)`
fn store(scan: &mut Scan<'_>) -> Option<()> {
    scan.value()?;
    scan.passes(b' ')?;
    if scan.rest().first() == Some(&b'(') {
        scan.value()?;
        scan.passes(b' ')?;
    }
    // Others than flags, such as labels, may have a case.
    let name = scan.keyword()?.to_ascii_uppercase();
    if !name.ends_with(b"FLAGS") && !name.ends_with(b"FLAGS.SILENT") {
        return None;
    }
    scan.passes(b' ')?;
    if scan.rest().first() == Some(&b'(') {
        return scan.flags();
    }
    let mut flags = Vec::new();
    loop {
        let start = scan.at;
        if scan.flag().is_none() {
            break;
        }
        flags.push(Span::new(start, scan.at));
        if scan.passes(b' ').is_none() {
            break;
        }
    }
    scan.map.groups.push(flags);
    Some(())
}

/// `SET (ITEMS)`, or one item
fn fetch(scan: &mut Scan<'_>) -> Option<()> {
    scan.value()?;
    scan.passes(b' ')?;
    if scan.rest().first() == Some(&b'(') {
        return scan.group(|scan| item(scan).map(|_| ()));
    }
    item(scan).map(|_| ())
}

/// `(KEYS) CHARSET PROGRAM`
fn sort(scan: &mut Scan<'_>) -> Option<()> {
    returns(scan)?;
    // By which key is sorted first has a meaning.
    scan.nested(|map, kind, (span, _)| map.keywords.extend((kind == TokenKind::Atom).then_some(span)))?;
    charset(scan)?;
    search(scan)
}

/// ` CHARSET `, which stays
fn charset(scan: &mut Scan<'_>) -> Option<()> {
    scan.passes(b' ')?;
    scan.value()?;
    scan.passes(b' ')
}

/// `RETURN (OPTIONS) `, if that is next
fn returns(scan: &mut Scan<'_>) -> Option<()> {
    if !scan.rest().get(..7).is_some_and(|word| word.eq_ignore_ascii_case(b"RETURN ")) {
        return Some(());
    }
    scan.keyword()?;
    scan.passes(b' ')?;
    scan.value()?;
    scan.passes(b' ')
}

/// What the criteria of SEARCH are followed by (RFC 9051 section 6.4.4): so many arguments that stay, or strings.
fn takes(key: &[u8]) -> Option<(usize, usize)> {
    Some(match key {
        b"ALL" | b"ANSWERED" | b"DELETED" | b"DRAFT" | b"FLAGGED" | b"NEW" | b"OLD" | b"RECENT" | b"SEEN"
        | b"UNANSWERED" | b"UNDELETED" | b"UNDRAFT" | b"UNFLAGGED" | b"UNSEEN" | b"NOT" | b"OR" => (0, 0),
        b"BCC" | b"BODY" | b"CC" | b"FROM" | b"SUBJECT" | b"TEXT" | b"TO" => (0, 1),
        b"HEADER" => (0, 2),
        b"BEFORE" | b"ON" | b"SENTBEFORE" | b"SENTON" | b"SENTSINCE" | b"SINCE" | b"LARGER" | b"SMALLER"
        | b"YOUNGER" | b"OLDER" | b"KEYWORD" | b"UNKEYWORD" | b"UID" | b"CHARSET" => (1, 0),
        _ => return None,
    })
}

/// The criteria of a search, which may nest.
fn search(scan: &mut Scan<'_>) -> Option<()> {
    returns(scan)?;
    loop {
        while scan.passes(b'(').is_some() {}
        if scan.rest().first().is_some_and(|b| b.is_ascii_digit() || b"*$".contains(b)) {
            scan.value()?;
        } else {
            let (start, word) = (scan.at, scan.word()?);
            let (left, strings) = takes(&scan.of(word).to_ascii_uppercase())?;
            scan.at = start;
            scan.keyword()?;
            for _ in 0..left {
                scan.passes(b' ')?;
                scan.value()?;
            }
            for _ in 0..strings {
                scan.passes(b' ')?;
                scan.astring(Bare::Atom)?;
            }
        }
        while scan.passes(b')').is_some() {}
        scan.passes(b' ')?;
    }
}
