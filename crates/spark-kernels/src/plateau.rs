//! Learning from dendritic plateaus, on the time scale of behaviour.

use burn::backend::{
    Backend, Dispatch, Scalar, TensorMetadata,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::Tensor;
use std::sync::Arc;

use crate::StepOps;
use crate::composed::T;
use crate::delays::{self, DelayOrder, Delays};
use crate::planes::Planes;
use crate::plasticity::{Collected, Kind, MaybeInt, PlasticityOptions, PreSignal, clip};

/// A sigmoid in `o`, shifted and scaled so that `q(0) = 0` and `q(1) = 1`:
/// `q(o) = (σ(β·(o − α)) − σ(−β·α)) / (σ(β·(1 − α)) − σ(−β·α))`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Midpoint `α`.
    pub midpoint: f32,
    /// Steepness `β`.
    pub slope: f32,
}

impl Gate {
    /// `σ(−β·α)` and one over the span of the sigmoid.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::Gate;
    ///
    /// let [low, per_span] = Gate { midpoint: 0.5, slope: 0.01 }.levels();
    /// assert!((low - 0.49875).abs() < 1e-6);
    /// assert!((per_span - 400.0).abs() < 0.1);
    /// ```
    pub fn levels(self) -> [f32; 2] {
        let (midpoint, slope) = (f64::from(self.midpoint), f64::from(self.slope));
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let low = sigmoid(-slope * midpoint);
        [low as f32, (1.0 / (sigmoid(slope * (1.0 - midpoint)) - low)) as f32]
    }
}

/// The parameters of [`plateau_step`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlateauDynamics {
    /// What the overlap `o` means for potentiation, `q₊`.
    pub potentiation: Gate,
    /// What it means for depression, `q₋`.
    pub depression: Gate,
    /// Rate of potentiation.
    pub k_pot: f32,
    /// Rate of depression.
    pub k_dep: f32,
    /// Rate of depression where the sign is negative.
    pub k_neg: f32,
}

/// What synapses meet in one step of [`plateau_step`].
#[derive(Clone, Debug)]
pub struct Plateau {
    /// The eligibility `e` that presynaptic spikes left.
    pub eligibility: PreSignal,
    /// The instructive signal `p` that plateaus left, `[samples, post]`.
    pub instructive: Tensor<2>,
    /// The direction of learning `g`, `[samples, post]`: from 1, as without, to −1, depression only.
    pub sign: Option<Tensor<2>>,
    /// The delays of a [`PreSignal::Delayed`].
    pub delays: Option<Delays<2>>,
    /// The parameters.
    pub dynamics: PlateauDynamics,
}

/// One step of plateau learning on weights `[pre, post]`: potentiation and depression that depend on how far
/// the eligibility of a synapse overlaps with the instructive signal, and on the weight itself.
///
/// ```text
/// o = clip(e[j]·p[i], 0, 1)
/// Δ = (max − w)·k_pot·q₊(o) − w·k_dep·q₋(o)
/// Δ = [g]₊·Δ − [−g]₊·w·k_neg·q₊(o)        where there is a sign, [·]₊ clips to 0 … 1
/// w ← clip(w + rate·mean over samples of Δ, min, max)
/// ```
///
/// Bounds, rate and samples are those of `options`, the upper bound finite; the rule is soft by itself. On
/// the CPU in place where nothing else holds the weights; synapses without eligibility or instructive signal
/// are left alone, so that weights have to be within their bounds.
///
/// Source: Milstein et al., *Bidirectional synaptic plasticity rapidly modifies hippocampal representations*
/// (2021).
///
/// # Panics
/// If a shape is not as described, or a delayed signal comes without delays.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Gate, Plateau, PlateauDynamics, PlasticityOptions, PreSignal, plateau_step};
///
/// let device = Device::flex();
/// let gate = Gate { midpoint: 0.2, slope: 30.0 };
/// let plateau = Plateau {
///     eligibility: PreSignal::Units(Tensor::from_floats([[1.0, 0.0]], &device)),
///     instructive: Tensor::from_floats([[1.0]], &device),
///     sign: None,
///     delays: None,
///     dynamics: PlateauDynamics { potentiation: gate, depression: gate, k_pot: 0.5, k_dep: 0.25, k_neg: 0.5 },
/// };
/// let options = PlasticityOptions { min: 0.0, max: 4.0, ..Default::default() };
/// let weight = plateau_step(Tensor::full([2, 1], 1.0, &device), plateau, options);
/// assert_eq!(weight.into_data().try_to_vec::<f32>().unwrap(), [2.25, 1.0]);
/// ```
pub fn plateau_step(weight: Tensor<2>, plateau: Plateau, options: PlasticityOptions) -> Tensor<2> {
    let [_, post] = weight.dims();
    let mut collected = Collected::new(weight.dims());
    let steps = collected.delays(plateau.delays.as_ref());
    let (kind, rows) = collected.signal("eligibility", plateau.eligibility);
    assert_eq!(rows, options.samples, "plateau_step: rows of eligibility");
    let mut units = |name: &str, plane: Tensor<2>| {
        assert_eq!(plane.dims(), [options.samples, post], "plateau_step: {name}");
        collected.planes.put(plane);
    };
    units("instructive", plateau.instructive);
    plateau.sign.into_iter().for_each(|sign| units("sign", sign));
    let form = PlateauForm {
        kind,
        order: plateau.delays.map(|delays| delays.order()),
        dynamics: plateau.dynamics,
        options,
    };
    Tensor::from_dispatch(Dispatch::plateau_step(weight.into_dispatch(), steps, collected.planes, form))
}

