//! Networks that other libraries ran and differentiated, built of our layers.

use super::{Case, Checked, agree, floats};
use serde_json::{Value, json};
use spark::burn::module::{ModuleVisitor, Param};
use spark::burn::tensor::{Gradients, TensorData};
use spark::core::state::save;
use spark::io::parameters::{self, Path};
use spark::prelude::*;
use std::collections::BTreeMap;

/// What the recording calls a parameter, and what we call it.
type Names = Vec<(String, String)>;

/// The same within one layer.
type OwnNames = Vec<(&'static str, &'static str)>;

/// A network as the recording describes it.
struct Plan {
    layers: Vec<Value>,
    names: Names,
    /// How many of our layers make the block of each layer of units, synapses included.
    blocks: Vec<usize>,
}

fn surrogate(case: &Case) -> Checked<Value> {
    Ok(match case.param("surrogate").as_str() {
        Some("fast_sigmoid") => json!({"kind": "fast_sigmoid", "slope": case.number("slope")?}),
        Some("atan" | "ATan") => json!({"kind": "atan", "alpha": case.number("alpha")?}),
        // Norse takes a steepness and does not use it.
        Some("superspike") => json!({"kind": "super_spike", "alpha": 1.0}),
        other => return Err(format!("unknown surrogate {other:?}")),
    })
}

/// A number, or what the library takes where the recording names none.
fn number_or(case: &Case, name: &str, default: f32) -> f32 {
    case.number(name).unwrap_or(default)
}

fn merged(mut fields: Value, more: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more) {
        fields.extend(more);
    }
    fields
}

/// The units of layer 1 or 2 of a case with `count` units, and the names of their parameters behind the
/// recording's `layer1.` and our `layers.1.`; parts of a layer number are `+1` for the layer behind the units.
fn units(case: &Case, layer: usize, count: usize) -> Checked<(Vec<Value>, OwnNames)> {
    let plain = |units: Value, names: OwnNames| Ok((vec![units], names));
    match (case.library()?, case.text("layer")?) {
        ("snntorch", "Leaky") => {
            let units = merged(snntorch(case, layer)?, json!({"kind": "leaky"}));
            if case.param("graded_spikes_factor").is_null() {
                return plain(units, vec![("beta", "decay"), ("threshold", "threshold")]);
            }
            let scale = json!({"kind": "scale", "factor": 1.0, "learn": true});
            Ok((vec![units, scale], vec![("graded_spikes_factor", "+1.factor")]))
        }
        ("snntorch", "Lapicque") => {
            let own = match case.number("beta") {
                Ok(beta) => json!({"kind": "lapicque", "capacitance": -1.0 / beta.ln()}),
                Err(_) => {
                    json!({"kind": "lapicque", "resistance": case.number("R")?, "capacitance": case.number("C")?})
                }
            };
            let mut units = merged(snntorch(case, layer)?, own);
            for field in ["decay", "learn_decay"] {
                units.as_object_mut().map(|fields| fields.remove(field));
            }
            plain(units, vec![])
        }
        ("snntorch", "Synaptic") => plain(synaptic(case, layer)?, vec![]),
        ("snntorch", "RLeaky" | "RSynaptic") => {
            let inner = match case.text("layer")? {
                "RLeaky" => merged(snntorch(case, layer)?, json!({"kind": "leaky"})),
                _ => synaptic(case, layer)?,
            };
            let all = case.param("all_to_all") == true;
            let connection = if all { "all_to_all" } else { "one_to_one" };
            let units = json!({"kind": "recurrent", "units": inner, "connection": connection});
            let names = match all {
                true => vec![("recurrent.weight", "recurrent.weight"), ("recurrent.bias", "recurrent.bias")],
                false => vec![("V", "weight")],
            };
            plain(units, names)
        }
        ("snntorch", "Alpha") => plain(
            json!({
                "kind": "alpha",
                "decay_excitatory": case.number("alpha")?,
                "decay_inhibitory": case.number("beta")?,
                "threshold": case.number("threshold")?,
                "reset": case.param("reset"),
                "surrogate": json!({"kind": "fast_sigmoid", "slope": case.number("slope")?}),
            }),
            vec![],
        ),
        ("snntorch", "SLSTM") => plain(
            json!({
                "kind": "spiking_lstm", "units": count, "threshold": case.number("threshold")?,
                "reset": case.param("reset"), "surrogate": surrogate(case)?,
            }),
            vec![
                ("l.lstm_cell.weight_ih", "weight_ih"),
                ("l.lstm_cell.weight_hh", "weight_hh"),
                ("l.lstm_cell.bias_ih", "bias_ih"),
                ("l.lstm_cell.bias_hh", "bias_hh"),
            ],
        ),
        ("spikingjelly", "IFNode") => {
            plain(spikingjelly(case, json!({"kind": "integrate_and_fire"}))?, vec![])
        }
        ("spikingjelly", "LIFNode") => {
            let scale = case.param("decay_input") != false;
            let own =
                json!({"kind": "leaky", "decay": 1.0 - 1.0 / case.number("tau")?, "scale_input": scale});
            plain(spikingjelly(case, own)?, vec![])
        }
        ("spikingjelly", "ParametricLIFNode") => {
            let scale = case.param("decay_input") != false;
            let own = json!({"kind": "parametric", "tau": case.number("init_tau")?, "scale_input": scale});
            plain(spikingjelly(case, own)?, vec![("w", "w")])
        }
        ("spikingjelly", "SlidingPSN") => plain(
            json!({
                "kind": "parallel", "order": case.number("k")? as usize, "spike_at_threshold": true,
                "surrogate": surrogate(case)?,
            }),
            vec![("weight", "weight"), ("bias", "bias")],
        ),
        ("norse", "lif_feed_forward_step" | "LIFCell") => plain(norse(case)?, vec![]),
        ("norse", "LIFBoxCell") => {
            let rate = case.number("dt")? * case.number("tau_mem_inv")?;
            let own = json!({"kind": "leaky", "decay": 1.0 - rate, "scale_input": true});
            plain(merged(norse_spikes(case)?, own), vec![])
        }
        ("norse", "IAFCell") => {
            plain(merged(norse_spikes(case)?, json!({"kind": "integrate_and_fire"})), vec![])
        }
        ("norse", "LIFRecurrentCell") => {
            // Of Norse's units those that are recurrent let no gradient through the reset.
            let inner = merged(norse(case)?, json!({"reset_gradient": false}));
            let synapses = json!({"kind": "dense", "units": count, "bias": false});
            let units = json!({"kind": "recurrent", "units": inner, "bias": false});
            let names = vec![("input_weights", "weight"), ("recurrent_weights", "+1.recurrent.weight")];
            Ok((vec![synapses, units], names))
        }
        (library, layer) => Err(format!("unknown layer {layer} of {library}")),
    }
}

