//! A driver that follows STARTTLS, without sockets: what is relayed and reported does not depend on how the octets came,
//! what was slipped in before TLS is carried to nobody and costs a bounded number of events, and nothing is lost.

use crate::lanes::{self, Cutting, Run, Step, c, run, s};
use crate::thorough::cases;
use imapscope::event::{DataKind, Oddity, Peer, What};
use imapscope::explain::Explainer;
use imapscope::grammar::{BUILTIN, Grammar};
use imapscope::rules::{Rules, Source};
use imapscope::session::{MAX_EVENTS, Outbox, Session};
use imapscope::sink::Sink;
use imapscope::sink::pretty::Pretty;
use imapscope::sink::style::Look;
use proptest::prelude::*;

/// The whole of a conversation up to the consent, in each protocol that has it.
fn openings() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("imap", vec![s("* OK hi\r\n"), c("a STARTTLS\r\n"), s("a OK go\r\n")]),
        ("smtp", vec![s("220 h\r\n"), c("STARTTLS\r\n"), s("220 go\r\n")]),
        ("lmtp", vec![s("220 h\r\n"), c("STARTTLS\r\n"), s("220 go\r\n")]),
        ("pop3", vec![s("+OK hi\r\n"), c("STLS\r\n"), s("+OK go\r\n")]),
        ("managesieve", vec![s("\"STARTTLS\"\r\nOK\r\n"), c("STARTTLS\r\n"), s("OK\r\n")]),
        ("nntp", vec![s("200 hi\r\n"), c("STARTTLS\r\n"), s("382 go\r\n")]),
    ]
}

fn following(protocol: &str) -> Run {
    Run::of(protocol, Rules::default()).following()
}

#[test]
fn tls_begins_in_every_protocol_and_what_was_slipped_in_goes_nowhere() {
    for (protocol, mut steps) in openings() {
        for (_, bytes) in &mut steps[1..] {
            bytes.extend_from_slice(b"evil\r\n");
        }
        steps.extend([c("NOOP\r\n"), s("x OK in\r\n")]);
        for cutting in [Cutting::Whole, Cutting::Every(1), Cutting::Every(7)] {
            let run = run(following(protocol), &steps, &cutting);
            assert_eq!(run.secured, 1, "{protocol}");
            assert_eq!(run.slipped, [b"evil\r\n".to_vec(), b"evil\r\n".to_vec()], "{protocol}");
            assert!(run.output == run.input, "{protocol}");
            assert!(run.output.iter().all(|lane| !lane.windows(4).any(|word| word == b"evil")), "{protocol}");
            let told = |seen: &&lanes::Seen| match &seen.what {
                What::Text(text) => text.oddities.contains(&Oddity::Injected),
                _ => false,
            };
            assert_eq!(run.events.iter().filter(told).count(), 2, "{protocol}: {:?}", run.events);
            run.check();
        }
    }
}

#[test]
fn what_is_slipped_in_costs_a_bounded_number_of_events() {
    // The largest read of all line ends, and one that opens as many frames as it can.
    for line in ["\n", "\r\n", "x\n", "{0}\n", "{0+}\r\n", "a LOGIN {1+}\r\nx\r\n", "a AUTHENTICATE PLAIN\r\n"] {
        let octets = line.repeat(256 * 1024 / line.len()).into_bytes();
        for from in [Peer::Client, Peer::Server] {
            for (protocol, steps) in openings() {
                let mut run = following(protocol);
                for (from, bytes) in &steps {
                    run.feed(*from, bytes);
                }
                run.feed(from, &octets);
                let before = run.events.len();
                run.most = 0;
                run.rest();
                assert_eq!(run.secured, 1);
                assert!(run.most <= MAX_EVENTS + 16, "{protocol} {line:?}: {} events", run.most);
                let slipped: u64 = run.events[before..]
                    .iter()
                    .map(|seen| match &seen.what {
                        What::Text(_) => seen.bytes.len() as u64,
                        What::Data(data) => data.len,
                        _ => 0,
                    })
                    .sum();
                assert_eq!(slipped, octets.len() as u64, "{protocol} {line:?}: each octet is accounted for");
                let rest = run.events.iter().filter_map(|seen| match &seen.what {
                    What::Data(data) if data.kind == DataKind::Rest => Some(data),
                    _ => None,
                });
                assert!(rest.into_iter().all(|data| data.secret && data.oddities == [Oddity::Injected]));
            }
        }
    }
}

