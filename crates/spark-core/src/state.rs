//! What modules remember from step to step: named planes that can be saved, restored and compared.

use burn::tensor::{Int, Tensor, TensorData};
use spark_kernels::DelayRing;
use std::collections::BTreeMap;

/// What a module remembers. Made by [`state!`](crate::state!).
pub trait State: Clone + std::fmt::Debug + Send + 'static {
    /// The same structure with every leaf handed through the mapper, in a fixed order.
    #[must_use]
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self;
}

/// Does something to every leaf of a [`State`].
pub trait StateMapper {
    /// Goes into a field.
    fn enter(&mut self, field: &str);

    /// Leaves the field entered last.
    fn leave(&mut self);

    /// A plane of numbers.
    fn float<const D: usize>(&mut self, plane: Tensor<D>) -> Tensor<D>;

    /// A plane of whole numbers.
    fn int<const D: usize>(&mut self, plane: Tensor<D, Int>) -> Tensor<D, Int>;

    /// A count.
    fn count(&mut self, count: u64) -> u64;

    /// Maps a field by its name.
    fn field<S: State>(&mut self, name: &str, state: S) -> S
    where
        Self: Sized,
    {
        self.enter(name);
        let state = state.map(self);
        self.leave();
        state
    }
}

/// A structure of state: every field is a [`State`] itself.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::state::{restore, save};
///
/// spark_core::state! {
///     /// What a membrane remembers.
///     pub struct Membrane {
///         /// Potential in mV, `[batch, units]`.
///         potential: Tensor<2>,
///         /// Steps since the start.
///         steps: u64,
///     }
/// }
/// let membrane = Membrane { potential: Tensor::full([1, 2], -60.0, &Device::flex()), steps: 3 };
/// let saved = save(membrane.clone());
/// assert_eq!(saved.keys().collect::<Vec<_>>(), ["potential", "steps"]);
/// let blank = Membrane { potential: Tensor::zeros([1, 2], &Device::flex()), steps: 0 };
/// assert_eq!(restore(blank, &saved).unwrap().steps, 3);
/// ```
#[macro_export]
macro_rules! state {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::state::State for $name {
            fn map<M: $crate::state::StateMapper>(self, mapper: &mut M) -> Self {
                Self { $($field: mapper.field(stringify!($field), self.$field),)* }
            }
        }
    };
}

impl<const D: usize> State for Tensor<D> {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        mapper.float(self)
    }
}

impl<const D: usize> State for Tensor<D, Int> {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        mapper.int(self)
    }
}

impl State for u64 {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        mapper.count(self)
    }
}

impl State for () {
    fn map<M: StateMapper>(self, _: &mut M) -> Self {}
}

impl<S: State> State for Option<S> {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        self.map(|state| State::map(state, mapper))
    }
}

impl State for DelayRing {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        let history = mapper.field("history", self.history);
        Self { history, newest: mapper.field("newest", self.newest as u64) as usize }
    }
}

/// The leaves of a state by their path, such as `threshold_trace.trace`.
pub type Saved = BTreeMap<String, TensorData>;

/// The leaves of a state on the host.
pub fn save<S: State>(state: S) -> Saved {
    let mut saver = Saver::default();
    let _ = state.map(&mut saver);
    saver.saved
}

/// One leaf of a state on the host, by its path.
pub fn plane<S: State>(state: S, path: &str) -> Option<TensorData> {
    let mut finder = Finder { path: String::new(), ends: Vec::new(), wanted: path, found: None };
    let _ = state.map(&mut finder);
    finder.found
}

struct Finder<'a> {
    path: String,
    /// Where the path ended before each field that was entered; names of fields may hold dots.
    ends: Vec<usize>,
    wanted: &'a str,
    found: Option<TensorData>,
}

impl Finder<'_> {
    fn is_here(&self) -> bool {
        self.path == self.wanted
    }
}

