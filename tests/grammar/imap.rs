//! The descriptions that come with the program: complete and consistent; and a wrong description is refused with the
//! place of each mistake and what would be right.

use std::io::Write as _;

use imapscope::event::{Form, Peer, State, Status};
use imapscope::grammar::{
    BUILTIN, Decode, Grammar, Lists, Named, Secret, Standing, Table, Then, mechanism, mechanisms,
};
use imapscope::problem::Problem;
use imapscope::verb;

/// A description; a problem in it fails the test, with all problems.
fn loaded(origin: &str, text: &str) -> Grammar {
    Grammar::load(origin, text).unwrap_or_else(|wrong| panic!("{}", all(&wrong)))
}

/// Problems as the user sees them.
fn all(wrong: &[Problem]) -> String {
    wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The problems of a description that must have some.
fn refused(text: &str) -> Vec<Problem> {
    Grammar::load("mine.toml", text).expect_err("this description is wrong")
}

/// The description of IMAP.
fn imap() -> Grammar {
    loaded("imap.toml", include_str!("../../grammars/imap.toml"))
}

/// What a verb writes, and its exit code.
fn told(run: impl FnOnce(&mut dyn std::io::Write) -> Result<u8, Problem>) -> (u8, String) {
    let mut out = Vec::new();
    let code = run(&mut out).expect("no problem");
    (code, String::from_utf8(out).expect("UTF-8"))
}

/// What `explain` says of a word, and its exit code.
fn explained(word: &str) -> (u8, String) {
    told(|out| verb::explain::explain(word, out))
}

#[test]
fn every_description_that_comes_with_the_program_loads() {
    for (name, text) in BUILTIN {
        assert_eq!(loaded(name, text).name, name);
        assert!(Grammar::builtin(&name.to_uppercase()).is_some());
    }
    assert!(Grammar::builtin("wombat").is_none());
    assert!(mechanisms().len() > 40);
}

/// The names in tests/data/names.txt, each with the kind that it is of.
fn names() -> Vec<(&'static str, &'static str)> {
    let mut kind = "";
    let mut names = Vec::new();
    for line in include_str!("../data/names.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(title) if !line.contains('<') => kind = title,
            _ => names.push((kind, line)),
        }
    }
    names
}

#[test]
fn every_name_is_known_and_not_only_by_the_pattern_for_private_names() {
    let g = imap();
    let mut missing = Vec::new();
    for (kind, name) in names() {
        let found = match kind {
            "command" => g.command(name).map(Named::name),
            "capability" => g.capability(name).map(Named::name),
            "response" => g.response(name).map(Named::name),
            "code" => g.code(name).map(Named::name),
            "mechanism" => mechanism(name).map(Named::name),
            kind => g.vocabulary(kind).and_then(|words| words.get(name.as_bytes())).map(Named::name),
        };
        if found.is_none_or(|found| found == "X*") {
            missing.push((kind, name));
        }
    }
    assert!(names().len() > 500, "the list of names has been cut: {}", names().len());
    assert_eq!(missing, []);
}

/// Fails unless each entry says what it means, in one line that fits a log, and where that is defined.
fn assert_told<'a, T: Named + 'a>(table: &'a Table<T>, about: impl Fn(&T) -> (&str, &str)) {
    for entry in table {
        let (does, rfc) = about(entry);
        assert!(does.ends_with('.') && does.len() > 6, "{}: {does:?} is no sentence", entry.name());
        assert!(does.chars().count() <= 110, "{}: {does:?} is too long for a line", entry.name());
        assert!(!rfc.is_empty(), "{} is defined nowhere", entry.name());
    }
}

#[test]
fn every_entry_has_a_meaning_and_a_place_of_definition() {
    let g = imap();
    assert_told(&g.commands, |c| (&c.does, &c.rfc));
    assert_told(&g.capabilities, |c| (&c.does, &c.rfc));
    assert_told(&g.responses, |r| (&r.does, &r.rfc));
    assert_told(&g.codes, |c| (&c.does, &c.rfc));
    assert_told(mechanisms(), |m| (&m.does, &m.rfc));
    for vocabulary in &g.vocabularies {
        assert_told(&vocabulary.words, |w| (&w.does, &w.rfc));
    }
}

