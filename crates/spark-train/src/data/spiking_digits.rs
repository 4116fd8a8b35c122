//! The Heidelberg Spiking Datasets.

use spark_io::events::read_speech;
use std::path::Path;

use super::{DataError, Recordings};

/// Reads spoken words as spikes, with the names of the classes: a file of the Spiking Heidelberg Digits (20
/// classes) or the Spiking Speech Commands (35), unpacked from gzip.
///
/// The recordings are those of a sensor of 700 columns, the channels, and one row. [`EventFrames`] puts them into
/// bins; with [`Merged`](super::Polarities::Merged) polarities a frame has the shape `[1, 1, 700]`.
///
/// # Errors
/// When the file cannot be read (see [`read_speech`]) or has a class above 255.
///
/// # Examples
/// Made-up recordings in the layout of the genuine files:
/// ```
/// use spark_train::Purpose;
/// use spark_train::data::{Bins, EventFrames, Polarities, Source, read_spiking_digits};
/// use std::sync::Arc;
///
/// let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../spark-io/tests/fixtures/speech_synthetic.h5");
/// let (recordings, classes) = read_spiking_digits(path.as_ref())?;
/// assert_eq!((recordings.labels(), classes[3].as_str()), (&[3, 0, 19, 7][..], "three"));
///
/// let bins = Bins::Fixed { micros: 10_000, count: 140 };
/// let frames = EventFrames { polarities: Polarities::Merged, ..EventFrames::new(Arc::new(recordings), bins) };
/// assert_eq!((frames.shape(), frames.frames()), (vec![1, 1, 700], 140));
/// assert_eq!(frames.sample(0, 1, Purpose::Evaluate).len(), 140 * 700);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`EventFrames`]: super::EventFrames
pub fn read_spiking_digits(path: &Path) -> Result<(Recordings, Vec<String>), DataError> {
    let speech = read_speech(path)?;
    let mut recordings = Recordings::new(700, 1);
    for (events, &label) in speech.recordings.into_iter().zip(&speech.labels) {
        recordings.push(events, label).map_err(|message| DataError::content(path, message))?;
    }
    let count = speech.labels.iter().max().map_or(0, |label| label + 1);
    let mut classes = speech.classes;
    // Classes without a name are called by their number.
    classes.extend((classes.len()..count).map(|class| class.to_string()));
    Ok((recordings, classes))
}
