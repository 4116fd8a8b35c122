//! Synapses of units of which few are connected.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Int, Tensor, TensorData};
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Currents, Floats, Payload, PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError, PropertySpec, typed};
use spark_core::schema::join;
use spark_core::{Parameter, Problems};
use spark_kernels::{DelayRing, SparsePattern, sparse_matmul};

use super::{Connectivity, Ends, SynapseInputs, SynapseOutputs};
use crate::components::delays::steps;
use crate::config::{check_units, config};

config! {
    /// Synapses of units of which few are connected.
    pub struct SparseLinearSynapsesConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// Which units are connected.
        connectivity: Connectivity = Connectivity::default(),
        /// Strength of each synapse; an array is in the order of explicit pairs, or by presynaptic unit.
        #[schemars(extend("unit" = "pA"))]
        weights: Parameter = Draw::new(Distribution::Uniform).into(),
        /// The longest delay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        max_delay: f32 = 8.0,
        /// Delay of each synapse in whole steps, from 1 to those of the longest, in the order of the weights.
        /// Of an initializer, shares of the longest. No delays where absent.
        delays: Option<Parameter> = None,
    }
}

const WEIGHTS: PropertySpec = PropertySpec {
    name: "weights",
    kind: PayloadKind::Floats,
    writable: true,
    description: "Strength of each synapse in pA, ordered by presynaptic unit, [1, synapses].",
};

/// Synapses of units of which few are connected: only those there are take memory and time.
///
/// ```text
/// I_i(t) = Σ_k w_k·s_j(t − d_k)        over the synapses k from units j to unit i
/// ```
///
/// Without delays, what arrives acts at once.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::synapses::{SparseLinearSynapsesConfig, SynapseInputs};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("spikes", Shape::new(PayloadKind::Spikes, &[3]));
/// let config: SparseLinearSynapsesConfig = serde_json::from_str(
///     r#"{"units": [2], "weights": [5, 7], "delays": [1, 2],
///         "connectivity": {"kind": "pairs", "pairs": [[0, 1], [2, 0]]}}"#,
/// )?;
/// let mut synapses = config.run(&wired, 1, &Context::new("synapses", &device))?;
/// let mut step = |spike: f32| {
///     let spikes = Spikes::new(Tensor::full([1, 3], spike, &device));
///     let currents = synapses.advance(SynapseInputs { spikes }).currents.0;
///     currents.into_data().try_to_vec::<f32>().unwrap()
/// };
/// assert_eq!([step(1.0), step(0.0), step(0.0)], [[0.0, 0.0], [0.0, 5.0], [7.0, 0.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct SparseLinearSynapses {
    /// Strengths in pA, `[synapses]`.
    pub weights: Param<Tensor<1>>,
    /// Presynaptic unit of each synapse, in ascending order, `[synapses]`.
    pub sources: Param<Tensor<1, Int>>,
    /// Postsynaptic unit of each synapse, `[synapses]`.
    pub targets: Param<Tensor<1, Int>>,
    /// Delay of each synapse in steps, `[synapses]`.
    pub delays: Option<Param<Tensor<1, Int>>>,
    #[module(skip)]
    ends: Ends,
    max: usize,
}

spark_core::state! {
    /// What sparse synapses remember.
    pub struct SparseState {
        /// The last signed steps of the presynaptic units, where synapses have delays.
        signed: Option<DelayRing>,
    }
}

impl SparseLinearSynapses {
    /// The units that the synapses connect.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// Indices on the host, none above its bound.
    fn host(indices: &Param<Tensor<1, Int>>, last: usize) -> Vec<u32> {
        let clamp = |index: i64| index.clamp(0, last as i64) as u32;
        indices.val().into_data().iter::<i64>().map(clamp).collect()
    }
}

impl Component for SparseLinearSynapses {
    type Inputs = SynapseInputs;
    type Outputs = SynapseOutputs;
    type State = SparseState;
    type Plan = SparsePattern;

    const PROPERTIES: &'static [PropertySpec] = &[WEIGHTS];

    fn plan(&self) -> SparsePattern {
        let [pre, post] = self.ends.dims();
        let sources = Self::host(&self.sources, pre.saturating_sub(1));
        let mut offsets = vec![0u32; pre + 1];
        for source in sources {
            offsets[source as usize + 1] += 1;
        }
        for unit in 0..pre {
            offsets[unit + 1] += offsets[unit];
        }
        let targets = Self::host(&self.targets, post.saturating_sub(1));
        let device = self.weights.val().device();
        let pattern = SparsePattern::new(offsets, targets, post, &device).expect("counted rows");
        match &self.delays {
            Some(delays) => {
                let delays: Vec<u32> =
                    Self::host(delays, self.max).into_iter().map(|delay| delay.max(1)).collect();
                pattern.with_delays(&delays, self.max).expect("delays within bounds")
            }
            None => pattern,
        }
    }

