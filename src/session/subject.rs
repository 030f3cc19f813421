//! Finding the subject of a message as its octets pass: the field of its header (RFC 5322 section 3.6.5), with the lines
//! that it is folded over. Looks at the header only, and at no more than [`MAX_SEARCHED`] octets.

use crate::event::MAX_SUBJECT;

/// Octets that are looked at.
const MAX_SEARCHED: usize = 64 * 1024;

/// The field's name, in lower case, with its colon.
const NAME: &[u8] = b"subject:";

/// The search.
#[derive(Debug, Default)]
pub struct Subject {
    found: Vec<u8>,
    place: Place,
    searched: usize,
}

/// Where the last octet stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// So many octets of the line are those of the name.
    Name(usize),
    /// In another field.
    Other,
    /// In the subject.
    Inside,
    /// Behind a line end within the subject, which may go on.
    Folded,
    /// The header is over, or the subject.
    Over,
}

impl Default for Place {
    fn default() -> Self {
        Place::Name(0)
    }
}

impl Subject {
    /// The subject, without line ends and the blank before it; empty if there was none.
    #[must_use]
    pub fn found(&self) -> &[u8] {
        self.found.trim_ascii()
    }

    /// Takes the next octets of the message.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.place == Place::Over {
            return;
        }
        let room = MAX_SEARCHED - self.searched;
        self.searched += bytes.len().min(room);
        for &byte in &bytes[..bytes.len().min(room)] {
            self.place = self.step(byte);
            if self.place == Place::Over {
                return;
            }
        }
        if self.searched == MAX_SEARCHED {
            self.place = Place::Over;
        }
    }

    fn step(&mut self, byte: u8) -> Place {
        match (self.place, byte) {
            // An empty line ends the header.
            (Place::Name(0), b'\n') => Place::Over,
            (Place::Name(0), b'\r') => Place::Name(0),
            (Place::Name(n), byte) if NAME.get(n) == Some(&byte.to_ascii_lowercase()) => {
                if n + 1 == NAME.len() {
                    Place::Inside
                } else {
                    Place::Name(n + 1)
                }
            }
            (Place::Name(_) | Place::Other, b'\n') => Place::Name(0),
            (Place::Name(_) | Place::Other, _) => Place::Other,
            (Place::Inside, b'\n') => Place::Folded,
            (Place::Folded, byte) if byte != b' ' && byte != b'\t' => Place::Over,
            (Place::Inside | Place::Folded, byte) => {
                if byte != b'\r' {
                    self.found.push(byte);
                }
                if self.found.len() == MAX_SUBJECT { Place::Over } else { Place::Inside }
            }
            (Place::Over, _) => Place::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(message: &[u8], step: usize) -> String {
        let mut search = Subject::default();
        message.chunks(step).for_each(|chunk| search.feed(chunk));
        String::from_utf8_lossy(search.found()).into_owned()
    }

    #[test]
    fn the_subject_is_found_however_it_is_cut() {
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(
                subject(b"From: a\r\nSUBJECT:  hello\r\n there\r\nTo: b\r\n\r\nSubject: no\r\n", step),
                "hello there"
            );
            assert_eq!(subject(b"Subject:\r\n\tfolded\r\n\r\n", step), "folded");
            assert_eq!(subject(b"X-Subject: no\r\nsubject : no\r\n\r\nSubject: body\r\n", step), "");
            assert_eq!(subject(b"\r\nSubject: body\r\n", step), "");
            assert_eq!(subject(b"From: a\nSubject: bare line ends\n\nx", step), "bare line ends");
        }
    }

    #[test]
    fn it_is_bounded() {
        let long = [b"Subject: ".as_slice(), &b"x".repeat(100_000)].concat();
        assert_eq!(subject(&long, 4096).len(), MAX_SUBJECT - 1);
        let late = [&b"A: b\r\n".repeat(20_000)[..], b"Subject: late\r\n"].concat();
        assert_eq!(subject(&late, 4096), "");
    }
}
