//! Steps of units.

use proptest::prelude::*;
use spark::burn::tensor::DType;
use spark::kernels::{
    AdaptationCurrent, AdaptiveThreshold, HodgkinHuxleyRates, IonicCurrent, IonicMembrane, Soma, SomaModel,
    SomaOptions, SomaState, Surrogate, soma_step,
};
use spark::prelude::*;

use super::golden::{self, Case};
use super::{assert_close, draw, floats, on_one_and_two_threads, tensor};
use crate::support::devices;

/// `1 − exp(−dt/τ)`.
fn rate(dt: f32, tau: f32) -> f32 {
    -(-dt / tau).exp_m1()
}

/// The units of a recorded run, from its configuration.
fn soma(case: &Case) -> Soma<Vec<f32>> {
    let dt = case.dt;
    let each = |field: &str, f: &dyn Fn(f32) -> f32| case.field(field).into_iter().map(f).collect();
    let rest = case.number("potential_rest");
    let (model, base): (_, f32) = match case.component.trim_start_matches("Adaptive") {
        "LeakySoma" | "CoupledLeakySoma" => {
            let resistance = case.number("resistance");
            let decay = each("potential_tau", &|tau| (-dt / tau).exp());
            let gain = each("potential_tau", &|tau| rate(dt, tau) * resistance);
            (SomaModel::Leaky { decay, gain }, rest)
        }
        "ExponentialSoma" => {
            let model = SomaModel::Exponential {
                rate: each("potential_tau", &|tau| dt / tau),
                resistance: case.field("resistance"),
                rheobase: each("rheobase_threshold", &|v| v - rest),
                slope: case.field("spike_slope"),
            };
            (model, rest)
        }
        "IzhikevichSoma" => {
            let model = SomaModel::Izhikevich {
                dt: vec![dt],
                resistance: case.field("resistance"),
                recovery_rate: each("recovery_timescale", &|a| dt * a),
                sensitivity: case.field("recovery_sensitivity"),
                jump: case.field("recovery_update"),
            };
            (model, 0.0)
        }
        other => panic!("unknown component {other}"),
    };
    let steps = |field: &str| {
        let durations = case.optional(field)?;
        Some(durations.into_iter().map(|duration| (duration / dt).round()).collect())
    };
    Soma {
        model,
        reset: each("potential_reset", &|v| v - base),
        threshold: each("threshold", &|v| v - base),
        cooldown: steps("cooldown"),
        clamp: steps("clamp_duration"),
        adaptive_threshold: case
            .optional("threshold_delta")
            .map(|delta| AdaptiveThreshold { rate: each("threshold_tau", &|tau| rate(dt, tau)), delta }),
        adaptation: case.optional("adaptation_delta").map(|delta| AdaptationCurrent {
            rate: each("adaptation_tau", &|tau| dt / tau),
            subthreshold: case.field("adaptation_subthreshold"),
            delta,
        }),
    }
}

fn upload(soma: Soma<Vec<f32>>, device: &Device) -> Soma<Tensor<1>> {
    soma.map(|values| Tensor::from_floats(values.as_slice(), device))
}

fn replay(case: &Case, backend: &str, device: &Device) {
    let name = format!("{} on {backend}", case.name);
    let soma = upload(soma(case), device);
    let potential = case.values("init.potential");
    let units = potential.len();
    let mut state = soma.initial_state(tensor(potential, [1, units], device));
    // The model diverges from itself where it spikes: the upstroke doubles rounding errors step by step.
    let tolerance = if matches!(soma.model, SomaModel::Izhikevich { .. }) { 3e-2 } else { 1e-4 };
    let mut spiked = 0.0;
    for step in 0..case.steps {
        let mut current = case.sample("in.current", step, device);
        if case.has("state.coupling_current") && step > 0 {
            current = current + case.sample("state.coupling_current", step, device);
        }
        let (spikes, next) = soma_step(&soma, current, state, SomaOptions::default());
        let spikes = floats(spikes);
        assert_eq!(spikes, case.at("out.spikes.spikes", step), "{name}: spikes of step {step}");
        spiked += spikes.iter().sum::<f32>();
        let planes = [
            ("potential", Some(&next.potential), tolerance),
            ("recovery", next.recovery.as_ref(), tolerance),
            ("spike_counter", next.since_spike.as_ref(), 0.0),
            ("threshold_trace.trace", next.threshold_offset.as_ref(), 1e-4),
            ("adaptation_current", next.adaptation.as_ref(), tolerance),
        ];
        for (plane, found, tolerance) in planes {
            let recorded = format!("state.{plane}");
            assert_eq!(found.is_some(), case.has(&recorded), "{name}: {plane}");
            if let Some(found) = found {
                let what = format!("{name}: {plane} of step {step}");
                assert_close(&floats(found.clone()), &case.at(&recorded, step), tolerance, &what);
            }
        }
        state = next;
    }
    assert!(spiked > 0.0, "{name}: silent units show nothing");
}

