//! Learning rules: what gradients are taken for.
//!
//! All of them change the same network by the same optimizer and differ in what they let a gradient pass through:
//!
//! | rule | through time | from layer to layer |
//! | --- | --- | --- |
//! | [`Bptt`](LearningRule::Bptt) | all of it | all of it |
//! | [`TruncatedBptt`](LearningRule::TruncatedBptt) | within windows | within windows |
//! | [`Ottt`](LearningRule::Ottt) | within each unit, through no reset | within each step |
//! | [`Eprop`](LearningRule::Eprop) | within each unit, through no reset | from the readout to every layer at once |
//! | [`Decolle`](LearningRule::Decolle) | within each unit, through no reset | not at all |
//!
//! # Whole sequences
//!
//! The last three are *online* rules: each can run along with the network and needs none of its past but traces.
//! With `δ[t]` what reaches the potential of a unit in step t, `x[t]` the presynaptic spikes and `λ` the decay of
//! the membrane, they change a weight by
//!
//! ```text
//! ΔW = Σ_t δ[t] â[t]ᵀ        â[t] = λ·â[t−1] + x[t]        the trace, forwards in time
//!    = Σ_t δ̂[t] x[t]ᵀ        δ̂[t] = λ·δ̂[t+1] + δ[t]        its adjoint, backwards in time
//! ```
//!
//! Both sums are the same. The first one needs no past; the second one leaves the spikes as they are, so that it is
//! one product with a sparse matrix over all steps and samples, and the filter is the backward pass of the
//! scan that ran the units. [`LearningRule::gradients`] has whole sequences before it and takes the second one: what an
//! online rule finds costs no more time than backpropagation. It holds the same sequences too; that memory
//! need not grow with time is a merit of the first form.

