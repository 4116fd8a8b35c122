//! Delays of units and of pairs.

use proptest::prelude::*;
use spark::burn::tensor::{Int, TensorData};
use spark::kernels::{DelayRing, Delays};
use spark::prelude::*;

use super::golden;
use super::{assert_close, draw, floats, on_one_and_two_threads, spikes, tensor};
use crate::support::devices;

fn delays<const D: usize>(steps: &[i32], shape: [usize; D], max: usize, device: &Device) -> Delays<D> {
    let steps = Tensor::<D, Int>::from_data(TensorData::new(steps.to_vec(), shape), device);
    Delays::new(steps, max).unwrap()
}

/// `[rows, columns]` turned round.
fn transposed<T: Copy>(values: &[T], rows: usize) -> Vec<T> {
    let columns = values.len() / rows;
    (0..values.len()).map(|i| values[i % rows * columns + i / rows]).collect()
}

#[test]
fn recorded_delays_are_reproduced() {
    let cases = golden::cases("delays");
    assert_eq!(cases.len(), 3);
    for (backend, device) in devices() {
        for case in &cases {
            let max = (case.number("max_delay") / case.dt).ceil() as usize;
            let steps: Vec<i32> = case.values("init.kernel").into_iter().map(|x| x as i32).collect();
            let pre = case.at("in.in_spikes.spikes", 0).len();
            let post = steps.len() / pre;
            let mut ring = DelayRing::new(max, 1, pre, &device);
            for step in 0..case.steps {
                ring = ring.push(case.sample("in.in_spikes.spikes", step, &device));
                let found = if case.component == "NDelays" {
                    floats(ring.read(&delays(&steps, [pre], max, &device)))
                } else {
                    let steps = transposed(&steps, post);
                    let pairs = ring.read_pairs(&delays(&steps, [pre, post], max, &device));
                    transposed(&floats(pairs), pre)
                };
                let expected = case.at("out.out_spikes.spikes", step);
                assert_eq!(found, expected, "{} on {backend}: step {step}", case.name);
            }
        }
    }
}

/// Random synapses with delays, and the spikes that run through them.
#[derive(Clone, Debug)]
struct Net {
    batch: usize,
    pre: usize,
    post: usize,
    max: usize,
    density: f32,
    /// Whether spikes have signs and weights are any numbers; else sums are exact.
    rough: bool,
    seed: u64,
}

fn nets() -> impl Strategy<Value = Net> {
    let post = prop_oneof![3 => 1usize..9, 1 => 500usize..1100];
    let density = prop_oneof![Just(0.0f32), Just(0.05), Just(0.3), Just(1.0)];
    let max = prop_oneof![3 => 0usize..6, 1 => 15usize..70];
    ((1usize..4, 1usize..20, post), max, density, any::<bool>(), any::<u64>()).prop_map(
        |((batch, pre, post), max, density, rough, seed)| Net { batch, pre, post, max, density, rough, seed },
    )
}

impl Net {
    fn signal(&self, step: usize) -> Vec<f32> {
        let count = self.batch * self.pre;
        let mut signal = spikes(self.seed, &format!("spikes {step}"), count, self.density);
        if self.rough {
            let signs = draw(self.seed, &format!("signs {step}"), count, -1.0, 1.0);
            signal.iter_mut().zip(signs).for_each(|(spike, sign)| *spike *= sign.signum());
        }
        signal
    }

    fn weight(&self) -> Vec<f32> {
        let weight = draw(self.seed, "weight", self.pre * self.post, -8.0, 8.0);
        if self.rough { weight } else { weight.into_iter().map(f32::round).collect() }
    }

    fn steps(&self, name: &str, count: usize) -> Vec<i32> {
        let steps = draw(self.seed, name, count, 0.0, self.max as f32 + 1.0);
        steps.into_iter().map(|x| (x as i32).min(self.max as i32)).collect()
    }

    /// At every step: spikes by unit, by pair, and currents.
    fn run(&self, device: &Device, steps: usize) -> Vec<[Vec<f32>; 3]> {
        let units = delays(&self.steps("units", self.pre), [self.pre], self.max, device);
        let pairs = self.steps("pairs", self.pre * self.post);
        let pairs = delays(&pairs, [self.pre, self.post], self.max, device);
        let weight = tensor(self.weight(), [self.pre, self.post], device);
        let mut ring = DelayRing::new(self.max, self.batch, self.pre, device);
        (0..steps)
            .map(|step| {
                let held = ring.clone();
                ring = held.push(tensor(self.signal(step), [self.batch, self.pre], device));
                [
                    floats(ring.read(&units)),
                    floats(ring.read_pairs(&pairs)),
                    floats(ring.currents(weight.clone(), &pairs)),
                ]
            })
            .collect()
    }

