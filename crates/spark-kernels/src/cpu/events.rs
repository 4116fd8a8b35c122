//! Products with spike matrices that touch only the rows of active units.
//!
//! Sums run over the presynaptic units (or, for the weight gradient, over the samples) in ascending order,
//! whatever the number of threads.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;

use super::HostBackend;
use super::masks::{Accumulate, BITS, Events, Factors, Masks, NARROW, Strip, Tile, Transposed, WIDE, strips};

/// Above this fraction of non-zero entries the dense product is faster.
const DENSITY_LIMIT: f32 = 0.6;

/// Rows of the result that one thread takes at a time, whose sums stay in the second-level cache; more of
/// them where there are enough for many threads, since each chunk reads the weights once.
fn rows_at_a_time(rows: usize) -> usize {
    if rows < 8192 { 256 } else { 512 }
}

/// Presynaptic units whose weight gradients one thread sums up at a time; more of them where the strips of
/// the result are enough for many threads, since each chunk reads the gradient once.
fn units_at_a_time(post: usize) -> usize {
    if post < 8 * WIDE { 256 } else { 1024 }
}

/// `spikes [rows, pre] × weight [pre, post] + bias`, and the bits of the spikes if they say everything;
/// `None` when the dense product is the better choice.
pub(crate) fn product<B: HostBackend>(
    spikes: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: Option<&FloatTensor<B>>,
) -> Option<(FloatTensor<B>, Option<Masks>)> {
    let (rows, pre) = (spikes.shape()[0], spikes.shape()[1]);
    let post = weight.shape()[1];
    if rows * pre * post == 0 {
        return None;
    }
    let (spikes, weight) = (B::slice(spikes)?, B::slice(weight)?);
    let bias = match bias {
        Some(bias) => Some(B::slice(bias)?),
        None => None,
    };
    let events = Events::find(&spikes, pre, DENSITY_LIMIT)?;
    let mut output = vec![0.0; rows * post];
    if events.count < pre {
        // Fewer rows are named than the tiles would copy.
        let values = (!events.binary).then_some(&*spikes);
        gather_few(&events, values, &weight, bias.as_deref(), &mut output, [pre, post]);
    } else {
        gather_many(&events, &spikes, &weight, bias.as_deref(), &mut output, [pre, post]);
    }
    let Events { masks, binary, .. } = events;
    Some((B::tensor(output, Shape::from([rows, post])), binary.then_some(masks)))
}

/// As [`gather`], in parallel.
fn gather_many(
    events: &Events,
    spikes: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
    [pre, post]: [usize; 2],
) {
    let (rows, words) = (events.masks.rows, events.masks.words);
    let rows_at_a_time = rows_at_a_time(rows);
    output
        .par_chunks_mut(rows_at_a_time * post)
        .zip(events.masks.bits.par_chunks(rows_at_a_time * words))
        .zip(spikes.par_chunks(rows_at_a_time * pre))
        .for_each(|((output, masks), spikes)| {
            let values = (!events.binary).then_some(spikes);
            gather(masks, values, weight, bias, output, [pre, post]);
        });
}

/// Sums of numbers from which on a second thread pays when few rows are gathered.
const PARALLEL: usize = 1 << 17;

/// As [`gather`], straight from the weights: for products in which few rows of them are read.
fn gather_few(
    events: &Events,
    values: Option<&[f32]>,
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
    [pre, post]: [usize; 2],
) {
    let parallel = events.count * post >= PARALLEL;
    // A piece of a row of the output stays in the first-level cache while the weights pass.
    let width =
        if parallel { post.div_ceil(rayon::current_num_threads()).next_multiple_of(WIDE) } else { post };
    let piece = |row: usize, start: usize, output: &mut [f32]| {
        if let Some(bias) = bias {
            output.copy_from_slice(&bias[start..start + output.len()]);
        }
        let mask = &events.masks.bits[row * events.masks.words..(row + 1) * events.masks.words];
        match values {
            None => add_rows(mask, &weight[start..], post, output),
            Some(values) => add_scaled_rows(mask, &values[row * pre..], &weight[start..], post, output),
        }
    };
    if parallel {
        let rows = output.par_chunks_mut(post).enumerate();
        rows.for_each(|(row, output)| {
            let pieces = output.par_chunks_mut(width).enumerate();
            pieces.for_each(|(index, output)| piece(row, index * width, output));
        });
    } else {
        output.chunks_mut(post).enumerate().for_each(|(row, output)| piece(row, 0, output));
    }
}

