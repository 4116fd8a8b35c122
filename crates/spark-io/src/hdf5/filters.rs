//! What was done to chunks before they were written, undone.

use flate2::read::ZlibDecoder;
use std::borrow::Cow;
use std::io::Read;

use crate::cursor::Cursor;

/// Bytes that one byte of deflate can unpack to, at most.
const RATIO: usize = 1032;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Deflate,
    Shuffle,
    Fletcher32,
}

/// The filters of an array in the order in which they were applied.
pub(super) fn filters(data: &[u8]) -> Result<Vec<Filter>, String> {
    let mut cursor = Cursor::new(data, 0);
    let [version, count] = cursor.array("a list of filters")?;
    match version {
        1 => cursor.take(6, "padding").map(|_| ())?,
        2 => {}
        _ => return Err(format!("found version {version} of a list of filters, expected 1 or 2")),
    }
    let mut filters = Vec::new();
    for _ in 0..count {
        let id = cursor.u16("a filter")?;
        let named = version == 1 || id >= 256;
        let name = if named { cursor.u16("the length of a name")? } else { 0 };
        cursor.u16("flags")?;
        let values = usize::from(cursor.u16("a number of values")?);
        let name = cursor.take(name.into(), "a name")?;
        // An odd number of values is followed by padding in the first version.
        let padded = if version == 1 { values.next_multiple_of(2) } else { values };
        cursor.take(4 * padded, "the values of a filter")?;
        filters.push(match id {
            1 => Filter::Deflate,
            2 => Filter::Shuffle,
            3 => Filter::Fletcher32,
            _ => {
                let name = String::from_utf8_lossy(name.split(|&byte| byte == 0).next().unwrap_or_default());
                return Err(format!("found filter {id} {name}, expected deflate, shuffle or fletcher32"));
            }
        });
    }
    Ok(filters)
}

/// Whether `stored` bytes can become `length`.
pub(super) fn can_unpack(filters: &[Filter], stored: usize, length: usize) -> bool {
    let most = |stored: usize| {
        if filters.contains(&Filter::Deflate) { stored.saturating_mul(RATIO) } else { stored }
    };
    length <= most(stored)
}

/// A chunk of `length` bytes of entries of `size` bytes; `mask` has a bit for each filter that was left out.
pub(super) fn unpack<'a>(
    stored: &'a [u8],
    filters: &[Filter],
    mask: u32,
    length: usize,
    size: usize,
) -> Result<Cow<'a, [u8]>, String> {
    let mut data = Cow::Borrowed(stored);
    for (i, filter) in filters.iter().enumerate().rev() {
        if i < 32 && mask >> i & 1 != 0 {
            continue;
        }
        data = match filter {
            Filter::Deflate => Cow::Owned(inflate(&data, length + 4)?),
            Filter::Shuffle => Cow::Owned(unshuffle(&data, size)),
            Filter::Fletcher32 => checked(data)?,
        };
    }
    if data.len() < length {
        return Err(format!("found a chunk of {} bytes, expected {length}", data.len()));
    }
    Ok(data)
}

/// The unpacked bytes; memory grows with what really comes out, up to `limit`.
fn inflate(data: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::with_capacity(limit.min(data.len().saturating_mul(RATIO)));
    let mut decoder = ZlibDecoder::new(data).take(limit as u64);
    decoder.read_to_end(&mut unpacked).map_err(|error| format!("truncated or corrupt deflate: {error}"))?;
    Ok(unpacked)
}

/// The first bytes of all entries came first, then the second ones, and so on.
fn unshuffle(data: &[u8], size: usize) -> Vec<u8> {
    let count = data.len() / size.max(1);
    let mut entries = data.to_vec();
    for (entry, bytes) in entries.chunks_exact_mut(size.max(1)).enumerate() {
        for (byte, place) in bytes.iter_mut().enumerate() {
            *place = data[byte * count + entry];
        }
    }
    entries
}

/// The data before its checksum.
fn checked(data: Cow<'_, [u8]>) -> Result<Cow<'_, [u8]>, String> {
    let length = data.len().checked_sub(4).ok_or("found a chunk without its checksum")?;
    let (bytes, sum) = data.split_at(length);
    if fletcher32(bytes).to_le_bytes() != *sum {
        return Err("found a chunk that does not agree with its checksum".to_owned());
    }
    Ok(match data {
        Cow::Borrowed(data) => Cow::Borrowed(&data[..length]),
        Cow::Owned(mut data) => {
            data.truncate(length);
            Cow::Owned(data)
        }
    })
}

/// Source: Fletcher, *An arithmetic checksum for serial transmissions* (1982); pairs of bytes are big-endian.
fn fletcher32(data: &[u8]) -> u32 {
    let (mut low, mut high) = (0u32, 0u32);
    for pair in data.chunks(2) {
        let word = u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        low = (low + word) % 65535;
        high = (high + low) % 65535;
    }
    high << 16 | low
}
