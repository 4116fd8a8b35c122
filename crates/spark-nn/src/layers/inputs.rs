//! What a network is shown.

use burn::tensor::{Device, Tensor};
use std::ops::Range;

/// A sequence `[time, batch, inputs]`, whose steps may be the same ones for a while.
///
/// A picture that is shown for 25 steps is one row and not 25: it takes the memory of one, and synapses, pooling and
/// normalisation before the first units see it once, forwards and backwards. What comes out is that of
/// [`expanded`](Self::expanded) but for rounding.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{Inputs, LeakyConfig, NetworkConfig};
///
/// let device = Device::flex();
/// let network = NetworkConfig::mlp(&[4, 3], LeakyConfig::default()).init(1, &device)?;
/// let inputs = Inputs::held(Tensor::ones([1, 2, 4], &device), 25);
/// assert_eq!(inputs.dims(), [25, 2, 4]);
/// let expected = network.forward(Tensor::ones([25, 2, 4], &device), None).counts();
/// assert_eq!(network.forward(inputs, None).counts().into_data(), expected.into_data());
/// # Ok::<(), spark_core::Problems>(())
/// ```
#[derive(Clone, Debug)]
pub struct Inputs {
    /// `[time/hold, batch, inputs]`.
    pub(super) rows: Tensor<3>,
    /// Steps for which each row stays, above 0.
    pub(super) hold: usize,
}

impl From<Tensor<3>> for Inputs {
    /// Each step by itself.
    fn from(steps: Tensor<3>) -> Self {
        Self { rows: steps, hold: 1 }
    }
}

impl Inputs {
    /// Rows `[rows, batch, inputs]`, each of which stays for `hold` steps.
    ///
    /// # Panics
    /// When `hold` is 0.
    pub fn held(rows: Tensor<3>, hold: usize) -> Self {
        assert!(hold > 0, "rows that stay for at least one step");
        Self { rows, hold }
    }

    /// Steps, samples and inputs.
    pub fn dims(&self) -> [usize; 3] {
        let [rows, batch, inputs] = self.rows.dims();
        [rows * self.hold, batch, inputs]
    }

    /// Where the rows are.
    pub fn device(&self) -> Device {
        self.rows.device()
    }

    /// The same on another device.
    #[must_use]
    pub fn to_device(self, device: &Device) -> Self {
        Self { rows: self.rows.to_device(device), ..self }
    }

    /// Every step by itself, `[time, batch, inputs]`.
    pub fn expanded(self) -> Tensor<3> {
        let [rows, batch, inputs] = self.rows.dims();
        match (self.hold, rows) {
            (1, _) | (_, 0) => self.rows,
            (hold, 1) => self.rows.expand([hold, batch, inputs]),
            (hold, _) => self
                .rows
                .reshape([rows, 1, batch, inputs])
                .expand([rows, hold, batch, inputs])
                .reshape([rows * hold, batch, inputs]),
        }
    }

    /// Some of the steps.
    ///
    /// # Panics
    /// When there are not as many.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_nn::layers::Inputs;
    ///
    /// let rows = Tensor::<3>::from_floats([[[1.0]], [[2.0]]], &Device::flex());
    /// let steps = Inputs::held(rows, 3).steps(2..5).expanded();
    /// assert_eq!(steps.into_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0, 2.0]);
    /// ```
    #[must_use]
    pub fn steps(self, range: Range<usize>) -> Self {
        let [time, ..] = self.dims();
        assert!(range.start <= range.end && range.end <= time, "{range:?} of {time} steps");
        let hold = self.hold;
        if self.rows.dims()[0] == 1 && !range.is_empty() {
            return Self { hold: range.len(), ..self };
        }
        let rows = range.start / hold..range.end.div_ceil(hold);
        let (first, end) = (range.start - rows.start * hold, range.end - rows.start * hold);
        let part = Self { rows: self.rows.slice_dim(0, rows), hold };
        if range.start.is_multiple_of(hold) && range.end.is_multiple_of(hold) {
            return part;
        }
        part.expanded().slice_dim(0, first..end).into()
    }

    /// Some of the samples.
    #[must_use]
    pub fn samples(self, range: Range<usize>) -> Self {
        Self { rows: self.rows.slice_dim(1, range), ..self }
    }