    fn replanned(&self, _: &str) -> Option<SparsePattern> {
        None // The weights are no part of it.
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> SparseState {
        let ([pre, _], device) = (self.ends.dims(), self.weights.val().device());
        SparseState { signed: self.delays.as_ref().map(|_| DelayRing::new(self.max, batch, pre, &device)) }
    }

    fn step(
        &self,
        plan: &SparsePattern,
        inputs: SynapseInputs,
        state: SparseState,
    ) -> (SynapseOutputs, SparseState) {
        let Some(value) = inputs.spikes.value() else { panic!("sparse synapses take spikes by unit") };
        let weights = self.weights.val();
        let (currents, signed) = match state.signed {
            None => (sparse_matmul(value, weights, plan), None),
            Some(ring) => {
                let ring = ring.push(value);
                (ring.sparse_currents(weights, plan), Some(ring))
            }
        };
        (SynapseOutputs { currents: Currents(currents) }, SparseState { signed })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Currents, &self.ends.post)]
    }

    fn property(&self, _: &SparseState, name: &str) -> Option<Payload> {
        (name == WEIGHTS.name).then(|| Floats(self.weights.val().unsqueeze()).into())
    }

    fn set_property(&mut self, _: &mut SparseState, _: &str, value: Payload) -> Result<(), PortError> {
        let Floats(value) = typed(WEIGHTS.name, value)?;
        let [synapses] = self.weights.val().dims();
        if value.dims() != [1, synapses] {
            return Err(PortError::Mismatch {
                port: WEIGHTS.name.to_owned(),
                found: format!("shape {:?}", value.dims()),
                expected: format!("{:?}", [1, synapses]),
            });
        }
        self.weights = self.weights.clone().map(|_| value.reshape([synapses]));
        Ok(())
    }
}

/// Whole numbers as a parameter.
fn indices(values: Vec<i32>, device: &Device) -> Param<Tensor<1, Int>> {
    let count = values.len();
    Param::initialized(ParamId::new(), Tensor::from_data(TensorData::new(values, [count]), device))
}

impl ComponentConfig for SparseLinearSynapsesConfig {
    const NAME: &'static str = "SparseLinearSynapses";
    const FAMILY: Family = Family::Synapse;
    const SUMMARY: &'static str = "Synapses of units of which few are connected";
    const EQUATION: &'static str = "I_i(t) = Σ_k w_k·s_j(t − d_k) over the synapses k from j to i";

    type Component = SparseLinearSynapses;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
        self.connectivity.check(&join(path, "connectivity"), problems);
        if self.delays.is_some() {
            steps::check(self.max_delay, self.dt, path, problems);
        }
    }

    fn infer(&self, _: &InputShapes) -> Option<Vec<Shape>> {
        super::kernel::currents_onto(&self.units)
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SparseLinearSynapses, Defect> {
        let wired = inputs.require("spikes", PayloadKind::Spikes)?;
        if wired.pairs {
            let (port, found) = ("spikes".to_owned(), wired.to_string());
            return Err(PortError::Mismatch { port, found, expected: "spikes by unit".into() }.into());
        }
        let ends = Ends::new(&self.units, inputs)?;
        let builder = Builder { context, seed: self.seed };
        let pairs = self.connectivity.pairs(&ends, &mut context.rng(self.seed, "connectivity"))?;
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by_key(|&synapse| pairs[synapse]);
        let synapses = [pairs.len()];
        let weights = self.weights.values(&synapses, &[], &mut context.rng(self.seed, "weights"));
        let weights = weights.map_err(|error| {
            let expected = format!("one that fits the {} synapses", pairs.len());
            Defect::field("weights", format!("shape {:?}", error.found), expected)
        })?;
        let max = steps::count(self.max_delay, self.dt);
        let delays = match &self.delays {
            Some(delays) => Some(steps::draw(&builder, delays, &synapses, max)?),
            None => None,
        };
        let ordered = |of: &dyn Fn(usize) -> i32| {
            indices(order.iter().map(|&synapse| of(synapse)).collect(), &context.device)
        };
        let weights: Vec<f32> = order.iter().map(|&synapse| weights[synapse]).collect();
        let weights = Tensor::from_data(TensorData::new(weights, synapses), &context.device);
        Ok(SparseLinearSynapses {
            weights: Param::from_tensor(weights).set_require_grad(false),
            sources: ordered(&|synapse| pairs[synapse][0] as i32),
            targets: ordered(&|synapse| pairs[synapse][1] as i32),
            delays: delays.map(|delays| ordered(&|synapse| delays[synapse])),
            ends,
            max,
        })
    }
}

spark_core::register!(SparseLinearSynapsesConfig);
