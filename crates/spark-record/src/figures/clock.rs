//! Time axes of recordings with gaps.

use crate::Recording;
use crate::statistics::{Stretch, stretches};

/// Where a time stands on an axis. Where most of the time was not recorded, as with triggers, what was recorded stands
/// side by side.
pub(super) struct Clock {
    stretches: Vec<Stretch>,
    /// Where each stretch begins on the axis.
    begins: Vec<f64>,
    joined: bool,
}

impl Clock {
    pub fn of(recording: &Recording) -> Self {
        let stretches = stretches(recording);
        let span =
            stretches.first().zip(stretches.last()).map_or(0.0, |(first, last)| last.end - first.start);
        let recorded: f64 = stretches.iter().map(Stretch::duration).sum();
        let joined = recorded < 0.5 * span;
        let mut end = 0.0;
        let begin = |stretch: &Stretch| {
            let begin = if joined { end } else { stretch.start };
            end = begin + stretch.duration();
            begin
        };
        let begins = stretches.iter().map(begin).collect();
        Self { stretches, begins, joined }
    }

    /// Where a time stands; the end of a stretch belongs to it, its beginning does not.
    pub fn at(&self, time: f64) -> f64 {
        let slack = 1e-9 * time.abs().max(1.0);
        let place = self.stretches.partition_point(|stretch| stretch.end < time - slack);
        self.stretches.get(place).map_or(time, |stretch| self.begins[place] + time - stretch.start)
    }

    /// Where the axis begins and ends.
    pub fn ends(&self) -> (f64, f64) {
        let end = self.stretches.last().zip(self.begins.last()).map(|(last, begin)| begin + last.duration());
        (self.begins.first().copied().unwrap_or(0.0), end.unwrap_or(0.0))
    }

    /// The name of the axis.
    pub fn name(&self) -> &'static str {
        if self.joined { "recorded time (ms)" } else { "time (ms)" }
    }

    /// What is to be said of the axis.
    pub fn note(&self) -> String {
        match self.joined {
            true => format!("{} stretches side by side, without the time between them", self.stretches.len()),
            false => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::trains_tests::raster;

    #[test]
    fn long_gaps_are_left_out_and_short_ones_are_not() {
        let clock = Clock::of(&raster(1, (1..=10).chain(1001..=1010).collect(), 1, &[]));
        assert_eq!([0.5, 5.0, 500.5, 505.0].map(|time| clock.at(time)), [0.5, 5.0, 5.5, 10.0]);
        assert_eq!((clock.ends(), clock.name()), ((0.0, 10.0), "recorded time (ms)"));
        assert!(clock.note().starts_with("2 stretches"));
        let clock = Clock::of(&raster(1, (3..=10).chain(15..=20).collect(), 1, &[]));
        assert_eq!((clock.at(8.0), clock.ends(), clock.name()), (8.0, (1.0, 10.0), "time (ms)"));
        assert_eq!(Clock::of(&raster(1, Vec::new(), 1, &[])).ends(), (0.0, 0.0));
    }
}
