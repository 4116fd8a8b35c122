//! One experiment, described.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_nn::layers::{LeakyConfig, NetworkConfig};
use std::path::PathBuf;

use crate::data::{DataError, Task, TaskData};
use crate::{
    Encoder, Encoding, Evaluator, GradientClip, Guard, LearningRule, Loss, OptimizerConfig, Penalty,
    Schedule, TrainError,
};

/// Inputs per batch over all steps: 64 GiB of numbers.
const MAX_INPUTS: usize = 1 << 34;

/// Everything that decides the result of a training run, apart from the device it runs on.
///
/// # Examples
/// ```
/// use spark_train::TrainConfig;
///
/// let config: TrainConfig = spark_core::config::parse(r#"{"epochs": 3, "seed": 7}"#, "example")?;
/// config.validate()?;
/// assert_eq!((config.epochs, config.steps), (3, 25));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// What is to be learned, and where the samples come from.
    pub data: DataConfig,
    /// The network.
    pub network: NetworkConfig,
    /// Time steps for which each frame is shown: those of an image, one or more for each frame of a sequence.
    pub steps: usize,
    /// From samples to input sequences.
    pub encoding: Encoding,
    /// What is minimised.
    pub loss: Loss,
    /// Which gradients it is minimised by.
    pub rule: LearningRule,
    /// Terms on the activity of the network that are added to the loss.
    pub penalties: Vec<Penalty>,
    /// Which optimizer.
    pub optimizer: OptimizerConfig,
    /// Learning rate at its full height.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// How large gradients are cut; absent for not at all.
    pub clip: Option<GradientClip>,
    /// What is done about silent layers and exploding gradients.
    pub guard: Guard,
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples per optimizer step.
    pub batch: usize,
    /// Samples of a batch that are seen at a time, for less memory; absent for all of them.
    pub micro_batch: Option<usize>,
    /// Fraction of the training samples set aside to pick the best epoch, in `[0, 1)`.
    pub validation: f64,
    /// Epochs without a better validation result after which training stops; absent for never.
    pub patience: Option<usize>,
    /// Steps between checkpoints besides those at the end of every epoch.
    pub checkpoint_steps: u64,
    /// Seed of every random draw.
    pub seed: u64,
}

/// What is to be learned, and where the samples come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Which samples are to be told apart.
    pub task: Task,
    /// The folder, or file, of a task whose samples are in files.
    pub folder: Option<PathBuf>,
    /// Use only the first so many training samples.
    pub train_limit: Option<usize>,
    /// Use only the first so many test samples.
    pub test_limit: Option<usize>,
}

impl DataConfig {
    /// Loads the samples; those that are made up or shuffled follow `seed`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn load(&self, seed: u64) -> Result<TaskData, DataError> {
        let data = self.task.load(self.folder.as_deref(), seed)?;
        Ok(data.limited(self.train_limit, self.test_limit))
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            data: DataConfig::default(),
            network: NetworkConfig::mlp(&[784, 512, 10], LeakyConfig { decay: 0.8, ..Default::default() }),
            steps: 25,
            encoding: Encoding::default(),
            loss: Loss::default(),
            rule: LearningRule::default(),
            penalties: Vec::new(),
            optimizer: OptimizerConfig::default(),
            learning_rate: 2e-3,
            schedule: Schedule::Cosine { floor: 0.0, warmup: 0 },
            clip: None,
            guard: Guard::default(),
            epochs: 5,
            batch: 128,
            micro_batch: None,
            validation: 0.1,
            patience: None,
            checkpoint_steps: 500,
            seed: 0,
        }
    }
}

