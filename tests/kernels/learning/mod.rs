//! Learning rules as components: what holds for all of them, pairing curves, recordings of other simulators,
//! gradients.

mod gradients;
mod pairing;
mod properties;
mod recorded;

use serde_json::Value;
use spark::burn::tensor::TensorData;
use spark::core::component::{Context, Instance};
use spark::core::payload::{Floats, Kernel, Payload, PayloadKind, Shape, Spikes};
use spark::core::ports::{InputShapes, PortValues};
use spark::core::registry;
use spark::prelude::*;

fn tensor<const D: usize>(values: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), device)
}

fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

/// A component by its name.
fn instance(
    name: &str,
    config: &Value,
    wired: &InputShapes,
    batch: usize,
    device: &Device,
) -> Box<dyn Instance> {
    let config = registry::parse(name, config.clone(), name).unwrap();
    config.instance(wired, batch, &Context::new("rule", device)).unwrap()
}

fn spikes(units: usize) -> Shape {
    Shape::new(PayloadKind::Spikes, &[units])
}

/// What a rule between `pre` and `post` units is wired to.
fn wired(pre: usize, post: usize) -> InputShapes {
    InputShapes::default()
        .with("pre_spikes", spikes(pre))
        .with("post_spikes", spikes(post))
        .with("kernel", Shape::new(PayloadKind::Kernel, &[post, pre]))
}

fn kernel_of(outputs: &PortValues) -> Tensor<2> {
    match outputs.get("kernel") {
        Some(Payload::Kernel(Kernel(kernel))) => kernel.clone(),
        other => panic!("{other:?}"),
    }
}

/// A rule between single units that lie side by side: synapse `i` joins unit `i` to unit `i`, the others are
/// not looked at.
struct Diagonal {
    rule: Box<dyn Instance>,
    kernel: Option<Tensor<2>>,
    units: usize,
    device: Device,
}

impl Diagonal {
    fn new(name: &str, config: &Value, weight: f32, units: usize, device: &Device) -> Self {
        let shapes = match name {
            "RewardModulatedSTDP" => {
                wired(units, units).with("reward", Shape::new(PayloadKind::Floats, &[1]))
            }
            _ => wired(units, units),
        };
        let rule = instance(name, config, &shapes, 1, device);
        let kernel = Some(Tensor::full([units, units], weight, device));
        Self { rule, kernel, units, device: device.clone() }
    }

    /// One step with the spikes of each pair, and a reward where the rule takes one.
    fn step(&mut self, pre: &[f32], post: &[f32], reward: Option<f32>) -> Vec<f32> {
        let row = |values: &[f32]| tensor(values, [1, self.units], &self.device);
        let mut values = PortValues::default();
        values.put("pre_spikes", Spikes::new(row(pre)));
        values.put("post_spikes", Spikes::new(row(post)));
        values.put("kernel", Kernel(self.kernel.take().unwrap()));
        if let Some(reward) = reward {
            values.put("reward", Floats(tensor(&[reward], [1, 1], &self.device)));
        }
        let kernel = kernel_of(&self.rule.step(values).unwrap());
        self.kernel = Some(kernel.clone());
        let all = floats(kernel);
        (0..self.units).map(|i| all[i * self.units + i]).collect()
    }
}
