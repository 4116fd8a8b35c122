//! What a model draws at random becomes what was drawn.

use serde_json::{Value, json};
use spark_core::component::Family;
use spark_core::model::{Model, Pattern, Settings};
use spark_core::registry;
use spark_core::schema::join;

use super::{Dump, DumpError, floats, modules};

/// Replaces draws in the settings of a model by the constants of a dump. Kernels, delays and masks stay: they are
/// part of the state.
pub(super) fn put(dump: &Dump, model: &mut Model) -> Result<(), DumpError> {
    let complete = model.complete()?;
    for (path, spec) in modules(&complete) {
        let Ok((registration, _)) = registry::find(&spec.module) else { continue };
        let dealt = format!("state.{}", join(&path, "indices"));
        if let Some(indices) = dump.get(&dealt).filter(|_| spec.config.fields.contains_key("output_map")) {
            let map: Vec<i64> = indices.iter().collect();
            set(dump, model, &join(&path, "output_map"), json!(map))?;
        }
        if spec.module == "Sampler" {
            return Err(
                dump.wrong(format!("`{path}`: a Sampler draws its entries anew here, it cannot go on"))
            );
        }
        for (field, value) in &spec.config.fields {
            if value.get("kind").is_none() || ["kernel", "delays"].contains(&field.as_str()) {
                continue;
            }
            let drawn = match registration.family {
                Family::Soma => of_soma(dump, &path, field, &spec.config),
                Family::Synapse => of_synapse(dump, &path, field, &spec.config),
                _ => None,
            };
            let field = join(&path, field);
            let drawn = drawn.ok_or_else(|| {
                dump.wrong(format!(
                    "`{field}` is drawn at random, and nothing in the dump says what was drawn"
                ))
            })?;
            set(dump, model, &field, json!(drawn))?;
        }
    }
    Ok(())
}

fn set(dump: &Dump, model: &mut Model, field: &str, value: Value) -> Result<(), DumpError> {
    let pattern: Pattern = field.parse().map_err(|error| dump.wrong(format!("`{field}`: {error}")))?;
    model.set(&pattern, &value).map_err(|error| dump.wrong(error.to_string()))?;
    Ok(())
}

fn constant(dump: &Dump, path: &str, name: &str) -> Option<Vec<f32>> {
    dump.get(&format!("constant.{}", join(path, name))).map(floats)
}

fn dt(settings: &Settings) -> Option<f64> {
    settings.fields.get("dt")?.as_f64()
}

/// τ of a share that is lost in each step.
fn tau(rate: Vec<f32>, dt: f64) -> Vec<f32> {
    rate.into_iter().map(|rate| (-dt / (-f64::from(rate)).ln_1p()) as f32).collect()
}

fn of_soma(dump: &Dump, path: &str, field: &str, settings: &Settings) -> Option<Vec<f32>> {
    let known = |name: &str| constant(dump, path, name);
    // Potentials stand relative to rest, but for the units of Izhikevich, which have a recovery instead.
    let absolute = |name: &str| {
        let (mut values, rest) = (known(name)?, known("potential_rest")?);
        if dump.get(&format!("state.{}", join(path, "recovery"))).is_none() {
            if values.len() < rest.len() {
                values = vec![*values.first()?; rest.len()];
            }
            values.iter_mut().zip(rest.iter().cycle()).for_each(|(value, rest)| *value += rest);
        }
        Some(values)
    };
    let each = |values: Vec<f32>, change: &dyn Fn(f64) -> f64| {
        values.into_iter().map(|value| change(f64::from(value)) as f32).collect()
    };
    let dt = dt(settings)?;
    match field {
        "threshold" | "potential_reset" | "rheobase_threshold" => absolute(field),
        "potential_tau" => known("potential_decay")
            .map(|decay| each(decay, &|decay| -dt / decay.ln()))
            .or_else(|| known("potential_scale").map(|scale| each(scale, &|scale| dt / scale))),
        "adaptation_tau" => known("adaptation_scale").map(|scale| each(scale, &|scale| dt / scale)),
        "threshold_delta" => known("threshold_trace.scale"),
        "threshold_tau" => known("threshold_trace.decay_rate").map(|rate| tau(rate, dt)),
        "cooldown" | "clamp_duration" => known(field).map(|steps| each(steps, &|steps| steps * dt)),
        _ => known(field),
    }
}

fn of_synapse(dump: &Dump, path: &str, field: &str, settings: &Settings) -> Option<Vec<f32>> {
    match field {
        "tau" => Some(tau(constant(dump, path, "current_tracer.decay_rate")?, dt(settings)?)),
        "scale" => constant(dump, path, "current_tracer.scale"),
        _ => None,
    }
}