mod aim;
mod decolle;
mod eprop;
pub(crate) mod micro;
mod ottt;
mod stages;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_by_step;
mod truncated;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::{Gradients, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_nn::layers::{Inputs, Network, NetworkOutput};

use crate::{Judged, Loss};
pub(crate) use aim::Aim;
use stages::Stages;

/// Which gradients a network is trained by.
///
/// In JSON a rule is an object with its name as `kind`, such as `{"kind": "truncated_bptt", "steps": 10}`.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use spark_nn::layers::{LeakyConfig, NetworkConfig};
/// use spark_train::{LearningRule, Loss};
///
/// let device = Device::flex().autodiff();
/// let network = NetworkConfig::mlp(&[4, 8, 2], LeakyConfig::default()).init(1, &device)?;
/// let labels = Tensor::<1, Int>::from_ints([1, 0], &device);
/// for rule in LearningRule::PRESETS {
///     let input = Tensor::<3>::ones([10, 2, 4], &device);
///     let found = rule.gradients(&network, input, labels.clone(), &Loss::default())?;
///     assert_eq!((found.scores.dims(), found.gradients.len()), ([2, 2], 4));
/// }
/// # Ok::<(), spark_core::Problems>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LearningRule {
    /// Backpropagation through time: the gradient of the loss, but for what surrogates and resets that pass none
    /// leave out. For every network.
    Bptt {},
    /// Backpropagation through windows of time: the state is handed from window to window without its history.
    ///
    /// With scores that follow from the first `t` steps of the output, of which those before the window are
    /// constants, the loss is the mean of the loss at the end of every window, weighted by its length. A window as
    /// long as the sequence gives the gradient of [`Bptt`](Self::Bptt). Of the windows before only the
    /// output of the last layer is kept, so that what the graph takes does not grow with the sequence. For every
    /// network.
    ///
    /// Source: Williams & Peng, *An efficient gradient-based algorithm for on-line training of recurrent network
    /// trajectories* (1990).
    TruncatedBptt {
        /// Length of a window, in steps.
        steps: usize,
    },
    /// Online training through time.
    ///
    /// The loss is the mean over steps of the loss of the output of each step alone. Its gradient passes from layer
    /// to layer within the step and meets the trace of the presynaptic spikes at each synapse:
    ///
    /// ```text
    /// δ_l[t] = ψ_l[t]·(δ_{l+1}[t]·W_{l+1}ᵀ)        ΔW_l = Σ_t δ_l[t] â_{l−1}[t]ᵀ
    /// ```
    ///
    /// where `ψ` is the surrogate derivative at the potential. For layers of [`runs_locally`] units with one
    /// trace (neither adaptation nor a synaptic current); recurrent weights meet the trace of the spikes of
    /// their own layer. A reset to zero takes the trace of its unit to zero too.
    ///
    /// Source: Xiao, Meng, Zhang, He & Lin, *Online training through time for spiking neural networks* (NeurIPS
    /// 2022).
    ///
    /// [`runs_locally`]: spark_nn::layers::Layer::runs_locally
    Ottt {},
    /// Eligibility propagation.
    ///
    /// A synapse of a hidden layer changes by its eligibility, filtered as the readout filters spikes, times a
    /// learning signal that the readout broadcasts:
    ///
    /// ```text
    /// ε[t] = ∂s[t]/∂s[t−1]·ε[t−1] + ∂s[t]/∂W        e[t] = ψ[t]·ε[t]        ē[t] = κ·ē[t−1] + e[t]
    /// L_j[t] = Σ_k B_jk·∂E[t]/∂y_k[t]               ΔW_ji = Σ_t L_j[t]·ē_ji[t]
    /// ```
    ///
    /// where `s` is the state of the unit (membrane, and synaptic current and adaptation where it has them), E
    /// the loss of the output of each step alone, averaged over steps, `y` the potential of the readout, which
    /// is the last layer of units, and κ its decay. For a spiking readout E reaches `y` through its surrogate. The
    /// readout itself follows the gradient of E. Recurrent spikes count as given. A [`Penalty`](crate::Penalty) is
    /// heard by each unit directly, unfiltered and by no other: `rate_band` with `low = high` is the regulariser of
    /// the paper (its equation 36, with a mean over units in the place of the sum). For layers of [`runs_locally`]
    /// units of all kinds.
    ///
    /// Source: Bellec et al., *A solution to the learning dilemma for recurrent networks of spiking neurons*, Nature
    /// Communications (2020).
    ///
    /// [`runs_locally`]: spark_nn::layers::Layer::runs_locally
    Eprop {
        /// Where the weights B come from.
        #[serde(default)]
        feedback: Feedback,
        /// Seed of feedback weights that are random.
        #[serde(default)]
        seed: u64,
    },
    /// Deep continuous local learning.
    ///
    /// Each hidden layer has a readout of its own, of fixed random weights, and a loss; no gradient passes from
    /// layer to layer:
    ///
    /// ```text
    /// Y_l[t] = G_l·S_l[t]        ΔW_l = Σ_t ψ_l[t]·(G_lᵀ·∂E(Y_l[t])/∂Y_l[t]) â_{l−1}[t]ᵀ
    /// ```
    ///
    /// where E is the loss of the scores `Y_l[t]` of a step, averaged over steps, and â passes through the synaptic
    /// current too, where units have one. Entries of G are uniform in ±1/√(units). The last layer, whose
    /// outputs are the scores already, has none. A [`Penalty`](crate::Penalty) passes to the synapses of each layer
    /// alone; it is on rates, where the paper regularises potentials. For layers of [`runs_locally`] units.
    ///
    /// Source: Kaiser, Mostafa & Neftci, *Synaptic plasticity dynamics for deep continuous local learning
    /// (DECOLLE)*, Frontiers in Neuroscience (2020).
    ///
    /// [`runs_locally`]: spark_nn::layers::Layer::runs_locally
    Decolle {
        /// Seed of the readouts.
        #[serde(default)]
        seed: u64,
    },
}

