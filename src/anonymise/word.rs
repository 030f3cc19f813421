//! Which words of some octets are replaced: all of them, all that are not listed, or what is left of human text. Everything
//! between words stays, so that nothing moves; words in encodings of mail are replaced inside them.

use core::net::Ipv6Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use super::argument::{Listing, is_date};
use super::stand_in::StandIns;
use super::vocabulary::{self, Words, has};

/// The longest encoded word that is looked into, in octets: they should have 75.
const ENCODED: usize = 1024;

/// The longest number that may stay in human text.
const SHORT: usize = 4;

/// The longest number that may stay at the beginning of human text, where sizes and counts stand.
const COUNT: usize = 10;

/// The longest number that may stay where the protocol has numbers.
const LONG: usize = 20;

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The words of these octets, each with where it begins and ends.
fn words(bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let len = bytes[at..].iter().take_while(|&&b| is_word(b)).count();
        if len > 0 {
            found.push((at, at + len));
        }
        at += len.max(1);
    }
    found
}

fn number(word: &[u8], longest: usize) -> bool {
    word.len() <= longest && word.iter().all(u8::is_ascii_digit)
}

impl StandIns {
    /// Replaces all words but INBOX and the schemes of URLs.
    pub fn names(&mut self, bytes: &mut [u8]) {
        let learning = self.is_learning();
        let (mut at, mut begins) = (0, true);
        while at < bytes.len() {
            let before = std::mem::replace(&mut begins, true);
            let rest = &mut bytes[at..];
            let len = rest.iter().take_while(|&&b| is_word(b)).count();
            if before && let Some((tag, six)) = super::address::six(rest) {
                self.address_of_six(&mut rest[tag..six]);
                at += six;
                continue;
            }
            begins = len == 0 && rest[0] != b':';
            if let Some(quad) = quad(rest).filter(|_| len > 0) {
                self.address(&mut rest[..quad]);
                at += quad;
                continue;
            }
            if len > 0 {
                let scheme = rest[len..].starts_with(b"://") && has(vocabulary::protocols(), &rest[..len]);
                if !scheme && !rest[..len].eq_ignore_ascii_case(b"INBOX") {
                    self.replace(&mut rest[..len]);
                }
                at += len;
                continue;
            }
            // A host has words of every language; who is there says more.
            match rest[0] {
                b'@' => self.begin_learning(false),
                b' ' | b',' | b'<' | b'"' => self.begin_learning(learning),
                _ => {}
            }
            at += match rest[0] {
                b'&' => self.shifted(rest),
                b'=' => self.encoded(rest),
                _ => None,
            }
            .unwrap_or(1);
        }
        self.begin_learning(learning);
    }

    /// Replaces all words but these, and numbers.
    pub fn unlisted(&mut self, bytes: &mut [u8], known: &Words) {
        for (start, end) in words(bytes) {
            let word = &mut bytes[start..end];
            if !has(known, word) && !number(word, LONG) {
                self.replace(word);
            }
        }
    }

    /// Replaces what human text says of somebody: all words but these, what is quoted, what looks like a host or an address,
    /// and longer numbers, but for those with which it begins.
    pub fn said(&mut self, bytes: &mut [u8], known: &Words) {
        self.heard(bytes, known, false);
    }

    /// Replaces like [`StandIns::said`] what a server says to a client: a word that was learned as a name is one here.
    pub fn answered(&mut self, bytes: &mut [u8], known: &Words) {
        self.heard(bytes, known, true);
    }

