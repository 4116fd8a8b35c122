//! `spark eval`

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use spark::record::{RunAbout, RunWriter, Status, record_layers};
use spark::train::data::Source;
use spark::train::{Batches, Cost, Purpose};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use super::{Common, DataArgs, Restored, open};
use crate::output::{Output, cost_line, percent, rates};

/// Measure the accuracy of a trained network
#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint, or the folder of a run for its best one
    checkpoint: PathBuf,
    /// Samples to classify
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Record the spikes of every layer at every step of the first samples into this folder, which is a run then: see
    /// `spark show`, `spark plot` and `spark report`
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// How many samples to record
    #[arg(long, value_name = "N", default_value_t = 10, requires = "record")]
    record_samples: usize,
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

    if let Some(folder) = &args.record {
        record(folder, &model, samples, &indices[..args.record_samples.min(indices.len())])?;
    }
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

/// Shows samples to a network and keeps what every layer does.
fn record(folder: &Path, model: &Restored, samples: &Arc<dyn Source>, indices: &[usize]) -> Result<()> {
    let about = RunAbout {
        seed: Some(model.config.seed),
        configuration: serde_json::to_value(&model.config)?,
        ..RunAbout::new("eval")
    };
    let run = RunWriter::create(folder, about, false)?;
    let (encoder, count) = (model.config.encoder(), indices.len());
    let batches =
        Batches::new(Arc::clone(samples), indices.to_vec(), encoder, Purpose::Evaluate, count.max(1));
    for batch in batches {
        let (names, lengths) =
            (indices.iter().map(|index| *index as i64).collect::<Vec<_>>(), batch.lengths().to_vec());
        let (input, _) = batch.into_tensors(&model.device);
        let output = model.network.forward(input, None).until(&lengths);
        for window in record_layers("layers", &output, &names) {
            run.window(window)?;
        }
    }
    run.finish(Status::Finished)?;
    Ok(())
}