#[test]
fn too_many_lines_are_told_by_their_size_and_not_shown() {
    let grammar = Grammar::builtin("imap").unwrap();
    let mut session = Session::new(1, grammar.clone(), std::sync::Arc::new(Rules::default())).following_tls();
    let mut out = Outbox::default();
    for (from, line) in [(Peer::Server, "* OK\r\n"), (Peer::Client, "a STARTTLS\r\n"), (Peer::Server, "a OK\r\n")] {
        session.receive(from, line.as_bytes(), &mut out);
    }
    out.batch.events.clear();
    let octets = format!("{}b LOGIN alice wonderland7\r\n", "x NOOP\r\n".repeat(5_000));
    session.slipped_in(Peer::Client, octets.as_bytes(), &mut out);
    let mut log = Vec::new();
    let mut pretty = Pretty::new(&mut log, Look::default());
    Explainer::new(grammar, false).explain(&mut out.batch, &mut |event| pretty.put(event).unwrap());
    pretty.end().unwrap();
    drop(pretty);
    let log = String::from_utf8(log).unwrap();
    let read = log.matches("x NOOP").count();
    let rest = octets.len() - read * "x NOOP\r\n".len();
    assert_eq!(read, MAX_EVENTS, "{log}");
    let tail = &log[log.len() - 600..];
    assert!(tail.contains("<hidden 31,8") && rest / 100 == 318, "{rest}: {tail}");
    assert!(tail.contains("too many lines to be read") && !log.contains("wonderland7"), "{tail}");
}

/// What clients and servers may say around STARTTLS, right and wrong.
const SAID: &[(Peer, &str)] = &[
    (Peer::Client, "a STARTTLS\r\n"),
    (Peer::Client, "STARTTLS\r\n"),
    (Peer::Client, "STLS\r\n"),
    (Peer::Client, "AUTH TLS\r\n"),
    (Peer::Client, "STARTTLS x\r\n"),
    (Peer::Client, "a AUTHENTICATE PLAIN\r\n"),
    (Peer::Client, "AUTH PLAIN\r\n"),
    (Peer::Client, "a LOGIN {3}\r\n"),
    (Peer::Client, "a COMPRESS DEFLATE\r\n"),
    (Peer::Client, "a IDLE\r\n"),
    (Peer::Client, "DATA\r\n"),
    (Peer::Client, "abc\r\n"),
    (Peer::Client, "a NO"),
    (Peer::Client, ".\r\n"),
    (Peer::Client, "\x16\x03\x01\x00\x05hello"),
    (Peer::Server, "* OK hi\r\n"),
    (Peer::Server, "220 hi\r\n"),
    (Peer::Server, "220-hi\r\n"),
    (Peer::Server, "+OK\r\n"),
    (Peer::Server, "OK\r\n"),
    (Peer::Server, "a OK\r\n"),
    (Peer::Server, "a NO\r\n"),
    (Peer::Server, "a O"),
    (Peer::Server, "500 no\r\n"),
    (Peer::Server, "354 go\r\n"),
    (Peer::Server, "-ERR\r\n"),
    (Peer::Server, "NO\r\n"),
    (Peer::Server, "+ go\r\n"),
    (Peer::Server, "382 go\r\n"),
    (Peer::Server, "234 go\r\n"),
    (Peer::Server, "\x15\x03\x01\x00\x02\x02\x46"),
];

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn nothing_depends_on_how_it_came(
        protocol in 0..BUILTIN.len(),
        said in prop::collection::vec(0..SAID.len(), 1..16),
        sizes in prop::collection::vec(1..9usize, 1..6),
        edit in any::<bool>(),
    ) {
        let protocol = BUILTIN[protocol].0;
        let mut steps: Vec<Step> = Vec::new();
        for (from, bytes) in said.into_iter().map(|at| SAID[at]) {
            match steps.last_mut() {
                Some((last, before)) if *last == from => before.extend_from_slice(bytes.as_bytes()),
                _ => steps.push((from, bytes.as_bytes().to_vec())),
            }
        }
        let start = || {
            let rule = Source::rule(1, "s/OK/OK now/ when from == server");
            Run::of(protocol, Rules::compile(if edit { std::slice::from_ref(&rule) } else { &[] }).unwrap()).following()
        };
        let (whole, split) = (run(start(), &steps, &Cutting::Whole), run(start(), &steps, &Cutting::Sizes(sizes)));
        if whole.compressed() && edit {
            return Ok(());
        }
        prop_assert_eq!(&whole.slipped, &split.slipped);
        prop_assert_eq!(&whole.events, &split.events);
        prop_assert_eq!(whole.output == split.output, true);
        prop_assert!(edit || whole.output == whole.input);
        if !whole.compressed() {
            let all = [0, 1].map(|at| (whole.input[at].len() + whole.slipped[at].len()) as u64);
            prop_assert_eq!(whole.accounted(), all);
        }
        whole.check();
    }
}