fn snntorch(case: &Case, layer: usize) -> Checked<Value> {
    let reset = match case.param("reset") {
        Value::Array(by_layer) => by_layer[layer - 1].clone(),
        reset => reset.clone(),
    };
    let per_unit = case.param("beta").is_string();
    Ok(json!({
        "decay": number_or(case, "beta", 0.9),
        "threshold": number_or(case, "threshold", 1.0),
        "learn_decay": case.param("learn_beta") == true,
        "learn_threshold": case.param("learn_threshold") == true,
        "per_unit": per_unit,
        "reset": reset,
        "reset_delay": case.param("reset_delay") != false,
        "snntorch_reset": true,
        "surrogate": surrogate(case)?,
    }))
}

fn synaptic(case: &Case, layer: usize) -> Checked<Value> {
    let own = json!({"kind": "synaptic", "current_decay": case.number("alpha")?});
    Ok(merged(snntorch(case, layer)?, own))
}

fn spikingjelly(case: &Case, own: Value) -> Checked<Value> {
    let reset = case.entry["params"].get("v_reset");
    let hard = reset.is_none_or(|reset| !reset.is_null());
    let reset_value = reset.and_then(Value::as_f64).unwrap_or(0.0);
    Ok(merged(
        json!({
            "threshold": number_or(case, "v_threshold", 1.0),
            "reset": if hard { "zero" } else { "subtract" },
            "reset_value": if hard { reset_value } else { 0.0 },
            "reset_gradient": case.param("detach_reset") != true,
            "spike_at_threshold": true,
            "surrogate": surrogate(case)?,
        }),
        own,
    ))
}

fn norse_spikes(case: &Case) -> Checked<Value> {
    if number_or(case, "v_leak", 0.0) != 0.0 || number_or(case, "v_reset", 0.0) != 0.0 {
        return Err("v_leak and v_reset other than 0 are unknown".into());
    }
    Ok(json!({
        "threshold": case.number("v_th")?, "reset": "zero", "reset_gradient": true,
        "surrogate": surrogate(case)?,
    }))
}

