//! Curves in a terminal, of braille dots: two columns and four rows of them in each letter.

/// The bits of the dots of a letter, from its top left downwards, then those of its right column.
const DOTS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];

/// A curve through `values` in `height` lines of `width` letters; the smallest value is at the bottom, the largest at
/// the top. Values that share a column of dots are averaged, those that are no numbers leave a gap.
pub fn curve(values: &[f64], width: usize, height: usize) -> Vec<String> {
    let (columns, rows) = (2 * width, 4 * height);
    let means = resample(values, columns);
    let known = || means.iter().flatten().copied();
    let (min, max) = (known().fold(f64::INFINITY, f64::min), known().fold(f64::NEG_INFINITY, f64::max));
    let mut letters = vec![vec![0u32; width]; height];
    let mut before = None;
    for (column, mean) in means.iter().enumerate() {
        let level = mean.map(|mean| {
            let share = if max > min { (mean - min) / (max - min) } else { 0.5 };
            (share * (rows - 1) as f64).round() as usize
        });
        if let Some(level) = level {
            // Steep parts stay connected.
            let from = match before {
                Some(before) if before < level => before + 1,
                Some(before) if before > level => before - 1,
                _ => level,
            };
            for dot in from.min(level)..=from.max(level) {
                let row = rows - 1 - dot;
                letters[row / 4][column / 2] |= DOTS[column % 2][row % 4];
            }
        }
        before = level;
    }
    let letter = |bits: &u32| char::from_u32(0x2800 + bits).unwrap_or(' ');
    letters.iter().map(|line| line.iter().map(letter).collect()).collect()
}

/// The mean of the finite values of each column; a value that stands alone fills all columns up to the next.
fn resample(values: &[f64], columns: usize) -> Vec<Option<f64>> {
    if values.is_empty() {
        return vec![None; columns];
    }
    let mean = |column: usize| {
        let start = column * values.len() / columns;
        let end = ((column + 1) * values.len() / columns).max(start + 1);
        let finite: Vec<f64> = values[start..end].iter().copied().filter(|value| value.is_finite()).collect();
        (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64)
    };
    (0..columns).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_go_where_their_values_are() {
        assert_eq!(curve(&[0.0, 1.0, 2.0, 3.0], 2, 1), ["⡠⠊"]);
        assert_eq!(curve(&[3.0, 3.0], 1, 1), curve(&[7.0], 1, 1));
        assert_eq!(curve(&[0.0, 7.0], 1, 2), ["⢸", "⡸"]);
        assert_eq!(curve(&[7.0, 0.0], 1, 2), ["⢱", "⢸"]);
        assert_eq!(curve(&[], 2, 1), ["⠀⠀"]);
        assert_eq!(curve(&[f64::NAN, 1.0], 1, 1), ["⠐"]);
        assert_eq!(curve(&vec![1.0; 1000], 3, 1)[0].chars().count(), 3);
    }
}
