//! All octets of data, for outputs that keep them: what must not be shown of them is hidden here, also where a secret comes in
//! two pieces. For that the end of a piece waits for the next one; it is never longer than the longest secret.

use super::secret::{self, Vault};
use super::{Explainer, url};
use crate::event::{DataKind, Event, MAX_OCTETS, Octets, Peer, Span, Time, What};
use crate::exchange::Explained;

/// The longest name of an authorised URL that is looked for across two pieces, in octets.
const URL: usize = 1024;

/// What waits, of each lane. Most connections never need it.
#[derive(Debug, Default)]
pub struct Tails(Option<Box<[Option<Tail>; 2]>>);

impl Tails {
    fn take(&mut self, from: Peer) -> Option<Tail> {
        self.0.as_mut().and_then(|tails| tails[from.index()].take())
    }

    fn keep(&mut self, from: Peer, tail: Tail) {
        self.0.get_or_insert_default()[from.index()] = Some(tail);
    }
}

/// The end of the last piece.
#[derive(Debug)]
struct Tail {
    octets: Octets,
    bytes: Vec<u8>,
    /// A secret that is not known to its end has begun: all that follows is hidden.
    hidden: bool,
}

impl Explainer {
    /// Hides what must not be shown of a piece of data. What has waited is put before the event that ends it.
    pub(super) fn octets_before(
        &mut self,
        event: &mut Event,
        bytes: &mut Vec<u8>,
        at: Time,
        put: &mut dyn FnMut(&Explained<'_>),
    ) {
        let from = event.from;
        match &mut event.what {
            What::Octets(octets) => {
                let begun = self.tails.take(from).filter(|tail| tail.octets.frame == octets.frame);
                if let Some(tail) = mask(&self.vault, octets, bytes, begun) {
                    self.tails.keep(from, tail);
                }
            }
            What::Data(_) | What::Closed(_) => {
                let ends =
                    if matches!(event.what, What::Data(_)) { vec![from] } else { vec![Peer::Client, Peer::Server] };
                for from in ends {
                    let Some(tail) = self.tails.take(from) else { continue };
                    let what = What::Octets(Octets { bytes: Span::new(0, tail.bytes.len()), ..tail.octets });
                    let event = Event { from, what };
                    self.connection.follow(&event, &tail.bytes, at);
                    put(&Explained { bytes: &tail.bytes, ..Explained::bare(&self.connection, at, &event) });
                }
            }
            _ => {}
        }
    }
}

/// Hides the secrets of a piece that goes on behind `begun`, and lets its end wait if a secret may begin there.
fn mask(vault: &Vault, octets: &mut Octets, bytes: &mut Vec<u8>, begun: Option<Tail>) -> Option<Tail> {
    let hide = |piece: &mut [u8]| vault.hide(piece, &[Span::new(0, piece.len())]);
    let range = super::range(octets.bytes, bytes.len());
    if vault.is_sealed() || vault.shows() {
        return None;
    }
    if octets.secret {
        hide(&mut bytes[range]);
        return None;
    }
    let hidden = begun.as_ref().is_some_and(|tail| tail.hidden);
    let literal = octets.kind == DataKind::Literal;
    let reach = if literal { URL } else { vault.reach() };
    if begun.is_none() && (reach == 0 || literal && !may_have_url(&bytes[range.clone()])) {
        return None;
    }
    let mut whole = begun.map(|tail| tail.bytes).unwrap_or_default();
    whole.extend_from_slice(&bytes[range]);
    if hidden {
        hide(&mut whole);
    }
    let spans = if literal { url::secrets(&whole) } else { vault.echoes(&whole) };
    let cut = !literal && vault.is_cut() && spans.last().is_some_and(|span| span.end as usize == whole.len());
    vault.hide(&mut whole, &spans);
    let wait = if literal { url::open(&whole, URL) } else { reach.saturating_sub(1).min(whole.len()) };
    let tail = whole.split_off(whole.len() - wait);
    debug_assert!(whole.len() <= MAX_OCTETS + secret::MAX_SECRET * 2, "a tail is short");
    let start = bytes.len();
    bytes.extend_from_slice(&whole);
    octets.bytes = Span::new(start, bytes.len());
    let hidden = hidden || cut;
    (!tail.is_empty() || hidden).then_some(Tail { octets: *octets, bytes: tail, hidden })
}

/// Returns true if a secret of a URL may be in these bytes, or begin in them.
fn may_have_url(piece: &[u8]) -> bool {
    memchr::memchr(b';', piece).is_some() || url::begins(piece)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown of pieces, and what waits at the end.
    fn shown(vault: &Vault, kind: DataKind, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut out, mut tail) = (Vec::new(), None);
        for piece in pieces {
            let mut bytes = piece.to_vec();
            let mut octets = Octets { frame: 1, kind, bytes: Span::new(0, bytes.len()), secret: false };
            tail = mask(vault, &mut octets, &mut bytes, tail);
            out.extend_from_slice(octets.bytes.of(&bytes));
        }
        out.extend(tail.map(|tail| tail.bytes).unwrap_or_default());
        out
    }

    #[test]
    fn a_secret_in_two_pieces_is_hidden() {
        let mut vault = Vault::new(false);
        vault.remember(b"kanarie77");
        let text = b"before kanarie77 behind, and kanarie no more";
        for cut in 0..=text.len() {
            let found = shown(&vault, DataKind::Overlong, &[&text[..cut], &text[cut..]]);
            assert_eq!(found, b"before ********* behind, and kanarie no more", "cut at {cut}");
        }
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(shown(&vault, DataKind::Message, &single), b"before ********* behind, and kanarie no more");
    }

    #[test]
    fn the_token_of_a_url_in_two_pieces_is_hidden() {
        let text = b"imap://j@h/I;UID=1;urlauth=anonymous:internal:91ab and more";
        for cut in 0..=text.len() {
            let found = shown(&Vault::new(false), DataKind::Literal, &[&text[..cut], &text[cut..]]);
            assert_eq!(found, b"imap://j@h/I;UID=1;urlauth=anonymous:internal:**** and more", "cut at {cut}");
        }
    }

    #[test]
    fn the_password_of_a_url_in_two_pieces_is_hidden() {
        let text = b"see imap://bob:pa/ss@h/I and http://h:80/ too";
        for cut in 0..=text.len() {
            let found = shown(&Vault::new(false), DataKind::Literal, &[&text[..cut], &text[cut..]]);
            assert_eq!(found, b"see imap://bob:*****@h/I and http://h:80/ too", "cut at {cut}");
        }
    }

    #[test]
    fn a_secret_that_is_not_known_to_its_end_hides_what_follows() {
        let mut vault = Vault::new(false);
        vault.remember_head(b"kanarie77");
        let found = shown(&vault, DataKind::Lines, &[b"a kana", b"rie77 and", b" more"]);
        assert_eq!(found, b"a ******************");
    }

    #[test]
    fn what_cannot_hold_a_secret_is_not_held() {
        let vault = Vault::new(false);
        let mut bytes = b"all of it".to_vec();
        let mut octets = Octets { frame: 1, kind: DataKind::Message, bytes: Span::new(0, 9), secret: false };
        assert!(mask(&vault, &mut octets, &mut bytes, None).is_none());
        octets.secret = true;
        assert!(mask(&vault, &mut octets, &mut bytes, None).is_none());
        assert_eq!(bytes, b"*********");
    }
}
