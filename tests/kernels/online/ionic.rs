//! Units whose equations are those of a textbook: against another simulator, against the equations
//! themselves, and their gradients.

use spark::kernels::{
    AdaptationCurrent, AdaptiveThreshold, Gates, HodgkinHuxleyRates, IonicCurrent, IonicMembrane, Soma,
    SomaModel, SomaOptions, SomaState, soma_step,
};
use spark::prelude::*;

use super::{assert_close, floats, golden, tensor};
use crate::support::devices;

/// A soma without any further mechanism.
fn plain(model: SomaModel<f32>, reset: f32, threshold: f32) -> Soma<f32> {
    Soma { model, reset, threshold, cooldown: None, clamp: None, adaptive_threshold: None, adaptation: None }
}

fn squid_axon(dt: f32) -> Soma<f32> {
    let membrane = IonicMembrane::squid_axon(dt);
    plain(SomaModel::HodgkinHuxley { membrane, rates: HodgkinHuxleyRates::SquidAxon }, 0.0, 0.0)
}

fn interneuron(dt: f32) -> Soma<f32> {
    plain(SomaModel::WangBuzsaki { membrane: IonicMembrane::wang_buzsaki(dt) }, 0.0, 0.0)
}

/// With `τ` = 10 ms and a rheobase of 56.25 pA.
fn quadratic(dt: f32) -> Soma<f32> {
    let (rate, resistance, curvature) = (dt / 10.0, 0.1, 0.1);
    let model = SomaModel::Quadratic { rate, resistance, curvature, rest: -65.0, critical: -50.0 };
    plain(model, -65.0, 30.0)
}

fn upload(soma: &Soma<f32>, device: &Device) -> Soma<Tensor<1>> {
    soma.clone().map(|value| Tensor::from_floats([value], device))
}

/// The steps at which one unit spikes, and its potential after every step.
fn run(soma: &Soma<f32>, start: f32, current: f32, steps: usize, device: &Device) -> (Vec<usize>, Vec<f32>) {
    let soma = upload(soma, device);
    let mut state = soma.initial_state(Tensor::full([1, 1], start, device));
    let (mut times, mut potentials) = (Vec::new(), Vec::new());
    for step in 0..steps {
        let current = Tensor::full([1, 1], current, device);
        let (spikes, next) = soma_step(&soma, current, state, SomaOptions::default());
        if floats(spikes)[0] > 0.0 {
            times.push(step);
        }
        potentials.push(floats(next.potential.clone())[0]);
        state = next;
    }
    (times, potentials)
}

#[test]
fn a_recorded_hodgkin_huxley_neuron_is_reproduced() {
    let case = golden::simulated("hodgkin_huxley_dt005.safetensors");
    let all = |field: &str| case.number(field);
    let current = |conductance: &str, reversal: &str| IonicCurrent {
        conductance: all(conductance),
        reversal: all(reversal),
    };
    let membrane = IonicMembrane {
        dt: case.dt,
        capacitance: all("Cm_pF"),
        speed: 1.0,
        shift: all("VT_mV"),
        sodium: current("gna_nS", "ENa_mV"),
        potassium: current("gk_nS", "EK_mV"),
        leak: current("gl_nS", "El_mV"),
    };
    let model = SomaModel::HodgkinHuxley { membrane, rates: HodgkinHuxleyRates::TraubMiles };
    let soma = plain(model, 0.0, all("threshold_mV"));
    for (backend, device) in devices().iter().take(2) {
        let soma = upload(&soma, device);
        let at = |plane: &str, step| case.sample(&format!("state.{plane}"), step, device);
        let gates = Gates { m: Some(at("m", 0)), h: at("h", 0), n: at("n", 0) };
        let mut state = SomaState { gates: Some(gates), ..soma.initial_state(at("v", 0)) };
        let mut spiked = 0.0;
        for step in 0..case.steps {
            let current = case.sample("in.current", step, device) * 1000.0;
            let (spikes, next) = soma_step(&soma, current, state, SomaOptions::default());
            let spikes = floats(spikes);
            // The integrator is the same, so are the times of the spikes.
            assert_eq!(spikes, case.at("spikes", step), "{backend}: spikes of step {step}");
            spiked += spikes.iter().sum::<f32>();
            if step + 1 < case.steps {
                let gates = next.gates.clone().unwrap();
                let planes = [
                    ("v", next.potential.clone(), 1e-2),
                    ("m", gates.m.unwrap(), 2e-4),
                    ("h", gates.h, 2e-4),
                    ("n", gates.n, 2e-4),
                ];
                for (plane, found, tolerance) in planes {
                    let expected = case.at(&format!("state.{plane}"), step + 1);
                    let what = format!("{backend}: {plane} after step {step}");
                    assert_close(&floats(found), &expected, tolerance, &what);
                }
            }
            state = next;
        }
        assert!(spiked > 2.0, "{backend}: silent units show nothing");
    }
}

