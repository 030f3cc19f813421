//! Whether the first lines of a connection are its beginning, or those of an excerpt. A greeting has a shape, and what follows
//! it fits: where either is not so, the beginning is missing.

use crate::event::Peer;

/// What the first lines show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// They are the beginning.
    Whole,
    /// Something stood before them.
    Middle,
    /// More lines will tell.
    Unclear,
}

/// Verbs that are usual after a login only, by protocol. UID includes all that begins so.
const IMAP: &str = "SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE LIST LSUB XLIST NAMESPACE STATUS APPEND IDLE \
                    CHECK CLOSE UNSELECT EXPUNGE SEARCH FETCH STORE COPY MOVE UID SORT THREAD DONE GETQUOTA GETQUOTAROOT \
                    ENABLE NOTIFY SETMETADATA GETMETADATA";
const POP3: &str = "STAT LIST UIDL RETR DELE TOP RSET NOOP LAST PASS";
/// What ManageSieve begins with.
const SIEVE: &str = "AUTHENTICATE STARTTLS CAPABILITY LOGOUT XCLIENT";

/// What the codes say that an untagged OK of IMAP has in answer to SELECT, and no greeting has.
const CODES: [&str; 9] = [
    "PERMANENTFLAGS",
    "UNSEEN",
    "UIDVALIDITY",
    "UIDNEXT",
    "HIGHESTMODSEQ",
    "NOMODSEQ",
    "CLOSED",
    "MAILBOXID",
    "UIDNOTSTICKY",
];

/// What the first lines of a connection show, without their line ends, in their order. `all`: no more will come.
#[must_use]
pub fn of(protocol: Option<&str>, lines: &[(Peer, &[u8])], all: bool) -> Start {
    let found = match protocol {
        Some("imap") => imap(lines, all),
        Some("smtp" | "lmtp") => codes(lines, all, &[220], &[554, 421]),
        Some("nntp") => codes(lines, all, &[200, 201], &[400, 502]),
        Some("pop3") => pop3(lines, all),
        Some("managesieve") => managesieve(lines, all),
        _ => Start::Whole,
    };
    if all && found == Start::Unclear { Start::Middle } else { found }
}

/// The first line of a peer, and its place.
fn first<'a>(lines: &[(Peer, &'a [u8])], peer: Peer) -> Option<(usize, &'a [u8])> {
    lines.iter().position(|(from, _)| *from == peer).map(|at| (at, lines[at].1))
}

fn imap(lines: &[(Peer, &[u8])], all: bool) -> Start {
    let client = first(lines, Peer::Client);
    let Some((at, greeting)) = first(lines, Peer::Server) else { return Start::Unclear };
    let (word, rest) = split(greeting.strip_prefix(b"* ").unwrap_or_default());
    let code = rest.strip_prefix(b"[").map(|rest| split(rest).0);
    let said = |code: &[u8]| code.split(|&b| b == b']').next().unwrap_or_default().to_vec();
    let code = code.map(said);
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let selects = code.as_deref().is_some_and(|code| CODES.iter().any(|name| same(code, name)));
    // A reply to what nobody has asked: another command came before.
    let before = client.map_or(lines.len(), |(asked, _)| asked);
    if lines[..before].iter().any(|(_, line)| !line.starts_with(b"* ")) {
        return Start::Middle;
    }
    if is("PREAUTH") || is("OK") && code.as_deref().is_some_and(|code| same(code, "CAPABILITY")) {
        let done = client.is_some_and(|(_, line)| line == b"DONE");
        return if done {
            Start::Middle
        } else if all || client.is_some() {
            Start::Whole
        } else {
            Start::Unclear
        };
    }
    let verb = client.map(|(_, line)| {
        let (tag, rest) = split(line);
        if rest.is_empty() { tag } else { split(rest).0 }
    });
    if is("BYE") {
        // A server that takes nobody, or the end of a session.
        let alone = verb.is_none() && lines.iter().all(|(_, line)| line.starts_with(b"* "));
        return if !alone {
            Start::Middle
        } else if all {
            Start::Whole
        } else {
            Start::Unclear
        };
    }
    if !is("OK") || selects {
        return Start::Middle;
    }
    // Before a greeting alone nobody says anything, and after it nobody but the client.
    let next = lines.get(at + 1);
    match (verb, next) {
        (Some(verb), _) if among(verb, IMAP) => Start::Middle,
        (_, Some((Peer::Server, line))) if !line.starts_with(b"* BYE") => {
            let asked = client.is_some_and(|(asked, _)| asked < at);
            if asked && !line.starts_with(b"* ") { Start::Whole } else { Start::Middle }
        }
        // What follows a greeting that came late may be the answer to what came before.
        (Some(_), None) if !all && client.is_some_and(|(asked, _)| asked < at) => Start::Unclear,
        (Some(_), _) => Start::Whole,
        (None, _) if all => Start::Whole,
        (None, _) => Start::Unclear,
    }
}