#[test]
fn recorded_somas_are_reproduced() {
    let cases = golden::cases("somas");
    assert_eq!(cases.len(), 22);
    for (backend, device) in devices().iter().take(2) {
        for case in &cases {
            replay(case, backend, device);
        }
    }
}

#[test]
fn recorded_somas_are_reproduced_on_gpus() {
    for (backend, device) in devices().iter().skip(2) {
        // A GPU rounds otherwise (fused multiply-add): only where that does not grow spike by spike, or where
        // the kernel rounds as the reference does.
        let leaky = ["threshold.", "clamp.", "current."].map(|name| format!("adaptive_leaky_{name}"));
        for case in golden::cases("somas") {
            let exact = case.name.contains("izhikevich");
            if exact || leaky.iter().any(|name| case.name.contains(name)) {
                replay(&case, backend, device);
            }
        }
    }
}

/// How many models [`Units`] knows.
const MODELS: u8 = 7;

/// How many of them, from the first on, have a kernel for GPUs.
const WITH_GPU_KERNEL: u8 = 3;

/// Random units: their model, which mechanisms they have, and whether parameters differ between them.
#[derive(Clone, Debug)]
struct Units {
    batch: usize,
    units: usize,
    model: u8,
    mechanisms: [bool; 4],
    per_unit: bool,
    seed: u64,
}

fn units() -> impl Strategy<Value = Units> {
    // Some wider than the block that goes through a step together.
    let width = prop_oneof![3 => 1usize..9, 1 => 200usize..700];
    (1usize..4, width, 0..MODELS, any::<[bool; 4]>(), any::<bool>(), any::<u64>()).prop_map(
        |(batch, units, model, mechanisms, per_unit, seed)| Units {
            batch,
            units,
            model,
            mechanisms,
            per_unit,
            seed,
        },
    )
}

/// A membrane that spikes within some steps at the currents of [`Units`].
fn membrane(values: &dyn Fn(&str, f32, f32) -> Vec<f32>, shift: f32) -> IonicMembrane<Vec<f32>> {
    let current = |name: &str, conductance: (f32, f32), reversal: (f32, f32)| IonicCurrent {
        conductance: values(&format!("{name} conductance"), conductance.0, conductance.1),
        reversal: values(&format!("{name} reversal"), reversal.0, reversal.1),
    };
    IonicMembrane {
        dt: values("dt", 0.05, 0.1),
        capacitance: values("capacitance", 2.0, 4.0),
        speed: values("speed", 0.8, 3.0),
        shift: values("shift", shift - 1.0, shift + 1.0),
        sodium: current("sodium", (240.0, 480.0), (45.0, 55.0)),
        potassium: current("potassium", (72.0, 144.0), (-90.0, -77.0)),
        leak: current("leak", (0.3, 1.0), (-70.0, -55.0)),
    }
}

