//! Independent streams of random numbers from one seed.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator for the thing called `name` under `seed`.
///
/// Different names give independent streams, so adding a layer or an epoch does not shift what another
/// one draws. The stream depends on nothing but seed and name: not on the backend, the platform or the
/// number of threads.
///
/// # Examples
/// ```
/// use rand::Rng;
/// use spark_core::seed::rng;
///
/// assert_eq!(rng(1, "layers.0.weight").next_u64(), rng(1, "layers.0.weight").next_u64());
/// assert_ne!(rng(1, "layers.0.weight").next_u64(), rng(1, "layers.1.weight").next_u64());
/// assert_ne!(rng(1, "layers.0.weight").next_u64(), rng(2, "layers.0.weight").next_u64());
/// ```
pub fn rng(seed: u64, name: &str) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&fnv1a(name).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// The seed of the thing called `name` below `seed`, for generators that take a number.
///
/// # Examples
/// ```
/// use spark_core::seed::derive;
///
/// assert_eq!(derive(1, "pool"), derive(1, "pool"));
/// assert_ne!(derive(1, "pool"), derive(1, "pond"));
/// assert_ne!(derive(1, "pool"), derive(2, "pool"));
/// ```
pub fn derive(seed: u64, name: &str) -> u64 {
    rng(seed, name).next_u64()
}

/// The numbers below `count` in random order.
///
/// # Examples
/// ```
/// use spark_core::seed::{permutation, rng};
///
/// let mut order = permutation(5, &mut rng(1, "order"));
/// assert_eq!(order, permutation(5, &mut rng(1, "order")));
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
pub fn permutation(count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.shuffle(rng);
    order
}

/// The 64-bit FNV-1a hash: short, and the same everywhere, which `std`'s hasher does not promise.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_matches_its_published_vectors() {
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }
}
