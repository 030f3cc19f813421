//! Lines to a dot: where a message ends (RFC 5321 section 4.1.1.4, RFC 1939 section 3), and where another peer could
//! think that it ends. Sees octets one after the other, keeps none of them.

use memchr::memchr2;

use crate::event::{FalseEnd, LineEnd};

/// So many false ends are remembered.
pub const MAX_FALSE: usize = 4;

/// Returns the position of the byte after a false end whose dot is at `at`. A recording may claim any position.
#[must_use]
pub const fn behind(end: FalseEnd, at: u64) -> u64 {
    at.saturating_add(if matches!(end.after, LineEnd::CrLf) { 3 } else { 2 })
}

/// The search for the end of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dot {
    /// Octets so far.
    len: u64,
    place: Place,
    /// Any line end will do (POP3), not CRLF alone.
    lenient: bool,
    found: [Option<(FalseEnd, u64)>; MAX_FALSE],
}

/// Where the last octet stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a line.
    Inside,
    /// Behind a CR that may be followed by LF.
    Cr,
    /// At the start of a line, after this line end.
    Start(LineEnd),
    /// Behind a dot that begins a line.
    Dot(LineEnd),
    /// Behind such a dot and a CR.
    DotCr(LineEnd),
}

impl Dot {
    /// Only CRLF, a dot and CRLF end it: a message that a client sends.
    #[must_use]
    pub const fn strict() -> Self {
        Dot { len: 0, place: Place::Start(LineEnd::CrLf), lenient: false, found: [None; MAX_FALSE] }
    }

    /// A dot on any line of its own ends it: what a server sends.
    #[must_use]
    pub const fn lenient() -> Self {
        Dot { lenient: true, ..Dot::strict() }
    }

    /// What may be taken for its end and is not, each with the octet at which its dot stands.
    pub fn false_ends(&self) -> impl Iterator<Item = (FalseEnd, u64)> {
        self.found.into_iter().flatten()
    }

    /// What ends with the last octet if the other peer takes a CR for the end of a line; the next octet decides for the standard.
    #[must_use]
    pub fn pending(&self) -> Option<(FalseEnd, u64)> {
        match self.place {
            Place::DotCr(before) => Some((FalseEnd { before, after: LineEnd::Cr }, self.len.saturating_sub(2))),
            _ => None,
        }
    }

    /// Takes octets up to the end of the message: how many, and whether that is its end.
    pub fn feed(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while at < bytes.len() {
            if self.place == Place::Inside {
                match memchr2(b'\r', b'\n', &bytes[at..]) {
                    Some(step) => at += step,
                    None => break,
                }
            }
            let byte = bytes[at];
            at += 1;
            if self.step(byte, self.len + at as u64) {
                self.len += at as u64;
                return (at, true);
            }
        }
        self.len += bytes.len() as u64;
        (bytes.len(), false)
    }

    /// Takes one octet, the `nth` of the message from 1; true if it was the last.
    fn step(&mut self, byte: u8, nth: u64) -> bool {
        let (place, over) = match (self.place, byte) {
            (Place::Cr, b'\n') => (Place::Start(LineEnd::CrLf), false),
            (Place::Cr, b'.') => (Place::Dot(LineEnd::Cr), false),
            (Place::Start(before), b'.') => (Place::Dot(before), false),
            (Place::Dot(before), b'\r') => (Place::DotCr(before), false),
            (Place::Dot(before), b'\n') => {
                (Place::Start(LineEnd::Lf), self.ends(FalseEnd { before, after: LineEnd::Lf }, nth - 1))
            }
            (Place::DotCr(before), b'\n') => {
                (Place::Start(LineEnd::CrLf), self.ends(FalseEnd { before, after: LineEnd::CrLf }, nth - 2))
            }
            (Place::DotCr(before), byte) => {
                self.ends(FalseEnd { before, after: LineEnd::Cr }, nth - 2);
                let place = match byte {
                    b'\r' => Place::Cr,
                    b'.' => Place::Dot(LineEnd::Cr),
                    _ => Place::Inside,
                };
                (place, false)
            }
            (_, b'\r') => (Place::Cr, false),
            (_, b'\n') => (Place::Start(LineEnd::Lf), false),
            _ => (Place::Inside, false),
        };
        self.place = place;
        over
    }

