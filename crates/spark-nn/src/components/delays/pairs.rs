//! One delay for each pair of units.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::host::{HostStep, HostWiring, Signal};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Arrival, DelayKernel, Late, Payload, PayloadKind, Shape, Spikes, signs};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::{Parameter, Problems};
use spark_kernels::host::LateSpikes;
use spark_kernels::{DelayRing, Delays};
use std::sync::{Arc, Mutex, PoisonError};

use super::{DelayInputs, DelayOutputs, KERNEL, presynaptic, steps};
use crate::config::{check_units, config};

config! {
    /// One delay for each pair of units.
    pub struct N2NDelaysConfig {
        /// Shape of the postsynaptic units.
        #[schemars(extend("range" = "positive"))]
        units: Vec<usize> = Vec::new(),
        /// The longest delay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        max_delay: f32 = 8.0,
        /// Delays in whole steps, from 1 to those of the longest, by postsynaptic and presynaptic axes. Of an
        /// initializer, shares of the longest.
        delays: Parameter = Draw::new(Distribution::Uniform).into(),
    }
}

/// Spikes that arrive at each synapse as many steps late as its delay.
///
/// As [`NDelays`](super::NDelays) but for pairs. Nothing is written out by pair: the output holds the ring,
/// in which synapses and learning rules find what arrives ([`Arrival::Delayed`]).
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::delays::{DelayInputs, N2NDelaysConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[1]));
/// // Of two postsynaptic units, the second one is further away.
/// let config: N2NDelaysConfig = serde_json::from_str(r#"{"units": [2], "delays": [[1], [2]]}"#)?;
/// let mut delays = config.run(&wired, 1, &Context::new("delays", &device))?;
/// let mut arrived = Vec::new();
/// for spike in [1.0, 0.0, 0.0] {
///     let in_spikes = Spikes::new(Tensor::full([1, 1], spike, &device));
///     let out = delays.advance(DelayInputs { in_spikes }).out_spikes.pairs().unwrap();
///     arrived.push(out.into_data().try_to_vec::<f32>().unwrap());
/// }
/// assert_eq!(arrived, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct N2NDelays {
    /// The delay of each pair in steps, `[pre, post]`.
    pub kernel: Param<Tensor<2, Int>>,
    #[module(skip)]
    post: Vec<usize>,
    #[module(skip)]
    pre: Vec<usize>,
    max: usize,
}

spark_core::state! {
    /// What delays by pair remember.
    pub struct PairRings {
        /// The last steps of the presynaptic units, 0 or 1, `[slots, batch, pre]`.
        spikes: DelayRing,
        /// The same with the sign that each unit had.
        signed: DelayRing,
    }
}

impl Component for N2NDelays {
    type Inputs = DelayInputs;
    type Outputs = DelayOutputs;
    type State = PairRings;
    type Plan = Delays<2>;

    const PROPERTIES: &'static [PropertySpec] = &[KERNEL];

    fn plan(&self) -> Delays<2> {
        let steps = self.kernel.val().clamp(1, self.max as i64);
        Delays::new(steps, self.max).expect("delays within bounds")
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> PairRings {
        let kernel = self.kernel.val();
        let ring = || DelayRing::new(self.max, batch, kernel.dims()[0], &kernel.device());
        PairRings { spikes: ring(), signed: ring() }
    }

    fn step(&self, plan: &Delays<2>, inputs: DelayInputs, state: PairRings) -> (DelayOutputs, PairRings) {
        let Spikes { arrival, inhibitory } = inputs.in_spikes;
        let Arrival::Units(spikes) = arrival else { panic!("delays take spikes by unit") };
        let value = match &inhibitory {
            Some(mask) => spikes.clone() * signs(mask).unsqueeze(),
            None => spikes.clone(),
        };
        let state = PairRings { spikes: state.spikes.push(spikes), signed: state.signed.push(value) };
        let late =
            Late { spikes: state.spikes.clone(), signed: Some(state.signed.clone()), delays: plan.clone() };
        let arrival = Arrival::Delayed(Box::new(late));
        (DelayOutputs { out_spikes: Spikes { arrival, inhibitory } }, state)
    }

    fn on_host(
        &self,
        plan: &Delays<2>,
        state: &PairRings,
        wiring: &mut HostWiring,
    ) -> Option<Box<dyn HostStep<Self>>> {
        let late = LateSpikes::new(plan, &state.spikes, &state.signed)?;
        let (spikes, late) = (wiring.place("in_spikes")?, Arc::new(Mutex::new(late)));
        wiring.share("out_spikes", late.clone());
        Some(Box::new(DelaysOnHost { spikes, late }))
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::delayed(&self.post, &self.pre, self.max)]
    }

    fn property(&self, _: &PairRings, name: &str) -> Option<Payload> {
        (name == KERNEL.name).then(|| DelayKernel(self.kernel.val()).into())
    }

    fn property_shape(&self, _: &str) -> Option<Shape> {
        Some(Shape::new(PayloadKind::DelayKernel, &[&self.post[..], &self.pre].concat()))
    }

    fn set_property(&mut self, _: &mut PairRings, _: &str, value: Payload) -> Result<(), PortError> {
        let ends = [&self.pre, &self.post].map(|units| units.iter().product());
        let steps = steps::written(value, ends, self.max)?;
        self.kernel = Param::initialized(self.kernel.id, steps);
        Ok(())
    }
}

/// Delays at work on the host: spikes pass as they leave, and who reads them looks up what arrives.
#[derive(Debug)]
struct DelaysOnHost {
    spikes: usize,
    late: Arc<Mutex<LateSpikes>>,
}

impl HostStep<N2NDelays> for DelaysOnHost {
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]) {
        let spiking = inputs[self.spikes].spiking();
        self.late.lock().unwrap_or_else(PoisonError::into_inner).push(spiking);
        outputs[0].spikes().copy(spiking);
    }

    fn settle(&self, component: &mut N2NDelays, state: &mut PairRings) {
        let device = component.kernel.val().device();
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let [spikes, signed] = late.rings(&device);
        *state = PairRings { spikes, signed };
    }
}

impl ComponentConfig for N2NDelaysConfig {
    const NAME: &'static str = "N2NDelays";
    const FAMILY: Family = Family::Delay;
    const SUMMARY: &'static str = "One delay for each pair of units";
    const EQUATION: &'static str = "out_ij(t) = in_j(t − d_ij)";

    type Component = N2NDelays;

    fn check(&self, path: &str, problems: &mut Problems) {
        check_units(&self.units, path, problems);
        steps::check(self.max_delay, self.dt, path, problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<N2NDelays, Defect> {
        let (post, pre) = (&self.units, presynaptic(inputs)?);
        let builder = Builder { context, seed: self.seed };
        let max = steps::count(self.max_delay, self.dt);
        let delays = steps::draw(&builder, &self.delays, &[post, pre].concat(), max)?;
        let [rows, columns] = [pre, post].map(|units| units.iter().product());
        let turned = (0..rows).flat_map(|from| (0..columns).map(move |to| to * rows + from));
        let turned = turned.map(|place| delays[place]).collect();
        let kernel = steps::parameter(turned, [rows, columns], &builder);
        Ok(N2NDelays { kernel, post: post.clone(), pre: pre.to_vec(), max })
    }
}

spark_core::register!(N2NDelaysConfig);
