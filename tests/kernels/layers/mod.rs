//! Layers and containers: sequences against loops of steps and Burn's own autodiff, on every backend; what they
//! remember and what they do not.

mod containers;
mod memory;
mod physical;
mod units;

use serde_json::{Value, json};
use spark::burn::module::{ModuleVisitor, Param};
use spark::burn::tensor::{Gradients, TensorData};
use spark::core::seed;
use spark::io::parameters::Path;
use spark::nn::layers::step_through;
use spark::prelude::*;
use std::collections::BTreeMap;

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// Numbers in `[min, max)`, the same on every backend.
fn random<const D: usize>(shape: [usize; D], [min, max]: [f32; 2], name: &str, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let values = Initializer::Uniform { min, max }.draw(count, 1, &mut seed::rng(1, name));
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn network(input: &[usize], layers: &[Value], device: &Device) -> Network {
    let config = json!({"input": input, "layers": layers});
    let config: NetworkConfig =
        serde_json::from_value(config).unwrap_or_else(|error| panic!("{layers:?}: {error}"));
    config.init(7, device).unwrap_or_else(|problems| panic!("{layers:?}: {problems}"))
}

/// Gradients by the names of parameters.
fn gradients(network: &Network, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    struct Collect<'a>(Path, &'a Gradients, BTreeMap<String, Vec<f32>>);
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, container: &str) {
            self.0.exit(container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.1) {
                self.2.insert(self.0.name(), floats(gradient));
            }
        }
    }
    let mut collect = Collect(Path::default(), gradients, BTreeMap::new());
    network.visit(&mut collect);
    collect.2
}

/// What a network gives, and the gradients of a random weighting of it.
#[derive(Debug)]
struct Found {
    output: Vec<f32>,
    state: BTreeMap<String, Vec<f32>>,
    gradients: BTreeMap<String, Vec<f32>>,
}

/// Runs a network as a whole or as a loop over steps, from an initial state other than zero.
fn run(network: &Network, input: &Tensor<3>, whole: bool) -> Found {
    let [_, batch, _] = input.dims();
    let input = input.clone().require_grad();
    let device = input.device();
    // A few steps on, so that nothing starts from zero.
    let (_, state) = step_through(network, input.clone().detach(), network.initial_state(batch, &device));
    let state = state.detached();
    let (output, state) = match whole {
        true => {
            let output = network.forward(input.clone(), Some(state));
            (output.output, output.state)
        }
        false => step_through(network, input.clone(), state),
    };
    let weights = random(output.dims(), [-1.0, 1.0], "weights", &device);
    let found = (output.clone() * weights).sum().backward();
    let mut gradients = gradients(network, &found);
    if let Some(gradient) = input.grad(&found) {
        gradients.insert("input".into(), floats(gradient));
    }
    let state = spark::core::state::save(state);
    let state = state.into_iter().map(|(name, data)| (name, data.iter::<f32>().collect())).collect();
    Found { output: floats(output), state, gradients }
}

fn assert_close(found: &BTreeMap<String, Vec<f32>>, expected: &BTreeMap<String, Vec<f32>>, what: &str) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{what}");
    for (name, expected) in expected {
        let scale = expected.iter().fold(1.0, |max: f32, x| max.max(x.abs()));
        for (i, (a, b)) in found[name].iter().zip(expected).enumerate() {
            assert!((a - b).abs() <= 2e-4 * scale, "{what}: {name}[{i}] is {a}, expected {b}");
        }
    }
}

/// Whole sequences give what loops over steps give: the same spikes, close states and gradients; and every
/// backend gives what the first one does.
fn check(input: &[usize], layers: &[Value], range: [f32; 2]) {
    let mut first: Option<Found> = None;
    for (name, device) in crate::support::devices() {
        let what = format!("{layers:?} on {name}");
        let device = device.autodiff();
        let network = network(input, layers, &device);
        let x = random([7, 2, input.iter().product()], range, "input", &device);
        let (whole, steps) = (run(&network, &x, true), run(&network, &x, false));
        assert_eq!(whole.output, steps.output, "{what}");
        assert_close(&whole.state, &steps.state, &what);
        assert_close(&whole.gradients, &steps.gradients, &what);
        let first = first.get_or_insert(steps);
        assert_eq!(whole.output, first.output, "{what}");
        assert_close(&whole.gradients, &first.gradients, &what);
    }
}
