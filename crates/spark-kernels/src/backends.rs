//! Which backends carry the extension, and with which kernels.
//!
//! What a backend does not override runs the composed reference.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{Flex, NdArray, tensor::FloatTensor};
use std::sync::Arc;

use crate::composed::T;
use crate::scan::{
    self, ScanGradients, ScanInputs, ScanOptions, ScanOutputGradients, ScanOutputs, ScanSaved, Wanted,
};
use crate::{Bits, Kept, Maybe, Needed, SpikeConv2d, SpikeOps, Surrogate, conv, cpu, pool, synapses};

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
                _: Needed<Self>,
                _: f32,
            ) -> FloatTensor<Self> {
                match cpu::events::product::<Self>(&spikes, &weight, bias.as_option()) {
                    Some((current, _)) => current,
                    None => synapses::linear::<Self>(spikes, weight, bias),
                }
            }

            fn spike_linear_keeping(
                spikes: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                bias: Maybe<Self>,
            ) -> (FloatTensor<Self>, Kept<Self>) {
                match cpu::events::product::<Self>(&spikes, &weight, bias.as_option()) {
                    Some((current, Some(masks))) => (current, Kept::Bits(Bits(Arc::new(masks)))),
                    Some((current, None)) => (current, Kept::Dense(spikes)),
                    None => (synapses::linear::<Self>(spikes.clone(), weight, bias), Kept::Dense(spikes)),
                }
            }

            fn spike_linear_kept_gradient(
                kept: Kept<Self>,
                gradient: FloatTensor<Self>,
                inputs: usize,
            ) -> (FloatTensor<Self>, FloatTensor<Self>) {
                match kept {
                    Kept::Dense(spikes) => Self::spike_linear_weight_gradient(spikes, gradient),
                    Kept::Bits(Bits(masks)) => cpu::events::gradient_of::<Self>(&masks, &gradient, inputs),
                }
            }

            fn spike_linear_input_gradient(
                gradient: FloatTensor<Self>,
                weight: FloatTensor<Self>,
                needed: Needed<Self>,
                half_width: f32,
            ) -> FloatTensor<Self> {
                let near = match &needed {
                    Needed::Everywhere => None,
                    Needed::Near(potential, threshold) => cpu::support::input_gradient::<Self>(
                        &gradient,
                        &weight,
                        [potential, threshold],
                        half_width,
                    ),
                };
                near.unwrap_or_else(|| synapses::input_gradient::<Self>(gradient, weight))
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

            fn unit_scan(inputs: ScanInputs<Self>, keep: bool, options: ScanOptions) -> ScanOutputs<Self> {
                cpu::scan::forward(&inputs, keep, options)
                    .unwrap_or_else(|| scan::forward(inputs, keep, options))
            }

            fn unit_scan_backward(
                saved: ScanSaved<Self>,
                mut gradients: ScanOutputGradients<Self>,
                wanted: Wanted,
                options: ScanOptions,
            ) -> ScanGradients<Self> {
                cpu::scan::backward(&saved, &mut gradients, wanted, options)
                    .unwrap_or_else(|| scan::backward(saved, gradients, wanted, options))
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

    fn unit_scan(inputs: ScanInputs<Self>, keep: bool, options: ScanOptions) -> ScanOutputs<Self> {
        crate::gpu::scan::forward(&inputs, keep, options)
            .unwrap_or_else(|| scan::forward(inputs, keep, options))
    }

    fn unit_scan_backward(
        saved: ScanSaved<Self>,
        gradients: ScanOutputGradients<Self>,
        wanted: Wanted,
        options: ScanOptions,
    ) -> ScanGradients<Self> {
        crate::gpu::scan::backward(&saved, &gradients, wanted, options)
            .unwrap_or_else(|| scan::backward(saved, gradients, wanted, options))
    }
}
