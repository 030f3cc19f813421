//! Lines of a client that may be a login, or a part of one, although they do not read as one. Fails closed: a line is shown
//! because it reads as a known command, never because it looks harmless. What does not read as one is hidden in every state:
//! the argument of a misspelt or unknown command, and all of a line that may be the answer to a question.

use memchr::memchr;

use super::Session;
use super::secret::Mask;
use crate::event::{DataKind, Form, Kind, Peer, Reading, Span, State};
use crate::grammar::{Command, Secret};
use crate::wire;
use crate::wording::nearest;

/// Verbs with which one protocol or another logs in.
const LOGINS: [&str; 7] = ["PASS", "PASSWORD", "LOGIN", "AUTH", "AUTHENTICATE", "AUTHINFO", "IDENTIFY"];

/// Maximum length of a tag, and of a verb, that is shown although the verb is unknown, in bytes.
const SHOWN: (usize, usize) = (8, 32);

/// Minimum length of a line without letters and digits that may be a secret, in bytes.
const SECRET: usize = 4;

/// Words of an unknown command that are compared with the verbs of logins.
const WORDS: usize = 4;

/// First words of a message to a service of IRC that need no secret. All others may be followed by one.
const HARMLESS: [&str; 6] = ["HELP", "INFO", "LIST", "STATUS", "ACC", "VERSION"];

/// First words of a message with which a login or a registration begins, whoever it is sent to.
const ENTRIES: [&str; 10] =
    ["IDENTIFY", "REGISTER", "AUTH", "LOGIN", "PASS", "PASSWORD", "GHOST", "RECOVER", "REGAIN", "SIDENTIFY"];

impl Session {
    /// Where a client's text must be hidden from, whatever the grammar says of its verb; `None` if it reads as a command that
    /// is known. Keeps track of whether the next line can be believed.
    pub(super) fn suspect(&mut self, text: &[u8], reading: &Reading) -> Option<usize> {
        let line = wire::body(text);
        if line.len() < SECRET && !line.iter().any(u8::is_ascii_alphanumeric) {
            return None;
        }
        let (from, wary) = match reading.kind {
            Kind::Command { tag, verb, arguments } => self.suspect_command(line, [tag, verb, arguments], reading),
            Kind::Unknown => self.suspect_word(line),
            _ => return None,
        };
        self.lane(Peer::Client).wary = wary;
        from
    }

    /// Nothing on the client's lane is certain to be a command any more, until one is known. A literal that may be another one
    /// than was announced is a secret if anything of its frame is.
    pub(super) fn distrust(&mut self) {
        let lane = self.lane(Peer::Client);
        lane.wary = true;
        let secret = lane.frame.is_some_and(|frame| frame.mask != Mask::Nothing);
        if let Some(block) = lane.block.as_mut().filter(|block| secret && block.kind == DataKind::Literal) {
            block.secret = true;
        }
    }

    /// The client's first line after a greeting is a command.
    pub(super) const fn trust(&mut self) {
        let client = self.lane(Peer::Client);
        // What came before the greeting has decided already.
        client.wary &= client.started;
    }

