//! The descriptions of SMTP and LMTP: complete and consistent, and marked where the session must know more of a command
//! than its meaning.

use std::collections::HashSet;

use imapscope::event::{Form, State};
use imapscope::grammar::{Grammar, Lists, Named, Secret, Then};

use crate::description::{assert_all_told, grammar, names};

/// The names that must be known, each under its kind.
const NAMES: &str = include_str!("../data/names-smtp.txt");

/// True if the description has an entry of exactly this name, not a pattern that merely fits.
fn knows(g: &Grammar, kind: &str, name: &str) -> bool {
    let name = name.as_bytes();
    match kind {
        "command" => g.commands.exact(name).is_some(),
        "capability" => g.capabilities.exact(name).is_some(),
        "response" => g.responses.exact(name).is_some(),
        "code" => g.codes.exact(name).is_some(),
        kind => g.vocabulary(kind).is_some_and(|words| words.exact(name).is_some()),
    }
}

#[test]
fn every_name_is_known_by_an_entry_of_its_own() {
    let (smtp, lmtp) = (grammar("smtp"), grammar("lmtp"));
    let mut missing = Vec::new();
    let mut kinds = HashSet::new();
    for (kind, name) in names(NAMES) {
        kinds.insert(kind);
        let own = kind.strip_prefix("lmtp ");
        if !knows(&lmtp, own.unwrap_or(kind), name) || (own.is_none() && !knows(&smtp, kind, name)) {
            missing.push((kind, name));
        }
    }
    assert_eq!(missing, []);
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    let count = |kind: &str| names(NAMES).iter().filter(|(of, _)| *of == kind).count();
    assert_eq!((count("command"), count("capability")), (44, 73), "the list of names has been cut");
    assert_eq!((count("response"), count("code")), (46, 81), "the list of names has been cut");
}

#[test]
fn every_entry_has_a_meaning_and_a_place_of_definition() {
    for name in ["smtp", "lmtp"] {
        assert_all_told(&grammar(name));
    }
}

