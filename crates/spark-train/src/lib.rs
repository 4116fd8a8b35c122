//! Training by surrogate gradient: data, encoders, losses, optimizers and the epoch loop.
//!
//! [`TrainConfig`] describes an experiment, [`Trainer`] runs it: on any device, reproducibly under its
//! seed, resumable at any step. The pieces work alone too:
//!
//! * [`data`]: labelled images, sequences and event recordings from files, and real digits and speech that ship
//!   with Spark.
//! * [`Encoding`]: numbers to spike trains; [`Batches`]: samples to input sequences, ahead of time.
//! * [`Loss`]: spike counts, rates and membrane potentials against labels.
//! * [`Optimizer`]: Burn's optimizers over a network, with state that a checkpoint can hold.
//! * [`Evaluator`]: accuracy, confusion and firing rates.

mod batches;
mod config;
pub mod data;
mod encoding;
mod error;
mod evaluation;
mod event;
mod learner;
mod loss;
mod optimizer;
mod restore;
mod run;
mod schedule;
mod trainer;

pub use batches::{Batch, Batches};
pub use config::{DataConfig, TrainConfig};
pub use encoding::{Encoded, Encoder, Encoding, PopulationCode, Purpose};
pub use error::TrainError;
pub use evaluation::{Evaluation, Evaluator, Prediction};
pub use event::{EpochRecord, Event, Observer};
pub use learner::{Learner, NotFinite, StepResult};
pub use loss::Loss;
pub use optimizer::{GradientClip, Optimizer, OptimizerConfig, OptimizerState, gradient_norm};
pub use restore::{config_of, restore, untrained};
pub use run::RunFolder;
pub use schedule::Schedule;
pub use trainer::{Outcome, Progress, Trainer};
