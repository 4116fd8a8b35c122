//! Which modules of a brain run at the same time.

use burn::tensor::Device;
use spark_core::device::is_cpu;
use std::time::{Duration, Instant};

/// Steps that are measured before anything is decided, of each way; the first half fills caches and wakes
/// threads.
const MEASURED: u32 = 32;

/// Steps after which it is decided anew: activity changes, and so does what else the machine has to do.
const PERIOD: u32 = 20_000;

/// What a step has to take before a second thread is worth trying.
const WORTHWHILE: Duration = Duration::from_micros(15);

/// Modules of a brain read what was there before the step, so they can run in any order and at the same time:
/// the results are the same. Whether several threads run them, and which modules share one, follows from how
/// long steps take one way and the other.
#[derive(Debug, Default)]
pub struct Schedule {
    phase: Phase,
    /// Time of each module while they run one after the other.
    spent: Vec<Duration>,
    /// The thread of each module.
    thread: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Phase {
    /// One after the other in any case.
    #[default]
    Alone,
    /// One after the other, to see how long each takes; so many steps are left.
    One { left: u32 },
    /// On several threads, to see how long all take.
    Many { left: u32, spent: Duration },
    /// As decided, for so many steps.
    Decided { many: bool, left: u32 },
}

impl Schedule {
    /// To be decided for so many modules.
    pub fn new(modules: usize, device: &Device) -> Self {
        // Launches on a GPU wait for nobody.
        if !is_cpu(device) || modules < 2 || rayon::current_num_threads() < 2 {
            return Self::default();
        }
        Self {
            phase: Phase::One { left: MEASURED },
            spent: vec![Duration::ZERO; modules],
            thread: Vec::new(),
        }
    }

    /// Whether modules run one after the other in any case.
    pub fn is_alone(&self) -> bool {
        matches!(self.phase, Phase::Alone)
    }

    /// Runs all modules.
    pub fn run<T: Send>(&mut self, modules: &mut [T], run: impl Fn(&mut T) + Sync) {
        self.phase = match self.phase {
            Phase::Alone => {
                modules.iter_mut().for_each(run);
                Phase::Alone
            }
            Phase::One { left } => {
                for (module, spent) in modules.iter_mut().zip(&mut self.spent) {
                    let start = Instant::now();
                    run(module);
                    if left <= MEASURED / 2 {
                        *spent += start.elapsed();
                    }
                }
                if left > 1 { Phase::One { left: left - 1 } } else { self.deal() }
            }
            Phase::Many { left, mut spent } => {
                let start = Instant::now();
                self.run_on_threads(modules, run);
                if left <= MEASURED / 2 {
                    spent += start.elapsed();
                }
                let one: Duration = self.spent.iter().sum();
                match left {
                    // Close calls are better made by one.
                    0 | 1 => Phase::Decided { many: spent * 10 < one * 9, left: PERIOD },
                    left => Phase::Many { left: left - 1, spent },
                }
            }
            Phase::Decided { many, left } => {
                if many {
                    self.run_on_threads(modules, run);
                } else {
                    modules.iter_mut().for_each(run);
                }
                match left {
                    0 | 1 => {
                        self.spent.fill(Duration::ZERO);
                        Phase::One { left: MEASURED }
                    }
                    left => Phase::Decided { many, left: left - 1 },
                }
            }
        };
    }

    /// Deals modules to threads: the longest first, each to the thread that has least to do.
    fn deal(&mut self) -> Phase {
        let total = self.spent.iter().sum::<Duration>();
        let longest = self.spent.iter().max().copied().unwrap_or_default();
        if total < WORTHWHILE * (MEASURED / 2) || longest * 5 > total * 4 {
            return Phase::Decided { many: false, left: PERIOD };
        }
        let mut order: Vec<usize> = (0..self.spent.len()).collect();
        order.sort_by_key(|module| std::cmp::Reverse(self.spent[*module]));
        let mut load = vec![Duration::ZERO; rayon::current_num_threads().min(order.len())];
        self.thread = vec![0; order.len()];
        for module in order {
            let least = (0..load.len()).min_by_key(|thread| load[*thread]).unwrap_or_default();
            self.thread[module] = least;
            load[least] += self.spent[module];
        }
        Phase::Many { left: MEASURED, spent: Duration::ZERO }
    }

    /// Runs modules on the threads that they were dealt to.
    fn run_on_threads<T: Send>(&self, modules: &mut [T], run: impl Fn(&mut T) + Sync) {
        let mut own = Vec::with_capacity(modules.len());
        let mut others: Vec<Vec<&mut T>> = Vec::new();
        for (module, thread) in modules.iter_mut().zip(&self.thread) {
            match thread {
                0 => own.push(module),
                thread => {
                    if others.len() < *thread {
                        others.resize_with(*thread, Vec::new);
                    }
                    others[thread - 1].push(module);
                }
            }
        }
        let run = &run;
        rayon::in_place_scope(|scope| {
            for share in others {
                scope.spawn(move |_| share.into_iter().for_each(run));
            }
            own.into_iter().for_each(run);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every module runs once in every step, in whatever phase.
    #[test]
    fn modules_run_once_a_step_in_every_phase() {
        let mut schedule = Schedule::new(5, &Device::flex());
        let mut counts = vec![0u32; 5];
        let steps = 3 * MEASURED;
        for _ in 0..steps {
            schedule.run(&mut counts, |count| {
                *count += 1;
                std::thread::sleep(Duration::from_micros(20));
            });
        }
        assert_eq!(counts, [steps; 5]);
        let decided = matches!(schedule.phase, Phase::Decided { .. });
        assert!(decided || schedule.is_alone(), "{:?}", schedule.phase);
    }
}
