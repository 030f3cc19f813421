//! Dovecot with a configuration of its own in a temporary folder, without privileges, on a free port of loopback.
//! Touches nothing outside that folder.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{PASSWORD, Port, signal, wait_until};

/// A server that runs until it is dropped.
pub struct Dovecot {
    child: Child,
    folder: tempfile::TempDir,
    /// Where it listens.
    pub address: SocketAddr,
    _port: Port,
}

impl Dovecot {
    /// Starts a server whose INBOX holds these messages, and waits until it answers.
    pub fn start(messages: &[Vec<u8>]) -> Dovecot {
        Dovecot::serving("imap", messages, "")
    }

    /// The same, but this list is all that it says it is capable of, before login and after.
    pub fn offering(messages: &[Vec<u8>], capabilities: &str) -> Dovecot {
        Dovecot::serving("imap", messages, &format!("imap_capability = {capabilities}\n"))
    }

    /// Starts a server of this protocol: imap, pop3, sieve, lmtp or submission; imaps and pop3s are under TLS. The settings overrule all others.
    pub fn serving(protocol: &str, messages: &[Vec<u8>], settings: &str) -> Dovecot {
        let folder = tempfile::tempdir().expect("a folder");
        let port = Port::reserve();
        for name in ["run", "state", "home", "box"] {
            fs::create_dir(folder.path().join(name)).expect("a folder");
        }
        fill(&folder.path().join("mail"), messages);
        // Dovecot refuses to deliver mail as root, and needs no root: everything is one unprivileged user's.
        let owner = owner(folder.path());
        let file = folder.path().join("dovecot.conf");
        fs::write(&file, configuration(folder.path(), protocol, port.address.port(), &owner, settings))
            .expect("a file");
        super::certificate(folder.path());
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if fs::metadata(folder.path()).expect("the folder is there").uid() == 0 {
            give(folder.path(), &owner);
            command.uid(owner.user).gid(owner.group);
        }
        let child = command.spawn().expect("dovecot starts");
        let mut server = Dovecot { child, folder, address: port.address, _port: port };
        wait_until("Dovecot listens", || {
            if let Some(status) = server.child.try_wait().expect("the child can be asked") {
                panic!("Dovecot ended, {status}:\n{}", server.log());
            }
            TcpStream::connect(server.address).is_ok()
        });
        server
    }

    /// Throws away all mail that is there; the INBOX holds these messages then. Nobody may be logged in.
    pub fn refill(&self, messages: &[Vec<u8>]) {
        fs::remove_dir_all(self.inbox()).expect("it can go");
        fill(&self.inbox(), messages);
        give(&self.inbox(), &owner(self.folder.path()));
    }

    /// The certificate that it shows under TLS.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// The Maildir of the INBOX.
    pub fn inbox(&self) -> PathBuf {
        self.folder.path().join("mail")
    }

    /// The Maildir of a user that mail is delivered to with LMTP.
    pub fn mailbox(&self, name: &str) -> PathBuf {
        self.folder.path().join("box").join(name)
    }

    /// The socket at which other servers have logins checked.
    pub fn login_socket(&self) -> PathBuf {
        self.folder.path().join("login")
    }

    /// What the server had to say.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // SIGTERM and not SIGKILL, so that it ends its own processes.
        signal(&self.child, "-TERM");
        wait_until("Dovecot has ended", || self.child.try_wait().is_ok_and(|status| status.is_some()));
    }
}

/// A Maildir with these messages.
fn fill(folder: &Path, messages: &[Vec<u8>]) {
    for name in ["cur", "new", "tmp"] {
        fs::create_dir_all(folder.join(name)).expect("a folder");
    }
    for (index, message) in messages.iter().enumerate() {
        fs::write(folder.join(format!("cur/17000000{index:02}.M{index}.test:2,")), message).expect("a file");
    }
}

/// Whose everything is that a server has there: what root made is given to somebody who is not.
fn owner(folder: &Path) -> Account {
    match fs::metadata(folder).expect("the folder is there").uid() {
        0 => account("nobody"),
        user => account(&user.to_string()),
    }
}

/// A user of the system.
pub struct Account {
    name: String,
    /// Its number.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
    group_name: String,
}

