//! Local learning rules as sums of a few kinds of terms.

use burn::backend::ExtensionType;
use burn::backend::{
    Backend, Dispatch, Scalar,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::Tensor;
use std::sync::Arc;

use crate::StepOps;
use crate::composed::T;
use crate::delays::{self, DelayOrder, DelayRing, Delays};
use crate::planes::Planes;

/// What a presynaptic unit shows to its synapses: spikes, a trace, anything.
#[derive(Clone, Debug)]
pub enum PreSignal {
    /// The same for all synapses of a unit, `[rows, pre]`.
    Units(Tensor<2>),
    /// Something else for every synapse, `[rows, pre, post]`.
    Pairs(Tensor<3>),
    /// What the unit showed as many steps ago as the synapse's delay: a ring `[slots, rows, pre]`.
    Delayed(DelayRing),
}

/// Terms that arise where a presynaptic spike arrives: `Σ_r u[r, j]·f[r, i]`.
#[derive(Clone, Debug)]
pub struct OnPre {
    /// Spikes `u`, or what stands for them: zero where nothing happens.
    pub spikes: PreSignal,
    /// What a spike adds to a synapse with unit `i`, `f`, `[rows, post]`.
    pub factor: Tensor<2>,
}

/// Terms that arise where a postsynaptic unit spikes: `Σ_r v[r, i]·g[r, j]`.
#[derive(Clone, Debug)]
pub struct OnPost {
    /// Spikes `v`, or what stands for them, `[rows, post]`: zero where nothing happens.
    pub spikes: Tensor<2>,
    /// What a spike adds to a synapse with unit `j`, `g`.
    pub factor: PreSignal,
}

/// Terms in proportion to the weight, or to its distance from a target: `Σ_r h[r, i]·(w[j, i] − z[j, i])`.
#[derive(Clone, Debug)]
pub struct Relaxation {
    /// The pull `h`, `[rows, post]`.
    pub pull: Tensor<2>,
    /// The target `z`; zero when absent.
    pub target: Option<Target>,
}

/// A slow copy of the weights with stable values at 0 and ½, updated before it is used:
/// `z ← z + λ·(0 − z) + c·(w − p·z·(¼ − z)·(½ − z))`.
///
/// Source: Zenke, Agnes & Gerstner, *Diverse synaptic plasticity mechanisms orchestrated to form and
/// retrieve memories in spiking neural networks* (2015).
#[derive(Clone, Debug)]
pub struct Target {
    /// `z`, `[pre, post]`.
    pub trace: Tensor<2>,
    /// How it moves.
    pub dynamics: TargetDynamics,
}

/// The parameters of a [`Target`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetDynamics {
    /// `λ = 1 − exp(−dt/τ)`.
    pub rate: f32,
    /// `c`, what the weight adds.
    pub scale: f32,
    /// Strength `p` of the pull to the stable values.
    pub strength: f32,
}

/// A learning rule in one step: what adds up to `Δ`.
#[derive(Clone, Debug, Default)]
pub struct Plasticity {
    /// Terms of presynaptic spikes.
    pub on_pre: Option<OnPre>,
    /// Terms of postsynaptic spikes.
    pub on_post: Option<OnPost>,
    /// Terms of the weight.
    pub relaxation: Option<Relaxation>,
    /// The delays of all [`PreSignal::Delayed`].
    pub delays: Option<Delays<2>>,
    /// A third factor for every synapse, `[pre, post]`. One for all, for each pre- or for each postsynaptic
    /// unit is rather multiplied into the terms.
    pub modulation: Option<Tensor<2>>,
    /// An upper bound for every synapse, `[pre, post]`, in place of [`PlasticityOptions::max`].
    pub max: Option<Tensor<2>>,
}

