//! The arguments of IMAP: which of them are names, which are words of the protocol, and what the literal behind them holds. They
//! may go on over several texts of a frame.

use super::stand_in::StandIns;
use super::vocabulary::{self, Words, has};
use crate::event::Span;
use crate::wire::imap::{TokenKind, tokens};

/// What the next block of data holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// A name.
    #[default]
    Name,
    /// A message, or the header of a part.
    Message,
    /// The body of a message.
    Body,
    /// Human text.
    Said,
}

/// What is special about the words of a command or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Manner {
    #[default]
    Plain,
    /// Behind some keys come names: what is searched for, or what mailboxes.
    Keys,
    /// Values may be dates, parts of a message, or types of MIME.
    Fetch,
    /// What follows the mailbox is a message.
    Append,
    /// Names and values in turn.
    Pairs,
    /// A group may come first that is no argument.
    List,
    /// Behind the mailbox come words in quotes (RFC 5258 section 5).
    Extended,
}

/// Where in the arguments a text ended.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Each argument outside of parentheses: `m` a name, `w` words of the protocol, `s` the same without keys, `r` rights; the last
    /// one goes on.
    kinds: &'static [u8],
    manner: Manner,
    at: usize,
    depth: u32,
    /// The kind of the argument that the outermost parenthesis is.
    group: u8,
    /// So many of the next arguments are names.
    after: u8,
    /// Within this parenthesis everything is a name.
    held: Option<u32>,
    /// What the next string holds, where a word before it says so.
    content: Option<Content>,
    /// Strings are those of BODYSTRUCTURE.
    structure: bool,
    /// The next string is a tag.
    tagged: bool,
}

/// Keys of SEARCH, NOTIFY and FETCH behind which a name comes.
const KEYS: [&[u8]; 22] = [
    b"BCC",
    b"BODY",
    b"CC",
    b"FROM",
    b"HEADER",
    b"KEYWORD",
    b"MAILBOXES",
    b"SUBJECT",
    b"SUBTREE",
    b"TEXT",
    b"TO",
    b"UNKEYWORD",
    b"X-GM-LABELS",
    b"X-GM-RAW",
    b"X-GM-MSGID",
    b"X-GM-THRID",
    b"EMAILID",
    b"THREADID",
    b"FILTER",
    b"ANNOTATION",
    b"MAILBOX",
    b"DELIVEREDTO",
];

/// The same of what FETCH and STORE give.
const ITEMS: [&[u8]; 10] = [
    b"X-GM-LABELS",
    b"X-GM-MSGID",
    b"X-GM-THRID",
    b"EMAILID",
    b"THREADID",
    b"MAILBOXID",
    b"+X-GM-LABELS",
    b"-X-GM-LABELS",
    b"X-GUID",
    b"X-MAILBOX",
];

impl Arguments {
    /// Those of a command.
    #[must_use]
    pub fn of_command(verb: &[u8]) -> Self {
        let verb = verb.to_ascii_uppercase();
        let bare = verb.strip_prefix(b"UID").map_or(&verb[..], <[u8]>::trim_ascii_start);
        let (kinds, manner): (&'static [u8], Manner) = match bare {
            b"SELECT" | b"EXAMINE" | b"CREATE" | b"STATUS" | b"SETQUOTA" => (b"mw", Manner::Plain),
            b"RENAME" => (b"mmw", Manner::Plain),
            b"LIST" | b"LSUB" | b"XLIST" => (b"mmw", Manner::List),
            b"GETMETADATA" => (b"mw", Manner::List),
            b"SETMETADATA" => (b"mw", Manner::Plain),
            b"APPEND" => (b"mw", Manner::Append),
            b"COPY" | b"MOVE" => (b"wm", Manner::Plain),
            b"FETCH" | b"STORE" => (b"w", Manner::Fetch),
            b"SEARCH" | b"THREAD" | b"ESEARCH" | b"NOTIFY" => (b"w", Manner::Keys),
            b"SORT" => (b"sw", Manner::Keys),
            b"AUTHENTICATE" => (b"wm", Manner::Plain),
            b"SETACL" => (b"mmr", Manner::Plain),
            b"ID" => (b"w", Manner::Pairs),
            b"ENABLE" | b"COMPRESS" | b"EXPUNGE" | b"LANGUAGE" | b"UIDBATCHES" => (b"w", Manner::Plain),
            _ => (b"m", Manner::Plain),
        };
        Arguments { kinds, manner, ..Self::default() }
    }

