//! What units of snnTorch hold. Source: snnTorch 1.0, `snntorch._neurons`.

use indexmap::IndexMap;
use serde_json::{Value, json};
use spark_core::Problems;
use spark_nn::layers::{LayerConfig, NetworkConfig};

use super::Library;
use super::groups::{Class, Group, RESET};
use super::slots::{Counterpart, counterpart};

/// The factor on the spikes of a unit.
pub(super) const FACTOR: &str = "graded_spikes_factor";

/// What units hold besides parameters: how they reset, what they remembered, the same twice. Where a decay, a
/// step or a connection of units to themselves is no parameter, [`facts`] has seen to it.
pub(super) const IGNORED: [&str; 9] =
    [RESET, FACTOR, "mem", "syn", "spk", "V", "recurrent.V", "time_step", "beta"];

/// What was found and what was expected.
pub(super) type Mismatch = (String, String);

/// The kinds of reset, by their numbers in files.
const RESETS: [&str; 3] = ["subtract", "zero", "none"];

/// Puts what a module says into the configuration of its layer; gives what was different there.
pub(super) fn facts(group: &Group, layer: &mut LayerConfig) -> Result<Vec<String>, Mismatch> {
    match group.class() {
        Class::Linear | Class::Conv1d | Class::Conv2d => return Ok(bias(group, layer, "bias")),
        Class::Units => {}
        _ => return Ok(Vec::new()),
    }
    use LayerConfig::{IntegrateAndFire, Leaky, Recurrent};
    let hears = ["V", "recurrent.weight"].iter().any(|name| group.tensors.contains_key(*name));
    if hears && !matches!(layer, Recurrent(_) | Leaky(_) | IntegrateAndFire(_)) {
        return Err(("units that hear themselves".into(), "a layer `recurrent`".into()));
    }
    let before = Fields::of(layer);
    let mut fields = Fields::of(layer);
    let mut notes = Vec::new();
    if let Some(number) = group.number(RESET) {
        let found = RESETS.get(number as usize).filter(|_| number >= 0.0 && number.fract() == 0.0);
        let found = found.ok_or((format!("{RESET} {number}"), "0, 1 or 2".to_owned()))?;
        if reads_self_as_reset(group, layer)? {
            // Its reset is the connection.
        } else if matches!(layer, LayerConfig::LeakyIntegrator(_)) {
            if *found != "none" {
                return Err((format!("units with a reset `{found}`"), "units without, for a readout".into()));
            }
        } else {
            if before.units()["reset"] != **found {
                let given = before.units()["reset"].as_str().unwrap_or_default();
                notes.push(format!("reset is `{found}` in the file, `{given}` was given"));
            }
            fields.set("reset", json!(found));
        }
    }
    if matches!(layer, IntegrateAndFire(_)) && group.number("beta") != Some(1.0) {
        return Err(("units with a decay".into(), "beta 1; or a leaky layer".into()));
    }
    numbers(group, layer, &mut fields);
    *layer = fields.into_layer();
    let sides = ["lstm_cell.weight_ih", "lstm_cell.weight_hh"].map(|name| group.shape(name));
    if sides[0] != sides[1] {
        notes.push(
            "snnTorch's SLSTM starts anew in every step unless inputs are as many as units; ours goes on"
                .into(),
        );
    }
    if group.tensors.contains_key("recurrent.weight") {
        notes.extend(bias(group, layer, "recurrent.bias"));
    }
    Ok(notes)
}

/// Whether a connection of each unit to itself stands for a reset at once, as [`export`](super::export) has it.
fn reads_self_as_reset(group: &Group, layer: &LayerConfig) -> Result<bool, Mismatch> {
    let resets = matches!(layer, LayerConfig::Leaky(_) | LayerConfig::IntegrateAndFire(_));
    let Some(weights) = group.values("V").filter(|_| resets) else { return Ok(false) };
    let (decays, thresholds) = (group.values("beta"), group.values("threshold"));
    let of = |values: &Option<Vec<f64>>, unit: usize| {
        let values = values.as_deref().unwrap_or(&[]);
        values.get(unit).or(values.first()).copied().unwrap_or(f64::NAN)
    };
    let stands = weights.iter().enumerate().all(|(unit, weight)| {
        (weight + of(&decays, unit) * of(&thresholds, unit)).abs() <= 1e-6 * weight.abs()
    });
    if stands && group.number(RESET) == Some(2.0) {
        return Ok(true);
    }
    Err((
        "units that hear themselves with weights other than those of a reset, −β·θ".into(),
        "a layer `recurrent` with the connection `one_to_one`".into(),
    ))
}

