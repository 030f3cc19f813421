//! Peer octets made fit for a terminal: what cannot be printed, or would act on the terminal or on the order of its
//! letters, is written as an escape. Everything of a peer that any sink shows goes through here.

/// Appends octets so that none of them can act on a terminal. Valid, visible UTF-8 stays; controls become `\r`, `\t`,
/// `\x1b` …, invisible and direction-changing characters `\u{202e}`, octets that are no UTF-8 `\xff`.
pub fn escape(mut bytes: &[u8], out: &mut Vec<u8>) {
    loop {
        let plain = printable(bytes);
        out.extend_from_slice(&bytes[..plain]);
        bytes = &bytes[plain..];
        let Some(&first) = bytes.first() else { return };
        let used = if first < 0x80 { 0 } else { visible(bytes, out) };
        if used > 0 {
            bytes = &bytes[used..];
            continue;
        }
        escape_byte(first, out);
        bytes = &bytes[1..];
    }
}

/// How many octets from the first on are printable ASCII. Looks at 32 of them at a time, which compiles to vectors.
fn printable(bytes: &[u8]) -> usize {
    let fine = |byte: &u8| byte.wrapping_sub(0x20) < 0x5f;
    let mut at = 0;
    let (blocks, _) = bytes.as_chunks::<32>();
    for block in blocks {
        if !block.iter().fold(true, |all, byte| all & fine(byte)) {
            break;
        }
        at += 32;
    }
    at + bytes[at..].iter().take_while(|byte| fine(byte)).count()
}

/// Appends the character at the start of `bytes`, as it is or as an escape; 0 if there is none.
fn visible(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let start = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    let Some(letter) = valid.chars().next() else { return 0 };
    if acts(letter) {
        out.extend_from_slice(format!("\\u{{{:x}}}", u32::from(letter)).as_bytes());
    } else {
        out.extend_from_slice(&start[..letter.len_utf8()]);
    }
    letter.len_utf8()
}

/// True for characters that are not seen, or that change how others are seen.
const fn acts(letter: char) -> bool {
    matches!(letter,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}')
}

fn escape_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'\t' => out.extend_from_slice(b"\\t"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\n' => out.extend_from_slice(b"\\n"),
        _ => out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(bytes, &mut out);
        String::from_utf8(out).expect("what is escaped is UTF-8")
    }

    #[test]
    fn controls_are_written_out() {
        assert_eq!(escaped(b"a\x1b[2J\r\n\t\0\x7f"), "a\\x1b[2J\\r\\n\\t\\x00\\x7f");
        assert_eq!(escaped("é漢😀".as_bytes()), "é漢😀");
        assert_eq!(escaped(b"\xff\xc3\xc3\xa9\xe2\x80"), "\\xff\\xc3é\\xe2\\x80");
        assert_eq!(
            escaped("\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}".as_bytes()),
            "\\u{9b}\\u{202e}\\u{200b}\\u{feff}\\u{e0041}"
        );
        assert_eq!(escaped("\\Seen".as_bytes()), "\\Seen");
    }

    proptest! {
        #[test]
        fn nothing_acts_on_a_terminal(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = escaped(&bytes);
            prop_assert!(text.chars().all(|letter| !letter.is_control() && !acts(letter)), "{text:?}");
        }

        #[test]
        fn printable_text_is_unchanged(text in "[ -~]{0,200}") {
            prop_assert_eq!(escaped(text.as_bytes()), text);
        }
    }
}
