//! Labelled recordings of event cameras.

use spark_io::FormatError;
use spark_io::events::{self, Events};
use std::path::Path;

use super::{DataError, image_folder::each_file, label};

/// Labelled recordings of sensors of one size.
///
/// # Examples
/// ```
/// use spark_io::events::{Event, Events};
/// use spark_train::data::Recordings;
///
/// let mut recording = Events::new(34, 34);
/// recording.push(Event { time: 250, x: 3, y: 7, on: true })?;
/// let mut recordings = Recordings::new(34, 34);
/// recordings.push(recording, 5)?;
/// assert_eq!((recordings.len(), recordings.labels()), (1, &[5][..]));
/// assert!(recordings.push(Events::new(128, 128), 5).unwrap_err().contains("sensor of 128×128"));
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recordings {
    width: u16,
    height: u16,
    recordings: Vec<Events>,
    labels: Vec<u8>,
}

impl Recordings {
    /// No recordings yet, of a sensor of `width` × `height` pixels.
    pub fn new(width: u16, height: u16) -> Self {
        Self { width, height, ..Self::default() }
    }

    /// Reads the recordings `CLASS/NAME.bin` – or `.aedat`, `.aedat4`, `.npz` – of a folder with a sensor of
    /// `width` × `height` pixels, with the names of the classes.
    ///
    /// N-MNIST's `Train` and `Test` are such folders, of 34 × 34 pixels; so is what [`write`](Self::write)
    /// writes. Classes and the recordings of each are sorted by name. All are kept in memory, 9 bytes an event.
    ///
    /// # Errors
    /// When the folder or a recording cannot be read, a class is empty, or there is none or more than 256.
    ///
    /// # Examples
    /// ```
    /// let folder = tempfile::tempdir()?;
    /// std::fs::create_dir(folder.path().join("7"))?;
    /// std::fs::write(folder.path().join("7/00001.bin"), [10, 20, 0x80, 0x01, 0x02])?;
    /// let (recordings, classes) = spark_train::data::Recordings::read(folder.path(), 34, 34)?;
    /// assert_eq!((recordings.get(0).len(), classes), (1, vec!["7".to_owned()]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(folder: &Path, width: u16, height: u16) -> Result<(Self, Vec<String>), DataError> {
        let mut recordings = Self::new(width, height);
        let classes = each_file(folder, &["bin", "aedat", "aedat4", "npz"], |path, class| {
            let recording = events::read(path, [width, height])?;
            recordings.push(recording, class.into()).map_err(|message| DataError::content(path, message))
        })?;
        Ok((recordings, classes))
    }

    /// Writes every recording in N-MNIST's layout as `CLASS/NUMBER.bin`, numbered from 1 over all classes with
    /// five digits or more; folders are made where they are missing.
    ///
    /// # Errors
    /// When a file cannot be written, or a recording cannot be told in that layout.
    ///
    /// # Examples
    /// ```
    /// use spark_io::events::{Event, Events};
    /// use spark_train::data::Recordings;
    ///
    /// let mut recordings = Recordings::new(34, 34);
    /// recordings.push(Events::new(34, 34), 0)?;
    /// let folder = tempfile::tempdir()?;
    /// recordings.write(folder.path())?;
    /// assert!(folder.path().join("0/00001.bin").is_file());
    /// assert_eq!(Recordings::read(folder.path(), 34, 34)?.0, recordings);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn write(&self, folder: &Path) -> Result<(), DataError> {
        // As many digits as the highest class has, so that names sort as numbers do.
        let digits = self.labels.iter().max().map_or(1, |label| label.to_string().len());
        for (index, (recording, label)) in self.recordings.iter().zip(&self.labels).enumerate() {
            let class = folder.join(format!("{label:0digits$}"));
            std::fs::create_dir_all(&class)
                .map_err(|source| FormatError::Write { path: class.clone(), source })?;
            events::write_bin(&class.join(format!("{:05}.bin", index + 1)), recording)?;
        }
        Ok(())
    }

    /// Adds a recording of class `class`.
    ///
    /// # Errors
    /// A sentence, when its sensor has another size or the class is above 255.
    pub fn push(&mut self, recording: Events, class: usize) -> Result<(), String> {
        if (recording.width(), recording.height()) != (self.width, self.height) {
            return Err(format!(
                "recording {}: found a sensor of {}×{}, expected {}×{}",
                self.len(),
                recording.width(),
                recording.height(),
                self.width,
                self.height
            ));
        }
        let label = label(class).map_err(|message| format!("recording {}: {message}", self.len()))?;
        self.recordings.push(recording);
        self.labels.push(label);
        Ok(())
    }

    /// Columns and rows of the sensor.
    pub fn sensor(&self) -> [u16; 2] {
        [self.width, self.height]
    }

    /// Number of recordings.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Recording `index`.
    pub fn get(&self, index: usize) -> &Events {
        &self.recordings[index]
    }

    /// Class of each recording.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }
}
