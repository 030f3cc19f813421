//! Two peers talk through a session: every octet arrives unchanged and at once, is accounted for, and what is reported
//! does not depend on the chunks. A line of the input that begins with `<` is the server's, any other the client's; its
//! line end becomes CRLF, `~` before it takes it away, and the first `%` is longer than any text.
#![no_main]

#[path = "../../tests/lanes/mod.rs"]
mod lanes;

use imapscope::event::{MAX_TEXT, Peer};
use lanes::{Cutting, Run, Step, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut steps = steps(input);
    let long = steps.iter_mut().find_map(|(_, bytes)| bytes.iter().position(|&b| b == b'%').map(|at| (bytes, at)));
    let long = if let Some((bytes, at)) = long {
        bytes.splice(at..=at, std::iter::repeat_n(b'%', MAX_TEXT));
        true
    } else {
        false
    };
    let whole = run(Run::tap(), &steps, &Cutting::Whole);
    let split = run(Run::tap(), &steps, &Cutting::Every(if long { 4_099 } else { 1 }));
    assert!(whole.output == whole.input && split.output == split.input, "octets were changed");
    assert!(whole.accounted() == [whole.input[0].len() as u64, whole.input[1].len() as u64], "octets were lost");
    assert!(whole.events == split.events, "what is reported depends on the chunks");
    whole.check();
});

fn steps(input: &[u8]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in input.split_inclusive(|&b| b == b'\n') {
        let (from, line) = match line.strip_prefix(b"<") {
            Some(line) => (Peer::Server, line),
            None => (Peer::Client, line),
        };
        let bytes = match line {
            [line @ .., b'~', b'\n'] => line.to_vec(),
            [line @ .., b'\n'] => [line, b"\r\n"].concat(),
            line => line.to_vec(),
        };
        match steps.last_mut() {
            // Lines of one peer come together.
            Some((last, before)) if *last == from => before.extend_from_slice(&bytes),
            _ => steps.push((from, bytes)),
        }
    }
    steps
}
