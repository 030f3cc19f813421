//! Other protocols, recognised by the first line of a lane: what a server greets with and what a client says first. Only what no
//! speaker of the expected protocol would say counts.

use memchr::memmem::find;

use super::PROXY;
use crate::event::{Foreign, Form, Span};

/// Recognises traffic that is no mail protocol by the first bytes of a lane. `None` while they are none or too few.
#[must_use]
pub fn foreign(start: &[u8]) -> Option<Foreign> {
    const REQUESTS: [&[u8]; 6] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT "];
    match start {
        [0x16, 0x03, ..] => Some(Foreign::Tls),
        [0x15, 0x03, ..] => Some(Foreign::TlsAlert),
        _ if start.starts_with(b"PROXY ") || start.starts_with(&PROXY) => Some(Foreign::Proxy),
        _ if start.starts_with(b"SSH-") => Some(Foreign::Ssh),
        _ if start.starts_with(b"HTTP/") => Some(Foreign::Http),
        _ if REQUESTS.iter().any(|word| start.starts_with(word)) && find(start, b" HTTP/").is_some() => {
            Some(Foreign::Http)
        }
        _ => None,
    }
}

/// The mail protocol, or one of its kin, whose server greets with this line.
#[must_use]
pub fn greeting(line: &[u8]) -> Option<Foreign> {
    const SIEVE: [&[u8]; 5] = [b"IMPLEMENTATION", b"SIEVE", b"SASL", b"STARTTLS", b"VERSION"];
    let line = super::body(line);
    let upper = line[..line.len().min(512)].to_ascii_uppercase();
    let begins = |word: &[u8]| upper.strip_prefix(word).is_some_and(|rest| matches!(rest.first(), None | Some(b' ')));
    match line.first()? {
        b'*' if [&b"* OK"[..], b"* PREAUTH", b"* BYE"].into_iter().any(begins) => Some(Foreign::Imap),
        b'+' | b'-' if begins(b"+OK") || begins(b"-ERR") => Some(Foreign::Pop3),
        b'"' if SIEVE.iter().any(|name| upper[1..].starts_with(name) && upper.get(name.len() + 1) == Some(&b'"')) => {
            Some(Foreign::Managesieve)
        }
        _ if upper.starts_with(b"BYE \"") || upper.starts_with(b"NO \"") => Some(Foreign::Managesieve),
        b':' if find(&upper, b" NOTICE ").is_some() || find(&upper, b" 001 ").is_some() => Some(Foreign::Irc),
        _ if upper.starts_with(b"NOTICE AUTH :") || upper.starts_with(b"NOTICE * :") => Some(Foreign::Irc),
        _ if upper.starts_with(b"ERROR :") => Some(Foreign::Irc),
        b'1'..=b'5' if super::status::code(line) => coded(&upper),
        _ => None,
    }
}

/// A greeting that begins with three digits (RFC 5321 section 4.2, RFC 3977 section 5.1, RFC 959 section 5.4). `upper`: the
/// line, in capitals.
fn coded(upper: &[u8]) -> Option<Foreign> {
    match &upper[..3] {
        b"220" => Some(match says(upper) {
            Said { smtp: false, lmtp: false, ftp: true } => Foreign::Ftp,
            Said { smtp: false, lmtp: true, .. } => Foreign::Lmtp,
            _ => Foreign::Smtp,
        }),
        b"120" => Some(Foreign::Ftp),
        b"421" | b"554" => Some(Foreign::Smtp),
        b"200" | b"201" | b"400" | b"502" => Some(Foreign::Nntp),
        _ => None,
    }
}

/// Which protocols a greeting names.
struct Said {
    smtp: bool,
    lmtp: bool,
    ftp: bool,
}

/// The protocols that a greeting names, in capitals; the name of the host does not count.
fn says(upper: &[u8]) -> Said {
    let text = upper.get(4..).unwrap_or_default();
    let has = |name: &[u8]| find(text, name).is_some();
    let behind = text.iter().position(|&b| b == b' ').map_or(&b""[..], |at| &text[at..]);
    Said { smtp: has(b"SMTP"), lmtp: find(behind, b"LMTP").is_some(), ftp: has(b"FTP") }
}

/// True if this greeting of the SMTP family names LMTP and not SMTP.
#[must_use]
pub fn names_lmtp(line: &[u8]) -> bool {
    let said = says(&line[..line.len().min(512)].to_ascii_uppercase());
    said.lmtp && !said.smtp
}

/// True if this greeting of the SMTP family names SMTP and not LMTP.
#[must_use]
pub fn names_smtp(line: &[u8]) -> bool {
    let said = says(&line[..line.len().min(512)].to_ascii_uppercase());
    said.smtp && !said.lmtp
}

