//! `spark bench train`: one forward and backward pass and one Adam step on rate-coded digits.

use anyhow::Result;
use serde_json::json;
use spark::burn::tensor::Tensor;
use spark::nn::layers::{Layer, LayerState, Network, NetworkConfig, NetworkOutput, NetworkState};
use spark::prelude::{Encoding, LeakyConfig, Loss, OptimizerConfig, Surrogate, Temporal};
use spark::train::{Batches, Encoder, Learner, Optimizer, Purpose, data};
use std::sync::Arc;

use super::{Bench, Measurement, Workload};

const BASELINE: &str = "the same layers run step by step, with dense products and Burn's autodiff";

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "mlp_784_512_10_T25_B128",
        baseline: BASELINE,
        run: |bench| train(bench, &NetworkConfig::mlp(&[784, 512, 10], leaky()), 25, 128),
    },
    Workload {
        name: "mlp_784_1024_1024_10_T100_B128",
        baseline: BASELINE,
        run: |bench| train(bench, &NetworkConfig::mlp(&[784, 1024, 1024, 10], leaky()), 100, 128),
    },
    Workload {
        name: "mlp_784_1024_1024_10_T100_B128_triangular",
        baseline: BASELINE,
        run: |bench| {
            let surrogate = Surrogate::Triangular { slope: 5.0 };
            let leaky = LeakyConfig { surrogate, ..leaky() };
            train(bench, &NetworkConfig::mlp(&[784, 1024, 1024, 10], leaky), 100, 128)
        },
    },
    Workload {
        name: "mlp_784_1024_10_T1000_B64",
        baseline: BASELINE,
        run: |bench| train(bench, &NetworkConfig::mlp(&[784, 1024, 10], leaky()), 1000, 64),
    },
    Workload {
        name: "conv_12C5_MP2_64C5_MP2_10_T25_B64",
        baseline: BASELINE,
        run: |bench| train(bench, &NetworkConfig::conv([1, 28, 28], 10, leaky()), 25, 64),
    },
];

fn leaky() -> LeakyConfig {
    LeakyConfig { decay: 0.9, ..Default::default() }
}

fn train(bench: &Bench, config: &NetworkConfig, steps: usize, batch: usize) -> Result<Measurement> {
    let device = bench.device.clone().autodiff();
    let digits = Arc::new(data::mnist10k()?.train);
    let encoder = Encoder { encoding: Encoding::default(), steps, seed: 1 };
    let (input, labels) = Batches::new(digits, (0..batch).collect(), encoder, Purpose::Train(0), batch)
        .next()
        .expect("one batch")
        .into_tensors(&device);
    let learner = || -> Result<Learner> {
        let optimizer = Optimizer::new(&OptimizerConfig::default(), None);
        Ok(Learner::new(config.init(1, &device)?, optimizer, Loss::default()))
    };
    let (mut ours, mut baseline) = (learner()?, learner()?);
    let mut measurement = bench.compare(
        || {
            ours.step(input.clone(), labels.clone(), 1e-4)?;
            Ok(())
        },
        || {
            baseline.step_by(input.clone(), labels.clone(), 1e-4, step_by_step)?;
            Ok(())
        },
    )?;
    let rates = learner()?.network.forward(input, None).rates();
    measurement.details.insert("rates".into(), json!(rates));
    Ok(measurement)
}

/// The network as a loop over time, as it would be written without the fused operations.
fn step_by_step(network: &Network, input: Tensor<3>) -> NetworkOutput {
    let [time, batch, inputs] = input.dims();
    let mut state = network.initial_state(batch, &input.device());
    let (mut outputs, mut potentials) = (Vec::with_capacity(time), Vec::with_capacity(time));
    for t in 0..time {
        let mut last = None;
        let mut x = input.clone().slice_dim(0, t..t + 1).reshape([batch, inputs]);
        let mut next = Vec::with_capacity(network.layers.len());
        for (layer, state) in network.layers.iter().zip(state.layers) {
            let after;
            (x, after) = match (layer, state) {
                (Layer::Leaky(leaky), LayerState::Leaky(state)) => {
                    let (spikes, state) = leaky.step(x, state);
                    last = Some(state.membrane.clone());
                    (spikes, LayerState::Leaky(state))
                }
                (Layer::Dense(dense), state) => {
                    let current = x.matmul(dense.weight.val());
                    let current = match &dense.bias {
                        Some(bias) => current + bias.val().unsqueeze(),
                        None => current,
                    };
                    (current, state)
                }
                (layer, state) => layer.step(x, state),
            };
            next.push(after);
        }
        state = NetworkState { layers: next };
        outputs.push(x);
        potentials.extend(last);
    }
    let output: Tensor<3> = Tensor::stack(outputs, 0);
    NetworkOutput {
        spikes: vec![output.clone()],
        output,
        potential: Tensor::stack(potentials, 0),
        state,
        lengths: None,
    }
}
