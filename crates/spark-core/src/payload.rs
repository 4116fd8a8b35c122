//! What travels between modules: spikes, currents, potentials, numbers and masks.
//!
//! A payload knows no unit shape: units are flattened row-major, and [`Shape`] carries what they were.

use burn::tensor::{Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_kernels::{DelayRing, Delays};
use std::fmt;

use crate::ports::PortError;

/// The type of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PayloadKind {
    /// [`Spikes`].
    Spikes,
    /// [`Currents`].
    Currents,
    /// [`Potentials`].
    Potentials,
    /// [`Floats`].
    Floats,
    /// [`Integers`].
    Integers,
    /// [`Mask`].
    Mask,
    /// [`IntegerMask`].
    IntegerMask,
    /// [`Kernel`].
    Kernel,
    /// [`DelayKernel`].
    DelayKernel,
}

impl PayloadKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Spikes,
        Self::Currents,
        Self::Potentials,
        Self::Floats,
        Self::Integers,
        Self::Mask,
        Self::IntegerMask,
        Self::Kernel,
        Self::DelayKernel,
    ];

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Spikes => "spikes",
            Self::Currents => "currents",
            Self::Potentials => "potentials",
            Self::Floats => "floats",
            Self::Integers => "integers",
            Self::Mask => "mask",
            Self::IntegerMask => "integer_mask",
            Self::Kernel => "kernel",
            Self::DelayKernel => "delay_kernel",
        }
    }

    /// What it holds, with its shape for one sample.
    ///
    /// # Examples
    /// ```
    /// use spark_core::payload::PayloadKind;
    ///
    /// assert!(PayloadKind::Currents.description().starts_with("Currents in pA"));
    /// ```
    pub fn description(self) -> &'static str {
        match self {
            Self::Spikes => {
                "Spikes of units, 0 or 1, with the units that inhibit; or their arrival at each synapse"
            }
            Self::Currents => "Currents in pA, [units]",
            Self::Potentials => "Potentials in mV, [units]",
            Self::Floats => "Numbers without unit, [entries]",
            Self::Integers => "Whole numbers, [entries]",
            Self::Mask => "One bit for each unit, [units]",
            Self::IntegerMask => "A whole number for each unit, [units]",
            Self::Kernel => "The strengths of synapses in pA, [post, pre]",
            Self::DelayKernel => "Delays in whole steps, of units or of pairs, [post, pre]",
        }
    }
}

impl fmt::Display for PayloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Spikes of units, or what arrives of them at each synapse.
///
/// Synapses read the signed [`value`](Self::value); plasticity, delays and integrators read the spikes
/// without sign.
#[derive(Clone, Debug)]
pub struct Spikes {
    /// Where the spikes are.
    pub arrival: Arrival,
    /// 1 for inhibitory units, else 0, `[units]` of the units that spike; `None` where all excite.
    pub inhibitory: Option<Tensor<1>>,
}

/// Where spikes are.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// At their unit, for all its synapses alike: 0 or 1, `[batch, units]`.
    Units(Tensor<2>),
    /// At each synapse on its own: 0 or 1, `[batch, pre, post]`.
    Pairs(Tensor<3>),
    /// At each synapse as many steps late as its delay. Nothing is written out by synapse: the readers look
    /// up what arrives.
    ///
    /// Boxed, because it is large and payloads are moved often.
    Delayed(Box<Late>),
}

/// Spikes of the last steps, and how late each synapse sees them.
#[derive(Clone, Debug)]
pub struct Late {
    /// The last steps of the units, 0 or 1, `[slots, batch, pre]`.
    pub spikes: DelayRing,
    /// The same with the sign of each unit; `None` where all excite.
    pub signed: Option<DelayRing>,
    /// The delay of each pair, `[pre, post]`.
    pub delays: Delays<2>,
}

impl Spikes {
    /// Spikes of units that all excite, 0 or 1, `[batch, units]`.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_core::payload::Spikes;
    ///
    /// let device = Device::flex();
    /// let spikes = Spikes::new(Tensor::from_floats([[1.0, 1.0]], &device))
    ///     .with_inhibitory(Some(Tensor::from_floats([0.0, 1.0], &device)));
    /// let value = spikes.value().unwrap();
    /// assert_eq!(value.into_data().try_to_vec::<f32>().unwrap(), [1.0, -1.0]);
    /// ```
    pub fn new(spikes: Tensor<2>) -> Self {
        Self { arrival: Arrival::Units(spikes), inhibitory: None }
    }