impl Units {
    fn soma(&self) -> Soma<Vec<f32>> {
        let count = if self.per_unit { self.units } else { 1 };
        let values = |name: &str, min: f32, max: f32| draw(self.seed, name, count, min, max);
        let steps = |name: &str, max: f32| values(name, 0.0, max).into_iter().map(f32::floor).collect();
        let [cooldown, clamp, threshold, adaptation] = self.mechanisms;
        let model = match self.model {
            0 => SomaModel::Leaky { decay: values("decay", 0.7, 0.98), gain: values("gain", 0.02, 0.2) },
            1 => SomaModel::Exponential {
                rate: values("rate", 0.05, 0.2),
                resistance: values("resistance", 0.3, 0.6),
                rheobase: values("rheobase", 15.0, 20.0),
                slope: values("slope", 1.0, 3.0),
            },
            2 => SomaModel::Izhikevich {
                dt: values("dt", 0.3, 0.6),
                resistance: values("resistance", 0.05, 0.2),
                recovery_rate: values("recovery_rate", 0.01, 0.1),
                sensitivity: values("sensitivity", 0.15, 0.25),
                jump: values("jump", 1.0, 8.0),
            },
            3 => SomaModel::Quadratic {
                rate: values("rate", 0.02, 0.1),
                resistance: values("resistance", 0.1, 0.6),
                curvature: values("curvature", 0.03, 0.1),
                rest: values("rest", -70.0, -65.0),
                critical: values("critical", -55.0, -50.0),
            },
            4 => SomaModel::HodgkinHuxley {
                membrane: membrane(&values, 0.0),
                rates: HodgkinHuxleyRates::SquidAxon,
            },
            5 => SomaModel::HodgkinHuxley {
                membrane: membrane(&values, -63.0),
                rates: HodgkinHuxleyRates::TraubMiles,
            },
            _ => SomaModel::WangBuzsaki { membrane: membrane(&values, 0.0) },
        };
        let (reset, level) = match self.model {
            0 | 1 => ((0.0, 5.0), (15.0, 25.0)),
            2 | 3 => ((-65.0, -50.0), (20.0, 30.0)),
            _ => ((-65.0, -50.0), (-40.0, -20.0)),
        };
        Soma {
            model,
            reset: values("reset", reset.0, reset.1),
            threshold: values("threshold", level.0, level.1),
            cooldown: cooldown.then(|| steps("cooldown", 5.0)),
            clamp: clamp.then(|| steps("clamp", 5.0)),
            adaptive_threshold: threshold.then(|| AdaptiveThreshold {
                rate: values("threshold rate", 0.01, 0.2),
                delta: values("threshold delta", 1.0, 10.0),
            }),
            adaptation: adaptation.then(|| AdaptationCurrent {
                rate: values("adaptation rate", 0.005, 0.05),
                subthreshold: values("subthreshold", 0.0, 1.0),
                delta: values("delta", 1.0, 20.0),
            }),
        }
    }

    fn start(&self, soma: &Soma<Tensor<1>>, device: &Device) -> SomaState<Tensor<2>> {
        let start = if self.model < 2 { 0.0 } else { -65.0 };
        soma.initial_state(Tensor::full([self.batch, self.units], start, device))
    }

    fn current(&self, step: usize, device: &Device) -> Tensor<2> {
        let values = draw(self.seed, &format!("current {step}"), self.batch * self.units, 0.0, 300.0);
        tensor(values, [self.batch, self.units], device)
    }

    /// Spikes and potentials of some steps; the state is handed on, or held so that nothing is in place.
    fn run(&self, device: &Device, steps: usize, shared: bool) -> Vec<(Vec<f32>, Vec<f32>)> {
        let soma = upload(self.soma(), device);
        let mut state = self.start(&soma, device);
        let (mut held, mut found) = (Vec::new(), Vec::new());
        for step in 0..steps {
            let current = self.current(step, device);
            if shared {
                held.push((current.clone(), state.clone()));
            }
            let (spikes, next) = soma_step(&soma, current, state, SomaOptions::default());
            found.push((floats(spikes), floats(next.potential.clone())));
            state = next;
        }
        found
    }
}

