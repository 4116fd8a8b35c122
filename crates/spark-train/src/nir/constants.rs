//! The constants of units, per step and in seconds.

use burn::tensor::TensorData;
use spark_io::nir::{Array, Kind};
use spark_kernels::Reset;
use spark_nn::layers::{
    IntegrateAndFireConfig, LayerConfig, LeakyConfig, LeakyIntegratorConfig, MembraneConfig, SynapticConfig,
};

use super::NirOptions;

/// A gain so close to 1 is 1: exporters compute it in single precision.
const NEAR: f64 = 4.0 * f32::EPSILON as f64;

/// A layer and its parameters by the names of their fields.
pub(super) struct Made {
    pub config: LayerConfig,
    pub parameters: Vec<(&'static str, TensorData)>,
}

/// What units do in a step, one number of each for each unit:
///
/// ```text
/// c ← α·c + k·x                      k·x without α
/// v ← β·v + (1 − β)·leak + c
/// a spike where v > θ, then v ← reset
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Constants {
    pub decay: Vec<f64>,
    pub gain: Vec<f64>,
    pub leak: Vec<f64>,
    /// Threshold and reset; `None` for units that never spike.
    pub spikes: Option<[Vec<f64>; 2]>,
    pub current_decay: Option<Vec<f64>>,
}

impl Constants {
    /// Those of a node with `count` units; `None` when it has no units.
    pub fn of(kind: &Kind, count: usize, dt: f64) -> Result<Option<Self>, String> {
        let all = |array: &Array| (0..count).map(|unit| array.at(unit)).collect::<Vec<f64>>();
        let per_step = |field: &str, array: &Array| {
            let rates: Vec<f64> = all(array).into_iter().map(|tau| dt / tau).collect();
            match rates.iter().position(|&rate| rate > 1.0 + NEAR) {
                Some(unit) => {
                    let found = array.at(unit);
                    Err(format!("{field}: found {found} s, expected at least one step, {dt} s"))
                }
                None => Ok(rates.into_iter().map(|rate| rate.min(1.0)).collect::<Vec<f64>>()),
            }
        };
        let decays = |rates: &[f64]| rates.iter().map(|rate| 1.0 - rate).collect::<Vec<f64>>();
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).collect::<Vec<f64>>();
        let spikes = |threshold: &Array, reset: &Array| Some([all(threshold), all(reset)]);
        let perfect = |r: &Array, spikes| Self {
            decay: vec![1.0; count],
            gain: all(r).into_iter().map(|r| dt * r).collect(),
            leak: vec![0.0; count],
            spikes,
            current_decay: None,
        };
        let leaky = |tau: &Array, r: &Array, v_leak: &Array, spikes| {
            let rates = per_step("tau", tau)?;
            let gain = product(&rates, &all(r));
            Ok::<_, String>(Self {
                decay: decays(&rates),
                gain,
                leak: all(v_leak),
                spikes,
                current_decay: None,
            })
        };
        let current = |[tau_syn, tau_mem, r, v_leak, w_in]: [&Array; 5], spikes| {
            let (synapse, membrane) = (per_step("tau_syn", tau_syn)?, per_step("tau_mem", tau_mem)?);
            Ok::<_, String>(Self {
                decay: decays(&membrane),
                gain: product(&product(&synapse, &all(w_in)), &product(&membrane, &all(r))),
                leak: all(v_leak),
                spikes,
                current_decay: Some(decays(&synapse)),
            })
        };
        Ok(Some(match kind {
            Kind::I { r } => perfect(r, None),
            Kind::If { r, v_threshold, v_reset } => perfect(r, spikes(v_threshold, v_reset)),
            Kind::Li { tau, r, v_leak } => leaky(tau, r, v_leak, None)?,
            Kind::Lif { tau, r, v_leak, v_threshold, v_reset } => {
                leaky(tau, r, v_leak, spikes(v_threshold, v_reset))?
            }
            Kind::CubaLi { tau_syn, tau_mem, r, v_leak, w_in } => {
                current([tau_syn, tau_mem, r, v_leak, w_in], None)?
            }
            Kind::CubaLif { tau_syn, tau_mem, r, v_leak, w_in, v_threshold, v_reset } => {
                current([tau_syn, tau_mem, r, v_leak, w_in], spikes(v_threshold, v_reset))?
            }
            Kind::Threshold { threshold } => Self {
                decay: vec![0.0; count],
                gain: vec![1.0; count],
                leak: vec![0.0; count],
                spikes: Some([all(threshold), vec![0.0; count]]),
                current_decay: None,
            },
            _ => return Ok(None),
        }))
    }

