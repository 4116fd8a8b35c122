//! What a controller remembers, by path, and back.

use burn::tensor::{Device, Int, Tensor, TensorData};
use spark_core::payload::{DelayKernel, Floats, Kernel, Payload, PayloadKind};
use spark_core::ports::PropertySpec;
use spark_core::state::{Saved, StateError};

use super::controller::{Controller, INHIBITION_MASK};
use super::waiting::{self, fits};

/// States and kernels by path, such as `pool.soma.potential` and `pool.synapses.kernel` (`[post, pre]`), the
/// inhibition mask, and what modules read in the next step (`pool>out_spikes`).
pub(super) fn save(controller: &Controller) -> Saved {
    let mut saved = Saved::new();
    for node in &controller.nodes {
        let prefixed = |(path, data): (String, TensorData)| (format!("{}.{path}", node.name), data);
        saved.extend(node.instance.save().into_iter().map(prefixed));
        for property in node.instance.properties().iter().filter(|property| property.writable) {
            let value = node.instance.property(property.name).ok();
            if let Some(data) = value.as_ref().and_then(Payload::exchanged) {
                saved.insert(format!("{}.{}", node.name, property.name), data);
            }
        }
        for (place, (port, _)) in node.outputs.iter().enumerate() {
            let slot = node.first + place;
            if controller.waiting[slot]
                && let Some(payload) = controller.slot(node, place)
            {
                waiting::save(&payload, &format!("{}>{port}", node.name), &mut saved);
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
            let Some(now) = node.instance.property(property.name).ok().as_ref().and_then(Payload::exchanged)
            else {
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
            let path = format!("{}>{port}", node.name);
            match &mut controller.slots[node.first + place] {
                Some(payload) => waiting::restore(payload, &path, &mut left, &controller.device)?,
                // Handed on already: it is written again before anybody reads it.
                None => waiting::forget(&path, &mut left),
            }
        }
    }
    match left.into_keys().next() {
        None => Ok(()),
        Some(path) => Err(StateError::Unknown(path)),
    }
}

/// A property as it was exchanged, kernels as `[post, pre]`.
fn received(kind: PayloadKind, data: TensorData, device: &Device) -> Payload {
    match kind {
        PayloadKind::DelayKernel => {
            DelayKernel(Tensor::<2, Int>::from_data(data.convert::<i64>(), device).transpose()).into()
        }
        PayloadKind::Floats => Floats(Tensor::<2>::from_data(data.convert::<f32>(), device)).into(),
        _ => Kernel(Tensor::<2>::from_data(data.convert::<f32>(), device).transpose()).into(),
    }
}
