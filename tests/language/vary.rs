//! Variation changes no meaning: what a generator meant is read, by a reader of its own, from a text and from what `vary` makes
//! of it; the framer finds the same texts; a strict parser gets the same values; and no text whatever makes it break framing.

use crate::meaning::Node::{self, Glued, Inbox, List, Name, Pair, Pattern, Row, Set, Text};
use crate::meaning::{exact, word};
use imapscope::event::{Form, Kind, Literal, Peer, Reading, State};
use imapscope::rules::{Edit, Rules, Scene, Source};
use imapscope::wire::{self, Cut, Expect, Framer, Gather, body, status};
use proptest::prelude::*;

const WAYS: [&str; 8] =
    ["case", "order", "quoting", "literal", "case order", "quoting literal", "order literal", "all"];

/// What a rule makes of a text.
fn edit(ways: &str, form: Form, from: Peer, text: &[u8], at_once: u32) -> Option<Edit> {
    let rules = Rules::compile(&[Source::rule(1, &format!("vary {ways}"))]).expect("a rule");
    let read = |text: &[u8]| {
        let mut reading = wire::read(form, from, text);
        if from == Peer::Server && matches!(form, Form::Codes | Form::Pop3) {
            reading.list = Some(status::list(form, text));
        }
        reading
    };
    let reading = read(text);
    let again = |text: &[u8]| gather(form, from).holds(text).then(|| read(text));
    let scene = Scene { state: State::Selected, at_once, ..Scene::bare(from, text, form, &reading, &again) };
    rules.edit(&scene, &mut rules.begin(1))
}

fn gather(form: Form, from: Peer) -> Gather {
    match (form, from) {
        (_, Peer::Client) | (Form::Imap | Form::Line, _) => Gather::One,
        (Form::Codes, _) => Gather::Codes,
        (Form::Pop3, _) => Gather::Dot,
        (Form::Managesieve, _) => Gather::Response,
    }
}

fn varied(ways: &str, form: Form, from: Peer, text: &[u8], at_once: u32) -> Vec<u8> {
    edit(ways, form, from, text, at_once).and_then(|edit| edit.bytes).unwrap_or_else(|| text.to_vec())
}

/// Names, some of which are spelled as something else is.
fn name() -> impl Strategy<Value = Node> {
    let spelled = prop_oneof![
        "[a-zA-Z/.]{1,6}",
        "[ -~]{0,8}",
        prop::sample::select(vec!["NIL", "Nil", "Inbox/a", "a]", "7", "", "\\", "{5}", "{5+}", "*", "a b"])
            .prop_map(str::to_owned),
    ];
    prop_oneof![
        6 => (spelled, any::<bool>()).prop_filter_map("INBOX is another", |(text, bare)| {
            (!text.eq_ignore_ascii_case("INBOX")).then_some(Name(text, bare))
        }),
        1 => prop::sample::select(vec!["INBOX", "inbox", "\"Inbox\""]).prop_map(Inbox),
    ]
}

fn astring() -> impl Strategy<Value = Node> {
    ("[ -~]{0,8}", any::<bool>()).prop_map(|(text, bare)| Name(text, bare))
}

fn nstring() -> impl Strategy<Value = Node> {
    prop_oneof!["[ -~]{0,8}".prop_map(Text), Just(word("NIL")), Just(Text("NIL".into()))]
}

fn flag() -> impl Strategy<Value = Node> {
    prop_oneof![
        prop::sample::select(vec!["\\Seen", "\\deleted", "\\Draft", "\\*"]).prop_map(word),
        prop::sample::select(vec!["$Junk", "seen", "x"]).prop_map(exact),
    ]
}

fn flags() -> impl Strategy<Value = Node> {
    prop::collection::vec(flag(), 0..4).prop_map(Set)
}

fn pair(key: &str, value: Node) -> Node {
    Pair(vec![word(key), value])
}

