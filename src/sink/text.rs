//! Puts the octets of a text on the page: coloured by role, secrets hidden, wrong line ends marked.
//!
//! This is the path that all traffic takes, so it appends octets and pre-rendered sequences and formats nothing.

use memchr::{memchr, memmem};

use super::escape::{escape, printable};
use super::style::{Ink, Palette};
use crate::event::{Mark, Oddity, Role, repeated};

/// What stands in the place of a secret.
pub const HIDDEN: &[u8] = b"<hidden>";

/// How a text or a line of it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As it should.
    CrLf,
    /// By LF alone.
    Lf,
    /// Not at all.
    Open,
}

/// A text without its line end, and that end.
#[must_use]
pub fn split_end(bytes: &[u8]) -> (&[u8], End) {
    match bytes {
        [body @ .., b'\r', b'\n'] => (body, End::CrLf),
        [body @ .., b'\n'] => (body, End::Lf),
        _ => (bytes, End::Open),
    }
}

/// The octets of a text with these oddities that were not reported before.
#[must_use]
pub fn fresh<'a>(bytes: &'a [u8], oddities: &[Oddity]) -> &'a [u8] {
    let repeated = usize::try_from(repeated(oddities)).unwrap_or(usize::MAX);
    bytes.get(repeated..).unwrap_or_default()
}

/// Appends a text without its line end. Where it has several lines, each but the first begins with `indent` blanks.
pub fn write(out: &mut Vec<u8>, palette: &Palette, body: &[u8], marks: &[Mark], indent: usize) {
    if memchr(b'\n', body).is_none() {
        return line(out, palette, body, 0, marks);
    }
    // What ends the line before a literal's octets says nothing.
    let mut start = if body.starts_with(b"\r\n") { 2 } else { 0 };
    loop {
        let end = memmem::find(&body[start..], b"\r\n").map_or(body.len(), |len| start + len);
        // Marks that end before this line do not matter any more: the cost stays linear.
        let from = marks.partition_point(|mark| mark.span.end as usize <= start);
        line(out, palette, &body[start..end], start, &marks[from..]);
        if end == body.len() {
            return;
        }
        out.push(b'\n');
        out.resize(out.len() + indent, b' ');
        start = end + 2;
    }
}

/// Appends one line that begins at `offset` of the text to which the marks belong.
fn line(out: &mut Vec<u8>, palette: &Palette, line: &[u8], offset: usize, marks: &[Mark]) {
    let mut pen = Pen { out, palette, clean: printable(line) == line.len(), ink: Ink::Plain };
    let mut place = 0;
    let mut hidden_until = None;
    for mark in marks {
        let start = (mark.span.start as usize).saturating_sub(offset).clamp(place, line.len());
        let end = (mark.span.end as usize).saturating_sub(offset).min(line.len());
        if mark.span.start as usize > offset + line.len() {
            break;
        }
        let secret = mark.role == Role::Secret;
        if end <= start && !secret {
            continue;
        }
        if start > place {
            pen.put(Ink::Plain, &line[place..start]);
        }
        if !secret {
            pen.put(Ink::of(mark.role), &line[start..end]);
        } else if hidden_until != Some(start) {
            pen.put(Ink::Secret, HIDDEN);
        }
        place = end.max(start);
        hidden_until = secret.then_some(place);
    }
    if place < line.len() {
        pen.put(Ink::Plain, &line[place..]);
    }
    pen.change(Ink::Plain);
}

/// Appends octets in colours, and changes the colour only where it differs.
struct Pen<'a> {
    out: &'a mut Vec<u8>,
    palette: &'a Palette,
    /// True if nothing in the line has to be escaped.
    clean: bool,
    ink: Ink,
}

impl Pen<'_> {
    fn put(&mut self, ink: Ink, bytes: &[u8]) {
        self.change(ink);
        if self.clean {
            self.out.extend_from_slice(bytes);
        } else {
            escape(self.out, bytes, self.palette.dress(self.ink));
        }
    }

    fn change(&mut self, ink: Ink) {
        if ink != self.ink {
            self.out.extend_from_slice(self.palette.off(self.ink));
            self.out.extend_from_slice(self.palette.on(ink));
            self.ink = ink;
        }
    }
}

/// The longest start of `bytes` of at most `most` octets that does not cut a character in two.
#[must_use]
pub fn start_of(bytes: &[u8], most: usize) -> &[u8] {
    if bytes.len() <= most {
        return bytes;
    }
    let mut end = most;
    while end > most.saturating_sub(3) && end > 0 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &bytes[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Span;

    fn shown(color: bool, body: &[u8], marks: &[(usize, usize, Role)]) -> String {
        let marks: Vec<_> =
            marks.iter().map(|&(start, end, role)| Mark { span: Span::new(start, end), role }).collect();
        let mut out = Vec::new();
        write(&mut out, &Palette::new(color), body, &marks, 4);
        String::from_utf8(out).expect("escaped")
    }

    #[test]
    fn secrets_are_hidden_and_neighbours_merge() {
        assert_eq!(shown(false, b"a LOGIN b ccc", &[(10, 13, Role::Secret)]), "a LOGIN b <hidden>");
        assert_eq!(shown(false, b"abcdef", &[(0, 2, Role::Secret), (2, 4, Role::Secret)]), "<hidden>ef");
        assert_eq!(shown(false, b"ab", &[(0, 90, Role::Secret)]), "<hidden>", "the line end is a part of it");
        assert_eq!(shown(false, b"a \"\"", &[(3, 3, Role::Secret)]), "a \"<hidden>\"", "not even that it is empty");
        assert_eq!(shown(false, b"abcdef", &[(2, 3, Role::Tag), (1, 5, Role::Secret)]), "abc<hidden>f");
    }

    #[test]
    fn colours_change_only_where_they_differ() {
        let marks = [(0, 2, Role::Verb), (2, 4, Role::Name), (5, 6, Role::Human)];
        assert_eq!(shown(true, b"abcd e", &marks), "\x1b[1mabcd\x1b[0m e");
        assert_eq!(shown(true, b"a\0b", &[(0, 3, Role::Verb)]), "\x1b[1ma\x1b[7m\\x00\x1b[0m\x1b[1mb\x1b[0m");
    }

    #[test]
    fn several_lines_are_indented_with_their_marks() {
        let marks = [(0, 3, Role::Good), (7, 10, Role::Good)];
        assert_eq!(
            shown(true, b"250-a\r\n250 b\nc", &marks),
            "\x1b[32m250\x1b[0m-a\n    \x1b[32m250\x1b[0m b\x1b[7m\\n\x1b[0mc"
        );
    }

    #[test]
    fn a_character_is_not_cut_in_two() {
        assert_eq!(start_of("aé".as_bytes(), 2), b"a");
        assert_eq!(start_of("aé".as_bytes(), 3), "aé".as_bytes());
        assert_eq!(start_of(&[0x80; 9], 5).len(), 2);
        assert_eq!(start_of(b"abc", 0), b"");
    }
}
