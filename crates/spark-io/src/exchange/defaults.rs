//! Descriptions of networks with the conventions of a library for what they leave out.

use serde_json::{Map, Value, json};
use spark_core::Problems;
use spark_nn::layers::NetworkConfig;

use super::{Hints, Library};

/// Units whose resets and thresholds follow the conventions of a library.
const UNITS: [&str; 6] = ["leaky", "lapicque", "integrate_and_fire", "parametric", "synaptic", "adaptive"];

/// The network that a description in JSON means: a [`NetworkConfig`], or something with one under `network`, such
/// as what [`export`](super::export) describes or the configuration of a training run.
///
/// What units leave out is as the library has it where nothing else is said: for snnTorch the delay of the reset
/// ([`Hints::reset_delay`]) and its resets, for SpikingJelly a hard reset, spikes at the threshold, its
/// surrogate, a scaled input, and of leaky units the decay that [`Hints::tau`] gives.
///
/// # Errors
/// Everything that is no description of a network, and leaky units of SpikingJelly without a decay.
///
/// # Examples
/// ```
/// use spark_io::exchange::{Hints, Library, read_network};
/// use spark_nn::layers::LayerConfig;
///
/// let json = serde_json::json!({"input": [4], "layers": [
///     {"kind": "dense", "units": 2},
///     {"kind": "leaky", "decay": 0.9},
/// ]});
/// let network = read_network(json, &Hints::new(Library::SnnTorch))?;
/// let LayerConfig::Leaky(leaky) = &network.layers[1] else { unreachable!() };
/// assert!(leaky.reset_delay && leaky.snntorch_reset && leaky.decay == 0.9);
/// # Ok::<(), spark_core::Problems>(())
/// ```
pub fn read_network(mut json: Value, hints: &Hints) -> Result<NetworkConfig, Problems> {
    if let Some(network) = json.get_mut("network").map(Value::take) {
        json = network;
    }
    let mut problems = Problems::default();
    complete(&mut json, "", hints, &mut problems);
    problems.into_result()?;
    serde_json::from_value(json).map_err(|error| {
        let mut problems = Problems::default();
        problems.push("the network", error, "`input` and `layers`, as `spark schema` describes them");
        problems
    })
}

/// Fills in what units leave out, wherever they stand.
fn complete(json: &mut Value, path: &str, hints: &Hints, problems: &mut Problems) {
    match json {
        Value::Array(entries) => {
            for (index, entry) in entries.iter_mut().enumerate() {
                complete(entry, &format!("{path}[{index}]"), hints, problems);
            }
        }
        Value::Object(fields) => {
            let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            if UNITS.contains(&kind.as_str()) {
                units(fields, &kind, path, hints, problems);
            } else if kind == "parallel" && hints.library == Library::SpikingJelly {
                absent(fields, "spike_at_threshold", json!(true));
            }
            for (name, value) in fields.iter_mut() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                complete(value, &path, hints, problems);
            }
        }
        _ => {}
    }
}

fn units(fields: &mut Map<String, Value>, kind: &str, path: &str, hints: &Hints, problems: &mut Problems) {
    match hints.library {
        Library::SnnTorch => {
            if !fields.contains_key("reset_delay") {
                absent(fields, "snntorch_reset", json!(true));
            }
            absent(fields, "reset_delay", json!(hints.reset_delay));
        }
        Library::SpikingJelly => {
            absent(fields, "reset", json!("zero"));
            absent(fields, "reset_gradient", json!(true));
            absent(fields, "spike_at_threshold", json!(true));
            absent(fields, "surrogate", json!({"kind": "sigmoid", "slope": 4.0}));
            match (kind, hints.tau) {
                ("leaky", None) if !fields.contains_key("decay") => {
                    problems.push(
                        format!("{path}.decay"),
                        "nothing",
                        "a decay, 1 − 1/tau: files of SpikingJelly do not hold tau; --tau gives it for all",
                    );
                }
                ("leaky", Some(tau)) => absent(fields, "decay", json!(1.0 - 1.0 / tau)),
                _ => {}
            }
            if matches!(kind, "leaky" | "parametric") {
                absent(fields, "scale_input", json!(hints.decay_input));
            }
        }
    }
}

/// Sets a field that is not there.
fn absent(fields: &mut Map<String, Value>, field: &str, value: Value) {
    fields.entry(field).or_insert(value);
}
