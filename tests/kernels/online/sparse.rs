//! Sparsely connected synapses.

use proptest::prelude::*;
use spark::burn::tensor::{Int, TensorData};
use spark::kernels::{DelayRing, Delays, SparseError, SparsePattern, sparse_matmul};
use spark::prelude::*;

use super::{assert_close, draw, floats, on_one_and_two_threads, spikes, tensor};
use crate::support::devices;

/// Random connections and spikes.
#[derive(Clone, Debug)]
struct Net {
    rows: usize,
    pre: usize,
    post: usize,
    connected: f32,
    active: f32,
    seed: u64,
}

fn nets() -> impl Strategy<Value = Net> {
    let shape = (1usize..6, prop_oneof![3 => 1usize..12, 1 => 60usize..150], 1usize..40);
    let connected = prop_oneof![Just(0.02f32), Just(0.3), Just(1.0)];
    let active = prop_oneof![Just(0.0f32), Just(0.1), Just(0.7)];
    (shape, connected, active, any::<u64>()).prop_map(|((rows, pre, post), connected, active, seed)| Net {
        rows,
        pre,
        post,
        connected,
        active,
        seed,
    })
}

impl Net {
    /// The matrix `[pre, post]`; at least one synapse.
    fn weight(&self) -> Vec<f32> {
        let count = self.pre * self.post;
        let there = spikes(self.seed, "there", count, self.connected);
        let mut weight = draw(self.seed, "weight", count, 0.1, 1.0);
        weight.iter_mut().zip(there).for_each(|(weight, there)| *weight *= there);
        weight[count / 2] = 0.5;
        weight
    }

    fn signal(&self, name: &str) -> Vec<f32> {
        let count = self.rows * self.pre;
        let signs = draw(self.seed, &format!("{name} signs"), count, -1.0, 1.0);
        let active = spikes(self.seed, name, count, self.active);
        active.iter().zip(signs).map(|(spike, sign)| spike * sign.signum()).collect()
    }

    /// Currents and the gradients of spikes and of all weights, sparsely or by the dense matrix.
    fn run(&self, device: &Device, sparse: bool) -> [Vec<f32>; 3] {
        let device = device.clone().autodiff();
        let shape = [self.pre, self.post];
        let spikes = tensor(self.signal("spikes"), [self.rows, self.pre], &device).require_grad();
        let weight = tensor(self.weight(), shape, &device);
        let scale = draw(self.seed, "scale", self.rows * self.post, -1.0, 1.0);
        let scale = tensor(scale, [self.rows, self.post], &device);
        if sparse {
            let (pattern, values) = SparsePattern::from_dense(weight);
            let values = values.require_grad();
            let currents = sparse_matmul(spikes.clone(), values.clone(), &pattern);
            let gradients = (currents.clone() * scale).sum().backward();
            let of_values = Tensor::from_data(values.grad(&gradients).unwrap().into_data(), &device);
            let of_weight = floats(pattern.to_dense(of_values));
            [floats(currents), floats(spikes.grad(&gradients).unwrap()), of_weight]
        } else {
            let weight = weight.require_grad();
            let currents = spikes.clone().matmul(weight.clone());
            let gradients = (currents.clone() * scale).sum().backward();
            let there = self.weight().into_iter().map(|w| f32::from(u8::from(w != 0.0)));
            let of_weight = floats(weight.grad(&gradients).unwrap());
            let of_weight = of_weight.into_iter().zip(there).map(|(gradient, there)| gradient * there);
            [floats(currents), floats(spikes.grad(&gradients).unwrap()), of_weight.collect()]
        }
    }

