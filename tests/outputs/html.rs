//! The page as a browser would read it: every dialogue makes a sound one, hostile octets never become markup wherever they stand,
//! no secret is in it, it is written as it comes, and says first what is wrong.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::dialogue::{Dialogue, Written, play};
use crate::markup;
use crate::sample::*;
use imapscope::event::*;
use imapscope::grammar::Grammar;
use imapscope::sink::Sink;
use imapscope::sink::html::Html;
use imapscope::sink::style::{Body, Look};
use imapscope::verb::log::Informed;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn sink(look: Look) -> (Html<Written>, Written) {
    let written = Written::default();
    (Html::with_zone(written.clone(), look, TimeZone::UTC), written)
}

/// The page of these events.
fn page(events: &[Made]) -> String {
    let (html, written) = sink(Look::default());
    let mut html = Informed(html);
    put_all(events, &mut html);
    html.end().expect("memory has room");
    written.text()
}

/// The page of a dialogue, through the parts that run live.
fn page_of(dialogue: &Dialogue, grammar: &Arc<Grammar>, look: Look) -> String {
    let (html, written) = sink(look);
    let mut html = Informed(html);
    play::play(dialogue, grammar, (1, usize::MAX, false), &mut html);
    html.end().expect("memory has room");
    written.text()
}

#[test]
fn every_dialogue_makes_a_sound_page() {
    for (file, dialogue, grammar) in play::all() {
        for body in [Body::Fold, Body::All, Body::None] {
            let made = page_of(&dialogue, &grammar, Look { body, ..Look::default() });
            println!("{}", file.display());
            let read = markup::read(&made);
            assert!(read.open.is_empty(), "{:?} are left open", read.open);
            let lines = read.elements.iter().filter(|element| element.starts_with("li id=e")).count();
            // Every line of the log with a direction has its own here; a line of a block or of a reply has none.
            let told = dialogue.log.lines().filter(|line| line.starts_with('+') && line.contains(" #1 ")).count();
            assert!(lines == told || dialogue.filter.is_some(), "{}: {lines}, {told}", file.display());
        }
    }
}

