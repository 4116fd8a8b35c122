//! What the checkpoint of a training run holds.

use anyhow::Result;
use serde_json::json;
use spark::io::Checkpoint;
use spark::train::{RunFolder, config_of};
use std::path::Path;
use std::process::ExitCode;

use crate::output::Output;

pub fn show(path: &Path, out: Output) -> Result<ExitCode> {
    let path = RunFolder::checkpoint(path);
    let checkpoint = Checkpoint::read(&path)?;
    let config = config_of(&checkpoint, &path)?;

    out.text(format_args!("{}", path.display()))?;
    out.text(format_args!(
        "written by spark {}, seed {}, after {} epochs and {} steps",
        checkpoint.spark, checkpoint.seed, checkpoint.epoch, checkpoint.step
    ))?;
    for (name, value) in &checkpoint.metrics {
        out.text(format_args!("  {name:<20} {value:.4}"))?;
    }
    out.text("\nparameters")?;
    let mut count = 0;
    for (name, data) in &checkpoint.parameters {
        let shape = data.shape().to_vec();
        let values: Vec<f64> = data.iter().collect();
        let moments = Moments::of(&values);
        count += values.len();
        out.text(format_args!(
            "  {name:<24} {:<16} mean {:>9.4}  std {:>8.4}  min {:>9.4}  max {:>9.4}",
            format!("{shape:?}"),
            moments.mean,
            moments.std,
            moments.min,
            moments.max
        ))?;
        out.json(&json!({
            "event": "parameter",
            "name": name,
            "shape": shape,
            "dtype": format!("{:?}", data.dtype()),
            "mean": moments.mean,
            "std": moments.std,
            "min": moments.min,
            "max": moments.max,
        }))?;
    }
    let bytes = |tensors: &std::collections::BTreeMap<String, _>| -> usize {
        tensors.values().map(|data: &spark::burn::tensor::TensorData| data.as_bytes().len()).sum()
    };
    let (parameter_bytes, optimizer_bytes) = (bytes(&checkpoint.parameters), bytes(&checkpoint.optimizer));
    out.text(format_args!(
        "  {count} numbers, {parameter_bytes} bytes; optimizer state {optimizer_bytes} bytes"
    ))?;
    out.text("\nconfiguration")?;
    out.text(serde_json::to_string_pretty(&config)?)?;
    out.json(&json!({
        "event": "summary",
        "checkpoint": path,
        "spark": checkpoint.spark,
        "seed": checkpoint.seed,
        "epoch": checkpoint.epoch,
        "step": checkpoint.step,
        "metrics": checkpoint.metrics,
        "parameters": count,
        "parameter_bytes": parameter_bytes,
        "optimizer_bytes": optimizer_bytes,
        "config": config,
    }))?;
    Ok(ExitCode::SUCCESS)
}

struct Moments {
    mean: f64,
    std: f64,
    min: f64,
    max: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let count = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
        let fold = |start: f64, pick: fn(f64, f64) -> f64| values.iter().copied().fold(start, pick);
        Self {
            mean,
            std: variance.sqrt(),
            min: fold(f64::INFINITY, f64::min),
            max: fold(f64::NEG_INFINITY, f64::max),
        }
    }
}
