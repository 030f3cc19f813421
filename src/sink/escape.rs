//! Makes octets of a peer safe to show: what is printable stays as it is, the rest becomes `\r`, `\x1b`, `\u{202e}`.
//!
//! Nothing that steers a terminal, hides text or turns its direction passes. The printable ASCII of ordinary
//! traffic goes through in runs, at the speed of a copy.

/// The octets that dress a run of escapes, so that they stand out from what was really sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dress<'a> {
    /// Before a run of escapes.
    pub on: &'a [u8],
    /// After it.
    pub off: &'a [u8],
    /// After `off`: what puts the style of the surrounding text back.
    pub back: &'a [u8],
}

/// How many octets of `bytes`, from its start, are printable ASCII.
#[must_use]
pub fn printable(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let mut len = 0;
    for block in bytes.chunks_exact(BLOCK) {
        // Without an early exit the compiler turns this into a few vector instructions.
        if block.iter().fold(false, |odd, &byte| odd | is_odd(byte)) {
            break;
        }
        len += BLOCK;
    }
    len + bytes[len..].iter().position(|&byte| is_odd(byte)).unwrap_or(bytes.len() - len)
}

/// How many octets of `bytes`, from its start, may be shown as they are.
#[must_use]
pub fn plain(bytes: &[u8]) -> usize {
    let mut len = 0;
    loop {
        len += printable(&bytes[len..]);
        match printable_char(&bytes[len..]) {
            0 => return len,
            more => len += more,
        }
    }
}

/// Appends `bytes` to `out`, everything that is not printable escaped.
pub fn escape(out: &mut Vec<u8>, bytes: &[u8], dress: Dress<'_>) {
    let mut rest = bytes;
    let mut dressed = false;
    while let Some(&byte) = rest.first() {
        let plain = match printable(rest) {
            0 => printable_char(rest),
            len => len,
        };
        if plain > 0 {
            if dressed {
                out.extend_from_slice(dress.off);
                out.extend_from_slice(dress.back);
                dressed = false;
            }
            out.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
            continue;
        }
        if !dressed {
            out.extend_from_slice(dress.on);
            dressed = true;
        }
        match char_at(rest).filter(|c| !c.is_ascii()) {
            Some(c) => {
                out.extend(c.escape_unicode().map(|ascii| ascii as u8));
                rest = &rest[c.len_utf8()..];
            }
            None => {
                escape_byte(out, byte);
                rest = &rest[1..];
            }
        }
    }
    if dressed {
        out.extend_from_slice(dress.off);
        out.extend_from_slice(dress.back);
    }
}

/// `text` with everything that is not printable escaped, undressed.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    escape(&mut out, text.as_bytes(), Dress::default());
    String::from_utf8(out).unwrap_or_default()
}

/// How many columns of a terminal `text` takes, which must be escaped already. An estimate for East Asian and
/// combining characters.
#[must_use]
pub fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(columns_of).sum() }
}

fn columns_of(c: char) -> usize {
    match u32::from(c) {
        0x300..=0x36f | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff | 0x20d0..=0x20ff => 0,
        0x1100..=0x115f
        | 0x2e80..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1faff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn is_odd(byte: u8) -> bool {
    !(0x20..0x7f).contains(&byte)
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    }
}

/// The character at the start of `bytes`, if valid UTF-8 stands there.
fn char_at(bytes: &[u8]) -> Option<char> {
    let len = match bytes.first()? {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    std::str::from_utf8(bytes.get(..len)?).ok()?.chars().next()
}

/// The length of the character at the start of `bytes` if it may be shown as it is, otherwise 0.
fn printable_char(bytes: &[u8]) -> usize {
    char_at(bytes).filter(|&c| is_printable(c)).map_or(0, char::len_utf8)
}

fn is_printable(c: char) -> bool {
    match u32::from(c) {
        0xad => false,
        // Latin; Greek and Cyrillic; kana; Han; Hangul syllables: most of what mail is written in.
        0xa1..=0x2ff | 0x391..=0x3a1 | 0x3a3..=0x482 | 0x3041..=0x3096 | 0x4e00..=0x9fff | 0xac00..=0xd7a3 => true,
        // Printable by their category, and yet nothing is to be seen of them: joiners, selectors, fillers, blanks.
        0x34f
        | 0x115f
        | 0x1160
        | 0x17b4
        | 0x17b5
        | 0x180b..=0x180f
        | 0x2800
        | 0x3164
        | 0xfe00..=0xfe0f
        | 0xffa0
        | 0xe0000..=0xe0fff => false,
        _ => {
            // The library knows the categories but does not tell; its `Debug` form does, and leaves combining
            // marks alone behind another character.
            let mut pair = String::with_capacity(8);
            pair.push('a');
            pair.push(c);
            !c.is_ascii() && pair.escape_debug().nth(1) == Some(c)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, bytes, Dress::default());
        String::from_utf8(out).expect("always UTF-8")
    }

    #[test]
    fn printable_text_stays() {
        for text in
            ["a1 LOGIN alice", "* 1 FETCH (FLAGS (\\Seen))", "Grüße, Привет, 日本語, e\u{301}, 🙂, עברית, हिन्दी", ""]
        {
            assert_eq!(shown(text.as_bytes()), text);
        }
    }

    #[test]
    fn what_steers_or_hides_is_escaped() {
        assert_eq!(shown(b"\x1b[31m\0\x7f\r\n\t"), "\\x1b[31m\\x00\\x7f\\r\\n\\t");
        assert_eq!(shown("\u{9b}31m".as_bytes()), "\\u{9b}31m", "C1 control sequence introducer");
        assert_eq!(shown(b"\x9b31m\xff\xc3"), "\\x9b31m\\xff\\xc3", "octets that are not UTF-8");
        assert_eq!(shown(b"\xc0\x80\xed\xa0\x80"), "\\xc0\\x80\\xed\\xa0\\x80", "overlong, surrogate");
        for hidden in [
            '\u{202e}',
            '\u{2066}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{feff}',
            '\u{ad}',
            '\u{2028}',
            '\u{a0}',
            '\u{fe0f}',
            '\u{3164}',
            '\u{2800}',
            '\u{e0041}',
            '\u{e000}',
            '\u{61c}',
            '\u{fffe}',
        ] {
            assert_eq!(shown(hidden.to_string().as_bytes()), format!("\\u{{{:x}}}", u32::from(hidden)));
        }
    }

    #[test]
    fn a_run_of_escapes_is_dressed_once() {
        let mut out = Vec::new();
        escape(&mut out, b"a\0\x01b\x02", Dress { on: b"<", off: b">", back: b"^" });
        assert_eq!(out, b"a<\\x00\\x01>^b<\\x02>^");
    }

    #[test]
    fn printable_finds_the_first_odd_octet_anywhere() {
        for at in 0..100 {
            let mut bytes = vec![b'x'; 100];
            assert_eq!(printable(&bytes), 100);
            bytes[at] = 0x7f;
            assert_eq!(printable(&bytes), at);
        }
    }

    proptest! {
        #[test]
        fn nothing_that_steers_passes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let text = shown(&bytes);
            prop_assert!(text.chars().all(|c| !c.is_control()));
            // A combining character alone takes no column, and is there all the same.
            prop_assert_eq!(text.is_empty(), bytes.is_empty());
        }

        #[test]
        fn cutting_between_characters_changes_nothing(text in ".{0,40}", other in ".{0,40}") {
            prop_assert_eq!(escaped(&format!("{text}{other}")), escaped(&text) + &escaped(&other));
        }
    }
}