fn envelope() -> impl Strategy<Value = Node> {
    let address = prop::collection::vec(nstring(), 4).prop_map(|parts| List(vec![List(parts)]));
    let addresses = prop_oneof![Just(word("NIL")), address];
    (prop::collection::vec(nstring(), 2), prop::collection::vec(addresses, 6), prop::collection::vec(nstring(), 2))
        .prop_map(|(first, middle, last)| pair("ENVELOPE", List([first, middle, last].concat())))
}

fn structure() -> impl Strategy<Value = Node> {
    let text = |text: &str| Text(text.to_owned());
    ("[a-z]{1,4}", nstring(), 0u32..9).prop_map(move |(value, id, size)| {
        let size = exact(&size.to_string());
        let parameters = List(vec![text("CHARSET"), Text(value)]);
        pair(
            "BODYSTRUCTURE",
            List(vec![exact("\"TEXT\""), text("PLAIN"), parameters, id, word("NIL"), text("7BIT"), size.clone(), size]),
        )
    })
}

fn item() -> impl Strategy<Value = Node> {
    prop_oneof![
        flags().prop_map(|flags| pair("FLAGS", flags)),
        (1u32..99).prop_map(|uid| pair("UID", exact(&uid.to_string()))),
        Just(pair("INTERNALDATE", exact("\"17-Jul-1996 02:44:25 -0700\""))),
        nstring().prop_map(|it| pair("BODY[TEXT]", it)),
        nstring().prop_map(|it| Pair(vec![Glued(vec![word("BODY[HEADER.FIELDS"), exact(" (Date)]")]), it])),
        envelope(),
        structure(),
    ]
}

fn distinct(mut nodes: Vec<Node>) -> Vec<Node> {
    nodes.sort_by_key(Node::written);
    nodes.dedup_by_key(|node| node.written());
    nodes
}

/// What a server says.
fn response() -> impl Strategy<Value = Node> {
    let capability = prop::sample::select(vec!["IMAP4rev1", "IDLE", "LITERAL+", "CONDSTORE"]).prop_map(word);
    let capability = prop_oneof![4 => capability, 1 => Just(Glued(vec![word("AUTH="), exact("PLAIN")]))].boxed();
    let row = prop::collection::vec(capability.clone(), 1..5).prop_map(Row);
    let listed = prop::collection::vec(capability, 1..5)
        .prop_map(|names| Glued(vec![exact("* "), word("OK [CAPABILITY "), Row(names), exact("] Ok IDLE")]));
    let say = |nodes: Vec<Node>| Pair([vec![exact("*")], nodes].concat());
    prop_oneof![
        row.prop_map(move |row| say(vec![word("CAPABILITY"), row])),
        listed,
        flags().prop_map(move |flags| say(vec![word("FLAGS"), flags])),
        flags().prop_map(|flags| Glued(vec![exact("* "), word("OK [PERMANENTFLAGS "), flags, exact("] NIL \"x\"")])),
        (flags(), prop::sample::select(vec!["\"/\"", "\".\""]), name())
            .prop_map(move |(flags, delimiter, name)| say(vec![word("LIST"), flags, exact(delimiter), name])),
        (flags(), name()).prop_map(move |(flags, name)| say(vec![word("LSUB"), flags, word("NIL"), name])),
        name().prop_map(move |name| {
            let items = Set(vec![pair("MESSAGES", exact("3")), pair("UIDNEXT", exact("4"))]);
            say(vec![word("STATUS"), name, items])
        }),
        prop::collection::vec(1u32..99, 0..5).prop_map(move |found| {
            say(vec![word("SEARCH"), Row(found.iter().map(|n| exact(&n.to_string())).collect())])
        }),
        prop::collection::vec(1u32..99, 1..5).prop_map(move |found| {
            say(vec![word("SORT"), Pair(found.iter().map(|n| exact(&n.to_string())).collect())])
        }),
        prop::collection::vec(item(), 1..4)
            .prop_map(move |items| { say(vec![exact("7"), word("FETCH"), Set(distinct(items))]) }),
        prop::collection::vec(nstring(), 2).prop_map(move |parts| {
            let first = Text("name".into());
            say(vec![word("ID"), List([vec![first], parts, vec![Text("x".into())]].concat())])
        }),
        "[ -~]{0,12}".prop_map(|text| Glued(vec![exact("a1 "), word("NO [TRYCREATE]"), exact(&format!(" x{text}"))])),
    ]
}

