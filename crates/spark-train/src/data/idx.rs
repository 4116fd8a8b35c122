//! The IDX format of MNIST and its relatives, plain or gzip-compressed.

use spark_io::gzip;
use std::path::{Path, PathBuf};

use super::{DataError, Images, Split};

/// Unsigned bytes with three axes.
const IMAGES: u32 = 0x0000_0803;
/// Unsigned bytes with one axis.
const LABELS: u32 = 0x0000_0801;
/// Images unpack to at most this many bytes; the largest set in this format holds 550 MB.
const MAX_BYTES: u64 = 2 << 30;

/// Reads a training and a test set from a folder in the layout of MNIST and Fashion-MNIST.
///
/// The files are `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
/// `t10k-labels-idx1-ubyte`, each plain or with `.gz`.
///
/// # Errors
/// When a file is missing, unreadable, truncated or not IDX, when labels and images differ in number, or
/// when training and test images differ in size.
pub fn read_split(folder: &Path) -> Result<Split, DataError> {
    let read = |part: &str| {
        let images = find(folder, &format!("{part}-images-idx3-ubyte"))?;
        let labels = find(folder, &format!("{part}-labels-idx1-ubyte"))?;
        join(read_images(&images)?, read_labels(&labels)?, &labels)
    };
    let split = Split { train: read("train")?, test: read("t10k")? };
    let size = |images: &Images| (images.height, images.width);
    if size(&split.train) != size(&split.test) {
        let message = format!(
            "test images are {:?} pixels, training images {:?}",
            size(&split.test),
            size(&split.train)
        );
        return Err(DataError::content(folder, message));
    }
    Ok(split)
}

/// Reads an IDX file of images; the labels of the result are empty.
///
/// # Errors
/// When the file is unreadable, truncated or not an IDX file of images.
pub fn read_images(path: &Path) -> Result<Images, DataError> {
    images(&read(path)?, path)
}

/// Reads an IDX file of labels.
///
/// # Errors
/// When the file is unreadable, truncated or not an IDX file of labels.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, DataError> {
    labels(&read(path)?, path)
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })
}

fn find(folder: &Path, name: &str) -> Result<PathBuf, DataError> {
    [folder.join(name), folder.join(format!("{name}.gz"))]
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| DataError::Missing { folder: folder.to_owned(), name: name.to_owned() })
}

/// Images from the bytes of a file; `path` names it in errors.
pub(super) fn images(bytes: &[u8], path: &Path) -> Result<Images, DataError> {
    let ([_, height, width], pixels) = parse::<3>(bytes, IMAGES, "images", path)?;
    if height == 0 || width == 0 {
        return Err(DataError::content(path, format!("images of {height}×{width} pixels")));
    }
    Ok(Images { pixels, labels: Vec::new(), channels: 1, height, width })
}

/// Labels from the bytes of a file; `path` names it in errors.
pub(super) fn labels(bytes: &[u8], path: &Path) -> Result<Vec<u8>, DataError> {
    Ok(parse::<1>(bytes, LABELS, "labels", path)?.1)
}

/// Puts labels to images.
pub(super) fn join(images: Images, labels: Vec<u8>, path: &Path) -> Result<Images, DataError> {
    let count = images.pixels.len() / images.size();
    if labels.len() != count {
        return Err(DataError::content(path, format!("{} labels for {count} images", labels.len())));
    }
    if count == 0 {
        return Err(DataError::content(path, "no images"));
    }
    Ok(Images { labels, ..images })
}

/// The sizes of the axes and the data of an IDX file of unsigned bytes.
fn parse<const AXES: usize>(
    bytes: &[u8],
    magic: u32,
    what: &str,
    path: &Path,
) -> Result<([usize; AXES], Vec<u8>), DataError> {
    let error = |message: String| DataError::content(path, message);
    let bytes = gzip::unpack(bytes, MAX_BYTES).map_err(error)?;
    let header = 4 + 4 * AXES;
    if bytes.len() < header {
        return Err(error(format!("{} bytes, too short for the header of IDX {what}", bytes.len())));
    }
    let mut words =
        bytes[..header].chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    let found = words.next().unwrap_or_default();
    if found != magic {
        return Err(error(format!("magic number {found:#010x}, expected {magic:#010x} for IDX {what}")));
    }
    let axes = std::array::from_fn(|_| words.next().unwrap_or_default() as usize);
    let expected = axes.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
    let data = &bytes[header..];
    if expected != Some(data.len()) {
        let message = format!("{} bytes of {what} for axes {axes:?}: truncated or corrupt", data.len());
        return Err(error(message));
    }
    Ok((axes, data.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use std::io::Write;

    fn idx(magic: u32, axes: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        bytes.extend(axes.iter().flat_map(|axis| axis.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn message(bytes: &[u8]) -> String {
        images(bytes, Path::new("x")).unwrap_err().to_string()
    }

    #[test]
    fn plain_and_compressed_read_the_same() {
        let plain = idx(IMAGES, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        let read = images(&plain, Path::new("x")).unwrap();
        assert_eq!((read.height, read.width, read.image(0).len()), (1, 3, 3));
        assert_eq!(images(&gzip(&plain), Path::new("x")).unwrap(), read);
    }

    #[test]
    fn corrupt_files_are_named_and_explained() {
        let good = idx(IMAGES, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
        assert!(message(&good[..10]).contains("too short"));
        assert!(message(&good[..good.len() - 1]).contains("truncated"));
        assert!(message(&idx(LABELS, &[2, 1, 3], &[0; 6])).contains("magic number 0x00000801"));
        assert!(message(&idx(IMAGES, &[u32::MAX; 3], &[])).contains("truncated or corrupt"));
        let packed = gzip(&good);
        assert!(message(&packed[..packed.len() - 9]).contains("gzip"));
    }

    #[test]
    fn a_folder_of_files_reads_as_what_is_compiled_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist10k");
        assert_eq!(read_split(&folder).unwrap(), crate::data::mnist10k().unwrap());
    }

    #[test]
    fn labels_must_match_images() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("train-images-idx3-ubyte", &idx(IMAGES, &[2, 1, 1], &[1, 2]));
        write("train-labels-idx1-ubyte.gz", &gzip(&idx(LABELS, &[3], &[0, 1, 0])));
        let error = read_split(folder.path()).unwrap_err().to_string();
        assert!(error.contains("3 labels for 2 images"), "{error}");
        write("train-labels-idx1-ubyte.gz", &gzip(&idx(LABELS, &[2], &[0, 1])));
        let error = read_split(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no t10k-images-idx3-ubyte"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn damaged_files_never_panic(
            packed in any::<bool>(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let plain = idx(IMAGES, &[2, 1, 3], &[1, 2, 3, 4, 5, 6]);
            let mut bytes = if packed { gzip(&plain) } else { plain };
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let _ = images(&bytes, Path::new("x"));
            let _ = labels(&bytes[..cut.index(bytes.len())], Path::new("x"));
        }
    }
}
