//! One optimizer step.

use burn::tensor::{Device, Int, Tensor, TensorData, Transaction};
use spark_core::Problems;
use spark_nn::layers::{Inputs, Network, NetworkOutput, Synapses};

use crate::rules::{self, Aim, Found};
use crate::{LearningRule, Loss, Optimizer, Penalty, gradient_norm};

/// A network with what changes it.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
/// use spark_train::{Learner, Loss, Optimizer, OptimizerConfig};
///
/// let device = Device::flex().autodiff();
/// let network = NetworkConfig::mlp(&[4, 8, 2], LeakyConfig::default()).init(1, &device)?;
/// let optimizer = Optimizer::new(&OptimizerConfig::default(), None);
/// let mut learner = Learner::new(network, optimizer, Loss::default());
/// let input = Tensor::<3>::ones([10, 1, 4], &device);
/// let labels = Tensor::<1, Int>::from_ints([1], &device);
/// let first = learner.step(input.clone(), labels.clone(), 0.05)?.loss;
/// for _ in 0..20 {
///     learner.step(input.clone(), labels.clone(), 0.05)?;
/// }
/// assert!(learner.step(input, labels, 0.05)?.loss < first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Learner {
    /// The network, on an autodiff device.
    pub network: Network,
    /// What applies gradients, with its state.
    pub optimizer: Optimizer,
    /// What is minimised.
    pub loss: Loss,
    /// Terms on the activity of the network that are added to it.
    pub penalties: Vec<Penalty>,
    /// The synapses that some of them count.
    synapses: Vec<Synapses>,
    rule: LearningRule,
    /// Samples of a batch at a time.
    micro_batch: Option<usize>,
    /// Where parts of a batch are seen at the same time; where the network is alone without any.
    devices: Vec<Device>,
    /// Norm of the gradient above which a step is left out.
    explode: Option<f64>,
}

/// What one step found, before it changed the network.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Mean loss of the batch.
    pub loss: f64,
    /// Joint Euclidean norm of the gradients, before clipping.
    pub gradient_norm: f64,
    /// One score per sample and class, sample after sample.
    pub scores: Vec<f32>,
    /// Whether the network was left as it was, for a gradient above the limit.
    pub skipped: bool,
}

/// The loss or the gradient is not finite; the network is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is not finite")]
pub struct NotFinite {
    /// What is not.
    pub what: &'static str,
}

impl Learner {
    /// Puts the three together, to learn by backpropagation through time.
    pub fn new(network: Network, optimizer: Optimizer, loss: Loss) -> Self {
        Self {
            network,
            optimizer,
            loss,
            penalties: Vec::new(),
            synapses: Vec::new(),
            rule: LearningRule::default(),
            micro_batch: None,
            devices: Vec::new(),
            explode: None,
        }
    }

    /// With terms on the activity of the network, whose synapses are `synapses`.
    #[must_use]
    pub fn with_penalties(self, penalties: Vec<Penalty>, synapses: Vec<Synapses>) -> Self {
        Self { penalties, synapses, ..self }
    }

    /// Leaves out steps whose gradient has a norm above `limit`.
    #[must_use]
    pub fn with_limit(self, limit: Option<f64>) -> Self {
        Self { explode: limit, ..self }
    }

    /// Sees `size` samples of a batch at a time: less memory, the same step but for rounding.
    #[must_use]
    pub fn with_micro_batch(self, size: Option<usize>) -> Self {
        Self { micro_batch: size, ..self }
    }

