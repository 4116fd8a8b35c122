//! Sequences of leaky integrate-and-fire units.

use burn::backend::{Backend, Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::composed::T;
use crate::{Maybe, SpikeOps, Surrogate};

/// What a spike does to the membrane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reset {
    /// The threshold is subtracted: what lies above it is kept.
    #[default]
    Subtract,
    /// The membrane returns to zero.
    Zero,
    /// Nothing: the membrane goes on integrating.
    None,
}

/// How [`leaky_scan`] steps; everything about it that is not a tensor.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeakyScan {
    /// What a spike does to the membrane.
    pub reset: Reset,
    /// Whether the reset acts in the step after the spike instead of the same one.
    pub reset_delay: bool,
    /// Whether gradients pass through the reset (`true`) or only through the output spikes.
    pub reset_gradient: bool,
    /// The derivative of the threshold crossing.
    pub surrogate: Surrogate,
}

/// What [`leaky_scan`] returns.
#[derive(Clone, Debug)]
pub struct LeakySequence {
    /// Spikes, exactly 0 or 1, `[time, batch, units]`.
    pub spikes: Tensor<3>,
    /// Membrane potential `U` before the reset of its own step, `[time, batch, units]`.
    pub potential: Tensor<3>,
    /// Membrane after the last step, `[batch, units]`: the state to go on from.
    pub membrane: Tensor<2>,
}

/// Runs leaky integrate-and-fire units over a whole sequence, differentiably.
///
/// With decay `β`, threshold `θ`, input `I` and the step function `H(x) = 1 if x > 0 else 0`:
///
/// ```text
/// same-step reset:  U[t] = β·V[t−1] + I[t]
///                   S[t] = H(U[t] − θ)
///                   V[t] = U[t] − θ·S[t]  (subtract),  (1 − S[t])·U[t]  (zero),  U[t]  (none)
/// delayed reset:    R = H(V[t−1] − θ)
///                   U[t] = β·V[t−1] + I[t] − θ·R  (subtract),  β·(1 − R)·V[t−1] + I[t]  (zero),
///                          β·V[t−1] + I[t]  (none)
///                   S[t] = H(U[t] − θ),  V[t] = U[t]
/// ```
///
/// * `input`: `[time, batch, units]`, none of them zero.
/// * `membrane`: `V` before the first step, `[batch, units]`.
/// * `decay`, `threshold`: one per unit (`[units]`) or one for all (`[1]`).
///
/// Gradients reach all four. The backward pass stores the potential, one float per unit and step, and
/// derives spikes and membrane from it again.
///
/// Source: Eshraghian et al., *Training spiking neural networks using lessons from deep learning*
/// (2023), equations 4 to 6.
///
/// # Panics
/// If a shape is not as above; the layers check shapes before they call.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{LeakyScan, leaky_scan};
///
/// let device = Device::flex();
/// let input = Tensor::<3>::from_floats([[[0.6]], [[0.6]], [[0.6]]], &device);
/// let out = leaky_scan(
///     input,
///     Tensor::zeros([1, 1], &device),
///     Tensor::from_floats([1.0], &device),
///     Tensor::from_floats([1.0], &device),
///     LeakyScan::default(),
/// );
/// assert_eq!(out.spikes.into_data().try_to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0]);
/// ```
pub fn leaky_scan(
    input: Tensor<3>,
    membrane: Tensor<2>,
    decay: Tensor<1>,
    threshold: Tensor<1>,
    options: LeakyScan,
) -> LeakySequence {
    let [time, batch, units] = input.dims();
    assert!(time * batch * units > 0, "leaky_scan: input {:?} is empty", input.dims());
    assert_eq!(membrane.dims(), [batch, units], "leaky_scan: membrane against input {:?}", input.dims());
    for (name, [length]) in [("decay", decay.dims()), ("threshold", threshold.dims())] {
        assert!(length == 1 || length == units, "leaky_scan: {name} has {length} entries for {units} units");
    }
    let (spikes, potential, membrane) = Dispatch::leaky_scan(
        input.into_dispatch(),
        membrane.into_dispatch(),
        decay.into_dispatch(),
        threshold.into_dispatch(),
        options,
    );
    LeakySequence {
        spikes: Tensor::from_dispatch(spikes),
        potential: Tensor::from_dispatch(potential),
        membrane: Tensor::from_dispatch(membrane),
    }
}

