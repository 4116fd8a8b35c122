//! Unpacking of LZ4 frames.
//!
//! Source: Y. Collet, *LZ4 Frame Format Description* 1.6 and *LZ4 Block Format Description*. Check sums are
//! passed over; dictionaries are refused.

use crate::cursor::Cursor;

/// What a frame starts with.
const MAGIC: u32 = 0x184D_2204;
/// In the length of a block: that it is not packed.
const PLAIN: u32 = 1 << 31;

/// The contents of a frame, of which there may be `limit` bytes.
pub(super) fn unpack(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut cursor = Cursor::new(bytes, 0);
    if cursor.u32("an LZ4 frame")? != MAGIC {
        return Err("found no LZ4 frame".to_owned());
    }
    let (flags, _block_size) = (cursor.u8("an LZ4 frame")?, cursor.u8("an LZ4 frame")?);
    if flags >> 6 != 1 || flags & 1 != 0 {
        return Err(format!(
            "found an LZ4 frame with flags {flags:#04x}, expected version 1 without a dictionary"
        ));
    }
    let content_size = if flags & 0x08 != 0 { 8 } else { 0 };
    cursor.take(content_size + 1, "an LZ4 frame")?;
    let mut out = Vec::new();
    loop {
        let size = cursor.u32("an LZ4 block")?;
        if size == 0 {
            return Ok(out);
        }
        let data = cursor.take((size & !PLAIN) as usize, "an LZ4 block")?;
        if size & PLAIN == 0 {
            block(data, &mut out, limit)?;
        } else {
            extend(&mut out, data, limit)?;
        }
        if flags & 0x10 != 0 {
            cursor.take(4, "a check sum")?;
        }
    }
}

fn extend(out: &mut Vec<u8>, data: &[u8], limit: usize) -> Result<(), String> {
    if data.len() > limit - out.len() {
        return Err(format!("unpacks to more than {limit} bytes"));
    }
    out.extend_from_slice(data);
    Ok(())
}

/// A block: literals, then a copy of what came `offset` bytes before, again and again.
fn block(bytes: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), String> {
    let mut cursor = Cursor::new(bytes, 0);
    loop {
        let token = cursor.u8("an LZ4 token")?;
        let literals = length(&mut cursor, token >> 4)?;
        extend(out, cursor.take(literals, "literals")?, limit)?;
        if cursor.rest().is_empty() {
            return Ok(());
        }
        let offset = usize::from(cursor.u16("an offset")?);
        let count = length(&mut cursor, token & 15)? + 4;
        if offset == 0 || offset > out.len() {
            return Err(format!("byte {}: found a copy from {offset} bytes before", cursor.at()));
        }
        if count > limit - out.len() {
            return Err(format!("unpacks to more than {limit} bytes"));
        }
        // The copy may overlap what it makes.
        let start = out.len() - offset;
        for from in start..start + count {
            out.push(out[from]);
        }
    }
}

/// A length of four bits that goes on in further bytes when all are set.
fn length(cursor: &mut Cursor, nibble: u8) -> Result<usize, String> {
    let mut length = usize::from(nibble);
    if nibble == 15 {
        loop {
            let byte = cursor.u8("a length")?;
            length += usize::from(byte);
            if byte != 255 {
                break;
            }
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// "abc" three times, then "xyzzy": one literal run, an overlapping copy, the last literals.
    const BLOCK: &[u8] = &[0x32, b'a', b'b', b'c', 3, 0, 0x50, b'x', b'y', b'z', b'z', b'y'];

    fn frame(flags: u8, blocks: &[(u32, &[u8])]) -> Vec<u8> {
        let mut bytes = [&MAGIC.to_le_bytes()[..], &[flags, 0x40, 0]].concat();
        for (mark, block) in blocks {
            bytes.extend((block.len() as u32 | mark).to_le_bytes());
            bytes.extend(*block);
        }
        [&bytes[..], &[0; 4]].concat()
    }

    #[test]
    fn literals_copies_and_plain_blocks() {
        assert_eq!(unpack(&frame(0x60, &[(0, BLOCK)]), 100).unwrap(), b"abcabcabcxyzzy");
        let two = frame(0x40, &[(PLAIN, b"abc"), (0, &[0x02, 3, 0, 0x10, b'!'])]);
        assert_eq!(unpack(&two, 100).unwrap(), b"abcabcabc!");
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        // A run of one letter, 255 times as long as its code.
        let mut bomb = vec![0x1f, b'a', 1, 0];
        bomb.extend([255; 1000]);
        bomb.extend([0, 0x10, b'b']);
        assert_eq!(unpack(&frame(0x60, &[(0, &bomb)]), 1 << 20).unwrap().len(), 1 + 19 + 255_000 + 1);
        assert!(unpack(&frame(0x60, &[(0, &bomb)]), 1000).unwrap_err().contains("more than 1000 bytes"));
        assert!(unpack(&frame(0x60, &[(0, &[0x00, 9, 0])]), 100).unwrap_err().contains("9 bytes before"));
        assert!(unpack(&frame(0x61, &[]), 100).unwrap_err().contains("without a dictionary"));
        assert!(unpack(b"none", 100).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn any_block_stops_at_the_limit(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut out = Vec::new();
            let _ = block(&bytes, &mut out, 1000);
            prop_assert!(out.len() <= 1000);
        }
    }
}