    /// Whether the membrane leaks to 0, is reset to 0 and takes its input as it comes, by the precision of
    /// exporters.
    pub fn is_plain(&self) -> bool {
        let zero = |numbers: &[f64]| numbers.iter().all(|&number| number == 0.0);
        zero(&self.leak)
            && self.spikes.as_ref().is_none_or(|[_, reset]| zero(reset))
            && self.gain.iter().all(|gain| (gain - 1.0).abs() <= NEAR)
    }

    /// The layer of these units.
    pub fn layer(&self, options: &NirOptions) -> Result<Made, String> {
        let positive = |[threshold, _]: &[Vec<f64>; 2]| threshold.iter().all(|&threshold| threshold > 0.0);
        let plain = self.is_plain() && self.spikes.as_ref().is_none_or(positive);
        let perfect = self.decay.iter().all(|&decay| decay == 1.0);
        let decay = ("decay", &self.decay);
        let Some([threshold, reset]) = &self.spikes else {
            return Ok(match &self.current_decay {
                None if plain => Fields::new(vec![decay]).made(|at, per_unit| {
                    let (learn_decay, scale_input) = (false, false);
                    let config =
                        LeakyIntegratorConfig { decay: at("decay"), learn_decay, per_unit, scale_input };
                    LayerConfig::LeakyIntegrator(config)
                }),
                _ => self.membrane(options),
            });
        };
        if options.spike_at_threshold
            && threshold.iter().zip(reset).any(|(threshold, reset)| threshold <= reset)
        {
            return Err(
                "v_threshold: found one at or below v_reset, where units at their threshold spike".into()
            );
        }
        let threshold = ("threshold", threshold);
        let spike_at_threshold = options.spike_at_threshold;
        Ok(match &self.current_decay {
            _ if !plain => self.membrane(options),
            Some(current_decay) => Fields::new(vec![decay, ("current_decay", current_decay), threshold])
                .made(|at, per_unit| {
                    LayerConfig::Synaptic(SynapticConfig {
                        decay: at("decay"),
                        current_decay: at("current_decay"),
                        threshold: at("threshold"),
                        per_unit,
                        reset: Reset::Zero,
                        spike_at_threshold,
                        ..Default::default()
                    })
                }),
            None if perfect => Fields::new(vec![threshold]).made(|at, per_unit| {
                LayerConfig::IntegrateAndFire(IntegrateAndFireConfig {
                    threshold: at("threshold"),
                    per_unit,
                    reset: Reset::Zero,
                    spike_at_threshold,
                    ..Default::default()
                })
            }),
            None => Fields::new(vec![decay, threshold]).made(|at, per_unit| {
                LayerConfig::Leaky(LeakyConfig {
                    decay: at("decay"),
                    threshold: at("threshold"),
                    per_unit,
                    reset: Reset::Zero,
                    spike_at_threshold,
                    ..Default::default()
                })
            }),
        })
    }

    fn membrane(&self, options: &NirOptions) -> Made {
        let mut fields = vec![("decay", &self.decay), ("gain", &self.gain), ("leak", &self.leak)];
        if let Some([threshold, reset]) = &self.spikes {
            fields.extend([("threshold", threshold), ("reset_value", reset)]);
        }
        fields.extend(self.current_decay.as_ref().map(|decay| ("current_decay", decay)));
        let spikes = self.spikes.is_some();
        Fields::new(fields).made(|at, per_unit| {
            LayerConfig::Membrane(MembraneConfig {
                decay: at("decay"),
                gain: at("gain"),
                leak: at("leak"),
                threshold: spikes.then(|| at("threshold")),
                reset_value: if spikes { at("reset_value") } else { 0.0 },
                current_decay: self.current_decay.as_ref().map(|_| at("current_decay")),
                per_unit,
                start_at_reset: options.start_at_reset && spikes,
                spike_at_threshold: options.spike_at_threshold && spikes,
                ..Default::default()
            })
        })
    }

