//! The descriptions of NNTP and of IRC: every entry with its meaning and its place of definition, and with the marks that
//! a session must know; and the manual's examples of new protocols load, and are what the tests use.

use imapscope::event::{Form, State, Status};
use imapscope::grammar::{Command, Grammar, Lists, Named, Response, Secret, Then};

use crate::description::{assert_all_told, grammar, marked};

/// Those commands that a client of each protocol may send, by the standards that it is made of.
const COMMANDS: [(&str, &str); 2] = [
    (
        "nntp",
        "ARTICLE AUTHINFO BODY CAPABILITIES CHECK COMPRESS DATE GROUP HDR HEAD HELP IHAVE LAST LIST LISTGROUP MODE NEWGROUPS \
         NEWNEWS NEXT OVER POST QUIT STARTTLS STAT TAKETHIS XFEATURE XHDR XOVER XPAT",
    ),
    (
        "irc",
        "ADMIN AUTHENTICATE AWAY CAP CONNECT DIE ERROR INFO INVITE ISON JOIN KICK KILL LINKS LIST LUSERS MODE MOTD NAMES NICK \
         NOTICE OPER PART PASS PING PONG PRIVMSG QUIT REHASH RESTART SERVICE SERVLIST SQUERY SQUIT STATS SUMMON TAGMSG TIME \
         TOPIC TRACE USER USERHOST USERS VERSION WALLOPS WHO WHOIS WHOWAS",
    ),
];

/// The examples of the manual that are whole descriptions of their own.
fn examples() -> Vec<&'static str> {
    let manual = include_str!("../../grammars/README.md");
    let blocks = manual.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.filter(|block| block.starts_with("name = ")).collect()
}

/// A description; a problem in it fails the test, with all problems.
fn loaded(text: &str) -> Grammar {
    Grammar::load("README.md", text)
        .unwrap_or_else(|wrong| panic!("{}", wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))
}

#[test]
fn every_entry_has_a_meaning_and_a_place_of_definition() {
    for (name, commands) in COMMANDS {
        let g = grammar(name);
        assert_all_told(&g);
        let missing: Vec<&str> =
            commands.split(' ').filter(|verb| g.commands.exact(verb.as_bytes()).is_none()).collect();
        assert!(missing.is_empty(), "{name} lacks {missing:?}");
        let named = g.commands.iter().flat_map(|c| c.states.iter().chain(&c.on_ok).chain(&c.on_no));
        assert!(
            named.into_iter().all(|state| matches!(state, State::Open | State::Logout)),
            "{name} has a foreign state"
        );
    }
}

#[test]
fn nntp_says_which_replies_have_lines_to_a_dot_behind_them() {
    let g = grammar("nntp");
    assert_eq!((g.form, g.port), (Form::Codes, 119));
    let dots = ["100", "101", "215", "220", "221", "222", "224", "225", "230", "231", "282"];
    assert_eq!(marked(&g.responses, |r: &Response| r.then), dots.map(|code| (code, Then::ServerDot)));
    assert_eq!(
        marked(&g.commands, |c: &Command| c.then),
        [
            ("CAPABILITIES", Then::ServerDot),
            ("COMPRESS", Then::Deflate),
            ("IHAVE", Then::ClientDot),
            ("LISTGROUP", Then::ServerDot),
            ("POST", Then::ClientDot),
            ("STARTTLS", Then::Tls),
            ("TAKETHIS", Then::ClientDotNow)
        ]
    );
    assert_eq!(marked(&g.commands, |c| c.secret), [("AUTHINFO", Secret::AfterFirst)]);
    assert_eq!(marked(&g.commands, |c| c.lists), [("CAPABILITIES", Lists::Capabilities)]);
    assert_eq!(marked(&g.commands, |c| c.on_ok), [("QUIT", State::Logout)]);
    let answers = [
        ("100", Status::Ok),
        ("101", Status::Ok),
        ("111", Status::Ok),
        ("382", Status::Ok),
        ("400", Status::Bye),
        ("421", Status::No),
    ];
    assert_eq!(marked(&g.responses, |r| r.answers), answers);
    assert!(g.responses.iter().all(|r| r.name.len() == 3 && r.name.bytes().all(|b| b.is_ascii_digit())));
    for name in [
        "VERSION",
        "READER",
        "IHAVE",
        "POST",
        "NEWNEWS",
        "HDR",
        "OVER",
        "LIST",
        "IMPLEMENTATION",
        "MODE-READER",
        "AUTHINFO",
        "SASL",
        "AUTH=*",
        "STARTTLS",
        "STREAMING",
        "COMPRESS",
    ] {
        assert!(g.capabilities.exact(name.as_bytes()).is_some(), "{name}");
    }
}

