//! How each client that sends mail is told what to send and where; a connection a message. Configurations lie in the
//! folder that is given.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::mail::crlf;
use super::{PASSWORD, USER, fed, run, succeed};

/// Who sends.
pub const SENDER: &str = "alice@example.org";

/// Who gets it.
pub const RECIPIENT: &str = "bob@example.org";

/// Writes the messages as files, with LF line ends.
pub fn files(folder: &Path, messages: &[Vec<u8>]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let path = folder.join(format!("message-{index}"));
        fs::write(&path, message).expect("a file");
        paths.push(path);
    }
    paths
}

/// One message with swaks.
pub fn swaks(address: SocketAddr, message: &Path, arguments: &[&str]) -> Output {
    // It ends the last line itself.
    let body = message.with_extension("swaks");
    let text = fs::read(message).expect("a message");
    fs::write(&body, text.strip_suffix(b"\n").expect("a line end")).expect("a file");
    let mut command = Command::new("swaks");
    command.args(["--server", &address.ip().to_string(), "--port", &address.port().to_string()]);
    command.args(["--helo", "client.example.org", "--from", SENDER, "--suppress-data", "--data"]);
    command.arg(format!("@{}", body.display())).args(arguments);
    // A configuration in the home of who runs the tests is not ours.
    run(command.env("HOME", message.parent().expect("a folder")).env_remove("SWAKS_HOME"))
}

/// One message with curl.
pub fn curl(address: SocketAddr, message: &Path, arguments: &[&str]) -> Output {
    let upload = message.with_extension("crlf");
    fs::write(&upload, crlf(&fs::read(message).expect("a message"))).expect("a file");
    let mut command = Command::new("curl");
    command.args(["-q", "-sS", "--noproxy", "*", "--mail-from", SENDER, "--mail-rcpt", RECIPIENT, "--upload-file"]);
    run(command.arg(upload).args(arguments).arg(format!("smtp://{address}/client.example.org")))
}

/// One message with msmtp; `settings` are words of its configuration.
pub fn msmtp(address: SocketAddr, message: &Path, settings: &[&str]) -> Output {
    let folder = message.parent().expect("a folder");
    let file = folder.join("msmtprc");
    let text = format!(
        "defaults\nhost {}\nport {}\nfrom {SENDER}\ndomain client.example.org\ntimeout 30\nuser {USER}\npassword {PASSWORD}\n\
         tls_certcheck off\n{}\naccount default\n",
        address.ip(),
        address.port(),
        settings.join("\n")
    );
    fs::write(&file, text).expect("a file");
    let mut command = Command::new("msmtp");
    command.arg("--file").arg(&file).arg(RECIPIENT).env("HOME", folder);
    fed(&mut command, &fs::read(message).expect("a message"))
}

/// Fails where the client did.
pub fn sent(output: &Output) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}:\n{}\n{}", output.status, text(&output.stdout), text(&output.stderr));
}

/// A script of this folder that sends all these files in one connection; returns what it prints.
pub fn script(name: &str, address: SocketAddr, arguments: &[&str], messages: &[PathBuf]) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real").join(name);
    let mut command = Command::new("python3");
    command.arg("-B").arg(file).arg(address.ip().to_string()).arg(address.port().to_string());
    String::from_utf8(succeed(command.args([USER, PASSWORD]).args(arguments).args(messages))).expect("UTF-8")
}