#[test]
fn look_ups_know_any_case_and_patterns() {
    let g = imap();
    assert_eq!(g.command(b"select").map(Named::name), Some("SELECT"));
    assert_eq!(g.capability("imap4REV1").map(Named::name), Some("IMAP4rev1"));
    assert_eq!(g.capability("auth=plain").map(Named::name), Some("AUTH=*"));
    assert_eq!(g.capability("APPENDLIMIT").map(Named::name), Some("APPENDLIMIT"));
    assert_eq!(g.capability("APPENDLIMIT=35651584").map(Named::name), Some("APPENDLIMIT=*"));
    assert_eq!(g.capability("THREAD=REFS").map(Named::name), Some("THREAD=REFS"));
    assert_eq!(g.capability("THREAD=REFERENCES").map(Named::name), Some("THREAD=*"));
    assert_eq!(g.capability("XNEW").map(Named::name), Some("X*"));
    assert!(g.capability("WOMBAT").is_none());
    assert!(g.command("").is_none());
    assert!(g.code("wombat").is_none());
    assert!(g.command(vec![0xff; 100_000]).is_none());
    assert_eq!(g.vocabulary("fetch item").and_then(|w| w.get(b"body[header]")).map(Named::name), Some("BODY[*"));
}

#[test]
fn the_uid_forms_are_commands_with_a_meaning_of_their_own() {
    let g = imap();
    let (plain, form) = (g.command("FETCH").expect("FETCH"), g.command("uid fetch").expect("UID FETCH"));
    assert_eq!(form.form_of.as_deref(), Some("FETCH"));
    assert_eq!(form.states, plain.states);
    assert_ne!(form.does, plain.does);
    let expunge = g.command("UID EXPUNGE").expect("UID EXPUNGE");
    assert_eq!(expunge.needs, ["UIDPLUS"]);
    assert_eq!(expunge.form_of.as_deref(), Some("EXPUNGE"));
}

#[test]
fn what_the_session_must_know_of_commands_is_marked() {
    let g = imap();
    let command = |name: &str| g.command(name).unwrap_or_else(|| panic!("{name}"));
    let then: Vec<(&str, Then)> = g.commands.iter().filter_map(|c| Some((c.name(), c.then?))).collect();
    assert_eq!(
        then,
        [
            ("AUTHENTICATE", Then::Sasl),
            ("COMPRESS", Then::Deflate),
            ("IDLE", Then::Idle),
            ("STARTTLS", Then::Tls),
            ("UNAUTHENTICATE", Then::Reset)
        ]
    );
    let secret: Vec<(&str, Secret)> = g.commands.iter().filter_map(|c| Some((c.name(), c.secret?))).collect();
    assert_eq!(
        secret,
        [
            ("AUTHENTICATE", Secret::AfterFirst),
            ("BACKENDAUTHENTICATE", Secret::All),
            ("LOGIN", Secret::AfterName),
            ("URLFETCH", Secret::All),
            ("XAPPLEPUSHSERVICE", Secret::All)
        ]
    );
    let states = [
        ("LOGIN", Some(State::Authenticated), None),
        ("AUTHENTICATE", Some(State::Authenticated), None),
        ("SELECT", Some(State::Selected), Some(State::Authenticated)),
        ("EXAMINE", Some(State::Selected), Some(State::Authenticated)),
        ("CLOSE", Some(State::Authenticated), None),
        ("UNSELECT", Some(State::Authenticated), None),
        ("LOGOUT", Some(State::Logout), None),
        ("UNAUTHENTICATE", Some(State::NotAuthenticated), None),
        ("NOOP", None, None),
    ];
    for (name, ok, no) in states {
        assert_eq!((command(name).on_ok, command(name).on_no), (ok, no), "{name}");
    }
    assert_eq!(command("STARTTLS").states, [State::NotAuthenticated]);
    assert_eq!(command("ENABLE").lists, Some(Lists::Enabled));
    assert_eq!(g.response("capability").and_then(|r| r.lists), Some(Lists::Capabilities));
    assert_eq!(g.response("ENABLED").and_then(|r| r.lists), Some(Lists::Enabled));
    assert_eq!(g.code("CAPABILITY").and_then(|c| c.lists), Some(Lists::Capabilities));
    assert_eq!(g.response("exists").map(|r| r.numbered), Some(true));
}

