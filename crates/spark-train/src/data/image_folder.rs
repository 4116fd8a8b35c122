//! Folders of pictures.

use std::path::{Path, PathBuf};

use super::{DataError, Images, label, picture};

/// Images of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFolder {
    /// The images, class by class.
    pub images: Images,
    /// Names of the classes: those of the folders, sorted.
    pub classes: Vec<String>,
}

/// Reads the PNG pictures `CLASS/NAME.png` of a folder, resized to `height` × `width` pixels where they differ:
/// in red, green and blue with `colour`, else by their luminance.
///
/// Classes and the pictures of each are sorted by name; files of other endings are passed over.
///
/// # Errors
/// When the folder or a picture cannot be read, a class is empty, or there is none or more than 256.
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// for (class, level) in [("day", 255), ("night", 0)] {
///     std::fs::create_dir(folder.path().join(class))?;
///     let picture = image::GrayImage::from_pixel(4, 4, image::Luma([level]));
///     picture.save(folder.path().join(class).join("a.png"))?;
/// }
/// let read = spark_train::data::read_image_folder(folder.path(), 2, 2, false)?;
/// assert_eq!((read.images.image(0), &read.images.labels[..]), (&[255; 4][..], &[0, 1][..]));
/// assert_eq!(read.classes, ["day", "night"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_image_folder(
    folder: &Path,
    height: usize,
    width: usize,
    colour: bool,
) -> Result<ImageFolder, DataError> {
    if height == 0 || width == 0 || u32::try_from(height.max(width)).is_err() {
        return Err(DataError::content(folder, format!("cannot resize pictures to {height}×{width} pixels")));
    }
    let channels = if colour { 3 } else { 1 };
    let mut images = Images { pixels: Vec::new(), labels: Vec::new(), channels, height, width };
    let classes = each_file(folder, &["png"], |path, class| {
        let picture = picture::open(path)?;
        // Grey before it is resized, as a single picture is.
        let picture = if colour { picture.to_rgb8().into() } else { picture.to_luma8().into() };
        let pixels = picture::sized(picture, height, width).into_bytes();
        // Pixel by pixel in a picture, channel by channel here.
        images.pixels.extend((0..channels).flat_map(|channel| pixels[channel..].iter().step_by(channels)));
        images.labels.push(class);
        Ok(())
    })?;
    Ok(ImageFolder { images, classes })
}

/// Goes through the files `CLASS/NAME.ENDING` of a folder, sorted, with the number of their class; the names of
/// the classes come back.
pub(super) fn each_file(
    folder: &Path,
    endings: &[&str],
    mut file: impl FnMut(&Path, u8) -> Result<(), DataError>,
) -> Result<Vec<String>, DataError> {
    let mut classes = Vec::new();
    for class in sorted(folder)?.into_iter().filter(|path| path.is_dir()) {
        let number = label(classes.len()).map_err(|message| DataError::content(folder, message))?;
        let files = sorted(&class)?.into_iter().filter(|path| {
            path.extension()
                .is_some_and(|found| endings.iter().any(|ending| found.eq_ignore_ascii_case(ending)))
        });
        let mut empty = true;
        for path in files {
            file(&path, number)?;
            empty = false;
        }
        if empty {
            return Err(DataError::content(&class, format!("found no file that ends in {endings:?}")));
        }
        classes.push(class.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    if classes.is_empty() {
        return Err(DataError::content(folder, "found no folders, expected one for each class"));
    }
    Ok(classes)
}

/// What is in a folder, by name.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let read = |source| DataError::Read { path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(read)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>().map_err(read)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    #[test]
    fn colours_come_channel_by_channel() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("a")).unwrap();
        let picture = RgbImage::from_fn(2, 1, |x, _| Rgb([x as u8, 10 + x as u8, 20 + x as u8]));
        picture.save(folder.path().join("a/1.PNG")).unwrap();
        std::fs::write(folder.path().join("a/notes.txt"), "no picture").unwrap();
        let read = read_image_folder(folder.path(), 1, 2, true).unwrap();
        assert_eq!(read.images.image(0), [0, 1, 10, 11, 20, 21]);
    }

    #[test]
    fn folders_that_hold_nothing_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let error = || read_image_folder(folder.path(), 1, 1, false).unwrap_err().to_string();
        assert!(error().contains("found no folders"));
        std::fs::create_dir(folder.path().join("a")).unwrap();
        assert!(error().contains("found no file that ends in [\"png\"]"));
        std::fs::write(folder.path().join("a/x.png"), b"\x89PNG").unwrap();
        assert!(error().contains("x.png: not a PNG picture"));
        assert!(read_image_folder(folder.path(), 0, 1, false).is_err());
    }
}
