//! Postfix with a configuration and a queue of its own in a temporary folder, on free ports of loopback. Its master
//! process must be root's; what is delivered goes into Maildirs in that folder, so that it can be compared.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::server::account;
use super::{Port, signal, wait_until};

/// Whether these tests shall and can run: Postfix can only be started by root.
pub fn wanted(needs: &[&str]) -> bool {
    if !super::wanted(&[&["postfix"], needs].concat()) {
        return false;
    }
    let probe = tempfile::tempdir().expect("a folder");
    if fs::metadata(probe.path()).expect("the folder is there").uid() != 0 {
        println!("not run: Postfix needs root");
        return false;
    }
    true
}

/// A server that runs until it is dropped, with one listener for each row of a matrix.
pub struct Postfix {
    child: Child,
    folder: tempfile::TempDir,
    listeners: Vec<(Vec<String>, Port)>,
    wrapped: Port,
}

impl Postfix {
    /// Starts it and waits until it answers. Each row is a listener that lacks these keywords of EHLO.
    pub fn start(rows: &[&[&str]]) -> Postfix {
        Postfix::with(rows, "")
    }

    /// The same, but mail is accepted only after a login, which is checked at this socket of Dovecot.
    pub fn with_login(rows: &[&[&str]], socket: &Path) -> Postfix {
        let settings = format!(
            "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_type = dovecot\nsmtpd_sasl_path = {}\n\
             smtpd_sasl_security_options = noanonymous\nsmtpd_recipient_restrictions = permit_sasl_authenticated, reject\n",
            socket.display()
        );
        Postfix::with(rows, &settings)
    }

    fn with(rows: &[&[&str]], settings: &str) -> Postfix {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("root may");
        for name in ["conf", "data", "box", "queue", "queue/pid"] {
            fs::create_dir(at(name)).expect("a folder");
        }
        let (postfix, nobody) = (account("postfix"), account("nobody"));
        let queues = "active incoming hold deferred maildrop bounce defer flush corrupt trace saved private public";
        for name in queues.split(' ').map(|name| format!("queue/{name}")) {
            fs::create_dir(at(&name)).expect("a folder");
            chown(at(&name), Some(postfix.user), None).expect("root may give files away");
        }
        chown(at("data"), Some(postfix.user), None).expect("root may give files away");
        chown(at("box"), Some(nobody.user), Some(nobody.group)).expect("root may give files away");
        super::certificate(&at("conf"));
        let listeners = rows
            .iter()
            .map(|row| (row.iter().map(|name| (*name).to_owned()).collect(), Port::reserve()))
            .collect::<Vec<_>>();
        let wrapped = Port::reserve();
        let services = master(&listeners, wrapped.address);
        let files = [("main.cf", main(folder.path(), &nobody.user) + settings), ("master.cf", services)];
        for (name, text) in files {
            fs::write(at("conf").join(name), text).expect("a file");
        }
        // Not `postfix start`, which checks and repairs what belongs to the whole system.
        let mut command = Command::new(Path::new(&setting("daemon_directory")).join("master"));
        command.arg("-c").arg(at("conf")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("Postfix starts");
        let mut server = Postfix { child, folder, listeners, wrapped };
        wait_until("Postfix listens", || {
            if let Some(status) = server.child.try_wait().expect("the child can be asked") {
                panic!("Postfix ended, {status}:\n{}", server.log());
            }
            let ports = server.listeners.iter().map(|(_, port)| port).chain([&server.wrapped]);
            ports.into_iter().all(|port| TcpStream::connect(port.address).is_ok())
        });
        server
    }

    /// Where the listener is that lacks these.
    pub fn lacking(&self, row: &[&str]) -> SocketAddr {
        self.listeners.iter().find(|(lacks, _)| *lacks == row).expect("a listener of this row").1.address
    }

    /// Where the listener is that lacks nothing.
    pub fn address(&self) -> SocketAddr {
        self.lacking(&[])
    }

    /// Where TLS begins with the first octet.
    pub fn wrapped(&self) -> SocketAddr {
        self.wrapped.address
    }

    /// The certificate that it shows under TLS.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("conf/cert.pem")
    }

