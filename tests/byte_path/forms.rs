//! Readers and framing of all forms, with octets as no peer should send them: no panic, every span inside its text and in
//! order, and texts that do not depend on how the octets were cut.

use imapscope::event::{Form, Kind, List, Peer, Reading, Span};
use imapscope::wire::{self, Cut, Dot, Framer, Gather, status};
use proptest::prelude::*;

/// Octets that look like something: words of the protocols, wrong line ends, dots, quotes, announcements.
fn lane() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "250-",
        "250 ",
        "220",
        "354 ",
        "150 ",
        "421 ",
        "5.7.1",
        "999",
        "AUTH",
        "SASL",
        "AUTH=",
        "=",
        "PLAIN",
        " ",
        "  ",
        "\t",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        ".",
        "..",
        "\r\n.\r\n",
        "\n.\n",
        "\"",
        "\\",
        "\"SASL\" \"",
        "OK",
        "NO ",
        "BYE",
        "(",
        ")",
        "{3}",
        "{3+}\r\n",
        "{99999999999999999999}",
        "+OK",
        "-ERR ",
        "+ ",
        "[SYS/TEMP]",
        "[",
        "]",
        ":",
        ":x ",
        "\0",
        "\u{e9}",
    ]);
    let pieces = prop_oneof![9 => words.prop_map(|word| word.as_bytes().to_vec()), 1 => prop::collection::vec(any::<u8>(), 0..4)];
    prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat())
}

fn check_list(text: &[u8], list: &List) {
    let (mut line, mut part) = (0, 0);
    for item in &list.items {
        for span in [item.name, item.with_space, item.parameters] {
            assert!(span.start <= span.end && span.end as usize <= text.len(), "{list:?}");
        }
        assert!(!item.name.is_empty() && item.with_space.start <= item.name.start, "{list:?}");
        let last = if item.part { &mut part } else { &mut line };
        assert!(*last <= item.with_space.start, "what goes with one name goes with no other: {list:?}");
        *last = item.with_space.end;
    }
}

fn check(text: &[u8], reading: &Reading) {
    let fits = |span: Span| assert!(span.start <= span.end && span.end as usize <= text.len(), "{reading:?}");
    match reading.kind {
        Kind::Command { tag, verb, arguments } => [tag, verb, arguments].into_iter().for_each(fits),
        Kind::Reply { tag, word, code, text, .. } => [tag, word, code.unwrap_or(text), text].into_iter().for_each(fits),
        Kind::GoAhead { word, text } => [word, text].into_iter().for_each(fits),
        Kind::Info { name, arguments, .. } => [name, arguments].into_iter().for_each(fits),
        _ => {}
    }
    reading.literal.iter().for_each(|literal| fits(literal.span));
    if let Some(list) = &reading.list {
        check_list(text, list);
    }
}

/// The texts of a lane and what is left of it, so many octets at a time; all of it must come out again.
fn texts(gather: Gather, lane: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut framer = Framer::default();
    framer.gather(gather);
    let (mut found, mut passed) = (Vec::new(), Vec::new());
    for chunk in lane.chunks(step) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let before = rest;
            if let Cut::Text { whole, .. } = framer.cut(&mut rest) {
                found.push(whole.to_vec());
            }
            passed.extend_from_slice(&before[..before.len() - rest.len()]);
        }
    }
    assert_eq!(passed, lane);
    found.push(framer.held().to_vec());
    assert_eq!(found.concat(), lane);
    found
}

/// Where a message ends, and what was seen on the way.
fn end(dot: Dot, lane: &[u8], step: usize) -> (Option<usize>, Dot) {
    let mut dot = dot;
    let mut at = 0;
    for chunk in lane.chunks(step) {
        let (used, done) = dot.feed(chunk);
        at += used;
        if done {
            return (Some(at), dot);
        }
    }
    (None, dot)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn whatever_comes_is_read(text in lane()) {
        for form in Form::ALL {
            for from in [Peer::Client, Peer::Server] {
                check(&text, &wire::read(form, from, &text));
                check(&text, &wire::read_more(form, from, &text));
            }
            check_list(&text, &status::list(form, &text));
        }
    }

    #[test]
    fn mending_changes_only_the_marks_of_lines(text in lane()) {
        let mut mended = text.clone();
        status::mend(&mut mended);
        prop_assert_eq!(mended.len(), text.len());
        let changed = text.iter().zip(&mended).filter(|(a, b)| a != b);
        prop_assert!(changed.into_iter().all(|(a, b)| b"- ".contains(a) && b"- ".contains(b)));
    }

    #[test]
    fn texts_do_not_depend_on_chunks(lane in lane(), step in 1usize..9) {
        for gather in [Gather::One, Gather::Codes, Gather::Dot, Gather::Response] {
            prop_assert_eq!(texts(gather, &lane, step), texts(gather, &lane, lane.len().max(1)));
        }
    }

    #[test]
    fn the_end_of_a_message_does_not_depend_on_chunks(lane in lane(), step in 1usize..9) {
        for dot in [Dot::strict(), Dot::lenient()] {
            prop_assert_eq!(end(dot, &lane, step), end(dot, &lane, lane.len().max(1)));
        }
        // Behind the only end that counts, found in the simplest way.
        let framed = [b"\r\n", &lane[..]].concat();
        let simple = framed.windows(5).position(|it| it == b"\r\n.\r\n").map(|at| at + 3);
        prop_assert_eq!(end(Dot::strict(), &lane, step).0, simple);
    }
}
