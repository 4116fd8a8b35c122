//! Networks of two layers that other libraries ran and differentiated.

use super::{Case, Checked, agree, floats};
use spark::burn::tensor::activation::sigmoid;
use spark::kernels::{ScanOptions, current_scan, leaky_scan, spike, spike_matmul};
use spark::prelude::*;
use std::collections::BTreeMap;

/// What a layer of units gives.
struct Units {
    /// `[time, batch, units]`.
    spikes: Tensor<3>,
    /// The membrane as the library reports it, `[time, batch, units]`.
    membrane: Tensor<3>,
    /// Learned parameters under the names of the recording.
    learned: Vec<(&'static str, Tensor<1>)>,
}

impl Units {
    fn new(spikes: Tensor<3>, membrane: Tensor<3>) -> Self {
        Self { spikes, membrane, learned: Vec::new() }
    }
}

fn surrogate(case: &Case) -> Checked<Surrogate> {
    Ok(match case.param("surrogate").as_str() {
        Some("fast_sigmoid") => Surrogate::FastSigmoid { slope: case.number("slope")? },
        Some("atan" | "ATan") => Surrogate::Atan { alpha: case.number("alpha")? },
        // Norse takes a steepness and does not use it.
        Some("superspike") => Surrogate::SuperSpike { alpha: 1.0 },
        other => return Err(format!("unknown surrogate {other:?}")),
    })
}

fn reset(case: &Case) -> Checked<Reset> {
    Ok(match case.param("reset").as_str() {
        Some("subtract") => Reset::Subtract,
        Some("zero") => Reset::Zero,
        Some("none") => Reset::None,
        other => return Err(format!("unknown reset {other:?}")),
    })
}

/// Runs the units of layer 1 or 2 of a case on `input`, `[time, batch, units]`.
fn units(case: &Case, layer: usize, input: Tensor<3>) -> Checked<Units> {
    match (case.library()?, case.text("layer")?) {
        ("snntorch", "Leaky") => match (reset(case)?, case.param("reset_delay") == false) {
            (Reset::Subtract, true) => subtracted_at_once(case, input),
            (Reset::Zero, true) => Err("Leaky with reset to zero is known with a delay alone".into()),
            _ => snntorch_leaky(case, layer, input),
        },
        ("snntorch", "Synaptic") => synaptic(case, input),
        ("snntorch", "Alpha") => alpha(case, input),
        ("spikingjelly", "IFNode") => spikingjelly(case, input, None),
        ("spikingjelly", "LIFNode") => {
            let leak = Tensor::from_floats([1.0 / case.number("tau")?], &input.device());
            spikingjelly(case, input, Some(leak))
        }
        ("spikingjelly", "ParametricLIFNode") => {
            let w: Tensor<1> = case.tensor(&format!("layer{layer}.w"), &input.device())?.require_grad();
            let leak = sigmoid(w.clone());
            let units = spikingjelly(case, input, Some(leak))?;
            Ok(Units { learned: vec![("w", w)], ..units })
        }
        ("norse", "lif_feed_forward_step") => norse(case, input),
        (library, layer) => Err(format!("unknown layer {layer} of {library}")),
    }
}

/// Spikes and potential of a scan from zero; decay and threshold `[1]`.
fn scan(input: Tensor<3>, decay: Tensor<1>, threshold: Tensor<1>, options: ScanOptions) -> Units {
    let [_, batch, units] = input.dims();
    let start = Tensor::zeros([batch, units], &input.device());
    let options = ScanOptions { potential: true, ..options };
    let out = leaky_scan(input, start, decay, threshold, options);
    Units::new(out.spikes, out.potential.expect("asked for"))
}

/// The same with a synaptic current; decays of membrane and current, and the threshold.
fn scan_current(
    input: Tensor<3>,
    [decay, current_decay, threshold]: [f32; 3],
    options: ScanOptions,
) -> Units {
    let [_, batch, units] = input.dims();
    let device = input.device();
    let start = || Tensor::zeros([batch, units], &device);
    let number = |value: f32| Tensor::from_floats([value], &device);
    let options = ScanOptions { potential: true, ..options };
    let (decay, current_decay) = (number(decay), number(current_decay));
    let out = current_scan(input, start(), start(), decay, current_decay, number(threshold), options);
    Units::new(out.spikes, out.potential.expect("asked for"))
}

/// snnTorch differentiates the spike that leaves a unit, never the one that resets it.
fn snntorch_options(case: &Case) -> Checked<ScanOptions> {
    // The layers that have no such choice reset a step later.
    let reset_delay = case.param("reset_delay") != false;
    Ok(ScanOptions { reset: reset(case)?, reset_delay, surrogate: surrogate(case)?, ..Default::default() })
}

fn snntorch_leaky(case: &Case, layer: usize, input: Tensor<3>) -> Checked<Units> {
    let device = input.device();
    let mut learned = Vec::new();
    let mut parameter = |name: &'static str, flag: &str| -> Checked<Tensor<1>> {
        if case.param(flag) != true {
            return Ok(Tensor::from_floats([case.number(name)?], &device));
        }
        let parameter: Tensor<1> = case.tensor(&format!("layer{layer}.{name}"), &device)?.require_grad();
        learned.push((name, parameter.clone()));
        Ok(parameter)
    };
    let (decay, threshold) = (parameter("beta", "learn_beta")?, parameter("threshold", "learn_threshold")?);
    let out = scan(input, decay, threshold, snntorch_options(case)?);
    Ok(Units { learned, ..out })
}

