//! The fused bodies against the composed ones, over more units than one block holds and more steps than
//! lie between two checkpoints.

use burn::backend::{Flex, TensorMetadata, tensor::FloatTensor};
use burn::tensor::Shape;

use crate::cpu::HostBackend;
use crate::scan::{self, ScanInputs, ScanOutputGradients, ScanOutputs, ScanSaved, Wanted};
use crate::{Maybe, Reset, ScanOptions, cpu};

const SHAPE: [usize; 3] = [7, 2, 700];

fn draw(stream: u32, low: f32, high: f32, shape: &[usize]) -> FloatTensor<Flex> {
    let count = shape.iter().product::<usize>();
    let words = crate::philox::Stream::new(7, stream, 0);
    let uniform = (0..count.div_ceil(4) as u32).flat_map(|i| words.words(i)).take(count);
    let values = uniform.map(|word| low + (high - low) * crate::philox::uniform(word)).collect();
    <Flex as HostBackend>::tensor(values, Shape::from(shape.to_vec()))
}

fn floats(tensor: &FloatTensor<Flex>) -> Vec<f32> {
    <Flex as HostBackend>::slice(tensor).expect("f32").into_owned()
}

fn maybe(there: bool, tensor: impl FnOnce() -> FloatTensor<Flex>) -> Maybe<Flex> {
    there.then(tensor).into()
}

fn inputs(spikes: bool, current: bool, adaptation: bool) -> ScanInputs<Flex> {
    let [_, batch, units] = SHAPE;
    ScanInputs {
        input: draw(0, -0.5, 1.2, &SHAPE),
        membrane: draw(1, -0.5, 1.2, &[batch, units]),
        decay: draw(2, 0.5, 1.0, &[units]),
        threshold: maybe(spikes, || draw(3, 0.5, 1.0, &[1])),
        current: maybe(current, || draw(4, -0.5, 0.5, &[batch, units])),
        current_decay: maybe(current, || draw(5, 0.3, 0.8, &[1])),
        adaptation: maybe(adaptation, || draw(6, 0.0, 0.5, &[batch, units])),
        adaptation_decay: maybe(adaptation, || draw(7, 0.5, 1.0, &[units])),
        adaptation_strength: maybe(adaptation, || draw(8, 0.1, 0.5, &[1])),
    }
}

fn compare(options: ScanOptions, inputs: &ScanInputs<Flex>) {
    let expected = scan::forward(inputs.clone(), true, options);
    let found = cpu::scan::forward(inputs, true, options).expect("f32");
    let outputs = |outputs: &ScanOutputs<Flex>| {
        let ScanOutputs { spikes, potential, membrane, current, adaptation, checkpoints } = outputs.clone();
        let membrane = Maybe::Present(membrane);
        [spikes, potential, membrane, current, adaptation, checkpoints].map(Maybe::into_option)
    };
    for (which, (found, expected)) in outputs(&found).iter().zip(outputs(&expected)).enumerate() {
        assert_eq!(found.as_ref().map(TensorMetadata::shape), expected.as_ref().map(TensorMetadata::shape));
        let (found, expected) = (found.as_ref().map(floats), expected.as_ref().map(floats));
        assert_eq!(found, expected, "output {which}, {options:?}");
    }

    let saved = || ScanSaved { inputs: inputs.clone(), checkpoints: found.checkpoints.clone() };
    let shape = |of: &Maybe<Flex>| of.clone().into_option().map(|tensor| tensor.shape().to_vec());
    let gradient = |of: &Maybe<Flex>, stream| shape(of).map(|shape| draw(stream, -1.0, 1.0, &shape)).into();
    let gradients = || ScanOutputGradients {
        spikes: gradient(&found.spikes, 10),
        potential: gradient(&found.potential, 11),
        membrane: Maybe::Absent,
        current: gradient(&found.current, 12),
        adaptation: gradient(&found.adaptation, 13),
    };
    for all in [true, false] {
        let wanted = Wanted {
            decay: true,
            threshold: all,
            current_decay: all,
            adaptation_decay: all,
            adaptation_strength: all,
        };
        let expected = scan::backward(saved(), gradients(), wanted, options).into_array();
        let found =
            cpu::scan::backward(&saved(), &mut gradients(), wanted, options).expect("f32").into_array();
        for (which, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(
                found.as_ref().map(TensorMetadata::shape),
                expected.as_ref().map(TensorMetadata::shape)
            );
            let (found, expected) = (found.as_ref().map(floats), expected.as_ref().map(floats));
            // Sums of many terms that cancel.
            let summed = SHAPE.iter().product::<usize>() / found.as_ref().map_or(1, Vec::len);
            let tolerance = 1e-5 * (1.0 + 0.2 * (summed as f32).sqrt());
            for (f, e) in found.into_iter().flatten().zip(expected.into_iter().flatten()) {
                let close = (f - e).abs() <= tolerance * (1.0 + e.abs());
                assert!(close, "gradient {which}, {options:?}: found {f}, expected {e}");
            }
        }
    }
}

#[test]
fn fused_scans_equal_the_reference() {
    for reset in [Reset::Subtract, Reset::Zero, Reset::None] {
        for bits in 0..16 {
            let [reset_delay, reset_gradient, current_delay, adaptation] =
                [1, 2, 4, 8].map(|bit| bits & bit != 0);
            let (window, checkpoint) = (Some(3), Some(2));
            let potential = true;
            let surrogate = Default::default();
            let options = ScanOptions {
                reset,
                reset_delay,
                reset_gradient,
                surrogate,
                current_delay,
                potential,
                window,
                checkpoint,
            };
            for current in [false, true] {
                compare(options, &inputs(true, current, adaptation));
            }
        }
    }
}

#[test]
fn fused_integrators_equal_the_reference() {
    for current in [false, true] {
        for (potential, window) in [(true, None), (true, Some(2)), (false, None)] {
            let options = ScanOptions { potential, window, current_delay: current, ..Default::default() };
            compare(options, &inputs(false, current, false));
        }
    }
}

/// The gradient that arrives is written over where nobody else holds it, and left alone where somebody does.
#[test]
fn gradients_of_others_stay_as_they_are() {
    let inputs = inputs(true, false, false);
    let options = ScanOptions::default();
    let arriving = draw(10, -1.0, 1.0, &SHAPE);
    let before = floats(&arriving);
    let wanted = Wanted::new([true; 9]);
    let back = |spikes: FloatTensor<Flex>| {
        let saved = ScanSaved { inputs: inputs.clone(), checkpoints: Maybe::Absent };
        let absent = || Maybe::Absent;
        let mut gradients = ScanOutputGradients {
            spikes: Maybe::Present(spikes),
            potential: absent(),
            membrane: absent(),
            current: absent(),
            adaptation: absent(),
        };
        floats(&cpu::scan::backward(&saved, &mut gradients, wanted, options).expect("f32").input)
    };
    let shared = back(arriving.clone());
    assert_eq!(floats(&arriving), before);
    assert_eq!(back(arriving), shared);
}
