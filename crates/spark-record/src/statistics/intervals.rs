//! How regular spikes are.

use super::{mean, moments};

/// The coefficient of variation of intervals, CV = σ(I) / ⟨I⟩: 0 for a clock, 1 for a Poisson process. `None` where there
/// are fewer than two intervals.
///
/// # Examples
/// ```
/// use spark_record::statistics::cv;
///
/// assert_eq!(cv(&[5.0, 5.0, 5.0]), Some(0.0));
/// assert_eq!(cv(&[1.0, 3.0]), Some(0.5));
/// assert_eq!(cv(&[1.0]), None);
/// ```
pub fn cv(intervals: &[f64]) -> Option<f64> {
    let (mean, variance) = moments(intervals.iter().copied())?;
    (intervals.len() > 1 && mean > 0.0).then(|| variance.sqrt() / mean)
}

/// The mean of 2·|Iₖ₊₁ − Iₖ| / (Iₖ₊₁ + Iₖ) over neighbouring intervals, which slow changes of the rate do not raise: 1 for
/// a Poisson process (Holt, Softky, Koch & Douglas, *Comparison of discharge variability in vitro and in vivo in cat visual
/// cortex neurons*, 1996). `None` where there are fewer than two intervals.
///
/// # Examples
/// ```
/// use spark_record::statistics::cv2;
///
/// assert_eq!(cv2(&[1.0, 3.0, 1.0]), Some(1.0));
/// ```
pub fn cv2(intervals: &[f64]) -> Option<f64> {
    of_pairs(intervals, |first, second| 2.0 * (second - first).abs() / (first + second))
}

/// The local variation, the mean of 3·(Iₖ₊₁ − Iₖ)² / (Iₖ₊₁ + Iₖ)²: 1 for a Poisson process (Shinomoto, Shima & Tanji,
/// *Differences in spiking patterns among cortical neurons*, 2003). `None` where there are fewer than two intervals.
///
/// # Examples
/// ```
/// use spark_record::statistics::local_variation;
///
/// assert_eq!(local_variation(&[1.0, 3.0, 1.0]), Some(0.75));
/// ```
pub fn local_variation(intervals: &[f64]) -> Option<f64> {
    of_pairs(intervals, |first, second| 3.0 * ((second - first) / (first + second)).powi(2))
}

fn of_pairs(intervals: &[f64], value: impl Fn(f64, f64) -> f64) -> Option<f64> {
    mean(intervals.windows(2).filter(|pair| pair[0] + pair[1] > 0.0).map(|pair| value(pair[0], pair[1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poisson_process_has_one_of_each() {
        // Intervals of a Poisson process at evenly spread quantiles, in an order without correlation.
        let count = 20_011_u64;
        let quantile = |k: u64| ((k * 7_919 % count) as f64 + 0.5) / count as f64;
        let intervals: Vec<f64> = (0..count).map(|k| -(1.0 - quantile(k)).ln()).collect();
        assert!((cv(&intervals).unwrap() - 1.0).abs() < 0.01);
        let mut shuffled = intervals;
        // A plain linear congruence as the source of an order.
        let mut state = 1_u64;
        for place in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(place, (state >> 33) as usize % (place + 1));
        }
        assert!((cv2(&shuffled).unwrap() - 1.0).abs() < 0.03);
        assert!((local_variation(&shuffled).unwrap() - 1.0).abs() < 0.04);
    }

    #[test]
    fn a_slow_change_of_rate_raises_the_cv_alone() {
        let intervals: Vec<f64> = (0..100).map(|k| 1.0 + f64::from(k) / 10.0).collect();
        assert!(cv(&intervals).unwrap() > 0.4 && cv2(&intervals).unwrap() < 0.05);
        assert!(local_variation(&intervals).unwrap() < 0.01);
    }
}