/// How much of `Δ` a step takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlasticityOptions {
    /// `dt` times the learning rate.
    pub rate: f32,
    /// How many samples the rows of the terms belong to: the weights move by the mean over them.
    pub samples: usize,
    /// Lower bound of a weight.
    pub min: f32,
    /// Upper bound of a weight.
    pub max: f32,
    /// Whether bounds are approached instead of hit: an increase shrinks with the distance to the upper
    /// bound, a decrease with that to the lower one, each in parts of the whole range, which has to be
    /// finite. What counts is the sign of the sum of all terms over all rows.
    pub soft: bool,
}

impl Default for PlasticityOptions {
    /// One sample at rate 1, without bounds.
    fn default() -> Self {
        Self { rate: 1.0, samples: 1, min: f32::NEG_INFINITY, max: f32::INFINITY, soft: false }
    }
}

/// An integer tensor that may be absent, in the form that backend extensions can pass on.
#[derive(Clone, Debug, ExtensionType)]
#[extension_type(fusion: cfg(any(feature = "wgpu", feature = "cuda")))]
pub enum MaybeInt<B: Backend> {
    /// The tensor.
    Present(IntTensor<B>),
    /// Nothing.
    Absent,
}

impl<B: Backend> MaybeInt<B> {
    pub(crate) fn into_option(self) -> Option<IntTensor<B>> {
        match self {
            Self::Present(tensor) => Some(tensor),
            Self::Absent => None,
        }
    }
}

/// One step of a local learning rule: `w ← clip(w + rate·m∘Δ/samples, min, max)` on weights `[pre, post]`.
///
/// `Δ` is the sum of the terms of a [`Plasticity`], each of them over its own rows. With presynaptic spikes
/// `s_j` and trace `x_j`, postsynaptic spikes `s_i` and trace `y_i`:
///
/// | rule | `u` | `f` | `v` | `g` | `h` |
/// | --- | --- | --- | --- | --- | --- |
/// | Hebbian, pair STDP | `s_j` | `±y_i` | `s_i` | `x_j` | |
/// | quadruplet | `s_j` | `α + β·y_i` | `s_i` | `γ + δ·x_j` | |
/// | triplet STDP (Pfister & Gerstner 2006) | `s_j·(A₂⁻ + A₃⁻·x̄_j)` | `−y_i` | `s_i·(A₂⁺ + A₃⁺·ȳ_i)` | `x_j` | |
/// | Oja | `s_j` | `y_i` | | | `−y_i²` |
/// | Zenke | `s_j` | `b·y_i + d` | `a·ȳ_i·s_i` | `x_j` | `c·y_i³·s_i` |
///
/// Rows are samples, or samples times parameter sets (see [`PairTypes`](crate::PairTypes)). A third factor of a sample, a pre-
/// or a postsynaptic unit is multiplied into the tensors of the terms.
///
/// On the CPU, in place where nothing else holds the weights, and only at synapses with an event unless the
/// rule pulls at many weights or a signal is given by pair: at the others the weight would not move, so it is
/// not even clipped; weights within their bounds stay within. Sums run over ascending rows, first of `on_pre`, then
/// of `on_post`, then the relaxation, whatever the number of threads.
///
/// Returns the weights and, if there is one, the new trace of the target.
///
/// # Panics
/// If a shape is not as described, or a delayed signal comes without delays.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{OnPost, OnPre, Plasticity, PlasticityOptions, PreSignal, plasticity_step};
///
/// let device = Device::flex();
/// let row = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
/// let hebbian = Plasticity {
///     on_pre: Some(OnPre { spikes: PreSignal::Units(row([1.0, 0.0])), factor: row([0.5, 0.25]) }),
///     on_post: Some(OnPost { spikes: row([0.0, 1.0]), factor: PreSignal::Units(row([0.1, 0.2])) }),
///     ..Default::default()
/// };
/// let options = PlasticityOptions { max: 0.7, ..Default::default() };
/// let (weight, _) = plasticity_step(Tensor::full([2, 2], 0.4, &device), hebbian, options);
/// let weight = weight.into_data().try_to_vec::<f32>().unwrap();
/// assert_eq!(weight, [0.7, 0.7, 0.4, 0.6]);
/// ```
pub fn plasticity_step(
    weight: Tensor<2>,
    rule: Plasticity,
    options: PlasticityOptions,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let mut collected = Collected::new(weight.dims());
    let steps = collected.delays(rule.delays.as_ref());
    let (pull, target) = rule.relaxation.map_or((None, None), |term| (Some(term.pull), term.target));
    let terms = Terms {
        on_pre: rule.on_pre.map(|term| collected.on_pre(term)),
        on_post: rule.on_post.map(|term| collected.on_post(term)),
        pull: pull.map(|plane| collected.units("relaxation.pull", plane, None)),
        modulation: rule.modulation.map(|plane| collected.pairs("modulation", plane)),
        max: rule.max.map(|plane| collected.pairs("max", plane)),
    };
    let target = target.map(|Target { trace, dynamics }| {
        collected.pairs("relaxation.target", trace);
        dynamics
    });
    let form = PlasticityForm { terms, target, order: rule.delays.map(|delays| delays.order()), options };
    let (weight, target) = Dispatch::plasticity_step(weight.into_dispatch(), steps, collected.planes, form);
    (Tensor::from_dispatch(weight), target.0.into_iter().next().map(Tensor::from_dispatch))
}

