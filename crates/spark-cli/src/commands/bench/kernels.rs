//! `spark bench kernels`: single operations, forward and backward.

use anyhow::{Context, Result};
use serde_json::json;
use spark::burn::tensor::{Tensor, TensorData};
use spark::core::seed;
use spark::kernels::spike_matmul;
use spark::prelude::{Device, Initializer};

use super::{Bench, Measurement, Workload};

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spike_matmul_3200x1024x1024_5pct",
        baseline: "Burn's dense product",
        run: |bench| product(bench, false),
    },
    Workload {
        name: "spike_matmul_weight_gradient_3200x1024x1024_5pct",
        baseline: "Burn's dense product, forward and backward",
        run: |bench| product(bench, true),
    },
];

pub(super) fn uniform<const D: usize>(shape: [usize; D], name: &str, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let values = Initializer::Uniform { min: 0.0, max: 1.0 }.draw(count, 1, &mut seed::rng(1, name));
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A product with spikes of which one in twenty is 1; with the gradient of the weight when asked.
fn product(bench: &Bench, backward: bool) -> Result<Measurement> {
    let device = if backward { bench.device.clone().autodiff() } else { bench.device.clone() };
    let spikes = uniform([3200, 1024], "spikes", &device).lower_scalar(0.05).float();
    let weight = uniform([1024, 1024], "weight", &device);
    let weight = if backward { weight.require_grad() } else { weight };
    let scale = uniform([3200, 1024], "scale", &device);
    let pass = |events: bool| {
        let output = if events {
            spike_matmul(spikes.clone(), weight.clone())
        } else {
            spikes.clone().matmul(weight.clone())
        };
        if backward {
            let gradients = (output * scale.clone()).sum().backward();
            weight.grad(&gradients).context("the weight has a gradient")?;
        }
        Ok(())
    };
    let mut measurement = bench.compare(|| pass(true), || pass(false))?;
    measurement.details.insert("density".into(), json!(0.05));
    Ok(measurement)
}