/// What a client of another protocol says first: which protocol, and how many bytes of the line are the command that tells it.
/// `known`: whether the expected protocol has this verb. What is ambiguous is none.
#[must_use]
pub fn request(line: &[u8], form: Form, known: &dyn Fn(&[u8]) -> bool) -> Option<(Foreign, usize)> {
    let line = super::body(line);
    let mut words = line.split(|&b| b == b' ').map(<[u8]>::to_ascii_uppercase);
    let (first, second) = (words.next()?, words.next().unwrap_or_default());
    let rest = words.next();
    let verb = if form == Form::Imap { &second } else { &first };
    // USER has one argument in POP3 and four in IRC, so that its verb alone tells nothing.
    let user = first == b"USER" && !second.is_empty();
    let alone = rest.is_none();
    let real = || find(line, b" :").is_some() && line.split(|&b| b == b' ').count() >= 5;
    let told = match first.as_slice() {
        _ if form == Form::Imap && known(verb) => None,
        b"USER" if user && alone && (form == Form::Line || !known(verb)) => Some(Foreign::Pop3),
        b"USER" if user && real() && (form == Form::Pop3 || !known(verb)) => Some(Foreign::Irc),
        _ if known(verb) => None,
        b"EHLO" | b"HELO" => Some(Foreign::Smtp),
        b"LHLO" => Some(Foreign::Lmtp),
        b"CAPA" | b"STLS" if second.is_empty() => Some(Foreign::Pop3),
        b"APOP" if rest.as_ref().is_some_and(|digest| digest.len() == 32) => Some(Foreign::Pop3),
        b"NICK" if !second.is_empty() && alone => Some(Foreign::Irc),
        b"CAP" if matches!(second.as_slice(), b"LS" | b"REQ" | b"LIST" | b"END") => Some(Foreign::Irc),
        b"CAPABILITIES" if second.is_empty() => Some(Foreign::Nntp),
        b"MODE" if second == b"READER" => Some(Foreign::Nntp),
        b"AUTHINFO" if matches!(second.as_slice(), b"USER" | b"SASL" | b"PASS") => Some(Foreign::Nntp),
        b"AUTHENTICATE" if second.starts_with(b"\"") => Some(Foreign::Managesieve),
        tag if form != Form::Imap && is_tag(tag) && !known(tag) && is_imap(&second) => Some(Foreign::Imap),
        _ => None,
    }?;
    let end = if told == Foreign::Imap { first.len() + 1 + second.len() } else { first.len() };
    Some((told, end))
}

/// True for what IMAP clients put before their commands (RFC 9051 section 9).
fn is_tag(word: &[u8]) -> bool {
    (1..=32).contains(&word.len()) && word.iter().all(|b| b.is_ascii_alphanumeric() || b".-_$".contains(b))
}

/// True for a verb with which IMAP clients begin, in capitals.
fn is_imap(verb: &[u8]) -> bool {
    matches!(verb, b"CAPABILITY" | b"LOGIN" | b"AUTHENTICATE" | b"STARTTLS" | b"ID" | b"NOOP" | b"LOGOUT")
}

/// What must not be shown of a client's line in another protocol, of which the first `verb` bytes are the command, 0 if that is
/// not known: its arguments, unless the command is one that carries no secret.
#[must_use]
pub fn secret(line: &[u8], verb: usize) -> Option<Span> {
    const HARMLESS: [&[u8]; 12] = [
        b"EHLO",
        b"HELO",
        b"LHLO",
        b"CAPA",
        b"STLS",
        b"NICK",
        b"CAP",
        b"CAPABILITIES",
        b"MODE",
        b"CAPABILITY",
        b"ID",
        b"STARTTLS",
    ];
    let end = super::body(line).len();
    let verb = verb.min(end);
    let name = line[..verb].rsplit(|&b| b == b' ').next().unwrap_or_default();
    let harmless = HARMLESS.iter().any(|known| name.eq_ignore_ascii_case(known));
    let start = if verb == 0 { 0 } else { verb + 1 };
    (!harmless && start < end).then(|| Span::new(start, end))
}

/// True if a peer that greets so, or begins so, speaks a protocol of this form.
#[must_use]
pub const fn is_of(what: Foreign, form: Form) -> bool {
    matches!(
        (what, form),
        (Foreign::Imap, Form::Imap)
            | (Foreign::Pop3, Form::Pop3)
            | (Foreign::Managesieve, Form::Managesieve)
            | (Foreign::Irc, Form::Line)
            | (Foreign::Smtp | Foreign::Lmtp | Foreign::Nntp | Foreign::Ftp, Form::Codes)
    )
}

/// True for the protocols that a server greets in and a client logs in to.
#[must_use]
pub const fn is_mail(what: Foreign) -> bool {
    !matches!(what, Foreign::Tls | Foreign::TlsAlert | Foreign::Http | Foreign::Proxy | Foreign::Ssh)
}