/// The fused step against the composed one, which is what runs on an autodiff device; both from the same
/// state at every step.
fn check(units: &Units, name: &str, device: &Device, steps: usize) {
    let reference = Device::flex().autodiff();
    let options = SomaOptions::default();
    let (composed, fused) = (upload(units.soma(), &reference), upload(units.soma(), device));
    let mut state = units.start(&composed, &reference);
    for step in 0..steps {
        let planes = state.as_ref().map(|plane| tensor(floats(plane.clone()), plane.dims(), device));
        let threshold = composed.threshold.clone().unsqueeze() + state.potential.zeros_like();
        let threshold = match &state.threshold_offset {
            Some(offset) => floats(threshold + offset.clone()),
            None => floats(threshold),
        };
        let (spikes, found) = soma_step(&fused, units.current(step, device), planes, options);
        let (expected_spikes, expected) =
            soma_step(&composed, units.current(step, &reference), state, options);
        let (spikes, expected_spikes) = (floats(spikes), floats(expected_spikes));
        let mut agree = vec![true; spikes.len()];
        for (i, (found_spike, expected_spike)) in spikes.iter().zip(&expected_spikes).enumerate() {
            if found_spike != expected_spike {
                // Only the exponential is another one, so only its rounding may decide a crossing; a GPU may
                // also round quotients otherwise.
                let silent = if *found_spike > 0.0 { &expected.potential } else { &found.potential };
                let distance = (floats(silent.clone())[i] - threshold[i]).abs();
                let rounds = !matches!(units.model, 0 | 2);
                assert!(rounds && distance < 1e-3, "{name}: spikes of step {step}, {units:?}");
                agree[i] = false;
            }
        }
        let mut expected_planes = Vec::new();
        expected.as_ref().map(|plane| expected_planes.push(floats(plane.clone())));
        let mut expected_planes = expected_planes.into_iter();
        // Where ionic currents pull at it, a potential near 0 is a difference of some that are 100 mV larger: a
        // rounding of 1e-7 in each of the gates' exponentials, cubed or in the fourth power, is 1e-4 mV.
        let mut tolerance = if units.model < 4 { 1e-5 } else { 3e-4 };
        found.map(|plane| {
            let pick = |values: Vec<f32>| -> Vec<f32> {
                values.into_iter().zip(&agree).filter(|(_, agree)| **agree).map(|(value, _)| value).collect()
            };
            let (found, expected) = (pick(floats(plane)), pick(expected_planes.next().unwrap()));
            assert_close(&found, &expected, tolerance, &format!("{name}: step {step}, {units:?}"));
            tolerance = 1e-5;
        });
        state = expected;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..Default::default() })]

    #[test]
    fn fused_steps_equal_composed_ones_on_the_cpu(units in units()) {
        for (name, device) in &devices()[..2] {
            check(&units, name, device, 12);
        }
    }

    #[test]
    fn a_shared_state_is_left_alone(units in units()) {
        for (_, device) in &devices()[..2] {
            prop_assert!(units.run(device, 4, true) == units.run(device, 4, false));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..Default::default() })]

    #[test]
    fn steps_equal_composed_ones_on_gpus(units in units()) {
        for (name, device) in devices().iter().skip(2) {
            check(&units, name, device, 4);
            // Burn may fuse, and thereby round, a composed body in another way where the state is held.
            if units.model < WITH_GPU_KERNEL {
                prop_assert!(units.run(device, 3, true) == units.run(device, 3, false), "{name}");
            }
        }
    }
}

#[test]
fn gpu_kernels_of_all_models_equal_composed_steps() {
    for (name, device) in devices().iter().skip(2) {
        for model in 0..WITH_GPU_KERNEL {
            for all in [false, true] {
                let units =
                    Units { batch: 3, units: 77, model, mechanisms: [all; 4], per_unit: all, seed: 5 };
                check(&units, name, device, 4);
            }
        }
    }
}

