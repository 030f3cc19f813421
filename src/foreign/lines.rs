//! Lines of a file, a bounded part at a time. Knows nothing of what they say.

use std::io::{self, BufRead};

use memchr::memchr;

use super::MAX_OCTETS;

/// Reads lines.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    /// The line that was read last, or a part of it, without its line end.
    pub line: Vec<u8>,
    /// The part goes on with the line of the part before.
    pub continues: bool,
    /// It has its end: CRLF or LF.
    pub ended: bool,
    /// Its end is LF alone.
    pub bare: bool,
    /// The input is over.
    pub over: bool,
    /// The number of the line, from 1.
    pub number: u64,
}

impl<R: BufRead> Lines<R> {
    /// Lines from here on.
    pub fn new(input: R) -> Self {
        Lines { input, line: Vec::new(), continues: false, ended: true, bare: false, over: false, number: 0 }
    }

    /// Reads the next line; a longer one than [`MAX_OCTETS`] in parts. False at the end.
    ///
    /// # Errors
    /// Those of the input.
    pub fn next(&mut self) -> io::Result<bool> {
        self.continues = !self.ended;
        self.number += u64::from(self.ended);
        self.ended = false;
        self.line.clear();
        // Room for a line end, so that CRLF is never cut in two.
        while self.line.len() < MAX_OCTETS - 2 || self.line.ends_with(b"\r") {
            let room = self.input.fill_buf()?;
            if room.is_empty() {
                self.over = true;
                break;
            }
            let room = &room[..room.len().min(MAX_OCTETS - self.line.len())];
            let end = memchr(b'\n', room).map(|at| at + 1);
            let taken = end.unwrap_or(room.len());
            self.line.extend_from_slice(&room[..taken]);
            self.input.consume(taken);
            if end.is_some() {
                self.ended = true;
                self.line.pop();
                self.bare = !self.line.ends_with(b"\r");
                if !self.bare {
                    self.line.pop();
                }
                return Ok(true);
            }
            if self.line.len() == MAX_OCTETS {
                break;
            }
        }
        Ok(!self.line.is_empty())
    }
}
