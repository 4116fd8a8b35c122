//! Spoken words as spikes of an artificial cochlea, in HDF5: the Heidelberg Spiking Datasets.
//!
//! `spikes/times` and `spikes/units` hold one sequence for each recording, times in s and channels from 0;
//! `labels` its class, `extra/keys` the names of classes.
//!
//! Source: Cramer, Stradmann, Schemmel & Zenke, *The Heidelberg spiking data sets for the systematic evaluation of
//! spiking neural networks*, IEEE Transactions on Neural Networks and Learning Systems 33 (2022).

use std::path::Path;

use super::{Event, Events};
use crate::FormatError;
use crate::format_error::read_bytes;
use crate::hdf5::Hdf5;

/// Channels of the cochlea.
const CHANNELS: u16 = 700;

/// Recordings of spoken words; see [`read_speech`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Speech {
    /// The recordings: column 0 to 699 is the channel, there is one row, and all events are on.
    pub recordings: Vec<Events>,
    /// The class of each, from 0.
    pub labels: Vec<usize>,
    /// The names of classes, where the file has them.
    pub classes: Vec<String>,
}

/// Reads a file of the Spiking Heidelberg Digits (SHD) or the Spiking Speech Commands (SSC), unpacked from gzip.
///
/// An event takes 9 bytes of memory, of which the file has 4.
///
/// # Errors
/// When the file cannot be read or is no HDF5 file, lacks an array, has another number of times than of units or
/// of recordings than of labels, a channel above 699 or a time that is negative or above an hour.
///
/// # Examples
/// ```
/// let error = spark_io::events::read_speech("/nowhere/shd_train.h5".as_ref()).unwrap_err();
/// assert!(error.to_string().contains("/nowhere/shd_train.h5"));
/// ```
pub fn read_speech(path: &Path) -> Result<Speech, FormatError> {
    parse(&read_bytes(path)?).map_err(FormatError::content(path))
}

pub(super) fn parse(bytes: &[u8]) -> Result<Speech, String> {
    if bytes.starts_with(b"\x1f\x8b") {
        return Err("found a file packed with gzip, expected an unpacked one (gunzip)".to_owned());
    }
    let root = Hdf5::parse(bytes)?.root()?;
    let spikes = root.group("spikes")?;
    let (times, units) = (spikes.dataset("times")?.read()?, spikes.dataset("units")?.read()?);
    let labels = root.dataset("labels")?.read()?;
    let counts = [times.len(), units.len(), labels.len()];
    if counts.iter().any(|&count| count != counts[0]) {
        return Err(format!("found {counts:?} entries of times, units and labels, expected as many of each"));
    }
    let labels = labels.integers().map_err(|message| format!("`/labels`: {message}"))?;
    let (mut times, mut units) = (times.sequences()?, units.sequences()?);
    let mut speech = Speech::default();
    let mut events = 0;
    for (index, label) in labels.into_iter().enumerate() {
        let at = |message: String| format!("recording {index}: {message}");
        let (times, units) = (times.next_doubles(), units.next_doubles());
        let (Some(times), Some(units)) = (times.transpose().map_err(at)?, units.transpose().map_err(at)?)
        else {
            return Err(at("found no spikes".to_owned()));
        };
        // Each event has its place in the file.
        events += times.len();
        if times.len() != units.len() || 2 * events > bytes.len() {
            return Err(at(format!("found {} times and {} units", times.len(), units.len())));
        }
        speech.recordings.push(recording(times, units).map_err(at)?);
        let label = usize::try_from(label).map_err(|_| at(format!("found the class {label}")))?;
        speech.labels.push(label);
    }
    if root.contains("extra") && root.group("extra")?.contains("keys") {
        speech.classes = root.group("extra")?.dataset("keys")?.read()?.strings()?;
    }
    Ok(speech)
}

fn recording(
    times: impl ExactSizeIterator<Item = f64>,
    units: impl Iterator<Item = f64>,
) -> Result<Events, String> {
    let mut events = Events::with_capacity([CHANNELS, 1], times.len());
    for (index, (time, unit)) in times.zip(units).enumerate() {
        if !(0.0..=3600.0).contains(&time) {
            return Err(format!("event {index}: found the time {time} s, expected 0 to 3600"));
        }
        if !(unit >= 0.0 && unit < f64::from(CHANNELS)) {
            return Err(format!("event {index}: found channel {unit}, expected 0 to {}", CHANNELS - 1));
        }
        events.push(Event { time: (time * 1e6).round() as u32, x: unit as u16, y: 0, on: true })?;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::damaged;
    use proptest::prelude::*;

    /// Made up, in the layout of the genuine files; `tests/fixtures/speech.py` says how.
    const SYNTHETIC: &[u8] = include_bytes!("../../tests/fixtures/speech_synthetic.h5");

    #[test]
    fn times_and_channels_are_read() {
        let speech = parse(SYNTHETIC).unwrap();
        assert_eq!((speech.labels.as_slice(), speech.classes.len()), (&[3, 0, 19, 7][..], 20));
        assert_eq!(speech.classes[19], "neunzehn");
        let first: Vec<_> = speech.recordings[0].iter().map(|event| (event.time, event.x)).collect();
        assert_eq!(first, [(0, 0), (250_000, 699), (500_000, 12)]);
        assert_eq!(speech.recordings[1].len(), 0);
        assert_eq!(speech.recordings.iter().map(Events::len).sum::<usize>(), 3 + 200 + 1);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(parse(b"\x1f\x8b\x08").unwrap_err().contains("gunzip"));
        let times = |time| recording(vec![time].into_iter(), vec![4.0].into_iter()).unwrap_err();
        assert_eq!(times(-0.5), "event 0: found the time -0.5 s, expected 0 to 3600");
        assert!(times(f64::NAN).contains("NaN"));
        let unit = recording(vec![0.5].into_iter(), vec![700.0].into_iter()).unwrap_err();
        assert_eq!(unit, "event 0: found channel 700, expected 0 to 699");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]
        #[test]
        fn damaged_files_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            for bytes in damaged(SYNTHETIC, &changes, &cut) {
                let _ = parse(&bytes);
            }
        }
    }
}
