//! The words that may stay: those of the protocols, and what servers say to everybody. Whatever is not listed is replaced, so
//! a word that is missing here costs a reader a little, and one too many may cost a user his name: no given names, no places.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::grammar::{BUILTIN, Grammar, mechanisms};

/// Words in lower case.
pub type Words = HashSet<Box<[u8]>>;

/// What replies consist of.
const REPLY: &str = "a abort aborted about ahead accept accepted access account action active again all allowed already also an and \
another any anymore appended are argument arguments article articles as at attempt attempts authenticated authentication \
authorization authorized available awaiting bad banner be because been before begin begins being block body bound box busy but by \
bye bytes cached can cannot capabilities capability cert certificate challenge change changed character characters charset check \
checked choose client close closed closing code command commands complete completed compress compression configuration connect \
connected connecting connection connections contain contains content continue convince copied copy could couldn create created \
credentials current currently data daemon database deferred deflate delay delete deleted deliver delivered delivery denied \
deny destination detected did different directory disabled disconnected disconnecting discarded disk do document does doesn doing don \
done dot down duplicate during each early eight elsewhere empty enable enabled encoding encrypted encryption end ended ends enough \
enter entering enhanced entry error errors esmtp exceed exceeded exceeds exist existing exists expected expired expunge expunged \
extension external failed failure fetch fetched few file files finished first flag flags folder for forbidden found from full \
function further give given go goodbye got greetings group groups had has have haven header hello help here hi hierarchy high hold host \
hostname i id identity idle if ignored imap immediately implemented in inactivity inbox incoming incomplete incorrect index \
information initial input insecure instead insufficient int internal interrupted into invalid is isn issued it items its just \
keepalive keyword keywords known language large last later layer least left length less like limit limited line lines list listed \
listing literal local locked logged logging login logins logout long lookup lost low ls made mail mailbox mailboxes maildrop \
maildrops mailing make many marked match max maximum may mbox mechanism mechanisms message messages method min minimum missing \
mode more most move moved much multiple must name names near need needed negotiation network new next no nonexistent noop not \
nothing now number object octet octets of off offline ok okay on one online only open opened opening operation option options or \
order other out over own parameter parameters parse parser password path perform performed permission permissions permitted \
persistent pipelining please plus policy pop port position possible post posted posting pre predicted previous prior privacy problem proceed process \
processing protected protocol provide provided put putscript queue queued quit quota quoted ran rate read reading ready reason \
receive received recent recipient recipients reconnect refused reject rejected relay relaying remember remote remove removed \
renamed replace reply request requested require required requires reset resource resources response responses restart result \
resume retrieve retry returned rights running same saved script scripts search searched secs second seconds secure security see \
seen select selected send sender sending sent sequence server service session set should shut shutdown shutting sieve \
since size slow small smtp so some something soon sorry space specified specify ssl standard start started starting starttls state \
status still stopped storage store stored string submission subscribe subscribed subscription success succeeded successful successfully such \
superfluous supplied support supported suspended syntax system t take taken temporarily temporary terminated terminating text than \
thank thanks that the their them then there these they this those through time timed timeout timeouts times tls to token too total \
transaction transfer transient transport tried try trying turn two type unable unavailable unchanged unexpected unknown unrecognised \
unrecognized unseen unselected unspecified unsubscribed unsuccessful unsupported uids until up updated upgrade use used user username \
users using utf valid validate validity value variable verified verify version very via wait waiting want wanted was way we welcome were \
when where which while will with without won word would write written wrong yes yet you your zero";

/// Programs that servers name in their greetings: their makers' names, and none of a user's.
const PROGRAMS: &str = "imapscope debian ubuntu cyrus zimbra courier dovecot exim gmail gimap gsmtp postfix pigeonhole sendmail exchange microsoft stalwart";

