//! Learning rules: one thread takes one synapse.
//!
//! The arithmetic is that of the reference in `crate::plasticity`, in the same order; sums run over ascending
//! rows.
#![allow(clippy::collapsible_if)] // Kernels know no chains of conditions.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::buffers::{address, elements, known, over, threads};
use super::terms::{self, Bounds, Term, clip, product, synapse};
use crate::plasticity::{PlasticityForm, TargetDynamics};
use crate::{MaybeInt, Planes};

/// What a rule takes or gives: the weight and the planes.
type Weighted = (CubeTensor, Planes<CubeBackend>);

/// The rule in one launch, over the weights where nothing else holds them; the arguments come back when the
/// kernel is not made for them.
///
/// In place, weights that nothing changes are neither read nor written nor clipped.
pub(crate) fn step(
    weight: CubeTensor,
    planes: Planes<CubeBackend>,
    steps: &MaybeInt<CubeBackend>,
    form: &PlasticityForm,
) -> Result<Weighted, Weighted> {
    let shape = weight.meta.shape();
    let (pre, post, count) = (shape[0], shape[1], weight.meta.num_elements());
    let known = terms::known(steps, &form.options) && known(planes.0.iter().chain([&weight]), 3);
    if count == 0 || !known {
        return Err((weight, planes));
    }
    let address = address(planes.0.iter().chain([&weight]));
    let mut next = planes.into_source();
    let terms = form.terms.as_ref().map(|()| next());
    let target = form.target.map(|dynamics| (into_contiguous(next()), dynamics));
    let weight = into_contiguous(weight);
    let options = form.options;
    // The weight is buffer 0, the target the one after it.
    let (moved, moved_argument) = over(&weight, 0);
    let in_place = matches!(moved_argument, BufferArg::Alias { .. });
    let (z, dynamics) = target.unzip();
    let (next_z, next_z_argument) = z.as_ref().map(|z| over(z, 1)).unzip();
    let dynamics = dynamics.unwrap_or(TargetDynamics { rate: 0.0, scale: 0.0, strength: 0.0 });
    let pull_rows = terms.pull.as_ref().map_or(0, |pull| pull.meta.shape()[0]);

    let (client, (cubes, dim)) = (weight.client.clone(), threads(&weight.client, count));
    step_kernel::launch(
        &client,
        cubes,
        dim,
        address,
        weight.into_buffer_arg(),
        z.map(CubeTensor::into_buffer_arg).into(),
        moved_argument,
        next_z_argument.into(),
        terms.on_pre.map(terms::term).into(),
        terms.on_post.map(terms::term).into(),
        terms.pull.map(elements).into(),
        terms.modulation.map(elements).into(),
        terms.max.map(elements).into(),
        terms::delays(steps.clone()).into(),
        pre,
        post,
        pull_rows,
        dynamics.rate,
        dynamics.scale,
        dynamics.strength,
        options.rate / options.samples as f32,
        options.min,
        options.max,
        Bounds::new(&options),
        in_place,
    );
    Ok((moved, Planes(next_z.into_iter().collect())))
}

#[cube(launch, address_type = "dynamic")]
fn step_kernel(
    weight: &[f32],
    target: ComptimeOption<&[f32]>,
    next_weight: &mut [f32],
    mut next_target: ComptimeOption<&mut [f32]>,
    on_pre: ComptimeOption<Term<&[f32]>>,
    on_post: ComptimeOption<Term<&[f32]>>,
    pull: ComptimeOption<&[f32]>,
    modulation: ComptimeOption<&[f32]>,
    bound: ComptimeOption<&[f32]>,
    steps: ComptimeOption<&[i32]>,
    pre: usize,
    post: usize,
    pull_rows: usize,
    decay: f32,
    scale: f32,
    strength: f32,
    rate: f32,
    lowest: f32,
    highest: f32,
    #[comptime] bounds: Bounds,
    #[comptime] in_place: bool,
) {
    let place = ABSOLUTE_POS;
    if place >= pre * post {
        terminate!();
    }
    let synapse = synapse(place, &steps, pre, post);
    let mut change = product(&on_pre, synapse, 0, 1) + product(&on_post, synapse, 0, 1);
    if comptime!(in_place && pull.is_none() && target.is_none()) {
        if change == 0.0 {
            terminate!();
        }
    }
    let w = weight[place];
    let mut distance = w;
    #[comptime]
    if let ComptimeOption::Some(target) = &target {
        let z = target[place];
        let force = z * strength * (0.25 - z) * (0.5 - z);
        let moved = z - z * decay + (w - force) * scale;
        distance = w - moved;
        #[comptime]
        if let ComptimeOption::Some(next_target) = &mut next_target {
            next_target[place] = moved;
        }
    }
    #[comptime]
    if let ComptimeOption::Some(pull) = &pull {
        let mut sum = f32::new(0.0);
        for row in 0..pull_rows {
            sum += pull[row * post + synapse.post];
        }
        change += distance * sum;
    }
    #[comptime]
    if let ComptimeOption::Some(modulation) = &modulation {
        change *= modulation[place];
    }
    next_weight[place] = clip(w + change * rate, &bound, place, lowest, highest, bounds);
}
