//! What a connection makes use of: each capability with its first use, and where it was used last. Bounded:
//! [`MAX_USED`] capabilities, with names of [`MAX_NAME`] bytes and first uses of [`MAX_BY`] bytes at most.

use crate::event::Used;

/// Maximum number of capabilities whose use is remembered.
pub const MAX_USED: usize = 256;

/// Maximum length of a name that is remembered, in bytes.
pub const MAX_NAME: usize = 64;

/// Maximum length of the words that say what the first use was, in bytes.
pub const MAX_BY: usize = 64;

/// Where something is used: in a text, on behalf of a command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Site<'a> {
    /// The frame of the text.
    pub frame: u64,
    /// The frame of the command, which is the text's own where that is a command.
    pub command: u64,
    /// The command's tag; empty without one, and for one that is hidden.
    pub tag: &'a str,
    /// The command's verb.
    pub verb: &'a str,
}

impl Site<'_> {
    /// The use in words: `t3 UID SEARCH RETURN`.
    fn words(&self, what: &str) -> String {
        let what = if what.eq_ignore_ascii_case(self.verb) { "" } else { what };
        // A phrase names the command itself: `an extended LIST`.
        let verb = if what.strip_suffix(self.verb).is_some_and(|rest| rest.ends_with(' ')) { "" } else { self.verb };
        let words = [self.tag, verb, what].into_iter().filter(|word| !word.is_empty());
        let mut all = words.collect::<Vec<_>>().join(" ");
        while all.len() > MAX_BY {
            all.pop();
        }
        all
    }
}

/// The capabilities in use, in the order of their first use.
#[derive(Debug, Default)]
pub struct Uses {
    entries: Vec<Entry>,
    /// How many of them are no news.
    told: usize,
}

/// A capability in use.
#[derive(Debug)]
struct Entry {
    /// The name, a line feed, and the first use.
    text: Box<str>,
    /// A list that the client got has it. Without a list nobody knows, and it is suspected all the same.
    offered: bool,
    /// The frame of the first use.
    frame: u64,
    /// The frame of the last command that used it.
    last: u64,
}

impl Entry {
    fn parts(&self) -> (&str, &str) {
        self.text.split_once('\n').unwrap_or((&self.text, ""))
    }
}

impl Uses {
    /// Takes note that a capability is used. `what`: the feature that needs it, as it is called in words.
    pub fn add(&mut self, name: &str, what: &str, offered: bool, site: Site<'_>) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.parts().0.eq_ignore_ascii_case(name)) {
            entry.last = entry.last.max(site.command);
            entry.offered |= offered;
            return;
        }
        if self.entries.len() >= MAX_USED || name.is_empty() || name.len() > MAX_NAME || name.contains('\n') {
            return;
        }
        let text = format!("{name}\n{}", site.words(what)).into();
        self.entries.reserve_exact(1);
        self.entries.push(Entry { text, offered, frame: site.frame, last: site.command });
    }

    /// A list came that offers some of what was used before any did.
    pub fn offer(&mut self, offered: impl Fn(&str) -> bool) {
        for entry in self.entries.iter_mut().filter(|entry| !entry.offered) {
            entry.offered = offered(entry.parts().0);
        }
    }

    /// Returns the names of what was offered and is used for the first time since the last call.
    pub fn news(&mut self) -> Vec<&str> {
        let from = std::mem::replace(&mut self.told, self.entries.len());
        let new = self.entries[from..].iter().filter(|entry| entry.offered);
        new.map(|entry| entry.parts().0).collect()
    }

    /// Returns true if this capability was offered and is in use, by name in any case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|entry| entry.offered && entry.parts().0.eq_ignore_ascii_case(name))
    }

    /// Returns what was offered and is in use, in the order of the first use.
    #[must_use]
    pub fn offered(&self) -> Vec<Used> {
        let offered = self.entries.iter().filter(|entry| entry.offered);
        let used = |entry: &Entry| {
            let (name, by) = entry.parts();
            Used { name: name.to_owned(), frame: entry.frame, by: by.to_owned() }
        };
        offered.map(used).collect()
    }

    /// Returns all that is in use, offered or suspected, with what the first use was: what the command of this frame uses first,
    /// then what was used last.
    #[must_use]
    pub fn suspects(&self, command: u64) -> Vec<(&str, &str, bool)> {
        let mut entries: Vec<&Entry> = self.entries.iter().collect();
        // What ENABLE enables is more suspect than ENABLE.
        let named = |entry: &Entry| !entry.parts().0.eq_ignore_ascii_case("ENABLE");
        entries.sort_by_key(|entry| std::cmp::Reverse((entry.last == command, entry.last, named(entry))));
        let suspects = entries.into_iter().map(|entry| (entry.parts(), entry.last == command));
        suspects.map(|((name, by), just)| (name, by, just)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(frame: u64, verb: &str) -> Site<'_> {
        Site { frame, command: frame, tag: "t3", verb }
    }

    #[test]
    fn the_first_use_is_kept_and_the_last_is_suspected() {
        let mut uses = Uses::default();
        uses.add("ESEARCH", "RETURN", true, site(3, "UID SEARCH"));
        uses.add("MOVE", "UID MOVE", true, site(5, "UID MOVE"));
        uses.add("CONDSTORE", "MODSEQ", false, site(5, "FETCH"));
        assert_eq!(uses.news(), ["ESEARCH", "MOVE"]);
        uses.add("esearch", "RETURN", true, site(9, "SEARCH"));
        assert!(uses.news().is_empty() && uses.has("Move"));
        let used = uses.offered();
        assert_eq!((used[0].name.as_str(), used[0].frame, used[0].by.as_str()), ("ESEARCH", 3, "t3 UID SEARCH RETURN"));
        assert_eq!(site(1, "LIST").words("an extended LIST"), "t3 an extended LIST");
        assert_eq!((used.len(), used[1].by.as_str()), (2, "t3 UID MOVE"));
        let names: Vec<_> = uses.suspects(5).into_iter().map(|(name, _, just)| (name, just)).collect();
        assert_eq!(names, [("MOVE", true), ("CONDSTORE", true), ("ESEARCH", false)]);
    }

    #[test]
    fn it_is_bounded() {
        let mut uses = Uses::default();
        for n in 0..2 * MAX_USED {
            uses.add(&format!("X{n}"), &"ä".repeat(MAX_BY), true, site(n as u64, "NOOP"));
        }
        uses.add(&"x".repeat(MAX_NAME + 1), "x", true, site(1, "NOOP"));
        assert_eq!(uses.offered().len(), MAX_USED);
        assert!(uses.offered().iter().all(|used| used.by.len() <= MAX_BY));
    }
}
