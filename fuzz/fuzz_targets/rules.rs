//! The rule language: the first line of the input is a rule, the rest a text that it is applied to. No panic; and an
//! edited text is still one text, with the literal that it announced before.
#![no_main]

use imapscope::event::{MAX_TEXT, Peer, State};
use imapscope::rules::{Rules, Scene, Source};
use imapscope::wire::{body, imap};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|&b| b == b'\n').unwrap_or(input.len());
    let (rule, text) = (String::from_utf8_lossy(&input[..split]), input.get(split + 1..).unwrap_or_default());
    let rules = match Rules::compile(&[Source::rule(1, &rule)]) {
        Ok(rules) => rules,
        Err(problem) => {
            assert!(problem.origin.starts_with("--rule 1:") && !problem.what.is_empty());
            return;
        }
    };
    let text = &text[..text.len().min(MAX_TEXT)];
    let end = text.iter().position(|&b| b == b'\n').map_or(text.len(), |at| at + 1);
    let text = &text[..end];
    for from in [Peer::Client, Peer::Server] {
        let reading = imap::read(from, text);
        let scene = Scene {
            from,
            text,
            reading: &reading,
            read: &|text| Some(imap::read(from, text)),
            state: State::Selected,
            protocol: "imap",
            connection: 1,
            command: "FETCH",
        };
        let Some(bytes) = rules.edit(&scene).and_then(|edit| edit.bytes) else { continue };
        assert!(bytes.len() <= MAX_TEXT);
        let extra = bytes.len() - body(&bytes).len();
        assert_eq!(extra, text.len() - body(text).len(), "the line end stays");
        assert!(!body(&bytes).contains(&b'\n'));
        let literal = |reading: &imapscope::event::Reading| {
            reading.literal.map(|literal| (literal.len, literal.synchronizing, literal.binary))
        };
        assert_eq!(literal(&imap::read(from, &bytes)), literal(&reading));
    }
});