/// What imapscope itself says: in rules, in notes that are kept, of certificates and connections.
const OWN: &str = "texk kxte kxten authcid authzid pass username cnonce nc qop uri charset algorithm maxbuf cipher stale rspauth lacks auth domain \
workstation session lm nt ir bearer gs2 ext after allowlist anybody apart as aside authority authorities before behind belong belongs between ca clock cn \
country day days delayed differ directory drops dropped earlier else everything expires forgery goes hides imapscope intermediate \
issuer itself key known legacy longer lasts locality machine might names nobody none ns os organization over own ours part peer \
peers refused renewed replaced rsa root roots self served short signed sign signature slowed somebody somewhere stall stalled subject such \
suite system talks them time trust trusted trusts two unreachable vouch vouches waited went what whoever whom whose renew reset resets \
resolve resolved lookup temporary failure broken pipe unreachable route host address addresses timed timeout handshake alert fatal \
bits chain critical extension constraint constraints basicconstraints nameconstraints pathlenconstraint purpose safe sha leaf \
anonymous challenge channel binding nonce salt iterations proof digest realm response trace mechanism guest hidden octets scram \
initial empty without says logs admin acts once times chance enforced with when drop add only replace hide relay follow decode cap caps starttls compress capability capabilities s \
text code insert refuse delay throttle slice close at byte from conn protocol state command tag status latency size tls rule check \
user client server in matches literal body interrupt interrupted idle limit max connection connections ended ends";

/// Fields of messages whose names may stay.
const FIELDS: &str = "accept approved archived arc at authentication auto authenticated autocrypt autosubmitted bcc bounces bulk by cc \
cancel comments complaints content control conversion date delivered delivery description disposition distribution dkim \
domainkey duration encoding encrypted envelope errors expires feedback filter followup for from gm google header help id identifier \
importance in ip injection injector keywords language length level lines list location loop mailer mailing md5 message mime msgid \
newsgroups notification options organization original originating owner path post posted posting precedence priority received \
recipient references reply report resent response results return seal search see sender sensitivity sent signature sieve spam \
spf score flag status checker virus scanned subject submitted subscribe summary supersedes suppress thread topic to transfer type \
unsubscribe user agent version x xref yahoo features unsent uidl keys apparently ms exchange has attach tnef correlator";

/// Words of MIME: types, parameters, encodings, character sets, dispositions.
const MIME: &str = "text plain html multipart mixed alternative related digest parallel report signed encrypted form data byteranges \
application octet stream pdf zip gzip json xml xhtml rtf javascript pkcs7 pkcs mime signature pgp keys msword vnd ms excel powerpoint \
openxmlformats officedocument wordprocessingml spreadsheetml presentationml document sheet presentation slideshow oasis opendocument \
spreadsheet template tnef x p7m p7s image jpeg jpg png gif webp svg bmp tiff audio mpeg mp3 mp4 ogg wav video quicktime avi message \
rfc822 delivery status disposition notification partial external body headers global news feedback calendar csv css markdown enriched \
richtext directory vcard charset us ascii utf iso windows cp koi8 r u gb2312 gbk gb18030 big5 euc jp kr shift jis ks c unknown \
7bit 8bit bit binary quoted printable base64 uuencode inline attachment format flowed fixed delsp yes no nil boundary name \
filename size creation modification read date type start info protocol micalg md5 sha1 sha256 sha512 sha method request reply \
cancel access smime compressed enveloped certs only differences language part total number id auto generated replied high low \
normal bulk list junk component vevent opaque transparent";

/// Words of dates.
const DATES: &str = "mon tue wed thu fri sat sun jan feb mar apr may jun jul aug sep oct nov dec gmt ut utc z est edt cst cdt mst mdt \
pst pdt cet cest bst";

/// Parameters of a part, and keys of ID, whose values are names.
const NAMING: &str = "name filename boundary id start description version os os-version vendor support-url address date command \
arguments environment access-type site directory server subject url";

/// Words of the protocols that stand nowhere as names of entries.
const PROTOCOL: &str = "return children childinfo tag all min max count update addto removefrom https imaps from to ls req end ack nak del done nil ok no bad bye preauth uid inbox get post put head http ssh proxy tcp4 tcp6 connect options last \
depth infinity shared comment us ascii utf 8 7bit 8bitmime binarymime hdrs never success delay asc reverse and not or jan feb mar \
apr may jun jul aug sep oct nov dec en default i basic collation octet casemap numeric unavailable tempunavail transitioning quota \
maxsize maxscripts nonexistent owner rfc822 mime peek text header fields not in subtree one inboxes selected delayed personal \
subscribed mailboxes messagenew messageexpunge flagchange annotationchange mailboxname subscriptionchange mailboxmetadatachange \
servermetadatachange set none internal anonymous authuser submit";

