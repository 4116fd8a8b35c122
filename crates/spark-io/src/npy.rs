//! NumPy's format for one array.
//!
//! Source: "A Simple File Format for NumPy Arrays", NumPy Enhancement Proposal 1 (2007): six signs, version,
//! length of the header, a header such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, data.

use crate::cursor::bits;

const MAGIC: &[u8] = b"\x93NUMPY";

/// An array: its shape, and its numbers as they lie in the file.
#[derive(Clone, Debug)]
pub(crate) struct Array<'a> {
    /// The extents of its axes.
    pub(crate) shape: Vec<usize>,
    number: Number,
    fortran: bool,
    data: &'a [u8],
}

impl<'a> Array<'a> {
    /// Reads the header; the numbers stay where they are.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let (header, data) = split(bytes).ok_or("found no header of a NumPy array, or a truncated one")?;
        let field = |name: &str| {
            field(header, name).ok_or_else(|| format!("found no `{name}` in the header {header}"))
        };
        let (descr, shape) = (field("descr")?, field("shape")?);
        let number = Number::of(descr).ok_or_else(|| {
            format!("found numbers of the type {descr}, expected bool, integers or floats of up to 8 bytes")
        })?;
        let shape = extents(shape).ok_or_else(|| format!("found the shape {shape}"))?;
        let count = shape.iter().try_fold(1usize, |count, extent| count.checked_mul(*extent));
        let expected = count.and_then(|count| count.checked_mul(number.size));
        if expected != Some(data.len()) {
            return Err(format!("found {} bytes of data for the shape {shape:?} of {descr}", data.len()));
        }
        Ok(Self { shape, number, fortran: field("fortran_order")? == "True", data })
    }

    /// Whether the numbers are whole.
    pub(crate) fn is_integer(&self) -> bool {
        self.number.kind != b'f'
    }

    /// The numbers in row-major order.
    pub(crate) fn floats(&self) -> Vec<f32> {
        if !self.fortran {
            return self.chunks().map(|bytes| self.number.float(bytes)).collect();
        }
        let size = self.number.size;
        let float = |place: usize| self.number.float(&self.data[place * size..(place + 1) * size]);
        column_major_places(&self.shape).map(float).collect()
    }

    /// The whole numbers of an array of one axis; those of 64 bits without sign wrap around.
    pub(crate) fn integers(&self) -> impl ExactSizeIterator<Item = i64> {
        self.chunks().map(|bytes| self.number.integer(bytes))
    }

    fn chunks(&self) -> std::slice::ChunksExact<'a, u8> {
        self.data.chunks_exact(self.number.size)
    }
}

/// What stands before the numbers of an array in row-major order, whose type NumPy calls `descr`.
pub(crate) fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    // The numbers begin at a multiple of 64 bytes, after a line end.
    let filled = (MAGIC.len() + 4 + text.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    let length = (filled as u16).to_le_bytes();
    let padded = format!("{text:<width$}\n", width = filled - 1);
    [MAGIC, &[1, 0], &length, padded.as_bytes()].concat()
}

/// Header and data.
fn split(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let ([major, _minor], rest) = rest.split_first_chunk()?;
    let (length, rest) = if *major == 1 {
        let (length, rest) = rest.split_first_chunk()?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk()?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(length)?;
    Some((str::from_utf8(header).ok()?.trim(), data))
}

/// The text of a value of the header: up to the comma that ends it, brackets as a whole, without quotes.
fn field<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = header.split_once(&format!("'{name}'"))?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = match rest.chars().next()? {
        '(' => rest.find(')')? + 1,
        '\'' => rest[1..].find('\'')? + 2,
        _ => rest.find([',', '}'])?,
    };
    Some(rest[..end].trim().trim_matches('\''))
}

/// `(3, 4)` as numbers.
fn extents(text: &str) -> Option<Vec<usize>> {
    let inside = text.strip_prefix('(')?.strip_suffix(')')?;
    let entries = inside.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| entry.parse().ok()).collect()
}

/// How a number is written.
#[derive(Clone, Copy, Debug)]
struct Number {
    kind: u8,
    size: usize,
    big_endian: bool,
}

impl Number {
    /// From a text such as `<f4`.
    fn of(descr: &str) -> Option<Self> {
        let [order, kind, size @ ..] = descr.as_bytes() else { return None };
        let size: usize = str::from_utf8(size).ok()?.parse().ok()?;
        let known = match kind {
            b'f' => matches!(size, 4 | 8),
            b'i' | b'u' => matches!(size, 1 | 2 | 4 | 8),
            b'b' => size == 1,
            _ => false,
        };
        known.then_some(Self { kind: *kind, size, big_endian: *order == b'>' })
    }

