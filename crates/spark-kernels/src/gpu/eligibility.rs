//! Learning rules with three factors: one thread takes one synapse through all samples.
//!
//! The arithmetic is that of the reference in `crate::eligibility`, in the same order; sums run over
//! ascending rows and samples.

use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::buffers::{address, elements, known, over, threads};
use super::terms::{self, Bounds, Term, clip, product, synapse};
use crate::eligibility::EligibilityForm;
use crate::{MaybeInt, Planes};

/// Weight and eligibility.
type Both = [CubeTensor; 2];

/// The rule in one launch, over weights and eligibility where nothing else holds them; the arguments come back
/// when the kernel is not made for them.
pub(crate) fn step(
    [weight, eligibility]: Both,
    planes: Planes<CubeBackend>,
    steps: &MaybeInt<CubeBackend>,
    form: &EligibilityForm,
) -> Result<Both, (Both, Planes<CubeBackend>)> {
    let count = weight.meta.num_elements();
    let floats = || planes.0.iter().chain([&weight, &eligibility]);
    if count == 0 || !terms::known(steps, &form.options) || !known(floats(), 3) {
        return Err(([weight, eligibility], planes));
    }
    let address = address(floats());
    let mut next = planes.into_source();
    let terms = form.terms.as_ref().map(|()| next());
    let modulation = next();
    let [by_pre, by_post] = [1, 2].map(|axis| modulation.meta.shape()[axis]);
    let [weight, eligibility] = [weight, eligibility].map(into_contiguous);
    let shape = weight.meta.shape();
    let (pre, post, options) = (shape[0], shape[1], form.options);
    // The weight is buffer 0, the eligibility the one after it.
    let (moved, moved_argument) = over(&weight, 0);
    let (grown, grown_argument) = over(&eligibility, 1);
    let client = weight.client.clone();
    let (cubes, dim) = threads(&client, count);
    step_kernel::launch(
        &client,
        cubes,
        dim,
        address,
        weight.into_buffer_arg(),
        eligibility.into_buffer_arg(),
        moved_argument,
        grown_argument,
        terms.on_pre.map(terms::term).into(),
        terms.on_post.map(terms::term).into(),
        elements(modulation),
        terms.max.map(elements).into(),
        terms::delays(steps.clone()).into(),
        pre,
        post,
        options.samples,
        by_pre * by_post,
        if by_pre == 1 { 0 } else { by_post },
        if by_post == 1 { 0 } else { 1 },
        form.decay,
        options.rate / options.samples as f32,
        options.min,
        options.max,
        Bounds::new(&options),
    );
    Ok([moved, grown])
}

#[cube(launch, address_type = "dynamic")]
fn step_kernel(
    weight: &[f32],
    eligibility: &[f32],
    next_weight: &mut [f32],
    next_eligibility: &mut [f32],
    on_pre: ComptimeOption<Term<&[f32]>>,
    on_post: ComptimeOption<Term<&[f32]>>,
    modulation: &[f32],
    bound: ComptimeOption<&[f32]>,
    steps: ComptimeOption<&[i32]>,
    pre: usize,
    post: usize,
    samples: usize,
    by_sample: usize,
    by_pre: usize,
    by_post: usize,
    decay: f32,
    rate: f32,
    lowest: f32,
    highest: f32,
    #[comptime] bounds: Bounds,
) {
    let place = ABSOLUTE_POS;
    if place >= pre * post {
        terminate!();
    }
    let synapse = synapse(place, &steps, pre, post);
    let factor = synapse.pre * by_pre + synapse.post * by_post;
    let mut used = f32::new(0.0);
    for sample in 0..samples {
        let at = sample * pre * post + place;
        let mut e = eligibility[at];
        e = e - e * decay + product(&on_pre, synapse, sample, samples);
        e += product(&on_post, synapse, sample, samples);
        next_eligibility[at] = e;
        used += e * modulation[sample * by_sample + factor];
    }
    let moved = weight[place] + used * rate;
    next_weight[place] = clip(moved, &bound, place, lowest, highest, bounds);
}
