//! The words of a reply: its human text, and its response code, as each form has them. Octets in, other octets out; whether
//! they may be sent is decided by `mod`.

use super::action::Words;
use crate::event::{Form, Kind, Reading, Span};

/// The text with these words put in; `None` if it has no place for them, or has them already.
///
/// # Errors
/// Why they cannot stand there.
pub fn replace(words: &Words, form: Form, reading: &Reading, text: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let (code, human) = match reading.kind {
        Kind::Reply { code, text, .. } => (code, text),
        Kind::GoAhead { text, .. } if form != Form::Managesieve => (None, text),
        _ => return Ok(None),
    };
    let new = match words {
        Words::Text(_) if reading.literal.is_some() => return Err("the text of this reply is a literal"),
        Words::Text(new) => put(text, human, &quoted(form, new)),
        Words::Code(_) if matches!(reading.kind, Kind::GoAhead { .. }) => return Ok(None),
        Words::Code(new) => match (code, new.is_empty()) {
            (None, true) => return Ok(None),
            (Some(code), false) => put(text, code, new),
            (Some(code), true) => put(text, with_brackets(code, form, text), b""),
            (None, false) => {
                let (open, close): (&[u8], &[u8]) = match form {
                    Form::Imap | Form::Pop3 => (b"[", b"]"),
                    Form::Managesieve => (b"(", b")"),
                    Form::Codes => (b"", b""),
                    Form::Line => return Err("replies of this protocol have no codes"),
                };
                let blank: &[u8] = if human.is_empty() { b"" } else { b" " };
                let at = Span { end: human.start, ..human };
                put(text, at, &[open, new, close, blank].concat())
            }
        },
    };
    Ok((new != text).then_some(new))
}

/// Whether a text reads as the same reply as before, with the words that it was given.
///
/// # Errors
/// Why not.
pub fn check(words: &Words, form: Form, readings: [&Reading; 2], texts: [&[u8]; 2]) -> Result<(), &'static str> {
    let head = |nth: usize| match readings[nth].kind {
        Kind::Reply { tag, status, word, .. } => Some((tag.of(texts[nth]), Some(status), word.of(texts[nth]))),
        Kind::GoAhead { word, .. } => Some((&b""[..], None, word.of(texts[nth]))),
        _ => None,
    };
    if head(0) != head(1) {
        return Err("it would be another reply");
    }
    let code = |nth: usize| match readings[nth].kind {
        Kind::Reply { code, .. } => code.map(|code| code.of(texts[nth])),
        _ => None,
    };
    match words {
        Words::Code(new) if code(1) != Some(&**new).filter(|new| !new.is_empty()) => {
            Err("this reply would not be read with that code")
        }
        Words::Text(_) if form == Form::Codes && code(0) != code(1) => Err("its text would be read as a code"),
        _ => Ok(()),
    }
}

/// The text with other octets in the place of a span, and a blank before them where one is needed.
fn put(text: &[u8], span: Span, new: &[u8]) -> Vec<u8> {
    let (start, end) = (span.start as usize, span.end as usize);
    let joined = start.checked_sub(1).is_some_and(|at| text[at].is_ascii_alphanumeric() || b"])".contains(&text[at]));
    let blank: &[u8] = if joined && span.is_empty() && !new.is_empty() { b" " } else { b"" };
    [&text[..start], blank, new, &text[end..]].concat()
}

/// A code with what goes along when it is taken away: its brackets, and the blank behind it.
fn with_brackets(code: Span, form: Form, text: &[u8]) -> Span {
    let brackets = u32::from(form != Form::Codes);
    let (start, end) = (code.start.saturating_sub(brackets), code.end + brackets);
    Span { start, end: end + u32::from(text.get(end as usize) == Some(&b' ')) }
}

/// Human text as it stands in a reply: in ManageSieve a quoted string (RFC 5804 section 1.2).
fn quoted(form: Form, new: &[u8]) -> Vec<u8> {
    if form != Form::Managesieve || new.is_empty() {
        return new.to_vec();
    }
    let mut text = vec![b'"'];
    for &octet in new {
        if matches!(octet, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(octet);
    }
    text.push(b'"');
    text
}
