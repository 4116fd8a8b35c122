//! One experiment, described.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_nn::layers::{LeakyConfig, NetworkConfig};
use std::path::PathBuf;

use crate::data::{self, Split};
use crate::{Encoder, Encoding, Evaluator, GradientClip, Loss, OptimizerConfig, Schedule, TrainError};

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
    /// Where the images come from.
    pub data: DataConfig,
    /// The network.
    pub network: NetworkConfig,
    /// Time steps per image.
    pub steps: usize,
    /// From images to input sequences.
    pub encoding: Encoding,
    /// What is minimised.
    pub loss: Loss,
    /// Which optimizer.
    pub optimizer: OptimizerConfig,
    /// Learning rate at its full height.
    pub learning_rate: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// How large gradients are cut; absent for not at all.
    pub clip: Option<GradientClip>,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images per optimizer step.
    pub batch: usize,
    /// Fraction of the training images set aside to pick the best epoch, in `[0, 1)`.
    pub validation: f64,
    /// Epochs without a better validation result after which training stops; absent for never.
    pub patience: Option<usize>,
    /// Steps between checkpoints besides those at the end of every epoch.
    pub checkpoint_steps: u64,
    /// Seed of every random draw.
    pub seed: u64,
}

/// Where the images come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Folder with a data set in the layout of MNIST; absent for the digits that ship with Spark.
    pub folder: Option<PathBuf>,
    /// Use only the first so many training images.
    pub train_limit: Option<usize>,
    /// Use only the first so many test images.
    pub test_limit: Option<usize>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            data: DataConfig::default(),
            network: NetworkConfig::mlp(&[784, 512, 10], LeakyConfig { decay: 0.8, ..Default::default() }),
            steps: 25,
            encoding: Encoding::default(),
            loss: Loss::default(),
            optimizer: OptimizerConfig::default(),
            learning_rate: 2e-3,
            schedule: Schedule::Cosine { floor: 0.0, warmup: 0 },
            clip: None,
            epochs: 5,
            batch: 128,
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
        if let Some(patience) = self.patience {
            problems.positive("patience", patience);
        }
        if let Some(GradientClip::Norm { max } | GradientClip::Value { max }) = self.clip {
            problems.positive("clip.max", max);
        }
        self.encoding.validate("encoding", &mut problems);
        self.loss.validate("loss", &mut problems);
        self.optimizer.validate("optimizer", &mut problems);
        self.schedule.validate("schedule", &mut problems);
        if let Err(network) = self.network.shapes() {
            for problem in network.list() {
                problems.push(format!("network.{}", problem.path), &problem.found, problem.expected.clone());
            }
        }
        problems.into_result()
    }

    /// Loads the images and checks that they fit the network.
    ///
    /// # Errors
    /// When the configuration is not valid, the data cannot be read, or they do not fit the network.
    pub fn load_data(&self) -> Result<Split, TrainError> {
        self.validate()?;
        let mut split = match &self.data.folder {
            None => data::mnist10k()?,
            Some(folder) => data::read_split(folder)?,
        };
        if let Some(limit) = self.data.train_limit {
            split.train.truncate(limit);
        }
        if let Some(limit) = self.data.test_limit {
            split.test.truncate(limit);
        }
        let (inputs, outputs) = (self.network.inputs(), self.network.outputs()?);
        let encoded = self.encoding.inputs(split.train.size());
        if encoded != inputs {
            let each = encoded / split.train.size().max(1);
            return Err(TrainError::Mismatch(format!(
                "images of {}×{} = {} pixels{} for {inputs} inputs",
                split.train.height,
                split.train.width,
                split.train.size(),
                if each == 1 { String::new() } else { format!(", {each} inputs each,") },
            )));
        }
        let highest = split.train.labels.iter().chain(&split.test.labels).max().copied().unwrap_or(0);
        if usize::from(highest) >= outputs {
            return Err(TrainError::Mismatch(format!(
                "label {highest} for {outputs} outputs (classes from 0)"
            )));
        }
        Ok(split)
    }

    /// How images are encoded.
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
        assert!(error.contains("28×28 = 784 pixels for 100 inputs"), "{error}");
        let error = sizes(&[784, 9]).load_data().unwrap_err().to_string();
        assert!(error.contains("label 9 for 9 outputs"), "{error}");
    }
}
