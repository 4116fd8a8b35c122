//! Spikes counted in bins.

use super::{mean, moments};

/// Numbers of spikes by unit and bin of time.
///
/// # Examples
/// ```
/// use spark_record::statistics::SpikeTrains;
///
/// let trains = SpikeTrains::new(2, 0.0, 4.0, [(0.5, 0), (2.5, 0), (0.6, 1), (2.6, 1)]);
/// let counts = trains.counts(1.0);
/// assert_eq!(counts.of(0), [1.0, 0.0, 1.0, 0.0]);
/// assert_eq!(counts.correlations(&[0, 1]), [1.0, 1.0, 1.0, 1.0]);
/// assert_eq!(counts.synchrony(), Some(1.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Counts {
    bin: f64,
    bins: usize,
    units: usize,
    counts: Vec<f32>,
}

impl Counts {
    pub(super) fn zeros(units: usize, bins: usize, bin: f64) -> Self {
        Self { bin, bins, units, counts: vec![0.0; units * bins] }
    }

    pub(super) fn add(&mut self, unit: usize, bin: usize) {
        self.counts[unit * self.bins + bin] += 1.0;
    }

    /// Width of a bin in ms.
    pub fn bin(&self) -> f64 {
        self.bin
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// The counts of a unit by bin.
    pub fn of(&self, unit: usize) -> &[f32] {
        &self.counts[unit * self.bins..(unit + 1) * self.bins]
    }

    /// The Fano factor of a unit, Var(n) / ⟨n⟩ (Fano, *Ionization yield of radiations II*, 1947); `None` where it is silent
    /// or there is one bin alone.
    pub fn fano(&self, unit: usize) -> Option<f64> {
        let (mean, variance) = moments(self.of(unit).iter().map(|count| f64::from(*count)))?;
        (self.bins > 1 && mean > 0.0).then(|| variance / mean)
    }

    /// Pearson's correlation of the counts of each pair of units, row by row; NaN where a unit's counts do not vary.
    ///
    /// ρᵢⱼ = Cov(nᵢ, nⱼ) / √(Var(nᵢ)·Var(nⱼ))
    ///
    /// # Panics
    /// If there is no such unit.
    pub fn correlations(&self, units: &[usize]) -> Vec<f32> {
        let standard: Vec<Vec<f32>> = units.iter().map(|unit| standardised(self.of(*unit))).collect();
        let mut matrix = vec![f32::NAN; units.len() * units.len()];
        for row in 0..units.len() {
            for column in 0..=row {
                let products = standard[row].iter().zip(&standard[column]).map(|(a, b)| a * b);
                let value = products.sum::<f32>().clamp(-1.0, 1.0);
                matrix[row * units.len() + column] = value;
                matrix[column * units.len() + row] = value;
            }
        }
        // A unit has all of itself in common, whatever the sums round to.
        for (place, own) in standard.iter().enumerate() {
            let varies = own.first().is_some_and(|value| value.is_finite());
            matrix[place * units.len() + place] = if varies { 1.0 } else { f32::NAN };
        }
        matrix
    }

    /// The synchrony χ = √(Var(⟨nᵢ⟩ᵢ) / ⟨Var(nᵢ)⟩ᵢ) of all units: 1 where they do the same, 1/√N where they know
    /// nothing of one another (Golomb & Rinzel, *Clustering in globally coupled inhibitory neurons*, 1994). `None` where no
    /// unit's counts vary.
    pub fn synchrony(&self) -> Option<f64> {
        let variance =
            |unit: usize| moments(self.of(unit).iter().map(|count| f64::from(*count))).map(|(_, var)| var);
        let own = mean((0..self.units).filter_map(variance)).filter(|own| *own > 0.0)?;
        let (_, common) = moments(self.sums().into_iter().map(|sum| sum / self.units as f64))?;
        Some((common / own).sqrt())
    }

    /// The counts of all units together by bin.
    pub fn sums(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.bins];
        for unit in 0..self.units {
            for (sum, count) in sums.iter_mut().zip(self.of(unit)) {
                *sum += f64::from(*count);
            }
        }
        sums
    }
}

/// Values less their mean, of length one; NaN where they do not vary.
fn standardised(values: &[f32]) -> Vec<f32> {
    let Some((mean, variance)) = moments(values.iter().map(|value| f64::from(*value))) else {
        return Vec::new();
    };
    let length = (variance * values.len() as f64).sqrt();
    values
        .iter()
        .map(|value| ((f64::from(*value) - mean) / length) as f32)
        .map(|v| if length > 0.0 { v } else { f32::NAN })
        .collect()
}

/// Pearson's correlation of two lists of numbers of one length; `None` where one of them does not vary.
///
/// # Examples
/// ```
/// use spark_record::statistics::correlation;
///
/// assert_eq!(correlation(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), Some(1.0));
/// assert_eq!(correlation(&[1.0, 2.0], &[5.0, 5.0]), None);
/// ```
pub fn correlation(first: &[f64], second: &[f64]) -> Option<f64> {
    let (mean_a, variance_a) = moments(first.iter().copied())?;
    let (mean_b, variance_b) = moments(second.iter().copied())?;
    let common = mean(first.iter().zip(second).map(|(a, b)| (a - mean_a) * (b - mean_b)))?;
    let both = (variance_a * variance_b).sqrt();
    (both > 0.0).then(|| (common / both).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(units: &[&[f32]]) -> Counts {
        let bins = units[0].len();
        Counts { bin: 1.0, bins, units: units.len(), counts: units.concat() }
    }

    #[test]
    fn correlations_by_hand() {
        let counts =
            counts(&[&[1.0, 0.0, 1.0, 0.0], &[0.0, 2.0, 0.0, 2.0], &[1.0, 1.0, 0.0, 0.0], &[3.0; 4]]);
        let matrix = counts.correlations(&[0, 1, 2, 3]);
        assert_eq!(
            matrix[..4].iter().map(|v| v.to_bits()).take(3).collect::<Vec<_>>(),
            [1.0_f32, -1.0, 0.0].map(f32::to_bits)
        );
        assert!(matrix[3].is_nan() && matrix[15].is_nan());
        for (row, column) in [(0, 1), (0, 2), (1, 2)] {
            let lists =
                [row, column].map(|unit| counts.of(unit).iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
            let by_pair = correlation(&lists[0], &lists[1]).unwrap();
            assert!((f64::from(matrix[4 * row + column]) - by_pair).abs() < 1e-6);
        }
    }

    #[test]
    fn units_against_one_another_are_not_synchronous() {
        assert_eq!(counts(&[&[1.0, 0.0], &[0.0, 1.0]]).synchrony(), Some(0.0));
        assert_eq!(counts(&[&[1.0, 0.0], &[1.0, 0.0]]).synchrony(), Some(1.0));
        assert_eq!(counts(&[&[2.0, 2.0]]).synchrony(), None);
        assert_eq!(counts(&[&[0.0, 2.0]]).fano(0), Some(1.0));
        assert_eq!(counts(&[&[1.0, 3.0], &[0.0, 1.0]]).sums(), [1.0, 4.0]);
    }
}
