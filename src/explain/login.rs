//! Credentials on their way: LOGIN, AUTHENTICATE and the lines of its exchange, decoded from the octets as they came,
//! before these are masked. Decides what of them must not be shown beyond what the session has found.

use super::enabled::Enabled;
use super::phrase::quote;
use super::sasl::{self, Exchange, Said};
use super::{Explainer, add, phrase};
use crate::check::Standard;
use crate::event::{
    Data, DataKind, Decoded, Edited, Kind, Note, NoteKind, Oddity, Peer, Span, Status, Text, is_masked,
};
use crate::grammar::{Then, mechanism};
use crate::wire::coded::decode;
use crate::wire::login::Login;
use crate::wire::name::is_name;
use crate::wire::{body, dot, imap};

/// Who logs in.
#[derive(Debug, Default)]
pub(super) struct Who {
    /// The user that USER has named (POP3).
    pub named: Option<String>,
    /// The user whom the server has let in.
    pub user: Option<String>,
    /// What was switched on for that user.
    pub enabled: Enabled,
}

/// A login by a command of its own whose user is hidden, in the words of the client.
pub(super) struct Claim {
    frame: u64,
    user: Vec<u8>,
    /// The name is a literal that is still to come.
    due: bool,
    /// The password is there, and the name may be one beside it.
    credible: bool,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

impl Explainer {
    /// What a text says about credentials, as a note; its secrets are remembered and added to the text's. What comes from a
    /// recording was decoded before its secrets were hidden, and brings along what was found.
    pub(super) fn decode(&mut self, from: Peer, text: &mut Text, bytes: &[u8]) -> Option<Note> {
        if from == Peer::Server && self.is_about_mail(text, bytes) {
            return None;
        }
        let known = self.vault.is_sealed().then(|| text.secrets.clone());
        if text.oddities.contains(&Oddity::UnexpectedGoAhead) {
            // A literal before it is missing: the next one may be the password, and names nobody.
            self.claim = None;
        }
        let note = self.decode_octets(from, text, bytes);
        let frame = text.answers.filter(|_| from == Peer::Server && accepts(text));
        if let Some(known) = known {
            // What was hidden is hidden, and nothing else.
            text.secrets = known;
            let decoded = text.decoded.as_deref()?;
            if let Some(exchange) = &mut self.exchange {
                exchange.take_over(decoded, from == Peer::Client);
            }
            self.name_pending(frame, decoded.user.as_ref());
            return words(&decoded.text);
        }
        let (said, user) = frame.map_or_else(Default::default, |frame| self.accept(frame));
        self.name_pending(frame, user.as_ref());
        let said = match note {
            Some(note) if said.is_empty() => note.text,
            Some(note) => format!("{}; {said}", note.text),
            None => said,
        };
        text.decoded = (!said.is_empty() || user.is_some()).then(|| {
            Box::new(match &self.exchange {
                Some(exchange) => Decoded {
                    text: said.clone(),
                    mechanism: exchange.mechanism.clone(),
                    user: exchange.user.clone(),
                    header: exchange.header,
                },
                None => Decoded { text: said.clone(), user, ..Decoded::default() },
            })
        });
        words(&said)
    }

    /// True for a response of IMAP that is no part of a login, as most that a server says are.
    fn is_about_mail(&self, text: &Text, bytes: &[u8]) -> bool {
        let Kind::Info { name, .. } = text.reading.kind else { return false };
        self.standard == Standard::Imap && text.decoded.is_none() && !is_challenge(name.of(text.bytes.of(bytes)))
    }

    /// What follows the last word of a line that is a verb, for a verb is no secret.
    fn behind_verb<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let mut rest = line;
        let mut behind = line;
        for _ in 0..3 {
            let blanks = rest.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let len = rest[blanks..].iter().take_while(|b| !b.is_ascii_whitespace()).count();
            let (word, next) = rest[blanks..].split_at(len);
            if self.grammar.commands.exact(word).is_some() {
                behind = next;
            }
            rest = next;
        }
        behind
    }

    /// True for a command that begins an exchange whose messages are understood.
    fn follows(&self, text: &Text, raw: &[u8]) -> bool {
        let Kind::Command { verb, arguments, .. } = text.reading.kind else { return false };
        let first = arguments.of(raw).split(|b| b" \t".contains(b)).find(|word| !word.is_empty());
        let sasl = self.grammar.command(verb.of(raw)).is_some_and(|command| command.then == Some(Then::Sasl));
        sasl && first.is_some_and(|first| mechanism(unquoted(first)).is_some())
    }

