//! What each client of the table has to do: a job of everyday, checked at the server. A job that is not done panics, and says why.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::peer::client::{self, Neomutt, curl_pop3, mpop, python, sieve_connect};
use crate::peer::mail::{crlf, letters, maildir, messages, titles, without_x_tuid};
use crate::peer::postfix::Postfix;
use crate::peer::sender::{self, RECIPIENT, SENDER, files, script, sent};
use crate::peer::server::Dovecot;
use crate::peer::{PASSWORD, USER, succeed};

/// The servers of one worker: one job at a time is done there.
pub struct Bench {
    dovecot: Dovecot,
    postfix: Option<Postfix>,
}

/// Where a job is done.
pub struct Place<'a> {
    /// Where the client connects.
    pub address: SocketAddr,
    /// A folder for its own files.
    pub folder: &'a Path,
    /// What is behind there.
    pub bench: &'a Bench,
}

/// A client, what it needs to be there, and its job.
pub struct Column {
    /// Its name in the table.
    pub name: &'static str,
    /// The program.
    pub needs: &'static str,
    /// What it is never offered, so that it does its job in a way that can be read.
    pub without: &'static [&'static str],
    /// Whether it sends the same commands together each time, and not as time allows.
    pub steady: bool,
    /// Panics if it is not done.
    pub job: fn(&Place<'_>),
}

