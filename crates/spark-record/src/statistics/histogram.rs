//! Histograms.

/// Bins at least and at most.
const LEAST: usize = 10;
const MOST: usize = 60;

/// How many values fall between neighbouring edges.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The ends of the bins, one more than there are bins, rising.
    pub edges: Vec<f64>,
    /// Number of values in each bin; a value on an edge is in the upper bin, on the last one in the last.
    pub counts: Vec<usize>,
}

impl Histogram {
    /// Counts values between edges; those outside are left out.
    ///
    /// # Panics
    /// If there are fewer than two edges.
    ///
    /// # Examples
    /// ```
    /// use spark_record::statistics::Histogram;
    ///
    /// let histogram = Histogram::new(vec![0.0, 1.0, 2.0], [0.0, 0.5, 1.0, 2.0, 9.0, f64::NAN]);
    /// assert_eq!(histogram.counts, [2, 2]);
    /// ```
    pub fn new(edges: Vec<f64>, values: impl IntoIterator<Item = f64>) -> Self {
        assert!(edges.len() > 1, "found {} edges, expected two at least", edges.len());
        let mut counts = vec![0; edges.len() - 1];
        let (first, last) = (edges[0], edges[edges.len() - 1]);
        for value in values.into_iter().filter(|value| (first..=last).contains(value)) {
            let bin = edges.partition_point(|edge| *edge <= value).saturating_sub(1);
            counts[bin.min(edges.len() - 2)] += 1;
        }
        Self { edges, counts }
    }

    /// Edges of equal distance that suit values, by the rule of Freedman & Diaconis, *On the histogram as a density
    /// estimator*, 1981: a width of 2·(q₇₅ − q₂₅) / n^⅓, and between 10 and 60 bins. Two edges where there is no finite
    /// value.
    ///
    /// # Examples
    /// ```
    /// use spark_record::statistics::Histogram;
    ///
    /// let edges = Histogram::edges((0..1000).map(f64::from));
    /// assert_eq!((edges.first(), edges.last(), edges.len()), (Some(&0.0), Some(&999.0), 11));
    /// assert_eq!(Histogram::edges([]), [0.0, 1.0]);
    /// ```
    pub fn edges(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.abs() < 1e300).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else { return vec![0.0, 1.0] };
        if low == high {
            // What cannot be negative does not seem to be.
            let pad = 0.5 + 1e-6 * high.abs();
            let low = if *low >= 0.0 { (low - pad).max(0.0) } else { low - pad };
            return spread(low, high + pad, LEAST);
        }
        let quantile = |part: f64| sorted[(part * (sorted.len() - 1) as f64) as usize];
        let width = 2.0 * (quantile(0.75) - quantile(0.25)) / (sorted.len() as f64).cbrt();
        let bins = if width > 0.0 { ((high - low) / width).ceil().min(MOST as f64) as usize } else { 20 };
        spread(*low, *high, bins.clamp(LEAST, MOST))
    }

    /// Edges of equal ratio from the lowest to the highest value above zero, eight for each factor of ten. Two edges where
    /// there is none.
    ///
    /// # Examples
    /// ```
    /// use spark_record::statistics::Histogram;
    ///
    /// let edges = Histogram::log_edges([1.0, 100.0]);
    /// assert_eq!(edges.len(), 17);
    /// assert!((edges[8] - 10.0).abs() < 1e-9);
    /// ```
    pub fn log_edges(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let above = values.into_iter().filter(|value| (1e-300..1e300).contains(value));
        let (low, high) = above.fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        if high <= 0.0 {
            return vec![0.1, 1.0];
        }
        let (low, high) = if low < high { (low, high) } else { (low / 1.5, high * 1.5) };
        let bins = (8.0 * (high / low).log10()).ceil().clamp(LEAST as f64, MOST as f64) as usize;
        let mut edges: Vec<f64> = spread(low.ln(), high.ln(), bins).into_iter().map(f64::exp).collect();
        // Rounding must not leave out the values at the ends.
        (edges[0], edges[bins]) = (low, high);
        edges
    }

    /// The counts as numbers.
    pub fn heights(&self) -> Vec<f64> {
        self.counts.iter().map(|count| *count as f64).collect()
    }
}

fn spread(low: f64, high: f64, bins: usize) -> Vec<f64> {
    let part = |edge: usize| edge as f64 / bins as f64;
    (0..=bins)
        .map(|edge| if edge == bins { high } else { low * (1.0 - part(edge)) + high * part(edge) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn edges_that_suit_values_hold_them_all(values in prop::collection::vec(1e-6..1e6_f64, 1..200)) {
            for edges in [Histogram::edges(values.iter().copied()), Histogram::log_edges(values.iter().copied())] {
                prop_assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(edges.len() <= MOST + 1);
                let histogram = Histogram::new(edges, values.iter().copied());
                prop_assert_eq!(histogram.counts.iter().sum::<usize>(), values.len());
            }
        }
    }

    #[test]
    fn what_is_not_finite_has_no_bin() {
        let values = [f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MAX];
        for edges in [Histogram::edges(values), Histogram::log_edges(values)] {
            assert!(edges.iter().all(|edge| edge.is_finite()), "{edges:?}");
        }
    }
}