/// The entries of the first axis.
fn steps(input: &Tensor<3>) -> impl Iterator<Item = Tensor<2>> {
    let [time, batch, units] = input.dims();
    (0..time).map(move |t| input.clone().slice_dim(0, t..t + 1).reshape([batch, units]))
}

/// snnTorch's Leaky with `reset_delay=False` and reset by subtraction, which no other unit does: a membrane that
/// is still above the threshold is reset once more, before the crossing is looked for, and that reset is
/// given back after it.
///
/// ```text
/// R = H(V[t−1] − θ)    U = β·V[t−1] + I[t] − θ·R    S[t] = H(U − θ)    V[t] = U − θ·(S[t] − R)
/// ```
fn subtracted_at_once(case: &Case, input: Tensor<3>) -> Checked<Units> {
    let (beta, threshold) = (case.number("beta")?, case.number("threshold")?);
    let surrogate = surrogate(case)?;
    let (mut spikes, mut membrane) = (Vec::new(), Vec::new());
    let mut v: Option<Tensor<2>> = None;
    for current in steps(&input) {
        let v_before = v.unwrap_or_else(|| current.zeros_like());
        let r = spike(v_before.clone() - threshold, surrogate).detach();
        let u = v_before * beta + current - r.clone() * threshold;
        let s = spike(u.clone() - threshold, surrogate);
        let after = u - (s.clone() - r) * threshold;
        spikes.push(s);
        membrane.push(after.clone());
        v = Some(after);
    }
    Ok(Units::new(Tensor::stack(spikes, 0), Tensor::stack(membrane, 0)))
}

/// snnTorch's Synaptic: a current that decays with α drives a leaky unit.
fn synaptic(case: &Case, input: Tensor<3>) -> Checked<Units> {
    let numbers = [case.number("beta")?, case.number("alpha")?, case.number("threshold")?];
    Ok(scan_current(input, numbers, snntorch_options(case)?))
}

/// snnTorch's Alpha: an excitatory and an inhibitory trace, and a membrane that is their scaled sum. A reset sets
/// all three to zero, the input of the step included.
fn alpha(case: &Case, input: Tensor<3>) -> Checked<Units> {
    let (alpha, beta) = (case.number("alpha")?, case.number("beta")?);
    let (threshold, surrogate) = (case.number("threshold")?, surrogate(case)?);
    if reset(case)? != Reset::Zero {
        return Err("Alpha is known with reset to zero alone".into());
    }
    let scale = alpha.ln() / (beta.ln() - alpha.ln()) + 1.0;
    let (mut spikes, mut membrane) = (Vec::new(), Vec::new());
    let mut state: Option<[Tensor<2>; 3]> = None;
    for current in steps(&input) {
        let [excitatory, inhibitory, v] =
            state.unwrap_or_else(|| std::array::from_fn(|_| current.zeros_like()));
        let kept = -spike(v - threshold, surrogate).detach() + 1.0;
        let excitatory = (excitatory * alpha + current.clone()) * kept.clone();
        let inhibitory = (inhibitory * beta - current) * kept;
        let v = (excitatory.clone() + inhibitory.clone()) * scale;
        spikes.push(spike(v.clone() - threshold, surrogate));
        membrane.push(v.clone());
        state = Some([excitatory, inhibitory, v]);
    }
    Ok(Units::new(Tensor::stack(spikes, 0), Tensor::stack(membrane, 0)))
}

