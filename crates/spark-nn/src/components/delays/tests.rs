use burn::tensor::{Device, Int, Tensor};
use spark_core::component::{ComponentConfig, Context, Instance};
use spark_core::payload::{DelayKernel, Payload, PayloadKind, Shape, Spikes};
use spark_core::ports::InputShapes;
use spark_kernels::philox::Stream;
use spark_kernels::random;

use super::*;

fn wired(units: &[usize]) -> InputShapes {
    InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, units))
}

fn context() -> Context {
    Context::new("delays", &Device::flex())
}

fn config<C: ComponentConfig>(json: serde_json::Value) -> C {
    serde_json::from_value(json).unwrap()
}

fn error<C: ComponentConfig>(json: serde_json::Value, units: &[usize]) -> String {
    config::<C>(json).run(&wired(units), 1, &context()).map(|_| ()).unwrap_err().to_string()
}

fn kernel(instance: &dyn Instance) -> Vec<i64> {
    match instance.property("kernel").unwrap() {
        Payload::DelayKernel(DelayKernel(steps)) => steps.into_data().iter().collect(),
        other => panic!("{}", other.kind()),
    }
}

#[test]
fn delays_that_are_drawn_are_spread_over_all_steps() {
    let config: NDelaysConfig = config(serde_json::json!({"max_delay": 5.0, "seed": 3}));
    let draw = || kernel(&config.run(&wired(&[10_000]), 1, &context()).unwrap());
    let delays = draw();
    for delay in 1..=5 {
        let share = delays.iter().filter(|found| **found == delay).count() as f32 / 1e4;
        assert!((share - 0.2).abs() < 0.02, "{delay}: {share}");
    }
    assert_eq!(draw(), delays);
}

#[test]
fn a_delay_out_of_range_is_named() {
    let found = error::<NDelaysConfig>(serde_json::json!({"delays": [1, 9]}), &[2]);
    assert_eq!(found, "module `delays`: delays[1]: found 9, expected a whole number of steps from 1 to 8");
    let json = serde_json::json!({"units": [2], "delays": [[1, 2], [0, 2]]});
    let found = error::<N2NDelaysConfig>(json, &[2]);
    assert!(found.contains("delays[1][0]: found 0"), "{found}");
    let found = error::<NDelaysConfig>(serde_json::json!({"delays": 1.5}), &[2]);
    assert!(found.contains("delays[0]: found 1.5"), "{found}");
    let found = error::<NDelaysConfig>(serde_json::json!({"max_delay": 1e6}), &[2]);
    assert!(found.contains("max_delay: found 1000000, expected at most 65535 steps"), "{found}");
    let found = error::<N2NDelaysConfig>(serde_json::json!({}), &[2]);
    assert!(found.contains("units: found no axis"), "{found}");
}

#[test]
fn the_longest_delay_is_rounded_up_to_steps() {
    assert_eq!(steps::count(8.0, 1.0), 8);
    assert_eq!(steps::count(0.3, 0.1), 3);
    assert_eq!(steps::count(0.25, 0.1), 3);
    assert_eq!(steps::count(0.05, 0.1), 1);
}

#[test]
fn spikes_by_pair_have_been_delayed_already() {
    let inputs = InputShapes::default().with("in_spikes", Shape::pairs(&[2], &[3]));
    let error = NDelaysConfig::default().run(&inputs, 1, &context()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("found spikes [2, 3] by pair"), "{error}");
}

#[test]
fn written_delays_hold_and_are_checked() {
    let config: N2NDelaysConfig = config(serde_json::json!({"units": [2]}));
    let mut delays = config.run(&wired(&[1]), 1, &context()).unwrap();
    let steps = |steps: [[i32; 2]; 1]| {
        Payload::from(DelayKernel(Tensor::<2, Int>::from_ints(steps, &Device::flex())))
    };
    delays.set_property("kernel", steps([[3, 8]])).unwrap();
    assert_eq!(kernel(&delays), [3, 8]);
    let error = delays.set_property("kernel", steps([[3, 9]])).unwrap_err().to_string();
    assert_eq!(error, "port `kernel`: found 9 at [0][1], expected a whole number of steps from 1 to 8");
    assert_eq!(kernel(&delays), [3, 8]);
}

#[test]
fn every_pair_sees_its_unit_as_many_steps_ago_as_its_delay() {
    let (device, steps, batch) = (Device::flex(), 30, 2);
    let config: N2NDelaysConfig = config(serde_json::json!({"units": [2, 2], "seed": 1}));
    let mut delays = config.run(&wired(&[3, 2]), batch, &context()).unwrap();
    let kernel = kernel(&delays);
    let spikes: Vec<Tensor<2>> =
        (0..steps).map(|step| random::bernoulli(0.3, [batch, 6], Stream::new(2, 0, step), &device)).collect();
    let host: Vec<Vec<f32>> = spikes.iter().map(|x| x.to_data().try_to_vec().unwrap()).collect();
    for (step, spikes) in spikes.into_iter().enumerate() {
        let in_spikes = Spikes::new(spikes);
        let found = delays.advance(DelayInputs { in_spikes }).out_spikes.pairs().unwrap();
        let found = found.into_data().try_to_vec::<f32>().unwrap();
        for (place, found) in found.into_iter().enumerate() {
            let (sample, pair) = (place / 24, place % 24);
            let sent = step.checked_sub(kernel[pair] as usize);
            let expected = sent.map_or(0.0, |sent| host[sent][sample * 6 + pair / 4]);
            assert_eq!(found, expected, "step {step}, sample {sample}, pair {pair}");
        }
    }
}

#[test]
fn gradients_pass_delays() {
    let device = Device::flex().autodiff();
    let config: NDelaysConfig = config(serde_json::json!({"delays": [1, 2]}));
    let mut delays = config.run(&wired(&[2]), 1, &Context::new("delays", &device)).unwrap();
    let input = Tensor::<2>::ones([1, 2], &device).require_grad();
    delays.advance(DelayInputs { in_spikes: Spikes::new(input.clone()) });
    let silence = Spikes::new(Tensor::zeros([1, 2], &device));
    let out = delays.advance(DelayInputs { in_spikes: silence }).out_spikes.units().unwrap();
    let gradients = out.sum().backward();
    let gradient = input.grad(&gradients).unwrap().into_data().try_to_vec::<f32>().unwrap();
    assert_eq!(gradient, [1.0, 0.0]);
}
