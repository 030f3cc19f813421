//! How each client is told where to go; their files lie in the stand's own folder.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{PASSWORD, USER, fed, run, succeed, wait_until};

/// curl with this behind `imap://ADDRESS/`, and these arguments; returns what it prints.
pub fn curl(address: SocketAddr, path: &str, arguments: &[&str]) -> Vec<u8> {
    succeed(&mut curl_command("imap", address, path, arguments))
}

/// curl with this behind `SCHEME://ADDRESS/`, and these arguments.
pub fn curl_command(scheme: &str, address: SocketAddr, path: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--user", &format!("{USER}:{PASSWORD}")]).args(arguments);
    command.arg(format!("{scheme}://{address}/{path}"));
    command
}

/// curl with this behind `pop3://ADDRESS/`, and these arguments; returns what it prints.
pub fn curl_pop3(address: SocketAddr, path: &str, arguments: &[&str]) -> Vec<u8> {
    succeed(&mut curl_command("pop3", address, path, arguments))
}

/// Fetches everything into a Maildir with mpop.
pub fn mpop(address: SocketAddr, folder: &Path) -> PathBuf {
    let (file, here) = (folder.join("mpoprc"), folder.join("fetched"));
    for name in ["new", "cur", "tmp"] {
        fs::create_dir_all(here.join(name)).expect("a folder");
    }
    let text = format!(
        "defaults\nhost {}\nport {}\nuser {USER}\npassword {PASSWORD}\ntls off\nauth user\nkeep on\ntimeout 30\n\
         received_header off\nuidls_file {}\ndelivery maildir {}\naccount default\n",
        address.ip(),
        address.port(),
        folder.join("uidls").display(),
        here.display()
    );
    fs::write(&file, text).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is ours");
    succeed(Command::new("mpop").arg("--quiet").arg("-C").arg(&file).env("HOME", folder));
    here
}

/// sieve-connect, which is content with any certificate and without TLS where there is none.
pub fn sieve_connect(address: SocketAddr, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("sieve-connect");
    command.args(["--server", &address.ip().to_string(), "--port", &address.port().to_string(), "--nosrv"]);
    command.args(["--user", USER, "--passwordfd", "0", "--notlsverify", "--clearchan"]).args(arguments);
    fed(command.env("HOME", folder), format!("{PASSWORD}\n").as_bytes())
}

/// Synchronises the INBOX with a Maildir both ways.
pub fn mbsync(address: SocketAddr, folder: &Path) {
    mbsync_with(address, folder, &format!("Host {}\nSSLType None", address.ip()));
}

