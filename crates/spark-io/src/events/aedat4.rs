//! AEDAT 4: a FlatBuffer that says how packets are packed, then packets, then a table of where they are.
//!
//! Source: iniVation, *AEDAT 4.0 file format* and the schemas of dv-processing: `IOHeader { compression,
//! dataTablePosition, infoNode }`, `EventPacket { elements }`, `Event { timestamp: i64 (µs), x: i16, y: i16,
//! on: bool }` in 16 bytes. A packet begins with stream and length, 32 bits each.

use std::borrow::Cow;

use super::flat::Table;
use super::{Events, Raw, collect, lz4};
use crate::cursor::Cursor;

/// What a file starts with.
pub(super) const MAGIC: &[u8] = b"#!AER-DAT4.0\r\n";
/// The most that a packet may unpack to; cameras send some 10 kB.
const LIMIT: usize = 64 << 20;

/// How packets are packed.
#[derive(Clone, Copy, Debug)]
enum Packing {
    Plain,
    Lz4,
}

pub(super) fn parse(bytes: &[u8], sensor: [u16; 2]) -> Result<Events, String> {
    let mut cursor = Cursor::new(bytes, MAGIC.len());
    let size = cursor.length("the header")?;
    cursor.take(size, "the header")?;
    let missing = "found no header of AEDAT 4";
    let header = Table::root(&bytes[MAGIC.len()..], b"IOHE")?.ok_or(missing)?;
    let packing = match header.u32(0)? {
        0 => Packing::Plain,
        1 | 2 => Packing::Lz4,
        3 | 4 => return Err("found packets packed with Zstandard, expected plain ones or LZ4".to_owned()),
        other => return Err(format!("found packets packed by method {other}, expected 0, 1 or 2")),
    };
    let end = match header.i64(1, -1)? {
        -1 => bytes.len(),
        end => usize::try_from(end)
            .ok()
            .filter(|&end| (cursor.at()..=bytes.len()).contains(&end))
            .ok_or_else(|| {
                format!(
                    "found the table of packets at byte {end} of {}, expected one in the file",
                    bytes.len()
                )
            })?,
    };
    let start = cursor.at();
    let packets = || Packets { cursor: Cursor::new(&bytes[..end], start), packing, failed: false };
    collect(sensor, || packets().flat_map(raw_events))
}

/// The packets of events; those of other kinds are passed over.
struct Packets<'a> {
    cursor: Cursor<'a>,
    packing: Packing,
    failed: bool,
}

impl<'a> Packets<'a> {
    fn packet(&mut self) -> Result<Cow<'a, [u8]>, String> {
        let _stream = self.cursor.u32("a packet's header")?;
        let at = self.cursor.at();
        let size = self.cursor.length("a packet's header")?;
        let data = self.cursor.take(size, "a packet")?;
        Ok(match self.packing {
            Packing::Plain => Cow::Borrowed(data),
            Packing::Lz4 => Cow::Owned(
                lz4::unpack(data, LIMIT).map_err(|message| format!("byte {at}, packet: {message}"))?,
            ),
        })
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Cow<'a, [u8]>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.cursor.rest().is_empty() {
            return None;
        }
        let packet = self.packet();
        self.failed = packet.is_err();
        Some(packet)
    }
}

/// The events of a packet, one at a time, or what is wrong with it.
fn raw_events(packet: Result<Cow<'_, [u8]>, String>) -> impl Iterator<Item = Result<Raw, String>> {
    let (packet, mut problem) = match packet {
        Ok(packet) => (packet, None),
        Err(message) => (Cow::Borrowed(&[][..]), Some(message)),
    };
    let count = if problem.is_some() { Ok(0) } else { events(&packet).map(<[_]>::len) };
    let count = count.unwrap_or_else(|message| {
        problem = Some(message);
        0
    });
    let found = (0..count).map(move |index| Ok(raw(&events(&packet)?[index])));
    found.chain(problem.map(Err))
}

fn events(packet: &[u8]) -> Result<&[[u8; 16]], String> {
    match Table::root(packet, b"EVTS")? {
        Some(table) => table.vector(0),
        None => Ok(&[]),
    }
}

