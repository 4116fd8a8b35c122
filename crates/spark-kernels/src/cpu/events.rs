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
pub(crate) struct Block {
    /// Where the entries of each row end.
    ends: Vec<usize>,
    /// Columns of the entries, row after row.
    columns: Vec<u32>,
    /// Their values; empty when all are 1.
    values: Vec<f32>,
}

impl Block {
    pub fn new(rows: &[f32], width: usize) -> Self {
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

    /// The number of entries.
    pub fn count(&self) -> usize {
        self.columns.len()
    }

    /// Columns and values of a row; no values where all are 1.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        let range = start..self.ends[row];
        (&self.columns[range.clone()], self.values.get(range).unwrap_or_default())
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
    let strips = Strips::new(&weight, pre, post);
    let mut output = vec![0.0; rows * post];
    output
        .par_chunks_mut(ROWS * post)
        .zip(&blocks)
        .for_each(|(output, block)| gather(block, &strips.0, &weight, output, [pre, post]));
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
    columns_mut(&mut output, post, TILE).into_par_iter().enumerate().for_each(|(tile, mut output)| {
        // Rows a power of two apart would share the same few places of the cache: sum up side by side.
        let width = output.first().map_or(0, |row| row.len());
        let mut sums = vec![0.0; pre * width];
        scatter(&blocks, &gradient, post, tile * TILE, &mut sums, width);
        for (output, sums) in output.iter_mut().zip(sums.chunks_exact(width)) {
            output.copy_from_slice(sums);
        }
    });
    Some(B::tensor(output, Shape::from([pre, post])))
}

/// The whole column strips of a weight matrix, [`TILE`] wide, one after another: within a strip the rows of
/// consecutive units lie side by side.
///
/// Where they lie, rows that are a power of two apart would compete for the same few places of the cache.
struct Strips(Vec<f32>);

impl Strips {
    fn new(weight: &[f32], pre: usize, post: usize) -> Self {
        let mut strips = vec![0.0; post / TILE * pre * TILE];
        strips.par_chunks_mut(pre * TILE).enumerate().for_each(|(tile, strip)| {
            for (to, from) in strip.chunks_exact_mut(TILE).zip(weight.chunks_exact(post)) {
                to.copy_from_slice(&from[tile * TILE..(tile + 1) * TILE]);
            }
        });
        Self(strips)
    }
}

/// Each row of `output` becomes the sum of the rows of `weight` that its events name.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn gather(block: &Block, strips: &[f32], weight: &[f32], output: &mut [f32], [pre, post]: [usize; 2]) {
    let whole = post - post % TILE;
    // Tile by tile, so that a column strip of the weights stays in the cache for all rows.
    for (start, strip) in (0..whole).step_by(TILE).zip(strips.chunks_exact(pre * TILE)) {
        for ((columns, values), output) in block.rows().zip(output.chunks_exact_mut(post)) {
            let mut sums = [0.0; TILE];
            if values.is_empty() {
                for &column in columns {
                    let from = column as usize * TILE;
                    for (sum, weight) in sums.iter_mut().zip(&strip[from..from + TILE]) {
                        *sum += weight;
                    }
                }
            } else {
                for (&column, &value) in columns.iter().zip(values) {
                    let from = column as usize * TILE;
                    for (sum, weight) in sums.iter_mut().zip(&strip[from..from + TILE]) {
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

/// Adds each row of `gradient`, `width` columns from `start`, to the rows of `sums` that its events name.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn scatter(blocks: &[Block], gradient: &[f32], post: usize, start: usize, sums: &mut [f32], width: usize) {
    let rows = blocks.iter().flat_map(Block::rows);
    for ((columns, values), gradient) in rows.zip(gradient.chunks_exact(post)) {
        let gradient = &gradient[start..start + width];
        match <&[f32; TILE]>::try_from(gradient) {
            Ok(tile) if values.is_empty() => {
                for &column in columns {
                    let at = column as usize * TILE;
                    for (sum, gradient) in sums[at..at + TILE].iter_mut().zip(tile) {
                        *sum += gradient;
                    }
                }
            }
            _ => {
                for (i, &column) in columns.iter().enumerate() {
                    let value = values.get(i).copied().unwrap_or(1.0);
                    let at = column as usize * width;
                    for (sum, gradient) in sums[at..at + width].iter_mut().zip(gradient) {
                        *sum += value * gradient;
                    }
                }
            }
        }
    }
}
