//! Labelled time series in the text format of the UCR and UEA archives (`.ts`), plain or packed with gzip.
//!
//! Source: A. Bagnall, H. A. Dau, J. Lines, M. Flynn, J. Large, A. Bostrom, P. Southam & E. Keogh, *The UEA
//! multivariate time series classification archive, 2018*, arXiv:1811.00075. One case a line: its channels
//! with `:` between them, their values with `,` between them, its label last.

use std::path::Path;

use crate::format_error::read_bytes;
use crate::{FormatError, gzip};

/// Packed files unpack to at most this many bytes.
const MAX_BYTES: u64 = 2 << 30;
/// The most classes of a file.
const CLASSES: usize = 10_000;

/// Time series with a class each.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledSeries {
    /// Numbers at each step of time.
    pub channels: usize,
    /// Values of all cases one after the other, each `[time, channels]`.
    pub values: Vec<f32>,
    /// Number of steps of each case.
    pub steps: Vec<u32>,
    /// Class of each case, as an index into `classes`.
    pub labels: Vec<u16>,
    /// Names of the classes, in the order of the file's header.
    pub classes: Vec<String>,
}

/// Reads a file of labelled time series.
///
/// Series may differ in length. Time stamps, missing values and targets that are no classes are refused.
/// Memory is set aside for what the text holds and no more: 4 bytes for a value, which takes at least 2 in the
/// file, and 6 for a case.
///
/// # Errors
/// When the file cannot be read, or is not such a file: with the line, counted from 1.
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("two.ts");
/// let text = "@problemName two\n@classLabel true low high\n@data\n1,2,3:4,5,6:high\n7:8:low\n";
/// std::fs::write(&path, text)?;
/// let series = spark_io::series::read(&path)?;
/// assert_eq!((series.channels, &series.steps[..]), (2, &[3, 1][..]));
/// assert_eq!(series.values, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0, 7.0, 8.0]);
/// assert_eq!((series.labels, series.classes), (vec![1, 0], vec!["low".to_owned(), "high".to_owned()]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path) -> Result<LabelledSeries, FormatError> {
    parse(&read_bytes(path)?).map_err(FormatError::content(path))
}

/// The time series in the bytes of a file, as [`read`] reads them.
///
/// # Errors
/// A sentence, when they are not such a file: with the line, counted from 1.
///
/// # Examples
/// ```
/// let series = spark_io::series::parse(b"@classLabel true a b\n@data\n1,2:b\n")?;
/// assert_eq!((series.values, series.labels), (vec![1.0, 2.0], vec![1]));
/// # Ok::<(), String>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<LabelledSeries, String> {
    let bytes = gzip::unpack(bytes, MAX_BYTES)?;
    let bytes = &*bytes;
    let text = str::from_utf8(bytes)
        .map_err(|error| format!("byte {}: found bytes that are not UTF-8", error.valid_up_to()))?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut header = Header::default();
    loop {
        let (number, line) = lines.next().ok_or("found no line `@data`: truncated or another format")?;
        if line.eq_ignore_ascii_case("@data") {
            break;
        }
        header.line(line).map_err(|message| format!("line {number}: {message}"))?;
    }
    if header.classes.is_empty() {
        return Err("found no line `@classLabel true …` before `@data`".to_owned());
    }
    let mut series = LabelledSeries {
        channels: 0,
        values: Vec::new(),
        steps: Vec::new(),
        labels: Vec::new(),
        classes: header.classes,
    };
    let (cases, values) = lines.clone().fold((0, 0), |(cases, values), (_, line)| {
        (cases + 1, values + line.bytes().filter(|byte| matches!(byte, b',' | b':')).count())
    });
    series.values.reserve_exact(values);
    series.steps.reserve_exact(cases);
    series.labels.reserve_exact(cases);
    for (number, line) in lines {
        series.push(line).map_err(|message| format!("line {number}, {message}"))?;
    }
    match header.dimensions {
        _ if series.steps.is_empty() => Err("found no case after `@data`".to_owned()),
        Some(dimensions) if dimensions != series.channels => {
            Err(format!("found cases of {} channels, expected {dimensions} (@dimensions)", series.channels))
        }
        _ => Ok(series),
    }
}

#[derive(Default)]
struct Header {
    classes: Vec<String>,
    dimensions: Option<usize>,
}

