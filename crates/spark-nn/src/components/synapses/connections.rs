//! Connections of units of which few are connected.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Int, Tensor, TensorData};
use spark_core::build::Builder;
use spark_core::component::{Context, Defect};
use spark_core::payload::{Floats, Payload, PayloadKind};
use spark_core::ports::{InputShapes, PortError, PropertySpec, typed};
use spark_core::schema::join;
use spark_core::{Parameter, Problems};
use spark_kernels::{DelayRing, SparsePattern};

use super::{Connectivity, Ends};
use crate::components::delays::steps;
use crate::config::check_units;

/// The property of sparse synapses.
pub(super) const WEIGHTS: PropertySpec = PropertySpec {
    name: "weights",
    kind: PayloadKind::Floats,
    writable: true,
    description: "Strength of each synapse in pA, ordered by presynaptic unit, [1, synapses].",
};

/// The synapses there are between units of which few are connected: only these take memory and time.
#[derive(Module, Debug)]
pub struct SparseConnections {
    /// Strengths, `[synapses]`.
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

/// The fields of a configuration that describe sparse connections.
pub(super) struct Described<'a> {
    pub units: &'a [usize],
    pub connectivity: &'a Connectivity,
    pub weights: &'a Parameter,
    pub max_delay: f32,
    pub delays: Option<&'a Parameter>,
    pub seed: Option<u64>,
    pub dt: f32,
}

/// The [`Described`] of a configuration.
macro_rules! described {
    ($config:expr) => {
        $crate::components::synapses::connections::Described {
            units: &$config.units,
            connectivity: &$config.connectivity,
            weights: &$config.weights,
            max_delay: $config.max_delay,
            delays: $config.delays.as_ref(),
            seed: $config.seed,
            dt: $config.dt,
        }
    };
}

pub(super) use described;

impl Described<'_> {
    /// Checks what does not depend on the presynaptic units.
    pub fn check(&self, path: &str, problems: &mut Problems) {
        check_units(self.units, path, problems);
        self.connectivity.check(&join(path, "connectivity"), problems);
        if self.delays.is_some() {
            steps::check(self.max_delay, self.dt, path, problems);
        }
    }

    /// Draws the connections from what is wired to the port `spikes`.
    pub fn build(&self, inputs: &InputShapes, context: &Context) -> Result<SparseConnections, Defect> {
        let wired = inputs.require("spikes", PayloadKind::Spikes)?;
        if wired.pairs {
            let (port, found) = ("spikes".to_owned(), wired.to_string());
            return Err(PortError::Mismatch { port, found, expected: "spikes by unit".into() }.into());
        }
        let ends = Ends::new(self.units, inputs)?;
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
        let delays = match self.delays {
            Some(delays) => Some(steps::draw(&builder, delays, &synapses, max)?),
            None => None,
        };
        let ordered = |of: &dyn Fn(usize) -> i32| {
            indices(order.iter().map(|&synapse| of(synapse)).collect(), &context.device)
        };
        let weights: Vec<f32> = order.iter().map(|&synapse| weights[synapse]).collect();
        let weights = Tensor::from_data(TensorData::new(weights, synapses), &context.device);
        Ok(SparseConnections {
            weights: Param::from_tensor(weights).set_require_grad(false),
            sources: ordered(&|synapse| pairs[synapse][0] as i32),
            targets: ordered(&|synapse| pairs[synapse][1] as i32),
            delays: delays.map(|delays| ordered(&|synapse| delays[synapse])),
            ends,
            max,
        })
    }
}

/// Whole numbers as a parameter.
fn indices(values: Vec<i32>, device: &Device) -> Param<Tensor<1, Int>> {
    let count = values.len();
    Param::initialized(ParamId::new(), Tensor::from_data(TensorData::new(values, [count]), device))
}

/// Indices on the host, none above its bound.
fn host(indices: &Param<Tensor<1, Int>>, last: usize) -> Vec<u32> {
    let clamp = |index: i64| index.clamp(0, last as i64) as u32;
    indices.val().into_data().iter::<i64>().map(clamp).collect()
}

impl SparseConnections {
    /// The units that the synapses connect.
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// The connections as kernels read them.
    pub fn pattern(&self) -> SparsePattern {
        let [pre, post] = self.ends.dims();
        let mut offsets = vec![0u32; pre + 1];
        for source in host(&self.sources, pre.saturating_sub(1)) {
            offsets[source as usize + 1] += 1;
        }
        for unit in 0..pre {
            offsets[unit + 1] += offsets[unit];
        }
        let targets = host(&self.targets, post.saturating_sub(1));
        let device = self.weights.val().device();
        let pattern = SparsePattern::new(offsets, targets, post, &device).expect("counted rows");
        match &self.delays {
            Some(delays) => {
                let delays: Vec<u32> = host(delays, self.max).into_iter().map(|delay| delay.max(1)).collect();
                pattern.with_delays(&delays, self.max).expect("delays within bounds")
            }
            None => pattern,
        }
    }

    /// What remembers the last steps, where synapses have delays.
    pub(super) fn ring(&self, batch: usize) -> Option<DelayRing> {
        let ([pre, _], device) = (self.ends.dims(), self.weights.val().device());
        self.delays.as_ref().map(|_| DelayRing::new(self.max, batch, pre, &device))
    }

    /// The weights as a property.
    pub(super) fn property(&self, name: &str) -> Option<Payload> {
        (name == WEIGHTS.name).then(|| Floats(self.weights.val().unsqueeze()).into())
    }

    /// Writes the weights.
    pub(super) fn write(&mut self, value: Payload) -> Result<(), PortError> {
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
