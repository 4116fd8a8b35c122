//! What is looked at, as values by unit: on the host where it is there, else as a tensor on its device.

use burn::tensor::{Tensor, TensorData};
use spark_core::look::Look;
use spark_core::payload::{Currents, Floats, Integers, Mask, Payload, Potentials};
use spark_kernels::host::{self, Spiking};
use std::borrow::Cow;

/// What a look shows.
#[allow(clippy::large_enum_variant)] // A box would ask for memory at every step.
pub(super) enum Seen<'a> {
    /// Spikes.
    Spikes(&'a Spiking),
    /// A value by unit.
    Values(Cow<'a, [f32]>),
    /// The same on a device from which values would have to travel.
    Device(Tensor<1>),
}

impl<'a> Seen<'a> {
    /// * `here`: whether tensors are on the host.
    pub fn of(look: Look<'a>, here: bool) -> Option<Self> {
        Some(match look {
            Look::Spikes(spikes) => Self::Spikes(spikes),
            Look::Values(values) => Self::Values(Cow::Borrowed(values)),
            Look::Data(data) => Self::Values(Cow::Owned(floats(data))),
            // In the layout in which they are exchanged.
            Look::Payload(payload @ (Payload::Kernel(_) | Payload::DelayKernel(_))) => {
                Self::Values(Cow::Owned(floats(&payload.exchanged()?)))
            }
            Look::Payload(payload) => {
                let units = units(payload)?;
                match here.then(|| host::values(&units)).flatten() {
                    Some(values) => Self::Values(Cow::Owned(values)),
                    None => Self::Device(units),
                }
            }
        })
    }

    /// The values on the host, wherever they are.
    pub fn values(self) -> Cow<'a, [f32]> {
        match self {
            Self::Spikes(spikes) => Cow::Owned(spikes.values()),
            Self::Values(values) => values,
            Self::Device(tensor) => Cow::Owned(floats(&tensor.into_data())),
        }
    }
}

fn floats(data: &TensorData) -> Vec<f32> {
    match data.as_slice::<f32>() {
        Ok(values) => values.to_vec(),
        Err(_) => data.iter::<f32>().collect(),
    }
}

/// The values of a payload by unit, flat.
fn units(payload: &Payload) -> Option<Tensor<1>> {
    Some(match payload {
        Payload::Spikes(spikes) => spikes.units()?.flatten(0, 1),
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            x.clone().flatten(0, 1)
        }
        Payload::Integers(Integers(x)) => x.clone().float().flatten(0, 1),
        Payload::Mask(Mask(x)) => x.clone(),
        Payload::IntegerMask(_) | Payload::Kernel(_) | Payload::DelayKernel(_) => return None,
    })
}
