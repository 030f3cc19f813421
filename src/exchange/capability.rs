//! Capabilities: what the server offers, what of it reaches the client, what changed since the last list, and what the
//! client makes use of. Bounded: [`MAX_NAMES`] names of [`MAX_OCTETS`] octets in all for each set.

use super::words::Words;
use crate::exchange::used::{Site, Uses};
use crate::grammar::{Grammar, prefix};

/// How many names a set holds.
pub const MAX_NAMES: usize = 256;

/// How many octets the names of a set have together.
pub const MAX_OCTETS: usize = 32 * 1024;

/// How many entries of `unadvertised` and `hidden_tried` are kept.
const MAX_TRIED: usize = 64;

/// Names in the order in which they came, each once in any case.
#[derive(Debug, Clone, Default)]
pub struct Names {
    names: Words,
    /// Those that imply others.
    implying: Words,
}

impl Names {
    /// The set of these names, as far as there is room.
    pub fn of(names: impl Iterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut set = Names::default();
        for name in names {
            set.add(&String::from_utf8_lossy(name.as_ref()));
        }
        set
    }

    fn add(&mut self, name: &str) {
        if self.names.count() < MAX_NAMES && self.names.octets() + name.len() <= MAX_OCTETS {
            self.names.add(name);
        }
    }

    /// True if the name is in it, in any case.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.has(name)
    }

    /// The same names, as `other` spells them where it has them.
    #[must_use]
    pub fn spelled_as(&self, other: &Names) -> Names {
        let spelled = |name| other.iter().find(|same: &&str| same.eq_ignore_ascii_case(name)).unwrap_or(name);
        Names::of(self.iter().map(spelled))
    }

    /// The names that `other` lacks.
    #[must_use]
    pub fn without(&self, other: &Names) -> Vec<String> {
        self.iter().filter(|name| !other.has(name)).map(str::to_owned).collect()
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter()
    }

    /// Finds the names that imply others, once for all questions.
    fn weigh(&mut self, grammar: &Grammar) {
        let implies = |name: &&str| grammar.capability(name).is_some_and(|known| !known.implies.is_empty());
        for name in self.names.iter().filter(implies) {
            self.implying.add(name);
        }
    }

    /// The first name that gives `wanted`, which may be a pattern: it is the same, fits it, or implies it.
    fn giving(&self, grammar: &Grammar, wanted: &str) -> Option<&str> {
        let fixed = prefix(wanted);
        let same = |name: &str| {
            let name = word(name);
            let fits = |fixed: &str| name.get(..fixed.len()).is_some_and(|head| head.eq_ignore_ascii_case(fixed));
            name.eq_ignore_ascii_case(wanted) || fixed.is_some_and(fits)
        };
        let implying = || self.implying.iter().find(|name| grammar.covers(name, wanted));
        self.iter().find(|name| same(name)).or_else(implying)
    }
}

/// How the kind of words ends that stand behind the arguments of a command: `mail parameter` for MAIL.
pub const PARAMETER: &str = " parameter";

/// How the use of something fits what was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offered {
    /// It was offered, or nothing is known about what is offered now.
    Fine,
    /// The server offers this capability, and a rule keeps it from the client.
    Hidden(String),
    /// Nobody offered this capability.
    Unoffered(String),
}

/// What a list changes for the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// True for the first list of the connection.
    pub first: bool,
    /// Never offered to the client before.
    pub novel: Vec<String>,
    /// Not in the client's last list.
    pub added: Vec<String>,
    /// Not offered to the client any more.
    pub gone: Vec<String>,
    /// Offered by the server and kept from the client.
    pub hidden: Vec<String>,
}

/// The capabilities of one connection.
#[derive(Debug, Default)]
pub struct Offers {
    server: Names,
    client: Names,
    /// A list came that holds now: not from before TLS or login.
    fresh: bool,
    heard: bool,
    ever: Names,
    /// What the client used.
    pub uses: Uses,
    /// Some of what was said was not seen: what was not used there may have been.
    pub blind: bool,
    /// What the client used although it was not offered: `(feature, capability)`.
    pub unadvertised: Vec<(String, String)>,
    /// What the client tried although a rule hid it: `(feature, capability)`.
    pub hidden_tried: Vec<(String, String)>,
}

