//! Two peers talk through a session, once in whole steps and once an octet at a time, with and without rules: what is
//! sent and reported is the same, and every octet is accounted for. A line of the input that begins with `S: ` or `<` is
//! the server's, any other the client's; its line end becomes CRLF, `~` before it takes it away, and the first `%` is
//! longer than any text. The first octet chooses the protocol. Where TLS is spoken of, the same with a driver that follows it.
#![no_main]

#[path = "../../tests/support/lanes/mod.rs"]
mod lanes;

use imapscope::event::{MAX_TEXT, Peer};
use imapscope::grammar::BUILTIN;
use imapscope::rules::{Rules, Source};
use lanes::{Cutting, Run, Step, run};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&first, input)) = input.split_first() else { return };
    let (protocol, _) = BUILTIN[usize::from(first) % BUILTIN.len()];
    let mut steps = steps(input);
    let long = steps.iter_mut().find_map(|(_, bytes)| bytes.iter().position(|&b| b == b'%').map(|at| (bytes, at)));
    let long = if let Some((bytes, at)) = long {
        bytes.splice(at..=at, std::iter::repeat_n(b'%', MAX_TEXT));
        true
    } else {
        false
    };
    let cutting = Cutting::Every(if long { 4_099 } else { 1 });
    let follows = input.windows(3).any(|word| word.eq_ignore_ascii_case(b"TLS"));
    compare(&steps, &cutting, false, || Run::of(protocol, Rules::default()));
    if follows {
        compare(&steps, &cutting, false, || Run::of(protocol, Rules::default()).following());
    }
    // A lane that begins like another protocol is not edited before it is clear that it speaks this one.
    steps.splice(..0, [(Peer::Server, b"* OK\r\n".to_vec()), (Peer::Client, b"a NOOP\r\n".to_vec())]);
    let lines = ["drop-capability IDLE AUTH=*", "s/NOOP/CHECK/ when from == client", "s/OK/NO/ when from == server"];
    let sources: Vec<Source> = lines.iter().enumerate().map(|(at, line)| Source::rule(at + 1, line)).collect();
    let ruled = || Run::of(protocol, Rules::compile(&sources).expect("the rules are well-formed"));
    compare(&steps, &cutting, true, ruled);
    if follows {
        compare(&steps, &cutting, true, || ruled().following());
    }
});

fn compare(steps: &[Step], cutting: &Cutting, edit: bool, start: impl Fn() -> Run) {
    let (whole, split) = (run(start(), steps, &Cutting::Whole), run(start(), steps, cutting));
    if edit && whole.compressed() {
        // What is compressed anew depends on when it has to leave.
        return;
    }
    assert!(whole.output == split.output, "what is sent depends on the chunks");
    assert!(whole.slipped == split.slipped && whole.secured == split.secured, "TLS depends on the chunks");
    assert!(edit || whole.output == whole.input, "octets were changed");
    for (a, b) in whole.events.iter().zip(&split.events) {
        assert_eq!(a, b, "what is reported depends on the chunks");
    }
    assert_eq!(whole.events.len(), split.events.len());
    let all = [0, 1].map(|at| (whole.input[at].len() + whole.slipped[at].len()) as u64);
    assert!(whole.compressed() || whole.accounted() == all, "octets were lost");
    whole.check();
}

fn steps(input: &[u8]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in input.split_inclusive(|&b| b == b'\n') {
        let server = line.strip_prefix(b"S: ").or_else(|| line.strip_prefix(b"<"));
        let (from, line) = match server {
            Some(line) => (Peer::Server, line),
            None => (Peer::Client, line.strip_prefix(b"C: ").unwrap_or(line)),
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
