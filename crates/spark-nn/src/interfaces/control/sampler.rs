//! A fixed random selection of entries.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Int, Tensor, TensorData};
use spark_core::Problems;
use spark_core::component::{Component, ComponentConfig, Context, Defect, Family};
use spark_core::payload::{Payload, Shape};
use spark_core::ports::InputShapes;
use spark_core::schema::join;
use spark_core::seed;

use super::{JoinInputs, joined};
use crate::config::config;

config! {
    /// Random entries of the inputs, drawn once.
    pub struct SamplerConfig {
        /// Number of entries of each output.
        #[schemars(extend("range" = "positive"))]
        sample_size: usize = 1,
        /// Number of outputs.
        #[schemars(extend("range" = "positive"))]
        num_outputs: usize = 1,
        /// Whether no entry goes to two outputs.
        disjoint: bool = false,
    }
}

spark_core::ports! {
    /// What a sampler gives.
    pub struct SamplerOutputs {
        /// Entries of the inputs, of their type: `output_0`, `output_1` and so on.
        output: Vec<Payload>,
    }
}

/// Random entries of the joined inputs for each of the outputs `output_0`, `output_1`, …; drawn once, when the
/// sampler is built. No entry comes twice in an output, and with `disjoint` in none but one. Spikes keep
/// their signs.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::component::{ComponentConfig, Context, Instance};
/// use spark_core::payload::{Floats, PayloadKind, Shape};
/// use spark_core::ports::{InputShapes, PortValues};
/// use spark_nn::interfaces::control::SamplerConfig;
///
/// let device = Device::flex();
/// let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[2]));
/// let config = SamplerConfig { num_outputs: 2, disjoint: true, ..Default::default() };
/// let mut sampler = config.run(&wired, 1, &Context::new("sampler", &device))?;
/// let mut inputs = PortValues::default();
/// inputs.put("signal", Floats(Tensor::from_floats([[5.0, 6.0]], &device)));
/// let mut outputs = sampler.step(inputs).unwrap();
/// let mut one = |port: &str| outputs.take_optional::<Floats>(port).unwrap().unwrap().0.into_scalar::<f32>();
/// assert_eq!(one("output_0") + one("output_1"), 11.0);
/// # Ok::<(), spark_core::component::BuildError>(())
/// ```
#[derive(Module, Debug)]
pub struct Sampler {
    /// The places of the entries of each output, `[sample_size]` each.
    pub places: Vec<Param<Tensor<1, Int>>>,
    #[module(skip)]
    output: Shape,
}

impl Component for Sampler {
    type Inputs = JoinInputs;
    type Outputs = SamplerOutputs;
    type State = ();
    type Plan = ();

    fn plan(&self) {}

    fn initial_state(&self, _: &Self::Plan, _batch: usize) {}

    fn step(&self, _plan: &(), inputs: JoinInputs, _state: ()) -> (SamplerOutputs, ()) {
        let joined = Payload::join(inputs.inputs);
        let output = self.places.iter().map(|places| joined.clone().pick(places.val())).collect();
        (SamplerOutputs { output }, ())
    }

    fn output_shapes(&self) -> Vec<Shape> {
        vec![self.output.clone(); self.places.len()]
    }
}

impl ComponentConfig for SamplerConfig {
    const NAME: &'static str = "Sampler";
    const FAMILY: Family = Family::Control;
    const SUMMARY: &'static str = "Random entries of the inputs, drawn once";
    const EQUATION: &'static str = "output_k = (input_0, input_1, …)[places_k]";

    type Component = Sampler;

    fn check(&self, path: &str, problems: &mut Problems) {
        if self.disjoint && self.sample_size.checked_mul(self.num_outputs).is_none() {
            let expected = "outputs that can be drawn from the inputs";
            problems.push(join(path, "num_outputs"), self.num_outputs, expected);
        }
    }