/// `V` after a step with potential `u` and spikes `s`.
fn after_reset<B: Backend>(u: T<B>, s: T<B>, threshold: T<B>, reset: Reset) -> T<B> {
    match reset {
        Reset::Subtract => u - s * threshold,
        Reset::Zero => u * s.complement(),
        Reset::None => u,
    }
}

/// The reference body of the forward pass.
pub(crate) fn forward<B: Backend>(
    input: T<B>,
    membrane: T<B>,
    decay: T<B>,
    threshold: T<B>,
    options: LeakyScan,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (decay, threshold) = (decay.lift(2), threshold.lift(2));
    let steps = input.shape()[0];
    let (mut spikes, mut potential) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
    let mut v = membrane;
    for t in 0..steps {
        let u = if options.reset_delay {
            let r = (v.clone() - threshold.clone()).step();
            match options.reset {
                Reset::Subtract => v * decay.clone() + input.at(t) - r * threshold.clone(),
                Reset::Zero => v * r.complement() * decay.clone() + input.at(t),
                Reset::None => v * decay.clone() + input.at(t),
            }
        } else {
            v * decay.clone() + input.at(t)
        };
        let s = (u.clone() - threshold.clone()).step();
        v = if options.reset_delay {
            u.clone()
        } else {
            after_reset(u.clone(), s.clone(), threshold.clone(), options.reset)
        };
        spikes.push(s);
        potential.push(u);
    }
    (T::stack(spikes).0, T::stack(potential).0, v.0)
}

/// What the forward pass keeps for the backward pass.
pub(crate) struct Saved<B: Backend> {
    pub potential: T<B>,
    pub membrane: T<B>,
    pub decay: T<B>,
    pub threshold: T<B>,
}

/// Gradients of the outputs of the forward pass; what is absent is zero.
pub(crate) struct OutputGradients<B: Backend> {
    pub spikes: Option<T<B>>,
    pub potential: Option<T<B>>,
    pub membrane: Option<T<B>>,
}

impl<B: Backend> Saved<B> {
    /// From potential, initial membrane, decay and threshold.
    pub fn new(tensors: [FloatTensor<B>; 4]) -> Self {
        let [potential, membrane, decay, threshold] = tensors.map(T);
        Self { potential, membrane, decay, threshold }
    }
}

impl<B: Backend> OutputGradients<B> {
    /// From the gradients of spikes, potential and last membrane.
    pub fn new(gradients: [Maybe<B>; 3]) -> Self {
        let [spikes, potential, membrane] = gradients.map(|gradient| gradient.into_option().map(T));
        Self { spikes, potential, membrane }
    }
}

/// Gradients of `input`, `membrane`, `decay` and `threshold`, in this order.
pub type LeakyGradients<B> = (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, FloatTensor<B>);

/// The backward pass through one reset `V = reset(U, S)`.
struct ResetGradients<B: Backend> {
    potential: T<B>,
    /// Of the spikes; `None` where the reset passes no gradient.
    spikes: Option<T<B>>,
    /// Of the threshold; `None` where the reset does not read it.
    threshold: Option<T<B>>,
}

fn reset_backward<B: Backend>(
    dv: T<B>,
    s: T<B>,
    threshold: &T<B>,
    potential: &T<B>,
    options: LeakyScan,
) -> ResetGradients<B> {
    match options.reset {
        Reset::Subtract => ResetGradients {
            spikes: options.reset_gradient.then(|| -(dv.clone() * threshold.clone())),
            threshold: Some(-(dv.clone() * s)),
            potential: dv,
        },
        Reset::Zero => ResetGradients {
            spikes: options.reset_gradient.then(|| -(dv.clone() * potential.clone())),
            threshold: None,
            potential: dv * s.complement(),
        },
        Reset::None => ResetGradients { potential: dv, spikes: None, threshold: None },
    }
}