#[test]
fn a_capability_covers_what_it_implies_and_what_its_pattern_covers() {
    let g = imap();
    assert!(g.covers("IMAP4rev2", "IDLE"));
    assert!(g.covers("imap4rev2", "CHILDREN"));
    assert!(g.covers("LIST-STATUS", "CHILDREN"), "over two steps");
    assert!(g.covers("auth=plain", "AUTH=*"));
    assert!(g.covers("THREAD=REFS", "THREAD=*"));
    assert!(!g.covers("IMAP4rev1", "IDLE"));
    assert!(!g.covers("IDLE", "IMAP4rev2"));
    assert!(!g.covers("é", "AUTH=*"));
}

#[test]
fn mechanisms_say_who_speaks_and_what_is_secret() {
    let scram = mechanism("scram-sha-256").expect("SCRAM-SHA-256");
    assert_eq!(scram.decode, Decode::Scram);
    assert!(scram.client_first);
    assert_eq!(scram.messages.first().map(|m| m.from), Some(Peer::Client));
    assert_eq!(mechanism("SCRAM-SHA-999").map(Named::name), Some("SCRAM-*"));
    assert!(mechanism("WOMBAT").is_none());
    let layered: Vec<&str> = mechanisms().iter().filter(|m| m.layer).map(Named::name).collect();
    assert_eq!(layered, ["DIGEST-MD5", "GSS-SPNEGO", "GSSAPI", "KERBEROS_V4"]);
    for m in mechanisms() {
        let whole = m.secret.iter().any(|field| field == "*");
        assert_eq!(whole, m.decode == Decode::Opaque, "{}: what cannot be taken apart is hidden whole", m.name);
        let harmless = matches!(m.decode, Decode::External | Decode::Anonymous);
        assert_eq!(m.secret.is_empty(), harmless, "{} hides nothing", m.name);
    }
}

#[test]
fn suggestions_are_close_or_none() {
    let g = imap();
    assert_eq!(g.suggest_capability("IDEL").as_deref(), Some("IDLE"));
    assert_eq!(g.suggest_capability("COMPRESS=DEFALTE").as_deref(), Some("COMPRESS=DEFLATE"));
    assert_eq!(g.suggest("QRESINC").as_deref(), Some("QRESYNC"));
    assert_eq!(g.suggest("OVERQOTA").as_deref(), Some("OVERQUOTA"));
    assert_eq!(g.suggest("\\Sen").as_deref(), Some("\\Seen"));
    assert_eq!(g.suggest("COMPLETELYELSE"), None);
}

