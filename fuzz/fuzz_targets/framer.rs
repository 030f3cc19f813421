//! The framer: its cuts, put together, are its input; and how the input is chunked changes no cut.
#![no_main]

use imapscope::event::MAX_TEXT;
use imapscope::wire::{Cut, Expect, Framer, Gather, imap};
use libfuzzer_sys::fuzz_target;

/// Cuts `input`, a chunk of `size` octets at a time; gives the texts and data blocks, each with its kind.
fn cut(gather: Gather, input: &[u8], size: usize) -> Vec<(u8, Vec<u8>)> {
    let mut framer = Framer::default();
    framer.gather(gather);
    let (mut pieces, mut rejoined): (Vec<(u8, Vec<u8>)>, Vec<u8>) = Default::default();
    let mut open = false;
    for chunk in input.chunks(size) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let before = rest;
            let mut expect = None;
            match framer.cut(&mut rest) {
                Cut::Part(bytes) => assert!(!bytes.is_empty()),
                Cut::Text { whole, fresh } => {
                    assert!(whole.len() <= MAX_TEXT && fresh > 0 && whole.ends_with(b"\n"));
                    pieces.push((0, whole.to_vec()));
                    if let Some(literal) = imap::literal(whole, 0).filter(|literal| literal.len > 0) {
                        expect = Some(Expect::Octets(literal.len));
                    }
                }
                Cut::Head { whole, .. } => {
                    assert_eq!(whole.len(), MAX_TEXT);
                    pieces.push((1, whole.to_vec()));
                    open = true;
                }
                Cut::Data { bytes, done } => {
                    match pieces.last_mut().filter(|_| open) {
                        Some((_, block)) => block.extend_from_slice(bytes),
                        None => pieces.push((2, bytes.to_vec())),
                    }
                    open = !done;
                }
            }
            if let Some(expect) = expect {
                framer.expect(expect);
            }
            let used = before.len() - rest.len();
            assert!(used > 0, "every cut consumes something");
            rejoined.extend_from_slice(&before[..used]);
        }
    }
    assert_eq!(rejoined, input);
    pieces.push((3, framer.held().to_vec()));
    assert_eq!(pieces.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), input.len());
    pieces
}

fuzz_target!(|input: &[u8]| {
    for gather in [Gather::One, Gather::Codes, Gather::Dot, Gather::Response] {
        let whole = cut(gather, input, usize::MAX);
        assert_eq!(whole, cut(gather, input, 1));
        assert_eq!(whole, cut(gather, input, 7));
    }
});