    fn build(&self, inputs: &InputShapes, context: &Context) -> Result<Sampler, Defect> {
        let Self { sample_size, num_outputs, disjoint, .. } = *self;
        let joined = joined(inputs)?;
        let drawn = if disjoint { sample_size * num_outputs } else { sample_size };
        if drawn > joined.count() {
            let found = format!("{drawn} entries to draw");
            return Err(Defect::field(
                "sample_size",
                found,
                format!("at most the {} there are", joined.count()),
            ));
        }
        let mut rng = context.rng(self.seed, "places");
        let dealt = seed::permutation(joined.count(), &mut rng);
        let mut places = |output: usize| {
            let places = match disjoint {
                true => dealt[output * sample_size..(output + 1) * sample_size].to_vec(),
                false => seed::permutation(joined.count(), &mut rng)[..sample_size].to_vec(),
            };
            let places = places.into_iter().map(|place| place as i64).collect();
            let data = TensorData::new(places, [sample_size]);
            Param::initialized(ParamId::new(), Tensor::from_data(data, &context.device))
        };
        let places = (0..num_outputs).map(&mut places).collect();
        Ok(Sampler { places, output: Shape::new(joined.kind, &[sample_size]) })
    }
}

spark_core::register!(SamplerConfig);

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use spark_core::component::Instance;
    use spark_core::payload::{PayloadKind, Spikes};
    use spark_core::ports::PortValues;

    fn sampler(config: &SamplerConfig) -> Result<Sampler, Defect> {
        let shape = |units| Shape::new(PayloadKind::Spikes, &[units]);
        let wired = InputShapes::default().with("a", shape(4)).with("b", shape(6));
        config.build(&wired, &Context::new("sampler", &Device::flex()))
    }

    fn places(config: &SamplerConfig) -> Vec<Vec<i64>> {
        let places = sampler(config).unwrap().places;
        places.iter().map(|places| places.val().into_data().iter().collect()).collect()
    }

    #[test]
    fn disjoint_outputs_share_no_entry_and_others_repeat_none() {
        let config = SamplerConfig { sample_size: 5, num_outputs: 2, disjoint: true, ..Default::default() };
        let mut all = places(&config).concat();
        all.sort();
        assert_eq!(all, (0..10).collect::<Vec<i64>>());
        let config = SamplerConfig { num_outputs: 4, disjoint: false, ..config };
        let drawn = places(&config);
        assert_ne!(drawn[0], drawn[1]);
        for mut places in drawn {
            places.sort();
            places.dedup();
            assert_eq!(places.len(), 5);
        }
        assert_eq!(places(&config), places(&config), "a seed decides");
        assert_ne!(places(&config), places(&SamplerConfig { seed: Some(9), ..config }));
    }

    #[test]
    fn more_than_there_is_cannot_be_drawn() {
        let config = SamplerConfig { sample_size: 6, num_outputs: 2, disjoint: true, ..Default::default() };
        let Err(Defect::Problems(problems)) = sampler(&config) else { panic!("refused") };
        let expected = "sample_size: found 12 entries to draw, expected at most the 10 there are";
        assert_eq!(problems.to_string(), expected);
        assert!(sampler(&SamplerConfig { disjoint: false, ..config }).is_ok());
    }

    #[test]
    fn the_outputs_are_the_entries_at_their_places_with_their_signs() {
        let device = Device::flex();
        let config = SamplerConfig { sample_size: 3, num_outputs: 2, ..Default::default() };
        let shape = Shape::new(PayloadKind::Spikes, &[5]);
        let wired = InputShapes::default().with("spikes", shape);
        let mut sampler = config.run(&wired, 1, &Context::new("sampler", &device)).unwrap();
        let names: Vec<_> = sampler.output_ports().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["output_0", "output_1"]);
        let places = sampler.component().places.clone();
        let mut inputs = PortValues::default();
        let spikes = [1.0, 0.0, 1.0, 1.0, 0.0];
        let mask = [0.0, 1.0, 1.0, 0.0, 0.0];
        let values = [1.0, 0.0, -1.0, 1.0, 0.0];
        inputs.put(
            "spikes",
            Spikes::new(Tensor::from_floats([spikes], &device))
                .with_inhibitory(Some(Tensor::from_floats(mask, &device))),
        );
        let mut outputs = sampler.step(inputs).unwrap();
        for (name, places) in names.iter().zip(places) {
            let found = outputs.take_optional::<Spikes>(name).unwrap().unwrap().value().unwrap().into_data();
            let expected: Vec<f32> =
                places.val().into_data().iter::<i64>().map(|place| values[place as usize]).collect();
            assert_eq!(found.try_to_vec::<f32>().unwrap(), expected);
        }
    }
}
