//! What a controller remembers, by path, and back.

use burn::tensor::{Device, Int, Tensor, TensorData};
use spark_core::payload::{
    Currents, DelayKernel, Floats, Integers, Kernel, Mask, Payload, PayloadKind, Potentials, Spikes,
};
use spark_core::ports::PropertySpec;
use spark_core::state::{Saved, StateError};

use super::assembly::exchanged;
use super::controller::{Controller, INHIBITION_MASK};

/// States and kernels by path, such as `pool.soma.potential` and `pool.synapses.kernel` (`[post, pre]`), the
/// inhibition mask, and what modules read in the next step (`pool>out_spikes`).
pub(super) fn save(controller: &Controller) -> Saved {
    let mut saved = Saved::new();
    for node in &controller.nodes {
        let prefixed = |(path, data): (String, TensorData)| (format!("{}.{path}", node.name), data);
        saved.extend(node.instance.save().into_iter().map(prefixed));
        for property in node.instance.properties().iter().filter(|property| property.writable) {
            let value = node.instance.property(property.name).ok();
            if let Some(data) = value.as_ref().and_then(exchanged) {
                saved.insert(format!("{}.{}", node.name, property.name), data);
            }
        }
        for (place, (port, _)) in node.outputs.iter().enumerate() {
            if let Some(data) = controller.slots[node.first + place].as_ref().and_then(plane) {
                saved.insert(format!("{}>{port}", node.name), data);
            }
        }
    }
    if let Some(mask) = &controller.mask {
        saved.insert(INHIBITION_MASK.name.to_owned(), mask.to_data());
    }
    saved
}

/// Puts what was saved back; what an error leaves half done is for the caller to undo.
pub(super) fn load(controller: &mut Controller, saved: &Saved) -> Result<(), StateError> {
    let mut left = saved.clone();
    if let Some(mask) = &mut controller.mask {
        let path = INHIBITION_MASK.name;
        let data = left.remove(path).ok_or_else(|| StateError::Missing(path.to_owned()))?;
        let shape = mask.dims();
        fits(path, &data, &shape)?;
        *mask = Tensor::from_data(data.convert::<f32>(), &controller.device);
    }
    for node in &mut controller.nodes {
        let own = format!("{}.", node.name);
        let mut inside: Saved = Saved::new();
        left.retain(|path, data| match path.strip_prefix(&own) {
            Some(rest) => {
                inside.insert(rest.to_owned(), data.clone());
                false
            }
            None => true,
        });
        let full = |error: StateError| error.within(node.name);
        let writable: Vec<PropertySpec> =
            node.instance.properties().iter().filter(|property| property.writable).copied().collect();
        for property in writable {
            let Some(now) = node.instance.property(property.name).ok().as_ref().and_then(exchanged) else {
                continue;
            };
            let data = inside.remove(property.name);
            let data = data.ok_or_else(|| full(StateError::Missing(property.name.to_owned())))?;
            fits(property.name, &data, &now.shape()[..]).map_err(full)?;
            let value = received(property.kind, data, &controller.device);
            node.instance.set_property(property.name, value).map_err(|error| {
                full(StateError::Content { path: property.name.to_owned(), message: error.to_string() })
            })?;
        }
        node.instance.restore(&inside).map_err(full)?;
        for (place, (port, _)) in node.outputs.iter().enumerate() {
            let slot = &mut controller.slots[node.first + place];
            let path = format!("{}>{port}", node.name);
            let Some(data) = left.remove(&path) else { continue };
            let Some(payload) = slot else { continue };
            let now = plane(payload).ok_or_else(|| StateError::Unknown(path.clone()))?;
            fits(&path, &data, &now.shape()[..])?;
            rewrite(payload, data, &controller.device);
            // What waits before the first step does not say which units inhibit.
            if let (Payload::Spikes(spikes), Ok(Payload::Mask(Mask(mask)))) =
                (payload, node.instance.property(INHIBITION_MASK.name))
            {
                spikes.inhibitory = Some(mask);
            }
        }
    }
    match left.into_keys().next() {
        None => Ok(()),
        Some(path) => Err(StateError::Unknown(path)),
    }
}

fn fits(path: &str, data: &TensorData, expected: &[usize]) -> Result<(), StateError> {
    let path = path.to_owned();
    if data.shape()[..] != *expected {
        return Err(StateError::Shape { path, found: data.shape().to_vec(), expected: expected.to_vec() });
    }
    if data.iter::<f64>().any(|value| !value.is_finite()) {
        return Err(StateError::Content { path, message: "holds a number that is not finite".to_owned() });
    }
    Ok(())
}

/// A kernel that was exchanged as `[post, pre]`.
fn received(kind: PayloadKind, data: TensorData, device: &Device) -> Payload {
    match kind {
        PayloadKind::DelayKernel => {
            DelayKernel(Tensor::<2, Int>::from_data(data.convert::<i64>(), device).transpose()).into()
        }
        _ => Kernel(Tensor::<2>::from_data(data.convert::<f32>(), device).transpose()).into(),
    }
}

/// What there is to save of a payload that waits to be read.
fn plane(payload: &Payload) -> Option<TensorData> {
    match payload {
        Payload::Spikes(spikes) => spikes.units().map(Tensor::into_data),
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            Some(x.to_data())
        }
        Payload::Integers(Integers(x)) => Some(x.to_data()),
        Payload::Mask(_) | Payload::IntegerMask(_) | Payload::Kernel(_) | Payload::DelayKernel(_) => None,
    }
}

fn rewrite(payload: &mut Payload, data: TensorData, device: &Device) {
    let float = |data: TensorData| Tensor::<2>::from_data(data.convert::<f32>(), device);
    match payload {
        Payload::Spikes(spikes) => {
            let inhibitory = spikes.inhibitory.take();
            *spikes = Spikes::new(float(data)).with_inhibitory(inhibitory);
        }
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            *x = float(data);
        }
        Payload::Integers(Integers(x)) => *x = Tensor::from_data(data, device),
        Payload::Mask(_) | Payload::IntegerMask(_) | Payload::Kernel(_) | Payload::DelayKernel(_) => {}
    }
}
