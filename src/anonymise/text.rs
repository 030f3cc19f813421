//! One text of any form: each part is what its reading says, and what no reading covers is a name. Lists of capabilities stay,
//! and so does what announces a literal.

use super::Known;
use super::argument::{Arguments, Content, Listing, gaps, is_plain_tag};
use super::stand_in::StandIns;
use super::vocabulary::{self, has};
use crate::event::{Foreign, Form, Kind, List, Peer, Reading, Span};
use crate::grammar::mechanism;
use crate::wire::{self, status};

/// What of a lane outlives a text.
#[derive(Debug, Clone, Default)]
pub struct Frame {
    arguments: Arguments,
    /// What the literal holds that the last text announced.
    pub content: Content,
    /// What the command asked for that a reply answers, where lines of a server's follow.
    pub asked: Option<Listing>,
}

/// A text that is being replaced.
pub struct Draft<'a> {
    /// Its octets, line end included.
    pub bytes: &'a mut [u8],
    /// What it is.
    pub reading: &'a Reading,
    /// Who sent it.
    pub from: Peer,
    /// What its frame has been so far.
    pub frame: &'a mut Frame,
    /// The words of its protocol.
    pub known: &'a Known,
    /// The stand-ins.
    pub names: &'a mut StandIns,
}

impl Draft<'_> {
    /// Replaces what names somebody or something.
    pub fn replace(mut self) {
        let original = self.bytes.to_vec();
        let len = wire::body(&original).len();
        self.frame.content = Content::default();
        match (self.reading.kind, self.known.grammar.form) {
            (Kind::Foreign(what), _) => self.foreign(what, len),
            (Kind::Sasl, _) => self.bytes[..len].fill(b'*'),
            (Kind::Blank | Kind::Cancel, _) if len <= 3 => {}
            (_, Form::Imap) => self.imap(len),
            (_, Form::Managesieve) => self.managesieve(len),
            (_, Form::Codes | Form::Pop3) if self.from == Peer::Server => self.reply(&original),
            (Kind::Command { .. }, _) => self.command(len),
            (_, Form::Line) => self.words(len),
            _ => self.names(Span::new(0, len)),
        }
        if let Some(literal) = self.reading.literal {
            self.restore(literal.span, &original);
        }
        if let Some(list) = &self.reading.list {
            self.list(list, &original);
        }
    }

    fn part(&mut self, span: Span) -> &mut [u8] {
        let end = (span.end as usize).min(self.bytes.len());
        self.bytes.get_mut(span.start as usize..end).unwrap_or_default()
    }

    fn restore(&mut self, span: Span, original: &[u8]) {
        let old = span.of(original);
        let new = self.part(span);
        if new.len() == old.len() {
            new.copy_from_slice(old);
        }
    }

    fn names(&mut self, span: Span) {
        let (start, end) = (span.start as usize, (span.end as usize).min(self.bytes.len()));
        if let Some(octets) = self.bytes.get_mut(start..end) {
            self.names.names(octets);
        }
    }

    fn said(&mut self, span: Span) {
        let (start, end) = (span.start as usize, (span.end as usize).min(self.bytes.len()));
        if let Some(octets) = self.bytes.get_mut(start..end) {
            self.names.answered(octets, vocabulary::said());
        }
    }

    /// What no span covers is a name.
    fn rest(&mut self, spans: Vec<Span>, len: usize) {
        gaps(spans, len).into_iter().for_each(|gap| self.names(gap));
    }

    /// A verb or a name of data: it stays if the description knows it.
    fn verb(&mut self, span: Span) {
        let word = span.of(self.bytes);
        let known = match self.from {
            Peer::Client => self.known.grammar.commands.exact(word).is_some(),
            Peer::Server => self.known.grammar.responses.exact(word).is_some(),
        };
        // A client that was pointed at the wrong port speaks another protocol: the finding that says so rests on its verb.
        if known || self.from == Peer::Client && vocabulary::has(vocabulary::protocols(), word) {
            return;
        }
        // `UID FETCH` is two words, of which either may be known.
        let commands = &self.known.grammar.commands;
        let names = &mut self.names;
        let (start, end) = (span.start as usize, span.end as usize);
        for word in self.bytes[start..end].split_mut(u8::is_ascii_whitespace) {
            if !word.eq_ignore_ascii_case(b"UID") && commands.exact(word).is_none() {
                names.names(word);
            }
        }
    }

    fn tag(&mut self, span: Span) {
        let tag = span.of(self.bytes);
        if !is_plain_tag(tag) && !has(&self.known.words, tag) && tag != b"*" && tag != b"+" {
            self.names(span);
        }
    }

    fn code(&mut self, span: Span) {
        let code = span.of(self.bytes);
        let end = code.iter().position(|&b| b == b' ').unwrap_or(code.len());
        let name = &code[..end];
        let capitals = name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-/".contains(b));
        let stays = capitals || self.known.grammar.code(name).is_some_and(|code| !code.name.ends_with('*'));
        let described = self.known.grammar.code(name).is_some_and(|code| !code.name.ends_with('*'));
        let mut arguments = Arguments::of_code(name, described);
        let (start, end) = (span.start as usize, span.start as usize + end);
        if !stays {
            self.names(Span::new(start, end));
        }
        let octets = &mut self.bytes[end..span.end as usize];
        let _ = arguments.replace(octets, false, self.names, &self.known.words);
    }

    fn arguments(&mut self, span: Span) {
        let (start, end) = (span.start as usize, (span.end as usize).min(self.bytes.len()));
        let literal = self.reading.literal.is_some();
        let octets = self.bytes.get_mut(start..end).unwrap_or_default();
        self.names.begin_learning(self.from == Peer::Client && self.frame.arguments.is_naming());
        self.frame.content = self.frame.arguments.replace(octets, literal, self.names, &self.known.words);
        self.names.begin_learning(false);
    }

    fn imap(&mut self, len: usize) {
        let literal = self.reading.literal.map(|literal| literal.span);
        let mut spans: Vec<Span> = literal.into_iter().collect();
        match self.reading.kind {
            Kind::Command { tag, verb, arguments } => {
                spans.extend([tag, verb, arguments]);
                self.frame.arguments = Arguments::of_command(verb.of(self.bytes));
                self.tag(tag);
                self.verb(verb);
                self.arguments(arguments);
            }
            Kind::Info { number, name, arguments } => {
                spans.extend([name, arguments]);
                spans.extend(number);
                self.frame.arguments = Arguments::of_response(name.of(self.bytes));
                self.verb(name);
                self.arguments(arguments);
            }
            Kind::Reply { tag, word, code, text, .. } => {
                spans.extend([tag, word, text]);
                spans.extend(code);
                self.tag(tag);
                code.into_iter().for_each(|code| self.code(code));
                self.said(text);
            }
            Kind::GoAhead { word, text } => {
                spans.extend([word, text]);
                self.said(text);
            }
            Kind::More => {
                let span = Span::new(0, literal.map_or(len, |literal| literal.start as usize));
                spans.push(span);
                self.arguments(span);
            }
            Kind::Done => spans.push(Span::new(0, len.min(4))),
            _ => {}
        }
        self.rest(spans, len);
    }

    /// The lines of a reply of codes, or of POP3.
    fn reply(&mut self, original: &[u8]) {
        let pop3 = self.known.grammar.form == Form::Pop3;
        for (nth, (start, line)) in status::lines(original).enumerate() {
            let end = start + line.len();
            let begins = match (pop3, nth, self.reading.kind) {
                (false, ..) if status::code(line) => 4.min(line.len()),
                (true, 0, Kind::Reply { code, text, .. }) => {
                    code.into_iter().for_each(|code| self.code(code));
                    text.start as usize
                }
                (true, 0, Kind::GoAhead { text, .. }) => text.start as usize,
                (true, 1.., Kind::Reply { .. }) => 0,
                _ => {
                    self.names(Span::new(start, end));
                    continue;
                }
            };
            match (pop3, line.get(..3)) {
                // `211 COUNT FIRST LAST GROUP` (RFC 3977 section 6.1.1).
                (false, Some(b"211")) if self.known.grammar.name == "nntp" => {
                    let mut blanks = line.iter().enumerate().filter(|(_, b)| **b == b' ');
                    let group = blanks.nth(3).map_or(end, |(at, _)| start + at);
                    let after = blanks.next().map_or(end, |(at, _)| start + at);
                    self.said(Span::new(start + begins, group));
                    self.names(Span::new(group, after));
                    self.said(Span::new(after, end));
                }
                (true, _) if self.frame.asked == Some(Listing::Named) && nth == 0 => {
                    let text = &self.bytes[start + begins..end];
                    let count = text.iter().take_while(|b| b.is_ascii_digit()).count();
                    let listed = count > 0 && text.get(count) == Some(&b' ');
                    let rest = Span::new(start + begins + count, end);
                    if listed { self.names(rest) } else { self.said(Span::new(start + begins, end)) }
                }
                _ => self.said(Span::new(start + begins, end)),
            }
        }
        self.frame.content = match (pop3, original.get(..3)) {
            (true, _) => self.frame.asked.map_or(Content::Name, Content::Lines),
            (false, Some(code)) if self.known.grammar.name == "nntp" => match code {
                b"211" => Content::Lines(Listing::Numbers),
                b"215" | b"231" => Content::Lines(Listing::Groups),
                b"221" | b"225" => Content::Lines(Listing::Named),
                b"222" => Content::Lines(Listing::Body),
                b"224" => Content::Lines(Listing::Overview),
                b"230" => Content::Lines(Listing::Names),
                _ => Content::Name,
            },
            _ => Content::Name,
        };
    }

    /// A command without a tag.
    fn command(&mut self, len: usize) {
        let Kind::Command { tag, verb, arguments } = self.reading.kind else { return };
        self.verb(verb);
        let word = verb.of(self.bytes).to_ascii_uppercase();
        let (start, end) = (arguments.start as usize, arguments.end as usize);
        let octets = &mut self.bytes[start..end.min(len).max(start)];
        let first = octets.iter().position(|&b| b == b' ').unwrap_or(octets.len());
        let line = self.known.grammar.form == Form::Line;
        match &*word {
            b"MAIL" | b"RCPT" | b"SEND" | b"SOML" | b"SAML" => {
                self.names.begin_learning(true);
                self.names.path(octets, &self.known.words);
            }
            b"BDAT" => self.names.unlisted(octets, &self.known.words),
            b"RETR" | b"TOP" | b"DELE" | b"UIDL" | b"LIST" | b"ARTICLE" | b"HEAD" | b"BODY" | b"STAT" | b"XOVER"
            | b"OVER"
                if !line && octets.iter().all(|b| b.is_ascii_digit() || b" -".contains(b)) => {}
            // A channel or a user, then letters with signs, and who they are for.
            b"MODE" if line => {
                let (target, rest) = octets.split_at_mut(first);
                self.names.names(target);
                let signed = |rest: &[u8]| rest.get(1).is_some_and(|b| b"+-".contains(b));
                let modes = match signed(rest) {
                    true => 1 + rest[1..].iter().position(|&b| b == b' ').unwrap_or(rest.len() - 1),
                    false => 0,
                };
                self.names.names(&mut rest[modes..]);
            }
            // What is listed, and of which groups.
            b"LIST" if !line => {
                let (keyword, rest) = octets.split_at_mut(first);
                self.names.unlisted(keyword, &self.known.words);
                self.names.begin_learning(true);
                self.names.names(rest);
            }
            b"CAP" | b"HELP" | b"MODE" | b"XCLIENT" | b"XFORWARD" => {
                for token in octets.split_mut(|&b| b == b' ') {
                    let key = token.iter().position(|&b| b == b'=').unwrap_or(token.len());
                    let (key, value) = token.split_at_mut(key);
                    self.names.unlisted(key, &self.known.words);
                    self.names.names(value);
                }
            }
            b"AUTH" | b"AUTHENTICATE" | b"AUTHINFO" => {
                let (method, rest) = octets.split_at_mut(first);
                let keyword = [&b"USER"[..], b"PASS", b"SASL", b"GENERIC", b"SIMPLE"]
                    .iter()
                    .any(|it| method.eq_ignore_ascii_case(it));
                if !keyword && mechanism(&*method).is_none_or(|it| it.name.ends_with('*')) {
                    self.names.unlisted(method, vocabulary::protocols());
                }
                if method.eq_ignore_ascii_case(b"SASL") {
                    self.names.unlisted(rest, vocabulary::protocols());
                } else {
                    self.names.begin_learning(true);
                    self.names.names(rest);
                }
            }
            _ => {
                // The text of a message to others does not name a user or a channel.
                let end = octets.windows(2).position(|pair| pair == b" :").filter(|_| line).unwrap_or(octets.len());
                let (arguments, said) = octets.split_at_mut(end);
                self.names.begin_learning(!matches!(&*word, b"EHLO" | b"HELO" | b"LHLO"));
                self.names.names(arguments);
                self.names.begin_learning(false);
                self.names.names(said);
            }
        }
        self.names.begin_learning(false);
        self.rest(vec![tag, verb, arguments], len);
    }

    /// A server's line of words.
    fn words(&mut self, len: usize) {
        let Kind::Info { name, arguments, .. } = self.reading.kind else { return self.names(Span::new(0, len)) };
        self.verb(name);
        if name.of(self.bytes).eq_ignore_ascii_case(b"CAP") {
            // The nickname of the client comes first.
            let (start, end) = (arguments.start as usize, arguments.end as usize);
            let octets = &mut self.bytes[start..end];
            let first = octets.iter().position(|&b| b == b' ').unwrap_or(octets.len());
            let (target, rest) = octets.split_at_mut(first);
            self.names.names(target);
            self.names.unlisted(rest, vocabulary::protocols());
            self.rest(vec![name, arguments], len);
        } else {
            self.rest(vec![name], len);
        }
    }

    fn managesieve(&mut self, len: usize) {
        match self.reading.kind {
            Kind::Command { verb, arguments, .. } => {
                let check = verb.of(self.bytes).eq_ignore_ascii_case(b"CHECKSCRIPT");
                let first = arguments.of(self.bytes).trim_ascii().is_empty() && !check;
                self.verb(verb);
                let octets = &mut self.bytes[arguments.start as usize..arguments.end as usize];
                // The mechanism of a login is the one string that is no name.
                let quoted = octets.get(1..).and_then(|rest| rest.iter().position(|&b| b == b'"'));
                let method = quoted.map_or(0, |close| close + 2);
                let plain = verb.of(self.bytes).eq_ignore_ascii_case(b"AUTHENTICATE");
                let octets = &mut self.bytes[arguments.start as usize..arguments.end as usize];
                let skip = if plain
                    && method > 2
                    && mechanism(&octets[1..method - 1]).is_some_and(|it| !it.name.ends_with('*'))
                {
                    method
                } else {
                    0
                };
                self.names.begin_learning(true);
                self.names.strings(&mut octets[skip..], None);
                self.names.begin_learning(false);
                self.frame.content = if first { Content::Name } else { Content::Body };
                self.rest(vec![verb, arguments], len);
            }
            Kind::Reply { word, code, text, .. } => {
                let before = word.start as usize;
                self.names.strings(&mut self.bytes[..before], Some(&self.known.words));
                code.into_iter().for_each(|code| self.code(code));
                // The text is one string, whose words may be heard of one by one.
                let quote = usize::from(text.of(self.bytes).first() == Some(&b'"'));
                self.said(Span::new((text.start as usize + quote).min(text.end as usize), text.end as usize));
                self.frame.content = Content::Said;
                let mut spans = vec![Span::new(0, before), word, text];
                spans.extend(code);
                self.rest(spans, len);
            }
            _ => {
                self.names.strings(&mut self.bytes[..len], Some(&self.known.words));
                self.frame.content = if self.reading.kind == Kind::More && self.from == Peer::Server {
                    Content::Name
                } else {
                    Content::Body
                };
            }
        }
    }

    /// Another protocol: what tells which one stays.
    fn foreign(&mut self, what: Foreign, len: usize) {
        let line = &mut self.bytes[..len];
        match what {
            Foreign::Http
            | Foreign::Ssh
            | Foreign::Imap
            | Foreign::Pop3
            | Foreign::Smtp
            | Foreign::Lmtp
            | Foreign::Managesieve
            | Foreign::Nntp
            | Foreign::Irc
            | Foreign::Ftp => {
                let end = line.iter().position(|b| b" -/".contains(b)).unwrap_or(line.len());
                self.names.unlisted(&mut line[end..], vocabulary::protocols());
            }
            Foreign::Proxy if line.starts_with(b"PROXY ") => {
                self.names.counted(&mut line[6..], Some(vocabulary::protocols()))
            }
            Foreign::Proxy => line.iter_mut().skip(16).for_each(|byte| *byte = b'x'),
            Foreign::Tls | Foreign::TlsAlert => line.iter_mut().skip(5).for_each(|byte| *byte = b'x'),
        }
    }

    /// Capabilities stay: those that are known, with what follows them, and what is written as one.
    fn list(&mut self, list: &List, original: &[u8]) {
        for item in &list.items {
            let name = item.name.of(original);
            let known = self.known.grammar.capabilities.exact(name).is_some();
            let pattern = self.known.grammar.capability(name).is_some_and(|it| it.name.contains('='));
            let written = name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"=+-._".contains(b));
            let mechanism = item.part && mechanism(name).is_some();
            if known || written || mechanism || pattern && !name.contains(&b'@') {
                self.restore(item.name, original);
            }
            let own = name.eq_ignore_ascii_case(b"OWNER");
            if known && !own && !item.parameters.is_empty() {
                self.restore(item.parameters, original);
            }
        }
    }
}
