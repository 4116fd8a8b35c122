//! One sample on the host, without tensors between modules.
//!
//! Where a network is small, most of a step is the passing of tensors. A controller of one sample on a CPU device
//! therefore asks its modules for a form of themselves that works on [`Signal`]s ([`Component::on_host`]). Those
//! that have none go on with tensors, and the controller translates. What a module remembers is read back from
//! that form when somebody asks for it, so that nobody outside sees a difference.

use burn::tensor::{Device, Tensor};
use spark_kernels::host::{self, Spiking};
use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::component::Component;
use crate::payload::{Arrival, Currents, Floats, Payload, PayloadKind, Potentials, Spikes};

/// What passes from module to module in a step.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_core::host::Signal;
/// use spark_core::payload::{Floats, PayloadKind};
///
/// let device = Device::flex();
/// let payload = Floats(Tensor::from_floats([[0.5, 2.0]], &device)).into();
/// let mut signal = Signal::default();
/// assert!(signal.read(&payload));
/// assert_eq!(signal.values(), [0.5, 2.0]);
/// assert_eq!(signal.payload(PayloadKind::Floats, &device).unwrap().kind(), PayloadKind::Floats);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// Spikes by unit; of units whose spikes arrive late, as they leave.
    Spikes(Spiking),
    /// Currents, potentials or numbers.
    Values(Vec<f32>),
}

impl Default for Signal {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

impl Signal {
    /// Whether payloads of a kind may pass as signals.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::Signal;
    /// use spark_core::payload::PayloadKind;
    ///
    /// assert!(Signal::carries(PayloadKind::Spikes) && !Signal::carries(PayloadKind::Kernel));
    /// ```
    pub fn carries(kind: PayloadKind) -> bool {
        use PayloadKind::{Currents, Floats, Potentials, Spikes};
        matches!(kind, Spikes | Currents | Floats | Potentials)
    }

    /// Silence of so many units.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::Signal;
    /// use spark_core::payload::PayloadKind;
    ///
    /// assert_eq!(Signal::nothing(PayloadKind::Currents, 2).values(), [0.0, 0.0]);
    /// ```
    pub fn nothing(kind: PayloadKind, units: usize) -> Self {
        match kind {
            PayloadKind::Spikes => Self::Spikes(Spiking::none(units)),
            _ => Self::Values(vec![0.0; units]),
        }
    }

    /// Becomes what a payload of one sample holds. Returns whether it can; it is as before otherwise.
    ///
    /// # Examples
    /// See [`Signal`].
    pub fn read(&mut self, payload: &Payload) -> bool {
        let values = match payload {
            Payload::Spikes(Spikes { arrival: Arrival::Units(x), .. })
            | Payload::Currents(Currents(x))
            | Payload::Floats(Floats(x))
            | Payload::Potentials(Potentials(x)) => host::values(x),
            _ => None,
        };
        let Some(values) = values else { return false };
        let Payload::Spikes(spikes) = payload else {
            *self = Self::Values(values);
            return true;
        };
        let inhibits = match &spikes.inhibitory {
            None => Vec::new(),
            Some(mask) => {
                let Some(mask) = host::values(mask) else { return false };
                mask.iter().map(|inhibits| *inhibits != 0.0).collect()
            }
        };
        self.spikes().find(&values, &inhibits);
        true
    }

    /// As a payload; `None` where it is not of that kind.
    ///
    /// # Examples
    /// See [`Signal`].
    pub fn payload(&self, kind: PayloadKind, device: &Device) -> Option<Payload> {
        let row = |values: Vec<f32>| -> Tensor<2> {
            let units = values.len();
            host::tensor(values, [1, units], device)
        };
        Some(match (kind, self) {
            (PayloadKind::Spikes, Self::Spikes(spikes)) => {
                let inhibits = spikes.inhibits().iter().map(|inhibits| f32::from(*inhibits));
                let units = inhibits.len();
                let inhibitory = (units > 0).then(|| host::tensor(inhibits.collect(), [units], device));
                Spikes::new(row(spikes.values())).with_inhibitory(inhibitory).into()
            }
            (PayloadKind::Currents, Self::Values(values)) => Currents(row(values.clone())).into(),
            (PayloadKind::Floats, Self::Values(values)) => Floats(row(values.clone())).into(),
            (PayloadKind::Potentials, Self::Values(values)) => Potentials(row(values.clone())).into(),
            _ => return None,
        })
    }

