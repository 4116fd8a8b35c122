//! Sums that statistics follow from.

use multiversion::multiversion;

/// Values that are added up side by side, so that the sums of neighbours do not wait for each other.
const LANES: usize = 16;

/// Count, sum, sum of squares and extremes of values.
///
/// Sums are those of differences from the first value, so that the spread of values that are far from zero is not
/// lost in rounding (Chan, Golub & LeVeque, *Algorithms for computing the sample variance*, 1983).
///
/// # Examples
/// ```
/// use spark_kernels::host::Moments;
///
/// let mut moments = Moments::default();
/// moments.add(&[-60.0, -62.0]);
/// moments.add(&[-61.0]);
/// assert_eq!((moments.count(), moments.min(), moments.max()), (3, -62.0, -60.0));
/// assert_eq!(moments.mean(), -61.0);
/// assert!((moments.variance() - 2.0 / 3.0).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    shift: f32,
    sum: f64,
    squares: f64,
    min: f32,
    max: f32,
}

impl Default for Moments {
    fn default() -> Self {
        Self { count: 0, shift: 0.0, sum: 0.0, squares: 0.0, min: f32::INFINITY, max: f32::NEG_INFINITY }
    }
}

impl Moments {
    /// Adds values.
    pub fn add(&mut self, values: &[f32]) {
        let Some(first) = values.first() else { return };
        if self.count == 0 {
            self.shift = *first;
        }
        let part = sums(values, self.shift);
        self.count += values.len() as u64;
        self.sum += part.sum;
        self.squares += part.squares;
        self.min = self.min.min(part.min);
        self.max = self.max.max(part.max);
    }

    /// Adds so many times a value.
    pub fn repeat(&mut self, value: f32, count: u64) {
        if count == 0 {
            return;
        }
        if self.count == 0 {
            self.shift = value;
        }
        let difference = f64::from(value - self.shift);
        self.count += count;
        self.sum += count as f64 * difference;
        self.squares += count as f64 * difference * difference;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds `count` values of which the sum and the sum of squares of their differences from `shift` are known, and
    /// the extremes.
    pub fn join(&mut self, count: u64, shift: f32, [sum, squares]: [f64; 2], [min, max]: [f32; 2]) {
        if self.count == 0 {
            self.shift = shift;
        }
        let between = f64::from(shift - self.shift);
        self.count += count;
        self.sum += sum + count as f64 * between;
        self.squares += squares + 2.0 * between * sum + count as f64 * between * between;
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their mean; NaN where there is none.
    pub fn mean(&self) -> f64 {
        f64::from(self.shift) + self.sum / self.count as f64
    }

    /// Their variance, with the number of values as its divisor; NaN where there is none.
    pub fn variance(&self) -> f64 {
        let (mean, squares) = (self.sum / self.count as f64, self.squares / self.count as f64);
        (squares - mean * mean).max(0.0)
    }

    /// The smallest one; infinity where there is none.
    pub fn min(&self) -> f32 {
        self.min
    }

    /// The largest one; negative infinity where there is none.
    pub fn max(&self) -> f32 {
        self.max
    }
}

/// The sums of a row.
struct Sums {
    sum: f64,
    squares: f64,
    min: f32,
    max: f32,
}

#[multiversion(targets("x86_64+avx512f+avx512vl+avx512dq+avx512bw", "x86_64+avx2+fma", "aarch64+neon"))]
fn sums(values: &[f32], shift: f32) -> Sums {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let (mut sum, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (mut min, mut max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    for block in blocks {
        for lane in 0..LANES {
            let x = block[lane];
            let difference = x - shift;
            sum[lane] += difference;
            squares[lane] += difference * difference;
            min[lane] = if x < min[lane] { x } else { min[lane] };
            max[lane] = if x > max[lane] { x } else { max[lane] };
        }
    }
    for (lane, x) in rest.iter().enumerate() {
        let difference = x - shift;
        sum[lane] += difference;
        squares[lane] += difference * difference;
        min[lane] = min[lane].min(*x);
        max[lane] = max[lane].max(*x);
    }
    Sums {
        sum: sum.iter().map(|x| f64::from(*x)).sum(),
        squares: squares.iter().map(|x| f64::from(*x)).sum(),
        min: min.iter().copied().fold(f32::INFINITY, f32::min),
        max: max.iter().copied().fold(f32::NEG_INFINITY, f32::max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn parts_are_what_the_whole_is() {
        for (length, cut) in [(1, 0), (1, 1), (15, 4), (16, 16), (17, 1), (120, 63)] {
            let values: Vec<f32> = (0..length).map(|at| -60.0 + 7.0 * (at as f32 * 1.7).sin()).collect();
            let parts = values.split_at(cut);
            let (mut added, mut joined) = (Moments::default(), Moments::default());
            for part in [parts.0, parts.1].into_iter().filter(|part| !part.is_empty()) {
                added.add(part);
                let shift = part[part.len() / 2];
                let differences = part.iter().map(|x| f64::from(x - shift));
                let (min, max) = part.iter().fold((f32::MAX, f32::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
                let sums = [differences.clone().sum(), differences.map(|x| x * x).sum()];
                joined.join(part.len() as u64, shift, sums, [min, max]);
            }
            let count = values.len() as f64;
            let mean = values.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
            let variance = values.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / count;
            for found in [added, joined] {
                assert_eq!(found.count(), values.len() as u64);
                assert!((found.mean() - mean).abs() < 1e-4, "{} for {mean}", found.mean());
                assert!((found.variance() - variance).abs() < 1e-3 * (1.0 + variance));
                assert_eq!(found.min(), values.iter().copied().fold(f32::INFINITY, f32::min));
                assert_eq!(found.max(), values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            }
        }
    }

    #[test]
    fn a_small_spread_far_from_zero_is_not_lost() {
        let values: Vec<f32> = (0..1024).map(|unit| -60.0 + 0.001 * (unit % 2) as f32).collect();
        let mut moments = Moments::default();
        (0..1000).for_each(|_| moments.add(&values));
        assert!((moments.variance().sqrt() - 0.0005).abs() < 1e-5, "{}", moments.variance().sqrt());
        let mut same = Moments::default();
        same.repeat(-60.0, 512);
        same.repeat(-60.0 + 0.001, 512);
        assert!((same.variance().sqrt() - 0.0005).abs() < 1e-5);
    }
}