    /// A dot stands alone on a line, it is the octet `nth` of the message: true if that is the end.
    fn ends(&mut self, end: FalseEnd, nth: u64) -> bool {
        let clean = end.before == LineEnd::CrLf && end.after == LineEnd::CrLf;
        if clean || (self.lenient && end.after != LineEnd::Cr && end.before != LineEnd::Cr) {
            return true;
        }
        if !self.lenient
            && let Some(free) = self.found.iter_mut().find(|it| it.is_none())
        {
            *free = Some((end, nth - 1));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the message ends, and what was taken for false ends, the same in every segmentation.
    fn search(dot: Dot, bytes: &[u8]) -> (Option<usize>, Vec<(String, u64)>) {
        let run = |step: usize| {
            let mut dot = dot;
            let mut at = 0;
            while at < bytes.len() {
                let (n, done) = dot.feed(&bytes[at..(at + step).min(bytes.len())]);
                at += n;
                if done {
                    return (Some(at), dot);
                }
            }
            (None, dot)
        };
        let (end, whole) = run(bytes.len());
        for step in 1..6 {
            assert_eq!(run(step), (end, whole), "{step} octets at a time");
        }
        let name = |end: FalseEnd| format!("{}.{}", end.before.word(), end.after.word());
        (end, whole.false_ends().map(|(end, at)| (name(end), at)).collect())
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message_of_the_client() {
        assert_eq!(search(Dot::strict(), b".\r\nNOOP"), (Some(3), vec![]));
        assert_eq!(search(Dot::strict(), b"a\r\n.\r\n"), (Some(6), vec![]));
        assert_eq!(search(Dot::strict(), b"a\r\n..\r\n.a\r\n. \r\n"), (None, vec![]));
        let named = |name: &str, at| vec![(name.to_owned(), at)];
        assert_eq!(search(Dot::strict(), b"a\n.\nb\r\n.\r\n"), (Some(10), named("LF.LF", 2)));
        assert_eq!(search(Dot::strict(), b"a\n.\r\nb"), (None, named("LF.CRLF", 2)));
        assert_eq!(search(Dot::strict(), b"a\r\n.\nb"), (None, named("CRLF.LF", 3)));
        assert_eq!(search(Dot::strict(), b"a\r.\rb"), (None, named("CR.CR", 2)));
        assert_eq!(search(Dot::strict(), b"a\r.\r\nb"), (None, named("CR.CRLF", 2)));
        assert_eq!(search(Dot::strict(), b"a\r\n.\r.\r\n"), (None, vec![("CRLF.CR".into(), 3), ("CR.CRLF".into(), 5)]));
    }

    #[test]
    fn a_dot_before_cr_is_pending() {
        for (octets, before) in [(&b"a\r.\r"[..], LineEnd::Cr), (b"ab\n.\r", LineEnd::Lf), (b"a\r\n.\r", LineEnd::CrLf)]
        {
            let mut dot = Dot::strict();
            assert_eq!(dot.feed(octets), (octets.len(), false));
            assert_eq!(dot.pending(), Some((FalseEnd { before, after: LineEnd::Cr }, octets.len() as u64 - 2)));
            dot.feed(b"x");
            assert_eq!(dot.pending(), None);
        }
    }

    #[test]
    fn a_message_of_the_server_may_end_its_lines_with_lf() {
        assert_eq!(search(Dot::lenient(), b"a\n.\nb"), (Some(4), vec![]));
        assert_eq!(search(Dot::lenient(), b"a\r\n.\n"), (Some(5), vec![]));
        assert_eq!(search(Dot::lenient(), b"..\r\n.a\r\n-ERR\r\n.\r\n"), (Some(17), vec![]));
    }

    #[test]
    fn false_ends_are_bounded() {
        let (_, found) = search(Dot::strict(), &b"\n.\n".repeat(100));
        assert_eq!(found.len(), MAX_FALSE);
    }
}
