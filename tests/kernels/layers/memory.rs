//! What is left behind by a batch: nothing.

use super::{network, random};
use serde_json::json;
use spark::burn::tensor::Device;
use spark::prelude::*;
use spark::train::{Learner, Optimizer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::process::Command;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

/// The system's allocator, which knows how much is in use.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: hands every call on unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promises are those of the inner allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the memory came from the inner allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Other tests of this program would be counted too: this one runs in a process of its own.
#[test]
fn memory_is_flat_over_a_thousand_batches() {
    let program = std::env::current_exe().expect("a test knows its program");
    let status = Command::new(program)
        .args(["--exact", "layers::memory::a_thousand_batches", "--ignored", "--test-threads=1"])
        .status()
        .expect("the test program runs");
    assert!(status.success());
}

#[test]
#[ignore = "run by memory_is_flat_over_a_thousand_batches"]
fn a_thousand_batches() {
    let device = Device::flex().autodiff();
    let layers = [
        json!({"kind": "dense", "units": 12}),
        json!({"kind": "batch_norm"}),
        json!({"kind": "recurrent", "units": {"kind": "synaptic", "threshold": 0.4, "learn_decay": true}}),
        json!({"kind": "dropout", "probability": 0.2}),
        json!({"kind": "dense", "units": 6, "weight": {"kind": "fan_in", "gain": 500.0}}),
        json!({"kind": "physical", "component": "LeakySoma", "learn": [{"parameter": "membrane.tau", "min": 1.0}]}),
        json!({"kind": "dense", "units": 3}),
        json!({"kind": "leaky", "learn_threshold": true}),
    ];
    let network = network(&[10], &layers, &device);
    let optimizer = Optimizer::new(&OptimizerConfig::default(), None);
    let mut learner = Learner::new(network, optimizer, Loss::default());
    let input = random([6, 4, 10], [0.0, 1.0], "input", &device);
    let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0], &device);
    let mut batches = |count: usize| {
        for _ in 0..count {
            learner.step(input.clone(), labels.clone(), 1e-3).expect("finite numbers");
            // Graphs that nobody walks back, and states that nobody takes up.
            drop(learner.network.forward(input.clone(), None));
            drop(learner.network.valid().forward(input.clone().inner(), None));
        }
        LIVE.load(Relaxed)
    };
    let settled = batches(100);
    let after = batches(1000);
    // Threads and tables of the runtime settle slowly; one kept batch would be 1,000 times several kilobytes.
    assert!(after - settled < 100_000, "{settled} bytes in use, {after} after 1,000 batches more");
}