#[test]
fn an_unknown_key_is_refused_with_place_and_remedy() {
    let wrong = refused("name = \"p\"\ntitle = \"P\"\nport = 1\n\n[command.GO]\ndose = \"Goes.\"\nrfc = \"RFC 1\"\n");
    assert_eq!(wrong.len(), 1, "{}", all(&wrong));
    assert_eq!(wrong[0].origin, "mine.toml:6:1");
    assert!(wrong[0].what.starts_with("unknown key `dose`"), "{}", wrong[0]);
    assert!(wrong[0].what.contains("6 | dose = \"Goes.\"\n    | ^^^^"), "{}", wrong[0]);
    assert!(wrong[0].help.contains("did you mean `does`?"), "{}", wrong[0]);
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_places() {
    let text = "name = \"p\"\ncolour = 1\ntitle = \"P\"\nport = 70000\n\
                [command.GO]\ndoes = \"Goes.\"\nrfc = \"somewhere\"\nstates = [\"selectd\"]\nneeds = [\"FLY\"]\n\
                [command.STOP]\nrfc = \"RFC 1\"\n\
                [command.WAIT]\ndoes = \"Waits.\"\nrfc = \"RFC 1\"\nthen = \"idel\"\n\
                [capability.RUN]\ndoes = \"\"\nrfc = \"RFC 1\"\nenables = [\"GOO\"]\nenable = \"yes\"\n";
    let wrong = refused(text);
    let places: Vec<(&str, &str)> =
        wrong.iter().map(|p| (p.origin.as_str(), p.what.lines().next().unwrap_or_default())).collect();
    assert_eq!(
        places,
        [
            ("mine.toml:2:1", "unknown key `colour`"),
            ("mine.toml:4:8", "`port` must be a number from 1 to 65535"),
            ("mine.toml:7:7", "this does not say where it is defined"),
            ("mine.toml:8:11", "unknown state `selectd`"),
            ("mine.toml:9:10", "unknown capability `FLY`"),
            ("mine.toml:10:10", "missing key `does`"),
            ("mine.toml:15:8", "unknown word `idel`"),
            ("mine.toml:20:10", "invalid type: string \"yes\", expected a boolean"),
        ],
        "{}",
        all(&wrong)
    );
}

#[test]
fn how_tls_begins_is_told_whole_and_names_what_is_there() {
    let head = "name = \"p\"\ntitle = \"P\"\nport = 1\nform = \"codes\"\n[command.GO]\ndoes = \"Goes.\"\nrfc = \"RFC 1\"\n\
                [command.AUTH]\ndoes = \"Asks.\"\nrfc = \"RFC 1\"\nthen = \"tls\"\n[starttls]\n";
    for (text, origin, what) in [
        ("says = [\"AUTH TLS\"]\n", "mine.toml:12:1", "missing key `consents`"),
        ("says = []\nconsents = \"234 go\"\n", "mine.toml:13:8", "`says` has no command"),
        ("says = [\"GO\"]\nconsents = \"234 go\"\n", "mine.toml:13:9", "`GO` is not known to ask for TLS"),
        ("says = [\"A\\r\\nB\"]\nconsents = \"234 go\"\n", "mine.toml:13:9", "this must be one line, and not empty"),
        (
            "capability = \"X\"\nsays = [\"AUTH TLS\"]\nconsents = \"234\"\n",
            "mine.toml:13:14",
            "unknown capability `X`",
        ),
        ("say = 1\n", "mine.toml:13:1", "unknown key `say`"),
    ] {
        let wrong = refused(&format!("{head}{text}"));
        assert_eq!(wrong[0].origin, origin, "{}", all(&wrong));
        assert!(wrong[0].what.starts_with(what), "{}", all(&wrong));
    }
    let described =
        loaded("mine.toml", &format!("{head}says = [\"GO\", \"auth TLS\"]\nconsents = \"234 go\"\n")).starttls;
    assert!(described.is_some_and(|how| how.capability.is_none() && how.says.len() == 2 && !how.lists));
    for name in ["imap", "smtp", "lmtp", "pop3", "managesieve", "nntp"] {
        let grammar = Grammar::builtin(name).expect(name);
        assert!(grammar.starttls.as_ref().is_some_and(|how| how.capability.is_some()), "{name}");
    }
    assert!(
        Grammar::builtin("lmtp")
            .is_some_and(|lmtp| lmtp.starttls.as_ref().is_some_and(|how| how.says[0].starts_with("LHLO")))
    );
}

#[test]
fn what_is_no_toml_is_refused_with_its_place() {
    let wrong = refused("name = \"p\"\ntitle = P\n");
    assert_eq!(wrong[0].origin, "mine.toml:2:9", "{}", all(&wrong));
    let wrong = refused("");
    assert!(wrong.iter().any(|p| p.what.contains("missing key `name`")), "{}", all(&wrong));
    assert_eq!(wrong[0].origin, "mine.toml:1:1");
}

#[test]
fn one_name_in_two_spellings_is_refused() {
    let entry = "does = \"Goes.\"\nrfc = \"RFC 1\"\n";
    let wrong = refused(&format!("name = \"p\"\ntitle = \"P\"\nport = 1\n[command.GO]\n{entry}[command.go]\n{entry}"));
    assert_eq!((wrong[0].origin.as_str(), wrong.len()), ("mine.toml:7:10", 1), "{}", all(&wrong));
}

#[test]
fn extending_changes_the_keys_that_are_given_and_no_others() {
    let text = "extends = \"imap\"\n[command.login]\ndoes = \"Logs in at our server.\"\n\
                [capability.XOURS]\ndoes = \"Ours.\"\nrfc = \"vendor: us\"\nstatus = \"vendor\"\n";
    let g = loaded("mine.toml", text);
    assert_eq!((g.name.as_str(), g.port), ("imap", 143));
    let login = g.command("LOGIN").expect("LOGIN");
    assert_eq!(login.does, "Logs in at our server.");
    assert_eq!(login.secret, Some(Secret::AfterName), "an override must not uncover the password");
    assert_eq!(g.capability("XOURS").map(|c| c.status), Some(Standing::Vendor));
    assert_eq!(g.commands.len(), imap().commands.len());
    let wrong = refused("extends = \"imep\"\n");
    assert_eq!(wrong[0].origin, "mine.toml:1:11");
    assert!(wrong[0].help.contains("did you mean `imap`?"), "{}", wrong[0]);
}

#[test]
fn the_form_of_the_lines_decides_which_states_there_are() {
    let text = |form: &str, state: &str| {
        format!(
            "name = \"x\"\ntitle = \"X\"\nport = 1\nform = {form}\n[command.A]\ndoes = \"a\"\nrfc = \"vendor: x\"\n\
             states = [\"{state}\"]\n"
        )
    };
    let form = |name: &str, state: &str| loaded("mine.toml", &text(name, state)).form;
    assert_eq!(form("\"codes\"", "mail"), Form::Codes);
    assert_eq!(form("\"pop3\"", "transaction"), Form::Pop3);
    assert_eq!(form("\"imap\"", "selected"), Form::Imap);
    let wrong = refused(&text("\"imap\"", "mail"));
    assert_eq!((wrong.len(), wrong[0].origin.as_str()), (1, "mine.toml:8:11"));
    assert!(wrong[0].help.contains("selected") && !wrong[0].help.contains("transaction"), "{}", wrong[0]);
    let wrong = refused(&text("\"smpt\"", "open"));
    assert!(wrong[0].what.contains("smpt") && wrong[0].help.contains("managesieve"), "{}", wrong[0]);
    assert!(refused(&text("7", "open"))[0].what.contains("in quotes"));
    assert_eq!(imap().form, Form::Imap);
}

#[test]
fn what_follows_in_other_protocols_is_read() {
    let g = loaded(
        "mine.toml",
        "name = \"x\"\ntitle = \"X\"\nport = 1\n[command.A]\ndoes = \"a\"\nrfc = \"vendor: x\"\nthen = \"client-dot\"\n\
         [response.OK]\ndoes = \"b\"\nrfc = \"vendor: x\"\nanswers = \"ok\"\nthen = \"server-dot\"\n",
    );
    assert_eq!((g.form, g.command("a").and_then(|it| it.then)), (Form::Line, Some(Then::ClientDot)));
    let ok = g.response("ok").map(|it| (it.answers, it.then));
    assert_eq!(ok, Some((Some(Status::Ok), Some(Then::ServerDot))));
}

#[test]
fn the_examples_of_the_manual_are_right() {
    let manual = include_str!("../../grammars/README.md");
    let examples: Vec<&str> =
        manual.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default()).collect();
    assert_eq!(examples.len(), 4);
    let g = loaded("README.md", examples[0]);
    assert_eq!(g.command("UID XNOTE").and_then(|c| c.secret), Some(Secret::AfterFirst));
    assert_eq!(
        g.command("SELECT").map(|c| (c.does.as_str(), c.on_ok)),
        Some(("Opens a mailbox.", Some(State::Selected)))
    );
    assert!(loaded("README.md", examples[3]).vocabulary("fetch item").and_then(|w| w.exact(b"X-NOTE")).is_some());
    let wrong = refused(&examples[0].replace("[\"selected\"]", "[\"selectd\"]"));
    for line in all(&wrong).replace("mine.toml", "notes.toml").lines() {
        assert!(manual.contains(line), "the manual shows another message than {line:?}");
    }
}

