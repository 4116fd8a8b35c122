//! Axes: which numbers are marked on them, and how they are written.

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::Ranged;
use std::ops::Range;

/// How an axis goes from its first number to its last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// By differences.
    #[default]
    Linear,
    /// By factors; numbers that are not above zero are left out.
    Log,
}

impl Scale {
    /// Whether a number has a place on the axis. Those that are so large that their differences are not finite
    /// have none.
    pub(super) fn shows(self, value: f64) -> bool {
        value.abs() < 1e300 && (self == Self::Linear || value > 1e-300)
    }
}

/// One axis of a chart.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    scale: Scale,
    range: Range<f64>,
}

impl Axis {
    /// From the least to the greatest value, with `margin` of the span on both sides; never empty.
    pub fn around(values: impl Iterator<Item = f64>, margin: f64, scale: Scale) -> Self {
        let (low, high) = values
            .filter(|value| scale.shows(*value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let range = match scale {
            _ if low > high => {
                return Self { scale, range: if scale == Scale::Log { 0.1..1.0 } else { 0.0..1.0 } };
            }
            // Nothing happened, as often: zero stands at the end.
            Scale::Linear if low == 0.0 && high == 0.0 => 0.0..1.0,
            Scale::Linear => {
                // Numbers that differ by rounding alone do not fill the axis.
                let least = 1e-9 * low.abs().max(high.abs());
                let pad = if high - low > least { margin * (high - low) } else { 0.5 + least };
                low - pad..high + pad
            }
            Scale::Log => {
                let factor = if high > low * 1.000_001 { (high / low).powf(margin) } else { 2.0 };
                low / factor..high * factor
            }
        };
        Self { scale, range }
    }

    /// Exactly from one number to another, the second above the first.
    pub fn spanning(range: Range<f64>) -> Self {
        let range = if range.start < range.end {
            range
        } else {
            range.start..range.start + 1.0 + 1e-6 * range.start.abs()
        };
        Self { scale: Scale::Linear, range }
    }

    pub fn ends(&self) -> &Range<f64> {
        &self.range
    }

    /// How far along the axis a number is, from 0 to 1.
    pub fn part(&self, value: f64) -> f64 {
        let Range { start, end } = self.range;
        match self.scale {
            Scale::Linear => (value - start) / (end - start),
            Scale::Log => (value / start).ln() / (end / start).ln(),
        }
    }

    /// The numbers to be marked, not many more than `most`.
    pub fn marks(&self, most: usize) -> Vec<f64> {
        let Range { start, end } = self.range;
        match self.scale {
            Scale::Log if end / start >= 10.0 => powers(start, end, most),
            _ => steps(start, end, most),
        }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let place = f64::from(from) + self.part(*value) * f64::from(to - from);
        place.clamp(-1e6, 1e6).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // What is asked for are the finer marks, which are not drawn, beside the bold ones.
        self.marks(hint.bold_points())
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn steps(start: f64, end: f64, most: usize) -> Vec<f64> {
    let rough = (end - start) / most.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * power);
    let first = (start / step - 1e-9).ceil();
    let count = ((end / step + 1e-9).floor() - first) as usize;
    // Powers below one are no numbers of the machine, their inverse is.
    let inverse = (1.0 / step).round();
    let exact =
        |multiple: f64| if step < 1.0 && inverse < 1e15 { multiple / inverse } else { multiple * step };
    (0..=count.min(100)).map(|multiple| exact(first + multiple as f64)).collect()
}

/// Powers of ten, and between few of them their doubles and fives.
fn powers(start: f64, end: f64, most: usize) -> Vec<f64> {
    let (low, high) = (start.log10().floor() as i32, end.log10().ceil() as i32);
    let decades = (high - low).max(1) as usize;
    let every = decades.div_ceil(most.max(1));
    let factors: &[f64] = match most / decades {
        0..=2 => &[1.0],
        3..=8 => &[1.0, 2.0, 5.0],
        _ => &[1.0, 2.0, 3.0, 5.0, 7.0],
    };
    let marks =
        (low..=high).step_by(every).flat_map(|power| factors.iter().map(move |f| f * 10_f64.powi(power)));
    marks.filter(|mark| (start * 0.999_999..=end * 1.000_001).contains(mark)).collect()
}

/// A number as an axis shows it: up to five decimals, none that are zero, and powers of ten where it is very large or
/// small.
pub(super) fn tick(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 || (size > 0.0 && size < 1e-4) {
        let text = format!("{value:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits =
            if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        return format!("{digits}e{power}");
    }
    let text = format!("{value:.5}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ticks_show_no_needless_digits() {
        let numbers = [50.0, 0.5, -0.0, 0.0312, 1e-7, -2.5e9, 1e6];
        assert_eq!(numbers.map(tick), ["50", "0.5", "0", "0.0312", "1e-7", "-2.5e9", "1e6"]);
    }

    #[test]
    fn marks_are_round_numbers() {
        let axis = Axis::around([0.0, 1.0].into_iter(), 0.0, Scale::Linear);
        assert_eq!(axis.marks(5), [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        let axis = Axis::around([0.3, 700.0].into_iter(), 0.0, Scale::Log);
        assert_eq!(axis.marks(5), [1.0, 10.0, 100.0]);
        assert!((axis.part(0.3), axis.part(700.0)) == (0.0, 1.0));
        let axis = Axis::around([2.0, 8.0].into_iter(), 0.0, Scale::Log);
        assert_eq!(axis.marks(3), [2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn an_axis_of_nothing_or_of_one_number_is_not_empty() {
        for (values, scale) in [(vec![], Scale::Log), (vec![f64::NAN, f64::INFINITY], Scale::Linear)] {
            let ends = Axis::around(values.into_iter(), 0.1, scale).ends().clone();
            assert!(ends.start < ends.end);
        }
        let ends = Axis::around([7.0].into_iter(), 0.1, Scale::Linear).ends().clone();
        assert!(ends.start < 7.0 && 7.0 < ends.end);
    }

    proptest! {
        #[test]
        fn marks_are_few_and_on_the_axis(low in -1e290..1e290_f64, span in 0.0..1e290_f64, small in any::<bool>()) {
            let scale = if small { 1e-280 } else { 1.0 };
            let values = [low * scale, (low + span) * scale];
            for kind in [Scale::Linear, Scale::Log] {
                let axis = Axis::around(values.into_iter(), 0.05, kind);
                let ends = axis.ends().clone();
                prop_assert!(ends.start < ends.end && ends.start.is_finite() && ends.end.is_finite());
                let marks = axis.marks(8);
                prop_assert!(marks.len() <= 40, "{}", marks.len());
                let slack = 1e-6 * (ends.end - ends.start);
                prop_assert!(marks.iter().all(|m| *m >= ends.start - slack && *m <= ends.end + slack));
            }
        }
    }
}
