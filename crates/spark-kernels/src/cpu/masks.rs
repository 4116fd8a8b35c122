//! Which entries of a spike matrix are not zero, as bits, and sums of the rows that such bits name.
//!
//! Both directions of an event-driven product are one operation: row `p` of the result is the sum of those
//! rows of a dense matrix whose bits are set in row `p` of a bit matrix. The dense rows are taken 64 at a
//! time, one word of bits, as a tile that stays in the first-level cache. Sums run in ascending order of the
//! bits, whatever the number of threads.

use multiversion::multiversion;
use rayon::prelude::*;

/// Bits of a word, and rows of a tile.
pub(crate) const BITS: usize = u64::BITS as usize;

/// Rows of a spike matrix that one thread packs at a time.
const ROWS: usize = 64;

/// A bit matrix, `[rows, width]`, row after row in whole words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Masks {
    pub rows: usize,
    pub words: usize,
    pub bits: Vec<u64>,
}

/// The non-zero entries of a matrix.
pub(crate) struct Events {
    pub masks: Masks,
    /// How many there are.
    pub count: usize,
    /// Whether every entry is 0 or 1, so that the bits say everything.
    pub binary: bool,
}

impl Events {
    /// Packs `matrix`, `[rows, width]`; `None` when more than the fraction `limit` of it is not zero.
    pub fn find(matrix: &[f32], width: usize, limit: f32) -> Option<Self> {
        let words = width.div_ceil(BITS);
        let rows = matrix.len() / width;
        let mut bits = vec![0; rows * words];
        let (count, binary) = bits
            .par_chunks_mut(ROWS * words)
            .zip(matrix.par_chunks(ROWS * width))
            .map(|(bits, matrix)| pack(matrix, width, bits))
            .reduce(|| (0, true), |a, b| (a.0 + b.0, a.1 && b.1));
        let masks = Masks { rows, words, bits };
        (count as f32 <= limit * matrix.len() as f32).then_some(Self { masks, count, binary })
    }
}

/// Packs rows of `width` numbers into rows of words; how many are not zero, and whether all are 0 or 1.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
pub(super) fn pack(matrix: &[f32], width: usize, bits: &mut [u64]) -> (usize, bool) {
    let (mut count, mut binary) = (0, true);
    for (row, bits) in matrix.chunks_exact(width).zip(bits.chunks_exact_mut(width.div_ceil(BITS))) {
        let (whole, rest) = row.as_chunks::<BITS>();
        for (numbers, word) in whole.iter().zip(&mut *bits) {
            let (packed, plain) = pack_word(numbers);
            *word = packed;
            count += packed.count_ones() as usize;
            binary &= plain;
        }
        if !rest.is_empty() {
            let mut numbers = [0.0; BITS];
            numbers[..rest.len()].copy_from_slice(rest);
            let (packed, plain) = pack_word(&numbers);
            bits[whole.len()] = packed;
            count += packed.count_ones() as usize;
            binary &= plain;
        }
    }
    (count, binary)
}

/// One word, and whether all its numbers are 0 or 1.
#[inline(always)]
fn pack_word(numbers: &[f32; BITS]) -> (u64, bool) {
    let (mut set, mut other) = ([0u8; BITS], [0u8; BITS]);
    for i in 0..BITS {
        set[i] = u8::from(numbers[i] != 0.0);
        other[i] = u8::from((numbers[i] != 0.0) & (numbers[i] != 1.0));
    }
    (gather_bits(&set), other.iter().fold(0, |a, b| a | b) == 0)
}

/// The lowest bits of 64 bytes.
#[inline(always)]
fn gather_bits(bytes: &[u8; BITS]) -> u64 {
    let mut word = 0;
    for (i, bytes) in bytes.as_chunks::<8>().0.iter().enumerate() {
        // Moves the lowest bit of each of eight bytes into the highest byte, the first byte lowest.
        let gathered = u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= gathered << (8 * i);
    }
    word
}

impl Masks {
    /// The entries of a matrix that are `wanted` beside the entry of `row` in the same column.
    pub fn of_rows(matrix: &[f32], row: &[f32], wanted: impl Fn(f32, f32) -> bool + Sync) -> Self {
        let width = row.len();
        let words = width.div_ceil(BITS);
        let rows = matrix.len() / width;
        let mut bits = vec![0; rows * words];
        bits.par_chunks_mut(words).zip(matrix.par_chunks(width)).with_min_len(ROWS).for_each(
            |(bits, numbers)| {
                let pieces = numbers.chunks(BITS).zip(row.chunks(BITS));
                for (word, (numbers, row)) in bits.iter_mut().zip(pieces) {
                    let mut set = [0u8; BITS];
                    for (set, (&number, &beside)) in set.iter_mut().zip(numbers.iter().zip(row)) {
                        *set = u8::from(wanted(number, beside));
                    }
                    *word = gather_bits(&set);
                }
            },
        );
        Self { rows, words, bits }
    }

