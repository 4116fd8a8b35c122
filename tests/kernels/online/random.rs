//! Random tensors.

use spark::kernels::philox::Stream;
use spark::kernels::random;
use spark::prelude::*;

use super::{draw, floats, on_one_and_two_threads, tensor};
use crate::support::devices;

const SHAPE: [usize; 2] = [37, 501];

/// The bits of all kinds of draws.
fn bits(device: &Device) -> Vec<Vec<u32>> {
    let stream = Stream::new(11, 3, 1 << 40);
    let probability = tensor(draw(1, "probability", SHAPE[0] * SHAPE[1], 0.0, 1.0), SHAPE, device);
    [
        random::uniform(SHAPE, stream, device),
        random::normal(SHAPE, stream, device),
        random::bernoulli(0.3, SHAPE, stream, device),
        random::bernoulli_each(probability, stream),
    ]
    .map(|tensor| floats(tensor).into_iter().map(f32::to_bits).collect())
    .into()
}

#[test]
fn draws_have_the_same_bits_on_every_backend_and_thread_count() {
    let expected = bits(&Device::flex());
    for (name, device) in devices() {
        assert!(bits(&device) == expected, "{name}");
        assert!(bits(&device.autodiff()) == expected, "{name} with autodiff");
    }
    for found in on_one_and_two_threads(|| bits(&Device::flex())) {
        assert!(found == expected);
    }
}

#[test]
fn a_draw_depends_on_seed_stream_step_and_index_only() {
    let device = Device::flex();
    let draw = |stream: Stream, count: usize| floats(random::normal([count], stream, &device));
    let long = draw(Stream::new(1, 2, 3), 100_000);
    assert_eq!(draw(Stream::new(1, 2, 3), 77), long[..77]);
    for other in [Stream::new(2, 2, 3), Stream::new(1, 3, 3), Stream::new(1, 2, 4)] {
        assert_ne!(draw(other, 77), long[..77]);
    }
}

#[test]
fn bernoulli_draws_have_their_probabilities() {
    for (name, device) in devices() {
        let count = 20_000;
        let probabilities = draw(1, "probability", count, 0.0, 1.0);
        let kept = tensor(probabilities.clone(), [count], &device);
        let spikes = floats(random::bernoulli_each(kept.clone(), Stream::new(5, 0, 0)));
        assert!(spikes.iter().all(|&s| s == 0.0 || s == 1.0), "{name}");
        assert_eq!(floats(kept), probabilities, "{name}: what is held elsewhere does not change");
        for decile in 0..10 {
            let (low, high) = (decile as f32 / 10.0, (decile + 1) as f32 / 10.0);
            let group: Vec<f32> = spikes
                .iter()
                .zip(&probabilities)
                .filter(|(_, p)| (low..high).contains(*p))
                .map(|(s, _)| *s)
                .collect();
            let mean = group.iter().sum::<f32>() / group.len() as f32;
            assert!((mean - low - 0.05).abs() < 0.04, "{name}: {mean} in {low}..{high}");
        }
        let never = random::bernoulli(0.0, [1_000], Stream::new(5, 0, 0), &device);
        let always = random::bernoulli(1.0, [1_000], Stream::new(5, 0, 0), &device);
        assert_eq!((floats(never.sum()), floats(always.sum())), (vec![0.0], vec![1_000.0]), "{name}");
    }
}
