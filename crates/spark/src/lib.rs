//! Spark: a spiking-neural-network toolkit on Burn.
//!
//! This crate gathers the others under one name.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`kernels`] | fused spiking operations for every backend |
//! | [`core`] | devices, seeds, initializers, validated configuration |
//! | [`nn`] | spiking layers and networks |
//! | [`train`] | data, encoders, losses, optimizers and the epoch loop |
//! | [`io`] | checkpoints in safetensors |
//! | [`memory`] | an allocator that suits training on the CPU |
//! | [`record`] | pictures |
//!
//! # Examples
//! Eight random spike trains through a network of 512 hidden units, with gradients:
//! ```
//! use spark::prelude::*;
//!
//! let device = "flex".parse::<DeviceChoice>()?.resolve()?.autodiff();
//! let network = NetworkConfig::mlp(&[784, 512, 10], LeakyConfig::default()).init(1, &device)?;
//! let input = Tensor::<3>::ones([25, 8, 784], &device);
//! let output = network.forward(input, None);
//! let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 3, 4, 5, 6, 7], &device);
//! let loss = Loss::CountCrossEntropy {};
//! let gradients = loss.judge(&output, labels).loss.backward();
//! let Layer::Dense(first) = &network.layers[0] else { unreachable!() };
//! assert_eq!(first.weight.grad(&gradients).unwrap().dims(), [784, 512]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

/// The README, so that its program compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

pub use burn;

pub mod memory;

pub use spark_core as core;
pub use spark_io as io;
pub use spark_kernels as kernels;
pub use spark_nn as nn;
pub use spark_record as record;
pub use spark_train as train;

/// What most programs import.
pub mod prelude {
    pub use burn::module::Module;
    pub use burn::tensor::{Bool, Device, Int, Tensor};
    pub use spark_core::{DeviceChoice, Initializer};
    pub use spark_io::Checkpoint;
    pub use spark_kernels::{Reset, Surrogate};
    pub use spark_nn::layers::{
        Conv2dConfig, DenseConfig, Layer, LayerConfig, Leaky, LeakyConfig, LeakyState, MaxPool2dConfig,
        Network, NetworkConfig, Stateful, Temporal,
    };
    pub use spark_train::{
        Encoding, Event, Loss, OptimizerConfig, Outcome, RunFolder, Schedule, TrainConfig, Trainer,
    };
}
