//! Reads one text as either peer's: no panic, every span inside the text, lists and literals where they say.
#![no_main]

use imapscope::event::{Kind, Peer, Reading, Span};
use imapscope::wire::{self, imap};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for peer in [Peer::Client, Peer::Server] {
        check(text, &imap::read(peer, text));
    }
    check(text, &imap::read_more(text));
    let line = wire::body(text);
    let mut at = 0;
    for token in imap::tokens(line) {
        assert!(token.span.start >= at && token.span.end > token.span.start && token.span.end as usize <= line.len());
        at = token.span.end;
    }
    let _ = (wire::foreign(text), imap::not_a_literal(text), imap::open_quote(text));
});

fn check(text: &[u8], reading: &Reading) {
    let inside = |span: Span| assert!(span.start <= span.end && span.end as usize <= text.len());
    match reading.kind {
        Kind::Command { tag, verb, arguments } => [tag, verb, arguments].into_iter().for_each(inside),
        Kind::Reply { tag, code, text, .. } => [tag, code.unwrap_or_default(), text].into_iter().for_each(inside),
        Kind::GoAhead { text } => inside(text),
        Kind::Info { number, name, arguments } => {
            [number.unwrap_or_default(), name, arguments].into_iter().for_each(inside);
        }
        _ => {}
    }
    if let Some(literal) = reading.literal {
        assert!(literal.span.of(text).ends_with(b"}"));
        assert!(wire::body(text).len() == literal.span.end as usize);
    }
    if let Some(list) = &reading.list {
        inside(list.whole);
        let mut at = 0;
        for item in &list.items {
            inside(item.with_space);
            assert!(item.with_space.start >= at && item.with_space.end == item.name.end && !item.name.is_empty());
            assert!(item.with_space.start <= item.name.start);
            at = item.name.end;
        }
    }
    assert!(reading.stopped.is_none_or(|at| at as usize <= text.len()));
}
