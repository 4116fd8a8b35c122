//! Scans on every backend, against the same units step by step with Burn's own autodiff.

use crate::support::devices;
use proptest::prelude::*;
use spark::burn::tensor::{DType, TensorData};
use spark::kernels::{
    Adaptation, ScanOptions, Unit, UnitSequence, UnitState, adaptive_scan, current_scan, integrator_scan,
    leaky_scan, spike, unit_scan,
};
use spark::prelude::*;

const SURROGATES: [Surrogate; 4] = [
    Surrogate::Atan { alpha: 2.0 },
    Surrogate::FastSigmoid { slope: 10.0 },
    Surrogate::Sigmoid { slope: 4.0 },
    Surrogate::Triangular { slope: 1.0 },
];

/// Which parts a unit has besides its membrane.
#[derive(Clone, Copy, Debug)]
struct Parts {
    spikes: bool,
    current: bool,
    adaptation: bool,
}

/// One random call of a scan.
#[derive(Clone, Debug)]
struct Case {
    shape: [usize; 3],
    parts: Parts,
    per_unit: bool,
    options: ScanOptions,
    seed: u64,
}

fn options() -> impl Strategy<Value = ScanOptions> {
    let reset = prop_oneof![Just(Reset::Subtract), Just(Reset::Zero), Just(Reset::None)];
    let surrogate = proptest::sample::select(SURROGATES.to_vec());
    let flags = any::<[bool; 4]>();
    let window = proptest::option::of(1usize..5);
    (reset, flags, surrogate, window, 1usize..5).prop_map(|(reset, flags, surrogate, window, every)| {
        let [reset_delay, reset_gradient, current_delay, potential] = flags;
        let checkpoint = Some(every);
        ScanOptions {
            reset,
            reset_delay,
            reset_gradient,
            surrogate,
            current_delay,
            potential,
            window,
            checkpoint,
        }
    })
}

fn cases(time: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    let parts = prop_oneof![
        1 => any::<bool>().prop_map(|current| Parts { spikes: false, current, adaptation: false }),
        4 => any::<[bool; 2]>().prop_map(|[current, adaptation]| Parts { spikes: true, current, adaptation }),
    ];
    // Some wider than the block of units that one thread takes.
    let units = prop_oneof![4 => 1usize..6, 1 => 300usize..600];
    (time, 1usize..4, units, parts, any::<bool>(), options(), any::<u64>()).prop_map(
        |(time, batch, units, parts, per_unit, options, seed)| Case {
            shape: [time, batch, units],
            parts,
            per_unit,
            options,
            seed,
        },
    )
}

/// What goes into a scan, every tensor a leaf with a gradient.
#[derive(Clone)]
struct Inputs {
    input: Tensor<3>,
    state: UnitState,
    unit: Unit,
}

fn draw<const D: usize>(
    case: &Case,
    name: &str,
    [min, max]: [f32; 2],
    shape: [usize; D],
    device: &Device,
) -> Tensor<D> {
    let mut rng = spark::core::seed::rng(case.seed, name);
    let values = Initializer::Uniform { min, max }.draw(shape.iter().product(), 1, &mut rng);
    Tensor::from_data(TensorData::new(values, shape), device)
}

impl Inputs {
    fn new(case: &Case, device: &Device) -> Self {
        let [time, batch, units] = case.shape;
        let length = if case.per_unit { units } else { 1 };
        let state = |name| draw(case, name, [-0.5, 1.2], [batch, units], device).require_grad();
        let parameter = |name, range| draw(case, name, range, [length], device).require_grad();
        let Parts { spikes, current, adaptation } = case.parts;
        Self {
            input: draw(case, "input", [-0.4, 1.0], [time, batch, units], device).require_grad(),
            state: UnitState {
                membrane: state("membrane"),
                current: current.then(|| state("current")),
                adaptation: adaptation.then(|| state("adaptation")),
            },
            unit: Unit {
                decay: parameter("decay", [0.6, 0.9]),
                threshold: spikes.then(|| parameter("threshold", [0.5, 1.0])),
                current_decay: current.then(|| parameter("current decay", [0.4, 0.8])),
                adaptation: adaptation.then(|| Adaptation {
                    decay: parameter("adaptation decay", [0.6, 0.95]),
                    strength: parameter("adaptation strength", [0.1, 0.5]),
                }),
            },
        }
    }

