//! Exponential traces, dense and lazy.

use proptest::prelude::*;
use spark::kernels::{LazyDecay, LazyTrace, Trace, trace_step};
use spark::prelude::*;

use super::golden::{self, Case};
use super::{assert_close, draw, floats, on_one_and_two_threads, spikes, tensor};
use crate::support::devices;

fn all(value: f32, device: &Device) -> Tensor<1> {
    Tensor::from_floats([value], device)
}

fn trace(dt: f32, tau: f32, scale: f32, base: f32, device: &Device) -> Trace<Tensor<1>> {
    Trace { rate: -(-dt / tau).exp_m1(), base, scale, saturation: None }.map(|value| all(value, device))
}

/// What a recorded tracer gives at every step.
fn replay(case: &Case, device: &Device) -> Vec<Vec<f32>> {
    let number = |field: &str| case.optional(field).map(|values| values[0]);
    let (dt, tau) = (case.dt, number("tau"));
    let (scale, base) = (number("scale").unwrap_or(1.0), number("base").unwrap_or(0.0));
    // Traces with the factors by which they add up to the value.
    let mut traces = match case.component.as_str() {
        "Tracer" => vec![(1.0, trace(dt, tau.unwrap(), scale, base, device))],
        "SaturableTracer" => {
            let saturation = number("saturation").map(|bound| all(bound, device));
            vec![(1.0, Trace { saturation, ..trace(dt, tau.unwrap(), scale, base, device) })]
        }
        "RDTracer" => {
            let (rise, decay) = (case.number("tau_rise"), case.number("tau_decay"));
            let coupled = rise * decay / (rise + decay);
            let scale = |field| number(field).unwrap_or(1.0);
            vec![
                (1.0, trace(dt, decay, scale("scale_decay"), 0.0, device)),
                (-1.0, trace(dt, coupled, scale("scale_rise"), 0.0, device)),
            ]
        }
        "RFSTracer" => {
            let (alpha, rise) = (case.number("alpha"), case.number("tau_rise"));
            let mut parts = Vec::new();
            for (factor, field) in [(alpha, "tau_fast_decay"), (1.0 - alpha, "tau_slow_decay")] {
                let decay = case.number(field);
                parts.push((factor, trace(dt, decay, 1.0, 0.0, device)));
                parts.push((-factor, trace(dt, rise * decay / (rise + decay), 1.0, 0.0, device)));
            }
            parts
        }
        other => panic!("unknown component {other}"),
    };
    let mut values: Vec<Tensor<2>> = traces.iter().map(|_| Tensor::full([1, 6], base, device)).collect();
    (0..case.steps)
        .map(|step| {
            let mut sum = Tensor::zeros([1, 6], device);
            for ((factor, parameters), value) in traces.iter_mut().zip(&mut values) {
                let input = case.sample("in.x", step, device);
                let held = std::mem::replace(value, Tensor::empty([1, 6], device));
                *value = trace_step(held, input, parameters);
                sum = sum + value.clone() * *factor;
            }
            floats(sum)
        })
        .collect()
}

#[test]
fn recorded_tracers_are_reproduced() {
    let cases = golden::cases("tracers");
    assert_eq!(cases.len(), 11);
    for (backend, device) in devices() {
        let few = if backend.starts_with("wgpu") { 3 } else { cases.len() };
        for case in &cases[..few] {
            for (step, found) in replay(case, &device).iter().enumerate() {
                let what = format!("{} on {backend}, step {step}", case.name);
                assert_close(found, &case.at("out.value", step), 1e-4, &what);
            }
        }
    }
}

/// A random trace of shape `[batch, pre, post]` with parameters for some of its last axes.
#[derive(Clone, Debug)]
struct Shape {
    shape: [usize; 3],
    axes: usize,
    saturated: bool,
    seed: u64,
}

fn shapes() -> impl Strategy<Value = Shape> {
    let post = prop_oneof![3 => 1usize..7, 1 => 200usize..600];
    ((1usize..4, 1usize..5, post), 0usize..4, any::<bool>(), any::<u64>()).prop_map(
        |((batch, pre, post), axes, saturated, seed)| Shape {
            shape: [batch, pre, post],
            axes,
            saturated,
            seed,
        },
    )
}

impl Shape {
    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn parameter(&self, name: &str, min: f32, max: f32) -> Vec<f32> {
        let length = self.shape[3 - self.axes..].iter().product();
        draw(self.seed, name, if self.axes == 0 { 1 } else { length }, min, max)
    }

    fn run(&self, device: &Device, steps: usize) -> Vec<f32> {
        let parameters = Trace {
            rate: self.parameter("rate", 0.0, 1.0),
            base: self.parameter("base", -1.0, 1.0),
            scale: self.parameter("scale", 0.0, 2.0),
            saturation: self.saturated.then(|| vec![0.8]),
        }
        .map(|values| Tensor::<1>::from_floats(values.as_slice(), device));
        let mut trace = tensor(draw(self.seed, "trace", self.count(), -1.0, 1.0), self.shape, device);
        for step in 0..steps {
            let input = spikes(self.seed, &format!("input {step}"), self.count(), 0.4);
            trace = trace_step(trace, tensor(input, self.shape, device), &parameters);
        }
        floats(trace)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..Default::default() })]

    #[test]
    fn fused_traces_equal_composed_ones(shape in shapes()) {
        let expected = shape.run(&Device::flex().autodiff(), 5);
        for (name, device) in &devices()[..2] {
            prop_assert!(shape.run(device, 5) == expected, "{name}: {shape:?}");
        }
    }

    #[test]
    fn lazy_traces_equal_dense_ones(shape in shapes(), density in 0.0f32..0.3) {
        for (name, device) in &devices()[..2] {
            lazy_equals_dense(&shape, density, 60, name, device);
        }
    }
}