    fn heard(&mut self, bytes: &mut [u8], known: &Words, learned: bool) {
        let mut at = 0;
        let mut counts = true;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            let close = match rest[0] {
                b'"' => b'"',
                b'<' if rest.starts_with(b"<hidden>") => {
                    at += b"<hidden>".len();
                    continue;
                }
                b'<' => b'>',
                byte if byte.is_ascii_whitespace() => {
                    at += 1;
                    continue;
                }
                _ => {
                    let len = rest.iter().take_while(|b| !b.is_ascii_whitespace() && !b"\"<".contains(b)).count();
                    counts &= number(&rest[..len], COUNT) && !(learned && self.is_learned(&rest[..len]));
                    if !counts {
                        self.spoken(&mut rest[..len], known, learned);
                    }
                    at += len;
                    continue;
                }
            };
            let len = rest[1..].iter().position(|&b| b == close).map_or(rest.len(), |len| len + 2);
            self.names(&mut rest[..len]);
            counts = false;
            at += len;
        }
    }

    fn spoken(&mut self, token: &mut [u8], known: &Words, learned: bool) {
        if names_somebody(token) {
            let port = token.iter().position(|&b| b == b':').filter(|&at| number(&token[at + 1..], 5));
            let end = port.unwrap_or(token.len());
            return self.names(&mut token[..end]);
        }
        for (start, end) in words(token) {
            let word = &mut token[start..end];
            let stays = has(known, word) || number(word, SHORT) || measure(word);
            if !stays || learned && self.is_learned(word) {
                self.replace(word);
            }
        }
    }

    /// The arguments of MAIL and RCPT (RFC 5321 section 4.1.2): `FROM:` or `TO:`, a path, and parameters.
    pub fn path(&mut self, bytes: &mut [u8], known: &Words) {
        let colon = bytes.iter().position(|&b| b == b':').map_or(0, |colon| colon + 1);
        let (keyword, rest) = bytes.split_at_mut(colon);
        self.unlisted(keyword, known);
        let blank = rest.iter().take_while(|&&b| b == b' ').count();
        let path = &mut rest[blank..];
        let len = match path.first() {
            Some(b'<') => path.iter().position(|&b| b == b'>').map_or(path.len(), |close| close + 1),
            _ => path.iter().position(|&b| b == b' ').unwrap_or(path.len()),
        };
        let (path, parameters) = path.split_at_mut(len);
        self.names(path);
        self.parameters(parameters, known);
    }

    /// Parameters of a command of SMTP: words that are known, `KEY=VALUE`, and addresses.
    fn parameters(&mut self, bytes: &mut [u8], known: &Words) {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            let bracket = rest[0] == b'<';
            let len = match bracket {
                true => rest.iter().position(|&b| b == b'>').map_or(rest.len(), |len| len + 1),
                false => rest.iter().take_while(|&&b| b != b' ' && b != b'<').count().max(1),
            };
            let token = &mut rest[..len];
            let key = token.iter().position(|&b| b == b'=' || b == b':').unwrap_or(token.len());
            let (key, value) = token.split_at_mut(key);
            if bracket || key.contains(&b'@') || key.contains(&b'.') {
                self.names(key);
                self.names(value);
            } else {
                self.unlisted(key, known);
                let plain: [&[u8]; 6] = [b"SIZE", b"BODY", b"RET", b"NOTIFY", b"BY", b"MT-PRIORITY"];
                if plain.iter().any(|name| key.eq_ignore_ascii_case(name)) {
                    self.unlisted(value, known);
                } else {
                    self.names(value);
                }
            }
            at += len;
        }
    }

    /// Replaces all that stands between blanks and is neither a number nor one of these words.
    pub fn counted(&mut self, bytes: &mut [u8], known: Option<&Words>) {
        for word in bytes.split_mut(u8::is_ascii_whitespace) {
            if !number(word, COUNT) && !known.is_some_and(|known| has(known, word)) {
                self.names(word);
            }
        }
    }

    /// Replaces strings, and words that are not listed (RFC 5804 section 1.2). Without a list, words are names, but for numbers after
    /// the first one.
    pub fn strings(&mut self, bytes: &mut [u8], known: Option<&Words>) {
        let mut at = 0;
        let mut first = true;
        while at < bytes.len() {
            let rest = &mut bytes[at..];
            let quoted = rest[0] == b'"';
            let len = match quoted {
                true => closing(rest),
                false => rest.iter().position(|&b| b == b'"').unwrap_or(rest.len()),
            };
            let octets = &mut rest[..len];
            match known {
                _ if quoted => self.names(octets),
                Some(known) => self.unlisted(octets, known),
                None => {
                    for word in octets.split_mut(|&b| b == b' ').filter(|word| !word.is_empty()) {
                        if std::mem::take(&mut first) || !number(word, LONG) {
                            self.names(word);
                        }
                    }
                }
            }
            first &= !quoted;
            at += len;
        }
    }

    /// The name of an entry of metadata (RFC 5464 section 6): whose it is stays, and what is registered.
    pub fn entry(&mut self, bytes: &mut [u8]) {
        const KNOWN: [&[u8]; 5] =
            [b"/shared/comment", b"/private/comment", b"/shared/admin", b"/private/specialuse", b"/shared/specialuse"];
        const FIRST: [&[u8]; 6] = [
            b"/shared/vendor/",
            b"/private/vendor/",
            b"/shared/filters/",
            b"/private/filters/",
            b"/shared/",
            b"/private/",
        ];
        if KNOWN.iter().any(|known| bytes.eq_ignore_ascii_case(known)) {
            return;
        }
        let begins = |first: &&&[u8]| bytes.get(..first.len()).is_some_and(|start| start.eq_ignore_ascii_case(first));
        let first = FIRST.iter().find(begins).map_or(0, |first| first.len());
        self.names(&mut bytes[first..]);
    }

    /// A line of a listing.
    pub fn listed(&mut self, line: &mut [u8], listing: Listing) {
        let first = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        match listing {
            Listing::Numbers => self.counted(line, None),
            Listing::Named => {
                let (count, rest) = line.split_at_mut(first);
                self.counted(count, None);
                self.names(rest);
            }
            Listing::Overview => {
                for (nth, field) in line.split_mut(|&b| b == b'\t').enumerate() {
                    match nth {
                        // Number, bytes and lines; the date.
                        0 | 6 | 7 => self.counted(field, None),
                        3 if is_date(field) => {}
                        _ => self.names(field),
                    }
                }
            }
            Listing::Groups => {
                let (group, rest) = line.split_at_mut(first);
                match group.contains(&b':') {
                    // The fields of an overview.
                    true => self.unlisted(group, vocabulary::fields()),
                    false => self.names(group),
                }
                // How many articles, and whether one may post; or what it is about.
                let counts = rest.split(|&b| b == b' ').all(|word| number(word, COUNT) || word.len() == 1);
                if !counts {
                    self.names(rest);
                }
            }
            Listing::Names | Listing::Body => self.names(line),
        }
    }

    /// An address of IPv6: one for documents (RFC 3849), as far as its digits allow. That of this machine stays.
    fn address_of_six(&mut self, address: &mut [u8]) {
        let own = |address: &[u8]| {
            let parsed = std::str::from_utf8(address).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
            parsed.is_some_and(|address| address.is_loopback() || address.is_unspecified())
        };
        if own(address) {
            return;
        }
        let old = address.to_vec();
        let mut new = address.to_ascii_lowercase();
        self.replace(&mut new);
        super::address::shape(address, &new);
        if own(address) || address.eq_ignore_ascii_case(&old) {
            super::address::next(address);
        }
    }

    /// An address of IPv4: one that no machine has, and that of this machine stays.
    fn address(&mut self, quad: &mut [u8]) {
        if quad.starts_with(b"127.") {
            return;
        }
        self.plain(quad);
        let first = quad.iter().position(|&b| b == b'.').unwrap_or(0);
        match first {
            1 => quad[0] = b'0',
            2 => quad[..2].copy_from_slice(b"10"),
            _ => quad[..2].copy_from_slice(b"24"),
        }
    }

    /// A shift of modified UTF-7 (RFC 3501 section 5.1.3): letters for letters, so that it is one still.
    fn shifted(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let len = bytes[1..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"+,".contains(b)).count();
        let coded = &bytes[1..=len];
        // So many octets are whole units of UTF-16 and padding.
        let units = len * 6 / 16;
        if bytes.get(len + 1) != Some(&b'-') || units == 0 || (units * 16).div_ceil(6) != len {
            return None;
        }
        // The hash of its letters decides, and each becomes a small letter of Latin-1.
        let mut letters: Vec<u8> = coded.iter().map(|b| if b.is_ascii_alphanumeric() { *b } else { b'x' }).collect();
        // Case tells letters of base64 apart, and not those of words.
        letters.extend(coded.iter().map(|b| if b.is_ascii_uppercase() { b'u' } else { b'l' }));
        self.replace(&mut letters);
        let plain: Vec<u8> = letters.iter().take(units).flat_map(|b| [0, 0xE0 + b % 16]).collect();
        let new = STANDARD.encode(plain);
        for (old, new) in bytes[1..=len].iter_mut().zip(new.bytes()) {
            *old = if new == b'/' { b',' } else { new };
        }
        Some(len + 2)
    }

    /// An encoded word (RFC 2047 section 2).
    fn encoded(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let charset = bytes.strip_prefix(b"=?")?.iter().take(ENCODED).position(|&b| b == b'?')? + 2;
        let text = charset + 3;
        let rest = bytes.get(text..)?;
        let len = memmem::find(&rest[..rest.len().min(ENCODED)], b"?=")?;
        let way = bytes[charset + 1].to_ascii_uppercase();
        if bytes[text - 1] != b'?' || bytes[..text + len].iter().any(|b| b" \"".contains(b)) {
            return None;
        }
        self.unlisted(&mut bytes[2..charset], vocabulary::mime());
        let inside = &mut bytes[text..text + len];
        match (way, STANDARD.decode(&*inside)) {
            (b'Q', _) => self.quoted(inside),
            (b'B', Ok(mut plain)) => {
                self.plain(&mut plain);
                inside.iter_mut().zip(STANDARD.encode(plain).bytes()).for_each(|(old, new)| *old = new);
            }
            _ => self.plain(inside),
        }
        Some(text + len + 2)
    }

    /// The text of an encoded word in Q: `=XX` is an octet.
    fn quoted(&mut self, text: &mut [u8]) {
        let hex = |at: usize, text: &[u8]| {
            let digits = text.get(at + 1..at + 3).filter(|_| text[at] == b'=')?;
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let (mut plain, mut places, mut at) = (Vec::new(), Vec::new(), 0);
        while at < text.len() {
            let octet = hex(at, text);
            plain.push(octet.unwrap_or(text[at]));
            places.push((at, octet.is_some()));
            at += if octet.is_some() { 3 } else { 1 };
        }
        self.plain(&mut plain);
        for (octet, (at, coded)) in plain.into_iter().zip(places) {
            match coded {
                true => text[at + 1..at + 3].copy_from_slice(format!("{octet:02X}").as_bytes()),
                false => text[at] = octet,
            }
        }
    }

    /// Replaces all words, and looks into no encoding.
    fn plain(&mut self, bytes: &mut [u8]) {
        for (start, end) in words(bytes) {
            self.replace(&mut bytes[start..end]);
        }
    }
}

