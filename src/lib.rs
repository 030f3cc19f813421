//! imapscope, an oscilloscope for mail protocols: a proxy that relays every octet, explains the conversation, and
//! rewrites what it is told to. The program is in `main.rs` and [`verb`]; this page is the tour of the house.
//!
//! # The picture
//!
//! ```text
//!     live: net::pump          tests/dialogues: a file          tests/lanes, fuzz            (drivers)
//!              └───────────────────────┬───────────────────────────┘
//!                                      │ octets of one peer, as they come
//!                                      ▼
//!   client leg ◄── to the client ──┬─────────┬── to the server ──► server leg
//!                                  │ Session │   two lanes (Framer, reading, Rules), one Dialogue
//!  ═══════════ byte path ══════════╧════╤════╧══════════════════════════════════════════════════
//!                                       │ Batch: events, and one arena that they point into
//!                                       ▼
//!                        net::queue     8 MiB; one consumer thread, in verb::scope
//!                                       ▼
//!                        Explainer      masks secrets; marks, notes, findings, latency    ◄── Grammar
//!                         Connection    follows each event once: exchanges, offers, TLS, what is missing
//!                                       ▼
//!                        Sinks          pretty, json, html, pcapng, raw, bodies, lint; perhaps behind a filter; a recording
//!                                                                                                        │
//!              imapscope read: Reader ── Batch ── Explainer ── Sinks, as above          ◄────────────────┘
//! ```
//!
//! One task a connection moves octets between two sockets and a [`session::Session`]. The session does no input or
//! output: it takes the octets of one read and fills an [`session::Outbox`] with what to send where, and with events.
//! The task sends first, and hands the events over after. One thread for all connections has an
//! [`explain::Explainer`] for each; what it makes of an event goes to the [`sink::Sinks`]. So nothing that is only
//! looked at can delay or change what is relayed.
//!
//! # Words
//!
//! | word | meaning |
//! |---|---|
//! | peer | client or server; an event is *from* a peer ([`event::Peer`]) |
//! | lane | one direction of a connection, named by its sender |
//! | leg | one socket with its layers: plain, or under TLS |
//! | chunk | what one read gave. Its borders mean nothing |
//! | text | one complete line, or all lines of one reply ([`wire::Gather`]), which rules may edit; [`event::MAX_TEXT`] octets at most |
//! | data | octets that no rule edits: literals, messages, lines to a dot, overlong texts, what lies under a layer. Relayed as they come, counted, kept by their head |
//! | run | all connections that a log shows ([`exchange::Run`]) |
//! | frame | one command or response: a text, then data and texts in turn. Numbered per connection |
//! | reading | what a text turned out to be: its kind, spans of its parts, its literal, its list of names |
//! | fault | what a rule does to the connection: octets wait, leave slowly, or end |
//! | tap, edit | a lane in which no rule can change anything; one in which a rule may |
//! | mark, note, finding | the role of a span; an explanation; a note that names a violation and its culprit |
//! | check | what finds a violation, by its name; a finding is of one ([`mod@check`]) |
//! | verdict | what a connection comes to, in one sentence, at its end ([`event::Verdict`]) |
//! | filter | a condition that says what is shown |
//! | family | capabilities with one head: `THREAD=REFERENCES` is one of `THREAD=*` ([`grammar::member`]) |
//! | wait | a silence in which somebody owes something ([`event::Wait`]); told at a threshold after the last byte |
//! | exchange | a command with its replies ([`exchange::Exchange`]); an event is tied to one, or to none |
//! | guess | the tie of untagged data, which answers nothing: to the oldest command that waits ([`exchange::Tie`]) |
//! | rule, action, condition | what the user wrote: when the condition holds, the action acts |
//!
//! # Invariants
//!
//! | | what always holds | proved in `tests/` |
//! |---|---|---|
//! | I1 | without an edit, what leaves a lane is what came in, whatever it is and however it is cut | `byte_path/passthrough.rs`, `byte_path/passthrough_mail.rs`, `byte_path/relay.rs`, `fuzz/` |
//! | I2 | what is reported does not depend on how the octets were cut, and each octet is reported once, compressed ones apart | `byte_path/passthrough.rs`, `byte_path/passthrough_mail.rs`, `byte_path/following.rs`, `explaining/dialogues.rs`, `outputs/raw.rs`, `fuzz/` |
//! | I3 | in a tap an octet leaves in the call in which it came; in edit only an incomplete text stays, or an incomplete DEFLATE block | `byte_path/passthrough.rs`, `byte_path/compress.rs` |
//! | I4 | a lane holds [`event::MAX_TEXT`] octets at most, and as many of a DEFLATE block; what a call brings about and what waits is bounded (see Bounds), and no announced size is allocated | `byte_path/passthrough.rs`, `byte_path/bombs.rs`, `cli/bombs.rs`, `byte_path/relay_memory.rs`, `recordings/recording_memory.rs` |
//! | I5 | the core (`event` to `explain` in the table below) reads no clock, environment or file, and prints nothing | `house/architecture.rs` |
//! | I6 | two peers that only write cannot block us; a slow log is reported, and never drops anything in silence | `byte_path/relay.rs`, `tls/implicit.rs`, `tls/legacy.rs`, `net::report` |
//! | I7 | no secret reaches a sink unless asked for, in any spelling, cut, mechanism or context | `explaining/secrets.rs`, `explaining/secrets_mail.rs`, `explaining/secrets_early.rs`, `recordings/secrets_context.rs`, `explaining/explain.rs`, `outputs/pretty.rs`, `recordings/recording.rs`, `outputs/html.rs`, `outputs/json.rs`, `outputs/raw.rs`, `outputs/lint.rs`, `cli/`, `cli/probe.rs` |
//! | I8 | nothing that a peer sends reaches a terminal unescaped, or becomes markup of a page | `outputs/pretty.rs`, `outputs/html.rs`, `outputs/page.rs`, `outputs/json.rs`, `outputs/lint.rs`, `cli/probe.rs`, `dialogues/imap/terminal-escapes.txt` |
//! | I9 | every driver runs the same session and explainer: a dialogue file gives the log that sockets would, and so does a recording | `explaining/dialogues.rs`, `recordings/live_and_read.rs`, `cli/recording.rs`, `real/` |
//! | I10 | work is linear in what peers send, in any segmentation | `byte_path/cost.rs` |
//!
//! # Bounds
//!
//! A bound counted in one unit is none if a peer chooses how much of another that unit holds. What bounds memory and time:
//!
//! | what | bound, and its unit | the factor that a peer chooses, and what bounds it |
//! |---|---|---|
//! | one read of a leg | [`net`]: 256 KiB; 4 KiB where a lane is dense | events a byte: the next row |
//! | one call of a session | `session/amount.rs`: 1024 events, 320 KiB of text at 64 bytes more a text | bytes a compressed byte: charged by both; items of a list: 2 bytes of text each |
//! | what a layer has inflated | `session/inflate.rs`: 32 KiB a lane | events a byte: read call by call |
//! | what waits for an answer or for a line's end | [`event::MAX_TEXT`] bytes each | events a byte: read call by call; what is left when the peer ends is counted, not read |
//! | what was slipped in before TLS | 16 KiB in live traffic, [`session::MAX_EVENTS`] events | the rest is one event |
//! | what the session sends of itself | 64 lines, and what rules make of one call | the user's rules; 64 KiB of answers that are not read stop the reading |
//! | batches that wait | [`net::queue`]: 8 MiB, weighed with all that events own; a quarter of it a connection | batches of one connection or many: asked for before they are made |
//! | batches from files | `verb/read.rs`: 8 groups of 256 KiB, weighed alike | events a byte |
//! | commands in flight | 4096 (1024 with tags); of each, a session keeps 128 bytes of tag and 64 of verb, an exchange 64 of tag, 64 of verb and 96 of arguments | length of a tag or line: cut |
//! | responses on which a delay or throttle has acted | `rules/limit.rs`: 64 a connection, the latest | commands in flight: one that was forgotten is delayed again |
//! | findings that a verdict repeats | `explain/outcome.rs`: 16 of 320 bytes, with 72 bytes of their line; the rest is counted | length of a line: cut |
//! | names that a server offers | 256 names and 32 KiB | length of a name |
//! | secrets that are remembered | 8 of 4 KiB | |
//! | what `lint` reports | `sink/lint/report.rs`: of each check 64 findings with 5 places each, of sentences of 600 bytes and lines of 66 columns; the rest is counted, and judged | findings: equal ones are one; length of a line: cut |
//! | what a run comes to | `exchange/run.rs`: of each kind of verdict 8 sentences of 256 bytes; 128 names of 64 bytes in each of three lists | connections: counted |
//! | data that is shown whole (`--body all`) | `sink/bulk.rs`: 1 MiB a block, 32 MiB in all | blocks under way |
//! | segments that wait in a capture | `foreign/lane.rs`: 1 MiB a connection, 64 MiB in all, 96 bytes more a segment | bytes a segment |
//! | early bytes that an answer may repeat | `session/early.rs`: 4 KiB are looked at | of more, the rest of the server's line is hidden |
//! | text in the place of TLS in a capture | `verb/foreign.rs`: 4 KiB a connection, until the other peer speaks | |
//! | waits that are told | [`session::silence::MOST`] a silence; `verb/deadline.rs`: 65,536 a file | the times in a file: both bounds |
//! | a line of a recording | [`recording::MAX_LINE`]; a batch of 1024 events or 256 KiB | |
//! | what connections of other programs' files keep back | `verb/foreign.rs`: 64 MiB in all | connections: each gives up what it adds beyond |
//! | connections | `--max-connections`; 10,240 in a file | what each costs: the rows above |
//!
//! # Modules
//!
//! | module | knows | may import |
//! |---|---|---|
//! | [`event`] | the shared nouns; no logic | nothing |
//! | [`problem`] | mistakes of the user, with place and remedy | nothing |
//! | [`wording`] | how numbers, times and suggestions are said | nothing |
//! | [`grammar`] | what words mean and what follows them, from TOML | event |
//! | [`exchange`] | connections, commands with their replies, and what a run comes to; facts, no words | event, grammar, wire |
//! | [`mod@check`] | the kinds of violations: ids, severities, sections, what to do | event, grammar |
//! | [`wire`] | where texts end and how they read; octets only | event |
//! | [`rules`] | what the user wants changed, and what shown | check, event, exchange, wire |
//! | [`session`] | one connection: lanes, and who waits for what | event, exchange, grammar, wire, rules |
//! | [`explain`] | what events mean | check, event, exchange, grammar, wire |
//! | [`anonymise`] | what of a recording names somebody | event, grammar, wire |
//! | [`mod@file`] | files that are written: whose links are followed, what is there already; how much is read of small ones | nothing |
//! | [`sink`] | how things look | check, event, exchange, file |
//! | [`recording`] | what connections reported, in a file | event, exchange, sink, wire |
//! | [`foreign`] | what files of other programs hold: transcripts, raw logs, captures | event |
//! | [`net`] | sockets, TLS, time, the queue; not what octets mean | event, file, session |
//! | [`cli`] | flags, declared once | nothing |
//! | [`verb`] | everything: here the parts meet | all of them |
//!
//! Everyone may import `problem` and `wording`. `tests/house/architecture.rs` holds this table against the sources, and sees to it that
//! the core names no clock, thread or socket.
//!
//! # Decisions
//!
//! - **The session is sans-io and cannot fail.** There is no error type in wire, session and explain: what is not
//!   understood is [`event::Kind::Unknown`], and relayed; of a server's it is shown in full. Mistakes of the user are one type,
//!   [`problem::Problem`]; they are raised by rules, grammar, sink and net as well as verb, always before the first
//!   octet is relayed, so the type belongs to nobody.
//! - **Tap and edit are one path.** A lane is in edit only if a rule can touch it ([`rules::Rules::touches`]); a
//!   condition such as `from == server` is evaluated in advance, with three values, to find out. The first line of a
//!   log says which lanes are.
//! - **Edits are spans of the original.** No message is serialised anew. An edit that would change the line end, the
//!   announced literal, or break the line is refused, and the refusal is an event, not silence.
//! - **Variation has a map** (`rules/vary`): readers of their own, stricter than those of [`wire`], say where a text has keywords, strings
//!   and lists without order, and what they do not know stays. The ways take turns, each on a fresh map. Literals come last of
//!   all rules: the octets that leave are then several texts, while the lane goes by the text as received, whose own literal
//!   stays at the end; so no other rule, and no list of capabilities that we read again, has a literal in it.
//! - **Rules run in the order of writing, options in an order of their own**: `--caps-like`, `--only-caps`,
//!   `--drop-cap`, `--replace-cap`, `--add-cap`. On a command line the order of flags is chance; this one gives each flag the
//!   effect that it names.
//! - **The exchange is learned once** ([`exchange::Connection::follow`]): the explainer has its connection follow each event, after
//!   secrets are masked and before anything is said of it, and lends the connection with the event ([`exchange::Explained`]). So no
//!   sink needs to see events that it does not show, and all agree on which command an event belongs to. What answers nothing has
//!   none; untagged data belong to the oldest command that waits, which is marked as a guess.
//! - **A verdict accuses nobody whom no finding accuses** (`explain/verdict.rs`), but a server that closes the connection while it owes
//!   an answer. What was refused, who waited and where the client stopped are facts, which accuse nobody, and none of them is
//!   concluded from what is missing. It rests on `explain/outcome.rs`, which keeps findings, one refusal and the last line, so that
//!   its cost does not grow with the session. A refusal counts until something succeeds after it; that of a login, until a login does.
//! - **A filter is a condition over explained events** ([`rules::filter`]), in front of each sink that is for eyes and of no
//!   other: recordings stay whole. It judges a frame by its first text: a part that is looked at by itself can say yes, and never no
//!   (three values again), or `!(text ~ FETCH)` would show the literals of FETCH. Sinks are told of what they do not show, for
//!   their marks depend on it; the log says how much is missing.
//! - **A recording holds events, not octets** ([`recording`]): how chunks were cut, what a rule did, when what happened and which
//!   octets are secret cannot be found out from octets, and a session that ran again over what was hidden would go other ways.
//!   It holds no explanations: the explainer runs again ([`explain::Explainer::of_recording`]), so that a better one explains old
//!   recordings better. Its vault is sealed then: filler is no secret to be remembered. What it found before it
//!   overwrote a secret ([`event::Decoded`]) is in the file, for it is lost with the secret. The first line of each part of a recording
//!   says when the recording `began`: by that, and by all else that it says, a part is known as the next one of the same
//!   recording ([`recording::Head::goes_on`]), and not one of the same name that an older recording has left. A file is as hostile as a peer: sizes
//!   are bounded, spans are checked ([`recording::Reader`]), and what is wrong costs its line. What the writer puts most often is read by hand
//!   (`recording/quick.rs`), and serde says what is right.
//! - **What another server lists is read by the readers of [`wire`]** (`rules/like.rs`), line by line, from whatever a person has kept: it
//!   only takes away, so that what is misread costs a capability, and invents none.
//! - **What rules count lies in the session** ([`rules::Progress`]), not in the rules, which all connections share: so a run does
//!   not depend on how connections come together, and chances (a generator of our own, the seed plus the connection's
//!   number) are the same in every run.
//! - **A dry run is a tap** that asks the rules all the same; what they would do is in the event, and goes nowhere.
//! - **What we say ourselves pairs with nothing but what it answers** (`session/own.rs`). A refused command keeps its place among those
//!   that wait, so that its answer comes in its turn; a reply of the server's never finds it there. A command of ours to the
//!   server waits like any other, and what answers it is not sent on. Where we may have to speak, the server's lane is in edit: so
//!   no incomplete line of its stands before our words, and inside DEFLATE there is a compressor.
//! - **A rule that answers commands is never too busy for one** (`Session::waits`): while so many wait for their replies that no
//!   further answer could be kept in its turn, the client's next command is not taken. What still comes of a command that was taken
//!   away (DONE, a SASL response) is taken away, too: the server would read it as a command.
//! - **A wait is an event** ([`event::Wait`]), and its time is the threshold, not the moment at which somebody looked: so the log of a
//!   recording is the live one, also of a file that was cut off. What is owed is a look at the session's state (`session/owed.rs`); when to
//!   look is counted without a clock (`session/silence.rs`), for a socket's driver (`net/pump/silence.rs`) and a file's
//!   (`verb/deadline.rs`) alike. Live there is a timer only while somebody owes something. It is not set anew with each byte: when it
//!   rings, it looks whether anything moved.
//! - **A finding waits for its proof** (`explain/early.rs`, `kin.rs`, `enabled.rs`, `refusal.rs`). What a healthy peer may do is a note, and the
//!   finding comes with the answer that shows that it was none: EHLO before the greeting, a name that ENABLE asked for, a greeting
//!   that names LMTP. A refusal judges no credentials that were not sent. Replies to what is no command are counted
//!   (`Dialogue::spare`), so that they accuse no server.
//! - **Another mail protocol is told by its first line** (`wire/foreign.rs`). A server's lane is not read any further then; a client's is, line by
//!   line, with all but harmless verbs hidden, for a server may repeat what it does not understand.
//! - **What is enforced is what the client was offered** (`session/enforce.rs`): a use is refused if an enforced rule takes away a
//!   capability that allows it, and none that allows it is in the last list that the client got. The rules name capabilities; which
//!   uses they allow is in the grammar; where its words stand among the arguments of IMAP is in `grammar/argument.rs`, which the explainer asks too. A command
//!   that needs nothing, but that one capability and no other enables (USER of POP3, VRFY), is refused with that.
//! - **A dropped text takes along what belongs to it** ([`session::lane::Fate`]), to the next text that begins a frame. A literal that
//!   would have waited for leave is taken for granted if the command was dropped, and is not expected if we answer it.
//! - **An emptied ENABLE names X-HIDDEN.** ENABLE without a name would be an error, and dropping the command would
//!   leave the client without an answer; servers pass over names that they do not know (RFC 5161 section 3.1).
//! - **Early octets are relayed at once and read later.** What a client sends before the server has allowed a
//!   literal, a SASL response or TLS cannot be classified yet. Holding it back would change the conversation, and
//!   showing it could show a password. So it leaves at once, and a bounded copy waits for the answer
//!   (`session/wait.rs`). If the copy is full, the likeliest answer is assumed. What turns out to be a text then is
//!   on its way already: rules that match it are reported as refused.
//! - **What an answer repeats of early bytes is hidden** (`session/early.rs`): nobody has read them yet, so that each of their words may be
//!   a password, as it is or in base64 ([`wire::coded`], by which the explainer looks for echoes, too).
//! - **The dialogue follows the text as received**, not as edited: what a rule makes of a line changes what the other
//!   peer sees, and not how this lane goes on. That is safe because an edit may not change framing. A rule that turns
//!   one command into another makes the pairing of its answer wrong; the log shows both lines.
//! - **Secrets are found in the session and masked by the explainer, in the arena.** The session knows what a line
//!   belongs to, and marks the spans; the explainer decodes first, then overwrites the octets, so that no sink sees
//!   them and none has to know. It remembers a few secrets to mask echoes. `Debug` of a batch, scene or edit prints
//!   counts only.
//! - **A call does a bounded amount of work** (`session/amount.rs`), in events, in bytes of text, and in what it costs to inflate: a
//!   peer chooses how many events a byte becomes, and DEFLATE how many bytes. What a call leaves comes first in the next one. So a
//!   call may take nothing, and the last byte of a chunk comes again while there is something left to do: the driver need not
//!   know what. Back-pressure does the rest; a stream is never given up because it grows.
//! - **A run of empty lines is one event** (`session/blank.rs`), after the first three: none says more than the one before. Rules
//!   still see each of them, and one that a rule acts on is a text.
//! - **Hiding fails closed** (`session/secret.rs`, `session/suspect.rs`). A client's line is shown because it reads as a known command, never
//!   because it looks harmless: the arguments of an unknown command are hidden in every state. Where a line may be an answer
//!   (after a login, before a greeting, after an unexpected continuation request or a gap), all of an unknown one is hidden;
//!   known commands end the distrust.
//! - **What a file lacks is an event** ([`event::What::Gap`], `session/gap.rs`). What was under way is over then, and what fits nothing
//!   is no oddity. Until the state of the session is known again ([`exchange::Missing::unsure`]), the explainer withholds findings:
//!   a tag shows it, and where replies have none, two commands in a row with one reply each, and a reply that sets a state or to a
//!   command that needs a single one. Where there are no states that is not needed, and where nothing answers anything (IRC) a whole
//!   line of each peer proves all. A state that the user gives is believed until a reply that may be to what is missing, or a
//!   command that does not fit it. For the rest of the connection a reply too many accuses nobody.
//! - **A server that may have read data as commands is counted with** (`session/gap.rs`): a refused BDAT of a server that did not offer it,
//!   an empty line before a 500, a message for nobody knows how many recipients ([`event::Oddity::Misread`]). From there on it is as if
//!   bytes were missing, until all replies that may come have come and one command is answered alone.
//! - **A file's end ends what is open in it** ([`recording::Reader::close`], `verb/foreign.rs`): [`event::Closer::Unseen`], at the time of the last
//!   event, so that there is a summary and a verdict, which accuses nobody for what may come after.
//! - **What a log leaves out is not searched for** (`session/abridged.rs`). Where each chunk is a line of a log, a literal or message of
//!   which nothing came ends with the first line that only what follows it can be. Its size is what the log says.
//! - **A transcript is dressed in one style** (`foreign/style.rs`): that whose marks fit most of the first lines, with one peer each, after
//!   prefixes of few shapes. A file in which no style has both peers, or a peer that says what a protocol begins with, is refused.
//! - **A beginning has a shape** (`foreign/start.rs`). The lines of a connection wait (`foreign/talk.rs`) until they tell the protocol, and
//!   whether the first of them are a greeting and what follows one. Where they are not, the connection begins in the middle. A
//!   second greeting, or a line after a farewell, is another connection's.
//! - **A capture is put into the order in which the peers knew things** (`foreign/lane.rs`): a segment waits for the bytes that it
//!   acknowledges, for 16 to 32 segments; what has not come by then is reported as missing before it.
//! - **Text where TLS must begin waits for the other peer** (`verb/foreign.rs`). If that one speaks plain text too and does not refuse
//!   what it heard, the file is decrypted; otherwise the text is a fault. Live, where nobody decrypts, it is a fault at once.
//! - **What is said of an input quotes nothing of it.** It did not pass the explainer, which masks, nor the anonymiser: a place,
//!   a size and what was expected have to do. That holds for remarks of readers and for panics.
//! - **Nothing is derived from bytes that are hidden**, but for what [`event::Decoded`] keeps: or a recording would say something else
//!   than the live log did. `tests/recordings/live_and_read.rs` plays mistakes to see to it.
//! - **A name is a claim until the server accepts it** (`explain/sasl.rs`). Nothing in a message says which field is the password, so order
//!   and length prove nothing: messages are read strictly ([`wire::sasl`]), and one that is not wholly of its mechanism's shape is hidden
//!   whole. A name beside a password is shown at once only if it is an address ([`wire::name`]); any other one counts as a
//!   secret, for echoes too, until the reply that accepts the login, which brings it along for recordings ([`event::Decoded`]). Even
//!   then it stays hidden if the other field is spelled more like a name. Of what has no shape, each part is looked for in what servers say.
//! - **Understanding is off the byte path.** The queue holds 8 MiB, of which one connection has a quarter, and the last eighth is for
//!   those that have little in it: a flood delays no other connection. Who finds no room does not read, for one second
//!   ([`net::Limits`]), then goes on without the log; [`event::What::Lag`] counts what is missing. Openings and
//!   closes are never lost. After a gap the explainer concludes nothing from what was under way. Room is asked for before a batch is
//!   made, so that none waits outside of the queue, and a connection yields its worker after each call that has more to do.
//! - **What is not there is told, what is not so is an answer**: `--conn`, `--since` and `--until` name a part of a file, and if the file
//!   has no such part that is an error with what it has (`verb/extent.rs`), though all of it was read. A filter is a question, and may
//!   be answered by nothing.
//! - **A recording has so many connections open at once** ([`recording::MAX_OPEN`]), somewhat more than `proxy` takes by default: each costs
//!   an explainer, and a file of a few octets a connection would buy a lot of memory.
//! - **Anonymising is a step before the explainer**, on the batch, in place and of the same length: all spans stay valid, notes are
//!   made of what is left, and every output has it for nothing. It fails closed: a word stays because it is on a list, never because
//!   it looks harmless. Names are replaced word by word, by a keyed hash; bodies are filled, for a text of replaced words could be
//!   guessed. Structures of [`event`] are taken apart there field by field, so that a new field does not compile unseen.
//! - **The second opinion is sampled.** imap-proto parses responses as a strict client would. It recurses, can panic,
//!   and refuses much that is legal, so it is asked where it is known to be right, behind a measure of size and depth
//!   and `catch_unwind`; about the first [`explain::imap::ALL_OF`] responses of a connection, then one of
//!   [`explain::imap::ONE_OF`].
//! - **Four arms, polled by hand.** A pump reads from a leg only if what it read before has been sent on and its
//!   events found room. A loop that awaits the write of what it has read would block for ever when both peers flood.
//!   What an arm does is one value, its gate, computed from state (`net/pump/gate.rs`); an arm acts on nothing else. A turn is
//!   the last one only if nothing moved and no gate differs from what it was when the turn began. So each open arm was
//!   polled as it is, and its socket or timer wakes the task: no wake-up can be lost.
//! - **Idle connections own no buffers.** Read buffers belong to worker threads and are lent for one read; a lane
//!   that could not write takes the buffer along. What is remembered of each is kept as octets, and nothing large lives
//!   across an await outside of the pump's box; two tests hold the sizes.
//! - **TLS is inside a leg** (`net/leg.rs`); nothing above it sees a difference but events. The session is told nothing: for it
//!   the octets are plain. The server leg with its handshake comes before anything is read from a plain client; the handshake
//!   of a client runs meanwhile. What a layer has taken and its socket has not is flushed by the pump's write arm, and is
//!   bounded by rustls. There is no resumption: each handshake shows its certificate, and what is made of it.
//! - **Old clients are OpenSSL's, all others are rustls's.** The first message of a client is read before anybody answers it
//!   (`net/tls/hello.rs`), and put back. Only if it shows that rustls cannot serve that client (TLS 1.1 at most, no ECDHE, no
//!   signature of our key) does it go to OpenSSL, and only with the feature `legacy-tls`; otherwise what it lacks is the
//!   sentence for the log. Errors of OpenSSL are said as those of rustls, so that every sentence is made once. RSA
//!   certificates have an RSA authority: whoever knows RSA only cannot verify another one's signature.
//! - **TLS in the middle is the driver's work, at the session's word.** Behind a client's STARTTLS the session takes nothing
//!   from it ([`session::Session::waits`]); the server's consent is not sent but handed over ([`session::Outbox::upgrade`]).
//!   The pump secures the server's leg, sends the consent, secures the client's, and goes on with the same session. What
//!   was read before a handshake and is none is reported as slipped in. Where TLS is our own work on one leg (`+starttls`), the
//!   session says what is to be said (`session/starttls.rs`): to the server before anything is relayed, to the client once
//!   all before its question is answered. Such lines go through the same reading and pairing as those of peers. A driver that cannot do this does not ask for it
//!   ([`session::Session::following_tls`]), and what follows is relayed unread. What a client says after its STARTTLS
//!   waits in the driver, is reported with the time at which it came ([`session::Session::receive_late`]), and is released if
//!   the client ends.
//! - **What a list offers is the work of rules, ours too**: a route with `+starttls` for clients has two rules more, with a
//!   condition on `tls`, and no other code knows of that list.
//! - **TLS between the peers is due, not begun**, behind a consent that we do not follow: the next line that begins with an octet
//!   of a TLS record begins it, and only its hellos are read (`wire/hello.rs`, a reader of our own: the crates parse what is
//!   there whole, and names of suites are rustls's). Text that comes first is read, with its secrets hidden, and no rule acts.
//! - **A leg that is to have TLS cannot lack it.** A route holds who we are and whom we believe ([`net::Route`]), not a
//!   flag beside them; without a verified certificate no leg comes into being, and so nothing can be relayed to it.
//! - **Everything wrong with a certificate is told at once**: dates, chain and name are judged apart (`net/tls/trust.rs`) and said
//!   in words (`net/tls/fault.rs`), by the same code with `--insecure` and without. A certificate of `--server-ca` may be the server's own.
//! - **The roots are the system's.** Roots in the program would grow old, and believe whom an administrator has ceased to.
//! - **The local authority is one file**, key and certificate together, put in its place by a link: of two processes that
//!   start at once one wins, and nobody sees half of it. The certificate for clients is a copy.
//! - **Faults are places among the octets.** The session knows no clock: it puts a fault between two pieces of what a peer is to
//!   get ([`session::Step::Fault`]), and ends what lasts behind its frame (`session/fault.rs`). A lane of the pump has marks at these
//!   places (`net/trouble.rs`), and writes up to the next one; while one waits the lane is not empty, so that the other peer
//!   is not read, as with any peer that is slow. Without faults this costs a branch. A place within data is counted in octets as
//!   received; a lane in which a fault may act is in edit, so that a text is whole before something happens to it.
//! - **A delay or throttle is for a response** ([`rules::Response`]): the first line that matches has it, and none of the same exchange
//!   after it; a throttle ends once the exchange has its last reply. Where a line turns out not to have the byte that it was to
//!   stand behind, the next one may.
//! - **What a rule does to the connection is not what it does to the text**: [`event::Edited`] has both apart, for a text with a fault
//!   is sent as it came. Latencies are measured when octets come, and a delay of ours is not in them.
//!   After a stall, close or reset no rule acts in that direction, and one that never came to pass is reported as missed: so
//!   each of them counts once.
//! - **A protocol is a table and a small reader.** What may follow a command is one of a few words
//!   ([`grammar::Then`]), and lists, secrets and states are keys. There is no language in the tables.
//! - **Forms** ([`event::Form`]) say how lines look, and are all that tells protocols apart in the core: [`wire`] has a reader
//!   for each, the session asks the form how many lines make the next text (`session/read.rs`), and everything else is in
//!   the tables. No module but [`explain`] asks which command this is (the session does of two: RSET is no
//!   greeting, and USER names who logs in), and none which protocol. Where explanations need the
//!   number of a section, `check/` has it.
//! - **Without tags, order is all there is.** A reply answers the oldest command; a count says how many it has (LMTP, PRDR). A
//!   reply too many is said once, and pairs again as soon as a command is alone. Of commands that are too many to be kept,
//!   the newest lose their pairing, so that those before them keep theirs (`Dialogue::queued`).
//! - **A reply of several lines is one text**, so that a rule can take a line out and mend the marks of those beside it. What is
//!   longer than a text is relayed as data to its own last line, not to the end of a line, or its rest would read as
//!   replies and shift all pairing.
//! - **COMPRESS is a layer of the session**, not of a leg (`session/deflate.rs`): in a tap the compressed octets pass untouched and
//!   a copy is inflated, which the leg could not do. In edit the lane is compressed anew (a little is not compressed at all, for
//!   a compressor is large). What grows is read a window at a time, and its ratio means nothing.
//! - **Inflated bytes are evidence once their block is complete** (`session/inflate.rs`): peers end a block with each flush, so a
//!   healthy session is read at once, and of a longer block a window full is enough. Until then the compressed bytes are kept,
//!   and where the stream breaks it is they that are reported and, in edit, sent on, after empty blocks up to the bit at which
//!   their block began: the receiver inflates exactly what it would have. A line at a border of blocks is plain text in the
//!   place of DEFLATE, and is read ([`event::Oddity::InsteadOfDeflate`]). UNAUTHENTICATE ends the layer after the flush in progress.
//! - **What a layer leaves has one owner.** What is held of a text leaves inside the layer in which it came (`Lane::gone` says how
//!   much), before the layer ends, breaks, or the lane does; what was taken and not read leaves after it, as it came.
//! - **A message ends where the standard says.** What a server may take for its end is noted as it passes, and 64 KiB behind
//!   the first such place are kept. If the server then answers more than it was asked, or before the end, those octets are
//!   read again as commands, as it reads them (`session/message.rs`). All octets are reported once all the same: a lane counts what
//!   it reads again, and a text or block says how much of its beginning that is ([`event::repeated`]), so that outputs that keep octets pass it over.
//! - **A command is a guest** (`verb/child.rs`): it is started when all routes listen, and told where in its environment. It has the
//!   standard streams for itself unless the log needs one of them; then its lines are escaped like a peer's. Ctrl-C reaches it
//!   without us, so only SIGTERM is passed on. A program that there is not is a mistake, and found before a socket opens.
//! - **The end does not depend on outputs** (`verb/ending.rs`): a thread with a runtime of its own sees the first signal too, and
//!   ends the process if the rest has not done so in time. Nothing that can block (a pipe, a terminal) runs on it.
//! - **A run is what a log shows**: each sink that people read gathers the connections that it is given ([`exchange::Run`]), behind
//!   filters and selections, so that `--conn` and `-f` end with the sum of what stands above, live and in `read` alike. Verdicts are
//!   one if their causes differ in numbers only; of each kind a few are kept and all are counted, so that a flood of one kind hides
//!   no other. A run of one connection says nothing.
//! - **A probe is a client that reads with the session's eyes** (`verb/probe/talk.rs`): what it says and hears goes through a
//!   [`session::Session`] and an [`explain::Explainer`], so that it has no reader and no masks of its own; TLS begins at the session's
//!   word. What it knows itself is what to say (`verb/probe/dialect.rs`), and the password, which it takes out of names and
//!   values too (`verb/probe/blot.rs`). It is driven by turns, with a time and a number of octets for each answer.
//! - **A page is written in the order of time and read in the order of interest.** The log streams into the file, the account of a
//!   connection behind its last line, what is wrong at the very end; the style sheet (`order`) shows the last first. So nothing has to be kept but
//!   counts, a page that was cut off anywhere is one, and no second pass rewrites a file. Markup is made by one type
//!   (`sink/html/markup.rs`) that takes tags as constants only; a policy with the hashes of our style and script forbids all others.
//! - **A page filters by itself, by the conditions of filters.** What a filter would ask of an event is told to the page
//!   ([`event::Known`], by `rules/filter/known.rs`), and stands in an inert template behind the line; octets are read
//!   from what the line shows. The language is there a second time, in `sink/html/condition.js`, and so are regexes
//!   (`regex.js`): those of browsers read another language, and may never end. `tests/outputs/page.rs` holds both against the first, in a browser.
//! - **A report is judged as it grows** (`sink/lint`): whether a finding counts is decided when it comes, by check and fingerprint, so that
//!   what there is no room for counts as well, and the exit code does not depend on a bound. A fingerprint is made of facts (check, culprit,
//!   command, kind of line, span), never of our sentences, which may be worded better. The sink gathers and knows no files: `verb/lint.rs` reads
//!   one after the other through the pass of `read` (`verb/source.rs`), and `verb/gate.rs` puts the same sink beside the outputs of a proxy.
//! - **Times of answers are counted in steps of a logarithmic scale**, not kept: a plot leaves none out, and costs the same for any number.
//! - **Lines of JSON are flat**, and called as the fields of conditions, so that one learns them once; what only one kind of event has
//!   stands in an object of its name. The schema is a file beside the writer, and a test sees to it that neither has what the other
//!   lacks. There a secret is one word, for its length would be told by as many `*`; in raw octets it must keep its length.
//! - **A file is judged once it is open, and before a byte of it changes** ([`mod@file`]). Paths are walked folder by folder: links of this
//!   user's and root's lead on, those of others do not, and in a folder that others can write to no file of theirs is written to.
//!   A recording that holds something is evidence, which only `--force` overwrites; a lock keeps a second process out of it. The
//!   part of a recording whose name is taken gets the next number.
//! - **A folder of raw octets holds one session**, and no file stays open: what has gathered is appended in one go, so that
//!   the number of connections needs no bound, and nothing is written to a file that this process has not made.
//! - **A capture has what was received, and a stream for each layer** (`sink/pcapng.rs`). What a rule sent on instead is a comment.
//!   Dissectors take what follows a consent to STARTTLS for TLS, and COMPRESS may come to that; so what lies inside goes on as
//!   another TCP connection. What our log lacks is a hole in the numbers, as in any capture. The writer is ours, for it is small
//!   and its times must be exact.
//! - **Foreign files are read without belief** ([`foreign`]): no length is allocated before its octets are there, what waits is
//!   bounded for each connection and for all, and damage is a remark with its place. Of octets that come twice the first ones
//!   count. What the other side has acknowledged and the capture lacks is given up after a few segments, not waited for.
//! - **Dialogue files are the main tests**: a claim, what is sent, what must arrive, and the log. Each runs in five
//!   chunkings.
//!
//! # Three walks
//!
//! `* CAPABILITY IMAP4rev1 IDLE MOVE` arrives in two reads, cut inside `IDLE`, with `--drop-cap IDLE`.
//! [`wire::Framer::cut`] gives a part, which the lane, being in edit, holds. The second read completes the text.
//! [`wire::imap::read`] finds the list; each of its items has a span with the blank before it. The rule cuts that
//! span; the reading of what is left announces the same literal (none), so it is sent. The event has both texts. The
//! explainer compares them, gives the entry a fate, and the sink strikes it out.
//!
//! `* 1 FETCH (BODY[] {50000000}` and its literal: the text leaves and is reported at once. The lane now expects
//! 50,000,000 octets, which are ranges of the reads that they came in: counted, relayed, the first
//! [`event::MAX_HEAD`] kept. The data event comes at their end, and the `)` is a text of the same frame.
//!
//! `MAIL`, `RCPT`, `RCPT`, `DATA` arrive in one read, and only the second recipient is refused. Each command is put in flight;
//! behind DATA the lane waits, for what comes next is a message or a command. The four replies are texts of one line each
//! and answer the oldest command in turn: the third finds RCPT, counts one recipient, and the 354 finds DATA, which wants
//! it. Now the lane expects lines to a dot. Had it been 503, what the client sent ahead would be read as commands.
//!
//! # How it grows
//!
//! | to add | touch |
//! |---|---|
//! | a word of IMAP | `grammars/imap.toml`, and its name in `tests/data/names.txt` |
//! | an action | `rules/action.rs`, its syntax in `rules/parse.rs`, and what it does in `rules/draft.rs` (to a text) or `session/edit.rs` (to more); a dialogue |
//! | a fault | `rules/fault.rs`, its syntax, and `net/trouble.rs`, where it happens |
//! | a field of conditions | a row of `FIELDS` in `rules/condition.rs`, its fact in `rules/fact.rs` and `rules/filter.rs`, what `explain` says (`rules/book.rs`), and the table in `sink/html/condition.js` |
//! | a check | a row in [`mod@check`], in the file of its protocol; [`event::Oddity`] where the session sees it, or a finding in [`explain`]; its id in `sink/html/condition.js`; a dialogue that has it and one that has not; the floors of `tests/explaining/incidents.rs` |
//! | something that can be owed | [`event::Owed`], where `session/owed.rs` sees it, its words in `explain/waiting.rs`; rows in `tests/explaining/waits.rs` |
//! | a form of foreign files | a module in `foreign/`, and how it begins in [`foreign::Kind::of`] |
//! | a kind of event | [`event::What`], its line in `recording/line.rs`, what the sinks make of it; a dialogue, which is recorded and read again by itself |
//! | a form of reports | a file in `sink/lint/`, a word of [`cli::ReportFormat`], an arm in `verb/lint.rs`; a row of `tests/outputs/lint.rs` |
//! | an output | a file in `sink/`, its name in [`sink::KINDS`], an arm in [`sink::open`] |
//! | a layer | in a leg (TLS): `net/leg.rs`, and `net/upgrade.rs` for one that begins in the middle; in a lane (DEFLATE): `session/deflate.rs`. [`session::Session::receive`] may take less than a chunk: the driver comes back with the rest |
//! | a protocol | a file in `grammars/`, a row of [`grammar::BUILTIN`], another scheme than its name in `verb/protocols.rs`; a reader in `wire/` where the form is another |
//! | a protocol to probe | a row of `verb/probe/dialect.rs`; a script in `tests/cli/probe.rs` |
//! | a flag | [`cli`], its use in [`verb`], a test in `tests/cli/`, the README |
//!
//! # Known traps
//!
//! - `{5}` at the end of human text (OK, NO, BAD, BYE, `+`) is no literal, and neither is one inside an open quoted
//!   string: strings end with the line.
//! - A refused literal is never sent: the tagged NO in place of `+` ends the command, and the next octet begins
//!   another. The octets of `{n+}` come even after a refusal.
//! - `{18446744073709551615}` and longer numbers saturate; they are only ever compared and counted down.
//! - A `]` inside parentheses does not end a response code at Gmail.
//! - `+` pairs in the order of waiting. Some servers answer `{n+}` with one all the same.
//! - A security layer may begin after a successful AUTHENTICATE. Its first octet is NUL, with which no line begins.
//! - A TLS stream takes octets that its socket does not: without a flush they would wait for the next write.
//! - rustls blames a missing extension where a client is too old; its first message tells the truth (`net/tls/hello.rs`).
//! - OpenSSL wants a write that it did not finish again, with the same octets at least. A lane keeps them, and may add to them.
//! - OpenSSL 1.1 says nothing of an end without close_notify; whether the socket has ended tells it (`net/tls/legacy_stream.rs`).
//! - TLS and binary PROXY headers are recognised by the first octets of a lane, which may come one by one.
//! - A STARTTLS may be understood late, from what waited for another answer: what came behind it is on its way then, and is
//!   reported when the consent comes. Who steps out of the loop of octets has to ask whether a layer began meanwhile.
//! - `AUTH` in POP3 without an argument asks for a list; with one it begins an exchange.
//! - A 421 of NNTP is no farewell, a 1yz there is an answer, and a 331 of FTP is one too: the grammar says so, or nobody waited.
//! - Octets of BDAT come even if it is refused, and none come if their number is no number.
//! - In ManageSieve the listing of scripts looks like a list of capabilities, and a reply whose text is a literal ends one line
//!   later.
//! - Commands behind STARTTLS in the same segment are shown as injected, and never move the state.
//! - A failed SELECT closes the mailbox that was open; in any other state it moves nothing.
//! - Notes may quote a peer: only sinks escape, and everything that a sink writes must pass through `sink/escape.rs`.
//! - Tags, verbs, names and commands in flight are a peer's: everything that remembers them has a bound beside it.
//! - Golden logs have no clock: the driver of a test gives the time.

pub mod anonymise;
pub mod check;
pub mod cli;
pub mod event;
pub mod exchange;
pub mod explain;
pub mod file;
pub mod foreign;
pub mod grammar;
pub mod net;
pub mod problem;
pub mod recording;
pub mod rules;
pub mod session;
pub mod sink;
pub mod verb;
pub mod wire;
pub mod wording;
