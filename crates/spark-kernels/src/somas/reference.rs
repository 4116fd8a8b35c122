//! The reference body of [`soma_step`](super::soma_step), composed of plain Burn operations.

use burn::backend::tensor::FloatTensor;

use super::ionic::{self, GateRates, IonicMembrane, Kinetics, WANG_BUZSAKI};
use super::model::{AdaptationCurrent, AdaptiveThreshold, Soma, SomaModel};
use super::quadratic::{self, Quadratic};
use super::state::{Gates, SomaState};
use super::{SomaForm, SomaOptions};
use crate::StepOps;
use crate::composed::T;
use crate::planes::Planes;

/// The step on collected planes.
pub(crate) fn step_planes<B: StepOps>(
    current: FloatTensor<B>,
    planes: Planes<B>,
    form: SomaForm,
) -> (FloatTensor<B>, Planes<B>) {
    let mut next = planes.into_source();
    let soma = form.soma.map(|()| T::<B>(next()));
    let state = form.state.map(|()| T(next()));
    let (spikes, state) = step(soma, T(current), state, form.options);
    let mut planes = Vec::new();
    state.map(|plane| planes.push(plane.0));
    (spikes.0, Planes(planes))
}

/// The step itself.
fn step<B: StepOps>(
    soma: Soma<T<B>>,
    current: T<B>,
    state: SomaState<T<B>>,
    options: SomaOptions,
) -> (T<B>, SomaState<T<B>>) {
    let Soma { model, reset, threshold, cooldown, clamp, adaptive_threshold, adaptation } =
        soma.map(|parameter| parameter.lift(2));
    let since = state.since_spike;
    let not_yet = |steps: &T<B>| (steps.clone() - since.clone().expect("counted")).step();
    let ready = cooldown.as_ref().map(|steps| not_yet(steps).complement());

    let mut input = current;
    if let Some(ready) = &ready {
        input = input * ready.clone();
    }
    if let Some(w) = &state.adaptation {
        input = input - w.clone();
    }
    let threshold = match &state.threshold_offset {
        Some(offset) => threshold + offset.clone(),
        None => threshold,
    };
    let resets = model.resets();
    let below = (!resets).then(|| (state.potential.clone() - threshold.clone()).step().complement());
    let mut gates = state.gates;
    let mut v = integrate(&model, state.potential, input, state.recovery.as_ref(), &mut gates);
    if let Some(steps) = clamp.as_ref().filter(|_| resets) {
        v = v.replaced(not_yet(steps), reset.clone());
    }
    let mut recovery = state.recovery;
    if let (SomaModel::Izhikevich { recovery_rate, sensitivity, .. }, Some(u)) = (&model, recovery.take()) {
        let pull = sensitivity.clone() * v.clone() - u.clone();
        recovery = Some(u + recovery_rate.clone() * pull);
    }

    let mut s = T::<B>(B::spike((v.clone() - threshold).0, options.surrogate));
    for possible in [ready, below].into_iter().flatten() {
        s = s * possible;
    }
    let potential = if resets { after_spike(v, s.clone(), reset, options.reset_gradient) } else { v };

    if let (SomaModel::Izhikevich { jump, .. }, Some(u)) = (model, recovery.take()) {
        recovery = Some(u + jump * s.clone());
    }
    let since_spike = since.map(|since| {
        let silent = s.clone().detach().complement();
        let steps = match (cooldown, clamp) {
            (Some(cooldown), Some(clamp)) => {
                let longer = (clamp.clone() - cooldown.clone()).step();
                cooldown.replaced(longer, clamp)
            }
            (one, other) => one.or(other).expect("steps are counted for one of them"),
        };
        (since + 1.0).at_most(steps) * silent
    });
    let threshold_offset =
        adaptive_threshold.zip(state.threshold_offset).map(|(AdaptiveThreshold { rate, delta }, offset)| {
            offset.clone() + rate * -offset + delta * s.clone()
        });
    let adaptation =
        adaptation.zip(state.adaptation).map(|(AdaptationCurrent { rate, subthreshold, delta }, w)| {
            let pull = -w.clone() + subthreshold * potential.clone();
            w + rate * pull + delta * s.clone()
        });
    (s, SomaState { potential, recovery, since_spike, threshold_offset, adaptation, gates })
}

