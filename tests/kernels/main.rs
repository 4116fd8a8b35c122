//! The operations on every backend: fused against composed bodies, gradients against Burn's own autodiff,
//! recorded runs, and independence of the number of threads.
#![recursion_limit = "256"] // The kernel compiler of the GPU backends nests its types deeply.

#[path = "../support/mod.rs"]
mod support;

mod components;
mod conductances;
mod gpu_products;
mod images;
mod interfaces;
mod layers;
mod learning;
mod online;
mod products;
mod recording;
mod scans;
mod surrogates;
