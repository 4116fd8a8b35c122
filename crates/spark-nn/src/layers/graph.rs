//! Layers with names, connected in any way.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::model::is_name;
use spark_core::schema::join;
use spark_core::state::{State, StateMapper};

use super::config::Place;
use super::member::{Asked, Member, Ran};
use super::state::own;
use super::units::steps;
use super::{Layer, LayerConfig, LayerState};

/// The name of what comes into a graph.
const INPUT: &str = "input";

/// How what comes to a node is put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Joining {
    /// Added; all have the same shape.
    #[default]
    Sum,
    /// One behind the other along the first axis, the channels of an image; the other axes agree.
    Concatenate,
}

/// Configuration of one node of a [`Graph`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// Its name, other than `input`.
    pub name: String,
    /// The nodes before it in the list that it takes from, and `input`; none for a node that takes from `back`
    /// alone.
    #[serde(default)]
    pub from: Vec<String>,
    /// The nodes, itself and later ones among them, whose output of the step before is added; zero in the first.
    #[serde(default)]
    pub back: Vec<String>,
    /// How what comes from `from` is put together.
    #[serde(default)]
    pub join: Joining,
    /// Shape of what comes to a node that takes from `back` alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    /// What it does with that.
    pub layer: LayerConfig,
}

/// Configuration of [`Graph`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphConfig {
    /// The nodes in the order in which they run.
    pub nodes: Vec<NodeConfig>,
    /// The node whose output leaves.
    pub output: String,
}

/// A node of a [`Graph`].
#[derive(Module, Debug)]
pub struct Node {
    /// What it does.
    pub layer: Layer,
    #[module(skip)]
    name: String,
    /// Numbers of the nodes before it; `None` for the input of the graph.
    #[module(skip)]
    from: Vec<Option<usize>>,
    #[module(skip)]
    back: Vec<usize>,
    #[module(skip)]
    joining: Joining,
    inputs: usize,
    units: usize,
}

/// Layers with names that take from any others: several inputs are summed or concatenated, and connections back
/// in time make loops.
///
/// A sequence passes node by node; only what lies between the first node that hears from the step before and
/// the last one that is heard so goes step by step. Names appear in [`LayerState`]; parameters are numbered
/// (`nodes.0.layer.weight`).
///
/// # Examples
/// Two layers of units, the second of which inhibits the first:
/// ```
/// use burn::tensor::{Device, Tensor};
/// use serde_json::json;
/// use spark_nn::layers::NetworkConfig;
///
/// let config: NetworkConfig = serde_json::from_value(json!({
///     "input": [4],
///     "layers": [{"kind": "graph", "output": "b", "nodes": [
///         {"name": "in", "from": ["input"], "layer": {"kind": "dense", "units": 3}},
///         {"name": "a", "from": ["in"], "back": ["feedback"], "layer": {"kind": "leaky"}},
///         {"name": "forward", "from": ["a"], "layer": {"kind": "dense", "units": 2}},
///         {"name": "b", "from": ["forward"], "layer": {"kind": "leaky"}},
///         {"name": "feedback", "from": ["b"], "layer": {"kind": "dense", "units": 3}},
///     ]}],
/// }))?;
/// let network = config.init(1, &Device::flex())?;
/// let output = network.forward(Tensor::ones([10, 1, 4], &Device::flex()), None);
/// assert_eq!(output.counts().dims(), [1, 2]);
/// assert_eq!(output.rates().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct Graph {
    /// The nodes in the order in which they run.
    pub nodes: Vec<Node>,
    output: usize,
}

/// What the nodes of a [`Graph`] remember.
#[derive(Clone, Debug)]
pub struct GraphState {
    /// Name and state of each node, in the order of the nodes.
    pub nodes: Vec<(String, LayerState)>,
    /// Name and latest output, `[batch, units]`, of each node that is heard in the next step.
    pub heard: Vec<(String, Tensor<2>)>,
}

impl State for GraphState {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        let nodes = self.nodes.into_iter().map(|(name, state)| {
            let state = mapper.field(&name, state);
            (name, state)
        });
        let nodes = nodes.collect();
        mapper.enter("heard");
        let heard = self.heard.into_iter().map(|(name, plane)| {
            let plane = mapper.field(&name, plane);
            (name, plane)
        });
        let heard = heard.collect();
        mapper.leave();
        Self { nodes, heard }
    }
}

