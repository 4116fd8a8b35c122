//! The backend extension of simulation: operations that go one step of time at a time.
#![allow(deprecated)] // Burn deprecates its ndarray backend; Spark offers it for comparison.

use burn::backend::{backend_extension, tensor::FloatTensor};

use crate::composed::T;
use crate::philox::Stream;
use crate::planes::Planes;
use crate::somas::{self, SomaForm};
use crate::{SpikeOps, random};

/// Operations of a simulation step.
///
/// Shapes are those of the functions on tensors of the same names; call those instead.
/// The default bodies are the reference that every kernel is tested against; on an autodiff backend they
/// run as they stand and are differentiable.
#[backend_extension(
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Flex,
    NdArray,
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda"))
)]
pub trait StepOps: SpikeOps {
    /// See [`soma_step`](crate::soma_step). Returns spikes and the planes of the new state.
    #[fusion(default)]
    fn soma_step(
        current: FloatTensor<Self>,
        #[extension_type] planes: Planes<Self>,
        form: SomaForm,
    ) -> (FloatTensor<Self>, Planes<Self>) {
        let mut next = planes.into_source();
        let soma = form.soma.map(|()| T::<Self>(next()));
        let state = form.state.map(|()| T(next()));
        let (spikes, state) = somas::step(soma, T(current), state, form.options);
        let mut planes = Vec::new();
        state.map(|plane| planes.push(plane.0));
        (spikes.0, Planes(planes))
    }

    /// See [`random::bernoulli_each`](crate::random::bernoulli_each).
    #[fusion(default)]
    fn bernoulli(probability: FloatTensor<Self>, stream: Stream) -> FloatTensor<Self> {
        random::compare::<Self>(probability, stream)
    }
}
