//! Codes against their definitions and against other programs.

use super::*;
use crate::data::{Images, Sequences};
use proptest::prelude::*;
use spark_io::TensorFile;
use std::path::Path;

fn images(levels: &[u8]) -> Images {
    Images { pixels: levels.to_vec(), labels: vec![0], channels: 1, height: 1, width: levels.len() }
}

fn tensor(encoding: Encoding, steps: usize, data: &impl Source) -> Vec<f32> {
    let encoder = Encoder { encoding, steps, seed: 3 };
    let tensor = encoder.encode(data, &[0], Purpose::Evaluate).into_tensor(&Device::flex());
    let inputs = encoding.inputs(data.shape().iter().product());
    assert_eq!(tensor.dims(), [data.frames() * steps, 1, inputs]);
    tensor.into_data().try_to_vec().unwrap()
}

fn encode(encoding: Encoding, steps: usize, levels: &[u8]) -> Vec<f32> {
    tensor(encoding, steps, &images(levels))
}

fn sequence(width: usize, values: &[f32]) -> Sequences {
    let mut sequences = Sequences::new(&[width]);
    sequences.push(values, 0).unwrap();
    sequences
}

/// The steps at which input `input` of `inputs` spikes.
fn times(spikes: &[f32], inputs: usize, input: usize) -> Vec<usize> {
    (0..spikes.len() / inputs).filter(|t| spikes[t * inputs + input] == 1.0).collect()
}

#[test]
fn rates_are_those_of_the_intensities() {
    let levels = [0, 51, 128, 255, 204];
    let spikes = encode(Encoding::Rate { gain: 1.0 }, 20_000, &levels);
    assert!(spikes.iter().all(|&s| s == 0.0 || s == 1.0));
    for (i, &level) in levels.iter().enumerate() {
        let rate = times(&spikes, levels.len(), i).len() as f32 / 20_000.0;
        assert!((rate - intensity(level)).abs() < 0.015, "level {level}: {rate}");
    }
}

#[test]
fn latency_gives_one_spike_brighter_earlier() {
    let spikes = encode(Encoding::Latency { threshold: 0.01 }, 11, &[0, 255, 128]);
    let times = |i: usize| times(&spikes, 3, i);
    assert_eq!((times(0), times(1), times(2)), (vec![], vec![0], vec![5]));
}

#[test]
fn direct_is_constant_over_time() {
    assert_eq!(encode(Encoding::Direct { gain: 2.0 }, 2, &[0, 255]), [0.0, 2.0, 0.0, 2.0]);
    let held = tensor(Encoding::Direct { gain: 2.0 }, 2, &sequence(1, &[1.0, -3.0]));
    assert_eq!(held, [2.0, 2.0, -6.0, -6.0]);
}

#[test]
fn phases_are_binary_digits() {
    let spikes = encode(Encoding::Phase { bits: 8 }, 16, &[0b1011_0001, 0, 255]);
    assert_eq!(times(&spikes, 3, 0), [0, 2, 3, 7, 8, 10, 11, 15]);
    assert!(times(&spikes, 3, 1).is_empty());
    assert_eq!(times(&spikes, 3, 2).len(), 16);
}

#[test]
fn bursts_have_their_spikes_and_gaps() {
    let burst = Encoding::Burst { spikes: 5, shortest: 2, longest: 10 };
    let spikes = encode(burst, 30, &[255, 0, 102]);
    assert_eq!(times(&spikes, 3, 0), [0, 2, 4, 6, 8]);
    assert!(times(&spikes, 3, 1).is_empty());
    // x = 0.4: ⌈5·0.4⌉ = 2 spikes, ⌈10 − 8·0.4⌉ = 7 steps apart.
    assert_eq!(times(&spikes, 3, 2), [0, 7]);
}

#[test]
fn populations_answer_most_where_their_centre_is() {
    let by = PopulationCode::Latency { threshold: 0.1 };
    let population = Encoding::Population { fields: 5, low: 0.0, high: 1.0, narrowness: 1.5, by };
    // Centres at -1/6, 1/6, 1/2, 5/6, 7/6; σ = 1/4.5.
    let spikes = tensor(population, 101, &sequence(1, &[0.5]));
    let first: Vec<Option<usize>> = (0..5).map(|field| times(&spikes, 5, field).first().copied()).collect();
    // exp(−(1/3)²·4.5²/2) = exp(−9/8) = 0.3247; the outermost answer exp(−9/2) = 0.011 is below the threshold.
    assert_eq!(first, [None, Some(68), Some(0), Some(68), None]);
}

