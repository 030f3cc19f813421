//! What leaves inside DEFLATE where rules may act: compressed anew, and such that the peer can read all of it at once.

use flate2::{Compress, Compression, FlushCompress};

/// How hard to compress anew: three times as fast as the usual 6, for a tenth more bytes.
const EFFORT: u32 = 2;

/// Number of bytes at the beginning that are sent as they are, in blocks of their own (RFC 1951 section 3.2.4). Most clients never say more,
/// and so need no compressor, which is larger than all else that a connection has.
const STORED: usize = 16 * 1024;

/// What a lane sends on inside the layer.
#[derive(Debug)]
pub struct Packer {
    /// Rules may edit the lane: it is compressed anew.
    pub edit: bool,
    /// Once more than [`STORED`] bytes were sent.
    compress: Option<Compress>,
    /// How many were sent without it.
    stored: usize,
}

impl Packer {
    /// What has sent nothing.
    pub const fn new(edit: bool) -> Self {
        Packer { edit, compress: None, stored: 0 }
    }

    /// Compresses bytes, so that the peer can read all of them at once. `None` where bytes pass as they came, and where
    /// there are none.
    pub fn pack(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        if !self.edit || plain.is_empty() {
            return None;
        }
        if self.compress.is_none() && self.stored + plain.len() <= STORED {
            self.stored += plain.len();
            return Some(store(plain));
        }
        // It points back to nothing that it has not seen, so it can begin after any such block.
        let compress = self.compress.get_or_insert_with(|| Compress::new(Compression::new(EFFORT), false));
        let mut packed = Vec::with_capacity(plain.len() / 2 + 64);
        let before = compress.total_in();
        loop {
            let done = usize::try_from(compress.total_in() - before).unwrap_or(plain.len()).min(plain.len());
            // Memory cannot run out: the room is ours.
            let _ = compress.compress_vec(&plain[done..], &mut packed, FlushCompress::Sync);
            let all = compress.total_in() - before == plain.len() as u64;
            if all && packed.len() < packed.capacity() {
                return Some(packed);
            }
            packed.reserve(packed.capacity().max(64));
        }
    }
}

/// Bytes as they are, in blocks that end with whole bytes.
fn store(plain: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(plain.len() + 5);
    for piece in plain.chunks(usize::from(u16::MAX)) {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        blocks.push(0);
        blocks.extend_from_slice(&length.to_le_bytes());
        blocks.extend_from_slice(&(!length).to_le_bytes());
        blocks.extend_from_slice(piece);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};

    use super::*;

    fn packed(layer: &mut Packer, plain: &[u8]) -> Vec<u8> {
        layer.pack(plain).expect("there is something to compress")
    }

    #[test]
    fn what_is_compressed_anew_can_be_read_at_once_and_a_little_needs_no_compressor() {
        let (mut layer, mut reader) = (Packer::new(true), Decompress::new(false));
        let mut is_read = |packed: &[u8], plain: &[u8]| {
            let mut read = Vec::with_capacity(plain.len() + 1);
            reader.decompress_vec(packed, &mut read, FlushDecompress::None).expect("a sound stream");
            assert!(read == plain, "{} octets instead of {}", read.len(), plain.len());
        };
        assert_eq!(layer.pack(b""), None);
        for _ in 0..STORED / 8 {
            is_read(&packed(&mut layer, b"a NOOP\r\n"), b"a NOOP\r\n");
        }
        assert!(layer.compress.is_none());
        is_read(&packed(&mut layer, b"b"), b"b");
        assert!(layer.compress.is_some());
        let much = b"the same again, ".repeat(10_000);
        let short = packed(&mut layer, &much);
        is_read(&short, &much);
        assert!(short.len() < much.len() / 10);
        is_read(&packed(&mut layer, b"c NOOP\r\n"), b"c NOOP\r\n");
    }

    #[test]
    fn much_at_once_is_compressed_from_the_start_and_a_tap_compresses_nothing() {
        let much = b"the same again, ".repeat(10_000);
        assert!(packed(&mut Packer::new(true), &much).len() < much.len() / 10);
        assert_eq!(Packer::new(false).pack(&much), None);
        assert_eq!(store(&much).len(), much.len() + 3 * 5);
    }
}