/// Where the weights come from by which e-prop tells hidden layers of an error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Feedback {
    /// The last hidden layer hears through the weights by which the readout hears it; the layers before, which
    /// have none, through random ones.
    #[default]
    Symmetric,
    /// All hidden layers hear through fixed random weights, normal with variance 1/outputs.
    Random,
}

/// What a rule finds for a batch.
#[derive(Debug)]
pub struct Found {
    /// Mean [`Loss`] of the batch over the whole sequence, `[1]`, whatever the rule minimises.
    pub loss: Tensor<1>,
    /// Scores of the whole sequence, `[batch, classes]`.
    pub scores: Tensor<2>,
    /// One gradient per parameter that is trained.
    pub gradients: GradientsParams,
}

impl Default for LearningRule {
    fn default() -> Self {
        Self::Bptt {}
    }
}

impl LearningRule {
    /// Every rule once, with usual parameters.
    ///
    /// # Examples
    /// ```
    /// use spark_train::LearningRule;
    ///
    /// let names = LearningRule::PRESETS.map(LearningRule::name);
    /// assert_eq!(names, ["bptt", "tbptt", "ottt", "eprop", "decolle"]);
    /// ```
    pub const PRESETS: [Self; 5] = [
        Self::Bptt {},
        Self::TruncatedBptt { steps: 10 },
        Self::Ottt {},
        Self::Eprop { feedback: Feedback::Symmetric, seed: 0 },
        Self::Decolle { seed: 0 },
    ];

    /// A short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bptt {} => "bptt",
            Self::TruncatedBptt { .. } => "tbptt",
            Self::Ottt {} => "ottt",
            Self::Eprop { .. } => "eprop",
            Self::Decolle { .. } => "decolle",
        }
    }

    /// Whether it is the gradient of one loss, in windows of time or not.
    pub fn is_backpropagation(self) -> bool {
        matches!(self, Self::Bptt {} | Self::TruncatedBptt { .. })
    }

    /// Whether penalties on the activity of the network are part of what it follows.
    ///
    /// The online rules that do keep their gradients within the layer that fires: each synapse changes by its
    /// eligibility times the gradient of the penalty at its own unit.
    pub fn takes_penalties(self) -> bool {
        !matches!(self, Self::Ottt {})
    }

    /// Checks the fields; `path` is where the configuration stands.
    pub fn validate(&self, path: &str, problems: &mut Problems) {
        if let Self::TruncatedBptt { steps } = *self {
            problems.positive(format!("{path}.steps"), steps);
        }
    }

    /// Checks that the rule can train a network; `path` is where that stands.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::Device;
    /// use spark_core::Problems;
    /// use spark_nn::layers::NetworkConfig;
    /// use spark_train::LearningRule;
    ///
    /// let text = r#"{"input": [4], "layers": [{"kind": "dense", "units": 3}, {"kind": "alpha"}]}"#;
    /// let network = serde_json::from_str::<NetworkConfig>(text)?.init(1, &Device::flex())?;
    /// let mut problems = Problems::default();
    /// LearningRule::Ottt {}.check(&network, "network", &mut problems);
    /// assert_eq!(problems.list()[0].path, "network.layers[1]");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self, network: &Network, path: &str, problems: &mut Problems) {
        if !self.is_backpropagation() {
            Stages::of(network, *self, path, problems);
        }
    }

    /// Loss, scores and gradients for input `[time, batch, inputs]` and labels `[batch]`, from the initial state.
    ///
    /// Network and input are on an autodiff device.
    ///
    /// # Errors
    /// When the rule cannot train the network, or the input is empty or has another number of samples than labels.
    pub fn gradients(
        &self,
        network: &Network,
        input: impl Into<Inputs>,
        labels: Tensor<1, Int>,
        loss: &Loss,
    ) -> Result<Found, Problems> {
        let input = input.into();
        let mut problems = Problems::default();
        self.validate("rule", &mut problems);
        let shape @ [_, batch, _] = input.dims();
        if shape.contains(&0) {
            problems.push("input", format!("{shape:?}"), "[time, batch, inputs] without zeros");
        }
        if labels.dims() != [batch] {
            problems.push("labels", format!("{:?}", labels.dims()), format!("one per sample, [{batch}]"));
        }
        self.check(network, "network", &mut problems);
        problems.into_result()?;
        Ok(self.find(network, input, labels, loss.into()))
    }

    /// As [`gradients`](Self::gradients), of what was checked before.
    ///
    /// # Panics
    /// If the rule cannot train the network.
    pub(crate) fn find(
        self,
        network: &Network,
        input: Inputs,
        labels: Tensor<1, Int>,
        aim: Aim<'_>,
    ) -> Found {
        let stages = || {
            let mut problems = Problems::default();
            let stages = Stages::of(network, self, "network", &mut problems);
            assert!(problems.list().is_empty(), "{problems}");
            stages
        };
        match self {
            Self::Bptt {} => {
                whole(network, input, labels, aim, |network, input| network.forward(input, None))
            }
            Self::TruncatedBptt { steps } => truncated::find(network, input, labels, aim, steps),
            Self::Ottt {} => ottt::find(network, &stages(), input, labels, aim),
            Self::Eprop { feedback, seed } => {
                eprop::find(network, &stages(), input, labels, aim, (feedback, seed))
            }
            Self::Decolle { seed } => decolle::find(network, &stages(), input, labels, aim, seed),
        }
    }
}

