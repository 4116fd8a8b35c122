//! Losses that snnTorch computed from recorded spikes and membranes, with their gradients.

use super::{Case, Checked, agree, floats};
use serde_json::json;
use spark::burn::tensor::Int;
use spark::nn::layers::{NetworkOutput, Temporal};
use spark::prelude::*;
use spark::train::Penalty;

/// The loss of ours that answers a function of snnTorch.
fn loss(case: &Case) -> Checked<Loss> {
    let targets = |kind: &str, correct: &str, incorrect: &str| {
        let (correct, incorrect) = (case.number(correct)?, case.number(incorrect)?);
        Ok(json!({"kind": kind, "correct": correct, "incorrect": incorrect}))
    };
    let config = match case.text("function")? {
        "ce_rate_loss" => Ok(json!({"kind": "step_cross_entropy"})),
        "ce_count_loss" => Ok(json!({"kind": "count_cross_entropy"})),
        "ce_max_membrane_loss" => Ok(json!({"kind": "membrane_cross_entropy"})),
        "ce_temporal_loss" => Ok(json!({"kind": "first_spike_cross_entropy"})),
        "mse_count_loss" => targets("count_mse", "correct_rate", "incorrect_rate"),
        "mse_membrane_loss" => targets("membrane_mse", "on_target", "off_target"),
        "mse_temporal_loss" => targets("first_spike_mse", "on_target", "off_target"),
        other => Err(format!("unknown loss {other}")),
    };
    serde_json::from_value(config?).map_err(|error| error.to_string())
}

pub fn check(case: &Case, device: &Device) -> Checked {
    let device = device.clone().autodiff();
    let name = if case.shape("mem").is_some() { "mem" } else { "spikes" };
    let recorded = case.tensor::<3>(name, &device)?.require_grad();
    let [_, batch, units] = recorded.dims();
    let network = NetworkConfig::mlp(&[1, units], LeakyConfig::default()).init(1, &device);
    let state = network.map_err(|problems| problems.to_string())?.initial_state(batch, &device);
    let output = NetworkOutput {
        output: recorded.clone(),
        spikes: vec![recorded.clone()],
        potential: recorded.clone(),
        state,
        lengths: None,
    };
    let found = if case.text("function")? == "l1_rate_sparsity" {
        let penalty = Penalty::Spikes { weight: case.number("Lambda")? };
        penalty.forward(&output, &[]).ok_or("no term")?
    } else {
        let labels: Vec<i32> = case.values::<i64>("y")?.into_iter().map(|label| label as i32).collect();
        loss(case)?.judge(&output, Tensor::<1, Int>::from_ints(labels.as_slice(), &device)).loss
    };
    agree(&floats(found.clone().inner()), &case.values("loss")?, 1e-5, "loss")?;
    let gradient = recorded.grad(&found.backward()).ok_or("no gradient")?;
    agree(&floats(gradient), &case.values(&format!("grad.{name}"))?, 1e-5, "gradient")
}