#[test]
fn nobody_waits_for_a_server_that_has_ended() {
    for (protocol, steps) in openings() {
        let starttls = &steps[1].1;
        // It asks twice, of which the first may be answered by an end; or it asks only then.
        for ahead in [vec![starttls.clone(), starttls.clone()], vec![]] {
            let mut run = following(protocol);
            run.feed(Peer::Server, &steps[0].1);
            run.feed(Peer::Client, &ahead.concat());
            run.close(Peer::Server);
            run.rest();
            run.feed(Peer::Client, starttls);
            run.feed(Peer::Client, b"NOOP\r\n");
            assert!(!run.session.waits(Peer::Client), "{protocol}: a client that is not read is never seen to end");
            assert!(run.output == run.input && run.input[0].ends_with(b"NOOP\r\n"), "{protocol}");
        }
    }
}

#[test]
fn what_was_on_its_way_before_the_consent_is_told() {
    let login = "b STARTTLS\r\nc LOGIN {5}\r\nalice {11}\r\nwonderland7\r\nd NOOP\r\ne NO";
    let steps = [
        s("* OK hi\r\n"),
        c(format!("a AUTHENTICATE PLAIN\r\n{login}")),
        s("a NO\r\n"),
        s("b OK go\r\n"),
        c("f NOOP\r\n"),
    ];
    for cutting in [Cutting::Whole, Cutting::Every(1)] {
        let run = run(following("imap"), &steps, &cutting);
        assert_eq!((run.secured, &run.slipped), (1, &Default::default()));
        assert_eq!(run.accounted(), [run.input[0].len() as u64, run.input[1].len() as u64], "{:#?}", run.events);
        let injected = |seen: &&lanes::Seen| match &seen.what {
            What::Text(text) => text.oddities.contains(&Oddity::Injected),
            What::Data(data) => data.oddities.contains(&Oddity::Injected),
            _ => false,
        };
        let last = run.events.iter().rfind(injected).expect("it is told");
        assert_eq!(last.bytes, b"e NO");
    }
}

#[test]
fn a_starttls_that_is_understood_late_stops_the_client_at_once() {
    // It is read when there is too much to wait for an answer, and then nothing more may be taken.
    for more in [0, 1, 2, 100, 70_000] {
        let begin = "a LOGIN {1}\r\nx y\r\nb STARTTLS\r\nc X {0}\r\n";
        let ahead = [begin.as_bytes(), &vec![b'%'; imapscope::event::MAX_TEXT + 13 - begin.len() + more]].concat();
        let steps = [s("* OK hi\r\n"), c(&ahead), s("b OK go\r\n"), c("\r\nd NOOP\r\n")];
        let start = || following("imap");
        let whole = run(start(), &steps, &Cutting::Whole);
        for cutting in [Cutting::Every(4_099), Cutting::Every(1_000), Cutting::Every(1)] {
            let split = run(start(), &steps, &cutting);
            assert!(whole.output == split.output && whole.slipped == split.slipped, "{more}");
            assert_eq!(whole.events, split.events);
        }
        let all = [0, 1].map(|at| (whole.input[at].len() + whole.slipped[at].len()) as u64);
        assert_eq!(whole.accounted(), all);
        assert!(more == 0 || whole.secured == 1 && !whole.slipped[0].is_empty(), "{more}");
    }
}

#[test]
fn a_server_that_begins_like_a_proxy_is_followed_all_the_same() {
    let steps = [s("\r\n"), c("a STARTTLS\r\n"), s("a OK\r\n")];
    for cutting in [Cutting::Whole, Cutting::Every(1), Cutting::Every(3)] {
        assert_eq!(run(following("imap"), &steps, &cutting).secured, 1, "{cutting:?}");
    }
}
