//! Colours that people with any colour vision tell apart.

use plotters::style::RGBColor;

/// For categories (Okabe & Ito, *Color universal design*, 2008), without black, which is the colour of text.
pub(super) const CATEGORIES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// From dark to bright in even steps of what the eye sees (viridis: Smith & van der Walt, *A better default colormap
/// for Matplotlib*, 2015).
const VIRIDIS: [u32; 10] = [
    0x44_0154, 0x48_2878, 0x3e_4989, 0x31_688e, 0x26_828e, 0x1f_9e89, 0x35_b779, 0x6e_ce58, 0xb5_de2b,
    0xfd_e725,
];

/// From blue over near-white to red (Brewer's RdBu, reversed).
const DIVERGING: [u32; 11] = [
    0x05_3061, 0x21_66ac, 0x43_93c3, 0x92_c5de, 0xd1_e5f0, 0xf7_f7f7, 0xfd_dbc7, 0xf4_a582, 0xd6_604d,
    0xb2_182b, 0x67_001f,
];

/// Which colour stands for which number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ColourScale {
    /// From the first number, dark, to the second, bright.
    Sequential(f64, f64),
    /// From minus this number, blue, over zero to plus this number, red.
    Diverging(f64),
}

impl ColourScale {
    /// The scale that suits numbers: [`Diverging`](Self::Diverging) where they have both signs.
    ///
    /// # Examples
    /// ```
    /// use spark_record::figures::ColourScale;
    ///
    /// assert_eq!(ColourScale::of([1.0, 4.0]), ColourScale::Sequential(1.0, 4.0));
    /// assert_eq!(ColourScale::of([-1.0, f32::NAN, 0.5]), ColourScale::Diverging(1.0));
    /// ```
    pub fn of(values: impl IntoIterator<Item = f32>) -> Self {
        let finite = values.into_iter().filter(|value| value.is_finite()).map(f64::from);
        let (low, high) = finite
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            Self::Sequential(0.0, 1.0)
        } else if low < 0.0 && high > 0.0 {
            Self::Diverging(high.max(-low))
        } else if low < high {
            Self::Sequential(low, high)
        } else {
            let pad = 0.5 + 1e-6 * low.abs();
            Self::Sequential(low - pad, low + pad)
        }
    }

    /// The lowest and the highest number.
    pub(super) fn ends(self) -> (f64, f64) {
        match self {
            Self::Sequential(low, high) => (low, high),
            Self::Diverging(most) => (-most, most),
        }
    }

    /// The colour of a number; white where it is not finite.
    pub(super) fn colour(self, value: f64) -> [u8; 3] {
        if !value.is_finite() {
            return [255; 3];
        }
        let (low, high) = self.ends();
        let part = ((value - low) / (high - low)).clamp(0.0, 1.0);
        match self {
            Self::Sequential(..) => blend(&VIRIDIS, part),
            Self::Diverging(_) => blend(&DIVERGING, part),
        }
    }
}

/// The colour at a part of the way, 0 to 1, along a list of colours.
fn blend(colours: &[u32], part: f64) -> [u8; 3] {
    let place = part * (colours.len() - 1) as f64;
    let below = (place as usize).min(colours.len() - 2);
    let above = place - below as f64;
    let channel = |shift: u32| {
        let of = |colour: u32| f64::from(colour >> shift & 255);
        (of(colours[below]) * (1.0 - above) + of(colours[below + 1]) * above).round() as u8
    };
    [channel(16), channel(8), channel(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_and_the_middle_are_those_of_the_maps() {
        let scale = ColourScale::Sequential(2.0, 4.0);
        assert_eq!([2.0, 4.0].map(|value| scale.colour(value)), [[0x44, 0x01, 0x54], [0xfd, 0xe7, 0x25]]);
        let scale = ColourScale::Diverging(3.0);
        assert_eq!(scale.colour(0.0), [0xf7; 3]);
        assert_eq!([-9.0, 9.0].map(|value| scale.colour(value)), [[0x05, 0x30, 0x61], [0x67, 0x00, 0x1f]]);
        assert_eq!(scale.colour(f64::NAN), [255; 3]);
    }

    #[test]
    fn brightness_rises_along_the_sequential_map() {
        let bright = |part: f64| {
            let [red, green, blue] = ColourScale::Sequential(0.0, 1.0).colour(part).map(f64::from);
            0.2126 * red + 0.7152 * green + 0.0722 * blue
        };
        let all: Vec<f64> = (0..=50).map(|step| bright(f64::from(step) / 50.0)).collect();
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn one_number_or_none_has_a_scale() {
        assert_eq!(ColourScale::of([]), ColourScale::Sequential(0.0, 1.0));
        assert_eq!(ColourScale::of([2.0, 2.0]), ColourScale::Sequential(1.5, 2.5));
    }
}
