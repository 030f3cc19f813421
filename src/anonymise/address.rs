//! Finds addresses of IPv6 among bytes, and gives their stand-ins the form of an address.

use core::net::Ipv6Addr;

/// Tag before an address in SMTP (RFC 5321 section 4.1.3).
const TAG: &[u8] = b"IPv6:";

/// Maximum length of an address, with one of IPv4 at its end, in bytes (RFC 4291 section 2.2).
const LONGEST: usize = 45;

/// Finds the address that begins here: the length of the tag before it, and where it ends.
#[must_use]
pub fn six(bytes: &[u8]) -> Option<(usize, usize)> {
    let tagged = bytes.get(..TAG.len()).is_some_and(|tag| tag.eq_ignore_ascii_case(TAG));
    let tag = if tagged { TAG.len() } else { 0 };
    let rest = &bytes[tag..];
    let part = |b: &u8| b.is_ascii_hexdigit() || *b == b':' || *b == b'.';
    let len = rest.iter().take(LONGEST + 1).take_while(|b| part(b)).count();
    let goes_on = rest.get(len).is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
    // A full stop or colon after it ends a sentence.
    let found = &rest[..len];
    let bare =
        found.strip_suffix(b".").or(found.strip_suffix(b":").filter(|bare| !bare.ends_with(b":"))).unwrap_or(found);
    let text = std::str::from_utf8(bare).ok().filter(|text| !goes_on && text.matches(':').count() > 1)?;
    text.parse::<Ipv6Addr>().ok()?;
    Some((tag, tag + bare.len()))
}

/// Makes digits of an address of the letters of a stand-in: each stays what it is, and the first groups are those of documents
/// where they have as many digits (RFC 3849).
pub fn shape(address: &mut [u8], new: &[u8]) {
    for (old, new) in address.iter_mut().zip(new) {
        *old = match *old {
            b'0'..=b'9' if new.is_ascii_digit() => *new,
            b'0'..=b'9' => b'0' + new % 10,
            b'a'..=b'f' => b'a' + new % 6,
            b'A'..=b'F' => b'A' + new % 6,
            other => other,
        };
    }
    let mut groups = address.split_mut(|&b| b == b':');
    if let Some(first) = groups.next().filter(|first| first.len() == 4) {
        first.copy_from_slice(b"2001");
        match groups.next() {
            Some(second) if second.len() == 3 => second.copy_from_slice(b"db8"),
            Some(second) if second.len() == 4 => second.copy_from_slice(b"0db8"),
            _ => {}
        }
    }
    if let Some(dotted) = address.iter().position(|&b| b == b'.') {
        // Numbers of three digits stay below 200, and no number begins with a zero.
        let start = address[..dotted].iter().rposition(|&b| b == b':').map_or(0, |colon| colon + 1);
        let numbers = address[start..].split_mut(|&b| b == b'.');
        numbers.filter(|it| it.len() == 3 || it.len() == 2 && it[0] == b'0').for_each(|number| number[0] = b'1');
    }
}

/// Makes another address of one: its last digit becomes the next one.
pub fn next(address: &mut [u8]) {
    if let Some(last) = address.iter_mut().rfind(|b| b.is_ascii_hexdigit()) {
        *last = match *last {
            b'9' => b'2',
            b'f' => b'a',
            b'F' => b'A',
            other => other + 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_and_stay_such() {
        for (text, found) in [
            ("::1", Some((0, 3))),
            ("fe80::1%eth0", Some((0, 7))),
            ("IPv6:2001:db8::5]", Some((5, 16))),
            ("1:2:3:4:5:6:7:8, ", Some((0, 15))),
            ("a::b. ", Some((0, 4))),
            ("a::b: ", Some((0, 4))),
            ("a:: ", Some((0, 3))),
            ("::ffff:1.2.3.4", Some((0, 14))),
            ("10:00:00", None),
            ("a::g", None),
            ("abc", None),
            (":", None),
            ("1:2:3:4:5:6:7:8:9", None),
        ] {
            assert_eq!(six(text.as_bytes()), found, "{text}");
            if let Some((start, end)) = found {
                let mut address = text.as_bytes()[start..end].to_vec();
                shape(&mut address, b"zebedeus9wombat7quorra5hinterhof3nachbar1geheimnis");
                let address = String::from_utf8(address).expect("ASCII");
                assert!(address.parse::<Ipv6Addr>().is_ok(), "{text} became {address}");
            }
        }
    }
}