#[test]
fn what_the_session_must_know_of_commands_is_marked() {
    let g = grammar("smtp");
    let then: Vec<(&str, Then)> = g.commands.iter().filter_map(|c| Some((c.name(), c.then?))).collect();
    assert_eq!(
        then,
        [
            ("AUTH", Then::Sasl),
            ("BDAT", Then::ClientOctets),
            ("BURL", Then::ClientOctets),
            ("DATA", Then::ClientDot),
            ("STARTTLS", Then::Tls),
            ("X-ANONYMOUSTLS", Then::Tls),
            ("X-EXPS", Then::Sasl)
        ]
    );
    let secret: Vec<(&str, Secret)> = g.commands.iter().filter_map(|c| Some((c.name(), c.secret?))).collect();
    assert_eq!(
        secret,
        [
            ("AUTH", Secret::AfterFirst),
            ("BURL", Secret::All),
            ("CLIENTID", Secret::All),
            ("X-EXPS", Secret::AfterFirst),
            ("XPROXY", Secret::All),
            ("XPROXYFROM", Secret::All)
        ]
    );
    let states = [
        ("EHLO", &[][..], Some(State::Ready)),
        ("HELO", &[], Some(State::Ready)),
        ("MAIL", &[State::Ready], Some(State::Mail)),
        ("RCPT", &[State::Mail, State::Rcpt], Some(State::Rcpt)),
        ("DATA", &[State::Rcpt], Some(State::Ready)),
        ("BDAT", &[State::Rcpt], Some(State::Ready)),
        ("BURL", &[State::Rcpt], Some(State::Ready)),
        ("RSET", &[], Some(State::Ready)),
        ("NOOP", &[], None),
        ("QUIT", &[], Some(State::Logout)),
        ("STARTTLS", &[State::Ready], Some(State::Connected)),
        ("XCLIENT", &[State::Connected, State::Ready], Some(State::Connected)),
    ];
    for (name, before, after) in states {
        let command = g.command(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((command.states.as_slice(), command.on_ok, command.on_no), (before, after, None), "{name}");
    }
}

#[test]
fn commands_and_parameters_need_the_keyword_that_offers_them() {
    let g = grammar("smtp");
    let base = ["EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "X*"];
    for command in &g.commands {
        assert_eq!(command.needs.is_empty(), base.contains(&command.name()), "{}", command.name());
        for need in &command.needs {
            let enables = &g.capability(need).expect("a capability that is known").enables;
            assert!(enables.iter().any(|verb| verb == command.name()), "{need} does not enable {}", command.name());
        }
    }
    for vocabulary in &g.vocabularies {
        assert!(vocabulary.words.iter().all(|word| !word.needs.is_empty()), "{}", vocabulary.kind);
    }
    assert!(g.covers("BINARYMIME", "CHUNKING"));
    assert!(g.covers("smtputf8", "8BITMIME"));
    assert!(g.covers("AUTH=PLAIN", "AUTH=*"));
    assert_eq!(g.capability("XWOMBAT").map(Named::name), Some("X*"));
}

#[test]
fn lmtp_is_smtp_with_a_greeting_of_its_own() {
    let (smtp, lmtp) = (grammar("smtp"), grammar("lmtp"));
    assert_eq!((smtp.name.as_str(), smtp.port, smtp.form), ("smtp", 25, Form::Codes));
    assert_eq!((lmtp.name.as_str(), lmtp.port, lmtp.form), ("lmtp", 24, Form::Codes));
    assert!(smtp.commands.exact(b"LHLO").is_none());
    let lhlo = lmtp.command("lhlo").expect("LHLO");
    assert_eq!((lhlo.on_ok, lhlo.lists), (Some(State::Ready), Some(Lists::Capabilities)));
    assert_eq!(smtp.command("EHLO").and_then(|c| c.lists), Some(Lists::Capabilities));
    assert_eq!(smtp.command("HELO").and_then(|c| c.lists), None);
    let all = |g: &Grammar| g.names().map(str::to_owned).collect::<HashSet<_>>();
    let more: Vec<String> = all(&lmtp).difference(&all(&smtp)).cloned().collect();
    assert_eq!(more, ["LHLO"]);
    assert!(all(&smtp).is_subset(&all(&lmtp)));
    let (data, base) = (lmtp.command("DATA").expect("DATA"), smtp.command("DATA").expect("DATA"));
    assert_eq!((data.then, data.on_ok, &data.states), (base.then, base.on_ok, &base.states));
    assert_ne!(data.note, base.note, "LMTP answers for each recipient");
}

#[test]
fn a_reply_means_what_its_command_makes_of_it() {
    let smtp = grammar("smtp");
    let response =
        |code: &str, after: &str| smtp.response(code).and_then(|it| it.does_after(after)).unwrap_or_default();
    assert!(response("454", "RCPT").contains("does not relay"));
    assert!(response("454", "auth").contains("login cannot be tried now"));
    assert!(response("454", "STARTTLS").starts_with("TLS is not available"));
    assert!(response("554", "greeting").starts_with("No service for this client"));
    assert_eq!(response("250", "RCPT"), "");
    for (name, after) in smtp.responses.iter().map(|it| (&it.name, &it.after)) {
        for (what, does) in after {
            assert!(does.ends_with('.') && does.chars().count() <= 130, "{name} after {what}: {does}");
        }
    }
    let text = "name = \"mine\"\ntitle = \"Mine\"\nport = 9\nform = \"codes\"\n\n[response.\"454\"]\ndoes = \"It fails.\"\nrfc = \"RFC 1\"\nafter.GO = \"No.\"\n";
    let wrong = Grammar::load("mine.toml", text).expect_err("there is no command GO");
    assert!(wrong[0].what.contains("`GO` is nothing that a reply can answer"), "{}", wrong[0]);
}
