//! What a step of every registered component costs on the CPU: time, and memory asked for.
//!
//! `cargo bench --bench components [-- NAME]`. Each component gets 1,024 units with its default configuration
//! (two numbers of units where there are two sides), spikes of one in fifty units, and 200 steps to settle.

#![allow(clippy::print_stdout)] // The table is what the program is for.

use serde_json::json;
use spark::burn::tensor::{Tensor, TensorData};
use spark::core::component::{Context, Family, Instance};
use spark::core::payload::{Currents, Floats, Kernel, Mask, Payload, PayloadKind, Potentials, Shape, Spikes};
use spark::core::ports::{InputShapes, PortSpec, PortValues};
use spark::core::registry::{self, Registration};
use spark::prelude::{Device, Initializer};
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The program's allocator, counting.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: hands every call on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promises are those of the inner allocator.
        unsafe { spark::memory::Allocator.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the memory came from the inner allocator.
        unsafe { spark::memory::Allocator.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const UNITS: usize = 1024;
const SETTLING: usize = 200;
const STEPS: usize = 1000;

/// What to feed in turn, so that no step sees what the one before saw.
const INPUTS: usize = 50;

fn main() {
    spark::memory::keep_pages();
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let name = |registration: &&&Registration| wanted.as_ref().is_none_or(|name| registration.name == name);
    println!("{:<34} {:>10} {:>12} {:>14}", "component, 1024 units", "µs/step", "calls/step", "bytes/step");
    for registration in registry::all().iter().filter(name) {
        match measure(registration) {
            Ok([time, calls, bytes]) => {
                println!("{:<34} {time:>10.2} {calls:>12.1} {bytes:>14.0}", registration.name);
            }
            Err(error) => println!("{:<34} {error}", registration.name),
        }
    }
}

/// Microseconds, calls of the allocator and bytes asked for, per step.
fn measure(registration: &Registration) -> Result<[f64; 3], Box<dyn std::error::Error>> {
    let device = Device::flex();
    let mut config = registration.default_config();
    if config.get("units").is_some() {
        config["units"] = json!([UNITS]);
    }
    let config = registration.parse(config, "bench")?;
    let ports: Vec<&PortSpec> = registration.inputs.iter().filter(|port| !port.optional).collect();
    let shapes =
        ports.iter().fold(InputShapes::default(), |shapes, port| shapes.with(port.name, shape(port)));
    let mut instance = config.instance(&shapes, 1, &Context::new("bench", &device))?;
    let mut inputs = Inputs::new(&ports, registration.family, &device);
    for step in 0..SETTLING {
        inputs.step(instance.as_mut(), step)?;
    }
    let before = [CALLS.load(Relaxed), BYTES.load(Relaxed)];
    let start = Instant::now();
    for step in 0..STEPS {
        inputs.step(instance.as_mut(), step)?;
    }
    let time = 1e6 * start.elapsed().as_secs_f64();
    let after = [CALLS.load(Relaxed), BYTES.load(Relaxed)];
    let per_step = |total: f64| total / STEPS as f64;
    Ok([per_step(time), per_step((after[0] - before[0]) as f64), per_step((after[1] - before[1]) as f64)])
}

/// What to feed; a port of any type gets numbers.
fn kind(port: &PortSpec) -> PayloadKind {
    port.kind.unwrap_or(PayloadKind::Floats)
}

fn shape(port: &PortSpec) -> Shape {
    match kind(port) {
        PayloadKind::Kernel => Shape::new(PayloadKind::Kernel, &[UNITS, UNITS]),
        kind => Shape::new(kind, &[UNITS]),
    }
}

/// Inputs made beforehand, and the kernel that a rule hands back.
struct Inputs {
    ports: Vec<&'static str>,
    steps: Vec<Vec<Option<Payload>>>,
    kernel: Option<Payload>,
}

impl Inputs {
    fn new(ports: &[&PortSpec], family: Family, device: &Device) -> Self {
        let payload = |port: &&PortSpec, step: usize| {
            let draw = |max: f32| {
                let mut rng = spark::core::seed::rng(step as u64, port.name);
                let values = Initializer::Uniform { min: 0.0, max }.draw(UNITS, 1, &mut rng);
                Tensor::<2>::from_data(TensorData::new(values, [1, UNITS]), device)
            };
            Some(match kind(port) {
                PayloadKind::Spikes => Spikes::new(draw(1.0).lower_scalar(0.02).float()).into(),
                PayloadKind::Currents => Currents(draw(400.0)).into(),
                PayloadKind::Potentials => Potentials(draw(10.0)).into(),
                PayloadKind::Floats => Floats(draw(1.0)).into(),
                PayloadKind::Mask => Mask(Tensor::zeros([UNITS], device)).into(),
                _ => return None,
            })
        };
        let steps = (0..INPUTS).map(|step| ports.iter().map(|port| payload(port, step)).collect());
        let rule = family == Family::Plasticity;
        let kernel = rule.then(|| Kernel(Tensor::full([UNITS, UNITS], 0.5, device)).into());
        Self { ports: ports.iter().map(|port| port.name).collect(), steps: steps.collect(), kernel }
    }

    fn step(&mut self, instance: &mut dyn Instance, step: usize) -> Result<(), Box<dyn std::error::Error>> {
        let mut values = PortValues::default();
        for (port, payload) in self.ports.iter().zip(&self.steps[step % INPUTS]) {
            match payload {
                Some(payload) => values.put(*port, payload.clone()),
                None => values.put(*port, self.kernel.take().ok_or("no kernel to feed")?),
            }
        }
        for (_, payload) in instance.step(values)? {
            if payload.kind() == PayloadKind::Kernel {
                self.kernel = Some(payload);
            }
        }
        Ok(())
    }
}
