//! The flags of `spark train` that change its configuration.

use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use spark::core::config;
use spark::nn::layers::{DelayedDenseConfig, DenseConfig, LayerConfig, LeakyConfig, NetworkConfig};
use spark::prelude::{Encoding, Loss, OptimizerConfig, Reset, Schedule, Surrogate, TrainConfig};
use spark::train::data::{Task, TaskData};
use spark::train::{GradientClip, LearningRule, TrainError};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Each one overrides a field of the configuration; see `--print-config` for all fields.
#[derive(clap::Args, Clone)]
#[command(next_help_heading = "Configuration (overrides --config)")]
pub struct Flags {
    /// What to learn: mnist (digits), japanese-vowels (speakers) or recall (made-up sequences that need memory),
    /// which ship with spark; saccades (simulated event camera); or a folder or file: IDX, .ts series, .npz,
    /// .safetensors, .csv or .npy arrays, .h5 spiking speech, folders of PNG pictures or event recordings
    #[arg(long, value_name = "NAME|PATH", value_parser = task)]
    task: Option<Chosen>,
    /// Folder or file with the data of the task; with the default task one in the layout of MNIST
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
    /// Show images row by row, as sequences
    #[arg(long)]
    rows: bool,
    /// Move training images by up to so many pixels
    #[arg(long, value_name = "PIXELS")]
    shift: Option<u16>,
    /// Use only the first N training and test samples
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Network: mlp is inputs-512-outputs, conv is 12C5-MP2-64C5-MP2-outputs, recurrent is inputs-256-outputs with
    /// hidden units that hear each other; or a file of one, as `network` of --print-config is written
    #[arg(long, value_name = "mlp|conv|recurrent|FILE.json", value_parser = model)]
    model: Option<Model>,
    /// Hidden units of an mlp or recurrent network, layer by layer, such as 512 or 256,128
    #[arg(long, value_name = "UNITS", value_delimiter = ',')]
    hidden: Option<Vec<usize>>,
    /// Learn a delay of up to so many steps at each dense synapse
    #[arg(long, value_name = "STEPS")]
    delays: Option<usize>,
    /// Time steps for which an image, or each frame of a sequence, is shown
    #[arg(long)]
    steps: Option<usize>,
    /// From samples to input sequences
    #[arg(long, value_enum)]
    encoding: Option<EncodingKind>,
    /// What is minimised
    #[arg(long, value_enum)]
    loss: Option<LossKind>,
    /// Learning rule: backpropagation through time, truncated (10 steps), or a rule that learns online
    #[arg(long, value_parser = rules())]
    rule: Option<LearningRule>,
    /// Membrane decay per step of every leaky layer, 0 to 1
    #[arg(long)]
    decay: Option<f32>,
    /// Threshold of every leaky layer
    #[arg(long)]
    threshold: Option<f32>,
    /// What a spike does to the membrane, in every leaky layer
    #[arg(long, value_enum)]
    reset: Option<ResetKind>,
    /// Surrogate derivative of every leaky layer
    #[arg(long, value_parser = surrogates())]
    surrogate: Option<Surrogate>,
    /// Train decay and threshold of every leaky layer too, one per unit
    #[arg(long)]
    learn_neurons: bool,
    /// Optimizer
    #[arg(long, value_enum)]
    optimizer: Option<OptimizerKind>,
    /// Learning rate
    #[arg(long, visible_alias = "lr", value_name = "RATE")]
    learning_rate: Option<f64>,
    /// How the learning rate changes
    #[arg(long, value_enum)]
    schedule: Option<ScheduleKind>,
    /// Scale gradients down to this norm
    #[arg(long, value_name = "NORM")]
    clip_norm: Option<f32>,
    /// Passes over the training samples
    #[arg(long)]
    epochs: Option<usize>,
    /// Samples per optimizer step
    #[arg(long)]
    batch: Option<usize>,
    /// Samples of a batch at a time, for less memory
    #[arg(long, value_name = "SAMPLES")]
    micro_batch: Option<usize>,
    /// Wake layers that never spike: scale up the synapses onto them
    #[arg(long)]
    revive: bool,
    /// Fraction of the training samples set aside to pick the best epoch
    #[arg(long, value_name = "FRACTION")]
    validation: Option<f64>,
    /// Stop after so many epochs without a better validation result
    #[arg(long, value_name = "EPOCHS")]
    patience: Option<usize>,
    /// Steps between checkpoints besides those after every epoch
    #[arg(long, value_name = "STEPS")]
    checkpoint_steps: Option<u64>,
    /// Seed of every random draw
    #[arg(long)]
    seed: Option<u64>,
}

