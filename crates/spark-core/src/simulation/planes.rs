//! States and kernels kept at every step.

use burn::tensor::TensorData;

use crate::component::Instance;
use crate::model::Pattern;
use crate::state::StateError;

/// A plane of state, or a kernel, that is kept.
pub(super) struct Plane {
    /// Its path, such as `pool.soma.potential`.
    pub path: String,
    shape: Vec<usize>,
    values: Vec<f32>,
    steps: usize,
}

/// The planes that patterns mean.
///
/// # Errors
/// Names a pattern that means none.
pub(super) fn meant(
    instance: &dyn Instance,
    patterns: &[Pattern],
) -> Result<Vec<Plane>, (Pattern, Vec<String>)> {
    let saved = instance.save();
    let known: Vec<&String> = saved.keys().filter(|path| !path.contains('>')).collect();
    for pattern in patterns {
        if !known.iter().any(|path| pattern.matches(path.split('.'))) {
            return Err((pattern.clone(), known.into_iter().cloned().collect()));
        }
    }
    let wanted = |path: &&&String| patterns.iter().any(|pattern| pattern.matches(path.split('.')));
    let plane = |path: &&String| {
        let shape = saved[*path].shape().to_vec();
        Plane { path: (*path).clone(), shape, values: Vec::new(), steps: 0 }
    };
    Ok(known.iter().filter(wanted).map(plane).collect())
}

impl Plane {
    /// Keeps what it holds now.
    pub fn see(&mut self, instance: &dyn Instance) -> Result<(), StateError> {
        let data = read(instance, &self.path).ok_or_else(|| StateError::Missing(self.path.clone()))?;
        self.values.extend(data.iter::<f32>());
        self.steps += 1;
        Ok(())
    }

    /// All steps, `[time, …]`; of one sample without the axis of samples.
    pub fn rows(&self) -> TensorData {
        let entries = match self.shape.as_slice() {
            [1, rest @ ..] => rest,
            shape => shape,
        };
        TensorData::new(self.values.clone(), [&[self.steps], entries].concat())
    }
}

/// A plane by its path; the module that it belongs to is asked alone.
fn read(instance: &dyn Instance, path: &str) -> Option<TensorData> {
    if let Some((name, rest)) = path.split_once('.')
        && let Some((_, inside)) = instance.modules().into_iter().find(|(module, _)| *module == name)
    {
        return read(inside, rest);
    }
    let property = instance.property(path).ok();
    property.and_then(|value| value.exchanged()).or_else(|| instance.save().remove(path))
}
