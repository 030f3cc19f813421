//! What a text means, as a tree: it is written as a peer would, and read, by a reader that knows nothing of ours, from whatever says
//! the same.

use Node::{Exact, Glued, Inbox, List, Name, Pair, Pattern, Row, Set, Text, Word};

/// What something means, as it is written.
#[derive(Debug, Clone)]
pub enum Node {
    /// In any case.
    Word(String),
    /// As it stands there.
    Exact(String),
    /// Quoted or a literal.
    Text(String),
    /// The same, or an atom. Written as one if the second says so, and it can be.
    Name(String, bool),
    /// The same for the pattern of LIST.
    Pattern(String),
    /// A mailbox of this name in any case.
    Inbox(&'static str),
    /// In this order, with a blank between them, in parentheses.
    List(Vec<Node>),
    /// In any order.
    Set(Vec<Node>),
    /// In any order, with no parentheses.
    Row(Vec<Node>),
    /// One behind the other, with a blank between them.
    Pair(Vec<Node>),
    /// One behind the other.
    Glued(Vec<Node>),
}

/// A word in any case.
pub fn word(text: &str) -> Node {
    Word(text.to_owned())
}

/// As it stands there.
pub fn exact(text: &str) -> Node {
    Exact(text.to_owned())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn is_atom(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_graphic() && !b"(){%*\"\\".contains(&b))
        && !text.eq_ignore_ascii_case("NIL")
}

impl Node {
    /// As a peer writes it.
    pub fn written(&self) -> String {
        let joined = |nodes: &[Node]| nodes.iter().map(Node::written).collect::<Vec<_>>().join(" ");
        match self {
            Word(text) | Exact(text) => text.clone(),
            Text(text) | Pattern(text) => quoted(text),
            Name(text, bare) if *bare && is_atom(text) => text.clone(),
            Name(text, _) => quoted(text),
            Inbox(text) => (*text).to_owned(),
            List(nodes) | Set(nodes) => format!("({})", joined(nodes)),
            Row(nodes) | Pair(nodes) => joined(nodes),
            Glued(nodes) => nodes.iter().map(Node::written).collect(),
        }
    }

    /// Reads this off the front of some octets: what is left, if it is there.
    pub fn read<'a>(&self, input: &'a [u8], plus: bool) -> Option<&'a [u8]> {
        match self {
            Word(text) => {
                let head = input.get(..text.len())?;
                head.eq_ignore_ascii_case(text.as_bytes()).then(|| &input[text.len()..])
            }
            Exact(text) => input.strip_prefix(text.as_bytes()),
            Text(text) => string(input, plus).filter(|(found, _)| found == text.as_bytes()).map(|(_, rest)| rest),
            Name(text, _) => match string(input, plus) {
                Some((found, rest)) => (found == text.as_bytes()).then_some(rest),
                None => input.strip_prefix(text.as_bytes()).filter(|_| is_atom(text)),
            },
            Pattern(text) => match string(input, plus) {
                Some((found, rest)) => (found == text.as_bytes()).then_some(rest),
                None => input.strip_prefix(text.as_bytes()).filter(|_| is_atom(&text.replace(['%', '*'], "x"))),
            },
            Inbox(_) => match string(input, plus) {
                Some((found, rest)) => found.eq_ignore_ascii_case(b"INBOX").then_some(rest),
                None => word("INBOX").read(input, plus),
            },
            List(nodes) => series(nodes, input.strip_prefix(b"(")?, plus)?.strip_prefix(b")"),
            Set(nodes) => any_order(nodes, input.strip_prefix(b"(")?, plus)?.strip_prefix(b")"),
            Row(nodes) => any_order(nodes, input, plus),
            Pair(nodes) => series(nodes, input, plus),
            Glued(nodes) => nodes.iter().try_fold(input, |input, node| node.read(input, plus)),
        }
    }
}

/// A quoted string or literal, and what is behind it.
fn string(input: &[u8], plus: bool) -> Option<(Vec<u8>, &[u8])> {
    if let Some(rest) = input.strip_prefix(b"{") {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let len: usize = std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()?;
        let close: &[u8] = if plus { b"+}\r\n" } else { b"}\r\n" };
        let rest = rest[digits..].strip_prefix(close)?;
        return Some((rest.get(..len)?.to_vec(), &rest[len..]));
    }
    let mut rest = input.strip_prefix(b"\"")?;
    let mut found = Vec::new();
    loop {
        match rest {
            [b'"', after @ ..] => return Some((found, after)),
            [b'\\', octet @ (b'"' | b'\\'), after @ ..] | [octet, after @ ..] => {
                found.push(*octet);
                rest = after;
            }
            [] => return None,
        }
    }
}

fn series<'a>(nodes: &[Node], mut input: &'a [u8], plus: bool) -> Option<&'a [u8]> {
    for (nth, node) in nodes.iter().enumerate() {
        if nth > 0 {
            input = input.strip_prefix(b" ")?;
        }
        input = node.read(input, plus)?;
    }
    Some(input)
}

/// The nodes in some order; which of two that both fit is taken first may matter, so all are tried.
fn any_order<'a>(nodes: &[Node], input: &'a [u8], plus: bool) -> Option<&'a [u8]> {
    if nodes.is_empty() {
        return Some(input);
    }
    (0..nodes.len()).find_map(|nth| {
        let mut others = nodes.to_vec();
        let rest = others.remove(nth).read(input, plus)?;
        if others.is_empty() {
            return Some(rest);
        }
        any_order(&others, rest.strip_prefix(b" ")?, plus)
    })
}
