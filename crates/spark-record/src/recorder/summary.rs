//! Statistics over units and steps.

use burn::tensor::Tensor;
use spark_kernels::host::Spiking;

use super::seen::Seen;
use crate::window::Statistic;

/// Values that are added up side by side, so that the sums of neighbours do not wait for each other.
const LANES: usize = 16;

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

#[derive(Clone, Copy, Debug)]
struct Moments {
    sum: f64,
    squares: f64,
    min: f32,
    max: f32,
}

impl Default for Moments {
    fn default() -> Self {
        Self { sum: 0.0, squares: 0.0, min: f32::INFINITY, max: f32::NEG_INFINITY }
    }
}

/// The same by unit, where the values are.
#[derive(Debug)]
struct OnDevice {
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
            let count = (to - from) as f64;
            moments.sum += count;
            moments.squares += count;
            moments.max = moments.max.max(f32::from(u8::from(to > from)));
            moments.min = moments.min.min(f32::from(u8::from(to - from == end - start)));
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
            None => OnDevice { sum: x.clone(), squares: x.clone() * x.clone(), min: x.clone(), max: x },
            Some(OnDevice { sum, squares, min, max }) => OnDevice {
                sum: sum + x.clone(),
                squares: squares + x.clone() * x.clone(),
                min: min.min_pair(x.clone()),
                max: max.max_pair(x),
            },
        });
    }

    /// Brings what is on a device to the host.
    fn settle(&mut self) {
        let Some(OnDevice { sum, squares, min, max }) = self.device.take() else { return };
        let planes = Tensor::stack::<2>(vec![sum, squares, min, max], 0).into_data();
        let planes: Vec<f32> = planes.iter().collect();
        let units = planes.len() / 4;
        for (moments, bounds) in self.groups.iter_mut().zip(self.bounds.windows(2)) {
            for unit in bounds[0]..bounds[1] {
                moments.sum += f64::from(planes[unit]);
                moments.squares += f64::from(planes[units + unit]);
                moments.min = moments.min.min(planes[2 * units + unit]);
                moments.max = moments.max.max(planes[3 * units + unit]);
            }
        }
        // A value that is not zero has a square that is not.
        for (active, square) in self.active.iter_mut().zip(&planes[units..2 * units]) {
            *active |= *square != 0.0;
        }
    }

    /// The statistics of the steps since the last time, `[groups, statistics]`.
    pub fn take(&mut self, rows: &mut Vec<f32>) {
        self.settle();
        for (group, moments) in self.groups.iter().enumerate() {
            let (start, end) = (self.bounds[group], self.bounds[group + 1]);
            let units = (end - start) as f64;
            let count = units * self.steps as f64;
            let mean = moments.sum / count;
            for statistic in &self.statistics {
                rows.push(match statistic {
                    Statistic::Mean => mean as f32,
                    Statistic::Std => (moments.squares / count - mean * mean).max(0.0).sqrt() as f32,
                    Statistic::Min => moments.min,
                    Statistic::Max => moments.max,
                    Statistic::Active => {
                        let active = self.active[start..end].iter().filter(|active| **active).count();
                        (active as f64 / units) as f32
                    }
                    Statistic::Rate => (mean / self.seconds) as f32,
                });
            }
        }
        self.groups.fill(Moments::default());
        self.active.fill(false);
        self.steps = 0;
    }
}

impl Moments {
    fn add(&mut self, values: &[f32]) {
        let (blocks, rest) = values.as_chunks::<LANES>();
        let (mut sum, mut squares) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (mut min, mut max) = ([f32::INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
        for block in blocks {
            for lane in 0..LANES {
                let x = block[lane];
                sum[lane] += x;
                squares[lane] += x * x;
                min[lane] = if x < min[lane] { x } else { min[lane] };
                max[lane] = if x > max[lane] { x } else { max[lane] };
            }
        }
        for x in rest {
            sum[0] += x;
            squares[0] += x * x;
            min[0] = min[0].min(*x);
            max[0] = max[0].max(*x);
        }
        self.sum += sum.iter().map(|x| f64::from(*x)).sum::<f64>();
        self.squares += squares.iter().map(|x| f64::from(*x)).sum::<f64>();
        self.min = min.iter().copied().fold(self.min, f32::min);
        self.max = max.iter().copied().fold(self.max, f32::max);
    }
}