    /// Those of untagged data.
    #[must_use]
    pub fn of_response(name: &[u8]) -> Self {
        let (kinds, manner): (&'static [u8], Manner) = match &*name.to_ascii_uppercase() {
            b"LIST" | b"LSUB" | b"XLIST" => (b"wwmw", Manner::Extended),
            b"STATUS" | b"QUOTA" | b"METADATA" => (b"mw", Manner::Plain),
            b"MYRIGHTS" => (b"mr", Manner::Plain),
            b"FETCH" => (b"w", Manner::Fetch),
            b"ID" => (b"w", Manner::Pairs),
            b"ESEARCH" => (b"w", Manner::Keys),
            b"SEARCH" | b"SORT" | b"THREAD" | b"EXPUNGE" | b"EXISTS" | b"RECENT" | b"VANISHED" | b"FLAGS"
            | b"CAPABILITY" | b"ENABLED" | b"NAMESPACE" | b"LANGUAGE" | b"UIDBATCHES" => (b"w", Manner::Plain),
            _ => (b"m", Manner::Plain),
        };
        Arguments { kinds, manner, ..Self::default() }
    }

    /// Those of a response code, behind its name.
    #[must_use]
    pub fn of_code(name: &[u8]) -> Self {
        let kinds: &'static [u8] = match &*name.to_ascii_uppercase() {
            b"REFERRAL" | b"MAILBOXID" | b"BADURL" | b"NEWNAME" | b"URLMECH" | b"TAG" => b"m",
            _ => b"w",
        };
        Arguments { kinds, ..Self::default() }
    }

    fn kind(&self) -> u8 {
        match self.depth {
            0 => self.kinds.get(self.at).or(self.kinds.last()).copied().unwrap_or(b'm'),
            _ => self.group,
        }
    }

    /// Replaces what names something. `literal`: another argument follows as a literal; gives what it holds.
    pub fn replace(&mut self, bytes: &mut [u8], literal: bool, names: &mut StandIns, known: &Words) -> Content {
        let all: Vec<_> = tokens(bytes).collect();
        for token in all {
            let octets = &mut bytes[token.span.start as usize..token.span.end as usize];
            match token.kind {
                TokenKind::Open => self.open(),
                TokenKind::Close => self.close(),
                TokenKind::Quoted | TokenKind::OpenQuote => self.string(octets, names),
                TokenKind::Atom | TokenKind::Number | TokenKind::Flag | TokenKind::Surprise => {
                    self.atom(octets, names, known)
                }
            }
        }
        if !literal {
            return Content::Name;
        }
        let named = self.is_name() || self.manner == Manner::Pairs;
        let message = self.manner == Manner::Append && self.at > 0;
        let content = match self.content {
            _ if message => Content::Message,
            Some(content) if !named => content,
            _ => Content::Name,
        };
        self.value();
        content
    }

    fn is_name(&self) -> bool {
        self.held.is_some() || self.after > 0 || self.kind() == b'm'
    }

    fn open(&mut self) {
        if self.depth == 0 {
            let aside = self.manner == Manner::List && self.at == 0;
            self.group = if aside { b'w' } else { self.kind() };
        }
        self.depth += 1;
        if self.after > 0 && self.held.is_none() {
            self.held = Some(self.depth);
        }
    }

    fn close(&mut self) {
        if self.held == Some(self.depth) {
            self.held = None;
            self.after = 0;
        }
        self.depth = self.depth.saturating_sub(1);
        let aside = self.manner == Manner::List && self.at == 0;
        if self.depth == 0 && !aside {
            self.at += 1;
        }
    }

    /// One more argument is over.
    fn value(&mut self) {
        if self.depth == 0 {
            self.at += 1;
        }
        if self.held.is_none() {
            self.after = self.after.saturating_sub(1);
        }
        self.content = None;
    }

    fn string(&mut self, octets: &mut [u8], names: &mut StandIns) {
        let end = octets.len() - usize::from(octets.len() > 1 && octets.ends_with(b"\""));
        let inside = &mut octets[1..end];
        let free = !self.is_name();
        let dated = free && matches!(self.manner, Manner::Fetch | Manner::Append | Manner::Keys) && is_date(inside);
        let mut naming = false;
        match (self.manner, self.content) {
            _ if dated || (self.tagged && is_plain_tag(inside)) => {}
            (Manner::Extended, _) if free && [&b"CHILDINFO"[..], b"SUBSCRIBED", b"OLDNAME"].contains(&&*inside) => {}
            (_, Some(Content::Body | Content::Message)) if free => super::message::fill(inside),
            (Manner::Fetch, _) if free && self.structure && is_type(inside) => {
                naming = has(vocabulary::naming(), inside)
            }
            (Manner::Pairs, _) if free && has(vocabulary::naming(), inside) => naming = true,
            _ => names.names(inside),
        }
        self.tagged = false;
        self.value();
        self.after = self.after.max(u8::from(naming));
    }

    fn atom(&mut self, octets: &mut [u8], names: &mut StandIns, known: &Words) {
        let nil = octets.eq_ignore_ascii_case(b"NIL");
        if self.is_name() {
            // A pattern, a mailbox, an identifier. NIL is none.
            let field = self.manner == Manner::Keys && self.after == 2;
            match () {
                () if nil && self.kind() != b'm' => {}
                () if field => names.unlisted(octets, vocabulary::fields()),
                () => names.names(octets),
            }
            return self.value();
        }
        let upper = octets.to_ascii_uppercase();
        if self.kind() == b'r' {
            // Letters of rights (RFC 4314 section 2.1), in any order.
            if !octets.iter().all(|b| b"+-lrswipkxtecdan0123456789".contains(b)) || octets.len() > 20 {
                names.names(octets);
            }
            return self.value();
        }
        if nil || octets.starts_with(b"\\") && has(vocabulary::protocols(), &octets[1..]) {
            return self.value();
        }
        let section = octets.iter().position(|&b| b == b'[').unwrap_or(octets.len());
        let (item, inside) = octets.split_at_mut(section);
        names.unlisted(item, known);
        names.unlisted(inside, vocabulary::sections());
        self.tagged = upper == b"TAG";
        let sorted = self.kind() == b's';
        if self.depth <= 1 {
            self.structure = upper == b"BODYSTRUCTURE" || upper == b"BODY";
        }
        self.value();
        match self.manner {
            Manner::Keys if !sorted && KEYS.contains(&&*upper) => self.after = if upper == b"HEADER" { 2 } else { 1 },
            Manner::Fetch if ITEMS.contains(&&*upper) => self.after = 1,
            Manner::Fetch => self.content = content(&upper),
            _ => {}
        }
    }
}