#[test]
fn explain_tells_all_kinds_that_a_word_is_of() {
    let (code, text) = explained("idle");
    assert_eq!(code, 0);
    assert!(text.contains("IDLE  command of IMAP") && text.contains("IDLE  capability of IMAP"), "{text}");
    assert!(text.contains("IMAP4rev2"), "what implies it: {text}");
    let (code, text) = explained("QRESYNC");
    assert_eq!(code, 0);
    assert!(text.contains("ENABLE") && text.contains("CONDSTORE") && text.contains("VANISHED"), "{text}");
    let (code, text) = explained("AUTH=PLAIN");
    assert_eq!(code, 0);
    assert!(text.contains("by the pattern AUTH=*") && text.contains("PLAIN  SASL mechanism"), "{text}");
    for word in ["SELECT", "[OVERQUOTA]", "scram-sha-256", "\\seen", "BODY.PEEK[HEADER]", "uid  fetch", "+", "EXISTS"] {
        assert_eq!(explained(word).0, 0, "{word}: {}", explained(word).1);
    }
}

#[test]
fn explain_does_not_know_everything_and_says_what_may_be_meant() {
    let (code, text) = explained("OVERQOTA");
    assert_eq!(code, 1);
    assert_eq!(text, "`OVERQOTA` is not known.\nDid you mean `OVERQUOTA`?\n");
    let (code, text) = explained("XLSIT");
    assert_eq!(code, 1);
    assert!(text.contains("by the pattern X*") && text.ends_with("Did you mean `XLIST`?\n"), "{text}");
    let (code, text) = explained("auth=PLIAN");
    assert_eq!(code, 1);
    assert!(text.ends_with("is no SASL mechanism that is known. Did you mean `AUTH=PLAIN`?\n"), "{text}");
    let (code, text) = explained("\u{1b}[2Jwombatwombat");
    assert_eq!(code, 1);
    assert!(!text.contains('\u{1b}'), "{text:?}");
    assert!(verb::explain::explain("  ", &mut Vec::new()).is_err());
}

