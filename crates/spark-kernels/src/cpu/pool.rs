//! Maxima over windows, a row of windows at a time.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;

use super::HostBackend;

/// Pixels that one thread takes at a time, in whole channels.
const PIXELS: usize = 1 << 14;

/// The sizes of a channel.
#[derive(Clone, Copy)]
struct Channel {
    width: usize,
    window: [usize; 2],
    /// Pixels of a channel of the input and of the output, at least one.
    input: usize,
    output: usize,
    /// Width of the output.
    windows: usize,
}

impl Channel {
    fn new(shape: &Shape, window: [usize; 2]) -> Option<Self> {
        let (height, width) = (shape[2], shape[3]);
        let (rows, windows) = (height.checked_div(window[0])?, width.checked_div(window[1])?);
        let channel = Self { width, window, input: height * width, output: rows * windows, windows };
        (shape.num_elements() > 0 && channel.output > 0).then_some(channel)
    }

    /// Channels that one thread takes at a time.
    fn channels(&self) -> usize {
        PIXELS.div_ceil(self.input)
    }
}

/// The maxima; `None` when the tensor is not `f32`.
pub(crate) fn forward<B: HostBackend>(images: &FloatTensor<B>, window: [usize; 2]) -> Option<FloatTensor<B>> {
    let shape = images.shape();
    let channel = Channel::new(&shape, window)?;
    let images = B::slice(images)?;
    let mut output = vec![0.0; shape[0] * shape[1] * channel.output];
    output
        .par_chunks_mut(channel.channels() * channel.output)
        .zip(images.par_chunks(channel.channels() * channel.input))
        .for_each(|(output, images)| forward_channels(channel, images, output));
    let rows = channel.output / channel.windows;
    Some(B::tensor(output, Shape::from([shape[0], shape[1], rows, channel.windows])))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn forward_channels(channel: Channel, images: &[f32], output: &mut [f32]) {
    let [height, width] = channel.window;
    let images = images.chunks_exact(channel.input);
    for (image, output) in images.zip(output.chunks_exact_mut(channel.output)) {
        let bands = image.chunks_exact(channel.width * height);
        for (band, output) in bands.zip(output.chunks_exact_mut(channel.windows)) {
            output.fill(f32::NEG_INFINITY);
            for row in band.chunks_exact(channel.width) {
                match width {
                    2 => maxima::<2>(row, output),
                    3 => maxima::<3>(row, output),
                    _ => {
                        for (output, pixels) in output.iter_mut().zip(row.chunks_exact(width)) {
                            *output = pixels.iter().copied().fold(*output, larger);
                        }
                    }
                }
            }
        }
    }
}

/// The larger of a maximum and a value; once no number, always none.
#[inline(always)]
fn larger(maximum: f32, value: f32) -> f32 {
    if value > maximum || value.is_nan() { value } else { maximum }
}

#[inline(always)]
fn maxima<const W: usize>(row: &[f32], output: &mut [f32]) {
    for (output, pixels) in output.iter_mut().zip(row.as_chunks::<W>().0) {
        *output = pixels.iter().copied().fold(*output, larger);
    }
}

/// The gradient of the images; `None` when a tensor is not `f32`.
pub(crate) fn backward<B: HostBackend>(
    images: &FloatTensor<B>,
    gradient: &FloatTensor<B>,
    window: [usize; 2],
) -> Option<FloatTensor<B>> {
    let shape = images.shape();
    let channel = Channel::new(&shape, window)?;
    let (images, gradient) = (B::slice(images)?, B::slice(gradient)?);
    let mut output = vec![0.0; images.len()];
    output
        .par_chunks_mut(channel.channels() * channel.input)
        .zip(images.par_chunks(channel.channels() * channel.input))
        .zip(gradient.par_chunks(channel.channels() * channel.output))
        .for_each(|((output, images), gradient)| backward_channels(channel, images, gradient, output));
    Some(B::tensor(output, shape))
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn backward_channels(channel: Channel, images: &[f32], gradient: &[f32], output: &mut [f32]) {
    let [height, width] = channel.window;
    let channels = images.chunks_exact(channel.input).zip(output.chunks_exact_mut(channel.input));
    for ((image, output), gradient) in channels.zip(gradient.chunks_exact(channel.output)) {
        let size = channel.width * height;
        let bands = image.chunks_exact(size).zip(output.chunks_exact_mut(size));
        for ((band, output), gradient) in bands.zip(gradient.chunks_exact(channel.windows)) {
            if channel.window == [2, 2] {
                to_largest_of_four(band, gradient, output);
                continue;
            }
            for (x, gradient) in gradient.iter().enumerate() {
                let places = (0..height)
                    .flat_map(|row| (0..width).map(move |column| row * channel.width + x * width + column));
                let (mut largest, mut maximum) = (x * width, f32::NEG_INFINITY);
                for place in places {
                    let value = band[place];
                    if value > maximum || (value.is_nan() && !maximum.is_nan()) {
                        (largest, maximum) = (place, value);
                    }
                }
                output[largest] = *gradient;
            }
        }
    }
}

/// Windows of two by two, without branches.
#[inline(always)]
fn to_largest_of_four(band: &[f32], gradient: &[f32], output: &mut [f32]) {
    let (upper, lower) = band.split_at(band.len() / 2);
    let (out_upper, out_lower) = output.split_at_mut(band.len() / 2);
    let whole = 2 * gradient.len();
    let (upper, lower) = (&upper[..whole], &lower[..whole]);
    let (out_upper, out_lower) = (&mut out_upper[..whole], &mut out_lower[..whole]);
    for x in 0..gradient.len() {
        let (upper, lower) = ([upper[2 * x], upper[2 * x + 1]], [lower[2 * x], lower[2 * x + 1]]);
        let share = shares_of_four(upper, lower, gradient[x]);
        out_upper[2 * x] = share[0];
        out_upper[2 * x + 1] = share[1];
        out_lower[2 * x] = share[2];
        out_lower[2 * x + 1] = share[3];
    }
}

/// The gradient in the place of the first of the largest of four, row by row.
#[inline(always)]
fn shares_of_four(upper: [f32; 2], lower: [f32; 2], gradient: f32) -> [f32; 4] {
    let (above_left, below_left) = (upper[0] >= upper[1], lower[0] >= lower[1]);
    let in_upper = larger(upper[0], upper[1]) >= larger(lower[0], lower[1]);
    let share = |here: bool| if here { gradient } else { 0.0 };
    [
        share(in_upper & above_left),
        share(in_upper & !above_left),
        share(!in_upper & below_left),
        share(!in_upper & !below_left),
    ]
}
