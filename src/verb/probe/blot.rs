//! Takes the password out of whatever a server says, in every form in which it was sent: the explainer masks echoes where people
//! read, and here it is taken out of names and values too. Not even its length is told.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::dialect::{Login, Turn, quoted};

/// What is shorter is not looked for, in octets: it would be found everywhere.
const SHORTEST: usize = 4;

/// What stands in the place of a secret until a text is made of the octets, one for each of its octets: spans point at them.
const FILLER: u8 = 0;

/// What stands there in the text.
const HIDDEN: &str = "<hidden>";

/// What must not be shown. Nothing before a login.
#[derive(Default)]
pub struct Blot(Vec<Vec<u8>>);

impl Blot {
    /// For this password, and for what of it is in this login.
    #[must_use]
    pub fn of(login: &Login, password: &[u8]) -> Self {
        let sent = login.turns.iter().flat_map(|turn| {
            let (Turn::Command(line) | Turn::Answer(line)) = turn;
            let words = line.split(|octet| b" \"".contains(octet));
            words.filter(|word| STANDARD.decode(word).is_ok_and(|it| contains(&it, password))).map(<[u8]>::to_vec)
        });
        let quoted = quoted(password);
        let inside = quoted[1..quoted.len() - 1].to_vec();
        let mut all: Vec<_> = sent.chain([password.to_vec(), STANDARD.encode(password).into_bytes(), inside]).collect();
        all.retain(|secret| secret.len() >= SHORTEST);
        // The longest first: a shorter one may be a part of it.
        all.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Blot(all)
    }

    /// Fills all of them.
    pub fn fill(&self, octets: &mut [u8]) {
        for secret in &self.0 {
            let mut at = 0;
            while let Some(found) = octets[at..].windows(secret.len()).position(|window| window == secret) {
                octets[at + found..at + found + secret.len()].fill(FILLER);
                at += found + secret.len();
            }
        }
    }

    /// A text that was made of filled octets, or may have a secret itself.
    #[must_use]
    pub fn tell(&self, text: &str) -> String {
        let mut octets = text.as_bytes().to_vec();
        self.fill(&mut octets);
        let text = String::from_utf8_lossy(&octets);
        let mut out = String::with_capacity(text.len());
        let mut before = false;
        for c in text.chars() {
            let filled = c == char::from(FILLER);
            match filled {
                true if before => {}
                true => out.push_str(HIDDEN),
                false => out.push(c),
            }
            before = filled;
        }
        out
    }
}

/// Fills a part of what is shown.
pub fn fill(part: Option<&mut [u8]>) {
    if let Some(part) = part {
        part.fill(FILLER);
    }
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && octets.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_in_every_form_in_which_it_was_sent() {
        let turns = vec![Turn::Command(b"AUTHENTICATE PLAIN AGEAc2VjXCJyZXQ=".to_vec())];
        let blot = Blot::of(&Login { name: "", turns }, b"sec\\\"ret");
        for text in ["a sec\\\"ret b", "a AGEAc2VjXCJyZXQ= b", "a c2VjXCJyZXQ= b", "a sec\\\\\\\"ret b"] {
            assert_eq!(blot.tell(text), "a <hidden> b", "{text}");
        }
        let mut octets = b"xsec\\\"retsec\\\"rety".to_vec();
        blot.fill(&mut octets);
        assert_eq!(octets.len(), 18);
        assert_eq!(blot.tell(&String::from_utf8(octets).expect("ASCII")), "x<hidden>y");
        assert_eq!(Blot::default().tell("sec"), "sec");
    }
}
