//! Which backends carry the extension, and with which kernels.
//!
//! What a backend does not override runs the composed reference.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{Flex, NdArray, tensor::FloatTensor};

use crate::composed::T;
use crate::leaky::{self, OutputGradients, Saved};
use crate::{LeakyScan, Maybe, SpikeConv2d, SpikeOps, Surrogate, conv, cpu, pool, synapses};

/// The kernels for tensors that are slices in memory; another element type than `f32` takes the reference.
macro_rules! host_kernels {
    ($backend:ty) => {
        impl SpikeOps for $backend {
            fn spike(x: FloatTensor<Self>, _: Surrogate) -> FloatTensor<Self> {
                cpu::spike::forward::<Self>(&x).unwrap_or_else(|| T::<Self>(x).step().0)
            }

            fn spike_linear(
                spikes: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: Maybe<Self>,
            ) -> FloatTensor<Self> {
                cpu::events::product::<Self>(&spikes, &weight, bias.as_option())
                    .unwrap_or_else(|| synapses::linear::<Self>(spikes, weight, bias))
            }

            fn spike_linear_weight_gradient(
                spikes: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                cpu::events::weight_gradient::<Self>(&spikes, &gradient)
                    .unwrap_or_else(|| synapses::weight_gradient::<Self>(spikes, gradient))
            }

            fn spike_conv2d(
                spikes: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: Maybe<Self>,
                options: SpikeConv2d,
            ) -> FloatTensor<Self> {
                cpu::conv::forward::<Self>(&spikes, &weight, bias.as_option(), options)
                    .unwrap_or_else(|| conv::forward::<Self>(spikes, weight, bias, options))
            }

            fn spike_conv2d_input_gradient(
                spikes: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                options: SpikeConv2d,
            ) -> FloatTensor<Self> {
                cpu::conv::input_gradient::<Self>(&spikes, &weight, &gradient, options)
                    .unwrap_or_else(|| conv::input_gradient::<Self>(spikes, weight, gradient, options))
            }

            fn spike_conv2d_weight_gradient(
                spikes: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                options: SpikeConv2d,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                cpu::conv::weight_gradient::<Self>(&spikes, &weight, &gradient, options)
                    .unwrap_or_else(|| conv::weight_gradient::<Self>(spikes, weight, gradient, options))
            }

            fn window_maximum(images: FloatTensor<Self>, window: [usize; 2]) -> FloatTensor<Self> {
                cpu::pool::forward::<Self>(&images, window)
                    .unwrap_or_else(|| pool::forward::<Self>(images, window))
            }

            fn window_maximum_backward(
                images: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
                window: [usize; 2],
            ) -> FloatTensor<Self> {
                cpu::pool::backward::<Self>(&images, &gradient, window)
                    .unwrap_or_else(|| pool::backward::<Self>(images, gradient, window))
            }

            fn leaky_scan(
                input: FloatTensor<Self>,
                membrane: FloatTensor<Self>,
                decay: FloatTensor<Self>,
                threshold: FloatTensor<Self>,
                options: LeakyScan,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                cpu::leaky::forward::<Self>(&input, &membrane, &decay, &threshold, options).unwrap_or_else(
                    || leaky::forward(T::<Self>(input), T(membrane), T(decay), T(threshold), options),
                )
            }

            fn leaky_scan_backward(
                potential: FloatTensor<Self>,
                membrane: FloatTensor<Self>,
                decay: FloatTensor<Self>,
                threshold: FloatTensor<Self>,
                spikes_gradient: Maybe<Self>,
                potential_gradient: Maybe<Self>,
                membrane_gradient: Maybe<Self>,
                parameter_gradients: bool,
                options: LeakyScan,
            ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
                let saved = Saved::<Self>::new([potential, membrane, decay, threshold]);
                let gradients =
                    OutputGradients::new([spikes_gradient, potential_gradient, membrane_gradient]);
                cpu::leaky::backward(&saved, &gradients, parameter_gradients, options)
                    .unwrap_or_else(|| leaky::backward(saved, gradients, parameter_gradients, options))
            }
        }
    };
}

