//! The lists of capabilities in a recording, as one transcript: for rules that make a server look like another.

use std::io::{self, Read};

use super::{Reader, State};
use crate::event::{Batch, Peer, What};

/// The most octets of names that are gathered: a server that offers more than this is none.
const MOST: usize = 1024 * 1024;

/// The lists that servers have sent, each as an untagged CAPABILITY response (RFC 9051 section 7.2.2), whatever the protocol;
/// mechanisms are called `AUTH=NAME`. Lists that are the same as the one before are left out.
///
/// # Errors
/// What the input cannot give.
pub fn lists(input: impl Read) -> io::Result<String> {
    let mut reader = Reader::new(input)?;
    let (mut found, mut last) = (String::new(), String::new());
    let mut batch = Batch::default();
    while reader.next(&mut batch)? == State::Events && found.len() < MOST {
        for event in &batch.events {
            let What::Text(text) = &event.what else { continue };
            let offers = text.reading.list.as_ref().filter(|list| event.from == Peer::Server && list.kind.offers());
            let Some(list) = offers else { continue };
            let octets = text.bytes.of(&batch.bytes);
            let mut line = "* CAPABILITY".to_owned();
            for (at, item) in list.items.iter().enumerate() {
                let name = String::from_utf8_lossy(item.name.of(octets));
                // A line of mechanisms is what its mechanisms are.
                let heads = list.items.get(at + 1).is_some_and(|next| next.part);
                if !heads || item.part {
                    line.push_str(if item.part { " AUTH=" } else { " " });
                    line.push_str(&name);
                }
            }
            if line != last {
                found.push_str(&line);
                found.push('\n');
                last = line;
            }
        }
    }
    Ok(found)
}
