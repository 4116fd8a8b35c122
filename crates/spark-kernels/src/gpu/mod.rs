//! Kernels for the backends that compile for the device at run time.

pub(crate) mod synapses;