host_kernels!(Flex);
host_kernels!(NdArray);

#[cfg(any(feature = "wgpu", feature = "cuda"))]
impl SpikeOps for burn_cubecl::CubeBackend {
    fn spike_linear_few_rows(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Maybe<Self>,
    ) -> FloatTensor<Self> {
        crate::gpu::synapses::product(&spikes, &weight, bias.as_option())
            .unwrap_or_else(|| synapses::linear::<Self>(spikes, weight, bias))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reset;
    use burn::backend::TensorMetadata;
    use burn::tensor::Shape;
    use cpu::HostBackend;

    fn values(count: usize, stream: u32, low: f32, high: f32) -> Vec<f32> {
        let stream = crate::philox::Stream::new(7, stream, 0);
        let uniform = (0..count.div_ceil(4) as u32).flat_map(|i| stream.words(i));
        uniform.take(count).map(|word| low + (high - low) * crate::philox::uniform(word)).collect()
    }

    fn tensor(values: Vec<f32>, shape: &[usize]) -> FloatTensor<Flex> {
        <Flex as HostBackend>::tensor(values, Shape::from(shape.to_vec()))
    }

    fn floats(tensor: &FloatTensor<Flex>) -> Vec<f32> {
        <Flex as HostBackend>::slice(tensor).expect("f32").into_owned()
    }

    /// The fused bodies against the composed ones, over more units than one block holds.
    #[test]
    fn fused_scans_equal_the_reference() {
        let (time, batch, units) = (5, 2, 700);
        let count = time * batch * units;
        let input = tensor(values(count, 0, -0.5, 1.2), &[time, batch, units]);
        let start = tensor(values(batch * units, 1, -0.5, 1.2), &[batch, units]);
        let decay = tensor(values(units, 2, 0.5, 1.0), &[units]);
        let threshold = tensor(values(units, 3, 0.5, 1.0), &[units]);
        let gradient = |stream| tensor(values(count, stream, -1.0, 1.0), &[time, batch, units]);
        for reset in [Reset::Subtract, Reset::Zero, Reset::None] {
            for (reset_delay, reset_gradient) in [(false, false), (false, true), (true, false), (true, true)]
            {
                let surrogate = Surrogate::default();
                let options = LeakyScan { reset, reset_delay, reset_gradient, surrogate };
                let inputs = || (input.clone(), start.clone(), decay.clone(), threshold.clone());
                let (i, m, d, t) = inputs();
                let expected = leaky::forward(T::<Flex>(i), T(m), T(d), T(t), options);
                let (i, m, d, t) = inputs();
                let found = cpu::leaky::forward::<Flex>(&i, &m, &d, &t, options).expect("f32");
                assert_eq!(floats(&found.0), floats(&expected.0), "spikes, {options:?}");
                assert_eq!(floats(&found.1), floats(&expected.1), "potential, {options:?}");
                assert_eq!(floats(&found.2), floats(&expected.2), "membrane, {options:?}");

                let saved = || Saved {
                    potential: T::<Flex>(found.1.clone()),
                    membrane: T(start.clone()),
                    decay: T(decay.clone()),
                    threshold: T(threshold.clone()),
                };
                let gradients = || OutputGradients {
                    spikes: Some(T::<Flex>(gradient(4))),
                    potential: Some(T(gradient(5))),
                    membrane: None,
                };
                let expected = leaky::backward(saved(), gradients(), true, options);
                let found = cpu::leaky::backward(&saved(), &gradients(), true, options).expect("f32");
                let pairs = [
                    (&found.0, &expected.0),
                    (&found.1, &expected.1),
                    (&found.2, &expected.2),
                    (&found.3, &expected.3),
                ];
                for (which, (found, expected)) in pairs.into_iter().enumerate() {
                    assert_eq!(found.shape(), expected.shape());
                    for (f, e) in floats(found).iter().zip(floats(expected)) {
                        let close = (f - e).abs() <= 1e-5 * (1.0 + e.abs());
                        assert!(close, "gradient {which}, {options:?}: found {f}, expected {e}");
                    }
                }
            }
        }
    }
}