/// What a client says.
fn command() -> impl Strategy<Value = Node> {
    let say = |nodes: Vec<Node>| Pair([vec![exact("Tag1")], nodes].concat());
    let set = prop::sample::select(vec!["1", "1:*", "2,4:6"]).prop_map(exact).boxed();
    let section = Glued(vec![word("BODY.PEEK[HEADER.FIELDS"), exact(" (Date From)]")]);
    let items = [word("FLAGS"), word("UID"), section];
    prop_oneof![
        (astring(), astring()).prop_map(move |(user, pass)| say(vec![word("LOGIN"), user, pass])),
        name().prop_map(move |name| say(vec![word("SELECT"), name])),
        (name(), name()).prop_map(move |(from, to)| say(vec![word("RENAME"), from, to])),
        name().prop_map(move |name| say(vec![word("STATUS"), name, Set(vec![word("MESSAGES"), word("UNSEEN")])])),
        (name(), "[ -~]{0,4}[%*a]?[ -~]{0,4}").prop_map(move |(reference, name)| say(vec![
            word("LIST"),
            reference,
            Pattern(name)
        ])),
        (set.clone(), 1usize..4)
            .prop_map(move |(set, count)| { say(vec![word("UID FETCH"), set, Set(items[3 - count..].to_vec())]) }),
        (set.clone(), flags()).prop_map(move |(set, flags)| say(vec![
            word("STORE"),
            set,
            word("+FLAGS.SILENT"),
            flags
        ])),
        (set.clone(), name()).prop_map(move |(set, name)| say(vec![word("UID COPY"), set, name])),
        (astring(), astring(), set).prop_map(move |(from, subject, set)| {
            let header = Pair(vec![word("HEADER"), Name("X-a".into(), true), subject]);
            let keyword = Pair(vec![word("NOT"), word("KEYWORD"), exact("Seen")]);
            say(vec![word("SEARCH"), word("OR"), pair("FROM", from), header, keyword, set, word("unseen")])
        }),
        Just(say(vec![word("ENABLE"), Row(vec![word("CONDSTORE"), word("UTF8"), word("X")])])),
        Just(say(vec![word("AUTHENTICATE"), exact("PLAIN AGEAYg==")])),
        "[ -~]{0,8}".prop_map(move |text| say(vec![word("ID"), List(vec![Text("name".into()), Text(text)])])),
        Just(say(vec![word("NOOP")])),
        Just(say(vec![exact("XYZZY \"a\" b")])),
    ]
}

/// The texts and literals that a framer finds: how many, the line end and the literal of the last.
fn framed(form: Form, from: Peer, bytes: &[u8]) -> (usize, usize, Option<Literal>) {
    let mut framer = Framer::default();
    framer.gather(gather(form, from));
    let (mut rest, mut found, mut literal, mut end) = (bytes, 0, None, 0);
    while !rest.is_empty() {
        let cut = framer.cut(&mut rest);
        let next = match cut {
            Cut::Text { whole, .. } => {
                end = whole.len() - body(whole).len();
                let reading =
                    if found == 0 { wire::read(form, from, whole) } else { wire::read_more(form, from, whole) };
                literal = reading.literal;
                found += 1;
                if literal.is_some() && matches!(reading.kind, Kind::Reply { .. }) {
                    // What ends a reply whose text is a literal has no status.
                    framer.gather(Gather::One);
                }
                literal.map(|literal| literal.len)
            }
            Cut::Data { .. } => None,
            other => panic!("{other:?} in {}", bytes.escape_ascii()),
        };
        if let Some(len) = next
            && !rest.is_empty()
            && len > 0
        {
            framer.expect(Expect::Octets(len));
        }
    }
    (found, end, literal)
}

