//! `spark train`

use anyhow::{Context, Result};
use serde_json::json;
use spark::core::{DeviceChoice, config};
use spark::io::Checkpoint;
use spark::prelude::{Device, Event, Outcome, RunFolder, TrainConfig, Trainer};
use spark::record::figures::{Chart, Figure, Series};
use spark::train::config_of;
use spark::train::data::{Task, TaskData};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::interrupt::{INTERRUPTED, stop_on_ctrl_c};
use super::train_flags::Flags;
use super::train_init::Origin;
use super::train_progress::Progress;
use super::{Common, train_init};
use crate::output::{Output, cost_line, percent};

/// Train a network by surrogate gradient
///
/// Without options: 784-512-10 leaky integrate-and-fire units on the digits that ship with spark, rate
/// coded over 25 steps. Sequences (--task, --rows) meet a recurrent network and are shown a step a frame. Ctrl-C finishes the step in progress, saves and exits with 130; --resume goes on.
#[derive(clap::Args)]
#[command(args_override_self = true)]
pub struct Args {
    /// Configuration file (JSON); fields that are absent keep their default
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the configuration and stop
    #[arg(long)]
    print_config: bool,
    /// Go on from a checkpoint or the latest one of a run folder, exactly as if never stopped
    #[arg(long, value_name = "PATH", conflicts_with_all = ["config", "out"])]
    resume: Option<PathBuf>,
    #[command(flatten)]
    start: train_init::Start,
    /// Folder of the run (default: the next free runs/NAME-NNN)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace the run that --out holds
    #[arg(long, requires = "out")]
    overwrite: bool,
    /// Split every batch over several devices, such as cuda:0,cuda:1; a device named twice takes two parts at a time.
    /// Results are those of one device with --micro-batch of the size of a part
    #[arg(long, value_name = "DEVICES", value_delimiter = ',', conflicts_with = "device")]
    devices: Vec<DeviceChoice>,
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    flags: Flags,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.common.json };
    let resumed = args.resume.as_deref().map(latest).transpose()?;
    let origin = args.start.open()?;
    let begun = origin.as_ref().and_then(|origin| origin.config.as_ref());
    let mut config = match (&resumed, &args.config) {
        (Some((path, checkpoint)), _) => config_of(checkpoint, path)?,
        (None, Some(path)) => config::read(path)?,
        (None, None) => begun.cloned().unwrap_or_default(),
    };
    let given = resumed.is_some() || args.config.is_some() || begun.is_some();
    let data = args.flags.apply(&mut config, given)?;
    config.validate().context("the configuration is not valid")?;
    if args.print_config {
        out.json(&config)?;
        out.text(serde_json::to_string_pretty(&config)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let devices = devices(args)?;
    let stop = stop_on_ctrl_c()?;
    let mut trainer = trainer(args, &config, data, origin, resumed, &devices)?;
    let folder = trainer.folder().clone();

    let mut progress = Progress::new(out)?;
    let result = trainer.run(&mut |event: &Event| progress.event(event), &stop);
    progress.finish();
    let outcome = result?;
    // The network is what matters: a picture that cannot be written is no failure of the training.
    if let Err(error) = curves(&folder) {
        eprintln!("warning: {error:#}");
    }
    let reported = progress.into_result().map_err(Into::into);
    let reported = reported.and_then(|()| report(out, &folder, &config, &outcome));
    if outcome.interrupted {
        return Ok(ExitCode::from(INTERRUPTED));
    }
    reported.map(|()| ExitCode::SUCCESS)
}

/// The checkpoint to go on from: a file itself, or the latest one of a folder.
fn latest(path: &Path) -> Result<(PathBuf, Checkpoint)> {
    let path = if path.is_dir() { RunFolder::of(path).last() } else { path.to_owned() };
    let checkpoint = Checkpoint::read(&path)?;
    Ok((path, checkpoint))
}

/// Where to train: at least one device.
fn devices(args: &Args) -> Result<Vec<Device>> {
    let named = match &args.devices[..] {
        [] => std::slice::from_ref(&args.common.device),
        several => several,
    };
    Ok(named.iter().map(|choice| choice.resolve()).collect::<Result<_, _>>()?)
}

/// Everything that can fail for what the user gave happens before a folder is made.
fn trainer(
    args: &Args,
    config: &TrainConfig,
    data: Option<TaskData>,
    origin: Option<Origin>,
    resumed: Option<(PathBuf, Checkpoint)>,
    devices: &[Device],
) -> Result<Trainer> {
    config.check_devices(devices.len())?;
    let data = match data {
        Some(data) => {
            config.check_rule()?;
            config.check_data(&data)?;
            data
        }
        None => config.load_data()?,
    };
    let initial = origin.map(|origin| origin.parameters(config)).transpose()?;
    if let Some((path, checkpoint)) = resumed {
        let folder = RunFolder::of(&path);
        let mut trainer = Trainer::resume(config.clone(), data, folder, &devices[0], checkpoint, &path)?;
        trainer.share(&devices[1..])?;
        return Ok(trainer);
    }
    let folder = match &args.out {
        Some(path) => RunFolder::create(path, args.overwrite)?,
        None => {
            let folder = config.data.folder.as_deref().and_then(Path::file_name);
            let name = match (folder, &config.data.task) {
                (Some(folder), _) => folder.to_string_lossy(),
                (None, Task::Mnist { .. }) => "mnist10k".into(),
                (None, task) => task.name().into(),
            };
            RunFolder::numbered("runs".as_ref(), &name)?
        }
    };
    let mut trainer = Trainer::new(config.clone(), data, folder, &devices[0])?;
    trainer.share(&devices[1..])?;
    if let Some(parameters) = initial {
        trainer.start_from(parameters)?;
    }
    Ok(trainer)
}

fn report(out: Output, folder: &RunFolder, config: &TrainConfig, outcome: &Outcome) -> Result<()> {
    let (best, latest) = (outcome.best.as_ref(), outcome.latest.as_ref());
    if outcome.interrupted {
        out.text(format_args!("interrupted; go on with: spark train --resume {}", folder.path().display()))?;
    } else if let Some(best) = best {
        let how = if best.validation_accuracy.is_some() { "by validation" } else { "by training loss" };
        out.text(format_args!(
            "best epoch {how}: {}, test accuracy {} ({:.1} s in all)",
            best.epoch,
            percent(best.test_accuracy),
            outcome.seconds
        ))?;
        if let Some(cost) = best.cost {
            out.text(cost_line(best.sparsity, &cost))?;
        }
    }
    out.text(format_args!("checkpoint  {}", outcome.checkpoint.display()))?;
    out.text(format_args!("curves      {}", folder.curves().display()))?;
    out.json(&json!({
        "event": "summary",
        "interrupted": outcome.interrupted,
        "test_accuracy": best.map(|epoch| epoch.test_accuracy),
        "validation_accuracy": best.and_then(|epoch| epoch.validation_accuracy),
        "train_loss": latest.map(|epoch| epoch.train_loss),
        "last_test_accuracy": latest.map(|epoch| epoch.test_accuracy),
        "best_epoch": best.map(|epoch| epoch.epoch),
        "epochs": latest.map_or(0, |epoch| epoch.epoch),
        "step": outcome.step,
        "rates": best.map(|epoch| &epoch.rates),
        "sparsity": best.map(|epoch| epoch.sparsity),
        "cost": best.and_then(|epoch| epoch.cost),
        "seconds": outcome.seconds,
        "seed": config.seed,
        "checkpoint": outcome.checkpoint,
        "folder": folder.path(),
        "curves": folder.curves(),
    }))?;
    Ok(())
}

/// Draws loss and accuracy of a run from its log.
fn curves(folder: &RunFolder) -> Result<()> {
    let mut step_loss = Vec::new();
    let mut per_epoch = Vec::new();
    for event in folder.events()? {
        match event {
            Event::Step { step, loss, .. } => step_loss.push((step as f64, loss)),
            Event::Epoch(record) => per_epoch.push(record),
            Event::Start { .. } | Event::Warning { .. } | Event::Checkpoint { .. } => {}
        }
    }
    let curve = |name: &str, value: &dyn Fn(&spark::train::EpochRecord) -> Option<(f64, f64)>| {
        Series::marked(name, per_epoch.iter().filter_map(value).collect())
    };
    let loss = Chart::new(
        "Loss",
        "step",
        "loss",
        vec![
            Series::line("training, per step", step_loss),
            curve("validation", &|r| Some((r.step as f64, r.validation_loss?))),
            curve("test", &|r| Some((r.step as f64, r.test_loss))),
        ],
    );
    let accuracy = Chart::new(
        "Accuracy",
        "epoch",
        "accuracy (%)",
        vec![
            curve("training", &|r| Some((r.epoch as f64, 100.0 * r.train_accuracy))),
            curve("validation", &|r| Some((r.epoch as f64, 100.0 * r.validation_accuracy?))),
            curve("test", &|r| Some((r.epoch as f64, 100.0 * r.test_accuracy))),
        ],
    );
    let mut charts = [loss, accuracy];
    for chart in &mut charts {
        chart.series.retain(|series| !series.points.is_empty());
    }
    Ok(Figure::grid(charts.map(Into::into), 2).write(&folder.curves())?)
}
