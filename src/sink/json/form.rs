//! How values become octets: an object of JSON on one line, field by field. Everything that is not printable is escaped, so
//! that a terminal obeys nothing of it; what is no UTF-8 becomes U+FFFD.

use std::io::Write as _;
use std::time::Duration;

use memchr::memchr2;

use crate::sink::escape;

/// An object that is being written. What a field does not have is left out: `None`, no items, `false` in a [`Object::flag`].
#[derive(Debug)]
pub struct Object<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    /// Appends an object, whose fields `fill` writes.
    pub fn write(out: &'a mut Vec<u8>, fill: impl FnOnce(&mut Object<'a>)) {
        out.push(b'{');
        let mut object = Object { out, empty: true };
        fill(&mut object);
        object.out.push(b'}');
    }

    fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// A string.
    pub fn string(&mut self, name: &str, value: &str) {
        string(self.key(name), &[value.as_bytes()]);
    }

    /// A string, if there is one.
    pub fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.string(name, value);
        }
    }

    /// A string of octets, which are put together.
    pub fn octets(&mut self, name: &str, pieces: &[&[u8]]) {
        string(self.key(name), pieces);
    }

    /// A whole number.
    pub fn number(&mut self, name: &str, value: u64) {
        number(self.key(name), value);
    }

    /// A time as a number of seconds, to the nanosecond.
    pub fn seconds(&mut self, name: &str, value: Duration) {
        let out = self.key(name);
        number(out, value.as_secs());
        // A vector takes all that is written.
        let _ = write!(out, ".{:09}", value.subsec_nanos());
    }

    /// True or false.
    pub fn boolean(&mut self, name: &str, value: bool) {
        self.key(name).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// True, or nothing.
    pub fn flag(&mut self, name: &str, value: bool) {
        if value {
            self.boolean(name, true);
        }
    }

    /// An object within this one.
    pub fn object(&mut self, name: &str, fill: impl FnOnce(&mut Object<'_>)) {
        Object::write(self.key(name), fill);
    }

    /// A list of objects, unless it is empty.
    pub fn objects<T>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
        mut fill: impl FnMut(&mut Object<'_>, T),
    ) {
        self.list(name, items, |out, item| Object::write(out, |object| fill(object, item)));
    }

    /// A list of strings, unless it is empty.
    pub fn strings<'s>(&mut self, name: &str, items: impl IntoIterator<Item = &'s str>) {
        self.list(name, items, |out, item| string(out, &[item.as_bytes()]));
    }

    fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut put: impl FnMut(&mut Vec<u8>, T)) {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return;
        }
        let out = self.key(name);
        for (at, item) in items.enumerate() {
            out.push(if at == 0 { b'[' } else { b',' });
            put(out, item);
        }
        out.push(b']');
    }
}

fn number(out: &mut Vec<u8>, value: u64) {
    let _ = write!(out, "{value}");
}

fn string(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    out.push(b'"');
    for piece in pieces {
        // What is UTF-8 as a whole is looked at faster.
        if let Ok(text) = std::str::from_utf8(piece) {
            escaped(out, text);
            continue;
        }
        for chunk in piece.utf8_chunks() {
            escaped(out, chunk.valid());
            if !chunk.invalid().is_empty() {
                out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
    }
    out.push(b'"');
}

fn escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text;
    while !rest.is_empty() {
        let mut plain = &rest.as_bytes()[..escape::plain(rest.as_bytes())];
        rest = &rest[plain.len()..];
        while let Some(at) = memchr2(b'"', b'\\', plain) {
            out.extend_from_slice(&plain[..at]);
            out.extend_from_slice(&[b'\\', plain[at]]);
            plain = &plain[at + 1..];
        }
        out.extend_from_slice(plain);
        let Some(odd) = rest.chars().next() else { return };
        match odd {
            '\r' => out.extend_from_slice(b"\\r"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\t' => out.extend_from_slice(b"\\t"),
            _ => {
                for unit in odd.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
        rest = &rest[odd.len_utf8()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(pieces: &[&[u8]]) -> String {
        let mut out = Vec::new();
        string(&mut out, pieces);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        assert_eq!(written(&[b"a\"\\\r\n\t\x1b[1m\x7f\0"]), r#""a\"\\\r\n\t\u001b[1m\u007f\u0000""#);
        assert_eq!(written(&["\u{9b}1m Grüße \u{202e}".as_bytes()]), "\"\\u009b1m Grüße \\u202e\"");
        assert_eq!(written(&["\u{e0041}x".as_bytes()]), "\"\\udb40\\udc41x\"", "two units");
        assert_eq!(written(&[b"a\xff", b"b\xc3", b"\xa9"]), "\"a\u{fffd}b\u{fffd}\u{fffd}\"", "pieces stand alone");
    }

    #[test]
    fn fields_are_apart_and_lists_that_are_empty_are_left_out() {
        let mut out = Vec::new();
        Object::write(&mut out, |object| {
            object.number("a", u64::MAX);
            object.strings("none", []);
            object.strings("b", ["x", "y"]);
            object.flag("not", false);
            object.object("c", |inner| inner.seconds("d", Duration::new(3, 7)));
            object.objects("e", [true, false], |inner, yes| inner.boolean("f", yes));
            object.maybe("not", None);
        });
        let text = String::from_utf8(out).expect("UTF-8");
        assert_eq!(
            text,
            r#"{"a":18446744073709551615,"b":["x","y"],"c":{"d":3.000000007},"e":[{"f":true},{"f":false}]}"#
        );
    }

    proptest! {
        #[test]
        fn what_is_read_again_is_what_was_written(text in any::<String>()) {
            let line = written(&[text.as_bytes()]);
            prop_assert!(line.chars().all(|c| !c.is_control()));
            prop_assert_eq!(serde_json::from_str::<String>(&line).expect("JSON"), text);
        }

        #[test]
        fn any_octets_are_a_string(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = serde_json::from_str::<String>(&written(&[&octets])).expect("JSON");
            prop_assert_eq!(text, String::from_utf8_lossy(&octets));
        }
    }
}
