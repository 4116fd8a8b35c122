//! Numbers of a layer that training changes, but no optimizer.

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param, ParamId,
};
use burn::tensor::{Device, Tensor};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A tensor that a forward pass may replace: saved and loaded like a parameter, never trained.
///
/// A clone has a value of its own, so that a network that was set aside stays as it was. The value is kept
/// without autodiff.
#[derive(Debug)]
pub struct Buffer<const D: usize> {
    id: ParamId,
    value: Mutex<Tensor<D>>,
    stays: bool,
}

impl<const D: usize> Buffer<D> {
    /// A buffer that moves between devices with its module.
    pub(super) fn new(value: Tensor<D>) -> Self {
        Self { id: ParamId::new(), value: Mutex::new(plain(value)), stays: false }
    }

    /// A buffer that stays on its device, because the host reads it.
    pub(super) fn on_host(value: Tensor<D>) -> Self {
        Self { stays: true, ..Self::new(value) }
    }

    /// The value, without autodiff.
    pub fn value(&self) -> Tensor<D> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the value; gradients do not pass.
    pub(super) fn set(&self, value: Tensor<D>) {
        *self.value.lock().unwrap_or_else(PoisonError::into_inner) = plain(value);
    }
}

fn plain<const D: usize>(value: Tensor<D>) -> Tensor<D> {
    if value.device().is_autodiff() { value.inner() } else { value }
}

impl<const D: usize> Clone for Buffer<D> {
    fn clone(&self) -> Self {
        Self { id: self.id, value: Mutex::new(self.value()), stays: self.stays }
    }
}

impl<const D: usize> Module for Buffer<D> {
    fn collect_devices(&self, mut devices: Vec<Device>) -> Vec<Device> {
        let device = self.value().device();
        if !self.stays && !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn fork(self, device: &Device) -> Self {
        self.to_device(device)
    }

    fn to_device(self, device: &Device) -> Self {
        if !self.stays {
            self.set(self.value().to_device(&device.clone().inner()));
        }
        self
    }

    fn train(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        self.clone()
    }

    fn materialize(self) -> Self {
        self
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.visit_float(&Param::initialized(self.id, self.value()));
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let (_, value, _) = mapper.map_float(Param::initialized(self.id, self.value())).consume();
        self.set(value.set_require_grad(false));
        self
    }
}

impl<const D: usize> fmt::Display for Buffer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer {:?}", self.value().dims())
    }
}

impl<const D: usize> ModuleDisplayDefault for Buffer<D> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.to_string()).optional()
    }
}

impl<const D: usize> ModuleDisplay for Buffer<D> {}
