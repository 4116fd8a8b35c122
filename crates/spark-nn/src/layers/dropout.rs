//! Dropout that lasts for a sequence.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::{Problems, seed};
use spark_kernels::{philox::Stream, random};

use super::Temporal;
use super::buffer::Buffer;

/// Configuration of [`Dropout`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropoutConfig {
    /// Probability that a unit is left out, in `[0, 1)`.
    pub probability: f32,
}

/// Leaves units out at random in training: each for a whole sequence of its sample, not for one step.
///
/// ```text
/// y[t] = m·x[t]/(1 − p)        m: 1 with probability 1 − p, else 0; the same in every step
/// ```
///
/// The mask is the state: [`Temporal::initial_state`] draws it where gradients are tracked, and where they are
/// not there is none. Whoever passes a state on keeps the mask. Masks follow from the seed and the number of
/// those drawn before, which is saved with the parameters: training that is taken up again goes on with the
/// same ones. Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence.
///
/// Source: Lee et al., *Enabling spike-based backpropagation for training deep neural network architectures*
/// (2020), section "Dropout in spiking neural networks".
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{DropoutConfig, Temporal};
///
/// let device = Device::flex().autodiff();
/// let layer = DropoutConfig { probability: 0.5 }.init(100, 1, "dropout");
/// let (output, _) = layer.sequence(Tensor::ones([3, 1, 100], &device), layer.initial_state(1, &device));
/// let values = output.into_data().try_to_vec::<f32>().unwrap();
/// assert!(values.contains(&0.0) && values.contains(&2.0));
/// assert_eq!(values[..100], values[200..]);
/// ```
#[derive(Module, Debug)]
pub struct Dropout {
    /// Masks drawn so far, `[1]`.
    pub draws: Buffer<1>,
    probability: f32,
    units: usize,
    #[module(skip)]
    seed: u64,
}

spark_core::state! {
    /// What a [`Dropout`] remembers of a sequence.
    pub struct DropoutState {
        /// The factor on each unit, 0 or `1/(1 − p)`, `[batch, units]`; absent where nothing is left out.
        mask: Option<Tensor<2>>,
    }
}

impl DropoutConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        if !(0.0..1.0).contains(&self.probability) {
            problems.push(
                format!("{path}.probability"),
                self.probability,
                "a number of at least 0 and below 1",
            );
        }
    }

    /// A layer of `units` units; `name` picks the random stream under `seed`.
    pub fn init(&self, units: usize, seed: u64, name: &str) -> Dropout {
        Dropout {
            draws: Buffer::on_host(Tensor::zeros([1], &Device::flex())),
            probability: self.probability,
            units,
            seed: seed::derive(seed, &format!("{name}.mask")),
        }
    }
}

impl Dropout {
    /// Leaves out the next masks.
    pub(super) fn skip(&self, masks: usize) {
        self.draws.set(self.draws.value() + masks as f32);
    }
}

impl Temporal for Dropout {
    type State = DropoutState;

    fn initial_state(&self, batch: usize, device: &Device) -> DropoutState {
        if !device.is_autodiff() || self.probability == 0.0 {
            return DropoutState { mask: None };
        }
        let draws = self.draws.value();
        let step = draws.clone().into_scalar::<f32>() as u64;
        self.draws.set(draws + 1.0);
        let kept = 1.0 - self.probability;
        let mask = random::bernoulli(kept, [batch, self.units], Stream::new(self.seed, 0, step), device);
        DropoutState { mask: Some(mask / kept) }
    }

    fn step(&self, input: Tensor<2>, state: DropoutState) -> (Tensor<2>, DropoutState) {
        let output = match &state.mask {
            Some(mask) => input * mask.clone(),
            None => input,
        };
        (output, state)
    }

    fn sequence(&self, input: Tensor<3>, state: DropoutState) -> (Tensor<3>, DropoutState) {
        let output = match &state.mask {
            Some(mask) => input * mask.clone().unsqueeze(),
            None => input,
        };
        (output, state)
    }
}