    fn gradients(&self, loss: Tensor<1>) -> Vec<(&'static str, Vec<f32>)> {
        let gradients = loss.backward();
        let mut found = vec![
            ("input", self.input.grad(&gradients).map(floats)),
            ("membrane", self.state.membrane.grad(&gradients).map(floats)),
            ("decay", self.unit.decay.grad(&gradients).map(floats)),
        ];
        let adaptation = self.unit.adaptation.as_ref();
        let states =
            [("current", self.state.current.as_ref()), ("adaptation", self.state.adaptation.as_ref())];
        let parameters = [
            ("threshold", self.unit.threshold.as_ref()),
            ("current decay", self.unit.current_decay.as_ref()),
            ("adaptation decay", adaptation.map(|adaptation| &adaptation.decay)),
            ("adaptation strength", adaptation.map(|adaptation| &adaptation.strength)),
        ];
        for (name, tensor) in states {
            found.extend(tensor.map(|tensor| (name, tensor.grad(&gradients).map(floats))));
        }
        for (name, tensor) in parameters {
            found.extend(tensor.map(|tensor| (name, tensor.grad(&gradients).map(floats))));
        }
        // Burn has no gradient for what the loss does not reach, such as a state behind a window of one step.
        found.into_iter().map(|(name, gradient)| (name, gradient.unwrap_or_default())).collect()
    }
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// The equations of `unit_scan`, step by step.
fn stepwise(inputs: &Inputs, options: ScanOptions) -> UnitSequence {
    let crossing = |x: Tensor<2>| spike(x, options.surrogate);
    let through_reset = |s: Tensor<2>| if options.reset_gradient { s } else { s.detach() };
    let lift = |parameter: &Tensor<1>| parameter.clone().unsqueeze::<2>();
    let unit = &inputs.unit;
    let decay = lift(&unit.decay);
    let effective = |a: &Option<Tensor<2>>, theta: &Tensor<1>| match (a, &unit.adaptation) {
        (Some(a), Some(adaptation)) => a.clone() * lift(&adaptation.strength) + lift(theta),
        _ => lift(theta),
    };
    let adapt = |a: &Option<Tensor<2>>, s: &Tensor<2>| {
        let adaptation = unit.adaptation.as_ref();
        a.clone().zip(adaptation).map(|(a, adaptation)| a * lift(&adaptation.decay) + s.clone())
    };
    let UnitState { membrane: mut v, current: mut c, adaptation: mut a } = inputs.state.clone();
    let [time, batch, units] = inputs.input.dims();
    let (mut spikes, mut potential) = (Vec::new(), Vec::new());
    for t in 0..time {
        if t > 0 && options.window.is_some_and(|window| t % window == 0) {
            (v, c, a) = (v.detach(), c.map(Tensor::detach), a.map(Tensor::detach));
        }
        let x = inputs.input.clone().slice_dim(0, t..t + 1).reshape([batch, units]);
        let filtered =
            c.clone().zip(unit.current_decay.as_ref()).map(|(c, decay)| c * lift(decay) + x.clone());
        let drive = if options.current_delay { c } else { filtered.clone() }.unwrap_or(x);
        c = filtered;
        let Some(theta) = &unit.threshold else {
            v = v * decay.clone() + drive;
            potential.push(v.clone());
            continue;
        };
        if options.reset_delay {
            let before = effective(&a, theta);
            let r = crossing(v.clone() - before.clone());
            a = adapt(&a, &r);
            let r = through_reset(r);
            v = match options.reset {
                Reset::Subtract => v * decay.clone() + drive - r * before,
                Reset::Zero => v * (-r + 1.0) * decay.clone() + drive,
                Reset::None => v * decay.clone() + drive,
            };
            potential.push(v.clone());
            spikes.push(crossing(v.clone() - effective(&a, theta)));
        } else {
            let theta = effective(&a, theta);
            let u = v * decay.clone() + drive;
            let s = crossing(u.clone() - theta.clone());
            a = adapt(&a, &s);
            potential.push(u.clone());
            spikes.push(s.clone());
            let s = through_reset(s);
            v = match options.reset {
                Reset::Subtract => u - s * theta,
                Reset::Zero => u * (-s + 1.0),
                Reset::None => u,
            };
        }
    }
    let stack = |steps: Vec<Tensor<2>>| (!steps.is_empty()).then(|| Tensor::stack(steps, 0));
    UnitSequence {
        spikes: stack(spikes),
        potential: if options.potential { stack(potential) } else { None },
        state: UnitState { membrane: v, current: c, adaptation: a },
    }
}

/// The same scan in parts of the given lengths, each from the state where the one before it ended.
fn in_parts(inputs: &Inputs, lengths: &[usize], options: ScanOptions) -> UnitSequence {
    let mut state = inputs.state.clone();
    let (mut spikes, mut potential) = (Vec::new(), Vec::new());
    let mut start = 0;
    for length in lengths {
        let input = inputs.input.clone().slice_dim(0, start..start + length);
        let part = unit_scan(input, state, inputs.unit.clone(), options);
        spikes.extend(part.spikes);
        potential.extend(part.potential);
        state = part.state;
        start += length;
    }
    let join = |parts: Vec<Tensor<3>>| (!parts.is_empty()).then(|| Tensor::cat(parts, 0));
    UnitSequence { spikes: join(spikes), potential: join(potential), state }
}

/// Outputs of a scan and the gradients of a random weighting of all of them, by name.
#[derive(Debug, PartialEq)]
struct Found {
    outputs: Vec<(&'static str, Vec<f32>)>,
    gradients: Vec<(&'static str, Vec<f32>)>,
}

fn run(case: &Case, device: &Device, scan: impl Fn(&Inputs) -> UnitSequence) -> Found {
    let device = device.clone().autodiff();
    let inputs = Inputs::new(case, &device);
    let UnitSequence { spikes, potential, state } = scan(&inputs);
    let sequences = [("spikes", spikes), ("potential", potential)];
    let states =
        [("membrane", Some(state.membrane)), ("current", state.current), ("adaptation", state.adaptation)];
    let mut outputs = Vec::new();
    let mut loss = Tensor::<1>::zeros([1], &device);
    for (name, output) in sequences {
        if let Some(output) = output {
            let weight = draw(case, name, [-1.0, 1.0], output.dims(), &device);
            loss = loss + (output.clone() * weight).sum();
            outputs.push((name, floats(output)));
        }
    }
    for (name, output) in states {
        if let Some(output) = output {
            let weight = draw(case, name, [-1.0, 1.0], output.dims(), &device);
            loss = loss + (output.clone() * weight).sum();
            outputs.push((name, floats(output)));
        }
    }
    Found { outputs, gradients: inputs.gradients(loss) }
}

fn fused(case: &Case, device: &Device) -> Found {
    run(case, device, |inputs| {
        unit_scan(inputs.input.clone(), inputs.state.clone(), inputs.unit.clone(), case.options)
    })
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    let scale = expected.iter().fold(1.0f32, |scale, x| scale.max(x.abs()));
    let expected = if expected.is_empty() { vec![0.0; found.len()] } else { expected.to_vec() };
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= tolerance * scale, "{what}[{i}]: found {f}, expected {e}");
    }
}

/// Spikes and, with a tolerance of 0, everything else exactly.
fn assert_same(found: &Found, expected: &Found, tolerance: f32, what: &str) {
    let pairs = found.outputs.iter().zip(&expected.outputs);
    for ((name, found), (expected_name, expected)) in pairs {
        assert_eq!(name, expected_name, "{what}");
        if *name == "spikes" {
            assert_eq!(found, expected, "{what}: spikes");
            assert!(found.iter().all(|&s| s == 0.0 || s == 1.0), "{what}: spikes are 0 or 1");
        }
        assert_close(found, expected, tolerance, &format!("{what}: {name}"));
    }
    assert_eq!(found.outputs.len(), expected.outputs.len(), "{what}");
    let terms = found.gradients[0].1.len();
    for ((name, found), (_, expected)) in found.gradients.iter().zip(&expected.gradients) {
        // Sums of many terms that cancel.
        let summed = (terms / found.len().max(1)) as f32;
        let tolerance = tolerance * (1.0 + 0.2 * summed.sqrt());
        assert_close(found, expected, tolerance, &format!("{what}: gradient of {name}"));
    }
}

fn check(case: &Case, name: &str, device: &Device) {
    let expected = run(case, &Device::flex(), |inputs| stepwise(inputs, case.options));
    assert_same(&fused(case, device), &expected, 1e-5, &format!("{name}, {case:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..Default::default() })]

    #[test]
    fn scans_equal_their_steps_on_the_cpu(case in cases(1..8)) {
        for (name, device) in &devices()[..2] {
            check(&case, name, device);
        }
    }

    #[test]
    fn checkpoints_change_no_bit(case in cases(1..20)) {
        let with = |checkpoint| {
            let options = ScanOptions { checkpoint, ..case.options };
            fused(&Case { options, ..case.clone() }, &Device::flex())
        };
        prop_assert!(with(case.options.checkpoint) == with(None));
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads(case in cases(1..8)) {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fused(&case, &Device::flex()))
        };
        prop_assert!(with(1) == with(2));
    }

    #[test]
    fn sequences_continue_exactly(case in cases(3..8), cut in 1usize..3) {
        let time = case.shape[0];
        // Windows are counted from the first step of a part.
        let case = Case { options: ScanOptions { window: None, ..case.options }, ..case };
        let whole = fused(&case, &Device::flex());
        for lengths in [vec![cut, time - cut], vec![1; time]] {
            let parts = run(&case, &Device::flex(), |inputs| in_parts(inputs, &lengths, case.options));
            prop_assert_eq!(&parts.outputs, &whole.outputs);
            assert_same(&parts, &whole, 1e-5, &format!("{lengths:?}, {case:?}"));
        }
    }
}

proptest! {
    // A launch costs milliseconds on a software renderer.
    #![proptest_config(ProptestConfig { cases: 24, ..Default::default() })]

    #[test]
    fn scans_equal_their_steps_on_gpus(case in cases(1..6)) {
        for (name, device) in devices().iter().skip(2) {
            check(&case, name, device);
        }
    }
}

/// A window cuts what a detached state cuts: nothing of what comes after it reaches what was before.
#[test]
fn nothing_passes_a_window_backwards() {
    let device = Device::flex().autodiff();
    let input = Tensor::<3>::ones([6, 1, 1], &device).require_grad();
    let decay = Tensor::<1>::from_floats([0.5], &device);
    let options = ScanOptions { window: Some(2), ..Default::default() };
    let out = integrator_scan(input.clone(), Tensor::zeros([1, 1], &device), decay, options);
    let gradient = input.grad(&out.potential.sum().backward()).expect("the input has a gradient");
    assert_eq!(floats(gradient), [1.5, 1.0, 1.5, 1.0, 1.5, 1.0]);
}

/// The formula of every surrogate, in the kernels of every backend.
#[test]
fn every_surrogate_reaches_the_kernels() {
    for (name, device) in devices() {
        for surrogate in Surrogate::PRESETS {
            let case = Case {
                shape: [3, 2, 3],
                parts: Parts { spikes: true, current: false, adaptation: true },
                per_unit: true,
                options: ScanOptions { surrogate, reset_gradient: true, ..Default::default() },
                seed: 11,
            };
            check(&case, &name, &device);
        }
    }
}

/// The named scans are those of the general one.
#[test]
fn every_named_scan_is_a_unit_scan() {
    for (name, device) in devices() {
        let case = Case {
            shape: [5, 2, 3],
            parts: Parts { spikes: true, current: true, adaptation: true },
            per_unit: true,
            options: ScanOptions { potential: true, ..Default::default() },
            seed: 3,
        };
        let Inputs { input, state, unit } = Inputs::new(&case, &device.autodiff());
        let (v, options) = (state.membrane, case.options);
        let (c, a) = (state.current.unwrap(), state.adaptation.unwrap());
        let (theta, alpha) = (unit.threshold.unwrap(), unit.current_decay.unwrap());
        let (beta, adaptation) = (unit.decay, unit.adaptation.unwrap());
        let general = |current: bool, adaptive: bool, spikes: bool| {
            let unit = Unit {
                decay: beta.clone(),
                threshold: spikes.then(|| theta.clone()),
                current_decay: current.then(|| alpha.clone()),
                adaptation: adaptive.then(|| adaptation.clone()),
            };
            let state = UnitState {
                membrane: v.clone(),
                current: current.then(|| c.clone()),
                adaptation: adaptive.then(|| a.clone()),
            };
            let out = unit_scan(input.clone(), state, unit, options);
            (out.spikes.map(floats), out.potential.map(floats))
        };
        let named =
            |spikes: Tensor<3>, potential: Option<Tensor<3>>| (Some(floats(spikes)), potential.map(floats));
        let (x, v, beta, theta) = (|| input.clone(), || v.clone(), || beta.clone(), || theta.clone());
        let leaky = leaky_scan(x(), v(), beta(), theta(), options);
        assert_eq!(named(leaky.spikes, leaky.potential), general(false, false, true), "{name}");
        let current = current_scan(x(), v(), c.clone(), beta(), alpha.clone(), theta(), options);
        assert_eq!(named(current.spikes, current.potential), general(true, false, true), "{name}");
        let adaptive = adaptive_scan(x(), v(), a.clone(), beta(), theta(), adaptation.clone(), options);
        assert_eq!(named(adaptive.spikes, adaptive.potential), general(false, true, true), "{name}");
        let integrator = integrator_scan(x(), v(), beta(), options);
        assert_eq!((None, Some(floats(integrator.potential))), general(false, false, false), "{name}");
    }
}

/// Elements that no kernel knows take the reference.
#[test]
fn scans_run_in_double_precision() {
    let case = Case {
        shape: [4, 2, 3],
        parts: Parts { spikes: true, current: true, adaptation: true },
        per_unit: true,
        options: ScanOptions { potential: true, checkpoint: Some(2), ..Default::default() },
        seed: 5,
    };
    let cast = |inputs: &Inputs| {
        let wide = |x: &Tensor<1>| x.clone().cast(DType::F64);
        let state = |x: &Tensor<2>| x.clone().cast(DType::F64);
        let unit = Unit {
            decay: wide(&inputs.unit.decay),
            threshold: inputs.unit.threshold.as_ref().map(wide),
            current_decay: inputs.unit.current_decay.as_ref().map(wide),
            adaptation: inputs.unit.adaptation.as_ref().map(|adaptation| Adaptation {
                decay: wide(&adaptation.decay),
                strength: wide(&adaptation.strength),
            }),
        };
        let state = UnitState {
            membrane: state(&inputs.state.membrane),
            current: inputs.state.current.as_ref().map(state),
            adaptation: inputs.state.adaptation.as_ref().map(state),
        };
        let out = unit_scan(inputs.input.clone().cast(DType::F64), state, unit, case.options);
        let narrow = |x: Tensor<2>| x.cast(DType::F32);
        UnitSequence {
            spikes: out.spikes.map(|x| x.cast(DType::F32)),
            potential: out.potential.map(|x| x.cast(DType::F32)),
            state: UnitState {
                membrane: narrow(out.state.membrane),
                current: out.state.current.map(narrow),
                adaptation: out.state.adaptation.map(narrow),
            },
        }
    };
    let found = run(&case, &Device::flex(), cast);
    assert_same(&found, &fused(&case, &Device::flex()), 1e-5, "f64");
}