impl Offers {
    /// Takes a list: as the server sent it and as the client got it.
    pub fn hear(&mut self, grammar: &Grammar, mut server: Names, mut client: Names) -> Change {
        server.weigh(grammar);
        client.weigh(grammar);
        let change = Change {
            first: !self.heard,
            novel: client.without(&self.ever),
            added: client.without(&self.client),
            gone: self.client.without(&client),
            hidden: server.without(&client),
        };
        client.iter().for_each(|name| self.ever.add(name));
        self.uses.offer(|name| client.iter().any(|offered| word(offered).eq_ignore_ascii_case(name)));
        (self.server, self.client) = (server, client);
        (self.fresh, self.heard) = (true, true);
        change
    }

    /// The last list does not hold any more: TLS began, or a user logged in.
    pub fn forget(&mut self) {
        self.fresh = false;
    }

    /// The names of the last list: as the server sent them, and as the client got them.
    #[must_use]
    pub const fn sides(&self) -> (&Names, &Names) {
        (&self.server, &self.client)
    }

    /// True if the client was offered this by a list that still holds.
    #[must_use]
    pub fn offers(&self, grammar: &Grammar, name: &str) -> bool {
        self.fresh && self.client.giving(grammar, name).is_some()
    }

    /// True if this stands in the last list, as the server sent it or as the client got it.
    #[must_use]
    pub fn lists(&self, grammar: &Grammar, name: &str) -> bool {
        [&self.server, &self.client].into_iter().any(|side| side.giving(grammar, name).is_some())
    }

    /// The capability that the client was offered and that implies this one, which it was not offered by name.
    #[must_use]
    pub fn implying(&self, grammar: &Grammar, name: &str) -> Option<&str> {
        self.client.giving(grammar, name).filter(|by| !by.eq_ignore_ascii_case(name))
    }

    /// Notes that the client asks the server to enable `name`. Returns the capability if a rule hides it from the client.
    pub fn ask(&mut self, grammar: &Grammar, name: &str, site: Site<'_>) -> Option<String> {
        if let Some(offered) = self.client.giving(grammar, name) {
            self.uses.add(word(offered), name, true, site);
            return None;
        }
        if !self.fresh && self.server.giving(grammar, name).is_none() {
            self.uses.add(name, name, false, site);
        }
        self.server.giving(grammar, name).map(|hidden| word(hidden).to_owned())
    }

    /// Notes that `feature` is used, for which one of `needs` is offered: what a server sends shows it, and what it did not
    /// offer there is for nobody to blame. Returns false if none is offered.
    pub fn shown<S: AsRef<str>>(&mut self, grammar: &Grammar, feature: &str, needs: &[S], site: Site<'_>) -> bool {
        let offered = needs.iter().find_map(|need| self.client.giving(grammar, need.as_ref()));
        if let Some(name) = offered {
            self.uses.add(word(name), feature, true, site);
        }
        offered.is_some()
    }

    /// Notes that the client uses `feature`, for which one of `needs` has to be offered.
    pub fn make_use<S: AsRef<str>>(
        &mut self,
        grammar: &Grammar,
        feature: &str,
        needs: &[S],
        site: Site<'_>,
    ) -> Offered {
        let Some(wanted) = needs.first() else { return Offered::Fine };
        if self.shown(grammar, feature, needs, site) {
            return Offered::Fine;
        }
        if let Some(name) = needs.iter().find_map(|need| self.server.giving(grammar, need.as_ref())) {
            let name = word(name).to_owned();
            keep(&mut self.hidden_tried, feature, &name);
            return Offered::Hidden(name);
        }
        if !self.fresh {
            self.uses.add(wanted.as_ref(), feature, false, site);
            return Offered::Fine;
        }
        let wanted = wanted.as_ref().to_owned();
        keep(&mut self.unadvertised, feature, &wanted);
        Offered::Unoffered(wanted)
    }

