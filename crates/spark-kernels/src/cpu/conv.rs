//! Convolutions of spike images that touch only the weights of active pixels.
//!
//! Each position of the output sees a window of the image as a row of bits, and the current there is the sum
//! of the weights that the bits name: the same sums as in [`super::events`]. A row of the window, `width`
//! neighbouring pixels of one channel, is a *group* of bits; groups never straddle words, so that shifting a
//! row of pixels gives them for all positions of an output row at once.

use burn::backend::{TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;
use multiversion::{multiversion, target::target_cfg_f};
use rayon::prelude::*;

use super::HostBackend;
use super::masks::{Accumulate, BITS, Events, NARROW, Strip, Tile, WIDE, strips, transpose};
use crate::SpikeConv2d;
use crate::conv::Geometry;

/// Above this fraction of active pixels Burn's convolution is faster.
const DENSITY_LIMIT: f32 = 0.6;

/// Output positions that one thread takes at a time, in whole images.
const POSITIONS: usize = 256;

/// Parts of a batch whose weight gradients are summed up apart, and then together in order.
const PARTS: usize = 8;

/// Where the bits of a window lie.
struct Layout {
    geometry: Geometry,
    /// Groups per word.
    per_word: usize,
    /// Words per window.
    words: usize,
}

impl Layout {
    /// `None` when a padded row of pixels or of the kernel does not fit a word.
    fn new<B: HostBackend>(image: &[usize], weight: &FloatTensor<B>, options: SpikeConv2d) -> Option<Self> {
        let shape = weight.shape();
        let geometry = Geometry::new(image.try_into().ok()?, shape.to_vec().try_into().ok()?, options)?;
        let [_, width] = geometry.kernel;
        if geometry.input[1] + 2 * options.padding[1] > BITS || width > BITS {
            return None;
        }
        let per_word = BITS / width;
        let words = (geometry.channels * geometry.kernel[0]).div_ceil(per_word);
        Some(Self { geometry, per_word, words })
    }

    /// Every group: its index, word, first bit in it, channel and row of the kernel.
    fn groups(&self) -> impl Iterator<Item = Group> + '_ {
        let [height, width] = self.geometry.kernel;
        (0..self.geometry.channels * height).map(move |index| Group {
            index,
            word: index / self.per_word,
            bit: index % self.per_word * width,
            channel: index / height,
            row: index % height,
        })
    }

    /// The weights as tiles, `[words]`: row `bit` holds the weights of the pixel that the bit stands for,
    /// a column per filter from `start` on.
    fn tiles<const W: usize>(&self, weight: &[f32], start: usize) -> Vec<Tile<W>> {
        let [_, width] = self.geometry.kernel;
        let taps = weight.len() / self.geometry.filters;
        let mut tiles: Vec<_> = (0..self.words).map(|_| Tile::new()).collect();
        let filters = start..self.geometry.filters.min(start + W);
        for group in self.groups() {
            for column in 0..width {
                let row = tiles[group.word].row_mut(group.bit + column);
                for (to, filter) in row.iter_mut().zip(filters.clone()) {
                    *to = weight[filter * taps + group.index * width + column];
                }
            }
        }
        tiles
    }

    /// The row of pixels that a row of the kernel meets at output row `y`.
    fn input_row(&self, row: usize, y: usize) -> Option<usize> {
        let SpikeConv2d { stride, padding } = self.geometry.options;
        (y * stride[0] + row).checked_sub(padding[0]).filter(|&row| row < self.geometry.input[0])
    }
}

/// Windows of the images whose pixel rows are `planes`, `[images, words, positions]`.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn find_windows(layout: &Layout, planes: &[u64], windows: &mut Vec<u64>) {
    let Geometry { channels, input, output: [height, width], kernel, options, .. } = layout.geometry;
    let stride = options.stride[1];
    let seen = u64::MAX >> (BITS - kernel[1]);
    let plane = channels * input[0];
    windows.clear();
    windows.resize(planes.len() / plane * layout.words * height * width, 0);
    let images = windows.chunks_exact_mut(layout.words * height * width);
    for (windows, planes) in images.zip(planes.chunks_exact(plane)) {
        for group in layout.groups() {
            for y in 0..height {
                let Some(row) = layout.input_row(group.row, y) else { continue };
                let pixels = planes[group.channel * input[0] + row];
                if pixels == 0 {
                    continue;
                }
                let at = (group.word * height + y) * width;
                for (x, window) in windows[at..at + width].iter_mut().enumerate() {
                    *window |= (pixels >> (x * stride) & seen) << group.bit;
                }
            }
        }
    }
}

