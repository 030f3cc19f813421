//! The byte path: what leaves is what came, nothing is held that need not be, and what is reported does not depend
//! on how the octets were cut into chunks, whatever the peers send.

use crate::lanes::{self, Cutting, Run, Step, dialogues, run};
use crate::ruled::{compile, compiled};
use crate::thorough::cases;
use imapscope::event::{MAX_TEXT, Peer, What};
use proptest::prelude::*;

/// Pieces of IMAP, right and wrong, of which random conversations are made.
const TOKENS: &[&[u8]] = &[
    b"a ",
    b"b ",
    b"a1 ",
    b"* ",
    b"+ ",
    b"+\r\n",
    b"+",
    b"\r\n",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b"\"",
    b"\\",
    b"(",
    b")",
    b"[",
    b"]",
    b"{",
    b"}",
    b"{0}\r\n",
    b"{3}\r\n",
    b"{3+}\r\n",
    b"~{4}\r\n",
    b"~{2+}\r\n",
    b"{10}\r\n",
    b"{9223372036854775808}\r\n",
    b"{18446744073709551615}\r\n",
    b"{99999999999999999999999+}\r\n",
    b"{-1}\r\n",
    b"{abc}\r\n",
    b"LOGIN ",
    b"AUTHENTICATE PLAIN",
    b"AUTHENTICATE ",
    b"GSSAPI\r\n",
    b"DIGEST-MD5\r\n",
    b"STARTTLS\r\n",
    b"a STARTTLS\r\n",
    b"a IDLE\r\n",
    b"DONE\r\n",
    b"UID ",
    b"FETCH ",
    b"APPEND x ",
    b"ENABLE ",
    b"CAPABILITY ",
    b"IMAP4rev1",
    b"OK ",
    b"NO ",
    b"BAD ",
    b"a OK\r\n",
    b"a NO\r\n",
    b"a1 BAD x\r\n",
    b"* OK [",
    b"* OK [CAPABILITY A  B] x\r\n",
    b"* CAPABILITY A B \r\n",
    b"* BYE\r\n",
    b"* PREAUTH\r\n",
    b"AGFsaWNlAHNlY3JldA==",
    b"*\r\n",
    b"=\r\n",
    b"\x16\x03\x01",
    b"\x15",
    b"PROXY ",
    b"\r\n\r\n\0\r\nQUIT\n",
    b"GET / HTTP/1.1",
    b"\xff\xfe",
    b"\x1b[2J",
    b"LOGOUT\r\n",
    b"UNAUTHENTICATE\r\n",
    b"a AUTHENTICATE PLAIN\r\n",
    b"a LOGIN {3}\r\n",
];

fn soup(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        20 => prop::sample::select(TOKENS).prop_map(<[u8]>::to_vec),
        2 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(token, 1..most).prop_map(|tokens| tokens.concat())
}

fn peer() -> impl Strategy<Value = Peer> {
    prop_oneof![Just(Peer::Client), Just(Peer::Server)]
}

/// Conversations cut into pieces, which come from anywhere in any order.
fn spliced() -> impl Strategy<Value = Vec<Step>> {
    let dialogues = dialogues::all();
    let piece = (0..dialogues.len(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..4usize);
    prop::collection::vec(piece, 1..8).prop_map(move |pieces| {
        let mut steps: Vec<Step> = Vec::new();
        for (which, from, to, cut) in pieces {
            let dialogue = &dialogues[which];
            let (mut from, mut to) = (from.index(dialogue.len()), to.index(dialogue.len()));
            if from > to {
                std::mem::swap(&mut from, &mut to);
            }
            steps.extend_from_slice(&dialogue[from..=to]);
            if let Some((_, bytes)) = steps.last_mut() {
                bytes.truncate(bytes.len().saturating_sub(cut));
            }
        }
        steps
    })
}

fn conversation() -> impl Strategy<Value = Vec<Step>> {
    prop_oneof![
        3 => prop::collection::vec((peer(), soup(12)), 1..12),
        3 => spliced(),
        1 => prop::collection::vec((peer(), prop::collection::vec(any::<u8>(), 0..64)), 1..8),
        1 => (spliced(), prop::collection::vec((peer(), soup(6)), 1..6)).prop_map(|(mut steps, more)| {
            for (at, step) in more.into_iter().enumerate() {
                steps.insert((at * 2).min(steps.len()), step);
            }
            steps
        }),
    ]
}

/// The invariants of one conversation under all cuttings; a failure prints it readably.
fn prove(steps: &[Step], sizes: Vec<usize>) {
    let script = Script(steps);
    prove_all(script.0, sizes);
    std::mem::forget(script);
}

/// A conversation that prints itself when a proof of it fails.
struct Script<'a>(&'a [Step]);

