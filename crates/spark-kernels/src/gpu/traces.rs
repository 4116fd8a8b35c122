//! Exponential traces: one thread takes one entry.
//!
//! The arithmetic is that of the reference in `crate::traces`, in the same order; compilers of kernels may
//! contract a product and a sum, so that values agree to rounding.

use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::buffers::{address, elements, empty, known, over, parameter, threads};
use crate::traces::{LazyDecay, Trace};

/// The trace over itself where nothing else holds it; it comes back when the kernel is not made for the
/// arguments.
pub(crate) fn step(
    trace: CubeTensor,
    input: &CubeTensor,
    parameters: &Trace<CubeTensor>,
) -> Result<CubeTensor, CubeTensor> {
    let Trace { rate, base, scale, saturation } = parameters.as_ref();
    let tensors = || [&trace, input, rate, base, scale].into_iter().chain(saturation);
    let count = trace.meta.num_elements();
    if count == 0 || !known(tensors(), 1) {
        return Err(trace);
    }
    let (address, trace) = (address(tensors()), into_contiguous(trace));
    let (moved, moved_argument) = over(&trace, 0);
    let client = trace.client.clone();
    let (cubes, dim) = threads(&client, count);
    let argument = |tensor: &CubeTensor| elements(tensor.clone());
    step_kernel::launch(
        &client,
        cubes,
        dim,
        address,
        trace.into_buffer_arg(),
        moved_argument,
        argument(input),
        argument(rate),
        argument(base),
        argument(scale),
        saturation.map(argument).into(),
        count,
    );
    Ok(moved)
}

#[cube(launch, address_type = "dynamic")]
fn step_kernel(
    trace: &[f32],
    moved: &mut [f32],
    input: &[f32],
    rate: &[f32],
    base: &[f32],
    scale: &[f32],
    saturation: ComptimeOption<&[f32]>,
    count: usize,
) {
    let lane = ABSOLUTE_POS;
    if lane >= count {
        terminate!();
    }
    let before = trace[lane];
    let pull = parameter(rate, lane) * (parameter(base, lane) - before);
    let mut after = before + pull + parameter(scale, lane) * input[lane];
    #[comptime]
    if let ComptimeOption::Some(saturation) = saturation {
        let bound = parameter(saturation, lane);
        after = max(min(after, bound), -bound);
    }
    moved[lane] = after;
}

/// Values and steps of the last events, over themselves where nothing else holds them; they come back when
/// the kernel is not made for the arguments.
pub(crate) fn lazy_hit(
    [value, last]: [CubeTensor; 2],
    input: &CubeTensor,
    decay: &LazyDecay<CubeTensor>,
    now: f32,
) -> Result<[CubeTensor; 2], [CubeTensor; 2]> {
    let LazyDecay { exponent, base, scale } = decay;
    let tensors = || [&value, &last, input, exponent, base, scale];
    let count = value.meta.num_elements();
    if count == 0 || !known(tensors(), 2) {
        return Err([value, last]);
    }
    let address = address(tensors());
    let [value, last] = [value, last].map(into_contiguous);
    let (moved, moved_argument) = over(&value, 0);
    let (stamped, stamped_argument) = over(&last, 1);
    let client = value.client.clone();
    let (cubes, dim) = threads(&client, count);
    let argument = |tensor: &CubeTensor| elements(tensor.clone());
    // In place, entries without an event keep what they are without being written.
    let in_place = [&moved_argument, &stamped_argument].map(|to| matches!(to, BufferArg::Alias { .. }));
    lazy_hit_kernel::launch(
        &client,
        cubes,
        dim,
        address,
        value.into_buffer_arg(),
        last.into_buffer_arg(),
        moved_argument,
        stamped_argument,
        argument(input),
        argument(exponent),
        argument(base),
        argument(scale),
        now,
        count,
        in_place == [true; 2],
    );
    Ok([moved, stamped])
}

#[cube(launch, address_type = "dynamic")]
fn lazy_hit_kernel(
    value: &[f32],
    last: &[f32],
    moved: &mut [f32],
    stamped: &mut [f32],
    input: &[f32],
    exponent: &[f32],
    base: &[f32],
    scale: &[f32],
    now: f32,
    count: usize,
    #[comptime] in_place: bool,
) {
    let lane = ABSOLUTE_POS;
    if lane >= count {
        terminate!();
    }
    let added = input[lane];
    if added != 0.0 {
        let before = faded(value[lane], last[lane], now, parameter(exponent, lane), parameter(base, lane));
        moved[lane] = before + parameter(scale, lane) * added;
        stamped[lane] = now;
    } else {
        if comptime!(!in_place) {
            moved[lane] = value[lane];
            stamped[lane] = last[lane];
        }
    }
}

/// A value as of step `last`, at step `now`.
#[cube]
fn faded(value: f32, last: f32, now: f32, exponent: f32, base: f32) -> f32 {
    base + (value - base) * ((last - now) * exponent).exp()
}

/// The values at step `now`; `None` when the kernel is not made for the arguments.
pub(crate) fn lazy_read(
    value: &CubeTensor,
    last: &CubeTensor,
    decay: &LazyDecay<CubeTensor>,
    now: f32,
) -> Option<CubeTensor> {
    let LazyDecay { exponent, base, .. } = decay;
    let tensors = [value, last, exponent, base];
    let count = value.meta.num_elements();
    if count == 0 || !known(tensors, 1) {
        return None;
    }
    let output = empty(value, value.meta.shape().clone());
    let (cubes, dim) = threads(&value.client, count);
    let argument = |tensor: &CubeTensor| elements(tensor.clone());
    lazy_read_kernel::launch(
        &value.client,
        cubes,
        dim,
        address(tensors),
        argument(value),
        argument(last),
        argument(exponent),
        argument(base),
        output.clone().into_buffer_arg(),
        now,
        count,
    );
    Some(output)
}

#[cube(launch, address_type = "dynamic")]
fn lazy_read_kernel(
    value: &[f32],
    last: &[f32],
    exponent: &[f32],
    base: &[f32],
    output: &mut [f32],
    now: f32,
    count: usize,
) {
    let lane = ABSOLUTE_POS;
    if lane < count {
        let (exponent, base) = (parameter(exponent, lane), parameter(base, lane));
        output[lane] = faded(value[lane], last[lane], now, exponent, base);
    }
}
