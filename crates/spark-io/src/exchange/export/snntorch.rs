//! Units of snnTorch. Source: snnTorch 1.0, `snntorch._neurons`.

use serde_json::{Value, json};
use spark_kernels::{Reset, Surrogate};
use spark_nn::layers::{
    AlphaConfig, Connection, LapicqueConfig, LayerConfig, LeakyConfig, RecurrentConfig, RecurrentUnitsConfig,
    SpikingLstmConfig, SynapticConfig,
};

use super::{Missing, PythonModule, Writer, argument, shaped, whole};
use crate::exchange::groups::RESET;
use crate::exchange::snntorch::FACTOR;

/// A factor that takes a number to the one below it: where `x > below(θ)`, there `x ≥ θ`.
const JUST_BELOW: f32 = 1.0 - f32::EPSILON / 2.0;

/// Why an SLSTM has as many inputs as units.
const FORGETFUL: &str = "as many: snnTorch's SLSTM starts anew in every step otherwise";

/// How units spike and reset there.
struct Resets {
    reset: Reset,
    delay: bool,
}

impl Resets {
    /// The name in arguments and the number in files.
    fn names(reset: Reset) -> (&'static str, i64) {
        match reset {
            Reset::Subtract => ("subtract", 0),
            Reset::Zero => ("zero", 1),
            Reset::None => ("none", 2),
        }
    }
}