    /// The spikes, to be written; none at first where it held something else.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::Signal;
    ///
    /// let mut signal = Signal::default();
    /// signal.spikes().find(&[1.0], &[]);
    /// assert_eq!(signal.spiking().count(), 1);
    /// ```
    pub fn spikes(&mut self) -> &mut Spiking {
        if !matches!(self, Self::Spikes(_)) {
            *self = Self::Spikes(Spiking::default());
        }
        let Self::Spikes(spikes) = self else { unreachable!("it holds spikes now") };
        spikes
    }

    /// The spikes.
    ///
    /// # Panics
    /// If it holds something else: wiring is checked before.
    ///
    /// # Examples
    /// See [`spikes`](Self::spikes).
    pub fn spiking(&self) -> &Spiking {
        match self {
            Self::Spikes(spikes) => spikes,
            Self::Values(_) => panic!("a port for spikes got values"),
        }
    }

    /// The values.
    ///
    /// # Panics
    /// If it holds something else: wiring is checked before.
    ///
    /// # Examples
    /// See [`Signal`].
    pub fn values(&self) -> &[f32] {
        match self {
            Self::Values(values) => values,
            Self::Spikes(_) => panic!("a port for values got spikes"),
        }
    }

    /// The values, to be written; the memory is kept.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::Signal;
    ///
    /// let mut signal = Signal::default();
    /// signal.write(&[1.0, 2.0]);
    /// assert_eq!(signal.values(), [1.0, 2.0]);
    /// ```
    pub fn write(&mut self, values: &[f32]) {
        match self {
            Self::Values(old) => {
                old.clear();
                old.extend_from_slice(values);
            }
            Self::Spikes(_) => *self = Self::Values(values.to_vec()),
        }
    }

    /// Becomes several one after another, in the memory that is there.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::Signal;
    ///
    /// let mut both = Signal::default();
    /// both.join([Signal::Values(vec![1.0]), Signal::Values(vec![2.0])].iter());
    /// assert_eq!(both.values(), [1.0, 2.0]);
    /// ```
    pub fn join<'a>(&mut self, parts: impl Iterator<Item = &'a Self>) {
        for (place, part) in parts.enumerate() {
            match (&mut *self, part) {
                (Self::Spikes(all), Self::Spikes(part)) => {
                    if place == 0 {
                        all.clear();
                    }
                    all.append(part);
                }
                (Self::Values(all), Self::Values(part)) => {
                    if place == 0 {
                        all.clear();
                    }
                    all.extend_from_slice(part);
                }
                (all, part) => *all = part.clone(),
            }
        }
    }
}

/// Something that modules share while they work on the host, such as weights that one reads and another one
/// changes.
pub type Link = Arc<dyn Any + Send + Sync>;

/// Where a signal comes from, as one module of a controller reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An input of the controller.
    Call(usize),
    /// The output of a module.
    Module {
        /// The module, in the order in which they run.
        module: usize,
        /// Its output.
        output: usize,
        /// Whether it is read as it was in the step before.
        late: bool,
    },
}

/// A port of a module as it is wired on the host.
#[derive(Clone)]
pub struct HostPort {
    /// Its name.
    pub name: &'static str,
    /// Where its signal comes from: ports with the same sources read the same.
    pub sources: Vec<Origin>,
    /// What the module that feeds it, alone, has to share.
    pub link: Option<Link>,
    /// The inhibition mask, if it is this that feeds it.
    pub mask: Option<Vec<bool>>,
}

