//! The line of a finding: the bytes around its span, escaped, its secrets hidden, in as many columns as a report has. Never the
//! bytes of data.

use crate::event::{Mark, Peer, Role, Span, What};
use crate::exchange::Explained;
use crate::sink::escape::{Dress, columns, escape};
use crate::sink::phrase;
use crate::sink::text::{End, HIDDEN, split_end};

/// Columns of an excerpt, without the sender before it.
const WIDTH: usize = 66;

/// Number of bytes that are looked at before and after the start of a span: more than fit.
const AROUND: usize = 256;

/// A line, or a part of it, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Excerpt {
    /// The text, with its sender before it: `S: a1 OK done`.
    pub text: String,
    /// The columns of the span in it, first and number; `None` without one.
    pub caret: Option<(usize, usize)>,
}

impl Excerpt {
    /// The line that a finding of this event is about; `None` for what concerns the connection as a whole.
    #[must_use]
    pub fn of(event: &Explained<'_>, span: Option<Span>) -> Option<Self> {
        let sender = if event.event.from == Peer::Client { "C: " } else { "S: " };
        match &event.event.what {
            What::Text(_) => Some(line(sender, event.bytes, event.marks, span)),
            What::Data(data) => Some(Excerpt { text: format!("{sender}({})", phrase::size(data)), caret: None }),
            _ => None,
        }
    }
}

/// A piece of a line: what is shown of it, and its bytes.
struct Piece {
    shown: String,
    start: usize,
    end: usize,
}

fn line(sender: &str, bytes: &[u8], marks: &[Mark], span: Option<Span>) -> Excerpt {
    let at = span.map_or(0, |span| (span.start as usize).min(bytes.len()));
    let until = span.map_or(0, |span| (span.end as usize).min(bytes.len()));
    let start = bytes[..at].iter().rposition(|&byte| byte == b'\n').map_or(0, |before| before + 1);
    let end = bytes[at..].iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |len| at + len + 1);
    let (body, ending) = split_end(&bytes[start..end]);
    // A finding may be about the line end.
    let end = if until > start + body.len() { end } else { start + body.len() };
    let (from, to) = (start.max(at.saturating_sub(AROUND)), end.min(at + AROUND));
    let pieces = pieces(bytes, marks, from, to);
    let in_span = |piece: &Piece| piece.start < until && piece.end > at;
    let first = pieces.iter().position(in_span).unwrap_or(0);
    let count = pieces[first..].iter().take_while(|piece| in_span(piece)).count();
    let wide = |piece: &Piece| columns(&piece.shown);
    // The span first, then what is before and after it in turn.
    let (mut left, mut right, mut width) = (first, first, 0);
    while right < first + count && width + wide(&pieces[right]) <= WIDTH {
        width += wide(&pieces[right]);
        right += 1;
    }
    let marked = right;
    loop {
        let before = left.checked_sub(1).map(|before| wide(&pieces[before])).filter(|wide| width + wide <= WIDTH);
        if let Some(wide) = before {
            (left, width) = (left - 1, width + wide);
        }
        let after = pieces.get(right).map(wide).filter(|wide| width + wide <= WIDTH);
        if let Some(wide) = after {
            (right, width) = (right + 1, width + wide);
        }
        if before.is_none() && after.is_none() {
            break;
        }
    }
    let mut text = sender.to_owned();
    if left > 0 || from > start {
        text.push('…');
    }
    let mut caret = None;
    for (nth, piece) in pieces.iter().enumerate().take(right).skip(left) {
        if count > 0 && nth == first {
            let wide = pieces[first..marked].iter().map(wide).sum::<usize>();
            caret = Some((columns(&text), wide.max(1)));
        }
        text.push_str(&piece.shown);
    }
    if right < pieces.len() || pieces.last().is_some_and(|last| last.end < end) {
        text.push('…');
    } else if ending == End::Lf && end == start + body.len() {
        text.push_str("<LF>");
    }
    Excerpt { text, caret }
}

