//! The marks of the lines of a transcript, and what comes before the marks: the same on every line, but for numbers and names.
//! Found out from the first lines of a file.

use super::guess;
use super::stamp::{Stamp, stamp};
use crate::event::Peer;

/// Number of bytes at the start of a line in which marks are looked for.
const MAX_PREFIX: usize = 160;

/// Maximum number of shapes of prefixes that a file has.
const MAX_SHAPES: usize = 64;

/// How lines are marked.
#[derive(Debug)]
pub struct Style {
    client: &'static [&'static [u8]],
    server: &'static [&'static [u8]],
    /// What the program that wrote it remarks.
    remark: &'static [&'static [u8]],
    /// The marks follow a time only.
    timed: bool,
    /// The marks may be anywhere in the line, and the connection follows the first of these words.
    inside: Option<&'static [u8]>,
    /// It belongs to one program, whose own lines have no mark.
    program: bool,
}

/// All of them. A mark may end in a blank, which a line of nothing else can lack.
const STYLES: [Style; 9] = [
    // Documents, and many programs.
    Style {
        client: &[b"C: ", b"C:"],
        server: &[b"S: ", b"S:"],
        remark: &[b">> ", b"-- ", b"== "],
        program: false,
        ..NOTHING
    },
    // swaks: in the clear, under TLS, and with errors.
    Style {
        client: &[b" -> ", b" ~> ", b"**> ", b"*~> "],
        server: &[b"<-  ", b"<~  ", b"<** ", b"<~* "],
        remark: &[b"=== ", b"*** "],
        ..NOTHING
    },
    // msmtp and mpop.
    Style { client: &[b"--> "], server: &[b"<-- "], ..NOTHING },
    // sieve-connect; mbsync, whose server has no mark.
    Style { client: &[b">>> "], server: &[b"<<< "], ..NOTHING },
    Style { client: &[b"-> "], server: &[b"<- "], ..NOTHING },
    // curl -v
    Style { client: &[b"> "], server: &[b"< "], remark: &[b"* ", b"{ [", b"} ["], ..NOTHING },
    // fetchmail -v -v
    Style {
        client: &[b"fetchmail: IMAP> ", b"fetchmail: POP3> ", b"fetchmail: SMTP> ", b"fetchmail: LMTP> "],
        server: &[b"fetchmail: IMAP< ", b"fetchmail: POP3< ", b"fetchmail: SMTP< ", b"fetchmail: LMTP< "],
        remark: &[b"fetchmail: "],
        inside: Some(b"fetchmail: "),
        ..NOTHING
    },
    // Dovecot's raw log of both sides in one; after `>` a line goes on.
    Style { client: &[b"I: ", b"I> "], server: &[b"O: ", b"O> "], timed: true, ..NOTHING },
    // Thunderbird's log of IMAP.
    Style { client: &[b":SendData: "], server: &[b":CreateNewLineFromSocket: "], inside: Some(b"/IMAP "), ..NOTHING },
];

const NOTHING: Style = Style { client: &[], server: &[], remark: &[], timed: false, inside: None, program: true };

/// A line of a peer's.
#[derive(Debug)]
pub struct Said<'a> {
    /// Whose it is.
    pub from: Peer,
    /// What it says.
    pub text: &'a [u8],
    /// When, if the line says so before the mark.
    pub stamp: Option<Stamp>,
    /// The connection, where the log names it.
    pub key: Vec<u8>,
    /// The line goes on with the next one.
    pub cut: bool,
}

/// A shape, with its lines of each peer, whether one tells a protocol, and how many end in the characters `\r\n` or `\n`.
type Counted = (Vec<u8>, [usize; 2], bool, [usize; 2]);

/// The style of a file.
#[derive(Debug)]
pub struct Dress {
    style: &'static Style,
    /// The shapes of what comes before marks.
    shapes: Vec<Vec<u8>>,
    /// The log is a server's, whose marks are the other way round.
    swapped: bool,
    /// Names in brackets tell connections apart.
    keyed: bool,
    /// Lines of one peer only have marks.
    pub one_sided: bool,
    /// Lines end in the characters `\r\n` or `\n`.
    ends: Option<&'static [u8]>,
}