fn codes(lines: &[(Peer, &[u8])], all: bool, good: &[u16], bad: &[u16]) -> Start {
    let Some((at, reply)) = first(lines, Peer::Server) else { return Start::Unclear };
    let client = first(lines, Peer::Client);
    let Some(code) = code(reply) else { return Start::Middle };
    let verb = client.map(|(_, line)| split(line).0);
    if client.is_some_and(|(asked, _)| asked < at) {
        let greets = verb.is_some_and(|verb| among(verb, "EHLO HELO LHLO"));
        return if greets && good.contains(&code) { Start::Whole } else { Start::Middle };
    }
    if bad.contains(&code) {
        return match verb {
            Some(verb) if among(verb, "QUIT") => Start::Whole,
            Some(_) => Start::Middle,
            None if all && replies(&lines[at..]) == 1 => Start::Whole,
            None => Start::Unclear,
        };
    }
    let before = client.map_or(lines.len(), |(asked, _)| asked);
    if !good.contains(&code) || replies(&lines[at..before]) > 1 {
        return Start::Middle;
    }
    if verb.is_some() || all { Start::Whole } else { Start::Unclear }
}

fn pop3(lines: &[(Peer, &[u8])], all: bool) -> Start {
    let Some((at, reply)) = first(lines, Peer::Server) else { return Start::Unclear };
    let status = |line: &[u8]| [&b"+OK"[..], b"-ERR"].iter().any(|word| line.starts_with(word));
    let Some((asked, command)) = first(lines, Peer::Client) else {
        let fits = status(reply) && lines[at..].iter().filter(|(_, line)| status(line)).count() == 1;
        return if !fits {
            Start::Middle
        } else if all {
            Start::Whole
        } else {
            Start::Unclear
        };
    };
    let verb = split(command).0;
    if asked < at || asked > 1 || !status(reply) {
        return Start::Middle;
    }
    if reply.starts_with(b"-ERR") {
        return if among(verb, "QUIT") { Start::Whole } else { Start::Middle };
    }
    let upper = reply.to_ascii_uppercase();
    let has = |word: &[u8]| memchr::memmem::find(&upper, word).is_some();
    let stamped = upper.contains(&b'<') && upper.contains(&b'@');
    let opens = [&b"LOCKED"[..], b"MAILDROP", b"MAILBOX", b"MESSAGE", b"LOGGED"].iter().any(|word| has(word));
    let greets = stamped || !opens && [&b"POP"[..], b"READY", b"HELLO", b"WELCOME"].iter().any(|word| has(word));
    if greets || !among(verb, POP3) { Start::Whole } else { Start::Middle }
}

fn managesieve(lines: &[(Peer, &[u8])], all: bool) -> Start {
    let Some((at, reply)) = first(lines, Peer::Server) else { return Start::Unclear };
    let client = first(lines, Peer::Client);
    let ends = |line: &[u8]| among(split(line).0, "OK NO BYE");
    let before = client.map_or(lines.len(), |(asked, _)| asked);
    // Their order is free, and all servers begin with this one.
    let begins = reply.get(..16).is_some_and(|start| same(start, "\"IMPLEMENTATION\""));
    if before < at || !begins {
        let refuses = reply.starts_with(b"BYE") && client.is_none() && lines.len() == 1;
        return if refuses && all { Start::Whole } else { Start::Middle };
    }
    let replies = lines[at..before].iter().filter(|(_, line)| ends(line)).count();
    match client {
        _ if replies > 1 => Start::Middle,
        Some((_, line)) if among(split(line).0, SIEVE) => Start::Whole,
        Some(_) => Start::Middle,
        None if all => Start::Whole,
        None => Start::Unclear,
    }
}