/// A session with a bit of everything, and these words in every place where a peer's may stand.
fn poisoned(words: &str) -> Vec<Made> {
    use NoteKind::*;
    let line = format!("{words} {words}\r\n");
    let verb = Span::new(0, words.len());
    let list = |bytes: &str, kind| List {
        kind,
        whole: Span::new(0, bytes.len()),
        items: vec![
            Item {
                name: verb,
                with_space: verb,
                parameters: Span::new(words.len() + 1, 2 * words.len() + 1),
                part: false,
            },
            Item { name: verb, with_space: verb, parameters: Span::default(), part: true },
        ],
    };
    let with = |mut made: Made, kind: Kind, lists: bool, frame: u64, answers| {
        if let What::Text(text) = &mut made.event.what {
            text.reading.kind = kind;
            text.reading.list = lists.then(|| list(&line, ListKind::Data));
            (text.frame, text.answers) = (frame, answers);
        }
        made
    };
    let noted = |mut made: Made| {
        let kinds = [
            Meaning,
            Answer,
            Capability(Fate::Kept),
            Capability(Fate::Removed),
            Capability(Fate::Added),
            Difference,
            Decoded,
            Detail,
            Rule,
            Session,
            Finding(Culprit::None),
            Finding(Culprit::Client),
            Finding(Culprit::Server),
        ];
        for kind in kinds {
            made = made.note(kind, words, &format!("{words}!"), words);
        }
        made
    };
    let mut start = opened(0, 1, [true, true]);
    if let What::Opened(opened) = &mut start.event.what {
        (opened.protocol, opened.client, opened.server) = (words.into(), words.into(), words.into());
        opened.rules = vec![words.into()];
    }
    let reply = Kind::Reply { tag: verb, status: Status::No, word: verb, code: Some(verb), text: verb };
    let mut answer = noted(with(text(3, 1, Peer::Server, State::Selected, line.as_bytes()), reply, true, 2, Some(1)));
    answer.latency = Some(Duration::from_millis(3));
    let second = Span::new(words.len() + 1, 2 * words.len() + 1);
    answer.marks = vec![Mark { span: verb, role: Role::Removed }, Mark { span: second, role: Role::Surprise }];
    let mut end = closed(9, 1, Closer::Tls(Peer::Server));
    if let What::Closed(closed) = &mut end.event.what {
        closed.why = Some(words.into());
    }
    end.summary = Some(Summary {
        commands: vec![Tally { verb: words.into(), count: 1, answered: 1, ..Tally::default() }],
        unused: vec![words.into()],
        unadvertised: vec![(words.into(), words.into())],
        hidden_tried: vec![(words.into(), "x".into())],
        rules: vec![(words.into(), 1)],
        ..Summary::default()
    });
    let certificate = Certificate {
        subject: words.into(),
        issuer: words.into(),
        names: vec![words.into(); 2],
        ..Certificate::default()
    };
    let facts = TlsFacts {
        version: words.into(),
        suite: words.into(),
        name: Some(words.into()),
        alpn: Some(words.into()),
        certificate: Some(certificate),
        verdict: Verification::Unverified(words.into()),
        ..TlsFacts::default()
    };
    let offer = Hello::Client {
        name: Some(words.into()),
        alpn: vec![words.into()],
        lowest: Some(words.into()),
        highest: words.into(),
        encrypted: false,
    };
    let choice = Hello::Server { version: words.into(), suite: words.into(), alpn: Some(words.into()), retry: false };
    let command = Kind::Command { tag: verb, verb, arguments: verb };
    let edit = Edited {
        fired: vec![words.into()],
        faults: vec![(words.into(), words.into())],
        refused: vec![(words.into(), words.into())],
        ..Edited::default()
    };
    let mut changed = with(text(2, 1, Peer::Client, State::Selected, line.as_bytes()), command, false, 1, None);
    changed.sent = Some(line.clone().into_bytes());
    changed.sent_marks = vec![Mark { span: verb, role: Role::Added }];
    if let What::Text(text) = &mut changed.event.what {
        text.edit = Some(Box::new(edit));
    }
    let long = format!("{}\r\n", words.repeat(2_000 / words.len().max(1)));
    let roles = [
        Role::Tag,
        Role::Verb,
        Role::Name,
        Role::Good,
        Role::Bad,
        Role::Code,
        Role::Capability,
        Role::String,
        Role::Flag,
        Role::Literal,
        Role::Human,
    ];
    let marked = roles.map(|role| {
        let mut made = text(5, 1, Peer::Server, State::Selected, line.as_bytes());
        made.marks = vec![Mark { span: verb, role }];
        made
    });
    let mut events = vec![
        start,
        Made::new(1, 1, Peer::Server, What::Tls(Box::new(facts))),
        Made::new(1, 1, Peer::Client, What::Hello(Box::new(offer))),
        Made::new(1, 1, Peer::Server, What::Hello(Box::new(choice))),
        Made::new(1, 1, Peer::Server, What::Hello(Box::new(Hello::Alert { fatal: true, name: words.into() }))),
        changed,
        answer,
        noted(data(4, Peer::Server, DataKind::Literal, 9_999, words.repeat(3).as_bytes())),
        data(4, Peer::Client, DataKind::Opaque, 9_999, words.as_bytes()),
        text(5, 1, Peer::Server, State::Selected, long.as_bytes()),
        text(5, 1, Peer::Server, State::Selected, b"\xff\xfe<script>\0\x1b]0;<b>\x07\r\n"),
        Made::new(6, 1, Peer::Client, What::Missed(words.into())),
    ];
    events.extend(marked);
    events.push(end);
    events
}

/// The elements of a page, but for the marks of escapes, whose number depends on what there is to be escaped.
fn shape(page: &str) -> Vec<String> {
    markup::read(page).elements.into_iter().filter(|element| element != "i").collect()
}

