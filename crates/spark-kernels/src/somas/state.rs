//! What units carry from step to step.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::ionic::{GateRates, Kinetics, WANG_BUZSAKI};
use super::model::{Soma, SomaModel, optional};
use crate::composed::T;

/// How far open the gates of ionic channels are, from 0 to 1 each.
#[derive(Clone, Debug, PartialEq)]
pub struct Gates<P> {
    /// Activation `m` of the sodium current, where it is not instantaneous.
    pub m: Option<P>,
    /// Inactivation `h` of the sodium current: 0 is inactivated.
    pub h: P,
    /// Activation `n` of the potassium current.
    pub n: P,
}

/// What units carry from step to step; what their [`Soma`] has no use for is `None`.
///
/// `P` is the type of a plane: `Tensor<2>`, `[batch, units]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SomaState<P> {
    /// Membrane potential `V` in mV.
    pub potential: P,
    /// Recovery `u` of the Izhikevich model.
    pub recovery: Option<P>,
    /// Whole steps since the last spike, up to the larger of cooldown and clamp.
    pub since_spike: Option<P>,
    /// What the threshold has risen by, in mV.
    pub threshold_offset: Option<P>,
    /// Adaptation current `w` in pA.
    pub adaptation: Option<P>,
    /// Gates of a model with ionic currents.
    pub gates: Option<Gates<P>>,
}

impl Soma<Tensor<1>> {
    /// The state of units at `potential`, `[batch, units]`, long after their last spike: recovery `b·V`, no
    /// adaptation, gates where they settle at that potential.
    ///
    /// # Panics
    /// If a parameter has neither one entry nor as many as there are units.
    ///
    /// # Examples
    /// ```
    /// use burn::tensor::{Device, Tensor};
    /// use spark_kernels::{Soma, SomaModel};
    ///
    /// let device = Device::flex();
    /// let all = |value: f32| Tensor::<1>::from_floats([value], &device);
    /// let soma = Soma {
    ///     model: SomaModel::Izhikevich {
    ///         dt: all(1.0),
    ///         resistance: all(0.1),
    ///         recovery_rate: all(0.02),
    ///         sensitivity: all(0.2),
    ///         jump: all(2.0),
    ///     },
    ///     reset: all(-65.0),
    ///     threshold: all(30.0),
    ///     cooldown: None,
    ///     clamp: None,
    ///     adaptive_threshold: None,
    ///     adaptation: None,
    /// };
    /// let state = soma.initial_state(Tensor::full([2, 3], -65.0, &device));
    /// assert_eq!(state.recovery.unwrap().into_data().try_to_vec::<f32>().unwrap(), [-13.0; 6]);
    /// assert!(state.adaptation.is_none());
    /// ```
    pub fn initial_state(&self, potential: Tensor<2>) -> SomaState<Tensor<2>> {
        let zeros = || potential.zeros_like();
        let ceiling = match (&self.cooldown, &self.clamp) {
            (Some(cooldown), Some(clamp)) => Some(cooldown.clone().max_pair(clamp.clone())),
            (one, other) => one.as_ref().or(other.as_ref()).cloned(),
        };
        SomaState {
            recovery: match &self.model {
                SomaModel::Izhikevich { sensitivity, .. } => {
                    Some(potential.clone() * sensitivity.clone().unsqueeze())
                }
                _ => None,
            },
            since_spike: ceiling.map(|steps| zeros() + steps.unsqueeze()),
            threshold_offset: self.adaptive_threshold.as_ref().map(|_| zeros()),
            adaptation: self.adaptation.as_ref().map(|_| zeros()),
            gates: self.settled(&potential),
            potential,
        }
    }

    /// The gates where they settle at `potential`.
    fn settled(&self, potential: &Tensor<2>) -> Option<Gates<Tensor<2>>> {
        let (Kinetics { m, h, n }, membrane, instantaneous) = match &self.model {
            SomaModel::HodgkinHuxley { membrane, rates } => (rates.kinetics(), membrane, false),
            SomaModel::WangBuzsaki { membrane } => (WANG_BUZSAKI, membrane, true),
            _ => return None,
        };
        let u = (potential.clone() - membrane.shift.clone().unsqueeze()).into_dispatch();
        let at = |gate: GateRates| Tensor::from_dispatch(gate.steady(T::<Dispatch>(u.clone())).0);
        Some(Gates { m: (!instantaneous).then(|| at(m)), h: at(h), n: at(n) })
    }
}

impl<P> Gates<P> {
    fn try_map<Q>(self, each: &mut impl FnMut(P) -> Option<Q>) -> Option<Gates<Q>> {
        Some(Gates { m: optional(self.m, each)?, h: each(self.h)?, n: each(self.n)? })
    }

    fn as_ref(&self) -> Gates<&P> {
        Gates { m: self.m.as_ref(), h: &self.h, n: &self.n }
    }

    fn as_mut(&mut self) -> Gates<&mut P> {
        Gates { m: self.m.as_mut(), h: &mut self.h, n: &mut self.n }
    }
}

impl<P> SomaState<P> {
    /// The same structure over other planes, visited in the order of the fields; `None` if `each` gives one.
    pub(crate) fn try_map<Q>(self, mut each: impl FnMut(P) -> Option<Q>) -> Option<SomaState<Q>> {
        let each = &mut each;
        Some(SomaState {
            potential: each(self.potential)?,
            recovery: optional(self.recovery, each)?,
            since_spike: optional(self.since_spike, each)?,
            threshold_offset: optional(self.threshold_offset, each)?,
            adaptation: optional(self.adaptation, each)?,
            gates: match self.gates {
                Some(gates) => Some(gates.try_map(each)?),
                None => None,
            },
        })
    }

    /// The same structure over other planes, visited in the order of the fields.
    ///
    /// # Examples
    /// ```
    /// use spark_kernels::SomaState;
    ///
    /// let state = SomaState {
    ///     potential: 1.0,
    ///     recovery: None,
    ///     since_spike: None,
    ///     threshold_offset: Some(2.0),
    ///     adaptation: None,
    ///     gates: None,
    /// };
    /// assert_eq!(state.map(|plane| -plane).threshold_offset, Some(-2.0));
    /// ```
    pub fn map<Q>(self, mut each: impl FnMut(P) -> Q) -> SomaState<Q> {
        self.try_map(|plane| Some(each(plane))).expect("every plane is mapped")
    }

    /// The same structure over references.
    pub fn as_ref(&self) -> SomaState<&P> {
        SomaState {
            potential: &self.potential,
            recovery: self.recovery.as_ref(),
            since_spike: self.since_spike.as_ref(),
            threshold_offset: self.threshold_offset.as_ref(),
            adaptation: self.adaptation.as_ref(),
            gates: self.gates.as_ref().map(Gates::as_ref),
        }
    }

    /// The same structure over references to write through.
    pub(crate) fn as_mut(&mut self) -> SomaState<&mut P> {
        SomaState {
            potential: &mut self.potential,
            recovery: self.recovery.as_mut(),
            since_spike: self.since_spike.as_mut(),
            threshold_offset: self.threshold_offset.as_mut(),
            adaptation: self.adaptation.as_mut(),
            gates: self.gates.as_mut().map(Gates::as_mut),
        }
    }
}