/// Looks up a user by name or number.
pub fn account(key: &str) -> Account {
    let find = |database: &str, key: &str| {
        let output = Command::new("getent").args([database, key]).output().expect("getent runs");
        assert!(output.status.success(), "no {key} in {database}");
        String::from_utf8(output.stdout).expect("UTF-8").trim().split(':').map(str::to_owned).collect::<Vec<_>>()
    };
    let user = find("passwd", key);
    let group = find("group", &user[3]);
    let number = |text: &str| text.parse().expect("a number");
    Account { user: number(&user[2]), group: number(&user[3]), name: user[0].clone(), group_name: group[0].clone() }
}

/// Makes a folder and all in it this user's; it stays readable by all.
fn give(path: &Path, owner: &Account) {
    chown(path, Some(owner.user), Some(owner.group)).expect("root may give files away");
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("root may");
        for entry in fs::read_dir(path).expect("it can be read") {
            give(&entry.expect("it can be read").path(), owner);
        }
    }
}

/// The whole configuration: no file of the system's own is read.
fn configuration(folder: &Path, protocol: &str, port: u16, owner: &Account, settings: &str) -> String {
    let folder = folder.display();
    let (protocol, tls, offered) = match protocol {
        "imaps" => ("imap", true, true),
        "pop3s" => ("pop3", true, true),
        "imap+starttls" => ("imap", false, true),
        "pop3+starttls" => ("pop3", false, true),
        other => (other, false, false),
    };
    let Account { name, user, group, group_name } = owner;
    let version = Command::new("dovecot").arg("--version").output().expect("dovecot runs").stdout;
    let old = version.starts_with(b"2.3.");
    let dialect = if old {
        format!(
            "ssl = no\ndisable_plaintext_auth = no\nmail_location = maildir:{folder}/mail\n\
             passdb {{\n driver = static\n args = password={PASSWORD}\n}}\n\
             userdb {{\n driver = static\n args = uid={user} gid={group} home={folder}/home\n}}\n"
        )
    } else {
        format!(
            "dovecot_config_version = 2.4.0\ndovecot_storage_version = 2.4.0\nssl = no\nauth_allow_cleartext = yes\n\
             mail_driver = maildir\nmail_path = {folder}/mail\n\
             passdb static {{\n password = {PASSWORD}\n}}\n\
             userdb static {{\n fields {{\n  uid = {user}\n  gid = {group}\n  home = {folder}/home\n }}\n}}\n"
        )
    };
    let shown = if old {
        "ssl = yes\nssl_cert = <{folder}/cert.pem\nssl_key = <{folder}/key.pem\n"
    } else {
        "ssl = yes\nssl_server_cert_file = {folder}/cert.pem\nssl_server_key_file = {folder}/key.pem\n"
    };
    let (service, more) = match protocol {
        "lmtp" => (
            "lmtp".to_owned(),
            if old {
                "mail_location = maildir:{folder}/box/%n\n"
            } else {
                "mail_path = {folder}/box/%{user | username}\n"
            },
        ),
        "sieve" => ("managesieve-login".to_owned(), shown),
        other => (format!("{other}-login"), if offered { shown } else { "" }),
    };
    // Those that listen for TLS from the first octet; they would be there by themselves.
    let closed = match protocol {
        "imap" | "pop3" | "submission" => format!(" inet_listener {protocol}s {{\n  port = 0\n }}\n"),
        _ => String::new(),
    };
    let at_once = if tls { "  ssl = yes\n" } else { "" };
    let settings = format!("{more}{settings}").replace("{folder}", &folder.to_string());
    // The dialect first: the version must be the first setting of all.
    format!(
        "{dialect}base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/log\nprotocols = {protocol}\n\
         auth_mechanisms = plain login\ndefault_internal_user = {name}\ndefault_internal_group = {group_name}\n\
         default_login_user = {name}\nfirst_valid_uid = 1\n\
         namespace inbox {{\n inbox = yes\n}}\nservice anvil {{\n chroot =\n}}\n\
         service auth {{\n unix_listener {folder}/login {{\n  mode = 0666\n }}\n}}\n\
         service {service} {{\n chroot =\n inet_listener {protocol} {{\n  {} = 127.0.0.1\n  port = {port}\n{at_once} }}\n\
         {closed}}}\n{settings}",
        if old { "address" } else { "listen" }
    )
}
