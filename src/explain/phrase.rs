//! Small pieces of wording: quoted octets of a peer, lists of names. Bounded.

/// The most characters that a note quotes of a peer's octets.
pub const MAX_QUOTE: usize = 200;

/// The most names that one phrase lists.
const MAX_NAMES: usize = 24;

/// A peer's octets as text: lossy where they are not UTF-8, cut at [`MAX_QUOTE`] characters. Not escaped: sinks do that.
#[must_use]
pub fn excerpt(bytes: &[u8]) -> String {
    // A character has four octets at most, so what is further on cannot be shown anyway.
    let head = &bytes[..bytes.len().min(MAX_QUOTE * 4)];
    let text = String::from_utf8_lossy(head);
    let mut out: String = text.chars().take(MAX_QUOTE).collect();
    if out.len() < text.len() || head.len() < bytes.len() {
        out.push('…');
    }
    out
}

/// The same between quotation marks.
#[must_use]
pub fn quote(bytes: &[u8]) -> String {
    format!("\"{}\"", excerpt(bytes))
}

/// A subject between quotation marks, with its encoded words decoded (RFC 2047).
#[must_use]
pub fn subject(bytes: &[u8]) -> String {
    if !bytes.windows(2).any(|pair| pair == b"=?") {
        return quote(bytes);
    }
    let header = [b"Subject: ", bytes, b"\r\n\r\n"].concat();
    // A library that parses what strangers have written is not trusted to end well.
    let parsed = std::panic::catch_unwind(|| {
        let message = mail_parser::MessageParser::default().parse_headers(&header[..])?;
        message.subject().map(str::to_owned)
    });
    parsed.ok().flatten().map_or_else(|| quote(bytes), |subject| quote(subject.as_bytes()))
}

/// Names with commas between them; of many the first and how many more.
#[must_use]
pub fn names<S: AsRef<str>>(names: &[S]) -> String {
    let mut out = String::new();
    for (at, name) in names.iter().take(MAX_NAMES).enumerate() {
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(name.as_ref());
    }
    if names.len() > MAX_NAMES {
        out.push_str(&format!(" and {} more", names.len() - MAX_NAMES));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_decoded_where_it_is_encoded() {
        assert_eq!(subject(b"plain = ? text"), "\"plain = ? text\"");
        assert_eq!(subject(b"=?UTF-8?Q?Gr=C3=BC=C3=9Fe?= =?iso-8859-1?B?4fY=?="), "\"Grüßeáö\"");
        assert_eq!(subject(b"=?UTF-8?Q?open"), "\"=?UTF-8?Q?open\"");
    }

    #[test]
    fn quotes_are_cut_and_survive_octets_that_are_no_text() {
        assert_eq!(quote(b"a\xffb"), "\"a\u{fffd}b\"");
        assert_eq!(excerpt(&[b'x'; 1000]).chars().count(), MAX_QUOTE + 1);
        assert_eq!(excerpt("ä".repeat(MAX_QUOTE).as_bytes()), "ä".repeat(MAX_QUOTE));
    }
}
