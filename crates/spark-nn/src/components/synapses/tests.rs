use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::json;
use spark_core::component::{Component, ComponentConfig, Context, Instance, Running};
use spark_core::payload::{Arrival, Kernel, Payload, PayloadKind, Potentials, Shape, Spikes, signs};
use spark_core::ports::InputShapes;
use spark_kernels::philox::Stream;
use spark_kernels::random;

use super::*;
use crate::components::delays::{DelayInputs, N2NDelaysConfig};

mod channels;

const PRE: usize = 6;
const POST: usize = 4;

fn units() -> Shape {
    Shape::new(PayloadKind::Spikes, &[PRE])
}

fn pairs() -> Shape {
    Shape::pairs(&[POST], &[PRE])
}

fn wired(shape: Shape) -> InputShapes {
    InputShapes::default().with("spikes", shape)
}

fn context() -> Context {
    Context::new("synapses", &Device::flex())
}

fn config<C: ComponentConfig>(json: serde_json::Value) -> C {
    serde_json::from_value(json).unwrap()
}

/// Whole numbers, whose sums are exact in every order.
fn whole_kernel(device: &Device) -> Tensor<2> {
    (random::uniform([PRE, POST], Stream::new(7, 0, 0), device) * 10.0).floor()
}

fn inhibitory(device: &Device) -> Tensor<1> {
    Tensor::from_floats([0.0, 1.0, 0.0, 0.0, 1.0, 0.0], device)
}

fn spikes(batch: usize, step: u64, device: &Device) -> Spikes {
    let spikes = random::bernoulli(0.4, [batch, PRE], Stream::new(1, 0, step), device);
    Spikes::new(spikes).with_inhibitory(Some(inhibitory(device)))
}

/// The same spikes written out by pair.
fn written_out(spikes: &Spikes) -> Spikes {
    let units = spikes.units().unwrap();
    let [batch, _] = units.dims();
    let arrival = Arrival::Pairs(units.unsqueeze_dim::<3>(2).expand([batch, PRE, POST]));
    Spikes { arrival, ..spikes.clone() }
}

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn run<C: ComponentConfig>(config: &C, shape: Shape, batch: usize) -> Running<C::Component> {
    let mut synapses = config.run(&wired(shape), batch, &context()).unwrap();
    if synapses.properties()[0].kind == PayloadKind::Kernel {
        synapses.set_property("kernel", Kernel(whole_kernel(&Device::flex())).into()).unwrap();
    }
    synapses
}

fn currents<C>(synapses: &mut Running<C>, spikes: Spikes) -> Vec<f32>
where
    C: Component<Inputs = SynapseInputs, Outputs = SynapseOutputs>,
{
    values(synapses.advance(SynapseInputs { spikes }).currents.0)
}

#[test]
fn spikes_by_unit_by_pair_and_late_ones_give_the_same_currents() {
    let (device, batch) = (Device::flex(), 2);
    let linear: LinearSynapsesConfig = config(json!({"units": [POST]}));
    let mut by_unit = run(&linear, units(), batch);
    let mut by_pair = run(&linear, pairs(), batch);
    let mut late = run(&linear, pairs(), batch);
    let one: N2NDelaysConfig = config(json!({"units": [POST], "delays": 1}));
    let shape = InputShapes::default().with("in_spikes", units());
    let mut delays = one.run(&shape, batch, &context()).unwrap();
    let mut before = vec![0.0; batch * POST];
    for step in 0..10 {
        let spikes = spikes(batch, step, &device);
        let found = currents(&mut by_unit, spikes.clone());
        assert_eq!(currents(&mut by_pair, written_out(&spikes)), found);
        let arriving = delays.advance(DelayInputs { in_spikes: spikes }).out_spikes;
        assert_eq!(currents(&mut late, arriving), before);
        before = found;
    }
}

