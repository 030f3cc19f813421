//! The lines that most lines are, read by hand: a text or a piece of data with nothing to be noticed, as the writer puts it.
//! Everything else is for serde, to which this gives the same event, several times as fast.

use std::borrow::Cow;

use memchr::memchr2;
use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error};

use super::line::{Line, Str};

/// The event of a line, whose text is put into `room`. Nothing if it is another line, be it right or wrong.
pub fn read<'a>(line: &'a [u8], room: &'a mut Vec<u8>) -> Option<Line<'a>> {
    let mut rest = Rest(line);
    rest.word(br#"{"at":"#)?;
    let at = rest.number()?;
    rest.word(br#","conn":"#)?;
    let conn = rest.number()?;
    rest.word(br#","from":""#)?;
    let mut event = Line::new(at, conn, rest.name()?);
    rest.word(br#","frame":"#)?;
    event.frame = Some(rest.number()?);
    if rest.word(br#","state":""#).is_some() {
        event.state = Some(rest.name()?);
    }
    let place = if rest.word(br#","line":""#).is_some() {
        &mut event.line
    } else if rest.word(br#","text":""#).is_some() {
        &mut event.text
    } else {
        rest.word(br#","base64":""#)?;
        &mut event.base64
    };
    rest.string(room)?;
    let room: &'a [u8] = room;
    *place = Some(Str(Cow::Borrowed(std::str::from_utf8(room).ok()?)));
    if rest.word(br#","piece":""#).is_some() {
        event.piece = Some(rest.name()?);
    }
    event.more = rest.word(br#","more":true"#).is_some();
    if rest.word(br#","answers":"#).is_some() {
        event.answers = Some(rest.number()?);
    }
    (rest.0 == b"}").then_some(event)
}

/// What was not read yet of a line.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// These octets.
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(word)?;
        Some(())
    }

    /// Digits, of which JSON allows no 0 in front.
    fn number(&mut self) -> Option<u64> {
        let len = self.0.iter().take(20).take_while(|octet| octet.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(len);
        if len == 0 || len > 1 && digits[0] == b'0' || len > 19 {
            return None;
        }
        self.0 = rest;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
    }

    /// The name of something, and the quotation mark behind it.
    fn name<T: Deserialize<'a>>(&mut self) -> Option<T> {
        let len = self.0.iter().take(32).position(|&octet| octet == b'"')?;
        let name = std::str::from_utf8(&self.0[..len]).ok()?;
        self.0 = &self.0[len + 1..];
        T::deserialize(BorrowedStrDeserializer::<Error>::new(name)).ok()
    }

    /// A string, and the quotation mark behind it; not yet known to be UTF-8.
    fn string(&mut self, to: &mut Vec<u8>) -> Option<()> {
        to.clear();
        loop {
            let at = memchr2(b'"', b'\\', self.0)?;
            let (run, rest) = self.0.split_at(at);
            // A fold without an exit is done with many octets at a time.
            if run.iter().fold(false, |found, &octet| found | (octet < b' ')) {
                return None;
            }
            to.extend_from_slice(run);
            if rest[0] == b'"' {
                self.0 = &rest[1..];
                return Some(());
            }
            let (octet, used) = match *rest.get(1)? {
                octet @ (b'"' | b'\\' | b'/') => (octet, 2),
                b'r' => (b'\r', 2),
                b'n' => (b'\n', 2),
                b't' => (b'\t', 2),
                b'b' => (8, 2),
                b'f' => (12, 2),
                b'u' => (ascii(rest.get(2..6)?)?, 6),
                _ => return None,
            };
            to.push(octet);
            self.0 = &rest[used..];
        }
    }
}

/// An ASCII character of four hexadecimal digits.
fn ascii(digits: &[u8]) -> Option<u8> {
    let [b'0', b'0', high @ b'0'..=b'7', low] = *digits else { return None };
    Some((high - b'0') << 4 | char::from(low).to_digit(16)? as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::{DataKind, Peer, State};
    use crate::recording::line::Octets;

    /// What is read by hand is what serde reads. True if anything was.
    fn agrees(line: &[u8]) -> bool {
        let mut room = b"what was there before".to_vec();
        let quick = read(line, &mut room);
        if let Some(quick) = &quick {
            let slow: Line<'_> = serde_json::from_slice(line).expect("serde reads it, too");
            assert_eq!(*quick, slow, "{}", line.escape_ascii());
        }
        quick.is_some()
    }

    fn event(bytes: &[u8], numbers: [u64; 3], options: [bool; 4]) -> Vec<u8> {
        let [piece, answers, more, state] = options;
        let mut line = Line::new(numbers[0], numbers[1], if piece { Peer::Client } else { Peer::Server });
        line.frame = Some(numbers[2]);
        line.more = more;
        line.answers = answers.then_some(numbers[1]);
        line.piece = piece.then_some(DataKind::Message);
        line.state = state.then_some(State::NotAuthenticated);
        match Octets::of(bytes) {
            Octets::Line(octets) => line.line = Some(octets),
            Octets::Text(octets) => line.text = Some(octets),
            Octets::Base64(octets) => line.base64 = Some(octets),
        }
        serde_json::to_vec(&line).expect("it can be written")
    }

    #[test]
    fn odd_lines_are_left_to_serde_or_read_as_serde_does() {
        let line = |text: &str| format!(r#"{{"at":1,"conn":1,"from":"server","frame":1,"text":"{text}"}}"#);
        for text in ["", r"\u0000\u001F\u007f", r"\/\b\f", "ü", "\u{2028}"] {
            assert!(agrees(line(text).as_bytes()), "{text}");
        }
        for text in [r"\u0080", r"\ud83d\ude00", r"\x", r"\u00", "\t", "\0", "a\"", r"\u+041"] {
            assert!(!agrees(line(text).as_bytes()), "{text}");
        }
        let whole = line("x");
        for (from, to) in [
            ("1,", "01,"),
            ("1,", "-1,"),
            ("1,", "18446744073709551616,"),
            ("1,", "1.0,"),
            ("server", "nobody"),
            ("text", "texts"),
            ("}", ",\"more\":false}"),
            ("}", "} "),
            ("}", ",\"at\":1}"),
        ] {
            assert!(!agrees(whole.replacen(from, to, 1).as_bytes()), "{to}");
        }
        let broken = [&whole.as_bytes()[..whole.len() - 3], b"\xff\"}"].concat();
        assert!(!agrees(&broken), "no UTF-8");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_serde_does(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'\\'), Just(b'a')], 0..60),
            text in ".{0,40}(\r\n)?",
            numbers in [0..10_000_000_000_000_000_000u64, 0..u64::MAX / 2, 0..9u64],
            options in any::<[bool; 4]>(),
            change in any::<(prop::sample::Index, u8)>(),
        ) {
            for octets in [&bytes[..], text.as_bytes()] {
                let mut line = event(octets, numbers, options);
                prop_assert!(agrees(&line), "{}", line.escape_ascii());
                let at = change.0.index(line.len());
                line[at] = change.1;
                agrees(&line);
                line.truncate(at);
                agrees(&line);
            }
        }
    }
}
