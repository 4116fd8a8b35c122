//! What goes into a scan and comes out of it, in the form that backend extensions can pass on.

use burn::backend::{Backend, ExtensionType, tensor::FloatTensor};

use super::ScanOptions;
use crate::Maybe;

/// Input, initial state and parameters of a scan.
///
/// A unit without `threshold` does not spike. `current` and its decay are there together or not at all,
/// and so are `adaptation`, its decay and its strength, which need a threshold.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub struct ScanInputs<B: Backend> {
    /// What arrives, `[time, batch, units]`.
    pub input: FloatTensor<B>,
    /// Membrane before the first step, `[batch, units]`.
    pub membrane: FloatTensor<B>,
    /// Decay of the membrane, `[units]` or `[1]` as every parameter.
    pub decay: FloatTensor<B>,
    /// Threshold of a spike.
    #[extension_type]
    pub threshold: Maybe<B>,
    /// Synaptic current before the first step, `[batch, units]`.
    #[extension_type]
    pub current: Maybe<B>,
    /// Decay of the synaptic current.
    #[extension_type]
    pub current_decay: Maybe<B>,
    /// Adaptation before the first step, `[batch, units]`.
    #[extension_type]
    pub adaptation: Maybe<B>,
    /// Decay of the adaptation.
    #[extension_type]
    pub adaptation_decay: Maybe<B>,
    /// What the adaptation adds to the threshold.
    #[extension_type]
    pub adaptation_strength: Maybe<B>,
}

/// Number of tensors in [`ScanInputs`].
pub(crate) const INPUTS: usize = 9;

impl<B: Backend> ScanInputs<B> {
    /// The tensors that there are.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = &FloatTensor<B>> {
        let parts = [
            &self.threshold,
            &self.current,
            &self.current_decay,
            &self.adaptation,
            &self.adaptation_decay,
            &self.adaptation_strength,
        ];
        [&self.input, &self.membrane, &self.decay]
            .into_iter()
            .chain(parts.into_iter().filter_map(Maybe::as_option))
    }

    /// Which parts a unit has.
    pub(crate) fn parts(&self) -> Parts {
        Parts {
            spikes: matches!(self.threshold, Maybe::Present(_)),
            current: matches!(self.current, Maybe::Present(_)),
            adaptation: matches!(self.adaptation, Maybe::Present(_)),
        }
    }
}

/// Which parts a unit has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Parts {
    pub spikes: bool,
    pub current: bool,
    pub adaptation: bool,
}

impl Parts {
    /// Numbers that a unit carries from step to step.
    pub fn planes(self) -> usize {
        1 + usize::from(self.current) + usize::from(self.adaptation)
    }
}

/// What a scan returns.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub struct ScanOutputs<B: Backend> {
    /// Exactly 0 or 1, `[time, batch, units]`; absent without a threshold.
    #[extension_type]
    pub spikes: Maybe<B>,
    /// Potential before the reset of its own step, `[time, batch, units]`, when the options ask for it.
    #[extension_type]
    pub potential: Maybe<B>,
    /// Membrane after the last step, `[batch, units]`.
    pub membrane: FloatTensor<B>,
    /// Synaptic current after the last step.
    #[extension_type]
    pub current: Maybe<B>,
    /// Adaptation after the last step.
    #[extension_type]
    pub adaptation: Maybe<B>,
    /// Membrane, current and adaptation, as far as there are any, after every `every` steps but the last:
    /// `[checkpoints, planes, batch, units]`. Absent where nobody asked or the sequence is too short.
    #[extension_type]
    pub checkpoints: Maybe<B>,
}

/// Gradients of the outputs of a scan; what is absent is zero.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub struct ScanOutputGradients<B: Backend> {
    /// Of the spikes.
    #[extension_type]
    pub spikes: Maybe<B>,
    /// Of the potential.
    #[extension_type]
    pub potential: Maybe<B>,
    /// Of the last membrane.
    #[extension_type]
    pub membrane: Maybe<B>,
    /// Of the last synaptic current.
    #[extension_type]
    pub current: Maybe<B>,
    /// Of the last adaptation.
    #[extension_type]
    pub adaptation: Maybe<B>,
}

/// Which gradients of [`ScanInputs`] are wanted. That of the input always is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of the decay of the membrane.
    pub decay: bool,
    /// Of the threshold.
    pub threshold: bool,
    /// Of the decay of the synaptic current.
    pub current_decay: bool,
    /// Of the decay of the adaptation.
    pub adaptation_decay: bool,
    /// Of the strength of the adaptation.
    pub adaptation_strength: bool,
}

impl Wanted {
    /// From the gradients wanted of [`ScanInputs`] in the order of its fields.
    pub(crate) fn new(wanted: [bool; INPUTS]) -> Self {
        let [_, _, decay, threshold, _, current_decay, _, adaptation_decay, adaptation_strength] = wanted;
        Self { decay, threshold, current_decay, adaptation_decay, adaptation_strength }
    }

    /// Those of parameters that a unit has.
    pub(crate) fn of(self, parts: Parts) -> Self {
        Self {
            decay: self.decay,
            threshold: self.threshold && parts.spikes,
            current_decay: self.current_decay && parts.current,
            adaptation_decay: self.adaptation_decay && parts.adaptation,
            adaptation_strength: self.adaptation_strength && parts.adaptation,
        }
    }
}

/// Gradients of [`ScanInputs`]: of the input and of every part of the initial state that there is, and of
/// the parameters that are wanted.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub struct ScanGradients<B: Backend> {
    /// Of the input, `[time, batch, units]`.
    pub input: FloatTensor<B>,
    /// Of the initial membrane, `[batch, units]`.
    pub membrane: FloatTensor<B>,
    /// Of the decay, in the shape of that parameter.
    #[extension_type]
    pub decay: Maybe<B>,
    /// Of the threshold.
    #[extension_type]
    pub threshold: Maybe<B>,
    /// Of the initial current.
    #[extension_type]
    pub current: Maybe<B>,
    /// Of its decay.
    #[extension_type]
    pub current_decay: Maybe<B>,
    /// Of the initial adaptation.
    #[extension_type]
    pub adaptation: Maybe<B>,
    /// Of its decay.
    #[extension_type]
    pub adaptation_decay: Maybe<B>,
    /// Of its strength.
    #[extension_type]
    pub adaptation_strength: Maybe<B>,
}

impl<B: Backend> ScanGradients<B> {
    /// The tensors in the order of the fields of [`ScanInputs`].
    pub(crate) fn into_array(self) -> [Option<FloatTensor<B>>; INPUTS] {
        [
            Some(self.input),
            Some(self.membrane),
            self.decay.into_option(),
            self.threshold.into_option(),
            self.current.into_option(),
            self.current_decay.into_option(),
            self.adaptation.into_option(),
            self.adaptation_decay.into_option(),
            self.adaptation_strength.into_option(),
        ]
    }
}

/// What the forward pass keeps for the backward pass.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub struct ScanSaved<B: Backend> {
    /// What went in.
    #[extension_type]
    pub inputs: ScanInputs<B>,
    /// See [`ScanOutputs::checkpoints`].
    #[extension_type]
    pub checkpoints: Maybe<B>,
}

/// After how many steps the forward pass keeps the state, when it keeps any.
pub(crate) fn checkpoint_interval(options: &ScanOptions) -> usize {
    options.checkpoint.unwrap_or(CHECKPOINT_STEPS)
}

/// Steps between two checkpoints unless the options say otherwise.
///
/// What is recomputed from one of them stays in the second-level cache, and the states kept are a
/// thirty-second of the input.
const CHECKPOINT_STEPS: usize = 32;