fn words(text: &str) -> Words {
    text.split_ascii_whitespace().map(|word| word.as_bytes().into()).collect()
}

/// Every word in the names of a protocol's description.
#[must_use]
pub fn of_grammar(grammar: &Grammar) -> Words {
    let mut found = words(PROTOCOL);
    grammar.names().for_each(|name| found.extend(parts(name)));
    found.extend(mechanisms().iter().flat_map(|mechanism| parts(&mechanism.name)));
    found
}

fn parts(name: &str) -> impl Iterator<Item = Box<[u8]>> {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.to_ascii_lowercase().into_bytes().into())
}

static PROTOCOLS: LazyLock<Words> = LazyLock::new(|| {
    let grammars = BUILTIN.iter().filter_map(|(name, _)| Grammar::builtin(name));
    grammars.flat_map(|grammar| of_grammar(&grammar)).collect()
});

/// Flags and attributes that are the protocol's own: what begins with neither sign may be a keyword that somebody chose.
static FLAGS: LazyLock<Words> = LazyLock::new(|| {
    let imap = Grammar::builtin("imap");
    let tables = ["flag", "mailbox attribute"].map(|kind| imap.as_ref().and_then(|imap| imap.vocabulary(kind)));
    let names = tables.into_iter().flatten().flat_map(|table| table.iter().map(|word| word.name.to_ascii_lowercase()));
    let own = |name: &String| name == "\\*" || name.starts_with(['\\', '$']) && !name.ends_with('*');
    names.filter(own).map(|name| name.into_bytes().into()).collect()
});

/// True for a flag, keyword or attribute of a mailbox that stays.
#[must_use]
pub fn is_flag(word: &[u8]) -> bool {
    has(&FLAGS, word)
}

static SAID: LazyLock<Words> = LazyLock::new(|| {
    let mut all = PROTOCOLS.clone();
    // A pattern of the words above that is a person's name.
    all.remove(&b"verhoeven"[..]);
    all.extend(words(REPLY));
    all.extend(words(PROGRAMS));
    all
});

static OURS: LazyLock<Words> = LazyLock::new(|| SAID.union(&words(OWN)).cloned().collect());
static FIELD: LazyLock<Words> = LazyLock::new(|| words(FIELDS));
static SECTIONS: LazyLock<Words> =
    LazyLock::new(|| FIELD.iter().cloned().chain(words("header fields not text mime full")).collect());
static PARTS: LazyLock<Words> = LazyLock::new(|| words(MIME));
static DATE: LazyLock<Words> = LazyLock::new(|| words(DATES));
static NAMED: LazyLock<Words> = LazyLock::new(|| words(NAMING));

/// What may stay in the human text of a reply.
#[must_use]
pub fn said() -> &'static Words {
    &SAID
}

/// What may stay of our own words and of rules.
#[must_use]
pub fn ours() -> &'static Words {
    &OURS
}

/// What may stay of the name of a message's field.
#[must_use]
pub fn fields() -> &'static Words {
    &FIELD
}

/// The same within the section of a message that is asked for.
#[must_use]
pub fn sections() -> &'static Words {
    &SECTIONS
}

/// What dates consist of.
#[must_use]
pub fn dates() -> &'static Words {
    &DATE
}

/// What may stay where MIME says what something is.
#[must_use]
pub fn mime() -> &'static Words {
    &PARTS
}

/// Parameters and keys whose value is a name.
#[must_use]
pub fn naming() -> &'static Words {
    &NAMED
}

/// Words of all built-in protocols.
#[must_use]
pub fn protocols() -> &'static Words {
    &PROTOCOLS
}

/// True if a word is among these, in any case.
#[must_use]
pub fn has(words: &Words, word: &[u8]) -> bool {
    let mut lower = [0; 40];
    let Some(lower) = lower.get_mut(..word.len()) else { return false };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    words.contains(&*lower)
}