const fn column(name: &'static str, needs: &'static str, job: fn(&Place<'_>)) -> Column {
    Column { name, needs, without: &[], steady: true, job }
}

/// The clients of IMAP.
pub const IMAP: &[Column] = &[
    column("curl", "curl", curl),
    column("mbsync", "mbsync", mbsync),
    column("neomutt", "neomutt", neomutt),
    column("offlineimap", "offlineimap", offlineimap),
    column("imaplib", "python3", |place| {
        python("imaplib_job.py", place.address, &["careful"]);
    }),
    column("naive", "python3", |place| {
        python("imaplib_job.py", place.address, &["naive"]);
    }),
];

/// The clients of SMTP.
pub const SMTP: &[Column] = &[
    column("swaks", "swaks", |place| swaks(place, &["--pipeline"])),
    column("swaks-tls", "swaks", |place| swaks(place, &["--tls-optional"])),
    column("curl", "curl", curl_smtp),
    Column { steady: false, ..column("msmtp", "msmtp", msmtp) },
    column("smtplib", "python3", |place| {
        send(place, |paths| {
            script("smtplib_send.py", place.address, &["login", SENDER, RECIPIENT], paths);
        });
    }),
    column("uses-all", "python3", |place| {
        send(place, |paths| {
            script("send.py", place.address, &["smtp", "PLAIN", SENDER, RECIPIENT], paths);
        });
    }),
];

/// The clients of POP3.
pub const POP3: &[Column] = &[
    column("curl", "curl", curl_reads),
    column("poplib", "python3", poplib),
    column("mpop", "mpop", |place| {
        let expected = letters().into_iter().collect();
        same(&maildir(&mpop(place.address, place.folder)), &expected);
    }),
    column("fetchmail", "fetchmail", fetchmail),
];

/// The clients of ManageSieve.
pub const SIEVE: &[Column] = &[
    column("python", "python3", sieve),
    column("connect-tls", "sieve-connect", connects),
    Column { without: &["STARTTLS"], ..column("connect", "sieve-connect", connects) },
];

impl Bench {
    /// Servers of this protocol; a Postfix has a listener for each row, which lacks these keywords.
    pub fn start(scheme: &str, rows: &[&[&str]]) -> Bench {
        match scheme {
            "smtp" => {
                let dovecot = Dovecot::serving("imap", &[], "");
                let postfix = Postfix::with_login(rows, &dovecot.login_socket());
                Bench { dovecot, postfix: Some(postfix) }
            }
            "pop3" => Bench { dovecot: Dovecot::serving("pop3", &letters(), ""), postfix: None },
            _ => Bench { dovecot: Dovecot::serving(scheme, &messages(), ""), postfix: None },
        }
    }

    /// A server for IMAP that says it is capable of this and no more.
    pub fn offering(capabilities: &str) -> Bench {
        Bench { dovecot: Dovecot::offering(&messages(), capabilities), postfix: None }
    }

    /// Where the server listens that lacks nothing.
    pub fn address(&self) -> SocketAddr {
        self.postfix.as_ref().map_or(self.dovecot.address, Postfix::address)
    }

    /// Where a Postfix listens that lacks this.
    pub fn lacking(&self, keyword: &str) -> SocketAddr {
        self.postfix.as_ref().expect("only Postfix has such listeners").lacking(&[keyword])
    }

    /// All is as at the beginning, whatever a job did.
    pub fn reset(&self, scheme: &str) {
        match (&self.postfix, scheme) {
            (Some(postfix), _) => postfix.clear("bob"),
            (None, "imap") => self.dovecot.refill(&messages()),
            (None, "pop3") => self.dovecot.refill(&letters()),
            _ => {}
        }
    }
}

fn same(one: &BTreeSet<Vec<u8>>, other: &BTreeSet<Vec<u8>>) {
    assert!(one == other, "not the same mail: {:?} and {:?}", titles(one), titles(other));
}

/// A message that is nowhere yet.
fn ours() -> Vec<u8> {
    b"Subject: ours\nMessage-ID: <ours@example.org>\nDate: Mon, 2 Feb 2026 10:00:00 +0000\n\nA line of ours.\n".to_vec()
}

/// A new Maildir in this place, with our message.
fn near_maildir(folder: &Path) {
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    fs::write(folder.join("cur/1.near.test:2,S"), ours()).expect("a file");
}

fn curl(place: &Place<'_>) {
    assert!(String::from_utf8_lossy(&client::curl(place.address, "", &[])).contains("INBOX"), "INBOX is listed");
    let fetched = client::curl(place.address, "INBOX;MAILINDEX=2", &[]);
    assert!(fetched == crlf(&messages()[1]), "a message is fetched");
    let file = place.folder.join("message");
    fs::write(&file, crlf(&ours())).expect("a file");
    client::curl(place.address, "INBOX", &["--upload-file", &file.display().to_string()]);
    let hits = client::curl(place.address, "INBOX", &["-X", "SEARCH SUBJECT ours"]);
    assert_eq!(String::from_utf8_lossy(&hits).trim_end(), "* SEARCH 7");
    same(&maildir(&place.bench.dovecot.inbox()), &messages().into_iter().chain([ours()]).collect());
}

fn mbsync(place: &Place<'_>) {
    let (near, far) = (place.folder.join("near/INBOX"), place.bench.dovecot.inbox());
    near_maildir(&near);
    client::mbsync(place.address, place.folder);
    let mut all = messages().into_iter().chain([ours()]).collect::<BTreeSet<_>>();
    same(&maildir(&near), &all);
    same(&maildir(&far), &all);
    // What goes here goes there.
    let file = fs::read_dir(near.join("cur")).expect("a Maildir").chain(fs::read_dir(near.join("new")).expect("one"));
    let mut files = file.map(|entry| entry.expect("an entry").path());
    let plain = |path: &PathBuf| without_x_tuid(&fs::read(path).expect("a message")) == messages()[0];
    fs::remove_file(files.find(plain).expect("the message is there")).expect("it can go");
    all.remove(&messages()[0]);
    client::mbsync(place.address, place.folder);
    same(&maildir(&near), &all);
    same(&maildir(&far), &all);
}

/// Copies a message to another mailbox, and deletes it where it was.
fn neomutt(place: &Place<'_>) {
    let settings = "set imap_idle=yes\nset imap_condstore=yes\nset imap_qresync=yes\nset confirmcreate=no\nset sort=mailbox-order\n\
                    push \"<first-entry><copy-message>=Copies<enter><delete-message><sync-mailbox><quit>\"";
    let mutt = Neomutt::start(place.address, place.folder, settings);
    assert!(mutt.has_left(Duration::from_secs(20)), "NeoMutt goes on");
    let inbox = place.bench.dovecot.inbox();
    same(&maildir(&inbox.join(".Copies")), &messages().into_iter().take(1).collect());
    same(&maildir(&inbox), &messages().into_iter().skip(1).collect());
}

fn offlineimap(place: &Place<'_>) {
    near_maildir(&place.folder.join("off/INBOX"));
    let here = client::offlineimap(place.address, place.folder);
    let count = |folder: &Path| {
        ["cur", "new"].iter().map(|name| fs::read_dir(folder.join(name)).expect("a Maildir").count()).sum::<usize>()
    };
    // It may put a header of its own into what it stores.
    let all = messages().len() + 1;
    assert_eq!((count(&here), count(&place.bench.dovecot.inbox())), (all, all), "all is here and there");
    let fetched = maildir(&here);
    assert!(messages().iter().all(|message| fetched.contains(message)), "all is fetched");
}

/// The line with the subject.
fn title(letter: &[u8]) -> String {
    String::from_utf8_lossy(letter).lines().find(|line| line.starts_with("Subject: ")).unwrap_or_default().to_owned()
}

/// Sends some mail, which must arrive as it is.
fn send(place: &Place<'_>, client: impl Fn(&[PathBuf])) {
    let mut letters = letters();
    // One that is plain, one with dots, one with octets above 127, one with such in its header.
    letters.retain(|letter| ["plain", "dots", "octets", "größer"].iter().any(|name| title(letter).contains(name)));
    assert_eq!(letters.len(), 4, "they are all there");
    letters.sort();
    client(&files(place.folder, &letters));
    let postfix = place.bench.postfix.as_ref().expect("there is a Postfix");
    assert!(postfix.take("bob", letters.len()) == letters, "all arrives as it was sent");
}

fn swaks(place: &Place<'_>, more: &[&str]) {
    let login = ["--to", RECIPIENT, "--auth", "--auth-user", USER, "--auth-password", PASSWORD];
    send(place, |paths| {
        paths.iter().for_each(|path| sent(&sender::swaks(place.address, path, &[&login, more].concat())));
    });
}

fn curl_smtp(place: &Place<'_>) {
    let login = format!("{USER}:{PASSWORD}");
    send(place, |paths| {
        paths.iter().for_each(|path| sent(&sender::curl(place.address, path, &["--user", &login])));
    });
}

fn msmtp(place: &Place<'_>) {
    send(place, |paths| {
        paths.iter().for_each(|path| sent(&sender::msmtp(place.address, path, &["tls off", "auth plain"])));
    });
}

fn curl_reads(place: &Place<'_>) {
    let listed = curl_pop3(place.address, "", &[]);
    assert_eq!(listed.iter().filter(|octet| **octet == b'\n').count(), letters().len(), "all are listed");
    for (index, letter) in letters().iter().enumerate().take(3) {
        assert!(curl_pop3(place.address, &(index + 1).to_string(), &[]) == crlf(letter), "a message is read");
    }
    // It does not ask whether there is such a command.
    let names = curl_pop3(place.address, "", &["-X", "UIDL"]);
    assert_eq!(names.iter().filter(|octet| **octet == b'\n').count(), letters().len(), "all have names");
}

fn poplib(place: &Place<'_>) {
    let folder = place.folder.join("messages");
    fs::create_dir(&folder).expect("a folder");
    python("pop.py", place.address, &[&folder.display().to_string()]);
    for (index, letter) in letters().iter().enumerate() {
        assert!(fs::read(folder.join((index + 1).to_string())).expect("a message") == *letter, "a message is read");
    }
}

fn fetchmail(place: &Place<'_>) {
    let (file, all) = (place.folder.join("fetchmailrc"), place.folder.join("all"));
    let text = format!(
        "set no bouncemail\nset idfile \"{0}/ids\"\nset pidfile \"{0}/pid\"\n\
         poll 127.0.0.1 protocol pop3 port {1} uidl timeout 30\n user \"{USER}\" password \"{PASSWORD}\" keep fetchall \
         sslproto \"\" no rewrite mda \"cat >> {2}\"\n",
        place.folder.display(),
        place.address.port(),
        all.display()
    );
    fs::write(&file, text).expect("a file");
    succeed(Command::new("chmod").arg("600").arg(&file));
    succeed(Command::new("fetchmail").args(["--nodetach", "--silent", "-f"]).arg(&file).env("HOME", place.folder));
    let got = fs::read(&all).expect("it fetched mail");
    for letter in letters() {
        // It puts a header of its own on top, so that the rest stands behind it.
        let head = &letter[..letter.windows(2).position(|pair| pair == b"\n\n").expect("a head")];
        assert!(got.windows(head.len()).any(|part| part == head), "all is fetched: {}", String::from_utf8_lossy(head));
    }
}

fn small_script(place: &Place<'_>) -> String {
    let path = place.folder.join("script");
    fs::write(&path, "require \"fileinto\";\nfileinto \"x\";\n").expect("a file");
    path.display().to_string()
}

fn sieve(place: &Place<'_>) {
    python("sieve.py", place.address, &[&small_script(place)]);
}

fn connects(place: &Place<'_>) {
    let run = |arguments: &[&str]| {
        let output = sieve_connect(place.address, place.folder, arguments);
        sent(&output);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(&["--upload", "--localsieve", &small_script(place), "--remotesieve", "mine"]);
    assert!(run(&["--list"]).contains("\"mine\""), "the script is listed");
    run(&["--delete", "--remotesieve", "mine"]);
    assert!(!run(&["--list"]).contains("mine"), "the script is gone");
}
