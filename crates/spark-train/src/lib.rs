//! Training by surrogate gradient: data, encoders, losses, optimizers and the epoch loop.
//!
//! [`TrainConfig`] describes an experiment, [`Trainer`] runs it: on any device, reproducibly under its
//! seed, resumable at any step. The pieces work alone too:
//!
//! * [`data`]: labelled images, sequences and event recordings from files, and real digits and speech that ship
//!   with Spark.
//! * [`Encoding`]: numbers to spike trains; [`Batches`]: samples to input sequences, ahead of time.
//! * [`Loss`]: spike counts, rates, times and membrane potentials against labels; [`Penalty`]: how much a network
//!   may fire.
//! * [`Optimizer`]: Burn's optimizers over a network, with state that a checkpoint can hold.
//! * [`LearningRule`]: backpropagation through time, truncated or not, and rules that learn online.
//! * [`Evaluator`]: accuracy, confusion and firing rates; [`Cost`]: operations and energy.
//! * [`Guard`]: silent layers and exploding gradients.
//! * [`TrainedBrain`]: a trained network as a brain that goes on by itself, and learns by local rules.

mod batches;
mod brain;
mod config;
mod cost;
pub mod data;
mod encoding;
mod error;
mod evaluation;
mod event;
mod guard;
mod learner;
mod loss;
pub mod nir;
mod optimizer;
mod penalty;
mod report;
mod restore;
pub mod rules;
mod run;
mod schedule;
mod trainer;

pub use batches::{Batch, Batches};
pub use brain::{BrainError, BrainOptions, LocalRule, ThirdFactorOf, TrainedBrain};
pub use config::{DataConfig, TrainConfig};
pub use cost::{ADD_PJ, Activity, Cost, MULTIPLY_ADD_PJ};
pub use encoding::{Encoded, Encoder, Encoding, PopulationCode, Purpose};
pub use error::TrainError;
pub use evaluation::{Evaluation, Evaluator, Prediction};
pub use event::{EpochRecord, Event, Observer};
pub use guard::Guard;
pub use learner::{Learner, NotFinite, StepResult};
pub use loss::{Judged, Loss};
pub use optimizer::{GradientClip, Optimizer, OptimizerConfig, OptimizerState, gradient_norm};
pub use penalty::Penalty;
pub use restore::{config_of, restore, untrained};
pub use rules::LearningRule;
pub use run::RunFolder;
pub use schedule::Schedule;
pub use trainer::{Outcome, Progress, Trainer};
