//! Secrets in URLs: where they are, and how much of a piece has to wait for the next one because a URL in it goes on.

use super::secret::joined;
use crate::event::Span;

/// Returns the places of the secrets of URLs, in order: tokens of URLAUTH, passwords (RFC 3986 section 3.2.1), and parameters of a query
/// or fragment whose name says that they are secret.
#[must_use]
pub fn secrets(text: &[u8]) -> Vec<Span> {
    // Most texts have neither, and are looked at once.
    if memchr::memchr2(b';', b'/', text).is_none() {
        return Vec::new();
    }
    let mut found = tokens(text);
    let first = found.len();
    found.extend(private(text));
    if found.len() > first { joined(found) } else { found }
}

/// Returns true for bytes after which a URL has ended.
const fn ends_url(byte: u8) -> bool {
    matches!(byte, b'"' | b' ' | b'<' | b'>' | b')' | b'\r' | b'\n')
}

/// Returns the places of the passwords and secret parameters of URLs, in no order.
fn private(text: &[u8]) -> Vec<Span> {
    let mut found = Vec::new();
    if memchr::memchr2(b'@', b'=', text).is_none() {
        return found;
    }
    for mark in MARKS {
        for at in memchr::memmem::find_iter(text, mark) {
            let start = at + mark.len();
            let len = text[start..].iter().position(|&b| ends_url(b)).unwrap_or(text.len() - start);
            let url = &text[start..start + len];
            found.extend(password(url).map(|span| span.shifted(start)));
            found.extend(parameters(url).map(|span| span.shifted(start)));
        }
    }
    found.retain(|span| !span.is_empty());
    found
}

/// The password of a URL that begins with what follows `//`: between the colon after the user's name and the last `@` before
/// the host.
fn password(url: &[u8]) -> Option<Span> {
    let colon = memchr::memchr(b':', url)?;
    if url[..colon].iter().any(|b| b"/?#[@".contains(b)) {
        return None;
    }
    let rest = &url[colon + 1..];
    let host = rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len());
    // A password may have a slash in it although it should not; after a port there is none.
    let port = rest[..host].iter().all(u8::is_ascii_digit);
    let end = memchr::memrchr(b'@', &rest[..host]).or_else(|| memchr::memrchr(b'@', rest).filter(|_| !port))?;
    Some(Span::new(colon + 1, colon + 1 + end))
}

/// The values of a URL's parameters whose names say that they are secret.
fn parameters(url: &[u8]) -> impl Iterator<Item = Span> {
    let begins = url.iter().position(|b| b"?#".contains(b)).unwrap_or(url.len());
    let equals = memchr::memchr_iter(b'=', &url[begins..]).map(move |at| begins + at);
    equals.filter_map(move |equal| {
        let name = url[..equal].iter().rposition(|b| b"?#&;=".contains(b)).map_or(begins, |at| at + 1);
        let end = url[equal..].iter().position(|b| b"&;#".contains(b)).map_or(url.len(), |len| equal + len);
        is_secret_name(&url[name..equal]).then(|| Span::new(equal + 1, end))
    })
}

/// True for names of parameters such as `access_token`, `client_secret`, `X-Amz-Signature`, `code` (RFC 6749).
fn is_secret_name(name: &[u8]) -> bool {
    const ENDS: [&[u8]; 12] = [
        b"token",
        b"password",
        b"passwd",
        b"pass",
        b"pwd",
        b"secret",
        b"signature",
        b"sig",
        b"apikey",
        b"api_key",
        b"api-key",
        b"jwt",
    ];
    let ends = |end: &[u8]| name.len() >= end.len() && name[name.len() - end.len()..].eq_ignore_ascii_case(end);
    ENDS.into_iter().any(ends) || [&b"code"[..], b"auth", b"otp"].iter().any(|whole| name.eq_ignore_ascii_case(whole))
}

/// What is between a scheme and the rest of a URL; JSON may have a backslash before each slash.
const MARKS: [&[u8]; 2] = [b"://", b":\\/\\/"];

