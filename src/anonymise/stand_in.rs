//! Stand-ins: a word in, another of the same length and shape out, always the same for the same word. What decides is a
//! keyed hash (HMAC-SHA-256), for names are guessable: whoever lacks the key cannot try them. No two words have one stand-in
//! where there is room for that, as far as [`MAX_WORDS`] are remembered.

use std::collections::{HashMap, HashSet};

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// So many words are remembered, to keep their stand-ins apart. Beyond that two may have the same.
pub const MAX_WORDS: usize = 64 * 1024;

/// Longer words are not remembered: chance alone keeps theirs apart.
const MAX_LONG: usize = 64;

/// So many stand-ins are tried for a word.
const ATTEMPTS: u8 = 16;

const CONSONANTS: &[u8] = b"bcdfghjklmnprstvwz";
const VOWELS: &[u8] = b"aeiou";

/// What makes the stand-ins of one run different from those of all others.
pub struct Key(hmac::Key);

impl Key {
    /// A key that nobody knows. `None` if the system gives no random numbers.
    #[must_use]
    pub fn random() -> Option<Self> {
        let mut secret = [0; 32];
        SystemRandom::new().fill(&mut secret).ok()?;
        Some(Key(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// The key that this text makes: with it, the same words have the same stand-ins again.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        Key(hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()))
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

/// The words that were replaced so far. Its `Debug` output shows how many.
pub struct StandIns {
    key: Key,
    known: HashMap<Box<[u8]>, Box<[u8]>>,
    taken: HashSet<Box<[u8]>>,
    /// Words that mean something to a protocol, or stand where they are: no stand-in is one of them.
    reserved: HashSet<Box<[u8]>>,
    /// Words that name a user or a mailbox, although they may be words of the protocol: in human text they are names, too.
    learned: HashSet<Box<[u8]>>,
    learning: bool,
}

impl std::fmt::Debug for StandIns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StandIns {{ words: {} }}", self.known.len())
    }
}

impl StandIns {
    /// None so far.
    #[must_use]
    pub fn new(key: Key) -> Self {
        StandIns {
            key,
            known: HashMap::new(),
            taken: HashSet::new(),
            reserved: HashSet::new(),
            learned: HashSet::new(),
            learning: false,
        }
    }

    /// No stand-in will be one of these words, which are in lower case.
    pub fn reserve<'a>(&mut self, words: impl Iterator<Item = &'a [u8]>) {
        self.reserved.extend(words.map(Box::from));
    }

    /// Begins or ends learning of the words that are replaced: what names a user or a mailbox names it in human text, too.
    pub const fn begin_learning(&mut self, learning: bool) {
        self.learning = learning;
    }

    /// Remembers the words of these bytes as names, [`MAX_WORDS`] of all at most.
    pub fn learn(&mut self, bytes: &[u8]) {
        for word in bytes.split(|b| !b.is_ascii_alphanumeric() && *b < 0x80).filter(|word| !word.is_empty()) {
            if word.len() <= MAX_LONG && self.learned.len() < MAX_WORDS {
                self.learned.insert(word.to_ascii_lowercase().into());
            }
        }
    }

    /// Returns true if words are being learned.
    pub const fn is_learning(&self) -> bool {
        self.learning
    }

    /// Returns true for a word that was learned.
    #[must_use]
    pub fn is_learned(&self, word: &[u8]) -> bool {
        !self.learned.is_empty() && word.len() <= MAX_LONG && self.learned.contains(&*word.to_ascii_lowercase())
    }

    /// Puts its stand-in in the place of a word: letters, digits, octets above 127. Upper case stays where it was.
    pub fn replace(&mut self, word: &mut [u8]) {
        let lower = word.to_ascii_lowercase();
        if self.learning {
            self.learn(&lower);
        }
        let new = match self.known.get(&*lower) {
            Some(known) => known.clone(),
            None => self.find(&lower),
        };
        for (old, new) in word.iter_mut().zip(&*new) {
            *old = if old.is_ascii_uppercase() { new.to_ascii_uppercase() } else { *new };
        }
    }

    fn find(&mut self, word: &[u8]) -> Box<[u8]> {
        let short = word.len() < 2;
        let mut spare = None;
        let mut found = None;
        for attempt in 0..ATTEMPTS {
            let new = self.draw(word, attempt);
            if new == word || !short && self.reserved.contains(&*new) {
                continue;
            }
            if !self.taken.contains(&*new) {
                found = Some(new);
                break;
            }
            spare.get_or_insert(new);
        }
        // There are not enough short words for all: rather two with one stand-in than one that means something.
        let new: Box<[u8]> = found.or(spare).unwrap_or_else(|| self.draw(word, 0)).into();
        if word.len() <= MAX_LONG && self.known.len() < MAX_WORDS {
            self.taken.insert(new.clone());
            self.known.insert(word.into(), new.clone());
        }
        new
    }

    /// One possible stand-in.
    fn draw(&self, word: &[u8], attempt: u8) -> Vec<u8> {
        let mut dice = Dice { key: &self.key.0, word, attempt, page: 0, bytes: Vec::new() };
        let mut new = Vec::with_capacity(word.len());
        let vowel_first = usize::from(dice.below(2) == 0);
        let number = word.iter().all(u8::is_ascii_digit);
        for chunk in word.utf8_chunks() {
            for letter in chunk.valid().chars() {
                let place = new.len();
                match letter.len_utf8() {
                    1 if letter.is_ascii_digit() => {
                        new.push(digit(letter, number && place == 0, word.len(), &mut dice))
                    }
                    1 if place % 2 == vowel_first => new.push(dice.of(VOWELS)),
                    1 => new.push(dice.of(CONSONANTS)),
                    // The small letters of Latin-1, hiragana, faces: anything that is as long and looks like a letter.
                    2 => push(&mut new, 0xE0 + dice.below(16)),
                    3 => push(&mut new, 0x3042 + dice.below(80)),
                    _ => push(&mut new, 0x1F600 + dice.below(64)),
                }
            }
            // Octets that are in no encoding stay so.
            new.extend(chunk.invalid().iter().map(|_| 0xF8 + dice.below(8) as u8));
        }
        new
    }
}

fn push(word: &mut Vec<u8>, letter: u32) {
    let letter = char::from_u32(letter).unwrap_or('?');
    word.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
}

/// A digit for a digit. A number keeps a zero at its beginning; one of three digits is below 200, so that addresses of IPv4 are.
fn digit(old: char, first: bool, len: usize, dice: &mut Dice<'_>) -> u8 {
    match (first, old) {
        (true, '0') => b'0',
        (true, _) if len == 3 => b'1',
        (true, _) => b'1' + dice.below(9) as u8,
        _ => b'0' + dice.below(10) as u8,
    }
}

/// Numbers that follow from key and word.
struct Dice<'a> {
    key: &'a hmac::Key,
    word: &'a [u8],
    attempt: u8,
    page: u32,
    bytes: Vec<u8>,
}