    /// The same with the units that inhibit, `[units]`.
    #[must_use]
    pub fn with_inhibitory(self, inhibitory: Option<Tensor<1>>) -> Self {
        Self { inhibitory, ..self }
    }

    /// The spikes without sign, `[batch, units]`; `None` where every synapse has its own.
    pub fn units(&self) -> Option<Tensor<2>> {
        match &self.arrival {
            Arrival::Units(spikes) => Some(spikes.clone()),
            _ => None,
        }
    }

    /// The spikes with the sign of their unit, `[batch, units]`; `None` where every synapse has its own.
    pub fn value(&self) -> Option<Tensor<2>> {
        let spikes = self.units()?;
        Some(match &self.inhibitory {
            Some(mask) => spikes * signs(mask).unsqueeze(),
            None => spikes,
        })
    }

    /// The spikes at each synapse without sign, `[batch, pre, post]`; for units without delays `None`.
    pub fn pairs(&self) -> Option<Tensor<3>> {
        match &self.arrival {
            Arrival::Units(_) => None,
            Arrival::Pairs(spikes) => Some(spikes.clone()),
            Arrival::Delayed(late) => Some(late.spikes.read_pairs(&late.delays)),
        }
    }
}

/// −1 for inhibitory units and 1 for the others.
pub fn signs(inhibitory: &Tensor<1>) -> Tensor<1> {
    inhibitory.clone() * -2.0 + 1.0
}

macro_rules! payloads {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub struct $name(pub $inner);
        )*
    };
}

payloads! {
    /// Currents in pA, `[batch, units]`.
    Currents(Tensor<2>);
    /// Potentials in mV, `[batch, units]`.
    Potentials(Tensor<2>);
    /// Numbers without unit, `[batch, entries]`.
    Floats(Tensor<2>);
    /// Whole numbers, `[batch, entries]`.
    Integers(Tensor<2, Int>);
    /// One bit for each unit as 0 or 1, `[units]`.
    Mask(Tensor<1>);
    /// A whole number for each unit, `[units]`.
    IntegerMask(Tensor<1, Int>);
    /// The strengths of synapses in pA, the same for all samples, `[pre, post]`.
    Kernel(Tensor<2>);
    /// Delays in whole steps, of units `[1, pre]` or of pairs `[pre, post]`.
    DelayKernel(Tensor<2, Int>);
}

/// Any payload.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // Each is named after what it holds.
#[allow(clippy::large_enum_variant)] // A box would ask for memory in every step.
pub enum Payload {
    Spikes(Spikes),
    Currents(Currents),
    Potentials(Potentials),
    Floats(Floats),
    Integers(Integers),
    Mask(Mask),
    IntegerMask(IntegerMask),
    Kernel(Kernel),
    DelayKernel(DelayKernel),
}

impl Payload {
    /// Its type.
    pub fn kind(&self) -> PayloadKind {
        match self {
            Self::Spikes(_) => PayloadKind::Spikes,
            Self::Currents(_) => PayloadKind::Currents,
            Self::Potentials(_) => PayloadKind::Potentials,
            Self::Floats(_) => PayloadKind::Floats,
            Self::Integers(_) => PayloadKind::Integers,
            Self::Mask(_) => PayloadKind::Mask,
            Self::IntegerMask(_) => PayloadKind::IntegerMask,
            Self::Kernel(_) => PayloadKind::Kernel,
            Self::DelayKernel(_) => PayloadKind::DelayKernel,
        }
    }
}

