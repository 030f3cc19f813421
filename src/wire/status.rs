//! Reading protocols whose replies begin with a status and answer commands in their order: three digits (RFC 5321
//! section 4.2, RFC 3977 section 3.2), or `+OK` and `-ERR` (RFC 1939 section 3). One complete text each, which in a reply
//! of several lines is all of them. Linear in the text, and never out of its bounds.

use memchr::memchr;

use super::body;
use crate::event::{Form, Item, Kind, List, ListKind, Peer, Reading, Span, Status};

/// Reads a text of a protocol of codes.
#[must_use]
pub fn read(from: Peer, text: &[u8]) -> Reading {
    match from {
        Peer::Client => read_command(text),
        Peer::Server => read_reply(text),
    }
}

/// Reads a text of POP3.
#[must_use]
pub fn read_pop3(from: Peer, text: &[u8]) -> Reading {
    match from {
        Peer::Client => read_command(text),
        Peer::Server => read_indicator(text),
    }
}

/// Reads a client's line: a verb, and what follows it.
#[must_use]
pub fn read_command(text: &[u8]) -> Reading {
    let line = body(text);
    let start = line.iter().take_while(|&&b| b == b' ' || b == b'\t').count();
    let end = start + line[start..].iter().take_while(|&&b| b != b' ' && b != b'\t').count();
    if start == end {
        return Reading { kind: Kind::Blank, ..Reading::default() };
    }
    let after = (end + 1).min(line.len());
    let kind = Kind::Command {
        tag: Span::new(start, start),
        verb: Span::new(start, end),
        arguments: Span::new(after, line.len()),
    };
    Reading { kind, ..Reading::default() }
}

/// True for a line that begins with three digits and something that may follow them.
#[must_use]
pub fn code(line: &[u8]) -> bool {
    line.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit))
        && line.get(3).is_none_or(|b| b"- \t".contains(b))
}

/// The lines of a text, each with where it begins, without line ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        at = memchr(b'\n', rest).map_or(text.len(), |end| start + end + 1);
        Some((start, body(&text[start..at])))
    })
}

/// Reads a reply of one or more lines. Where they differ in their code, the last one counts.
#[must_use]
pub fn read_reply(text: &[u8]) -> Reading {
    let Some((start, last)) = lines(text).filter(|(_, line)| code(line)).last() else {
        let blank = body(text).is_empty();
        let kind = if blank { Kind::Blank } else { Kind::Unknown };
        return Reading { kind, stopped: (!blank).then_some(0), ..Reading::default() };
    };
    let word = Span::new(start, start + 3);
    // Human text and enhanced code are those of the first line, where people look for them.
    let first = lines(text).find(|(_, line)| code(line)).unwrap_or((start, last));
    let human = first.0 + 4.min(first.1.len());
    let end = first.0 + first.1.len();
    let status = match (last[0], word.of(text)) {
        (_, b"421") => Status::Bye,
        // A preliminary reply answers nothing; where it is the answer, the grammar says so.
        (b'1', _) => {
            let kind = Kind::Info { number: None, name: word, arguments: Span::new(human, end) };
            return Reading { kind, ..Reading::default() };
        }
        (b'2', _) => Status::Ok,
        (b'3', _) => return go_ahead(word, Span::new(human, end)),
        (b'4', _) => Status::No,
        _ => Status::Bad,
    };
    let enhanced = enhanced(&text[human..end], last[0]).map(|len| Span::new(human, human + len));
    let human = enhanced.map_or(human, |code| (code.end as usize + 1).min(end));
    let none = Span::new(0, 0);
    let kind = Kind::Reply { tag: none, status, word, code: enhanced, text: Span::new(human, end) };
    Reading { kind, ..Reading::default() }
}

const fn go_ahead(word: Span, text: Span) -> Reading {
    Reading { kind: Kind::GoAhead { word, text }, literal: None, list: None, stopped: None }
}

