//! Scans and their gradients: each block of units goes through all steps while its state stays in the
//! cache, and only input, spikes and their gradients pass through memory.
//!
//! Every part of a unit is a loop of its own over a block; parts that a unit does not have are empty
//! slices and cost nothing. The arithmetic is that of the reference in `crate::scan`, in the same order, so
//! outputs are equal bit for bit. Blocks do not depend on the number of threads, and sums are taken in a
//! fixed order.

mod backward;
mod block;
mod forward;
mod gradients;

pub(crate) use backward::backward;
pub(crate) use forward::forward;

/// Units that one thread takes through all steps at a time: their state stays in the first-level cache.
const LANES: usize = 512;

#[cfg(test)]
mod tests;