impl Payload {
    /// Its type and the number of its units, which it knows flat only.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_core::payload::{Kernel, Payload};
    ///
    /// let kernel = Payload::from(Kernel(Tensor::zeros([5, 3], &Device::flex())));
    /// assert_eq!(kernel.shape().to_string(), "kernel [3, 5]");
    /// ```
    pub fn shape(&self) -> Shape {
        let plain = |units: &[usize]| Shape::new(self.kind(), units);
        match self {
            Self::Spikes(spikes) => match &spikes.arrival {
                Arrival::Units(spikes) => plain(&spikes.dims()[1..]),
                Arrival::Pairs(spikes) => {
                    let [_, pre, post] = spikes.dims();
                    Shape::pairs(&[post], &[pre])
                }
                Arrival::Delayed(late) => {
                    let [pre, post] = late.delays.steps().dims();
                    Shape::delayed(&[post], &[pre], late.delays.max())
                }
            },
            Self::Currents(Currents(x)) | Self::Potentials(Potentials(x)) | Self::Floats(Floats(x)) => {
                plain(&x.dims()[1..])
            }
            Self::Integers(Integers(x)) => plain(&x.dims()[1..]),
            Self::Mask(Mask(x)) => plain(&x.dims()),
            Self::IntegerMask(IntegerMask(x)) => plain(&x.dims()),
            Self::Kernel(Kernel(x)) => {
                let [pre, post] = x.dims();
                plain(&[post, pre])
            }
            Self::DelayKernel(DelayKernel(x)) => {
                let [pre, post] = x.dims();
                plain(&[post, pre])
            }
        }
    }

    /// What a property that can be written holds, as it is exchanged: kernels as `[post, pre]`, weights as they
    /// are; `None` for what changes with every step.
    pub fn exchanged(&self) -> Option<TensorData> {
        match self {
            Self::Kernel(Kernel(kernel)) => Some(kernel.clone().transpose().into_data()),
            Self::DelayKernel(DelayKernel(kernel)) => Some(kernel.clone().transpose().into_data()),
            Self::Floats(Floats(values)) => Some(values.to_data()),
            _ => None,
        }
    }

    /// Checks that it has the shape of a port, for `batch` samples.
    ///
    /// # Errors
    /// Names the port, what was found and what was expected.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_core::payload::{Currents, Payload, PayloadKind, Shape};
    ///
    /// let payload = Payload::from(Currents(Tensor::zeros([1, 4], &Device::flex())));
    /// let error = payload.check("current", &Shape::new(PayloadKind::Currents, &[3]), 1).unwrap_err();
    /// assert_eq!(error.to_string(), "port `current`: found currents [1, 4], expected [1, 3]");
    /// ```
    pub fn check(&self, port: &str, shape: &Shape, batch: usize) -> Result<(), PortError> {
        let wrong = |found: String, expected: String| PortError::Mismatch {
            port: port.to_owned(),
            found: format!("{} {found}", self.kind()),
            expected,
        };
        if self.kind() != shape.kind {
            return Err(wrong(String::new(), shape.to_string()));
        }
        let count = shape.count();
        let same = |found: &[usize], expected: &[usize]| match found == expected {
            true => Ok(()),
            false => Err(wrong(format!("{found:?}"), format!("{expected:?}"))),
        };
        let total = |found: &[usize]| match found.iter().product::<usize>() == count {
            true => Ok(()),
            false => Err(wrong(format!("{found:?}"), format!("{count} entries for {shape}"))),
        };
        match self {
            Self::Spikes(spikes) => match (&spikes.arrival, shape.pairs) {
                (Arrival::Units(spikes), false) => same(&spikes.dims(), &[batch, count]),
                (Arrival::Pairs(spikes), true) if shape.max_delay.is_none() => total(&spikes.dims()[1..]),
                (Arrival::Delayed(late), true)
                    if shape.max_delay.is_none_or(|max| late.delays.max() <= max) =>
                {
                    total(&late.delays.steps().dims())
                }
                (Arrival::Delayed(late), true) => {
                    Err(wrong(format!("up to {} steps late", late.delays.max()), shape.to_string()))
                }
                (Arrival::Pairs(_), true) => Err(wrong("by pair at once".to_owned(), shape.to_string())),
                (_, true) => Err(wrong("by unit".to_owned(), shape.to_string())),
                (_, false) => Err(wrong("by pair".to_owned(), shape.to_string())),
            },
            Self::Currents(Currents(x)) | Self::Potentials(Potentials(x)) | Self::Floats(Floats(x)) => {
                same(&x.dims(), &[batch, count])
            }
            Self::Integers(Integers(x)) => same(&x.dims(), &[batch, count]),
            Self::Mask(Mask(x)) => same(&x.dims(), &[count]),
            Self::IntegerMask(IntegerMask(x)) => same(&x.dims(), &[count]),
            Self::Kernel(Kernel(x)) => total(&x.dims()),
            Self::DelayKernel(DelayKernel(x)) => total(&x.dims()),
        }
    }
}

