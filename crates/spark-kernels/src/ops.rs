//! The backend extension: one trait, a composed reference body for every operation.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{Backend, ExtensionType, TensorMetadata, backend_extension, tensor::FloatTensor};

use crate::composed::T;
use crate::leaky::{self, LeakyScan};
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

    /// See [`spike_linear`](crate::spike_linear()).
    #[fusion(default)]
    fn spike_linear(
        spikes: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        #[extension_type] bias: Maybe<Self>,
    ) -> FloatTensor<Self> {
        if spikes.shape()[0] <= synapses::FEW_ROWS {
            Self::spike_linear_few_rows(spikes, weight, bias)
        } else {
            synapses::linear::<Self>(spikes, weight, bias)
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

    /// See [`leaky_scan`](crate::leaky_scan). Returns spikes, potential and the last membrane.
    #[fusion(default)]
    fn leaky_scan(
        input: FloatTensor<Self>,
        membrane: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        options: LeakyScan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        leaky::forward(T::<Self>(input), T(membrane), T(decay), T(threshold), options)
    }

    /// The gradients of [`leaky_scan`](crate::leaky_scan) with respect to input, initial membrane,
    /// decay and threshold.
    ///
    /// `potential` is what the forward pass returned; the three gradients are those of the outputs, zero
    /// where absent. Without `parameter_gradients` those of decay and threshold come back as zero.
    #[allow(clippy::too_many_arguments)]
    #[fusion(default)]
    fn leaky_scan_backward(
        potential: FloatTensor<Self>,
        membrane: FloatTensor<Self>,
        decay: FloatTensor<Self>,
        threshold: FloatTensor<Self>,
        #[extension_type] spikes_gradient: Maybe<Self>,
        #[extension_type] potential_gradient: Maybe<Self>,
        #[extension_type] membrane_gradient: Maybe<Self>,
        parameter_gradients: bool,
        options: LeakyScan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let saved = leaky::Saved::<Self>::new([potential, membrane, decay, threshold]);
        let gradients = leaky::OutputGradients::new([spikes_gradient, potential_gradient, membrane_gradient]);
        leaky::backward(saved, gradients, parameter_gradients, options)
    }
}
