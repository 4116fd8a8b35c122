//! What of a network becomes a population of neurons.

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use spark_core::parameter::Array;
use spark_core::{Parameter, Problems, build};
use spark_kernels::Reset;
use spark_nn::components::somas::{Gradient, LeakySomaConfig};
use spark_nn::layers::{
    Dense, Layer, LayerConfig, Leaky, LeakyConfig, Network, NetworkConfig, Recurrent, RecurrentUnits,
    RecurrentUnitsConfig,
};

/// Units with the synapses onto them.
#[derive(Clone, Debug)]
pub(super) struct Population {
    /// Number of units.
    pub units: usize,
    /// Number of units of the population before, or of inputs.
    pub sources: usize,
    /// Whether the units hear their own spikes, after those of the sources.
    pub recurrent: bool,
    /// Strengths in pA, `[post, pre]`.
    pub kernel: Vec<f32>,
    /// The units.
    pub soma: LeakySomaConfig,
    /// Potential before the first step in mV, from rest, `[units]`.
    pub start: Vec<f32>,
}

/// A time constant, in steps, whose membrane forgets everything within a step.
const FORGETFUL: f64 = 1e-3;

/// The populations of a network for steps of `dt` ms, from the inputs to the output.
///
/// # Errors
/// Every layer that has no counterpart, by its path.
pub(super) fn populations(
    config: &NetworkConfig,
    network: &Network,
    dt: f32,
) -> Result<Vec<Population>, Problems> {
    config.shapes()?;
    let mut reader = Reader { dt, ..Reader::default() };
    reader.layers(&config.layers, &network.layers, "");
    if reader.synapses.is_some() {
        reader.problems.push("layers", "synapses at the end", "units at the end");
    }
    reader.problems.into_result()?;
    Ok(reader.populations)
}

/// Goes through the layers in order.
#[derive(Default)]
struct Reader {
    dt: f32,
    populations: Vec<Population>,
    /// Synapses whose units are still to come.
    synapses: Option<Incoming>,
    problems: Problems,
}

/// Synapses onto some units.
struct Incoming {
    /// `[pre, post]`
    kernel: Tensor<2>,
    /// A constant input of each unit, `[post]`.
    bias: Option<Tensor<1>>,
}

impl Incoming {
    fn of(dense: &Dense) -> Self {
        Self { kernel: on_host(dense.weight.val()), bias: dense.bias.as_ref().map(host_value) }
    }
}

/// The units of a layer, and from which of its own they hear.
struct Units<'a> {
    config: &'a LeakyConfig,
    leaky: &'a Leaky,
    own: Option<Incoming>,
}

/// A parameter without its gradient, on the host.
fn host_value(param: &Param<Tensor<1>>) -> Tensor<1> {
    on_host(param.val())
}

fn on_host<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    Tensor::from_data(tensor.into_data(), &Device::flex())
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

impl Reader {
    fn layers(&mut self, configs: &[LayerConfig], layers: &[Layer], path: &str) {
        if configs.len() != layers.len() {
            let expected = format!("{}, as the configuration has them", configs.len());
            self.problems.push(format!("{path}layers"), format!("{} layers", layers.len()), expected);
            return;
        }
        for (place, (config, layer)) in configs.iter().zip(layers).enumerate() {
            let path = format!("{path}layers[{place}]");
            match (config, layer) {
                (LayerConfig::Dense(_), Layer::Dense(dense)) => self.dense(dense, path),
                (LayerConfig::Leaky(config), Layer::Leaky(leaky)) => {
                    self.units(&Units { config, leaky, own: None }, &path);
                }
                (LayerConfig::Recurrent(config), Layer::Recurrent(recurrent)) => {
                    self.recurrent(&config.units, recurrent, &path);
                }
                (LayerConfig::Sequential(config), Layer::Sequential(inner)) => {
                    self.layers(&config.layers, &inner.layers, &format!("{path}."));
                }
                // Of a sequence both hand on what they get: axes are flattened anyway, and nothing is dropped
                // after training.
                (LayerConfig::Flatten(_), Layer::Flatten(_))
                | (LayerConfig::Dropout(_), Layer::Dropout(_)) => {}
                (config, _) => {
                    let expected = "dense synapses with leaky or recurrent leaky units, or layers that pass \
                                    spikes on: a brain has no counterpart of others";
                    self.problems.push(path, kind(config), expected);
                }
            }
        }
    }