impl TrainConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// Everything that is wrong, each with the path of the field.
    pub fn validate(&self) -> Result<(), Problems> {
        let mut problems = Problems::default();
        problems.positive("steps", self.steps);
        problems.positive("epochs", self.epochs);
        problems.positive("batch", self.batch);
        problems.positive("checkpoint_steps", self.checkpoint_steps);
        problems.positive("learning_rate", self.learning_rate);
        if !(0.0..1.0).contains(&self.validation) {
            problems.push("validation", self.validation, "a fraction of at least 0 and below 1");
        }
        for (field, limit) in [("train_limit", self.data.train_limit), ("test_limit", self.data.test_limit)] {
            if let Some(limit) = limit {
                problems.positive(format!("data.{field}"), limit);
            }
        }
        let inputs = self.steps.saturating_mul(self.batch).saturating_mul(self.network.inputs());
        if inputs > MAX_INPUTS {
            let found = format!("{} steps of {} images", self.steps, self.batch);
            problems.push("steps", found, format!("at most {MAX_INPUTS} inputs per batch over all steps"));
        }
        if let Some(size) = self.micro_batch {
            problems.positive("micro_batch", size);
        }
        self.rule.validate("rule", &mut problems);
        if !self.penalties.is_empty() && !self.rule.takes_penalties() {
            let found = format!("{} with the rule {}", self.penalties.len(), self.rule.name());
            problems.push("penalties", found, "none: its gradients pass from the loss of the output alone");
        }
        if let Some(patience) = self.patience {
            problems.positive("patience", patience);
        }
        if let Some(GradientClip::Norm { max } | GradientClip::Value { max }) = self.clip {
            problems.positive("clip.max", max);
        }
        self.data.task.validate("data.task", &mut problems);
        self.encoding.validate("encoding", &mut problems);
        self.loss.validate("loss", &mut problems);
        for (i, penalty) in self.penalties.iter().enumerate() {
            penalty.validate(&format!("penalties[{i}]"), &mut problems);
        }
        self.guard.validate("guard", &mut problems);
        self.optimizer.validate("optimizer", &mut problems);
        self.schedule.validate("schedule", &mut problems);
        if let Err(network) = self.network.shapes() {
            for problem in network.list() {
                problems.push(format!("network.{}", problem.path), &problem.found, problem.expected.clone());
            }
        }
        problems.into_result()
    }

    /// Loads the samples and checks that they fit the network.
    ///
    /// # Errors
    /// When the configuration is not valid, the data cannot be read, or they do not fit the network.
    pub fn load_data(&self) -> Result<TaskData, TrainError> {
        self.validate()?;
        self.check_rule()?;
        let data = self.data.load(self.seed)?;
        self.check_data(&data)?;
        Ok(data)
    }

    /// Checks that the learning rule can train the network.
    ///
    /// # Errors
    /// Every layer that it cannot, by its path.
    pub fn check_rule(&self) -> Result<(), TrainError> {
        let mut problems = Problems::default();
        if !self.rule.is_backpropagation() {
            self.rule.check(&self.network.init(self.seed, &Device::flex())?, "network", &mut problems);
        }
        Ok(problems.into_result()?)
    }

    /// Checks that a batch can be split over so many devices.
    ///
    /// # Errors
    /// When it has fewer samples.
    pub fn check_devices(&self, count: usize) -> Result<(), Problems> {
        let mut problems = Problems::default();
        if self.batch < count {
            problems.push("batch", self.batch, format!("at least one sample for each of {count} devices"));
        }
        problems.into_result()
    }

    /// Checks that samples fit the network.
    ///
    /// # Errors
    /// When frames have another size than the network's input, classes are more than its outputs, or a batch
    /// would be too large.
    pub fn check_data(&self, data: &TaskData) -> Result<(), TrainError> {
        let (inputs, outputs) = (self.network.inputs(), self.network.outputs()?);
        let frame = data.train.shape();
        let values: usize = frame.iter().product();
        let encoded = self.encoding.inputs(values);
        if encoded != inputs || data.test.shape() != frame {
            let each = encoded / values.max(1);
            let more = if each == 1 { String::new() } else { format!(", {each} inputs each,") };
            return Err(TrainError::Mismatch(format!(
                "frames of {} = {values} numbers{more} for {inputs} inputs",
                frame.iter().map(usize::to_string).collect::<Vec<_>>().join("×"),
            )));
        }
        let steps = self.steps.saturating_mul(data.train.frames().max(data.test.frames()));
        let numbers = steps.saturating_mul(self.batch).saturating_mul(inputs);
        if numbers > MAX_INPUTS {
            return Err(TrainError::Mismatch(format!(
                "{steps} steps of {} samples are {numbers} inputs in a batch, at most {MAX_INPUTS} are possible",
                self.batch
            )));
        }
        let labels = data.train.labels().iter().chain(data.test.labels());
        let highest = labels.max().copied().unwrap_or(0);
        if usize::from(highest) >= outputs {
            return Err(TrainError::Mismatch(format!(
                "label {highest} for {outputs} outputs (classes from 0)"
            )));
        }
        Ok(())
    }

    /// How samples are encoded.
    pub fn encoder(&self) -> Encoder {
        Encoder { encoding: self.encoding, steps: self.steps, seed: self.seed }
    }

    /// How the network is evaluated.
    pub fn evaluator(&self) -> Evaluator {
        Evaluator { encoder: self.encoder(), loss: self.loss, batch: self.batch }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_survives_json() {
        let config = TrainConfig::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(spark_core::config::parse::<TrainConfig>(&text, "t").unwrap(), config);
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let mut config = TrainConfig { steps: 0, batch: 0, validation: 1.0, ..Default::default() };
        config.learning_rate = f64::NAN;
        config.network = NetworkConfig::mlp(&[784, 0], LeakyConfig { decay: 2.0, ..Default::default() });
        let problems = config.validate().unwrap_err();
        let paths: Vec<_> = problems.list().iter().map(|p| p.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "steps",
                "batch",
                "learning_rate",
                "validation",
                "network.layers[0].units",
                "network.layers[1].decay"
            ]
        );
    }

    #[test]
    fn unknown_fields_are_refused_everywhere() {
        for text in [
            r#"{"loss": {"kind": "count_cross_entropy", "temperature": 2}}"#,
            r#"{"schedule": {"kind": "constant", "warmup": 10}}"#,
            r#"{"encoding": {"kind": "rate", "gain": 1, "tau": 3}}"#,
            r#"{"data": {"path": "x"}}"#,
        ] {
            let error = spark_core::config::parse::<TrainConfig>(text, "c.json").unwrap_err();
            assert!(error.to_string().contains("unknown field"), "{text}: {error}");
        }
    }

    #[test]
    fn data_that_do_not_fit_are_refused() {
        let sizes = |sizes: &[usize]| TrainConfig {
            network: NetworkConfig::mlp(sizes, LeakyConfig::default()),
            ..Default::default()
        };
        let error = sizes(&[100, 10]).load_data().unwrap_err().to_string();
        assert!(error.contains("1×28×28 = 784 numbers for 100 inputs"), "{error}");
        let error = sizes(&[784, 9]).load_data().unwrap_err().to_string();
        assert!(error.contains("label 9 for 9 outputs"), "{error}");
    }
}