impl Dress {
    /// The style of a file that begins with these lines: that of most of them. `None` if there is none whose peers both speak, or
    /// one says what a known protocol begins with.
    #[must_use]
    pub fn of<'a>(lines: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Dress> {
        let mut best: Option<(usize, Dress)> = None;
        for style in &STYLES {
            let Some((count, dress)) = Dress::with(style, lines.clone()) else { continue };
            if best.as_ref().is_none_or(|(most, _)| count > *most) {
                best = Some((count, dress));
            }
        }
        best.map(|(_, dress)| dress)
    }

    fn with<'a>(style: &'static Style, lines: impl Iterator<Item = &'a [u8]>) -> Option<(usize, Dress)> {
        let mut shapes: Vec<Counted> = Vec::new();
        let mut keys: Vec<(Vec<u8>, [bool; 2])> = Vec::new();
        // Lines that their peer says, and those of each peer that only the other one does.
        let (mut fits, mut misfits) = (0, [0, 0]);
        for line in lines {
            let Some((from, prefix, text)) = style.find(line) else { continue };
            let shape = style.shape(prefix);
            let at = shapes.iter().position(|(known, ..)| *known == shape).unwrap_or_else(|| {
                shapes.push((shape, [0; 2], false, [0; 2]));
                shapes.len() - 1
            });
            if shapes.len() > MAX_SHAPES {
                return None;
            }
            let name = names(prefix);
            let spoken = keys.iter().position(|(known, _)| *known == name);
            let spoken = spoken.or_else(|| {
                let room = keys.len() < MAX_SHAPES;
                room.then(|| keys.push((name, [false; 2])));
                room.then(|| keys.len() - 1)
            });
            spoken.into_iter().for_each(|at| keys[at].1[from.index()] = true);
            let (_, count, told, ends) = &mut shapes[at];
            count[from.index()] += 1;
            let says = |peer| guess::of_line(peer, text).or_else(|| guess::of_later(peer, text)).is_some();
            fits += usize::from(says(from));
            misfits[from.index()] += usize::from(says(from.other()) && !says(from));
            *told |= guess::of_line(from, text).or_else(|| guess::of_line(from.other(), text)).is_some();
            ends[0] += usize::from(text.ends_with(b"\\r\\n"));
            ends[1] += usize::from(text.ends_with(b"\\n"));
        }
        let most = shapes.iter().map(|(_, [client, server], ..)| client + server).max()?;
        let plain = |shape: &[u8]| shape.is_empty();
        shapes.retain(|(shape, [client, server], told, _)| {
            plain(shape) || client + server > most / 10 && (*told || client + server > 1 || most == 1)
        });
        let count = |peer: usize| shapes.iter().map(|(_, count, ..)| count[peer]).sum::<usize>();
        let (client, server) = (count(0), count(1));
        let told = shapes.iter().any(|(_, _, told, _)| *told);
        if client + server == 0 || !told && (client == 0 || server == 0) {
            return None;
        }
        let ends = |which: usize| shapes.iter().map(|(.., ends)| ends[which]).sum::<usize>();
        let ends = match (ends(0), ends(1)) {
            (crlf, _) if crlf > 0 && crlf * 2 >= client.min(server) => Some(&b"\\r\\n"[..]),
            (_, lf) if lf * 2 > client + server => Some(&b"\\n"[..]),
            _ => None,
        };
        let shapes = shapes.into_iter().map(|(shape, ..)| shape).collect();
        let swapped = style.program && !misfits.contains(&0) && misfits[0] + misfits[1] > fits;
        // What only one peer's lines have is no name of a connection.
        let keyed = keys.len() > 1 && keys.iter().all(|(_, spoke)| *spoke == [true; 2]);
        Some((client + server, Dress { style, shapes, keyed, swapped, one_sided: client == 0 || server == 0, ends }))
    }

    /// Reads a line; `None` if it is no peer's.
    #[must_use]
    pub fn read<'a>(&self, line: &'a [u8]) -> Option<Said<'a>> {
        let (from, prefix, text) = self.style.find(line)?;
        let shape = self.style.shape(prefix);
        if !shape.is_empty() && !self.shapes.contains(&shape) {
            return None;
        }
        let cut = self.style.timed && line[..line.len() - text.len()].ends_with(b"> ");
        let text = self.ends.and_then(|end| text.strip_suffix(end)).unwrap_or(text);
        let key = if self.keyed { names(prefix) } else { self.style.key(line).to_vec() };
        let from = if self.swapped { from.other() } else { from };
        Some(Said { from, text, stamp: find_stamp(line, prefix.len()), key, cut })
    }

    /// True for what the program that wrote the file says, and no peer.
    #[must_use]
    pub fn is_remark(&self, line: &[u8]) -> bool {
        self.style.program || remarks(self.style, line)
    }

    /// The first mark of the client, and of the server.
    #[must_use]
    pub fn marks(&self) -> [&'static str; 2] {
        [self.style.client, self.style.server].map(|marks| std::str::from_utf8(marks[0]).unwrap_or_default())
    }
}

/// True for a remark of any of the programs that are known.
#[must_use]
pub fn is_remark(line: &[u8]) -> bool {
    STYLES.iter().any(|style| remarks(style, line))
}

/// True for what a program says beside the unmarked lines of a server, and a server never does.
#[must_use]
pub fn is_program(line: &[u8]) -> bool {
    [&b"* Closing connection"[..], b"* Connected to", b"* Connection #"].iter().any(|start| line.starts_with(start))
}

