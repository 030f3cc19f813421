//! Names as people spell them: what in the place of a user's name is hardly a password. Sees bytes only.

/// Maximum length of a name, in bytes (RFC 4616 section 2).
pub const MAX_NAME: usize = 255;

/// Maximum length of a plain word, in bytes: what is longer may be a token.
const MAX_WORD: usize = 32;

/// How much a word looks like a name and not like a password, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spelling {
    /// Digits, capitals or signs in it: a name or a password.
    Any,
    /// Letters, of which only the first may be a capital; at most two such words, with a dot or a low line between them.
    Word,
    /// An address with a domain.
    Address,
}

/// Returns true for what can be a user's name: 1 to [`MAX_NAME`] bytes of UTF-8 without white space and control characters.
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    let fits = (1..=MAX_NAME).contains(&name.len());
    fits && std::str::from_utf8(name).is_ok_and(|text| !text.contains(|c: char| c.is_whitespace() || c.is_control()))
}

/// Returns how a name is spelled; anything that is no name is [`Spelling::Any`].
#[must_use]
pub fn spelling(name: &[u8]) -> Spelling {
    let Some(name) = std::str::from_utf8(name).ok().filter(|name| is_name(name.as_bytes())) else {
        return Spelling::Any;
    };
    if is_address(name) {
        Spelling::Address
    } else if name.len() <= MAX_WORD && name.split(['.', '_']).all(is_word) && name.split(['.', '_']).nth(2).is_none() {
        Spelling::Word
    } else {
        Spelling::Any
    }
}

fn is_word(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_alphabetic) && letters.all(|c| c.is_alphabetic() && !c.is_uppercase())
}

fn is_address(name: &str) -> bool {
    let Some((local, domain)) = name.split_once('@') else { return false };
    let local_fits = local.starts_with(|c: char| c.is_ascii_alphanumeric())
        && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let Some((_, top)) = domain.rsplit_once('.') else { return false };
    let top_fits = top.len() >= 2 && top.bytes().all(|b| b.is_ascii_alphabetic());
    local_fits && top_fits && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_told_apart_by_their_spelling() {
        for (name, want) in [
            ("alice", Spelling::Word),
            ("Alice", Spelling::Word),
            ("alice.smith", Spelling::Word),
            ("jörg_weiß", Spelling::Word),
            ("u", Spelling::Word),
            ("bob@example.org", Spelling::Address),
            ("bob.x+tag-1@mail-1.example.org", Spelling::Address),
            ("bob42", Spelling::Any),
            ("hunter2", Spelling::Any),
            ("hunTer", Spelling::Any),
            ("PASSWORD", Spelling::Any),
            ("correct-horse", Spelling::Any),
            ("correct.horse.battery", Spelling::Any),
            ("a.", Spelling::Any),
            ("p@ssword", Spelling::Any),
            ("p@ss.w0rd", Spelling::Any),
            ("a@b@c.org", Spelling::Any),
            ("al ice", Spelling::Any),
            ("", Spelling::Any),
            (&"x".repeat(33), Spelling::Any),
        ] {
            assert_eq!(spelling(name.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn a_name_has_no_blanks_and_an_end() {
        assert!(is_name(b"bob42!") && is_name("käthe".as_bytes()) && is_name(&[b'x'; MAX_NAME]));
        for no in [&b""[..], b"a b", b"a\tb", b"a\0b", b"a\xff", "a\u{a0}b".as_bytes(), &[b'x'; MAX_NAME + 1]] {
            assert!(!is_name(no), "{}", no.escape_ascii());
        }
    }
}
