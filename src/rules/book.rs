//! The language of rules and filters in words: every action, modifier, field and operator, with what it does and an example. What is
//! asked about is shown from here; what can be written is decided by `parse`.

/// What is said of one word of the language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// As it is written.
    pub word: &'static str,
    /// `action`, `variation`, `modifier`, `field` or `operator` of rules; or what it is of filters.
    pub sort: &'static str,
    /// With what belongs to it.
    pub shape: &'static str,
    /// What it does or is.
    pub does: &'static str,
    /// A whole rule, or a condition of a filter.
    pub example: &'static str,
}

const fn entry(
    sort: &'static str,
    word: &'static str,
    shape: &'static str,
    does: &'static str,
    example: &'static str,
) -> Entry {
    Entry { word, sort, shape, does, example }
}

/// Options that are not short for a rule.
const OPTION: &str = "option";

/// What can be varied.
const VARIATION: &str = "variation";

/// What only filters can ask about.
const FIELD_OF_FILTERS: &str = "field of filters";

/// Every word of the language.
pub const ENTRIES: &[Entry] = &[
    entry(
        "action",
        "drop-capability",
        "drop-capability PATTERN... [enforced]",
        "Takes capabilities out of every list that the server prints, and out of the client's ENABLE; with `enforced`, refuses what they would have allowed.",
        "drop-capability IDLE AUTH=* enforced",
    ),
    entry(
        "action",
        "add-capability",
        "add-capability NAME...",
        "Puts capabilities into every list that the server prints.",
        "add-capability IDLE",
    ),
    entry(
        "action",
        "only-capabilities",
        "only-capabilities PATTERN... [@FILE]",
        "Takes all other capabilities out of every list that the server prints.",
        "only-capabilities IMAP4rev1 IDLE",
    ),
    entry(
        "action",
        "replace-capability",
        "replace-capability OLD NEW",
        "Puts one capability in the place of another.",
        "replace-capability LITERAL+ LITERAL-",
    ),
    entry(
        "action",
        "s",
        "s/REGEX/REPLACEMENT/flags",
        "Replaces what a regular expression finds, in each line of a text, as sed does.",
        r"s/(\d+) EXISTS/\1 RECENT/ when from == server",
    ),
    entry(
        "action",
        "replace-text",
        "replace-text \"TEXT\"",
        "Puts another human text into a reply.",
        "replace-text \"try again\" when status == NO",
    ),
    entry(
        "action",
        "replace-code",
        "replace-code \"[CODE]\"",
        "Puts another response code into a reply, or the first; \"\" takes it away.",
        "replace-code \"[UNAVAILABLE]\" when status == NO",
    ),
    entry(
        "action",
        "insert-before",
        "insert-before \"LINE\"",
        "Says a line to the receiver of a text, before it.",
        "insert-before \"* 1 EXPUNGE\" when command == NOOP && status == OK",
    ),
    entry(
        "action",
        "insert-after",
        "insert-after \"LINE\"",
        "Says a line to the receiver of a text, behind all that belongs to it.",
        "insert-after \"* 5 EXISTS\" when command == NOOP && status == OK",
    ),
    entry(
        "action",
        "drop",
        "drop",
        "Takes a text away, with its literals, lines and octets.",
        "drop when command == NOOP && from == client",
    ),
    entry(
        "action",
        "refuse",
        "refuse COMMAND [with \"REPLY\"]",
        "Answers a command, which the server does not get.",
        "refuse FETCH with \"NO [LIMIT] not today\"",
    ),
    entry(
        "action",
        "vary",
        "vary WHAT... (case, order, quoting, literal, slices, all)",
        "Says the same in other octets: keywords in mixed case, what has no order the other way round, atoms quoted and quoted strings as atoms, strings as literals, every octet written by itself.",
        "vary case order when from == server",
    ),
    entry(
        VARIATION,
        "case",
        "vary case",
        "Every other letter of keywords is in the other case.",
        "vary case when from == server",
    ),
    entry(
        VARIATION,
        "order",
        "vary order",
        "What has no order stands the other way round: flags, capabilities, parameters.",
        "vary order when from == server",
    ),
    entry(
        VARIATION,
        "quoting",
        "vary quoting",
        "Atoms are quoted, and quoted strings are atoms, where both may stand.",
        "vary quoting when command == LIST",
    ),
    entry(
        VARIATION,
        "literal",
        "vary literal",
        "What is quoted becomes a literal, once all rules have acted.",
        "vary literal when from == server && text ~ LIST",
    ),
    entry(
        VARIATION,
        "slices",
        "vary slices",
        "Every octet is written by itself, as with `slice 1`.",
        "vary slices when from == server",
    ),
    entry(
        VARIATION,
        "all",
        "vary all",
        "All of this: case, order, quoting, literal, slices.",
        "vary all when from == server chance 10%",
    ),
    entry(
        "action",
        "delay",
        "delay T [at-byte N]",
        "What comes from here on waits so long; of a response to a command, once (see per-line).",
        "delay 2s when command == FETCH && from == server",
    ),
    entry(
        "action",
        "throttle",
        "throttle N [at-byte N]",
        "The command, or the rest of the response to one, leaves at so many octets a second (10k, 1M).",
        "throttle 10k when command == FETCH && from == server",
    ),
    entry(
        "action",
        "slice",
        "slice N [at-byte N]",
        "The text, and what belongs to it, leaves in writes of so many octets.",
        "slice 1 when from == server",
    ),
    entry(
        "action",
        "stall",
        "stall [at-byte N]",
        "Nothing more is passed on in this direction, and the connection stays open.",
        "stall when state == greeting && conn == 3",
    ),
    entry(
        "action",
        "close",
        "close [at-byte N]",
        "Closes the connection, behind what left before.",
        "close when command == LOGIN && status == OK once",
    ),
    entry(
        "action",
        "reset",
        "reset [at-byte N]",
        "Resets the connection on both sides.",
        "reset at-byte 1000 when command == FETCH && from == server",
    ),
    entry(
        "modifier",
        "at-byte",
        "delay T at-byte N",
        "The fault stands behind so many octets of the data of a text, or of the text where it has none.",
        "stall at-byte 500 when command == FETCH && from == server",
    ),
    entry(
        "modifier",
        "per-line",
        "per-line",
        "The delay or throttle acts on every line that matches, rather than once per response to a command.",
        "delay 1s when command == SELECT && from == server per-line",
    ),
    entry(
        "modifier",
        "with",
        "refuse COMMAND with \"REPLY\"",
        "What a command is answered with, behind its tag.",
        "refuse FETCH with \"NO [LIMIT] not today\"",
    ),
    entry("modifier", "once", "once", "The rule acts once in a connection.", "s/EXISTS/RECENT/ once"),
    entry(
        "modifier",
        "times",
        "times N",
        "The rule acts so many times in a connection at the most.",
        "s/EXISTS/RECENT/ times 3",
    ),
    entry(
        "modifier",
        "after",
        "after N",
        "The rule passes over the first texts on which it would act, so many in a connection.",
        "s/EXISTS/RECENT/ after 2 times 3",
    ),
    entry(
        "modifier",
        "chance",
        "chance P",
        "The rule acts on a share of the texts on which it would act, by a seed that --seed gives.",
        "s/EXISTS/RECENT/ chance 10%",
    ),
    entry(
        "modifier",
        "when",
        "when CONDITION",
        "The rule acts on texts for which the condition holds, as they were received.",
        "drop when from == server && !(state == selected)",
    ),
    entry(
        "modifier",
        "enforced",
        "drop-capability PATTERN... enforced",
        "Also refuses what the capability would have allowed, as a server without it.",
        "drop-capability IDLE enforced",
    ),
    entry(
        "field",
        "from",
        "from == client",
        "Who sent it: client or server.",
        "drop when from == server && text ~ RECENT",
    ),
    entry("field", "conn", "conn == N", "The number of the connection.", "s/OK/NO/ when conn > 3"),
    entry(
        "field",
        "protocol",
        "protocol == NAME",
        "The name of the protocol's description.",
        "drop-capability SIZE when protocol == smtp",
    ),
    entry("field", "state", "state == STATE", "The state in which it was sent.", "refuse FETCH when state == selected"),
    entry(
        "field",
        "command",
        "command == COMMAND",
        "The command that this is or answers.",
        "replace-text \"no\" when command == SELECT",
    ),
    entry("field", "tag", "tag == TAG", "The tag, * or +.", "drop when tag == *"),
    entry(
        "field",
        "status",
        "status == STATUS",
        "The status of a reply, or how it begins.",
        "replace-text \"busy\" when status in {NO, 450, -ERR}",
    ),
    entry("field", "code", "code == CODE", "The response code of a reply.", "replace-code \"\" when code == ALERT"),
    entry(
        "field",
        "text",
        "text ~ REGEX",
        "The line, without its line end.",
        "drop when text ~ \"^[*] [0-9]+ RECENT\"",
    ),
    entry("field", "size", "size > N", "The length in octets, with the line end.", "drop when size > 1000"),
    entry(
        "field",
        "capability",
        "capability == NAME",
        "The names in its list of capabilities.",
        "add-capability X-B when capability == X-A",
    ),
    entry(
        "field",
        "tls",
        "tls == SIDES",
        "The sides that are under TLS: none, client, server or both.",
        "drop-capability AUTH=PLAIN when tls == none",
    ),
    entry(
        "field",
        "client",
        "client ~ REGEX",
        "The address of the client, without its port.",
        "drop-capability IDLE when client ~ \"^10[.]0[.]\"",
    ),
    entry(
        "field",
        "route",
        "route == N",
        "The route of the connection: its place on the command line, from 1; or, with ~, as it is written there.",
        "drop-capability IDLE when route == 2",
    ),
    entry(
        OPTION,
        "filter",
        "--filter 'CONDITION'",
        "Shows only what the condition of --filter holds for. A command or response is judged by its first line, and what goes on with it follows; what concerns the connection as a whole is shown unless it contradicts, and the summary at the end is of everything.",
        "--filter 'command == FETCH && latency > 200ms'",
    ),
    entry(
        OPTION,
        "caps-like",
        "--caps-like FILE",
        "Takes all capabilities out of every list that the server prints but those in the file: names, or a log or transcript with the lists of another server. What only the other server has is not added.",
        "--caps-like other-server.log",
    ),
    entry(
        FIELD_OF_FILTERS,
        "latency",
        "latency > T",
        "How long after its command a reply came (500us, 200ms, 2s, 1m); compared with < and >.",
        "latency > 200ms",
    ),
    entry(
        FIELD_OF_FILTERS,
        "rule",
        "rule ~ REGEX",
        "The rules that did something to it, would have done, or could not, as they are written; `any` is each of them.",
        "rule == any",
    ),
    entry(
        FIELD_OF_FILTERS,
        "check",
        "check == ID",
        "The findings about it (lines with !): the id of a check, or whose fault one is (client, server, both, path, none); `any` is each of them; with ~, their ids and what they say.",
        "check == tag-unknown",
    ),
    entry(
        FIELD_OF_FILTERS,
        "severity",
        "severity == must",
        "How bad the findings about it are: must, should or quirk.",
        "severity == must && from == server",
    ),
    entry("field", "user", "user == NAME", "Who has logged in.", "drop-capability IDLE when user == bob"),
    entry("operator", "==", "FIELD == VALUE", "Equal, in any case.", "drop when command == NOOP"),
    entry(
        "operator",
        "!=",
        "FIELD != VALUE",
        "There, and not equal, in any case.",
        "drop when command != NOOP && from == client",
    ),
    entry(
        "operator",
        "~",
        "FIELD ~ REGEX",
        "Matched by a regular expression: a word, \"...\" or /.../i.",
        "drop when text ~ /recent/i",
    ),
    entry(
        "operator",
        "in",
        "FIELD in {A, B}",
        "Equal to one of these.",
        "refuse STORE when state in {selected, authenticated}",
    ),
    entry("operator", "<", "FIELD < N", "Below, for conn and size, and the latency of filters.", "drop when size < 10"),
    entry("operator", ">", "FIELD > N", "Above, for conn and size, and the latency of filters.", "drop when size > 10"),
    entry("operator", "&&", "A && B", "Both hold.", "drop when from == server && size > 10"),
    entry("operator", "||", "A || B", "One of them holds at least.", "drop when size < 10 || size > 1000"),
    entry("operator", "!", "!A", "It does not hold.", "drop when !(from == server)"),
];