#[test]
fn changes_hold_for_one_step_of_a_frame() {
    let delta = Encoding::Delta { threshold: 0.5, off: true };
    let spikes = tensor(delta, 3, &sequence(1, &[0.6, 0.9, 0.1]));
    assert_eq!((times(&spikes, 2, 0), times(&spikes, 2, 1)), (vec![0], vec![6]));
}

fn recorded(name: &str) -> (Vec<usize>, Vec<f32>, Vec<f32>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/encoders");
    let file = TensorFile::read(&folder.join(format!("encode_{name}.safetensors"))).unwrap();
    let values = |name: &str| file.tensors[name].iter::<f32>().collect();
    (file.tensors["x"].shape().to_vec(), values("x"), values("spikes"))
}

#[test]
fn latencies_are_those_of_snntorch() {
    for (name, encoding) in [
        ("latency__linear", Encoding::Latency { threshold: 0.05 }),
        ("latency__log", Encoding::LogLatency { tau: 5.0, threshold: 0.1 }),
    ] {
        let (shape, x, spikes) = recorded(name);
        let mut sequences = Sequences::new(&shape[1..]);
        x.chunks(shape[1]).for_each(|row| sequences.push(row, 0).unwrap());
        let encoder = Encoder { encoding, steps: 15, seed: 0 };
        let rows: Vec<usize> = (0..shape[0]).collect();
        let found = encoder.encode(&sequences, &rows, Purpose::Evaluate).into_tensor(&Device::flex());
        assert_eq!(found.into_data().iter::<f32>().collect::<Vec<_>>(), spikes, "{name}");
    }
}

#[test]
fn changes_are_those_of_snntorch() {
    for (name, off) in [("delta__on", false), ("delta__onoff", true)] {
        let (shape, x, spikes) = recorded(name);
        let found = tensor(Encoding::Delta { threshold: 0.15, off }, 1, &sequence(shape[1], &x));
        let channels = shape[1];
        let inputs = if off { 2 * channels } else { channels };
        // There, a fall is a spike of −1 in the same channel.
        let signed = found.chunks(inputs).flat_map(|step| {
            (0..channels).map(move |i| step[i] - if off { step[channels + i] } else { 0.0 })
        });
        assert_eq!(signed.collect::<Vec<_>>(), spikes, "{name}");
    }
}

#[test]
fn a_sample_encodes_the_same_in_any_batch_and_differently_in_any_epoch() {
    let digits = crate::data::mnist10k().unwrap().test;
    let encoder = Encoder { encoding: Encoding::default(), steps: 5, seed: 9 };
    let bytes = |indices: &[usize], purpose| match encoder.encode(&digits, indices, purpose).content {
        Content::Spikes(spikes) => spikes,
        other => panic!("{other:?}"),
    };
    let alone = bytes(&[7], Purpose::Train(1));
    let pair = bytes(&[3, 7], Purpose::Train(1));
    for t in 0..5 {
        assert_eq!(alone[t * 784..(t + 1) * 784], pair[(2 * t + 1) * 784..(2 * t + 2) * 784]);
    }
    assert_ne!(alone, bytes(&[7], Purpose::Train(2)));
    assert_ne!(alone, bytes(&[7], Purpose::Evaluate));
}

