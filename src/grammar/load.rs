//! Reading a description: TOML in, tables out, or everything that is wrong with it, each with `file:line:column`. A
//! description may extend one that comes with the program: what it says is laid over that, key by key, so that a new
//! meaning for LOGIN does not lose the mark that hides its password.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::desk::Desk;
use super::{BUILTIN, Capability, Command, Grammar, Mechanism, Named, StartTls, Table, Then, Vocabulary, Word, raw};
use crate::event::{Form, State};
use crate::problem::Problem;

/// A table of the document, with the place of every key and value.
type Entries<'i> = toml::map::Map<Spanned<DeString<'i>>, Spanned<DeValue<'i>>>;

/// The keys of a description's first level.
const TOP: [&str; 12] = [
    "name",
    "title",
    "port",
    "form",
    "begins",
    "extends",
    "starttls",
    "capability",
    "command",
    "response",
    "code",
    "words",
];

/// Reads a protocol's description.
pub(super) fn load(origin: &str, text: &str) -> Result<Grammar, Vec<Problem>> {
    let mut desk = Desk::new(origin, text);
    let mut top = parse(&mut desk, text)?;
    for (key, _) in &top {
        if !TOP.contains(&key.as_ref().as_ref()) {
            desk.unknown(key.span(), "key", key.as_ref(), &TOP);
        }
    }
    let mut extends = None;
    if let Some(name) = top.remove("extends") {
        let Some(base) = base(&mut desk, &name) else { return Err(desk.take()) };
        top = overlay(base, top);
        extends = name.as_ref().as_str().map(str::to_owned);
    }
    let mut grammar = Grammar {
        name: line(&mut desk, &mut top, "name"),
        title: line(&mut desk, &mut top, "title"),
        port: port(&mut desk, &mut top),
        form: form(&mut desk, &mut top),
        extends,
        ..Grammar::default()
    };
    desk.form = grammar.form;
    grammar.begins = begins(&mut desk, &mut top);
    let starttls = starttls(&mut desk, &mut top);
    let capabilities = section::<raw::Capability>(&mut desk, &mut top, "capability");
    let commands = section::<raw::Command>(&mut desk, &mut top, "command");
    let responses = section::<raw::Response>(&mut desk, &mut top, "response");
    let codes = section::<raw::Code>(&mut desk, &mut top, "code");
    let words = words(&mut desk, &mut top);
    check(&mut desk, &capabilities, &commands);
    let known: Table<Capability> = table(&mut desk, capabilities, raw::Capability::build);
    for need in commands.iter().flat_map(|(_, c)| &c.needs).chain(responses.iter().flat_map(|(_, r)| &r.needs)) {
        desk.require_capability(need, &known);
    }
    for need in
        codes.iter().flat_map(|(_, c)| &c.needs).chain(words.iter().flat_map(|(_, w)| w).flat_map(|w| &w.1.needs))
    {
        desk.require_capability(need, &known);
    }
    grammar.capabilities = known;
    let mut spoken: Vec<Command> = Vec::new();
    for (name, command) in commands {
        let both = command.build(name.as_ref(), &mut desk);
        spoken.extend(both);
    }
    grammar.commands = Table::new(spoken);
    if let Some((described, capability, asks)) = starttls {
        if let Some(capability) = capability {
            desk.require_capability(&capability, &grammar.capabilities);
        }
        if !asks.as_ref().is_empty()
            && grammar.command(asks.as_ref().as_bytes()).is_none_or(|it| it.then != Some(Then::Tls))
        {
            let help = "it names a command of this description that has `then = \"tls\"`";
            desk.add(asks.span(), &format!("`{}` is not known to ask for TLS", asks.as_ref()), help);
        }
        grammar.starttls = Some(described);
    }
    let after = responses.iter().flat_map(|(_, it)| &it.after).chain(codes.iter().flat_map(|(_, it)| &it.after));
    for (what, does) in after {
        if !["greeting", "message"].contains(&what.as_str()) && grammar.commands.exact(what.as_bytes()).is_none() {
            let help = "a command of this description, `greeting`, or `message`";
            desk.add(does.span(), &format!("`{what}` is nothing that a reply can answer"), help);
        }
    }
    grammar.responses = table(&mut desk, responses, raw::Response::build);
    grammar.codes = table(&mut desk, codes, raw::Code::build);
    for (kind, entries) in words {
        grammar.vocabularies.push(Vocabulary { kind, words: table::<_, Word>(&mut desk, entries, raw::Word::build) });
    }
    desk.done(grammar)
}