impl Drop for Script<'_> {
    fn drop(&mut self) {
        for (from, bytes) in self.0 {
            println!("{}: {}", from.word(), bytes.escape_ascii());
        }
    }
}

fn prove_all(steps: &[Step], sizes: Vec<usize>) {
    let whole = tap(steps, &Cutting::Whole);
    for cutting in [Cutting::Every(1), Cutting::Sizes(sizes), Cutting::Every(7)] {
        let other = tap(steps, &cutting);
        for (at, (a, b)) in whole.events.iter().zip(&other.events).enumerate() {
            assert_eq!(a, b, "event {at} under {cutting:?}");
        }
        assert_eq!(whole.events.len(), other.events.len(), "events under {cutting:?}");
    }
}

/// One run in Tap; every octet must leave in the call in which it came, and be accounted for at the end.
fn tap(steps: &[Step], cutting: &Cutting) -> Run {
    let mut watched = Run::tap();
    for (from, bytes) in steps {
        watched.feed(*from, bytes);
        assert!(watched.output == watched.input, "an octet stayed behind or was changed");
    }
    let done = run(Run::tap(), steps, cutting);
    assert!(done.output == done.input);
    // What was compressed is reported as what it was.
    if !done.compressed() {
        assert_eq!(done.accounted(), [done.input[0].len() as u64, done.input[1].len() as u64]);
    }
    done.check();
    done
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn what_leaves_is_what_came_and_chunks_mean_nothing(
        steps in conversation(),
        sizes in prop::collection::vec(1..20usize, 1..10),
    ) {
        prove(&steps, sizes);
    }
}

#[test]
fn real_conversations_in_every_two_chunks() {
    for steps in dialogues::all() {
        prove(&steps, vec![1, 2, 3, 5, 8]);
        let longest = steps.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
        let whole = tap(&steps, &Cutting::Whole);
        for at in 1..longest {
            // Each step is cut once, at this octet.
            let done = run(Run::tap(), &steps, &Cutting::Sizes(vec![at, usize::MAX]));
            assert_eq!(whole.events, done.events, "cut at {at}");
        }
    }
}