impl StateMapper for Finder<'_> {
    fn enter(&mut self, field: &str) {
        self.ends.push(self.path.len());
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(field);
    }

    fn leave(&mut self) {
        self.path.truncate(self.ends.pop().unwrap_or_default());
    }

    fn float<const D: usize>(&mut self, plane: Tensor<D>) -> Tensor<D> {
        if self.is_here() {
            self.found = Some(plane.to_data());
        }
        plane
    }

    fn int<const D: usize>(&mut self, plane: Tensor<D, Int>) -> Tensor<D, Int> {
        if self.is_here() {
            self.found = Some(plane.to_data());
        }
        plane
    }

    fn count(&mut self, count: u64) -> u64 {
        if self.is_here() {
            self.found = Some(TensorData::new(vec![count as i64], [1]));
        }
        count
    }
}

/// Bytes that a state takes on its device.
pub fn size<S: State>(state: S) -> usize {
    let mut size = Size(0);
    let _ = state.map(&mut size);
    size.0
}

struct Size(usize);

impl StateMapper for Size {
    fn enter(&mut self, _: &str) {}

    fn leave(&mut self) {}

    fn float<const D: usize>(&mut self, plane: Tensor<D>) -> Tensor<D> {
        self.0 += plane.shape().num_elements() * plane.dtype().size();
        plane
    }

    fn int<const D: usize>(&mut self, plane: Tensor<D, Int>) -> Tensor<D, Int> {
        self.0 += plane.shape().num_elements() * plane.dtype().size();
        plane
    }

    fn count(&mut self, count: u64) -> u64 {
        self.0 += size_of::<u64>();
        count
    }
}

/// A state that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A leaf is not among what was saved.
    #[error("state `{0}` is missing")]
    Missing(String),
    /// What was saved holds leaves that the module does not have.
    #[error("unknown state `{0}`")]
    Unknown(String),
    /// A leaf of another shape.
    #[error("state `{path}`: found shape {found:?}, expected {expected:?}")]
    Shape {
        /// Its path.
        path: String,
        /// The saved shape.
        found: Vec<usize>,
        /// The shape of the module.
        expected: Vec<usize>,
    },
    /// A leaf that holds something else than numbers of its type.
    #[error("state `{path}`: {message}")]
    Content {
        /// Its path.
        path: String,
        /// What is wrong.
        message: String,
    },
}

impl StateError {
    /// The same error of a module inside another one.
    #[must_use]
    pub fn within(self, module: &str) -> Self {
        let full = |path: String| format!("{module}.{path}");
        match self {
            Self::Missing(path) => Self::Missing(full(path)),
            Self::Unknown(path) => Self::Unknown(full(path)),
            Self::Shape { path, found, expected } => Self::Shape { path: full(path), found, expected },
            Self::Content { path, message } => Self::Content { path: full(path), message },
        }
    }
}

/// The state with every leaf replaced by what was saved, of the same shapes and on the same device.
///
/// # Errors
/// When a leaf is missing, unknown, of another shape, or not a finite number; the state is then untouched.
pub fn restore<S: State>(state: S, saved: &Saved) -> Result<S, StateError> {
    let mut loader = Loader { path: Vec::new(), saved, used: 0, error: None };
    let restored = state.map(&mut loader);
    let used = loader.used;
    match loader.error {
        Some(error) => Err(error),
        None if used < saved.len() => {
            let mut names = Saver::default();
            let _ = restored.map(&mut names);
            let unknown = saved.keys().find(|path| !names.saved.contains_key(*path));
            Err(StateError::Unknown(unknown.cloned().unwrap_or_default()))
        }
        None => Ok(restored),
    }
}

#[derive(Default)]
struct Saver {
    path: Vec<String>,
    saved: Saved,
}