/// Reads the table of SASL mechanisms.
pub(super) fn mechanisms(origin: &str, text: &str) -> Result<Table<Mechanism>, Vec<Problem>> {
    let mut desk = Desk::new(origin, text);
    let mut top = parse(&mut desk, text)?;
    for (key, _) in &top {
        if key.as_ref() != "mechanism" {
            desk.unknown(key.span(), "key", key.as_ref(), &["mechanism"]);
        }
    }
    let entries = section::<raw::Mechanism>(&mut desk, &mut top, "mechanism");
    let table = table(&mut desk, entries, raw::Mechanism::build);
    desk.done(table)
}

/// The document, or all that keeps it from being TOML.
fn parse<'i>(desk: &mut Desk<'_>, text: &'i str) -> Result<Entries<'i>, Vec<Problem>> {
    let (top, wrong) = DeTable::parse_recoverable(text);
    for error in &wrong {
        desk.refuse(error, None);
    }
    if wrong.is_empty() { Ok(top.into_inner()) } else { Err(desk.take()) }
}

/// The description of this name, to be extended; a problem if there is none.
fn base(desk: &mut Desk<'_>, value: &Spanned<DeValue<'_>>) -> Option<Entries<'static>> {
    let names: Vec<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
    let Some(name) = value.as_ref().as_str() else {
        desk.add(value.span(), "`extends` must be a name in quotes", &format!("one of {}", names.join(", ")));
        return None;
    };
    let found = builtin(name);
    if found.is_none() {
        desk.unknown(value.span(), "description", name, &names);
    }
    found
}

/// The description of this name that comes with the program, laid over the one that it extends.
fn builtin(name: &str) -> Option<Entries<'static>> {
    let (_, text) = BUILTIN.iter().find(|(known, _)| *known == name)?;
    let mut top = DeTable::parse_recoverable(text).0.into_inner();
    let below = top.remove("extends").and_then(|value| builtin(value.as_ref().as_str()?));
    Some(match below {
        Some(below) => overlay(below, top),
        None => top,
    })
}

/// `over` laid over `base`, table by table; names are the same in any case.
fn overlay<'i>(mut base: Entries<'i>, over: Entries<'i>) -> Entries<'i> {
    for (key, value) in over {
        let place = value.span();
        let same = base.keys().find(|known| known.as_ref().eq_ignore_ascii_case(key.as_ref())).cloned();
        let below = same.and_then(|known| base.remove(known.as_ref().as_ref() as &str));
        let merged = match (below.map(Spanned::into_inner), value.into_inner()) {
            (Some(DeValue::Table(below)), DeValue::Table(above)) => DeValue::Table(overlay(below, above)),
            (_, above) => above,
        };
        base.insert(key, Spanned::new(place, merged));
    }
    base
}

/// The text of a key that must be there.
fn line(desk: &mut Desk<'_>, top: &mut Entries<'_>, key: &str) -> String {
    match top.remove(key) {
        None => desk.add(0..0, &format!("missing key `{key}`"), &format!("write `{key} = \"…\"` at the top")),
        Some(value) => match value.as_ref().as_str() {
            Some(text) if !text.trim().is_empty() => return text.to_owned(),
            _ => desk.add(value.span(), &format!("`{key}` must be a text in quotes, and not empty"), ""),
        },
    }
    String::new()
}

/// The port.
fn port(desk: &mut Desk<'_>, top: &mut Entries<'_>) -> u16 {
    let Some(value) = top.remove("port") else {
        desk.add(0..0, "missing key `port`", "write `port = …` at the top: the port of the plain protocol");
        return 0;
    };
    let number = value.as_ref().as_integer().and_then(|n| u16::from_str_radix(n.as_str(), n.radix()).ok());
    if number.is_none_or(|n| n == 0) {
        desk.add(value.span(), "`port` must be a number from 1 to 65535", "");
    }
    number.unwrap_or_default()
}

/// The form of the lines.
fn form(desk: &mut Desk<'_>, top: &mut Entries<'_>) -> Form {
    let Some(value) = top.remove("form") else { return Form::Line };
    let Some(name) = value.as_ref().as_str() else {
        desk.add(value.span(), "`form` must be a name in quotes", "");
        return Form::Line;
    };
    let found = Form::ALL.into_iter().find(|form| form.word() == name);
    if found.is_none() {
        desk.unknown(value.span(), "form", name, &Form::ALL.map(Form::word));
    }
    found.unwrap_or_default()
}