fn remarks(style: &Style, line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    style.remark.iter().any(|mark| line.starts_with(mark))
}

impl Style {
    /// The first mark of a line: whose it is, what comes before it, and what it says.
    fn find<'a>(&self, line: &'a [u8]) -> Option<(Peer, &'a [u8], &'a [u8])> {
        let most = if self.inside.is_some() { 512 } else { MAX_PREFIX };
        let mut best: Option<(usize, usize, Peer)> = None;
        for (marks, peer) in [(self.client, Peer::Client), (self.server, Peer::Server)] {
            for mark in marks {
                let window = &line[..line.len().min(most + mark.len())];
                let bare = mark.trim_ascii_end();
                let whole = memchr::memmem::find_iter(window, mark).map(|at| (at, mark.len()));
                let ends = (line.len() <= most && line.ends_with(bare)).then(|| (line.len() - bare.len(), bare.len()));
                for (at, len) in whole.chain(ends) {
                    let fits = self.inside.is_some() || is_border(&line[..at]);
                    let longer = |(start, old, _)| at < start || at == start && len > old;
                    if fits && best.is_none_or(longer) {
                        best = Some((at, len, peer));
                    }
                }
            }
        }
        let (at, len, peer) = best?;
        let timed = !self.timed || find_stamp(line, at).is_some();
        timed.then(|| (peer, &line[..at], behind_host(&line[at + len..])))
    }

    /// Returns what is the same on every line of what comes before the mark: runs of letters, of digits and of blanks are one.
    fn shape(&self, prefix: &[u8]) -> Vec<u8> {
        let mut shape = Vec::new();
        if self.inside.is_some() {
            return shape;
        }
        // A time says nothing of the rest, however it is written.
        let time = stamp(prefix).map_or(0, |(_, len)| len.min(prefix.len()));
        for byte in &prefix[time..] {
            let class = match byte {
                b'0'..=b'9' => b'0',
                byte if byte.is_ascii_alphabetic() || matches!(byte, b'_' | 0x80..) => b'a',
                b'\t' | b' ' => b' ',
                byte => *byte,
            };
            match (shape.last_mut(), class) {
                (Some(last), class) if *last == class && matches!(class, b'0' | b'a' | b' ') => {}
                // Times and dates, and digits within a name.
                (Some(b'0'), b':' | b'.' | b',' | b'-' | b'/') => {}
                (Some(b'a'), b'0') => {}
                (Some(last @ b'0'), b'a') => *last = b'a',
                _ => shape.push(class),
            }
        }
        shape
    }

    /// The connection that a line belongs to, where the log names it.
    fn key<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let Some(word) = self.inside else { return b"" };
        let Some(at) = memchr::memmem::find(&line[..line.len().min(512)], word) else { return b"" };
        let rest = &line[at + word.len()..];
        let end = rest.iter().position(|&b| matches!(b, b':' | b'<' | b'>')).unwrap_or(0);
        &rest[..end.min(64)]
    }
}

/// The names in brackets before a mark: words with a letter.
fn names(prefix: &[u8]) -> Vec<u8> {
    let parts = prefix.split(|b| matches!(b, b'[' | b'<')).skip(1);
    let inside = parts.filter_map(|part| part.split(|b| matches!(b, b']' | b'>')).next());
    let name = |part: &&[u8]| part.iter().all(u8::is_ascii_alphanumeric) && part.iter().any(u8::is_ascii_alphabetic);
    inside.filter(name).collect::<Vec<_>>().join(&b' ')
}

/// Returns what Postfix has after the host that it talks to: `mail.example.org[192.0.2.1]: `, perhaps with a port.
fn behind_host(text: &[u8]) -> &[u8] {
    let host = text.iter().take(128).position(|&b| b == b' ').and_then(|end| text[..end].strip_suffix(b":"));
    let named = host.is_some_and(|host| {
        let host = host.strip_suffix(b"]").or_else(|| host.rsplitn(2, |&b| b == b':').nth(1)?.strip_suffix(b"]"));
        host.is_some_and(|host| host.contains(&b'[') && !host.starts_with(b"["))
    });
    if named { &text[host.map_or(0, <[u8]>::len) + 2..] } else { text }
}

/// Returns true where a mark may follow this: at the start, or where no word goes on.
fn is_border(prefix: &[u8]) -> bool {
    matches!(prefix, [] | [.., b' ' | b'\t' | b']' | b':' | b'|' | b')'])
}

/// Returns the time in what comes before a mark.
fn find_stamp(line: &[u8], prefix: usize) -> Option<Stamp> {
    let borders = (0..prefix).filter(|&at| at == 0 || matches!(line[at - 1], b' ' | b'\t' | b'['));
    borders.take(16).find_map(|at| {
        let (found, len) = stamp(&line[at..])?;
        (at + len <= prefix + 1).then_some(found)
    })
}