/// The length of the enhanced status code that a text begins with (RFC 2034 section 4): its class is the reply's.
fn enhanced(text: &[u8], class: u8) -> Option<usize> {
    let len = text.iter().take_while(|&&b| b != b' ').count();
    let mut parts = text[..len].split(|&b| b == b'.');
    let number = |part: &[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    let fits = b"245".contains(&class)
        && parts.next() == Some(&[class])
        && parts.next().is_some_and(number)
        && parts.next().is_some_and(number)
        && parts.next().is_none();
    fits.then_some(len)
}

/// True if the lines of a reply do not all have the same code, or lack it.
#[must_use]
pub fn changes(text: &[u8]) -> bool {
    let mut codes = lines(text).map(|(_, line)| if code(line) { &line[..3] } else { b"" });
    let first = codes.next().unwrap_or_default();
    codes.any(|code| code != first)
}

/// Reads a status indicator, and the lines to a dot behind it if they are part of the text (RFC 1939 section 3).
#[must_use]
pub fn read_indicator(text: &[u8]) -> Reading {
    let line = lines(text).next().map_or(&[][..], |(_, line)| line);
    let end = line.iter().position(|&b| b == b' ' || b == b'\t').unwrap_or(line.len());
    let word = Span::new(0, end);
    let human = (end + 1).min(line.len());
    let status = match &line[..end] {
        b"" => return Reading { kind: Kind::Blank, ..Reading::default() },
        b"+" => return go_ahead(word, Span::new(human, line.len())),
        word if word.eq_ignore_ascii_case(b"+OK") => Status::Ok,
        word if word.eq_ignore_ascii_case(b"-ERR") => Status::Bad,
        _ => return Reading { stopped: Some(0), ..Reading::default() },
    };
    // The response code, hierarchical with `/` (RFC 2449 section 8).
    let close = (line.get(human) == Some(&b'[')).then(|| memchr(b']', &line[human..])).flatten();
    let code = close.map(|close| Span::new(human + 1, human + close));
    let from = close.map_or(human, |close| human + close + 1);
    let from = from + usize::from(close.is_some() && line.get(from) == Some(&b' '));
    let none = Span::new(0, 0);
    let kind = Kind::Reply { tag: none, status, word, code, text: Span::new(from, line.len()) };
    Reading { kind, ..Reading::default() }
}

/// The names in the lines of a reply that lists capabilities: EHLO and LHLO, whose first line is the server's name
/// (RFC 5321 section 4.1.1.1), CAPA (RFC 2449 section 5). A line with `AUTH` or `SASL` has the mechanisms as parts.
#[must_use]
pub fn list(form: Form, text: &[u8]) -> List {
    let mut items = Vec::new();
    for (start, line) in lines(text).skip(1) {
        let from = match form {
            Form::Codes if code(line) => 4.min(line.len()),
            Form::Codes => continue,
            _ if line == b"." => break,
            _ => 0,
        };
        let end = start + line.len();
        let whole = text[end..].iter().position(|&b| b == b'\n').map_or(text.len(), |at| end + at + 1);
        let from = start + from + line[from..].iter().take_while(|&&b| b == b' ' || b == b'\t').count();
        // `AUTH=LOGIN` is how the AUTH line was once spelt, and still is for old clients.
        let stop = text[from..end].iter().position(|&b| b" \t=".contains(&b)).map_or(end, |at| from + at);
        if from == stop {
            continue;
        }
        let name = Span::new(from, stop);
        let parameters = Span::new((stop + 1).min(end), end);
        let with_space = Span::new(start, whole);
        items.push(Item { name, with_space, parameters, part: false });
        let word = name.of(text);
        if word.eq_ignore_ascii_case(b"AUTH") || word.eq_ignore_ascii_case(b"SASL") {
            mechanisms(text, parameters, &mut items);
        }
    }
    let first = memchr(b'\n', text).map_or(text.len(), |at| at + 1);
    List { kind: ListKind::Lines(form), whole: Span::new(first, text.len()), items }
}

/// Adds the mechanisms among a line's parameters as parts.
pub fn mechanisms(text: &[u8], parameters: Span, items: &mut Vec<Item>) {
    let end = parameters.end as usize;
    let mut at = parameters.start as usize;
    while at < end {
        let start = at + text[at..end].iter().take_while(|&&b| b == b' ' || b == b'\t').count();
        let stop = start + text[start..end].iter().take_while(|&&b| b != b' ' && b != b'\t').count();
        if start < stop {
            let name = Span::new(start, stop);
            // Before the first may stand a `=` or a quote, which stays; then the blank behind it goes instead, and is
            // not the next one's any more.
            let first = items.last().is_some_and(|item| !item.part);
            let blank = first && matches!(text.get(start.wrapping_sub(1)), Some(b' ' | b'\t'));
            let free = items.last().map_or(0, |item| if item.part { item.with_space.end as usize } else { 0 });
            let with_space = match (first, blank) {
                (true, true) => Span::new(start - 1, stop),
                (true, false) => Span::new(start, (stop + 1).min(end)),
                (false, _) => Span::new(at.max(free), stop),
            };
            items.push(Item { name, with_space, parameters: Span::new(stop, stop), part: true });
        }
        at = stop;
    }
}

/// Mends what is left of the lines of a reply when lines went or came: all but the last have `-` behind the code.
pub fn mend(text: &mut [u8]) {
    let starts: Vec<usize> = lines(text).filter(|(_, line)| code(line)).map(|(start, _)| start).collect();
    for (nth, &start) in starts.iter().enumerate() {
        let last = nth + 1 == starts.len();
        if let Some(mark) = text.get_mut(start + 3)
            && matches!(*mark, b'-' | b' ')
        {
            *mark = if last { b' ' } else { b'-' };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(Status, &str, Option<&str>, &str)> {
        let Kind::Reply { status, word, code, text: human, .. } = read_reply(text.as_bytes()).kind else { return None };
        let of = |span: Span| &text[span.start as usize..span.end as usize];
        Some((status, of(word), code.map(of), of(human)))
    }

    #[test]
    fn a_reply_is_read_by_its_last_line() {
        assert_eq!(parts("250-mx greets you\r\n250 HELP\r\n"), Some((Status::Ok, "250", None, "mx greets you")));
        assert_eq!(parts("550 5.7.1 no relay\r\n"), Some((Status::Bad, "550", Some("5.7.1"), "no relay")));
        assert_eq!(parts("450 5.7.1 odd\r\n"), Some((Status::No, "450", None, "5.7.1 odd")), "the class is another");
        assert_eq!(parts("250-a\r\n550 b\r\n").map(|it| it.0), Some(Status::Bad));
        assert_eq!(parts("221\r\n"), Some((Status::Ok, "221", None, "")));
        assert_eq!(parts("421 bye\r\n").map(|it| it.0), Some(Status::Bye));
        assert_eq!(parts("hello\r\n"), None);
        assert!(matches!(read_reply(b"354 go\r\n").kind, Kind::GoAhead { .. }));
        assert!(matches!(read_reply(b"150 opening\r\n").kind, Kind::Info { .. }));
        assert!(changes(b"250-a\r\n550 b\r\n") && !changes(b"250-a\r\n250 b\r\n"));
    }

    #[test]
    fn the_lines_of_ehlo_are_names_with_parameters() {
        let text = b"250-mx.example\r\n250-SIZE 1000\r\n250-AUTH PLAIN LOGIN\r\n250 8bitmime\r\n";
        let list = list(Form::Codes, text);
        let found: Vec<_> = list.items.iter().map(|item| (item.name.of(text), item.parameters.of(text))).collect();
        let want: [(&[u8], &[u8]); 5] =
            [(b"SIZE", b"1000"), (b"AUTH", b"PLAIN LOGIN"), (b"PLAIN", b""), (b"LOGIN", b""), (b"8bitmime", b"")];
        assert_eq!(found, want);
        assert_eq!(list.items[0].with_space.of(text), b"250-SIZE 1000\r\n");
        assert_eq!([2, 3].map(|nth| list.items[nth].with_space.of(text)), [b" PLAIN", b" LOGIN"]);
    }

    #[test]
    fn parts_of_a_line_are_apart_from_each_other_and_leave_what_holds_them() {
        let text = b"250-mx\r\n250 AUTH=PLAIN  LOGIN X\r\n";
        let parts: Vec<_> = list(Form::Codes, text).items.into_iter().filter(|item| item.part).collect();
        let found: Vec<_> = parts.iter().map(|item| item.with_space.of(text)).collect();
        assert_eq!(found, [&b"PLAIN "[..], b" LOGIN", b" X"]);
        assert!(parts.is_sorted_by(|a, b| a.with_space.end <= b.with_space.start));
    }

    #[test]
    fn marks_of_lines_are_mended() {
        let mut text = *b"250-a\r\n250-b\r\n";
        mend(&mut text);
        assert_eq!(&text, b"250-a\r\n250 b\r\n");
    }

    #[test]
    fn indicators_of_pop3_are_read_in_any_case() {
        let kind = read_indicator(b"-err [IN-USE] busy\r\n").kind;
        assert!(matches!(kind, Kind::Reply { status: Status::Bad, code: Some(_), .. }), "{kind:?}");
        assert!(matches!(read_indicator(b"+ \r\n").kind, Kind::GoAhead { .. }));
        assert!(matches!(read_indicator(b"stray\r\n").kind, Kind::Unknown));
    }
}
