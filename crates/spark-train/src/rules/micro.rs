//! A batch in parts: less memory, or several devices at work, and the same step.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor};
use spark_nn::layers::{Inputs, Network};

use super::{Aim, Found, LearningRule, accumulate};

/// What a rule finds for a batch that it sees `size` samples at a time: the mean over the parts, each weighted by
/// its samples. Where the loss is a mean over samples that is what it finds for the whole batch.
///
/// As many parts as there are `devices` run at once. What is found depends on the parts alone: it is summed on the
/// device of the network, in their order.
pub(crate) fn find(
    rule: LearningRule,
    network: &Network,
    input: Inputs,
    labels: Tensor<1, Int>,
    aim: Aim<'_>,
    (size, devices): (usize, &[Device]),
) -> Found {
    let batch = input.dims()[1];
    let (mut loss, mut scores, mut gradients) = (None::<Tensor<1>>, Vec::new(), GradientsParams::new());
    let starts: Vec<usize> = (0..batch).step_by(size).collect();
    for starts in starts.chunks(devices.len().max(1)) {
        let parts = starts.iter().map(|&start| {
            let range = start..(start + size).min(batch);
            Part {
                input: input.clone().samples(range.clone()),
                labels: labels.clone().slice_dim(0, range.clone()),
                aim: Aim { lengths: aim.lengths.map(|lengths| &lengths[range]), ..aim },
            }
        });
        for mut found in run(rule, network, parts.collect(), devices) {
            let share = found.scores.dims()[0] as f32 / batch as f32;
            network.visit(&mut Join { share, from: &mut found.gradients, into: &mut gradients });
            let part = found.loss * share;
            loss = Some(loss.map_or(part.clone(), |sum| sum + part));
            scores.push(found.scores);
        }
    }
    Found { loss: loss.expect("a batch of at least one sample"), scores: Tensor::cat(scores, 0), gradients }
}

/// Some samples of a batch.
struct Part<'a> {
    input: Inputs,
    labels: Tensor<1, Int>,
    aim: Aim<'a>,
}

impl Part<'_> {
    fn run(self, rule: LearningRule, network: &Network) -> Found {
        rule.find(network, self.input, self.labels, self.aim)
    }

    fn on(self, device: &Device) -> Self {
        Self { input: self.input.to_device(device), labels: self.labels.to_device(device), ..self }
    }
}

/// What a rule finds for at most as many parts as there are devices, on the device of the network.
fn run(rule: LearningRule, network: &Network, parts: Vec<Part<'_>>, devices: &[Device]) -> Vec<Found> {
    if let [_] = parts[..] {
        return parts.into_iter().map(|part| part.run(rule, network)).collect();
    }
    let home = parts[0].input.device();
    let work = parts.into_iter().zip(devices).enumerate();
    // Graphs that share a parameter would wait for each other.
    let work = work.map(|(index, (part, device))| (part.on(device), network.replica(device, index)));
    let work: Vec<_> = work.collect();
    let (found, replicas): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let run = |(part, replica): (Part<'_>, Network)| (part.run(rule, &replica), replica);
        let threads: Vec<_> = work.into_iter().map(|work| scope.spawn(move || run(work))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).unzip()
    });
    network.take_over(&replicas);
    let bring = |found: Found| Found {
        loss: found.loss.to_device(&home),
        scores: found.scores.to_device(&home),
        gradients: found.gradients.to_device(&home, network),
    };
    found.into_iter().map(bring).collect()
}

/// Adds `share` times one set of gradients to another.
struct Join<'a> {
    share: f32,
    from: &'a mut GradientsParams,
    into: &'a mut GradientsParams,
}

impl ModuleVisitor for Join<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.from.remove::<D>(param.id) {
            accumulate(self.into, param.id, gradient * self.share);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Loss;
    use crate::rules::tests::by_name;
    use burn::tensor::Distribution;
    use spark_nn::layers::{LeakyConfig, NetworkConfig};

    /// All gradients, parameter after parameter.
    fn flat(network: &Network, gradients: &GradientsParams) -> Vec<f32> {
        by_name(network, gradients).into_values().flatten().collect()
    }

