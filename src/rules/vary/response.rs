//! The map of a server's response of IMAP (RFC 9051 section 7). Human text, tags, numbers and what SORT has put in order stay.

use super::scan::Scan;
use super::{Bare, Map, Written, up_to};
use crate::event::{Kind, Reading, Span};
use crate::wire::body;
use crate::wire::imap::TokenKind;

/// Responses of which the name alone is varied.
const BARE: [&[u8]; 14] = [
    b"EXISTS",
    b"RECENT",
    b"EXPUNGE",
    b"CAPABILITY",
    b"ENABLED",
    b"SORT",
    b"THREAD",
    b"ACL",
    b"LISTRIGHTS",
    b"METADATA",
    b"GENURLAUTH",
    b"URLFETCH",
    b"CONVERSION",
    b"LANGUAGE",
];

/// What a body says of itself in words that have to be quoted (RFC 9051 section 9: media-text, media-message).
const QUOTED: [&[u8]; 4] = [b"\"TEXT\"", b"\"MESSAGE\"", b"\"RFC822\"", b"\"GLOBAL\""];

/// What can be varied in a server's text.
pub fn map(text: &[u8], reading: &Reading) -> Map {
    match reading.kind {
        Kind::Info { name, arguments, .. } => {
            let mut scan = Scan::new(text, arguments);
            if parts(&mut scan, &name.of(text).to_ascii_uppercase()).is_some() {
                scan.map.keywords.push(name);
            }
            scan.map
        }
        Kind::Reply { word, code, .. } => {
            let mut map = code.map_or_else(Map::default, |code| self::code(text, code));
            map.keywords.push(word);
            map
        }
        // Behind a literal stand further items of FETCH, if anything does that tells what it is.
        Kind::More => {
            let end = reading.literal.map_or(body(text).len(), |literal| literal.span.start as usize);
            let mut scan = Scan::new(text, Span::new(0, end));
            let _ = scan.passes(b' ').and_then(|()| items(&mut scan));
            scan.map
        }
        _ => Map::default(),
    }
}

/// A response code. A list of capabilities in it is put on the map where all are.
fn code(text: &[u8], code: Span) -> Map {
    let mut scan = Scan::new(text, code);
    let name = up_to(text, code, b" ");
    match name.of(text).to_ascii_uppercase().as_slice() {
        b"CAPABILITY" => {}
        b"PERMANENTFLAGS" => {
            let _ = scan.keyword().and_then(|_| scan.passes(b' ')).and_then(|()| scan.flags());
        }
        // What has other octets is no name that is known.
        word if word.iter().all(|b| b.is_ascii_uppercase() || *b == b'-') => scan.map.keywords.push(name),
        _ => {}
    }
    scan.map
}

/// Takes what follows the name of a response; `None` if it is not known.
fn parts(scan: &mut Scan<'_>, name: &[u8]) -> Option<()> {
    match name {
        b"FLAGS" => scan.flags(),
        b"LIST" | b"LSUB" | b"XLIST" => scan
            .flags()
            .and_then(|()| scan.passes(b' '))
            // The delimiter is no string, though it looks like one.
            .and_then(|()| scan.nil().or_else(|| scan.quoted().map(|_| ())))
            .and_then(|()| scan.passes(b' '))
            .and_then(|()| scan.mailbox()),
        b"STATUS" => scan.mailbox().and_then(|()| scan.passes(b' ')).and_then(|()| {
            scan.group(|scan| {
                scan.keyword()?;
                scan.passes(b' ')?;
                scan.value()
            })
        }),
        b"SEARCH" => found(scan),
        b"ESEARCH" => esearch(scan),
        b"FETCH" => scan.passes(b'(').and_then(|()| items(scan)),
        b"NAMESPACE" => namespace(scan),
        b"ID" => structure(scan, &[]),
        b"QUOTA" => scan.astring(Bare::Atom),
        b"QUOTAROOT" => scan.mailbox().and_then(|()| roots(scan)),
        b"MYRIGHTS" => scan.mailbox(),
        b"VANISHED" => {
            if scan.rest().first() == Some(&b'(') {
                scan.keywords()
            } else {
                None
            }
        }
        name => return BARE.contains(&name).then_some(()),
    };
    Some(())
}

/// The numbers that a search has found; SORT has a response of its own.
fn found(scan: &mut Scan<'_>) -> Option<()> {
    let mut numbers = Vec::new();
    while let Some(number) = scan.run(|b| b.is_ascii_digit()) {
        numbers.push(number);
        if scan.passes(b' ').is_none() {
            break;
        }
    }
    scan.map.groups.push(numbers);
    Some(())
}

