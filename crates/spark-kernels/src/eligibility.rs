//! Learning rules whose changes wait in an eligibility trace for a third factor.

use burn::backend::{Backend, Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;
use std::sync::Arc;

use crate::StepOps;
use crate::composed::T;
use crate::delays::{DelayOrder, Delays};
use crate::planes::Planes;
use crate::plasticity::{Collected, Context, MaybeInt, OnPost, OnPre, PlasticityOptions, Terms, settle};

/// A learning rule with three factors in one step: what makes synapses eligible, and what makes use of it.
#[derive(Clone, Debug)]
pub struct ThreeFactor {
    /// Terms of presynaptic spikes.
    pub on_pre: Option<OnPre>,
    /// Terms of postsynaptic spikes.
    pub on_post: Option<OnPost>,
    /// The delays of all delayed signals.
    pub delays: Option<Delays<2>>,
    /// What of the eligibility is lost per step, `λ = 1 − exp(−dt/τ)`.
    pub decay: f32,
    /// The third factor `m` of each sample: for all synapses (`[samples, 1, 1]`), by presynaptic
    /// (`[samples, pre, 1]`) or postsynaptic unit (`[samples, 1, post]`), or by synapse.
    pub modulation: Tensor<3>,
    /// An upper bound for every synapse, `[pre, post]`, in place of [`PlasticityOptions::max`].
    pub max: Option<Tensor<2>>,
}

/// One step of a three-factor rule on weights `[pre, post]` and the eligibility `e` of each sample,
/// `[samples, pre, post]`; returns both.
///
/// ```text
/// e ← e + λ·(0 − e) + Δ
/// w ← clip(w + rate·mean over samples of m∘e, min, max)
/// ```
///
/// `Δ` is the sum of the terms as in [`plasticity_step`](crate::plasticity_step), taken for each sample over
/// its rows: those of the first sample come first. `options.samples` has to agree with `eligibility`.
///
/// The eligibility of every synapse decays, so this is a pass over all of them; the weights are left alone
/// in a step in which no sample has a third factor, so that weights have to be within their bounds. On the
/// CPU both are updated in place where nothing else holds them.
///
/// Source: Frémaux & Gerstner, *Neuromodulated spike-timing-dependent plasticity, and theory of three-factor
/// learning rules* (2016).
///
/// # Panics
/// If a shape is not as described, or a delayed signal comes without delays.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{OnPre, PlasticityOptions, PreSignal, ThreeFactor, eligibility_step};
///
/// let device = Device::flex();
/// let step = |spike: f32, reward: f32| ThreeFactor {
///     on_pre: Some(OnPre {
///         spikes: PreSignal::Units(Tensor::from_floats([[spike]], &device)),
///         factor: Tensor::from_floats([[1.0]], &device),
///     }),
///     on_post: None,
///     delays: None,
///     decay: 0.5,
///     modulation: Tensor::from_floats([[[reward]]], &device),
///     max: None,
/// };
/// let (weight, eligibility) = (Tensor::zeros([1, 1], &device), Tensor::zeros([1, 1, 1], &device));
/// let options = PlasticityOptions::default();
/// let (weight, eligibility) = eligibility_step(weight, eligibility, step(1.0, 0.0), options);
/// let (weight, _) = eligibility_step(weight, eligibility, step(0.0, 2.0), options);
/// assert_eq!(weight.into_scalar::<f32>(), 1.0);
/// ```
pub fn eligibility_step(
    weight: Tensor<2>,
    eligibility: Tensor<3>,
    rule: ThreeFactor,
    options: PlasticityOptions,
) -> (Tensor<2>, Tensor<3>) {
    let [pre, post] = weight.dims();
    let samples = options.samples;
    assert_eq!(eligibility.dims(), [samples, pre, post], "eligibility_step: eligibility");
    let [by_sample, by_pre, by_post] = rule.modulation.dims();
    let fits = by_sample == samples && [1, pre].contains(&by_pre) && [1, post].contains(&by_post);
    assert!(fits, "eligibility_step: modulation {:?}", rule.modulation.dims());
    let mut collected = Collected::new([pre, post]);
    let steps = collected.delays(rule.delays.as_ref());
    let terms = Terms {
        on_pre: rule.on_pre.map(|term| {
            assert!(term.factor.dims()[0].is_multiple_of(samples), "eligibility_step: rows of on_pre");
            collected.on_pre(term)
        }),
        on_post: rule.on_post.map(|term| {
            assert!(term.spikes.dims()[0].is_multiple_of(samples), "eligibility_step: rows of on_post");
            collected.on_post(term)
        }),
        pull: None,
        modulation: None,
        max: rule.max.map(|plane| collected.pairs("max", plane)),
    };
    collected.planes.put(rule.modulation);
    let order = rule.delays.map(|delays| delays.order());
    let form = EligibilityForm { terms, decay: rule.decay, order, options };
    let (weight, eligibility) = Dispatch::eligibility_step(
        weight.into_dispatch(),
        eligibility.into_dispatch(),
        steps,
        collected.planes,
        form,
    );
    (Tensor::from_dispatch(weight), Tensor::from_dispatch(eligibility))
}

/// Which planes a call of [`StepOps::eligibility_step`] hands over, before the modulation, and what else it
/// needs.
#[derive(Clone, Debug)]
pub struct EligibilityForm {
    pub(crate) terms: Terms<()>,
    pub(crate) decay: f32,
    pub(crate) order: Option<Arc<DelayOrder>>,
    pub(crate) options: PlasticityOptions,
}

/// The reference body of [`eligibility_step`] on collected planes.
pub(crate) fn step_planes<B: Backend>(
    weight: FloatTensor<B>,
    eligibility: FloatTensor<B>,
    steps: MaybeInt<B>,
    planes: Planes<B>,
    form: EligibilityForm,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let mut next = planes.into_source();
    let terms = form.terms.map(|()| T::<B>(next()));
    let modulation = T(next());
    let context = Context { steps: steps.into_option(), order: form.order.as_deref() };
    step(weight, eligibility, terms, modulation, form.decay, &context, form.options)
}

/// The reference body of [`eligibility_step`].
pub(crate) fn step<B: Backend>(
    weight: FloatTensor<B>,
    eligibility: FloatTensor<B>,
    terms: Terms<T<B>>,
    modulation: T<B>,
    decay: f32,
    context: &Context<'_, B>,
    options: PlasticityOptions,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let (weight, mut eligibility) = (T::<B>(weight), T::<B>(eligibility));
    eligibility = eligibility.clone() + -eligibility * decay;
    for term in [terms.on_pre, terms.on_post].into_iter().flatten() {
        eligibility = eligibility + context.product(term, options.samples);
    }
    let used = T::<B>(B::float_sum_dim((eligibility.clone() * modulation).0, 0)).reshape(weight.shape());
    (settle(weight, used, terms.max, options).0, eligibility.0)
}
