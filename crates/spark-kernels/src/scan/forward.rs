//! The reference body of the forward pass: one step after another.

use burn::backend::Backend;

use super::{Reset, ScanInputs, ScanOptions, ScanOutputs, checkpoint_interval};
use crate::Maybe;
use crate::composed::T;

/// What does not change from step to step.
pub(super) struct Parameters<B: Backend> {
    pub decay: T<B>,
    pub threshold: Option<T<B>>,
    pub current_decay: Option<T<B>>,
    pub adaptation_decay: Option<T<B>>,
    pub adaptation_strength: Option<T<B>>,
    pub options: ScanOptions,
}

/// What a unit carries from step to step, `[batch, units]` each; or the gradients of that.
#[derive(Clone)]
pub(super) struct State<B: Backend> {
    pub membrane: T<B>,
    pub current: Option<T<B>>,
    pub adaptation: Option<T<B>>,
}

/// What a step computes on the way from one state to the next.
pub(super) struct Step<B: Backend> {
    pub before: State<B>,
    /// `U[t]`.
    pub potential: T<B>,
    /// Of a unit with a threshold.
    pub crossing: Option<Crossing<B>>,
}

/// How a potential met its threshold.
pub(super) struct Crossing<B: Backend> {
    /// `S[t]` at `Θ[t]`.
    pub now: Spiked<B>,
    /// The adaptation that `Θ[t]` knows.
    pub raised: Option<T<B>>,
    /// `R` at `Θ'`, with a delayed reset.
    pub before: Option<Spiked<B>>,
}

/// Spikes and the threshold that they crossed.
pub(super) struct Spiked<B: Backend> {
    pub spikes: T<B>,
    pub threshold: T<B>,
}

impl<B: Backend> Parameters<B> {
    pub fn new(inputs: &ScanInputs<B>, options: ScanOptions) -> Self {
        let lift = |parameter: &Maybe<B>| parameter.clone().into_option().map(|x| T(x).lift(2));
        Self {
            decay: T::<B>(inputs.decay.clone()).lift(2),
            threshold: lift(&inputs.threshold),
            current_decay: lift(&inputs.current_decay),
            adaptation_decay: lift(&inputs.adaptation_decay),
            adaptation_strength: lift(&inputs.adaptation_strength),
            options,
        }
    }

    /// The next state of a leaky quantity, `decay·before + x`.
    fn leak(before: &Option<T<B>>, decay: &Option<T<B>>, x: T<B>) -> Option<T<B>> {
        before.clone().zip(decay.clone()).map(|(before, decay)| before * decay + x)
    }

    /// Spikes of a potential, at the threshold raised by an adaptation.
    fn spiked(&self, potential: &T<B>, threshold: &T<B>, adaptation: &Option<T<B>>) -> Spiked<B> {
        let raise =
            adaptation.clone().zip(self.adaptation_strength.clone()).map(|(a, strength)| a * strength);
        let threshold = match raise {
            Some(raise) => raise + threshold.clone(),
            None => threshold.clone(),
        };
        Spiked { spikes: (potential.clone() - threshold.clone()).step(), threshold }
    }

    /// One step, and the state after it.
    pub fn step(&self, before: State<B>, input: T<B>) -> (Step<B>, State<B>) {
        let current = Self::leak(&before.current, &self.current_decay, input.clone());
        let used = if self.options.current_delay { &before.current } else { &current };
        let drive = used.clone().unwrap_or(input);
        let v = before.membrane.clone();
        let Some(threshold) = &self.threshold else {
            let potential = v * self.decay.clone() + drive;
            let after = State { membrane: potential.clone(), current, adaptation: None };
            return (Step { before, potential, crossing: None }, after);
        };

        let early = self.options.reset_delay.then(|| self.spiked(&v, threshold, &before.adaptation));
        let potential = match (self.options.reset, &early) {
            (Reset::Subtract, Some(early)) => {
                v * self.decay.clone() + drive - early.spikes.clone() * early.threshold.clone()
            }
            (Reset::Zero, Some(early)) => v * early.spikes.clone().complement() * self.decay.clone() + drive,
            _ => v * self.decay.clone() + drive,
        };
        let raised = match &early {
            Some(early) => Self::leak(&before.adaptation, &self.adaptation_decay, early.spikes.clone()),
            None => before.adaptation.clone(),
        };
        let now = self.spiked(&potential, threshold, &raised);
        let u = potential.clone();
        let (membrane, adaptation) = if early.is_some() {
            (u, raised.clone())
        } else {
            let spikes = now.spikes.clone();
            let membrane = match self.options.reset {
                Reset::Subtract => u - spikes.clone() * now.threshold.clone(),
                Reset::Zero => u * spikes.clone().complement(),
                Reset::None => u,
            };
            (membrane, Self::leak(&raised, &self.adaptation_decay, spikes))
        };
        let crossing = Some(Crossing { now, raised, before: early });
        (Step { before, potential, crossing }, State { membrane, current, adaptation })
    }
}

impl<B: Backend> State<B> {
    pub fn initial(inputs: &ScanInputs<B>) -> Self {
        Self {
            membrane: T(inputs.membrane.clone()),
            current: inputs.current.clone().into_option().map(T),
            adaptation: inputs.adaptation.clone().into_option().map(T),
        }
    }

    /// The parts that there are, `[planes, batch, units]`.
    fn stack(self) -> T<B> {
        let parts = [Some(self.membrane), self.current, self.adaptation];
        T::stack(parts.into_iter().flatten().collect())
    }
}

/// The whole sequence; with states kept for the backward pass when `keep`.
pub(crate) fn forward<B: Backend>(inputs: ScanInputs<B>, keep: bool, options: ScanOptions) -> ScanOutputs<B> {
    let parameters = Parameters::new(&inputs, options);
    let mut state = State::initial(&inputs);
    let input = T::<B>(inputs.input);
    let (mut spikes, mut potential, mut checkpoints) = (Vec::new(), Vec::new(), Vec::new());
    for t in 0..input.shape()[0] {
        if keep && t > 0 && t % checkpoint_interval(&options) == 0 {
            checkpoints.push(state.clone().stack());
        }
        let (step, after) = parameters.step(state, input.at(t));
        spikes.extend(step.crossing.map(|crossing| crossing.now.spikes));
        if options.potential {
            potential.push(step.potential);
        }
        state = after;
    }
    let stack = |entries: Vec<T<B>>| (!entries.is_empty()).then(|| T::stack(entries).0).into();
    ScanOutputs {
        spikes: stack(spikes),
        potential: stack(potential),
        membrane: state.membrane.0,
        current: state.current.map(|current| current.0).into(),
        adaptation: state.adaptation.map(|adaptation| adaptation.0).into(),
        checkpoints: stack(checkpoints),
    }
}
