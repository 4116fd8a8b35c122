//! Fixed delays.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;

use super::member::{Asked, Member, Ran};
use super::state::own;
use super::{LayerState, Temporal};

/// The longest delay, in steps.
const LONGEST: usize = 1 << 16;

/// Configuration of [`DelayLine`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DelayLineConfig {
    /// Delays in steps: one for all units, or one for each.
    pub steps: Vec<usize>,
}

/// Gives each of its inputs again some steps later: `y[t] = x[t − d]`, zero before.
///
/// Input and output are `[batch, units]` per step and `[time, batch, units]` per sequence. Gradients pass.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{DelayLineConfig, Temporal};
///
/// let device = Device::flex();
/// let layer = DelayLineConfig { steps: vec![0, 2] }.init(2);
/// let input = Tensor::<3>::from_floats([[[1.0, 1.0]], [[2.0, 2.0]], [[3.0, 3.0]]], &device);
/// let (output, _) = layer.sequence(input, layer.initial_state(1, &device));
/// assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [1.0, 0.0, 2.0, 0.0, 3.0, 1.0]);
/// ```
#[derive(Module, Debug)]
pub struct DelayLine {
    #[module(skip)]
    steps: Vec<usize>,
    units: usize,
}

spark_core::state! {
    /// What a [`DelayLine`] remembers.
    pub struct DelayLineState {
        /// The inputs of the last steps, the oldest first, `[longest delay, batch, units]`; absent without delays.
        inputs: Option<Tensor<3>>,
    }
}

impl DelayLineConfig {
    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        if self.steps.is_empty() {
            problems.push(format!("{path}.steps"), "nothing", "one delay, or one for each unit");
        }
        if let Some(place) = self.steps.iter().position(|&steps| steps > LONGEST) {
            let expected = format!("at most {LONGEST} steps");
            problems.push(format!("{path}.steps[{place}]"), self.steps[place], expected);
        }
    }

    /// Whether there are as many delays as `units` need.
    pub(super) fn fits(&self, units: usize) -> bool {
        self.steps.len() == 1 || self.steps.len() == units
    }

    /// A layer of `units` units.
    pub fn init(&self, units: usize) -> DelayLine {
        DelayLine { steps: self.steps.clone(), units }
    }
}

impl DelayLine {
    fn longest(&self) -> usize {
        self.steps.iter().copied().max().unwrap_or(0)
    }

    /// For each step and unit the place of its input behind those that are remembered.
    fn places(&self, time: usize, batch: usize, device: &Device) -> Tensor<3, Int> {
        let longest = self.longest();
        let places = (0..time).flat_map(|t| self.steps.iter().map(move |steps| (t + longest - steps) as i64));
        let units = self.steps.len();
        let places = TensorData::new(places.collect::<Vec<_>>(), [time, 1, units]);
        Tensor::<3, Int>::from_data(places, device).expand([time, batch, self.units])
    }
}

impl Temporal for DelayLine {
    type State = DelayLineState;

    fn initial_state(&self, batch: usize, device: &Device) -> DelayLineState {
        let longest = self.longest();
        DelayLineState { inputs: (longest > 0).then(|| Tensor::zeros([longest, batch, self.units], device)) }
    }

    fn step(&self, input: Tensor<2>, state: DelayLineState) -> (Tensor<2>, DelayLineState) {
        let (output, state) = self.sequence(input.unsqueeze(), state);
        (output.squeeze_dim(0), state)
    }

    fn sequence(&self, input: Tensor<3>, state: DelayLineState) -> (Tensor<3>, DelayLineState) {
        let Some(earlier) = state.inputs else { return (input, state) };
        let [time, batch, _] = input.dims();
        let longest = self.longest();
        let all = Tensor::cat(vec![earlier, input], 0);
        let output = match *self.steps {
            [_] => all.clone().slice_dim(0, 0..time),
            _ => all.clone().gather(0, self.places(time, batch, &all.device())),
        };
        (output, DelayLineState { inputs: Some(all.slice_dim(0, time..time + longest)) })
    }
}

impl Member for DelayLine {
    fn begin(&self, batch: usize, device: &Device) -> LayerState {
        self.initial_state(batch, device).into()
    }

    fn run(&self, input: Tensor<3>, state: LayerState, _: Asked) -> Ran {
        let (output, state) = self.sequence(input, own(state));
        Ran::plain(output, state.into())
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let (output, state) = self.step(input, own(state));
        (output, state.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_in_parts_is_the_whole() {
        let device = Device::flex();
        let layer = DelayLineConfig { steps: vec![3, 0, 1] }.init(3);
        let input = Tensor::<1, Int>::arange(0..36, &device).float().reshape([6, 2, 3]);
        let (whole, _) = layer.sequence(input.clone(), layer.initial_state(2, &device));
        let (parts, _) = super::super::step_through(&layer, input, layer.initial_state(2, &device));
        assert_eq!(whole.clone().into_data(), parts.into_data());
        let found = whole.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(found[24..30], [6.0, 25.0, 20.0, 9.0, 28.0, 23.0]);
    }
}
