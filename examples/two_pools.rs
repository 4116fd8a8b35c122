//! Two coupled pools of neurons from a model file: a signal becomes spikes, these drive `pool_a`, which drives
//! itself and `pool_b`, which drives `pool_a` back; Hebbian rules move their synapses, and two outputs follow
//! the activity of `pool_b`.
//!
//! Steps the model under a signal that comes and goes, prints how active every part is, and draws spikes and
//! outputs.
//!
//! ```sh
//! cargo run --release --example two_pools -- --steps 1000 --out two_pools.svg
//! ```

use anyhow::{Context as _, Result};
use clap::Parser;
use spark::burn::tensor::TensorData;
use spark::core::component::Context;
use spark::core::simulation::{Drive, Drives, Record, Simulation};
use spark::io::model;
use spark::prelude::*;
use spark::record::figures::{Chart, Figure, Panel, Raster, Series};
use std::path::PathBuf;

/// Run two coupled pools of neurons from a model file
#[derive(Parser)]
struct Args {
    /// The model
    #[arg(long, default_value = "examples/models/two_pools.json", value_name = "FILE")]
    model: PathBuf,
    /// Steps of one millisecond
    #[arg(long, default_value_t = 1000, value_name = "N")]
    steps: usize,
    /// Where to compute: auto, flex, ndarray, wgpu[:N] or cuda[:N]
    #[arg(long, default_value = "flex", value_name = "DEVICE")]
    device: DeviceChoice,
    /// The picture to write, PNG by its name or else SVG
    #[arg(long, default_value = "two_pools.svg", value_name = "FILE")]
    out: PathBuf,
}

/// The signal is on for so many steps, then off for as many.
const HALF_PERIOD: usize = 250;

#[allow(clippy::print_stdout)] // What the program is for.
fn main() -> Result<()> {
    let args = Args::parse();
    let device = args.device.resolve()?;
    let model = model::read(&args.model)?.model;
    // The file says how wide its inputs are.
    let shapes = model.declared_inputs()?;
    let width = shapes.get("signal").context("the model has no input `signal`")?.count();
    let on = |step: usize| if (step / HALF_PERIOD).is_multiple_of(2) { 1.0 } else { 0.0 };
    let signal = (0..args.steps).flat_map(|step| vec![on(step); width]).collect();
    let drives = Drives::new(&shapes, &[("signal".to_owned(), Drive::Sequence(signal))], &device)?;

    let record = Record { outputs: true, planes: Vec::new() };
    let mut simulation = Simulation::new(&model, drives, &record, &Context::new("", &device))?;
    simulation.run(args.steps, |_, _| true)?;
    for part in simulation.activity() {
        match (part.rate, part.mean) {
            (Some(rate), _) => println!("{:<20} {:>4} units  {rate:>7.1} Hz", part.name, part.units),
            (None, mean) => {
                println!("{:<20} {:>4} units  {:>7.3}", part.name, part.units, mean.unwrap_or(0.0));
            }
        }
    }
    let record = simulation.record().into_iter();
    let panels = record.map(|(name, rows)| panel(&name, &rows, simulation.dt()));
    Figure::column(panels).write(&args.out)?;
    println!("{}", args.out.display());
    Ok(())
}

/// Spikes as dots, anything else as curves; `rows` are `[time, units]`.
fn panel(name: &str, rows: &TensorData, dt: f64) -> Panel {
    let (steps, units) = (rows.shape()[0], rows.shape()[1]);
    let values: Vec<f64> = rows.iter().collect();
    let time = |place: usize| (place / units) as f64 * dt;
    if name.ends_with("spikes") {
        let fired = values.iter().enumerate().filter(|(_, spike)| **spike > 0.0);
        let spikes = fired.map(|(place, _)| (time(place), place % units)).collect();
        let (title, end) = (name.to_owned(), steps as f64 * dt);
        return Raster { title, units, end, spikes, ..Raster::default() }.into();
    }
    let points = |unit: usize| (unit..values.len()).step_by(units).map(|place| (time(place), values[place]));
    let curve = |unit: usize| Series::line(&format!("{unit}"), points(unit).collect());
    Chart::new(name, "time (ms)", name, (0..units).map(curve).collect()).into()
}