    /// What the client was offered and did not use, and what of it nobody can tell: each once, without parameters.
    #[must_use]
    pub fn others(&self, grammar: &Grammar) -> (Vec<String>, Vec<String>) {
        let mut names = Names::default();
        self.ever.iter().map(word).filter(|name| !self.uses.has(name)).for_each(|name| names.add(name));
        names.iter().map(str::to_owned).partition(|name| !self.blind && shows(grammar, name))
    }
}

/// A capability without its parameters: `SIZE` of `SIZE 1000`.
#[must_use]
pub fn word(name: &str) -> &str {
    name.split_once(' ').map_or(name, |(word, _)| word)
}

fn keep(list: &mut Vec<(String, String)>, feature: &str, capability: &str) {
    let pair = (feature.to_owned(), capability.to_owned());
    if list.len() < MAX_TRIED && !list.contains(&pair) {
        list.push(pair);
    }
}

/// The kinds of words whose use is looked for, besides parameters: [`grammar::uses`](crate::grammar::uses) finds them in
/// commands, and `explain/usage.rs` in what servers send.
const KINDS: [&str; 10] = [
    "append part",
    "fetch item",
    "list option",
    "mailbox attribute",
    "modifier",
    "search key",
    "search return option",
    "select parameter",
    "sort key",
    "status item",
];

/// True if the use of a capability can be seen in what clients and servers say. Of the base protocol it cannot.
fn shows(grammar: &Grammar, name: &str) -> bool {
    const SEEN: [&str; 7] =
        ["PIPELINING", "LITERAL+", "LITERAL-", "SASL-IR", "ENHANCEDSTATUSCODES", "SORT=DISPLAY", "RESP-CODES"];
    const BASE: [&str; 4] = ["IMAP4", "IMAP4REV1", "IMAP4REV2", "LOGINDISABLED"];
    let any = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if any(&BASE) {
        return false;
    }
    let needed = |needs: &[String]| needs.iter().any(|need| need.eq_ignore_ascii_case(name) || fits(need, name));
    let looked = |kind: &str| KINDS.contains(&kind) || kind.ends_with(PARAMETER);
    any(&SEEN)
        || grammar.capability(name).is_some_and(|known| known.enable || !known.enables.is_empty())
        || grammar.commands.iter().any(|command| needed(&command.needs))
        || grammar.responses.iter().any(|response| needed(&response.needs))
        || grammar.codes.iter().any(|code| needed(&code.needs))
        || grammar.vocabularies.iter().filter(|it| looked(&it.kind)).any(|it| it.words.iter().any(|w| needed(&w.needs)))
}