impl GraphConfig {
    /// The layer whose output leaves.
    pub(super) fn output_layer(&self) -> Option<&LayerConfig> {
        self.nodes.iter().find(|node| node.name == self.output).map(|node| &node.layer)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// The shape that comes to a node from those before it, whose shapes are `before`.
    fn joined(
        &self,
        node: &NodeConfig,
        input: &[usize],
        before: &[Vec<usize>],
        path: &str,
        problems: &mut Problems,
    ) -> Option<Vec<usize>> {
        let shape = |name: &String| match self.position(name) {
            _ if name == INPUT => Some(input.to_vec()),
            Some(position) => before.get(position).cloned(),
            None => None,
        };
        let mut shapes = Vec::new();
        for name in &node.from {
            match shape(name) {
                Some(shape) => shapes.push(shape),
                None => {
                    problems.push(join(path, "from"), format!("`{name}`"), "`input` or a node before this");
                }
            }
        }
        if shapes.len() < node.from.len() {
            return None;
        }
        let Some(first) = shapes.first().cloned() else {
            if node.shape.is_none() || node.back.is_empty() {
                let expected = "at least one name, or a shape for a node that takes from `back` alone";
                problems.push(join(path, "from"), "nothing", expected);
                return None;
            }
            return node.shape.clone();
        };
        if node.shape.is_some() {
            problems.push(join(path, "shape"), "a shape", "none for a node that takes from others");
            return None;
        }
        let agree = match node.join {
            Joining::Sum => shapes.iter().all(|shape| *shape == first),
            Joining::Concatenate => shapes.iter().all(|shape| shape.get(1..) == first.get(1..)),
        };
        if !agree {
            problems.push(join(path, "from"), format!("shapes {shapes:?}"), "shapes that can be joined");
            return None;
        }
        let mut joined = first;
        if let (Joining::Concatenate, Some(channels)) = (node.join, joined.first_mut()) {
            *channels = shapes.iter().map(|shape| shape[0]).sum();
        }
        Some(joined)
    }

    /// What comes to each node and what leaves it, as far as they fit.
    fn shapes(
        &self,
        input: &[usize],
        path: &str,
        problems: &mut Problems,
    ) -> (Vec<Vec<usize>>, Vec<Vec<usize>>) {
        let (mut joined, mut outputs) = (Vec::new(), Vec::new());
        for (i, node) in self.nodes.iter().enumerate() {
            let path = join(path, &format!("nodes[{i}]"));
            let Some(shape) = self.joined(node, input, &outputs, &path, problems) else { break };
            let Some(output) = node.layer.check(&shape, &join(&path, "layer"), problems) else { break };
            joined.push(shape);
            outputs.push(output);
        }
        (joined, outputs)
    }

    pub(super) fn check(&self, input: &[usize], path: &str, problems: &mut Problems) -> Option<Vec<usize>> {
        for (i, node) in self.nodes.iter().enumerate() {
            let taken = self.nodes[..i].iter().any(|other| other.name == node.name);
            if taken || node.name == INPUT || !is_name(&node.name) {
                let path = join(path, &format!("nodes[{i}].name"));
                problems.push(path, format!("`{}`", node.name), "a name of its own, without dots and spaces");
            }
        }
        let (joined, outputs) = self.shapes(input, path, problems);
        for (i, (node, joined)) in self.nodes.iter().zip(&joined).enumerate() {
            for name in &node.back {
                let path = join(path, &format!("nodes[{i}].back"));
                match self.position(name).map(|source| outputs.get(source)) {
                    None => problems.push(path, format!("`{name}`"), "the name of a node"),
                    Some(Some(shape)) if shape != joined => {
                        problems.push(
                            path,
                            format!("shape {shape:?} of `{name}`"),
                            format!("shape {joined:?}"),
                        );
                    }
                    Some(_) => {}
                }
            }
        }
        let Some(output) = self.position(&self.output) else {
            problems.push(join(path, "output"), format!("`{}`", self.output), "the name of a node");
            return None;
        };
        outputs.get(output).filter(|_| outputs.len() == self.nodes.len()).cloned()
    }

    pub(super) fn init(&self, input: &[usize], name: &str, place: Place<'_>) -> Result<Graph, Problems> {
        let (joined, outputs) = self.shapes(input, name, &mut Problems::default());
        let node = |(config, (joined, output)): (&NodeConfig, (&Vec<usize>, &Vec<usize>))| {
            Ok(Node {
                layer: config.layer.init(joined, &join(name, &config.name), place)?,
                name: config.name.clone(),
                from: config.from.iter().map(|name| self.position(name)).collect(),
                back: config.back.iter().filter_map(|name| self.position(name)).collect(),
                joining: config.join,
                inputs: joined.iter().product(),
                units: output.iter().product(),
            })
        };
        let nodes =
            self.nodes.iter().zip(joined.iter().zip(&outputs)).map(node).collect::<Result<_, Problems>>()?;
        Ok(Graph { nodes, output: self.position(&self.output).unwrap_or_default() })
    }
}

impl Node {
    /// What comes to it from nodes before it.
    fn join<const D: usize>(&self, input: &Tensor<D>, outputs: &[Option<Tensor<D>>]) -> Tensor<D> {
        let part = |from: &Option<usize>| match from {
            None => input.clone(),
            Some(node) => outputs[*node].clone().expect("nodes run in their order"),
        };
        let parts: Vec<Tensor<D>> = self.from.iter().map(part).collect();
        if parts.is_empty() {
            let mut shape = input.dims();
            shape[D - 1] = self.inputs;
            return Tensor::zeros(shape, &input.device());
        }
        match self.joining {
            // Units are flat and row-major: what is first along the first axis is first here.
            Joining::Concatenate => Tensor::cat(parts, D - 1),
            Joining::Sum => {
                parts.into_iter().reduce(|sum, part| sum + part).expect("a node takes from at least one")
            }
        }
    }