/// What the value of an item of FETCH holds.
fn content(item: &[u8]) -> Option<Content> {
    let section = item.iter().position(|&b| b == b'[').map(|open| &item[open..]);
    match section {
        None if item == b"RFC822.TEXT" || item == b"SNIPPET" || item == b"PREVIEW" => Some(Content::Body),
        None if item.starts_with(b"RFC822") && item != b"RFC822.SIZE" => Some(Content::Message),
        None => None,
        Some(section) => {
            let whole = section.starts_with(b"[]") || section.starts_with(b"[HEADER") || contains(section, b".HEADER");
            Some(if whole || contains(section, b"MIME]") { Content::Message } else { Content::Body })
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// True for a date as IMAP or RFC 5322 has it: nothing but numbers, and words of dates.
#[must_use]
pub fn is_date(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    let shape = |b: &u8| b.is_ascii_alphanumeric() || b" ,:+-()".contains(b);
    let mut parts = text.split(|b| !b.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    let colons = text.iter().filter(|&&b| b == b':').count();
    let fits =
        parts.all(|part| part.iter().all(u8::is_ascii_digit) && part.len() <= 4 || has(vocabulary::dates(), part));
    (10..=48).contains(&text.len()) && (1..=2).contains(&colons) && text.iter().all(shape) && fits
}

/// True for words of MIME.
fn is_type(bytes: &[u8]) -> bool {
    let mut parts = bytes.split(|b| !b.is_ascii_alphanumeric() && *b < 0x80).filter(|part| !part.is_empty());
    let word = |part: &[u8]| has(vocabulary::mime(), part) || part.len() <= 4 && part.iter().all(u8::is_ascii_digit);
    bytes.iter().any(u8::is_ascii_alphabetic) && parts.all(word)
}

/// A tag that says nothing: a number with a few letters.
#[must_use]
pub fn is_plain_tag(tag: &[u8]) -> bool {
    let letters = tag.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let shape = tag.iter().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(b));
    tag.len() <= 16 && shape && letters <= 4 && tag.iter().any(u8::is_ascii_digit)
}

/// What of a text lies in none of these spans.
#[must_use]
pub fn gaps(mut spans: Vec<Span>, len: usize) -> Vec<Span> {
    spans.sort_by_key(|span| span.start);
    let (mut at, mut found) = (0, Vec::new());
    for span in spans {
        if (span.start as usize) > at {
            found.push(Span::new(at, span.start as usize));
        }
        at = at.max(span.end as usize);
    }
    if at < len {
        found.push(Span::new(at, len));
    }
    found
}