    /// True for a client's text with secrets, hidden from `start` on, that is no command as the grammar knows it.
    fn is_odd(&self, text: &Text, raw: &[u8], start: u32) -> bool {
        match text.reading.kind {
            Kind::Command { verb, arguments, .. } => {
                start < arguments.start || self.grammar.commands.exact(verb.of(raw)).is_none()
            }
            Kind::Unknown => true,
            _ => false,
        }
    }

    /// The server has accepted the login of this frame: what was hidden of it although it is no secret, in words, and the
    /// user.
    fn accept(&mut self, frame: u64) -> (String, Option<String>) {
        if let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.frame == frame) {
            let accepted = exchange.accept();
            accepted.names.iter().for_each(|name| self.vault.forget(name));
            let user = exchange.user.clone().filter(|_| !accepted.names.is_empty());
            return (accepted.text, user);
        }
        let Some(claim) = self.claim.take_if(|claim| claim.frame == frame).filter(|claim| claim.credible) else {
            return Default::default();
        };
        self.vault.forget(&claim.user);
        (String::new(), Some(phrase::excerpt(&claim.user)))
    }

    /// Says who logs in with the command of this frame.
    fn name_pending(&mut self, frame: Option<u64>, user: Option<&String>) {
        let pending = frame.and_then(|frame| self.connection.waiting.get_mut(frame)).filter(|pending| pending.login);
        if let (Some(pending), Some(user)) = (pending, user) {
            pending.subject = Some(user.as_str().into());
        }
    }

    fn decode_octets(&mut self, from: Peer, text: &mut Text, bytes: &[u8]) -> Option<Note> {
        let raw = text.bytes.of(bytes);
        let note = match (from, text.reading.kind) {
            // What is hidden up to the verb says nothing: a recording could not say it again.
            (Peer::Client, Kind::Command { verb, .. }) if text.secrets.iter().any(|it| it.start < verb.end) => None,
            (Peer::Client, Kind::Command { tag: _, verb, arguments }) => {
                self.credentials(text.frame, verb.of(raw), raw, arguments, &text.secrets)
            }
            (Peer::Client, Kind::Sasl) => {
                let line = body(raw);
                let message = if self.standard == Standard::Managesieve { unquoted(line) } else { line };
                let said = match &mut self.exchange {
                    // What comes as a literal is hidden, and which message the next one is cannot be known.
                    Some(exchange) if text.reading.literal.is_some() => {
                        exchange.confuse();
                        add(&mut text.secrets, vec![Span::new(0, line.len())]);
                        return None;
                    }
                    Some(exchange) => exchange.client(message),
                    None => Exchange::begin(b"", 0, self.vault.shows()).client(message),
                };
                add(&mut text.secrets, vec![Span::new(0, line.len())]);
                if let Some(edit) = changed(text) {
                    edit.secrets = vec![Span::new(0, edit.bytes.len())];
                    self.vault.remember(body(edit.bytes.of(bytes)));
                }
                if decode(message).is_some() {
                    self.vault.remember(message);
                } else {
                    self.vault.remember_token(message);
                }
                Some(self.keep(said))
            }
            (Peer::Client, Kind::More) => {
                let password = unquoted(body(raw).trim_ascii());
                if !password.is_empty() && text.reading.literal.is_none() {
                    self.password_of_claim(text.frame, password);
                }
                None
            }
            (Peer::Client, Kind::Cancel) => {
                // A line that comes all the same begins nothing: it may be the password.
                if let Some(exchange) = &mut self.exchange {
                    exchange.confuse();
                }
                None
            }
            (Peer::Server, Kind::Reply { code: Some(code), .. }) if self.standard == Standard::Managesieve => {
                self.last_of_exchange(text, raw, code)
            }
            // It is a literal, of which only the size is known here.
            (Peer::Server, Kind::GoAhead { .. }) if text.reading.literal.is_some() => {
                self.exchange.as_mut().filter(|it| text.answers.is_none_or(|frame| frame == it.frame))?.confuse();
                None
            }
            // The last message of a server of NNTP (RFC 4643 section 2.4.1).
            (Peer::Server, Kind::Reply { word, text: proof, .. })
                if word.of(raw) == b"283" && is_coded(proof.of(raw)) =>
            {
                add(&mut text.secrets, vec![proof]);
                None
            }
            // In IRC a challenge is a message like any other, and what it belongs to is not followed.
            (Peer::Server, Kind::Info { name, arguments, .. })
                if is_challenge(name.of(raw)) && is_coded(arguments.of(raw)) =>
            {
                add(&mut text.secrets, vec![arguments]);
                None
            }
            // Only a challenge belongs here, or the reply: what the client's next message answers cannot be known.
            (Peer::Server, Kind::Info { .. } | Kind::Unknown) if self.standard == Standard::Managesieve => {
                self.exchange.as_mut()?.confuse();
                None
            }
            (Peer::Server, Kind::GoAhead { text: challenge, .. }) => {
                if text.answers.is_none() {
                    self.exchange.as_mut().into_iter().for_each(|exchange| exchange.confuse());
                }
                let octets = challenge.of(raw);
                let ours = self.exchange.as_ref().is_some_and(|e| text.answers.is_none_or(|frame| frame == e.frame));
                let Some(said) = self.exchange.as_mut().filter(|_| ours).map(|exchange| exchange.server(octets)) else {
                    // The login that it belongs to was not seen, or not understood.
                    if is_coded(octets) {
                        add(&mut text.secrets, vec![challenge]);
                    }
                    return None;
                };
                let echo = self.echoed(octets);
                // Of a recording all is hidden that was to be.
                if (said.hide || echo) && !self.vault.is_sealed() {
                    add(&mut text.secrets, vec![challenge]);
                    if let Some(edit) = changed(text) {
                        edit.secrets = vec![Span::new(0, edit.bytes.len())];
                    }
                }
                Some(self.keep_challenge(said, echo))
            }
            _ => None,
        };
        let raw = text.bytes.of(bytes);
        if from == Peer::Client && text.reading.kind != Kind::Sasl {
            let followed = self.follows(text, raw);
            for span in &text.secrets {
                self.vault.remember_token(span.of(raw));
                if !followed {
                    let line = self.behind_verb(span.of(raw));
                    self.vault.remember_line(line);
                }
            }
            if let Some(first) = text.secrets.first().filter(|first| self.is_odd(text, raw, first.start)) {
                let line = body(raw).get(first.start as usize..).unwrap_or_default();
                let line = self.behind_verb(line);
                self.vault.remember_loose(line);
            }
        }
        note
    }

    /// The server has agreed to a login: in words.
    pub(super) fn logged_in(&mut self, user: Option<&str>) -> String {
        if let Some(user) = user {
            self.vault.forget(user.as_bytes());
        }
        let who = self.who.get_or_insert_default();
        who.enabled.begin();
        who.user = user.map(str::to_owned);
        user.map_or_else(|| "logged in".to_owned(), |user| format!("logged in as {user}"))
    }

    /// True if a challenge repeats a secret of the client's, in base64 or decoded.
    fn echoed(&self, challenge: &[u8]) -> bool {
        self.vault.knows(challenge) || decode(challenge).is_some_and(|decoded| self.vault.knows(&decoded))
    }

    fn keep(&mut self, said: Said) -> Note {
        said.loose.iter().for_each(|message| self.vault.remember_loose(message));
        said.secrets.iter().for_each(|secret| self.vault.remember(secret));
        Note::new(NoteKind::Decoded, said.text, "")
    }

    /// Like [`Self::keep`], for what the server said: a secret in it is its proof, which is remembered, or an echo, of which
    /// nothing is decoded.
    fn keep_challenge(&mut self, said: Said, echo: bool) -> Note {
        if echo && !self.vault.shows() {
            return Note::new(NoteKind::Decoded, "challenge holds a secret of the client's: <hidden>", "");
        }
        self.keep(said)
    }

    /// The server's last message, which ManageSieve puts into the reply: `OK (SASL "…")` (RFC 5804 section 2.1).
    fn last_of_exchange(&mut self, text: &mut Text, raw: &[u8], code: Span) -> Option<Note> {
        let inside = code.of(raw);
        let head = inside.get(..5).filter(|head| head.eq_ignore_ascii_case(b"SASL "))?;
        let blanks = inside[head.len()..].iter().take_while(|&&b| b == b' ').count();
        let message = Span::new(code.start as usize + head.len() + blanks, code.end as usize);
        let Some(exchange) = &mut self.exchange else {
            if is_coded(message.of(raw)) {
                add(&mut text.secrets, vec![message]);
            }
            return None;
        };
        let said = exchange.server(unquoted(message.of(raw)));
        let echo = self.echoed(unquoted(message.of(raw)));
        if (said.hide || echo) && !self.vault.is_sealed() {
            add(&mut text.secrets, vec![message]);
        }
        Some(self.keep_challenge(said, echo))
    }

    /// LOGIN and AUTHENTICATE: who, and how.
    fn credentials(&mut self, frame: u64, verb: &[u8], raw: &[u8], arguments: Span, secrets: &[Span]) -> Option<Note> {
        let command = self.grammar.command(verb)?;
        let octets = arguments.of(raw);
        if command.then != Some(Then::Sasl) {
            return match (self.standard, command.name.as_str()) {
                (Standard::Imap, "LOGIN") | (Standard::Pop3, "APOP") => {
                    let name = command.name.clone();
                    self.plain_login(frame, &name, raw, arguments, secrets)
                }
                _ => None,
            };
        }
        if octets.trim_ascii().is_empty() {
            return None;
        }
        let mut words = octets.split(|&b| b == b' ' || b == b'\t').filter(|word| !word.is_empty());
        let name = unquoted(words.next().unwrap_or_default());
        // What was hidden in the name's place is none, but for one that is known. It is told with the first message, and kept
        // in a recording with that alone.
        let hidden = secrets.iter().any(|secret| secret.start <= arguments.start);
        let first = words.next();
        let name = if hidden && (mechanism(name).is_none() || first.is_none()) { b"" } else { name };
        let mut exchange = Exchange::begin(name, frame, self.vault.shows());
        if self.exchange.is_some() {
            // Lines could be taken for those of the wrong exchange.
            exchange.confuse();
        }
        let said = first.map(|line| {
            let line = if self.standard == Standard::Managesieve { unquoted(line) } else { line };
            self.vault.remember(line);
            // With more words than one it is no message.
            let line =
                if words.next().is_some() { &octets[line.as_ptr().addr() - octets.as_ptr().addr()..] } else { line };
            exchange.client(line)
        });
        self.exchange = Some(Box::new(exchange));
        self.claim = None;
        said.map(|said| self.keep(said))
    }

    /// A message with a false end, after which the server may read a login: from there on its head is hidden.
    pub(super) fn hide_login_behind(&self, data: &Data, head: &mut [u8]) {
        let ends = data.oddities.iter().filter_map(|odd| match odd {
            Oddity::FalseEnd(end, at) if data.kind == DataKind::Message => Some(dot::behind(*end, *at)),
            _ => None,
        });
        let Some(start) = ends.min().and_then(|end| usize::try_from(end).ok()).filter(|&end| end < head.len()) else {
            return;
        };
        let logs_in = |verb: &[u8]| self.grammar.commands.exact(verb).is_some_and(|it| it.secret.is_some());
        if let Some(at) = Login::default().feed(&head[start..], &logs_in) {
            self.vault.hide(head, &[Span::new(start + at, head.len())]);
        }
    }

    /// A literal of the client's: it may be the user's name or the password of a LOGIN.
    pub(super) fn literal_of_login(&mut self, data: &Data, head: &[u8]) {
        if data.secret {
            // A line of an exchange that is too long to be read: which message the next one is cannot be known.
            if let Some(exchange) = &mut self.exchange {
                exchange.confuse();
            }
            if (head.len() as u64) < data.len {
                self.vault.remember_head(head)
            } else {
                self.vault.remember_token(head)
            }
        }
        let pending = self.connection.waiting.get_mut(data.frame).filter(|pending| pending.login);
        let Some(pending) = pending else { return };
        if pending.then.is_some() || data.kind != DataKind::Literal {
            return;
        }
        let name = self.claim.as_mut().filter(|claim| claim.frame == data.frame && claim.due);
        let is_password = name.is_none() && data.secret;
        let text = match name {
            Some(claim) if data.secret => {
                claim.due = false;
                claim.user = if head.len() as u64 == data.len && is_name(head) { head.to_vec() } else { Vec::new() };
                format!("LOGIN user={}", if self.vault.shows() { quote(head) } else { "<hidden>".to_owned() })
            }
            _ if data.secret => {
                if self.vault.shows() && !is_masked(head) {
                    format!("LOGIN pass={}", quote(head))
                } else {
                    "LOGIN pass=<hidden>".to_owned()
                }
            }
            _ => {
                self.claim = None;
                pending.subject = Some(phrase::excerpt(head).into());
                format!("LOGIN user={}", quote(head))
            }
        };
        if is_password {
            self.password_of_claim(data.frame, head);
        }
        self.notes.push(Note::new(NoteKind::Decoded, text, ""));
    }

    fn plain_login(&mut self, frame: u64, name: &str, raw: &[u8], arguments: Span, secrets: &[Span]) -> Option<Note> {
        let octets = arguments.of(raw);
        let mut tokens = imap::tokens(octets);
        self.claim = None;
        let Some(user) = tokens.next() else {
            self.claim = Some(Box::new(Claim { frame, user: Vec::new(), due: true, credible: false }));
            return None;
        };
        let user = user.span.shifted(arguments.start as usize);
        let hidden = secrets.iter().any(|secret| secret.start < user.end && user.start < secret.end);
        if hidden {
            self.claim_of(frame, octets);
        } else if tokens.next().is_some_and(|it| it.span.of(octets).iter().any(|b| b"{}()%*\\".contains(b)))
            || tokens.next().is_some()
        {
            self.vault.remember_loose(&octets[(user.end - arguments.start) as usize..]);
        }
        let (mut text, secret) = (format!("{name} user="), if name == "APOP" { "digest" } else { "pass" });
        if hidden && !self.vault.shows() {
            text.push_str("<hidden>");
        } else {
            text.push_str(&quote(unquoted(user.of(raw))));
        }
        let password = &raw[(user.end as usize).min(arguments.end as usize)..arguments.end as usize];
        let password = password.trim_ascii();
        if !self.vault.shows() {
            text.push_str(&format!(" {secret}=<hidden>"));
        } else if !password.is_empty() {
            text.push_str(&format!(" {secret}={}", phrase::excerpt(password)));
        }
        Some(Note::new(NoteKind::Decoded, text, ""))
    }

    /// The name in a command's arguments was hidden: a name and a password, or something else.
    fn claim_of(&mut self, frame: u64, arguments: &[u8]) {
        let mut words = imap::tokens(arguments).map(|token| unquoted(token.span.of(arguments)));
        let user = words.next().unwrap_or_default();
        match (words.next(), words.next()) {
            (password, None) if is_name(user) && !user.contains(&b'\\') => {
                self.vault.remember(user);
                if password.is_none() {
                    self.vault.remember_loose(user);
                }
                let credible = password.is_some_and(|password| sasl::credible(user, password));
                self.claim = Some(Box::new(Claim { frame, user: user.to_vec(), due: false, credible }));
            }
            _ => self.vault.remember_loose(arguments),
        }
    }

    /// True if the name of this frame's login has come, though it is hidden.
    pub(super) fn has_named(&self, frame: u64) -> bool {
        self.claim.as_ref().is_some_and(|claim| claim.frame == frame && !claim.due)
    }

    /// The password of a command whose name is hidden came after a literal.
    fn password_of_claim(&mut self, frame: u64, password: &[u8]) {
        if let Some(claim) = self.claim.as_mut().filter(|claim| claim.frame == frame && !claim.due) {
            claim.credible = !claim.user.is_empty() && sasl::credible(&claim.user, password);
        }
    }
}