/// The same; `host` are the lines of its configuration with the host and whether there is TLS.
pub fn mbsync_with(address: SocketAddr, folder: &Path, host: &str) {
    let output = mbsync_run(address, folder, host);
    assert!(output.status.success(), "mbsync failed, {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// The same, whatever comes of it.
pub fn mbsync_run(address: SocketAddr, folder: &Path, host: &str) -> Output {
    let file = folder.join("mbsyncrc");
    let box_of = |name: &str| folder.join(name).display().to_string();
    let text = format!(
        "IMAPAccount there\n{host}\nPort {}\nUser {USER}\nPass {PASSWORD}\nAuthMechs LOGIN\n\n\
         IMAPStore far\nAccount there\n\nMaildirStore near\nPath {}/\nInbox {}\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nExpunge Both\nSyncState *\n",
        address.port(),
        box_of("near"),
        box_of("near/INBOX"),
    );
    fs::write(&file, text).expect("a file");
    run(Command::new("mbsync").arg("-c").arg(&file).arg("all").env("HOME", folder))
}

/// Fetches everything into the Maildir `off/INBOX` with OfflineIMAP.
pub fn offlineimap(address: SocketAddr, folder: &Path) -> PathBuf {
    let file = folder.join("offlineimaprc");
    let text = format!(
        "[general]\naccounts = all\nmetadata = {0}/offmeta\nui = basic\n\n\
         [Account all]\nlocalrepository = near\nremoterepository = far\n\n\
         [Repository near]\ntype = Maildir\nlocalfolders = {0}/off\n\n\
         [Repository far]\ntype = IMAP\nremotehost = {1}\nremoteport = {2}\nssl = no\nstarttls = no\n\
         remoteuser = {USER}\nremotepass = {PASSWORD}\nauth_mechanisms = PLAIN, LOGIN\n",
        folder.display(),
        address.ip(),
        address.port(),
    );
    fs::write(&file, text).expect("a file");
    succeed(Command::new("offlineimap").arg("-o").arg("-c").arg(&file).env("HOME", folder));
    folder.join("off/INBOX")
}

/// A script of this folder under Python; its arguments are host, port, user and password, then these.
pub fn python(script: &str, address: SocketAddr, arguments: &[&str]) -> String {
    String::from_utf8(succeed(&mut python_command(script, address, arguments))).expect("UTF-8")
}

/// What does that.
pub fn python_command(script: &str, address: SocketAddr, arguments: &[&str]) -> Command {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(script);
    let mut command = Command::new("python3");
    command.arg("-B").arg(file).arg(address.ip().to_string()).arg(address.port().to_string());
    command.args([USER, PASSWORD]).args(arguments);
    command
}

/// NeoMutt on a terminal that nobody looks at, with the INBOX open; keys are pressed from outside.
pub struct Neomutt {
    child: Child,
}

impl Neomutt {
    /// Starts it; `settings` are lines of its configuration.
    pub fn start(address: SocketAddr, folder: &Path, settings: &str) -> Neomutt {
        let file = folder.join("neomuttrc");
        let cache = folder.join("cache");
        fs::create_dir_all(&cache).expect("a folder");
        let text = format!(
            "set imap_user=\"{USER}\"\nset imap_pass=\"{PASSWORD}\"\nset ssl_starttls=no\nset ssl_force_tls=no\n\
             set folder=\"imap://{address}/\"\nset spoolfile=\"imap://{address}/INBOX\"\nset imap_authenticators=\"login\"\n\
             set header_cache=\"{}\"\nset imap_check_subscribed=no\nset mail_check=1\nset timeout=1\nset quit=yes\n\
             set wait_key=no\nset pager_stop\nset mark_old=no\nset sleep_time=0\nset record=\"\"\nset confirmappend=no\n\
             set delete=yes\nset move=no\n{settings}\n",
            cache.display()
        );
        fs::write(&file, text).expect("a file");
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "120", "script", "-qefc"]);
        command.arg(format!("stty rows 24 cols 80; exec neomutt -n -F {}", file.display())).arg("/dev/null");
        command.env("HOME", folder).env("TERM", "xterm").env("LC_ALL", "C.UTF-8").env_remove("MAIL");
        let screen = fs::File::create(folder.join("neomutt.screen")).expect("a file");
        command.stdin(Stdio::piped()).stdout(screen).stderr(Stdio::null());
        Neomutt { child: command.spawn().expect("script starts") }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        let terminal = self.child.stdin.as_mut().expect("standard input is piped");
        terminal.write_all(keys.as_bytes()).expect("the terminal is there");
        terminal.flush().expect("the terminal is there");
    }

    /// Whether it leaves well within this time.
    pub fn has_left(mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return status.success();
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Waits until it has left.
    pub fn wait(mut self) {
        let mut status = None;
        wait_until("NeoMutt has left", || {
            status = self.child.try_wait().expect("the child can be asked");
            status.is_some()
        });
        assert!(status.is_some_and(|status| status.success()), "NeoMutt left well: {status:?}");
    }
}

impl Drop for Neomutt {
    fn drop(&mut self) {
        // `timeout` passes this on to what it runs.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            super::signal(&self.child, "-TERM");
            let _ = self.child.wait();
        }
    }
}
