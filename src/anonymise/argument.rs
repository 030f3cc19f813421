//! The arguments of IMAP: which of them are names, which are words of the protocol, and what the literal behind them holds. They
//! may go on over several texts of a frame.

use super::stand_in::StandIns;
use super::structure::{Item, Structure};
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
    /// Lines of the server's: these.
    Lines(Listing),
}

/// What lines of a server's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Numbers.
    Numbers,
    /// A number, and a name or what a message says (RFC 1939 section 7, RFC 3977 section 8.5).
    Named,
    /// Articles, in fields between tabs (RFC 3977 section 8.3).
    Overview,
    /// Names of groups and what is known of them (RFC 3977 section 7.6).
    Groups,
    /// Nothing but names.
    Names,
    /// The lines of a body.
    Body,
}

/// What is special about the words of a command or response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Manner {
    #[default]
    Plain,
    /// Behind some keys come names: what is searched for, or what mailboxes.
    Keys,
    /// Data of messages: flags, structures, parts of a message.
    Fetch,
    /// Names of such data.
    Items,
    /// What follows the name of an item is set, to the end.
    Store,
    /// What follows the mailbox is flags, a date and a message.
    Append,
    /// Keys and values in turn.
    Pairs,
    /// A group may come first that is no argument.
    List,
    /// Behind the mailbox come words in quotes (RFC 5258 section 5).
    Extended,
}

/// Where in the arguments a text ended.
///
/// The kind of an argument is a letter: `m` a name, `w` words of the protocol, `s` the same without keys, `r` rights, `k` flags
/// and keywords, `e` entries of metadata.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// Each argument outside of parentheses; the last one goes on.
    kinds: &'static [u8],
    manner: Manner,
    at: usize,
    depth: u32,
    /// The kind of the argument that the outermost parenthesis is.
    group: u8,
    /// Number of the next arguments that are of the kind `coming`.
    after: u8,
    coming: u8,
    /// Within this parenthesis everything is of this kind.
    held: Option<(u32, u8)>,
    /// All that still comes outside of parentheses is of this kind.
    rest: Option<u8>,
    /// What the next string holds, where a word before it says so.
    content: Option<Content>,
    /// A structure that has begun, or begins with the next parenthesis.
    structure: Option<Structure>,
    /// The last parameter was one whose value is a word.
    plain: bool,
    /// The next string is a tag.
    tagged: bool,
    /// The next string is a date.
    dated: bool,
    /// The last argument outside of parentheses was a word.
    worded: bool,
    /// The next one is a value, and not its key.
    paired: bool,
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

/// Words in quotes after a mailbox (RFC 5258 section 5, RFC 5465 section 5.3).
const EXTENDED: [&[u8]; 3] = [b"CHILDINFO", b"SUBSCRIBED", b"OLDNAME"];

