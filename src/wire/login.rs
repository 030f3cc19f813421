//! The first command that logs in, among bytes that may be commands: what a server reads after the false end of a message. Line by
//! line, in any segmentation; keeps one word.

/// The longest verb that is compared, in bytes.
const VERB: usize = 32;

/// The search for a login.
#[derive(Debug, Clone, Default)]
pub struct Login {
    word: Vec<u8>,
    /// Behind the first word of a line.
    behind: bool,
    found: bool,
}

impl Login {
    /// Takes bytes that go on where the last ones ended, at first at the beginning of a line. Returns where what may be credentials
    /// begins: after the verb of the first login, and from then on everywhere. `logs_in` knows the verbs.
    pub fn feed(&mut self, bytes: &[u8], logs_in: &dyn Fn(&[u8]) -> bool) -> Option<usize> {
        if self.found {
            return Some(0);
        }
        for (at, &byte) in bytes.iter().enumerate() {
            let ends = matches!(byte, b'\r' | b'\n');
            if !ends && (self.behind || !matches!(byte, b' ' | b'\t')) {
                self.behind |= self.word.len() == VERB;
                if !self.behind {
                    self.word.push(byte);
                }
                continue;
            }
            if self.word.is_empty() {
                continue;
            }
            if !self.behind && logs_in(&self.word) {
                self.found = true;
                return Some(at);
            }
            self.behind = !ends;
            if ends {
                self.word.clear();
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_found_at_the_beginning_of_a_line_in_any_segmentation() {
        let logs_in = |verb: &[u8]| verb.eq_ignore_ascii_case(b"AUTH");
        for (bytes, want) in [
            ("AUTH PLAIN x", Some(4)),
            ("MAIL FROM:<a>\r\nauth PLAIN x", Some(19)),
            (" \tAUTH PLAIN", Some(6)),
            ("AUTH\r\nx", Some(4)),
            ("\n\rAUTH x", Some(6)),
            ("an AUTH PLAIN\r\nAUTHOR x\r\n", None),
            ("AUTH", None),
            ("", None),
        ] {
            for step in 1..=bytes.len().max(1) {
                let (mut login, mut at, mut found) = (Login::default(), 0, None);
                for chunk in bytes.as_bytes().chunks(step) {
                    found = found.or_else(|| login.feed(chunk, &logs_in).map(|place| at + place));
                    at += chunk.len();
                }
                assert_eq!(found, want, "{bytes:?}, {step} bytes at a time");
            }
        }
        let mut login = Login::default();
        assert_eq!(login.feed(&[b'A'; 100_000], &logs_in), None);
        assert!(login.word.capacity() <= 2 * VERB, "one word is kept");
    }
}