/// True if the first line of a server's lane can only be another protocol's, where lines of this form are expected.
#[must_use]
pub fn greets_otherwise(line: &[u8], form: Form) -> bool {
    greeting(line).is_some_and(|what| !is_of(what, form)) && form != Form::Line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_tell_their_protocol() {
        for (line, want) in [
            ("* OK [CAPABILITY IMAP4rev1] Dovecot ready.", Some(Foreign::Imap)),
            ("* PREAUTH hi", Some(Foreign::Imap)),
            ("* BYE too many", Some(Foreign::Imap)),
            ("* OKAY", None),
            ("* 3 EXISTS", None),
            ("+OK POP3 server ready", Some(Foreign::Pop3)),
            ("+OK", Some(Foreign::Pop3)),
            ("-ERR busy", Some(Foreign::Pop3)),
            ("+ idling", None),
            ("220 mx.example.org ESMTP Postfix", Some(Foreign::Smtp)),
            ("220-mx.example.org", Some(Foreign::Smtp)),
            ("554 no service", Some(Foreign::Smtp)),
            ("220 mx.example.org LMTP ready", Some(Foreign::Lmtp)),
            ("220 lmtp.example.org ready", Some(Foreign::Smtp)),
            ("220 ProFTPD Server", Some(Foreign::Ftp)),
            ("220 ftp.example.org ESMTP", Some(Foreign::Smtp)),
            ("200 news.example.org InterNetNews NNRP server ready", Some(Foreign::Nntp)),
            ("201 no posting", Some(Foreign::Nntp)),
            ("\"IMPLEMENTATION\" \"Dovecot Pigeonhole\"", Some(Foreign::Managesieve)),
            ("\"SIEVE\" \"fileinto\"", Some(Foreign::Managesieve)),
            ("\"something else\"", None),
            ("BYE \"too many\"", Some(Foreign::Managesieve)),
            (":irc.example.org NOTICE * :*** Looking up your hostname", Some(Foreign::Irc)),
            ("NOTICE AUTH :*** Checking ident", Some(Foreign::Irc)),
            ("ERROR :Closing Link", Some(Foreign::Irc)),
            ("", None),
            ("2200 x", None),
        ] {
            assert_eq!(greeting(format!("{line}\r\n").as_bytes()), want, "{line}");
        }
    }

    #[test]
    fn requests_tell_their_protocol_and_hide_what_may_be_secret() {
        let nothing = |_: &[u8]| false;
        for (form, line, want, shown) in [
            (Form::Imap, "EHLO client.example", Some(Foreign::Smtp), "EHLO client.example"),
            (Form::Imap, "USER bob", Some(Foreign::Pop3), "USER "),
            (Form::Imap, "USER bob 0 * :Bob", Some(Foreign::Irc), "USER "),
            (Form::Imap, "NICK bob", Some(Foreign::Irc), "NICK bob"),
            (Form::Imap, "CAPABILITIES", Some(Foreign::Nntp), "CAPABILITIES"),
            (Form::Imap, "AUTHENTICATE \"PLAIN\" \"Ym9i\"", Some(Foreign::Managesieve), "AUTHENTICATE "),
            (Form::Imap, "PASS x", None, ""),
            (Form::Codes, "a1 LOGIN bob pw", Some(Foreign::Imap), "a1 LOGIN "),
            (Form::Line, "a1 CAPABILITY", Some(Foreign::Imap), "a1 CAPABILITY"),
            (Form::Line, "CAPA", Some(Foreign::Pop3), "CAPA"),
            (Form::Pop3, "USER bob 0 * :Bob", Some(Foreign::Irc), "USER "),
            (Form::Line, "USER bob", Some(Foreign::Pop3), "USER "),
            (Form::Codes, "a1 FOO", None, ""),
            (Form::Pop3, "", None, ""),
        ] {
            let found = request(line.as_bytes(), form, &nothing);
            assert_eq!(found.map(|(what, _)| what), want, "{line}");
            if let Some((_, verb)) = found {
                let hidden = secret(line.as_bytes(), verb).map_or(line.len(), |span| span.start as usize);
                assert_eq!(&line[..hidden], shown, "{line}");
            }
        }
        let user = |verb: &[u8]| verb == b"USER";
        for (form, line) in [(Form::Pop3, "USER bob"), (Form::Line, "USER bob 0 * :Bob"), (Form::Codes, "USER bob")] {
            assert_eq!(request(line.as_bytes(), form, &user), None, "{line}");
        }
        let known = |verb: &[u8]| verb == b"LOGIN" || verb == b"EHLO";
        assert_eq!(request(b"USER LOGIN bob pw", Form::Imap, &known), None, "a tag may be any word");
        assert_eq!(request(b"EHLO x", Form::Codes, &known), None);
    }
}