    /// The same by the definition, synapse by synapse.
    fn definition(&self, steps: usize) -> Vec<[Vec<f32>; 3]> {
        let (units, pairs) = (self.steps("units", self.pre), self.steps("pairs", self.pre * self.post));
        let weight = self.weight();
        let signals: Vec<Vec<f32>> = (0..steps).map(|step| self.signal(step)).collect();
        let at = |step: usize, delay: i32, sample: usize, unit: usize| {
            step.checked_sub(delay as usize).map_or(0.0, |step| signals[step][sample * self.pre + unit])
        };
        (0..steps)
            .map(|step| {
                let mut found = [Vec::new(), Vec::new(), vec![0.0; self.batch * self.post]];
                for sample in 0..self.batch {
                    found[0].extend((0..self.pre).map(|unit| at(step, units[unit], sample, unit)));
                    for (synapse, weight) in weight.iter().enumerate() {
                        let (unit, target) = (synapse / self.post, synapse % self.post);
                        let spike = at(step, pairs[synapse], sample, unit);
                        found[1].push(spike);
                        found[2][sample * self.post + target] += weight * spike;
                    }
                }
                found
            })
            .collect()
    }

    fn check(&self, name: &str, device: &Device, steps: usize) {
        for (step, (found, expected)) in
            self.run(device, steps).iter().zip(self.definition(steps)).enumerate()
        {
            let what = format!("{name}: step {step}, {self:?}");
            assert!(found[0] == expected[0], "units, {what}");
            assert!(found[1] == expected[1], "pairs, {what}");
            let tolerance = if self.rough { 1e-5 } else { 0.0 };
            assert_close(&found[2], &expected[2], tolerance, &what);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..Default::default() })]

    #[test]
    fn delays_equal_their_definition_on_the_cpu(net in nets()) {
        for (name, device) in &devices()[..2] {
            net.check(name, device, 8);
            net.check(name, &device.clone().autodiff(), 3);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..Default::default() })]

    #[test]
    fn delays_equal_their_definition_on_gpus(net in nets()) {
        for (name, device) in devices().iter().skip(2) {
            net.check(name, device, 3);
        }
    }
}

#[test]
fn delayed_currents_do_not_depend_on_the_number_of_threads() {
    // With bits for synapses of the same delay, and with lists of them.
    for (batch, max) in [(1, 4), (3, 4), (1, 20)] {
        let net = Net { batch, pre: 700, post: 2_000, max, density: 0.3, rough: true, seed: 2 };
        let [one, two] = on_one_and_two_threads(|| net.run(&Device::flex(), 6));
        assert!(one == two, "batch {batch}, delays up to {max}");
    }
}

/// What a weight was when the spike left does not matter, so a rule may change it on the way.
#[test]
fn arriving_spikes_meet_the_weight_of_their_arrival() {
    for (name, device) in devices() {
        let pairs = delays(&[1], [1, 1], 1, &device);
        let ring = DelayRing::new(1, 1, 1, &device).push(Tensor::ones([1, 1], &device));
        let ring = ring.push(Tensor::zeros([1, 1], &device));
        let current = ring.currents(Tensor::full([1, 1], 0.5, &device), &pairs);
        assert_eq!(floats(current), [0.5], "{name}");
    }
}

#[test]
fn currents_have_gradients_for_weights_and_spikes() {
    for (name, device) in devices() {
        let device = device.autodiff();
        let pairs = delays(&[0, 1, 1, 0], [2, 2], 1, &device);
        let weight = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 4.0]], &device).require_grad();
        let spikes = Tensor::<2>::from_floats([[1.0, 0.5]], &device).require_grad();
        let ring = DelayRing::new(1, 1, 2, &device).push(spikes.clone());
        let now = ring.currents(weight.clone(), &pairs);
        let ring = ring.push(Tensor::zeros([1, 2], &device));
        let later = ring.currents(weight.clone(), &pairs);
        let scale = |values: [f32; 2]| Tensor::<2>::from_floats([values], &device);
        let loss = (now * scale([1.0, 10.0]) + later * scale([100.0, 1000.0])).sum();
        let gradients = loss.backward();
        let of_weight = floats(weight.grad(&gradients).unwrap());
        assert_eq!(of_weight, [1.0, 1000.0, 50.0, 5.0], "{name}");
        assert_eq!(floats(spikes.grad(&gradients).unwrap()), [2001.0, 340.0], "{name}");
    }
}