    /// The same with what it hears from the step before.
    fn hear(&self, input: Tensor<2>, heard: &[Option<Tensor<2>>]) -> Tensor<2> {
        let heard = self.back.iter().filter_map(|&node| heard[node].clone());
        heard.fold(input, |sum, part| sum + part)
    }
}

/// What a graph works with while it runs.
struct Run {
    outputs: Vec<Option<Tensor<3>>>,
    states: Vec<LayerState>,
    spikes: Vec<Vec<Tensor<3>>>,
    potential: Option<Tensor<3>>,
}

impl Graph {
    /// Which nodes are heard in the next step.
    fn sources(&self) -> Vec<usize> {
        let mut sources: Vec<usize> = self.nodes.iter().flat_map(|node| node.back.iter().copied()).collect();
        sources.sort_unstable();
        sources.dedup();
        sources
    }

    /// The nodes that go step by step: from the first that hears to the last that is heard.
    fn stepwise(&self) -> std::ops::Range<usize> {
        let first = self.nodes.iter().position(|node| !node.back.is_empty());
        match (first, self.sources().last()) {
            (Some(first), Some(&last)) => first.min(last)..last.max(first) + 1,
            _ => 0..0,
        }
    }

    fn heard(&self, state: &GraphState) -> Vec<Option<Tensor<2>>> {
        let heard = |node: &Node| state.heard.iter().find(|(name, _)| *name == node.name);
        self.nodes.iter().map(|node| heard(node).map(|(_, plane)| plane.clone())).collect()
    }

    fn state(&self, states: Vec<LayerState>, mut heard: Vec<Option<Tensor<2>>>) -> GraphState {
        let nodes = self.nodes.iter().map(|node| node.name.clone()).zip(states).collect();
        let sources = self.sources().into_iter();
        let heard = sources.filter_map(|node| Some((self.nodes[node].name.clone(), heard[node].take()?)));
        GraphState { nodes, heard: heard.collect() }
    }

    /// Nodes that do not depend on the step before, each over the whole sequence.
    fn run_whole(&self, nodes: std::ops::Range<usize>, input: &Tensor<3>, run: &mut Run, asked: Asked) {
        for i in nodes {
            let node = &self.nodes[i];
            let asked = Asked { potential: asked.potential && i == self.output, crossings: false };
            let x = node.join(input, &run.outputs);
            let ran = node.layer.run(x, std::mem::take(&mut run.states[i]), asked);
            run.states[i] = ran.state;
            run.spikes[i] = ran.spikes;
            run.potential = run.potential.take().or(ran.potential.filter(|_| asked.potential));
            run.outputs[i] = Some(ran.output);
        }
    }