    #[test]
    fn parts_of_a_batch_give_what_the_batch_gives() {
        let device = Device::flex().autodiff();
        let config = NetworkConfig::mlp(&[6, 8, 3], LeakyConfig::default());
        let network = config.init(1, &device).unwrap();
        let input = Tensor::random([9, 5, 6], Distribution::Uniform(0.0, 1.0), &device);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0, 1], &device);
        let lengths = [9, 3, 9, 7, 1];
        for rule in [LearningRule::Bptt {}, LearningRule::TruncatedBptt { steps: 4 }] {
            let aim = Aim { lengths: Some(&lengths), ..Aim::from(&Loss::CountCrossEntropy {}) };
            let whole = rule.find(&network, input.clone().into(), labels.clone(), aim);
            let expected = flat(&network, &whole.gradients);
            for size in [1, 2, 4] {
                let found = find(rule, &network, input.clone().into(), labels.clone(), aim, (size, &[]));
                let gradients = flat(&network, &found.gradients);
                assert_eq!(gradients.len(), expected.len());
                for (found, expected) in gradients.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-5, "{rule:?}, {size}: {found} against {expected}");
                }
                let value = |loss: &Tensor<1>| loss.clone().into_scalar::<f32>();
                assert!((value(&found.loss) - value(&whole.loss)).abs() < 1e-5);
                assert_eq!(found.scores.into_data(), whole.scores.clone().into_data());
            }
        }
    }

    #[test]
    fn devices_that_share_a_batch_find_what_one_finds_part_by_part() {
        let text = r#"{"input": [2, 4, 4], "layers": [
            {"kind": "conv2d", "channels": 3, "kernel": [3, 3]}, {"kind": "batch_norm", "scale": 0.5},
            {"kind": "sequential", "layers": [{"kind": "leaky", "threshold": 0.3},
                                              {"kind": "dropout", "probability": 0.4}]},
            {"kind": "dense", "units": 3}, {"kind": "leaky", "threshold": 0.3}]}"#;
        let config: NetworkConfig = serde_json::from_str(text).unwrap();
        let ndarray = spark_core::DeviceChoice::NdArray.resolve().unwrap().autodiff();
        let flex = Device::flex().autodiff();
        let input = Tensor::<3>::random([1, 7, 32], Distribution::Uniform(0.0, 1.0), &flex);
        let labels = Tensor::<1, Int>::from_ints([0, 1, 2, 0, 1, 1, 2], &flex);
        for rule in [LearningRule::Bptt {}, LearningRule::TruncatedBptt { steps: 4 }] {
            for size in [2, 4] {
                let found = |devices: &[Device]| {
                    let network = config.init(1, &flex).unwrap();
                    let aim = Aim {
                        lengths: Some(&[9, 3, 9, 7, 1, 8, 9]),
                        ..Aim::from(&Loss::CountCrossEntropy {})
                    };
                    // Twice: what a step leaves behind is part of what the next one finds.
                    let steps = [(); 2].map(|()| {
                        let input = Inputs::held(input.clone(), 9);
                        let found = find(rule, &network, input, labels.clone(), aim, (size, devices));
                        let scores = found.scores.into_data().try_to_vec::<f32>().unwrap();
                        [vec![found.loss.into_scalar::<f32>()], scores, flat(&network, &found.gradients)]
                            .concat()
                    });
                    [steps.concat(), buffers(&network)].concat()
                };
                let expected = found(&[]);
                assert_eq!(found(&[flex.clone(), flex.clone()]), expected);
                assert_eq!(found(&vec![flex.clone(); 5]), expected);
                let mixed = found(&[flex.clone(), ndarray.clone()]);
                assert_eq!(mixed.len(), expected.len());
                for (found, expected) in mixed.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-4, "{rule:?}, {size}: {found} against {expected}");
                }
            }
        }
    }

    /// What passes change besides.
    fn buffers(network: &Network) -> Vec<f32> {
        let tensors = spark_io::parameters::collect(network);
        let buffers = tensors
            .into_iter()
            .filter(|(name, _)| ["mean", "variance", "draws"].iter().any(|buffer| name.ends_with(buffer)));
        let values: Vec<f32> = buffers.flat_map(|(_, data)| data.iter::<f32>().collect::<Vec<_>>()).collect();
        assert_eq!(values.len(), 3 + 3 + 1);
        values
    }
}
