//! The reader and the tokenizer: no panic, and every span lies within the text and in order. The reader of hellos: cuts do
//! not matter, and what it holds is bounded.
#![no_main]

use imapscope::event::{Form, Kind, Peer, Reading, Span};
use imapscope::wire::hello::{self, MAX_HELLO};
use imapscope::wire::{self, body, imap, status};
use libfuzzer_sys::fuzz_target;

fn check(text: &[u8], reading: &Reading) {
    let fits = |span: Span| assert!(span.start <= span.end && span.end as usize <= text.len(), "{reading:?}");
    match reading.kind {
        Kind::Command { tag, verb, arguments } => [tag, verb, arguments].into_iter().for_each(fits),
        Kind::Reply { tag, code, text, .. } => [Some(tag), code, Some(text)].into_iter().flatten().for_each(fits),
        Kind::GoAhead { text, .. } => fits(text),
        Kind::Info { number, name, arguments } => {
            [number, Some(name), Some(arguments)].into_iter().flatten().for_each(fits);
        }
        _ => {}
    }
    if let Some(literal) = reading.literal {
        fits(literal.span);
        assert_eq!(literal.span.end as usize, body(text).len(), "an announcement ends its text");
    }
    if let Some(list) = &reading.list {
        fits(list.whole);
        let mut last = list.whole.start;
        for item in &list.items {
            fits(item.name);
            fits(item.with_space);
            assert!(last <= item.with_space.start && item.with_space.start <= item.name.start);
            assert!(!item.name.is_empty());
            last = item.name.end;
        }
        assert!(last <= list.whole.end);
    }
    assert!(reading.stopped.is_none_or(|at| at as usize <= text.len()));
}

fuzz_target!(|text: &[u8]| {
    for peer in [Peer::Client, Peer::Server] {
        check(text, &imap::read(peer, text));
    }
    check(text, &imap::read_more(text));
    // The other forms have lists of lines, whose names lie in each other; tests/byte_path/forms.rs looks at those.
    for form in [Form::Codes, Form::Pop3, Form::Managesieve, Form::Line] {
        for peer in [Peer::Client, Peer::Server] {
            check(text, &Reading { list: None, ..wire::read(form, peer, text) });
            check(text, &Reading { list: None, ..wire::read_more(form, peer, text) });
        }
        let _ = status::list(form, text);
    }
    for peer in [Peer::Client, Peer::Server] {
        let said = |every: usize| {
            let (mut reader, mut said) = (hello::Reader::new(peer), Vec::new());
            for chunk in text.chunks(every) {
                reader.feed(chunk, &mut said);
                assert!(reader.held() <= MAX_HELLO && said.len() <= 6);
            }
            said
        };
        assert_eq!(said(usize::MAX), said(1));
    }
    let line = body(text);
    let mut last = 0;
    for token in imap::tokens(line) {
        assert!(last <= token.span.start && token.span.start < token.span.end && token.span.end as usize <= line.len());
        last = token.span.end;
    }
    let _ = (imap::not_a_literal(text), imap::open_quote(line));
});
