//! The reference body of the backward pass: the reverse recursion over time.
//!
//! `dx` stands for the gradient of the loss with respect to `x`.

use burn::backend::{Backend, TensorMetadata};

use super::forward::{Crossing, Parameters, Spiked, State, Step};
use super::{Reset, ScanGradients, ScanOptions, ScanOutputGradients, ScanSaved, Wanted};
use crate::Maybe;
use crate::composed::T;

/// Gradients that the outputs of one step receive from outside.
struct Arrived<B: Backend> {
    spikes: Option<T<B>>,
    potential: Option<T<B>>,
}

/// The sum over the steps of the gradient of a parameter, `[batch, units]`; `None` for one not wanted.
struct Sum<B: Backend>(Option<T<B>>);

impl<B: Backend> Sum<B> {
    fn add(&mut self, term: T<B>) {
        self.0 = self.0.take().map(|sum| sum + term);
    }

    /// The gradient in the shape of its parameter.
    fn finish(self, parameter: Maybe<B>) -> Maybe<B> {
        self.0.zip(parameter.into_option()).map(|(sum, parameter)| sum.sum_to(&parameter.shape()).0).into()
    }
}

struct Sums<B: Backend> {
    decay: Sum<B>,
    threshold: Sum<B>,
    current_decay: Sum<B>,
    adaptation_decay: Sum<B>,
    adaptation_strength: Sum<B>,
}

/// The whole sequence backwards. Everything the forward pass went through is computed again from the input.
pub(crate) fn backward<B: Backend>(
    saved: ScanSaved<B>,
    gradients: ScanOutputGradients<B>,
    wanted: Wanted,
    options: ScanOptions,
) -> ScanGradients<B> {
    let inputs = saved.inputs;
    let parameters = Parameters::new(&inputs, options);
    let input = T::<B>(inputs.input.clone());
    let mut steps = Vec::new();
    let mut state = State::initial(&inputs);
    let zeros = state.membrane.clone() * 0.0;
    for t in 0..input.shape()[0] {
        let (step, after) = parameters.step(state, input.at(t));
        steps.push(step);
        state = after;
    }

    let gradient = |gradient: Maybe<B>| gradient.into_option().map(T);
    let last = |there: bool, of: Maybe<B>| there.then(|| gradient(of).unwrap_or_else(|| zeros.clone()));
    let mut carried = State {
        membrane: gradient(gradients.membrane).unwrap_or_else(|| zeros.clone()),
        current: last(state.current.is_some(), gradients.current),
        adaptation: last(state.adaptation.is_some(), gradients.adaptation),
    };
    let (d_spikes, d_potential) = (gradient(gradients.spikes), gradient(gradients.potential));
    let sum = |wanted: bool| Sum(wanted.then(|| zeros.clone()));
    let mut sums = Sums {
        decay: sum(wanted.decay),
        threshold: sum(wanted.threshold),
        current_decay: sum(wanted.current_decay),
        adaptation_decay: sum(wanted.adaptation_decay),
        adaptation_strength: sum(wanted.adaptation_strength),
    };
    let mut d_input = Vec::with_capacity(steps.len());
    for (t, step) in steps.into_iter().enumerate().rev() {
        let at = |gradient: &Option<T<B>>| gradient.as_ref().map(|gradient| gradient.at(t));
        let arrived = Arrived { spikes: at(&d_spikes), potential: at(&d_potential) };
        let (dx, before) = parameters.step_back(step, arrived, carried, &mut sums);
        d_input.push(dx);
        carried = before;
        if t > 0 && options.window.is_some_and(|window| t % window == 0) {
            carried = State {
                membrane: zeros.clone(),
                current: carried.current.map(|_| zeros.clone()),
                adaptation: carried.adaptation.map(|_| zeros.clone()),
            };
        }
    }
    d_input.reverse();
    let start = |gradient: Option<T<B>>| gradient.map(|gradient| gradient.0).into();
    ScanGradients {
        input: T::stack(d_input).0,
        membrane: carried.membrane.0,
        decay: sums.decay.finish(Maybe::Present(inputs.decay)),
        threshold: sums.threshold.finish(inputs.threshold),
        current: start(carried.current),
        current_decay: sums.current_decay.finish(inputs.current_decay),
        adaptation: start(carried.adaptation),
        adaptation_decay: sums.adaptation_decay.finish(inputs.adaptation_decay),
        adaptation_strength: sums.adaptation_strength.finish(inputs.adaptation_strength),
    }
}

/// Gradients through one reset `V = reset(U, S, Θ)`.
struct ResetGradients<B: Backend> {
    potential: T<B>,
    /// Of the spikes; `None` where the reset passes no gradient.
    spikes: Option<T<B>>,
    /// Of the threshold; `None` where the reset does not read it.
    threshold: Option<T<B>>,
}

fn reset_back<B: Backend>(
    dv: T<B>,
    spiked: &Spiked<B>,
    potential: &T<B>,
    options: ScanOptions,
) -> ResetGradients<B> {
    match options.reset {
        Reset::Subtract => ResetGradients {
            spikes: options.reset_gradient.then(|| -(dv.clone() * spiked.threshold.clone())),
            threshold: Some(-(dv.clone() * spiked.spikes.clone())),
            potential: dv,
        },
        Reset::Zero => ResetGradients {
            spikes: options.reset_gradient.then(|| -(dv.clone() * potential.clone())),
            threshold: None,
            potential: dv * spiked.spikes.clone().complement(),
        },
        Reset::None => ResetGradients { potential: dv, spikes: None, threshold: None },
    }
}

