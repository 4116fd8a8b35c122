//! A single picture as an image to classify.

use image::imageops::FilterType;
use image::{DynamicImage, ImageFormat, ImageReader, ImageResult, Limits};
use std::io::Cursor;
use std::path::Path;

use super::{DataError, Images};

/// The most columns and rows of a picture, and the most memory for it: a few bytes can claim any size.
const MAX_EXTENT: u32 = 16_384;
const MAX_BYTES: u64 = 256 << 20;

/// Reads a PNG picture as one grey-scale image of `height` × `width` pixels.
///
/// Colours become their luminance; a picture of another size is resized. Data sets of digits show bright
/// strokes on black: `invert` turns dark strokes on white into that. The label of the result is 0.
///
/// # Errors
/// When the file is unreadable, no PNG picture, or one of more than 16,384 columns or rows or 256 MiB.
pub fn read_picture(path: &Path, height: usize, width: usize, invert: bool) -> Result<Images, DataError> {
    let mut grey = sized(open(path)?.to_luma8().into(), height, width).into_luma8();
    if invert {
        image::imageops::invert(&mut grey);
    }
    Ok(Images { pixels: grey.into_raw(), labels: vec![0], channels: 1, height, width })
}

/// The picture in a file.
pub(super) fn open(path: &Path) -> Result<DynamicImage, DataError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    decode(&bytes).map_err(|error| DataError::content(path, format!("not a PNG picture: {error}")))
}

fn decode(bytes: &[u8]) -> ImageResult<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_EXTENT);
    limits.max_image_height = Some(MAX_EXTENT);
    limits.max_alloc = Some(MAX_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    reader.limits(limits);
    reader.decode()
}

/// The picture with `height` rows and `width` columns.
pub(super) fn sized(picture: DynamicImage, height: usize, width: usize) -> DynamicImage {
    let size = (width as u32, height as u32);
    if (picture.width(), picture.height()) == size {
        return picture;
    }
    picture.resize_exact(size.0, size.1, FilterType::Triangle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma};
    use proptest::prelude::*;

    #[test]
    fn a_picture_of_the_right_size_keeps_its_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p.png");
        let picture = GrayImage::from_fn(3, 2, |x, y| Luma([(10 * x + 100 * y) as u8]));
        picture.save(&path).unwrap();
        let read = read_picture(&path, 2, 3, false).unwrap();
        assert_eq!(read.pixels, [0, 10, 20, 100, 110, 120]);
        let inverted = read_picture(&path, 2, 3, true).unwrap();
        assert_eq!(inverted.pixels, [255, 245, 235, 155, 145, 135]);
        assert_eq!(read_picture(&path, 4, 6, false).unwrap().pixels.len(), 24);
        std::fs::write(&path, b"no picture").unwrap();
        assert!(read_picture(&path, 2, 3, false).unwrap_err().to_string().contains("not a PNG"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn damaged_pictures_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = Cursor::new(Vec::new());
            GrayImage::new(5, 3).write_to(&mut bytes, ImageFormat::Png).unwrap();
            let mut bytes = bytes.into_inner();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            let _ = (decode(&bytes), decode(&bytes[..cut.index(bytes.len())]));
        }
    }
}
