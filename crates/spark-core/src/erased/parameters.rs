//! Parameters taken out of a component, and put back.

use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Bool, Int, Tensor};
use std::any::Any;
use std::collections::VecDeque;

/// One parameter, with the containers around it from the outside in.
pub(super) struct Held {
    path: Vec<(String, String)>,
    kind: Kind,
    rank: usize,
    /// A `Param` of this kind and rank.
    param: Box<dyn Any + Send>,
}

#[derive(Clone, Copy)]
enum Kind {
    Float,
    Int,
    Bool,
    Flag,
}

/// Whether a container adds to the name of what is inside: the variant of an enum does not.
pub(super) fn is_named(container: &str) -> bool {
    !container.starts_with("Enum:")
}

/// Calls a method of a visitor or mapper for a parameter of any rank that tensors have.
macro_rules! by_rank {
    ($held:expr, $kind:ty, $param:ident: $how:ident => $result:expr) => {
        by_rank!(@ranks $held, $kind, $param: $how => $result, 1 2 3 4 5 6)
    };
    (@ranks $held:expr, $kind:ty, $param:ident: $how:ident => $result:expr, $($rank:literal)*) => {
        match $held.rank {
            $($rank => {
                let $param = $held.param.$how::<Param<Tensor<$rank, $kind>>>().expect("kept by its type");
                $result
            })*
            rank => panic!("a parameter of rank {rank}; components have those of 1 to 6"),
        }
    };
}

impl Held {
    /// The path of fields, with dots between them.
    pub fn name(&self) -> String {
        let named = self.path.iter().filter(|(_, container)| is_named(container));
        named.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(".")
    }

    pub fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for (name, container) in &self.path {
            visitor.enter_module(name, container);
        }
        match self.kind {
            Kind::Float => {
                by_rank!(self, burn::tensor::Float, param: downcast_ref => visitor.visit_float(param));
            }
            Kind::Int => by_rank!(self, Int, param: downcast_ref => visitor.visit_int(param)),
            Kind::Bool => by_rank!(self, Bool, param: downcast_ref => visitor.visit_bool(param)),
            Kind::Flag => visitor.visit_flag(self.param.downcast_ref().expect("kept by its type")),
        }
        for (name, container) in self.path.iter().rev() {
            visitor.exit_module(name, container);
        }
    }

    pub fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        for (name, container) in &self.path {
            mapper.enter_module(name, container);
        }
        let param: Box<dyn Any + Send> = match self.kind {
            Kind::Float => {
                by_rank!(self, burn::tensor::Float, param: downcast => Box::new(mapper.map_float(*param)))
            }
            Kind::Int => by_rank!(self, Int, param: downcast => Box::new(mapper.map_int(*param))),
            Kind::Bool => by_rank!(self, Bool, param: downcast => Box::new(mapper.map_bool(*param))),
            Kind::Flag => {
                Box::new(mapper.map_flag(*self.param.downcast::<Param<Flag>>().expect("kept by its type")))
            }
        };
        for (name, container) in self.path.iter().rev() {
            mapper.exit_module(name, container);
        }
        Self { param, ..self }
    }
}

/// The parameters of a module in the order of its visitors.
pub(super) fn of<M: Module>(module: &M) -> Vec<Held> {
    let mut collect = Collect::default();
    module.visit(&mut collect);
    collect.found
}

/// The module with these parameters, in the order in which they were taken.
pub(super) fn put<M: Module>(module: M, parameters: Vec<Held>) -> M {
    module.map(&mut Put(parameters.into()))
}

#[derive(Default)]
struct Collect {
    path: Vec<(String, String)>,
    found: Vec<Held>,
}

impl Collect {
    fn add(&mut self, kind: Kind, rank: usize, param: Box<dyn Any + Send>) {
        self.found.push(Held { path: self.path.clone(), kind, rank, param });
    }
}

impl ModuleVisitor for Collect {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.push((name.to_owned(), container.to_owned()));
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.add(Kind::Float, D, Box::new(param.clone()));
    }

    fn visit_int<const D: usize>(&mut self, param: &Param<Tensor<D, Int>>) {
        self.add(Kind::Int, D, Box::new(param.clone()));
    }

    fn visit_bool<const D: usize>(&mut self, param: &Param<Tensor<D, Bool>>) {
        self.add(Kind::Bool, D, Box::new(param.clone()));
    }

    fn visit_flag(&mut self, flag: &Param<Flag>) {
        self.add(Kind::Flag, 0, Box::new(flag.clone()));
    }
}

struct Put(VecDeque<Held>);

impl Put {
    fn next<P: 'static>(&mut self) -> P {
        let held = self.0.pop_front().expect("as many parameters as were taken");
        *held.param.downcast().expect("in the order in which they were taken")
    }
}

impl ModuleMapper for Put {
    fn map_float<const D: usize>(&mut self, _: Param<Tensor<D>>) -> Param<Tensor<D>> {
        self.next()
    }

    fn map_int<const D: usize>(&mut self, _: Param<Tensor<D, Int>>) -> Param<Tensor<D, Int>> {
        self.next()
    }

    fn map_bool<const D: usize>(&mut self, _: Param<Tensor<D, Bool>>) -> Param<Tensor<D, Bool>> {
        self.next()
    }

    fn map_flag(&mut self, _: Param<Flag>) -> Param<Flag> {
        self.next()
    }
}
