//! The backend extension: one trait, a composed reference body for every operation.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{
    Backend, BackendTensor, Dispatch, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind,
    ExtensionType, TensorMetadata, backend_extension, tensor::FloatTensor,
};
use std::sync::Arc;

use crate::composed::T;
use crate::cpu::masks::Masks;
use crate::scan::{
    self, ScanGradients, ScanInputs, ScanOptions, ScanOutputGradients, ScanOutputs, ScanSaved, Wanted,
};
use crate::{SpikeConv2d, Surrogate, conv, pool, synapses};

/// A tensor that may be absent, in the form that backend extensions can pass on.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub enum Maybe<B: Backend> {
    /// The tensor.
    Present(FloatTensor<B>),
    /// Nothing, which for a gradient means zero.
    Absent,
}

impl<B: Backend> Maybe<B> {
    pub(crate) fn as_option(&self) -> Option<&FloatTensor<B>> {
        match self {
            Self::Present(tensor) => Some(tensor),
            Self::Absent => None,
        }
    }

    pub(crate) fn into_option(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Present(tensor) => Some(tensor),
            Self::Absent => None,
        }
    }
}

impl<B: Backend> From<Option<FloatTensor<B>>> for Maybe<B> {
    fn from(tensor: Option<FloatTensor<B>>) -> Self {
        tensor.map_or(Self::Absent, Self::Present)
    }
}

/// Where the gradient of spikes matters.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub enum Needed<B: Backend> {
    /// For every spike.
    Everywhere,
    /// Where the potential, the first, lies near the threshold, the second.
    Near(FloatTensor<B>, FloatTensor<B>),
}

/// What an operation keeps of its input for the backward pass.
#[derive(Clone, Debug)]
pub enum Kept<B: Backend> {
    /// The input.
    Dense(FloatTensor<B>),
    /// A bit for each entry of an input that was 0 or 1 everywhere.
    Bits(Bits),
}

/// The entries of a spike matrix as bits.
#[derive(Clone, Debug)]
pub struct Bits(pub(crate) Arc<Masks>);

impl<B: Backend> ExtensionType<B> for Kept<B> {
    type Target = Kept<Dispatch>;

    fn map_to_dispatch<F>(self, map_kind: F, autodiff: DispatchAutodiffContext) -> Self::Target
    where
        F: Fn(BackendTensor<B>) -> DispatchTensorKind,
    {
        match self {
            Self::Dense(tensor) => {
                Kept::Dense(DispatchTensor { kind: map_kind(BackendTensor::Float(tensor)), autodiff })
            }
            Self::Bits(bits) => Kept::Bits(bits),
        }
    }

    fn map_from_dispatch<F>(target: Self::Target, unwrap_kind: F) -> Self
    where
        F: Fn(DispatchTensor) -> BackendTensor<B>,
    {
        match target {
            Kept::Dense(tensor) => Self::Dense(unwrap_kind(tensor).float()),
            Kept::Bits(bits) => Self::Bits(bits),
        }
    }

    fn routing_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        match target {
            Kept::Dense(tensor) => Some(tensor),
            Kept::Bits(_) => None,
        }
    }

    fn routing_float_tensor(target: &Self::Target) -> Option<&DispatchTensor> {
        Self::routing_tensor(target)
    }

    fn autodiff_context(target: &Self::Target) -> DispatchAutodiffContext {
        let disabled = DispatchAutodiffContext::Disabled;
        Self::routing_tensor(target).map_or(disabled, |tensor| disabled.merge(tensor.autodiff))
    }
}

/// Spiking operations of a backend.
///
/// Shapes are those of the functions on tensors of the same names; call those instead.
/// The default bodies are the reference that every kernel is tested against.
#[backend_extension(
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Flex,
    NdArray,
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda"))
)]
pub trait SpikeOps: Backend {
    /// See [`spike`](crate::spike()).
    #[fusion(default)]
    fn spike(x: FloatTensor<Self>, _surrogate: Surrogate) -> FloatTensor<Self> {
        T::<Self>(x).step().0
    }

    /// The gradient of [`spike`](crate::spike()) with respect to `x`, given that of its output.
    #[fusion(default)]
    fn spike_backward(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        surrogate: Surrogate,
    ) -> FloatTensor<Self> {
        (T::<Self>(gradient) * T::<Self>(x).derivative(surrogate)).0
    }

    /// See [`spike_linear`](crate::spike_linear()); only the gradient of the spikes depends on where it is
    /// `_needed`, which is within `_half_width`.
    #[fusion(default)]
    fn spike_linear(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
        #[extension_type] _needed: Needed<Self>,
        _half_width: f32,
    ) -> FloatTensor<Self> {
        if spikes.shape()[0] <= synapses::FEW_ROWS {
            Self::spike_linear_few_rows(spikes, weight, bias)
        } else {
            synapses::linear::<Self>(spikes, weight, bias)
        }
    }