    fn suspect_command(&self, line: &[u8], parts: [Span; 3], reading: &Reading) -> (Option<usize>, bool) {
        let [tag, verb, arguments] = parts;
        let whole = (Some(0), true);
        // A client that ends its lines with CR alone has several of them here.
        if memchr(b'\r', line).is_some() && line.split(|b| b" \t\r".contains(b)).any(|it| self.logs_in(it)) {
            return whole;
        }
        // Without a tag the verb is in the tag's place.
        if self.logs_in(tag.of(line)) {
            return whole;
        }
        if let Some(command) = self.grammar.commands.exact(verb.of(line)) {
            if command.logs_in() && self.sight.blind && self.lanes[Peer::Client.index()].wary {
                // It may be the end of a line that says more.
                return (Some(arguments.start as usize), true);
            }
            let surplus = command.arguments.is_empty() && !arguments.of(line).trim_ascii().is_empty();
            if surplus && !command.logs_in() && !self.logged_in() {
                // Where a password is due, what a command has that takes nothing may be one.
                return (Some(arguments.start as usize), false);
            }
            let second = self.second_login(line, arguments, command);
            return (second, second.is_some() || command.logs_in());
        }
        let words = line.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty());
        let foreign = is_entry(verb.of(line));
        let mut others = words.take(WORDS).filter(|word| !foreign || *word != verb.of(line));
        let wary = self.lanes[Peer::Client.index()].wary;
        if wary || others.any(|it| self.logs_in(it)) || self.resembles_login(tag.of(line)) {
            return whole;
        }
        let resembles = self.resembles_login(verb.of(line));
        let bare = arguments.is_empty() && reading.literal.is_none();
        // A lone word may be an answer, or a password that lacks its verb.
        let shown = !bare || !resembles && self.logged_in();
        if !shaped(tag.of(line), verb.of(line)) {
            return (Some(0), resembles);
        }
        let from = if shown { arguments.start } else { verb.start };
        // Refused, the bytes of a literal may come all the same.
        (Some(from as usize), reading.literal.is_some())
    }

    /// A line of one word, where commands have a tag.
    fn suspect_word(&self, line: &[u8]) -> (Option<usize>, bool) {
        let wary = self.lanes[Peer::Client.index()].wary;
        let known = self.grammar.commands.exact(line).is_some_and(|command| !command.logs_in());
        let login = self.logs_in(line) || self.resembles_login(line);
        ((!known).then_some(0), wary || login)
    }

    /// Returns where the secrets begin of a login in the arguments of another command: a client that ends no line, or has
    /// one word too many. After a login, arguments are free.
    fn second_login(&self, line: &[u8], arguments: Span, command: &Command) -> Option<usize> {
        let free = matches!(self.grammar.form, Form::Imap | Form::Managesieve) && self.logged_in();
        if command.logs_in()
            || command.secret == Some(Secret::ToServices)
            || arguments.is_empty()
            || free && !command.arguments.is_empty()
        {
            return None;
        }
        let rest = arguments.of(line);
        let mut at = 0;
        for word in rest.split(|&b| b == b' ' || b == b'\t') {
            let end = at + word.len();
            if word.starts_with(b":") && self.grammar.form == Form::Line {
                return None;
            }
            let name = word.trim_ascii().strip_prefix(b"\"").unwrap_or(word);
            let name = name.strip_suffix(b"\"").unwrap_or(name);
            if self.is_login(name) && !rest[end..].trim_ascii().is_empty() {
                return Some(arguments.start as usize + end + 1);
            }
            at = end + 1;
        }
        None
    }

    /// True if the state tells that the client has logged in, or does not have to.
    const fn logged_in(&self) -> bool {
        use State::{Authenticated, Mail, Open, Rcpt, Selected, Transaction, Update};
        !self.unsure && matches!(self.state, Authenticated | Selected | Mail | Rcpt | Transaction | Update | Open)
    }

    /// True for a verb that begins with one with secrets, or is spelled almost like one, of this protocol or another.
    fn resembles_login(&self, verb: &[u8]) -> bool {
        let begins = |name: &str| verb.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name.as_bytes()));
        let glued = self.verbs().chain(LOGINS).any(|name| name.len() >= 4 && begins(name));
        // A name that is much longer than those resembles none, and to compare it would cost.
        glued
            || !verb.is_empty()
                && verb.len() <= SHOWN.1
                && nearest(&String::from_utf8_lossy(verb), self.verbs().chain(LOGINS)).is_some()
    }

    /// The verbs of this protocol that carry secrets.
    fn verbs(&self) -> impl Iterator<Item = &str> {
        self.grammar.commands.iter().filter(|command| command.logs_in()).map(|command| command.name.as_str())
    }

    /// True for the verb of a command with secrets, also with something that is no letter or digit around it.
    pub(super) fn logs_in(&self, word: &[u8]) -> bool {
        let start = word.iter().position(u8::is_ascii_alphanumeric).unwrap_or(word.len());
        let word = &word[start..];
        let end = word.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(word.len());
        self.is_login(&word[..end])
    }

    /// True for the verb of a command with secrets, of this protocol or another.
    fn is_login(&self, word: &[u8]) -> bool {
        self.grammar.commands.exact(word).is_some_and(Command::logs_in) || is_entry(word)
    }
}