/// One of the types of payloads.
pub trait PayloadType: Clone + fmt::Debug + Sized {
    /// Which.
    const KIND: PayloadKind;

    /// The payload of this type inside; `Err` gives back a payload of another type.
    ///
    /// # Errors
    /// The payload itself when it is of another type.
    #[allow(clippy::result_large_err)] // Whoever asked for another type gets the payload back.
    fn from_payload(payload: Payload) -> Result<Self, Payload>;

    /// As one of all types.
    fn into_payload(self) -> Payload;
}

macro_rules! payload_types {
    ($($name:ident),*) => {$(
        impl PayloadType for $name {
            const KIND: PayloadKind = PayloadKind::$name;

            fn from_payload(payload: Payload) -> Result<Self, Payload> {
                match payload {
                    Payload::$name(payload) => Ok(payload),
                    other => Err(other),
                }
            }

            fn into_payload(self) -> Payload {
                Payload::$name(self)
            }
        }

        impl From<$name> for Payload {
            fn from(payload: $name) -> Self {
                Payload::$name(payload)
            }
        }
    )*};
}

payload_types!(Spikes, Currents, Potentials, Floats, Integers, Mask, IntegerMask, Kernel, DelayKernel);

/// What a port carries: the type and the shape of one sample, units in the order of their axes.
///
/// Of spikes that arrive at each synapse on its own, and of kernels, the shape is that of the postsynaptic
/// units followed by that of the presynaptic ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shape {
    /// The type of the payload.
    pub kind: PayloadKind,
    /// Extents of the axes.
    pub units: Vec<usize>,
    /// Whether spikes arrive at each synapse on its own.
    #[serde(default)]
    pub pairs: bool,
    /// The longest delay in steps where they come as [`Arrival::Delayed`]; absent for [`Arrival::Pairs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<usize>,
}

impl Shape {
    /// A payload with one entry per unit.
    ///
    /// # Examples
    /// ```
    /// use spark_core::payload::{PayloadKind, Shape};
    ///
    /// let shape = Shape::new(PayloadKind::Currents, &[2, 3]);
    /// assert_eq!(shape.count(), 6);
    /// assert_eq!(shape.to_string(), "currents [2, 3]");
    /// ```
    pub fn new(kind: PayloadKind, units: &[usize]) -> Self {
        Self { kind, units: units.to_vec(), pairs: false, max_delay: None }
    }

    /// Spikes that arrive at each synapse on its own, between `pre` and `post`.
    pub fn pairs(post: &[usize], pre: &[usize]) -> Self {
        Self { kind: PayloadKind::Spikes, units: [post, pre].concat(), pairs: true, max_delay: None }
    }

    /// The same as [`Arrival::Delayed`], at most `max_delay` steps late.
    ///
    /// Who keeps a history of what arrives knows from this that one of the presynaptic units will do.
    ///
    /// # Examples
    /// ```
    /// use spark_core::payload::Shape;
    ///
    /// let shape = Shape::delayed(&[2], &[3], 8);
    /// assert_eq!(shape.to_string(), "spikes [2, 3] by pair, up to 8 steps late");
    /// ```
    pub fn delayed(post: &[usize], pre: &[usize], max_delay: usize) -> Self {
        Self { max_delay: Some(max_delay), ..Self::pairs(post, pre) }
    }

    /// Number of entries of one sample.
    pub fn count(&self) -> usize {
        self.units.iter().product()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs = if self.pairs { " by pair" } else { "" };
        write!(f, "{} {:?}{pairs}", self.kind, self.units)?;
        match self.max_delay {
            Some(steps) => write!(f, ", up to {steps} steps late"),
            None => Ok(()),
        }
    }
}
