//! Bytes in which a secret may be repeated, taken apart: words, and what the base64 among them means. Any bytes, linear in them.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Base64 as peers write it: padded or not, whatever the last bits are.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Returns the bytes that base64 means, with blanks around it or none. `None` for what is not base64.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    LENIENT.decode(text.trim_ascii()).ok()
}

/// Returns true for a letter of base64, `=` included.
#[must_use]
pub const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

/// Returns what each run of at least this many letters of base64 means, in order, where it means anything. `=` ends a run.
pub fn meanings(bytes: &[u8], least: usize) -> impl Iterator<Item = Vec<u8>> {
    let runs = bytes.split(|&byte| !is_base64(byte) || byte == b'=');
    runs.filter(move |run| run.len() >= least).filter_map(decode)
}

/// Returns the words of at least this many bytes: what is between blanks, quotes and control characters, with which messages of
/// SASL separate their fields too.
pub fn words(bytes: &[u8], least: usize) -> impl Iterator<Item = &[u8]> {
    let words = bytes.split(|&byte| byte <= b' ' || byte == b'"');
    words.filter(move |word| word.len() >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_found_among_anything_and_words_between_what_separates() {
        let line = b"AUTH PLAIN \"AGFsaWNlAGthbmFyaWU3Nw==\" x=a2FuYXJpZTc3, a/b";
        let said: Vec<_> = meanings(line, 8).collect();
        assert_eq!(said, [&b"\0alice\0kanarie77"[..], b"kanarie77"]);
        assert_eq!(words(&said[0], 4).collect::<Vec<_>>(), [&b"alice"[..], b"kanarie77"]);
        assert_eq!(words(b"a \"pass word\"\r\n\x01auth", 4).collect::<Vec<_>>(), [&b"pass"[..], b"word", b"auth"]);
        assert_eq!(
            (decode(b" YQ== "), decode(b"YQ"), decode(b"a b")),
            (Some(b"a".to_vec()), Some(b"a".to_vec()), None)
        );
        assert!(meanings(b"", 0).next().is_none_or(|said| said.is_empty()) && words(b"", 1).next().is_none());
    }
}
