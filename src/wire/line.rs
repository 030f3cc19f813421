//! Reading lines of words, as IRC has them (RFC 2812 section 2.3.1) and many small protocols: a word and what follows
//! it, maybe with `:SOURCE` before it. Whether a server's word answers a command is for the grammar to say.

use super::{body, status};
use crate::event::{Kind, Peer, Reading, Span};

/// Reads one line.
#[must_use]
pub fn read(from: Peer, text: &[u8]) -> Reading {
    let line = body(text);
    let source = if line.first() == Some(&b':') { word(line, 0).end as usize } else { 0 };
    let name = word(line, source + line[source..].iter().take_while(|&&b| b == b' ').count());
    if name.is_empty() {
        return Reading { kind: Kind::Blank, ..Reading::default() };
    }
    if from == Peer::Client && source == 0 {
        return status::read_command(text);
    }
    let arguments = Span::new((name.end as usize + 1).min(line.len()), line.len());
    let kind = match from {
        Peer::Client => Kind::Command { tag: Span::new(0, 0), verb: name, arguments },
        Peer::Server => Kind::Info { number: None, name, arguments },
    };
    Reading { kind, ..Reading::default() }
}

fn word(line: &[u8], from: usize) -> Span {
    Span::new(from, from + line[from..].iter().take_while(|&&b| b != b' ' && b != b'\t').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_passed_over() {
        let text = b":irc.example 001 me :Welcome\r\n";
        let Kind::Info { name, arguments, .. } = read(Peer::Server, text).kind else { panic!("no response") };
        assert_eq!((name.of(text), arguments.of(text)), (&b"001"[..], &b"me :Welcome"[..]));
        let text = b"JOIN #a\r\n";
        let Kind::Command { verb, arguments, .. } = read(Peer::Client, text).kind else { panic!("no command") };
        assert_eq!((verb.of(text), arguments.of(text)), (&b"JOIN"[..], &b"#a"[..]));
    }
}