impl StateMapper for Saver {
    fn enter(&mut self, field: &str) {
        self.path.push(field.to_owned());
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn float<const D: usize>(&mut self, plane: Tensor<D>) -> Tensor<D> {
        self.saved.insert(self.path.join("."), plane.to_data());
        plane
    }

    fn int<const D: usize>(&mut self, plane: Tensor<D, Int>) -> Tensor<D, Int> {
        self.saved.insert(self.path.join("."), plane.to_data());
        plane
    }

    fn count(&mut self, count: u64) -> u64 {
        self.saved.insert(self.path.join("."), TensorData::new(vec![count as i64], [1]));
        count
    }
}

struct Loader<'a> {
    path: Vec<String>,
    saved: &'a Saved,
    used: usize,
    error: Option<StateError>,
}

impl Loader<'_> {
    /// The saved leaf at this path if it has this shape; notes the first error.
    fn find(&mut self, expected: &[usize]) -> Option<TensorData> {
        let path = self.path.join(".");
        let found = match self.saved.get(&path) {
            None => Err(StateError::Missing(path)),
            Some(data) if data.shape()[..] != *expected => {
                Err(StateError::Shape { path, found: data.shape().to_vec(), expected: expected.to_vec() })
            }
            Some(data) if data.iter::<f64>().any(|value| value.is_nan()) => {
                Err(StateError::Content { path, message: "holds a NaN".to_owned() })
            }
            Some(data) => Ok(data.clone()),
        };
        self.used += 1;
        found.map_err(|error| self.error.get_or_insert(error)).ok()
    }
}

impl StateMapper for Loader<'_> {
    fn enter(&mut self, field: &str) {
        self.path.push(field.to_owned());
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn float<const D: usize>(&mut self, plane: Tensor<D>) -> Tensor<D> {
        match self.find(&plane.dims()) {
            Some(data) => Tensor::from_data(data.convert::<f32>(), &plane.device()),
            None => plane,
        }
    }

    fn int<const D: usize>(&mut self, plane: Tensor<D, Int>) -> Tensor<D, Int> {
        match self.find(&plane.dims()) {
            Some(data) => Tensor::from_data(data, &plane.device()),
            None => plane,
        }
    }

    fn count(&mut self, count: u64) -> u64 {
        match self.find(&[1]).and_then(|data| data.iter::<i64>().next()) {
            Some(saved) => saved as u64,
            None => count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    crate::state! {
        /// Two levels.
        pub struct Outer {
            potential: Tensor<2>,
            trace: Option<Inner>,
        }
    }

    crate::state! {
        /// The inner one.
        pub struct Inner {
            trace: Tensor<2>,
            steps: u64,
        }
    }

    fn outer(value: f32, units: usize) -> Outer {
        let plane = || Tensor::full([1, units], value, &Device::flex());
        Outer { potential: plane(), trace: Some(Inner { trace: plane(), steps: value as u64 }) }
    }

    #[test]
    fn leaves_are_named_by_their_path_and_come_back() {
        let saved = save(outer(3.0, 2));
        assert_eq!(saved.keys().collect::<Vec<_>>(), ["potential", "trace.steps", "trace.trace"]);
        let restored = save(restore(outer(0.0, 2), &saved).unwrap());
        assert_eq!(restored, saved);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let error = |change: fn(&mut Saved)| {
            let mut saved = save(outer(3.0, 2));
            change(&mut saved);
            restore(outer(0.0, 2), &saved).unwrap_err().to_string()
        };
        let missing = error(|saved| drop(saved.remove("trace.trace")));
        assert_eq!(missing, "state `trace.trace` is missing");
        let unknown = error(|saved| drop(saved.insert("w".into(), TensorData::new(vec![1.0f32], [1]))));
        assert_eq!(unknown, "unknown state `w`");
        let shape = error(|saved| *saved = save(outer(3.0, 4)));
        assert_eq!(shape, "state `potential`: found shape [1, 4], expected [1, 2]");
        let nan = error(|saved| {
            saved.insert("potential".into(), TensorData::new(vec![f32::NAN; 2], [1, 2]));
        });
        assert_eq!(nan, "state `potential`: holds a NaN");
    }
}
