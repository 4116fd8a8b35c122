//! Currents through sparsely connected synapses: each unit gathers over its own synapses, so that nothing is
//! added up in an order that depends on the device.

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::buffers::{address, elements, empty, known, threads};
use super::delays::slot;
use crate::delays::dims;
use crate::sparse::{SparsePlaces, SparseRows};

/// Threads of a workgroup side by side, which share the synapses of a unit.
const PARTS: u32 = 16;

/// Units of a workgroup.
const UNITS: u32 = 16;

/// Threads of a workgroup; GPUs have as many.
const THREADS: u32 = PARTS * UNITS;

type Places = SparsePlaces<CubeBackend>;

/// See [`sparse_matmul`](crate::sparse_matmul); `None` when the kernel is not made for the arguments.
pub(crate) fn product(
    spikes: &CubeTensor,
    values: &CubeTensor,
    places: &Places,
    pattern: &SparseRows,
) -> Option<CubeTensor> {
    let [rows, pre] = [0, 1].map(|axis| spikes.meta.shape()[axis]);
    let synapses = Synapses {
        units: &places.sources,
        bounds: &places.arriving,
        order: Some(&places.order),
        delays: None,
    };
    gather(spikes, values, synapses, [rows, pre, pattern.post])
}

/// The gradient of [`product`] with respect to the spikes, given that of its output.
pub(crate) fn spikes_gradient(
    gradient: &CubeTensor,
    values: &CubeTensor,
    places: &Places,
    pattern: &SparseRows,
) -> Option<CubeTensor> {
    let [rows, post] = [0, 1].map(|axis| gradient.meta.shape()[axis]);
    let synapses = Synapses { units: &places.targets, bounds: &places.leaving, order: None, delays: None };
    gather(gradient, values, synapses, [rows, post, pattern.pre()])
}

/// See [`DelayRing::sparse_currents`](crate::DelayRing::sparse_currents); `None` when the kernel is not made
/// for the arguments.
pub(crate) fn currents(
    history: &CubeTensor,
    values: &CubeTensor,
    places: &Places,
    steps: &CubeTensor,
    pattern: &SparseRows,
    newest: usize,
) -> Option<CubeTensor> {
    let [slots, batch, pre] = dims(history);
    let synapses = Synapses {
        units: &places.sources,
        bounds: &places.arriving,
        order: Some(&places.order),
        delays: Some((steps, slots, newest)),
    };
    gather(history, values, synapses, [batch, pre, pattern.post])
}

/// The synapses of units that gather.
struct Synapses<'a> {
    /// For each synapse the unit that it reads.
    units: &'a CubeTensor,
    /// Where the synapses of each unit that gathers start and end.
    bounds: &'a CubeTensor,
    /// In which order they lie, if not one after the other.
    order: Option<&'a CubeTensor>,
    /// Their delays, and the slots and the newest slot of the ring.
    delays: Option<(&'a CubeTensor, usize, usize)>,
}

/// For each row of a signal, or of a step of a ring, the sums of each of `into` units over its synapses.
fn gather(
    signal: &CubeTensor,
    values: &CubeTensor,
    synapses: Synapses<'_>,
    [rows, from, into]: [usize; 3],
) -> Option<CubeTensor> {
    let Synapses { units, bounds, order, delays } = synapses;
    let hardware = &signal.client.properties().hardware;
    let fits = hardware.max_units_per_cube >= THREADS && rows <= hardware.max_cube_count.1 as usize;
    let (steps, slots, newest) = match delays {
        Some((steps, slots, newest)) => (Some(steps), slots, newest),
        None => (None, 1, 0),
    };
    let integers = [Some(units), Some(bounds), order, steps].into_iter().flatten();
    let int32 = integers.into_iter().all(|tensor| tensor.dtype == DType::I32);
    if rows * into * values.meta.num_elements() == 0 || !fits || !int32 || !known([signal, values], 5) {
        return None;
    }
    let output = empty(signal, Shape::from([rows, into]));
    let argument = |tensor: &CubeTensor| elements(tensor.clone());
    gather_kernel::launch(
        &signal.client,
        CubeCount::Static(into.div_ceil(UNITS as usize) as u32, rows as u32, 1),
        CubeDim::new_2d(PARTS, UNITS),
        address([signal, values, &output]),
        argument(signal),
        argument(values),
        argument(units),
        argument(bounds),
        order.map(argument).into(),
        steps.map(argument).into(),
        output.clone().into_buffer_arg(),
        rows,
        from,
        into,
        slots,
        newest,
    );
    Some(output)
}