#[test]
fn late_currents_are_those_of_the_pairs() {
    let (device, batch) = (Device::flex(), 3);
    let linear: LinearSynapsesConfig = config(json!({"units": [POST]}));
    let (mut late, mut by_pair) = (run(&linear, pairs(), batch), run(&linear, pairs(), batch));
    let random: N2NDelaysConfig = config(json!({"units": [POST], "seed": 5}));
    let shape = InputShapes::default().with("in_spikes", units());
    let mut delays = random.run(&shape, batch, &context()).unwrap();
    for step in 0..20 {
        let in_spikes = spikes(batch, step, &device);
        let arriving = delays.advance(DelayInputs { in_spikes }).out_spikes;
        let pairs = Arrival::Pairs(arriving.pairs().unwrap());
        let written_out = Spikes { arrival: pairs, inhibitory: arriving.inhibitory.clone() };
        assert_eq!(currents(&mut late, arriving), currents(&mut by_pair, written_out));
    }
}

/// A time constant of its own for a synapse of strength 0 changes nothing but how traces are kept.
#[test]
fn one_trace_for_all_synapses_of_a_unit_is_the_sum_of_their_traces() {
    let device = Device::flex();
    let mut taus = vec![vec![6.0; PRE]; POST];
    taus[2][3] = 60.0;
    let json = |tau: serde_json::Value| json!({"units": [POST], "tau": tau, "scale": 0.8, "base": 0.5});
    let contracted: TracedSynapsesConfig = config(json(json!(6.0)));
    let apart: TracedSynapsesConfig = config(json(json!(taus)));
    let (mut contracted, mut apart) = (run(&contracted, units(), 2), run(&apart, units(), 2));
    assert!(contracted.component().is_contracted() && !apart.component().is_contracted());
    let mut kernel = values(whole_kernel(&device));
    kernel[3 * POST + 2] = 0.0;
    let kernel = Tensor::<2>::from_data(TensorData::new(kernel, [PRE, POST]), &device);
    contracted.set_property("kernel", Kernel(kernel.clone()).into()).unwrap();
    apart.set_property("kernel", Kernel(kernel).into()).unwrap();
    for step in 0..30 {
        let spikes = spikes(2, step, &device);
        let expected = currents(&mut apart, spikes.clone());
        let found = currents(&mut contracted, spikes);
        let close = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4 * (1.0 + b.abs()));
        assert!(close, "step {step}: {found:?} {expected:?}");
    }
}

#[test]
fn a_parameter_by_postsynaptic_unit_needs_no_trace_by_synapse() {
    let config: TracedSynapsesConfig = config(json!({"units": [POST], "tau": [[1], [2], [3], [4]]}));
    let mut synapses = run(&config, units(), 1);
    assert!(synapses.component().is_contracted());
    let all = || Spikes::new(Tensor::ones([1, PRE], &Device::flex()));
    let first = currents(&mut synapses, all());
    let none = Spikes::new(Tensor::zeros([1, PRE], &Device::flex()));
    for (unit, left) in currents(&mut synapses, none).into_iter().enumerate() {
        let expected = first[unit] * (-1.0 / (unit + 1) as f32).exp();
        assert!((left - expected).abs() < 1e-4 * expected, "{unit}: {left} {expected}");
    }
}

#[test]
fn a_kernel_goes_out_and_comes_back() {
    let config: LinearSynapsesConfig = config(json!({"units": [POST]}));
    let mut synapses = run(&config, units(), 1);
    let Payload::Kernel(Kernel(kernel)) = synapses.take_property("kernel").unwrap() else { panic!() };
    assert_eq!(values(kernel.clone()), values(whole_kernel(&Device::flex())));
    synapses.set_property("kernel", Kernel(kernel * 2.0).into()).unwrap();
    let all = Spikes::new(Tensor::ones([1, PRE], &Device::flex()));
    let expected = whole_kernel(&Device::flex()).sum_dim(0) * 2.0;
    assert_eq!(currents(&mut synapses, all), values(expected));
    let wrong = Kernel(Tensor::zeros([POST, PRE], &Device::flex()));
    let error = synapses.set_property("kernel", wrong.into()).unwrap_err().to_string();
    assert_eq!(error, "port `kernel`: found shape [4, 6], expected [6, 4]");
}

