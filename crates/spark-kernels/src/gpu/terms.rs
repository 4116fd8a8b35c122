//! Terms of learning rules, one synapse in one thread.

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::buffers::elements;
use super::delays::slot;
use crate::MaybeInt;
use crate::plasticity::{Kind, PlasticityOptions};

/// How a presynaptic signal is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    Units,
    Pairs,
    Delayed,
}

/// A presynaptic signal and the postsynaptic one that it is multiplied by, row by row.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Term<P: CubeType> {
    signal: P,
    other: P,
    /// Rows of both.
    rows: usize,
    /// Of the ring of a delayed signal, the slots and the newest one.
    slots: usize,
    newest: usize,
    #[cube(comptime)]
    source: Source,
}

/// Which bounds for all weights a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bounds {
    min: bool,
    max: bool,
}

impl Bounds {
    pub fn new(options: &PlasticityOptions) -> Self {
        Self { min: options.min > f32::NEG_INFINITY, max: options.max < f32::INFINITY }
    }
}

/// A synapse: its place, its units and how many of them there are, and its delay.
#[derive(CubeType, Clone, Copy)]
#[expand(derive(Clone, Copy))]
pub(super) struct Synapse {
    pub place: usize,
    pub pre: usize,
    pub post: usize,
    pub all_pre: usize,
    pub all_post: usize,
    pub delay: i32,
}

/// A term as the argument of a kernel.
pub(super) fn term((kind, signal, other): (Kind, CubeTensor, CubeTensor)) -> TermLaunch<&'static [f32]> {
    let rows = other.shape()[0];
    let (source, slots, newest) = match kind {
        Kind::Units => (Source::Units, 1, 0),
        Kind::Pairs => (Source::Pairs, 1, 0),
        Kind::Delayed { newest } => (Source::Delayed, signal.shape()[0], newest),
    };
    TermLaunch::new(elements(signal), elements(other), rows, slots, newest, source)
}

/// Whether the kernels are made for delays of this type and for these bounds, which soft ones are not among.
pub(super) fn known(steps: &MaybeInt<CubeBackend>, options: &PlasticityOptions) -> bool {
    let delays = !matches!(steps, MaybeInt::Present(steps) if steps.dtype != DType::I32);
    delays && !options.soft
}

/// The delays as the argument of a kernel.
pub(super) fn delays(steps: MaybeInt<CubeBackend>) -> Option<BufferArg> {
    steps.into_option().map(elements)
}

/// The synapse in this place of weights `[pre, post]`.
#[cube]
pub(super) fn synapse(
    place: usize,
    steps: &ComptimeOption<&[i32]>,
    all_pre: usize,
    all_post: usize,
) -> Synapse {
    let delay = #[comptime]
    match steps {
        ComptimeOption::Some(steps) => steps[place],
        ComptimeOption::None => 0i32,
    };
    Synapse { place, pre: place / all_post, post: place % all_post, all_pre, all_post, delay }
}

/// `Σ signal·other` over one of `parts` equal parts of the rows; 0 where there is no term.
#[cube]
pub(super) fn product(
    term: &ComptimeOption<Term<&[f32]>>,
    synapse: Synapse,
    part: usize,
    parts: usize,
) -> f32 {
    #[comptime]
    match term {
        ComptimeOption::Some(term) => {
            let mut first = synapse.pre;
            let mut stride = synapse.all_pre;
            if comptime!(term.source == Source::Pairs) {
                first = synapse.place;
                stride = synapse.all_pre * synapse.all_post;
            }
            if comptime!(term.source == Source::Delayed) {
                let slot = slot(synapse.delay, term.newest, term.slots);
                first = slot * term.rows * synapse.all_pre + synapse.pre;
            }
            let rows = term.rows / parts;
            let mut sum = f32::new(0.0);
            for row in part * rows..(part + 1) * rows {
                sum += term.signal[first + row * stride] * term.other[row * synapse.all_post + synapse.post];
            }
            sum
        }
        ComptimeOption::None => f32::new(0.0),
    }
}

/// A weight within its bounds: that of its synapse, where each has its own, goes before that for all.
#[cube]
pub(super) fn clip(
    weight: f32,
    bound: &ComptimeOption<&[f32]>,
    place: usize,
    lowest: f32,
    highest: f32,
    #[comptime] bounds: Bounds,
) -> f32 {
    let mut weight = weight;
    #[comptime]
    match bound {
        ComptimeOption::Some(bound) => weight = min(weight, bound[place]),
        ComptimeOption::None => {
            if comptime!(bounds.max) {
                weight = min(weight, highest);
            }
        }
    }
    if comptime!(bounds.min) {
        weight = max(weight, lowest);
    }
    weight
}