/// A task, and where its files are.
#[derive(Clone)]
struct Chosen {
    task: Task,
    folder: Option<PathBuf>,
}

fn task(text: &str) -> Result<Chosen, String> {
    // Defaults of a task are those of its configuration.
    let named = |kind: &str| serde_json::from_value(serde_json::json!({ "kind": kind }));
    let task = match text {
        "mnist" | "recall" | "saccades" => named(text),
        "japanese-vowels" | "japanese_vowels" => named("japanese_vowels"),
        path => {
            let found = Task::at(Path::new(path)).map(|(task, folder)| Chosen { task, folder: Some(folder) });
            let expected = "mnist, japanese-vowels, recall, saccades";
            return found.map_err(|error| format!("not one of {expected}, and no data: {error}"));
        }
    };
    task.map(|task| Chosen { task, folder: None }).map_err(|error| error.to_string())
}

#[derive(Clone)]
enum Model {
    Mlp,
    Conv,
    Recurrent,
    /// As a file describes it.
    Given(Box<NetworkConfig>),
}

fn model(text: &str) -> Result<Model, String> {
    match text {
        "mlp" => Ok(Model::Mlp),
        "conv" => Ok(Model::Conv),
        "recurrent" => Ok(Model::Recurrent),
        file => match config::read(Path::new(file)) {
            Ok(network) => Ok(Model::Given(Box::new(network))),
            Err(error) => Err(format!("neither mlp, conv or recurrent nor a file of a network: {error}")),
        },
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum EncodingKind {
    Rate,
    Latency,
    LogLatency,
    Phase,
    Burst,
    Direct,
}

#[derive(Clone, Copy, ValueEnum)]
enum LossKind {
    Count,
    Step,
    Rate,
    Membrane,
    MeanMembrane,
    MembraneMse,
    FirstSpike,
}

#[derive(Clone, Copy, ValueEnum)]
enum ResetKind {
    Subtract,
    Zero,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum OptimizerKind {
    Adam,
    Adamw,
    Sgd,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScheduleKind {
    Constant,
    Cosine,
    Step,
}

impl Flags {
    /// Puts the flags over a configuration.
    ///
    /// A network that is not `given`, by a file or a checkpoint, is made to fit the data, which are then what comes
    /// back.
    ///
    /// # Errors
    /// When the data cannot be read, or a flag does not fit the task.
    pub fn apply(&self, config: &mut TrainConfig, given: bool) -> Result<Option<TaskData>, TrainError> {
        set(&mut config.seed, self.seed);
        self.apply_data(config)?;
        self.apply_encoding(config, given);
        let data = self.apply_network(config, given)?;
        set(&mut config.learning_rate, self.learning_rate);
        set(&mut config.epochs, self.epochs);
        set(&mut config.batch, self.batch);
        set(&mut config.validation, self.validation);
        set(&mut config.checkpoint_steps, self.checkpoint_steps);
        set(&mut config.rule, self.rule);
        config.guard.revive |= self.revive;
        if self.micro_batch.is_some() {
            config.micro_batch = self.micro_batch;
        }
        if self.patience.is_some() {
            config.patience = self.patience;
        }
        if let Some(max) = self.clip_norm {
            config.clip = Some(GradientClip::Norm { max });
        }
        let online = !given && !config.rule.is_backpropagation();
        // Rules that learn online take the loss of single steps, where rates have targets and counts are 0 or 1.
        set(&mut config.loss, self.loss.or(online.then_some(LossKind::Rate)).map(LossKind::config));
        set(&mut config.optimizer, self.optimizer.map(OptimizerKind::config));
        set(&mut config.schedule, self.schedule.map(ScheduleKind::config));
        Ok(data)
    }

    fn apply_data(&self, config: &mut TrainConfig) -> Result<(), TrainError> {
        if let Some(Chosen { task, folder }) = &self.task {
            (config.data.task, config.data.folder) = (task.clone(), folder.clone());
        }
        if self.data.is_some() {
            config.data.folder.clone_from(&self.data);
        }
        let other = |flag: &str, task: &Task| {
            TrainError::Mismatch(format!("{flag} is for images, not for the task `{}`", task.name()))
        };
        match &mut config.data.task {
            Task::Mnist { rows, shift, .. } => {
                *rows |= self.rows;
                set(shift, self.shift);
            }
            task if self.rows => return Err(other("--rows", task)),
            Task::Pictures { shift, .. } => set(shift, self.shift),
            task if self.shift.is_some() => return Err(other("--shift", task)),
            _ => {}
        }
        if self.limit.is_some() {
            config.data.train_limit = self.limit;
            config.data.test_limit = self.limit;
        }
        Ok(())
    }

    /// Frames of a sequence are shown for a step each, as they are, unless something else is said.
    fn apply_encoding(&self, config: &mut TrainConfig, given: bool) {
        if config.data.task.is_temporal() && !given {
            (config.steps, config.encoding) = (1, Encoding::Direct { gain: 1.0 });
        }
        set(&mut config.steps, self.steps);
        set(&mut config.encoding, self.encoding.map(EncodingKind::config));
    }

    fn apply_network(&self, config: &mut TrainConfig, given: bool) -> Result<Option<TaskData>, TrainError> {
        let mut loaded = None;
        let leaky = config.network.leaky_mut().next().cloned().unwrap_or_default();
        if let Some(Model::Given(network)) = &self.model {
            config.network = (**network).clone();
        } else if self.model.is_some() || self.hidden.is_some() || !given {
            let data = config.data.load(config.seed)?;
            let (frame, outputs) = (data.train.shape(), data.class_count());
            let inputs = config.encoding.inputs(frame.iter().product());
            let hidden = |default: usize| self.hidden.clone().unwrap_or_else(|| vec![default]);
            let recurrent = || NetworkConfig::recurrent(inputs, &hidden(256), outputs, leaky.clone());
            config.network = match self.model {
                Some(Model::Conv) => {
                    let step = config.encoding.shape(&frame);
                    let image = step.as_slice().try_into().map_err(|_| {
                        TrainError::Mismatch(format!(
                            "--model conv takes images, not frames of the shape {step:?}"
                        ))
                    })?;
                    NetworkConfig::conv(image, outputs, leaky)
                }
                Some(Model::Recurrent) => recurrent(),
                None if config.data.task.is_temporal() => recurrent(),
                _ => mlp(inputs, &hidden(512), outputs, leaky),
            };
            loaded = Some(data);
        }
        let network = &mut config.network;
        if let Some(max_delay) = self.delays {
            for layer in &mut network.layers {
                if let LayerConfig::Dense(dense) = layer {
                    let DenseConfig { units, bias, weight } = dense.clone();
                    let delayed = DelayedDenseConfig::new(units, max_delay);
                    *layer = LayerConfig::DelayedDense(DelayedDenseConfig { bias, weight, ..delayed });
                }
            }
        }
        for leaky in network.leaky_mut() {
            set(&mut leaky.decay, self.decay);
            set(&mut leaky.threshold, self.threshold);
            set(&mut leaky.reset, self.reset.map(ResetKind::config));
            set(&mut leaky.surrogate, self.surrogate);
            if self.learn_neurons {
                (leaky.learn_decay, leaky.learn_threshold, leaky.per_unit) = (true, true, true);
            }
        }
        Ok(loaded)
    }
}

fn mlp(inputs: usize, hidden: &[usize], outputs: usize, leaky: LeakyConfig) -> NetworkConfig {
    let sizes: Vec<usize> = std::iter::once(inputs).chain(hidden.iter().copied()).chain([outputs]).collect();
    NetworkConfig::mlp(&sizes, leaky)
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}

/// Every surrogate, by its name in configurations with dashes or underscores.
fn surrogates() -> impl TypedValueParser<Value = Surrogate> {
    static DASHED: LazyLock<Vec<String>> =
        LazyLock::new(|| Surrogate::PRESETS.map(|preset| preset.name().replace('_', "-")).into());
    let values: Vec<PossibleValue> = std::iter::zip(DASHED.iter(), Surrogate::PRESETS)
        .map(|(dashed, preset)| PossibleValue::new(dashed.as_str()).alias(preset.name()))
        .collect();
    PossibleValuesParser::new(values).try_map(|name| {
        let name = name.replace('-', "_");
        Surrogate::PRESETS.into_iter().find(|preset| preset.name() == name).ok_or("no such surrogate")
    })
}

/// Every learning rule, by its name.
fn rules() -> impl TypedValueParser<Value = LearningRule> {
    PossibleValuesParser::new(LearningRule::PRESETS.map(LearningRule::name)).try_map(|name| {
        LearningRule::PRESETS.into_iter().find(|rule| rule.name() == name).ok_or("no such rule")
    })
}

impl EncodingKind {
    fn config(self) -> Encoding {
        match self {
            Self::Rate => Encoding::Rate { gain: 1.0 },
            Self::Latency => Encoding::Latency { threshold: 0.01 },
            Self::LogLatency => Encoding::LogLatency { tau: 5.0, threshold: 0.01 },
            Self::Phase => Encoding::Phase { bits: 8 },
            Self::Burst => Encoding::Burst { spikes: 5, shortest: 2, longest: 5 },
            Self::Direct => Encoding::Direct { gain: 1.0 },
        }
    }
}

impl LossKind {
    fn config(self) -> Loss {
        match self {
            Self::Count => Loss::CountCrossEntropy {},
            Self::Step => Loss::StepCrossEntropy {},
            Self::Rate => Loss::RateMse { correct: 0.8, incorrect: 0.2 },
            Self::Membrane => Loss::MembraneCrossEntropy {},
            Self::MeanMembrane => Loss::MeanMembraneCrossEntropy {},
            Self::MembraneMse => Loss::MembraneMse { correct: 1.0, incorrect: 0.0 },
            Self::FirstSpike => Loss::FirstSpikeCrossEntropy {},
        }
    }
}

impl ResetKind {
    fn config(self) -> Reset {
        match self {
            Self::Subtract => Reset::Subtract,
            Self::Zero => Reset::Zero,
            Self::None => Reset::None,
        }
    }
}

impl OptimizerKind {
    fn config(self) -> OptimizerConfig {
        let (beta_1, beta_2, epsilon) = (0.9, 0.999, 1e-8);
        match self {
            Self::Adam => OptimizerConfig::Adam { beta_1, beta_2, epsilon },
            Self::Adamw => OptimizerConfig::AdamW { beta_1, beta_2, epsilon, weight_decay: 0.01 },
            Self::Sgd => OptimizerConfig::Sgd { momentum: 0.9 },
        }
    }
}

impl ScheduleKind {
    fn config(self) -> Schedule {
        match self {
            Self::Constant => Schedule::Constant {},
            Self::Cosine => Schedule::Cosine { floor: 0.0, warmup: 0 },
            Self::Step => Schedule::Step { epochs: 5, factor: 0.1 },
        }
    }
}
