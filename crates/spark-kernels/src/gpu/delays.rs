//! Delayed signals: every unit or pair reads the ring as far back as its delay.
//!
//! The reference of [`DelayRing::push`](crate::DelayRing::push) is one launch that writes in place already.

use burn::tensor::{DType, Shape};
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::buffers::{address, elements, empty, known, threads};
use crate::delays::dims;

/// Threads of a workgroup side by side, each with one postsynaptic unit.
const COLUMNS: u32 = 32;

/// Parts of the presynaptic units that a workgroup sums up at the same time.
const PARTS: u32 = 8;

/// Threads of a workgroup; GPUs have as many.
const THREADS: u32 = COLUMNS * PARTS;

/// See [`DelayRing::read`](crate::DelayRing::read); `None` when the kernel is not made for the arguments.
pub(crate) fn read(history: &CubeTensor, steps: &CubeTensor, newest: usize) -> Option<CubeTensor> {
    let [slots, batch, units] = dims(history);
    lookup(history, steps, Shape::from([batch, units]), [slots, batch, units, 1], newest)
}

/// See [`DelayRing::read_pairs`](crate::DelayRing::read_pairs); `None` when the kernel is not made for the
/// arguments.
pub(crate) fn read_pairs(history: &CubeTensor, steps: &CubeTensor, newest: usize) -> Option<CubeTensor> {
    let ([slots, batch, pre], post) = (dims(history), steps.meta.shape()[1]);
    lookup(history, steps, Shape::from([batch, pre, post]), [slots, batch, pre, post], newest)
}

/// The signal of each unit of each sample as many steps ago as each of its `post` delays.
fn lookup(
    history: &CubeTensor,
    steps: &CubeTensor,
    shape: Shape,
    [slots, batch, pre, post]: [usize; 4],
    newest: usize,
) -> Option<CubeTensor> {
    let count = batch * pre * post;
    if count == 0 || steps.dtype != DType::I32 || !known([history], 2) {
        return None;
    }
    let output = empty(history, shape);
    let (cubes, dim) = threads(&history.client, count);
    lookup_kernel::launch(
        &history.client,
        cubes,
        dim,
        address([history, &output]),
        elements(history.clone()),
        elements(steps.clone()),
        output.clone().into_buffer_arg(),
        slots,
        batch * pre,
        pre * post,
        post,
        newest,
        count,
    );
    Some(output)
}

#[cube(launch, address_type = "dynamic")]
fn lookup_kernel(
    history: &[f32],
    steps: &[i32],
    output: &mut [f32],
    slots: usize,
    plane: usize,
    pairs: usize,
    post: usize,
    newest: usize,
    count: usize,
) {
    if ABSOLUTE_POS >= count {
        terminate!();
    }
    let slot = slot(steps[ABSOLUTE_POS % pairs], newest, slots);
    output[ABSOLUTE_POS] = history[slot * plane + ABSOLUTE_POS / post];
}

/// The slot of `delay` steps ago.
#[cube]
pub(super) fn slot(delay: i32, newest: usize, slots: usize) -> usize {
    (newest + slots - usize::cast_from(delay)) % slots
}

/// See [`DelayRing::currents`](crate::DelayRing::currents); `None` when the kernel is not made for the
/// arguments.
///
/// Weights are read where something arrives only. Sums are those of one part of the presynaptic units after
/// the other and ascending within each: they do not depend on the order in which the device runs its
/// threads.
pub(crate) fn currents(
    history: &CubeTensor,
    weight: &CubeTensor,
    steps: &CubeTensor,
    newest: usize,
) -> Option<CubeTensor> {
    let ([slots, batch, pre], post) = (dims(history), weight.meta.shape()[1]);
    let hardware = &history.client.properties().hardware;
    let fits = hardware.max_units_per_cube >= THREADS && batch <= hardware.max_cube_count.1 as usize;
    let kinds = steps.dtype == DType::I32 && known([history, weight], 2);
    if batch * pre * post == 0 || !kinds || !fits {
        return None;
    }
    let output = empty(history, Shape::from([batch, post]));
    currents_kernel::launch(
        &history.client,
        CubeCount::Static(post.div_ceil(COLUMNS as usize) as u32, batch as u32, 1),
        CubeDim::new_2d(COLUMNS, PARTS),
        address([history, weight, &output]),
        elements(history.clone()),
        elements(weight.clone()),
        elements(steps.clone()),
        output.clone().into_buffer_arg(),
        slots,
        batch,
        pre,
        post,
        newest,
    );
    Some(output)
}

/// One workgroup per sample and [`COLUMNS`] postsynaptic units; each of its [`PARTS`] takes every so many-th
/// presynaptic unit.
#[cube(launch, address_type = "dynamic")]
fn currents_kernel(
    history: &[f32],
    weight: &[f32],
    steps: &[i32],
    output: &mut [f32],
    slots: usize,
    batch: usize,
    pre: usize,
    post: usize,
    newest: usize,
) {
    let sample = CUBE_POS_Y as usize;
    let column = (CUBE_POS_X * COLUMNS + UNIT_POS_X) as usize;
    let mut sum = f32::new(0.0);
    if column < post {
        let mut unit = UNIT_POS_Y as usize;
        while unit < pre {
            let synapse = unit * post + column;
            let slot = slot(steps[synapse], newest, slots);
            let arrived = history[(slot * batch + sample) * pre + unit];
            if arrived != 0.0 {
                sum += weight[synapse] * arrived;
            }
            unit += PARTS as usize;
        }
    }
    let mut sums = Shared::new_slice(THREADS as usize);
    sums[UNIT_POS as usize] = sum;
    sync_cube();
    if UNIT_POS_Y == 0 && column < post {
        let mut total = f32::new(0.0);
        for part in 0..PARTS {
            total += sums[(part * COLUMNS + UNIT_POS_X) as usize];
        }
        output[sample * post + column] = total;
    }
}