/// What is said of a word, which is spelled as it is here.
#[must_use]
pub fn about(word: &str) -> Option<&'static Entry> {
    let sed = if word.starts_with("s/") { "s" } else { word };
    ENTRIES.iter().find(|entry| entry.word == sed)
}

#[cfg(test)]
mod tests {
    use super::super::condition::FIELDS;
    use super::super::filter::Filter;
    use super::super::{Rules, Source};
    use super::*;

    #[test]
    fn every_example_is_right_and_every_word_is_there() {
        for entry in ENTRIES {
            let condition = match entry.sort {
                OPTION => entry.example.strip_prefix("--filter '").and_then(|rest| rest.strip_suffix('\'')),
                FIELD_OF_FILTERS => Some(entry.example),
                _ => None,
            };
            let found = match condition {
                Some(condition) => Filter::read(condition).map(|_| ()),
                None if entry.sort == OPTION => Ok(()),
                None => Rules::compile(&[Source::rule(1, entry.example)]).map(|_| ()),
            };
            assert!(found.is_ok(), "{}: {}", entry.word, found.unwrap_err());
            assert!(entry.example.contains(entry.word), "{}", entry.word);
        }
        for row in FIELDS {
            let sort = if row.not_in_rules.is_none() { "field" } else { FIELD_OF_FILTERS };
            assert!(about(row.word).is_some_and(|entry| entry.sort == sort), "{}", row.word);
        }
        assert_eq!(about("s/a/b/").map(|entry| entry.word), Some("s"));
    }
}
