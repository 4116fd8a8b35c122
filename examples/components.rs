//! What the components do, as in textbooks: the membrane of every soma under a step of current, in
//! `somas.png`.
//!
//! ```sh
//! cargo run --release --example components -- pictures
//! ```
//!
//! writes into the folder `pictures`, without an argument into the current one.

use serde_json::{Value, json};
use spark::burn::tensor::Tensor;
use spark::core::component::{Context, Family};
use spark::core::payload::{Currents, Payload, PayloadKind, Potentials, Shape};
use spark::core::ports::{InputShapes, PortValues};
use spark::core::registry::{self, Registration};
use spark::prelude::Device;
use spark::record::{Chart, Figure, Series};
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    write(somas()?, &folder.join("somas.png"))
}

#[allow(clippy::print_stdout)] // To tell where the pictures are.
fn write(charts: Vec<Chart>, path: &Path) -> Result<(), Box<dyn Error>> {
    Figure { charts }.write(path)?;
    println!("{}", path.display());
    Ok(())
}

/// A step of current, and what is set otherwise than by default to show what a soma is known for.
struct Stimulus {
    /// Strength in pA.
    current: f32,
    /// Time that is shown in ms; the current is on but for the first and the last tenth.
    duration: f32,
    /// Fields of the configuration.
    fields: Value,
}

fn stimulus(soma: &str) -> Stimulus {
    let [leaky, interneuron] = [200.0, 200.0];
    let (current, duration, fields) = match soma {
        "LeakySoma" | "CoupledLeakySoma" => (300.0, leaky, json!({})),
        "AdaptiveLeakySoma" => {
            (400.0, 400.0, json!({ "cooldown": 3, "adaptation_delta": 40, "adaptation_subthreshold": 0 }))
        }
        "ExponentialSoma" => (45.0, leaky, json!({ "potential_reset": -60 })),
        // Tonic with adaptation, and an initial burst because the reset is close to the rheobase threshold.
        "AdaptiveExponentialSoma" => (70.0, 400.0, json!({ "potential_reset": -58, "adaptation_delta": 7 })),
        "CoupledAdaptiveExponentialSoma" => {
            (60.0, 400.0, json!({ "potential_reset": -50, "adaptation_delta": 7 }))
        }
        // Regular spiking and chattering.
        "IzhikevichSoma" => (100.0, 400.0, json!({ "recovery_update": 8 })),
        "AdaptiveIzhikevichSoma" => (100.0, 400.0, json!({ "potential_reset": -50, "cooldown": 1 })),
        "QuadraticSoma" => (70.0, leaky, json!({})),
        "AdaptiveQuadraticSoma" => {
            (120.0, 400.0, json!({ "adaptation_delta": 12, "adaptation_subthreshold": 0 }))
        }
        "HodgkinHuxleySoma" => (10.0, 100.0, json!({ "dt": 0.01 })),
        "AdaptiveHodgkinHuxleySoma" => (
            15.0,
            200.0,
            json!({ "dt": 0.01, "adaptation_delta": 2, "adaptation_tau": 50, "adaptation_subthreshold": 0 }),
        ),
        "WangBuzsakiSoma" => (1.0, interneuron, json!({ "dt": 0.02 })),
        "AdaptiveWangBuzsakiSoma" => {
            (2.0, interneuron, json!({ "dt": 0.02, "adaptation_delta": 0.3, "adaptation_subthreshold": 0 }))
        }
        _ => (300.0, leaky, json!({})),
    };
    Stimulus { current, duration, fields }
}

fn somas() -> Result<Vec<Chart>, Box<dyn Error>> {
    let somas = registry::all().into_iter().filter(|known| known.family == Family::Soma);
    somas.map(|soma| membrane(soma, &stimulus(soma.name))).collect()
}

/// One unit under a step of current.
fn membrane(soma: &Registration, stimulus: &Stimulus) -> Result<Chart, Box<dyn Error>> {
    const PEAK: f64 = 20.0;
    let mut fields = json!({ "dt": 0.05 });
    fields.as_object_mut().into_iter().for_each(|all| {
        all.extend(stimulus.fields.as_object().cloned().unwrap_or_default());
    });
    let config = soma.parse(fields, soma.name)?;
    let number = |field: &str| config.to_value()[field].as_f64().unwrap_or_default();
    let dt = number("dt");
    // All but Izhikevich's units count their potential from rest.
    let rest = if soma.name.contains("Izhikevich") { 0.0 } else { number("potential_rest") };
    // The currents of a spike draw it themselves; elsewhere it is a stroke, as there is only its time.
    let stroke = soma.fields().iter().any(|field| field.name == "potential_reset");

    let device = Device::flex();
    let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[1]));
    let mut soma_unit = config.instance(&wired, 1, &Context::new(soma.name, &device))?;
    let (start, end) = (0.1 * f64::from(stimulus.duration), 0.9 * f64::from(stimulus.duration));
    let mut points = vec![(0.0, rest + potential(soma_unit.property("potential")?))];
    for step in 0..(f64::from(stimulus.duration) / dt) as u32 {
        let time = f64::from(step) * dt;
        let strength = if (start..end).contains(&time) { stimulus.current } else { 0.0 };
        let mut inputs = PortValues::default();
        inputs.put("current", Currents(Tensor::full([1, 1], strength, &device)));
        let outputs = soma_unit.step(inputs)?;
        let spiked = outputs.iter().any(|(_, payload)| match payload {
            Payload::Spikes(spikes) => spikes.units().is_some_and(|s| s.into_scalar::<f32>() > 0.0),
            _ => false,
        });
        if spiked && stroke {
            points.push((time + dt, PEAK));
        }
        points.push((time + dt, rest + potential(soma_unit.property("potential")?)));
    }
    let lowest = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let bar = vec![(start, lowest - 8.0), (end, lowest - 8.0)];
    let series = [("membrane".to_owned(), points), (format!("{} pA", stimulus.current), bar)];
    Ok(Chart {
        title: soma.name.to_owned(),
        x: "time (ms)".to_owned(),
        y: "potential (mV)".to_owned(),
        series: series.map(|(name, points)| Series { name, points, marked: false }).to_vec(),
    })
}

fn potential(payload: Payload) -> f64 {
    match payload {
        Payload::Potentials(Potentials(potential)) => f64::from(potential.into_scalar::<f32>()),
        other => unreachable!("the potential of a soma is not {}", other.kind()),
    }
}
