//! Ten thousand real digits, compiled in.

use std::path::Path;

use super::{DataError, Images, Split, idx};

/// 8,000 training and 2,000 test digits of MNIST, 28×28 pixels, ten classes.
///
/// They ship with the crate, so training works offline. Origin: Y. LeCun, C. Cortes and C. Burges, *The
/// MNIST database of handwritten digits*.
///
/// # Errors
/// Never in practice: only when the compiled-in files are corrupt.
///
/// # Examples
/// ```
/// let digits = spark_train::data::mnist10k()?;
/// assert_eq!((digits.train.len(), digits.test.len()), (8000, 2000));
/// # Ok::<(), spark_train::data::DataError>(())
/// ```
pub fn mnist10k() -> Result<Split, DataError> {
    Ok(Split {
        train: images(
            include_bytes!("../../data/mnist10k/train-images-idx3-ubyte.gz"),
            include_bytes!("../../data/mnist10k/train-labels-idx1-ubyte.gz"),
        )?,
        test: images(
            include_bytes!("../../data/mnist10k/t10k-images-idx3-ubyte.gz"),
            include_bytes!("../../data/mnist10k/t10k-labels-idx1-ubyte.gz"),
        )?,
    })
}

fn images(images: &[u8], labels: &[u8]) -> Result<Images, DataError> {
    let path = Path::new("mnist10k");
    idx::join(idx::images(images, path)?, idx::labels(labels, path)?, path)
}
