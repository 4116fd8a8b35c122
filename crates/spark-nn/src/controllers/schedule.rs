//! Which modules of a brain run at the same time.

use burn::tensor::Device;
use spark_core::DeviceChoice;
use std::time::{Duration, Instant};

use super::controller::Node;

/// Steps that are measured before anything is decided.
const MEASURED: u32 = 24;

/// What a step has to take before a second thread is worth waking.
const WORTHWHILE: Duration = Duration::from_micros(30);

/// Modules of a brain read what was there before the step, so they can run in any order and at the same time:
/// the results are the same. Which ones share a thread follows from how long they took in the first steps.
#[derive(Debug, Default)]
pub struct Schedule {
    /// Time of each module so far; empty where modules run one after the other in any case.
    spent: Vec<Duration>,
    /// Steps still to measure, counted down for each module.
    left: u32,
    /// The thread of each module, once that is decided.
    thread: Option<Vec<usize>>,
}

impl Schedule {
    /// To be decided for so many modules.
    pub fn new(modules: usize, device: &Device) -> Self {
        let host = [DeviceChoice::Flex, DeviceChoice::NdArray].map(DeviceChoice::resolve);
        let on_host = host.iter().any(|host| host.as_ref() == Ok(device));
        // Launches on a GPU wait for nobody.
        if !on_host || modules < 2 || rayon::current_num_threads() < 2 {
            return Self::default();
        }
        Self { spent: vec![Duration::ZERO; modules], left: MEASURED * modules as u32, thread: None }
    }

    /// Runs a module, and measures it as long as nothing is decided.
    pub fn timed(&mut self, module: usize, run: impl FnOnce()) {
        if self.left == 0 {
            return run();
        }
        let start = Instant::now();
        run();
        self.left -= 1;
        // The first steps fill caches and ask for memory.
        if self.left < MEASURED / 2 * self.spent.len() as u32 {
            self.spent[module] += start.elapsed();
        }
        if self.left == 0 {
            self.decide();
        }
    }

    /// The longest modules first, each to the thread that has least to do.
    fn decide(&mut self) {
        let total: Duration = self.spent.iter().sum::<Duration>() / (MEASURED / 2);
        let longest = self.spent.iter().max().copied().unwrap_or_default() / (MEASURED / 2);
        if total < WORTHWHILE || longest * 5 > total * 4 {
            return;
        }
        let mut order: Vec<usize> = (0..self.spent.len()).collect();
        order.sort_by_key(|module| std::cmp::Reverse(self.spent[*module]));
        let mut load = vec![Duration::ZERO; rayon::current_num_threads().min(order.len())];
        let mut thread = vec![0; order.len()];
        for module in order {
            let least = (0..load.len()).min_by_key(|thread| load[*thread]).unwrap_or_default();
            thread[module] = least;
            load[least] += self.spent[module];
        }
        self.thread = Some(thread);
    }

    /// Runs all modules if they are to run at the same time.
    pub fn run_in_parallel(&self, nodes: &mut [Node]) -> bool {
        let Some(thread) = &self.thread else { return false };
        let mut own = Vec::with_capacity(nodes.len());
        let mut others: Vec<Vec<&mut Node>> = Vec::new();
        for (node, thread) in nodes.iter_mut().zip(thread) {
            match thread {
                0 => own.push(node),
                thread => {
                    if others.len() < *thread {
                        others.resize_with(*thread, Vec::new);
                    }
                    others[thread - 1].push(node);
                }
            }
        }
        rayon::in_place_scope(|scope| {
            for share in others {
                scope.spawn(move |_| share.into_iter().for_each(Node::run));
            }
            own.into_iter().for_each(Node::run);
        });
        true
    }
}
