//! A network as stages: synapses and whatever else has no memory, then units.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use spark_core::Problems;
use spark_core::schema::join;
use spark_nn::layers::{Inputs, Layer, LayerState, LocalRun, Network, Reach, RecurrentUnits, Temporal};

use super::{LearningRule, gradient_of, seeded};

/// Units and what lies between them and the units before.
#[derive(Default)]
pub(super) struct Stage<'a> {
    synapses: Vec<&'a Layer>,
    units: Option<&'a Layer>,
}

/// The stages of a network in order.
pub(super) struct Stages<'a> {
    pub stages: Vec<Stage<'a>>,
    /// What follows the last units, such as a vote.
    tail: Stage<'a>,
}

/// One stage that ran.
pub(super) struct Passed<'s, 'a> {
    stage: &'s Stage<'a>,
    /// Masks of dropout.
    states: Vec<LayerState>,
    /// What came in, `[time, batch, inputs]`, without history unless it was asked for.
    input: Inputs,
    /// What reaches the units, `[time, batch, units]`, on the graph of the synapses.
    pub current: Tensor<3>,
}

impl<'a> Stages<'a> {
    /// Takes a network apart; what the rule cannot train is reported.
    pub fn of(network: &'a Network, rule: LearningRule, path: &str, problems: &mut Problems) -> Self {
        let mut stages = Self { stages: Vec::new(), tail: Stage::default() };
        stages.add(&network.layers, rule, path, problems);
        if stages.stages.is_empty() && problems.list().is_empty() {
            problems.push(join(path, "layers"), "no units", "at least one layer of units");
        }
        stages
    }

    fn add(&mut self, layers: &'a [Layer], rule: LearningRule, path: &str, problems: &mut Problems) {
        for (i, layer) in layers.iter().enumerate() {
            let path = join(path, &format!("layers[{i}]"));
            match layer {
                Layer::Sequential(inner) => self.add(&inner.layers, rule, &path, problems),
                _ if has_no_memory(layer) => self.tail.synapses.push(layer),
                _ if layer.runs_locally() && suits(rule, layer) => {
                    let stage = std::mem::take(&mut self.tail);
                    self.stages.push(Stage { units: Some(layer), ..stage });
                }
                _ => problems.push(path, describe(layer), expected(rule)),
            }
        }
    }

    /// Runs the stages before the last one, each on its own graph; gives the spikes of each on it, the last stage,
    /// and what comes to that.
    pub fn hidden(&self, input: Inputs) -> (Vec<Tensor<3>>, &Stage<'a>, Inputs) {
        let (last, hidden) = self.stages.split_last().expect("at least one stage");
        let mut spikes = Vec::with_capacity(hidden.len());
        let mut x = input;
        for stage in hidden {
            let output = stage.pass(x).units(Reach::Membrane).output;
            x = output.clone().detach().into();
            spikes.push(output);
        }
        (spikes, last, x)
    }

    /// The spikes of each layer that spikes, from what the units of all stages give in order.
    pub fn fired(&self, outputs: Vec<Tensor<3>>) -> Vec<Tensor<3>> {
        let spike = |stage: &Stage<'_>| !matches!(stage.units, Some(Layer::LeakyIntegrator(_)));
        let fired = self.stages.iter().zip(outputs).filter(|(stage, _)| spike(stage));
        fired.map(|(_, output)| output).collect()
    }

    /// What the network gives, from what its last units give.
    pub fn output(&self, ran: LocalRun) -> LocalRun {
        if self.tail.synapses.is_empty() {
            return ran;
        }
        let output = self.tail.pass(ran.output).current;
        LocalRun { potential: output.clone(), output }
    }
}

/// Layers whose output follows from the input of the same step and sample alone.
fn has_no_memory(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::Dense(_)
            | Layer::Conv1d(_)
            | Layer::Conv2d(_)
            | Layer::MaxPool2d(_)
            | Layer::AvgPool2d(_)
            | Layer::SumPool2d(_)
            | Layer::Scale(_)
            | Layer::Flatten(_)
            | Layer::Dropout(_)
    )
}

fn suits(rule: LearningRule, layer: &Layer) -> bool {
    let several_traces = match layer {
        Layer::Adaptive(_) | Layer::Synaptic(_) => true,
        Layer::Recurrent(layer) => {
            matches!(layer.units, RecurrentUnits::Adaptive(_) | RecurrentUnits::Synaptic(_))
        }
        _ => false,
    };
    !(several_traces && matches!(rule, LearningRule::Ottt {}))
}

fn describe(layer: &Layer) -> String {
    let unit = matches!(
        layer,
        Layer::Leaky(_)
            | Layer::Lapicque(_)
            | Layer::IntegrateAndFire(_)
            | Layer::Parametric(_)
            | Layer::Synaptic(_)
            | Layer::Adaptive(_)
            | Layer::Recurrent(_)
    );
    let resets = if unit && !layer.runs_locally() { " with the resets of snnTorch" } else { "" };
    format!("{}{resets}", layer.name())
}

fn expected(rule: LearningRule) -> String {
    let units = match rule {
        LearningRule::Ottt {} => "leaky units with one trace",
        _ => "units that a scan runs",
    };
    format!("for the rule {}: synapses, pooling, factors, dropout, or {units}", rule.name())
}

impl<'a> Stage<'a> {
    /// Runs what lies before the units: once for inputs that stay for some steps.
    pub fn pass(&self, input: impl Into<Inputs>) -> Passed<'_, 'a> {
        let input = input.into();
        let (batch, device): (usize, Device) = (input.dims()[1], input.device());
        let states: Vec<_> = self.synapses.iter().map(|layer| layer.initial_state(batch, &device)).collect();
        let layers = self.synapses.iter().zip(&states);
        let current = layers
            .fold(input.clone(), |x, (layer, state)| x.through(|rows| layer.sequence(rows, state.clone()).0));
        Passed { stage: self, states, input, current: current.expanded() }
    }
}

impl Passed<'_, '_> {
    /// Runs the units on the graph of the synapses.
    pub fn units(&self, reach: Reach) -> LocalRun {
        self.units_on(self.current.clone(), reach)
    }

    /// Runs the units on another input of the same values.
    pub fn units_on(&self, current: Tensor<3>, reach: Reach) -> LocalRun {
        self.stage.units.expect("a stage that ends in units").run_locally(current, reach)
    }

    /// The gradient of the input, given that of the current, `[time, batch, units]`; both without history.
    pub fn pull_back(&self, gradient: Tensor<3>) -> Tensor<3> {
        if let [Layer::Dense(dense)] = self.stage.synapses[..] {
            let [inputs, units] = dense.weight.val().dims();
            let [time, batch, _] = gradient.dims();
            let rows = gradient.reshape([time * batch, units]);
            let found = rows.matmul(dense.weight.val().inner().transpose());
            return found.reshape([time, batch, inputs]);
        }
        let leaf = self.input.clone().expanded().detach().require_grad();
        let layers = self.stage.synapses.iter().zip(&self.states);
        let current = layers.fold(leaf.clone(), |x, (layer, state)| {
            let constant = (*layer).clone().no_grad();
            constant.sequence(x, state.clone()).0
        });
        gradient_of(&leaf, &mut seeded(current, gradient).backward())
    }
}