/// The length of the four numbers with dots between them that begin here.
fn quad(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    for part in 0..4 {
        let digits = bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        if !(1..=3).contains(&digits) || (part < 3 && bytes.get(at + digits) != Some(&b'.')) {
            return None;
        }
        at += digits + usize::from(part < 3);
    }
    (!bytes.get(at).is_some_and(|&b| is_word(b))).then_some(at)
}

/// The length of the quoted string that begins here, with its quotes; to the end, if it is not closed.
fn closing(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// True for what looks like a host, an address of a person or a machine, a URL, or a number of many parts.
fn names_somebody(token: &[u8]) -> bool {
    let letter = |b: u8| b.is_ascii_alphabetic() || b >= 0x80;
    let host =
        token.windows(3).any(|w| w[1] == b'.' && is_word(w[0]) && is_word(w[2]) && (letter(w[0]) || letter(w[2])));
    let numbers = words(token).iter().filter(|(start, end)| number(&token[*start..*end], usize::MAX)).count();
    let colons = token.iter().filter(|&&b| b == b':').count() > 1;
    token.contains(&b'@')
        || host
        || colons
        || memmem::find(token, b"://").is_some()
        || (numbers > 2 && !enhanced(token))
}

/// An enhanced code (RFC 3463 section 2), maybe with punctuation behind it.
fn enhanced(token: &[u8]) -> bool {
    let token = token.strip_suffix(b":").unwrap_or(token);
    let mut parts = token.split(|&b| b == b'.');
    let class = parts.next().is_some_and(|part| matches!(part, b"2" | b"4" | b"5"));
    class && parts.clone().count() == 2 && parts.all(|part| !part.is_empty() && number(part, 3))
}

/// A number with its unit: `10k`, `200ms`.
fn measure(word: &[u8]) -> bool {
    let digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
    (1..=SHORT).contains(&digits)
        && matches!(&word[digits..], b"s" | b"ms" | b"k" | b"K" | b"m" | b"M" | b"G" | b"h" | b"min")
}
