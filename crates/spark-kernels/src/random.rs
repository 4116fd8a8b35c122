//! Random tensors that are a function of seed, stream, step and index only.
//!
//! Entry `i` of a tensor, in row-major order, is drawn from word `i mod 4` of block `⌊i/4⌋` of a
//! [`Stream`]. So the same entry has the same bits on every backend, for every number of threads and in
//! every longer tensor, and can be drawn again at any time. Draws are made on the host and moved to the
//! device, in arithmetic that does not depend on the machine (no library call, no fused multiply-add).

use burn::backend::{Backend, Dispatch, TensorMetadata, get_device_settings, tensor::FloatTensor};
use burn::tensor::{Device, Tensor, TensorData};

use crate::StepOps;
use crate::cpu::draws;
use crate::philox::Stream;

/// Uniform numbers in `[0, 1)` with 24 bits.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_kernels::{philox::Stream, random};
///
/// let device = Device::flex();
/// let noise = random::uniform([2, 3], Stream::new(42, 0, 7), &device);
/// let again = random::uniform([6], Stream::new(42, 0, 7), &device);
/// assert_eq!(noise.into_data().try_to_vec::<f32>(), again.into_data().try_to_vec::<f32>());
/// ```
pub fn uniform<const D: usize>(shape: [usize; D], stream: Stream, device: &Device) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    draws::uniform(&mut values, stream);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Numbers of the standard normal distribution, by the transform of Box & Muller (1958).
///
/// The words of a block give two pairs. None lies further than 6.7 from 0: a word has 32 bits.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_kernels::{philox::Stream, random};
///
/// let noise = random::normal([10_000], Stream::new(42, 0, 7), &Device::flex());
/// assert!(noise.clone().mean().into_scalar::<f32>().abs() < 0.03);
/// assert!((noise.var(0).into_scalar::<f32>() - 1.0).abs() < 0.05);
/// ```
pub fn normal<const D: usize>(shape: [usize; D], stream: Stream, device: &Device) -> Tensor<D> {
    let mut values = vec![0.0; shape.iter().product()];
    draws::normal(&mut values, stream);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Spikes, 1 with probability `probability` and else 0: 1 where [`uniform`] lies below it.
///
/// # Examples
/// ```
/// use burn::tensor::Device;
/// use spark_kernels::{philox::Stream, random};
///
/// let spikes = random::bernoulli(0.25, [10_000], Stream::new(42, 0, 7), &Device::flex());
/// assert!((spikes.mean().into_scalar::<f32>() - 0.25).abs() < 0.02);
/// ```
pub fn bernoulli<const D: usize>(
    probability: f32,
    shape: [usize; D],
    stream: Stream,
    device: &Device,
) -> Tensor<D> {
    let mut values = vec![probability; shape.iter().product()];
    draws::bernoulli(&mut values, stream);
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Spikes with a probability of their own each: 1 where [`uniform`] of this shape lies below it.
///
/// No gradient passes. On the CPU the draws are written over the probabilities where nothing else holds
/// those.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{philox::Stream, random};
///
/// let probability = Tensor::<1>::from_floats([0.0, 1.0, 0.5], &Device::flex());
/// let spikes = random::bernoulli_each(probability, Stream::new(42, 0, 7));
/// assert_eq!(spikes.into_data().try_to_vec::<f32>().unwrap()[..2], [0.0, 1.0]);
/// ```
pub fn bernoulli_each<const D: usize>(probability: Tensor<D>, stream: Stream) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::bernoulli(probability.into_dispatch(), stream))
}

/// The reference body of [`bernoulli_each`]: uniform numbers from the host, compared on the device.
pub(crate) fn compare<B: Backend>(probability: FloatTensor<B>, stream: Stream) -> FloatTensor<B> {
    let (shape, device, dtype) = (probability.shape(), probability.device(), probability.dtype());
    let mut values = vec![0.0; shape.num_elements()];
    draws::uniform(&mut values, stream);
    let uniform = B::float_from_data(TensorData::new(values, shape).convert_dtype(dtype), &device);
    let below = B::float_lower(uniform, probability, get_device_settings::<B>(&device).bool_dtype);
    B::bool_into_float(below, dtype.into())
}
