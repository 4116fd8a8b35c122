//! Balanced networks of 4,000 units, as benchmarks of simulators have them.

use anyhow::Result;
use serde_json::{Map, json};
use spark::burn::tensor::Tensor;
use spark::core::component::{Context, Instance};
use spark::core::payload::Payload;
use spark::core::ports::{InputShapes, PortValues};
use spark::nn::controllers::Controller;
use spark::nn::neurons::Balanced;
use spark::prelude::Device;

use super::sim::uniform;
use super::{Bench, Measurement, Workload};

const DENSE: &str = "dense products and Burn operations";

pub const WORKLOADS: &[Workload] = &[
    Workload { name: "cuba_4000", baseline: DENSE, run: |bench| measure(Balanced::Cuba, bench) },
    Workload { name: "coba_4000", baseline: DENSE, run: |bench| measure(Balanced::Coba, bench) },
];

const UNITS: usize = 4000;

/// How many of them excite.
const EXCITATORY: usize = 3200;

/// Steps of 0.1 ms before anything is measured.
const WARM_UP: usize = 3000;

/// Steps of one measured run.
const STEPS: usize = 2000;

/// The same of the baseline, whose time does not depend on what it computes.
const BASELINE_STEPS: usize = 10;

fn measure(model: Balanced, bench: &Bench) -> Result<Measurement> {
    let mut network =
        model.config(UNITS).build(&InputShapes::default(), 1, &Context::new("", &bench.device))?;
    model.start(&mut network, 1)?;
    for _ in 0..WARM_UP {
        network.step(PortValues::default())?;
    }
    let rate = rate(&mut network)?;
    let mut dense = dense(model, &bench.device);
    let mut found = bench.compare(
        || {
            (0..STEPS).try_for_each(|_| {
                network.step(PortValues::default())?;
                Ok(())
            })
        },
        || {
            (0..BASELINE_STEPS).for_each(|_| dense());
            Ok(())
        },
    )?;
    found.ours /= STEPS as f64;
    found.baseline = found.baseline.map(|baseline| baseline / BASELINE_STEPS as f64);
    found.details = Map::from_iter([
        ("output_hz".to_owned(), json!(rate)),
        ("steps_per_second".to_owned(), json!((1e3 / found.ours).round())),
    ]);
    Ok(found)
}

/// Spikes of a unit in a second.
fn rate(network: &mut Controller) -> Result<f32> {
    const STEPS: usize = 5000;
    let mut spikes = 0.0;
    for _ in 0..STEPS {
        let outputs = network.step(PortValues::default())?;
        if let Some(Payload::Spikes(fired)) = outputs.get("out_spikes") {
            spikes += fired.units().map_or(0.0, |fired| fired.sum().into_scalar::<f32>());
        }
    }
    Ok(spikes / UNITS as f32 / (STEPS as f32 * 1e-4))
}

/// A step in Burn's operations, first excitatory units, then inhibitory ones.
fn dense(model: Balanced, device: &Device) -> impl FnMut() + use<> {
    let kernel = |name: &str, pre: usize, weight: f32| {
        uniform([pre, UNITS], name, 1.0, device).lower_scalar(0.02).float() * weight
    };
    let (weights, rest) = match model {
        Balanced::Cuba => ([16.2, 90.0], -49.0),
        Balanced::Coba => ([6.0, 67.0], -60.0),
    };
    let [from_e, from_i] =
        [kernel("excitatory", EXCITATORY, weights[0]), kernel("inhibitory", UNITS - EXCITATORY, weights[1])];
    let zeros = Tensor::<2>::zeros([1, UNITS], device);
    let (mut e, mut i, mut v, mut since) =
        (zeros.clone(), zeros.clone(), zeros.clone(), zeros.clone() + 50.0);
    let mut spikes = zeros;
    move || {
        let [exciting, inhibiting] =
            [0..EXCITATORY, EXCITATORY..UNITS].map(|units| spikes.clone().slice_dim(1, units));
        e = e.clone() * 0.980_198_7 + exciting.matmul(from_e.clone());
        i = i.clone() * 0.990_049_8 + inhibiting.matmul(from_i.clone());
        let current = match model {
            Balanced::Cuba => e.clone() - i.clone(),
            Balanced::Coba => e.clone() * (-v.clone() - rest) + i.clone() * (-v.clone() - 80.0 - rest),
        };
        let held = since.clone().lower_scalar(50.0);
        v = v.clone() * 0.995_012_5 + current * (0.1 * 0.004_987_521);
        v = v.clone().mask_fill(held, -60.0 - rest);
        let fired = v.clone().greater_scalar(-50.0 - rest);
        v = v.clone().mask_fill(fired.clone(), -60.0 - rest);
        since = (since.clone() + 1.0).mask_fill(fired.clone(), 0.0);
        spikes = fired.float();
    }
}
