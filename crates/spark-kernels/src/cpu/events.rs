//! Products with spike matrices that touch only the rows of active units.
//!
//! Sums run over the presynaptic units (or, for the weight gradient, over the samples) in ascending order,
//! whatever the number of threads.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::multiversion;
use rayon::prelude::*;

use super::{HostBackend, columns_mut};

/// Above this fraction of non-zero entries the dense product is faster.
const DENSITY_LIMIT: f32 = 0.3;

/// Rows of a spike matrix that one thread takes at a time.
const ROWS: usize = 64;

/// Columns whose sums are kept in registers.
const TILE: usize = 64;

/// The non-zero entries of [`ROWS`] rows.
struct Block {
    /// Where the entries of each row end.
    ends: Vec<usize>,
    /// Columns of the entries, row after row.
    columns: Vec<u32>,
    /// Their values; empty when all are 1.
    values: Vec<f32>,
}

impl Block {
    fn new(rows: &[f32], width: usize) -> Self {
        let mut ends = Vec::with_capacity(ROWS);
        let mut columns = vec![0; rows.len()];
        let mut count = 0;
        let mut all_one = true;
        for row in rows.chunks_exact(width) {
            for (column, &value) in row.iter().enumerate() {
                // Written always and kept when it counts: no branch to mispredict.
                columns[count] = column as u32;
                count += usize::from(value != 0.0);
                all_one &= value == 0.0 || value == 1.0;
            }
            ends.push(count);
        }
        columns.truncate(count);
        let values = if all_one { Vec::new() } else { rows.iter().copied().filter(|&x| x != 0.0).collect() };
        Self { ends, columns, values }
    }

    /// Columns and values of each row.
    fn rows(&self) -> impl Iterator<Item = (&[u32], &[f32])> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let range = start..end;
            start = end;
            let values = if self.values.is_empty() { &[][..] } else { &self.values[range.clone()] };
            (&self.columns[range], values)
        })
    }
}

/// The non-zero entries of `rows × width`; `None` when there are too many for this to pay.
fn events(spikes: &[f32], width: usize) -> Option<Vec<Block>> {
    let blocks: Vec<Block> =
        spikes.par_chunks(ROWS * width.max(1)).map(|rows| Block::new(rows, width)).collect();
    let count: usize = blocks.iter().map(|block| block.columns.len()).sum();
    (count as f32 <= DENSITY_LIMIT * spikes.len() as f32).then_some(blocks)
}

/// `spikes [rows, pre] × weight [pre, post]`; `None` when the dense product is the better choice.
pub(crate) fn product<B: HostBackend>(
    spikes: &FloatTensor<B>,
    weight: &FloatTensor<B>,
) -> Option<FloatTensor<B>> {
    let (rows, pre) = (spikes.shape()[0], spikes.shape()[1]);
    let post = weight.shape()[1];
    if pre * post == 0 {
        return None;
    }
    let blocks = events(&B::slice(spikes)?, pre)?;
    let weight = B::slice(weight)?;
    let mut output = vec![0.0; rows * post];
    output
        .par_chunks_mut(ROWS * post.max(1))
        .zip(&blocks)
        .for_each(|(output, block)| gather(block, &weight, output, post));
    Some(B::tensor(output, Shape::from([rows, post])))
}

/// `spikesᵀ × gradient`, `[pre, post]` from `[rows, pre]` and `[rows, post]`; `None` when the dense product
/// is the better choice.
pub(crate) fn weight_gradient<B: HostBackend>(
    spikes: &FloatTensor<B>,
    gradient: &FloatTensor<B>,
) -> Option<FloatTensor<B>> {
    let (pre, post) = (spikes.shape()[1], gradient.shape()[1]);
    if pre * post == 0 {
        return None;
    }
    let blocks = events(&B::slice(spikes)?, pre)?;
    let gradient = B::slice(gradient)?;
    let mut output = vec![0.0; pre * post];
    columns_mut(&mut output, post, TILE)
        .into_par_iter()
        .enumerate()
        .for_each(|(tile, mut output)| scatter(&blocks, &gradient, post, tile * TILE, &mut output));
    Some(B::tensor(output, Shape::from([pre, post])))
}

/// Each row of `output` becomes the sum of the rows of `weight` that its events name.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn gather(block: &Block, weight: &[f32], output: &mut [f32], post: usize) {
    let whole = post - post % TILE;
    // Tile by tile, so that a column strip of the weights stays in the cache for all rows.
    for start in (0..whole).step_by(TILE) {
        for ((columns, values), output) in block.rows().zip(output.chunks_exact_mut(post)) {
            let mut sums = [0.0; TILE];
            if values.is_empty() {
                for &column in columns {
                    let from = column as usize * post + start;
                    for (sum, weight) in sums.iter_mut().zip(&weight[from..from + TILE]) {
                        *sum += weight;
                    }
                }
            } else {
                for (&column, &value) in columns.iter().zip(values) {
                    let from = column as usize * post + start;
                    for (sum, weight) in sums.iter_mut().zip(&weight[from..from + TILE]) {
                        *sum += value * weight;
                    }
                }
            }
            output[start..start + TILE].copy_from_slice(&sums);
        }
    }
    for ((columns, values), output) in block.rows().zip(output.chunks_exact_mut(post)) {
        let output = &mut output[whole..];
        for (i, &column) in columns.iter().enumerate() {
            let value = values.get(i).copied().unwrap_or(1.0);
            let from = column as usize * post + whole;
            for (sum, weight) in output.iter_mut().zip(&weight[from..from + post - whole]) {
                *sum += value * weight;
            }
        }
    }
}

/// Adds each row of `gradient`, from column `start`, to the rows of `output` that its events name.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn scatter(blocks: &[Block], gradient: &[f32], post: usize, start: usize, output: &mut [&mut [f32]]) {
    let width = output.first().map_or(0, |row| row.len());
    let rows = blocks.iter().flat_map(Block::rows);
    for ((columns, values), gradient) in rows.zip(gradient.chunks_exact(post)) {
        let gradient = &gradient[start..start + width];
        let Ok(tile) = <&[f32; TILE]>::try_from(gradient) else {
            for (i, &column) in columns.iter().enumerate() {
                let value = values.get(i).copied().unwrap_or(1.0);
                for (sum, gradient) in output[column as usize].iter_mut().zip(gradient) {
                    *sum += value * gradient;
                }
            }
            continue;
        };
        if values.is_empty() {
            for &column in columns {
                for (sum, gradient) in output[column as usize].iter_mut().zip(tile) {
                    *sum += gradient;
                }
            }
        } else {
            for (&column, &value) in columns.iter().zip(values) {
                for (sum, gradient) in output[column as usize].iter_mut().zip(tile) {
                    *sum += value * gradient;
                }
            }
        }
    }
}
