//! Octets of peers as they may be written: in place of each secret that is hidden a word, which does not tell its length.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::form::Object;
use crate::event::{Span, is_masked};
use crate::sink::text::HIDDEN;

/// A text, and what of it is hidden.
#[derive(Debug)]
pub struct Octets<'a> {
    bytes: &'a [u8],
    hidden: Vec<Span>,
}

impl<'a> Octets<'a> {
    /// A text with its secrets, which are in order and apart from each other. What is shown on demand is not hidden.
    #[must_use]
    pub fn new(bytes: &'a [u8], secrets: &[Span]) -> Self {
        let masked = |secret: &&Span| {
            let end = (secret.end as usize).min(bytes.len());
            let octets = bytes.get(secret.start as usize..end).unwrap_or_default();
            !octets.is_empty() && is_masked(octets)
        };
        Octets { bytes, hidden: secrets.iter().filter(masked).copied().collect() }
    }

    /// True if something of it is hidden.
    #[must_use]
    pub fn hides(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Writes a part of it as a string.
    pub fn write(&self, object: &mut Object<'_>, name: &str, part: Span) {
        if self.hidden.is_empty() {
            return object.octets(name, &[part.of(self.bytes)]);
        }
        object.octets(name, &self.shown(part));
    }

    /// Writes a part of it as a string, unless it is empty.
    pub fn write_some(&self, object: &mut Object<'_>, name: &str, part: Span) {
        if !part.is_empty() {
            self.write(object, name, part);
        }
    }

    /// Writes all of it in base64, if a string cannot hold it.
    pub fn write_coded(&self, object: &mut Object<'_>, name: &str) {
        if std::str::from_utf8(self.bytes).is_err() {
            let shown = self.shown(Span::new(0, self.bytes.len()));
            object.string(name, &STANDARD.encode(shown.concat()));
        }
    }

    /// The octets of a part, in pieces.
    fn shown(&self, part: Span) -> Vec<&[u8]> {
        let mut pieces = Vec::new();
        let mut place = part.start;
        for hidden in &self.hidden {
            let (start, end) = (hidden.start.max(place), hidden.end.min(part.end));
            if start < end {
                pieces.extend([Span { start: place, end: start }.of(self.bytes), HIDDEN]);
                place = end;
            }
        }
        pieces.push(Span { start: place, end: part.end }.of(self.bytes));
        pieces
    }
}

/// The beginning of something, without the character in which it was cut.
#[must_use]
pub fn whole_characters(head: &[u8]) -> &[u8] {
    match std::str::from_utf8(head) {
        Err(error) if error.error_len().is_none() => &head[..error.valid_up_to()],
        _ => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(octets: &Octets<'_>, start: usize, end: usize) -> String {
        String::from_utf8(octets.shown(Span::new(start, end)).concat()).expect("UTF-8")
    }

    #[test]
    fn a_secret_is_one_word_whatever_its_length() {
        let secrets = [Span::new(13, 20)];
        let octets = Octets::new(b"a1 LOGIN bob ******* x\r\n", &secrets);
        assert_eq!(shown(&octets, 0, 22), "a1 LOGIN bob <hidden> x");
        assert_eq!(shown(&octets, 9, 20), "bob <hidden>");
        assert_eq!(shown(&octets, 15, 18), "<hidden>", "a part of it");
        assert_eq!(shown(&octets, 0, 8), "a1 LOGIN");
        assert!(octets.hides() && !Octets::new(b"a1 LOGIN bob shownpw", &secrets).hides(), "shown on demand");
    }

    #[test]
    fn what_is_no_string_is_kept() {
        let coded = |bytes: &[u8], secrets: &[Span]| {
            let mut out = Vec::new();
            Object::write(&mut out, |object| Octets::new(bytes, secrets).write_coded(object, "bytes"));
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(coded(b"plain\r\n", &[]), "{}");
        assert_eq!(coded(b"a\xff", &[]), r#"{"bytes":"Yf8="}"#);
        assert_eq!(coded(b"\xff*****", &[Span::new(1, 6)]), r#"{"bytes":"/zxoaWRkZW4+"}"#, "<hidden>");
        assert_eq!(whole_characters("Grü".as_bytes()), "Grü".as_bytes());
        assert_eq!(whole_characters(b"Gr\xc3"), b"Gr");
        assert_eq!(whole_characters(b"G\xffr\xc3"), b"G\xffr\xc3");
    }
}
