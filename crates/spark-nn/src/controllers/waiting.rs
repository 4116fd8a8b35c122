//! Payloads that wait to be read in the next step, as they are saved.

use burn::tensor::{Device, Int, Tensor, TensorData};
use spark_core::payload::{
    Arrival, Currents, Floats, IntegerMask, Integers, Late, Mask, Payload, Potentials, Spikes,
};
use spark_core::state::{Saved, StateError};
use spark_kernels::{DelayRing, Delays};

/// Adds the tensors of a payload: the main one under `path`, others below it (`pool>out_spikes>inhibitory`).
/// Kernels are left out: effects take them in the step in which they are made.
pub(super) fn save(payload: &Payload, path: &str, saved: &mut Saved) {
    let mut put = |path: String, data: TensorData| drop(saved.insert(path, data));
    match payload {
        Payload::Spikes(Spikes { arrival, inhibitory }) => {
            match arrival {
                Arrival::Units(spikes) => put(path.to_owned(), spikes.to_data()),
                Arrival::Pairs(spikes) => put(path.to_owned(), spikes.to_data()),
                Arrival::Delayed(late) => {
                    put(path.to_owned(), late.spikes.history.to_data());
                    put(below(path, NEWEST), TensorData::new(vec![late.spikes.newest as i64], [1]));
                    put(below(path, DELAYS), late.delays.steps().into_data());
                    if let Some(signed) = &late.signed {
                        put(below(path, SIGNED), signed.history.to_data());
                    }
                }
            }
            if let Some(mask) = inhibitory {
                put(below(path, INHIBITORY), mask.to_data());
            }
        }
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            put(path.to_owned(), x.to_data());
        }
        Payload::Integers(Integers(x)) => put(path.to_owned(), x.to_data()),
        Payload::Mask(Mask(x)) => put(path.to_owned(), x.to_data()),
        Payload::IntegerMask(IntegerMask(x)) => put(path.to_owned(), x.to_data()),
        Payload::Kernel(_) | Payload::DelayKernel(_) => {}
    }
}

const NEWEST: &str = "newest";
const DELAYS: &str = "delays";
const SIGNED: &str = "signed";
const INHIBITORY: &str = "inhibitory";

fn below(path: &str, part: &str) -> String {
    format!("{path}>{part}")
}

/// Replaces the tensors of a payload by what was saved, which is taken out; stays as it is where nothing was.
pub(super) fn restore(
    payload: &mut Payload,
    path: &str,
    left: &mut Saved,
    device: &Device,
) -> Result<(), StateError> {
    if !left.contains_key(path) {
        return Ok(());
    }
    let mut leaves = Leaves { left, device };
    match payload {
        Payload::Spikes(spikes) => restore_spikes(spikes, path, &mut leaves)?,
        Payload::Currents(Currents(x)) | Payload::Potentials(Potentials(x)) | Payload::Floats(Floats(x)) => {
            *x = leaves.floats(path, x)?;
        }
        Payload::Integers(Integers(x)) => *x = leaves.integers(path, &x.dims())?,
        Payload::Mask(Mask(x)) => *x = leaves.floats(path, x)?,
        Payload::IntegerMask(IntegerMask(x)) => *x = leaves.integers(path, &x.dims())?,
        Payload::Kernel(_) | Payload::DelayKernel(_) => {}
    }
    Ok(())
}

/// Takes out what was saved of a payload that is not there.
pub(super) fn forget(path: &str, left: &mut Saved) {
    let inside = below(path, "");
    left.retain(|saved, _| saved != path && !saved.starts_with(&inside));
}

fn restore_spikes(spikes: &mut Spikes, path: &str, leaves: &mut Leaves<'_>) -> Result<(), StateError> {
    let sources = match &mut spikes.arrival {
        Arrival::Units(x) => {
            *x = leaves.floats(path, x)?;
            x.dims()[1]
        }
        Arrival::Pairs(x) => {
            *x = leaves.floats(path, x)?;
            x.dims()[1]
        }
        Arrival::Delayed(late) => {
            **late = leaves.late(path, late)?;
            late.spikes.history.dims()[2]
        }
    };
    let mask = below(path, INHIBITORY);
    spikes.inhibitory = match leaves.left.contains_key(&mask) {
        true => Some(leaves.floats(&mask, &Tensor::<1>::zeros([sources], leaves.device))?),
        false => None,
    };
    Ok(())
}