/// What a module is wired to on the host, and what it has to share.
#[derive(Default)]
pub struct HostWiring {
    /// The ports that are wired, in the order of the signals of [`HostStep::step`].
    pub inputs: Vec<HostPort>,
    /// What it has to share, by output port or property.
    pub shared: Vec<(&'static str, Link)>,
}

impl fmt::Debug for HostWiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<&str> = self.inputs.iter().map(|port| port.name).collect();
        let shared: Vec<&str> = self.shared.iter().map(|(name, _)| *name).collect();
        f.debug_struct("HostWiring").field("inputs", &inputs).field("shared", &shared).finish()
    }
}

impl HostWiring {
    fn port(&self, name: &str) -> Option<&HostPort> {
        self.inputs.iter().find(|input| input.name == name)
    }

    /// Where the signal of a port stands.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::{HostPort, HostWiring};
    ///
    /// let port = |name| HostPort { name, sources: Vec::new(), link: None, mask: None };
    /// let wiring = HostWiring { inputs: vec![port("current"), port("reset")], ..Default::default() };
    /// assert_eq!(wiring.place("reset"), Some(1));
    /// ```
    pub fn place(&self, port: &str) -> Option<usize> {
        self.inputs.iter().position(|input| input.name == port)
    }

    /// The inhibition mask that feeds a port; empty where nothing inhibits.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::HostWiring;
    ///
    /// assert!(HostWiring::default().mask("inhibition_mask").is_empty());
    /// ```
    pub fn mask(&self, port: &str) -> Vec<bool> {
        self.port(port).and_then(|port| port.mask.clone()).unwrap_or_default()
    }

    /// Where the signal of a port comes from; nowhere if it is not wired.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::HostWiring;
    ///
    /// assert!(HostWiring::default().sources("spikes").is_empty());
    /// ```
    pub fn sources(&self, port: &str) -> &[Origin] {
        self.port(port).map_or(&[], |port| &port.sources)
    }

    /// What the source of a port shares, if it is of this type.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::{HostPort, HostWiring, Link};
    /// use std::sync::{Arc, Mutex};
    ///
    /// let link = Some(Arc::new(Mutex::new(7)) as Link);
    /// let port = HostPort { name: "kernel", sources: Vec::new(), link, mask: None };
    /// let wiring = HostWiring { inputs: vec![port], ..Default::default() };
    /// assert_eq!(*wiring.link::<Mutex<i32>>("kernel").unwrap().lock().unwrap(), 7);
    /// assert!(wiring.link::<Mutex<u8>>("kernel").is_none());
    /// ```
    pub fn link<T: Any + Send + Sync>(&self, port: &str) -> Option<Arc<T>> {
        self.port(port)?.link.clone()?.downcast().ok()
    }

    /// Shares something through an output port or a property.
    ///
    /// # Examples
    /// ```
    /// use spark_core::host::HostWiring;
    /// use std::sync::Arc;
    ///
    /// let mut wiring = HostWiring::default();
    /// wiring.share("kernel", Arc::new(7));
    /// assert_eq!(wiring.shared[0].0, "kernel");
    /// ```
    pub fn share(&mut self, name: &'static str, link: Link) {
        self.shared.push((name, link));
    }
}

/// A component at work on the host.
pub trait HostStep<C: Component>: fmt::Debug + Send {
    /// One step: signals in the order of the wired ports in, signals in the order of the output ports out. What
    /// is written over is what was there a step or two before, for its memory.
    fn step(&mut self, inputs: &[&Signal], outputs: &mut [Signal]);

    /// Brings component and state to where the steps have led.
    fn settle(&self, component: &mut C, state: &mut C::State);

    /// A property or plane of state of one value a unit, where it lies; `None` where it does not lie like that.
    fn look(&self, _name: &str) -> Option<&[f32]> {
        None
    }
}
