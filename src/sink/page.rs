//! The page of a log: the buffer, its colours, and the notes under a text, wrapped beside their gutter.
//!
//! Everything that goes through here is escaped. Knows nothing of events.

use super::escape::{columns, escape, escaped};
use super::style::{Ink, Palette};

/// Columns of a gutter's mark and the blank behind it.
const GUTTER: usize = 2;

/// Notes are never squeezed into fewer columns than this, however narrow the terminal is.
const NARROWEST: usize = 20;

/// A buffer that is written to from top to bottom.
#[derive(Debug)]
pub struct Page {
    /// What has been written and not been taken away yet.
    pub out: Vec<u8>,
    /// Its colours.
    pub palette: Palette,
    /// Columns left of the gutter.
    pub margin: usize,
    /// The colour of the gutter.
    pub gutter: Ink,
    width: Option<usize>,
    column: usize,
    hang: usize,
}

impl Page {
    /// An empty page; notes are wrapped to `width` columns.
    #[must_use]
    pub fn new(palette: Palette, width: Option<usize>) -> Self {
        Page { out: Vec::new(), palette, margin: 0, gutter: Ink::Plain, width, column: 0, hang: 0 }
    }

    /// Appends text in a colour, without wrapping.
    pub fn ink(&mut self, ink: Ink, text: &str) {
        self.octets(ink, text.as_bytes());
    }

    /// Appends a peer's octets in a colour, without wrapping.
    pub fn octets(&mut self, ink: Ink, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.out.extend_from_slice(self.palette.on(ink));
        escape(&mut self.out, bytes, self.palette.dress(ink));
        self.out.extend_from_slice(self.palette.off(ink));
    }

    /// Appends `count` blanks.
    pub fn blanks(&mut self, count: usize) {
        self.out.resize(self.out.len() + count, b' ');
    }

    /// Begins a note with a mark of one column; when it is wrapped, it goes on `hang` columns further right.
    pub fn note(&mut self, ink: Ink, mark: &str, hang: usize) {
        self.blanks(self.margin);
        self.ink(ink, mark);
        self.blanks(1);
        self.column = self.margin + GUTTER;
        self.hang = hang;
    }

    /// Begins a note that needs no mark of its own.
    pub fn remark(&mut self) {
        self.note(self.gutter, "|", 2);
    }

    /// Lets what stands on a line, behind `columns` of it after the margin, be wrapped like a note that hangs `hang` columns.
    pub const fn goes_on(&mut self, columns: usize, hang: usize) {
        (self.column, self.hang) = (self.margin + columns, hang);
    }

    /// Appends to the note text that may be wrapped at its blanks.
    pub fn words(&mut self, ink: Ink, text: &str) {
        let text = escaped(text);
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let word = rest.trim_start_matches(' ');
            let blanks = rest.len() - word.len();
            let end = word.find(' ').unwrap_or(word.len());
            self.place(ink, blanks, &word[..end]);
            rest = &word[end..];
        }
    }

    /// Appends to the note a blank and a text that is wrapped within only where it is longer than a line.
    pub fn unit(&mut self, ink: Ink, text: &str) {
        let text = escaped(text);
        if self.room().is_some_and(|room| columns(&text) + self.hang > room) {
            self.words(ink, &format!(" {text}"));
        } else {
            self.place(ink, 1, &text);
        }
    }

    /// Appends to the note a text that is filled up to `width` columns, at its left or right end.
    pub fn cell(&mut self, ink: Ink, text: &str, width: usize, right: bool) {
        let text = escaped(text.trim_end_matches(' '));
        let missing = width.saturating_sub(columns(&text));
        if right {
            self.blanks(missing);
        }
        self.ink(ink, &text);
        if !right {
            self.blanks(missing);
        }
        self.column += width.max(columns(&text));
    }

    /// Ends the note's line.
    pub fn end(&mut self) {
        while self.out.last() == Some(&b' ') {
            self.out.pop();
        }
        self.out.push(b'\n');
    }

    /// How many columns a note has; `None` without a limit.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        let taken = self.margin + GUTTER;
        self.width.map(|width| width.saturating_sub(taken).max(NARROWEST))
    }

    fn place(&mut self, ink: Ink, blanks: usize, escaped_word: &str) {
        let start = self.margin + GUTTER;
        let wide = columns(escaped_word);
        let full = self.room().is_some_and(|room| self.column + blanks + wide > start + room);
        if full && self.column > start + self.hang {
            self.end();
            self.blanks(self.margin);
            self.ink(self.gutter, "|");
            self.blanks(1 + self.hang);
            self.column = start + self.hang;
        } else {
            self.blanks(blanks);
            self.column += blanks;
        }
        self.ink(ink, escaped_word);
        self.column += wide;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: Option<usize>, fill: impl Fn(&mut Page)) -> String {
        let mut page = Page::new(Palette::new(false), width);
        page.margin = 4;
        page.remark();
        fill(&mut page);
        page.end();
        String::from_utf8(page.out).expect("escaped")
    }

    #[test]
    fn notes_are_wrapped_at_blanks_and_hang() {
        let text = "one two three four five six seven eight";
        assert_eq!(page(None, |page| page.words(Ink::Plain, text)), format!("    | {text}\n"));
        assert_eq!(
            page(Some(26), |page| page.words(Ink::Plain, text)),
            "    | one two three four\n    |   five six seven\n    |   eight\n"
        );
    }

    #[test]
    fn a_word_that_is_too_long_is_never_cut() {
        let word = "x".repeat(60);
        assert_eq!(page(Some(40), |page| page.words(Ink::Plain, &word)), format!("    | {word}\n"));
        let out = page(Some(40), |page| {
            page.words(Ink::Plain, "abc");
            page.unit(Ink::Plain, &format!("b {word}"));
        });
        assert_eq!(out, format!("    | abc b\n    |   {word}\n"));
    }

    #[test]
    fn peers_octets_in_notes_are_escaped() {
        assert_eq!(page(None, |page| page.words(Ink::Plain, "a\x1b[0m\nb")), "    | a\\x1b[0m\\nb\n");
        assert_eq!(page(None, |page| page.cell(Ink::Plain, "\u{202e}", 0, true)), "    | \\u{202e}\n");
    }
}