fn norse(case: &Case) -> Checked<Value> {
    let dt = case.number("dt")?;
    let own = json!({
        "kind": "synaptic",
        "decay": 1.0 - dt * case.number("tau_mem_inv")?,
        "current_decay": 1.0 - dt * case.number("tau_syn_inv")?,
        "scale_input": true,
    });
    Ok(merged(norse_spikes(case)?, own))
}

/// linear(w1, b1), units, linear(w2, b2), units.
fn dense_plan(case: &Case) -> Checked<Plan> {
    let mut plan = Plan { layers: Vec::new(), names: Vec::new(), blocks: Vec::new() };
    for layer in [1, 2] {
        let count = case.shape(&format!("b{layer}")).ok_or("no bias")?[0];
        let at = plan.layers.len();
        plan.names.push((format!("w{layer}"), format!("layers.{at}.weight")));
        plan.names.push((format!("b{layer}"), format!("layers.{at}.bias")));
        let (units, names) = units(case, layer, count)?;
        for (theirs, ours) in names {
            let ours = match ours.strip_prefix("+1.") {
                Some(behind) => format!("layers.{}.{behind}", at + 2),
                None => format!("layers.{}.{ours}", at + 1),
            };
            plan.names.push((format!("layer{layer}.{theirs}"), ours));
        }
        plan.blocks.push(1 + units.len());
        plan.layers.push(json!({"kind": "dense", "units": count}));
        plan.layers.extend(units);
    }
    Ok(plan)
}

/// The network of pictures: convolution, pooling by the maximum and by the mean, a linear layer.
fn conv_plan(case: &Case) -> Checked<Plan> {
    let text =
        "conv 1->3 k3; maxpool 2; L1; conv 3->4 k3 pad 1; avgpool 2; L2; flatten (c, h, w); linear 16->5; L3";
    if case.text("net")? != text {
        return Err(format!("unknown network {}", case.text("net")?));
    }
    let units = merged(snntorch(case, 1)?, json!({"kind": "leaky"}));
    let names = [(1, 0), (2, 3), (3, 7)].into_iter().flat_map(|(theirs, ours)| {
        [
            (format!("w{theirs}"), format!("layers.{ours}.weight")),
            (format!("b{theirs}"), format!("layers.{ours}.bias")),
        ]
    });
    Ok(Plan {
        layers: vec![
            json!({"kind": "conv2d", "channels": 3, "kernel": [3, 3]}),
            json!({"kind": "max_pool2d", "window": [2, 2]}),
            units.clone(),
            json!({"kind": "conv2d", "channels": 4, "kernel": [3, 3], "padding": [1, 1]}),
            json!({"kind": "avg_pool2d", "window": [2, 2]}),
            units.clone(),
            json!({"kind": "flatten"}),
            json!({"kind": "dense", "units": 5}),
            units,
        ],
        names: names.collect(),
        blocks: vec![3, 3, 3],
    })
}

/// The network with the recorded parameters.
fn network(case: &Case, plan: &Plan, input: &[usize], device: &Device) -> Checked<Network> {
    let config = json!({"input": input, "layers": plan.layers});
    let config: NetworkConfig = serde_json::from_value(config).map_err(|error| error.to_string())?;
    let network = config.init(1, device).map_err(|problems| problems.to_string())?;
    let mut tensors = parameters::collect(&network);
    for (theirs, ours) in &plan.names {
        if case.shape(theirs).is_some() {
            let values: Vec<f32> = case.values(theirs)?;
            let own = tensors.get_mut(ours).ok_or_else(|| format!("no parameter {ours} for {theirs}"))?;
            *own = TensorData::new(values, own.shape().to_vec());
        }
    }
    parameters::load(network, tensors).map_err(|problems| problems.to_string())
}

/// The gradient of every parameter by name, as the parameter is exchanged.
fn gradients(network: &Network, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    struct Collect<'a>(Path, &'a Gradients, BTreeMap<String, Vec<f32>>);
    impl ModuleVisitor for Collect<'_> {
        fn enter_module(&mut self, name: &str, container: &str) {
            self.0.enter(name, container);
        }
        fn exit_module(&mut self, _: &str, container: &str) {
            self.0.exit(container);
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = param.val().grad(self.1) {
                let (_, _, mapper) = param.clone().consume();
                self.2.insert(self.0.name(), floats(mapper.on_save(gradient)));
            }
        }
    }
    let mut collect = Collect(Path::default(), gradients, BTreeMap::new());
    network.visit(&mut collect);
    collect.2
}