/// A row of the kernel in one channel.
struct Group {
    index: usize,
    word: usize,
    bit: usize,
    channel: usize,
    row: usize,
}

/// The rows of pixels as words, the padding before them included; `None` when they are no spikes, or too
/// many.
fn planes(spikes: &[f32], geometry: &Geometry) -> Option<Vec<u64>> {
    let [height, width] = geometry.input;
    let rows = geometry.channels * height;
    let Events { masks, binary, .. } = Events::find(spikes, rows * width, DENSITY_LIMIT)?;
    let seen = u64::MAX >> (BITS - width);
    // The rows of an image lie end to end in its words.
    let row_of = |words: &[u64], row: usize| {
        let (word, bit) = (row * width / BITS, row * width % BITS);
        let next = words.get(word + 1).copied().unwrap_or(0);
        let pixels = u128::from(words[word]) | u128::from(next) << BITS;
        ((pixels >> bit) as u64 & seen) << geometry.options.padding[1]
    };
    let mut planes = vec![0; geometry.images * rows];
    planes.par_chunks_mut(rows).zip(masks.bits.par_chunks(masks.words)).for_each(|(planes, words)| {
        for (row, plane) in planes.iter_mut().enumerate() {
            *plane = row_of(words, row);
        }
    });
    binary.then_some(planes)
}

/// The current into each position; `None` when Burn's convolution is the better choice.
pub(crate) fn forward<B: HostBackend>(
    spikes: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    bias: Option<&FloatTensor<B>>,
    options: SpikeConv2d,
) -> Option<FloatTensor<B>> {
    let layout = Layout::new::<B>(&spikes.shape().to_vec(), weight, options)?;
    let geometry = layout.geometry;
    let bias = match bias {
        Some(bias) => B::slice(bias)?.to_vec(),
        None => vec![0.0; geometry.filters],
    };
    let planes = planes(&B::slice(spikes)?, &geometry)?;
    let weight = B::slice(weight)?;
    let strips: Vec<_> = strips(geometry.filters)
        .into_iter()
        .map(|(start, strip)| match strip {
            Strip::Wide => Weights::Wide(start, layout.tiles(&weight, start)),
            Strip::Narrow => Weights::Narrow(start, layout.tiles(&weight, start)),
        })
        .collect();

    let positions = geometry.positions();
    let images = POSITIONS.div_ceil(positions);
    let mut output = vec![0.0; geometry.images * geometry.filters * positions];
    output
        .par_chunks_mut(images * geometry.filters * positions)
        .zip(planes.par_chunks(images * geometry.channels * geometry.input[0]))
        .for_each_init(Vec::new, |windows, (output, planes)| {
            forward_images(&layout, planes, &strips, &bias, output, windows);
        });
    let [height, width] = geometry.output;
    Some(B::tensor(output, Shape::from([geometry.images, geometry.filters, height, width])))
}

/// The weights of a strip of filters, and the first of them.
enum Weights {
    Wide(usize, Vec<Tile<WIDE>>),
    Narrow(usize, Vec<Tile<NARROW>>),
}

fn forward_images(
    layout: &Layout,
    planes: &[u64],
    strips: &[Weights],
    bias: &[f32],
    output: &mut [f32],
    windows: &mut Vec<u64>,
) {
    fn strip<const W: usize>(
        layout: &Layout,
        tiles: &[Tile<W>],
        bias: &[f32],
        output: &mut [f32],
        windows: &[u64],
        start: usize,
    ) where
        Tile<W>: Accumulate<W>,
    {
        let positions = layout.geometry.positions();
        let mut first = [0.0; W];
        let count = W.min(bias.len() - start);
        first[..count].copy_from_slice(&bias[start..start + count]);
        let mut sums = vec![first; windows.len() / layout.words];
        for (word, tile) in tiles.iter().enumerate() {
            let images = windows.chunks_exact(positions).skip(word).step_by(layout.words);
            for (sums, windows) in sums.chunks_exact_mut(positions).zip(images) {
                tile.add(sums, windows, 1);
            }
        }
        let images = output.chunks_exact_mut(layout.geometry.filters * positions);
        for (output, sums) in images.zip(sums.chunks_exact(positions)) {
            // A few positions at a time, so that their sums are read from memory once for all filters.
            for (block, sums) in sums.chunks(16).enumerate() {
                for filter in 0..count {
                    let at = (start + filter) * positions + 16 * block;
                    for (output, sum) in output[at..].iter_mut().zip(sums) {
                        *output = sum[filter];
                    }
                }
            }
        }
    }
    find_windows(layout, planes, windows);
    for weights in strips {
        match weights {
            Weights::Wide(start, tiles) => strip(layout, tiles, bias, output, windows, *start),
            Weights::Narrow(start, tiles) => strip(layout, tiles, bias, output, windows, *start),
        }
    }
}

