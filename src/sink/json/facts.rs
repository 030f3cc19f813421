//! The facts that events have besides octets: an opening, TLS, hellos, a close with its summary.

use super::form::Object;
use super::moment;
use crate::event::{
    Cause, Certificate, Closed, Closer, Hello, Opened, Peer, State, Summary, Tally, TlsFacts, Verdict, Verification,
};
use crate::exchange::Run;
use crate::exchange::command::unprefixed;
use crate::exchange::run::Names;

/// Writes what is known of a new connection.
pub fn opened(line: &mut Object<'_>, opened: &Opened) {
    line.object("opened", |object| {
        object.maybe("route", Some(opened.route.written.as_str()).filter(|route| !route.is_empty()));
        object.string("client", &opened.client);
        object.string("server", &opened.server);
        let edit = [Peer::Client, Peer::Server].into_iter().filter(|peer| opened.edit[peer.index()]);
        object.strings("edit", edit.map(Peer::word));
        object.strings("rules", opened.rules.iter().map(AsRef::as_ref));
        object.maybe("middle", opened.middle.map(State::word));
    });
}

/// Writes what a handshake settled.
pub fn tls(line: &mut Object<'_>, tls: &TlsFacts) {
    line.object("tls", |object| {
        object.maybe("version", Some(tls.version.as_str()).filter(|it| !it.is_empty()));
        object.maybe("suite", Some(tls.suite.as_str()).filter(|it| !it.is_empty()));
        object.maybe("sni", tls.name.as_deref());
        object.maybe("alpn", tls.alpn.as_deref());
        let (verdict, fault) = match &tls.verdict {
            Verification::Ours => ("ours", None),
            Verification::Verified => ("verified", None),
            Verification::Unverified(fault) => ("unverified", Some(fault.as_str())),
            Verification::Untold => ("untold", None),
        };
        object.string("verdict", verdict);
        object.maybe("fault", fault);
        object.flag("legacy", tls.legacy);
        object.flag("insecure", tls.insecure);
        if let Some(shown) = &tls.certificate {
            object.object("certificate", |object| certificate(object, shown));
        }
    });
}

fn certificate(object: &mut Object<'_>, certificate: &Certificate) {
    object.string("subject", &certificate.subject);
    object.string("issuer", &certificate.issuer);
    object.strings("names", certificate.names.iter().map(String::as_str));
    if certificate.more_names > 0 {
        object.number("more_names", certificate.more_names as u64);
    }
    object.string("not_before", &moment(certificate.not_before));
    object.string("not_after", &moment(certificate.not_after));
    object.boolean("self_signed", certificate.self_signed);
}

/// Writes what peers that begin TLS with each other say in the clear.
pub fn hello(line: &mut Object<'_>, hello: &Hello) {
    line.object("hello", |object| match hello {
        Hello::Client { name, alpn, lowest, highest, encrypted } => {
            object.string("type", "client");
            object.maybe("sni", name.as_deref());
            object.strings("alpn", alpn.iter().map(String::as_str));
            object.maybe("lowest", lowest.as_deref());
            object.string("highest", highest);
            object.flag("encrypted", *encrypted);
        }
        Hello::Server { version, suite, alpn, retry } => {
            object.string("type", "server");
            object.string("version", version);
            object.string("suite", suite);
            object.strings("alpn", alpn.as_deref());
            object.flag("retry", *retry);
        }
        Hello::Alert { fatal, name } => {
            object.string("type", "alert");
            object.boolean("fatal", *fatal);
            object.string("name", name);
        }
        Hello::Unread(why) => {
            object.string("type", "unread");
            object.string("why", why);
        }
        Hello::NoTls => object.string("type", "no-tls"),
    });
}

/// Writes the end of a connection, and what it was like.
pub fn closed(line: &mut Object<'_>, closed: &Closed, summary: Option<&Summary>) {
    line.object("closed", |object| {
        let (by, how) = match closed.by {
            Closer::Peer(peer) => (peer.word(), "closed"),
            Closer::Reset(peer) => (peer.word(), "reset"),
            Closer::Unreachable => (Peer::Server.word(), "unreachable"),
            Closer::Tls(peer) => (peer.word(), "tls"),
            Closer::Ours => ("imapscope", "closed"),
            Closer::Unseen => ("unknown", "unseen"),
        };
        object.string("by", by);
        object.string("how", how);
        object.maybe("why", closed.why.as_deref());
        pair(object, "received", closed.received);
        pair(object, "sent", closed.sent);
        if closed.inflated != [(0, 0); 2] {
            pair(object, "compressed", closed.inflated.map(|(packed, _)| packed));
            pair(object, "inflated", closed.inflated.map(|(_, plain)| plain));
        }
    });
    if let Some(summary) = summary {
        line.object("summary", |object| self::summary(object, summary));
    }
}