/// The numbers of the bits that are set, ascending.
fn set_bits(mask: &[u64]) -> impl Iterator<Item = usize> {
    mask.iter().enumerate().flat_map(|(word, &bits)| {
        std::iter::successors((bits != 0).then_some(bits), |bits| {
            let rest = bits & (bits - 1);
            (rest != 0).then_some(rest)
        })
        .map(move |bits| word * BITS + bits.trailing_zeros() as usize)
    })
}

/// Adds the rows of `weight`, `stride` numbers apart, that the mask names.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_rows(mask: &[u64], weight: &[f32], stride: usize, output: &mut [f32]) {
    let width = output.len();
    let row = |unit: usize| &weight[unit * stride..unit * stride + width];
    let mut units = set_bits(mask);
    while let Some(first) = units.next() {
        // Four rows for one pass over the output; added one after another, as everywhere.
        match [units.next(), units.next(), units.next()] {
            [Some(second), Some(third), Some(fourth)] => {
                let rows = row(first).iter().zip(row(second)).zip(row(third)).zip(row(fourth));
                for (sum, (((a, b), c), d)) in output.iter_mut().zip(rows) {
                    *sum = (((*sum + a) + b) + c) + d;
                }
            }
            rest => {
                for unit in std::iter::once(first).chain(rest.into_iter().flatten()) {
                    for (sum, value) in output.iter_mut().zip(row(unit)) {
                        *sum += value;
                    }
                }
            }
        }
    }
}

/// Adds the rows of `weight`, `stride` numbers apart, that the mask names, each times its value.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn add_scaled_rows(mask: &[u64], values: &[f32], weight: &[f32], stride: usize, output: &mut [f32]) {
    for unit in set_bits(mask) {
        let (factor, row) = (values[unit], &weight[unit * stride..unit * stride + output.len()]);
        for (sum, value) in output.iter_mut().zip(row) {
            *sum += factor * value;
        }
    }
}

/// Each row of `output` becomes the bias and the sum of the rows of `weight` that its mask names, each
/// times its value where there are `values`.
fn gather(
    masks: &[u64],
    values: Option<&[f32]>,
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
    [pre, post]: [usize; 2],
) {
    fn strip<const W: usize>(
        masks: &[u64],
        values: Option<&[f32]>,
        weight: &[f32],
        bias: Option<&[f32]>,
        output: &mut [f32],
        [pre, post, start]: [usize; 3],
    ) where
        Tile<W>: Accumulate<W>,
    {
        let width = W.min(post - start);
        let words = pre.div_ceil(BITS);
        let mut first = [0.0; W];
        if let Some(bias) = bias {
            first[..width].copy_from_slice(&bias[start..start + width]);
        }
        // Side by side: rows of the output a power of two apart would share few places of the cache.
        let mut sums = vec![first; masks.len() / words];
        let mut tile = Tile::<W>::new();
        for word in 0..words {
            tile.load(&weight[word * BITS * post..], post, start);
            match values {
                None => tile.add(&mut sums, &masks[word..], words),
                Some(values) => {
                    let factors = Factors { values: &values[word * BITS..], per_mask: pre, per_bit: 1 };
                    tile.add_scaled(&mut sums, &masks[word..], words, factors);
                }
            }
        }
        for (output, sum) in output.chunks_exact_mut(post).zip(&sums) {
            output[start..start + width].copy_from_slice(&sum[..width]);
        }
    }
    for (start, width) in strips(post) {
        match width {
            Strip::Wide => strip::<WIDE>(masks, values, weight, bias, output, [pre, post, start]),
            Strip::Narrow => strip::<NARROW>(masks, values, weight, bias, output, [pre, post, start]),
        }
    }
}

/// `spikesᵀ × gradient`, `[pre, post]` from `[rows, pre]` and `[rows, post]`, and the sum of the rows of
/// `gradient`; `None` when the dense product is the better choice.
pub(crate) fn weight_gradient<B: HostBackend>(
    spikes: &FloatTensor<B>,
    gradient: &FloatTensor<B>,
) -> Option<(FloatTensor<B>, FloatTensor<B>)> {
    let (rows, pre) = (spikes.shape()[0], spikes.shape()[1]);
    let post = gradient.shape()[1];
    if rows * pre * post == 0 {
        return None;
    }
    let (spikes, gradient) = (B::slice(spikes)?, B::slice(gradient)?);
    let Events { masks, binary, .. } = Events::find(&spikes, pre, DENSITY_LIMIT)?;
    let values = (!binary).then_some((&*spikes, pre));
    let mut output = vec![0.0; pre * post];
    let bias = weight_sums(&masks, values, &gradient, post, &mut output);
    Some((B::tensor(output, Shape::from([pre, post])), B::tensor(bias, Shape::from([post]))))
}