#[test]
fn what_does_not_fit_is_named() {
    let error = |json, shape| {
        let built = config::<LinearSynapsesConfig>(json).run(&wired(shape), 1, &context());
        built.map(|_| ()).unwrap_err().to_string()
    };
    let found = error(json!({"units": [POST], "kernel": [1, 2]}), units());
    assert!(found.contains("kernel: found shape [2], expected one that fits [4, 6]"), "{found}");
    assert!(error(json!({}), units()).contains("units: found no axis"));
    assert!(error(json!({"units": [0]}), units()).contains("units[0]: found 0"));
    let found = error(json!({"units": [3]}), pairs());
    assert!(found.contains("expected spikes by pair of units [3]"), "{found}");
}

#[test]
fn gradients_of_a_trained_kernel_are_those_of_the_product() {
    let device = Device::flex().autodiff();
    let linear: LinearSynapsesConfig = config(json!({"units": [POST]}));
    let mut synapses = linear.build(&wired(units()), &Context::new("synapses", &device)).unwrap();
    let kernel = Tensor::<2>::from_data(whole_kernel(&Device::flex()).into_data(), &device);
    synapses.kernel = Param::from_tensor(kernel.clone());
    let spikes = spikes(2, 0, &device);
    let value = spikes.value().unwrap().require_grad();
    let kernel = kernel.require_grad();
    let expected = value.clone().matmul(kernel.clone()).powi_scalar(2).sum().backward();
    let units = spikes.units().unwrap().require_grad();
    let spikes = Spikes { arrival: Arrival::Units(units.clone()), ..spikes };
    let (outputs, ()) = synapses.step(&(), SynapseInputs { spikes }, ());
    let found = outputs.currents.0.powi_scalar(2).sum().backward();
    assert_eq!(values(synapses.kernel.grad(&found).unwrap()), values(kernel.grad(&expected).unwrap()));
    let signs = signs(&inhibitory(&Device::flex())).unsqueeze::<2>();
    assert_eq!(values(units.grad(&found).unwrap()), values(value.grad(&expected).unwrap() * signs));
}

fn conductances(shape: Shape) -> InputShapes {
    wired(shape).with("potential", Shape::new(PayloadKind::Potentials, &[POST]))
}

#[test]
fn conductances_do_not_depend_on_how_spikes_are_written() {
    let (device, batch) = (Device::flex(), 2);
    let synapses: ConductanceSynapsesConfig = config(json!({"units": [POST], "seed": 1}));
    let start = |shape| synapses.run(&conductances(shape), batch, &context()).unwrap();
    let (mut by_unit, mut by_pair, mut late) = (start(units()), start(pairs()), start(pairs()));
    let one: N2NDelaysConfig = config(json!({"units": [POST], "delays": 1}));
    let shape = InputShapes::default().with("in_spikes", units());
    let mut delays = one.run(&shape, batch, &context()).unwrap();
    let potential = Potentials(random::uniform([batch, POST], Stream::new(3, 0, 0), &device) * -80.0);
    let mut before = vec![0.0; batch * POST];
    for step in 0..10 {
        let spikes = spikes(batch, step, &device);
        let current = |synapses: &mut Running<ConductanceSynapses>, spikes| {
            let inputs = ConductanceInputs { spikes, potential: potential.clone() };
            values(synapses.advance(inputs).currents.0)
        };
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-3);
        let found = current(&mut by_unit, spikes.clone());
        let other = current(&mut by_pair, written_out(&spikes));
        assert!(close(&found, &other), "{found:?} {other:?}");
        let arriving = delays.advance(DelayInputs { in_spikes: spikes }).out_spikes;
        let other = current(&mut late, arriving);
        assert!(close(&before, &other), "{before:?} {other:?}");
        before = found;
    }
}