/// Which planes a call of [`StepOps::plasticity_step`] hands over, and what else it needs.
#[derive(Clone, Debug)]
pub struct PlasticityForm {
    pub(crate) terms: Terms<()>,
    pub(crate) target: Option<TargetDynamics>,
    pub(crate) order: Option<Arc<DelayOrder>>,
    pub(crate) options: PlasticityOptions,
}

/// How a presynaptic signal is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Units,
    Pairs,
    Delayed { newest: usize },
}

/// The terms of a rule over planes of one type.
#[derive(Clone, Debug)]
pub(crate) struct Terms<P> {
    /// Spikes and factor.
    pub on_pre: Option<(Kind, P, P)>,
    /// Factor and spikes.
    pub on_post: Option<(Kind, P, P)>,
    pub pull: Option<P>,
    pub modulation: Option<P>,
    pub max: Option<P>,
}

impl<P> Terms<P> {
    /// The same structure over other planes, visited in the order of the fields; `None` if `each` gives one.
    pub fn try_map<Q>(self, mut each: impl FnMut(P) -> Option<Q>) -> Option<Terms<Q>> {
        let each = &mut each;
        let mut pair = |term: Option<(Kind, P, P)>| match term {
            Some((kind, signal, other)) => Some(Some((kind, each(signal)?, each(other)?))),
            None => Some(None),
        };
        let (on_pre, on_post) = (pair(self.on_pre)?, pair(self.on_post)?);
        let mut plane = |plane: Option<P>| match plane {
            Some(plane) => each(plane).map(Some),
            None => Some(None),
        };
        let (pull, modulation, max) = (plane(self.pull)?, plane(self.modulation)?, plane(self.max)?);
        Some(Terms { on_pre, on_post, pull, modulation, max })
    }

    pub fn as_ref(&self) -> Terms<&P> {
        fn pair<P>(term: &Option<(Kind, P, P)>) -> Option<(Kind, &P, &P)> {
            term.as_ref().map(|(kind, signal, other)| (*kind, signal, other))
        }
        Terms {
            on_pre: pair(&self.on_pre),
            on_post: pair(&self.on_post),
            pull: self.pull.as_ref(),
            modulation: self.modulation.as_ref(),
            max: self.max.as_ref(),
        }
    }

    pub fn map<Q>(self, mut each: impl FnMut(P) -> Q) -> Terms<Q> {
        self.try_map(|plane| Some(each(plane))).expect("every plane is mapped")
    }
}

/// Collects the planes of a rule in the order of [`Terms`], and checks their shapes.
pub(crate) struct Collected {
    pub planes: Planes<Dispatch>,
    pre: usize,
    post: usize,
    delayed: Option<usize>,
}