/// As [`weight_gradient`], from the bits of the spikes of `pre` units.
pub(crate) fn gradient_of<B: HostBackend>(
    masks: &Masks,
    gradient: &FloatTensor<B>,
    pre: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let post = gradient.shape()[1];
    let gradient = B::slice(gradient).expect("the gradient of a product in f32 is f32");
    let mut output = vec![0.0; pre * post];
    let bias = weight_sums(masks, None, &gradient, post, &mut output);
    (B::tensor(output, Shape::from([pre, post])), B::tensor(bias, Shape::from([post])))
}

/// Row `unit` of `output` becomes the sum of the rows of `gradient` in which `masks` has the unit's bit;
/// returns the sum of all rows.
///
/// `values` is the matrix that the masks were found in, with its width, where not all its entries are 1.
fn weight_sums(
    masks: &Masks,
    values: Option<(&[f32], usize)>,
    gradient: &[f32],
    post: usize,
    output: &mut [f32],
) -> Vec<f32> {
    let masks = masks.transposed();
    let mut pieces = Vec::new();
    let units = units_at_a_time(post);
    for (chunk, output) in output.chunks_mut(units * post).enumerate() {
        let strips = strips_mut(output, post);
        pieces.extend(strips.into_iter().map(|strip| (chunk * units, strip)));
    }
    let bias: Vec<Vec<f32>> = pieces
        .into_par_iter()
        .map(|(first, (start, strip, mut output))| {
            scatter(&masks, values, gradient, &mut output, [first, start, post], strip)
        })
        .collect();
    bias.concat()
}

/// The [`strips`] of a matrix: first column, kind, and the piece of every row.
fn strips_mut(matrix: &mut [f32], width: usize) -> Vec<(usize, Strip, Vec<&mut [f32]>)> {
    let mut all: Vec<_> =
        strips(width).into_iter().map(|(start, strip)| (start, strip, Vec::new())).collect();
    for mut row in matrix.chunks_exact_mut(width) {
        for (_, strip, pieces) in &mut all {
            let (piece, rest) = row.split_at_mut(strip.width().min(row.len()));
            pieces.push(piece);
            row = rest;
        }
    }
    all
}

/// A strip of [`weight_sums`] for the units from `first` on, as many as `output` has rows; the first
/// units' task returns the sum of all rows in the strip, any other nothing.
fn scatter(
    masks: &Transposed,
    values: Option<(&[f32], usize)>,
    gradient: &[f32],
    output: &mut [&mut [f32]],
    [first, start, post]: [usize; 3],
    strip: Strip,
) -> Vec<f32> {
    fn sum<const W: usize>(
        masks: &Transposed,
        values: Option<(&[f32], usize)>,
        gradient: &[f32],
        output: &mut [&mut [f32]],
        [first, start, post]: [usize; 3],
    ) -> Vec<f32>
    where
        Tile<W>: Accumulate<W>,
    {
        let mut sums = vec![[0.0; W]; output.len()];
        let mut all = [0.0; W];
        let mut tile = Tile::<W>::new();
        let blocks = masks.bits.chunks_exact(masks.width).zip(gradient.chunks(BITS * post));
        for (block, (masks, gradient)) in blocks.enumerate() {
            tile.load(gradient, post, start);
            if first == 0 {
                tile.add_all(&mut all);
            }
            let masks = &masks[first..first + sums.len()];
            match values {
                None => tile.add(&mut sums, masks, 1),
                Some((values, pre)) => {
                    let values = &values[block * BITS * pre + first..];
                    tile.add_scaled(&mut sums, masks, 1, Factors { values, per_mask: 1, per_bit: pre });
                }
            }
        }
        for (output, sum) in output.iter_mut().zip(&sums) {
            output.copy_from_slice(&sum[..output.len()]);
        }
        if first == 0 { all[..W.min(post - start)].to_vec() } else { Vec::new() }
    }
    let at = [first, start, post];
    match strip {
        Strip::Wide => sum::<WIDE>(masks, values, gradient, output, at),
        Strip::Narrow => sum::<NARROW>(masks, values, gradient, output, at),
    }
}
