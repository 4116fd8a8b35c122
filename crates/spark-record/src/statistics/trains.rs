//! The spikes of units over time.

use super::{Counts, cv, mean};
use crate::{Recording, StreamKind};

/// A time without gaps, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// When it begins.
    pub start: f64,
    /// When it ends.
    pub end: f64,
}

impl Stretch {
    /// How long it is, in ms.
    pub fn duration(&self) -> f64 {
        self.end - self.start
    }
}

/// When each of several units spiked, in one or more [`Stretch`]es: a triggered recording has gaps, and no interval is
/// measured across one.
///
/// # Examples
/// ```
/// use spark_record::statistics::SpikeTrains;
///
/// let trains = SpikeTrains::new(2, 0.0, 1000.0, [(10.0, 0), (30.0, 0), (70.0, 0), (500.0, 1)]);
/// assert_eq!(trains.rates(), [3.0, 1.0]);
/// assert_eq!(trains.intervals(0), [20.0, 40.0]);
/// assert_eq!(trains.irregularity().len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpikeTrains {
    trains: Vec<Vec<f64>>,
    stretches: Vec<Stretch>,
    /// The part of the time that was looked at, in ms: less than that of the stretches where steps were left out.
    observed: f64,
}

impl SpikeTrains {
    /// Spikes in one stretch.
    ///
    /// * `spikes`: time in ms and unit of each, in any order; what is outside is left out.
    pub fn new(units: usize, start: f64, end: f64, spikes: impl IntoIterator<Item = (f64, usize)>) -> Self {
        let end = end.max(start);
        let mut trains = vec![Vec::new(); units];
        for (time, unit) in spikes {
            if unit < units && (start..=end).contains(&time) {
                trains[unit].push(time);
            }
        }
        trains.iter_mut().for_each(|train| train.sort_unstable_by(f64::total_cmp));
        Self { trains, stretches: vec![Stretch { start, end }], observed: end - start }
    }

    /// The spikes of a raster; `None` for a recording of another kind.
    ///
    /// A spike of step s has the time s·dt, at the end of its step.
    pub fn of(recording: &Recording) -> Option<Self> {
        let stream = recording.stream();
        if stream.kind != StreamKind::Raster {
            return None;
        }
        let mut trains = vec![Vec::new(); stream.kept_units()];
        for (time, unit) in recording.spikes() {
            if let Some(train) = trains.get_mut(unit) {
                train.push(time);
            }
        }
        Some(Self {
            trains,
            stretches: stretches(recording),
            observed: recording.len() as f64 * recording.dt,
        })
    }

    /// Number of units.
    pub fn units(&self) -> usize {
        self.trains.len()
    }

    /// The times of a unit's spikes in ms.
    pub fn train(&self, unit: usize) -> &[f64] {
        &self.trains[unit]
    }

