//! Which units count for which output.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Int, Tensor, TensorData};
use spark_core::component::{Context, Defect};
use spark_core::payload::{PayloadKind, Shape};
use spark_core::ports::{InputShapes, PortError};
use spark_core::seed;
use spark_kernels::spike_matmul;

/// The shape of units that spike, at a port that takes no spikes by pair.
pub(super) fn units<'a>(inputs: &'a InputShapes, port: &'static str) -> Result<&'a Shape, PortError> {
    let shape = inputs.require(port, PayloadKind::Spikes)?;
    if shape.pairs {
        let (found, expected) = (shape.to_string(), "spikes of units".to_owned());
        return Err(PortError::Mismatch { port: port.to_owned(), found, expected });
    }
    Ok(shape)
}

/// How units are dealt to outputs, as a configuration says it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deal<'a> {
    pub outputs: usize,
    /// The output of each unit, where the user chose.
    pub map: Option<&'a [usize]>,
    /// Whether units are dealt in random order.
    pub shuffle: bool,
    pub seed: Option<u64>,
}

impl Deal<'_> {
    /// The output of each of `units` units: as the map says, or in groups of equal size, the first ones
    /// larger by one where that does not go up.
    pub fn groups(&self, units: usize, context: &Context) -> Result<Groups, Defect> {
        let outputs = self.outputs;
        let of_unit = match self.map {
            Some(map) => {
                if map.len() != units {
                    let found = format!("{} entries", map.len());
                    return Err(Defect::field("output_map", found, format!("one for each of {units} units")));
                }
                if let Some(output) = map.iter().find(|output| **output >= outputs) {
                    return Err(Defect::field("output_map", output, format!("outputs 0 to {}", outputs - 1)));
                }
                map.to_vec()
            }
            None => {
                let (each, larger) = (units / outputs, units % outputs);
                let size = |output| each + usize::from(output < larger);
                let dealt: Vec<usize> =
                    (0..outputs).flat_map(|output| std::iter::repeat_n(output, size(output))).collect();
                let order = match self.shuffle {
                    true => seed::permutation(units, &mut context.rng(self.seed, "output_map")),
                    false => (0..units).collect(),
                };
                order.into_iter().map(|place| dealt[place]).collect()
            }
        };
        if let Some(empty) = (0..outputs).find(|output| !of_unit.contains(output)) {
            let field = if self.map.is_some() { "output_map" } else { "num_outputs" };
            let found = format!("no unit for output {empty}");
            return Err(Defect::field(field, found, format!("outputs that share {units} units")));
        }
        let of_unit = of_unit.into_iter().map(|output| output as i64).collect();
        let of_unit = Tensor::from_data(TensorData::new(of_unit, [units]), &context.device);
        Ok(Groups { of_unit: Param::initialized(ParamId::new(), of_unit), outputs })
    }
}

/// Which output each unit counts for.
#[derive(Module, Debug)]
pub struct Groups {
    /// The output of each unit, `[units]`.
    pub of_unit: Param<Tensor<1, Int>>,
    outputs: usize,
}

impl Groups {
    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Number of units of each output, `[outputs]`.
    pub fn sizes(&self) -> Tensor<1> {
        self.members().sum_dim(0).squeeze_dim(0)
    }

    /// 1 where a unit counts for an output, `[units, outputs]`.
    pub fn members(&self) -> Tensor<2> {
        let of_unit: Vec<usize> =
            self.of_unit.val().into_data().iter::<i64>().map(|output| output as usize).collect();
        let mut members = vec![0.0f32; of_unit.len() * self.outputs];
        for (unit, output) in of_unit.iter().enumerate() {
            members[unit * self.outputs + output] = 1.0;
        }
        let data = TensorData::new(members, [of_unit.len(), self.outputs]);
        Tensor::from_data(data, &self.of_unit.device())
    }
}

/// How many units of each output spike.
///
/// * `spikes`: `[batch, units]`; `members`: see [`Groups::members`].
///
/// Returns `[batch, outputs]`.
pub(super) fn count(spikes: Tensor<2>, members: &Tensor<2>) -> Tensor<2> {
    spike_matmul(spikes, members.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn deal(outputs: usize, map: Option<&[usize]>, shuffle: bool) -> Result<Vec<i64>, String> {
        let context = Context::new("groups", &Device::flex());
        match (Deal { outputs, map, shuffle, seed: Some(1) }).groups(7, &context) {
            Ok(groups) => Ok(groups.of_unit.val().into_data().iter().collect()),
            Err(Defect::Problems(problems)) => Err(problems.to_string()),
            Err(Defect::Port(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn units_are_dealt_evenly_and_in_any_order() {
        assert_eq!(deal(3, None, false).unwrap(), [0, 0, 0, 1, 1, 2, 2]);
        let mut shuffled = deal(3, None, true).unwrap();
        assert_ne!(shuffled, deal(3, None, false).unwrap());
        shuffled.sort();
        assert_eq!(shuffled, deal(3, None, false).unwrap());
        assert_eq!(deal(2, Some(&[1, 0, 1, 0, 1, 0, 1]), true).unwrap(), [1, 0, 1, 0, 1, 0, 1]);
    }

    #[test]
    fn groups_that_do_not_fit_are_named() {
        let error = deal(2, Some(&[0, 1]), false).unwrap_err();
        assert_eq!(error, "output_map: found 2 entries, expected one for each of 7 units");
        let error = deal(2, Some(&[0, 1, 2, 0, 1, 0, 1]), false).unwrap_err();
        assert_eq!(error, "output_map: found 2, expected outputs 0 to 1");
        let error = deal(2, Some(&[1; 7]), false).unwrap_err();
        assert_eq!(error, "output_map: found no unit for output 0, expected outputs that share 7 units");
        let error = deal(8, None, false).unwrap_err();
        assert_eq!(error, "num_outputs: found no unit for output 7, expected outputs that share 7 units");
    }
}