    /// [`spike_linear`](crate::spike_linear()), and what its weight gradient will need of the spikes.
    #[fusion(default)]
    fn spike_linear_keeping(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
    ) -> (FloatTensor<Self>, Kept<Self>) {
        let current = Self::spike_linear(spikes.clone(), weight, bias, Needed::Everywhere, f32::INFINITY);
        (current, Kept::Dense(spikes))
    }

    /// [`spike_linear_weight_gradient`](Self::spike_linear_weight_gradient) for `inputs` presynaptic units
    /// from what was kept of their spikes.
    #[fusion(default)]
    fn spike_linear_kept_gradient(
        #[extension_type] kept: Kept<Self>,
        gradient: FloatTensor<Self>,
        _inputs: usize,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        match kept {
            Kept::Dense(spikes) => Self::spike_linear_weight_gradient(spikes, gradient),
            Kept::Bits(_) => unreachable!("only backends that read bits keep them"),
        }
    }

    /// [`spike_linear`](crate::spike_linear()) of few rows, such as one step of a simulation.
    ///
    /// An operation of its own: Burn fuses a dense product with what follows it, but not a kernel that it
    /// does not know.
    #[fusion(dtype = spikes, shape = burn::tensor::Shape::from([spikes[0], weight[1]]))]
    fn spike_linear_few_rows(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
    ) -> FloatTensor<Self> {
        synapses::linear::<Self>(spikes, weight, bias)
    }

    /// The gradient of [`spike_linear`](crate::spike_linear()) with respect to the spikes, given that of its
    /// output; what is not needed may be zero.
    #[fusion(default)]
    fn spike_linear_input_gradient(
        gradient: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] _needed: Needed<Self>,
        _half_width: f32,
    ) -> FloatTensor<Self> {
        synapses::input_gradient::<Self>(gradient, weight)
    }

    /// The gradients of [`spike_linear`](crate::spike_linear()) with respect to weight and bias, given that of
    /// its output.
    #[fusion(default)]
    fn spike_linear_weight_gradient(
        spikes: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        synapses::weight_gradient::<Self>(spikes, gradient)
    }

    /// See [`spike_conv2d`](crate::spike_conv2d()).
    #[fusion(default)]
    fn spike_conv2d(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
        options: SpikeConv2d,
    ) -> FloatTensor<Self> {
        conv::forward::<Self>(spikes, weight, bias, options)
    }

    /// The gradient of [`spike_conv2d`](crate::spike_conv2d()) with respect to the spikes, given that of its
    /// output.
    #[fusion(default)]
    fn spike_conv2d_input_gradient(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: SpikeConv2d,
    ) -> FloatTensor<Self> {
        conv::input_gradient::<Self>(spikes, weight, gradient, options)
    }

    /// The gradients of [`spike_conv2d`](crate::spike_conv2d()) with respect to weight and bias, given that
    /// of its output.
    #[fusion(default)]
    fn spike_conv2d_weight_gradient(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        options: SpikeConv2d,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        conv::weight_gradient::<Self>(spikes, weight, gradient, options)
    }

    /// See [`window_maximum`](crate::window_maximum).
    #[fusion(default)]
    fn window_maximum(images: FloatTensor<Self>, window: [usize; 2]) -> FloatTensor<Self> {
        pool::forward::<Self>(images, window)
    }

    /// The gradient of [`window_maximum`](crate::window_maximum), given that of its output.
    #[fusion(default)]
    fn window_maximum_backward(
        images: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        window: [usize; 2],
    ) -> FloatTensor<Self> {
        pool::backward::<Self>(images, gradient, window)
    }

    /// See [`unit_scan`](crate::unit_scan). With `keep` the checkpoints for the backward pass come too.
    #[fusion(meta = crate::gpu::metadata::unit_scan)]
    fn unit_scan(
        #[extension_type] inputs: ScanInputs<Self>,
        keep: bool,
        options: ScanOptions,
    ) -> ScanOutputs<Self> {
        scan::forward(inputs, keep, options)
    }

    /// The gradients of [`unit_scan`](crate::unit_scan).
    #[fusion(meta = crate::gpu::metadata::unit_scan_backward)]
    fn unit_scan_backward(
        #[extension_type] saved: ScanSaved<Self>,
        #[extension_type] gradients: ScanOutputGradients<Self>,
        wanted: Wanted,
        options: ScanOptions,
    ) -> ScanGradients<Self> {
        scan::backward(saved, gradients, wanted, options)
    }
}
