//! What a text is, in the light of what its lane is in the middle of and of what was asked: how many lines make it, how it
//! reads, and what is odd about it.

use memchr::memchr;

use super::Session;
use super::dialogue::InFlight;
use super::secret::Masked;
use crate::event::{Ask, Foreign, Form, Kind, Oddity, Peer, Reading, Span, State, Status};
use crate::grammar::Then;
use crate::wire::{self, Gather, foreign, imap, managesieve, status};

impl Session {
    /// How many lines make the next text of a lane.
    pub(super) fn gather(&self, from: Peer) -> Gather {
        if from == Peer::Client {
            return Gather::One;
        }
        let command = self.asked();
        match self.grammar.form {
            Form::Codes | Form::Pop3 if command.is_some_and(|command| command.dotted) => Gather::Dot,
            Form::Codes => Gather::Codes,
            Form::Managesieve if self.lanes[from.index()].frame.is_some_and(|frame| frame.reply) => Gather::One,
            // Behind a challenge that is not answered yet comes one line, if anything.
            Form::Managesieve if self.dialogue.wanted() != Some(Ask::Sasl) && self.lanes[0].sasl.is_none() => {
                Gather::Response
            }
            Form::Imap | Form::Pop3 | Form::Managesieve | Form::Line => Gather::One,
        }
    }

    /// The command that the next reply answers, in protocols in which replies come in the order of commands.
    pub(super) fn asked(&self) -> Option<&InFlight> {
        let oldest = self.dialogue.oldest().filter(|command| command.ours.is_none());
        oldest.filter(|_| self.state != State::Greeting && self.grammar.form != Form::Imap)
    }

    /// Reads a text in the light of what its lane is in the middle of.
    pub(super) fn read(&mut self, from: Peer, text: &[u8]) -> Reading {
        let form = self.grammar.form;
        let lane = self.lane(from);
        if let Some(what) = lane.strange {
            return Reading { kind: Kind::Foreign(what), ..Reading::default() };
        }
        if lane.frame.is_some() {
            let reading = wire::read_more(form, from, text);
            return if from == Peer::Server { self.judge(text, reading) } else { reading };
        }
        if lane.sasl.is_some() {
            return wire::read_response(form, text);
        }
        let first = !lane.spoken;
        let foreign = first.then(|| wire::foreign(text).or_else(|| self.other_protocol(from, text))).flatten();
        let lane = self.lane(from);
        lane.spoken = foreign != Some(Foreign::Proxy);
        match foreign {
            Some(foreign) if from == Peer::Client && foreign::is_mail(foreign) => {
                lane.strange = Some(foreign);
                Reading { kind: Kind::Foreign(foreign), ..Reading::default() }
            }
            Some(foreign) => Reading { kind: Kind::Foreign(foreign), ..Reading::default() },
            None if from == Peer::Server => self.judge(text, wire::read(form, from, text)),
            None => wire::read(form, from, text),
        }
    }

    /// The other mail protocol that the first text of a lane belongs to, if it cannot belong to this one.
    fn other_protocol(&self, from: Peer, text: &[u8]) -> Option<Foreign> {
        // Where the beginning is missing, the first line that is there is no beginning.
        if self.sight.blind {
            return None;
        }
        let form = self.grammar.form;
        let has = |verb: &[u8]| self.grammar.commands.exact(verb).is_some();
        if form == Form::Line && !has(b"PRIVMSG") {
            return None; // not IRC: nobody knows how such a protocol begins
        }
        let smtp = form == Form::Codes && self.grammar.begins == State::Connected;
        if from == Peer::Client {
            let (what, _) = foreign::request(text, form, &has)?;
            // SMTP and LMTP differ in their greeting only.
            return Some(what).filter(|what| !(smtp && matches!(what, Foreign::Smtp | Foreign::Lmtp)));
        }
        let what = foreign::greeting(text)?;
        if !foreign::is_of(what, form) {
            return Some(what);
        }
        // Where three digits begin every reply, the number tells; and the client must not have asked for it.
        if form != Form::Codes || self.lanes[Peer::Client.index()].spoken {
            return None;
        }
        let article = || self.grammar.response("220").is_some_and(|known| known.then == Some(Then::ServerDot));
        match what {
            Foreign::Nntp => (smtp && matches!(text.get(..3), Some(b"200" | b"201"))).then_some(what),
            _ => (text.starts_with(b"220") && article()).then_some(what),
        }
    }