    /// The node of these units, whose arrays have this shape.
    pub fn kind(self, shape: &[usize], dt: f64) -> Result<Kind, String> {
        let array = |numbers: Vec<f64>| Array::doubles(shape.to_vec(), numbers);
        let is = |numbers: &[f64], value: f64| numbers.iter().all(|&number| number == value);
        let Self { decay, gain, leak, spikes, current_decay } = self;
        let spikes = spikes.map(|[threshold, reset]| [array(threshold), array(reset)]);
        let one = |numbers: &[f64]| numbers.contains(&1.0);
        // From a factor per step to a time, and to what a gain is beside that.
        let times = |decays: &[f64]| decays.iter().map(|decay| dt / (1.0 - decay)).collect::<Vec<f64>>();
        let gains = |gains: &[f64], times: &[f64]| {
            gains.iter().zip(times).map(|(gain, time)| gain * (time / dt)).collect::<Vec<f64>>()
        };
        if let Some(currents) = current_decay {
            if one(&decay) || one(&currents) {
                return Err("found a decay of 1 beside a synaptic current, expected one below 1".to_owned());
            }
            let (synapse, membrane) = (times(&currents), times(&decay));
            let (w_in, r) = (gains(&gain, &synapse), membrane.iter().map(|time| time / dt).collect());
            let [tau_syn, tau_mem, r, v_leak, w_in] = [synapse, membrane, r, leak, w_in].map(array);
            return Ok(match spikes {
                None => Kind::CubaLi { tau_syn, tau_mem, r, v_leak, w_in },
                Some([v_threshold, v_reset]) => {
                    Kind::CubaLif { tau_syn, tau_mem, r, v_leak, w_in, v_threshold, v_reset }
                }
            });
        }
        if is(&decay, 1.0) {
            let r = array(gain.iter().map(|gain| gain / dt).collect());
            return Ok(match spikes {
                None => Kind::I { r },
                Some([v_threshold, v_reset]) => Kind::If { r, v_threshold, v_reset },
            });
        }
        if one(&decay) {
            return Err("decay: found 1 for some units alone, expected it for all or none".to_owned());
        }
        match spikes {
            Some([threshold, _]) if is(&decay, 0.0) && is(&gain, 1.0) && is(&leak, 0.0) => {
                Ok(Kind::Threshold { threshold })
            }
            spikes => {
                let tau = times(&decay);
                let r = gains(&gain, &tau);
                let [tau, r, v_leak] = [tau, r, leak].map(array);
                Ok(match spikes {
                    None => Kind::Li { tau, r, v_leak },
                    Some([v_threshold, v_reset]) => Kind::Lif { tau, r, v_leak, v_threshold, v_reset },
                })
            }
        }
    }
}

/// Parameters of a layer, by name.
pub(super) struct Fields(Vec<(&'static str, Vec<f32>)>);

impl Fields {
    pub fn new(fields: Vec<(&'static str, &Vec<f64>)>) -> Self {
        let single = |numbers: &Vec<f64>| numbers.iter().map(|&number| number as f32).collect();
        Self(fields.into_iter().map(|(name, numbers)| (name, single(numbers))).collect())
    }

    /// The layer that `config` makes of the first value of each field and of whether there is one per unit.
    pub fn made(self, config: impl FnOnce(&dyn Fn(&str) -> f32, bool) -> LayerConfig) -> Made {
        let uniform = |numbers: &[f32]| numbers.iter().all(|number| number.to_bits() == numbers[0].to_bits());
        let per_unit = self.0.iter().any(|(_, numbers)| !uniform(numbers));
        let first = |name: &str| {
            let field = self.0.iter().find(|(field, _)| *field == name);
            field.and_then(|(_, numbers)| numbers.first().copied()).unwrap_or_default()
        };
        let config = config(&first, per_unit);
        let parameters = self.0.into_iter().map(|(name, mut numbers)| {
            if !per_unit {
                numbers.truncate(1);
            }
            let length = numbers.len();
            (name, TensorData::new(numbers, [length]))
        });
        Made { config, parameters: parameters.collect() }
    }
}
