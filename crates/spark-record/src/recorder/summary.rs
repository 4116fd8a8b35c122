//! Statistics over units and steps.

use burn::tensor::Tensor;
use spark_kernels::host::{Moments, Spiking};

use super::seen::Seen;
use crate::window::Statistic;

/// What is known of a stretch of steps, by group of units.
#[derive(Debug)]
pub(super) struct Summary {
    /// First unit of each group, and the number of units at the end.
    bounds: Vec<usize>,
    statistics: Vec<Statistic>,
    groups: Vec<Moments>,
    /// Which units were not zero, where that is asked for.
    active: Vec<bool>,
    device: Option<OnDevice>,
    steps: u64,
    /// Duration of a step in seconds.
    seconds: f64,
}

/// The same by unit, where the values are.
#[derive(Debug)]
struct OnDevice {
    /// The values of the first step, from which differences are taken.
    first: Tensor<1>,
    sum: Tensor<1>,
    squares: Tensor<1>,
    min: Tensor<1>,
    max: Tensor<1>,
}

impl Summary {
    /// * `groups`: first units of the groups.
    /// * `units`: number of units.
    /// * `dt`: duration of a step in ms.
    pub fn new(groups: &[usize], units: usize, statistics: &[Statistic], dt: f64) -> Self {
        let bounds: Vec<usize> = groups.iter().copied().chain([units]).collect();
        let active = if statistics.contains(&Statistic::Active) { vec![false; units] } else { Vec::new() };
        Self {
            groups: vec![Moments::default(); groups.len()],
            bounds,
            statistics: statistics.to_vec(),
            active,
            device: None,
            steps: 0,
            seconds: dt / 1000.0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Adds a step.
    pub fn see(&mut self, seen: Seen<'_>) {
        self.steps += 1;
        match seen {
            Seen::Spikes(spikes) => self.see_spikes(spikes),
            Seen::Values(values) => self.see_values(&values),
            Seen::Device(values) => self.see_tensor(values),
        }
    }

    /// Only what spikes is looked at.
    fn see_spikes(&mut self, spikes: &Spiking) {
        let active = spikes.active();
        let mut from = 0;
        for (group, moments) in self.groups.iter_mut().enumerate() {
            let (start, end) = (self.bounds[group], self.bounds[group + 1]);
            let to = from + active[from..].partition_point(|unit| (*unit as usize) < end);
            moments.repeat(1.0, (to - from) as u64);
            moments.repeat(0.0, (end - start - (to - from)) as u64);
            from = to;
        }
        if !self.active.is_empty() {
            active.iter().for_each(|unit| self.active[*unit as usize] = true);
        }
    }

    fn see_values(&mut self, values: &[f32]) {
        for (moments, bounds) in self.groups.iter_mut().zip(self.bounds.windows(2)) {
            moments.add(&values[bounds[0]..bounds[1]]);
        }
        for (active, value) in self.active.iter_mut().zip(values) {
            *active |= *value != 0.0;
        }
    }

    fn see_tensor(&mut self, x: Tensor<1>) {
        self.device = Some(match self.device.take() {
            None => {
                let nothing = x.zeros_like();
                OnDevice { first: x.clone(), sum: nothing.clone(), squares: nothing, min: x.clone(), max: x }
            }
            Some(OnDevice { first, sum, squares, min, max }) => {
                let difference = x.clone() - first.clone();
                OnDevice {
                    first,
                    sum: sum + difference.clone(),
                    squares: squares + difference.clone() * difference,
                    min: min.min_pair(x.clone()),
                    max: max.max_pair(x),
                }
            }
        });
    }

    /// Brings what is on a device to the host.
    fn settle(&mut self) {
        let Some(OnDevice { first, sum, squares, min, max }) = self.device.take() else { return };
        let planes = Tensor::stack::<2>(vec![first, sum, squares, min, max], 0).into_data();
        let planes: Vec<f32> = planes.iter().collect();
        let units = planes.len() / 5;
        let at = |plane: usize, unit: usize| planes[plane * units + unit];
        for (moments, bounds) in self.groups.iter_mut().zip(self.bounds.windows(2)) {
            for unit in bounds[0]..bounds[1] {
                let sums = [1, 2].map(|plane| f64::from(at(plane, unit)));
                moments.join(self.steps, at(0, unit), sums, [at(3, unit), at(4, unit)]);
            }
        }
        for (unit, active) in self.active.iter_mut().enumerate() {
            *active |= at(3, unit) != 0.0 || at(4, unit) != 0.0;
        }
    }

    /// The statistics of the steps since the last time, `[groups, statistics]`.
    pub fn take(&mut self, rows: &mut Vec<f32>) {
        self.settle();
        for (group, moments) in self.groups.iter().enumerate() {
            let (start, end) = (self.bounds[group], self.bounds[group + 1]);
            for statistic in &self.statistics {
                rows.push(match statistic {
                    Statistic::Mean => moments.mean() as f32,
                    Statistic::Std => moments.variance().sqrt() as f32,
                    Statistic::Min => moments.min(),
                    Statistic::Max => moments.max(),
                    Statistic::Active => {
                        let active = self.active[start..end].iter().filter(|active| **active).count();
                        (active as f64 / (end - start) as f64) as f32
                    }
                    Statistic::Rate => (moments.mean() / self.seconds) as f32,
                });
            }
        }
        self.groups.fill(Moments::default());
        self.active.fill(false);
        self.steps = 0;
    }
}
