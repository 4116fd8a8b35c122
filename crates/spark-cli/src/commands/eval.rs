//! `spark eval`

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use super::{Common, DataArgs, open};
use crate::output::{Output, percent, rates};

/// Measure the accuracy of a trained network
#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint, or the folder of a run for its best one
    checkpoint: PathBuf,
    /// Images to classify
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
    let split = model.config.load_data()?;
    let images = Arc::new(if args.split == Part::Test { split.test } else { split.train });
    let indices: Vec<usize> = (0..images.len()).collect();

    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} images {eta}")?;
    let bar = ProgressBar::new(images.len() as u64).with_style(style);
    let start = Instant::now();
    let evaluation = model
        .config
        .evaluator()
        .evaluate(&model.network, &images, &indices, &model.device, |done| {
            bar.set_position(done as u64);
            true
        })
        .expect("only asked to go on");
    let seconds = start.elapsed().as_secs_f64();
    bar.finish_and_clear();

    out.text(format_args!("accuracy  {}  of {} images", percent(evaluation.accuracy), evaluation.samples))?;
    out.text(format_args!("loss      {:.4}", evaluation.loss))?;
    out.text(format_args!("rates     {}  spikes per unit and step, by layer", rates(&evaluation.rates)))?;
    out.text(format_args!("time      {seconds:.2} s"))?;
    out.text("confusion (row: class, column: prediction)")?;
    for (class, row) in evaluation.confusion.iter().enumerate() {
        let cells: String = row.iter().map(|count| format!("{count:>6}")).collect();
        out.text(format_args!("{class:>4} {cells}"))?;
    }
    out.json(&json!({
        "event": "summary",
        "accuracy": evaluation.accuracy,
        "loss": evaluation.loss,
        "samples": evaluation.samples,
        "rates": evaluation.rates,
        "confusion": evaluation.confusion,
        "seconds": seconds,
        "checkpoint": model.path,
    }))?;
    Ok(ExitCode::SUCCESS)
}