#[test]
fn hostile_words_are_text_wherever_they_stand() {
    let plain = shape(&page(&poisoned("harmless words")));
    assert!(plain.iter().any(|element| element.starts_with("circle")), "a latency is drawn");
    assert!(plain.iter().any(|element| element == "td class=r"), "a capability is in the table");
    for words in [
        "<script>alert(1)</script>",
        "</style><img src=x>",
        "</script></title></svg>",
        "]]><!--",
        "--><b onclick=x>",
        "\" onmouseover=\"x",
        "' style='x' &lt;b&gt; &#60;",
        "\0\x01\x02\x1b[2J\x7f",
        "\u{202e}\u{2066}evil\u{200b}",
        "javascript:alert(1)",
        "a</code></pre></td></table>",
    ] {
        let made = page(&poisoned(words));
        assert_eq!(shape(&made), plain, "{words:?}");
        let text = markup::read(&made).text;
        assert!(!text.contains(['\u{202e}', '\u{2066}', '\u{200b}', '\x1b', '\0']), "{words:?}");
        // It can be read, too.
        if words.chars().all(|c| !c.is_control() && c.is_ascii()) {
            assert!(text.matches(words).count() > 40, "{words:?} is told");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_words_are_text(words in "\\PC{1,24}") {
        let made = page(&poisoned(&words));
        prop_assert!(markup::read(&made).open.is_empty());
    }

    #[test]
    fn any_octets_are_text(octets in proptest::collection::vec(any::<u8>(), 0..300), cuts in proptest::collection::vec(0_usize..300, 0..8)) {
        let mut made = text(1, 1, Peer::Server, State::Selected, &octets);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(octets.len())).collect();
        cuts.sort_unstable();
        let roles = [Role::Tag, Role::Secret, Role::Removed, Role::Surprise];
        let pairs = cuts.chunks_exact(2).zip(roles.into_iter().cycle());
        made.marks = pairs.map(|(pair, role)| Mark { span: Span::new(pair[0], pair[1]), role }).collect();
        let block = data(2, Peer::Server, DataKind::Literal, 400, &octets);
        let made = page(&[opened(0, 1, [false; 2]), made, block]);
        prop_assert!(markup::read(&made).open.is_empty());
    }
}

#[test]
fn style_and_script_are_ours_and_nothing_else_may_run() {
    let made = page(&poisoned("</script><script>"));
    let read = markup::read(&made);
    let script = concat!(
        include_str!("../../src/sink/html/regex.js"),
        include_str!("../../src/sink/html/condition.js"),
        include_str!("../../src/sink/html/page.js")
    );
    assert_eq!(read.raw, [include_str!("../../src/sink/html/page.css"), script]);
    let policy = made.split("Content-Security-Policy content=\"").nth(1).and_then(|rest| rest.split('"').next());
    let policy = policy.expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    let before = made.find("Content-Security-Policy").expect("a policy");
    assert!(made.find("<style>").is_some_and(|style| before < style), "what it forbids comes behind it");
    for text in ["http://", "https://", "@import", "url(", "innerHTML", "eval(", "fetch("] {
        assert!(!made.contains(text), "{text}");
    }
}

#[test]
fn no_secret_is_in_a_page() {
    let canary = "kanarie77";
    // `\0alice\0kanarie77`
    let plain = "AGFsaWNlAGthbmFyaWU3Nw==";
    for text in [
        format!(
            "# x\nS: * OK hi\nC: a LOGIN alice {canary}\nS: a NO {canary} is wrong\nC: b LOGIN alice \"{canary}\"\nS: b OK in"
        ),
        format!("# x\nS: * OK hi\nC: a LOGIN alice {{9}}\nS: + go\nC: {canary}\nS: a BAD {canary}"),
        format!("# x\nS: * OK hi\nC: a AUTHENTICATE PLAIN\nS: + \nC: {plain}\nS: a NO {plain}"),
        format!("# x\nS: * OK [CAPABILITY IMAP4rev1 SASL-IR] hi\nC: a AUTHENTICATE PLAIN {plain}\nS: a OK in"),
        format!("# x\nS: * OK hi\nC: a LOGNI alice {canary}\nS: a BAD what"),
        format!("# x\n! --rule 's/alice/bob/'\nS: * OK hi\nC: a LOGIN alice {canary}\nS: a OK in"),
    ] {
        let dialogue = Dialogue::parse(&text).expect("a dialogue");
        let grammar = Grammar::builtin("imap").expect("a protocol");
        let made = page_of(&dialogue, &grammar, Look { body: Body::All, ..Look::default() });
        for secret in [canary, plain, "a2FuYXJpZTc3"] {
            assert!(!made.contains(secret), "{secret} of {text}\n{made}");
        }
        assert!(markup::read(&made).text.contains("hidden"), "{text}");
    }
}

#[test]
fn not_even_the_length_of_a_secret_is_in_a_page() {
    let imap = Grammar::builtin("imap").expect("a protocol");
    let [short, long] = ["s3cret", "a-much-longer-s3cret"].map(|secret| {
        let text = format!(
            "# x\nS: * OK hi\nC: a LOGIN alice {secret}\nS: a NO [X {secret}] no\nC: {secret} y\nS: * OK {secret}"
        );
        let page = page_of(&Dialogue::parse(&text).expect("a dialogue"), &imap, Look::default());
        // The sums of all octets are told, and are longer by two secrets each.
        let sums = format!("{} octets from the client, {} octets from the server", 48, 58);
        let [client, server] = [20, 30].map(|others| others + 2 * secret.len());
        let told = format!("{client} octets from the client, {server} octets from the server");
        assert!(page.contains(&told), "{page}");
        page.replace(&told, &sums)
    });
    assert!(short.contains("? size") && short.contains("********"), "what is asked of it is told: {short}");
    assert_eq!(short, long);
}

#[test]
fn equal_findings_are_one_with_all_its_places() {
    let text = "# x\nS: * OK hi\nS: * 1 \\0\nS: * 12 \\0\nC: a NOOP \\0\nS| a OK\\n\nS| * OK\\n";
    let dialogue = Dialogue::parse(text).expect("a dialogue");
    let made = page_of(&dialogue, &Grammar::builtin("imap").expect("a protocol"), Look::default());
    let findings =
        made.split("<ol class=findings>").nth(1).and_then(|rest| rest.split("</ol>").next()).expect("findings");
    let of = |culprit: &str, words: &str| -> Vec<String> {
        let fits = |item: &&str| item.contains(&format!("<b class=who>{culprit}</b>")) && item.contains(words);
        findings.split("<li>").filter(fits).map(str::to_owned).collect()
    };
    let [nul]: [String; 1] =
        of("server", "a NUL at octet …: it is allowed").try_into().unwrap_or_else(|_| panic!("{findings}"));
    assert!(nul.contains("2 times: ") && nul.contains("</a> octet 4, ") && nul.contains("</a> octet 5</p>"), "{nul}");
    assert_eq!(of("client", "a NUL at octet 7: it is").len(), 1, "{findings}");
    let [ends]: [String; 1] =
        of("server", "the line ends in LF alone").try_into().unwrap_or_else(|_| panic!("{findings}"));
    assert!(ends.contains("2 times: ") && !ends.contains("> octet"), "{ends}");
}

#[test]
fn a_page_is_written_as_it_comes_and_is_one_wherever_it_ends() {
    let (mut html, written) = sink(Look::default());
    let mut before = 0;
    let mut followed = Followed::default();
    for event in session() {
        followed.put(&event, &mut html);
        html.flush().expect("memory has room");
        let made = written.text();
        assert!(made.len() > before, "each event is there at once");
        before = made.len();
        let read = markup::read(&made);
        assert!(read.text.contains("This page was cut off"));
        assert!(read.open.iter().all(|name| ["html", "body", "ol"].contains(&name.as_str())), "{:?}", read.open);
    }
    html.end().expect("memory has room");
    assert!(markup::read(&written.text()).open.is_empty());
    assert!(!written.text().contains("still open where the log ends"), "it was closed");
}

/// Twenty thousand commands, each another one, that break a rule each.
fn flood(html: &mut dyn Sink) {
    let mut followed = Followed::default();
    followed.put(&opened(0, 1, [false; 2]), html);
    for number in 0..20_000_u64 {
        let verb = format!("V{number} <x>\r\n");
        let mut command = text(number, 1, Peer::Client, State::Selected, verb.as_bytes());
        if let What::Text(text) = &mut command.event.what {
            let verb = Span::new(0, verb.len() - 2);
            text.frame = number;
            text.reading.kind = Kind::Command { tag: Span::default(), verb, arguments: Span::default() };
        }
        let finding = format!("breaks rule {number}");
        let command = command.note(NoteKind::Finding(Culprit::Client), "", &finding, "RFC 1");
        followed.put(&command, html);
        if html.is_full() {
            html.flush().expect("memory has room");
        }
    }
    html.flush().expect("memory has room");
}

#[test]
fn a_long_session_is_not_kept() {
    let mut html = Html::with_zone(io::sink(), Look::default(), TimeZone::UTC);
    flood(&mut html);
    let kept = format!("{html:?}").len();
    let (mut html, written) = sink(Look::default());
    flood(&mut html);
    html.end().expect("memory has room");
    let made = written.text();
    assert!(kept < made.len() / 20, "{kept} octets are kept, of a page of {}", made.len());
    assert!(made.contains("… and 19,800 findings more"), "what there is no room for is counted");
    assert!(markup::read(&made).open.is_empty());
}

#[test]
fn what_is_wrong_is_told_first() {
    let made = page(&session());
    let read = markup::read(&made);
    let wrong = made.split("<section id=wrong").nth(1).expect("it is told");
    let wrong = markup::read(&format!("<!doctype html>\n<section id=wrong{wrong}").replace("</body></html>", "")).text;
    for text in [
        "client",
        "uses IDLE, which it was not offered",
        "RFC 2177 section 3",
        "drop-capability IDLE",
        "applied 2 times",
        "never applied",
    ] {
        assert!(wrong.contains(text), "{text}: {wrong}");
    }
    for text in ["the server reports changes by itself", "1,204", "strict parser"] {
        assert!(read.text.contains(text), "{text}");
    }
    let css = include_str!("../../src/sink/html/page.css");
    assert!(
        css.contains("#run, #wrong { order: 1; }") && css.contains(".log { order: 4; }"),
        "it stands above the log"
    );
}

#[test]
fn what_was_refused_is_listed_with_what_it_answers() {
    let text = "# x\nS: * OK hi\nC: a NOOP\nS: a OK\nC: b SELECT Missing\nS: b NO [NONEXISTENT] no <such> mailbox";
    let dialogue = Dialogue::parse(text).expect("a dialogue");
    let made = page_of(&dialogue, &Grammar::builtin("imap").expect("a protocol"), Look::default());
    let refused = made.split("<details class=refusals>").nth(1).and_then(|rest| rest.split("</details>").next());
    let refused = refused.expect("they are listed");
    for text in ["1 refused command<", "no &lt;such&gt; mailbox", "answers b SELECT: refused, 10 ms", "href=\"#e6\""] {
        assert!(refused.contains(text), "{text}: {refused}");
    }
    assert!(!refused.contains("a OK") && made.contains("<circle class=bad"), "{refused}");
}

/// The cells of a row of the table of capabilities.
fn row(made: &str, name: &str) -> Vec<String> {
    let table = made.split("<table class=matrix>").nth(1).expect("a table");
    let row = table.split(&format!("<tr><th scope=row>{name}")).nth(1).unwrap_or_else(|| panic!("a row of {name}"));
    let cells = row.split("</tr>").next().unwrap_or_default().split("<td class=").skip(1);
    cells.map(|cell| cell.chars().take_while(|c| c.is_ascii_alphabetic()).collect()).collect()
}

#[test]
fn capabilities_stand_in_a_table_over_time() {
    let text = "# x\n! --drop-cap IDLE --add-cap XTEST\nS: * OK [CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN] hi\nC: a LOGIN a b\n\
        S: a OK [CAPABILITY IMAP4rev1 IDLE MOVE] in\nC: b CAPABILITY\nS: * CAPABILITY IMAP4rev1 IDLE MOVE\nS: b OK";
    let imap = Grammar::builtin("imap").expect("a protocol");
    let made = page_of(&Dialogue::parse(text).expect("a dialogue"), &imap, Look::default());
    // The last column is the meaning.
    assert_eq!(row(&made, "IMAP4rev1"), ["k", "k", "k", "w"]);
    assert_eq!(row(&made, "IDLE"), ["r", "r", "r", "w"]);
    assert_eq!(row(&made, "AUTH=PLAIN"), ["k", "n", "n", "w"]);
    assert_eq!(row(&made, "MOVE"), ["n", "k", "k", "w"]);
    assert_eq!(row(&made, "XTEST"), ["a", "a", "a", "w"]);
    let table = markup::read(&made).text;
    for text in ["● kept", "− removed", "+ added", "· absent", "greeting", "after login", "RFC 2177"] {
        assert!(table.contains(text), "{text}");
    }
    let text = "# x\n! --starttls relay\nS: 220 hi\nC: EHLO a\nS: 250-b\nS: 250-SIZE 1000\nS: 250 AUTH PLAIN LOGIN\nC: EHLO a\nS: 250-b\n\
        S: 250-SIZE 1000\nS: 250 AUTH PLAIN LOGIN\nC: EHLO a\nS: 250-b\nS: 250 SIZE 1000";
    let smtp = Grammar::builtin("smtp").expect("a protocol");
    let made = page_of(&Dialogue::parse(text).expect("a dialogue"), &smtp, Look::default());
    assert_eq!(row(&made, "SIZE <small>1000</small>"), ["k", "k", "k", "w"]);
    assert_eq!(row(&made, "AUTH=LOGIN"), ["k", "k", "n", "w"]);
}

#[test]
fn what_a_filter_leaves_out_is_in_the_account_and_nowhere_else() {
    let span = |end| Span::new(0, end);
    let mut command = client(1, State::Selected, "NOOP\r\n");
    let mut answer = server(4, State::Selected, "OK\r\n");
    answer.latency = Some(Duration::from_millis(3));
    if let (What::Text(command), What::Text(answer)) = (&mut command.event.what, &mut answer.event.what) {
        command.reading.kind = Kind::Command { tag: Span::default(), verb: span(4), arguments: Span::default() };
        let empty = Span::default();
        answer.reading.kind = Kind::Reply { tag: empty, status: Status::Ok, word: span(2), code: None, text: empty };
        answer.answers = Some(1);
    }
    let mut end = closed(9, 1, Closer::Ours);
    let tally = Tally { verb: "NOOP".into(), count: 1, answered: 1, ..Tally::default() };
    end.summary = Some(Summary { commands: vec![tally], ..Summary::default() });
    let (mut html, written) = sink(Look::default());
    let mut followed = Followed::default();
    followed.skip(&opened(0, 1, [false; 2]), &mut html);
    followed.skip(&command, &mut html);
    followed.put(&answer, &mut html);
    followed.skip(&opened(5, 2, [false; 2]), &mut html);
    followed.skip(&closed(6, 2, Closer::Ours), &mut html);
    followed.put(&end, &mut html);
    html.end().expect("memory has room");
    let made = written.text();
    let read = markup::read(&made);
    assert_eq!(read.elements.iter().filter(|element| element.starts_with("li id=e")).count(), 2);
    assert!(made.contains("<circle class=good") && made.contains("127.0.0.1:54321"), "the account is whole");
    assert!(!made.contains("#e0") && !made.contains("Connection #2"), "nothing leads to where nothing is");
}

/// A page never says that nothing is wrong where a finding was left out.
#[test]
fn findings_in_lines_that_are_left_out_are_counted() {
    let odd = |at| client(at, State::Selected, "x\r\n").note(NoteKind::Finding(Culprit::Client), "", "it is odd", "");
    let mut end = closed(9, 1, Closer::Ours);
    end.summary = Some(Summary { findings: [2, 0], ..Summary::default() });
    let page = |shown: usize| {
        let (mut html, written) = sink(Look::default());
        let mut followed = Followed::default();
        followed.put(&opened(0, 1, [false; 2]), &mut html);
        for at in 0..2 {
            if at < shown { followed.put(&odd(1), &mut html) } else { followed.skip(&odd(1), &mut html) }
        }
        followed.put(&end, &mut html);
        html.end().expect("memory has room");
        markup::read(&written.text()).text
    };
    for (shown, said) in
        [(0, Some("2 findings are in lines that this")), (1, Some("1 finding is in a line")), (2, None)]
    {
        let page = page(shown);
        assert_eq!(page.contains("that this page leaves out"), said.is_some(), "{page}");
        assert!(page.contains("What is wrong") && said.is_none_or(|said| page.contains(said)), "{shown}: {page}");
        assert!(!page.contains("Nothing was seen to be wrong"), "{page}");
    }
}

#[test]
fn where_nothing_was_shown_the_page_says_so() {
    let made = page(&[]);
    markup::read(&made);
    assert!(made.contains("Nothing passed, or nothing of it was to be shown."), "{made}");
    assert!(!page(&[opened(0, 1, [false; 2])]).contains("Nothing passed"));
}

#[test]
fn the_reader_of_pages_is_strict() {
    assert!(markup::read("<!doctype html>\n<p>a &amp; b</p>").open.is_empty());
    for wrong in [
        "<p>a & b</p>",
        "<p>a > b</p>",
        "<p><img src=x></p>",
        "<p onclick=x>a</p>",
        "<p><b>a</p></b>",
        "<p><div>a</div></p>",
        "<a href=x>a</a>",
        "<p>\x1b</p>",
    ] {
        let page = format!("<!doctype html>\n{wrong}");
        assert!(std::panic::catch_unwind(|| markup::read(&page)).is_err(), "{wrong}");
    }
}