/// Spikes of every block, layer by layer.
fn check_layers(case: &Case, plan: &Plan, network: &Network, input: &Tensor<3>) -> Checked {
    let mut x = input.clone();
    let mut layers = network.layers.iter();
    for (block, &count) in plan.blocks.iter().enumerate() {
        for layer in layers.by_ref().take(count) {
            let state = layer.initial_state(x.dims()[1], &x.device());
            (x, _) = layer.sequence(x, state);
        }
        let name = format!("spikes{}", block + 1);
        agree(&floats(x.clone()), &case.values(&name)?, 0.0, &name)?;
    }
    Ok(())
}

/// Membranes of every step, from the state, and the spikes that leave.
fn check_steps(case: &Case, plan: &Plan, network: &Network, input: &Tensor<3>) -> Checked {
    let [time, batch, inputs] = input.dims();
    let mut state = network.initial_state(batch, &input.device());
    let mut membranes: BTreeMap<String, Vec<f32>> = BTreeMap::new();
    let mut output = Vec::new();
    for t in 0..time {
        let x = input.clone().slice_dim(0, t..t + 1).reshape([batch, inputs]);
        let spikes;
        (spikes, state) = network.step(x, state);
        output.extend(floats(spikes));
        for (name, plane) in save(state.clone()) {
            if name.ends_with("membrane") {
                membranes.entry(name).or_default().extend(plane.iter::<f32>());
            }
        }
    }
    let last = format!("spikes{}", plan.blocks.len());
    agree(&output, &case.values(&last)?, 0.0, &format!("{last} step by step"))?;
    for (block, found) in membranes.values().enumerate() {
        let name = format!("mem{}", block + 1);
        if case.shape(&name).is_some() {
            agree(found, &case.values(&name)?, 1e-4, &name)?;
        }
    }
    Ok(())
}

/// Spikes exact, layer by layer, as a whole and step by step; membranes, loss and every recorded gradient within
/// 1e-4.
pub fn check(case: &Case, device: &Device) -> Checked {
    let images = case.entry["kind"] == "conv_net";
    let plan = if images { conv_plan(case)? } else { dense_plan(case)? };
    let last = plan.blocks.len();
    let loss = match case.text("loss_fn")? {
        text if text == format!("cross_entropy(sum_t spikes{last}, y)") => Loss::CountCrossEntropy {},
        text if text == format!("cross_entropy(max_t mem{last}, y)") => Loss::MembraneCrossEntropy {},
        other => return Err(format!("unknown loss {other}")),
    };
    let shape = case.shape("x").ok_or("no input")?.to_vec();
    let [time, batch] = [shape[0], shape[1]];
    let input = |device: &Device| -> Checked<Tensor<3>> {
        let width = shape[2..].iter().product();
        Ok(Tensor::from_data(TensorData::new(case.values::<f32>("x")?, [time, batch, width]), device))
    };
    let plain = network(case, &plan, &shape[2..], device)?;
    check_layers(case, &plan, &plain, &input(device)?)?;
    check_steps(case, &plan, &plain, &input(device)?)?;

    let device = device.clone().autodiff();
    let network = network(case, &plan, &shape[2..], &device)?;
    let output = network.forward(input(&device)?, None);
    agree(&floats(output.output.clone()), &case.values(&format!("spikes{last}"))?, 0.0, "the whole network")?;
    let labels: Vec<i32> = case.values("y")?;
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let found = loss.judge(&output, labels).loss;
    agree(&floats(found.clone()), &case.values("loss")?, 1e-4, "loss")?;

    let found = gradients(&network, &found.backward());
    let names: BTreeMap<&str, &str> =
        plan.names.iter().map(|(theirs, ours)| (theirs.as_str(), ours.as_str())).collect();
    for recorded in case.names().filter(|name| name.starts_with("grad.")) {
        let ours = names.get(&recorded["grad.".len()..]).ok_or_else(|| format!("{recorded} is unknown"))?;
        let mut gradient = found.get(*ours).ok_or_else(|| format!("{recorded} has no counterpart"))?.clone();
        if recorded.ends_with("recurrent_weights") {
            // Norse lets no unit hear itself, and such a synapse learn nothing.
            let units = gradient.len().isqrt();
            gradient.iter_mut().step_by(units + 1).for_each(|own| *own = 0.0);
        }
        agree(&gradient, &case.values(recorded)?, 1e-4, recorded)?;
    }
    Ok(())
}
