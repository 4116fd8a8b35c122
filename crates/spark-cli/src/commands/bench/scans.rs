//! `spark bench kernels`: scans, forward and backward, against their steps on Burn's autodiff.

use anyhow::{Context, Result};
use spark::burn::tensor::Tensor;
use spark::kernels::{Adaptation, ScanOptions, Unit, UnitState, spike, unit_scan};
use spark::prelude::Device;

use super::kernels::uniform;
use super::{Bench, Measurement, Workload};

const BASELINE: &str = "the same units step by step with Burn's autodiff";
const SHORT: [usize; 3] = [25, 128, 512];

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "leaky_scan_T25_B128_N512",
        baseline: BASELINE,
        run: |bench| scan(bench, SHORT, |_| {}),
    },
    Workload {
        name: "current_scan_T25_B128_N512",
        baseline: BASELINE,
        run: |bench| scan(bench, SHORT, |unit| unit.current_decay = Some(unit.decay.clone() * 0.8)),
    },
    Workload {
        name: "adaptive_scan_T25_B128_N512",
        baseline: BASELINE,
        run: |bench| {
            scan(bench, SHORT, |unit| {
                let adaptation = Adaptation { decay: unit.decay.clone(), strength: unit.decay.clone() * 0.2 };
                unit.adaptation = Some(adaptation);
            })
        },
    },
    Workload {
        name: "integrator_scan_T25_B128_N512",
        baseline: BASELINE,
        run: |bench| scan(bench, SHORT, |unit| unit.threshold = None),
    },
    Workload {
        name: "leaky_scan_learned_T25_B128_N512",
        baseline: BASELINE,
        run: |bench| {
            scan(bench, SHORT, |unit| {
                unit.decay = unit.decay.clone().require_grad();
                unit.threshold = unit.threshold.take().map(Tensor::require_grad);
            })
        },
    },
    Workload {
        name: "leaky_scan_T1000_B64_N1024",
        baseline: "none: its time and memory grow with the square of the steps",
        run: |bench| scan(&Bench { with_baseline: false, ..bench.clone() }, [1000, 64, 1024], |_| {}),
    },
];

/// Forward and backward through a sequence of leaky units with the parts that `add` gives them.
fn scan(bench: &Bench, shape: [usize; 3], add: impl Fn(&mut Unit)) -> Result<Measurement> {
    let device = bench.device.clone().autodiff();
    let input = uniform(shape, "input", &device) * 0.4;
    let scalar = |value: f32| Tensor::<1>::from_floats([value], &device);
    let mut unit =
        Unit { decay: scalar(0.9), threshold: Some(scalar(1.0)), current_decay: None, adaptation: None };
    add(&mut unit);
    let pass = |fused: bool| {
        let input = input.clone().detach().require_grad();
        let output = if fused {
            let potential = unit.threshold.is_none();
            let options = ScanOptions { potential, ..Default::default() };
            let out = unit_scan(input.clone(), start(shape, &unit, &device), unit.clone(), options);
            out.spikes.or(out.potential).context("every unit returns something")?
        } else {
            step_through(input.clone(), start(shape, &unit, &device), &unit)
        };
        // From the outputs themselves, so that no loss is measured.
        let gradients = output.backward();
        input.grad(&gradients).context("the input has a gradient")?;
        Ok(())
    };
    bench.compare(|| pass(true), || pass(false))
}

fn start([_, batch, units]: [usize; 3], unit: &Unit, device: &Device) -> UnitState {
    let zeros = || Tensor::zeros([batch, units], device);
    UnitState {
        membrane: zeros(),
        current: unit.current_decay.as_ref().map(|_| zeros()),
        adaptation: unit.adaptation.as_ref().map(|_| zeros()),
    }
}

/// The baseline: spikes, or potentials of units that do not spike.
fn step_through(input: Tensor<3>, state: UnitState, unit: &Unit) -> Tensor<3> {
    let [time, batch, units] = input.dims();
    let lift = |parameter: &Tensor<1>| parameter.clone().unsqueeze::<2>();
    let UnitState { membrane: mut v, mut current, mut adaptation } = state;
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let mut drive = input.clone().slice_dim(0, t..t + 1).reshape([batch, units]);
        if let (Some(before), Some(decay)) = (&current, &unit.current_decay) {
            drive = before.clone() * lift(decay) + drive;
            current = Some(drive.clone());
        }
        v = v * lift(&unit.decay) + drive;
        let Some(threshold) = &unit.threshold else {
            outputs.push(v.clone());
            continue;
        };
        let mut threshold = lift(threshold);
        if let (Some(a), Some(Adaptation { strength, .. })) = (&adaptation, &unit.adaptation) {
            threshold = a.clone() * lift(strength) + threshold;
        }
        let spikes = spike(v.clone() - threshold.clone(), ScanOptions::default().surrogate);
        if let (Some(a), Some(Adaptation { decay, .. })) = (&adaptation, &unit.adaptation) {
            adaptation = Some(a.clone() * lift(decay) + spikes.clone());
        }
        v = v - spikes.clone().detach() * threshold;
        outputs.push(spikes);
    }
    Tensor::stack(outputs, 0)
}
