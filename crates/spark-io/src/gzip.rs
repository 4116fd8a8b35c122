//! Files that may be packed with gzip.

use flate2::read::GzDecoder;
use std::borrow::Cow;
use std::io::Read;

/// What every gzip file starts with.
const MAGIC: &[u8] = &[0x1f, 0x8b];

/// The contents of a file that may be packed with gzip.
///
/// Memory grows with what really comes out; a bomb stops at `limit` bytes.
///
/// # Errors
/// A sentence, when the packed bytes are truncated or corrupt, or unpack to more than `limit` bytes.
///
/// # Examples
/// ```
/// assert_eq!(*spark_io::gzip::unpack(b"plain", 100)?, *b"plain");
/// assert!(spark_io::gzip::unpack(b"\x1f\x8b\x08", 100).unwrap_err().contains("truncated or corrupt gzip"));
/// # Ok::<(), String>(())
/// ```
pub fn unpack(bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, String> {
    if !bytes.starts_with(MAGIC) {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes)
        .take(limit.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|error| format!("truncated or corrupt gzip: {error}"))?;
    if unpacked.len() as u64 > limit {
        return Err(format!("unpacks to more than {limit} bytes"));
    }
    Ok(Cow::Owned(unpacked))
}

#[cfg(test)]
mod tests {
    use super::unpack;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&[0; 1 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert_eq!(unpack(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert!(unpack(&bomb, 1 << 10).unwrap_err().contains("more than 1024 bytes"));
        assert!(unpack(&bomb[..bomb.len() - 1], 1 << 20).unwrap_err().contains("truncated"));
    }
}