    fn bits(self, bytes: &[u8]) -> u64 {
        bits(bytes, self.big_endian)
    }

    fn float(self, bytes: &[u8]) -> f32 {
        match (self.kind, self.size) {
            (b'f', 4) => f32::from_bits(self.bits(bytes) as u32),
            (b'f', _) => f64::from_bits(self.bits(bytes)) as f32,
            (b'i', _) => self.integer(bytes) as f32,
            _ => self.bits(bytes) as f32,
        }
    }

    fn integer(self, bytes: &[u8]) -> i64 {
        let (bits, unused) = (self.bits(bytes), 64 - 8 * self.size as u32);
        // Moved up and back down, so that the sign is kept.
        if self.kind == b'i' { ((bits << unused) as i64) >> unused } else { bits as i64 }
    }
}

/// Where the entries of an array lie when its first axis changes fastest, in the order in which the last does.
fn column_major_places(shape: &[usize]) -> impl ExactSizeIterator<Item = usize> {
    let strides: Vec<usize> = shape
        .iter()
        .scan(1, |stride, extent| {
            let this = *stride;
            *stride *= extent;
            Some(this)
        })
        .collect();
    let count: usize = shape.iter().product();
    (0..count).map(move |mut index| {
        let axes = shape.iter().zip(&strides).rev();
        axes.fold(0, |place, (extent, stride)| {
            let along = index % extent;
            index /= extent;
            place + along * stride
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::damaged;
    use crate::test_memory::peak;
    use proptest::prelude::*;

    fn file(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [MAGIC, &[1, 0], &length, header.as_bytes(), data].concat()
    }

    fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
        Array::parse(bytes).map(|array| (array.shape.clone(), array.floats()))
    }

    #[test]
    fn every_type_of_number_is_read() {
        let parse = |descr, data: &[u8]| parse(&file(descr, "False", "(2,)", data)).unwrap().1;
        assert_eq!(parse("<f4", &[1.5f32, -2.0].map(f32::to_le_bytes).concat()), [1.5, -2.0]);
        assert_eq!(parse(">f8", &[1.5f64, -2.0].map(f64::to_be_bytes).concat()), [1.5, -2.0]);
        assert_eq!(parse("<i8", &[7i64, -9].map(i64::to_le_bytes).concat()), [7.0, -9.0]);
        assert_eq!(parse(">i2", &[300i16, -9].map(i16::to_be_bytes).concat()), [300.0, -9.0]);
        assert_eq!(parse("|u1", &[200, 1]), [200.0, 1.0]);
        assert_eq!(parse("|b1", &[1, 0]), [1.0, 0.0]);
        let times = file("<i8", "False", "(2,)", &[1i64 << 40, -(1 << 40)].map(i64::to_le_bytes).concat());
        assert_eq!(Array::parse(&times).unwrap().integers().collect::<Vec<_>>(), [1 << 40, -(1 << 40)]);
    }

    #[test]
    fn columns_first_is_turned_into_rows_first() {
        let data: Vec<u8> = (0u8..6).collect();
        let (shape, values) = parse(&file("|u1", "True", "(2, 3)", &data)).unwrap();
        assert_eq!((shape, values), (vec![2, 3], vec![0.0, 2.0, 4.0, 1.0, 3.0, 5.0]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |bytes: &[u8]| parse(bytes).unwrap_err();
        assert!(error(b"PK\x03\x04").contains("no header"));
        assert!(error(&file("<c8", "False", "(1,)", &[0; 8])).contains("type <c8"));
        assert!(error(&file("<f4", "False", "(3,)", &[0; 8])).contains("8 bytes of data for the shape [3]"));
        let huge = format!("({}, 8)", u64::MAX / 4);
        assert!(error(&file("<f4", "False", &huge, &[0; 8])).contains("8 bytes of data"));
        assert!(error(&file("<f4", "False", "(a,)", &[0; 8])).contains("shape (a,)"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn damaged_files_never_panic_nor_take_much_memory(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
            fortran in any::<bool>(),
        ) {
            let bytes = file("<f4", if fortran { "True" } else { "False" }, "(2, 2)", &[0; 16]);
            for bytes in damaged(&bytes, &changes, &cut) {
                let (_, peak) = peak(|| parse(&bytes));
                // A number of one byte becomes one of four.
                prop_assert!(peak <= 4 * bytes.len() + 1024, "{peak}");
            }
        }
    }
}
