//! What a server that lacks capabilities would have sent: second, simpler implementations of the rule that drops them,
//! for the spelling of the servers here.

/// The one for what this scheme speaks.
pub fn hide(scheme: &str, sent: &[u8], dropped: &[String]) -> Vec<u8> {
    match scheme {
        "imap" => imap(sent, dropped),
        "smtp" | "submission" | "lmtp" => codes(sent, dropped),
        "pop3" => pop3(sent, dropped),
        "sieve" => sieve(sent, dropped),
        other => panic!("nobody knows what {other} hides"),
    }
}

/// Lines outside literals that are capability lists.
fn imap(sent: &[u8], dropped: &[String]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
        let line;
        (line, rest) = rest.split_at(end + 1);
        let text = String::from_utf8_lossy(line);
        if text.starts_with("* CAPABILITY ") || text.contains(" OK [CAPABILITY ") {
            kept.extend_from_slice(names(&text, dropped).as_bytes());
            continue;
        }
        kept.extend_from_slice(line);
        // Of a literal every octet is the message's own.
        let count = text
            .trim_end()
            .strip_suffix('}')
            .and_then(|text| text.rsplit_once('{'))
            .and_then(|(_, count)| count.parse::<usize>().ok());
        if let Some((data, after)) = count.and_then(|count| rest.split_at_checked(count)) {
            kept.extend_from_slice(data);
            rest = after;
        }
    }
    kept.extend_from_slice(rest);
    kept
}

/// A line with a list of names, without those that are dropped.
fn names(text: &str, dropped: &[String]) -> String {
    let list = text.find("CAPABILITY").expect("a list");
    let end = text[list..].find([']', '\r']).map_or(text.len(), |at| list + at);
    let left = text[list..end].split(' ').filter(|name| !dropped.iter().any(|dropped| dropped == name));
    format!("{}{}{}", &text[..list], left.collect::<Vec<_>>().join(" "), &text[end..])
}

/// One line of a list without what is dropped; nothing where the whole line goes. `mechanisms` begins the line that
/// lists them.
fn line(text: &str, mechanisms: &str, dropped: &[String]) -> Option<String> {
    let word = text.split([' ', '\r']).next().unwrap_or_default();
    if dropped.iter().any(|name| name == word.trim_matches('"')) {
        return None;
    }
    let mut text = text.to_owned();
    if text.starts_with(mechanisms) {
        let (list, end) = text.split_at(text.find(['\r', '\n']).unwrap_or(text.len()));
        let (list, quote) = list.strip_suffix('"').map_or((list, ""), |list| (list, "\""));
        let (first, list) = list.split_at(mechanisms.len());
        let left = |name: &&str| !dropped.iter().any(|dropped| dropped.strip_prefix("AUTH=") == Some(*name));
        text = format!("{first}{}{quote}{end}", list.split(' ').filter(left).collect::<Vec<_>>().join(" "));
    }
    Some(text)
}

/// The lines of a reply of several, but for its first, which greets. What follows STARTTLS is no such line.
fn codes(sent: &[u8], dropped: &[String]) -> Vec<u8> {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let mut inside = false;
    for sent in sent.split_inclusive(|octet| *octet == b'\n') {
        let edited = match std::str::from_utf8(sent).ok().and_then(|text| text.split_at_checked(4)) {
            Some((code @ ("250-" | "250 "), text)) if inside => line(text, "AUTH ", dropped).map(|text| {
                let mut whole = code.as_bytes().to_vec();
                whole.extend_from_slice(text.as_bytes());
                whole
            }),
            _ => Some(sent.to_vec()),
        };
        match edited {
            Some(line) => kept.push(line),
            // The one before is then the last.
            None if sent.starts_with(b"250 ") => kept.last_mut().expect("a line that greets")[3] = b' ',
            None => {}
        }
        inside = sent.starts_with(b"250-");
    }
    kept.concat()
}

/// The lists that follow CAPA, which Dovecot begins with a line of that name. It tells the length of each message that
/// follows RETR; in there may be the same.
fn pop3(sent: &[u8], dropped: &[String]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(sent.len());
    let (mut before, mut list, mut message): (&[u8], bool, bool) = (b"", false, false);
    for sent in sent.split_inclusive(|octet| *octet == b'\n') {
        let goes_on = sent != b".\r\n";
        message = (message || !list && sent.starts_with(b"+OK ") && sent.ends_with(b" octets\r\n")) && goes_on;
        list = (list || !message && before == b"+OK\r\n" && sent == b"CAPA\r\n") && goes_on;
        match std::str::from_utf8(sent) {
            Ok(text) if list => {
                kept.extend_from_slice(line(text, "SASL ", dropped).unwrap_or_default().as_bytes());
            }
            _ => kept.extend_from_slice(sent),
        }
        before = sent;
    }
    kept
}

/// The lists at the beginning and behind CAPABILITY: from "IMPLEMENTATION" to OK.
fn sieve(sent: &[u8], dropped: &[String]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(sent.len());
    let mut inside = false;
    for sent in sent.split_inclusive(|octet| *octet == b'\n') {
        inside = (inside || sent.starts_with(b"\"IMPLEMENTATION\" ")) && !sent.starts_with(b"OK");
        match std::str::from_utf8(sent) {
            Ok(text) if inside => {
                kept.extend_from_slice(line(text, "\"SASL\" \"", dropped).unwrap_or_default().as_bytes());
            }
            _ => kept.extend_from_slice(sent),
        }
    }
    kept
}