/// `x/(1 − e⁻ˣ)`.
fn linoid(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { x / (1.0 - (-x).exp()) }
}

/// The rates `[α_m, β_m, α_h, β_h, α_n, β_n]` of the squid's axon, as textbooks print them.
fn squid_axon_rates(v: f64) -> [f64; 6] {
    [
        linoid(0.1 * (v + 40.0)),
        4.0 * (-(v + 65.0) / 18.0).exp(),
        0.07 * (-(v + 65.0) / 20.0).exp(),
        1.0 / (1.0 + (-(v + 35.0) / 10.0).exp()),
        0.1 * linoid(0.1 * (v + 55.0)),
        0.125 * (-(v + 65.0) / 80.0).exp(),
    ]
}

/// The same of the interneuron.
fn interneuron_rates(v: f64) -> [f64; 6] {
    [
        linoid(0.1 * (v + 35.0)),
        4.0 * (-(v + 60.0) / 18.0).exp(),
        0.07 * (-(v + 58.0) / 20.0).exp(),
        1.0 / ((-0.1 * (v + 28.0)).exp() + 1.0),
        0.1 * linoid(0.1 * (v + 34.0)),
        0.125 * (-(v + 44.0) / 80.0).exp(),
    ]
}

/// The times in ms at which the potential rises through 0 mV within `duration`, by Runge–Kutta of fourth order
/// in steps of 0.01 ms. Without `fast`, `m` is instantaneous.
fn integrated(
    membrane: &IonicMembrane<f32>,
    rates: fn(f64) -> [f64; 6],
    fast: bool,
    start: f32,
    current: f32,
    duration: f64,
) -> Vec<f64> {
    const STEP: f64 = 0.01;
    let number = f64::from;
    let change = |[v, m, h, n]: [f64; 4]| {
        let [am, bm, ah, bh, an, bn] = rates(v);
        let open = if fast { m } else { am / (am + bm) };
        let flow = |current: &IonicCurrent<f32>, open: f64| {
            number(current.conductance) * open * (v - number(current.reversal))
        };
        let out = flow(&membrane.sodium, open.powi(3) * h)
            + flow(&membrane.potassium, n.powi(4))
            + flow(&membrane.leak, 1.0);
        let speed = number(membrane.speed);
        [
            (number(current) - out) / number(membrane.capacitance),
            speed * (am * (1.0 - m) - bm * m),
            speed * (ah * (1.0 - h) - bh * h),
            speed * (an * (1.0 - n) - bn * n),
        ]
    };
    let moved = |x: [f64; 4], by: [f64; 4], step: f64| std::array::from_fn(|i| x[i] + step * by[i]);
    let [am, bm, ah, bh, an, bn] = rates(number(start));
    let mut state = [number(start), am / (am + bm), ah / (ah + bh), an / (an + bn)];
    let mut times = Vec::new();
    for step in 0..(duration / STEP) as usize {
        let one = change(state);
        let two = change(moved(state, one, STEP / 2.0));
        let three = change(moved(state, two, STEP / 2.0));
        let four = change(moved(state, three, STEP));
        let slope = std::array::from_fn(|i| (one[i] + 2.0 * two[i] + 2.0 * three[i] + four[i]) / 6.0);
        let next: [f64; 4] = moved(state, slope, STEP);
        if state[0] <= 0.0 && next[0] > 0.0 {
            times.push((step + 1) as f64 * STEP);
        }
        state = next;
    }
    times
}

