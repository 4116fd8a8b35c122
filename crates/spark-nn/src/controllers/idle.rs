//! What modules give before anything has happened.

use burn::tensor::{Device, Tensor};
use spark_core::component::Instance;
use spark_core::payload::{
    Currents, DelayKernel, Floats, IntegerMask, Integers, Kernel, Mask, Payload, PayloadKind, Potentials,
    Shape, Spikes,
};
use spark_core::ports::PortValues;

use super::layout::Read;

/// A payload of zeros; spikes are of units that inhibit where the mask says so.
pub(super) fn zeros(shape: &Shape, mask: Option<&Tensor<1>>, batch: usize, device: &Device) -> Payload {
    let count = shape.count();
    let plane = || Tensor::<2>::zeros([batch, count], device);
    match shape.kind {
        PayloadKind::Spikes => {
            let mask = mask.filter(|mask| mask.dims() == [count]);
            Spikes::new(plane()).with_inhibitory(mask.cloned()).into()
        }
        PayloadKind::Currents => Currents(plane()).into(),
        PayloadKind::Potentials => Potentials(plane()).into(),
        PayloadKind::Floats => Floats(plane()).into(),
        PayloadKind::Integers => Integers(Tensor::zeros([batch, count], device)).into(),
        PayloadKind::Mask => Mask(Tensor::zeros([count], device)).into(),
        PayloadKind::IntegerMask => IntegerMask(Tensor::zeros([count], device)).into(),
        // Nobody reads kernels from a port but the effect that comes after the first step.
        PayloadKind::Kernel => Kernel(Tensor::zeros([0, 0], device)).into(),
        PayloadKind::DelayKernel => DelayKernel(Tensor::zeros([0, 0], device)).into(),
    }
}

/// What delays by pair give when nothing ever came in: only they know the form of it.
pub(super) fn idle(
    instance: &mut dyn Instance,
    feeds: &[(&'static str, Vec<Read>)],
    place: usize,
    batch: usize,
    device: &Device,
) -> Option<Payload> {
    let mut inputs = PortValues::default();
    for port in instance.inputs().iter().filter(|port| !port.optional) {
        let fed = feeds.iter().any(|(name, _)| *name == port.name);
        let shape = instance.input_shape(port.name)?;
        if !fed || shape.pairs {
            return None;
        }
        inputs.put(port.name, zeros(&shape, None, batch, device));
    }
    let outputs = instance.forward(inputs);
    instance.reset();
    outputs.into_iter().nth(place).map(|(_, payload)| payload)
}
