//! Counter-based random numbers: a function of key and counter only.
//!
//! Philox4x32-10 of Salmon, Moraes, Dror & Shaw, *Parallel random numbers: as easy as 1, 2, 3* (SC11).
//! There is no state to carry and no order to keep: draw `index` of stream `stream` at step `step` is the
//! same on every backend, for every number of threads, and can be drawn again at any time.

/// One block: four independent 32-bit words from a counter and a key.
///
/// # Examples
/// ```
/// use spark_kernels::philox::block;
///
/// assert_eq!(block([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
/// ```
#[inline]
pub fn block(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let a = MULTIPLIERS[0] * u64::from(counter[0]);
        let b = MULTIPLIERS[1] * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

/// A stream of draws: everything but the index is fixed.
///
/// # Examples
/// ```
/// use spark_kernels::philox::Stream;
///
/// let noise = Stream::new(42, 0, 7);
/// assert_eq!(noise.words(3), Stream::new(42, 0, 7).words(3));
/// assert_ne!(noise.words(3), Stream::new(42, 0, 8).words(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    stream: u32,
    step: [u32; 2],
}

impl Stream {
    /// The draws of `stream` (what they are for) at `step` (when) under `seed`.
    pub fn new(seed: u64, stream: u32, step: u64) -> Self {
        Self { key: split(seed), stream, step: split(step) }
    }

    /// Four 32-bit words: the draws `4·block` to `4·block + 3` of the stream.
    #[inline]
    pub fn words(&self, index: u32) -> [u32; 4] {
        block([index, self.stream, self.step[0], self.step[1]], self.key)
    }

    /// Word by word, what [`words`](Self::words) gives for `N` indices from `index` on.
    #[inline(always)]
    pub(crate) fn lanes<const N: usize>(&self, index: u32) -> [[u32; N]; 4] {
        let mut lanes = [[0; N]; 4];
        for l in 0..N {
            let words = self.words(index.wrapping_add(l as u32));
            for (lane, word) in lanes.iter_mut().zip(words) {
                lane[l] = word;
            }
        }
        lanes
    }
}

fn split(x: u64) -> [u32; 2] {
    [x as u32, (x >> 32) as u32]
}

/// A uniform number in `[0, 1)` with 24 bits, from one word.
///
/// # Examples
/// ```
/// use spark_kernels::philox::uniform;
///
/// assert_eq!(uniform(0), 0.0);
/// assert!(uniform(u32::MAX) < 1.0);
/// ```
#[inline]
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers published with the Random123 library.
    #[test]
    fn known_answers() {
        assert_eq!(block([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            block([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_has_the_mean_and_variance_of_a_uniform() {
        let stream = Stream::new(1, 2, 3);
        let draws: Vec<f64> =
            (0..25_000).flat_map(|i| stream.words(i)).map(|w| f64::from(uniform(w))).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!((mean - 0.5).abs() < 0.005, "{mean}");
        assert!((variance - 1.0 / 12.0).abs() < 0.001, "{variance}");
    }
}
