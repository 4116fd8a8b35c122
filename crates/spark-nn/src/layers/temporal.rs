//! What it means to act over time.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use spark_core::state::State;

/// A layer whose output depends on the past through an explicit state.
pub trait Temporal: Module {
    /// What the layer remembers from one step to the next.
    type State: State;

    /// The state before the first step of `batch` samples.
    fn initial_state(&self, batch: usize, device: &Device) -> Self::State;

    /// One step: `[batch, inputs]` to `[batch, units]`.
    fn step(&self, input: Tensor<2>, state: Self::State) -> (Tensor<2>, Self::State);

    /// A whole sequence: `[time, batch, inputs]` to `[time, batch, units]`.
    ///
    /// The default is a loop over [`step`](Self::step); an override computes the same outputs.
    fn sequence(&self, input: Tensor<3>, state: Self::State) -> (Tensor<3>, Self::State) {
        step_through(self, input, state)
    }
}

/// A sequence as a loop over [`Temporal::step`]: what every override of [`Temporal::sequence`] has to equal.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LeakyConfig, Temporal, step_through};
///
/// let device = Device::flex();
/// let layer = LeakyConfig::default().init(3, &device);
/// let input = Tensor::full([25, 2, 3], 0.3, &device);
/// let (fused, _) = layer.sequence(input.clone(), layer.initial_state(2, &device));
/// let (stepped, _) = step_through(&layer, input, layer.initial_state(2, &device));
/// assert_eq!(fused.into_data(), stepped.into_data());
/// ```
pub fn step_through<L: Temporal>(layer: &L, input: Tensor<3>, mut state: L::State) -> (Tensor<3>, L::State) {
    let [time, batch, inputs] = input.dims();
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let current = input.clone().slice_dim(0, t..t + 1).reshape([batch, inputs]);
        let output;
        (output, state) = layer.step(current, state);
        outputs.push(output);
    }
    (Tensor::stack(outputs, 0), state)
}

/// A layer together with its state, for stepping through time.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LeakyConfig, Stateful};
///
/// let device = Device::flex();
/// let mut unit = Stateful::new(LeakyConfig::default().init(1, &device));
/// let input = Tensor::<2>::from_floats([[0.6]], &device);
/// let first: f32 = unit.step(input.clone()).into_scalar();
/// let second: f32 = unit.step(input.clone()).into_scalar();
/// assert_eq!((first, second), (0.0, 1.0));
///
/// unit.reset();
/// let again: f32 = unit.step(input).into_scalar();
/// assert_eq!(again, first);
/// ```
#[derive(Clone, Debug)]
pub struct Stateful<L: Temporal> {
    layer: L,
    state: Option<L::State>,
}

impl<L: Temporal> Stateful<L> {
    /// Wraps a layer; the state starts with the first step.
    pub fn new(layer: L) -> Self {
        Self { layer, state: None }
    }

    /// One step: `[batch, inputs]` to `[batch, units]`. The first step after a reset fixes the batch size.
    pub fn step(&mut self, input: Tensor<2>) -> Tensor<2> {
        let state = match self.state.take() {
            Some(state) => state,
            None => self.layer.initial_state(input.dims()[0], &input.device()),
        };
        let (output, state) = self.layer.step(input, state);
        self.state = Some(state);
        output
    }

    /// Forgets the past.
    pub fn reset(&mut self) {
        self.state = None;
    }

    /// The state after the latest step; `None` before the first.
    pub fn state(&self) -> Option<&L::State> {
        self.state.as_ref()
    }

    /// Goes on from `state`.
    pub fn restore(&mut self, state: L::State) {
        self.state = Some(state);
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }
}