impl Dice<'_> {
    fn below(&mut self, end: u32) -> u32 {
        if self.bytes.is_empty() {
            let mut hash = hmac::Context::with_key(self.key);
            hash.update(&[self.attempt]);
            hash.update(&self.page.to_be_bytes());
            hash.update(self.word);
            self.bytes = hash.sign().as_ref().to_vec();
            self.page += 1;
        }
        u32::from(self.bytes.pop().unwrap_or_default()) % end
    }

    fn of(&mut self, letters: &[u8]) -> u8 {
        letters[self.below(letters.len() as u32) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(names: &mut StandIns, word: &str) -> String {
        let mut bytes = word.as_bytes().to_vec();
        names.replace(&mut bytes);
        String::from_utf8(bytes).expect("UTF-8 stays UTF-8")
    }

    #[test]
    fn the_same_word_gives_the_same_stand_in_of_the_same_shape() {
        let mut names = StandIns::new(Key::of_text("k"));
        for word in ["alice", "Alice", "ALICE", "x", "Müller", "2024", "007", "a1b2", "日本語", "🙂"] {
            let new = replaced(&mut names, word);
            assert_eq!(new, replaced(&mut names, word));
            assert_eq!(new.len(), word.len());
            let shape = |text: &str| -> Vec<_> {
                text.chars().map(|c| (c.len_utf8(), c.is_ascii_digit(), c.is_ascii_uppercase())).collect()
            };
            assert_eq!(shape(&new), shape(word), "{word} {new}");
        }
        assert_eq!(replaced(&mut names, "ALICE"), replaced(&mut names, "alice").to_uppercase());
        let mut again = StandIns::new(Key::of_text("k"));
        assert_eq!(replaced(&mut names, "Müller"), replaced(&mut again, "Müller"));
        let mut other = StandIns::new(Key::random().expect("the system has random numbers"));
        let both: Vec<_> = ["consequence", "Projektplanung"]
            .iter()
            .map(|word| (replaced(&mut names, word), replaced(&mut other, word)))
            .collect();
        assert!(both.iter().all(|(a, b)| a != b), "{both:?}");
    }

    #[test]
    fn stand_ins_are_apart_from_each_other_and_from_what_is_reserved() {
        let mut names = StandIns::new(Key::of_text("k"));
        names.reserve([&b"no"[..], b"ok"].into_iter());
        let mut seen = HashSet::new();
        for n in 0..20_000 {
            let word = format!("w{n:05}x");
            let new = replaced(&mut names, &word);
            assert_ne!(new, word);
            assert!(seen.insert(new), "{word}");
        }
        for a in b'a'..=b'z' {
            for b in b'a'..=b'z' {
                let new = replaced(&mut names, std::str::from_utf8(&[a, b]).expect("ASCII"));
                assert!(new != "no" && new != "ok");
            }
        }
    }

    #[test]
    fn memory_is_bounded_and_what_is_no_text_stays_none() {
        let mut names = StandIns::new(Key::of_text("k"));
        for n in 0..MAX_WORDS + 1000 {
            names.replace(&mut format!("name{n}").into_bytes());
        }
        assert_eq!(names.known.len(), MAX_WORDS);
        let mut long = vec![b'q'; 100_000];
        names.replace(&mut long);
        assert!(long.iter().all(u8::is_ascii_lowercase) && !long.starts_with(b"qqqq"));
        let mut broken = b"a\xffb\xc3".to_vec();
        names.replace(&mut broken);
        assert!(broken.len() == 4 && std::str::from_utf8(&broken).is_err());
    }
}
