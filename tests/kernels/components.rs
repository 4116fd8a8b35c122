//! Gradients of components: to their input and to every parameter, through silence and through spikes.

use serde_json::{Value, json};
use spark::burn::module::{ModuleMapper, ModuleVisitor, Param};
use spark::burn::tensor::Gradients;
use spark::core::component::{Component, ComponentConfig, Context, Family};
use spark::core::payload::{Currents, Floats, Payload, PayloadKind, Potentials, Shape, Spikes};
use spark::core::ports::InputShapes;
use spark::core::registry;
use spark::io::parameters::Path;
use spark::nn::components::dendrites::{DendriteInputs, LeakyDendrite, LeakyDendriteConfig};
use spark::nn::components::somas::*;
use spark::prelude::*;
use std::collections::BTreeSet;

use crate::support::devices;

const UNITS: usize = 2;
const STEPS: usize = 60;

/// A soma, with two currents in pA: one that leaves it silent and one at which it spikes.
struct Regime {
    fields: Value,
    silent: f32,
    spiking: f32,
}

/// Mechanisms that are all on.
fn mechanisms() -> Value {
    json!({
        "cooldown": 1.0,
        "threshold_delta": 2.0,
        "threshold_tau": 10.0,
        "adaptation_delta": 3.0,
        "adaptation_tau": 20.0,
        "adaptation_subthreshold": 0.1,
    })
}

/// `fields` with those of `more`.
fn with(fields: &Value, more: Value) -> Value {
    let mut fields = fields.clone();
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

/// A surrogate that leaves gradients alone but for a tenth of a mV around the threshold.
fn narrow() -> Value {
    json!({ "gradient": { "surrogate": { "kind": "triangular", "slope": 10.0 } } })
}

fn shapes() -> InputShapes {
    InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[UNITS]))
}

fn build<C: ComponentConfig>(fields: &Value, inputs: &InputShapes, device: &Device) -> C::Component {
    let config: C = serde_json::from_value(fields.clone()).unwrap();
    config.build(inputs, &Context::new("component", device)).unwrap()
}

/// Currents of all steps, a little less for the second unit, `[1, units]`.
fn current(strength: f32, device: &Device) -> Tensor<2> {
    Tensor::from_floats([[strength, 0.95 * strength]], device)
}

/// The potentials and spikes of all steps under a constant current.
fn simulate<C>(soma: &C, current: &Tensor<2>) -> Vec<[Tensor<2>; 2]>
where
    C: Component<Inputs = SomaInputs, Outputs = SomaOutputs>,
{
    let plan = soma.plan();
    let mut state = soma.initial_state(&plan, 1);
    let mut steps = Vec::new();
    for _ in 0..STEPS {
        let inputs = SomaInputs { current: Currents(current.clone()), inhibition_mask: None };
        let (outputs, next) = soma.step(&plan, inputs, state);
        let Some(Payload::Potentials(Potentials(potential))) = soma.property(&next, "potential") else {
            panic!("a soma has a potential")
        };
        steps.push([potential, outputs.spikes.units().unwrap()]);
        state = next;
    }
    steps
}

fn total(tensor: &Tensor<2>) -> f64 {
    tensor.to_data().iter::<f64>().sum()
}

/// Makes every parameter one that is trained.
struct Train;

impl ModuleMapper for Train {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.set_require_grad(true)
    }
}

/// Moves the parameter of one number by a part of it.
struct Nudge {
    number: usize,
    part: f32,
    seen: usize,
    moved: f32,
}

impl ModuleMapper for Nudge {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.seen += 1;
        if self.seen - 1 != self.number {
            return param;
        }
        let value: f32 = param.val().into_data().iter().next().unwrap();
        self.moved = if value == 0.0 { 20.0 * self.part } else { self.part * value };
        param.map(|value| value + self.moved)
    }
}

/// The summed gradient of every parameter by name.
struct Collect<'a> {
    gradients: &'a Gradients,
    path: Path,
    found: Vec<(String, f32)>,
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad(self.gradients);
        let sum = gradient.map_or(0.0, |gradient| gradient.sum().into_scalar::<f32>());
        self.found.push((self.path.name(), sum));
    }
}

