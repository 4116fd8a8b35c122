//! Steps of units: one thread takes one unit of one sample through all parts of a step.
//!
//! The arithmetic is that of the reference in `crate::somas`, in the same order. Compilers of kernels may
//! contract a product and a sum, or take a common factor out of a sum, so that values agree to rounding. Only
//! Izhikevich's units, whose upstroke amplifies what is rounded, are kept from both: see [`rounded`].

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::buffers::{address, crossing, element_or_zero, elements, known, of_unit, over, threads};
use crate::Planes;
use crate::somas::{Soma, SomaForm, SomaModel, SomaState};

/// The models that the kernel knows, as `crate::somas::SomaModel`.
#[derive(Clone, Copy, CubeType, CubeLaunch)]
#[allow(dead_code)] // Kernels match on it; what starts them is `ModelArgs`.
enum Model<P: CubeType> {
    Leaky { decay: P, gain: P },
    Exponential { rate: P, resistance: P, rheobase: P, slope: P },
    Izhikevich { dt: P, resistance: P, recovery_rate: P, sensitivity: P, jump: P },
}

impl<P: CubeType<ExpandType: Copy>> Clone for ModelExpand<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: CubeType<ExpandType: Copy>> Copy for ModelExpand<P> {}

/// The parameters of units, as `crate::somas::Soma`.
#[derive(CubeType, CubeLaunch)]
struct Units<P: CubeType> {
    model: Model<P>,
    reset: P,
    threshold: P,
    cooldown: ComptimeOption<P>,
    clamp: ComptimeOption<P>,
    threshold_rate: ComptimeOption<P>,
    threshold_delta: ComptimeOption<P>,
    adaptation_rate: ComptimeOption<P>,
    adaptation_subthreshold: ComptimeOption<P>,
    adaptation_delta: ComptimeOption<P>,
}

/// What units carry from step to step, as `crate::somas::SomaState`.
#[derive(CubeType, CubeLaunch)]
struct State<P: CubeType> {
    potential: P,
    recovery: ComptimeOption<P>,
    since_spike: ComptimeOption<P>,
    threshold_offset: ComptimeOption<P>,
    adaptation: ComptimeOption<P>,
}

/// What a step takes or gives: currents or spikes, and the planes.
type Planar = (CubeTensor, Planes<CubeBackend>);

/// The step in one launch, over the state where nothing else holds it; the arguments come back when the
/// kernel is not made for them.
pub(crate) fn step(
    current: CubeTensor,
    mut planes: Planes<CubeBackend>,
    form: &SomaForm,
) -> Result<Planar, Planar> {
    let (count, width) = (form.soma.count(), current.meta.num_elements());
    let results = 1 + planes.0.len() - count;
    if width == 0 || !known(planes.0.iter().chain([&current]), results) {
        return Err((current, planes));
    }
    let mut parameters = planes.0[..count].iter().cloned().map(elements);
    let parameters = form.soma.clone().map(|()| parameters.next().expect("a plane for every parameter"));
    let Some(parameters) = units(parameters) else {
        return Err((current, planes));
    };
    let address = address(planes.0.iter().chain([&current]));
    let current = into_contiguous(current);
    let state: Vec<_> = planes.0.split_off(count).into_iter().map(into_contiguous).collect();
    // The current is buffer 0, the planes of the state are those after it.
    let (spikes, spikes_argument) = over(&current, 0);
    let next = (1..).zip(&state).map(|(position, plane)| over(plane, position));
    let (next, next_arguments): (Vec<_>, Vec<_>) = next.unzip();

    let (client, units) = (current.client.clone(), current.meta.shape()[1]);
    let (cubes, dim) = threads(&client, width);
    let of_state = |planes: Vec<BufferArg>| {
        let mut planes = planes.into_iter();
        form.state.as_ref().map(|()| planes.next().expect("a plane for every part of the state"))
    };
    step_kernel::launch(
        &client,
        cubes,
        dim,
        address,
        current.into_buffer_arg(),
        launched(of_state(state.into_iter().map(CubeTensor::into_buffer_arg).collect())),
        parameters,
        spikes_argument,
        launched(of_state(next_arguments)),
        units,
        width,
        0,
    );
    Ok((spikes, Planes(next)))
}

/// The parameters as arguments; `None` for a model that the kernel does not know.
fn units(soma: Soma<BufferArg>) -> Option<UnitsLaunch<&'static [f32]>> {
    let model = match soma.model {
        SomaModel::Leaky { decay, gain } => ModelArgs::Leaky { decay, gain },
        SomaModel::Exponential { rate, resistance, rheobase, slope } => {
            ModelArgs::Exponential { rate, resistance, rheobase, slope }
        }
        SomaModel::Izhikevich { dt, resistance, recovery_rate, sensitivity, jump } => {
            ModelArgs::Izhikevich { dt, resistance, recovery_rate, sensitivity, jump }
        }
        // A model without a kernel takes the composed body.
        _ => return None,
    };
    let (threshold_rate, threshold_delta) = soma.adaptive_threshold.map(|a| (a.rate, a.delta)).unzip();
    let (rate_and_coupling, adaptation_delta) =
        soma.adaptation.map(|a| ((a.rate, a.subthreshold), a.delta)).unzip();
    let (adaptation_rate, adaptation_subthreshold) = rate_and_coupling.unzip();
    Some(UnitsLaunch::new(
        model,
        soma.reset,
        soma.threshold,
        soma.cooldown.into(),
        soma.clamp.into(),
        threshold_rate.into(),
        threshold_delta.into(),
        adaptation_rate.into(),
        adaptation_subthreshold.into(),
        adaptation_delta.into(),
    ))
}

