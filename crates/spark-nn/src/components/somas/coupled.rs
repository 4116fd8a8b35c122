//! Units with a current that others write.

use burn::module::Module;
use burn::tensor::Tensor;
use spark_core::component::Component;
use spark_core::payload::{Currents, Payload, PayloadKind, Shape};
use spark_core::ports::{PortError, PropertySpec, typed};

use super::soma::{Membrane, POTENTIAL, Soma, SomaInputs, SomaOutputs, UnitsState};

/// Units whose input is `I + I_C`: the coupling current `I_C` is a property that an effect writes at the end
/// of a step, so that it acts on the next one.
#[derive(Module, Debug)]
pub struct Coupled<M: Module> {
    /// The units.
    pub soma: Soma<M>,
}

spark_core::state! {
    /// What coupled units remember.
    pub struct CoupledState {
        /// The units' own state.
        soma: UnitsState,
        /// The coupling current in pA, `[batch, units]`.
        coupling_current: Tensor<2>,
    }
}

const COUPLING_CURRENT: &str = "coupling_current";

impl<M: Membrane> Component for Coupled<M> {
    type Inputs = SomaInputs;
    type Outputs = SomaOutputs;
    type State = CoupledState;
    type Plan = <Soma<M> as Component>::Plan;

    const PROPERTIES: &'static [PropertySpec] = &[
        POTENTIAL,
        PropertySpec {
            name: COUPLING_CURRENT,
            kind: PayloadKind::Currents,
            writable: true,
            description: "Current in pA that is added to the input.",
        },
    ];

    fn plan(&self) -> Self::Plan {
        self.soma.plan()
    }

    fn initial_state(&self, plan: &Self::Plan, batch: usize) -> CoupledState {
        let soma = self.soma.initial_state(plan, batch);
        let coupling_current = soma.0.potential.zeros_like();
        CoupledState { soma, coupling_current }
    }

    fn step(
        &self,
        plan: &Self::Plan,
        inputs: SomaInputs,
        state: CoupledState,
    ) -> (SomaOutputs, CoupledState) {
        let CoupledState { soma, coupling_current } = state;
        let current = Currents(inputs.current.0 + coupling_current.clone());
        let (outputs, soma) = self.soma.step(plan, SomaInputs { current, ..inputs }, soma);
        (outputs, CoupledState { soma, coupling_current })
    }

    fn output_shapes(&self) -> Vec<Shape> {
        self.soma.output_shapes()
    }

    fn property(&self, state: &CoupledState, name: &str) -> Option<Payload> {
        match name {
            COUPLING_CURRENT => Some(Currents(state.coupling_current.clone()).into()),
            _ => self.soma.property(&state.soma, name),
        }
    }

    fn set_property(
        &mut self,
        state: &mut CoupledState,
        name: &str,
        value: Payload,
    ) -> Result<(), PortError> {
        let Currents(current) = typed(name, value)?;
        if current.dims() != state.coupling_current.dims() {
            return Err(PortError::Mismatch {
                port: name.to_owned(),
                found: format!("{:?}", current.dims()),
                expected: format!("{:?}", state.coupling_current.dims()),
            });
        }
        state.coupling_current = current;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use spark_core::registry;
    use spark_core::validate::Problems;

    #[test]
    fn fields_of_the_units_are_checked() {
        for name in ["CoupledLeakySoma", "CoupledAdaptiveExponentialSoma"] {
            let config = registry::parse(name, json!({ "potential_tau": -1.0 }), "test").unwrap();
            let mut problems = Problems::default();
            config.validate("", &mut problems);
            let paths: Vec<_> = problems.list().iter().map(|problem| problem.path.as_str()).collect();
            assert_eq!(paths, ["potential_tau"], "{name}");
        }
    }
}
