//! Which backends carry the extension, and with which kernels.
//!
//! What a backend does not override runs the composed reference.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{Flex, NdArray, ops::FloatTensorOps, tensor::FloatTensor};

use crate::scan::{
    self, ScanGradients, ScanInputs, ScanOptions, ScanOutputGradients, ScanOutputs, ScanSaved, Wanted,
};
use crate::{SpikeOps, cpu};

/// The kernels for tensors that are slices in memory; another element type than `f32` takes the reference.
macro_rules! host_kernels {
    ($backend:ty) => {
        impl SpikeOps for $backend {
            fn spike_matmul(spikes: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
                cpu::events::product::<Self>(&spikes, &weight)
                    .unwrap_or_else(|| Self::float_matmul(spikes, weight))
            }

            fn spike_matmul_weight_gradient(
                spikes: FloatTensor<Self>,
                gradient: FloatTensor<Self>,
            ) -> FloatTensor<Self> {
                cpu::events::weight_gradient::<Self>(&spikes, &gradient)
                    .unwrap_or_else(|| Self::float_matmul(Self::float_transpose(spikes), gradient))
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
impl SpikeOps for burn_cubecl::CubeBackend {}