#[test]
fn lines_around_the_longest_text() {
    for over in [0, 1, 2, 3, 100, MAX_TEXT, MAX_TEXT + 1] {
        for end in ["\r\n", "\n", " {5}\r\n", " {5+}\r\n", " \"{5}\r\n", "\\\" {3}\r\n", ""] {
            for start in ["a NOOP ", "* 1 FETCH ", "a LOGIN u ", "+ ", "* OK "] {
                let mut line = start.as_bytes().to_vec();
                line.resize((MAX_TEXT - 3 + over).max(start.len()), b'x');
                line.extend_from_slice(end.as_bytes());
                for from in [Peer::Client, Peer::Server] {
                    let steps = [
                        (from, line.clone()),
                        (from, b"hello world\r\n".to_vec()),
                        (from.other(), b"+\r\na OK\r\n".to_vec()),
                    ];
                    let whole = tap(&steps, &Cutting::Whole);
                    for size in [1000, 65_535, 65_536] {
                        assert_eq!(whole.events, tap(&steps, &Cutting::Every(size)).events, "{start}{over}{end}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_client_that_never_waits_cannot_exhaust_the_stack() {
    // Every few octets ask a question that the server does not answer.
    let flood = b"a APPEND x {1}\r\n".repeat(40_000);
    let whole = tap(&[(Peer::Client, flood.clone())], &Cutting::Whole);
    assert_eq!(whole.events, tap(&[(Peer::Client, flood)], &Cutting::Every(1_000)).events);
}

#[test]
fn a_literal_that_goes_on_with_nul_is_no_security_layer() {
    use imapscope::event::DataKind;
    let steps = [
        (Peer::Client, b"g AUTHENTICATE GSSAPI {4+}\r\nab".to_vec()),
        (Peer::Server, b"g OK\r\n".to_vec()),
        (Peer::Client, b"\0\0\r\nj NOOP\r\n".to_vec()),
    ];
    prove(&steps, vec![3]);
    let done = tap(&steps, &Cutting::Whole);
    let literal =
        |seen: &lanes::Seen| matches!(&seen.what, What::Data(it) if it.kind == DataKind::Literal && it.len == 4);
    assert!(done.events.iter().any(literal));
    assert!(done.events.iter().any(|seen| seen.bytes == b"j NOOP\r\n"));
}

#[test]
fn injected_commands_do_not_end_the_opaque_layer() {
    use imapscope::event::DataKind;
    for injected in
        ["u LOGIN {5}\r\nalice {8}\r\nhunter42\r\n", "u AUTHENTICATE PLAIN\r\nAGEAYg==\r\nv STARTTLS\r\nw X {9}\r\n"]
    {
        let steps = [
            (Peer::Client, format!("t STARTTLS\r\n{injected}").into_bytes()),
            (Peer::Server, b"t OK go\r\n".to_vec()),
            (Peer::Client, b"\x16\x03\x01\x00\x05hello".to_vec()),
        ];
        prove(&steps, vec![3]);
        let done = tap(&steps, &Cutting::Whole);
        let opaque = |seen: &&lanes::Seen| {
            seen.from == Peer::Client && matches!(&seen.what, What::Data(data) if data.kind == DataKind::Opaque)
        };
        let last = done.events.iter().rfind(opaque).expect("the handshake is reported");
        assert_eq!(last.bytes, b"\x16\x03\x01\x00\x05hello");
    }
}

const IDLE_RULES: [&str; 2] = ["drop-capability NEVER-OFFERED", "s/never said/nor this/ when from == client"];

proptest! {
    #![proptest_config(cases(1_000))]

    /// In Edit nothing but an incomplete line stays behind, and what no rule matches arrives as it was sent.
    #[test]
    fn in_edit_only_an_incomplete_text_stays_behind(
        steps in conversation(),
        sizes in prop::collection::vec(1..20usize, 1..10),
    ) {
        // What is compressed anew is other octets: `compress.rs` looks at that.
        prop_assume!(!run(Run::tap(), &steps, &Cutting::Whole).compressed());
        let mut done = Run::with(compiled(&IDLE_RULES));
        prop_assert_eq!(done.session.edits(), [true, true]);
        for (from, bytes) in &steps {
            for chunk in bytes.chunks(sizes[0]) {
                done.feed(*from, chunk);
                for peer in [Peer::Client, Peer::Server] {
                    let (input, output) = (&done.input[peer.index()], &done.output[peer.index()]);
                    prop_assert!(input.starts_with(output), "an octet was changed");
                    let behind = &input[output.len()..];
                    prop_assert!(!behind.contains(&b'\n'), "a complete text stayed behind");
                    prop_assert!(behind.len() <= done.session.held(peer));
                }
            }
        }
        let whole = run(Run::with(compiled(&IDLE_RULES)), &steps, &Cutting::Whole);
        let split = run(Run::with(compiled(&IDLE_RULES)), &steps, &Cutting::Sizes(sizes));
        prop_assert!(whole.output == whole.input && split.output == split.input);
        prop_assert_eq!(&whole.events, &split.events);
        whole.check();
        // Rules that match nothing change nothing that is reported.
        prop_assert_eq!(&whole.events, &run(Run::tap(), &steps, &Cutting::Whole).events);
    }

    /// What rules change does not depend on the chunks either.
    #[test]
    fn edits_do_not_depend_on_chunks(
        steps in conversation(),
        sizes in prop::collection::vec(1..20usize, 1..10),
    ) {
        let lines = ["drop-capability B AUTH=* IDLE", "s/NOOP/CHECK/ when from == client", "s/done/fine/ when from == server"];
        // A lane that begins like another protocol is not edited before it is clear that it speaks this one.
        let steps: Vec<Step> = [(Peer::Server, b"* OK hi\r\n".to_vec()), (Peer::Client, b"a CAPABILITY\r\n".to_vec())]
            .into_iter()
            .chain(steps)
            .collect();
        let whole = run(Run::with(compile(&lines)), &steps, &Cutting::Whole);
        prop_assume!(!whole.compressed());
        let split = run(Run::with(compile(&lines)), &steps, &Cutting::Sizes(sizes));
        prop_assert_eq!(&whole.events, &split.events);
        prop_assert!(whole.output == split.output);
        prop_assert_eq!(whole.accounted(), [whole.input[0].len() as u64, whole.input[1].len() as u64]);
        for seen in &whole.events {
            if let What::Text(text) = &seen.what
                && let (Some(edit), Some(sent)) = (&text.edit, &seen.sent)
                && !edit.fired.is_empty()
            {
                prop_assert!(edit.secrets.iter().all(|span| span.end as usize <= sent.len()));
                prop_assert!(sent.iter().filter(|&&b| b == b'\n').count() == 1, "an edited text is one line");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(3_000))]

    /// What rules take away, answer and say does not depend on the chunks, and what leaves is what the events say.
    #[test]
    fn what_rules_say_does_not_depend_on_chunks(
        steps in conversation(),
        sizes in prop::collection::vec(1..20usize, 1..10),
    ) {
        let lines = [
            "drop when from == server && text ~ \"[{]|done\" chance 50%",
            "drop when command == LOGIN && from == client after 1",
            "refuse FETCH",
            "refuse APPEND with \"NO [LIMIT] enough\"",
            "refuse AUTH* once",
            "insert-before \"* 7 EXISTS\" when from == server && status == OK",
            "insert-after \"* 8 EXISTS\" when text ~ \"^[*]\" times 3",
            "insert-after \"x NOOP\" when from == client && command in {CAPABILITY, ENABLE}",
            "replace-text \"hm\" when status in {OK, NO}",
            "replace-code \"[X]\" chance 0.5",
        ];
        let steps: Vec<Step> = [(Peer::Server, b"* OK hi\r\n".to_vec()), (Peer::Client, b"a CAPABILITY\r\n".to_vec())]
            .into_iter()
            .chain(steps)
            .collect();
        let whole = run(Run::with(compile(&lines)), &steps, &Cutting::Whole);
        prop_assume!(!whole.compressed());
        let split = run(Run::with(compile(&lines)), &steps, &Cutting::Sizes(sizes));
        for (a, b) in whole.events.iter().zip(&split.events) {
            prop_assert_eq!(a, b);
        }
        prop_assert_eq!(whole.events.len(), split.events.len());
        prop_assert!(whole.output == split.output && whole.ours == split.ours);
        if let Some([left, said]) = whole.delivered() {
            prop_assert_eq!(left, said);
        }
        whole.check();
        let dry = run(Run::with(compile(&lines).dry()), &steps, &Cutting::Whole);
        prop_assert!(dry.output == dry.input && dry.ours.iter().all(Vec::is_empty));
    }
}

#[test]
fn an_edit_keeps_the_rest_of_the_lane() {
    for cutting in [Cutting::Whole, Cutting::Every(1), Cutting::Sizes(vec![5, 2])] {
        let steps = dialogues::login_with_literals();
        let done = run(Run::with(compiled(&["drop-capability IDLE"])), &steps, &cutting);
        let before = String::from_utf8_lossy(&done.input[1]).into_owned();
        let expect = before.replace(" ENABLE IDLE", " ENABLE").replace("IMAP4rev1 IDLE", "IMAP4rev1");
        assert_eq!(String::from_utf8_lossy(&done.output[1]), expect);
        assert_eq!(done.output[0], done.input[0]);
    }
}