/// What a call of [`StepOps::plateau_step`] needs beside its planes: eligibility, instructive signal and, if
/// there is one, sign.
#[derive(Clone, Debug)]
pub struct PlateauForm {
    pub(crate) kind: Kind,
    pub(crate) order: Option<Arc<DelayOrder>>,
    pub(crate) dynamics: PlateauDynamics,
    pub(crate) options: PlasticityOptions,
}

/// The reference body of [`plateau_step`].
pub(crate) fn step_planes<B: Backend>(
    weight: FloatTensor<B>,
    steps: MaybeInt<B>,
    planes: Planes<B>,
    form: &PlateauForm,
) -> FloatTensor<B> {
    let PlateauForm { dynamics, options, .. } = form;
    let (weight, shape) = (T::<B>(weight.clone()), weight.shape());
    let (samples, pre, post) = (options.samples, shape[0], shape[1]);
    let mut planes = planes.0.into_iter();
    let mut next = || planes.next().map(T::<B>);
    let eligibility = next().expect("an eligibility is put first");
    let eligibility = by_pair(eligibility, steps.into_option(), form);
    let mut row = || next().map(|plane| plane.reshape([samples, 1, post]));
    let (instructive, sign) = (row().expect("an instructive signal is put second"), row());
    let overlap = unit_interval(eligibility * instructive);
    let [up, down] = [dynamics.potentiation, dynamics.depression].map(|gate| gated(overlap.clone(), gate));
    let weights = weight.clone().reshape([1, pre, post]);
    let mut change = (-weights.clone() + options.max) * up.clone() * dynamics.k_pot
        - weights.clone() * down * dynamics.k_dep;
    if let Some(sign) = sign {
        let [onwards, back] = [sign.clone(), -sign].map(unit_interval);
        change = change * onwards - weights * up * back * dynamics.k_neg;
    }
    let change = T::<B>(B::float_sum_dim(change.0, 0)).reshape(weight.shape());
    clip(weight + change * (options.rate / samples as f32), None, *options).0
}

/// The eligibility as `[samples, pre, post or 1]`.
fn by_pair<B: Backend>(signal: T<B>, steps: Option<IntTensor<B>>, form: &PlateauForm) -> T<B> {
    match form.kind {
        Kind::Units => {
            let shape = signal.shape();
            signal.reshape([shape[0], shape[1], 1])
        }
        Kind::Pairs => signal,
        Kind::Delayed { newest } => {
            let (steps, order) = steps.zip(form.order.as_ref()).expect("delayed signals have delays");
            T(delays::read_pairs::<B>(signal.0, steps, order.max(), newest))
        }
    }
}

fn unit_interval<B: Backend>(x: T<B>) -> T<B> {
    T(B::float_clamp(x.0, Scalar::from(0.0f32), Scalar::from(1.0f32)))
}

fn gated<B: Backend>(overlap: T<B>, gate: Gate) -> T<B> {
    let [low, per_span] = gate.levels();
    let sigmoid = T::<B>(B::sigmoid(((overlap + -gate.midpoint) * gate.slope).0));
    (sigmoid + -low) * per_span
}
