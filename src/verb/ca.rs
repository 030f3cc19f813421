//! `imapscope ca`: where the local certificate authority is, what it says, and how to make clients trust it.

use std::io::{self, Write};

use super::secure::folder;
use super::written;
use crate::cli::Ca;
use crate::net::tls::Authority;
use crate::problem::Problem;
use crate::wording::date;

/// Does what the verb says; the authority is made if there is none.
///
/// # Errors
/// An authority that cannot be made or read.
pub fn run(verb: &Ca, out: &mut dyn Write) -> Result<u8, Problem> {
    let authority = Authority::open(&folder()?)?;
    let path = authority.path.display().to_string();
    Ok(written(match verb {
        Ca::Path => writeln!(out, "{path}"),
        Ca::Show => show(&authority, &path, out),
        Ca::Help => {
            let old = old(&authority)?;
            out.write_all(HELP.replace("CA.PEM", &path).as_bytes()).and_then(|()| out.write_all(old.as_bytes()))
        }
    }))
}

fn show(authority: &Authority, path: &str, out: &mut dyn Write) -> io::Result<()> {
    let it = &authority.certificate;
    writeln!(out, "# {}", it.subject)?;
    writeln!(out, "# valid from {} to {}", date(it.not_before), date(it.not_after))?;
    writeln!(out, "# in {path}; the key beside it, in ca-key.pem, is to be given to nobody")?;
    out.write_all(authority.pem.as_bytes())
}

/// What there is to say about old clients, which may have an authority of their own.
#[cfg(feature = "legacy-tls")]
fn old(beside: &Authority) -> Result<String, Problem> {
    let rsa = Authority::open_rsa(beside.path.parent().unwrap_or(&beside.path))?;
    Ok(OLD.replace("CA-RSA.PEM", &rsa.path.display().to_string()))
}

#[cfg(not(feature = "legacy-tls"))]
fn old(_: &Authority) -> Result<String, Problem> {
    Ok(OLD.to_owned())
}

#[cfg(feature = "legacy-tls")]
const OLD: &str = "
Old clients (this imapscope was built with legacy-tls)
  Those with TLS 1.0 or 1.1 only, and those that know RSA only, get RSA
  certificates of an authority of their own, which they have to trust instead:
  CA-RSA.PEM
  Its key (ca-rsa-key.pem) is to be given to nobody either. A client that does
  not know SHA-256 cannot be made to trust it, and has to accept what it is
  shown, or to be given a certificate with --cert and --key.
";

#[cfg(not(feature = "legacy-tls"))]
const OLD: &str = "
Old clients
  Those with TLS 1.0 or 1.1 only, and those that know RSA only, are not served:
  this imapscope was built without legacy-tls, which uses the system's OpenSSL
  for them. cargo install --path . --features legacy-tls makes one that does.
";

const HELP: &str = "\
A client that connects to imapscope with TLS must trust the certificate of
imapscope's own authority, which was made on this machine and signs for any
name that a client asks for. Its certificate is

  CA.PEM

Whoever has the key beside it (ca-key.pem) can pretend to be any server to
everyone who trusts it: give it to nobody, trust it on machines for testing
only, and take it out again when you are done.

The name matters as well: connect to the name that the client asks for, or to
127.0.0.1 or localhost. Without a name (SNI) the certificate is for the address
in use, localhost on loopback, and the server of the route.

Thunderbird
  Settings, Privacy & Security, Certificates, Manage Certificates, Authorities,
  Import: choose the file, and tick \"Trust this CA to identify websites\".
  It has a store of its own; the system's is used only if the preference
  security.enterprise_roots.enabled is true.

Apple Mail (macOS)
  sudo security add-trusted-cert -d -r trustRoot \\
    -k /Library/Keychains/System.keychain 'CA.PEM'
  On iOS: send yourself the file, install the profile, then switch it on in
  Settings, General, About, Certificate Trust Settings.

Outlook and other programs (Windows)
  certutil -user -addstore Root ca.pem
  or open the file and choose \"Trusted Root Certification Authorities\".

Android
  Settings, Security, Encryption & credentials, Install a certificate, CA
  certificate. Apps believe it only if they say that they trust user
  certificates; most mail programs can accept a certificate by hand instead.

Debian, Ubuntu
  sudo cp 'CA.PEM' /usr/local/share/ca-certificates/imapscope.crt
  sudo update-ca-certificates

Fedora, RHEL
  sudo cp 'CA.PEM' /etc/pki/ca-trust/source/anchors/imapscope.pem
  sudo update-ca-trust

curl
  curl --cacert 'CA.PEM' imaps://127.0.0.1:1993/

openssl
  openssl s_client -CAfile 'CA.PEM' -connect 127.0.0.1:1993 -crlf -quiet

mutt, neomutt
  set certificate_file = \"CA.PEM\"
  or accept the certificate when it asks (GnuTLS and OpenSSL builds do both).

msmtp, mbsync (isync)
  msmtp: tls_trust_file CA.PEM
  mbsync: CertificateFile CA.PEM

Java
  keytool -importcert -alias imapscope -file 'CA.PEM' \\
    -keystore imapscope.p12 -storetype PKCS12 -storepass changeit -noprompt
  java -Djavax.net.ssl.trustStore=imapscope.p12 \\
    -Djavax.net.ssl.trustStorePassword=changeit ...

Python
  ssl.create_default_context(cafile=\"CA.PEM\")
  or SSL_CERT_FILE='CA.PEM' in the environment.

Node
  NODE_EXTRA_CA_CERTS='CA.PEM' node ...

A client that cannot be made to trust it needs a certificate that it does
trust: imapscope proxy --cert FILE --key FILE.
";
