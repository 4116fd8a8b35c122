//! One step of sparse synapses with an excitatory and an inhibitory channel.

use burn::backend::{Backend, Dispatch, tensor::FloatTensor};
use burn::tensor::Tensor;
use std::sync::Arc;

use crate::StepOps;
use crate::composed::T;
use crate::planes::Planes;
use crate::sparse::{SparsePattern, SparsePlaces, SparseRows};

/// How a channel follows what arrives: `g ← g − λ·g + c·x`.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel<P> {
    /// `λ = 1 − exp(−dt/τ)`.
    pub rate: P,
    /// What an arrival of 1 adds, `c`.
    pub scale: P,
}

/// Channels that pull the potential `V` of their unit towards reversal potentials `E`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pull<V, E> {
    /// `V` in mV, `[batch, post]`.
    pub potential: V,
    /// `E` of the excitatory and of the inhibitory channel in mV, `[post]` or `[1]`.
    pub reversals: [E; 2],
}

/// What a step of two channels takes.
#[derive(Clone, Debug)]
pub struct ChannelInput {
    /// Spikes of the presynaptic units, `[batch, pre]`, mostly zero.
    pub spikes: Tensor<2>,
    /// Exactly 1 for units that inhibit and 0 for the others, `[pre]`; `None` where all excite.
    pub inhibitory: Option<Tensor<1>>,
    /// Where the channels are conductances.
    pub pull: Option<Pull<Tensor<2>, Tensor<1>>>,
}

/// Which planes a call of [`StepOps::channel_step`] hands over: both channels, rate and scale of each, the mask,
/// the potential and both reversal potentials.
#[derive(Clone, Copy, Debug)]
pub struct ChannelForm {
    pub(crate) masked: bool,
    pub(crate) pull: bool,
}

/// The planes of a call by their names.
pub(crate) struct ChannelPlanes<P> {
    pub(crate) channels: [P; 2],
    pub(crate) dynamics: [Channel<P>; 2],
    pub(crate) inhibitory: Option<P>,
    pub(crate) pull: Option<Pull<P, P>>,
}

impl ChannelForm {
    /// Gives the planes their names.
    pub(crate) fn name<P>(self, planes: impl IntoIterator<Item = P>) -> ChannelPlanes<P> {
        let mut planes = planes.into_iter();
        let mut next = || planes.next().expect("as many planes as the form has");
        ChannelPlanes {
            channels: [next(), next()],
            dynamics: [Channel { rate: next(), scale: next() }, Channel { rate: next(), scale: next() }],
            inhibitory: self.masked.then(&mut next),
            pull: self.pull.then(|| Pull { potential: next(), reversals: [next(), next()] }),
        }
    }
}

