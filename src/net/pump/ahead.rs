//! Bytes of one peer that were read and wait for their turn, and since when those wait that a STARTTLS holds back. Knows
//! bytes and time, not what is waited for.

use tokio::time::Instant;

/// How many moments are kept apart; what comes after them counts as come with the last.
const MOMENTS: usize = 64;

/// Bytes that wait. Owns no memory while there are none.
#[derive(Debug, Default)]
pub(super) struct Ahead(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    /// When they came, in order: so many bytes each. Bytes without a moment wait for something else, and are new when
    /// their turn comes.
    moments: Vec<(usize, Option<Instant>)>,
}

impl Ahead {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.bytes.len())
    }

    /// Returns true if none waits.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The first byte.
    pub fn first(&self) -> Option<u8> {
        self.0.as_ref().and_then(|waiting| waiting.bytes.first().copied())
    }

    /// Adds bytes at the end.
    pub fn add(&mut self, bytes: &[u8], came: Option<Instant>) {
        if bytes.is_empty() {
            return;
        }
        let waiting = self.0.get_or_insert_default();
        waiting.bytes.extend_from_slice(bytes);
        let full = waiting.moments.len() >= MOMENTS;
        match waiting.moments.last_mut() {
            Some((count, last)) if full || *last == came => *count += bytes.len(),
            _ => waiting.moments.push((bytes.len(), came)),
        }
    }

    /// Adds bytes before all others.
    pub fn put_before(&mut self, bytes: &[u8], came: Option<Instant>) {
        if !bytes.is_empty() {
            let waiting = self.0.get_or_insert_default();
            waiting.bytes.splice(0..0, bytes.iter().copied());
            waiting.moments.insert(0, (bytes.len(), came));
        }
    }

    /// Moves the first of them into `buffer`, as many as came together. Returns how many, and when they came.
    pub fn take(&mut self, buffer: &mut [u8]) -> (usize, Option<Instant>) {
        let Some(waiting) = &mut self.0 else { return (0, None) };
        let Some((left, came)) = waiting.moments.first_mut() else { return (0, None) };
        let (count, came) = ((*left).min(buffer.len()), *came);
        *left -= count;
        if *left == 0 {
            waiting.moments.remove(0);
        }
        buffer[..count].copy_from_slice(&waiting.bytes[..count]);
        waiting.bytes.drain(..count);
        if waiting.bytes.is_empty() {
            self.0 = None;
        }
        (count, came)
    }

    /// Takes all of them. Returns them with the moment at which the first came.
    pub fn take_all(&mut self) -> (Vec<u8>, Option<Instant>) {
        let Waiting { bytes, moments } = self.0.take().map_or_else(Waiting::default, |waiting| *waiting);
        (bytes, moments.first().and_then(|(_, came)| *came))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_came_together_is_taken_together() {
        let (mut ahead, mut buffer) = (Ahead::default(), [0; 8]);
        let moments = [0, 1].map(|seconds| Instant::now() + Duration::from_secs(seconds));
        ahead.add(b"bc", Some(moments[0]));
        ahead.add(b"d", Some(moments[0]));
        ahead.add(b"ef", Some(moments[1]));
        ahead.put_before(b"a", None);
        assert_eq!((ahead.len(), ahead.first()), (6, Some(b'a')));
        for (want, came) in [("a", None), ("bcd", Some(moments[0])), ("ef", Some(moments[1]))] {
            assert_eq!(ahead.take(&mut buffer), (want.len(), came));
            assert_eq!(&buffer[..want.len()], want.as_bytes());
        }
        assert!(ahead.is_empty() && ahead.0.is_none());
        for nth in 0..1000 {
            ahead.add(b"x", Some(moments[0] + Duration::from_millis(nth)));
        }
        assert_eq!(ahead.0.as_ref().map(|waiting| waiting.moments.len()), Some(MOMENTS));
        assert_eq!(ahead.take_all().0.len(), 1000);
    }
}