fn lazy_equals_dense(shape: &Shape, density: f32, steps: u64, name: &str, device: &Device) {
    let upload = |values: &[f32]| Tensor::<1>::from_floats(values, device);
    let parameter = |name: &str, min, max| upload(&shape.parameter(name, min, max));
    let exponents = shape.parameter("exponent", 0.01, 0.5);
    let rates: Vec<f32> = exponents.iter().map(|x| -(-x).exp_m1()).collect();
    let lazily = LazyDecay {
        exponent: upload(&exponents),
        base: parameter("base", -1.0, 1.0),
        scale: parameter("scale", 0.0, 2.0),
    };
    let densely = Trace {
        rate: upload(&rates),
        base: lazily.base.clone(),
        scale: lazily.scale.clone(),
        saturation: None,
    };
    let mut dense = tensor(draw(shape.seed, "trace", shape.count(), -1.0, 1.0), shape.shape, device);
    let mut lazy = LazyTrace::new(dense.clone(), 100);
    for step in 1..=steps {
        let input = spikes(shape.seed, &format!("input {step}"), shape.count(), density);
        let input = tensor(input, shape.shape, device);
        dense = trace_step(dense, input.clone(), &densely);
        lazy = lazy.hit(input, 100 + step, &lazily);
        if step % 20 == 0 {
            let what = format!("{name}: step {step}, {shape:?}");
            assert_close(&floats(lazy.read(100 + step, &lazily)), &floats(dense.clone()), 1e-5, &what);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..Default::default() })]

    #[test]
    fn traces_equal_composed_ones_on_gpus(shape in shapes(), density in 0.0f32..0.3) {
        for (name, device) in devices().iter().skip(2) {
            let what = format!("{name}: {shape:?}");
            assert_close(&shape.run(device, 3), &shape.run(&Device::flex().autodiff(), 3), 1e-6, &what);
            lazy_equals_dense(&shape, density, 20, name, device);
        }
    }
}

#[test]
fn traces_held_elsewhere_do_not_change() {
    for (name, device) in devices() {
        let trace = Tensor::<2>::from_floats([[1.0, 2.0, 3.0]], &device);
        let input = Tensor::<2>::from_floats([[0.0, 1.0, 0.0]], &device);
        let parameters = Trace { rate: 0.5, base: 0.0, scale: 4.0, saturation: None };
        let after = trace_step(trace.clone(), input.clone(), &parameters.map(|value| all(value, &device)));
        assert_eq!(floats(trace.clone()), [1.0, 2.0, 3.0], "{name}");
        assert_eq!(floats(after), [0.5, 5.0, 1.5], "{name}");

        let decay = LazyDecay { exponent: 0.0, base: 0.0, scale: 4.0 }.map(|value| all(value, &device));
        let lazy = LazyTrace::new(trace, 0);
        let after = lazy.clone().hit(input, 7, &decay);
        assert_eq!(floats(lazy.value), [1.0, 2.0, 3.0], "{name}");
        assert_eq!(floats(lazy.last), [0.0; 3], "{name}");
        assert_eq!(floats(after.value), [1.0, 6.0, 3.0], "{name}");
        assert_eq!(floats(after.last), [0.0, 7.0, 0.0], "{name}");
    }
}

/// A float counts steps exactly up to 2²⁴ only; the trace has to count anew before.
#[test]
fn lazy_traces_outlast_the_steps_that_a_float_counts() {
    for (name, device) in &devices()[..2] {
        let decay = LazyDecay { exponent: 1e-3, base: 0.0, scale: 1.0 }.map(|value| all(value, device));
        let both = || Tensor::<2>::from_floats([[1.0, 0.0]], device);
        let mut trace = LazyTrace::new(Tensor::<2>::full([1, 2], 3.0, device), 0);
        let mut step = 0;
        for _ in 0..5 {
            step += (1 << 23) + 1;
            trace = trace.hit(both(), step, &decay);
            trace = trace.hit(both(), step + 1_001, &decay);
        }
        let found = floats(trace.read(step + 1_002, &decay));
        let once = |steps: f64| (-steps * 1e-3).exp();
        let expected = (once(1_002.0) + once(1.0)) as f32;
        assert!((found[0] - expected).abs() < 1e-6, "{name}: {found:?} {expected}");
        assert_eq!(found[1], 0.0, "{name}");
    }
}

#[test]
fn traces_do_not_depend_on_the_number_of_threads() {
    let shape = Shape { shape: [3, 100, 701], axes: 2, saturated: true, seed: 4 };
    let [one, two] = on_one_and_two_threads(|| shape.run(&Device::flex(), 3));
    assert!(one == two);
}