    fn dense(&mut self, dense: &Dense, path: String) {
        if self.synapses.is_some() {
            self.problems.push(path, "synapses after synapses", "units between them");
        }
        self.synapses = Some(Incoming::of(dense));
    }

    fn recurrent(&mut self, config: &RecurrentUnitsConfig, recurrent: &Recurrent, path: &str) {
        let (RecurrentUnitsConfig::Leaky(config), RecurrentUnits::Leaky(leaky)) = (config, &recurrent.units)
        else {
            let expected = "leaky units: a brain has no counterpart of others";
            self.problems.push(format!("{path}.units"), "other units", expected);
            self.synapses = None;
            return;
        };
        let own = match (&recurrent.recurrent, &recurrent.weight) {
            (Some(dense), _) => Some(Incoming::of(dense)),
            (None, weight) => weight.as_ref().map(|weight| Incoming { kernel: diagonal(weight), bias: None }),
        };
        self.units(&Units { config, leaky, own }, path);
    }

    fn units(&mut self, units: &Units<'_>, path: &str) {
        let Some(Incoming { kernel, bias }) = self.synapses.take() else {
            self.problems.push(path, "units without synapses of their own", "dense synapses before them");
            return;
        };
        let before = self.problems.list().len();
        self.check(units, path);
        if self.problems.list().len() > before {
            return;
        }
        let [sources, count] = kernel.dims();
        let (kernel, bias) = match &units.own {
            None => (kernel, bias),
            Some(own) => {
                let bias = match (bias, own.bias.clone()) {
                    (Some(bias), Some(own)) => Some(bias + own),
                    (bias, own) => bias.or(own),
                };
                (Tensor::cat(vec![kernel, own.kernel.clone()], 0), bias)
            }
        };
        let soma = soma(units, bias.map(numbers), self.dt);
        let start = self.start(units, &soma, count);
        let recurrent = units.own.is_some();
        let kernel = numbers(kernel.transpose());
        self.populations.push(Population { units: count, sources, recurrent, kernel, soma, start });
    }

    /// Potentials from rest at which units have to begin, so that they are where the network begins when the first
    /// spikes reach them: population `k` has decayed for `k` steps by then.
    ///
    /// Below the threshold, that is: of units with a strongly negative bias that forget fast, the rest shows for a
    /// few steps.
    fn start(&self, units: &Units<'_>, soma: &LeakySomaConfig, count: usize) -> Vec<f32> {
        let each = |parameter: &Parameter| match parameter {
            Parameter::Array(array) => array.entries().to_vec(),
            Parameter::Number(value) => vec![*value],
            Parameter::Draw(_) => unreachable!("nothing is drawn of what was trained"),
        };
        let (rest, threshold) = (each(&soma.potential_rest), each(&soma.threshold));
        let (decay, waits) = (numbers(units.leaky.decay.val()), self.populations.len() as i32);
        let of = |unit: usize| {
            let from_rest = units.config.reset_value - of_unit(&rest, unit);
            let earlier = from_rest / of_unit(&decay, unit).powi(waits);
            let highest = of_unit(&threshold, unit) - of_unit(&rest, unit);
            if earlier.is_finite() { earlier.min(highest) } else { from_rest }
        };
        (0..count).map(of).collect()
    }

    /// What of the conventions of a layer no soma follows.
    fn check(&mut self, Units { config, leaky, own }: &Units<'_>, path: &str) {
        if config.reset != Reset::Zero {
            let found = if config.reset == Reset::Subtract { "subtract" } else { "none" };
            let expected =
                "zero: a soma is taken to its reset potential by a spike, whatever lay above the threshold";
            self.problems.push(format!("{path}.reset"), found, expected);
        }
        // With the reset in the next step, snnTorch's units without a connection follow the equations.
        if config.snntorch_reset && (own.is_some() || !config.reset_delay) {
            let expected =
                "false: a soma does not reset as snnTorch does where it departs from the equations";
            self.problems.push(format!("{path}.snntorch_reset"), true, expected);
        }
        if let Some(decay) = numbers(leaky.decay.val()).iter().find(|decay| !(0.0..1.0).contains(*decay)) {
            let expected = "at least 0 and below 1: the membrane of a soma leaks";
            self.problems.push(format!("{path}.decay"), decay, expected);
        }
    }
}

