//! A first network: 200 leaky integrate-and-fire units behind synapses, driven by 100 random spike trains.
//!
//! Prints how fast the units fire at each rate of the inputs (an f–I curve), and draws that curve and the
//! spikes at one of the rates.
//!
//! ```sh
//! cargo run --release --example lif_population -- lif_population.svg
//! ```

use spark::core::component::{Context, Instance};
use spark::core::model::ModuleSpec;
use spark::core::payload::{Floats, Payload, PayloadKind, Shape};
use spark::core::ports::{InputShapes, PortValues};
use spark::nn::components::somas::AdaptiveLeakySomaConfig;
use spark::nn::components::synapses::TracedSynapsesConfig;
use spark::nn::controllers::{Controller, NeuronConfig};
use spark::nn::interfaces::input::PoissonSpikerConfig;
use spark::prelude::*;
use spark::record::figures::{Chart, Figure, Raster, Series};
use std::error::Error;
use std::path::PathBuf;

const INPUTS: usize = 100;
const UNITS: usize = 200;

/// Steps of one millisecond.
const STEPS: usize = 1000;

/// The rate of the inputs, in Hz, whose spikes are drawn.
const DRAWN: usize = 40;

#[allow(clippy::print_stdout)] // What the program is for.
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("lif_population.svg"), PathBuf::from);
    let mut population = population(&Device::flex())?;
    let (mut curve, mut drawn) = (Vec::new(), Vec::new());
    println!("inputs (Hz)  units (Hz)");
    for input in (0..=100).step_by(10) {
        let spikes = run(&mut population, input as f32)?;
        let rate = spikes.len() as f64 / UNITS as f64 / (STEPS as f64 / 1000.0);
        println!("{input:>11}  {rate:>10.1}");
        curve.push((input as f64, rate));
        if input == DRAWN {
            drawn = spikes;
        }
    }
    let title = format!("inputs of {DRAWN} Hz");
    let raster = Raster { title, units: UNITS, end: STEPS as f64, spikes: drawn, ..Raster::default() };
    let series = vec![Series::marked("", curve)];
    let curve = Chart::new("f–I curve", "rate of the inputs (Hz)", "rate of the units (Hz)", series);
    Figure::column([raster.into(), curve.into()]).write(&path)?;
    println!("{}", path.display());
    Ok(())
}

/// Three modules, wired by name: a signal between 0 and 1 becomes spikes, spikes become currents, and these
/// make the units fire.
fn population(device: &Device) -> Result<Controller, Box<dyn Error>> {
    // At a signal of 1, inputs fire at 100 Hz.
    let spiker = PoissonSpikerConfig { max_freq: 100.0, ..Default::default() };
    // Every spike adds up to 12 pA to a current that decays in 5 ms.
    let kernel = serde_json::from_str(r#"{"kind": "uniform", "scale": 12}"#)?;
    let synapses = TracedSynapsesConfig { kernel, tau: 5.0.into(), ..Default::default() };
    // 200 pA bring a unit from its rest at −60 mV to the threshold of −40 mV.
    let soma = AdaptiveLeakySomaConfig { cooldown: Some(3.0.into()), ..Default::default() };
    let config =
        NeuronConfig { units: vec![UNITS], seed: Some(1), inhibitory_rate: 0.0, ..Default::default() }
            .with(ModuleSpec::new("spiker", &spiker).input("signal", "__call__.signal"))
            .with(ModuleSpec::new("synapses", &synapses).input("spikes", "spiker.spikes"))
            .with(
                ModuleSpec::new("soma", &soma)
                    .input("current", "synapses.currents")
                    .output("out_spikes", "spikes"),
            );
    let inputs = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[INPUTS]));
    Ok(config.build(&inputs, 1, &Context::new("", device))?)
}

/// Time in ms and unit of every spike, for inputs of a rate in Hz.
fn run(population: &mut Controller, rate: f32) -> Result<Vec<(f64, usize)>, Box<dyn Error>> {
    let signal = Tensor::full([1, INPUTS], rate / 100.0, &Device::flex());
    population.reset();
    let mut spikes = Vec::new();
    for step in 0..STEPS {
        let mut inputs = PortValues::default();
        inputs.put("signal", Floats(signal.clone()));
        let outputs = population.step(inputs)?;
        let Some(Payload::Spikes(fired)) = outputs.get("out_spikes") else { continue };
        let Some(fired) = fired.units().map(Tensor::into_data) else { continue };
        let fired = fired.iter::<f32>().enumerate().filter(|(_, spike)| *spike > 0.0);
        spikes.extend(fired.map(|(unit, _)| (step as f64, unit)));
    }
    Ok(spikes)
}
