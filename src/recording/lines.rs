//! The lines of a file, each as it lies in the buffer. What is too long is passed over.

use std::io::{self, Read};

use memchr::memchr;

use super::MAX_LINE;

/// So many octets of the input are read at once. The buffer grows for a longer line, and shrinks behind it.
const BUFFER: usize = 256 * 1024;

/// A file, line by line.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// What was read and not taken yet.
    start: usize,
    end: usize,
    /// From `start` on, so many octets hold no line end.
    searched: usize,
    /// The line in progress is too long.
    skipping: bool,
    /// Lines so far.
    number: u64,
}

/// A line without its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its octets.
    Whole(&'a [u8]),
    /// It was longer than [`MAX_LINE`], and has been passed over.
    TooLong,
}

impl<R: Read> Lines<R> {
    /// Those of this input.
    pub const fn new(input: R) -> Self {
        Lines { input, buffer: Vec::new(), start: 0, end: 0, searched: 0, skipping: false, number: 0 }
    }

    /// The number of the last line, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The next complete line; nothing if the input has no more of it now.
    pub fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let from = self.start + self.searched;
            if let Some(at) = memchr(b'\n', &self.buffer[from..self.end]) {
                let line = self.start..from + at;
                (self.start, self.searched) = (line.end + 1, 0);
                self.number += 1;
                let long = std::mem::take(&mut self.skipping) || line.len() > MAX_LINE;
                return Ok(Some(if long { Line::TooLong } else { Line::Whole(&self.buffer[line]) }));
            }
            self.searched = self.end - self.start;
            if self.skipping || self.searched > MAX_LINE {
                (self.skipping, self.start, self.end, self.searched) = (true, 0, 0, 0);
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// Takes back the last line, which had so many octets.
    pub const fn put_back(&mut self, len: usize) {
        self.start -= len + 1;
        self.number -= 1;
    }

    /// Reads more behind what is there.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buffer.len() - self.end < BUFFER {
            let wanted = (self.end * 2).clamp(BUFFER * 2, MAX_LINE + BUFFER * 2);
            self.buffer.resize(wanted, 0);
        } else if self.buffer.len() > BUFFER * 2 && self.end < BUFFER {
            self.buffer.truncate(BUFFER * 2);
            self.buffer.shrink_to_fit();
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..self.end + BUFFER]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    let read = read?;
                    self.end += read;
                    return Ok(read);
                }
            }
        }
    }

    /// True if a whole line is here that begins so.
    pub fn goes_on(&self, start: &[u8]) -> bool {
        !self.skipping && self.buffer[self.start..self.end].starts_with(start) && !self.is_drained()
    }

    /// True if no whole line is here: the next one may have to be waited for.
    pub fn is_drained(&self) -> bool {
        memchr(b'\n', &self.buffer[self.start..self.end]).is_none()
    }

    /// Nothing more will come. True if a line has begun and not ended; it counts, too.
    pub fn finish(&mut self) -> bool {
        let begun = self.start < self.end || self.skipping;
        (self.start, self.end, self.searched, self.skipping) = (0, 0, 0, false);
        self.number += u64::from(begun);
        begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its octets a few at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = self.1.min(buffer.len());
            self.0.read(&mut buffer[..size])
        }
    }

    #[test]
    fn lines_do_not_depend_on_how_they_come() {
        let long = vec![b'x'; BUFFER * 5];
        let text = [&b"one\n\ntwo\n"[..], &long, b"\nthree\nrest"].concat();
        for size in [1, 2, 7, 1000, BUFFER] {
            let mut lines = Lines::new(Drops(&text, size));
            let mut found = Vec::new();
            while let Some(line) = lines.next().expect("memory can be read") {
                let Line::Whole(line) = line else { panic!("no line is too long") };
                found.push(line.to_vec());
            }
            assert_eq!(found, [&b"one"[..], b"", b"two", &long, b"three"]);
            assert!(lines.finish() && !lines.finish());
            assert_eq!(lines.number(), 6);
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over_in_bounded_memory() {
        let endless = io::repeat(b'x').take(MAX_LINE as u64 * 3);
        let mut lines = Lines::new(endless.chain(&b"\nnext\n"[..]));
        assert_eq!(lines.next().expect("memory can be read"), Some(Line::TooLong));
        assert_eq!(lines.next().expect("memory can be read"), Some(Line::Whole(b"next")));
        assert!(lines.buffer.len() <= MAX_LINE + BUFFER * 2, "{}", lines.buffer.len());
        assert_eq!(lines.next().expect("memory can be read"), None);
        assert!(lines.buffer.len() <= BUFFER * 2, "the room is given back");
        assert!(!lines.finish());
    }
}