/// True for a verb with which one protocol or another logs in.
fn is_entry(word: &[u8]) -> bool {
    LOGINS.iter().any(|login| word.eq_ignore_ascii_case(login.as_bytes()))
}

/// True for a tag and a verb as clients write them. The words of a password, or base64, rarely look so.
fn shaped(tag: &[u8], verb: &[u8]) -> bool {
    let tag_byte = |b: &u8| b.is_ascii_alphanumeric() || b"._-".contains(b);
    let verb_byte = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b"._-".contains(b);
    tag.len() <= SHOWN.0
        && tag.iter().all(tag_byte)
        && verb.len() <= SHOWN.1
        && verb.first().is_some_and(u8::is_ascii_uppercase)
        && verb.iter().all(verb_byte)
}

/// Where the secrets begin of a message whose arguments are a target and a text (RFC 2812 section 3.3.1): after the first word
/// of a text to a service, or of one that begins like a login.
pub(super) fn to_service(arguments: &[u8]) -> Option<usize> {
    let blank = arguments.iter().position(|&b| b == b' ')?;
    let target = &arguments[..blank];
    let start = blank + arguments[blank..].iter().take_while(|&&b| b == b' ' || b == b':').count();
    let text = &arguments[start..];
    let len = text.iter().position(|&b| b == b' ').filter(|&len| !text[len..].trim_ascii().is_empty())?;
    let first = &text[..len];
    let word = first.strip_prefix(b"/").unwrap_or(first);
    let is = |words: &[&str]| words.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()));
    let service = is_service(target) && !is(&HARMLESS);
    // What was meant for a service and went to a channel: `/msg NickServ IDENTIFY ...`.
    let astray = first.starts_with(b"/") || is_serv(word);
    let channel = target.first().is_some_and(|first| b"#&+!".contains(first));
    let entry = if channel { word.eq_ignore_ascii_case(b"IDENTIFY") } else { is(&ENTRIES) };
    (service || astray || entry).then_some(start + len + 1)
}

/// True for the name of a service: NickServ, ChanServ and others, Q and X, and whatever names its server.
fn is_service(target: &[u8]) -> bool {
    let name = target.split(|&b| b == b'@').next().unwrap_or_default();
    name.len() < target.len()
        || is_serv(name)
        || ["Q", "X", "NS", "CS", "AUTH"].iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn is_serv(name: &[u8]) -> bool {
    name.len().checked_sub(4).is_some_and(|at| name[at..].eq_ignore_ascii_case(b"serv"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_a_service_is_hidden_from_its_second_word_on() {
        for (arguments, hidden) in [
            ("NickServ :IDENTIFY bob pw", Some("bob pw")),
            ("nickserv IDENTIFY pw", Some("pw")),
            ("Q@CServe.quakenet.org :AUTH bob pw", Some("bob pw")),
            ("X@channels.undernet.org :login bob pw", Some("bob pw")),
            ("NickServ :SET PASSWORD pw", Some("PASSWORD pw")),
            ("bob :identify pw", Some("pw")),
            ("bob :register pw a@b", Some("pw a@b")),
            ("#chat :IDENTIFY pw", Some("pw")),
            ("#chat :/msg NickServ IDENTIFY pw", Some("NickServ IDENTIFY pw")),
            ("#chat :NickServ IDENTIFY pw", Some("IDENTIFY pw")),
            ("NickServ :HELP IDENTIFY", None),
            ("NickServ :IDENTIFY", None),
            ("#chat :please register for it", None),
            ("#chat :auth is broken", None),
            ("bob :hello there", None),
            ("bob", None),
            ("", None),
        ] {
            let found = to_service(arguments.as_bytes()).map(|at| &arguments[at..]);
            assert_eq!(found, hidden, "{arguments}");
        }
    }

    #[test]
    fn tags_and_verbs_have_a_shape() {
        for (tag, verb, fits) in [
            ("a1", "XFOO", true),
            ("", "XAUTH", true),
            ("correct", "horse", false),
            ("kanarie77", "XFOO", false),
            ("a", "AGFsaWNl", false),
            ("a", "", false),
            ("+", "X", false),
        ] {
            assert_eq!(shaped(tag.as_bytes(), verb.as_bytes()), fits, "{tag} {verb}");
        }
    }
}
