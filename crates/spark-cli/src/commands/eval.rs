//! `spark eval`

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use spark::train::Cost;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use super::{Common, DataArgs, open};
use crate::output::{Output, cost_line, percent, rates};

/// Measure the accuracy of a trained network
#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint, or the folder of a run for its best one
    checkpoint: PathBuf,
    /// Samples to classify
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    common: Common,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Test,
    Train,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.common.json };
    let mut model = open(&args.checkpoint, args.common.device)?;
    args.data.apply(&mut model.config);
    let data = model.config.load_data()?;
    let samples = if args.split == Part::Test { &data.test } else { &data.train };
    let indices: Vec<usize> = (0..samples.labels().len()).collect();

    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} samples {eta}")?;
    let bar = ProgressBar::new(indices.len() as u64).with_style(style);
    let start = Instant::now();
    let evaluation = model
        .config
        .evaluator()
        .evaluate(&model.network, samples, &indices, &model.device, |done| {
            bar.set_position(done as u64);
            true
        })
        .expect("only asked to go on");
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();

    out.text(format_args!("accuracy  {}  of {} samples", percent(evaluation.accuracy), evaluation.samples))?;
    out.text(format_args!("loss      {:.4}", evaluation.loss))?;
    out.text(format_args!("rates     {}  spikes per unit and step, by layer", rates(&evaluation.rates)))?;
    let synapses = model.config.network.synapses()?;
    let cost = synapses.map(|synapses| Cost::of(&synapses, &evaluation.activity));
    if let Some(cost) = &cost {
        out.text(cost_line(evaluation.sparsity, cost))?;
    }
    out.text(format_args!("time      {seconds:.2} s"))?;
    out.text("confusion (row: class, column: prediction)")?;
    let width = data.classes.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(4);
    for (class, row) in evaluation.confusion.iter().enumerate() {
        let cells: String = row.iter().map(|count| format!("{count:>6}")).collect();
        out.text(format_args!("{:>width$} {cells}", data.class(class)))?;
    }
    out.json(&json!({
        "event": "summary",
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "samples": evaluation.samples,
        "rates": evaluation.rates,
        "sparsity": evaluation.sparsity,
        "cost": cost,
        "confusion": evaluation.confusion,
        "classes": data.classes,
        "seconds": seconds,
        "checkpoint": model.path,
    }))?;
    Ok(ExitCode::SUCCESS)
}