/// True if a name is of the family of a pattern: `THREAD=REFS` of `THREAD=*`.
fn fits(pattern: &str, name: &str) -> bool {
    let head = prefix(pattern).and_then(|fixed| name.get(..fixed.len()).map(|head| (fixed, head)));
    head.is_some_and(|(fixed, head)| head.eq_ignore_ascii_case(fixed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &str) -> Names {
        Names::of(names.split(' ').map(str::as_bytes))
    }

    fn uses(offers: &mut Offers, grammar: &Grammar, feature: &str, needs: &[&str]) -> Offered {
        offers.make_use(grammar, feature, needs, Site::default())
    }

    fn grammar() -> std::sync::Arc<Grammar> {
        Grammar::builtin("imap").expect("the grammar of IMAP is built in")
    }

    #[test]
    fn a_later_list_is_a_difference_to_what_the_client_saw() {
        let grammar = grammar();
        let mut offers = Offers::default();
        assert!(offers.hear(&grammar, set("IMAP4rev1 STARTTLS IDLE"), set("IMAP4rev1 STARTTLS")).first);
        let change = offers.hear(&grammar, set("IMAP4rev1 idle MOVE"), set("IMAP4rev1 MOVE"));
        let want = Change {
            first: false,
            novel: vec!["MOVE".into()],
            added: vec!["MOVE".into()],
            gone: vec!["STARTTLS".into()],
            hidden: vec!["idle".into()],
        };
        assert_eq!(change, want);
        let same = offers.hear(&grammar, set("imap4REV1 MOVE"), set("MOVE imap4REV1"));
        assert_eq!(same, Change::default());
    }

    #[test]
    fn use_is_judged_by_what_the_client_saw() {
        let grammar = grammar();
        let mut offers = Offers::default();
        assert_eq!(uses(&mut offers, &grammar, "IDLE", &["IDLE"]), Offered::Fine, "no list, no judgement");
        offers.hear(&grammar, set("IMAP4rev1 IDLE MOVE"), set("IMAP4rev1 MOVE"));
        assert_eq!(uses(&mut offers, &grammar, "MOVE", &["MOVE"]), Offered::Fine);
        assert_eq!(uses(&mut offers, &grammar, "IDLE", &["IDLE"]), Offered::Hidden("IDLE".into()));
        assert_eq!(uses(&mut offers, &grammar, "SORT", &["SORT"]), Offered::Unoffered("SORT".into()));
        assert_eq!(offers.others(&grammar), (Vec::new(), vec!["IMAP4rev1".to_owned()]));
        offers.forget();
        assert_eq!(uses(&mut offers, &grammar, "THREAD", &["THREAD=REFS"]), Offered::Fine);
        assert_eq!(offers.unadvertised, [("SORT".into(), "SORT".into())]);
        assert_eq!(offers.hidden_tried, [("IDLE".into(), "IDLE".into())]);
    }

    #[test]
    fn a_hidden_capability_is_named_without_its_value() {
        let grammar = Grammar::builtin("smtp").expect("it is built in");
        let mut offers = Offers::default();
        offers.hear(&grammar, Names::of(["SIZE 1000", "DSN"].into_iter()), set("DSN"));
        assert_eq!(uses(&mut offers, &grammar, "SIZE", &["SIZE"]), Offered::Hidden("SIZE".into()));
        assert_eq!(offers.hidden_tried, [("SIZE".into(), "SIZE".into())]);
    }

    #[test]
    fn what_is_implied_is_offered() {
        let grammar = grammar();
        let mut offers = Offers::default();
        offers.hear(&grammar, set("IMAP4rev2"), set("IMAP4rev2"));
        assert_eq!(uses(&mut offers, &grammar, "IDLE", &["IDLE"]), Offered::Fine);
        assert!(offers.offers(&grammar, "LITERAL-") && !offers.offers(&grammar, "LITERAL+"));
    }

    #[test]
    fn each_name_is_used_unused_or_not_to_be_told() {
        let grammar = grammar();
        let mut offers = Offers::default();
        let list = "IMAP4rev1 AUTH=PLAIN LOGINDISABLED IDLE LITERAL+ X-NOVELTY CHILDREN";
        offers.hear(&grammar, set(list), set(list));
        let (unused, untold) = offers.others(&grammar);
        assert_eq!(unused, ["AUTH=PLAIN", "IDLE", "LITERAL+", "CHILDREN"]);
        assert_eq!(untold, ["IMAP4rev1", "LOGINDISABLED", "X-NOVELTY"]);
        offers.blind = true;
        assert!(offers.others(&grammar).0.is_empty(), "what was not seen may have used any of them");
    }

    #[test]
    fn sets_are_bounded() {
        let names: Vec<String> = (0..5000).map(|n| format!("X{n}")).collect();
        let set = Names::of(names.iter().map(|n| n.as_bytes()));
        assert_eq!(set.iter().count(), MAX_NAMES);
        let long = [b'x'; MAX_OCTETS];
        assert_eq!(Names::of([&long[..], b"IDLE"].into_iter()).iter().count(), 1);
    }
}