    /// Nodes of a loop, step by step; what they hear is left in `heard`.
    fn run_steps(
        &self,
        nodes: std::ops::Range<usize>,
        input: &Tensor<3>,
        run: &mut Run,
        asked: Asked,
        heard: &mut [Option<Tensor<2>>],
    ) {
        let count = self.nodes.len();
        let (mut outputs, mut spikes) = (vec![Vec::new(); count], vec![Vec::<Vec<Tensor<3>>>::new(); count]);
        let mut potentials = Vec::new();
        for (t, x) in steps(input).enumerate() {
            let at = |whole: &Tensor<3>| whole.clone().slice_dim(0, t..t + 1).squeeze_dim::<2>(0);
            let mut now: Vec<Option<Tensor<2>>> =
                run.outputs.iter().map(|whole| whole.as_ref().map(at)).collect();
            for i in nodes.clone() {
                let node = &self.nodes[i];
                let asked = Asked { potential: asked.potential && i == self.output, crossings: false };
                let x = node.hear(node.join(&x, &now), heard);
                let ran = node.layer.run(x.unsqueeze(), std::mem::take(&mut run.states[i]), asked);
                run.states[i] = ran.state;
                potentials.extend(ran.potential.filter(|_| asked.potential));
                spikes[i].push(ran.spikes);
                now[i] = Some(ran.output.clone().squeeze_dim(0));
                outputs[i].push(ran.output);
            }
            for source in self.sources() {
                if let Some(output) = now[source].take() {
                    heard[source] = Some(output);
                }
            }
        }
        for i in nodes {
            run.outputs[i] = Some(Tensor::cat(std::mem::take(&mut outputs[i]), 0));
            let layers = spikes[i].first().map_or(0, Vec::len);
            let layer = |k: usize| Tensor::cat(spikes[i].iter().map(|step| step[k].clone()).collect(), 0);
            run.spikes[i] = (0..layers).map(layer).collect();
        }
        if !potentials.is_empty() {
            run.potential = Some(Tensor::cat(potentials, 0));
        }
    }
}

impl Member for Graph {
    fn begin(&self, batch: usize, device: &Device) -> LayerState {
        let states = self.nodes.iter().map(|node| node.layer.begin(batch, device)).collect();
        let heard = self.nodes.iter().map(|node| Some(Tensor::zeros([batch, node.units], device))).collect();
        self.state(states, heard).into()
    }

    fn run(&self, input: Tensor<3>, state: LayerState, asked: Asked) -> Ran {
        let state: GraphState = own(state);
        let mut heard = self.heard(&state);
        let mut run = Run {
            outputs: vec![None; self.nodes.len()],
            states: state.nodes.into_iter().map(|(_, state)| state).collect(),
            spikes: vec![Vec::new(); self.nodes.len()],
            potential: None,
        };
        let stepwise = self.stepwise();
        self.run_whole(0..stepwise.start, &input, &mut run, asked);
        if !stepwise.is_empty() {
            self.run_steps(stepwise.clone(), &input, &mut run, asked, &mut heard);
        }
        self.run_whole(stepwise.end..self.nodes.len(), &input, &mut run, asked);
        let output = run.outputs[self.output].take().expect("every node ran");
        // The spikes of what leaves come last.
        let last = std::mem::take(&mut run.spikes[self.output]);
        Ran {
            spikes: run.spikes.into_iter().flatten().chain(last).collect(),
            potential: run.potential,
            ..Ran::plain(output, self.state(run.states, heard).into())
        }
    }

    fn advance(&self, input: Tensor<2>, state: LayerState) -> (Tensor<2>, LayerState) {
        let state: GraphState = own(state);
        let heard = self.heard(&state);
        let mut outputs: Vec<Option<Tensor<2>>> = vec![None; self.nodes.len()];
        let mut states = Vec::with_capacity(self.nodes.len());
        for (i, (node, (_, state))) in self.nodes.iter().zip(state.nodes).enumerate() {
            let x = node.hear(node.join(&input, &outputs), &heard);
            let (output, state) = node.layer.advance(x, state);
            outputs[i] = Some(output);
            states.push(state);
        }
        let output = outputs[self.output].clone().expect("every node ran");
        (output, self.state(states, outputs).into())
    }

    fn bounded(self) -> Self {
        let nodes = self.nodes.into_iter().map(|node| Node { layer: node.layer.bounded(), ..node });
        Self { nodes: nodes.collect(), ..self }
    }
}