    /// How many bits are set.
    pub fn count(&self) -> usize {
        self.bits.par_iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The transposed bit matrix, `[width padded to whole words, rows]`, in blocks of 64 rows: word
    /// `block · width + column` holds the rows `64·block …` of a column.
    pub fn transposed(&self) -> Transposed {
        let width = self.words * BITS;
        let mut bits = vec![0; self.rows.div_ceil(BITS) * width];
        bits.par_chunks_mut(width).zip(self.bits.par_chunks(BITS * self.words)).for_each(|(to, from)| {
            for (word, to) in to.chunks_exact_mut(BITS).enumerate() {
                let mut square = [0; BITS];
                for (row, from) in square.iter_mut().zip(from.chunks_exact(self.words)) {
                    *row = from[word];
                }
                transpose(&mut square);
                to.copy_from_slice(&square);
            }
        });
        Transposed { width, bits }
    }
}

/// See [`Masks::transposed`].
pub(crate) struct Transposed {
    pub width: usize,
    pub bits: Vec<u64>,
}

/// Transposes a square of bits by exchanging ever smaller quarters (Warren, *Hacker's Delight*, 7-3).
pub(crate) fn transpose(square: &mut [u64; BITS]) {
    let (mut half, mut mask) = (BITS / 2, u64::MAX >> (BITS / 2));
    while half > 0 {
        for pair in square.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                let exchanged = ((*a >> half) ^ *b) & mask;
                *b ^= exchanged;
                *a ^= exchanged << half;
            }
        }
        half /= 2;
        mask ^= mask << half;
    }
}

/// 64 rows of a dense matrix, `W` columns each, and a row of zeros.
#[repr(align(64))]
pub(crate) struct Tile<const W: usize>([[f32; W]; BITS + 1]);

impl<const W: usize> Tile<W> {
    pub fn new() -> Self {
        Self([[0.0; W]; BITS + 1])
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [f32; W] {
        &mut self.0[row]
    }

    /// Takes rows of `matrix`, `stride` numbers each, from column `start` on; what the matrix does not have
    /// is zero.
    pub fn load(&mut self, matrix: &[f32], stride: usize, start: usize) {
        let width = W.min(stride - start);
        let rows = matrix.chunks_exact(stride);
        let count = rows.len().min(BITS);
        for (row, from) in self.0.iter_mut().zip(rows.take(BITS)) {
            let from = &from[start..start + width];
            // A known length makes a few moves of the copy instead of a call.
            if let Ok(whole) = from.try_into() {
                *row = whole;
            } else {
                row[..width].copy_from_slice(from);
                row[width..].fill(0.0);
            }
        }
        self.0[count..].fill([0.0; W]);
    }

    /// Takes columns of `matrix` as rows: `count` of them from column `start` on, where `matrix` has at
    /// most `W` rows of `stride` numbers.
    pub fn load_transposed(&mut self, matrix: &[f32], stride: usize, start: usize, count: usize) {
        let columns = matrix.len() / stride;
        for (index, row) in self.0[..count].iter_mut().enumerate() {
            let from = matrix[start + index..].iter().step_by(stride);
            for (value, from) in row.iter_mut().zip(from) {
                *value = *from;
            }
            row[columns..].fill(0.0);
        }
        self.0[count..].fill([0.0; W]);
    }

    /// The sum of all rows, added to `sum`.
    pub fn add_all(&self, sum: &mut [f32; W]) {
        for row in &self.0 {
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
}

/// Where the factors of [`Accumulate::add_scaled`] lie: that of bit `bit` of mask `index` is
/// `values[index · per_mask + bit · per_bit]`.
#[derive(Clone, Copy)]
pub(crate) struct Factors<'a> {
    pub values: &'a [f32],
    pub per_mask: usize,
    pub per_bit: usize,
}

/// Sums of the rows of a tile that masks name; `step` words lie from one mask to the next.
///
/// Each is a small function of its own: within a larger one the compiler loses sight of the registers.
pub(crate) trait Accumulate<const W: usize> {
    /// Adds to each of `sums` the rows that its mask names.
    fn add(&self, sums: &mut [[f32; W]], masks: &[u64], step: usize);

    /// Adds to each of `sums` the rows that its mask names, each times its factor.
    fn add_scaled(&self, sums: &mut [[f32; W]], masks: &[u64], step: usize, factors: Factors<'_>);
}

macro_rules! accumulate {
    ($width:expr, $add:ident, $add_scaled:ident) => {
        impl Accumulate<$width> for Tile<$width> {
            fn add(&self, sums: &mut [[f32; $width]], masks: &[u64], step: usize) {
                $add(self, sums, masks, step);
            }

            fn add_scaled(
                &self,
                sums: &mut [[f32; $width]],
                masks: &[u64],
                step: usize,
                factors: Factors<'_>,
            ) {
                $add_scaled(self, sums, masks, step, factors);
            }
        }

        #[multiversion(targets(
            "x86_64+avx512f+avx512vl+avx512dq+avx512bw",
            "x86_64+avx2+fma",
            "aarch64+neon"
        ))]
        fn $add(tile: &Tile<$width>, sums: &mut [[f32; $width]], masks: &[u64], step: usize) {
            for (sum, &mask) in sums.iter_mut().zip(masks.iter().step_by(step)) {
                let mut mask = mask;
                while mask != 0 {
                    // Four at a time, so that the loop ends at fewer different places and the processor
                    // guesses them; past the last bit, 64 names the row of zeros.
                    for _ in 0..4 {
                        let row = &tile.0[mask.trailing_zeros() as usize];
                        mask &= mask.wrapping_sub(1);
                        for (sum, value) in sum.iter_mut().zip(row) {
                            *sum += value;
                        }
                    }
                }
            }
        }

        #[multiversion(targets(
            "x86_64+avx512f+avx512vl+avx512dq+avx512bw",
            "x86_64+avx2+fma",
            "aarch64+neon"
        ))]
        fn $add_scaled<'a>(
            tile: &Tile<$width>,
            sums: &mut [[f32; $width]],
            masks: &[u64],
            step: usize,
            factors: Factors<'a>,
        ) {
            for (index, (sum, &mask)) in sums.iter_mut().zip(masks.iter().step_by(step)).enumerate() {
                let mut mask = mask;
                while mask != 0 {
                    let bit = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let factor = factors.values[index * factors.per_mask + bit * factors.per_bit];
                    for (sum, value) in sum.iter_mut().zip(&tile.0[bit]) {
                        *sum += factor * value;
                    }
                }
            }
        }
    };
}

