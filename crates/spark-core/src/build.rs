//! Parameters of a component while it is built.

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use crate::component::{Context, Defect};
use crate::parameter::Parameter;

/// Draws the parameters of one component.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a> {
    /// Where the component is built.
    pub context: &'a Context,
    /// The seed that its configuration names.
    pub seed: Option<u64>,
}

impl Builder<'_> {
    /// A parameter of units of this shape: one entry where it is a number, else one per unit. Not trained
    /// unless somebody says so.
    ///
    /// # Errors
    /// When an array does not broadcast to the units.
    pub fn units(
        &self,
        name: &str,
        parameter: &Parameter,
        units: &[usize],
    ) -> Result<Param<Tensor<1>>, Defect> {
        let mut rng = self.context.rng(self.seed, name);
        let values = parameter.compact(units, &mut rng).map_err(|error| {
            Defect::field(name, format!("shape {:?}", error.found), format!("one that fits {units:?}"))
        })?;
        let length = values.len();
        let data = TensorData::new(values, [length]);
        Ok(Param::from_data(data, &self.context.device).set_require_grad(false))
    }

    /// As [`units`](Self::units), for a mechanism that may be off.
    ///
    /// # Errors
    /// When an array does not broadcast to the units.
    pub fn optional(
        &self,
        name: &str,
        parameter: Option<&Parameter>,
        units: &[usize],
    ) -> Result<Option<Param<Tensor<1>>>, Defect> {
        parameter.map(|parameter| self.units(name, parameter, units)).transpose()
    }

    /// Values of synapses, given and drawn as `[post…, pre…]` and returned as `[pre, post]`; initializers
    /// that normalise do so for every postsynaptic unit.
    ///
    /// # Errors
    /// When an array does not broadcast to the synapses.
    pub fn synapses(
        &self,
        name: &str,
        parameter: &Parameter,
        post: &[usize],
        pre: &[usize],
    ) -> Result<Tensor<2>, Defect> {
        let shape = [post, pre].concat();
        let own: Vec<usize> = (0..post.len()).collect();
        let values = parameter.values(&shape, &own, &mut self.context.rng(self.seed, name));
        let values = values.map_err(|error| {
            Defect::field(name, format!("shape {:?}", error.found), format!("one that fits {shape:?}"))
        })?;
        let (post, pre) = (post.iter().product(), pre.iter().product());
        let mut turned = Vec::with_capacity(values.len());
        for from in 0..pre {
            turned.extend((0..post).map(|to| values[to * pre + from]));
        }
        Ok(Tensor::from_data(TensorData::new(turned, [pre, post]), &self.context.device))
    }
}

/// `1 − exp(−dt/τ)`, without loss of digits for a long τ.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::build::{decay, rate};
///
/// let tau = Tensor::<1>::from_floats([1e6], &Device::flex());
/// let rate = rate(1.0, tau.clone()).into_scalar::<f32>();
/// assert!((rate - 9.999995e-7).abs() < 1e-13);
/// assert!((decay(1.0, tau).into_scalar::<f32>() - 0.999_999).abs() < 1e-7);
/// ```
pub fn rate(dt: f32, tau: Tensor<1>) -> Tensor<1> {
    if tau.is_tracked() {
        let x = tau.recip() * dt;
        // expm1(x) = tanh(x/2)·(exp(x) + 1).
        return (x.clone() * 0.5).tanh() * ((-x).exp() + 1.0);
    }
    on_host(tau, |tau| -(-f64::from(dt) / tau).exp_m1())
}

/// `exp(−dt/τ)`.
///
/// # Examples
/// See [`rate`].
pub fn decay(dt: f32, tau: Tensor<1>) -> Tensor<1> {
    if tau.is_tracked() {
        return (tau.recip() * -dt).exp();
    }
    on_host(tau, |tau| (-f64::from(dt) / tau).exp())
}

/// What a step derives from a fixed parameter is the same on every backend, down to the bit.
fn on_host(parameter: Tensor<1>, derive: impl Fn(f64) -> f64) -> Tensor<1> {
    let (shape, device) = (parameter.dims(), parameter.device());
    let values: Vec<f32> = parameter.into_data().iter::<f64>().map(|value| derive(value) as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), &device)
}