impl Header {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default().to_lowercase();
        let value = words.next().unwrap_or_default();
        let is_true = value.eq_ignore_ascii_case("true");
        match name.as_str() {
            "@classlabel" if is_true => {
                // A name may take two bytes here and a text of its own there.
                self.classes = words.take(CLASSES + 1).map(str::to_owned).collect();
                if self.classes.len() > CLASSES {
                    return Err(format!("found more than {CLASSES} classes"));
                }
            }
            "@classlabel" | "@targetlabel" => {
                return Err("found no classes, expected `@classLabel true …`".into());
            }
            "@timestamps" if is_true => return Err("found time stamps, expected plain values".into()),
            "@missing" if is_true => return Err("found missing values, expected complete series".into()),
            "@dimensions" => {
                let wrong = |_| format!("found {value} dimensions, expected a whole number");
                self.dimensions = Some(value.parse().map_err(wrong)?);
            }
            _ if name.starts_with('@') => {}
            _ => return Err(format!("found `{}`, expected `@data` or a name with @", clip(line))),
        }
        Ok(())
    }
}

impl LabelledSeries {
    /// Adds the case of a line.
    fn push(&mut self, line: &str) -> Result<(), String> {
        let (body, label) = line.rsplit_once(':').ok_or("found no label, expected `values:…:label`")?;
        let class = self.classes.iter().position(|class| class == label.trim());
        let class = class.and_then(|class| u16::try_from(class).ok());
        let class = class.ok_or_else(|| {
            format!(
                "label: found `{}`, expected one of {:?}",
                clip(label),
                &self.classes[..self.classes.len().min(20)]
            )
        })?;
        let channels = body.split(':').count();
        if *self.steps.first().map_or(&channels, |_| &self.channels) != channels {
            return Err(format!("case: found {channels} channels, expected {}", self.channels));
        }
        self.channels = channels;
        let steps = body.split(':').next().unwrap_or_default().split(',').count();
        // Before anything is set aside: one long channel among many short ones must not multiply.
        for (channel, text) in body.split(':').enumerate() {
            let found = text.split(',').count();
            if found != steps {
                return Err(format!("channel {}: found {found} values, expected {steps}", channel + 1));
            }
        }
        let start = self.values.len();
        self.values.resize(start + steps * channels, 0.0);
        for (channel, text) in body.split(':').enumerate() {
            for (step, text) in text.split(',').enumerate() {
                let value = text.trim().parse::<f32>().ok().filter(|value| value.is_finite());
                self.values[start + step * channels + channel] = value.ok_or_else(|| {
                    let place = format!("channel {}, value {}", channel + 1, step + 1);
                    format!("{place}: found `{}`, expected a finite number", clip(text))
                })?;
            }
        }
        self.steps.push(steps as u32);
        self.labels.push(class);
        Ok(())
    }
}

/// The start of a text, for errors.
fn clip(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_memory::peak;
    use proptest::prelude::*;

    const SAMPLE: &str =
        "# a comment\n@problemName p\n@dimensions 2\n@classLabel true a b\n@data\n1,-2.5e1:3,4:b\n\n5:6:a\n";

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let parsed = parse(SAMPLE.as_bytes()).unwrap();
        assert_eq!((parsed.values, parsed.labels), (vec![1.0, 3.0, -25.0, 4.0, 5.0, 6.0], vec![1, 0]));
        for (from, to, message) in [
            ("5:6:a", "5:6:c", "line 8, label: found `c`"),
            ("5:6:a", "5:a", "line 8, case: found 1 channels, expected 2"),
            ("5:6:a", "5:6,7:a", "line 8, channel 2: found 2 values, expected 1"),
            ("-2.5e1", "nan", "line 6, channel 1, value 2: found `nan`"),
            ("-2.5e1", "?", "line 6, channel 1, value 2: found `?`"),
            ("true a b", "false", "line 4: found no classes"),
            ("dimensions 2", "dimensions 3", "found cases of 2 channels, expected 3"),
            ("@data", "@end", "line 6: found `1,-2.5e1:3,4:b`, expected `@data`"),
            ("@data\n1,-2.5e1:3,4:b\n\n5:6:a", "", "found no line `@data`"),
            ("@problemName p", "@timeStamps true", "line 2: found time stamps"),
        ] {
            let error = parse(SAMPLE.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.starts_with(message), "{to}: {error}");
        }
        let endless = format!("{}{}", &SAMPLE[..SAMPLE.find("1,").unwrap()], "\u{e9}".repeat(1000));
        assert!(parse(endless.as_bytes()).unwrap_err().len() < 200);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn mutated_files_never_panic_nor_take_much_memory(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = SAMPLE.repeat(2).into_bytes();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
                let (_, peak) = peak(|| parse(bytes));
                prop_assert!(peak <= 2 * bytes.len() + 4096, "{peak}");
            }
        }
    }
}