accumulate!(WIDE, add_wide, add_scaled_wide);
accumulate!(NARROW, add_narrow, add_scaled_narrow);

/// Column strips of a matrix `width` columns wide, as pairs of first column and width of the tile: wide
/// strips, and narrow ones for a rest that would leave most of a wide one empty.
pub(crate) fn strips(width: usize) -> Vec<(usize, Strip)> {
    let mut strips = Vec::new();
    let mut start = 0;
    while start < width {
        let strip = if width - start > WIDE / 2 { Strip::Wide } else { Strip::Narrow };
        strips.push((start, strip));
        start += strip.width();
    }
    strips
}

/// Columns of a wide strip; four registers of sixteen numbers.
pub(crate) const WIDE: usize = 64;

/// Columns of a narrow strip.
pub(crate) const NARROW: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strip {
    Wide,
    Narrow,
}

impl Strip {
    pub fn width(self) -> usize {
        match self {
            Self::Wide => WIDE,
            Self::Narrow => NARROW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(rows: usize, width: usize) -> Vec<f32> {
        let stream = crate::philox::Stream::new(3, 1, 4);
        (0..(rows * width) as u32)
            .map(|i| f32::from(u8::from(stream.words(i)[0].is_multiple_of(5))))
            .collect()
    }

    #[test]
    fn bits_are_the_entries_that_are_not_zero() {
        for (rows, width) in [(1, 1), (3, 64), (70, 65), (129, 200)] {
            let matrix = pattern(rows, width);
            let events = Events::find(&matrix, width, 1.0).expect("no limit");
            assert!(events.binary);
            for (i, value) in matrix.iter().enumerate() {
                let (row, column) = (i / width, i % width);
                let word = events.masks.bits[row * events.masks.words + column / BITS];
                assert_eq!(word >> (column % BITS) & 1 == 1, *value != 0.0, "{row} {column}");
            }
            let ones: u32 = events.masks.bits.iter().map(|word| word.count_ones()).sum();
            assert_eq!(ones as f32, matrix.iter().sum::<f32>(), "nothing beyond the width");

            let transposed = events.masks.transposed();
            for (i, value) in matrix.iter().enumerate() {
                let (row, column) = (i / width, i % width);
                let word = transposed.bits[row / BITS * transposed.width + column];
                assert_eq!(word >> (row % BITS) & 1 == 1, *value != 0.0, "{row} {column}");
            }
        }
    }

    #[test]
    fn other_values_and_too_many_of_them_are_noticed() {
        let mut matrix = pattern(10, 30);
        matrix[17] = -1.0;
        assert!(!Events::find(&matrix, 30, 1.0).expect("no limit").binary);
        matrix[18] = f32::NAN;
        assert!(!Events::find(&matrix, 30, 1.0).expect("no limit").binary);
        assert!(Events::find(&matrix, 30, 0.05).is_none());
    }

    #[test]
    fn strips_cover_every_column_once() {
        for width in [1, 10, 16, 33, 64, 90, 100, 512] {
            let mut next = 0;
            for (start, strip) in strips(width) {
                assert_eq!(start, next);
                next = start + strip.width();
            }
            assert!(next >= width && next < width + WIDE / 2, "{width}");
        }
    }
}