/// The gradients of weight and bias; `None` when Burn's convolution is the better choice.
pub(crate) fn weight_gradient<B: HostBackend>(
    spikes: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    gradient: &FloatTensor<B>,
    options: SpikeConv2d,
) -> Option<(FloatTensor<B>, FloatTensor<B>)> {
    let layout = Layout::new::<B>(&spikes.shape().to_vec(), weight, options)?;
    let geometry = layout.geometry;
    let planes = planes(&B::slice(spikes)?, &geometry)?;
    let gradient = B::slice(gradient)?;

    let images = geometry.images.div_ceil(PARTS);
    let plane = geometry.channels * geometry.input[0];
    let count = weight.shape().num_elements();
    let parts: Vec<Vec<f32>> = planes
        .par_chunks(images * plane)
        .zip(gradient.par_chunks(images * geometry.filters * geometry.positions()))
        .map(|(planes, gradient)| {
            let mut sums = vec![0.0; count + geometry.filters];
            weight_sums(&layout, planes, gradient, &mut sums);
            sums
        })
        .collect();
    let mut sums = vec![0.0; count + geometry.filters];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum += part;
        }
    }
    let bias = sums.split_off(count);
    Some((B::tensor(sums, weight.shape()), B::tensor(bias, Shape::from([geometry.filters]))))
}

/// Adds up the weight gradient of some images, followed by that of the bias.
fn weight_sums(layout: &Layout, planes: &[u64], gradient: &[f32], output: &mut [f32]) {
    fn strip<const W: usize>(
        layout: &Layout,
        planes: &[u64],
        gradient: &[f32],
        output: &mut [f32],
        start: usize,
    ) where
        Tile<W>: Accumulate<W>,
    {
        let Geometry { filters, kernel: [_, width], .. } = layout.geometry;
        let positions = layout.geometry.positions();
        let plane = layout.geometry.channels * layout.geometry.input[0];
        let count = W.min(filters - start);
        let mut sums = vec![[0.0; W]; layout.words * BITS];
        let mut bias = [0.0; W];
        let mut tile = Tile::<W>::new();
        let mut windows = Vec::new();
        for (planes, gradient) in planes.chunks_exact(plane).zip(gradient.chunks_exact(filters * positions)) {
            find_windows(layout, planes, &mut windows);
            let gradient = &gradient[start * positions..(start + count) * positions];
            for first in (0..positions).step_by(BITS) {
                let here = BITS.min(positions - first);
                tile.load_transposed(gradient, positions, first, here);
                tile.add_all(&mut bias);
                for (sums, windows) in sums.chunks_exact_mut(BITS).zip(windows.chunks_exact(positions)) {
                    let mut square = [0; BITS];
                    square[..here].copy_from_slice(&windows[first..first + here]);
                    transpose(&mut square);
                    tile.add(sums, &square, 1);
                }
            }
        }
        let (weights, biases) = output.split_at_mut(output.len() - filters);
        let taps = weights.len() / filters;
        for group in layout.groups() {
            for column in 0..width {
                let sum = &sums[group.word * BITS + group.bit + column];
                for (filter, sum) in sum[..count].iter().enumerate() {
                    weights[(start + filter) * taps + group.index * width + column] = *sum;
                }
            }
        }
        biases[start..start + count].copy_from_slice(&bias[..count]);
    }
    for (start, width) in strips(layout.geometry.filters) {
        match width {
            Strip::Wide => strip::<WIDE>(layout, planes, gradient, output, start),
            Strip::Narrow => strip::<NARROW>(layout, planes, gradient, output, start),
        }
    }
}

/// The gradient of the spikes; `None` when Burn's convolution is the better choice.
pub(crate) fn input_gradient<B: HostBackend>(
    spikes: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    gradient: &FloatTensor<B>,
    options: SpikeConv2d,
) -> Option<FloatTensor<B>> {
    let shape = spikes.shape();
    let layout = Layout::new::<B>(&shape.to_vec(), weight, options)?;
    let geometry = layout.geometry;
    let (weight, gradient) = (B::slice(weight)?, B::slice(gradient)?);
    let taps = Taps::new(&layout, &weight);
    let mut output = vec![0.0; shape.num_elements()];
    output
        .par_chunks_mut(geometry.channels * geometry.input[0] * geometry.input[1])
        .zip(gradient.par_chunks(geometry.filters * geometry.positions()))
        .for_each(|(output, gradient)| input_image(&layout, &taps, gradient, output));
    Some(B::tensor(output, shape))
}

