//! Families of capabilities: `THREAD=REFERENCES` is one of those that the description calls `THREAD=*`. Which of them a
//! command makes use of stands in its arguments.

/// The member of a family that a command of IMAP with these arguments makes use of; for rights, of which each server has
/// its own, the family.
#[must_use]
pub fn member(command: &str, arguments: &[u8]) -> Option<String> {
    let mut words = arguments.split(|&b| b == b' ').filter(|word| !word.is_empty());
    let name = |head: &str, word: &[u8]| {
        let atom = word.len() <= MAX_NAME && word.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
        atom.then(|| format!("{head}={}", String::from_utf8_lossy(word).to_ascii_uppercase()))
    };
    match command.strip_prefix("UID ").unwrap_or(command) {
        "THREAD" => name("THREAD", words.next()?),
        "COMPRESS" => name("COMPRESS", words.next()?),
        // RETURN with its options may stand before the keys.
        "SORT" => {
            let keys = arguments.split(|&b| b == b'(' || b == b')').filter(|part| !part.is_empty()).take(4);
            let display = |word: &[u8]| DISPLAY.iter().any(|key| key.eq_ignore_ascii_case(word));
            let mut words = keys.flat_map(|part| part.split(|&b| b == b' '));
            words.any(display).then(|| "SORT=DISPLAY".to_owned())
        }
        "SETACL" => {
            let rights = words.nth(2)?;
            rights.iter().any(|right| RIGHTS.contains(right)).then(|| "RIGHTS=*".to_owned())
        }
        _ => None,
    }
}

/// The longest name that is looked at.
const MAX_NAME: usize = 64;

/// The keys of SORT=DISPLAY (RFC 5957).
const DISPLAY: [&[u8]; 2] = [b"DISPLAYFROM", b"DISPLAYTO"];

/// The rights that the first standard of ACL did not have (RFC 4314 section 2.1).
const RIGHTS: &[u8] = b"kxte";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_name_members() {
        for (command, arguments, expected) in [
            ("THREAD", "references UTF-8 ALL", Some("THREAD=REFERENCES")),
            ("UID THREAD", "ORDEREDSUBJECT UTF-8 ALL", Some("THREAD=ORDEREDSUBJECT")),
            ("THREAD", "", None),
            ("THREAD", "(x) UTF-8 ALL", None),
            ("COMPRESS", "DEFLATE", Some("COMPRESS=DEFLATE")),
            ("SORT", "(REVERSE DisplayFrom) UTF-8 ALL", Some("SORT=DISPLAY")),
            ("UID SORT", "RETURN (MIN) (DISPLAYTO) UTF-8 ALL", Some("SORT=DISPLAY")),
            ("SORT", "(SUBJECT) UTF-8 SUBJECT \"x DISPLAYTO\" (ALL)", None),
            ("SETACL", "INBOX bob +tex", Some("RIGHTS=*")),
            ("SETACL", "INBOX bob lrswi", None),
            ("SETACL", "INBOX", None),
            ("NOOP", "REFERENCES", None),
        ] {
            assert_eq!(member(command, arguments.as_bytes()).as_deref(), expected, "{command} {arguments}");
        }
    }
}
