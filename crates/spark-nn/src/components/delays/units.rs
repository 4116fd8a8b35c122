//! One delay for each presynaptic unit.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};
use spark_core::build::Builder;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::parameter::{Distribution, Draw};
use spark_core::payload::{Arrival, DelayKernel, Payload, PayloadKind, Shape, Spikes};
use spark_core::ports::{InputShapes, PortError, PropertySpec};
use spark_core::{Parameter, Problems};
use spark_kernels::{DelayRing, Delays};

use super::{DelayInputs, DelayOutputs, KERNEL, presynaptic, steps};
use crate::config::config;

config! {
    /// One delay for each presynaptic unit.
    pub struct NDelaysConfig {
        /// The longest delay.
        #[schemars(extend("unit" = "ms", "range" = "positive"))]
        max_delay: f32 = 8.0,
        /// Delays in whole steps, from 1 to those of the longest. Of an initializer, shares of the longest.
        delays: Parameter = Draw::new(Distribution::Uniform).into(),
    }
}

/// Spikes that arrive as many steps late as the delay of their unit.
///
/// A ring holds the last `L + 1` steps, `L = ⌈max_delay/dt⌉`: a step pushes what comes in, then reads each
/// unit as many steps ago as its delay. A delay that is drawn is `1 + ⌊x·L⌋` of a draw `x`, so with uniform
/// ones every delay is as likely as any other.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context};
/// use spark_core::payload::{PayloadKind, Shape, Spikes};
/// use spark_core::ports::InputShapes;
/// use spark_nn::components::delays::{DelayInputs, NDelaysConfig};
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("in_spikes", Shape::new(PayloadKind::Spikes, &[2]));
/// let config: NDelaysConfig = serde_json::from_str(r#"{"delays": [1, 2], "max_delay": 2.0}"#)?;
/// let mut delays = config.run(&wired, 1, &Context::new("delays", &device))?;
/// let mut arrived = Vec::new();
/// for spikes in [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]] {
///     let in_spikes = Spikes::new(Tensor::from_floats([spikes], &device));
///     let out = delays.advance(DelayInputs { in_spikes }).out_spikes.units().unwrap();
///     arrived.push(out.into_data().try_to_vec::<f32>().unwrap());
/// }
/// assert_eq!(arrived, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Module, Debug)]
pub struct NDelays {
    /// The delay of each unit in steps, `[pre]`.
    pub kernel: Param<Tensor<1, Int>>,
    #[module(skip)]
    units: Vec<usize>,
    max: usize,
}

spark_core::state! {
    /// What delays by unit remember.
    pub struct UnitRing {
        /// The last steps of the units, 0 or 1, `[slots, batch, pre]`.
        spikes: DelayRing,
    }
}

impl Component for NDelays {
    type Inputs = DelayInputs;
    type Outputs = DelayOutputs;
    type State = UnitRing;
    type Plan = Delays<1>;

    const PROPERTIES: &'static [PropertySpec] = &[KERNEL];

    fn plan(&self) -> Delays<1> {
        let steps = self.kernel.val().clamp(1, self.max as i64);
        Delays::new(steps, self.max).expect("delays within bounds")
    }

    fn initial_state(&self, _: &Self::Plan, batch: usize) -> UnitRing {
        let kernel = self.kernel.val();
        UnitRing { spikes: DelayRing::new(self.max, batch, kernel.dims()[0], &kernel.device()) }
    }

    fn step(&self, plan: &Delays<1>, inputs: DelayInputs, state: UnitRing) -> (DelayOutputs, UnitRing) {
        let Spikes { arrival, inhibitory } = inputs.in_spikes;
        let Arrival::Units(spikes) = arrival else { panic!("delays take spikes by unit") };
        let spikes = state.spikes.push(spikes);
        let out_spikes = Spikes::new(spikes.read(plan)).with_inhibitory(inhibitory);
        (DelayOutputs { out_spikes }, UnitRing { spikes })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![Shape::new(PayloadKind::Spikes, &self.units)]
    }

    fn property(&self, _: &UnitRing, name: &str) -> Option<Payload> {
        (name == KERNEL.name).then(|| DelayKernel(self.kernel.val().unsqueeze()).into())
    }

    fn set_property(&mut self, _: &mut UnitRing, _: &str, value: Payload) -> Result<(), PortError> {
        let units = self.units.iter().product();
        let steps = steps::written(value, [1, units], self.max)?;
        self.kernel = Param::initialized(self.kernel.id, steps.reshape([units]));
        Ok(())
    }
}

impl ComponentConfig for NDelaysConfig {
    const NAME: &'static str = "NDelays";
    const FAMILY: Family = Family::Delay;
    const SUMMARY: &'static str = "One delay for each presynaptic unit";
    const EQUATION: &'static str = "out_j(t) = in_j(t − d_j)";

    type Component = NDelays;

    fn check(&self, path: &str, problems: &mut Problems) {
        steps::check(self.max_delay, self.dt, path, problems);
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<NDelays, Defect> {
        let units = presynaptic(inputs)?;
        let builder = Builder { context, seed: self.seed };
        let max = steps::count(self.max_delay, self.dt);
        let delays = steps::draw(&builder, &self.delays, units, max)?;
        let kernel = steps::parameter(delays, [units.iter().product()], &builder);
        Ok(NDelays { kernel, units: units.to_vec(), max })
    }
}

spark_core::register!(NDelaysConfig);
