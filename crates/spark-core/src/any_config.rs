//! Configurations of any module.

use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

use crate::component::{BuildError, Component, ComponentConfig, Context, Instance};
use crate::erased::AnyComponent;
use crate::model::Settings;
use crate::payload::Shape;
use crate::ports::{self, InputShapes, PortSpec, Ports, PropertySpec};
use crate::registry::fields_of;
use crate::validate::Problems;

/// The ports and properties of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Ports that it takes from.
    pub inputs: Vec<PortSpec>,
    /// Ports that it gives to.
    pub outputs: Vec<PortSpec>,
    /// What others may read and write.
    pub properties: Vec<PropertySpec>,
}

impl Interface {
    /// The input port of a name, or the one that stands for many.
    pub fn input(&self, name: &str) -> Option<&PortSpec> {
        ports::taking(&self.inputs, name)
    }

    /// The output port of a name, or the one that stands for many.
    pub fn output(&self, name: &str) -> Option<&PortSpec> {
        let named = self.outputs.iter().find(|port| !port.many && port.name == name);
        named.or_else(|| {
            let numbered = |port: &&PortSpec| {
                let number = name.strip_prefix(port.name).and_then(|rest| rest.strip_prefix('_'));
                port.many && number.is_some_and(|number| number.parse::<usize>().is_ok())
            };
            self.outputs.iter().find(numbered)
        })
    }

    /// The property of a name.
    pub fn property(&self, name: &str) -> Option<&PropertySpec> {
        self.properties.iter().find(|property| property.name == name)
    }
}

/// Output ports and their shapes.
pub type OutputShapes = Vec<(Cow<'static, str>, Shape)>;

/// The configuration of any module: a component or a controller.
pub trait AnyConfig: fmt::Debug + Send + Sync {
    /// The name of what it describes.
    fn name(&self) -> &'static str;

    /// The ports and properties of what it describes.
    fn interface(&self) -> Interface;

    /// Output ports whose shapes are known from this much of the wiring, before the module is built.
    fn infer(&self, inputs: &InputShapes) -> OutputShapes;

    /// Checks everything; `path` is where the configuration stands, empty at the top.
    fn validate(&self, path: &str, problems: &mut Problems);

    /// The component with its initial state for `batch` samples.
    ///
    /// # Errors
    /// When the configuration does not make sense, or does not fit what is wired.
    fn instance(
        &self,
        inputs: &InputShapes,
        batch: usize,
        context: &Context,
    ) -> Result<Box<dyn Instance>, BuildError>;

    /// The component alone, as a module that containers of trainable layers hold.
    ///
    /// # Errors
    /// When the configuration does not make sense, does not fit what is wired, or describes what is no
    /// component that takes one payload per unit and gives one.
    fn module(&self, _inputs: &InputShapes, context: &Context) -> Result<AnyComponent, BuildError> {
        Err(not_a_layer(self.name(), context))
    }

    /// The shapes of its inputs as far as it states them itself.
    fn declared_inputs(&self) -> InputShapes {
        InputShapes::default()
    }

    /// All fields, and for a controller its modules.
    fn settings(&self) -> Settings;

    /// The fields as JSON.
    fn to_value(&self) -> Value {
        Value::Object(self.settings().fields)
    }
}

impl<C: ComponentConfig> AnyConfig for C {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn interface(&self) -> Interface {
        Interface {
            inputs: <<C::Component as Component>::Inputs as Ports>::PORTS.to_vec(),
            outputs: <<C::Component as Component>::Outputs as Ports>::PORTS.to_vec(),
            properties: <C::Component as Component>::PROPERTIES.to_vec(),
        }
    }

    fn infer(&self, inputs: &InputShapes) -> OutputShapes {
        let shapes = ComponentConfig::infer(self, inputs).unwrap_or_default();
        ports::written_out(<<C::Component as Component>::Outputs as Ports>::PORTS, shapes)
    }

    fn validate(&self, path: &str, problems: &mut Problems) {
        ComponentConfig::validate(self, path, problems);
    }

    fn instance(
        &self,
        inputs: &InputShapes,
        batch: usize,
        context: &Context,
    ) -> Result<Box<dyn Instance>, BuildError> {
        Ok(Box::new(self.run(inputs, batch, context)?))
    }

    fn module(&self, inputs: &InputShapes, context: &Context) -> Result<AnyComponent, BuildError> {
        let component = self.component(inputs, context)?;
        AnyComponent::new(component).ok_or_else(|| not_a_layer(C::NAME, context))
    }

    fn settings(&self) -> Settings {
        fields_of(self).into()
    }
}

fn not_a_layer(name: &str, context: &Context) -> BuildError {
    let mut problems = Problems::default();
    problems.push("component", name, "a component that takes one payload per unit and gives one");
    BuildError::Config { module: context.name.clone(), problems }
}
