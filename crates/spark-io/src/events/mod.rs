//! Recordings of event cameras: N-MNIST `.bin`, AEDAT 3.1 and 4, and DVS-Gesture `.npz`; and of an artificial
//! cochlea ([`read_speech`]).
//!
//! An event camera reports each pixel whose brightness rose or fell, when it did (P. Lichtsteiner, C. Posch &
//! T. Delbruck, *A 128×128 120 dB 15 µs latency asynchronous temporal contrast vision sensor*, IEEE Journal
//! of Solid-State Circuits 43, 2008). All readers give [`Events`]. They hold the file and at most twice its
//! size more, of packed files what they unpack to: nothing is set aside for a length that a file claims before
//! its bytes were found to be there, and unpacking stops at a limit.

mod aedat3;
mod aedat4;
mod flat;
mod lz4;
mod nmnist;
mod npz;
mod speech;

pub use nmnist::{read_bin, write_bin};
pub use speech::{Speech, read_speech};

use std::path::Path;

use crate::FormatError;
use crate::format_error::read_bytes;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in µs from the start of the recording.
    pub time: u32,
    /// Column, from 0 at the left.
    pub x: u16,
    /// Row, from 0 at the top.
    pub y: u16,
    /// Whether the pixel became brighter.
    pub on: bool,
}

/// A recording: events in the order in which the camera sent them, 9 bytes each.
///
/// # Examples
/// ```
/// use spark_io::events::{Event, Events};
///
/// let mut recording = Events::new(34, 34);
/// recording.push(Event { time: 250, x: 3, y: 7, on: true })?;
/// assert_eq!((recording.len(), recording.duration()), (1, 251));
/// assert!(recording.push(Event { time: 260, x: 34, y: 7, on: false }).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Events {
    width: u16,
    height: u16,
    start: i64,
    times: Vec<u32>,
    x: Vec<u16>,
    y: Vec<u16>,
    on: Vec<bool>,
}

impl Events {
    /// A recording without events of a sensor of `width` × `height` pixels.
    pub fn new(width: u16, height: u16) -> Self {
        Self { width, height, ..Self::default() }
    }

    /// The same with memory for `count` events and not more.
    pub(crate) fn with_capacity([width, height]: [u16; 2], count: usize) -> Self {
        let mut events = Self::new(width, height);
        events.times.reserve_exact(count);
        events.x.reserve_exact(count);
        events.y.reserve_exact(count);
        events.on.reserve_exact(count);
        events
    }

    /// Adds an event.
    ///
    /// # Errors
    /// A sentence, when it lies outside the sensor.
    pub fn push(&mut self, event: Event) -> Result<(), String> {
        let Event { time, x, y, on } = event;
        if x >= self.width || y >= self.height {
            return Err(format!(
                "event {}: found column {x}, row {y}, expected a pixel of a sensor of {}×{}",
                self.len(),
                self.width,
                self.height
            ));
        }
        self.times.push(time);
        self.x.push(x);
        self.y.push(y);
        self.on.push(on);
        Ok(())
    }

    /// Columns of the sensor.
    pub fn width(&self) -> u16 {
        self.width
    }

    /// Rows of the sensor.
    pub fn height(&self) -> u16 {
        self.height
    }

    /// What the camera's clock showed at time 0, in µs; 0 where a format does not tell.
    pub fn start(&self) -> i64 {
        self.start
    }

    /// The part of a recording in which the camera's clock showed `from` or later and less than `to`, in µs; its
    /// time 0 is `from`.
    ///
    /// # Examples
    /// ```
    /// use spark_io::events::{Event, Events};
    ///
    /// let mut recording = Events::new(8, 8);
    /// for time in [0, 10, 20, 30] {
    ///     recording.push(Event { time, x: 1, y: 2, on: true })?;
    /// }
    /// let part = recording.between(10, 30);
    /// assert_eq!(part.iter().map(|event| event.time).collect::<Vec<_>>(), [0, 10]);
    /// assert_eq!(part.start(), 10);
    /// # Ok::<(), String>(())
    /// ```
    #[must_use]
    pub fn between(&self, from: i64, to: i64) -> Self {
        let mut part = Self { start: from, ..Self::new(self.width, self.height) };
        for event in self.iter() {
            let clock = self.start.saturating_add(event.time.into());
            let time = clock.checked_sub(from).and_then(|time| u32::try_from(time).ok());
            if let Some(time) = time
                && clock < to
            {
                part.times.push(time);
                part.x.push(event.x);
                part.y.push(event.y);
                part.on.push(event.on);
            }
        }
        part
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// The first µs after all events.
    pub fn duration(&self) -> u64 {
        self.times.iter().max().map_or(0, |&time| u64::from(time) + 1)
    }

    /// All events in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event> {
        (0..self.len()).map(|i| Event { time: self.times[i], x: self.x[i], y: self.y[i], on: self.on[i] })
    }
}

/// An event with the time of the camera's clock, as a reader finds it.
#[derive(Clone, Copy, Debug)]
struct Raw {
    time: i64,
    x: i64,
    y: i64,
    on: bool,
}

