//! Images that are no longer what they were: what a network meets when the world changes.

use spark_core::seed;

use super::Images;

impl Images {
    /// The same images, turned counter-clockwise about their middle by so many degrees.
    ///
    /// Between pixels, intensities are interpolated; what comes in from outside is 0.
    ///
    /// # Examples
    /// ```
    /// use spark_train::data::Images;
    ///
    /// let images = Images { pixels: vec![1, 2, 3, 4], labels: vec![0], channels: 1, height: 2, width: 2 };
    /// assert_eq!(images.rotated(90.0).pixels, [2, 4, 1, 3]);
    /// ```
    #[must_use]
    pub fn rotated(&self, degrees: f32) -> Self {
        let (sin, cos) = f64::from(degrees).to_radians().sin_cos();
        let plane = self.height * self.width;
        let middle = [(self.height - 1) as f64 / 2.0, (self.width - 1) as f64 / 2.0];
        let pixels = self.pixels.chunks_exact(plane.max(1)).flat_map(|from| {
            (0..plane).map(move |place| {
                let (row, column) = (place / self.width, place % self.width);
                // Rows count downwards: where this pixel comes from lies clockwise of it.
                let [down, right] = [row as f64 - middle[0], column as f64 - middle[1]];
                let place = [middle[0] + cos * down + sin * right, middle[1] - sin * down + cos * right];
                self.between(from, place)
            })
        });
        Self { pixels: pixels.collect(), ..self.clone() }
    }

    /// The same images with their pixels in another order: the same one for all images and channels, drawn
    /// from `seed`.
    ///
    /// # Examples
    /// ```
    /// use spark_train::data::Images;
    ///
    /// let images = Images { pixels: (0..16).collect(), labels: vec![0], channels: 1, height: 4, width: 4 };
    /// let mut pixels = images.permuted(1).pixels;
    /// assert_ne!(pixels, images.pixels);
    /// pixels.sort_unstable();
    /// assert_eq!(pixels, images.pixels);
    /// ```
    #[must_use]
    pub fn permuted(&self, seed: u64) -> Self {
        let plane = self.height * self.width;
        let order = seed::permutation(plane, &mut seed::rng(seed, "permuted"));
        let moved = |from: &[u8]| order.iter().map(|place| from[*place]).collect::<Vec<u8>>();
        Self { pixels: self.pixels.chunks_exact(plane.max(1)).flat_map(moved).collect(), ..self.clone() }
    }

    /// The intensity of a plane at a place between its pixels, row first.
    fn between(&self, plane: &[u8], [row, column]: [f64; 2]) -> u8 {
        let at = |row: f64, column: f64| {
            let inside =
                row >= 0.0 && column >= 0.0 && row < self.height as f64 && column < self.width as f64;
            if inside { f64::from(plane[row as usize * self.width + column as usize]) } else { 0.0 }
        };
        // A quarter turn hits pixels, but not to the last bit.
        let snapped = |x: f64| if (x - x.round()).abs() < 1e-9 { x.round() } else { x };
        let [row, column] = [snapped(row), snapped(column)];
        let (top, left) = (row.floor(), column.floor());
        let (down, right) = (row - top, column - left);
        let upper = at(top, left) * (1.0 - right) + at(top, left + 1.0) * right;
        let lower = at(top + 1.0, left) * (1.0 - right) + at(top + 1.0, left + 1.0) * right;
        (upper * (1.0 - down) + lower * down).round() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        let pixels = (0..2 * 3 * 5 * 5).map(|i| (i * 37 % 256) as u8).collect();
        Images { pixels, labels: vec![4, 7], channels: 3, height: 5, width: 5 }
    }

    #[test]
    fn four_quarters_are_a_whole_turn() {
        let images = images();
        let quarter = images.rotated(90.0);
        assert_ne!(quarter, images);
        assert_eq!(quarter.rotated(90.0), images.rotated(180.0));
        assert_eq!(quarter.rotated(270.0), images);
        assert_eq!(images.rotated(0.0), images);
    }

    #[test]
    fn a_small_turn_moves_intensity_to_where_it_belongs() {
        let mut pixels = vec![0; 81];
        // Right of the middle: counter-clockwise is up.
        pixels[4 * 9 + 7] = 200;
        let image = Images { pixels, labels: vec![0], channels: 1, height: 9, width: 9 };
        let turned = image.rotated(45.0);
        let centre = |axis: fn(usize) -> f64| {
            let weights = turned.pixels.iter().enumerate().map(|(i, x)| axis(i) * f64::from(*x));
            weights.sum::<f64>() / turned.pixels.iter().map(|x| f64::from(*x)).sum::<f64>()
        };
        let along = 3.0 / 2.0f64.sqrt();
        assert!((centre(|i| (i / 9) as f64) - (4.0 - along)).abs() < 0.2);
        assert!((centre(|i| (i % 9) as f64) - (4.0 + along)).abs() < 0.2);
    }

    #[test]
    fn all_images_and_channels_are_permuted_alike() {
        let (images, permuted) = (images(), images().permuted(3));
        let order = |image: usize, channel: usize| -> Vec<usize> {
            let plane = |images: &Images| images.image(image)[channel * 25..(channel + 1) * 25].to_vec();
            let (before, after) = (plane(&images), plane(&permuted));
            after.iter().map(|x| before.iter().position(|y| x == y).unwrap()).collect()
        };
        assert_eq!(order(0, 0), order(1, 2));
        assert_eq!(permuted, images.permuted(3));
        assert_ne!(permuted, images.permuted(4));
        assert_eq!(permuted.labels, images.labels);
    }
}