#[test]
fn conductances_decay_and_reverse_at_their_potentials() {
    let device = Device::flex();
    let json = json!({"units": [1], "kernel": [[2, 3]], "soma_potential_rest": -60});
    let shapes = wired(Shape::new(PayloadKind::Spikes, &[2]))
        .with("potential", Shape::new(PayloadKind::Potentials, &[1]));
    let mut synapses = config::<ConductanceSynapsesConfig>(json).run(&shapes, 1, &context()).unwrap();
    let mask = Tensor::from_floats([0.0, 1.0], &device);
    let mut current = |spike: f32, potential: f32| {
        let spikes = Spikes::new(Tensor::full([1, 2], spike, &device)).with_inhibitory(Some(mask.clone()));
        let potential = Potentials(Tensor::full([1, 1], potential, &device));
        values(synapses.advance(ConductanceInputs { spikes, potential }).currents.0)[0]
    };
    // At rest, −60 mV: 2 nS pull up by 60 mV, 3 nS pull down by 20 mV.
    assert!((current(1.0, 0.0) - (2.0 * 60.0 - 3.0 * 20.0)).abs() < 1e-3);
    // At 0 mV only the inhibitory conductance is left, at −80 mV only the excitatory one.
    assert!((current(0.0, 60.0) + 3.0 * (-0.1f32).exp() * 80.0).abs() < 1e-3);
    assert!((current(0.0, -20.0) - 2.0 * (-0.4f32).exp() * 80.0).abs() < 1e-3);
}

fn sparse(json: serde_json::Value) -> SparseLinearSynapses {
    let config: SparseLinearSynapsesConfig = config(json);
    config.build(&wired(units()), &context()).unwrap_or_else(|defect| panic!("{defect:?}"))
}

#[test]
fn sparse_synapses_are_dense_ones_with_most_of_them_zero() {
    let (device, batch) = (Device::flex(), 2);
    let weights = json!({"kind": "constant", "scale": 3});
    let json = json!({"units": [POST], "seed": 2, "weights": weights, "connectivity": {"kind": "probability", "probability": 0.5}});
    for delays in [json!(null), json!({"kind": "uniform"})] {
        let mut json = json.clone();
        json["delays"] = delays;
        let synapses = sparse(json);
        let dense = synapses.plan().to_dense(synapses.connections.weights.val());
        let delayed = synapses.connections.delays.as_ref().map(|steps| {
            let steps = synapses.plan().to_dense(steps.val().float()).int().clamp(1, 8);
            let config: N2NDelaysConfig = config(json!({"units": [POST]}));
            let shapes = InputShapes::default().with("in_spikes", units());
            let mut delays = config.run(&shapes, batch, &context()).unwrap();
            delays.set_property("kernel", spark_core::payload::DelayKernel(steps).into()).unwrap();
            delays
        });
        let linear: LinearSynapsesConfig = config(json!({"units": [POST]}));
        let mut dense_synapses = run(&linear, if delayed.is_some() { pairs() } else { units() }, batch);
        dense_synapses.set_property("kernel", Kernel(dense).into()).unwrap();
        let (mut delayed, mut sparse) = (delayed, Running::new(synapses, wired(units()), batch));
        for step in 0..20 {
            let spikes = spikes(batch, step, &device);
            let found = currents(&mut sparse, spikes.clone());
            let arriving = match &mut delayed {
                Some(delays) => delays.advance(DelayInputs { in_spikes: spikes }).out_spikes,
                None => spikes,
            };
            assert_eq!(found, currents(&mut dense_synapses, arriving), "step {step}");
        }
    }
}

