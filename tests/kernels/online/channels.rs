//! Sparse synapses with an excitatory and an inhibitory channel.

use proptest::prelude::*;
use spark::kernels::{Channel, ChannelInput, Pull, SparsePattern, channel_step};
use spark::prelude::*;

use super::{assert_close, draw, floats, on_one_and_two_threads, spikes, tensor};
use crate::support::devices;

/// Random connections, spikes and parameters.
#[derive(Clone, Debug)]
struct Net {
    rows: usize,
    pre: usize,
    post: usize,
    active: f32,
    /// Whether some units inhibit.
    masked: bool,
    /// Whether channels are conductances.
    pull: bool,
    /// Whether parameters differ between units.
    by_unit: bool,
    seed: u64,
}

fn nets() -> impl Strategy<Value = Net> {
    let shape = (1usize..4, prop_oneof![3 => 1usize..12, 1 => 60usize..150], 1usize..300);
    let active = prop_oneof![Just(0.0f32), Just(0.1), Just(0.7)];
    (shape, active, any::<[bool; 3]>(), any::<u64>()).prop_map(
        |((rows, pre, post), active, [masked, pull, by_unit], seed)| Net {
            rows,
            pre,
            post,
            active,
            masked,
            pull,
            by_unit,
            seed,
        },
    )
}

/// The tensors that a step depends on, all tracked where the device tracks.
struct Leaves {
    spikes: Tensor<2>,
    /// `[pre, post]`, or those of the synapses.
    weight: Tensor<2>,
    channels: [Tensor<2>; 2],
    /// Rate and scale of either channel, and both reversal potentials.
    parameters: [Tensor<1>; 6],
    potential: Tensor<2>,
}

impl Net {
    /// The matrix `[pre, post]`; at least one synapse.
    fn weight(&self) -> Vec<f32> {
        let count = self.pre * self.post;
        let there = spikes(self.seed, "there", count, 0.2);
        let mut weight = draw(self.seed, "weight", count, 0.1, 1.0);
        weight.iter_mut().zip(there).for_each(|(weight, there)| *weight *= there);
        weight[count / 2] = 0.5;
        weight
    }

    fn leaves(&self, device: &Device) -> Leaves {
        let tracked = |tensor: Tensor<2>| if device.is_autodiff() { tensor.require_grad() } else { tensor };
        let plane = |name: &str, min: f32, max: f32| {
            let values = draw(self.seed, name, self.rows * self.post, min, max);
            tracked(tensor(values, [self.rows, self.post], device))
        };
        let parameter = |name: &str, min: f32, max: f32| {
            let count = if self.by_unit { self.post } else { 1 };
            let values = tensor(draw(self.seed, name, count, min, max), [count], device);
            if device.is_autodiff() { values.require_grad() } else { values }
        };
        let fired = spikes(self.seed, "spikes", self.rows * self.pre, self.active);
        Leaves {
            spikes: tracked(tensor(fired, [self.rows, self.pre], device)),
            weight: tracked(tensor(self.weight(), [self.pre, self.post], device)),
            channels: [plane("e", 0.0, 2.0), plane("i", 0.0, 2.0)],
            parameters: [
                parameter("rate e", 0.05, 0.5),
                parameter("scale e", 0.5, 2.0),
                parameter("rate i", 0.05, 0.5),
                parameter("scale i", 0.5, 2.0),
                parameter("reversal e", 1.0, 3.0),
                parameter("reversal i", -3.0, -1.0),
            ],
            potential: plane("potential", -1.0, 1.0),
        }
    }

    fn mask(&self, device: &Device) -> Option<Tensor<1>> {
        self.masked.then(|| tensor(spikes(self.seed, "mask", self.pre, 0.4), [self.pre], device))
    }

    fn sparse(&self, leaves: &Leaves, device: &Device) -> ([Tensor<2>; 3], Tensor<1>, SparsePattern) {
        let (pattern, values) = SparsePattern::from_dense(leaves.weight.clone());
        let values = if device.is_autodiff() { values.require_grad() } else { values };
        let [rate_e, scale_e, rate_i, scale_i, to_e, to_i] = leaves.parameters.clone();
        let potential = leaves.potential.clone();
        let pull = self.pull.then(|| Pull { potential, reversals: [to_e, to_i] });
        let input = ChannelInput { spikes: leaves.spikes.clone(), inhibitory: self.mask(device), pull };
        let dynamics = [Channel { rate: rate_e, scale: scale_e }, Channel { rate: rate_i, scale: scale_i }];
        let (current, [e, i]) =
            channel_step(input, values.clone(), &pattern, leaves.channels.clone(), &dynamics);
        ([current, e, i], values, pattern)
    }