/// The kind of a layer as configurations name it.
fn kind(config: &LayerConfig) -> String {
    let kind = serde_json::to_value(config).ok().and_then(|value| value["kind"].as_str().map(str::to_owned));
    kind.unwrap_or_else(|| format!("{config:?}"))
}

/// Weights from each unit to itself as synapses of all to all.
fn diagonal(weight: &Param<Tensor<1>>) -> Tensor<2> {
    let weight = host_value(weight);
    let [units] = weight.dims();
    Tensor::<2>::eye(units, &weight.device()) * weight.unsqueeze()
}

/// The soma that goes through the potentials of a layer, 1 mV for each unit of it.
///
/// With gain `g = 1`, or `1 − β` for scaled inputs, `U ← V_r + β·(U − V_r) + g·(I + b)` is a membrane with
/// `τ = −dt/ln β` and `R = g/(1 − β)` that rests at `V_r + R·b`.
fn soma(units: &Units<'_>, bias: Option<Vec<f32>>, dt: f32) -> LeakySomaConfig {
    let Units { config, leaky, .. } = units;
    let tau: Vec<f32> =
        numbers(leaky.decay.val()).into_iter().map(|decay| time_constant(decay, dt)).collect();
    let rates = numbers(build::rate(dt, Tensor::from_floats(tau.as_slice(), &Device::flex())));
    let resistance: Vec<f32> =
        rates.iter().map(|rate| if config.scale_input { 1.0 } else { resistance(*rate) }).collect();
    let rest: Vec<f32> = match bias {
        None => vec![config.reset_value],
        Some(bias) => {
            let of = |(unit, bias): (usize, &f32)| config.reset_value + of_unit(&resistance, unit) * bias;
            bias.iter().enumerate().map(of).collect()
        }
    };
    let threshold = numbers(leaky.threshold.val()).into_iter().map(|threshold| {
        // Above the number below is at least the number itself.
        if config.spike_at_threshold { threshold.next_down() } else { threshold }
    });
    LeakySomaConfig {
        potential_rest: parameter(rest),
        potential_reset: config.reset_value.into(),
        potential_tau: parameter(tau),
        resistance: parameter(resistance),
        threshold: parameter(threshold.collect()),
        gradient: Gradient { surrogate: leaky.surrogate(), reset: config.reset_gradient },
        ..LeakySomaConfig::default()
    }
}

/// The entry of a unit among those of all, or the one for all.
fn of_unit(values: &[f32], unit: usize) -> f32 {
    values[unit % values.len()]
}

/// The time constant of a decay by step, in ms.
fn time_constant(decay: f32, dt: f32) -> f32 {
    let steps = if decay == 0.0 { FORGETFUL } else { -1.0 / f64::from(decay).ln() };
    (f64::from(dt) * steps) as f32
}

/// The resistance with which a current of 1 pA moves the membrane by 1 mV in a step, to the bit where there is one.
fn resistance(rate: f32) -> f32 {
    let near = rate.recip();
    [near, near.next_up(), near.next_down()].into_iter().find(|r| rate * r == 1.0).unwrap_or(near)
}

fn parameter(values: Vec<f32>) -> Parameter {
    match values[..] {
        [value] => value.into(),
        _ => Array::new(vec![values.len()], values).expect("as many as it has").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membranes_decay_and_gain_as_layers_do_to_rounding() {
        for decay in [0.0f32, 0.01, 0.3, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999] {
            for dt in [0.1, 1.0] {
                let tau = time_constant(decay, dt);
                let found = -(-f64::from(dt) / f64::from(tau)).exp_m1();
                assert!(((1.0 - found) - f64::from(decay)).abs() < 1.2e-7, "{decay} {dt}");
                let gain = found as f32 * resistance(found as f32);
                assert!((gain - 1.0).abs() <= f32::EPSILON / 2.0, "{decay} {dt}: {gain}");
            }
        }
    }
}
