//! Lines to a dot as they were meant: without the dots that were put before lines with one (RFC 5321 section 4.5.2, RFC 1939
//! section 3), and without the dot that ends them.

/// Takes away dots, piece by piece.
#[derive(Debug, Default)]
pub struct Undot {
    place: Place,
}

/// Where the last octet stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// At the start of a line.
    #[default]
    Start,
    /// Behind a dot at the start of a line, which is not passed on.
    Dot,
    /// Behind that dot and a CR, which waits.
    DotCr,
    /// In a line.
    Inside,
    /// Behind a CR in a line.
    Cr,
    /// Behind the last line.
    Over,
}

impl Undot {
    /// Appends what is left of the next octets.
    pub fn put(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some((&octet, more)) = rest.split_first() {
            match (self.place, octet) {
                (Place::Inside, _) => {
                    // The rest of a line in one go.
                    let line = memchr::memchr(b'\r', rest).map_or(rest.len(), |at| at + 1);
                    out.extend_from_slice(&rest[..line]);
                    if rest[line - 1] == b'\r' {
                        self.place = Place::Cr;
                    }
                    rest = &rest[line..];
                    continue;
                }
                (Place::Start, b'.') => self.place = Place::Dot,
                (Place::Dot, b'\r') => self.place = Place::DotCr,
                (Place::DotCr, b'\n') => self.place = Place::Over,
                (Place::Over, _) => {}
                (place, _) => {
                    if place == Place::DotCr {
                        out.push(b'\r');
                    }
                    out.push(octet);
                    self.place = match octet {
                        b'\r' => Place::Cr,
                        b'\n' if matches!(place, Place::Cr) => Place::Start,
                        _ => Place::Inside,
                    };
                }
            }
            rest = more;
        }
    }

    /// Appends what waits, where the lines were cut off.
    pub fn end(self, out: &mut Vec<u8>) {
        if self.place == Place::DotCr {
            out.push(b'\r');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn undotted(octets: &[u8], sizes: &[usize]) -> Vec<u8> {
        let (mut undot, mut out, mut rest) = (Undot::default(), Vec::new(), octets);
        for size in sizes.iter().cycle() {
            let (piece, more) = rest.split_at((*size).min(rest.len()));
            undot.put(piece, &mut out);
            rest = more;
            if rest.is_empty() {
                break;
            }
        }
        undot.end(&mut out);
        out
    }

    /// What a sender makes of a message, line by line.
    fn dotted(message: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        let mut start = true;
        for (at, &octet) in message.iter().enumerate() {
            if start && octet == b'.' {
                sent.push(b'.');
            }
            sent.push(octet);
            start = message[..=at].ends_with(b"\r\n");
        }
        sent.extend_from_slice(b".\r\n");
        sent
    }

    #[test]
    fn only_what_stands_between_crlf_and_crlf_is_an_end() {
        for (sent, meant) in [
            (&b".\r\n"[..], &b""[..]),
            (b"a\r\n.\r\n", b"a\r\n"),
            (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n"),
            (b"a\n.\n..b\r\n.\r\n", b"a\n.\n..b\r\n"),
            (b".a\r\n.\r\n", b"a\r\n"),
            (b".\rb\r\n.\r\n", b"\rb\r\n"),
            (b".\r\r\n.\r\n", b"\r\r\n"),
            (b"cut off", b"cut off"),
            (b"cut\r\n.\r", b"cut\r\n\r"),
        ] {
            assert_eq!(undotted(sent, &[1]).escape_ascii().to_string(), meant.escape_ascii().to_string());
        }
    }

    proptest! {
        #[test]
        fn what_arrives_is_what_was_meant(
            lines in "([.a\r\n]|\r\n){0,30}", sizes in proptest::collection::vec(1..9usize, 1..9)
        ) {
            let message = format!("{lines}\r\n").into_bytes();
            prop_assert_eq!(undotted(&dotted(&message), &sizes), message);
        }
    }
}
