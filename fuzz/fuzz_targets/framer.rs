//! Cuts a lane whose expectations the input chooses: the pieces, put together, are the lane, however it is chunked.
#![no_main]

use imapscope::event::MAX_TEXT;
use imapscope::wire::{Cut, Expect, Framer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&seed, lane)) = input.split_first() else { return };
    let whole = cut(lane, usize::MAX, seed);
    let split = cut(lane, usize::from(seed % 7) + 1, seed);
    assert!(whole == split, "the texts depend on the chunks");
});

/// The complete texts of a lane; each says what comes after it.
fn cut(lane: &[u8], size: usize, seed: u8) -> Vec<Vec<u8>> {
    let mut framer = Framer::default();
    let (mut texts, mut all) = (Vec::new(), Vec::new());
    // Long lines cost time; some inputs are stretched instead.
    let stretched: Vec<u8> = if seed > 250 { lane.repeat(MAX_TEXT / lane.len().max(1) + 1) } else { lane.to_vec() };
    for chunk in stretched.chunks(size.min(stretched.len().max(1))) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let before = rest.len();
            let mut expect = None;
            match framer.cut(&mut rest) {
                Cut::Part(bytes) => all.extend_from_slice(bytes),
                Cut::Text { whole, fresh } | Cut::Head { whole, fresh } => {
                    assert!(whole.len() <= MAX_TEXT && fresh <= whole.len());
                    all.extend_from_slice(&whole[whole.len() - fresh..]);
                    assert!(all.ends_with(whole), "a text is what came last");
                    texts.push(whole.to_vec());
                    expect = match whole {
                        [.., b'x', b'\n'] => Some(Expect::Octets(3)),
                        [.., b'y', b'\n'] => Some(Expect::Octets(u64::MAX)),
                        [.., b'z', b'\n'] => Some(Expect::Opaque),
                        _ => None,
                    };
                }
                Cut::Data { bytes, .. } => all.extend_from_slice(bytes),
            }
            assert!(rest.len() < before, "a cut takes something");
            if let Some(expect) = expect {
                framer.expect(expect);
            }
            assert!(framer.held().len() < MAX_TEXT);
        }
    }
    assert!(all == stretched, "the pieces are the lane");
    texts
}
