//! What another program says beside the log: its lines, each behind a mark of its own, safe to show, in bounded memory.
//! Knows octets only.

use super::escape::{Dress, escape};

/// A line that is longer than this is broken, in octets.
const LONGEST: usize = 4096;

/// Lines in the making, of one stream.
#[derive(Debug)]
pub struct Aside {
    mark: &'static str,
    held: Vec<u8>,
}

impl Aside {
    /// Its lines will stand behind this mark.
    #[must_use]
    pub const fn new(mark: &'static str) -> Self {
        Aside { mark, held: Vec::new() }
    }

    /// True if no line is begun.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes what comes, and appends to `out` the lines that are complete now.
    pub fn take(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for piece in octets.split_inclusive(|&octet| octet == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(last) => {
                    self.hold(last, out);
                    let line = self.held.strip_suffix(b"\r").unwrap_or(&self.held);
                    write(self.mark, line, out);
                    self.held.clear();
                }
                None => self.hold(piece, out),
            }
        }
    }

    /// Appends a line that has no end, if one is begun.
    pub fn rest(&mut self, out: &mut Vec<u8>) {
        if !self.held.is_empty() {
            write(self.mark, &self.held, out);
            self.held.clear();
        }
    }

    /// Keeps a part of a line, and writes what gets too long, but no part of a character.
    fn hold(&mut self, mut part: &[u8], out: &mut Vec<u8>) {
        while self.held.len() + part.len() > LONGEST {
            let (fits, beyond) = part.split_at(LONGEST - self.held.len());
            self.held.extend_from_slice(fits);
            part = beyond;
            let inner = self.held.iter().rev().take(4).take_while(|octet| (0x80..0xc0).contains(*octet)).count();
            let begun = self.held[..LONGEST - inner].last().is_some_and(|octet| *octet >= 0xc0);
            let end = if begun { LONGEST - inner - 1 } else { LONGEST };
            write(self.mark, &self.held[..end], out);
            self.held.drain(..end);
        }
        self.held.extend_from_slice(part);
    }
}

/// One line. Of what is not printable, only tabs are left: they are harmless, and columns are made of them.
fn write(mark: &str, line: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(mark.as_bytes());
    for (nth, part) in line.split(|&octet| octet == b'\t').enumerate() {
        if nth > 0 {
            out.push(b'\t');
        }
        escape(out, part, Dress::default());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pieces: &[&[u8]]) -> String {
        let (mut aside, mut out) = (Aside::new("$ "), Vec::new());
        for piece in pieces {
            aside.take(piece, &mut out);
        }
        aside.rest(&mut out);
        String::from_utf8(out).expect("escaped")
    }

    #[test]
    fn lines_are_marked_however_they_are_cut() {
        assert_eq!(said(&[b"one\ntwo\r\n\nthree"]), "$ one\n$ two\n$ \n$ three\n");
        assert_eq!(said(&[b"on", b"e\r", b"\ntwo\n"]), "$ one\n$ two\n");
        assert_eq!(said(&[]), "");
    }

    #[test]
    fn no_terminal_obeys_another_program() {
        assert_eq!(said(&[b"a\x1b[2J\tb\rc\xff\n"]), "$ a\\x1b[2J\tb\\rc\\xff\n");
    }

    #[test]
    fn an_endless_line_is_broken_and_no_character_in_it() {
        let text = format!("a{}", "ü".repeat(5000));
        let (mut aside, mut out) = (Aside::new("$ "), Vec::new());
        for piece in text.as_bytes().chunks(7) {
            aside.take(piece, &mut out);
            assert!(aside.held.len() <= LONGEST);
        }
        aside.rest(&mut out);
        let out = String::from_utf8(out).expect("whole characters");
        assert_eq!(out.lines().count(), 3);
        assert!(out.lines().all(|line| line.starts_with("$ ") && line.len() <= LONGEST + 2));
        assert_eq!(out.replace("$ ", "").replace('\n', ""), text);
        assert_eq!(said(&[&[0x80; 9000]]).lines().count(), 3, "what is no character is broken all the same");
    }
}