/// The characters of a part of a text, each as it is shown; a secret is one, and one that is empty is shown as well.
fn pieces(bytes: &[u8], marks: &[Mark], from: usize, to: usize) -> Vec<Piece> {
    let secrets = marks.iter().filter(|mark| mark.role == Role::Secret);
    let secrets = secrets.map(|mark| (mark.span.start as usize, (mark.span.end as usize).min(bytes.len())));
    let mut secrets = secrets.skip_while(|&(_, end)| end < from).peekable();
    let (mut pieces, mut at) = (Vec::<Piece>::new(), from);
    loop {
        if let Some((start, end)) = secrets.next_if(|&(start, _)| start <= at && start <= to) {
            match pieces.last_mut() {
                Some(last) if last.end >= start && last.shown.as_bytes() == HIDDEN => last.end = last.end.max(end),
                _ => pieces.push(Piece { shown: String::from_utf8_lossy(HIDDEN).into_owned(), start, end }),
            }
            at = at.max(end);
            continue;
        }
        if at >= to {
            return pieces;
        }
        let next = secrets.peek().map_or(to, |&(start, _)| start.clamp(at + 1, to));
        let rest = &bytes[at..next];
        let len = rest.utf8_chunks().next().map_or(1, |chunk| chunk.valid().chars().next().map_or(1, char::len_utf8));
        let mut shown = Vec::new();
        escape(&mut shown, &rest[..len], Dress::default());
        pieces.push(Piece { shown: String::from_utf8(shown).unwrap_or_default(), start: at, end: at + len });
        at += len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(bytes: &[u8], secrets: &[(usize, usize)], span: Option<(usize, usize)>) -> Excerpt {
        let secret = |&(start, end): &(usize, usize)| Mark { span: Span::new(start, end), role: Role::Secret };
        let marks: Vec<Mark> = secrets.iter().map(secret).collect();
        line("C: ", bytes, &marks, span.map(|(start, end)| Span::new(start, end)))
    }

    #[test]
    fn the_span_has_a_caret_whatever_is_around_it() {
        let excerpt = shown(b"a1 NOOP\0x\r\n", &[], Some((7, 8)));
        assert_eq!((excerpt.text.as_str(), excerpt.caret), ("C: a1 NOOP\\x00x", Some((10, 4))));
        assert_eq!(shown(b"a1 NOOP\n", &[], None).text, "C: a1 NOOP<LF>");
        assert_eq!(shown(b"250-one\r\n250 two\r\n", &[], Some((9, 12))).text, "C: 250 two", "its line");
        let end = shown(b"a1 NOOP\r\n", &[], Some((7, 9)));
        assert_eq!((end.text.as_str(), end.caret), ("C: a1 NOOP\\r\\n", Some((10, 4))));
        let long = [vec![b'x'; 9000], b"\x01".to_vec(), vec![b'y'; 9000]].concat();
        let excerpt = shown(&long, &[], Some((9000, 9001)));
        assert!(excerpt.text.starts_with("C: …x") && excerpt.text.ends_with("y…"), "{}", excerpt.text);
        assert_eq!(excerpt.text.find("\\x01").map(|_| excerpt.caret), Some(Some((35, 4))));
    }

    #[test]
    fn a_secret_is_one_word_and_may_be_in_the_span() {
        let bytes = b"a1 LOGIN alice ********\r\n";
        assert_eq!(shown(bytes, &[(15, 23)], None).text, "C: a1 LOGIN alice <hidden>");
        assert_eq!(shown(bytes, &[(15, 17), (17, 23)], None).text, "C: a1 LOGIN alice <hidden>");
        assert_eq!(shown(b"PASS \r\n", &[(5, 5)], None).text, "C: PASS <hidden>", "not even that it is empty");
        let excerpt = shown(bytes, &[(15, 23)], Some((17, 19)));
        assert_eq!((excerpt.text.as_str(), excerpt.caret), ("C: a1 LOGIN alice <hidden>", Some((18, 8))));
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_fits(
            bytes in proptest::collection::vec(any::<u8>(), 0..600), start in 0usize..700, len in 0usize..400,
            secret in 0usize..600, size in 0usize..90,
        ) {
            let excerpt = shown(&bytes, &[(secret, (secret + size).min(bytes.len().max(secret)))], Some((start, start + len)));
            prop_assert!(excerpt.text.chars().all(|c| !c.is_control()));
            prop_assert!(columns(&excerpt.text) <= WIDTH + 9);
            if let Some((first, wide)) = excerpt.caret {
                prop_assert!(first + wide <= columns(&excerpt.text).max(first + 1));
            }
        }
    }
}