/// Times against those of the equations: the first spike within some steps, then the mean interval.
fn compare_trains(what: &str, found: &[usize], dt: f32, expected: &[f64], tolerance: f64) {
    let dt = f64::from(dt);
    let found: Vec<f64> = found.iter().map(|step| (step + 1) as f64 * dt).collect();
    assert!(expected.len() > 3, "{what}: {expected:?}");
    let late = (found[0] - expected[0]) / dt;
    assert!((-1.0..=4.5).contains(&late), "{what}: {dt} ms: {late} steps late");
    let mean = |times: &[f64]| (times[times.len() - 1] - times[0]) / (times.len() - 1) as f64;
    let error = mean(&found) / mean(expected) - 1.0;
    assert!(error.abs() <= tolerance, "{what}: {dt} ms: intervals off by {error}");
}

#[test]
fn spikes_of_ionic_models_are_those_of_their_equations() {
    let device = Device::flex();
    for (dt, slow) in [(0.01, 0.01), (0.1, 0.07)] {
        let steps = (100.0 / dt) as usize;
        for current in [10.0, 30.0] {
            let membrane = IonicMembrane::squid_axon(dt);
            let expected = integrated(&membrane, squid_axon_rates, true, -65.0, current, 100.0);
            let (found, _) = run(&squid_axon(dt), -65.0, current, steps, &device);
            compare_trains(&format!("squid axon, {current} pA"), &found, dt, &expected, slow);
        }
        for current in [1.0, 5.0] {
            let membrane = IonicMembrane::wang_buzsaki(dt);
            let expected = integrated(&membrane, interneuron_rates, false, -64.0, current, 100.0);
            let (found, _) = run(&interneuron(dt), -64.0, current, steps, &device);
            compare_trains(&format!("interneuron, {current} pA"), &found, dt, &expected, 0.01);
        }
    }
}

/// From reset to infinity in `τ/(a·ω)·(atan((V_θ − m)/ω) − atan((V_reset − m)/ω))`, with `ω = √D`.
#[test]
fn quadratic_units_spike_when_their_equation_does() {
    let device = Device::flex();
    for current in [60.0f32, 100.0, 500.0] {
        let omega = f64::from(0.1 * current / 0.1 - 7.5f32.powi(2)).sqrt();
        let interval = 10.0 / (0.1 * omega) * ((87.5 / omega).atan() - (-7.5 / omega).atan());
        for dt in [0.1, 1.0] {
            let (times, potentials) = run(&quadratic(dt), -65.0, current, (1000.0 / dt) as usize, &device);
            assert!(times.len() > 3 && potentials.iter().all(|v| v.is_finite()));
            let mean = (times[times.len() - 1] - times[0]) as f64 / (times.len() - 1) as f64;
            // What is left of the step in which a unit spikes is lost to the reset.
            let late = mean * f64::from(dt) - interval;
            assert!(
                (-0.01 * interval..=f64::from(dt) * 1.01).contains(&late),
                "{current} pA, {dt} ms: {late} ms"
            );
        }
    }
    let (times, _) = run(&quadratic(1.0), -65.0, 56.0, 1000, &device);
    assert!(times.is_empty(), "below rheobase");
}

#[test]
fn ionic_models_have_no_reset_and_spike_once_an_upstroke() {
    for (name, device) in devices().iter().take(2) {
        for soma in [squid_axon(0.1), interneuron(0.1)] {
            let (times, potentials) = run(&soma, -65.0, 20.0, 300, device);
            let rises = potentials.windows(2).filter(|pair| pair[0] <= 0.0 && pair[1] > 0.0).count();
            assert!(rises > 0 && times.len() == rises, "{name}");
            assert!(potentials.iter().any(|v| *v > 10.0), "{name}: it goes on above the threshold");

            let held = Soma { reset: -65.0, clamp: Some(20.0), ..soma.clone() };
            assert_eq!(run(&held, -65.0, 20.0, 300, device), (times, potentials), "{name}");

            let (times, potentials) = run(&soma, 5.0, 3000.0, 1, device);
            assert!(times.is_empty() && potentials[0] > 0.0, "{name}: above before");
        }
    }
}