#[test]
fn irc_says_what_is_secret() {
    let g = grammar("irc");
    assert_eq!((g.form, g.port), (Form::Line, 6667));
    assert_eq!(
        marked(&g.commands, |c: &Command| c.secret),
        [
            ("@*", Secret::All),
            ("AUTHENTICATE", Secret::All),
            ("JOIN", Secret::Rest),
            ("NICKSERV", Secret::All),
            ("NOTICE", Secret::ToServices),
            ("NS", Secret::All),
            ("OPER", Secret::AfterName),
            ("PASS", Secret::All),
            ("PRIVMSG", Secret::ToServices),
            ("REGISTER", Secret::AfterName),
            ("SQUERY", Secret::Rest),
            ("VERIFY", Secret::AfterFirst),
            ("WEBIRC", Secret::All)
        ]
    );
    assert_eq!(marked(&g.commands, |c| c.then), []);
    assert_eq!(marked(&g.responses, |r| r.then), []);
    assert_eq!(marked(&g.responses, |r| r.answers), []);
    assert_eq!(g.command("@label=1").map(Named::name), Some("@*"));
    let wanted = "PRIVMSG NOTICE JOIN PART PING ERROR MODE QUIT NICK KICK TOPIC CAP AUTHENTICATE 001 002 003 004 005 311 332 \
                  353 366 372 375 376 401 421 433 451 461 464 900 901 902 903 904 905 906 907 908";
    for name in wanted.split(' ') {
        assert!(g.responses.exact(name.as_bytes()).is_some(), "{name}");
    }
    let [said, heard] = [g.command("PRIVMSG").map(|c| &c.note), g.response("PRIVMSG").map(|r| &r.note)];
    assert!(said.is_some_and(|note| note.contains("NickServ") && note.contains("is hidden")), "{said:?}");
    assert!(heard.is_some_and(|note| note.contains("NickServ") && note.contains("not looked into")), "{heard:?}");
}

#[test]
fn a_new_protocol_is_a_file() {
    let text = include_str!("../data/ftp.toml");
    assert_eq!(examples().first().copied(), Some(text), "the manual shows another file than tests/data/ftp.toml");
    let g = loaded(text);
    assert_all_told(&g);
    assert_eq!((g.name.as_str(), g.port, g.form), ("ftp", 21, Form::Codes));
    assert_eq!(marked(&g.commands, |c| c.secret), [("ACCT", Secret::All), ("PASS", Secret::All)]);
    assert_eq!(marked(&g.commands, |c| c.then), [("AUTH", Then::Tls)]);
    assert_eq!(marked(&g.commands, |c| c.on_ok), [("QUIT", State::Logout)]);
    for code in ["220", "230", "331", "530"] {
        assert!(g.response(code).is_some(), "{code}");
    }
    assert!(Grammar::builtin("ftp").is_none(), "it would be no new protocol");
}

#[test]
fn responses_of_a_line_protocol_say_what_they_answer() {
    assert_eq!(examples().len(), 2);
    let g = loaded(examples()[1]);
    assert_all_told(&g);
    assert_eq!(g.form, Form::Line);
    assert_eq!(marked(&g.responses, |r| r.answers), [("+OK", Status::Ok), ("-ERR", Status::No)]);
    assert_eq!(marked(&g.commands, |c| c.secret), [("AUTH", Secret::All)]);
}

#[test]
fn the_manual_has_every_word_that_the_schema_has() {
    let manual = include_str!("../../grammars/README.md");
    let rows = |word: &str| manual.lines().filter(|line| line.starts_with(&format!("| `{word}` |"))).count();
    let forms = Form::ALL.map(Form::word);
    let then = ["client-dot", "client-octets", "server-dot", "server-lines"];
    let states = ["connected", "ready", "mail", "rcpt", "authorization", "transaction", "update", "open", "logout"];
    for word in forms.iter().chain(&then).chain(&states).chain(&["answers"]) {
        assert_eq!(rows(word), 1, "{word}");
    }
    assert_eq!(rows("then"), 2, "for commands and for responses");
}
