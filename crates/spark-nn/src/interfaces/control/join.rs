//! Payloads one after the other.

use burn::module::Module;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Payload, Shape};
use spark_core::ports::InputShapes;

use super::{JoinInputs, joined};
use crate::config::config;

config! {
    /// Payloads of one type joined one after the other, flat.
    pub struct ConcatConfig {}
}

config! {
    /// Payloads of one type joined one after the other, in a shape of choice.
    pub struct ConcatReshapeConfig {
        /// Shape of the result, of as many entries as the inputs have together.
        reshape: Vec<usize> = Vec::new(),
    }
}

spark_core::ports! {
    /// What joining gives.
    pub struct JoinOutputs {
        /// The inputs one after the other, of their type.
        output: Payload,
    }
}

/// Payloads of one type joined in the order of the wiring; spikes keep their signs.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context, Instance};
/// use spark_core::payload::{Currents, Payload, PayloadKind, Shape};
/// use spark_core::ports::{InputShapes, PortValues};
/// use spark_nn::interfaces::control::ConcatConfig;
///
/// let device = Device::flex();
/// let wired = InputShapes::default()
///     .with("left", Shape::new(PayloadKind::Currents, &[2]))
///     .with("center", Shape::new(PayloadKind::Currents, &[1]));
/// let mut concat = ConcatConfig::default().run(&wired, 1, &Context::new("join", &device))?;
/// // The order is that of the wiring, not that of the payloads.
/// let mut inputs = PortValues::default();
/// inputs.put("center", Currents(Tensor::from_floats([[3.0]], &device)));
/// inputs.put("left", Currents(Tensor::from_floats([[1.0, 2.0]], &device)));
/// let outputs = concat.step(inputs).unwrap();
/// let Some(Payload::Currents(Currents(joined))) = outputs.get("output") else { panic!("currents") };
/// assert_eq!(joined.to_data().try_to_vec::<f32>().unwrap(), [1.0, 2.0, 3.0]);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct Join {
    #[module(skip)]
    output: Shape,
}

impl Component for Join {
    type Inputs = JoinInputs;
    type Outputs = JoinOutputs;
    type State = ();
    type Plan = ();

    fn plan(&self) {}

    fn initial_state(&self, _: &Self::Plan, _batch: usize) {}

    fn step(&self, _plan: &(), inputs: JoinInputs, _state: ()) -> (JoinOutputs, ()) {
        (JoinOutputs { output: Payload::join(inputs.inputs) }, ())
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![self.output.clone()]
    }
}

impl ComponentConfig for ConcatConfig {
    const NAME: &'static str = "Concat";
    const FAMILY: Family = Family::Control;
    const SUMMARY: &'static str = "Payloads of one type joined one after the other, flat";
    const EQUATION: &'static str = "output = (input_0, input_1, …)";

    type Component = Join;

    fn build(&self, inputs: &InputShapes, _context: &Context) -> Result<Join, Defect> {
        Ok(Join { output: joined(inputs)? })
    }
}

impl ComponentConfig for ConcatReshapeConfig {
    const NAME: &'static str = "ConcatReshape";
    const FAMILY: Family = Family::Control;
    const SUMMARY: &'static str = "Payloads of one type joined one after the other, in a shape of choice";
    const EQUATION: &'static str = "output = (input_0, input_1, …), row by row in the shape `reshape`";

    type Component = Join;

    fn build(&self, inputs: &InputShapes, _context: &Context) -> Result<Join, Defect> {
        let flat = joined(inputs)?;
        let output = Shape::new(flat.kind, &self.reshape);
        if output.count() != flat.count() {
            let found = format!("{:?}", self.reshape);
            return Err(Defect::field("reshape", found, format!("a shape of {} entries", flat.count())));
        }
        Ok(Join { output })
    }
}

spark_core::register!(ConcatConfig);
spark_core::register!(ConcatReshapeConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Tensor};
    use spark_core::component::Instance;
    use spark_core::payload::{Floats, PayloadKind, Spikes};
    use spark_core::ports::PortValues;

    fn wired(kind: PayloadKind) -> InputShapes {
        InputShapes::default()
            .with("a", Shape::new(PayloadKind::Spikes, &[2, 2]))
            .with("b", Shape::new(kind, &[2]))
    }

    fn context() -> Context {
        Context::new("join", &Device::flex())
    }

    #[test]
    fn spikes_keep_their_signs_and_take_the_shape_asked_for() {
        let config = ConcatReshapeConfig { reshape: vec![3, 2], ..Default::default() };
        let mut join = config.run(&wired(PayloadKind::Spikes), 1, &context()).unwrap();
        assert_eq!(join.output_ports()[0].0, "output");
        assert_eq!(join.output_shapes()[0].to_string(), "spikes [3, 2]");
        let spikes = |units| Spikes::new(Tensor::ones([1, units], &Device::flex()));
        let mut inputs = PortValues::default();
        inputs.put("a", spikes(4));
        inputs.put("b", spikes(2).with_inhibitory(Some(Tensor::ones([2], &Device::flex()))));
        let mut outputs = join.step(inputs).unwrap();
        let value = outputs.take::<Spikes>("output").unwrap().value().unwrap().into_data();
        assert_eq!(value.try_to_vec::<f32>().unwrap(), [1.0, 1.0, 1.0, 1.0, -1.0, -1.0]);
    }

    #[test]
    fn what_cannot_be_joined_is_named() {
        let error = ConcatConfig::default().run(&wired(PayloadKind::Floats), 1, &context()).unwrap_err();
        let expected = "module `join`: port `inputs`: found floats [2], expected spikes as before it";
        assert_eq!(error.to_string(), expected);
        let config = ConcatReshapeConfig { reshape: vec![4], ..Default::default() };
        let error = config.run(&wired(PayloadKind::Spikes), 1, &context()).unwrap_err();
        assert!(error.to_string().contains("reshape: found [4], expected a shape of 6 entries"), "{error}");
        let error = ConcatConfig::default().run(&InputShapes::default(), 1, &context()).unwrap_err();
        assert_eq!(error.to_string(), "module `join`: port `inputs`: found nothing, expected any");
    }

    #[test]
    fn a_step_needs_what_is_wired_and_nothing_else() {
        let shape = Shape::new(PayloadKind::Floats, &[1]);
        let wired = InputShapes::default().with("a", shape.clone()).with("b", shape);
        let mut join = ConcatConfig::default().run(&wired, 1, &context()).unwrap();
        let values = |names: &[&'static str]| {
            let mut values = PortValues::default();
            for name in names {
                values.put(*name, Floats(Tensor::ones([1, 1], &Device::flex())));
            }
            values
        };
        let error = join.step(values(&["b"])).unwrap_err();
        assert_eq!(error.to_string(), "port `a`: found nothing, expected floats [1]");
        let error = join.step(values(&["a", "b", "c"])).unwrap_err();
        assert_eq!(error.to_string(), "port `c`: found floats, expected nothing");
        assert!(join.step(values(&["b", "a"])).is_ok());
    }
}