/// Returns true if a URL begins in this piece, or may do so at its end.
#[must_use]
pub fn begins(piece: &[u8]) -> bool {
    MARKS.iter().any(|mark| memchr::memmem::find(piece, mark).is_some()) || begun(piece).is_some()
}

/// Number of bytes at the end of a piece that may be the beginning of a mark.
fn begun(piece: &[u8]) -> Option<usize> {
    let begun = |mark: &[u8]| (1..mark.len()).rev().find(|&len| piece.ends_with(&mark[..len]));
    MARKS.into_iter().filter_map(begun).max()
}

/// Number of bytes at the end of a piece that may be a URL whose secret comes with the next one; fewer than `most`.
#[must_use]
pub fn open(piece: &[u8], most: usize) -> usize {
    let token = piece.iter().rposition(|&b| b == b';');
    let scheme = |mark: &[u8]| {
        memchr::memmem::rfind(piece, mark).filter(|at| !piece[at + mark.len()..].iter().any(|&b| ends_url(b)))
    };
    let scheme = MARKS.into_iter().filter_map(scheme).min();
    let begun = begun(piece).map(|len| piece.len() - len);
    let waits = |at: usize| Some(piece.len() - at).filter(|len| *len < most);
    [token, scheme, begun].into_iter().flatten().filter_map(waits).max().unwrap_or(0)
}

/// Returns the places of the tokens of authorised URLs: what follows `;URLAUTH=access:mechanism:` (RFC 4467 section 3), to the end
/// of the string.
fn tokens(text: &[u8]) -> Vec<Span> {
    const NAME: &[u8] = b";URLAUTH=";
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = memchr::memchr(b';', &text[from..]).map(|at| from + at) {
        from = at + 1;
        if !text.get(at..at + NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            continue;
        }
        let start = at + NAME.len();
        let end = start + text[start..].iter().take_while(|b| !b"\" <>)\r\n".contains(b)).count();
        let colons = (start..end).filter(|&at| text[at] == b':').nth(1);
        found.extend(colons.map(|colon| Span::new(colon + 1, end)));
        from = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_urls_are_found_and_urls_without_are_left() {
        let text = b"a (URL \"imap://j@h/I;UID=1;urlauth=anonymous:internal:91ab\" x;URLAUTH=submit+j";
        let found = tokens(text);
        assert_eq!(found.iter().map(|span| span.of(text)).collect::<Vec<_>>(), [b"91ab"]);
        assert!(tokens(b";;;urlauth;URLAUTH=:").is_empty());
    }

    #[test]
    fn passwords_of_urls_are_found() {
        for (text, hidden) in [
            ("see imap://bob:pw@host/INBOX now", &["pw"][..]),
            ("<http://bob:p@w:x@host:80/a@b>", &["p@w:x"]),
            ("smtp://bob:12345@host", &["12345"]),
            ("smtp://bob:p/w@host", &["p/w"]),
            ("imap://a:pw@h/x;urlauth=anonymous:internal:91ab imap://c:qq@d", &["pw", "91ab", "qq"]),
            ("http://host:80/a@b http://bob@host/ http://[::1]:80/a@b mailto:bob@host://x", &[]),
            ("imap://bob:@host/ a@b ://", &[]),
            ("see https://h/x?a=b&access_token=abc&c=d#id_TOKEN=def here", &["abc", "def"]),
            ("{\"url\":\"https:\\/\\/bob:pw@h\\/?X-Amz-Signature=9f\"}", &["pw", "9f"]),
            ("https://h/?client_secret=a=b;password=c <http://h?code=77>", &["a=b", "c", "77"]),
            ("https://h/?decode=1&tokens=2&state= token=x https://h/token=y /?token=z", &[]),
        ] {
            let found = secrets(text.as_bytes());
            let found: Vec<&str> = found.iter().map(|span| &text[span.start as usize..span.end as usize]).collect();
            assert_eq!(found, hidden, "{text}");
        }
    }
}