#[test]
fn mechanisms_compose_with_ionic_models() {
    let device = Device::flex();
    let count = |soma: &Soma<f32>| run(soma, -65.0, 20.0, 1000, &device).0.len();
    for soma in [squid_axon(0.1), interneuron(0.1)] {
        let alone = count(&soma);
        assert!(alone > 4);
        let cooldown = Soma { cooldown: Some(300.0), ..soma.clone() };
        assert!((1..=4).contains(&count(&cooldown)));
        let adaptation = Some(AdaptationCurrent { rate: 0.001, subthreshold: 0.0, delta: 10.0 });
        assert!((1..alone).contains(&count(&Soma { adaptation, ..soma.clone() })));
        let adaptive_threshold = Some(AdaptiveThreshold { rate: 1e-4, delta: 200.0 });
        assert_eq!(count(&Soma { adaptive_threshold, ..soma }), 1);
    }
}

/// The gradient of every parameter, and of the current, which comes first.
fn gradients(
    soma: &Soma<f32>,
    start: f32,
    current: f32,
    steps: usize,
    spikes: f32,
    device: &Device,
) -> Vec<f32> {
    let device = &device.clone().autodiff();
    let mut leaves = vec![Tensor::<1>::from_floats([current], device).require_grad()];
    let soma = soma.clone().map(|value| {
        leaves.push(Tensor::from_floats([value], device).require_grad());
        leaves[leaves.len() - 1].clone()
    });
    let mut state = soma.initial_state(tensor(vec![start], [1, 1], device));
    let mut loss = Tensor::<1>::zeros([1], device);
    for _ in 0..steps {
        let (spiked, next) = soma_step(&soma, leaves[0].clone().unsqueeze(), state, SomaOptions::default());
        loss = loss + (next.potential.clone() + spiked * spikes).sum();
        state = next;
    }
    let gradients = loss.backward();
    leaves.iter().map(|leaf| leaf.grad(&gradients).map_or(0.0, |gradient| floats(gradient)[0])).collect()
}

/// Potentials are smooth in everything where nothing is reset, also through a spike.
#[test]
fn gradients_are_those_of_finite_differences() {
    let device = Device::flex();
    let silent = Soma { threshold: 1e6, ..quadratic(0.1) };
    for (soma, start, current, steps) in
        [(silent, -60.0, 80.0, 40), (squid_axon(0.05), -65.0, 40.0, 40), (interneuron(0.05), -64.0, 5.0, 40)]
    {
        let found = gradients(&soma, start, current, steps, 0.0, &device);
        let sum = |soma: &Soma<f32>, current: f32| {
            run(soma, start, current, steps, &device).1.into_iter().map(f64::from).sum::<f64>()
        };
        for (parameter, found) in found.into_iter().enumerate() {
            let change = |value: f32| if value == 0.0 { 0.02 } else { 1e-3 * value };
            let mut step = change(current);
            let mut moved = |sign: f32| {
                let mut next = 0;
                let soma = soma.clone().map(|value| {
                    next += 1;
                    if next != parameter {
                        return value;
                    }
                    step = change(value);
                    value + sign * step
                });
                sum(&soma, if parameter == 0 { current + sign * change(current) } else { current })
            };
            let difference = moved(1.0) - moved(-1.0);
            let expected = difference / f64::from(2.0 * step);
            let error = (f64::from(found) - expected).abs();
            let rounding = 5e-4 / f64::from(step).abs();
            assert!(
                error <= 0.03 * expected.abs() + rounding,
                "{:?}: parameter {parameter}: {found}, expected {expected}",
                soma.model
            );
        }
    }
}

#[test]
fn gradients_pass_through_spikes() {
    for (name, device) in devices() {
        for (soma, current) in [(quadratic(0.5), 500.0), (squid_axon(0.1), 60.0), (interneuron(0.1), 20.0)] {
            let (times, _) = run(&soma, -64.0, current, 40, &device);
            assert!(!times.is_empty(), "{name}");
            let found = gradients(&soma, -64.0, current, 40, 10.0, &device);
            let resets = matches!(soma.model, SomaModel::Quadratic { .. });
            let reset = found.len() - 2;
            for (parameter, gradient) in found.iter().enumerate() {
                let used = resets || parameter != reset;
                let fits = gradient.is_finite() && (*gradient != 0.0) == used;
                assert!(fits, "{name}: {:?}: parameter {parameter}: {gradient}", soma.model);
            }
        }
    }
}