/// SpikingJelly's IFNode (no leak), LIFNode and ParametricLIFNode (leak = 1/τ): `H = V + leak·(I − V)`, or
/// `H = V − leak·V + I` without `decay_input`; the membrane is reported after the reset.
fn spikingjelly(case: &Case, input: Tensor<3>, leak: Option<Tensor<1>>) -> Checked<Units> {
    let device = input.device();
    let threshold = case.number("v_threshold")?;
    let reset = match case.param("v_reset") {
        value if value.is_null() => Reset::Subtract,
        value if value == 0.0 => Reset::Zero,
        value => return Err(format!("unknown v_reset {value}")),
    };
    let reset_gradient = case.param("detach_reset") != true;
    let options = ScanOptions { reset, reset_gradient, surrogate: surrogate(case)?, ..Default::default() };
    let input = match &leak {
        Some(leak) if case.param("decay_input") != false => input * leak.clone().unsqueeze(),
        _ => input,
    };
    let decay = leak.map_or_else(|| Tensor::ones([1], &device), |leak| -leak + 1.0);
    let out = scan(input, decay, Tensor::from_floats([threshold], &device), options);
    let membrane = match reset {
        Reset::Subtract => out.membrane - out.spikes.clone() * threshold,
        _ => out.membrane * (-out.spikes.clone() + 1.0),
    };
    Ok(Units::new(out.spikes, membrane))
}

/// Norse's feed-forward LIF step: `I ← I + x`, `V ← V + dt/τ_m·(I − V)`, `I ← I − dt/τ_s·I`, spike, reset to zero
/// with the spike's gradient; the membrane is reported after the reset.
fn norse(case: &Case, input: Tensor<3>) -> Checked<Units> {
    if case.number("v_leak")? != 0.0 || case.number("v_reset")? != 0.0 {
        return Err("v_leak and v_reset other than 0 are unknown".into());
    }
    let dt = case.number("dt")?;
    let (membrane_rate, synapse_rate) = (dt * case.number("tau_mem_inv")?, dt * case.number("tau_syn_inv")?);
    let surrogate = surrogate(case)?;
    let options = ScanOptions { reset: Reset::Zero, reset_gradient: true, surrogate, ..Default::default() };
    let numbers = [1.0 - membrane_rate, 1.0 - synapse_rate, case.number("v_th")?];
    let out = scan_current(input * membrane_rate, numbers, options);
    let membrane = out.membrane * (-out.spikes.clone() + 1.0);
    Ok(Units::new(out.spikes, membrane))
}

/// Spikes exact; membranes, loss and every recorded gradient within 1e-4.
pub fn check(case: &Case, device: &Device) -> Checked {
    if case.text("loss_fn")? != "cross_entropy(sum_t spikes2, y)" {
        return Err(format!("unknown loss {}", case.text("loss_fn")?));
    }
    let device = device.clone().autodiff();
    let mut signal: Tensor<3> = case.tensor("x", &device)?;
    let (mut matrices, mut vectors) = (Vec::new(), Vec::new());
    for layer in [1, 2] {
        let weight: Tensor<2> = case.tensor(&format!("w{layer}"), &device)?.require_grad();
        let bias: Tensor<1> = case.tensor(&format!("b{layer}"), &device)?.require_grad();
        let [time, batch, inputs] = signal.dims();
        let current = spike_matmul(signal.reshape([time * batch, inputs]), weight.clone().transpose());
        let current = current + bias.clone().unsqueeze();
        let count = current.dims()[1];
        let units = units(case, layer, current.reshape([time, batch, count]))?;

        let (spikes, membrane) = (format!("spikes{layer}"), format!("mem{layer}"));
        agree(&floats(units.spikes.clone()), &case.values(&spikes)?, 0.0, &spikes)?;
        agree(&floats(units.membrane), &case.values(&membrane)?, 1e-4, &membrane)?;
        signal = units.spikes;
        matrices.push((format!("w{layer}"), weight));
        vectors.push((format!("b{layer}"), bias));
        let learned = units.learned.into_iter();
        vectors.extend(learned.map(|(name, parameter)| (format!("layer{layer}.{name}"), parameter)));
    }
    let [_, batch, classes] = signal.dims();
    let labels: Vec<i32> = case.values("y")?;
    let labels = Tensor::<1, Int>::from_ints(labels.as_slice(), &device);
    let scores = signal.sum_dim(0).reshape([batch, classes]);
    let loss = Loss::CountCrossEntropy {}.forward(scores, labels);
    agree(&floats(loss.clone()), &case.values("loss")?, 1e-4, "loss")?;

    let gradients = loss.backward();
    let matrices = matrices.iter().map(|(name, leaf)| (name.as_str(), leaf.grad(&gradients).map(floats)));
    let vectors = vectors.iter().map(|(name, leaf)| (name.as_str(), leaf.grad(&gradients).map(floats)));
    let found: BTreeMap<&str, Option<Vec<f32>>> = matrices.chain(vectors).collect();
    for recorded in case.names().filter(|name| name.starts_with("grad.")) {
        let gradient = found.get(&recorded["grad.".len()..]).and_then(Option::as_ref);
        let gradient = gradient.ok_or_else(|| format!("{recorded} has no counterpart"))?;
        agree(gradient, &case.values(recorded)?, 1e-4, recorded)?;
    }
    Ok(())
}