/// The spikes of digits as they were when only images could be encoded: a sum over entries by their place.
#[test]
fn spikes_of_digits_stay_what_they_were() {
    let digits = crate::data::mnist10k().unwrap().test;
    for (encoding, expected) in [
        (Encoding::Rate { gain: 1.0 }, RATE),
        (Encoding::Rate { gain: 0.37 }, RATE_LOW),
        (Encoding::Latency { threshold: 0.01 }, LATENCY),
        (Encoding::Direct { gain: 0.7 }, DIRECT),
    ] {
        let encoder = Encoder { encoding, steps: 7, seed: 11 };
        let found = encoder.encode(&digits, &[5, 0, 1999], Purpose::Train(4)).into_tensor(&Device::flex());
        let entries = found.into_data().iter::<f32>().collect::<Vec<_>>();
        let hash = entries.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, entry| {
            (hash ^ u64::from(entry.to_bits())).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!(hash, expected, "{encoding:?}");
    }
}

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        (0.1f32..2.0).prop_map(|gain| Encoding::Rate { gain }),
        (0.0f32..1.0).prop_map(|threshold| Encoding::Latency { threshold }),
        (0.1f32..9.0, 0.01f32..1.0).prop_map(|(tau, threshold)| Encoding::LogLatency { tau, threshold }),
        (1u8..=16).prop_map(|bits| Encoding::Phase { bits }),
        (0.01f32..1.0, any::<bool>()).prop_map(|(threshold, off)| Encoding::Delta { threshold, off }),
        (3u16..8, 0.5f32..3.0, any::<bool>()).prop_map(|(fields, narrowness, rate)| {
            let by = if rate { PopulationCode::Rate {} } else { PopulationCode::Latency { threshold: 0.1 } };
            Encoding::Population { fields, low: -1.0, high: 1.0, narrowness, by }
        }),
        (1u16..6, 1u16..4, 0u16..9).prop_map(|(spikes, shortest, more)| {
            Encoding::Burst { spikes, shortest, longest: shortest + more }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn every_code_gives_spikes_that_fit(
        encoding in any_encoding(),
        steps in 1usize..12,
        values in prop::collection::vec(-2.0f32..2.0, 6),
    ) {
        let data = sequence(2, &values);
        let mut problems = Problems::default();
        encoding.validate("e", &mut problems);
        prop_assert!(problems.into_result().is_ok());
        let spikes = tensor(encoding, steps, &data);
        prop_assert!(spikes.iter().all(|&s| s == 0.0 || s == 1.0));
        let inputs = encoding.inputs(2);
        for frame in spikes.chunks(steps * inputs) {
            for input in 0..inputs {
                let count = frame[input..].iter().step_by(inputs).sum::<f32>();
                let most = match encoding {
                    Encoding::Latency { .. } | Encoding::LogLatency { .. } | Encoding::Delta { .. } => 1,
                    Encoding::Population { by: PopulationCode::Latency { .. }, .. } => 1,
                    Encoding::Burst { spikes, .. } => usize::from(spikes),
                    _ => steps,
                };
                prop_assert!(count <= most as f32, "{encoding:?}: {count}");
            }
        }
    }

    #[test]
    fn phases_bring_the_number_back(x in 0.0f32..=1.0, bits in 1u8..=16) {
        let spikes = tensor(Encoding::Phase { bits }, usize::from(bits), &sequence(1, &[x]));
        let sum: f32 = spikes.iter().enumerate().map(|(k, spike)| spike * 0.5f32.powi(k as i32 + 1)).sum();
        let highest = 1.0 - 0.5f32.powi(i32::from(bits));
        prop_assert!((sum - x * highest).abs() <= 0.5f32.powi(i32::from(bits) + 1) * 1.01);
    }

    #[test]
    fn what_follows_a_short_sequence_is_silence(short in 1usize..5, seed in any::<u64>()) {
        let mut data = Sequences::new(&[2]);
        data.push(&[1.0; 10], 0).unwrap();
        data.push(&vec![1.0; 2 * short], 1).unwrap();
        let encoder = Encoder { encoding: Encoding::Rate { gain: 0.5 }, steps: 3, seed };
        let both = encoder.encode(&data, &[0, 1], Purpose::Train(0));
        let alone = encoder.encode(&data, &[1], Purpose::Train(0));
        prop_assert_eq!(both.lengths(), [15, 3 * short]);
        let entries = |encoded: Encoded| encoded.into_tensor(&Device::flex()).into_data().iter::<f32>().collect::<Vec<_>>();
        let (both, alone) = (entries(both), entries(alone));
        for t in 0..15 {
            prop_assert_eq!(&both[4 * t + 2..4 * t + 4], &alone[2 * t..2 * t + 2]);
            prop_assert!(t < 3 * short || alone[2 * t..2 * t + 2] == [0.0, 0.0]);
        }
    }
}

const RATE: u64 = 0xcecf_14a9_dbb0_8965;
const RATE_LOW: u64 = 0xc50d_5a90_ee30_8965;
const LATENCY: u64 = 0x34ca_bc43_0fb0_8965;
const DIRECT: u64 = 0xe412_0a2c_5df3_348c;
