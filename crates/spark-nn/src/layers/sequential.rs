//! Layers one after another.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::schema::join;
use spark_kernels::Crossings;

use super::config::Place;
use super::member::{Asked, Member, Ran};
use super::state::own;
use super::{Inputs, Layer, LayerConfig, LayerState, NetworkState};

/// Configuration of [`Sequential`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SequentialConfig {
    /// The layers in order.
    pub layers: Vec<LayerConfig>,
}

/// Layers one after another, as one layer.
///
/// A sequence passes layer by layer, not step by step.
///
/// # Examples
/// ```
/// use spark_nn::layers::{DenseConfig, LayerConfig, LeakyConfig, SequentialConfig};
///
/// let layer = LayerConfig::Sequential(SequentialConfig {
///     layers: vec![
///         LayerConfig::Dense(DenseConfig::new(3)),
///         LayerConfig::Leaky(LeakyConfig::default()),
///     ],
/// });
/// assert_eq!(layer.output_shape(&[7]), Some(vec![3]));
/// ```
#[derive(Module, Debug)]
pub struct Sequential {
    /// The layers in order.
    pub layers: Vec<Layer>,
}

impl SequentialConfig {
    pub(super) fn check(&self, input: &[usize], path: &str, problems: &mut Problems) -> Option<Vec<usize>> {
        let shapes = shapes(&self.layers, input, path, problems);
        match shapes.last() {
            _ if shapes.len() < self.layers.len() => None,
            Some(last) => Some(last.clone()),
            None => Some(input.to_vec()),
        }
    }

    pub(super) fn init(&self, input: &[usize], name: &str, place: Place<'_>) -> Result<Sequential, Problems> {
        Ok(Sequential { layers: init(&self.layers, input, name, place)? })
    }
}

/// Whether what leaves a row of layers comes from units; factors and pooling, such as a vote, may follow them.
pub(super) fn ends_in_units(layers: &[LayerConfig]) -> bool {
    let passes = |layer: &&LayerConfig| {
        matches!(
            layer,
            LayerConfig::Scale(_)
                | LayerConfig::Flatten(_)
                | LayerConfig::AvgPool2d(_)
                | LayerConfig::SumPool2d(_)
                | LayerConfig::MaxPool2d(_)
        )
    };
    layers.iter().rev().find(|layer| !passes(layer)).is_some_and(LayerConfig::gives_units)
}

/// The shape that leaves each layer, up to the first one that cannot take what comes.
pub(super) fn shapes(
    layers: &[LayerConfig],
    input: &[usize],
    path: &str,
    problems: &mut Problems,
) -> Vec<Vec<usize>> {
    let mut shapes: Vec<Vec<usize>> = Vec::with_capacity(layers.len());
    for (i, layer) in layers.iter().enumerate() {
        let input = shapes.last().map_or(input, Vec::as_slice);
        match layer.check(input, &join(path, &format!("layers[{i}]")), problems) {
            Some(shape) => shapes.push(shape),
            None => break,
        }
    }
    shapes
}

/// The layers behind one of shape `input`.
pub(super) fn init(
    layers: &[LayerConfig],
    input: &[usize],
    name: &str,
    place: Place<'_>,
) -> Result<Vec<Layer>, Problems> {
    let mut shape = input.to_vec();
    let mut made = Vec::with_capacity(layers.len());
    for (i, layer) in layers.iter().enumerate() {
        made.push(layer.init(&shape, &join(name, &format!("layers.{i}")), place)?);
        shape = layer.output_shape(&shape).expect("shapes that were accepted");
    }
    Ok(made)
}

pub(super) fn begin(layers: &[Layer], batch: usize, device: &Device) -> NetworkState {
    NetworkState { layers: layers.iter().map(|layer| layer.begin(batch, device)).collect() }
}

/// What a row of layers gives; the state beside it.
pub(super) fn run(layers: &[Layer], input: Inputs, state: NetworkState, asked: Asked) -> (Ran, NetworkState) {
    assert_eq!(state.layers.len(), layers.len(), "a state of as many layers");
    let mut states = Vec::with_capacity(layers.len());
    let mut all_spikes = Vec::new();
    let mut x = input;
    let (mut support, mut potential) = (None, None::<Tensor<3>>);
    for (index, (layer, state)) in layers.iter().zip(state.layers).enumerate() {
        let next = layers.get(index + 1);
        let wanted = match next {
            None => asked,
            Some(next) => Asked { potential: false, crossings: matches!(next, Layer::Dense(_)) },
        };
        let crossings = support.take().zip(potential.take());
        let hold = if layer.forgets() { x.hold } else { 1 };
        let ran = match (layer, crossings) {
            (Layer::Dense(dense), Some(((threshold, half_width), potential))) => {
                let crossings = Crossings { potential: potential.flatten(0, 1), threshold, half_width };
                Ran::plain(dense.forward_near(x.expanded(), crossings), state)
            }
            _ if layer.forgets() => layer.run(x.rows, state, wanted),
            _ => layer.run_held(x, state, wanted),
        };
        states.push(ran.state);
        all_spikes.extend(ran.spikes);
        x = Inputs::held(ran.output, hold);
        (support, potential) = (ran.support, ran.potential);
    }
    let ran = Ran { potential, support, spikes: all_spikes, ..Ran::plain(x.expanded(), LayerState::None) };
    (ran, NetworkState { layers: states })
}

pub(super) fn advance(layers: &[Layer], input: Tensor<2>, state: NetworkState) -> (Tensor<2>, NetworkState) {
    assert_eq!(state.layers.len(), layers.len(), "a state of as many layers");
    let mut x = input;
    let mut states = Vec::with_capacity(layers.len());
    for (layer, state) in layers.iter().zip(state.layers) {
        let state_after;
        (x, state_after) = layer.advance(x, state);
        states.push(state_after);
    }
    (x, NetworkState { layers: states })
}

pub(super) fn bounded(layers: Vec<Layer>) -> Vec<Layer> {
    layers.into_iter().map(Member::bounded).collect()
}

impl Member for Sequential {
    fn begin(&self, batch: usize, device: &Device) -> LayerState {
        begin(&self.layers, batch, device).into()
    }

    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
        self.run_held(input.into(), state, asked)
    }

    fn forgets(&self) -> bool {
        self.layers.iter().all(Member::forgets)
    }

    fn run_held(&self, input: Inputs, state: LayerState, asked: Asked) -> Ran {
        let (ran, state) = run(&self.layers, input, own(state), asked);
        Ran { state: state.into(), ..ran }
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let (output, state) = advance(&self.layers, input, own(state));
        (output, state.into())
    }

    fn bounded(self) -> Self {
        Self { layers: bounded(self.layers) }
    }
}