/// True for a reply that accepts what it answers.
fn accepts(text: &Text) -> bool {
    matches!(text.reading.kind, Kind::Reply { status: Status::Ok, .. }) && !text.more
}

/// True for the name of a message with a challenge in IRC.
fn is_challenge(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"AUTHENTICATE")
}

/// A note of what was decoded, if it says anything.
fn words(text: &str) -> Option<Note> {
    (!text.is_empty()).then(|| Note::new(NoteKind::Decoded, text, ""))
}

/// True for base64 that is no word of a language: a message of a login that nobody knows of.
fn is_coded(text: &[u8]) -> bool {
    let text = unquoted(text.trim_ascii());
    // Letters of a word are of one case, but for the first.
    let mixed = text.iter().any(u8::is_ascii_lowercase) && text.iter().skip(1).any(u8::is_ascii_uppercase);
    let coded = mixed || text.iter().any(|byte| byte.is_ascii_digit() || *byte == b'=');
    text.len() >= 8 && coded && decode(text).is_some()
}

/// The inside of a quoted string, or what stands there without quotes.
fn unquoted(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"\"").and_then(|word| word.strip_suffix(b"\"")).unwrap_or(word)
}

/// What was sent in the place of a text; `None` where a rule only did something else.
fn changed(text: &mut Text) -> Option<&mut Edited> {
    text.edit.as_deref_mut().filter(|edit| !edit.bytes.is_empty())
}