/// The potential after the step; updates the gates.
fn integrate<B: StepOps>(
    model: &SomaModel<T<B>>,
    v: T<B>,
    input: T<B>,
    recovery: Option<&T<B>>,
    gates: &mut Option<Gates<T<B>>>,
) -> T<B> {
    match model.as_ref() {
        SomaModel::Leaky { decay, gain } => v * decay.clone() + input * gain.clone(),
        SomaModel::Exponential { rate, resistance, rheobase, slope } => {
            let exponent = T::<B>(B::float_div((v.clone() - rheobase.clone()).0, slope.0.clone()));
            let upstroke = slope.clone() * T(B::float_exp(exponent.0));
            v.clone() + rate.clone() * (upstroke - v + resistance.clone() * input)
        }
        SomaModel::Izhikevich { dt, resistance, .. } => {
            let u = recovery.expect("the Izhikevich model has a recovery").clone();
            let quadratic = v.clone() * 0.04 * v.clone() + v.clone() * 5.0 + 140.0;
            v + dt.clone() * (quadratic - u + resistance.clone() * input)
        }
        SomaModel::Quadratic { rate, resistance, curvature, rest, critical } => {
            let [rate, resistance, curvature, rest, critical] =
                [rate, resistance, curvature, rest, critical].map(T::clone);
            quadratic::potential(Quadratic { rate, resistance, curvature, rest, critical }, v, input)
        }
        SomaModel::HodgkinHuxley { membrane, rates } => {
            integrate_ionic(rates.kinetics(), membrane.map(T::clone), v, input, gates)
        }
        SomaModel::WangBuzsaki { membrane } => {
            integrate_ionic(WANG_BUZSAKI, membrane.map(T::clone), v, input, gates)
        }
    }
}

/// The potential after the step; updates the gates, of which a missing `m` is instantaneous.
fn integrate_ionic<B: StepOps>(
    kinetics: Kinetics,
    membrane: IonicMembrane<T<B>>,
    v: T<B>,
    input: T<B>,
    gates: &mut Option<Gates<T<B>>>,
) -> T<B> {
    let Gates { m, h, n } = gates.take().expect("a model with ionic currents has gates");
    let shift = membrane.shift.clone();
    let u = v.clone() - shift.clone();
    let pace = membrane.speed.clone() * membrane.dt.clone();
    let relax = |rates: GateRates, gate: &T<B>| rates.relax(gate.clone(), u.clone(), pace.clone());
    let (next_h, next_n) = (relax(kinetics.h, &h), relax(kinetics.n, &n));
    let next_v = match &m {
        Some(m) => ionic::potential(membrane, 1.0, v, input, [m.clone(), h, n]),
        None => {
            let open = [kinetics.m.steady(u.clone()), next_h.clone(), next_n.clone()];
            let middle = ionic::potential(membrane.clone(), 0.5, v.clone(), input.clone(), open);
            let open = [kinetics.m.steady(middle - shift), next_h.clone(), next_n.clone()];
            ionic::potential(membrane, 1.0, v, input, open)
        }
    };
    *gates = Some(Gates { m: m.as_ref().map(|m| relax(kinetics.m, m)), h: next_h, n: next_n });
    next_v
}

/// `reset` where a unit spiked and `v` elsewhere, also where `v` is not finite.
fn after_spike<B: StepOps>(v: T<B>, s: T<B>, reset: T<B>, gradient: bool) -> T<B> {
    let after = v.clone().replaced(s.clone().detach(), reset.clone());
    if !gradient {
        return after;
    }
    // Zero forwards; backwards what the reset passes to the spikes. The bound keeps 0·∞ away.
    let drop = (reset - v).detach();
    let drop = T::<B>(B::float_clamp(drop.0, (-f32::MAX).into(), f32::MAX.into()));
    after + (s.clone() - s.detach()) * drop
}
