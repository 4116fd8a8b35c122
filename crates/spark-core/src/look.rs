//! Looking into a module while it runs: what stands at an output, a property or a plane of state, without bringing
//! it anywhere.

use burn::tensor::TensorData;
use spark_kernels::host::Spiking;

use crate::payload::{Payload, PayloadKind};

/// What there is to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Its address, such as `pool.soma.potential`.
    pub address: String,
    /// What it is a part of.
    pub kind: SightKind,
    /// What it carries; absent for planes of state that are no property.
    pub payload: Option<PayloadKind>,
    /// Its shape, of one sample; of kernels `[post…, pre…]`.
    pub shape: Vec<usize>,
}

/// What a [`Sight`] is a part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SightKind {
    /// An output port.
    Output,
    /// A property, such as a kernel.
    Property,
    /// A plane of state that is no property.
    State,
}

impl Sight {
    /// Unit of its values, where it is known.
    ///
    /// # Examples
    /// ```
    /// use spark_core::look::{Sight, SightKind};
    /// use spark_core::payload::PayloadKind;
    ///
    /// let payload = Some(PayloadKind::Potentials);
    /// let sight = Sight { address: "soma.potential".into(), kind: SightKind::Property, payload, shape: vec![4] };
    /// assert_eq!(sight.unit(), Some("mV"));
    /// ```
    pub fn unit(&self) -> Option<&'static str> {
        match self.payload? {
            PayloadKind::Potentials => Some("mV"),
            PayloadKind::Currents => Some("pA"),
            PayloadKind::DelayKernel => Some("steps"),
            _ => None,
        }
    }

    /// The same inside a module.
    #[must_use]
    pub fn within(self, module: &str) -> Self {
        Self { address: format!("{module}.{}", self.address), ..self }
    }
}

/// Where something stands, found once by [`Instance::find`](crate::component::Instance::find).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The modules that lead there, by their order inside each controller; from the outside in.
    pub route: Vec<usize>,
    /// What it is there.
    pub spot: Spot,
}

/// What a [`Place`] leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spot {
    /// An output of a module, by module and output.
    Output(usize, usize),
    /// A property.
    Property(&'static str),
    /// A plane of state, by its path.
    State(String),
}

impl Place {
    /// A place in the module itself.
    pub fn here(spot: Spot) -> Self {
        Self { route: Vec::new(), spot }
    }

    /// The same, seen from the controller that has the module as its `node`th.
    #[must_use]
    pub fn inside(mut self, node: usize) -> Self {
        self.route.insert(0, node);
        self
    }
}

/// What stands at a place now, in the form in which it is there.
#[derive(Clone, Copy, Debug)]
pub enum Look<'a> {
    /// Spikes by unit.
    Spikes(&'a Spiking),
    /// Values by unit.
    Values(&'a [f32]),
    /// Tensors, of one sample or several.
    Payload(&'a Payload),
    /// A plane of state on the host, with its axis of samples.
    Data(&'a TensorData),
}