    /// What a function of single steps makes of each.
    #[must_use]
    pub fn through(self, function: impl FnOnce(Tensor<3>) -> Tensor<3>) -> Self {
        Self { rows: function(self.rows), hold: self.hold }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{Network, NetworkConfig};
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Gradients;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// Inputs, and with them all sums, are exact: quarters.
    fn rows(shape: [usize; 3], device: &Device) -> Tensor<3> {
        let count = shape.iter().product::<usize>() as i64;
        let numbers = Tensor::<1, burn::tensor::Int>::arange(0..count, device).float();
        ((numbers * 7.0 + 3.0) % 5.0 / 4.0).reshape(shape)
    }

    /// What may stand before the first units of 2×6×6 inputs.
    fn lead(kind: usize) -> Value {
        let conv = json!({"kind": "conv2d", "channels": 3, "kernel": [3, 3], "padding": [1, 1]});
        let pooled = json!([conv, {"kind": "batch_norm"}, {"kind": "avg_pool2d", "window": [2, 2]}]);
        match kind {
            0 => json!([{"kind": "dense", "units": 9}]),
            1 => pooled,
            2 => json!([{"kind": "sequential", "layers": pooled}, {"kind": "dropout", "probability": 0.5}]),
            3 => json!([{"kind": "residual", "body": [conv, {"kind": "leaky"}], "shortcut": [conv]},
                        {"kind": "flatten"}, {"kind": "scale", "factor": 0.5}]),
            4 => json!([]),
            _ => json!([{"kind": "sequential", "layers": [{"kind": "dense", "units": 7}, {"kind": "leaky"}]},
                        {"kind": "dense", "units": 9}]),
        }
    }

    fn network(kind: usize, units: &str, device: &Device) -> Network {
        let mut layers = lead(kind);
        let behind = [json!({"kind": units}), json!({"kind": "dense", "units": 4}), json!({"kind": "leaky"})];
        layers.as_array_mut().unwrap().extend(behind);
        let config = json!({"input": [2, 6, 6], "layers": layers});
        serde_json::from_value::<NetworkConfig>(config).unwrap().init(5, device).unwrap()
    }

    /// Every trained parameter's gradient, and every buffer.
    #[derive(Default)]
    struct Numbers(Vec<f32>, Option<Gradients>);

    impl ModuleVisitor for Numbers {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let found = match self.1.as_mut().filter(|_| param.is_require_grad()) {
                Some(gradients) => param.val().grad_remove(gradients),
                None => Some(param.val()),
            };
            self.0.extend(
                found.into_iter().flat_map(|found| found.into_data().iter::<f32>().collect::<Vec<_>>()),
            );
        }
    }

    fn close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(1e-3f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 2e-5 * largest, "{found} against {expected}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_that_stay_give_what_their_steps_give(
            kind in 0usize..6,
            units in prop::sample::select(vec!["leaky", "synaptic", "alpha", "lapicque"]),
            (frames, hold, batch) in (1usize..4, 1usize..6, 1usize..4),
        ) {
            let device = Device::flex().autodiff();
            let inputs = Inputs::held(rows([frames, batch, 72], &device), hold);
            let run = |inputs: Inputs| {
                let network = network(kind, units, &device);
                let output = network.forward(inputs, None);
                let spikes: Vec<_> = output.spikes.iter().map(|spikes| spikes.to_data()).collect();
                let weights = rows(output.potential.dims(), &device);
                let gradients = (output.potential * weights.clone() + output.output * weights).sum().backward();
                let mut numbers = Numbers(Vec::new(), Some(gradients));
                network.visit(&mut numbers);
                (spikes, numbers.0)
            };
            let (spikes, gradients) = run(inputs.clone());
            let (expected_spikes, expected) = run(inputs.expanded().into());
            prop_assert_eq!(spikes, expected_spikes);
            close(&gradients, &expected);
        }

        #[test]
        fn a_part_of_held_rows_is_that_part_of_their_steps(
            (frames, hold) in (1usize..4, 1usize..5),
            cuts: (prop::sample::Index, prop::sample::Index),
        ) {
            let inputs = Inputs::held(rows([frames, 2, 3], &Device::flex()), hold);
            let [time, ..] = inputs.dims();
            let (a, b) = (cuts.0.index(time + 1), cuts.1.index(time + 1));
            let range = a.min(b)..a.max(b);
            let expected = inputs.clone().expanded().slice_dim(0, range.clone());
            let part = inputs.steps(range);
            prop_assert_eq!(part.dims(), expected.dims());
            prop_assert_eq!(part.expanded().into_data(), expected.into_data());
        }
    }

    #[test]
    fn samples_are_picked_from_every_row() {
        let inputs = Inputs::held(rows([2, 5, 3], &Device::flex()), 2);
        let expected = inputs.clone().expanded().slice_dim(1, 1..3);
        assert_eq!(inputs.samples(1..3).expanded().into_data(), expected.into_data());
    }
}