fn launched<P: LaunchArg<RuntimeArg = BufferArg>>(state: SomaState<BufferArg>) -> StateLaunch<P> {
    StateLaunch::new(
        state.potential,
        state.recovery.into(),
        state.since_spike.into(),
        state.threshold_offset.into(),
        state.adaptation.into(),
    )
}

#[cube(launch, address_type = "dynamic")]
fn step_kernel(
    current: &[f32],
    state: State<&[f32]>,
    soma: Units<&[f32]>,
    spikes: &mut [f32],
    mut next: State<&mut [f32]>,
    units: usize,
    width: usize,
    zero: u32,
) {
    let lane = ABSOLUTE_POS;
    if lane >= width {
        terminate!();
    }
    let unit = lane % units;
    let since = element_or_zero(&state.since_spike, lane);
    let offset = element_or_zero(&state.threshold_offset, lane);
    let w = element_or_zero(&state.adaptation, lane);
    let mut u = element_or_zero(&state.recovery, lane);
    let reset = of_unit(soma.reset, unit);

    let mut ready = f32::new(1.0);
    let mut longest = f32::new(0.0);
    #[comptime]
    if let ComptimeOption::Some(steps) = soma.cooldown {
        longest = of_unit(steps, unit);
        ready = select(since >= longest, 1.0f32, 0.0f32);
    }
    let input = current[lane] * ready - w;
    let mut v = integrate(soma.model, state.potential[lane], input, u, unit, zero);
    #[comptime]
    if let ComptimeOption::Some(steps) = soma.clamp {
        let steps = of_unit(steps, unit);
        v = select(since < steps, reset, v);
        longest = max(longest, steps);
    }
    u = recovered(soma.model, v, u, unit, zero);
    let s = crossing(v - (of_unit(soma.threshold, unit) + offset)) * ready;
    v = select(s > 0.0, reset, v);

    spikes[lane] = s;
    next.potential[lane] = v;
    #[comptime]
    if let ComptimeOption::Some(recovery) = &mut next.recovery {
        recovery[lane] = u + jump(soma.model, unit) * s;
    }
    #[comptime]
    if let ComptimeOption::Some(since_spike) = &mut next.since_spike {
        since_spike[lane] = min(since + 1.0, longest) * (1.0 - s);
    }
    #[comptime]
    if let ComptimeOption::Some(threshold_offset) = &mut next.threshold_offset {
        let rate = of_optional(soma.threshold_rate, unit);
        threshold_offset[lane] = offset - rate * offset + of_optional(soma.threshold_delta, unit) * s;
    }
    #[comptime]
    if let ComptimeOption::Some(adaptation) = &mut next.adaptation {
        let pull = of_optional(soma.adaptation_subthreshold, unit) * v - w;
        let grown = w + of_optional(soma.adaptation_rate, unit) * pull;
        adaptation[lane] = grown + of_optional(soma.adaptation_delta, unit) * s;
    }
}

/// The entry of a unit, 0 where there is no such parameter.
#[cube]
fn of_optional(parameter: ComptimeOption<&[f32]>, unit: usize) -> f32 {
    #[comptime]
    match parameter {
        ComptimeOption::Some(parameter) => of_unit(parameter, unit),
        ComptimeOption::None => f32::new(0.0),
    }
}

/// `value` as it is, given a `zero` that compilers do not know to be one.
///
/// No compiler sees through it. So none contracts a product with the sum that follows, or, as Mesa's does,
/// makes `v·(0.04·v + 5)` of `v·0.04·v + v·5` and `(a + 140) + b` of `(a + b) + 140`: the rounding stays that
/// of the reference.
#[cube]
fn rounded(value: f32, zero: u32) -> f32 {
    f32::reinterpret(u32::reinterpret(value) ^ zero)
}

/// The potential after the step, before any spike.
#[cube]
fn integrate(model: Model<&[f32]>, v: f32, input: f32, u: f32, unit: usize, zero: u32) -> f32 {
    #[comptime]
    match model {
        Model::Leaky { decay, gain } => v * of_unit(decay, unit) + input * of_unit(gain, unit),
        Model::Exponential { rate, resistance, rheobase, slope } => {
            let slope = of_unit(slope, unit);
            let upstroke = slope * ((v - of_unit(rheobase, unit)) / slope).exp();
            v + of_unit(rate, unit) * (upstroke - v + of_unit(resistance, unit) * input)
        }
        Model::Izhikevich { dt, resistance, .. } => {
            let powers = rounded(v * 0.04 * v, zero) + rounded(v * 5.0, zero);
            let drive = rounded(of_unit(resistance, unit) * input, zero);
            let slope = rounded(powers, zero) + 140.0 - u + drive;
            v + rounded(of_unit(dt, unit) * slope, zero)
        }
    }
}

/// The recovery after the step, before any spike.
#[cube]
fn recovered(model: Model<&[f32]>, v: f32, u: f32, unit: usize, zero: u32) -> f32 {
    #[comptime]
    match model {
        Model::Izhikevich { recovery_rate, sensitivity, .. } => {
            let pull = rounded(of_unit(sensitivity, unit) * v, zero) - u;
            u + rounded(of_unit(recovery_rate, unit) * pull, zero)
        }
        _ => u,
    }
}

/// What a spike adds to the recovery.
#[cube]
fn jump(model: Model<&[f32]>, unit: usize) -> f32 {
    #[comptime]
    match model {
        Model::Izhikevich { jump, .. } => of_unit(jump, unit),
        _ => f32::new(0.0),
    }
}