/// Backpropagation through time.
pub(crate) fn whole<I>(
    network: &Network,
    input: I,
    labels: Tensor<1, Int>,
    aim: Aim<'_>,
    forward: impl Fn(&Network, I) -> NetworkOutput,
) -> Found {
    let output = forward(network, input);
    let penalty = aim.penalty(&output);
    // Takes the output: the backward pass keeps what it needs of the spikes in a smaller form.
    let Judged { scores, loss } = Aim::with(aim.judge(output, labels), penalty);
    let gradients = GradientsParams::from_grads(loss.backward(), network);
    Found { loss: loss.inner(), scores: scores.inner(), gradients }
}

/// Adds gradients of a network to those found before.
fn add(network: &Network, found: &mut Gradients, gradients: &mut GradientsParams) {
    struct Add<'a>(&'a mut Gradients, &'a mut GradientsParams);
    impl ModuleVisitor for Add<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if !param.is_require_grad() {
                return;
            }
            if let Some(found) = param.val().grad_remove(self.0) {
                accumulate(self.1, param.id, found);
            }
        }
    }
    network.visit(&mut Add(found, gradients));
}

/// Adds the gradient of a parameter to the one found before.
fn accumulate<const D: usize>(gradients: &mut GradientsParams, id: ParamId, found: Tensor<D>) {
    let sum = match gradients.remove::<D>(id) {
        Some(before) => before + found,
        None => found,
    };
    gradients.register(id, sum);
}

/// A loss, without history, and the penalty that the gradients are of too.
fn with(loss: Tensor<1>, penalty: Option<Tensor<1>>) -> Tensor<1> {
    match penalty {
        Some(penalty) => loss + penalty.inner(),
        None => loss,
    }
}

/// The gradients of a number, none where nothing in its graph is trained.
fn backward(number: Tensor<1>) -> Gradients {
    // Burn goes back through graphs with a leaf only.
    let leaf = Tensor::zeros([1], &number.device()).require_grad();
    (number + leaf).backward()
}

/// The gradient that a leaf of a graph received; zeros where the graph does not reach it.
fn gradient_of(leaf: &Tensor<3>, gradients: &mut Gradients) -> Tensor<3> {
    leaf.grad_remove(gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

/// A number whose gradient with respect to `output` is `gradient`, which has no history.
fn seeded(output: Tensor<3>, gradient: Tensor<3>) -> Tensor<1> {
    (output * Tensor::from_inner(gradient)).sum()
}
