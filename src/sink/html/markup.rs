//! The one place where markup is made. Tags are constants of ours; everything else goes through [`Markup::text`] and its
//! kin, which escape first what steers or hides (`sink/escape.rs`) and then what HTML would read.
//!
//! No text of a peer stands in an attribute: there are only numbers.

use memchr::memmem;

use crate::sink::escape::{Dress, escape};

/// Stand for the tags around a run of escapes until all else is escaped: neither is ever in escaped text.
const ON: u8 = 1;
const OFF: u8 = 2;

/// A buffer of markup.
#[derive(Debug, Default, Clone)]
pub struct Markup {
    out: Vec<u8>,
    scratch: Vec<u8>,
}

impl Markup {
    /// Appends markup of ours. That it is a constant is what keeps a peer's octets out of it.
    pub fn raw(&mut self, markup: &'static str) {
        self.out.extend_from_slice(markup.as_bytes());
    }

    /// Appends what has gone through another one.
    pub fn append(&mut self, other: &Markup) {
        self.out.extend_from_slice(&other.out);
    }

    /// Appends a number, which may stand in an attribute.
    pub fn number(&mut self, number: u64) {
        self.out.extend_from_slice(number.to_string().as_bytes());
    }

    /// Appends text, which may quote a peer. Runs of escapes are marked by an element.
    pub fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
    }

    /// Appends octets of a peer likewise.
    pub fn octets(&mut self, octets: &[u8]) {
        self.scratch.clear();
        escape(&mut self.scratch, octets, Dress { on: &[ON], off: &[OFF], back: &[] });
        self.take_scratch();
    }

    /// Appends octets of several lines: line ends become such.
    pub fn lines(&mut self, octets: &[u8]) {
        let mut rest = octets;
        while let Some(at) = memmem::find(rest, b"\r\n") {
            self.octets(&rest[..at]);
            self.out.push(b'\n');
            rest = &rest[at + 2..];
        }
        self.octets(rest);
    }

    /// Appends text where no element may stand: in a title, and in a drawing.
    pub fn bare(&mut self, text: &str) {
        self.scratch.clear();
        escape(&mut self.scratch, text.as_bytes(), Dress::default());
        self.take_scratch();
    }

    /// Appends octets as printable ASCII, so that who reads the text has them all back: `\x1b` for others, and for a backslash.
    pub fn coded(&mut self, octets: &[u8]) {
        self.scratch.clear();
        for &byte in octets {
            match byte {
                b' '..=b'~' if byte != b'\\' => self.scratch.push(byte),
                _ => self.scratch.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
            }
        }
        self.take_scratch();
    }

    /// Appends text between two constants.
    pub fn within(&mut self, before: &'static str, text: &str, after: &'static str) {
        self.raw(before);
        self.text(text);
        self.raw(after);
    }

    /// What was written so far.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    fn take_scratch(&mut self) {
        let mut rest = self.scratch.as_slice();
        let special = |byte: &u8| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\'' | &ON | &OFF);
        while let Some(at) = rest.iter().position(special) {
            self.out.extend_from_slice(&rest[..at]);
            self.out.extend_from_slice(match rest[at] {
                b'&' => b"&amp;",
                b'<' => b"&lt;",
                b'>' => b"&gt;",
                b'"' => b"&quot;",
                b'\'' => b"&#39;",
                ON => b"<i>",
                _ => b"</i>",
            });
            rest = &rest[at + 1..];
        }
        self.out.extend_from_slice(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(octets: &[u8]) -> String {
        let mut markup = Markup::default();
        markup.octets(octets);
        String::from_utf8(markup.out).expect("always UTF-8")
    }

    #[test]
    fn what_html_would_read_is_escaped() {
        assert_eq!(made(b"<b a='x'>&amp;\"</b>"), "&lt;b a=&#39;x&#39;&gt;&amp;amp;&quot;&lt;/b&gt;");
        assert_eq!(made("Grüße, 日本語".as_bytes()), "Grüße, 日本語");
    }

    #[test]
    fn escapes_stand_out_and_nothing_can_pretend_to_be_one() {
        assert_eq!(made(b"a\x01<\x02\xffb"), "a<i>\\x01</i>&lt;<i>\\x02\\xff</i>b");
        let mut markup = Markup::default();
        markup.bare("\u{202e}</title>");
        markup.lines(b"a\r\nb\nc");
        assert_eq!(markup.out, b"\\u{202e}&lt;/title&gt;a\nb<i>\\n</i>c");
    }

    #[test]
    fn coded_octets_are_plain_letters() {
        let mut markup = Markup::default();
        markup.coded("a\\x</template>\u{2028}\0\n&".as_bytes());
        let expected = "a\\x5cx&lt;/template&gt;\\xe2\\x80\\xa8\\x00\\x0a&amp;";
        assert_eq!(String::from_utf8(markup.out).expect("ASCII"), expected);
    }

    proptest! {
        #[test]
        fn only_the_marks_of_escapes_are_markup(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = made(&octets).replace("<i>", "").replace("</i>", "");
            prop_assert!(!text.contains(['<', '>', '"', '\'']));
            prop_assert!(text.chars().all(|c| !c.is_control()));
        }
    }
}
