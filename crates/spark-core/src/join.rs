//! Payloads put one after the other, and entries picked from them.
//!
//! Several sources that are wired into one input port come as one payload: flattened and joined in the order
//! of the wiring, spikes with their signs. What controllers do to such a port is [`Payload::join`], after
//! [`Shape::join`] has told what comes of it.

use burn::tensor::{Int, Tensor};

use crate::payload::{
    Arrival, Currents, Floats, IntegerMask, Integers, Mask, Payload, PayloadKind, PayloadType, Potentials,
    Shape, Spikes,
};
use crate::ports::PortError;

impl Shape {
    /// The shape of payloads joined one after the other: that of the only one, else flat.
    ///
    /// # Errors
    /// Names the port when there is none, types differ, or a payload does not consist of one entry per unit,
    /// as kernels and spikes by pair.
    ///
    /// # Examples
    /// ```
    /// use spark_core::payload::{PayloadKind, Shape};
    ///
    /// let [image, label] = [[2, 3].as_slice(), &[4]].map(|units| Shape::new(PayloadKind::Floats, units));
    /// assert_eq!(Shape::join("signal", [&image, &label]).unwrap().units, [10]);
    /// assert_eq!(Shape::join("signal", [&image]).unwrap().units, [2, 3]);
    /// let current = Shape::new(PayloadKind::Currents, &[3]);
    /// let error = Shape::join("signal", [&image, &current]).unwrap_err();
    /// assert_eq!(error.to_string(), "port `signal`: found currents [3], expected floats as before it");
    /// ```
    pub fn join<'a>(port: &str, shapes: impl IntoIterator<Item = &'a Self>) -> Result<Self, PortError> {
        let wrong = |found: String, expected: String| {
            Err(PortError::Mismatch { port: port.to_owned(), found, expected })
        };
        let mut joined: Option<Self> = None;
        for shape in shapes {
            if shape.pairs || matches!(shape.kind, PayloadKind::Kernel | PayloadKind::DelayKernel) {
                return wrong(shape.to_string(), "one entry per unit".to_owned());
            }
            joined = Some(match joined {
                None => shape.clone(),
                Some(before) if before.kind == shape.kind => {
                    Self::new(shape.kind, &[before.count() + shape.count()])
                }
                Some(before) => return wrong(shape.to_string(), format!("{} as before it", before.kind)),
            });
        }
        joined.map_or_else(|| wrong("nothing".to_owned(), "at least one payload".to_owned()), Ok)
    }
}

impl Payload {
    /// Payloads joined one after the other.
    ///
    /// # Panics
    /// If there is none, or [`Shape::join`] would not join them.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_core::payload::{Payload, Spikes};
    ///
    /// let device = Device::flex();
    /// let spikes = || Spikes::new(Tensor::ones([1, 2], &device));
    /// let inhibitory = Some(Tensor::from_floats([0.0, 1.0], &device));
    /// let joined = Payload::join(vec![spikes().into(), spikes().with_inhibitory(inhibitory).into()]);
    /// let Payload::Spikes(joined) = joined else { panic!("spikes") };
    /// let value = joined.value().unwrap().into_data();
    /// assert_eq!(value.try_to_vec::<f32>().unwrap(), [1.0, 1.0, 1.0, -1.0]);
    /// ```
    pub fn join(mut parts: Vec<Self>) -> Self {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let kind = parts.first().expect("there is something to join").kind();
        macro_rules! cat {
            ($name:ident, $axis:expr) => {
                $name(Tensor::cat(all(parts).into_iter().map(|$name(x)| x).collect(), $axis)).into()
            };
        }
        match kind {
            PayloadKind::Spikes => join_spikes(all(parts)).into(),
            PayloadKind::Currents => cat!(Currents, 1),
            PayloadKind::Potentials => cat!(Potentials, 1),
            PayloadKind::Floats => cat!(Floats, 1),
            PayloadKind::Integers => cat!(Integers, 1),
            PayloadKind::Mask => cat!(Mask, 0),
            PayloadKind::IntegerMask => cat!(IntegerMask, 0),
            PayloadKind::Kernel | PayloadKind::DelayKernel => panic!("join: found {kind}"),
        }
    }

    /// The entries at `places`, spikes with their signs.
    ///
    /// # Panics
    /// If a place lies outside, or there is not one entry per unit, as in kernels and spikes by pair.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_core::payload::{Floats, Payload};
    ///
    /// let device = Device::flex();
    /// let signal = Payload::from(Floats(Tensor::from_floats([[5.0, 6.0, 7.0]], &device)));
    /// let Payload::Floats(picked) = signal.pick(Tensor::from_ints([2, 0], &device)) else { panic!("floats") };
    /// assert_eq!(picked.0.into_data().try_to_vec::<f32>().unwrap(), [7.0, 5.0]);
    /// ```
    pub fn pick(self, places: Tensor<1, Int>) -> Self {
        match self {
            Self::Spikes(spikes) => {
                let inhibitory =
                    spikes.inhibitory.as_ref().map(|mask| mask.clone().select(0, places.clone()));
                Spikes::new(of_units(&spikes).select(1, places)).with_inhibitory(inhibitory).into()
            }
            Self::Currents(Currents(x)) => Currents(x.select(1, places)).into(),
            Self::Potentials(Potentials(x)) => Potentials(x.select(1, places)).into(),
            Self::Floats(Floats(x)) => Floats(x.select(1, places)).into(),
            Self::Integers(Integers(x)) => Integers(x.select(1, places)).into(),
            Self::Mask(Mask(x)) => Mask(x.select(0, places)).into(),
            Self::IntegerMask(IntegerMask(x)) => IntegerMask(x.select(0, places)).into(),
            Self::Kernel(_) | Self::DelayKernel(_) => panic!("pick: found {}", self.kind()),
        }
    }
}

/// All parts as what the first one is.
fn all<T: PayloadType>(parts: Vec<Payload>) -> Vec<T> {
    let typed = |part| T::from_payload(part).unwrap_or_else(|other| panic!("join: found {}", other.kind()));
    parts.into_iter().map(typed).collect()
}

fn of_units(spikes: &Spikes) -> Tensor<2> {
    match &spikes.arrival {
        Arrival::Units(spikes) => spikes.clone(),
        Arrival::Pairs(_) | Arrival::Delayed(_) => panic!("found spikes by pair"),
    }
}

fn join_spikes(parts: Vec<Spikes>) -> Spikes {
    let joined = Spikes::new(Tensor::cat(parts.iter().map(of_units).collect(), 1));
    if parts.iter().all(|part| part.inhibitory.is_none()) {
        return joined;
    }
    let mask = |part: Spikes| {
        let (units, device) = (of_units(&part).dims()[1], of_units(&part).device());
        part.inhibitory.unwrap_or_else(|| Tensor::zeros([units], &device))
    };
    joined.with_inhibitory(Some(Tensor::cat(parts.into_iter().map(mask).collect(), 0)))
}
