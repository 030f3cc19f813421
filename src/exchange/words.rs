//! Words in one piece of memory: a connection remembers many short names for a long time, and a thousand connections
//! should not cost an allocation for each of them.

/// Words in the order in which they came, each once in any case. The caller sees to it that they are few and short.
#[derive(Debug, Clone, Default)]
pub struct Words {
    /// Each with a line feed behind it, which no word of a line can hold.
    text: String,
    count: usize,
}

impl Words {
    /// Adds a word; false if it was there already, is empty, or is no word.
    pub fn add(&mut self, word: &str) -> bool {
        if word.is_empty() || word.contains('\n') || self.has(word) {
            return false;
        }
        self.text.reserve_exact(word.len() + 1);
        self.text.push_str(word);
        self.text.push('\n');
        self.count += 1;
        true
    }

    /// True if the word is there, in any case.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.iter().any(|known| known.eq_ignore_ascii_case(word))
    }

    /// The words.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator('\n')
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many octets they have together.
    #[must_use]
    pub const fn octets(&self) -> usize {
        self.text.len() - self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_there_once_in_any_case() {
        let mut words = Words::default();
        assert!(words.add("IDLE") && words.add("UID FETCH") && words.add("ID"));
        assert!(!words.add("idle") && !words.add("") && !words.add("a\nb"));
        assert!(words.has("id") && !words.has("FETCH"));
        assert_eq!(words.iter().collect::<Vec<_>>(), ["IDLE", "UID FETCH", "ID"]);
        assert_eq!((words.count(), words.octets()), (3, 15));
    }
}