fn raw(event: &[u8; 16]) -> Raw {
    let [a, b, c, d, e, f, g, h, x0, x1, y0, y1, on, ..] = *event;
    Raw {
        time: i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        x: i64::from(i16::from_le_bytes([x0, x1])),
        y: i64::from(i16::from_le_bytes([y0, y1])),
        on: on != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Event, damaged};
    use crate::test_memory::peak;
    use proptest::prelude::*;

    /// A buffer of one table with its length before it: fields of 4 bytes each, then `tail`.
    fn buffer(identifier: &[u8; 4], fields: &[[u8; 4]], tail: &[u8]) -> Vec<u8> {
        let slots = fields.len();
        let (list, table) = (8, 8 + 4 + 2 * slots);
        let mut bytes = (table as u32).to_le_bytes().to_vec();
        bytes.extend(identifier);
        bytes.extend((4 + 2 * slots as u16).to_le_bytes());
        bytes.extend((4 + 4 * slots as u16).to_le_bytes());
        for slot in 0..slots {
            bytes.extend((4 + 4 * slot as u16).to_le_bytes());
        }
        bytes.extend(((table - list) as u32).to_le_bytes());
        bytes.extend(fields.concat());
        bytes.extend(tail);
        [&(bytes.len() as u32).to_le_bytes()[..], &bytes].concat()
    }

    fn packet(events: &[(i64, i16, i16, bool)]) -> Vec<u8> {
        let mut tail = (events.len() as u32).to_le_bytes().to_vec();
        for &(time, x, y, on) in events {
            tail.extend(time.to_le_bytes());
            tail.extend(x.to_le_bytes());
            tail.extend(y.to_le_bytes());
            tail.extend([u8::from(on), 0, 0, 0]);
        }
        buffer(b"EVTS", &[4u32.to_le_bytes()], &tail)
    }

    fn file(compression: u32, packets: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(buffer(b"IOHE", &[compression.to_le_bytes()], &[]));
        for packet in packets {
            let packet = if compression == 1 {
                let size = (packet.len() as u32 | 1 << 31).to_le_bytes();
                [&0x184D_2204u32.to_le_bytes()[..], &[0x60, 0x40, 0], &size, packet, &[0; 4]].concat()
            } else {
                packet.clone()
            };
            bytes.extend([&[0; 4], &(packet.len() as u32).to_le_bytes()[..], &packet].concat());
        }
        bytes
    }

    fn sample(compression: u32) -> Vec<u8> {
        let (first, second) = (packet(&[(1 << 50, 3, 4, true), ((1 << 50) + 7, 5, 6, false)]), packet(&[]));
        file(compression, &[first, buffer(b"FRME", &[], &[]), second, packet(&[((1 << 50) - 2, 0, 0, true)])])
    }

    #[test]
    fn plain_and_packed_packets_are_read() {
        let expected = [
            Event { time: 2, x: 3, y: 4, on: true },
            Event { time: 9, x: 5, y: 6, on: false },
            Event { time: 0, x: 0, y: 0, on: true },
        ];
        for compression in [0, 1] {
            let events = parse(&sample(compression), [346, 260]).unwrap();
            assert_eq!(events.iter().collect::<Vec<_>>(), expected, "{compression}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let good = sample(0);
        assert!(parse(&good[..good.len() - 1], [346, 260]).unwrap_err().contains("of a packet: truncated"));
        assert!(parse(&sample(3), [346, 260]).unwrap_err().contains("Zstandard"));
        let error = parse(&file(0, &[packet(&[(0, -1, 0, true)])]), [346, 260]).unwrap_err();
        assert!(error.contains("event 0: found column -1"), "{error}");
        let late = packet(&[(0, 0, 0, true), (1 << 33, 0, 0, true)]);
        assert!(
            parse(&file(0, &[late]), [346, 260]).unwrap_err().contains("event 1: found one more than 4294 s")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn damaged_files_never_panic_nor_take_much_memory(
            packed in 0u32..2,
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            for bytes in damaged(&sample(packed), &changes, &cut) {
                let (_, peak) = peak(|| parse(&bytes, [346, 260]));
                prop_assert!(peak <= 2 * bytes.len() + 2048, "{peak}");
            }
        }
    }
}