#[test]
fn connections_are_drawn_as_they_are_described() {
    let ends = Ends { post: vec![20, 20], pre: vec![300] };
    let draw = |connectivity: serde_json::Value| {
        let connectivity: Connectivity = serde_json::from_value(connectivity).unwrap();
        connectivity.pairs(&ends, &mut spark_core::seed::rng(4, "connectivity"))
    };
    let pairs = draw(json!({"kind": "fixed_in_degree", "count": 7})).unwrap();
    for unit in 0..400 {
        let mut sources: Vec<u32> =
            pairs.iter().filter(|[_, to]| *to == unit).map(|[from, _]| *from).collect();
        sources.sort_unstable();
        sources.dedup();
        assert_eq!(sources.len(), 7, "unit {unit}");
    }
    let pairs = draw(json!({"kind": "probability", "probability": 0.05})).unwrap();
    assert!((pairs.len() as f32 / 120_000.0 - 0.05).abs() < 0.005, "{}", pairs.len());
    assert!(pairs.is_sorted() && pairs.windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(draw(json!({"kind": "probability", "probability": 1})).unwrap().len(), 120_000);
    assert!(draw(json!({"kind": "probability", "probability": 0})).unwrap().is_empty());
}

#[test]
fn connections_that_cannot_be_are_named() {
    let error = |connectivity: serde_json::Value| {
        let json = json!({"units": [POST], "connectivity": connectivity});
        let built = config::<SparseLinearSynapsesConfig>(json).run(&wired(units()), 1, &context());
        built.map(|_| ()).unwrap_err().to_string()
    };
    let found = error(json!({"kind": "fixed_in_degree", "count": 7}));
    assert!(found.contains("connectivity.count: found 7, expected at most"), "{found}");
    assert!(error(json!({"kind": "one_to_one"})).contains("6 presynaptic and 4 postsynaptic"));
    let found = error(json!({"kind": "pairs", "pairs": [[0, 0], [6, 0]]}));
    assert!(found.contains("connectivity.pairs[1]: found [6, 0], expected units below [6, 4]"), "{found}");
    let found = error(json!({"kind": "probability", "probability": 1.5}));
    assert!(found.contains("connectivity.probability: found 1.5"), "{found}");
}

#[test]
fn weights_of_explicit_pairs_come_in_their_order() {
    let pairs = json!({"kind": "pairs", "pairs": [[5, 0], [1, 2], [1, 1]]});
    let synapses =
        sparse(json!({"units": [POST], "connectivity": pairs, "weights": [1, 2, 3], "delays": [4, 5, 6]}));
    assert_eq!(synapses.connections.weights.val().into_data().try_to_vec::<f32>().unwrap(), [3.0, 2.0, 1.0]);
    let delays = synapses.connections.delays.as_ref().unwrap().val();
    assert_eq!(delays.into_data().iter::<i64>().collect::<Vec<_>>(), [6, 5, 4]);
}

#[test]
fn gradients_reach_sparse_weights() {
    let device = Device::flex().autodiff();
    let json = json!({"units": [POST], "connectivity": {"kind": "fixed_in_degree", "count": 2}});
    for delays in [json!(null), json!(1)] {
        let mut json = json.clone();
        json["delays"] = delays;
        let config: SparseLinearSynapsesConfig = config(json);
        let mut synapses = config.build(&wired(units()), &Context::new("synapses", &device)).unwrap();
        synapses.connections.weights = synapses.connections.weights.set_require_grad(true);
        let weights = synapses.connections.weights.clone();
        let mut synapses = Running::new(synapses, wired(units()), 1);
        let mut sum = Tensor::<1>::zeros([1], &device);
        for _ in 0..2 {
            let spikes = Spikes::new(Tensor::ones([1, PRE], &device));
            sum = sum + synapses.advance(SynapseInputs { spikes }).currents.0.sum();
        }
        let gradient = weights.grad(&sum.backward()).unwrap();
        let times = if synapses.component().connections.delays.is_some() { 1.0 } else { 2.0 };
        assert_eq!(gradient.into_data().try_to_vec::<f32>().unwrap(), [times; 2 * POST]);
    }
}
