//! The third factor of learning: reward, novelty, attention, a plateau.

use burn::tensor::Tensor;
use spark_core::payload::{Floats, Shape};
use spark_core::ports::PortError;
use spark_kernels::{
    DelayRing, OnPost, OnPre, Plasticity, PlasticityOptions, PreSignal, Relaxation, plasticity_step,
};

use super::Synapses;

/// What a third factor distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThirdFactorShape {
    /// Nothing: one for all synapses.
    All,
    /// Presynaptic units.
    Pre,
    /// Postsynaptic units.
    Post,
    /// Synapses.
    Pairs,
}

impl ThirdFactorShape {
    /// What a port of some shape distinguishes; units on both sides of the same shape count as postsynaptic.
    ///
    /// # Errors
    /// When the shape is none of those.
    pub fn of(port: &str, shape: &Shape, synapses: &Synapses) -> Result<Self, PortError> {
        let kernel = synapses.kernel().units;
        match &shape.units {
            units if shape.count() == 1 && units.len() <= 1 => Ok(Self::All),
            units if *units == synapses.post => Ok(Self::Post),
            units if *units == synapses.pre => Ok(Self::Pre),
            units if *units == kernel => Ok(Self::Pairs),
            _ => Err(PortError::Mismatch {
                port: port.to_owned(),
                found: shape.to_string(),
                expected: format!("[1], {:?}, {:?} or {kernel:?}", synapses.pre, synapses.post),
            }),
        }
    }

    /// The third factor that a payload holds.
    pub fn read(self, values: Floats, synapses: &Synapses) -> ThirdFactor {
        let [pre, post] = synapses.counts();
        let [batch, _] = values.0.dims();
        ThirdFactor(match self {
            Self::All => values.0.reshape([batch, 1, 1]),
            Self::Pre => values.0.reshape([batch, pre, 1]),
            Self::Post => values.0.reshape([batch, 1, post]),
            Self::Pairs => values.0.reshape([batch, post, pre]).swap_dims(1, 2),
        })
    }
}

/// A third factor of each sample: for all synapses (`[batch, 1, 1]`), by presynaptic (`[batch, pre, 1]`) or
/// postsynaptic unit (`[batch, 1, post]`), or by synapse.
#[derive(Clone, Debug)]
pub struct ThirdFactor(pub Tensor<3>);

/// [`plasticity_step`] with a third factor.
///
/// One that belongs to a side is multiplied into the terms, so that synapses without an event are left alone
/// as ever; one that differs by synapse is a plane of its own.
pub(super) fn modulated_step(
    kernel: Tensor<2>,
    rule: Plasticity,
    ThirdFactor(factor): ThirdFactor,
    options: PlasticityOptions,
) -> (Tensor<2>, Option<Tensor<2>>) {
    let ([batch, by_pre, by_post], shape) = (factor.dims(), kernel.dims());
    if by_pre == 1 {
        return plasticity_step(kernel, by_post_unit(rule, factor.reshape([batch, by_post])), options);
    }
    if by_post == 1 && rule.relaxation.is_none() {
        return plasticity_step(kernel, by_pre_unit(rule, &factor.reshape([batch, by_pre])), options);
    }
    let plane = |sample: usize| {
        factor.clone().slice_dim(0, sample..sample + 1).reshape([by_pre, by_post]).expand(shape)
    };
    if batch == 1 {
        return plasticity_step(kernel, Plasticity { modulation: Some(plane(0)), ..rule }, options);
    }
    // Nothing in common between samples: each moves the kernel on its own. Summed up are the changes, so that
    // what none of them moves stays as it is.
    let (mut change, mut target) = (kernel.zeros_like(), None);
    for sample in 0..batch {
        let rule = Plasticity { modulation: Some(plane(sample)), ..of_sample(&rule, sample, batch) };
        let moved = plasticity_step(kernel.clone(), rule, PlasticityOptions { samples: 1, ..options });
        change = change + (moved.0 - kernel.clone());
        target = moved.1;
    }
    let kernel = kernel + change / batch as f32;
    let kernel = match rule.max {
        Some(max) => kernel.min_pair(max),
        None => kernel.clamp_max(options.max),
    };
    (kernel.clamp_min(options.min), target)
}

/// Rows of samples as often as there are sets of rows for each; one row stands for all.
fn repeated(plane: Tensor<2>, rows: usize) -> Tensor<2> {
    let [batch, width] = plane.dims();
    if rows == batch || batch == 1 {
        return plane;
    }
    plane.unsqueeze_dim::<3>(1).expand([batch, rows / batch, width]).reshape([rows, width])
}

fn by_post_unit(rule: Plasticity, factor: Tensor<2>) -> Plasticity {
    let scaled = |plane: Tensor<2>| {
        let [rows, _] = plane.dims();
        plane * repeated(factor.clone(), rows)
    };
    Plasticity {
        on_pre: rule.on_pre.map(|term| OnPre { factor: scaled(term.factor), ..term }),
        on_post: rule.on_post.map(|term| OnPost { spikes: scaled(term.spikes), ..term }),
        relaxation: rule.relaxation.map(|term| Relaxation { pull: scaled(term.pull), ..term }),
        ..rule
    }
}

fn by_pre_unit(rule: Plasticity, factor: &Tensor<2>) -> Plasticity {
    let scaled = |signal: PreSignal| match signal {
        PreSignal::Units(plane) => {
            let [rows, _] = plane.dims();
            PreSignal::Units(plane * repeated(factor.clone(), rows))
        }
        PreSignal::Pairs(plane) => {
            let [rows, _, _] = plane.dims();
            PreSignal::Pairs(plane * repeated(factor.clone(), rows).unsqueeze_dim(2))
        }
        PreSignal::Delayed(DelayRing { history, newest }) => {
            let [_, rows, _] = history.dims();
            let history = history * repeated(factor.clone(), rows).unsqueeze_dim(0);
            PreSignal::Delayed(DelayRing { history, newest })
        }
    };
    Plasticity {
        on_pre: rule.on_pre.map(|term| OnPre { spikes: scaled(term.spikes), ..term }),
        on_post: rule.on_post.map(|term| OnPost { factor: scaled(term.factor), ..term }),
        ..rule
    }
}

/// The rows of one sample.
fn of_sample(rule: &Plasticity, sample: usize, batch: usize) -> Plasticity {
    let rows = |count: usize| sample * (count / batch)..(sample + 1) * (count / batch);
    let units = |plane: &Tensor<2>| plane.clone().slice_dim(0, rows(plane.dims()[0]));
    let signal = |signal: &PreSignal| match signal {
        PreSignal::Units(plane) => PreSignal::Units(units(plane)),
        PreSignal::Pairs(plane) => PreSignal::Pairs(plane.clone().slice_dim(0, rows(plane.dims()[0]))),
        PreSignal::Delayed(DelayRing { history, newest }) => {
            let history = history.clone().slice_dim(1, rows(history.dims()[1]));
            PreSignal::Delayed(DelayRing { history, newest: *newest })
        }
    };
    let on_pre = |term: &OnPre| OnPre { spikes: signal(&term.spikes), factor: units(&term.factor) };
    let on_post = |term: &OnPost| OnPost { spikes: units(&term.spikes), factor: signal(&term.factor) };
    let relaxation = |term: &Relaxation| Relaxation { pull: units(&term.pull), target: term.target.clone() };
    Plasticity {
        on_pre: rule.on_pre.as_ref().map(on_pre),
        on_post: rule.on_post.as_ref().map(on_post),
        relaxation: rule.relaxation.as_ref().map(relaxation),
        ..rule.clone()
    }
}