/// A recording of raw events; the earliest is its start. They are gone through twice, so that memory is set
/// aside for as many as there are.
fn collect<I>(sensor: [u16; 2], raw: impl Fn() -> I) -> Result<Events, String>
where
    I: Iterator<Item = Result<Raw, String>>,
{
    let (mut start, mut count) = (i64::MAX, 0);
    for event in raw() {
        start = start.min(event?.time);
        count += 1;
    }
    let mut events = Events::with_capacity(sensor, count);
    events.start = if count == 0 { 0 } else { start };
    for event in raw() {
        let Raw { time, x, y, on } = event?;
        let index = events.len();
        let time = time.checked_sub(start).and_then(|time| u32::try_from(time).ok());
        let time = time.ok_or_else(|| {
            format!(
                "event {index}: found one more than {} s after the first, expected at most that",
                u32::MAX / 1_000_000
            )
        })?;
        let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(y)) else {
            return Err(format!("event {index}: found column {x}, row {y}, expected a pixel"));
        };
        events.push(Event { time, x, y, on })?;
    }
    Ok(events)
}

/// Reads a recording of a sensor of `[width, height]` pixels: `.bin` as [`read_bin`] does, `.aedat` and
/// `.aedat4` in versions 3.1 and 4 of that format by their first line, or `.npz` with the one-dimensional
/// arrays `x`, `y`, `t` (µs) and `p` (1 for brighter) as SpikingJelly keeps DVS-Gesture.
///
/// Times count from the earliest event. Of AEDAT files the polarity events are read and others passed over;
/// those marked invalid in version 3.1 are left out. Packets of version 4 may be packed with LZ4 (its check sums
/// are not compared), not with Zstandard. Sources: iniVation, *AEDAT file formats* 3.1 and 4.0; A. Amir et al., *A low power, fully
/// event-based gesture recognition system*, CVPR 2017.
///
/// # Errors
/// When the file cannot be read, has another ending or contents, ends in the middle of an event, or an
/// event lies outside the sensor or more than 71 minutes after the first: with the place in the file.
///
/// # Examples
/// ```
/// use spark_io::events;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("gesture.aedat");
/// let header = b"#!AER-DAT3.1\r\n#Source 1: DVS128\r\n#!END-HEADER\r\n".to_vec();
/// // One packet of one event: type 1, source 1, 8 bytes an event, time at byte 4.
/// let numbers: [u32; 9] = [1 | 1 << 16, 8, 4, 0, 1, 1, 1, 5 << 17 | 7 << 2 | 0b11, 1000];
/// let packet: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
/// std::fs::write(&path, [header, packet].concat())?;
/// let recording = events::read(&path, [128, 128])?;
/// assert_eq!(recording.iter().next(), Some(events::Event { time: 0, x: 5, y: 7, on: true }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path, sensor: [u16; 2]) -> Result<Events, FormatError> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let parse = match ending.as_deref() {
        Some("bin") => nmnist::parse,
        Some("aedat" | "aedat4") => aedat,
        Some("npz") => npz::parse,
        _ => {
            let message = "expected a file that ends in .bin, .aedat, .aedat4 or .npz".to_owned();
            return Err(FormatError::Content { path: path.to_owned(), message });
        }
    };
    parse(&read_bytes(path)?, sensor).map_err(FormatError::content(path))
}

/// Either version of AEDAT.
fn aedat(bytes: &[u8], sensor: [u16; 2]) -> Result<Events, String> {
    if bytes.starts_with(aedat3::MAGIC) {
        aedat3::parse(bytes, sensor)
    } else if bytes.starts_with(aedat4::MAGIC) {
        aedat4::parse(bytes, sensor)
    } else {
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let line = String::from_utf8_lossy(&line[..line.len().min(40)]);
        Err(format!("found the first line `{}`, expected #!AER-DAT3.1 or #!AER-DAT4.0", line.trim()))
    }
}

/// Changes to the bytes of a file, for tests of damaged ones.
#[cfg(test)]
pub(crate) fn damaged(
    bytes: &[u8],
    changes: &[(proptest::sample::Index, u8)],
    cut: &proptest::sample::Index,
) -> [Vec<u8>; 2] {
    let mut bytes = bytes.to_vec();
    for (place, byte) in changes {
        let place = place.index(bytes.len());
        bytes[place] = *byte;
    }
    let part = bytes[..cut.index(bytes.len())].to_vec();
    [bytes, part]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let message = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            read(&path, [34, 34]).unwrap_err().to_string()
        };
        assert!(message("a.txt", b"").contains("ends in .bin, .aedat, .aedat4 or .npz"));
        assert!(message("a.aedat", b"#!AER-DAT2.0\r\n#x").contains("`#!AER-DAT2.0`, expected #!AER-DAT3.1"));
        assert!(message("a.npz", b"PK").contains("no directory of a zip archive"));
        assert!(read(Path::new("/nowhere/a.bin"), [34, 34]).unwrap_err().to_string().contains("/nowhere"));
    }
}
