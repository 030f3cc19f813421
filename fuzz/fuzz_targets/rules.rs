//! The rule language: the first line of the input is a rule, the rest a text that it is applied to, as a line of IMAP
//! and as the first reply of other protocols that the rest begins with. No panic; and an edited text is still one text,
//! with the literal that it announced before, whatever literals `vary` has put into it.
#![no_main]

use imapscope::event::{Form, Kind, MAX_TEXT, Peer, Reading, State};
use imapscope::rules::{Edit, Rules, Scene, Source};
use imapscope::wire::{self, Cut, Expect, Framer, Gather, body, imap, status};
use libfuzzer_sys::fuzz_target;

fn gather(form: Form, from: Peer) -> Gather {
    match form {
        Form::Codes if from == Peer::Server => Gather::Codes,
        Form::Pop3 if from == Peer::Server => Gather::Dot,
        Form::Managesieve if from == Peer::Server => Gather::Response,
        _ => Gather::One,
    }
}

/// The reading of the text that the octets begin with, and how many of them it has.
fn first(form: Form, octets: &[u8]) -> Option<(Reading, usize)> {
    let mut framer = Framer::default();
    framer.gather(gather(form, Peer::Server));
    let mut rest = octets;
    if rest.is_empty() {
        return None;
    }
    let Cut::Text { whole, .. } = framer.cut(&mut rest) else { return None };
    let mut reading = wire::read(form, Peer::Server, whole);
    if matches!(form, Form::Codes | Form::Pop3) {
        reading.list = Some(status::list(form, whole));
    }
    Some((reading, whole.len()))
}

/// The reading of a text that is cut as one.
fn cut(form: Form, text: &[u8]) -> Option<Reading> {
    first(form, text).filter(|(_, len)| *len == text.len()).map(|(reading, _)| reading)
}

fn scene<'a>(
    from: Peer,
    text: &'a [u8],
    reading: &'a Reading,
    read: &'a dyn Fn(&[u8]) -> Option<Reading>,
) -> Scene<'a> {
    let (state, protocol, connection, command) = (State::Selected, "imap", 1, "FETCH");
    Scene {
        exchange: None,
        from,
        text,
        reading,
        read,
        state,
        tls: [false; 2],
        protocol,
        connection,
        command,
        form: Form::Imap,
        first: true,
        client: "10.0.0.1",
        user: "bob",
        route: None,
        at_once: u32::MAX,
    }
}

/// What is sent in the place of a text that is not taken away as a whole.
fn changed(edit: Edit) -> Option<Vec<u8>> {
    if edit.dropped || edit.answer.is_some() {
        assert!(edit.bytes.as_ref().is_some_and(Vec::is_empty) && !edit.fired.is_empty());
        return None;
    }
    assert!(
        edit.inserted
            .iter()
            .all(|it| it.line.ends_with(b"\r\n") && body(&it.line).iter().all(|b| !b"\r\n\0".contains(b)))
    );
    edit.bytes
}

/// The literal that a text announces at its end, behind those that stand in it; `None` if it is not cut as meant.
fn announced(form: Form, from: Peer, octets: &[u8]) -> Option<Option<(u64, bool, bool)>> {
    let mut framer = Framer::default();
    framer.gather(gather(form, from));
    let (mut rest, mut first) = (octets, true);
    loop {
        let (reading, more) = match framer.cut(&mut rest) {
            Cut::Text { whole, .. } if first => (wire::read(form, from, whole), true),
            Cut::Text { whole, .. } => (wire::read_more(form, from, whole), true),
            Cut::Data { .. } if !rest.is_empty() => (Reading::default(), false),
            _ => return None,
        };
        first = false;
        if reading.literal.is_some() && matches!(reading.kind, Kind::Reply { .. }) {
            // What ends a reply whose text is a literal has no status.
            framer.gather(Gather::One);
        }
        match reading.literal {
            _ if more && rest.is_empty() => return Some(literal(&reading)),
            Some(literal) if literal.len > 0 => framer.expect(Expect::Octets(literal.len)),
            Some(_) => {}
            // Without a literal nothing follows.
            None if more => return None,
            None => {}
        }
    }
}

fn literal(reading: &Reading) -> Option<(u64, bool, bool)> {
    reading.literal.map(|literal| (literal.len, literal.synchronizing, literal.binary))
}

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
    for form in [Form::Codes, Form::Pop3, Form::Managesieve, Form::Line] {
        let Some((reading, len)) = first(form, text) else { continue };
        let text = &text[..len];
        let read = |text: &[u8]| cut(form, text);
        let Some(bytes) = rules
            .edit(&Scene { form, ..scene(Peer::Server, text, &reading, &read) }, &mut rules.begin(1))
            .and_then(changed)
        else {
            continue;
        };
        assert!(bytes.len() <= MAX_TEXT);
        let whole = Some(literal(&reading));
        assert_eq!(announced(form, Peer::Server, &bytes), whole, "it is one text: {form:?} {}", bytes.escape_ascii());
        let end = |text: &[u8]| text.len() - body(text).len();
        assert_eq!(end(&bytes), end(text), "the line end stays");
    }
    let end = text.iter().position(|&b| b == b'\n').map_or(text.len(), |at| at + 1);
    let text = &text[..end];
    for from in [Peer::Client, Peer::Server] {
        let reading = imap::read(from, text);
        let read = |text: &[u8]| Some(imap::read(from, text));
        let Some(bytes) = rules.edit(&scene(from, text, &reading, &read), &mut rules.begin(1)).and_then(changed) else {
            continue;
        };
        assert!(bytes.len() <= MAX_TEXT);
        let extra = bytes.len() - body(&bytes).len();
        assert_eq!(extra, text.len() - body(text).len(), "the line end stays");
        // A text without an end is one all the same.
        let ended = if bytes.ends_with(b"\n") { bytes.clone() } else { [body(&bytes), b"\r\n"].concat() };
        assert_eq!(announced(Form::Imap, from, &ended), Some(literal(&reading)), "it is one text");
    }
});