fn pair(object: &mut Object<'_>, name: &str, [client, server]: [u64; 2]) {
    object.object(name, |object| {
        object.number("client", client);
        object.number("server", server);
    });
}

fn summary(object: &mut Object<'_>, summary: &Summary) {
    object.object("verdict", |object| verdict(object, &summary.verdict));
    if let Some(lasted) = summary.lasted {
        object.seconds("lasted", lasted);
    }
    object.objects("commands", &summary.commands, tally);
    object.objects("used", &summary.used, |object, used| {
        object.string("name", &used.name);
        object.number("frame", used.frame);
        object.string("by", &used.by);
    });
    object.strings("unused", summary.unused.iter().map(String::as_str));
    object.strings("undetermined", summary.undetermined.iter().map(String::as_str));
    let used = |object: &mut Object<'_>, (used, capability): &(String, String)| {
        object.string("used", used);
        object.string("capability", capability);
    };
    object.objects("unadvertised", &summary.unadvertised, used);
    object.objects("hidden_tried", &summary.hidden_tried, used);
    object.objects("rules", &summary.rules, |object, (rule, times)| {
        object.string("rule", rule);
        object.number("times", *times);
    });
    object.flag("dry_run", summary.dry);
    pair(object, "findings", summary.findings);
    object.seconds("idle", summary.idle);
    object.object("strict", |object| {
        object.number("seen", summary.strict.0);
        object.number("refused", summary.strict.1);
    });
}

/// Writes what a connection comes to.
fn verdict(object: &mut Object<'_>, verdict: &Verdict) {
    object.string("kind", verdict.kind.word());
    place(object, &verdict.cause);
    object.string("text", &verdict.text);
    object.objects("others", &verdict.others, |object, cause: &Cause| {
        place(object, cause);
        object.string("text", &cause.text);
    });
    if verdict.more > 0 {
        object.number("more", verdict.more);
    }
    object.strings("try", verdict.suspects.iter().map(|suspect| suspect.try_it.as_str()));
}

/// Writes where a cause was seen, and whose fault it is.
fn place(object: &mut Object<'_>, cause: &Cause) {
    object.string("culprit", cause.culprit.word());
    object.maybe("check", Some(cause.check).filter(|check| !check.is_empty()));
    if cause.frame > 0 {
        object.number("frame", cause.frame);
    }
}

fn tally(object: &mut Object<'_>, tally: &Tally) {
    let (name, uid) = unprefixed(&tally.verb);
    object.string("command", name);
    object.flag("uid", uid);
    object.number("count", tally.count);
    object.number("answered", tally.answered);
    object.number("failed", tally.failed);
    object.number("unanswered", tally.unanswered);
    if let Some(longest) = tally.longest {
        object.seconds("total", tally.total);
        object.seconds("longest", longest);
    }
}

/// Writes what all connections come to.
pub fn run(object: &mut Object<'_>, run: &Run) {
    object.number("connections", run.connections);
    object.number("ended", run.connections - run.unended);
    if let Some(lasted) = run.lasted() {
        object.seconds("lasted", lasted);
    }
    object.object("kinds", |object| run.kinds().for_each(|(kind, count)| object.number(kind.word(), count)));
    object.objects("verdicts", run.verdicts(), |object, shared| {
        object.string("kind", shared.kind.word());
        object.string("culprit", shared.culprit.word());
        object.maybe("check", Some(shared.check).filter(|check| !check.is_empty()));
        object.string("text", &shared.text);
        object.number("count", shared.count);
        object.number("conn", shared.connections.first().copied().unwrap_or_default());
    });
    let [sent, refused, unanswered] = run.commands;
    object.number("commands", sent);
    object.number("failed", refused);
    object.number("unanswered", unanswered);
    pair(object, "received", run.received);
    pair(object, "sent", run.sent);
    pair(object, "findings", run.findings);
    let mut names = |name: &str, names: &Names| {
        object.objects(name, names.sorted(), |object, (name, count)| {
            object.string("name", name);
            object.number("count", count);
        });
    };
    names("used", &run.used);
    names("unadvertised", &run.unadvertised);
    names("hidden_tried", &run.hidden_tried);
}