struct Leaves<'a> {
    left: &'a mut Saved,
    device: &'a Device,
}

impl Leaves<'_> {
    fn take(&mut self, path: &str, shape: &[usize]) -> Result<TensorData, StateError> {
        let data = self.left.remove(path).ok_or_else(|| StateError::Missing(path.to_owned()))?;
        fits(path, &data, shape)?;
        Ok(data)
    }

    fn floats<const D: usize>(&mut self, path: &str, like: &Tensor<D>) -> Result<Tensor<D>, StateError> {
        let data = self.take(path, &like.dims())?;
        Ok(Tensor::from_data(data.convert::<f32>(), self.device))
    }

    fn integers<const D: usize>(
        &mut self,
        path: &str,
        shape: &[usize],
    ) -> Result<Tensor<D, Int>, StateError> {
        Ok(Tensor::from_data(self.take(path, shape)?.convert::<i64>(), self.device))
    }

    fn late(&mut self, path: &str, now: &Late) -> Result<Late, StateError> {
        let history = &now.spikes.history;
        let spikes = self.floats(path, history)?;
        let wrong = |path: String, message: String| StateError::Content { path, message };
        let slots = history.dims()[0];
        let at = below(path, NEWEST);
        let newest = self.take(&at, &[1])?.iter::<i64>().next().and_then(|slot| usize::try_from(slot).ok());
        let newest = newest.filter(|slot| *slot < slots);
        let newest = newest.ok_or_else(|| wrong(at, format!("is none of {slots} slots")))?;
        let at = below(path, DELAYS);
        let steps = self.integers(&at, &now.delays.steps().dims())?;
        let delays = Delays::new(steps, now.delays.max()).map_err(|error| wrong(at, error.to_string()))?;
        let at = below(path, SIGNED);
        let signed = match self.left.contains_key(&at) {
            true => Some(DelayRing { history: self.floats(&at, history)?, newest }),
            false => None,
        };
        Ok(Late { spikes: DelayRing { history: spikes, newest }, signed, delays })
    }
}

/// Whether what was saved has a shape, and nothing but finite numbers.
pub(super) fn fits(path: &str, data: &TensorData, expected: &[usize]) -> Result<(), StateError> {
    let path = path.to_owned();
    if data.shape()[..] != *expected {
        return Err(StateError::Shape { path, found: data.shape().to_vec(), expected: expected.to_vec() });
    }
    if data.iter::<f64>().any(|value| !value.is_finite()) {
        return Err(StateError::Content { path, message: "holds a number that is not finite".to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_come_back_with_their_signs_and_delays() {
        let device = Device::flex();
        let plane = Tensor::<2>::from_floats([[1.0, 0.0]], &device);
        let mask = Tensor::<1>::from_floats([0.0, 1.0], &device);
        let delays =
            |steps: [[i64; 1]; 2]| Delays::new(Tensor::<2, Int>::from_ints(steps, &device), 3).unwrap();
        let ring = || DelayRing::new(3, 1, 2, &device);
        let late = |spikes: DelayRing, delays| {
            let late = Late { signed: Some(spikes.clone()), spikes, delays };
            Spikes { arrival: Arrival::Delayed(Box::new(late)), inhibitory: None }
        };
        let cases: [[Payload; 2]; 2] = [
            [
                Spikes::new(plane.clone()).with_inhibitory(Some(mask)).into(),
                Spikes::new(plane.zeros_like()).into(),
            ],
            [late(ring().push(plane), delays([[1], [3]])).into(), late(ring(), delays([[2], [2]])).into()],
        ];
        for [before, mut fresh] in cases {
            let (mut saved, mut again) = (Saved::new(), Saved::new());
            save(&before, "a>out", &mut saved);
            let mut left = saved.clone();
            restore(&mut fresh, "a>out", &mut left, &device).unwrap();
            assert!(left.is_empty(), "{:?}", left.keys());
            save(&fresh, "a>out", &mut again);
            assert_eq!(saved, again);
            let mut bad = saved.clone();
            bad.insert("a>out".to_owned(), TensorData::new(vec![0.0f32], [1]));
            assert!(matches!(restore(&mut fresh, "a>out", &mut bad, &device), Err(StateError::Shape { .. })));
        }
    }
}