/// Taps of the kernel whose sums are kept in registers together.
const TAPS: usize = 2;

/// Output positions likewise.
const RUN: usize = 64;

/// The weights in the order in which [`input_image`] reads them: `[taps / TAPS, filters]` of [`TAPS`].
struct Taps(Vec<[f32; TAPS]>);

impl Taps {
    fn new(layout: &Layout, weight: &[f32]) -> Self {
        let filters = layout.geometry.filters;
        let count = weight.len() / filters;
        let mut taps = vec![[0.0; TAPS]; count.div_ceil(TAPS) * filters];
        for (filter, weight) in weight.chunks_exact(count).enumerate() {
            for (index, &weight) in weight.iter().enumerate() {
                taps[index / TAPS * filters + filter][index % TAPS] = weight;
            }
        }
        Self(taps)
    }
}

/// Neighbouring positions of an output row, from `[y, x]` on, as they lie in a block of [`RUN`].
struct Neighbours {
    place: std::ops::Range<usize>,
    y: usize,
    x: usize,
}

/// The positions `start..end` by rows.
fn by_rows(start: usize, end: usize, row_length: usize) -> Vec<Neighbours> {
    let mut found = Vec::new();
    let mut position = start;
    while position < end {
        let (y, x) = (position / row_length, position % row_length);
        let next = end.min(position - x + row_length);
        found.push(Neighbours { place: position - start..next - start, y, x });
        position = next;
    }
    found
}

/// The gradient of one image: what each position asks of each pixel in its window, added up where windows
/// overlap.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn input_image(layout: &Layout, taps: &Taps, gradient: &[f32], output: &mut [f32]) {
    let Geometry { channels, filters, kernel: [height, width], output: [_, row_length], .. } =
        layout.geometry;
    let positions = layout.geometry.positions();
    let mut block = vec![[0.0; RUN]; filters];
    for start in (0..positions).step_by(RUN) {
        let count = RUN.min(positions - start);
        for (block, gradient) in block.iter_mut().zip(gradient.chunks_exact(positions)) {
            block[..count].copy_from_slice(&gradient[start..start + count]);
        }
        let rows = by_rows(start, start + count, row_length);
        for (index, weights) in taps.0.chunks_exact(filters).enumerate() {
            let sums = weigh(weights, &block);
            let here = index * TAPS..channels * height * width;
            for (tap, sums) in here.zip(&sums) {
                let (group, column) = (tap / width, tap % width);
                for row in &rows {
                    layout.add_row([group / height, group % height, column], row, sums, output);
                }
            }
        }
    }
}

/// `Σ_filter weights[filter][tap] · gradient[filter][position]` for a few taps and positions.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn weigh(weights: &[[f32; TAPS]], gradient: &[[f32; RUN]]) -> [[f32; RUN]; TAPS] {
    // Without the instruction a fused product would be a call.
    let fused = target_cfg_f!(any(target_feature = "fma", target_arch = "aarch64"));
    let (mut even, mut odd) = ([0.0f32; RUN], [0.0f32; RUN]);
    for (weight, gradient) in weights.iter().zip(gradient) {
        for i in 0..RUN {
            if fused {
                even[i] = weight[0].mul_add(gradient[i], even[i]);
                odd[i] = weight[1].mul_add(gradient[i], odd[i]);
            } else {
                even[i] += weight[0] * gradient[i];
                odd[i] += weight[1] * gradient[i];
            }
        }
    }
    [even, odd]
}

impl Layout {
    /// Adds what neighbouring positions ask of the pixels that they see through a tap, `[channel, row,
    /// column]`; what lies in the padding is dropped.
    #[inline(always)]
    fn add_row(&self, tap: [usize; 3], row: &Neighbours, sums: &[f32; RUN], output: &mut [f32]) {
        let SpikeConv2d { stride, padding } = self.geometry.options;
        let [channel, tap_row, column] = tap;
        let Some(line) = self.input_row(tap_row, row.y) else { return };
        let [height, width] = self.geometry.input;
        let pixels = &mut output[(channel * height + line) * width..][..width];
        let sums = &sums[row.place.clone()];
        let first = row.x * stride[1] + column;
        if stride[1] == 1 && first >= padding[1] && first - padding[1] + sums.len() <= width {
            for (pixel, sum) in pixels[first - padding[1]..].iter_mut().zip(sums) {
                *pixel += sum;
            }
            return;
        }
        for (i, sum) in sums.iter().enumerate() {
            let pixel = (first + i * stride[1]).checked_sub(padding[1]);
            if let Some(pixel) = pixel.and_then(|pixel| pixels.get_mut(pixel)) {
                *pixel += sum;
            }
        }
    }
}
