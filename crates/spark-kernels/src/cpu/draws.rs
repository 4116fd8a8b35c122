//! Draws of a counter-based stream into slices: many blocks side by side, one per vector lane.

use multiversion::multiversion;
use rayon::prelude::*;

use super::math;
use crate::philox::{self, Stream};

/// Blocks drawn side by side.
const LANES: usize = 16;

/// Entries that one thread takes at a time.
const CHUNK: usize = 1 << 14;

/// See [`random::uniform`](crate::random::uniform).
pub(crate) fn uniform(values: &mut [f32], stream: Stream) {
    in_chunks(values, |chunk, block| uniform_chunk(chunk, stream, block));
}

/// See [`random::normal`](crate::random::normal).
pub(crate) fn normal(values: &mut [f32], stream: Stream) {
    in_chunks(values, |chunk, block| normal_chunk(chunk, stream, block));
}

/// Turns probabilities into spikes.
pub(crate) fn bernoulli(values: &mut [f32], stream: Stream) {
    in_chunks(values, |chunk, block| bernoulli_chunk(chunk, stream, block));
}

/// Calls `fill` on every chunk with the number of its first block.
fn in_chunks(values: &mut [f32], fill: impl Fn(&mut [f32], u32) + Sync) {
    let blocks = (CHUNK / 4) as u32;
    if values.len() <= CHUNK {
        fill(values, 0);
    } else {
        let chunks = values.par_chunks_mut(CHUNK).enumerate();
        chunks.for_each(|(index, chunk)| fill(chunk, (index as u32).wrapping_mul(blocks)));
    }
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn uniform_chunk(values: &mut [f32], stream: Stream, block: u32) {
    each_group(values, stream, block, |_, words| words.map(|lane| lane.map(philox::uniform)));
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn bernoulli_chunk(values: &mut [f32], stream: Stream, block: u32) {
    each_group(values, stream, block, |probability, words| {
        let mut spikes = [[0.0; LANES]; 4];
        for (k, spikes) in spikes.iter_mut().enumerate() {
            for l in 0..LANES {
                let below = philox::uniform(words[k][l]) < probability[4 * l + k];
                spikes[l] = if below { 1.0 } else { 0.0 };
            }
        }
        spikes
    });
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2", "aarch64+neon"))]
fn normal_chunk(values: &mut [f32], stream: Stream, block: u32) {
    each_group(values, stream, block, |_, words| {
        let mut normals = [[0.0; LANES]; 4];
        for pair in [0, 2] {
            for l in 0..LANES {
                let (first, second) = box_muller(words[pair][l], words[pair + 1][l]);
                normals[pair][l] = first;
                normals[pair + 1][l] = second;
            }
        }
        normals
    });
}

/// Two independent normal numbers from two words.
#[inline(always)]
fn box_muller(radius: u32, angle: u32) -> (f32, f32) {
    /// Half a turn over 2³¹.
    const UNIT: f32 = std::f32::consts::PI / 2_147_483_648.0;
    /// What turns a number in (0, 2³²] into one in (0, 1].
    const SCALE: f32 = 1.0 / 4_294_967_296.0;
    let log = math::ln((radius as f32 + 1.0) * SCALE);
    let r = (-2.0 * log).sqrt();
    // The two upper bits choose a quarter of the circle, the others an angle within ±45 degrees.
    let within = (angle & 0x3fff_ffff) as i32 - 0x2000_0000;
    let (sin, cos) = math::sin_cos(within as f32 * UNIT);
    let odd = angle & 0x4000_0000 != 0;
    let (x, y) = if odd { (-sin, cos) } else { (cos, sin) };
    let sign = if angle & 0x8000_0000 != 0 { -1.0 } else { 1.0 };
    (sign * r * x, sign * r * y)
}

/// Replaces `values`, four per block from `block` on, by what `draw` makes of them and the words of
/// [`LANES`] blocks.
#[inline(always)]
fn each_group(
    values: &mut [f32],
    stream: Stream,
    mut block: u32,
    draw: impl Fn(&[f32; 4 * LANES], [[u32; LANES]; 4]) -> [[f32; LANES]; 4],
) {
    for group in values.chunks_mut(4 * LANES) {
        let mut before = [0.0; 4 * LANES];
        before[..group.len()].copy_from_slice(group);
        let after = draw(&before, stream.lanes(block));
        for (l, entries) in group.chunks_mut(4).enumerate() {
            for (k, entry) in entries.iter_mut().enumerate() {
                *entry = after[k][l];
            }
        }
        block = block.wrapping_add(LANES as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_the_words_of_their_blocks() {
        let stream = Stream::new(5, 6, 7);
        // Across chunks and threads, and with a remainder.
        let mut values = vec![0.0; 3 * CHUNK + 5];
        uniform(&mut values, stream);
        for index in [0, 1, 63, 64, CHUNK - 1, CHUNK, 2 * CHUNK + 3, 3 * CHUNK + 4] {
            let word = stream.words((index / 4) as u32)[index % 4];
            assert_eq!(values[index], philox::uniform(word), "{index}");
        }
    }

    /// Bits on record, for other machines; and those of the plain function, compiled here for the least
    /// instruction set.
    #[test]
    fn known_normals() {
        let stream = Stream::new(42, 1, 2);
        let mut values = vec![0.0; 4 * 1_000];
        normal(&mut values, stream);
        let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        assert_eq!(bits[..4], [1_071_235_841, 1_053_169_488, 3_216_589_455, 3_210_819_359]);
        for (block, bits) in bits.chunks(4).enumerate() {
            let [a, b, c, d] = stream.words(block as u32);
            let (first, second) = (box_muller(a, b), box_muller(c, d));
            assert_eq!(bits, [first.0, first.1, second.0, second.1].map(f32::to_bits), "{block}");
        }
    }

    #[test]
    fn box_muller_is_the_textbook_transform() {
        let stream = Stream::new(1, 0, 0);
        for [a, b, c, d] in (0..5_000).map(|i| stream.words(i)) {
            for (radius, angle) in [(a, b), (c, d)] {
                let u = f64::from(radius as f32 + 1.0) / 4_294_967_296.0;
                let r = (-2.0 * u.ln()).sqrt();
                // A quarter's angles start at −45 degrees.
                let turn = f64::from(angle) / 4_294_967_296.0 - 0.125;
                let (sin, cos) = (turn * std::f64::consts::TAU).sin_cos();
                let (x, y) = box_muller(radius, angle);
                assert!((f64::from(x) - r * cos).abs() < 1e-5, "{radius} {angle}");
                assert!((f64::from(y) - r * sin).abs() < 1e-5, "{radius} {angle}");
            }
        }
        assert!(box_muller(0, 0).0.is_finite());
        assert!(box_muller(u32::MAX, u32::MAX).0.abs() < 1e-3);
    }

    #[test]
    fn normals_have_the_moments_of_normals() {
        let mut values = vec![0.0; 400_000];
        normal(&mut values, Stream::new(3, 0, 1));
        let moment =
            |power: i32| values.iter().map(|&x| f64::from(x).powi(power)).sum::<f64>() / values.len() as f64;
        for (power, expected, tolerance) in
            [(1, 0.0, 0.006), (2, 1.0, 0.01), (3, 0.0, 0.03), (4, 3.0, 0.08), (6, 15.0, 1.0)]
        {
            let found = moment(power);
            assert!((found - expected).abs() < tolerance, "moment {power}: {found}");
        }
        let pairs: f64 = values.chunks(2).map(|pair| f64::from(pair[0]) * f64::from(pair[1])).sum();
        assert!((pairs / 200_000.0).abs() < 0.01, "the two of a pair are uncorrelated: {pairs}");
    }
}