impl Collected {
    pub fn new([pre, post]: [usize; 2]) -> Self {
        Self { planes: Planes::default(), pre, post, delayed: None }
    }

    pub fn delays(&mut self, delays: Option<&Delays<2>>) -> MaybeInt<Dispatch> {
        let Some(delays) = delays else {
            return MaybeInt::Absent;
        };
        let steps = delays.steps();
        assert_eq!(steps.dims(), [self.pre, self.post], "plasticity: delays against weight");
        self.delayed = Some(delays.max());
        MaybeInt::Present(steps.into_dispatch())
    }

    pub fn on_pre(&mut self, OnPre { spikes, factor }: OnPre) -> (Kind, (), ()) {
        let (kind, rows) = self.signal("on_pre.spikes", spikes);
        self.units("on_pre.factor", factor, Some(rows));
        (kind, (), ())
    }

    pub fn on_post(&mut self, OnPost { spikes, factor }: OnPost) -> (Kind, (), ()) {
        let (kind, rows) = self.signal("on_post.factor", factor);
        self.units("on_post.spikes", spikes, Some(rows));
        (kind, (), ())
    }

    pub fn signal(&mut self, name: &str, signal: PreSignal) -> (Kind, usize) {
        let (kind, [rows, pre]) = match &signal {
            PreSignal::Units(tensor) => (Kind::Units, tensor.dims()),
            PreSignal::Pairs(tensor) => {
                let [rows, pre, post] = tensor.dims();
                assert_eq!(post, self.post, "plasticity: {name} against weight");
                (Kind::Pairs, [rows, pre])
            }
            PreSignal::Delayed(ring) => {
                let max =
                    self.delayed.unwrap_or_else(|| panic!("plasticity: {name} is delayed without delays"));
                ring.check(max);
                let [_, rows, pre] = ring.history.dims();
                (Kind::Delayed { newest: ring.newest }, [rows, pre])
            }
        };
        assert_eq!(pre, self.pre, "plasticity: {name} against weight");
        match signal {
            PreSignal::Units(tensor) => self.planes.put(tensor),
            PreSignal::Pairs(tensor) => self.planes.put(tensor),
            PreSignal::Delayed(ring) => self.planes.put(ring.history),
        }
        (kind, rows)
    }

    fn units(&mut self, name: &str, plane: Tensor<2>, rows: Option<usize>) {
        let [found, post] = plane.dims();
        assert_eq!([found, post], [rows.unwrap_or(found), self.post], "plasticity: {name}");
        self.planes.put(plane);
    }

    pub fn pairs(&mut self, name: &str, plane: Tensor<2>) {
        assert_eq!(plane.dims(), [self.pre, self.post], "plasticity: {name} against weight");
        self.planes.put(plane);
    }
}

/// What the reference of a presynaptic signal needs of its delays.
pub(crate) struct Context<'a, B: Backend> {
    pub steps: Option<IntTensor<B>>,
    pub order: Option<&'a DelayOrder>,
}

impl<B: Backend> Context<'_, B> {
    /// `Σ_r signal[r, j, (i)]·other[r, i]` over the rows of each sample, `[samples, pre, post]`.
    pub fn product(&self, (kind, signal, other): (Kind, T<B>, T<B>), samples: usize) -> T<B> {
        let (shape, post) = (signal.shape(), other.shape()[1]);
        let rows = other.shape()[0] / samples;
        let signal = match kind {
            Kind::Units => {
                let signal = signal.reshape([samples, rows, shape[1]]);
                let other = other.reshape([samples, rows, post]);
                return T(B::float_matmul(B::float_swap_dims(signal.0, 1, 2), other.0));
            }
            Kind::Pairs => signal,
            Kind::Delayed { newest } => {
                let (steps, order) = self.steps.clone().zip(self.order).expect("delayed signals have delays");
                T(delays::read_pairs::<B>(signal.0, steps, order.max(), newest))
            }
        };
        let pre = signal.shape()[1];
        let product = signal.reshape([samples, rows, pre, post]) * other.reshape([samples, rows, 1, post]);
        T::<B>(B::float_sum_dim(product.0, 1)).reshape([samples, pre, post])
    }
}

