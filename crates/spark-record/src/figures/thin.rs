//! Long curves with no more points than a picture has room for.

/// At most about four points for each of `columns` stretches of equal length: the first, the lowest, the highest and the
/// last, which draw the same line (Jugel et al., *M4: a visualization-oriented time series data aggregation*, 2014).
///
/// * `points`: in the order of x, all finite.
pub(super) fn thinned(points: Vec<(f64, f64)>, columns: usize) -> Vec<(f64, f64)> {
    if points.len() <= 4 * columns.max(1) {
        return points;
    }
    let mut kept = Vec::with_capacity(4 * columns);
    for stretch in points.chunks(points.len().div_ceil(columns)) {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let place =
            |point: Option<&(f64, f64)>| point.and_then(|point| stretch.iter().position(|one| one == point));
        let low = place(stretch.iter().min_by(by_height));
        let high = place(stretch.iter().max_by(by_height));
        let mut places = vec![0, low.unwrap_or(0), high.unwrap_or(0), stretch.len() - 1];
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|place| stretch[place]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_ends_stay() {
        let mut points: Vec<(f64, f64)> =
            (0..100_000).map(|x| (f64::from(x), (f64::from(x) / 500.0).sin())).collect();
        points[54_321].1 = 9.0;
        points[12_345].1 = -9.0;
        let few = thinned(points.clone(), 500);
        assert!(few.len() <= 2_000, "{}", few.len());
        assert!(few.contains(&(54_321.0, 9.0)) && few.contains(&(12_345.0, -9.0)));
        assert_eq!((few.first(), few.last()), (points.first(), points.last()));
        assert!(few.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn few_points_stay_as_they_are() {
        assert_eq!(thinned(vec![(1.0, 2.0), (2.0, 3.0)], 10), [(1.0, 2.0), (2.0, 3.0)]);
    }
}