/// One step of sparse synapses whose arrivals go into one of two channels of the postsynaptic unit, by the sign
/// of the presynaptic one. Returns the current into each postsynaptic unit and the new channels.
///
/// ```text
/// e ← e − λ_e·e + c_e·Σ_k w_k·s_j      over the synapses k from units j that excite
/// i ← i − λ_i·i + c_i·Σ_k w_k·s_j      over those from units j that inhibit
/// I = e − i,        or e·(E_e − V) + i·(E_i − V) where channels are conductances
/// ```
///
/// * `values`: the strengths `w` of the synapses, `[synapses]`.
/// * `channels`: `e` and `i`, `[batch, post]`; in place on the CPU where nothing else holds them.
/// * `dynamics`: those of either channel, `[post]` or `[1]`.
///
/// On the CPU one pass over the units and the synapses of those that spike. The sums run over ascending
/// synapses, whatever the number of threads. On an autodiff device gradients reach spikes, values, channels,
/// dynamics, potential and reversal potentials.
///
/// # Panics
/// If a shape is not as above.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_kernels::{Channel, ChannelInput, SparsePattern, channel_step};
///
/// let device = Device::flex();
/// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
/// // Unit 0 excites unit 0, unit 1 inhibits both.
/// let pattern = SparsePattern::new(vec![0, 1, 3], vec![0, 0, 1], 2, &device).unwrap();
/// let values = Tensor::<1>::from_floats([5.0, 1.0, 2.0], &device);
/// let dynamics = [0.5, 0.25].map(|rate| Channel { rate: all(rate), scale: all(1.0) });
/// let mut channels = [(); 2].map(|()| Tensor::<2>::zeros([1, 2], &device));
/// let mut step = |spike: f32| {
///     let input = ChannelInput {
///         spikes: Tensor::full([1, 2], spike, &device),
///         inhibitory: Some(Tensor::from_floats([0.0, 1.0], &device)),
///         pull: None,
///     };
///     let (current, next) = channel_step(input, values.clone(), &pattern, channels.clone(), &dynamics);
///     channels = next;
///     current.into_data().try_to_vec::<f32>().unwrap()
/// };
/// assert_eq!([step(1.0), step(0.0)], [[4.0, -2.0], [1.75, -1.5]]);
/// ```
pub fn channel_step(
    input: ChannelInput,
    values: Tensor<1>,
    pattern: &SparsePattern,
    channels: [Tensor<2>; 2],
    dynamics: &[Channel<Tensor<1>>; 2],
) -> (Tensor<2>, [Tensor<2>; 2]) {
    let ([batch, units], [pre, post]) = (input.spikes.dims(), pattern.dims());
    assert_eq!(units, pre, "channel_step: spikes against pattern");
    assert_eq!(values.dims(), [pattern.synapses()], "channel_step: values against synapses");
    let by_unit = |what: &str, parameter: &Tensor<1>| {
        let [length] = parameter.dims();
        assert!(length == 1 || length == post, "channel_step: {what} has {length} entries for {post} units");
    };
    let by_sample = |what: &str, plane: &Tensor<2>| {
        assert_eq!(plane.dims(), [batch, post], "channel_step: {what} against spikes and pattern");
    };
    let mut planes = Planes::<Dispatch>::default();
    for channel in channels {
        by_sample("a channel", &channel);
        planes.put(channel);
    }
    for Channel { rate, scale } in dynamics {
        by_unit("a rate", rate);
        by_unit("a scale", scale);
        planes.put(rate.clone());
        planes.put(scale.clone());
    }
    let form = ChannelForm { masked: input.inhibitory.is_some(), pull: input.pull.is_some() };
    if let Some(mask) = input.inhibitory {
        assert_eq!(mask.dims(), [pre], "channel_step: the mask against the pattern");
        planes.put(mask);
    }
    if let Some(Pull { potential, reversals }) = input.pull {
        by_sample("the potential", &potential);
        planes.put(potential);
        for reversal in reversals {
            by_unit("a reversal potential", &reversal);
            planes.put(reversal);
        }
    }
    let (current, channels) = Dispatch::channel_step(
        input.spikes.into_dispatch(),
        values.into_dispatch(),
        pattern.places(),
        pattern.rows(),
        planes,
        form,
    );
    let mut next = channels.into_source();
    (Tensor::from_dispatch(current), [(); 2].map(|()| Tensor::from_dispatch(next())))
}

/// The reference body of [`channel_step`].
pub(crate) fn step<B: StepOps>(
    spikes: FloatTensor<B>,
    values: FloatTensor<B>,
    places: SparsePlaces<B>,
    pattern: Arc<SparseRows>,
    planes: Planes<B>,
    form: ChannelForm,
) -> (FloatTensor<B>, Planes<B>) {
    let ChannelPlanes { channels: [e, i], dynamics: [excitatory, inhibitory], inhibitory: mask, pull } =
        form.name(planes.0.into_iter().map(T::<B>));
    let arriving = |spikes: T<B>| {
        T::<B>(B::sparse_matmul(spikes.0, values.clone(), places.clone(), Arc::clone(&pattern)))
    };
    let spikes = T::<B>(spikes);
    let (e, i) = match mask {
        Some(mask) => {
            let inhibiting = spikes.clone() * mask.lift(2);
            let exciting = spikes - inhibiting.clone();
            (
                follow(e, excitatory, Some(arriving(exciting))),
                follow(i, inhibitory, Some(arriving(inhibiting))),
            )
        }
        None => (follow(e, excitatory, Some(arriving(spikes))), follow(i, inhibitory, None)),
    };
    let current = match pull {
        Some(Pull { potential, reversals }) => {
            let [towards_e, towards_i] = reversals.map(|reversal| reversal.lift(2) - potential.clone());
            e.clone() * towards_e + i.clone() * towards_i
        }
        None => e.clone() - i.clone(),
    };
    (current.0, Planes(vec![e.0, i.0]))
}

fn follow<B: Backend>(g: T<B>, Channel { rate, scale }: Channel<T<B>>, arriving: Option<T<B>>) -> T<B> {
    let left = g.clone() - rate.lift(2) * g;
    match arriving {
        Some(x) => left + scale.lift(2) * x,
        None => left,
    }
}