    /// Delayed currents of some steps, sparsely or by pairs.
    fn run_delayed(&self, device: &Device, sparse: bool, steps: usize) -> Vec<Vec<f32>> {
        const MAX: usize = 3;
        let (shape, weight) = ([self.pre, self.post], self.weight());
        let delays = draw(self.seed, "delays", weight.len(), 0.0, MAX as f32 + 0.99);
        let delays: Vec<i32> = delays.into_iter().map(|x| x as i32).collect();
        let dense = tensor(weight.clone(), shape, device);
        let (pattern, values) = SparsePattern::from_dense(dense.clone());
        let there = delays.iter().zip(&weight).filter(|(_, weight)| **weight != 0.0);
        let kept: Vec<u32> = there.map(|(delay, _)| *delay as u32).collect();
        let pattern = pattern.with_delays(&kept, MAX).unwrap();
        let pairs = Tensor::<2, Int>::from_data(TensorData::new(delays, shape), device);
        let pairs = Delays::new(pairs, MAX).unwrap();
        let mut ring = DelayRing::new(MAX, self.rows, self.pre, device);
        (0..steps)
            .map(|step| {
                let signal = self.signal(&format!("spikes {step}"));
                ring = ring.clone().push(tensor(signal, [self.rows, self.pre], device));
                floats(if sparse {
                    ring.sparse_currents(values.clone(), &pattern)
                } else {
                    ring.currents(dense.clone(), &pairs)
                })
            })
            .collect()
    }

    fn check(&self, name: &str, device: &Device, steps: usize) {
        let what = format!("{name}, {self:?}");
        let expected = self.run(&Device::flex(), false);
        for (found, expected) in self.run(device, true).iter().zip(&expected) {
            assert_close(found, expected, 1e-5, &what);
        }
        let expected = self.run_delayed(&Device::flex(), false, steps);
        for device in [device.clone(), device.clone().autodiff()] {
            for (found, expected) in self.run_delayed(&device, true, steps).iter().zip(&expected) {
                assert_close(found, expected, 1e-5, &format!("delayed: {what}"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..Default::default() })]

    #[test]
    fn sparse_synapses_equal_dense_ones_on_the_cpu(net in nets()) {
        for (name, device) in &devices()[..2] {
            net.check(name, device, 5);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..Default::default() })]

    #[test]
    fn sparse_synapses_equal_dense_ones_on_gpus(net in nets()) {
        for (name, device) in devices().iter().skip(2) {
            net.check(name, device, 2);
        }
    }
}

#[test]
fn sparse_currents_do_not_depend_on_the_number_of_threads() {
    let net = Net { rows: 9, pre: 800, post: 700, connected: 0.1, active: 0.2, seed: 6 };
    let [one, two] = on_one_and_two_threads(|| {
        let device = Device::flex();
        (net.run(&device, true), net.run_delayed(&device, true, 2))
    });
    assert!(one == two);
}

#[test]
fn synapses_between_the_same_units_add_up() {
    for (name, device) in devices() {
        let pattern = SparsePattern::new(vec![0, 3], vec![1, 1, 0], 2, &device).unwrap();
        let values = Tensor::<1>::from_floats([1.0, 2.0, 4.0], &device);
        let spikes = Tensor::<2>::from_floats([[1.0]], &device);
        assert_eq!(floats(sparse_matmul(spikes, values.clone(), &pattern)), [4.0, 3.0], "{name}");
        assert_eq!(floats(pattern.to_dense(values)), [4.0, 3.0], "{name}");
    }
}

#[test]
fn connections_that_make_no_matrix_are_refused() {
    let device = Device::flex();
    let new = |offsets: &[u32], targets: &[u32]| {
        SparsePattern::new(offsets.to_vec(), targets.to_vec(), 3, &device).unwrap_err()
    };
    assert_eq!(new(&[], &[]), SparseError::Offsets { synapses: 0, row: 0 });
    assert_eq!(new(&[1, 2], &[0, 0]), SparseError::Offsets { synapses: 2, row: 0 });
    assert_eq!(new(&[0, 2, 1, 2], &[0, 0]), SparseError::Offsets { synapses: 2, row: 2 });
    assert_eq!(new(&[0, 1], &[0, 0]), SparseError::Offsets { synapses: 2, row: 1 });
    assert_eq!(new(&[0, 2], &[0, 3]), SparseError::Target { synapse: 1, found: 3, post: 3 });
    let pattern = SparsePattern::new(vec![0, 2], vec![0, 1], 3, &device).unwrap();
    assert_eq!(pattern.with_delays(&[1, 5], 4).unwrap_err().index, 1);
}
