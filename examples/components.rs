//! What the components do, as in textbooks: the membrane of every soma under a step of current in
//! `somas.png`, what every learning rule makes of pairs of spikes in `plasticity.png`.
//!
//! ```sh
//! cargo run --release --example components -- pictures
//! ```
//!
//! writes into the folder `pictures`, without an argument into the current one.

use serde_json::{Value, json};
use spark::burn::tensor::Tensor;
use spark::core::component::{Context, Family};
use spark::core::payload::{Currents, Floats, Kernel, Payload, PayloadKind, Potentials, Shape, Spikes};
use spark::core::ports::{InputShapes, PortValues};
use spark::core::registry::{self, Registration};
use spark::prelude::Device;
use spark::record::figures::{Chart, Figure, Series};
use std::error::Error;
use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    std::fs::create_dir_all(&folder)?;
    write(somas()?, &folder.join("somas.png"))?;
    write(plasticity()?, &folder.join("plasticity.png"))
}

#[allow(clippy::print_stdout)] // To tell where the pictures are.
fn write(charts: Vec<Chart>, path: &Path) -> Result<(), Box<dyn Error>> {
    Figure::grid(charts.into_iter().map(Into::into), 4).write(path)?;
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
    let (current, duration, fields) = match soma {
        "LeakySoma" | "CoupledLeakySoma" => (300.0, 200.0, json!({})),
        "AdaptiveLeakySoma" => {
            (400.0, 400.0, json!({ "cooldown": 3, "adaptation_delta": 40, "adaptation_subthreshold": 0 }))
        }
        "ExponentialSoma" => (45.0, 200.0, json!({ "potential_reset": -60 })),
        // Tonic with adaptation, and an initial burst because the reset is close to the rheobase threshold.
        "AdaptiveExponentialSoma" => (70.0, 400.0, json!({ "potential_reset": -58, "adaptation_delta": 7 })),
        "CoupledAdaptiveExponentialSoma" => {
            (60.0, 400.0, json!({ "potential_reset": -50, "adaptation_delta": 7 }))
        }
        // Regular spiking and chattering.
        "IzhikevichSoma" => (100.0, 400.0, json!({ "recovery_update": 8 })),
        "AdaptiveIzhikevichSoma" => (100.0, 400.0, json!({ "potential_reset": -50, "cooldown": 1 })),
        "QuadraticSoma" => (70.0, 200.0, json!({})),
        "AdaptiveQuadraticSoma" => {
            (120.0, 400.0, json!({ "adaptation_delta": 12, "adaptation_subthreshold": 0 }))
        }
        "HodgkinHuxleySoma" => (10.0, 100.0, json!({ "dt": 0.01 })),
        "AdaptiveHodgkinHuxleySoma" => (
            15.0,
            200.0,
            json!({ "dt": 0.01, "adaptation_delta": 2, "adaptation_tau": 50, "adaptation_subthreshold": 0 }),
        ),
        "WangBuzsakiSoma" => (1.0, 200.0, json!({ "dt": 0.02 })),
        "AdaptiveWangBuzsakiSoma" => {
            (2.0, 200.0, json!({ "dt": 0.02, "adaptation_delta": 0.3, "adaptation_subthreshold": 0 }))
        }
        _ => (300.0, 200.0, json!({})),
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
    if let (Value::Object(all), Value::Object(own)) = (&mut fields, &stimulus.fields) {
        all.extend(own.clone());
    }
    let config = soma.parse(fields, soma.name)?;
    let number = |field: &str| config.to_value()[field].as_f64().unwrap_or_default();
    let dt = number("dt");
    // All but Izhikevich's units count their potential from rest.
    let rest = if soma.name.contains("Izhikevich") { 0.0 } else { number("potential_rest") };
    // The currents of a spike draw it themselves; elsewhere it is a stroke, as there is only its time.
    let stroke = soma.fields().iter().any(|field| field.name == "potential_reset");

    let device = Device::flex();
    let wired = InputShapes::default().with("current", Shape::new(PayloadKind::Currents, &[1]));
    let mut unit = config.instance(&wired, 1, &Context::new(soma.name, &device))?;
    let (start, end) = (0.1 * f64::from(stimulus.duration), 0.9 * f64::from(stimulus.duration));
    let mut points = vec![(0.0, rest + potential(unit.property("potential")?))];
    for step in 0..(f64::from(stimulus.duration) / dt) as u32 {
        let time = f64::from(step) * dt;
        let strength = if (start..end).contains(&time) { stimulus.current } else { 0.0 };
        let mut inputs = PortValues::default();
        inputs.put("current", Currents(Tensor::full([1, 1], strength, &device)));
        let outputs = unit.step(inputs)?;
        let spiked = outputs.iter().any(|(_, payload)| match payload {
            Payload::Spikes(spikes) => spikes.units().is_some_and(|s| s.into_scalar::<f32>() > 0.0),
            _ => false,
        });
        if spiked && stroke {
            points.push((time + dt, PEAK));
        }
        points.push((time + dt, rest + potential(unit.property("potential")?)));
    }
    let lowest = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let bar = vec![(start, lowest - 8.0), (end, lowest - 8.0)];
    let series = [points, bar].map(|points| Series::line("", points)).to_vec();
    let title = format!("{}, {} pA", soma.name, stimulus.current);
    Ok(Chart::new(&title, "time (ms)", "potential (mV)", series))
}

fn potential(payload: Payload) -> f64 {
    match payload {
        Payload::Potentials(Potentials(potential)) => f64::from(potential.into_scalar::<f32>()),
        other => unreachable!("the potential of a soma is not {}", other.kind()),
    }
}

/// What one synapse meets in one step.
#[derive(Clone, Copy, Default)]
struct Event {
    pre: bool,
    post: bool,
    /// Modulation, reward or plateau.
    third: f32,
}

/// Ports that only some uses of a rule wire.
const OPTIONAL: [&str; 2] = ["sign", "inhibition_mask"];

/// Follows one synapse of a rule through events; returns its weight, or its current, after every step.
fn follow(
    rule: &Registration,
    fields: Value,
    weight: f32,
    events: impl Iterator<Item = Event>,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let device = Device::flex();
    let row = |value: f32| Tensor::<2>::full([1, 1], value, &device);
    let ports = || {
        let used = rule.inputs.iter().filter(|port| !OPTIONAL.contains(&port.name));
        used.filter_map(|port| Some((port.name, port.kind?)))
    };
    let wired = ports().fold(InputShapes::default(), |wired, (port, kind)| {
        let units: &[usize] = if kind == PayloadKind::Kernel { &[1, 1] } else { &[1] };
        wired.with(port, Shape::new(kind, units))
    });
    let config = rule.parse(fields, rule.name)?;
    let mut synapse = config.instance(&wired, 1, &Context::new(rule.name, &device))?;
    let (mut kernel, mut course) = (row(weight), Vec::new());
    for event in events {
        let mut inputs = PortValues::default();
        for (port, kind) in ports() {
            let spiked = if port == "pre_spikes" { event.pre } else { event.post };
            let payload: Payload = match kind {
                PayloadKind::Spikes => Spikes::new(row(f32::from(u8::from(spiked)))).into(),
                PayloadKind::Floats => Floats(row(event.third)).into(),
                PayloadKind::Currents => Currents(row(100.0 * f32::from(u8::from(event.pre)))).into(),
                PayloadKind::Kernel => Kernel(kernel.clone()).into(),
                other => return Err(format!("{}: nothing feeds {other}", rule.name).into()),
            };
            inputs.put(port, payload);
        }
        for (_, output) in synapse.step(inputs)? {
            match output {
                Payload::Kernel(Kernel(next)) => kernel = next,
                Payload::Currents(Currents(next)) => kernel = next,
                other => return Err(format!("{}: gives {}", rule.name, other.kind()).into()),
            }
        }
        course.push(f64::from(kernel.clone().into_scalar::<f32>()));
    }
    Ok(course)
}

fn plasticity() -> Result<Vec<Chart>, Box<dyn Error>> {
    let rules = registry::all().into_iter().filter(|known| known.family == Family::Plasticity);
    let charts = rules.map(|rule| match rule.name {
        "BTSPRule" | "ModulatedBTSPRule" => plateaus(rule),
        "HomeostaticScaling" => rates(rule),
        "RUShortTermPlasticity" => train(rule),
        _ => pairs(rule),
    });
    charts.collect()
}

fn curve(rule: &Registration, [x, y]: [&str; 2], what: &str, points: Vec<(f64, f64)>) -> Chart {
    Chart::new(&format!("{}, {what}", rule.name), x, y, vec![Series::line("", points)])
}

const WEIGHT: f32 = 0.5;

/// One pair of spikes at every distance in time, under a steady third factor of 1.
fn pairs(rule: &Registration) -> Result<Chart, Box<dyn Error>> {
    const PRE: i32 = 120;
    let mut points = Vec::new();
    for lag in -100..=100 {
        let events = (0..2 * PRE).map(|step| Event { pre: step == PRE, post: step == PRE + lag, third: 1.0 });
        let course = follow(rule, json!({}), WEIGHT, events)?;
        points.push((f64::from(lag), course[course.len() - 1] - f64::from(WEIGHT)));
    }
    Ok(curve(rule, ["post − pre (ms)", "change of weight (pA)"], "one pair", points))
}

/// A burst of ten presynaptic spikes and a plateau of 300 ms at every distance in time.
fn plateaus(rule: &Registration) -> Result<Chart, Box<dyn Error>> {
    const DT: i32 = 10;
    let mut points = Vec::new();
    for lag in (-400..=400).step_by(10) {
        let events = (0..1500).map(|step: i32| Event {
            pre: (500..600).contains(&step) && step % 10 == 0,
            post: false,
            third: f32::from(u8::from((550 + lag..580 + lag).contains(&step))),
        });
        let course = follow(rule, json!({ "dt": DT }), WEIGHT, events)?;
        points.push((f64::from(lag * DT) / 1000.0, course[course.len() - 1] - f64::from(WEIGHT)));
    }
    Ok(curve(rule, ["plateau − spikes (s)", "change of weight (pA)"], "one plateau", points))
}

/// A minute at every rate of the postsynaptic unit.
fn rates(rule: &Registration) -> Result<Chart, Box<dyn Error>> {
    const STEPS: u32 = 6_000;
    let mut points = Vec::new();
    for rate in 0..=20u32 {
        // Spikes are as even as steps of 10 ms allow.
        let post = |step: u32| (step + 1) * rate / 100 > step * rate / 100;
        let events = (0..STEPS).map(|step| Event { post: post(step), ..Event::default() });
        let course = follow(rule, json!({ "dt": 10 }), WEIGHT, events)?;
        points.push((f64::from(rate), course[course.len() - 1] / f64::from(WEIGHT)));
    }
    Ok(curve(rule, ["postsynaptic rate (Hz)", "weight after / before"], "one minute", points))
}

/// Ten spikes at 20 Hz that bring 100 pA each, and one half a second later.
fn train(rule: &Registration) -> Result<Chart, Box<dyn Error>> {
    let events = (0..1100)
        .map(|step| Event { pre: (step % 50 == 0 && step < 500) || step == 1000, ..Event::default() });
    let course = follow(rule, json!({}), 0.0, events)?;
    let points = course.into_iter().enumerate().map(|(step, current)| (step as f64, current)).collect();
    Ok(curve(rule, ["time (ms)", "current (pA)"], "spikes of 100 pA", points))
}
