//! The balanced networks of Vogels & Abbott (2005): 3,200 excitatory and 800 inhibitory units, two pairs in a
//! hundred connected, that keep themselves active without input. Strong excitation and stronger inhibition
//! cancel, and units fire at the rare moments at which they do not: irregularly, and each for itself.
//!
//! Prints the mean rate and how irregular the spike trains are, and draws the spikes.
//!
//! ```sh
//! cargo run --release --example balanced_network -- --model cuba
//! cargo run --release --example balanced_network -- --model coba --seconds 2 --seed 3 --out coba.png
//! ```

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use spark::core::component::{Context, Instance};
use spark::core::payload::Payload;
use spark::core::ports::{InputShapes, PortValues};
use spark::nn::controllers::Controller;
use spark::nn::neurons::Balanced;
use spark::prelude::*;
use spark::record::figures::{Chart, Figure, Raster, Series};
use std::path::PathBuf;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: spark::memory::Allocator = spark::memory::Allocator;

/// Simulate a balanced network of integrate-and-fire units
#[derive(Parser)]
struct Args {
    /// Synapses that are currents (cuba) or conductances (coba)
    #[arg(long, value_enum, default_value_t = Model::Cuba)]
    model: Model,
    /// Units, one in five of which inhibits
    #[arg(long, default_value_t = 4000, value_name = "N")]
    units: usize,
    /// Time to simulate
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Seed of connections and of the state at the start
    #[arg(long, default_value_t = 2, value_name = "N")]
    seed: u64,
    /// Where to compute: auto, flex, ndarray, wgpu[:N] or cuda[:N]
    #[arg(long, default_value = "flex", value_name = "DEVICE")]
    device: DeviceChoice,
    /// Print the summary as a line of JSON
    #[arg(long)]
    json: bool,
    /// The picture to write, PNG by its name or else SVG; without, none is written
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Model {
    Cuba,
    Coba,
}

/// Steps in a millisecond.
const PER_MS: usize = 10;

/// Steps whose spikes are brought to the host together.
const CHUNK: usize = 100;

/// The time in ms in which the network settles, which does not count.
const SETTLING: f64 = 100.0;

#[allow(clippy::print_stdout)] // What the program is for.
fn main() -> Result<()> {
    spark::memory::keep_pages();
    let args = Args::parse();
    let milliseconds = args.seconds * 1000.0;
    ensure!(milliseconds > SETTLING && milliseconds < 1e7, "--seconds: expected 0.1 to 10000, without 0.1");
    ensure!(args.units > 0, "--units: expected one at least");
    let model = match args.model {
        Model::Cuba => Balanced::Cuba,
        Model::Coba => Balanced::Coba,
    };
    let context = Context { seed: args.seed, ..Context::new("", &args.device.resolve()?) };
    let mut network = model.config(args.units).build(&InputShapes::default(), 1, &context)?;
    model.start(&mut network, args.seed)?;

    let steps = milliseconds as usize * PER_MS;
    let start = Instant::now();
    let trains = run(&mut network, args.units, steps)?;
    let elapsed = start.elapsed().as_secs_f64();

    let seconds = (milliseconds - SETTLING) / 1000.0;
    let counted = trains.iter().flatten().filter(|time| **time >= SETTLING).count();
    let rate = counted as f64 / args.units as f64 / seconds;
    let irregularity = irregularity(&trains);
    let steps_per_second = steps as f64 / elapsed;
    if args.json {
        let summary = json!({
            "model": format!("{:?}", args.model).to_lowercase(),
            "units": args.units,
            "seconds": milliseconds / 1000.0,
            "rate_hz": rate,
            "cv_isi": irregularity,
            "steps_per_second": steps_per_second,
        });
        println!("{summary}");
    } else {
        println!("rate                {rate:.2} Hz");
        match irregularity {
            Some(cv) => println!("CV of intervals     {cv:.2}"),
            None => println!("CV of intervals     unknown: too few spikes"),
        }
        println!("steps per second    {steps_per_second:.0}, with reading the spikes");
    }
    if let Some(path) = &args.out {
        let title = format!("{:?}, {} units", args.model, args.units).to_uppercase();
        picture(title, &trains, milliseconds).write(path)?;
        if !args.json {
            println!("{}", path.display());
        }
    }
    Ok(())
}

/// The times in ms at which each unit spikes.
fn run(network: &mut Controller, units: usize, steps: usize) -> Result<Vec<Vec<f64>>> {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} ms  {eta}")?;
    let bar = ProgressBar::new((steps / PER_MS) as u64).with_style(style);
    let mut trains = vec![Vec::new(); units];
    for first in (0..steps).step_by(CHUNK) {
        let count = CHUNK.min(steps - first);
        let mut planes = Vec::with_capacity(count);
        for _ in 0..count {
            if let Some(Payload::Spikes(fired)) = network.step(PortValues::default())?.get("out_spikes") {
                planes.extend(fired.units());
            }
        }
        let fired = Tensor::cat(planes, 0).into_data();
        for (place, _) in fired.iter::<f32>().enumerate().filter(|(_, spike)| *spike > 0.0) {
            trains[place % units].push((first + place / units) as f64 / PER_MS as f64);
        }
        bar.set_position(((first + count) / PER_MS) as u64);
    }
    bar.finish_and_clear();
    Ok(trains)
}

/// The standard deviation of intervals between spikes over their mean, averaged over the units that have
/// three at least: 0 for a clock, 1 for a Poisson process.
fn irregularity(trains: &[Vec<f64>]) -> Option<f64> {
    let of_unit = |train: &Vec<f64>| {
        let times: Vec<f64> = train.iter().copied().filter(|time| *time >= SETTLING).collect();
        let intervals: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let count = intervals.len() as f64;
        let mean = intervals.iter().sum::<f64>() / count;
        let variance = intervals.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count;
        (intervals.len() >= 3).then(|| variance.sqrt() / mean)
    };
    let all: Vec<f64> = trains.iter().filter_map(of_unit).collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}

/// Spikes of all units over the rate of the whole network in bins of 5 ms.
fn picture(title: String, trains: &[Vec<f64>], end: f64) -> Figure {
    const BIN: f64 = 5.0;
    let spikes =
        trains.iter().enumerate().flat_map(|(unit, train)| train.iter().map(move |time| (*time, unit)));
    let spikes: Vec<(f64, usize)> = spikes.collect();
    let mut bins = vec![0.0; (end / BIN).ceil() as usize];
    for (time, _) in &spikes {
        bins[(time / BIN) as usize] += 1000.0 / BIN / trains.len() as f64;
    }
    let points = bins.into_iter().enumerate().map(|(bin, rate)| ((bin as f64 + 0.5) * BIN, rate)).collect();
    let rate = Chart::new("rate of the network", "time (ms)", "rate (Hz)", vec![Series::line("", points)]);
    let raster = Raster { title, units: trains.len(), end, spikes, ..Raster::default() };
    Figure::column([raster.into(), rate.into()])
}