fn terms(literal: Option<Literal>) -> Option<(u64, bool, bool)> {
    literal.map(|it| (it.len, it.synchronizing, it.binary))
}

/// A text means what it meant, and is cut as it was meant.
fn check(node: &Node, from: Peer, ways: &str) {
    let text = format!("{}\r\n", node.written());
    let plus = from == Peer::Client;
    let reads = |bytes: &[u8]| node.read(bytes, plus) == Some(b"\r\n");
    assert!(reads(text.as_bytes()), "the reader of this test is wrong: {text}");
    let sent = varied(ways, Form::Imap, from, text.as_bytes(), u32::MAX);
    assert!(reads(&sent), "{ways}: {text}{}", sent.escape_ascii());
    let (_, end, literal) = framed(Form::Imap, from, &sent);
    assert_eq!((end, literal), (2, None), "{ways}: {text}{}", sent.escape_ascii());
    // Once more, the meaning is still the same.
    if !sent[..sent.len() - 2].contains(&b'\n') {
        let again = varied(ways, Form::Imap, from, &sent, u32::MAX);
        assert!(reads(&again), "{ways} twice: {text}{}", again.escape_ascii());
        if ways == "case" || ways == "order" {
            assert_eq!(again, text.as_bytes(), "{ways} is its own inverse");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn responses_mean_what_they_meant(node in response(), ways in prop::sample::select(&WAYS[..])) {
        check(&node, Peer::Server, ways);
    }

    #[test]
    fn commands_mean_what_they_meant(node in command(), ways in prop::sample::select(&WAYS[..])) {
        check(&node, Peer::Client, ways);
    }

    /// What imap-proto reads it reads from the other spelling too, with the same values.
    #[test]
    fn a_strict_parser_gets_the_same_values(node in response(), ways in prop::sample::select(&WAYS[..4])) {
        let text = format!("{}\r\n", node.written());
        // It leaves the escapes of quoted strings in them.
        if text.contains("\\\"") || text.contains("\\\\") {
            return Ok(());
        }
        let Ok((rest, was)) = imap_proto::Response::parse(text.as_bytes()) else { return Ok(()) };
        prop_assume!(rest.is_empty());
        let sent = varied(ways, Form::Imap, Peer::Server, text.as_bytes(), 0);
        let parsed = imap_proto::Response::parse(&sent);
        let Ok((rest, is)) = &parsed else { panic!("{ways}: {text}{}: {parsed:?}", sent.escape_ascii()) };
        prop_assert!(rest.is_empty());
        if matches!(ways, "quoting" | "literal") {
            // It takes an encoding in a literal for one that it does not know, though any string may say it.
            let same = was == *is || format!("{was:?}") == format!("{is:?}").replace("Other(\"7BIT\")", "SevenBit");
            prop_assert!(same, "{}: {}{}", ways, text, sent.escape_ascii());
        } else {
            let [was, is] = [&was, is].map(|response| sorted(&format!("{response:?}").to_ascii_lowercase()));
            prop_assert_eq!(was, is, "{}: {}{}", ways, text, sent.escape_ascii());
        }
    }

    /// Whatever comes: letters change their case only, octets their order only, and the framing holds.
    #[test]
    fn no_text_breaks_framing(
        from in prop::sample::select(vec![Peer::Client, Peer::Server]),
        form in prop::sample::select(vec![Form::Imap, Form::Codes, Form::Pop3, Form::Managesieve]),
        start in prop::sample::select(vec![
            "* 1 FETCH (", "* LIST () \"/\" ", "a LOGIN ", "a LIST ", "a SEARCH ", "* ID (", "* NAMESPACE ", "MAIL FROM:<a> ",
            "250-x\r\n250 ", "+OK\r\n", "+OK\r\n\"", "\"x\"\r\n\"", "\"a\" \"b\"\r\nOK ", "NO \"x\"", "x\r\n\"a\"\r\nNO (X) ", "PUTSCRIPT ", "a FETCH 1 (", "* FLAGS (", "",
        ]),
        middle in "[ -~\\x01\u{e9}]{0,30}|[()\"\\\\{}NILa 1+]{0,20}",
        end in prop::sample::select(vec!["\r\n", "\n", " {5}\r\n", "{7+}\r\n", ")\r\n", "\r\n.\r\n"]),
    ) {
        let text = format!("{start}{middle}{end}").into_bytes();
        if !gather(form, from).holds(&text) {
            return Ok(());
        }
        let case = varied("case", form, from, &text, 0);
        prop_assert!(case.eq_ignore_ascii_case(&text));
        let order = varied("order", form, from, &text, 0);
        let [mut one, mut other] = [order, text.clone()];
        one.sort_unstable();
        other.sort_unstable();
        prop_assert_eq!(one, other);
        for ways in WAYS {
            let sent = varied(ways, form, from, &text, u32::MAX);
            let (was, is) = (framed(form, from, &text), framed(form, from, &sent));
            prop_assert_eq!((was.1, terms(was.2)), (is.1, terms(is.2)), "{}: {}", ways, sent.escape_ascii());
            let kinds = [&text, &sent].map(|text| kind(&wire::read(form, from, &text[..first(text, form, from)])));
            prop_assert_eq!(&kinds[0], &kinds[1], "{}: {}", ways, sent.escape_ascii());
        }
    }
}

/// The octets of a text's first part, to a literal or its end.
fn first(text: &[u8], form: Form, from: Peer) -> usize {
    let mut framer = Framer::default();
    framer.gather(gather(form, from));
    match framer.cut(&mut &*text) {
        Cut::Text { whole, .. } => whole.len(),
        _ => text.len(),
    }
}

/// The shape of a text. Where strings are literals, a reply of ManageSieve shows it in its last part only.
fn kind(reading: &Reading) -> &'static str {
    match reading.kind {
        Kind::Command { .. } => "command",
        Kind::Reply { .. } | Kind::Info { .. } => "response",
        Kind::GoAhead { .. } => "go ahead",
        _ => "other",
    }
}

/// The words of a value, sorted.
fn sorted(shown: &str) -> String {
    let mut words: Vec<&str> = shown.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.sort_unstable();
    words.join(" ")
}

/// The lines of a list of capabilities, sorted, with names in upper case: what is behind the code, up to the line end.
fn lines_of(form: Form, text: &[u8]) -> (String, Vec<String>) {
    let text = String::from_utf8_lossy(text).into_owned();
    let mut lines: Vec<&str> = text.split_terminator("\r\n").collect();
    if form == Form::Codes {
        for (nth, line) in lines.iter().enumerate() {
            assert_eq!(line.as_bytes()[3], if nth + 1 == lines.len() { b' ' } else { b'-' }, "{text}");
        }
        lines.iter_mut().for_each(|line| *line = &line[4..]);
    }
    let around = match form {
        Form::Codes => lines.remove(0).to_owned(),
        Form::Pop3 => format!("{} {}", lines.remove(0), lines.pop().unwrap_or_default()),
        _ => lines.pop().unwrap_or_default().to_ascii_uppercase(),
    };
    let fold = |line: &&str| {
        let end = line.find([' ', '=']).unwrap_or(line.len());
        format!("{}{}", line[..end].to_ascii_uppercase(), &line[end..])
    };
    let mut folded: Vec<String> = lines.iter().map(fold).collect();
    folded.sort();
    (around, folded)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lists_of_lines_offer_the_same(
        form in prop::sample::select(vec![Form::Codes, Form::Pop3, Form::Managesieve]),
        names in prop::collection::vec(
            prop::sample::select(vec!["SIZE 1000", "Help", "AUTH PLAIN Login", "AUTH=PLAIN", "x-a a=B c", "SASL X y", "TOP"]), 1..6),
        ways in prop::sample::select(&WAYS[..]),
    ) {
        let quoted = |line: &str| match line.split_once(' ') {
            Some((name, value)) => format!("\"{name}\" \"{value}\""),
            None => format!("\"{line}\""),
        };
        let mut lines: Vec<String> = names.iter().map(|&line| if form == Form::Managesieve { quoted(line) } else { line.into() }).collect();
        match form {
            Form::Codes => {
                lines.insert(0, "Mx.example".into());
                let last = lines.len() - 1;
                lines = lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' })).collect();
            }
            Form::Pop3 => {
                lines.insert(0, "+OK Here".into());
                lines.push(".".into());
            }
            _ => lines.push("Ok \"Hi\"".into()),
        }
        let text = lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
        let sent = varied(ways, form, Peer::Server, text.as_bytes(), 0);
        prop_assert_eq!(lines_of(form, text.as_bytes()), lines_of(form, &sent));
    }

    #[test]
    fn commands_of_smtp_mean_what_they_meant(
        verb in prop::sample::select(vec!["MAIL FROM:", "rcpt To:"]),
        path in prop::sample::select(vec!["<A@b>", "<>", "<\"a> b\"@C>", "<@x,@y:Z@w>"]),
        parameters in prop::collection::vec(prop::sample::select(vec!["SIZE=9", "BODY=8BITMIME", "smtputf8", "ORCPT=rfc822;A+20b"]), 0..4),
        ways in prop::sample::select(&WAYS[..]),
    ) {
        let folded = |text: &str| match text.split_once('=') {
            Some((name, value)) => Glued(vec![word(name), exact("="), exact(value)]),
            None => word(text),
        };
        let head = Glued(vec![word(verb), exact(path)]);
        let node = if parameters.is_empty() { head } else { Pair(vec![head, Row(parameters.iter().map(|it| folded(it)).collect())]) };
        let text = format!("{}\r\n", node.written());
        let sent = varied(ways, Form::Codes, Peer::Client, text.as_bytes(), 0);
        prop_assert_eq!(node.read(&sent, false), Some(&b"\r\n"[..]), "{}{}", text, sent.escape_ascii());
    }

    #[test]
    fn managesieve_means_what_it_meant(
        strings in prop::collection::vec("[ -~]{0,8}", 1..3),
        client in any::<bool>(),
        ways in prop::sample::select(&WAYS[..]),
    ) {
        let strings: Vec<Node> = strings.into_iter().map(Text).collect();
        let (node, from) = if client {
            (Pair([vec![word("RENAMESCRIPT")], strings].concat()), Peer::Client)
        } else {
            let scripts = strings.iter().map(|name| Glued(vec![name.clone(), exact("\r\n")]));
            let end = [word("OK"), exact(" "), strings[0].clone()];
            (Glued(scripts.chain(end).collect()), Peer::Server)
        };
        let text = format!("{}\r\n", node.written());
        let reading = Reading { list: None, ..wire::read(Form::Managesieve, from, text.as_bytes()) };
        let rules = Rules::compile(&[Source::rule(1, &format!("vary {ways}"))]).expect("a rule");
        // A listing of scripts, as the session knows.
        let again = |text: &[u8]| Some(Reading { list: None, ..wire::read(Form::Managesieve, from, text) });
        let scene = Scene {
            state: State::Authenticated,
            ..Scene::bare(from, text.as_bytes(), Form::Managesieve, &reading, &again)
        };
        let sent = rules.edit(&scene, &mut rules.begin(1)).and_then(|edit| edit.bytes).unwrap_or_else(|| text.clone().into_bytes());
        prop_assert_eq!(node.read(&sent, client), Some(&b"\r\n"[..]), "{}: {}{}", ways, text, sent.escape_ascii());
    }
}
