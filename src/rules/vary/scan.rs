//! A look at the parts of a text in their order, which puts on the map what it finds. Whatever is not as the grammar has it is
//! where looking ends: what was found before stays. Linear in the text.

use super::{Bare, Map, Written};
use crate::event::Span;
use crate::wire::imap::{TokenKind, Tokens, tokens};

/// Where the look is, and what was found.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a [u8],
    /// The next octet.
    pub at: usize,
    to: usize,
    /// Behind the last `]`: from there on none need be looked for.
    closed: usize,
    /// What was found.
    pub map: Map,
}

impl<'a> Scan<'a> {
    /// At the first octet of a span.
    pub fn new(text: &'a [u8], span: Span) -> Self {
        let to = (span.end as usize).min(text.len());
        let closed = memchr::memrchr(b']', &text[..to]).map_or(0, |at| at + 1);
        Scan { text, at: (span.start as usize).min(to), to, closed, map: Map::default() }
    }

    /// What is still to come.
    pub fn rest(&self) -> &'a [u8] {
        &self.text[self.at..self.to]
    }

    /// The whole text.
    pub const fn whole(&self) -> &'a [u8] {
        self.text
    }

    /// The octets of a span.
    pub fn of(&self, span: Span) -> &'a [u8] {
        span.of(self.text)
    }

    /// Passes over this octet, if it is the next.
    pub fn passes(&mut self, octet: u8) -> Option<()> {
        (self.rest().first() == Some(&octet)).then(|| self.at += 1)
    }

    /// Takes as many octets as this holds for, one at the least.
    pub fn run(&mut self, holds: impl Fn(u8) -> bool) -> Option<Span> {
        let len = self.rest().iter().take_while(|&&b| holds(b)).count();
        let span = Span::new(self.at, self.at + len);
        self.at += len;
        (len > 0).then_some(span)
    }

    /// Takes a word: to a blank, a parenthesis or a quote.
    pub fn word(&mut self) -> Option<Span> {
        self.run(|b| b.is_ascii_graphic() && !b"()\"{".contains(&b))
    }

    /// Takes a word that means the same in any case.
    pub fn keyword(&mut self) -> Option<&'a [u8]> {
        let word = self.word()?;
        self.map.keywords.push(word);
        Some(self.of(word))
    }

    /// Takes NIL, if it is next.
    pub fn nil(&mut self) -> Option<()> {
        let (start, word) = (self.at, self.word()?);
        if self.of(word).eq_ignore_ascii_case(b"NIL") {
            self.map.keywords.push(word);
            return Some(());
        }
        self.at = start;
        None
    }

    /// Takes a quoted string in which nothing is out of place.
    pub fn quoted(&mut self) -> Option<Span> {
        let start = self.at;
        let mut end = start + 1;
        if self.rest().first() != Some(&b'"') {
            return None;
        }
        loop {
            match self.text[..self.to].get(end)? {
                b'"' => break,
                b'\\' if matches!(self.text[..self.to].get(end + 1), Some(b'"' | b'\\')) => end += 2,
                b'\\' | b'\r' | b'\n' | 0 => return None,
                _ => end += 1,
            }
        }
        self.at = end + 1;
        Some(Span::new(start, end + 1))
    }

    /// Takes a string that may be a literal, and no atom.
    pub fn string(&mut self) -> Option<()> {
        let span = self.quoted()?;
        self.map.strings.push(Written { span, bare: Bare::No });
        Some(())
    }

    /// Takes a string or NIL.
    pub fn nstring(&mut self) -> Option<()> {
        self.string().or_else(|| self.nil())
    }

    /// Takes a string that may be an atom too.
    pub fn astring(&mut self, bare: Bare) -> Option<()> {
        let span = self.quoted().or_else(|| self.run(|b| bare.holds(b)))?;
        // Some take this for no string at all.
        if !self.of(span).eq_ignore_ascii_case(b"NIL") {
            self.map.strings.push(Written { span, bare });
        }
        Some(())
    }

    /// Takes the name of a mailbox, of which only INBOX has no case (RFC 9051 section 5.1).
    pub fn mailbox(&mut self) -> Option<()> {
        let start = self.at;
        self.astring(Bare::Atom)?;
        let quote = usize::from(self.text[start] == b'"');
        let name = Span::new(start + quote, self.at - quote);
        if self.of(name).eq_ignore_ascii_case(b"INBOX") {
            self.map.keywords.push(name);
        }
        Some(())
    }

    /// Takes a list in parentheses, of which `item` takes each item; their order has no meaning. The items, if the list is whole.
    pub fn group(&mut self, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.passes(b'(')?;
        let mut items = Vec::new();
        let mut all = self.rest().first() == Some(&b')');
        while !all {
            let start = self.at;
            let whole = item(self).is_some();
            if whole {
                items.push(Span::new(start, self.at));
            }
            all = whole && self.rest().first() == Some(&b')');
            if !whole || (!all && self.passes(b' ').is_none()) {
                break;
            }
        }
        self.map.groups.push(items);
        all.then(|| self.at += 1)
    }

    /// Takes flags in parentheses.
    pub fn flags(&mut self) -> Option<()> {
        self.group(Self::flag)
    }

    /// Takes a flag. Those of the standard begin with a backslash, and have no case.
    pub fn flag(&mut self) -> Option<()> {
        let flag = self.word()?;
        if self.of(flag).first() == Some(&b'\\') {
            self.map.keywords.push(flag);
        }
        Some(())
    }

    /// Takes words that mean the same in any case, in parentheses.
    pub fn keywords(&mut self) -> Option<()> {
        self.group(|scan| scan.keyword().map(|_| ()))
    }

    /// Takes a value that is left as it is: a token, or a list with all that is in it.
    pub fn value(&mut self) -> Option<()> {
        self.nested(|_, _, _| ())
    }

    /// Takes a value, and shows each of its tokens with where it stands and whether it is the first in its list.
    pub fn nested(&mut self, mut token: impl FnMut(&mut Map, TokenKind, (Span, bool))) -> Option<()> {
        let start = self.at;
        let (mut depth, mut first) = (0usize, false);
        let mut line: Tokens<'a> = tokens(self.rest());
        if self.closed <= start {
            line = line.without_sections();
        }
        for found in line {
            let span = found.span.shifted(start);
            match found.kind {
                TokenKind::Open => (depth, first) = (depth + 1, true),
                TokenKind::Close if depth == 0 => return None,
                TokenKind::Close => (depth, first) = (depth - 1, false),
                TokenKind::OpenQuote | TokenKind::Surprise => return None,
                kind => {
                    token(&mut self.map, kind, (span, first));
                    first = false;
                }
            }
            self.at = span.end as usize;
            if depth == 0 {
                return (self.at > start).then_some(());
            }
        }
        None
    }
}
