//! Files that are not plain UTF-8: a byte order mark is passed over, UTF-16 becomes UTF-8 (RFC 2781), a piece at a time.

use std::io::{self, BufRead, Read};

/// Number of bytes that are converted at once.
const PIECE: usize = 8 * 1024;

/// How the characters of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// In bytes, after this many of a mark.
    Octets(usize),
    /// In units of two bytes, after this many of a mark; the high one first, or not.
    Units(usize, bool),
}

/// The coding of a file that begins so. Without a mark, every second octet of UTF-16 is zero where the text is ASCII.
fn coding(first: &[u8]) -> Coding {
    match first {
        [0xef, 0xbb, 0xbf, ..] => Coding::Octets(3),
        [0xff, 0xfe, ..] => Coding::Units(2, false),
        [0xfe, 0xff, ..] => Coding::Units(2, true),
        [0, 9..=126, 0, 9..=126, 0, 9..=126, ..] => Coding::Units(0, true),
        [9..=126, 0, 9..=126, 0, 9..=126, 0, ..] => Coding::Units(0, false),
        _ => Coding::Octets(0),
    }
}

/// The octets as UTF-8, as far as they go.
#[must_use]
pub fn decoded(first: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // A reader of memory does not fail.
    let _ = Unicode::new(first).read_to_end(&mut text);
    text
}

/// Reads an input as UTF-8.
#[derive(Debug)]
pub struct Unicode<R> {
    input: R,
    coding: Option<Coding>,
    text: Vec<u8>,
    taken: usize,
    /// An octet without its other half, and a unit that waits for its second one.
    half: Option<u8>,
    high: Option<u16>,
}

impl<R: BufRead> Unicode<R> {
    /// What this input holds.
    pub const fn new(input: R) -> Self {
        Unicode { input, coding: None, text: Vec::new(), taken: 0, half: None, high: None }
    }

    fn convert(&mut self, big: bool) -> io::Result<()> {
        (self.taken, self.text) = (0, Vec::new());
        while self.text.is_empty() {
            let room = self.input.fill_buf()?;
            let room = &room[..room.len().min(PIECE)];
            if room.is_empty() {
                let open = self.half.take().is_some() | self.high.take().is_some();
                self.text.extend(open.then_some('\u{fffd}'.to_string()).into_iter().flat_map(String::into_bytes));
                return Ok(());
            }
            let octets: Vec<u8> = self.half.take().into_iter().chain(room.iter().copied()).collect();
            let len = room.len();
            self.input.consume(len);
            let units = octets.chunks_exact(2);
            self.half = units.remainder().first().copied();
            let unit = |pair: &[u8]| {
                let pair = [pair[0], pair[1]];
                if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
            };
            let mut all: Vec<u16> = self.high.take().into_iter().chain(units.map(unit)).collect();
            if all.last().is_some_and(|last| (0xd800..0xdc00).contains(last)) {
                self.high = all.pop();
            }
            self.text = String::from_utf16_lossy(&all).into_bytes();
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Unicode<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let here = self.fill_buf()?;
        let len = here.len().min(buffer.len());
        buffer[..len].copy_from_slice(&here[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl<R: BufRead> BufRead for Unicode<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.coding.is_none() {
            let found = coding(self.input.fill_buf()?);
            let (Coding::Octets(mark) | Coding::Units(mark, _)) = found;
            self.input.consume(mark);
            self.coding = Some(found);
        }
        match self.coding {
            Some(Coding::Units(_, big)) => {
                if self.taken == self.text.len() {
                    self.convert(big)?;
                }
                Ok(&self.text[self.taken..])
            }
            _ => self.input.fill_buf(),
        }
    }

    fn consume(&mut self, len: usize) {
        match self.coding {
            Some(Coding::Units(..)) => self.taken += len,
            _ => self.input.consume(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_gives_the_same() {
        let text = "S: * OK grüß dich \u{1f600}\r\nC: a NOOP\r\n";
        let units = |big: bool, mark: bool| -> Vec<u8> {
            let mark = if mark { "\u{feff}" } else { "" };
            let unit = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            format!("{mark}{text}").encode_utf16().flat_map(unit).collect()
        };
        let files = [
            text.as_bytes().to_vec(),
            format!("\u{feff}{text}").into_bytes(),
            units(true, true),
            units(false, true),
            units(true, false),
            units(false, false),
        ];
        for file in files {
            assert_eq!(String::from_utf8(decoded(&file)).expect("UTF-8"), text);
            for step in [1, 3, 8] {
                let mut read = String::new();
                let input = io::BufReader::with_capacity(step.max(6), &file[..]);
                Unicode::new(input).read_to_string(&mut read).expect("it can be read");
                assert_eq!(read, text, "{step}");
            }
        }
    }
}