/// One workgroup per row and [`UNITS`] units; each of their [`PARTS`] takes every so many-th synapse.
#[cube(launch, address_type = "dynamic")]
fn gather_kernel(
    signal: &[f32],
    values: &[f32],
    units: &[i32],
    bounds: &[i32],
    order: ComptimeOption<&[i32]>,
    steps: ComptimeOption<&[i32]>,
    output: &mut [f32],
    rows: usize,
    from: usize,
    into: usize,
    slots: usize,
    newest: usize,
) {
    let row = CUBE_POS_Y as usize;
    let unit = (CUBE_POS_X * UNITS + UNIT_POS_Y) as usize;
    let mut sum = f32::new(0.0);
    if unit < into {
        let mut place = usize::cast_from(bounds[unit]) + UNIT_POS_X as usize;
        let end = usize::cast_from(bounds[unit + 1]);
        while place < end {
            let mut synapse = place;
            #[comptime]
            if let ComptimeOption::Some(order) = &order {
                synapse = usize::cast_from(order[place]);
            }
            let mut line = row;
            #[comptime]
            if let ComptimeOption::Some(steps) = &steps {
                line += slot(steps[synapse], newest, slots) * rows;
            }
            let arrived = signal[line * from + usize::cast_from(units[synapse])];
            if arrived != 0.0 {
                sum += values[synapse] * arrived;
            }
            place += PARTS as usize;
        }
    }
    let mut sums = Shared::new_slice(THREADS as usize);
    sums[UNIT_POS as usize] = sum;
    sync_cube();
    if UNIT_POS_X == 0 && unit < into {
        let mut total = f32::new(0.0);
        for part in 0..PARTS {
            total += sums[(UNIT_POS_Y * PARTS + part) as usize];
        }
        output[row * into + unit] = total;
    }
}

/// The gradient of [`product`] with respect to the values, given that of its output.
pub(crate) fn values_gradient(
    spikes: &CubeTensor,
    gradient: &CubeTensor,
    places: &Places,
    pattern: &SparseRows,
) -> Option<CubeTensor> {
    let Places { sources, targets, .. } = places;
    let (rows, count) = (spikes.meta.shape()[0], pattern.targets.len());
    let int32 = [sources, targets].iter().all(|tensor| tensor.dtype == DType::I32);
    if rows * count == 0 || !int32 || !known([spikes, gradient], 3) {
        return None;
    }
    let output = empty(spikes, Shape::from([count]));
    let (cubes, dim) = threads(&spikes.client, count);
    let argument = |tensor: &CubeTensor| elements(tensor.clone());
    values_gradient_kernel::launch(
        &spikes.client,
        cubes,
        dim,
        address([spikes, gradient, &output]),
        argument(spikes),
        argument(gradient),
        argument(sources),
        argument(targets),
        output.clone().into_buffer_arg(),
        rows,
        pattern.pre(),
        pattern.post,
        count,
    );
    Some(output)
}

/// One thread takes one synapse through all rows.
#[cube(launch, address_type = "dynamic")]
fn values_gradient_kernel(
    spikes: &[f32],
    gradient: &[f32],
    sources: &[i32],
    targets: &[i32],
    output: &mut [f32],
    rows: usize,
    pre: usize,
    post: usize,
    count: usize,
) {
    let synapse = ABSOLUTE_POS;
    if synapse >= count {
        terminate!();
    }
    let source = usize::cast_from(sources[synapse]);
    let target = usize::cast_from(targets[synapse]);
    let mut sum = f32::new(0.0);
    for row in 0..rows {
        let spike = spikes[row * pre + source];
        if spike != 0.0 {
            sum += spike * gradient[row * post + target];
        }
    }
    output[synapse] = sum;
}