    /// When was looked at.
    pub fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }

    /// When the first stretch begins and the last one ends, in ms; zero where there is none.
    pub fn span(&self) -> (f64, f64) {
        let ends = self.stretches.first().zip(self.stretches.last());
        ends.map_or((0.0, 0.0), |(first, last)| (first.start, last.end))
    }

    /// Number of spikes.
    pub fn spikes(&self) -> usize {
        self.trains.iter().map(Vec::len).sum()
    }

    /// The rate of each unit in Hz: spikes over the time that was looked at. Zero where that is none.
    pub fn rates(&self) -> Vec<f64> {
        let per = if self.observed > 0.0 { 1000.0 / self.observed } else { 0.0 };
        self.trains.iter().map(|train| train.len() as f64 * per).collect()
    }

    /// The mean rate of the units over time: when each bin begins and ends, in ms, and the rate in Hz.
    ///
    /// * `bin`: width in ms. The last bin of a stretch ends with it, and may be shorter.
    ///
    /// # Examples
    /// ```
    /// use spark_record::statistics::SpikeTrains;
    ///
    /// let trains = SpikeTrains::new(2, 0.0, 20.0, [(1.0, 0), (2.0, 1), (9.0, 0)]);
    /// assert_eq!(trains.rate_over_time(10.0), [(0.0, 10.0, 150.0), (10.0, 20.0, 0.0)]);
    /// ```
    pub fn rate_over_time(&self, bin: f64) -> Vec<(f64, f64, f64)> {
        let per_unit = 1000.0 / self.units().max(1) as f64;
        let mut rates = Vec::new();
        for stretch in &self.stretches {
            let bins = bins(stretch.duration() / bin, f64::ceil);
            let mut counts = vec![0_usize; bins];
            for time in self.trains.iter().flat_map(|train| within(train, *stretch)) {
                counts[place(time - stretch.start, bin, bins)] += 1;
            }
            // Steps that were left out have no spikes: what was seen stands for them.
            let share = if self.observed > 0.0 { self.duration() / self.observed } else { 1.0 };
            rates.extend(counts.into_iter().enumerate().map(|(at, count)| {
                let from = stretch.start + at as f64 * bin;
                let to = (from + bin).min(stretch.end);
                (from, to, share * count as f64 * per_unit / (to - from))
            }));
        }
        rates
    }

    fn duration(&self) -> f64 {
        self.stretches.iter().map(Stretch::duration).sum()
    }

    /// A width of bins that suits the time and the number of spikes: about 200 bins, 1, 2 or 5 times a power of ten in ms,
    /// no shorter than 1 ms.
    ///
    /// # Examples
    /// ```
    /// use spark_record::statistics::SpikeTrains;
    ///
    /// assert_eq!(SpikeTrains::new(1, 0.0, 100.0, []).bin(), 1.0);
    /// assert_eq!(SpikeTrains::new(1, 0.0, 10_000.0, []).bin(), 50.0);
    /// ```
    pub fn bin(&self) -> f64 {
        let rough = self.duration() / 200.0;
        let power = 10_f64.powf(rough.max(1.0).log10().floor());
        let widths = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        widths.into_iter().find(|width| *width >= rough * 0.999).unwrap_or(1.0)
    }

    /// The intervals between a unit's spikes in ms, in their order; none across a gap.
    pub fn intervals(&self, unit: usize) -> Vec<f64> {
        let of = |stretch: &Stretch| {
            let train = within(&self.trains[unit], *stretch);
            train.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>()
        };
        self.stretches.iter().flat_map(of).collect()
    }

    /// The intervals between spikes of all units in ms.
    pub fn all_intervals(&self) -> Vec<f64> {
        (0..self.units()).flat_map(|unit| self.intervals(unit)).collect()
    }

    /// The coefficient of variation of the intervals of each unit that has two intervals at least.
    pub fn irregularity(&self) -> Vec<f64> {
        (0..self.units()).filter_map(|unit| cv(&self.intervals(unit))).collect()
    }

    /// Spikes by unit and bin. Bins lie within stretches: what is left of one after its last whole bin does not count.
    ///
    /// * `bin`: width in ms.
    pub fn counts(&self, bin: f64) -> Counts {
        let bins_of: Vec<usize> =
            self.stretches.iter().map(|s| bins(s.duration() / bin + 1e-9, f64::floor)).collect();
        let all = bins_of.iter().sum();
        let mut counts = Counts::zeros(self.units(), all, bin);
        let mut first = 0;
        for (stretch, bins) in self.stretches.iter().zip(bins_of) {
            for (unit, train) in self.trains.iter().enumerate() {
                for time in within(train, *stretch) {
                    let at = place(time - stretch.start, bin, usize::MAX);
                    if at < bins {
                        counts.add(unit, first + at);
                    }
                }
            }
            first += bins;
        }
        counts
    }

    /// The mean of the Fano factors of the units, Var(n) / ⟨n⟩ of the number n of spikes in a bin: 1 for a Poisson
    /// process. `None` where no unit spikes or there is one bin alone.
    ///
    /// # Examples
    /// ```
    /// use spark_record::statistics::SpikeTrains;
    ///
    /// let regular = SpikeTrains::new(1, 0.0, 100.0, (0..50).map(|k| (f64::from(2 * k) + 1.0, 0)));
    /// assert_eq!(regular.fano(10.0), Some(0.0));
    /// ```
    pub fn fano(&self, bin: f64) -> Option<f64> {
        let counts = self.counts(bin);
        mean((0..self.units()).filter_map(|unit| counts.fano(unit)))
    }
}

/// The time that a recording covers, without its gaps.
pub(crate) fn stretches(recording: &Recording) -> Vec<Stretch> {
    let stride = recording.stream().stride.max(1);
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut before = None;
    for step in &recording.rows.steps {
        let end = *step as f64 * recording.dt;
        match stretches.last_mut() {
            Some(stretch) if before == step.checked_sub(stride) => stretch.end = end,
            _ => stretches.push(Stretch { start: step.saturating_sub(stride) as f64 * recording.dt, end }),
        }
        before = Some(*step);
    }
    stretches
}