    /// Splits every batch over these devices, which see their parts at the same time; the one of the network sums
    /// their gradients and takes the step.
    ///
    /// Parts are equally large, or as large as [`with_micro_batch`](Self::with_micro_batch) says, and then a step
    /// does not depend on the number of devices. A device may be there twice.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Int, Tensor};
    /// use spark_nn::layers::{LeakyConfig, NetworkConfig};
    /// use spark_train::{Learner, Loss, Optimizer, OptimizerConfig};
    ///
    /// let device = Device::flex().autodiff();
    /// let config = NetworkConfig::mlp(&[4, 8, 2], LeakyConfig::default());
    /// let labels = Tensor::<1, Int>::from_ints([1, 0, 1, 1], &device);
    /// let mut gradients = Vec::new();
    /// for devices in [vec![], vec![Device::flex(), Device::flex()]] {
    ///     let optimizer = Optimizer::new(&OptimizerConfig::default(), None);
    ///     let mut learner = Learner::new(config.init(1, &device)?, optimizer, Loss::default())
    ///         .with_micro_batch(Some(2))
    ///         .with_devices(devices);
    ///     let found = learner.step(Tensor::<3>::ones([10, 4, 4], &device), labels.clone(), 0.05)?;
    ///     gradients.push(found.gradient_norm);
    /// }
    /// assert_eq!(gradients[0], gradients[1]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_devices(self, devices: Vec<Device>) -> Self {
        Self { devices, ..self }
    }

    /// The same, to learn by another rule.
    ///
    /// # Errors
    /// When the fields of the rule are not valid, or when it cannot train the network.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use spark_nn::layers::{LeakyConfig, NetworkConfig};
    /// use spark_train::{Learner, LearningRule, Loss, Optimizer, OptimizerConfig};
    ///
    /// let config = NetworkConfig::mlp(&[4, 8, 2], LeakyConfig::default());
    /// let network = config.init(1, &Device::flex().autodiff())?;
    /// let optimizer = Optimizer::new(&OptimizerConfig::default(), None);
    /// let learner = Learner::new(network, optimizer, Loss::default()).with_rule(LearningRule::Ottt {})?;
    /// assert_eq!(learner.rule(), LearningRule::Ottt {});
    /// # Ok::<(), spark_core::Problems>(())
    /// ```
    pub fn with_rule(self, rule: LearningRule) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        rule.validate("rule", &mut problems);
        rule.check(&self.network, "network", &mut problems);
        problems.into_result()?;
        Ok(Self { rule, ..self })
    }

    /// What the network learns by.
    pub fn rule(&self) -> LearningRule {
        self.rule
    }

    /// One optimizer step on input `[time, batch, inputs]` and labels `[batch]`, by the rule of the learner.
    ///
    /// # Errors
    /// When the loss or the gradient is not finite.
    ///
    /// # Panics
    /// If the network was replaced by one that the rule cannot train.
    pub fn step(
        &mut self,
        input: impl Into<Inputs>,
        labels: Tensor<1, Int>,
        learning_rate: f64,
    ) -> Result<StepResult, NotFinite> {
        let input = input.into();
        let lengths = vec![input.dims()[0]; labels.dims()[0]];
        self.step_until(input, labels, &lengths, learning_rate)
    }

    /// As [`step`](Self::step), with samples of `lengths` steps: what comes after them does not count.
    ///
    /// # Errors
    /// When the loss or the gradient is not finite.
    pub fn step_until(
        &mut self,
        input: impl Into<Inputs>,
        labels: Tensor<1, Int>,
        lengths: &[usize],
        learning_rate: f64,
    ) -> Result<StepResult, NotFinite> {
        let (input, aim) = (input.into(), self.aim(Some(lengths)));
        let even = lengths.len().div_ceil(self.devices.len().max(1));
        let size = self.micro_batch.unwrap_or(even);
        let found = if size < lengths.len() {
            rules::micro::find(self.rule, &self.network, input, labels, aim, (size, &self.devices))
        } else {
            self.rule.find(&self.network, input, labels, aim)
        };
        self.apply(found, learning_rate)
    }

    /// As [`step`](Self::step) by backpropagation through time, with another way to run the network.
    ///
    /// # Errors
    /// When the loss or the gradient is not finite.
    pub fn step_by(
        &mut self,
        input: Tensor<3>,
        labels: Tensor<1, Int>,
        learning_rate: f64,
        forward: impl Fn(&Network, Tensor<3>) -> NetworkOutput,
    ) -> Result<StepResult, NotFinite> {
        let found = rules::whole(&self.network, input, labels, self.aim(None), forward);
        self.apply(found, learning_rate)
    }

    fn aim<'a>(&'a self, lengths: Option<&'a [usize]>) -> Aim<'a> {
        Aim { loss: &self.loss, penalties: &self.penalties, synapses: &self.synapses, lengths }
    }

    /// Changes the network by what a rule found.
    fn apply(&mut self, found: Found, learning_rate: f64) -> Result<StepResult, NotFinite> {
        let Found { loss, scores, gradients } = found;
        let norm = gradient_norm(&self.network, &gradients, &scores.device());
        // One trip to the host for all three.
        let [loss, scores, found_norm] = Transaction::default()
            .register(loss)
            .register(scores)
            .register(norm.clone())
            .execute()
            .try_into()
            .expect("a transaction returns one entry per tensor");
        let number = |data: &TensorData| data.iter::<f64>().next().unwrap_or(f64::NAN);
        let (loss, gradient_norm) = (number(&loss), number(&found_norm));
        // Silent units hide a membrane that is no number from the loss, but not from the gradient.
        for (what, value) in [("the loss", loss), ("the gradient", gradient_norm)] {
            if !value.is_finite() {
                return Err(NotFinite { what });
            }
        }
        let scores = scores.iter().collect();
        if self.explode.is_some_and(|limit| gradient_norm > limit) {
            return Ok(StepResult { loss, gradient_norm, scores, skipped: true });
        }
        // Taken out, not cloned: the only holder of a parameter may update it in place.
        let network = std::mem::replace(&mut self.network, Network { layers: Vec::new() });
        self.network = self.optimizer.step(learning_rate, network, gradients, norm).constrained();
        Ok(StepResult { loss, gradient_norm, scores, skipped: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OptimizerConfig;
    use spark_nn::layers::{LeakyConfig, NetworkConfig};

    #[test]
    fn every_rule_learns_to_tell_two_inputs_apart() {
        let device = Device::flex().autodiff();
        let pattern: Tensor<2> = Tensor::from_floats([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]], &device);
        let input = pattern.unsqueeze::<3>().repeat_dim(0, 15);
        let labels = Tensor::<1, Int>::from_ints([0, 1], &device);
        for rule in LearningRule::PRESETS {
            let leaky = LeakyConfig { decay: 0.8, ..Default::default() };
            let network = NetworkConfig::mlp(&[4, 20, 10, 2], leaky).init(2, &device).unwrap();
            let optimizer = Optimizer::new(&OptimizerConfig::default(), None);
            let loss = Loss::RateMse { correct: 0.8, incorrect: 0.2 };
            let mut learner = Learner::new(network, optimizer, loss).with_rule(rule).unwrap();
            let mut step = || learner.step(input.clone(), labels.clone(), 0.02).unwrap();
            let first = step().loss;
            let last = (0..80).map(|_| step()).last().unwrap();
            let scores = &last.scores;
            assert!(scores[0] > scores[1] && scores[3] > scores[2], "{rule:?}: {scores:?}");
            assert!(last.loss < 0.5 * first, "{rule:?}: {} after {first}", last.loss);
        }
    }
}
