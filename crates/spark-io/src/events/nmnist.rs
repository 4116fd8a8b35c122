//! The layout of N-MNIST and N-Caltech101: five bytes an event.
//!
//! Source: G. Orchard, A. Jayawant, G. K. Cohen & N. Thakor, *Converting static image datasets to spiking
//! neuromorphic datasets using saccades*, Frontiers in Neuroscience 9:437, 2015. Column, row, polarity in the
//! top bit of the third byte, and 23 bits of time in µs, highest byte first. An event in row 240 is none: it
//! moves the time of all that follow by 8,192 µs.

use std::path::Path;

use super::{Event, Events};
use crate::format_error::read_bytes;
use crate::{FormatError, write_atomically};

/// Bytes of an event.
const SIZE: usize = 5;
/// The row that marks an overflow, and what it adds to the time.
const OVERFLOW: (u8, u32) = (240, 1 << 13);
/// Times are below this.
const TIMES: u32 = 1 << 23;

/// Reads a recording of a sensor of `[width, height]` pixels in N-MNIST's layout: 34 × 34 for N-MNIST itself.
///
/// # Errors
/// When the file cannot be read, ends in the middle of an event, or holds one outside the sensor.
///
/// # Examples
/// ```
/// use spark_io::events::{Event, read_bin};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("00001.bin");
/// std::fs::write(&path, [10, 20, 0x80, 0x01, 0x02])?;
/// let recording = read_bin(&path, [34, 34])?;
/// assert_eq!(recording.iter().next(), Some(Event { time: 258, x: 10, y: 20, on: true }));
///
/// std::fs::write(&path, [10, 20, 0x80, 0x01, 0x02, 10])?;
/// assert!(read_bin(&path, [34, 34]).unwrap_err().to_string().contains("in the middle of event 1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_bin(path: &Path, sensor: [u16; 2]) -> Result<Events, FormatError> {
    parse(&read_bytes(path)?, sensor).map_err(FormatError::content(path))
}

/// Writes a recording in N-MNIST's layout.
///
/// # Errors
/// When the sensor has more than 240 rows or 256 columns, an event comes after the 8.388607 s that the layout
/// can tell, or the file cannot be written.
///
/// # Examples
/// ```
/// use spark_io::events::{Event, Events, read_bin, write_bin};
///
/// let mut recording = Events::new(34, 34);
/// recording.push(Event { time: 1234, x: 33, y: 0, on: false })?;
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("simulated.bin");
/// write_bin(&path, &recording)?;
/// assert_eq!(read_bin(&path, [34, 34])?, recording);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn write_bin(path: &Path, events: &Events) -> Result<(), FormatError> {
    let bytes = encode(events).map_err(FormatError::content(path))?;
    write_atomically(path, &bytes).map_err(|source| FormatError::Write { path: path.to_owned(), source })
}

fn encode(events: &Events) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(events.len() * SIZE);
    for (index, Event { time, x, y, on }) in events.iter().enumerate() {
        let (Ok(x), Ok(y)) = (u8::try_from(x), u8::try_from(y)) else {
            return Err(format!("event {index}: found column {x}, row {y}, expected one below 256"));
        };
        if time >= TIMES || y >= OVERFLOW.0 {
            return Err(format!(
                "event {index}: found row {y} at {time} µs, expected one below 240 and {TIMES}"
            ));
        }
        let [_, high, middle, low] = time.to_be_bytes();
        bytes.extend([x, y, u8::from(on) << 7 | high, middle, low]);
    }
    Ok(bytes)
}

/// The recording in the bytes of a file.
pub(super) fn parse(bytes: &[u8], sensor: [u16; 2]) -> Result<Events, String> {
    let (chunks, rest) = bytes.as_chunks::<SIZE>();
    if !rest.is_empty() {
        return Err(format!("byte {}: the file ends in the middle of event {}", bytes.len(), chunks.len()));
    }
    let mut events = Events::with_capacity(sensor, chunks.len());
    let mut base = 0u32;
    for (index, &[x, y, high, middle, low]) in chunks.iter().enumerate() {
        if y == OVERFLOW.0 {
            base = base.saturating_add(OVERFLOW.1);
            continue;
        }
        let time = u32::from_be_bytes([0, high & 0x7f, middle, low]);
        let time = base.checked_add(time).ok_or_else(|| format!("event {index}: its time overflows"))?;
        let event = Event { time, x: x.into(), y: y.into(), on: high >> 7 == 1 };
        events.push(event).map_err(|message| format!("byte {}, {message}", index * SIZE))?;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::damaged;
    use crate::test_memory::peak;
    use proptest::prelude::*;

    #[test]
    fn an_overflow_moves_the_times_after_it() {
        let bytes = [1, 2, 0, 0, 5, 0, 240, 0, 0, 0, 3, 4, 0x80, 0, 6];
        let events = parse(&bytes, [34, 34]).unwrap();
        let times: Vec<u32> = events.iter().map(|event| event.time).collect();
        assert_eq!(times, [5, 8192 + 6]);
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        let mut events = Events::new(300, 300);
        events.push(Event { time: 0, x: 256, y: 0, on: true }).unwrap();
        assert!(encode(&events).unwrap_err().contains("event 0: found column 256"));
        let mut events = Events::new(34, 34);
        events.push(Event { time: TIMES, x: 0, y: 0, on: true }).unwrap();
        assert!(encode(&events).unwrap_err().contains("event 0: found row 0 at 8388608 µs"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn recordings_read_back_and_damaged_ones_never_panic(
            events in prop::collection::vec((0..TIMES, 0u16..34, 0u16..34, any::<bool>()), 1..20),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut recording = Events::new(34, 34);
            for (time, x, y, on) in events {
                recording.push(Event { time, x, y, on }).unwrap();
            }
            let bytes = encode(&recording).unwrap();
            prop_assert_eq!(&parse(&bytes, [34, 34]).unwrap(), &recording);
            for bytes in damaged(&bytes, &changes, &cut) {
                let (_, peak) = peak(|| parse(&bytes, [34, 34]));
                prop_assert!(peak <= 2 * bytes.len() + 1024, "{peak}");
            }
        }
    }
}