#[test]
fn explain_knows_every_name_of_every_kind() {
    for (_, name) in names() {
        assert_eq!(explained(name).0, 0, "{name}: {}", explained(name).1);
    }
}

#[test]
fn grammar_lists_and_shows_what_there_is() {
    let (code, text) = told(|out| verb::grammar::list(out));
    assert_eq!(code, 0);
    assert!(text.contains("imap ") && text.contains("port 143") && text.contains("sasl "), "{text}");
    let (code, text) = told(|out| verb::grammar::show("IMAP", out));
    assert_eq!(code, 0);
    let g = imap();
    for name in g.names() {
        assert!(text.contains(&format!("\n  {name} ")), "{name} is not shown");
    }
    assert!(told(|out| verb::grammar::show("sasl", out)).1.contains("SCRAM-SHA-256"));
    let wrong = verb::grammar::show("wombat", &mut Vec::new()).expect_err("no such description");
    assert!(wrong.help.contains("imap, ") && wrong.help.ends_with("sasl"), "{wrong}");
}

#[test]
fn grammar_check_tells_fine_from_wrong() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"extends = \"imap\"\n").expect("written");
    let (code, text) = told(|out| verb::grammar::check(file.path(), out));
    assert_eq!(code, 0, "{text}");
    file.write_all(b"[code.NEW]\nrfc = 5\n[command.NEW]\ndoes = \"New.\"\n").expect("written");
    let (code, text) = told(|out| verb::grammar::check(file.path(), out));
    assert_eq!(code, 1);
    assert!(text.contains(":3:7: ") && text.contains(":4:10: missing key `rfc`"), "{text}");
    assert!(text.ends_with("2 problems\n"), "{text}");
    file.write_all(b"note = \"\xff\"\n").expect("written");
    let (code, text) = told(|out| verb::grammar::check(file.path(), out));
    assert_eq!(code, 1);
    assert!(text.contains(":6:9: this is not UTF-8"), "{text}");
    assert!(verb::grammar::check("no/such/file.toml".as_ref(), &mut Vec::new()).is_err());
}