/// How many replies with three digits these lines have: those that go on count once.
fn replies(lines: &[(Peer, &[u8])]) -> usize {
    lines.iter().filter(|(_, line)| code(line).is_some() && line.get(3) != Some(&b'-')).count()
}

fn code(line: &[u8]) -> Option<u16> {
    let digits = line.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    matches!(line.get(3), None | Some(b' ' | b'-')).then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

/// The first word, and what follows it.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match line.iter().position(|&b| b == b' ') {
        Some(at) => (&line[..at], &line[at + 1..]),
        None => (line, &[]),
    }
}

fn same(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

fn among(word: &[u8], names: &str) -> bool {
    names.split(' ').filter(|name| !name.is_empty()).any(|name| same(word, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_has_a_greeting_that_what_follows_fits() {
        use Start::{Middle, Whole};
        for (protocol, text, start) in [
            ("imap", "S* OK hi|Ca NOOP|Sa OK", Whole),
            ("imap", "S* OK [CAPABILITY IMAP4rev1] hi", Whole),
            ("imap", "S* PREAUTH hi|Ca SELECT INBOX", Whole),
            ("imap", "S* OK Still here|CDONE|S7 OK", Middle),
            ("imap", "S* OK Still here|S7 OK", Middle),
            ("imap", "S* OK [UIDNEXT 2] x|S7 OK", Middle),
            ("imap", "S* OK hi|Ca SELECT INBOX", Middle),
            ("imap", "S* BYE too many", Whole),
            ("imap", "S* BYE so long|S7 OK", Middle),
            ("imap", "Ca NOOP|Sa OK", Middle),
            ("imap", "Ca NOOP|Cb NOOP", Middle),
            ("imap", "S* 3 EXISTS", Middle),
            ("smtp", "S220-mx|S220 hi|CEHLO x", Whole),
            ("smtp", "CEHLO x|S220 hi|S250 x", Whole),
            ("smtp", "CSTARTTLS|S220 go", Middle),
            ("smtp", "S220 hi|S250 x", Middle),
            ("smtp", "S554 no|CQUIT", Whole),
            ("smtp", "S554 relay denied|CRSET", Middle),
            ("smtp", "S250 x|CQUIT", Middle),
            ("smtp", "Sbody", Middle),
            ("pop3", "S+OK ready|CSTAT", Whole),
            ("pop3", "S+OK Logged in.|CSTAT", Middle),
            ("pop3", "S+OK|CUSER x", Whole),
            ("pop3", "S+OK 2 messages|S+OK 3", Middle),
            ("pop3", "Sbody|S.|CQUIT", Middle),
            ("managesieve", "S\"IMPLEMENTATION\" \"x\"|SOK|CAUTHENTICATE \"PLAIN\"", Whole),
            ("managesieve", "SOK \"Logged in.\"|CLISTSCRIPTS", Middle),
            ("nntp", "S200 hi|CGROUP x", Whole),
            ("nntp", "S211 1 2 3|CQUIT", Middle),
            ("irc", "S:x 001 y", Whole),
        ] {
            let peer = |line: &str| if line.starts_with('C') { Peer::Client } else { Peer::Server };
            let lines: Vec<(Peer, &[u8])> = text.split('|').map(|line| (peer(line), &line.as_bytes()[1..])).collect();
            assert_eq!(of(Some(protocol), &lines, true), start, "{protocol}: {text}");
            for count in 1..lines.len() {
                let early = of(Some(protocol), &lines[..count], false);
                assert!(early == start || early == Start::Unclear, "{protocol}: {text}: {count}: {early:?}");
            }
        }
    }
}