impl Writer<'_> {
    /// The module of a layer of units; none for a factor that the units before took along.
    pub(super) fn snntorch(
        &mut self,
        layer: &mut LayerConfig,
        path: &str,
        units: &[usize],
        modules: &mut [PythonModule],
    ) -> Result<Option<PythonModule>, Missing> {
        Ok(Some(match layer {
            LayerConfig::Leaky(config) => self.leaky(config, path, units)?,
            LayerConfig::IntegrateAndFire(config) => {
                let leaky = LeakyConfig {
                    decay: 1.0,
                    reset: config.reset,
                    reset_delay: config.reset_delay,
                    reset_value: config.reset_value,
                    spike_at_threshold: config.spike_at_threshold,
                    snntorch_reset: config.snntorch_reset,
                    surrogate: config.surrogate,
                    learn_threshold: config.learn_threshold,
                    ..LeakyConfig::default()
                };
                let thresholds = self.numbers(path, "threshold");
                let mut leaky = leaky;
                let module = self.leaky_of(&mut leaky, path, units, vec![1.0], thresholds)?;
                config.spike_at_threshold = leaky.spike_at_threshold;
                module
            }
            LayerConfig::LeakyIntegrator(config) => {
                if config.scale_input {
                    return Err(scaled_readout());
                }
                self.notes.push(format!("{path}: what it gives is the membrane, `mem`, of its module"));
                let decays = self.numbers(path, "decay");
                self.put(path, "beta", shaped(&decays, units));
                self.unit_buffers(path, &[1.0], units, Reset::None);
                let args = json!({
                    "beta": argument(&decays, units), "reset_mechanism": "none",
                    "learn_beta": config.learn_decay, "output": true,
                });
                PythonModule::new("Leaky", args).named(path)
            }
            LayerConfig::Synaptic(config) => self.synaptic(config, path, "", units)?,
            LayerConfig::Lapicque(config) => self.lapicque(config, path, units)?,
            LayerConfig::Alpha(config) => self.alpha(config, path, units),
            LayerConfig::Recurrent(config) => self.recurrent(config, path, units)?,
            LayerConfig::SpikingLstm(config) => self.lstm(config, path, units)?,
            LayerConfig::Scale(config) => {
                let factors = self.numbers(path, "factor");
                let learned = config.learn;
                self.graded(&factors, learned, units, modules)?;
                return Ok(None);
            }
            layer => return self.lacking(layer),
        }))
    }

    fn leaky(
        &mut self,
        config: &mut LeakyConfig,
        path: &str,
        units: &[usize],
    ) -> Result<PythonModule, Missing> {
        let (decays, thresholds) = (self.numbers(path, "decay"), self.numbers(path, "threshold"));
        self.leaky_of(config, path, units, decays, thresholds)
    }

    /// Leaky units with these numbers; the configuration becomes that of the module.
    fn leaky_of(
        &mut self,
        config: &mut LeakyConfig,
        path: &str,
        units: &[usize],
        decays: Vec<f32>,
        mut thresholds: Vec<f32>,
    ) -> Result<PythonModule, Missing> {
        at_zero(config.reset_value)?;
        if config.scale_input {
            thresholds = self.unscaled(path, &decays, thresholds)?;
            config.scale_input = false;
            config.per_unit |= thresholds.len() > 1;
            config.threshold = thresholds.iter().sum::<f32>() / thresholds.len() as f32;
        }
        self.above(&mut config.spike_at_threshold, path, &mut thresholds);
        // A reset to zero leaves nothing above the threshold that snnTorch would reset once more.
        let at_once = config.reset == Reset::Subtract && !config.reset_delay && !config.snntorch_reset;
        if at_once {
            return Ok(self.reset_by_itself(config, path, units, &decays, &thresholds));
        }
        self.put(path, "beta", shaped(&decays, units));
        self.unit_buffers(path, &thresholds, units, config.reset);
        let args = unit_args(
            json!({"beta": argument(&decays, units), "learn_beta": config.learn_decay}),
            argument(&thresholds, units),
            config.learn_threshold,
            &Resets { reset: config.reset, delay: config.reset_delay },
        );
        Ok(module("Leaky", args, path, config.surrogate))
    }

    /// A reset in the step of its spike: units without reset that inhibit themselves by what it takes off, β·θ.
    fn reset_by_itself(
        &mut self,
        config: &LeakyConfig,
        path: &str,
        units: &[usize],
        decays: &[f32],
        thresholds: &[f32],
    ) -> PythonModule {
        self.notes.push(format!(
            "{path}: snnTorch's Leaky does not reset by subtraction in the step of a spike; an RLeaky without \
             reset does the same by its connection to itself, V = −β·θ"
        ));
        let each = |numbers: &[f32], unit: usize| numbers[if numbers.len() == 1 { 0 } else { unit }];
        let count = decays.len().max(thresholds.len());
        let weights: Vec<f32> =
            (0..count).map(|unit| -(each(decays, unit) * each(thresholds, unit))).collect();
        // Not learned, it is a buffer, which the module does not hold a second time as `recurrent.V`.
        self.put(path, "V", shaped(&weights, units));
        self.put(path, "beta", shaped(decays, units));
        self.unit_buffers(path, thresholds, units, Reset::None);
        let own = json!({
            "beta": argument(decays, units), "V": argument(&weights, units), "all_to_all": false,
            "learn_recurrent": false, "learn_beta": config.learn_decay,
        });
        let resets = Resets { reset: Reset::None, delay: true };
        let args = unit_args(own, argument(thresholds, units), config.learn_threshold, &resets);
        module("RLeaky", args, path, config.surrogate)
    }

    fn synaptic(
        &mut self,
        config: &mut SynapticConfig,
        path: &str,
        inner: &str,
        units: &[usize],
    ) -> Result<PythonModule, Missing> {
        at_zero(config.reset_value)?;
        if config.current_delay || config.scale_input {
            return Err((
                "a current that is delayed or scaled".into(),
                "`current_delay` and `scale_input` false, as snnTorch has it".into(),
            ));
        }
        like_snntorch(config.reset, config.reset_delay, config.snntorch_reset)?;
        let mut thresholds = self.numbers(path, &format!("{inner}threshold"));
        self.above(&mut config.spike_at_threshold, path, &mut thresholds);
        let (decays, currents) = (
            self.numbers(path, &format!("{inner}decay")),
            self.numbers(path, &format!("{inner}current_decay")),
        );
        self.put(path, "alpha", shaped(&currents, units));
        self.put(path, "beta", shaped(&decays, units));
        self.unit_buffers(path, &thresholds, units, config.reset);
        let own = json!({
            "alpha": argument(&currents, units), "beta": argument(&decays, units),
            "learn_alpha": config.learn_current_decay, "learn_beta": config.learn_decay,
        });
        let resets = Resets { reset: config.reset, delay: config.reset_delay };
        let args = unit_args(own, argument(&thresholds, units), config.learn_threshold, &resets);
        Ok(module("Synaptic", args, path, config.surrogate))
    }

    fn lapicque(
        &mut self,
        config: &mut LapicqueConfig,
        path: &str,
        units: &[usize],
    ) -> Result<PythonModule, Missing> {
        at_zero(config.reset_value)?;
        like_snntorch(config.reset, config.reset_delay, config.snntorch_reset)?;
        if !config.reset_delay && config.reset != Reset::None {
            return Err((
                "a reset in the step of a spike".into(),
                "`reset_delay`, as snnTorch's Lapicque".into(),
            ));
        }
        let mut thresholds = self.numbers(path, "threshold");
        self.above(&mut config.spike_at_threshold, path, &mut thresholds);
        let (resistance, capacitance) = (self.number(path, "resistance")?, self.number(path, "capacitance")?);
        let decay = (-config.dt / (resistance * capacitance)).exp();
        self.put(path, "R", shaped(&[resistance], units));
        self.put(path, "C", shaped(&[capacitance], units));
        self.put(path, "time_step", shaped(&[config.dt], units));
        self.tensors.insert(format!("{path}.beta"), burn::tensor::TensorData::from([decay]));
        self.unit_buffers(path, &thresholds, units, config.reset);
        let own = json!({"R": resistance, "C": capacitance, "time_step": config.dt});
        let mut args = unit_args(
            own,
            argument(&thresholds, units),
            config.learn_threshold,
            &Resets { reset: config.reset, delay: true },
        );
        args.as_object_mut().map(|args| args.remove("reset_delay"));
        Ok(module("Lapicque", args, path, config.surrogate))
    }

    fn alpha(&mut self, config: &AlphaConfig, path: &str, units: &[usize]) -> PythonModule {
        let thresholds = self.numbers(path, "threshold");
        let (slow, fast) = (self.numbers(path, "decay_excitatory"), self.numbers(path, "decay_inhibitory"));
        self.put(path, "alpha", shaped(&slow, units));
        self.put(path, "beta", shaped(&fast, units));
        self.unit_buffers(path, &thresholds, units, config.reset);
        let args = json!({
            "alpha": argument(&slow, units), "beta": argument(&fast, units),
            "learn_alpha": config.learn_decays, "learn_beta": config.learn_decays,
            "threshold": argument(&thresholds, units), "learn_threshold": config.learn_threshold,
            "reset_mechanism": Resets::names(config.reset).0,
        });
        module("Alpha", args, path, config.surrogate)
    }

    fn recurrent(
        &mut self,
        config: &mut RecurrentConfig,
        path: &str,
        units: &[usize],
    ) -> Result<PythonModule, Missing> {
        let (inner, mut found) = match &mut config.units {
            RecurrentUnitsConfig::Leaky(config) => {
                at_zero(config.reset_value)?;
                if config.scale_input {
                    return Err((
                        "a scaled input".into(),
                        "`scale_input` false, as snnTorch's RLeaky".into(),
                    ));
                }
                like_snntorch(config.reset, config.reset_delay, config.snntorch_reset)?;
                let mut thresholds = self.numbers(path, "units.threshold");
                self.above(&mut config.spike_at_threshold, path, &mut thresholds);
                let decays = self.numbers(path, "units.decay");
                self.put(path, "beta", shaped(&decays, units));
                self.unit_buffers(path, &thresholds, units, config.reset);
                let own = json!({"beta": argument(&decays, units), "learn_beta": config.learn_decay});
                let resets = Resets { reset: config.reset, delay: config.reset_delay };
                let args = unit_args(own, argument(&thresholds, units), config.learn_threshold, &resets);
                ("RLeaky", module("RLeaky", args, path, config.surrogate))
            }
            RecurrentUnitsConfig::Synaptic(config) => {
                ("RSynaptic", self.synaptic(config, path, "units.", units)?)
            }
            _ => return Err(("other recurrent units".into(), "leaky or synaptic ones".into())),
        };
        inner.clone_into(&mut found.kind);
        match config.connection {
            Connection::AllToAll => {
                let &[count] = units else {
                    return Err((
                        "units with axes, all to all".into(),
                        "a layer `flatten` before them".into(),
                    ));
                };
                self.copy(path, "recurrent.weight", "recurrent.weight");
                let bias = self.numbers(path, "recurrent.bias");
                let bias = if bias.is_empty() { vec![0.0; count] } else { bias };
                self.put(path, "recurrent.bias", burn::tensor::TensorData::new(bias, [count]));
                found.args.insert("linear_features".into(), json!(count));
            }
            Connection::OneToOne => {
                let weights = self.numbers(path, "weight");
                for name in ["V", "recurrent.V"] {
                    self.put(path, name, shaped(&weights, units));
                }
                found.args.insert("V".into(), argument(&weights, units));
                found.args.insert("all_to_all".into(), json!(false));
            }
        }
        Ok(found)
    }

    fn lstm(
        &mut self,
        config: &SpikingLstmConfig,
        path: &str,
        units: &[usize],
    ) -> Result<PythonModule, Missing> {
        for name in ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] {
            self.copy(path, name, &format!("lstm_cell.{name}"));
        }
        let inputs = self.tensors[&format!("{path}.lstm_cell.weight_ih")].shape()[1];
        if inputs != config.units {
            return Err((format!("{inputs} inputs of {} units", config.units), FORGETFUL.into()));
        }
        let thresholds = self.numbers(path, "threshold");
        self.unit_buffers(path, &thresholds, units, config.reset);
        let args = json!({
            "input_size": inputs, "hidden_size": config.units, "threshold": argument(&thresholds, units),
            "learn_threshold": config.learn_threshold, "reset_mechanism": Resets::names(config.reset).0,
        });
        Ok(module("SLSTM", args, path, config.surrogate))
    }

    /// A factor behind units: theirs, there.
    fn graded(
        &mut self,
        factors: &[f32],
        learned: bool,
        units: &[usize],
        modules: &mut [PythonModule],
    ) -> Result<(), Missing> {
        let before = modules.last_mut().filter(|module| module.kind == "Leaky");
        let Some((module, name)) = before.and_then(|module| module.name.clone().map(|name| (module, name)))
        else {
            return Err(("a layer `scale`".into(), "one right behind leaky units, as their factor".into()));
        };
        module.args.insert(FACTOR.into(), argument(factors, units));
        module.args.insert("learn_graded_spikes_factor".into(), json!(learned));
        self.put(&name, FACTOR, shaped(factors, units));
        Ok(())
    }

    /// What all units hold.
    fn unit_buffers(&mut self, path: &str, thresholds: &[f32], units: &[usize], reset: Reset) {
        self.put(path, "threshold", shaped(thresholds, units));
        self.put(path, FACTOR, shaped(&[1.0], units));
        self.put(path, RESET, whole(Resets::names(reset).1));
    }

    /// Thresholds of units whose input is not scaled by 1 − β: all that is compared is larger by that factor.
    fn unscaled(&mut self, path: &str, decays: &[f32], thresholds: Vec<f32>) -> Result<Vec<f32>, Missing> {
        if decays.iter().any(|&decay| decay >= 1.0) {
            return Err(scaled_readout());
        }
        self.notes.push(format!("{path}: the input is not scaled there; thresholds are larger by 1/(1 − β)"));
        let count = decays.len().max(thresholds.len());
        let each = |numbers: &[f32], unit: usize| numbers[if numbers.len() == 1 { 0 } else { unit }];
        Ok((0..count).map(|unit| each(&thresholds, unit) / (1.0 - each(decays, unit))).collect())
    }

    /// Thresholds that are spiked above of only, for units that spike at theirs.
    fn above(&mut self, at_threshold: &mut bool, path: &str, thresholds: &mut [f32]) {
        if std::mem::take(at_threshold) {
            self.notes
                .push(format!("{path}: spikes above the threshold only; thresholds are a rounding lower"));
            thresholds.iter_mut().for_each(|threshold| *threshold *= JUST_BELOW);
        }
    }
}