    /// Where the verb ends of a client's line in another mail protocol, and what of the rest must not be shown.
    pub(super) fn secret_of_other(&self, text: &[u8]) -> Option<Span> {
        let has = |verb: &[u8]| self.grammar.commands.exact(verb).is_some();
        let verb = foreign::request(text, self.grammar.form, &has).map_or(0, |(_, verb)| verb);
        foreign::secret(text, verb)
    }

    /// What a text of the server's is in the light of the grammar and of what was asked.
    pub(super) fn judge(&self, text: &[u8], mut reading: Reading) -> Reading {
        let form = self.grammar.form;
        if form == Form::Managesieve && self.dialogue.wanted() == Some(Ask::Sasl) {
            reading = managesieve::challenge(text).unwrap_or(reading);
        }
        if matches!(form, Form::Codes | Form::Line)
            && let Kind::Info { name: word, arguments: human, .. }
            | Kind::Reply { word, text: human, .. }
            | Kind::GoAhead { word, text: human } = reading.kind
            && let Some(status) = self.grammar.response(word.of(text)).and_then(|response| response.answers)
        {
            let tag = Span::new(word.start as usize, word.start as usize);
            reading.kind = Kind::Reply { tag, status, word, code: None, text: human };
        }
        let command = self.asked();
        let lists = command.is_some_and(|command| command.lists);
        let ok = matches!(reading.kind, Kind::Reply { status: Status::Ok, .. });
        if ok && lists && matches!(form, Form::Codes | Form::Pop3) {
            // What goes on to a dot has no codes on its lines.
            let dotted = command.is_some_and(|command| command.dotted);
            let kind = if dotted && form == Form::Codes { Form::Line } else { form };
            reading.list = Some(status::list(kind, text));
        } else if form == Form::Managesieve && command.is_some() && !lists {
            // A listing of scripts looks the same. Without a command it is the greeting, or what follows TLS.
            reading.list = None;
        }
        reading
    }

    /// What is odd about a text on the wire, apart from what it says.
    pub(super) fn oddities(&self, from: Peer, text: &[u8], reading: &Reading, masked: &Masked) -> Vec<Oddity> {
        let form = self.grammar.form;
        let mut found = Vec::new();
        let body = wire::body(text);
        let mut bare = None;
        for (start, line) in status::lines(text) {
            let end = &text[start + line.len()..];
            if end.starts_with(b"\n") && !found.contains(&Oddity::BareLf) {
                found.push(Oddity::BareLf);
            }
            bare = bare.or_else(|| memchr(b'\r', line).map(|at| start + at));
        }
        found.extend(bare.map(|at| Oddity::BareCr(at as u32)));
        if let Some(at) = memchr(0, body) {
            found.push(Oddity::Nul(at as u32));
        }
        // Elsewhere the lines between the first and the last may be anything (RFC 959 section 4.2).
        let strict = form == Form::Codes && self.grammar.begins == State::Connected;
        if strict && from == Peer::Server && self.gather(from) == Gather::Codes && status::changes(text) {
            found.push(Oddity::CodeChanges);
        }
        if !matches!(form, Form::Imap | Form::Managesieve) {
            return found;
        }
        let human = matches!(reading.kind, Kind::Reply { .. } | Kind::GoAhead { .. } | Kind::Sasl | Kind::Unknown);
        // Where a quote stands in a secret is nobody's business; where a literal follows, none can be open.
        let quotes = matches!(reading.kind, Kind::Command { .. } | Kind::Info { .. } | Kind::More);
        if quotes && reading.literal.is_none() && masked.spans.is_empty() {
            let span = arguments(text, reading);
            found.extend(imap::open_quote(span.of(text)).map(|at| Oddity::OpenQuote(span.start + at as u32)));
        }
        if reading.literal.is_none() && !human && text.len() > 2 && body.ends_with(b"}") {
            found.extend(imap::not_a_literal(text));
        }
        if form == Form::Imap && body.starts_with(b"* [") {
            found.push(Oddity::Malformed);
        }
        found
    }
}

/// The span of a text's arguments or, where it has none, of all that may be shown or hidden of it.
pub(super) fn arguments(text: &[u8], reading: &Reading) -> Span {
    let end = reading.literal.map_or(wire::body(text).len(), |literal| literal.span.start as usize);
    match reading.kind {
        Kind::Command { arguments, .. } | Kind::Info { arguments, .. } => arguments,
        _ => Span::new(0, end),
    }
}