/// `(TAG "a1") UID COUNT 5 ALL 1:3`: what was found may be in the order of ESORT.
fn esearch(scan: &mut Scan<'_>) -> Option<()> {
    if scan.rest().first() == Some(&b'(') {
        scan.value()?;
        scan.passes(b' ')?;
    }
    loop {
        let uid = scan.keyword()?.eq_ignore_ascii_case(b"UID");
        scan.passes(b' ')?;
        if !uid {
            scan.value()?;
            scan.passes(b' ')?;
        }
    }
}

fn roots(scan: &mut Scan<'_>) -> Option<()> {
    loop {
        scan.passes(b' ')?;
        scan.astring(Bare::Atom)?;
    }
}

/// Three lists of prefixes with their delimiters, or NIL.
fn namespace(scan: &mut Scan<'_>) -> Option<()> {
    for _ in 0..3 {
        scan.nested(|map, kind, (span, first)| match kind {
            TokenKind::Quoted if first => map.strings.push(Written { span, bare: Bare::No }),
            TokenKind::Atom => map.keywords.push(span),
            _ => {}
        })?;
        scan.passes(b' ')?;
    }
    Some(())
}

/// Items of FETCH with their values, up to the parenthesis that ends them or a literal. Their order has no meaning.
fn items(scan: &mut Scan<'_>) -> Option<()> {
    let mut whole = Vec::new();
    while scan.rest().first() != Some(&b')') {
        let start = scan.at;
        if pair(scan).is_none() {
            break;
        }
        whole.push(Span::new(start, scan.at));
        if scan.passes(b' ').is_none() {
            break;
        }
    }
    scan.map.groups.push(whole);
    Some(())
}

/// An item of FETCH with its value.
fn pair(scan: &mut Scan<'_>) -> Option<()> {
    let name = item(scan)?.to_ascii_uppercase();
    scan.passes(b' ')?;
    match name.as_slice() {
        b"FLAGS" => scan.flags(),
        b"ENVELOPE" => structure(scan, &[]),
        b"BODY" | b"BODYSTRUCTURE" => structure(scan, &QUOTED),
        b"UID" | b"INTERNALDATE" | b"RFC822.SIZE" | b"MODSEQ" | b"EMAILID" | b"THREADID" | b"SAVEDATE" => scan.value(),
        name if name.starts_with(b"BODY[") || name.starts_with(b"BINARY[") => scan.nstring(),
        b"RFC822" | b"RFC822.HEADER" | b"RFC822.TEXT" | b"PREVIEW" => scan.nstring(),
        _ => scan.value(),
    }
}

/// Strings, numbers and NIL in parentheses. What of the strings has to be quoted stays.
pub fn structure(scan: &mut Scan<'_>, stays: &[&[u8]]) -> Option<()> {
    let text = scan.whole();
    scan.nested(|map, kind, (span, _)| match kind {
        TokenKind::Quoted if !stays.iter().any(|word| word.eq_ignore_ascii_case(span.of(text))) => {
            map.strings.push(Written { span, bare: Bare::No });
        }
        TokenKind::Atom if span.of(text).eq_ignore_ascii_case(b"NIL") => map.keywords.push(span),
        _ => {}
    })
}

/// The names of items of FETCH: without them it cannot be told what stands behind a literal.
const ITEMS: [&[u8]; 25] = [
    b"FLAGS",
    b"ENVELOPE",
    b"BODY",
    b"BODYSTRUCTURE",
    b"UID",
    b"INTERNALDATE",
    b"RFC822",
    b"RFC822.SIZE",
    b"RFC822.HEADER",
    b"RFC822.TEXT",
    b"BODY.PEEK",
    b"BINARY",
    b"BINARY.PEEK",
    b"BINARY.SIZE",
    b"MODSEQ",
    b"PREVIEW",
    b"EMAILID",
    b"THREADID",
    b"SAVEDATE",
    b"X-GM-LABELS",
    b"X-GM-MSGID",
    b"X-GM-THRID",
    b"ALL",
    b"FAST",
    b"FULL",
];

/// Takes the name of an item with its section and part, and what of it has no case. The names of header fields stay: they
/// are strings.
pub fn item<'a>(scan: &mut Scan<'a>) -> Option<&'a [u8]> {
    let name = scan.run(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))?;
    if !ITEMS.iter().any(|item| item.eq_ignore_ascii_case(scan.of(name))) {
        return None;
    }
    scan.map.keywords.push(name);
    if scan.passes(b'[').is_some() {
        if let Some(section) = scan.run(|b| b.is_ascii_alphanumeric() || b == b'.') {
            scan.map.keywords.push(section);
        }
        if scan.passes(b' ').is_some() {
            scan.value()?;
        }
        scan.passes(b']')?;
    }
    let _ = scan.run(|b| b.is_ascii_digit() || b"<>.".contains(&b));
    Some(scan.of(Span::new(name.start as usize, scan.at)))
}