fn scaled_readout() -> Missing {
    ("an input that is scaled by 1 − β".into(), "`scale_input` false, as snnTorch has it".into())
}

/// Units whose membrane rests at zero.
fn at_zero(reset_value: f32) -> Result<(), Missing> {
    if reset_value == 0.0 {
        return Ok(());
    }
    Err((format!("the reset value {reset_value}"), "0, as snnTorch has it".into()))
}

/// Resets of units that take their input along.
fn like_snntorch(reset: Reset, delay: bool, like: bool) -> Result<(), Missing> {
    let agrees = match reset {
        Reset::None => true,
        Reset::Subtract => delay || like,
        Reset::Zero => like || !delay,
    };
    if agrees {
        return Ok(());
    }
    Err(("a reset that snnTorch does not have".into(), "`snntorch_reset`; see `like_snntorch`".into()))
}

/// The arguments that all units take besides their own.
fn unit_args(own: Value, threshold: Value, learned: bool, resets: &Resets) -> Value {
    let mut args = own;
    if let Value::Object(args) = &mut args {
        args.insert("threshold".into(), threshold);
        args.insert("learn_threshold".into(), json!(learned));
        args.insert("reset_mechanism".into(), json!(Resets::names(resets.reset).0));
        args.insert("reset_delay".into(), json!(resets.delay));
    }
    args
}

fn module(kind: &str, args: Value, path: &str, surrogate: Surrogate) -> PythonModule {
    PythonModule {
        surrogate: serde_json::to_value(surrogate).ok(),
        ..PythonModule::new(kind, args).named(path)
    }
}
