//! Statistics of spikes: rates, intervals, correlations, spectra.
//!
//! [`SpikeTrains`] holds the spikes of units over stretches of time; what can be said of them stands in its methods and in
//! functions of lists of numbers. Times are in ms, rates and frequencies in Hz. What too few spikes say nothing of is
//! `None`.

mod counts;
mod histogram;
mod intervals;
mod spectrum;
mod trains;

pub use counts::{Counts, correlation};
pub use histogram::Histogram;
pub use intervals::{cv, cv2, local_variation};
pub use spectrum::{Spectrum, welch};
pub(crate) use trains::stretches;
#[cfg(test)]
pub(crate) use trains::tests as trains_tests;
pub use trains::{SpikeTrains, Stretch};

/// The mean of numbers; `None` where there are none.
///
/// # Examples
/// ```
/// use spark_record::statistics::mean;
///
/// assert_eq!(mean([1.0, 2.0, 6.0]), Some(3.0));
/// assert_eq!(mean([]), None);
/// ```
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    moments(values).map(|(mean, _)| mean)
}

/// Mean and variance (of the population: the divisor is the number of values); `None` where there are no values.
///
/// # Examples
/// ```
/// use spark_record::statistics::moments;
///
/// assert_eq!(moments([1.0, 3.0]), Some((2.0, 1.0)));
/// ```
pub fn moments(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    // Welford, Note on a method for calculating corrected sums of squares and products, 1962.
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let off = value - mean;
        mean += off / count;
        squares += off * (value - mean);
    }
    (count > 0.0).then(|| (mean, squares / count))
}
