//! The gestures of DVS-Gesture as they are published.

use spark_io::events;
use std::path::Path;

use super::{DataError, Recordings};

/// Columns and rows of the sensor.
const SENSOR: [u16; 2] = [128, 128];
/// Gestures, which the files count from 1.
const GESTURES: usize = 11;

/// Reads the recordings of DVS-Gesture that a list such as `trials_to_train.txt` names, cut into gestures of
/// classes 0 to 10.
///
/// Each line of the list is the name of an AEDAT 3.1 file in the same folder; beside `NAME.aedat` lies
/// `NAME_labels.csv` with the columns class (from 1), start and end (µs of the camera's clock). Source: A. Amir
/// et al., *A low power, fully event-based gesture recognition system*, CVPR 2017.
///
/// # Errors
/// When a file cannot be read, is not in its format, or names a gesture that there is not: with its line.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let header = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n".to_vec();
/// # let event = |x: u32, time: u32| [x << 17 | 0b11, time];
/// # let head = [1 | 1 << 16, 8, 4, 0, 3, 3, 3];
/// # let words = head.into_iter().chain(event(5, 100)).chain(event(6, 250)).chain(event(7, 900));
/// # let packet: Vec<u8> = words.flat_map(|word: u32| word.to_le_bytes()).collect();
/// # std::fs::write(folder.path().join("user01_led.aedat"), [header, packet].concat())?;
/// let file = |name: &str| folder.path().join(name);
/// std::fs::write(file("user01_led_labels.csv"), "class,startTime_usec,endTime_usec\n1,50,300\n11,800,1000\n")?;
/// std::fs::write(file("trials_to_train.txt"), "user01_led.aedat\n")?;
/// let gestures = spark_train::data::read_gestures(&file("trials_to_train.txt"))?;
/// assert_eq!((gestures.get(0).len(), gestures.get(1).len(), gestures.labels()), (2, 1, &[0, 10][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_gestures(list: &Path) -> Result<Recordings, DataError> {
    let folder = list.parent().unwrap_or(Path::new(""));
    let [width, height] = SENSOR;
    let mut recordings = Recordings::new(width, height);
    for name in text(list)?.lines().map(str::trim).filter(|name| !name.is_empty()) {
        let path = folder.join(name);
        let recording = events::read(&path, SENSOR)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let labels = path.with_file_name(format!("{stem}_labels.csv"));
        for (class, from, to) in
            gestures(&text(&labels)?).map_err(|message| DataError::content(&labels, message))?
        {
            let gesture = recording.between(from, to);
            recordings.push(gesture, class).map_err(|message| DataError::content(&labels, message))?;
        }
    }
    if recordings.is_empty() {
        return Err(DataError::content(list, "found no recordings"));
    }
    Ok(recordings)
}

fn text(path: &Path) -> Result<String, DataError> {
    std::fs::read_to_string(path).map_err(|source| DataError::Read { path: path.to_owned(), source })
}

/// Class from 0, start and end of each gesture; the first line is one of names.
fn gestures(text: &str) -> Result<Vec<(usize, i64, i64)>, String> {
    let lines = text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let numbers: Vec<Option<i64>> = line.split(',').map(|cell| cell.trim().parse().ok()).collect();
            match numbers[..] {
                [Some(class), Some(from), Some(to)]
                    if (1..=GESTURES as i64).contains(&class) && from < to =>
                {
                    Ok((class as usize - 1, from, to))
                }
                _ => Err(format!(
                    "line {}: found `{}`, expected a class from 1 to {GESTURES}, a start and a later end",
                    index + 1,
                    line.chars().take(60).collect::<String>()
                )),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_are_none_are_named_with_their_line() {
        assert_eq!(gestures("class,a,b\n 2, 5 ,9\n\n").unwrap(), [(1, 5, 9)]);
        for line in ["12,5,9", "0,5,9", "1,9,5", "1,5", "1,5,x", "1,5,9,9"] {
            let error = gestures(&format!("class,a,b\n{line}\n")).unwrap_err();
            assert!(error.starts_with(&format!("line 2: found `{line}`")), "{error}");
        }
    }

    #[test]
    fn missing_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("trials_to_test.txt");
        std::fs::write(&list, "user02_lab.aedat\n").unwrap();
        assert!(read_gestures(&list).unwrap_err().to_string().contains("user02_lab.aedat"));
        std::fs::write(&list, "\n").unwrap();
        assert!(read_gestures(&list).unwrap_err().to_string().contains("found no recordings"));
    }
}
