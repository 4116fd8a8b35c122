//! AEDAT 3.1: lines of text, then packets of events of one type each.
//!
//! Source: iniVation, *AEDAT 3.1 file format*. The header of a packet has 28 bytes, little-endian: type and
//! source (16 bits each), bytes per event, place of the time stamp, overflows of it, capacity, number of
//! events, number of valid ones. A polarity event has 8: validity, polarity, row (15 bits), column (15 bits)
//! in the first word, the time in µs in the second.

use super::{Events, Raw, collect};
use crate::cursor::Cursor;

/// What a file starts with.
pub(super) const MAGIC: &[u8] = b"#!AER-DAT3.1";
/// The type of polarity events, and the bytes of one.
const POLARITY: (u16, usize) = (1, 8);

pub(super) fn parse(bytes: &[u8], sensor: [u16; 2]) -> Result<Events, String> {
    let start = header_end(bytes)?;
    for packet in packets(bytes, start) {
        packet?;
    }
    collect(sensor, || {
        packets(bytes, start)
            .flatten()
            .flat_map(|packet| packet.events().map(move |event| Ok(packet.raw(event))))
    })
}

/// Where the first packet begins: after the last of the lines that start with `#`.
fn header_end(bytes: &[u8]) -> Result<usize, String> {
    let mark = b"#!END-HEADER\r\n";
    let mut at = 0;
    while bytes[at..].starts_with(b"#") {
        if bytes[at..].starts_with(mark) {
            return Ok(at + mark.len());
        }
        match bytes[at..].iter().position(|&byte| byte == b'\n') {
            Some(end) => at += end + 1,
            None => break,
        }
    }
    Err(format!("byte {at}: found no line #!END-HEADER: truncated or corrupt"))
}

/// A packet of polarity events.
#[derive(Clone, Copy, Debug)]
struct Packet<'a> {
    overflows: u32,
    data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// The events marked valid.
    fn events(&self) -> impl Iterator<Item = &'a [u8; POLARITY.1]> + use<'a> {
        self.data.as_chunks().0.iter().filter(|event| event[0] & 1 == 1)
    }

    fn raw(&self, event: &[u8; POLARITY.1]) -> Raw {
        let [a, b, c, d, time @ ..] = *event;
        let (word, time) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(time));
        Raw {
            time: i64::from(self.overflows) << 31 | i64::from(time & 0x7fff_ffff),
            x: i64::from(word >> 17),
            y: i64::from(word >> 2 & 0x7fff),
            on: word >> 1 & 1 == 1,
        }
    }
}

/// The packets of polarity events; those of other types are passed over.
fn packets(bytes: &[u8], start: usize) -> impl Iterator<Item = Result<Packet<'_>, String>> {
    let mut cursor = Cursor::new(bytes, start);
    let mut failed = false;
    std::iter::from_fn(move || {
        while !failed && !cursor.rest().is_empty() {
            match packet(&mut cursor) {
                Ok(None) => {}
                Ok(Some(packet)) => return Some(Ok(packet)),
                Err(message) => {
                    failed = true;
                    return Some(Err(message));
                }
            }
        }
        None
    })
}

fn packet<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Packet<'a>>, String> {
    let at = cursor.at();
    let (kind, _source) = (cursor.u16("a packet's header")?, cursor.u16("a packet's header")?);
    let (size, _place) = (cursor.length("a packet's header")?, cursor.u32("a packet's header")?);
    let overflows = cursor.u32("a packet's header")?;
    let (capacity, number) = (cursor.length("a packet's header")?, cursor.length("a packet's header")?);
    let _valid = cursor.u32("a packet's header")?;
    let length = capacity
        .checked_mul(size)
        .ok_or_else(|| format!("byte {at}: found {capacity} events of {size} bytes"))?;
    let data = cursor.take(length, "events")?;
    if kind != POLARITY.0 {
        return Ok(None);
    }
    if size != POLARITY.1 || number > capacity {
        return Err(format!(
            "byte {at}: found {number} of {capacity} polarity events of {size} bytes, expected events of 8 bytes"
        ));
    }
    Ok(Some(Packet { overflows, data: &data[..number * size] }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Event, damaged};
    use crate::test_memory::peak;
    use proptest::prelude::*;

    fn packet(kind: u16, overflows: u32, events: &[(u32, u32, bool, bool, u32)]) -> Vec<u8> {
        let count = events.len() as u32;
        let head = [u32::from(kind) | 1 << 16, 8, 4, overflows, count, count, count];
        let words = events.iter().flat_map(|&(x, y, on, valid, time)| {
            [x << 17 | y << 2 | u32::from(on) << 1 | u32::from(valid), time]
        });
        head.into_iter().chain(words).flat_map(u32::to_le_bytes).collect()
    }

    fn sample() -> Vec<u8> {
        let header = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n".to_vec();
        let first = packet(1, 0, &[(5, 7, true, true, 0x7fff_fff0), (1, 2, true, false, 3)]);
        let other = packet(2, 0, &[(0, 0, true, true, 9)]);
        let second = packet(1, 1, &[(127, 0, false, true, 4)]);
        [header, first, other, second].concat()
    }

    #[test]
    fn valid_polarity_events_are_read_across_an_overflow() {
        let events = parse(&sample(), [128, 128]).unwrap();
        let expected = [Event { time: 0, x: 5, y: 7, on: true }, Event { time: 20, x: 127, y: 0, on: false }];
        assert_eq!(events.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let good = sample();
        let error = parse(&good[..good.len() - 1], [128, 128]).unwrap_err();
        assert!(error.contains("found 7 more bytes, expected 8 of events"), "{error}");
        assert!(parse(&good[..30], [128, 128]).unwrap_err().contains("no line #!END-HEADER"));
        let error = parse(&good, [100, 100]).unwrap_err();
        assert!(error.starts_with("event 1: found column 127, row 0, expected a pixel"), "{error}");
        let mut huge = good.clone();
        let capacity = good.len() - 8 - 12;
        huge[capacity..capacity + 4].copy_from_slice(&[0xff; 4]);
        assert!(parse(&huge, [128, 128]).unwrap_err().contains("truncated or corrupt"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn damaged_files_never_panic_nor_take_much_memory(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            for bytes in damaged(&sample(), &changes, &cut) {
                let (_, peak) = peak(|| parse(&bytes, [128, 128]));
                prop_assert!(peak <= 2 * bytes.len() + 1024, "{peak}");
            }
        }
    }
}
