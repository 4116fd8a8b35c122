//! Maxima over windows of images.

use burn::backend::{Backend, Dispatch, TensorMetadata, get_device_settings, tensor::FloatTensor};
use burn::tensor::Tensor;

use crate::SpikeOps;

/// The maximum of each window of images, `[images, channels, height / window, width / window]`; windows do
/// not overlap, and rows and columns that do not fill one are dropped.
///
/// * `images`: `[images, channels, height, width]`.
/// * `window`: height and width in pixels.
///
/// A spike leaves when any unit of the window spiked. The gradient goes to the first of the largest entries
/// of a window, row by row. A window that holds a value that is no number gives one.
///
/// # Panics
/// If a window does not fit; the layers check shapes before they call.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::window_maximum;
///
/// let images = Tensor::<4>::from_floats([[[[0.0, 1.0, 0.0], [0.0, 1.0, 1.0]]]], &Device::flex());
/// let maximum = window_maximum(images, [2, 2]);
/// assert_eq!(maximum.into_data().try_to_vec::<f32>().unwrap(), [1.0]);
/// ```
pub fn window_maximum(images: Tensor<4>, window: [usize; 2]) -> Tensor<4> {
    let [_, _, height, width] = images.dims();
    let fits = |size: usize, window: usize| (1..=size).contains(&window);
    assert!(
        fits(height, window[0]) && fits(width, window[1]),
        "a window {window:?} does not fit images {:?}",
        images.dims()
    );
    Tensor::from_dispatch(Dispatch::window_maximum(images.into_dispatch(), window))
}

/// The reference body of [`window_maximum`].
pub(crate) fn forward<B: Backend>(images: FloatTensor<B>, window: [usize; 2]) -> FloatTensor<B> {
    B::max_pool2d(images, window, window, [0, 0], [1, 1], false)
}

/// The gradient of the images.
pub(crate) fn backward<B: Backend>(
    images: FloatTensor<B>,
    gradient: FloatTensor<B>,
    window: [usize; 2],
) -> FloatTensor<B> {
    let indices = get_device_settings::<B>(&images.device()).int_dtype;
    let found = B::max_pool2d_with_indices(images.clone(), window, window, [0, 0], [1, 1], false, indices);
    B::max_pool2d_with_indices_backward(
        images,
        window,
        window,
        [0, 0],
        [1, 1],
        false,
        gradient,
        found.indices,
    )
    .x_grad
}