/// Numbers of units, where the configuration has a field for them.
fn numbers(group: &Group, layer: &LayerConfig, fields: &mut Fields) {
    let Counterpart::Module(_, slots) = counterpart(Library::SnnTorch, layer) else { return };
    for (theirs, ours) in slots {
        let field = ours.rsplit('.').next().unwrap_or(ours);
        let Some(values) = group.values(theirs).filter(|_| fields.units()[field].is_number()) else {
            continue;
        };
        if values.len() > 1 {
            fields.set("per_unit", json!(true));
        }
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        fields.set(field, json!(mean as f32));
    }
    if let Some(step) = group.number("time_step") {
        fields.set("dt", json!(step as f32));
    }
}

/// Whether there is a bias.
pub(super) fn bias(group: &Group, layer: &mut LayerConfig, tensor: &str) -> Vec<String> {
    let (found, mut fields) = (group.tensors.contains_key(tensor), Fields::of(layer));
    if fields.0["bias"] == found || !fields.0["bias"].is_boolean() {
        return Vec::new();
    }
    fields.0["bias"] = json!(found);
    *layer = fields.into_layer();
    vec![
        if found { "a bias in the file, none was given" } else { "no bias in the file, one was given" }
            .into(),
    ]
}

/// A configuration as the fields of its JSON form.
pub(super) struct Fields(pub Value);

impl Fields {
    pub fn of(layer: &LayerConfig) -> Self {
        Self(serde_json::to_value(layer).expect("a configuration is JSON"))
    }

    /// The fields of the units: those of what a recurrent layer connects, those of the layer itself otherwise.
    pub fn units(&self) -> &Value {
        match &self.0["units"] {
            units @ Value::Object(_) => units,
            _ => &self.0,
        }
    }

    /// Sets a field of the units that is there.
    pub fn set(&mut self, field: &str, value: Value) {
        let units = match self.0.get("units") {
            Some(Value::Object(_)) => &mut self.0["units"],
            _ => &mut self.0,
        };
        if let Some(own) = units.get_mut(field) {
            *own = value;
        }
    }

    pub fn into_layer(self) -> LayerConfig {
        serde_json::from_value(self.0).expect("fields that were set are of the type that they had")
    }
}

/// The factors on spikes, into the layers `scale` behind the units; pairs of layer and module.
pub(super) fn factors(
    network: &mut NetworkConfig,
    groups: &[Group],
    pairs: &IndexMap<String, usize>,
    library: Library,
    problems: &mut Problems,
) -> Vec<(String, usize)> {
    let mut scaled = Vec::new();
    if library != Library::SnnTorch {
        return scaled;
    }
    let mut before: Option<(String, usize)> = None;
    super::places::visit(&mut network.layers, &mut |path, layer| {
        let units = before.take();
        if let (Some((_, index)), LayerConfig::Scale(config)) = (&units, &mut *layer)
            && let Some(values) = groups[*index].values(FACTOR)
        {
            let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
            (config.factor, config.per_unit) = (mean as f32, config.per_unit || values.len() > 1);
            scaled.push((path.to_owned(), *index));
            return;
        }
        report_factor(units, groups, problems);
        before = pairs
            .get(path)
            .filter(|&&index| groups[index].class() == Class::Units)
            .map(|&index| (path.to_owned(), index));
    });
    report_factor(before, groups, problems);
    scaled
}

/// A factor other than 1 on the spikes of units without a layer for it behind them.
fn report_factor(units: Option<(String, usize)>, groups: &[Group], problems: &mut Problems) {
    let Some((path, index)) = units else { return };
    let group = &groups[index];
    if group.tensors.contains_key(FACTOR) && group.number(FACTOR) != Some(1.0) {
        let found = format!("`{}` other than 1", group.full(FACTOR));
        problems.push(path, found, "a layer `scale` behind the units");
    }
}