impl<B: Backend> Parameters<B> {
    /// The gradients of the input of a step and of the state before it, from those of the state after it.
    fn step_back(
        &self,
        step: Step<B>,
        arrived: Arrived<B>,
        carried: State<B>,
        sums: &mut Sums<B>,
    ) -> (T<B>, State<B>) {
        let (du, membrane, adaptation) = match &step.crossing {
            None => {
                let du = add(carried.membrane, arrived.potential);
                sums.decay.add(du.clone() * step.before.membrane.clone());
                (du.clone(), du * self.decay.clone(), None)
            }
            Some(Crossing { now, raised, before: None }) => {
                let reset = reset_back(carried.membrane, now, &step.potential, self.options);
                let ds = sum(sum(arrived.spikes, reset.spikes), carried.adaptation.clone());
                let (du, d_crossing) = self.crossing_back(reset.potential, ds, now, &step.potential);
                let du = add(du, arrived.potential);
                sums.decay.add(du.clone() * step.before.membrane.clone());
                let d_threshold = sum(d_crossing, reset.threshold);
                let adaptation = self.leak_back(carried.adaptation, raised, sums);
                let adaptation = self.threshold_back(adaptation, d_threshold, raised, sums);
                (du.clone(), du * self.decay.clone(), adaptation)
            }
            Some(Crossing { now, raised, before: Some(early) }) => {
                let (du, d_threshold) =
                    self.crossing_back(carried.membrane, arrived.spikes, now, &step.potential);
                let du = add(du, arrived.potential);
                let adaptation = self.threshold_back(carried.adaptation, d_threshold, raised, sums);
                let (membrane, adaptation) = self.early_back(&du, adaptation, early, &step.before, sums);
                (du, membrane, adaptation)
            }
        };
        let Some((decay, (before, carried))) =
            self.current_decay.clone().zip(step.before.current.zip(carried.current))
        else {
            return (du, State { membrane, current: None, adaptation });
        };
        let delay = self.options.current_delay;
        let d_current = if delay { carried } else { carried + du.clone() };
        sums.current_decay.add(d_current.clone() * before);
        let decayed = d_current.clone() * decay;
        let current = Some(if delay { decayed + du } else { decayed });
        (d_current, State { membrane, current, adaptation })
    }

    /// `dU` and `dΘ` after the crossing `S = H(U − Θ)`.
    fn crossing_back(
        &self,
        du: T<B>,
        ds: Option<T<B>>,
        spiked: &Spiked<B>,
        potential: &T<B>,
    ) -> (T<B>, Option<T<B>>) {
        let slope = || (potential.clone() - spiked.threshold.clone()).derivative(self.options.surrogate);
        let d_crossing = ds.map(|ds| ds * slope());
        (add(du, d_crossing.clone()), d_crossing.map(|d_crossing| -d_crossing))
    }

    /// `dA` before a threshold `Θ = θ + κ·A`, given that after it.
    fn threshold_back(
        &self,
        d_adaptation: Option<T<B>>,
        d_threshold: Option<T<B>>,
        adaptation: &Option<T<B>>,
        sums: &mut Sums<B>,
    ) -> Option<T<B>> {
        let Some(d_threshold) = d_threshold else {
            return d_adaptation;
        };
        sums.threshold.add(d_threshold.clone());
        if let Some(adaptation) = adaptation {
            sums.adaptation_strength.add(d_threshold.clone() * adaptation.clone());
        }
        let raised = self.adaptation_strength.clone().map(|strength| d_threshold * strength);
        sum(d_adaptation, raised)
    }

    /// `dA` before `ρ·A + S`, given that after it.
    fn leak_back(
        &self,
        d_adaptation: Option<T<B>>,
        before: &Option<T<B>>,
        sums: &mut Sums<B>,
    ) -> Option<T<B>> {
        if let Some((d_adaptation, before)) = d_adaptation.clone().zip(before.clone()) {
            sums.adaptation_decay.add(d_adaptation * before);
        }
        d_adaptation.zip(self.adaptation_decay.clone()).map(|(d_adaptation, decay)| d_adaptation * decay)
    }

    /// `dV[t−1]` and `dA[t−1]` from `dU[t]` and `dA[t]`, through the delayed reset.
    fn early_back(
        &self,
        du: &T<B>,
        d_adaptation: Option<T<B>>,
        early: &Spiked<B>,
        before: &State<B>,
        sums: &mut Sums<B>,
    ) -> (T<B>, Option<T<B>>) {
        let v = &before.membrane;
        let decayed = du.clone() * self.decay.clone();
        // The threshold is subtracted from U[t] itself, not from what decays.
        let through = if self.options.reset == Reset::Subtract { du.clone() } else { decayed.clone() };
        let reset = reset_back(through, early, v, self.options);
        let (kept, integrated) = match self.options.reset {
            Reset::Zero => (reset.potential, v.clone() * early.spikes.clone().complement()),
            _ => (decayed, v.clone()),
        };
        sums.decay.add(du.clone() * integrated);
        let dr = sum(reset.spikes, d_adaptation.clone());
        let (dv, d_crossing) = self.crossing_back(kept, dr, early, v);
        let adaptation = self.leak_back(d_adaptation, &before.adaptation, sums);
        let d_threshold = sum(d_crossing, reset.threshold);
        (dv, self.threshold_back(adaptation, d_threshold, &before.adaptation, sums))
    }
}

fn add<B: Backend>(a: T<B>, b: Option<T<B>>) -> T<B> {
    match b {
        Some(b) => a + b,
        None => a,
    }
}

fn sum<B: Backend>(a: Option<T<B>>, b: Option<T<B>>) -> Option<T<B>> {
    match a {
        Some(a) => Some(add(a, b)),
        None => b,
    }
}
