use burn::tensor::{Device, Tensor, TensorData};
use spark_core::component::{ComponentConfig, Context};
use spark_core::payload::{Floats, PayloadKind, Shape};
use spark_core::ports::InputShapes;
use spark_core::registry;

use super::*;

fn values(tensor: Tensor<2>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

fn wired(entries: usize) -> InputShapes {
    InputShapes::default().with("x", Shape::new(PayloadKind::Floats, &[entries]))
}

#[test]
fn a_trace_of_one_spike_is_an_exponential_at_every_step() {
    let device = Device::flex();
    let config = TracerConfig { tau: 30.0.into(), dt: 0.5, ..Default::default() };
    let mut tracer = config.run(&wired(1), 1, &Context::new("trace", &device)).unwrap();
    for step in 0..100 {
        let x = Floats(Tensor::full([1, 1], if step == 0 { 1.0 } else { 0.0 }, &device));
        let found = values(tracer.advance(TracerInputs { x }).value.0)[0];
        assert!((found - (-0.5 * step as f32 / 30.0).exp()).abs() < 1e-5, "step {step}: {found}");
    }
}

#[test]
fn every_tracer_starts_and_resets_at_its_base() {
    let device = Device::flex();
    for name in ["Tracer", "SaturableTracer", "RDTracer", "RFSTracer", "RUTracer"] {
        let config = registry::parse(name, serde_json::json!({}), "test").unwrap();
        let mut tracer = config.instance(&wired(3), 2, &Context::new("trace", &device)).unwrap();
        let start = tracer.save();
        let mut inputs = spark_core::ports::PortValues::default();
        inputs.put("x", Floats(Tensor::ones([2, 3], &device)));
        tracer.step(inputs).unwrap();
        assert_ne!(tracer.save(), start, "{name}");
        tracer.reset();
        assert_eq!(tracer.save(), start, "{name}");
    }
}

#[test]
fn a_masked_reset_leaves_what_is_not_under_the_mask() {
    let device = Device::flex();
    let tracer = Tracer::fixed(10.0, 1.0, 0.5, &device);
    let plan = tracer.plan(1.0);
    let (before, state) =
        tracer.step(&plan, Tensor::ones([1, 2], &device), tracer.initial_state(&plan, 1, 2));
    let state = tracer.masked_reset(&plan, Tensor::from_floats([[1.0, 0.0]], &device), state);
    assert_eq!(values(state.trace), [0.5, values(before)[1]]);
}

#[test]
fn a_resting_resource_answers_a_burst_ever_more_weakly() {
    let device = Device::flex();
    let tracer = RUTracer::fixed(750.0, 5.0, 0.45, &device);
    let plan = tracer.plan(1.0);
    let mut state = tracer.initial_state(&plan, 1, 1);
    let mut answers = Vec::new();
    for step in 0..100 {
        let x = Tensor::full([1, 1], if step % 20 == 0 { 1.0 } else { 0.0 }, &device);
        let value;
        (value, state) = tracer.step(&plan, x, state);
        if step % 20 == 0 {
            answers.push(values(value)[0]);
        }
    }
    assert!(answers.windows(2).all(|pair| pair[1] < pair[0]), "{answers:?}");
}

/// The sum over some steps of the values, weighted so that every step counts differently.
fn weighted<M: TraceModel>(tracer: &M, input: Tensor<2>) -> Tensor<1> {
    let plan = tracer.plan(1.0);
    let mut state = tracer.initial_state(&plan, 1, 2);
    let mut sum = Tensor::zeros([1], &input.device());
    for step in 0..5 {
        let value;
        let x = if step % 2 == 0 { input.clone() } else { input.zeros_like() };
        (value, state) = tracer.step(&plan, x, state);
        sum = sum + value.powi_scalar(2).sum() * (step + 1) as f32;
    }
    sum
}

/// The gradient of the time constant that `tau` picks agrees with a difference, and one reaches the input.
fn check_gradients<M: TraceModel>(
    make: impl Fn(f32, &Device) -> M,
    tau: impl Fn(&M) -> &burn::module::Param<Tensor<1>>,
) {
    let device = Device::flex().autodiff();
    let trained = make(8.0, &device).map(&mut Trained);
    let input = Tensor::<2>::from_floats([[0.7, 0.2]], &device).require_grad();
    let gradients = weighted(&trained, input.clone()).backward();
    let found = tau(&trained).val().grad(&gradients).unwrap().into_scalar::<f32>();
    let at = |tau: f32| {
        let input = Tensor::from_data(TensorData::from([[0.7, 0.2]]), &Device::flex());
        weighted(&make(tau, &Device::flex()), input).into_scalar::<f32>()
    };
    let expected = (at(8.1) - at(7.9)) / 0.2;
    assert!((found - expected).abs() < 2e-2 * expected.abs().max(1e-2), "{found} {expected}");
    let reached = input.grad(&gradients).unwrap().abs().sum().into_scalar::<f32>();
    assert!(reached > 0.0);
}

/// Makes every parameter trained.
struct Trained;

impl burn::module::ModuleMapper for Trained {
    fn map_float<const D: usize>(
        &mut self,
        param: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        param.set_require_grad(true)
    }
}

#[test]
fn gradients_reach_input_and_parameters() {
    check_gradients(|tau, device| Tracer::fixed(tau, 1.0, 0.3, device), |tracer| &tracer.tau);
    check_gradients(
        |tau, device| RDTracer::fixed([tau, 20.0], [1.0, 1.5], device),
        |tracer| &tracer.tau_rise,
    );
    check_gradients(|tau, device| RUTracer::fixed(30.0, tau, 0.4, device), |tracer| &tracer.u_tau);
    check_gradients(
        |tau, device| {
            let config = RFSTracerConfig { tau_rise: tau.into(), ..Default::default() };
            let built = config.build(&wired(2), &Context::new("trace", device));
            built.unwrap_or_else(|defect| panic!("{defect:?}")).tracer
        },
        |tracer| &tracer.tau_rise,
    );
}
