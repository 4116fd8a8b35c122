//! The forward pass.

use burn::backend::TensorMetadata;
use burn::tensor::Shape;
use rayon::prelude::*;

use super::LANES;
use super::block::{Block, Parameters, State, slice, step};
use crate::cpu::{HostBackend, buffer, columns_mut};
use crate::scan::{ScanInputs, ScanOutputs, checkpoint_interval};
use crate::{Maybe, ScanOptions};

/// The fused forward pass; `None` when a tensor is not `f32`.
pub(crate) fn forward<B: HostBackend>(
    inputs: &ScanInputs<B>,
    keep: bool,
    options: ScanOptions,
) -> Option<ScanOutputs<B>> {
    let (shape, state_shape) = (inputs.input.shape(), inputs.membrane.shape());
    let (time, width) = (shape[0], state_shape.num_elements());
    let parameters = Parameters::new(inputs, options)?;
    let parts = parameters.parts;
    let input = B::slice(&inputs.input)?;
    let every = if keep { checkpoint_interval(&options) } else { time };
    let kept = (time - 1) / every;

    let output = |wanted: bool| buffer(if wanted { time * width } else { 0 });
    let (mut spikes, mut potential) = (output(parts.spikes), output(options.potential));
    let mut checkpoints = buffer(kept * parts.planes() * width);
    let mut membrane = B::slice(&inputs.membrane)?.into_owned();
    let (mut current, mut adaptation) =
        (slice(&inputs.current)?.into_owned(), slice(&inputs.adaptation)?.into_owned());
    let blocks = width.div_ceil(LANES);
    columns_mut(&mut spikes, width, LANES)
        .into_par_iter()
        .zip(columns_mut(&mut potential, width, LANES))
        .zip(columns_mut(&mut checkpoints, width, LANES))
        .zip(membrane.par_chunks_mut(LANES))
        .zip(pieces_mut(&mut current, blocks))
        .zip(pieces_mut(&mut adaptation, blocks))
        .enumerate()
        .for_each(|(index, (((((spikes, potential), checkpoints), membrane), current), adaptation))| {
            let start = index * LANES;
            let length = membrane.len();
            let rows = input.chunks_exact(width).map(|row| &row[start..start + length]);
            let state = State { membrane, current, adaptation };
            let outputs = Outputs { spikes, potential, checkpoints, every };
            through(&mut parameters.block(index, length), state, rows, outputs);
        });
    let state = |values: Vec<f32>| tensor::<B>(values, &state_shape);
    let mut kept_shape = vec![kept, parts.planes()];
    kept_shape.extend(state_shape.to_vec());
    Some(ScanOutputs {
        spikes: tensor(spikes, &shape),
        potential: tensor(potential, &shape),
        membrane: B::tensor(membrane, state_shape.clone()),
        current: state(current),
        adaptation: state(adaptation),
        checkpoints: tensor(checkpoints, &Shape::from(kept_shape)),
    })
}

/// A tensor of the given elements, absent when there are none.
pub(super) fn tensor<B: HostBackend>(values: Vec<f32>, shape: &Shape) -> Maybe<B> {
    if values.is_empty() { Maybe::Absent } else { Maybe::Present(B::tensor(values, shape.clone())) }
}

/// One piece of [`LANES`] per block, or empty pieces of nothing.
pub(super) fn pieces_mut(data: &mut [f32], blocks: usize) -> Vec<&mut [f32]> {
    let mut pieces: Vec<&mut [f32]> = data.chunks_mut(LANES).collect();
    pieces.resize_with(blocks, Default::default);
    pieces
}

/// Where a block writes, row after row; nothing where nobody asked.
struct Outputs<'a> {
    spikes: Vec<&'a mut [f32]>,
    potential: Vec<&'a mut [f32]>,
    checkpoints: Vec<&'a mut [f32]>,
    /// Steps between two checkpoints.
    every: usize,
}

/// Takes a block through all steps.
fn through<'a>(
    block: &mut Block,
    mut state: State<'a>,
    input: impl Iterator<Item = &'a [f32]>,
    outputs: Outputs<'a>,
) {
    let (mut no_spikes, mut no_potential) = (vec![0.0; LANES], vec![0.0; LANES]);
    let Outputs { spikes, potential, checkpoints, every } = outputs;
    let (mut spikes, mut potential) = (spikes.into_iter(), potential.into_iter());
    let mut checkpoints = checkpoints.into_iter();
    for (t, input) in input.enumerate() {
        if t > 0 && t % every == 0 {
            for (plane, kept) in state.planes().zip(&mut checkpoints) {
                kept.copy_from_slice(plane);
            }
        }
        let spikes = spikes.next().unwrap_or(&mut no_spikes[..input.len()]);
        let potential = potential.next().unwrap_or(&mut no_potential[..input.len()]);
        step(block, &mut state, input, spikes, potential);
    }
}