/// The spikes in a stretch. A spike that ends a step belongs to the stretch that the step ends.
fn within(train: &[f64], stretch: Stretch) -> &[f64] {
    let slack = 1e-9 * stretch.end.abs().max(1.0);
    let first = train.partition_point(|time| *time < stretch.start - slack);
    let last = train.partition_point(|time| *time <= stretch.end + slack);
    &train[first..last.max(first)]
}

fn bins(count: f64, round: fn(f64) -> f64) -> usize {
    if count.is_finite() { round(count).max(0.0) as usize } else { 0 }
}

/// The bin of a time since the stretch began. As spikes stand at the ends of steps, an edge belongs to the bin before.
fn place(time: f64, bin: f64, bins: usize) -> usize {
    let place = (time / bin - 1e-9).ceil().max(1.0) as usize - 1;
    place.min(bins.saturating_sub(1))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{Rows, Stream};
    use burn::tensor::TensorData;

    /// A raster of steps and units.
    pub(crate) fn raster(units: usize, steps: Vec<u64>, stride: u64, spikes: &[(u64, usize)]) -> Recording {
        let width = units.div_ceil(8);
        let mut bytes = vec![0_u8; steps.len() * width];
        for (step, unit) in spikes {
            let row = steps.iter().position(|one| one == step).unwrap();
            bytes[row * width + unit / 8] |= 1 << (unit % 8);
        }
        let stream = Stream {
            name: "pool.out_spikes".into(),
            address: "pool.out_spikes".into(),
            kind: StreamKind::Raster,
            unit: None,
            shape: vec![units],
            units: None,
            groups: Vec::new(),
            statistics: Vec::new(),
            stride,
        };
        let data = TensorData::new(bytes, [steps.len(), width]);
        Recording { measurement: "activity".into(), dt: 0.5, rows: Rows { stream, steps, data } }
    }

    #[test]
    fn a_gap_is_no_interval_and_no_time() {
        let steps: Vec<u64> = (1..=10).chain(101..=110).collect();
        let trains =
            SpikeTrains::of(&raster(9, steps, 1, &[(2, 8), (6, 8), (101, 8), (103, 8), (110, 8)])).unwrap();
        assert_eq!(
            trains.stretches(),
            [Stretch { start: 0.0, end: 5.0 }, Stretch { start: 50.0, end: 55.0 }]
        );
        assert_eq!(trains.intervals(8), [2.0, 1.0, 3.5]);
        assert_eq!(trains.rates()[8], 500.0);
        assert_eq!(trains.span(), (0.0, 55.0));
        assert_eq!(trains.counts(2.5).of(8), [1.0, 1.0, 2.0, 1.0]);
        // Bins of 4 ms leave out the last ms of both stretches.
        assert_eq!(trains.counts(4.0).of(8), [2.0, 2.0]);
    }

    #[test]
    fn steps_that_were_left_out_do_not_lower_rates() {
        let trains = SpikeTrains::of(&raster(1, vec![4, 8, 12, 16], 4, &[(4, 0), (12, 0)])).unwrap();
        assert_eq!(trains.stretches(), [Stretch { start: 0.0, end: 8.0 }]);
        assert_eq!(trains.rates(), [1000.0]);
        assert_eq!(trains.rate_over_time(8.0), [(0.0, 8.0, 1000.0)]);
    }

    #[test]
    fn every_spike_is_in_one_bin() {
        let spikes: Vec<(u64, usize)> = (1..=200).map(|step| (step, (step % 3) as usize)).collect();
        let trains = SpikeTrains::of(&raster(3, (1..=200).collect(), 1, &spikes)).unwrap();
        for bin in [0.5, 1.0, 2.5, 50.0] {
            let counts = trains.counts(bin);
            let all: f32 = (0..3).flat_map(|unit| counts.of(unit).to_vec()).sum();
            assert_eq!((all, counts.bins()), (200.0, (100.0 / bin) as usize));
            let rate = mean(trains.rate_over_time(bin).into_iter().map(|bin| bin.2)).unwrap();
            assert!((rate - 2000.0 / 3.0).abs() < 1e-6, "{rate}");
        }
    }

    #[test]
    fn nothing_has_no_statistics() {
        let none = SpikeTrains::of(&raster(2, Vec::new(), 1, &[])).unwrap();
        assert_eq!((none.rates(), none.span(), none.fano(1.0)), (vec![0.0; 2], (0.0, 0.0), None));
        assert!(none.all_intervals().is_empty() && none.rate_over_time(1.0).is_empty());
        let mut other = raster(2, vec![1], 1, &[]);
        other.rows.stream.kind = StreamKind::Trace;
        assert_eq!(SpikeTrains::of(&other), None);
    }
}