    /// The definition, by dense products.
    fn dense(&self, leaves: &Leaves, device: &Device) -> [Tensor<2>; 3] {
        let [rate_e, scale_e, rate_i, scale_i, to_e, to_i] =
            leaves.parameters.clone().map(|parameter| parameter.unsqueeze::<2>());
        let mask = self.mask(device).unwrap_or_else(|| Tensor::zeros([self.pre], device));
        let inhibiting = leaves.spikes.clone() * mask.unsqueeze();
        let exciting = leaves.spikes.clone() - inhibiting.clone();
        let [e, i] = leaves.channels.clone();
        let e = e.clone() - rate_e * e + scale_e * exciting.matmul(leaves.weight.clone());
        let i = i.clone() - rate_i * i + scale_i * inhibiting.matmul(leaves.weight.clone());
        let current = match self.pull {
            true => {
                let v = leaves.potential.clone();
                e.clone() * (to_e - v.clone()) + i.clone() * (to_i - v)
            }
            false => e.clone() - i.clone(),
        };
        [current, e, i]
    }

    /// A number that depends on all outputs.
    fn loss(&self, outputs: [Tensor<2>; 3], device: &Device) -> Tensor<1> {
        let parts = outputs.into_iter().enumerate().map(|(place, output)| {
            let factors = draw(self.seed, &format!("factor {place}"), self.rows * self.post, -1.0, 1.0);
            (output * tensor(factors, [self.rows, self.post], device)).sum()
        });
        parts.reduce(|a, b| a + b).unwrap()
    }

    fn check(&self, name: &str, device: &Device) {
        let what = format!("{name}, {self:?}");
        let flex = Device::flex();
        let expected = self.dense(&self.leaves(&flex), &flex).map(floats);
        let (found, ..) = self.sparse(&self.leaves(device), device);
        for (found, expected) in found.map(floats).iter().zip(&expected) {
            assert_close(found, expected, 1e-4, &what);
        }
        self.check_gradients(&what, &device.clone().autodiff());
    }

    fn check_gradients(&self, what: &str, device: &Device) {
        let leaves = self.leaves(device);
        let expected = self.loss(self.dense(&leaves, device), device).backward();
        let other = self.leaves(device);
        let (outputs, values, pattern) = self.sparse(&other, device);
        let found = self.loss(outputs, device).backward();

        let of_values = Tensor::from_data(values.grad(&found).unwrap().into_data(), device);
        let there = leaves.weight.clone().inner().not_equal_scalar(0.0).float();
        let of_weight = leaves.weight.grad(&expected).unwrap() * there;
        assert_close(&floats(pattern.to_dense(of_values)), &floats(of_weight), 1e-3, what);
        let planes = |leaves: &Leaves| {
            let [e, i] = leaves.channels.clone();
            [leaves.spikes.clone(), e, i, leaves.potential.clone()]
        };
        let gradient = |gradient: Option<Vec<f32>>| gradient.unwrap_or_default();
        for (found_in, expected_in) in planes(&other).iter().zip(planes(&leaves)) {
            let found = gradient(found_in.grad(&found).map(floats));
            let expected = gradient(expected_in.grad(&expected).map(floats));
            assert_close(&found, &expected, 1e-3, what);
        }
        for (place, (found_in, expected_in)) in other.parameters.iter().zip(&leaves.parameters).enumerate() {
            // Without inhibitory units nothing reads what they would add.
            if place == 3 && !self.masked {
                continue;
            }
            let found = gradient(found_in.grad(&found).map(floats));
            let expected = gradient(expected_in.grad(&expected).map(floats));
            assert_close(&found, &expected, 1e-3, &format!("parameter {place}: {what}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..Default::default() })]

    #[test]
    fn two_channels_are_what_dense_products_make_of_them(net in nets()) {
        for (name, device) in &devices()[..2] {
            net.check(name, device);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..Default::default() })]

    #[test]
    fn two_channels_are_what_dense_products_make_of_them_on_gpus(net in nets()) {
        for (name, device) in devices().iter().skip(2) {
            net.check(name, device);
        }
    }
}

#[test]
fn channels_do_not_depend_on_the_number_of_threads() {
    let (masked, pull) = (true, true);
    let net = Net { rows: 70, pre: 800, post: 700, active: 0.2, masked, pull, by_unit: true, seed: 6 };
    let [one, two] = on_one_and_two_threads(|| {
        let device = Device::flex();
        net.sparse(&net.leaves(&device), &device).0.map(floats)
    });
    assert_eq!(one, two);
}