    /// Waits until so many messages are in this user's Maildir; takes them out, without what Postfix put on top,
    /// sorted.
    pub fn take(&self, user: &str, count: usize) -> Vec<Vec<u8>> {
        let folder = self.folder.path().join("box").join(user).join("new");
        let files = || fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
        wait_until(&format!("{count} messages are delivered to {user}"), || files().count() >= count);
        let mut found = Vec::new();
        for path in files() {
            found.push(without_trace(&fs::read(&path).expect("a message")));
            fs::remove_file(&path).expect("it can go");
        }
        assert_eq!(found.len(), count, "no message is delivered twice");
        found.sort();
        found
    }

    /// Throws away what was accepted for this user, once all that is on its way has arrived.
    pub fn clear(&self, user: &str) {
        let queue = |name: &str| fs::read_dir(self.folder.path().join("queue").join(name)).expect("a queue").count();
        wait_until("the queue is empty", || queue("incoming") + queue("active") == 0);
        for file in fs::read_dir(self.folder.path().join("box").join(user).join("new")).into_iter().flatten() {
            fs::remove_file(file.expect("an entry").path()).expect("it can go");
        }
    }

    /// What the server had to say.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // The master process ends its own processes.
        signal(&self.child, "-TERM");
        wait_until("Postfix has ended", || self.child.try_wait().is_ok_and(|status| status.is_some()));
    }
}

/// A message without the header fields on top that tell its way.
pub fn without_trace(message: &[u8]) -> Vec<u8> {
    const TRACE: [&[u8]; 4] = [b"Return-Path: ", b"X-Original-To: ", b"Delivered-To: ", b"Received: "];
    let mut rest = message;
    let mut inside = false;
    while let Some(end) = rest.iter().position(|octet| *octet == b'\n') {
        let folded = inside && matches!(rest[0], b' ' | b'\t');
        inside = folded || TRACE.iter().any(|name| rest.starts_with(name));
        if !inside {
            break;
        }
        rest = &rest[end + 1..];
    }
    rest.to_vec()
}

/// How this Postfix was built.
fn setting(name: &str) -> String {
    let output = Command::new("postconf").args(["-d", "-h", name]).output().expect("postconf runs");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

fn main(folder: &Path, user: &u32) -> String {
    let folder = folder.display();
    let group = account("nobody").group;
    format!(
        "compatibility_level = 3.6\nqueue_directory = {folder}/queue\ndata_directory = {folder}/data\n\
         maillog_file = {folder}/log\nmaillog_file_prefixes = {folder}\n\
         myhostname = mx.example.org\nmyorigin = example.org\nmydestination =\nmynetworks = 127.0.0.0/8\n\
         inet_interfaces = loopback-only\ninet_protocols = ipv4\n\
         alias_maps =\nalias_database =\nlocal_recipient_maps =\nlocal_header_rewrite_clients =\n\
         virtual_mailbox_domains = example.org\nvirtual_mailbox_base = {folder}/box\n\
         virtual_mailbox_maps = inline:{{ {{bob@example.org = bob/}} {{carol@example.org = carol/}} }}\n\
         virtual_uid_maps = static:{user}\nvirtual_gid_maps = static:{group}\n\
         smtputf8_enable = yes\nsmtpd_tls_security_level = may\n\
         smtpd_tls_chain_files = {folder}/conf/key.pem, {folder}/conf/cert.pem\n\
         smtpd_relay_restrictions = reject_unauth_destination\nsmtpd_client_connection_count_limit = 0\n\
         smtpd_discard_ehlo_keywords =\nin_flow_delay = 0\n"
    )
}

/// Only what receiving and delivering needs.
fn master(listeners: &[(Vec<String>, Port)], wrapped: SocketAddr) -> String {
    let mut text = format!("{wrapped} inet n - n - - smtpd\n -o smtpd_tls_wrappermode=yes\n");
    for (lacks, Port { address, .. }) in listeners {
        text += &format!("{address} inet n - n - - smtpd\n -o smtpd_discard_ehlo_keywords={}\n", lacks.join(","));
    }
    let services = "cleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\ntlsmgr unix - - n 1000? 1 tlsmgr\n\
                    rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
                    trace unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\nerror unix - - n - - error\n\
                    retry unix - - n - - error\nvirtual unix - n n - - virtual\nanvil unix - - n - 1 anvil\n\
                    postlog unix-dgram n - n - 1 postlogd\n";
    text + services
}