/// The state after the greeting.
fn begins(desk: &mut Desk<'_>, top: &mut Entries<'_>) -> State {
    let usual = match desk.form {
        Form::Imap | Form::Managesieve => State::NotAuthenticated,
        Form::Pop3 => State::Authorization,
        Form::Codes | Form::Line => State::Open,
    };
    let Some(value) = top.remove("begins") else { return usual };
    let Some(name) = value.as_ref().as_str() else {
        desk.add(value.span(), "`begins` must be the name of a state in quotes", "");
        return usual;
    };
    raw::state(&Spanned::new(value.span(), name.to_owned()), desk).unwrap_or(usual)
}

/// How TLS begins, and the places of the names in it.
fn starttls(
    desk: &mut Desk<'_>,
    top: &mut Entries<'_>,
) -> Option<(StartTls, Option<Spanned<String>>, Spanned<String>)> {
    let value = top.remove("starttls")?;
    let place = value.span();
    if desk.form == Form::Line {
        let help = "take it out; TLS from the first octet needs no description";
        desk.add(place.clone(), "in the form `line` no greeting says when to ask for TLS", help);
    }
    match raw::StartTls::deserialize(ValueDeserializer::from(value)) {
        Ok(entry) => Some(entry.build(desk)),
        Err(error) => {
            desk.refuse(&error, Some(place));
            None
        }
    }
}

/// The entries of a section, each with its name. One that cannot be read is reported and left out.
fn section<R: DeserializeOwned>(desk: &mut Desk<'_>, top: &mut Entries<'_>, name: &str) -> raw::Named<R> {
    let Some(value) = top.remove(name) else { return Vec::new() };
    let place = value.span();
    let DeValue::Table(table) = value.into_inner() else {
        desk.add(place, &format!("`{name}` must be a table"), &format!("begin an entry with `[{name}.NAME]`"));
        return Vec::new();
    };
    entries(desk, table)
}

/// The words, kind by kind.
fn words(desk: &mut Desk<'_>, top: &mut Entries<'_>) -> Vec<(String, raw::Named<raw::Word>)> {
    let Some(value) = top.remove("words") else { return Vec::new() };
    let place = value.span();
    let DeValue::Table(kinds) = value.into_inner() else {
        desk.add(place, "`words` must be a table", "begin a kind of words with `[words.\"KIND\"]`");
        return Vec::new();
    };
    let mut found = Vec::new();
    for (kind, value) in kinds {
        match value.into_inner() {
            DeValue::Table(table) => found.push((kind.into_inner().into_owned(), entries(desk, table))),
            _ => {
                desk.add(kind.span(), "a kind of words must be a table", "`[words.\"fetch item\"]`, then a line a word")
            }
        }
    }
    found
}

/// The entries of a table, each with its name.
fn entries<R: DeserializeOwned>(desk: &mut Desk<'_>, table: Entries<'_>) -> raw::Named<R> {
    let mut found: raw::Named<R> = Vec::new();
    for (key, value) in table {
        let name = Spanned::new(key.span(), key.into_inner().into_owned());
        if name.as_ref().trim().is_empty() {
            desk.add(name.span(), "a name must not be empty", "");
        }
        if found.iter().any(|(known, _)| known.as_ref().eq_ignore_ascii_case(name.as_ref())) {
            desk.add(name.span(), &format!("`{}` is there twice", name.as_ref()), "names are the same in any case");
            continue;
        }
        match R::deserialize(ValueDeserializer::from(value)) {
            Ok(entry) => found.push((name, entry)),
            Err(error) => desk.refuse(&error, Some(name.span())),
        }
    }
    found
}

/// Builds a table of raw entries.
fn table<R, T: Named>(desk: &mut Desk<'_>, entries: raw::Named<R>, build: fn(R, &str, &mut Desk<'_>) -> T) -> Table<T> {
    Table::new(entries.into_iter().map(|(name, entry)| build(entry, name.as_ref(), desk)).collect())
}

/// Reports what a capability refers to and is not there.
fn check(desk: &mut Desk<'_>, capabilities: &raw::Named<raw::Capability>, commands: &raw::Named<raw::Command>) {
    let mut verbs: Vec<String> = Vec::new();
    for (name, command) in commands {
        verbs.push(name.as_ref().to_ascii_uppercase());
        if command.uid.is_some() {
            verbs.push(format!("UID {}", name.as_ref().to_ascii_uppercase()));
        }
    }
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    let names: Vec<&str> = capabilities.iter().map(|(name, _)| name.as_ref().as_str()).collect();
    for (_, entry) in capabilities {
        for verb in &entry.enables {
            desk.require(verb, "command", &verbs);
        }
        for name in entry.implies.iter().chain(&entry.obsolete_by) {
            desk.require(name, "capability", &names);
        }
    }
}
