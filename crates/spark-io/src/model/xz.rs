//! The packed form of model files.

use lzma_rust2::{XzOptions, XzReader, XzWriter};
use std::io::{Error, ErrorKind, Read, Write};

/// What every xz file starts with.
const MAGIC: &[u8] = b"\xfd7zXZ\0";

/// The most that a reader may take for its dictionary, in KiB: what the highest level of compression asks for.
const DICTIONARY: u32 = 66 << 10;

/// Unpacks; `None` where there is more than `limit` bytes, which is known without unpacking more than that.
pub(super) fn unpack(bytes: &[u8], limit: u64) -> Result<Option<Vec<u8>>, Error> {
    if !bytes.starts_with(MAGIC) {
        return Err(Error::new(ErrorKind::InvalidData, "no xz file: a .scfg file is JSON packed with xz"));
    }
    let mut reader = XzReader::new_mem_limit(bytes, false, DICTIONARY);
    let mut unpacked = Vec::new();
    (&mut reader).take(limit + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > limit {
        return Ok(None);
    }
    if !reader.into_inner().is_empty() {
        return Err(Error::new(ErrorKind::InvalidData, "there are bytes after the end of the packed data"));
    }
    Ok(Some(unpacked))
}

/// Packs, with the check that Python's `lzma` writes.
pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let mut writer = XzWriter::new(Vec::new(), XzOptions::with_preset(6))?;
    writer.write_all(bytes)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_unpacks() {
        for bytes in [&b""[..], b"{}", &[7; 100_000]] {
            let packed = pack(bytes).unwrap();
            assert_eq!(unpack(&packed, 100_000).unwrap().unwrap(), bytes);
        }
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let bomb = pack(&vec![b'['; 32 << 20]).unwrap();
        assert!(bomb.len() < 10_000);
        assert_eq!(unpack(&bomb, 1 << 20).unwrap(), None);
        // A bomb of which only the start is there is still one.
        assert_eq!(unpack(&bomb[..bomb.len() / 2], 1 << 20).unwrap(), None);
    }

    #[test]
    fn damage_is_an_error() {
        let packed = pack(b"some text that is long enough to be packed").unwrap();
        for length in 0..packed.len() {
            assert!(unpack(&packed[..length], 1000).is_err(), "{length}");
        }
        assert!(unpack(b"{}", 1000).unwrap_err().to_string().contains("no xz file"));
        let twice = [packed.clone(), packed.clone()].concat();
        assert!(unpack(&twice, 1000).is_err());
        // A dictionary of 4 GiB: nothing of that size is set aside.
        let mut greedy = packed;
        greedy[16] = 40;
        assert!(unpack(&greedy, 1000).is_err());
    }
}