fn collected<M: Module>(module: &M, gradients: &Gradients) -> Vec<(String, f32)> {
    let mut collect = Collect { gradients, path: Path::default(), found: Vec::new() };
    module.visit(&mut collect);
    collect.found
}

/// Gradients of a scalar function of a module against central differences of it.
fn compare_with_differences<M: Module>(
    name: &str,
    module: &M,
    found: &[(String, f32)],
    value: impl Fn(&M) -> f64,
) {
    for (number, (parameter, found)) in found.iter().enumerate() {
        let mut step = 0.0;
        let mut moved = |part: f32| {
            let mut nudge = Nudge { number, part, seen: 0, moved: 0.0 };
            let module = module.clone().map(&mut nudge);
            step = nudge.moved.abs();
            value(&module) * f64::from(nudge.moved.signum())
        };
        let expected = (moved(1e-3) + moved(-1e-3)) / f64::from(2.0 * step);
        let error = (f64::from(*found) - expected).abs();
        let rounding = 1e-3 / f64::from(step);
        assert!(
            error <= 0.02 * expected.abs() + rounding,
            "{name}: {parameter}: {found}, expected {expected}"
        );
    }
}

/// What holds of every soma; adds its name to those that were checked.
fn check<C>(checked: &mut BTreeSet<&'static str>, regime: &Regime, device: &Device)
where
    C: ComponentConfig,
    C::Component: Component<Inputs = SomaInputs, Outputs = SomaOutputs>,
{
    checked.insert(C::NAME);
    silent_gradients_are_those_of_differences::<C>(regime, device);
    gradients_pass_through_spikes::<C>(regime, device);
    input_weights_are_learned::<C>(regime, device);
}

/// Without spikes a soma is smooth in everything, as long as the surrogate sees none of it.
fn silent_gradients_are_those_of_differences<C>(regime: &Regime, device: &Device)
where
    C: ComponentConfig,
    C::Component: Component<Inputs = SomaInputs, Outputs = SomaOutputs>,
{
    let fields = with(&regime.fields, narrow());
    let sum = |soma: &C::Component, strength: f32| {
        let steps = simulate(soma, &current(strength, device));
        assert!(steps.iter().all(|[_, spikes]| total(spikes) == 0.0), "{} spikes", C::NAME);
        steps.iter().map(|[potential, _]| total(potential)).sum::<f64>()
    };

    let autodiff = &device.clone().autodiff();
    let trained = build::<C>(&fields, &shapes(), autodiff).map(&mut Train);
    let strength = Tensor::<1>::from_floats([regime.silent], autodiff).require_grad();
    let spread: Tensor<2> = strength.clone().unsqueeze::<2>() * current(1.0, autodiff);
    let steps = simulate(&trained, &spread);
    let loss = steps.into_iter().map(|[potential, _]| potential.sum()).reduce(|a, b| a + b).unwrap();
    let gradients = loss.backward();

    let soma = build::<C>(&fields, &shapes(), device);
    compare_with_differences(C::NAME, &soma, &collected(&trained, &gradients), |soma| {
        sum(soma, regime.silent)
    });
    let found: f32 = strength.grad(&gradients).unwrap().into_scalar();
    let step = 1e-2 * regime.silent;
    let expected =
        (sum(&soma, regime.silent + step) - sum(&soma, regime.silent - step)) / f64::from(2.0 * step);
    let error = (f64::from(found) - expected).abs();
    assert!(error <= 0.02 * expected.abs(), "{}: current: {found}, expected {expected}", C::NAME);
}

/// Parameters on which spikes do not depend smoothly: whole numbers of steps.
const COUNTED: [&str; 2] = ["cooldown", "clamp"];

fn gradients_pass_through_spikes<C>(regime: &Regime, device: &Device)
where
    C: ComponentConfig,
    C::Component: Component<Inputs = SomaInputs, Outputs = SomaOutputs>,
{
    let autodiff = &device.clone().autodiff();
    let trained = build::<C>(&regime.fields, &shapes(), autodiff).map(&mut Train);
    let current = current(regime.spiking, autodiff).require_grad();
    let steps = simulate(&trained, &current);
    let spikes: f64 = steps.iter().map(|[_, spikes]| total(spikes)).sum();
    assert!(spikes > 1.0, "{}: {spikes} spikes", C::NAME);
    let loss = steps.into_iter().map(|[potential, spikes]| (potential + spikes * 10.0).sum());
    let gradients = loss.reduce(|a, b| a + b).unwrap().backward();
    let by_unit: Vec<f32> = current.grad(&gradients).unwrap().into_data().iter().collect();
    assert!(by_unit.iter().all(|g| g.is_finite() && *g != 0.0), "{}: current: {by_unit:?}", C::NAME);
    for (parameter, gradient) in collected(&trained, &gradients) {
        let counted = COUNTED.iter().any(|counted| parameter.ends_with(counted));
        let fits = gradient.is_finite() && (gradient != 0.0) != counted;
        assert!(fits, "{}: {parameter}: {gradient}", C::NAME);
    }
}

/// Weights from eight steady inputs learn by gradients through time.
///
/// Units with a reset learn to spike a quarter as often. The potential of the others is smooth through a
/// spike, so they learn the course of the potential under a current that is 3 % stronger, with a surrogate that adds
/// next to nothing to that.
fn input_weights_are_learned<C>(regime: &Regime, device: &Device)
where
    C: ComponentConfig,
    C::Component: Component<Inputs = SomaInputs, Outputs = SomaOutputs>,
{
    const INPUTS: usize = 8;
    let autodiff = &device.clone().autodiff();
    let resets = serde_json::to_value(C::default()).unwrap().get("potential_reset").is_some();
    let fields = if resets { regime.fields.clone() } else { with(&regime.fields, narrow()) };
    let soma = build::<C>(&fields, &shapes(), autodiff);
    let (pace, start) = if resets { (0.1, 1.0) } else { (0.003, 0.97) };
    let wanted = simulate(&soma, &Tensor::full([1, UNITS], regime.spiking, autodiff));
    let target = 0.25 * wanted.iter().map(|[_, spikes]| total(spikes)).sum::<f64>() / UNITS as f64;
    let loss = |steps: Vec<[Tensor<2>; 2]>| -> Tensor<1> {
        let sum = |planes: &mut dyn Iterator<Item = Tensor<2>>| planes.reduce(|a, b| a + b).unwrap();
        if resets {
            let count = sum(&mut steps.into_iter().map(|[_, spikes]| spikes));
            return (count - target).powi_scalar(2).sum();
        }
        let pairs = steps.into_iter().zip(&wanted);
        sum(&mut pairs.map(|([found, _], [wanted, _])| (found - wanted.clone()).powi_scalar(2))).sum()
    };

    let inputs = Tensor::<2>::ones([1, INPUTS], autodiff);
    let mut weights = Tensor::full([INPUTS, UNITS], start * regime.spiking / INPUTS as f32, device);
    let mut losses = Vec::new();
    for _ in 0..15 {
        let trained = Tensor::from_inner(weights.clone()).require_grad();
        let loss = loss(simulate(&soma, &inputs.clone().matmul(trained.clone())));
        losses.push(loss.clone().into_scalar::<f32>());
        if losses.last() == Some(&0.0) {
            break;
        }
        let gradient = trained.grad(&loss.backward()).unwrap();
        let size = gradient.clone().abs().max().into_scalar::<f32>();
        assert!(size.is_finite() && size > 0.0, "{}: a gradient of {size}", C::NAME);
        // By the sign alone, as units differ in the size of their gradients.
        weights = weights - gradient.sign() * (pace * regime.spiking / INPUTS as f32);
    }
    let best = losses.iter().copied().fold(f32::INFINITY, f32::min);
    assert!(best <= 0.5 * losses[0], "{}: losses {losses:?}", C::NAME);
}

#[test]
fn every_soma_is_differentiable() {
    let device = &Device::flex();
    let mut checked = BTreeSet::new();
    let somas = |fields: Value, silent, spiking| {
        let adaptive = Regime { fields: with(&fields, mechanisms()), silent, spiking: 1.5 * spiking };
        (Regime { fields, silent, spiking }, adaptive)
    };

    let (plain, adaptive) = somas(json!({}), 100.0, 600.0);
    let clamped = Regime { fields: with(&adaptive.fields, json!({ "clamp_duration": 2.0 })), ..adaptive };
    check::<LeakySomaConfig>(&mut checked, &plain, device);
    check::<AdaptiveLeakySomaConfig>(&mut checked, &clamped, device);
    check::<CoupledLeakySomaConfig>(&mut checked, &plain, device);

    let (plain, adaptive) = somas(json!({ "dt": 0.2 }), 25.0, 120.0);
    check::<ExponentialSomaConfig>(&mut checked, &plain, device);
    check::<AdaptiveExponentialSomaConfig>(&mut checked, &adaptive, device);
    check::<CoupledAdaptiveExponentialSomaConfig>(&mut checked, &adaptive, device);

    let (plain, adaptive) = somas(json!({ "dt": 0.5 }), 20.0, 200.0);
    check::<IzhikevichSomaConfig>(&mut checked, &plain, device);
    check::<AdaptiveIzhikevichSomaConfig>(&mut checked, &adaptive, device);

    let (plain, adaptive) = somas(json!({ "dt": 0.5 }), 40.0, 400.0);
    check::<QuadraticSomaConfig>(&mut checked, &plain, device);
    check::<AdaptiveQuadraticSomaConfig>(&mut checked, &adaptive, device);

    let (plain, adaptive) = somas(json!({ "dt": 0.1 }), 2.0, 80.0);
    check::<HodgkinHuxleySomaConfig>(&mut checked, &plain, device);
    check::<AdaptiveHodgkinHuxleySomaConfig>(&mut checked, &adaptive, device);
    let (plain, adaptive) = somas(json!({ "dt": 0.1 }), 0.1, 20.0);
    check::<WangBuzsakiSomaConfig>(&mut checked, &plain, device);
    check::<AdaptiveWangBuzsakiSomaConfig>(&mut checked, &adaptive, device);

    let registered = registry::all().into_iter().filter(|known| known.family == Family::Soma);
    assert_eq!(checked, registered.map(|known| known.name).collect());
}

/// Runs a dendrite with everything wired; the sum of its outputs, which weigh about the same.
fn dendrite_outputs(dendrite: &LeakyDendrite, device: &Device) -> Tensor<1> {
    let plan = dendrite.plan();
    let mut state = dendrite.initial_state(&plan, 1);
    let row = |values: [f32; UNITS]| Tensor::<2>::from_floats([values], device);
    let mut sum = Tensor::<1>::zeros([1], device);
    for step in 0..30 {
        let spike = f32::from(u8::from(step % 12 == 5));
        let inputs = DendriteInputs {
            in_current: Currents(row([180.0, 240.0])),
            soma_potential: Some(Potentials(row([2.0, -3.0]))),
            spikes: Some(Spikes::new(row([spike, 0.0]))),
            injected_current: Some(Currents(row([5.0, 10.0]))),
        };
        let (outputs, next) = dendrite.step(&plan, inputs, state);
        let (Currents(current), Floats(plateau)) = (outputs.out_current, outputs.plateau);
        sum = sum + (current * 0.01 + plateau).sum();
        state = next;
    }
    sum
}

#[test]
fn dendrites_are_differentiable() {
    let fields = json!({ "soma_potential_rest": -60.0, "dt": 0.5, "plateau_slope": 5.0 });
    let shapes = ["soma_potential", "spikes", "injected_current", "in_current"]
        .into_iter()
        .zip([PayloadKind::Potentials, PayloadKind::Spikes, PayloadKind::Currents, PayloadKind::Currents])
        .fold(InputShapes::default(), |shapes, (port, kind)| shapes.with(port, Shape::new(kind, &[UNITS])));
    for (name, device) in devices() {
        let autodiff = &device.clone().autodiff();
        let trained = build::<LeakyDendriteConfig>(&fields, &shapes, autodiff).map(&mut Train);
        let found = collected(&trained, &dendrite_outputs(&trained, autodiff).backward());
        assert_eq!(found.len(), 11);
        assert!(found.iter().all(|(_, gradient)| *gradient != 0.0), "{name}: {found:?}");
        let dendrite = build::<LeakyDendriteConfig>(&fields, &shapes, &device);
        compare_with_differences(&name, &dendrite, &found, |dendrite| {
            f64::from(dendrite_outputs(dendrite, &device).into_scalar::<f32>())
        });
    }
}
