//! States of any type, as the list of their planes.

use burn::tensor::{Int, Tensor};
use std::any::Any;
use std::collections::VecDeque;

use crate::state::{State, StateMapper};

/// The planes of a state by their path, in their order.
#[derive(Clone, Debug, Default)]
pub struct Planes(pub Vec<(String, Plane)>);

macro_rules! planes {
    ($($float:ident($float_rank:literal) $int:ident($int_rank:literal),)*) => {
        /// One leaf of a state.
        #[derive(Clone, Debug)]
        #[allow(missing_docs)] // Each is named after what it holds.
        pub enum Plane {
            $($float(Tensor<$float_rank>), $int(Tensor<$int_rank, Int>),)*
            Count(u64),
        }

        impl Plane {
            fn float<const D: usize>(plane: &Tensor<D>) -> Self {
                let plane: &dyn Any = plane;
                $(if let Some(plane) = plane.downcast_ref::<Tensor<$float_rank>>() {
                    return Self::$float(plane.clone());
                })*
                panic!("a plane of rank {D}; states have those of 1 to 5")
            }

            fn int<const D: usize>(plane: &Tensor<D, Int>) -> Self {
                let plane: &dyn Any = plane;
                $(if let Some(plane) = plane.downcast_ref::<Tensor<$int_rank, Int>>() {
                    return Self::$int(plane.clone());
                })*
                panic!("a plane of rank {D}; states have those of 1 to 5")
            }

            /// What it holds, as the type that the state has in its place.
            fn take<T: 'static>(self) -> Option<T> {
                let plane: Box<dyn Any> = match self {
                    $(Self::$float(plane) => Box::new(plane), Self::$int(plane) => Box::new(plane),)*
                    Self::Count(count) => Box::new(count),
                };
                plane.downcast().ok().map(|plane| *plane)
            }

            fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
                match self {
                    $(
                        Self::$float(plane) => Self::$float(mapper.float(plane)),
                        Self::$int(plane) => Self::$int(mapper.int(plane)),
                    )*
                    Self::Count(count) => Self::Count(mapper.count(count)),
                }
            }
        }
    };
}

planes! {
    Float1(1) Int1(1),
    Float2(2) Int2(2),
    Float3(3) Int3(3),
    Float4(4) Int4(4),
    Float5(5) Int5(5),
}

impl Planes {
    /// The planes of a state.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_core::erased::Planes;
    ///
    /// spark_core::state! {
    ///     /// What a membrane remembers.
    ///     pub struct Membrane {
    ///         /// Potential in mV, `[batch, units]`.
    ///         potential: Tensor<2>,
    ///     }
    /// }
    /// let membrane = |value: f32| Membrane { potential: Tensor::full([1, 2], value, &Device::flex()) };
    /// let planes = Planes::of(membrane(-60.0));
    /// assert_eq!(planes.0[0].0, "potential");
    /// assert_eq!(planes.put(membrane(0.0)).potential.into_data().try_to_vec::<f32>().unwrap(), [-60.0; 2]);
    /// ```
    pub fn of<S: State>(state: S) -> Self {
        let mut collect = Collect::default();
        drop(state.map(&mut collect));
        Self(collect.found)
    }

    /// A state of the same structure as `blank` with these planes in it.
    ///
    /// # Panics
    /// If they are those of a state of another structure.
    pub fn put<S: State>(self, blank: S) -> S {
        let mut put = Put { path: Vec::new(), planes: self.0.into() };
        let state = blank.map(&mut put);
        assert!(put.planes.is_empty(), "a state with other planes: {:?} are left", put.planes);
        state
    }
}

impl State for Planes {
    fn map<M: StateMapper>(self, mapper: &mut M) -> Self {
        let mapped = self.0.into_iter().map(|(name, plane)| {
            mapper.enter(&name);
            let plane = plane.map(mapper);
            mapper.leave();
            (name, plane)
        });
        Self(mapped.collect())
    }
}

#[derive(Default)]
struct Collect {
    path: Vec<String>,
    found: Vec<(String, Plane)>,
}

impl StateMapper for Collect {
    fn enter(&mut self, field: &str) {
        self.path.push(field.to_owned());
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn float<const D: usize>(&mut self, plane: Tensor<D>) -> Tensor<D> {
        self.found.push((self.path.join("."), Plane::float(&plane)));
        plane
    }

    fn int<const D: usize>(&mut self, plane: Tensor<D, Int>) -> Tensor<D, Int> {
        self.found.push((self.path.join("."), Plane::int(&plane)));
        plane
    }

    fn count(&mut self, count: u64) -> u64 {
        self.found.push((self.path.join("."), Plane::Count(count)));
        count
    }
}

struct Put {
    path: Vec<String>,
    planes: VecDeque<(String, Plane)>,
}

impl Put {
    fn next<T: 'static>(&mut self) -> T {
        let path = self.path.join(".");
        let plane = self.planes.pop_front().filter(|(name, _)| *name == path);
        let plane = plane.and_then(|(_, plane)| plane.take());
        plane.unwrap_or_else(|| panic!("a state of another structure: no `{path}` of this type"))
    }
}

impl StateMapper for Put {
    fn enter(&mut self, field: &str) {
        self.path.push(field.to_owned());
    }

    fn leave(&mut self) {
        self.path.pop();
    }

    fn float<const D: usize>(&mut self, _: Tensor<D>) -> Tensor<D> {
        self.next()
    }

    fn int<const D: usize>(&mut self, _: Tensor<D, Int>) -> Tensor<D, Int> {
        self.next()
    }

    fn count(&mut self, _: u64) -> u64 {
        self.next()
    }
}