/// The same of what FETCH and STORE give.
const ITEMS: [&[u8]; 9] = [
    b"ANNOTATION",
    b"X-GM-LABELS",
    b"X-GM-MSGID",
    b"X-GM-THRID",
    b"EMAILID",
    b"THREADID",
    b"MAILBOXID",
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
            b"GETMETADATA" => (b"me", Manner::List),
            b"SETMETADATA" => (b"me", Manner::Plain),
            b"APPEND" => (b"mw", Manner::Append),
            b"COPY" | b"MOVE" => (b"wm", Manner::Plain),
            b"FETCH" => (b"w", Manner::Items),
            b"STORE" => (b"w", Manner::Store),
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
            b"LIST" | b"LSUB" | b"XLIST" => (b"kwmw", Manner::Extended),
            b"STATUS" => (b"mw", Manner::Items),
            b"QUOTA" => (b"mw", Manner::Plain),
            b"METADATA" => (b"me", Manner::Plain),
            b"FLAGS" => (b"k", Manner::Plain),
            b"MYRIGHTS" => (b"mr", Manner::Plain),
            b"FETCH" => (b"w", Manner::Fetch),
            b"ID" => (b"w", Manner::Pairs),
            b"ESEARCH" => (b"w", Manner::Keys),
            b"SEARCH" | b"SORT" | b"THREAD" | b"EXPUNGE" | b"EXISTS" | b"RECENT" | b"VANISHED" | b"CAPABILITY"
            | b"ENABLED" | b"NAMESPACE" | b"LANGUAGE" | b"UIDBATCHES" => (b"w", Manner::Plain),
            _ => (b"m", Manner::Plain),
        };
        Arguments { kinds, manner, ..Self::default() }
    }

    /// Returns those of a response code, after its name. `known`: the grammar describes it.
    #[must_use]
    pub fn of_code(name: &[u8], known: bool) -> Self {
        let kinds: &'static [u8] = match &*name.to_ascii_uppercase() {
            b"PERMANENTFLAGS" => b"k",
            b"REFERRAL" | b"MAILBOXID" | b"BADURL" | b"NEWNAME" | b"URLMECH" | b"TAG" | b"UNDEFINED-FILTER" => b"m",
            _ if known => b"w",
            _ => b"m",
        };
        Arguments { kinds, ..Self::default() }
    }

    /// True if a name of this command is heard of again in what servers say: a mailbox, a user, and no word of a search.
    #[must_use]
    pub const fn is_naming(&self) -> bool {
        matches!(self.manner, Manner::Plain | Manner::List | Manner::Append)
    }

    fn kind(&self) -> u8 {
        let listed = || self.kinds.get(self.at).or(self.kinds.last()).copied().unwrap_or(b'm');
        match (self.held, self.after, self.depth) {
            (Some((_, kind)), ..) => kind,
            (None, 1.., _) => self.coming,
            (None, 0, 0) => self.rest.unwrap_or_else(listed),
            (None, 0, _) => self.group,
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
        if let Some(structure) = &mut self.structure {
            structure.item();
        }
        self.value();
        content
    }

    fn is_name(&self) -> bool {
        self.kind() == b'm'
    }

    fn open(&mut self) {
        if self.depth == 0 {
            let aside = self.manner == Manner::List && self.at == 0;
            self.group = match self.manner {
                _ if aside => b'w',
                // What a word is before belongs to it: `CATENATE (…)`. All else are flags.
                Manner::Append if self.at > 0 && !self.worded => b'k',
                _ => self.kind(),
            };
        }
        self.depth += 1;
        if self.after > 0 && self.held.is_none() {
            self.held = Some((self.depth, self.coming));
        }
        if let Some(structure) = &mut self.structure {
            structure.open();
        }
        (self.worded, self.dated) = (false, false);
    }

    fn close(&mut self) {
        if self.held.is_some_and(|(depth, _)| depth == self.depth) {
            self.held = None;
            self.after = 0;
        }
        if self.structure.as_mut().is_some_and(Structure::close) {
            self.structure = None;
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
        (self.worded, self.dated) = (false, false);
        self.paired = self.depth > 0 && !self.paired;
    }

    fn string(&mut self, octets: &mut [u8], names: &mut StandIns) {
        let end = octets.len() - usize::from(octets.len() > 1 && octets.ends_with(b"\""));
        let inside = &mut octets[1..end];
        let free = self.kind() != b'm';
        let mut naming = false;
        self.structure.take_if(|structure| !structure.has_begun());
        let dated = self.dated || (self.manner == Manner::Append && self.depth == 0 && self.at > 0);
        match (self.manner, self.content) {
            _ if self.structure.is_some() => self.structured(inside, names),
            _ if self.tagged && is_plain_tag(inside) => {}
            _ if free && dated && is_date(inside) => {}
            (Manner::Extended, _) if free && self.depth > 0 && EXTENDED.contains(&&*inside) => {
                naming = inside == b"OLDNAME";
            }
            (_, Some(Content::Body | Content::Message)) if free => super::message::fill(inside),
            (Manner::Pairs, _) if free && !self.paired && has(vocabulary::naming(), inside) => {}
            _ => names.names(inside),
        }
        self.tagged = false;
        self.value();
        if naming {
            (self.after, self.coming) = (1, b'm');
        }
    }

    /// A string, or what should be one, in a structure.
    fn structured(&mut self, inside: &mut [u8], names: &mut StandIns) {
        let item = self.structure.as_mut().map_or(Item::Name, Structure::item);
        match item {
            Item::Date if is_date(inside) => {}
            Item::Word if is_type(inside) => {}
            Item::Value if self.plain && is_type(inside) => {}
            Item::Key => {
                self.plain = super::message::is_plain(inside);
                if !is_type(inside) {
                    names.names(inside);
                }
            }
            _ => names.names(inside),
        }
    }

    fn atom(&mut self, octets: &mut [u8], names: &mut StandIns, known: &Words) {
        let nil = octets.eq_ignore_ascii_case(b"NIL");
        if self.structure.as_ref().is_some_and(Structure::has_begun) {
            if nil || octets.iter().all(u8::is_ascii_digit) {
                self.structure.as_mut().map(Structure::item);
            } else {
                self.structured(octets, names);
            }
            return self.value();
        }
        // It would have begun with a parenthesis.
        self.structure = None;
        let kind = self.kind();
        match kind {
            b'm' => {
                // A pattern, a mailbox, an identifier. NIL is none.
                let field = self.manner == Manner::Keys && self.after == 2;
                match () {
                    () if nil && self.depth > 0 => {}
                    // A label of Gmail's own.
                    () if octets.starts_with(b"\\") && vocabulary::is_flag(octets) => {}
                    () if field => names.unlisted(octets, vocabulary::fields()),
                    () => names.names(octets),
                }
                return self.value();
            }
            b'k' => {
                if !vocabulary::is_flag(octets) {
                    names.names(octets);
                }
                return self.value();
            }
            b'e' => {
                if !nil {
                    names.entry(octets);
                }
                return self.value();
            }
            b'r' => {
                // Letters of rights (RFC 4314 section 2.1), in any order.
                if !octets.iter().all(|b| b"+-lrswipkxtecdan0123456789".contains(b)) || octets.len() > 20 {
                    names.names(octets);
                }
                return self.value();
            }
            _ if nil => return self.value(),
            _ if octets.starts_with(b"\\") => {
                if !vocabulary::is_flag(octets) {
                    names.names(octets);
                }
                return self.value();
            }
            _ => {}
        }
        let upper = octets.to_ascii_uppercase();
        let section = octets.iter().position(|&b| b == b'[').unwrap_or(octets.len());
        let (item, inside) = octets.split_at_mut(section);
        names.unlisted(item, known);
        names.unlisted(inside, vocabulary::sections());
        self.tagged = upper == b"TAG";
        let depth = self.depth;
        self.value();
        self.worded = depth == 0;
        match self.manner {
            Manner::Keys if kind != b's' && KEYS.contains(&&*upper) => {
                self.after = match &*upper {
                    b"HEADER" => 2,
                    // An entry, one of its attributes, and a value (RFC 5257 section 4.7).
                    b"ANNOTATION" => 3,
                    _ => 1,
                };
                self.coming = b'm';
            }
            Manner::Items if ITEMS.contains(&&*upper) && (upper == b"ANNOTATION" || upper == b"MAILBOXID") => {
                (self.after, self.coming) = (1, b'm')
            }
            Manner::Store if depth == 0 => {
                let bare = upper.strip_prefix(b"+").or(upper.strip_prefix(b"-")).unwrap_or(&upper);
                match bare {
                    b"FLAGS" | b"FLAGS.SILENT" => self.rest = Some(b'k'),
                    _ if ITEMS.contains(&bare) => self.rest = Some(b'm'),
                    _ => {}
                }
            }
            Manner::Fetch if ITEMS.contains(&&*upper) => (self.after, self.coming) = (1, b'm'),
            Manner::Fetch if upper == b"FLAGS" => (self.after, self.coming) = (1, b'k'),
            Manner::Fetch => {
                self.content = content(&upper);
                self.dated = upper == b"INTERNALDATE" || upper == b"SAVEDATE";
                self.structure = match &*upper {
                    b"BODYSTRUCTURE" | b"BODY" => Some(Structure::of_body()),
                    b"ENVELOPE" => Some(Structure::of_envelope()),
                    _ => None,
                };
            }
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