/// The reference body of [`plasticity_step`] on collected planes.
pub(crate) fn step_planes<B: Backend>(
    weight: FloatTensor<B>,
    steps: MaybeInt<B>,
    planes: Planes<B>,
    form: PlasticityForm,
) -> (FloatTensor<B>, Planes<B>) {
    let mut next = planes.into_source();
    let terms = form.terms.map(|()| T::<B>(next()));
    let target = form.target.map(|dynamics| (T(next()), dynamics));
    let context = Context { steps: steps.into_option(), order: form.order.as_deref() };
    let (weight, target) = step(weight, terms, target, &context, form.options);
    (weight, Planes(target.into_iter().collect()))
}

/// The reference body of [`plasticity_step`].
pub(crate) fn step<B: Backend>(
    weight: FloatTensor<B>,
    terms: Terms<T<B>>,
    target: Option<(T<B>, TargetDynamics)>,
    context: &Context<'_, B>,
    options: PlasticityOptions,
) -> (FloatTensor<B>, Option<FloatTensor<B>>) {
    let weight = T::<B>(weight);
    let mut change = weight.clone() * 0.0;
    for term in [terms.on_pre, terms.on_post].into_iter().flatten() {
        change = change + context.product(term, 1).reshape(weight.shape());
    }
    let target = target.map(|(z, dynamics)| consolidate(z, &weight, dynamics));
    if let Some(pull) = terms.pull {
        let distance = match &target {
            Some(z) => weight.clone() - z.clone(),
            None => weight.clone(),
        };
        change = change + distance * T(B::float_sum_dim(pull.0, 0));
    }
    if let Some(modulation) = terms.modulation {
        change = change * modulation;
    }
    (settle(weight, change, terms.max, options).0, target.map(|z| z.0))
}

/// The new trace of a target.
fn consolidate<B: Backend>(z: T<B>, weight: &T<B>, dynamics: TargetDynamics) -> T<B> {
    let TargetDynamics { rate, scale, strength } = dynamics;
    let force = z.clone() * strength * (-z.clone() + 0.25) * (-z.clone() + 0.5);
    z.clone() + -z * rate + (weight.clone() - force) * scale
}

/// A weight moved by a change within its bounds.
pub(crate) fn settle<B: Backend>(
    weight: T<B>,
    change: T<B>,
    max: Option<T<B>>,
    options: PlasticityOptions,
) -> T<B> {
    let change = change * (options.rate / options.samples as f32);
    let change = match (&max, options.soft) {
        (_, false) => change,
        (Some(max), true) => {
            let room = rooms(change, max.clone() - weight.clone(), weight.clone() + -options.min);
            T(B::float_div(room.0, (max.clone() + -options.min).0))
        }
        (None, true) => {
            let room = rooms(change, -weight.clone() + options.max, weight.clone() + -options.min);
            T(B::float_div_scalar(room.0, Scalar::from(options.max - options.min)))
        }
    };
    clip(weight + change, max, options)
}

/// Increases times the room above, decreases times the room below.
fn rooms<B: Backend>(change: T<B>, above: T<B>, below: T<B>) -> T<B> {
    let increase = change.clone() * change.clone().step();
    (change - increase.clone()) * below + increase * above
}

/// A weight within its bounds.
pub(crate) fn clip<B: Backend>(weight: T<B>, max: Option<T<B>>, options: PlasticityOptions) -> T<B> {
    let weight = match max {
        Some(max) => weight.at_most(max),
        None if options.max < f32::INFINITY => T(B::float_clamp_max(weight.0, Scalar::from(options.max))),
        None => weight,
    };
    match options.min {
        min if min > f32::NEG_INFINITY => T(B::float_clamp_min(weight.0, Scalar::from(min))),
        _ => weight,
    }
}