/// The reference body of the backward pass: the reverse recursion over time.
///
/// `dx` stands for the gradient of the loss with respect to `x`.
pub(crate) fn backward<B: Backend>(
    saved: Saved<B>,
    gradients: OutputGradients<B>,
    parameter_gradients: bool,
    options: LeakyScan,
) -> LeakyGradients<B> {
    let (decay_shape, threshold_shape) = (saved.decay.shape(), saved.threshold.shape());
    let (decay, threshold) = (saved.decay.lift(2), saved.threshold.lift(2));
    let steps = saved.potential.shape()[0];
    let zeros = saved.membrane.clone() * 0.0;
    let mut dv = gradients.membrane.unwrap_or_else(|| zeros.clone());
    let mut parameters =
        ParameterGradients { wanted: parameter_gradients, decay: zeros.clone(), threshold: zeros };
    let mut d_input = Vec::with_capacity(steps);
    for t in (0..steps).rev() {
        let u = saved.potential.at(t);
        let mut ds = gradients.spikes.as_ref().map(|spikes| spikes.at(t));
        // From V[t] to U[t]; with a delayed reset they are the same.
        let mut du = dv;
        if !options.reset_delay {
            let s = (u.clone() - threshold.clone()).step();
            let reset = reset_backward(du, s, &threshold, &u, options);
            du = reset.potential;
            ds = sum(ds, reset.spikes);
            parameters.threshold(reset.threshold);
        }
        if let Some(ds) = ds {
            let crossing = ds * (u.clone() - threshold.clone()).derivative(options.surrogate);
            parameters.threshold(Some(-crossing.clone()));
            du = du + crossing;
        }
        du = add(du, gradients.potential.as_ref().map(|potential| potential.at(t)));

        let previous = match t {
            0 => saved.membrane.clone(),
            _ if options.reset_delay => saved.potential.at(t - 1),
            _ => {
                let u = saved.potential.at(t - 1);
                let s = (u.clone() - threshold.clone()).step();
                after_reset(u, s, threshold.clone(), options.reset)
            }
        };
        // From U[t] to V[t−1], through the delayed reset where there is one.
        dv = du.clone() * decay.clone();
        let mut integrated = previous.clone();
        if options.reset_delay && options.reset != Reset::None {
            let x = previous.clone() - threshold.clone();
            let r = x.clone().step();
            let through = match options.reset {
                // The threshold is subtracted from U[t] itself, not from what decays.
                Reset::Subtract => du.clone(),
                _ => dv.clone(),
            };
            let reset = reset_backward(through, r.clone(), &threshold, &previous, options);
            if options.reset == Reset::Zero {
                dv = reset.potential;
                integrated = previous * r.complement();
            }
            parameters.threshold(reset.threshold);
            let d_crossing = reset.spikes.map(|dr| dr * x.derivative(options.surrogate));
            parameters.threshold(d_crossing.clone().map(|crossing| -crossing));
            dv = add(dv, d_crossing);
        }
        parameters.decay(&du, integrated);
        d_input.push(du);
    }
    d_input.reverse();
    let d_decay = parameters.decay.sum_to(&decay_shape);
    let d_threshold = parameters.threshold.sum_to(&threshold_shape);
    (T::stack(d_input).0, dv.0, d_decay.0, d_threshold.0)
}

/// Sums over the steps of the gradients of decay and threshold, `[batch, units]`.
struct ParameterGradients<B: Backend> {
    wanted: bool,
    decay: T<B>,
    threshold: T<B>,
}

impl<B: Backend> ParameterGradients<B> {
    fn decay(&mut self, du: &T<B>, previous: T<B>) {
        if self.wanted {
            self.decay = self.decay.clone() + du.clone() * previous;
        }
    }

    fn threshold(&mut self, term: Option<T<B>>) {
        if self.wanted {
            self.threshold = add(self.threshold.clone(), term);
        }
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