/// Elements that the kernels are not made for take the composed body.
#[test]
fn half_precision_steps_on_gpus() {
    for (name, device) in devices().iter().skip(2).filter(|(_, device)| device.supports_dtype(DType::F16)) {
        let half = |shape, value: f32| Tensor::<2>::full(shape, value, (device, DType::F16));
        let all = |value: f32| Tensor::<1>::full([1], value, (device, DType::F16));
        let soma = Soma {
            model: SomaModel::Leaky { decay: all(0.5), gain: all(1.0) },
            reset: all(0.0),
            threshold: all(1.4),
            cooldown: None,
            clamp: None,
            adaptive_threshold: None,
            adaptation: None,
        };
        let mut state = soma.initial_state(half([1, 3], 0.0));
        let mut train = Vec::new();
        for _ in 0..3 {
            let (spikes, next) = soma_step(&soma, half([1, 3], 1.0), state, SomaOptions::default());
            train.push(floats(spikes));
            state = next;
        }
        assert_eq!(train, [[0.0; 3], [1.0; 3], [0.0; 3]], "{name}");
    }
}

#[test]
fn steps_do_not_depend_on_the_number_of_threads() {
    for model in 0..MODELS {
        // Beyond the size from which two threads share the work, with an odd number of units.
        let units = Units { batch: 7, units: 10_001, model, mechanisms: [true; 4], per_unit: true, seed: 3 };
        let [one, two] = on_one_and_two_threads(|| units.run(&Device::flex(), 3, false));
        assert!(one == two, "model {model}");
    }
}

#[test]
fn a_state_held_elsewhere_does_not_change() {
    for (name, device) in devices() {
        let units = Units { batch: 1, units: 5, model: 2, mechanisms: [true; 4], per_unit: false, seed: 9 };
        let soma = upload(units.soma(), &device);
        let before = soma.initial_state(Tensor::full([1, 5], -65.0, &device));
        let held = before.as_ref().map(|plane| floats(plane.clone()));
        let current = Tensor::full([1, 5], 200.0, &device);
        let _ = soma_step(&soma, current, before.clone(), SomaOptions::default());
        assert_eq!(before.map(floats), held, "{name}");
    }
}

/// A leaky unit over three steps, against the derivative written out by hand.
#[test]
fn gradients_pass_through_steps_and_resets() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let slope = 0.7;
        let options =
            |reset_gradient| SomaOptions { surrogate: Surrogate::Triangular { slope }, reset_gradient };
        for reset_gradient in [false, true] {
            let (decay, gain, reset, threshold) = (0.9f32, 0.5f32, 0.1f32, 1.0f32);
            let all = |value: f32| Tensor::<1>::from_floats([value], &device);
            let soma = Soma {
                model: SomaModel::Leaky { decay: all(decay), gain: all(gain) },
                reset: all(reset),
                threshold: all(threshold),
                cooldown: None,
                clamp: None,
                adaptive_threshold: None,
                adaptation: None,
            };
            let currents = [1.6f32, 0.8, 2.2];
            let inputs: Vec<Tensor<2>> =
                currents.iter().map(|&i| Tensor::from_floats([[i]], &device).require_grad()).collect();
            let mut state: SomaState<Tensor<2>> = soma.initial_state(Tensor::zeros([1, 1], &device));
            let mut loss = Tensor::<1>::zeros([1], &device);
            for input in &inputs {
                let (spikes, next) = soma_step(&soma, input.clone(), state, options(reset_gradient));
                loss = loss + (spikes.clone() * 2.0 + next.potential.clone()).sum();
                state = next;
            }
            let gradients = loss.backward();

            // Forwards, then the recursion backwards: dV of each step.
            let (mut v, mut steps) = (0.0f32, Vec::new());
            for i in currents {
                let u = decay * v + gain * i;
                let s = f32::from(u8::from(u > threshold));
                v = if s > 0.0 { reset } else { u };
                steps.push((u, s));
            }
            assert!(steps.iter().any(|step| step.1 > 0.0));
            let mut dv = 0.0f32;
            for (input, (u, s)) in inputs.iter().zip(steps).rev() {
                dv += 1.0;
                let through = if reset_gradient { dv * (reset - u) } else { 0.0 };
                let crossing = (2.0 + through) * (1.0 - slope * (u - threshold).abs()).max(0.0);
                let du = dv * (1.0 - s) + crossing;
                let found = input.grad(&gradients).unwrap().into_scalar::<f32>();
                assert!((found - gain * du).abs() < 1e-5, "{name}: {found} against {}", gain * du);
                dv = decay * du;
            }
        }
    }
}
