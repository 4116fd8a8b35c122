//! Recordings as NumPy archives with the arrays `x`, `y`, `t` and `p`.

use super::{Events, Raw, collect};
use crate::npy::Array;
use crate::zip::Zip;

/// Packed arrays unpack to at most this many bytes, and to at most so many times the size of the file.
const LIMIT: (usize, usize) = (2 << 30, 1032);

pub(super) fn parse(bytes: &[u8], sensor: [u16; 2]) -> Result<Events, String> {
    let zip = Zip::parse(bytes)?;
    let limit = LIMIT.0.min(bytes.len().saturating_mul(LIMIT.1));
    let file = |name: &str| {
        let entry = zip.entry(&format!("{name}.npy")).ok_or_else(|| {
            let names: Vec<_> = zip.entries().iter().take(20).map(|entry| entry.name).collect();
            format!("found the arrays {names:?}, expected x.npy, y.npy, t.npy and p.npy")
        })?;
        zip.read(entry, limit)
    };
    let files = [file("x")?, file("y")?, file("t")?, file("p")?];
    let mut arrays = Vec::with_capacity(4);
    for (name, bytes) in ["x", "y", "t", "p"].into_iter().zip(&files) {
        let array = Array::parse(bytes).map_err(|message| format!("array `{name}`: {message}"))?;
        if array.shape.len() != 1 || !array.is_integer() {
            return Err(format!(
                "array `{name}`: found the shape {:?}, expected whole numbers along one axis",
                array.shape
            ));
        }
        arrays.push(array);
    }
    let counts: Vec<usize> = arrays.iter().map(|array| array.shape[0]).collect();
    if counts.iter().any(|&count| count != counts[0]) {
        return Err(format!("found {counts:?} numbers in x, y, t and p, expected as many in each"));
    }
    collect(sensor, || {
        let [x, y, t, p] = std::array::from_fn(|i| arrays[i].integers());
        x.zip(y).zip(t).zip(p).enumerate().map(|(index, (((x, y), time), p))| match p {
            0 | 1 => Ok(Raw { time, x, y, on: p == 1 }),
            _ => Err(format!("event {index}: found polarity {p}, expected 0 or 1")),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::{Event, damaged};
    use crate::zip::archive;
    use proptest::prelude::*;

    fn array(descr: &str, data: &[u8], count: usize) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({count},), }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), data].concat()
    }

    fn sample(polarity: &[u8]) -> Vec<u8> {
        let times = [1i64 << 40, (1 << 40) + 9].map(i64::to_le_bytes).concat();
        archive(&[
            ("t.npy", &array("<i8", &times, 2), false),
            ("x.npy", &array("|u1", &[3, 127], 2), true),
            ("y.npy", &array("<i2", &[7, 0, 1, 0], 2), false),
            ("p.npy", &array("|b1", polarity, polarity.len()), true),
        ])
    }

    #[test]
    fn arrays_of_any_width_are_read() {
        let events = parse(&sample(&[1, 0]), [128, 128]).unwrap();
        let expected = [Event { time: 0, x: 3, y: 7, on: true }, Event { time: 9, x: 127, y: 1, on: false }];
        assert_eq!(events.iter().collect::<Vec<_>>(), expected);
        assert!(parse(&sample(&[1, 2]), [128, 128]).unwrap_err().contains("event 1: found polarity 2"));
        assert!(parse(&sample(&[1]), [128, 128]).unwrap_err().contains("[2, 2, 2, 1] numbers"));
        let other = archive(&[("a.npy", b"", false)]);
        assert!(parse(&other, [128, 128]).unwrap_err().contains("found the arrays [\"a.npy\"]"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]
        #[test]
        fn damaged_files_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            cut in any::<prop::sample::Index>(),
        ) {
            for bytes in damaged(&sample(&[1, 0]), &changes, &cut) {
                let _ = parse(&bytes, [128, 128]);
            }
        }
    }
}
