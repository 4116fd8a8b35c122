//! A whole model.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::address::fields;
use super::complete::without_alias;
use super::{Address, Change, CompleteError, ModuleSpec, Pattern, Settings, brief, changes, complete, merge};
use crate::component::{BuildError, Context, Instance};
use crate::ports::InputShapes;
use crate::registry::{self, AnyConfig, suggestion};
use crate::validate::Problems;

/// The version of the layout of model files that this program writes.
pub const VERSION: u32 = 1;

/// A model: a brain, a neuron or a single component, with what it needs to be built again.
///
/// # Examples
/// ```
/// use spark_core::model::Model;
///
/// let text = r#"{"spark": 1, "module": "Brain", "config": {"seed": 3}}"#;
/// let model: Model = serde_json::from_str(text)?;
/// assert_eq!(model.config.fields["seed"], 3);
/// assert_eq!(serde_json::to_string(&model)?, text.replace(' ', ""));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Version of the layout of the file.
    #[serde(rename = "spark")]
    pub version: u32,
    /// What it is: `Brain`, `Neuron`, or anything that is registered.
    pub module: String,
    /// Its configuration; what is absent has its default.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub config: Settings,
    /// Neurons that the model defines for itself, by the name under which its modules use them.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty", with = "super::spec::in_order")]
    #[schemars(with = "std::collections::BTreeMap<String, Definition>")]
    pub neurons: IndexMap<String, Definition>,
    /// What programs such as a graph editor note about it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
}

/// A neuron that a model defines: something that is registered, with other settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What it is based on, `Neuron` where nothing is said.
    #[serde(default = "neuron")]
    pub base: String,
    /// One line on what it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Its configuration.
    #[serde(default)]
    pub config: Settings,
}

fn neuron() -> String {
    "Neuron".to_owned()
}

/// A field that cannot be read or set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// No field has such an address.
    #[error("no field matches `{pattern}`{}", suggestion(near))]
    NoMatch {
        /// The pattern.
        pattern: String,
        /// Addresses that end alike.
        near: Vec<String>,
    },
    /// The defaults cannot be filled in.
    #[error(transparent)]
    Complete(#[from] CompleteError),
}

impl Model {
    /// A model of a registered module.
    pub fn new(module: &str, config: Settings) -> Self {
        let (neurons, metadata) = Default::default();
        Self { version: VERSION, module: module.to_owned(), config, neurons, metadata }
    }

    /// A model of a configuration.
    ///
    /// # Errors
    /// When something in it is not registered.
    pub fn of(config: &dyn AnyConfig) -> Result<Self, CompleteError> {
        Ok(Self::new(config.name(), brief(config.name(), &config.settings())?))
    }

    /// The same with the neurons that it defines written out where they are used.
    ///
    /// # Errors
    /// When a definition is based on itself.
    pub fn expanded(&self) -> Result<Self, CompleteError> {
        let mut expanded = Self { neurons: IndexMap::new(), ..self.clone() };
        (expanded.module, expanded.config) = self.resolved(&self.module, &self.config, "")?;
        Ok(expanded)
    }

    fn resolved(
        &self,
        module: &str,
        config: &Settings,
        path: &str,
    ) -> Result<(String, Settings), CompleteError> {
        let (mut module, mut config) = (module.to_owned(), config.clone());
        for _ in 0..=self.neurons.len() {
            let Some(definition) = self.neurons.get(&module) else {
                for inside in &mut config.modules {
                    let path = crate::schema::join(path, &inside.name);
                    (inside.module, inside.config) = self.resolved(&inside.module, &inside.config, &path)?;
                }
                return Ok((module, config));
            };
            config = merge(&definition.config, &config);
            module = definition.base.clone();
        }
        Err(CompleteError { path: path.to_owned(), message: format!("`{module}` is based on itself") })
    }

    /// The settings with every default.
    ///
    /// # Errors
    /// Names the module that is unknown.
    pub fn complete(&self) -> Result<Self, CompleteError> {
        let model = self.expanded()?;
        let mut root = ModuleSpec::named("", &model.module, model.config);
        without_alias(&mut root);
        let config = complete(&root.module, &root.config)?;
        Ok(Self { module: root.module, config, ..model })
    }

    /// The settings without what has its default anyway.
    ///
    /// # Errors
    /// Names the module that is unknown.
    pub fn brief(&self) -> Result<Self, CompleteError> {
        let mut model = self.expanded()?;
        model.config = brief(&model.module, &model.config)?;
        Ok(model)
    }

    /// Every field that a pattern means, with its value.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, pattern: &Pattern) -> Result<Vec<(Address, Value)>, SetError> {
        let complete = self.complete()?;
        let all = fields(&complete.config);
        let found: Vec<(Address, Value)> = all
            .iter()
            .filter(|(address, _)| pattern.means(address))
            .map(|(address, value)| (address.clone(), (*value).clone()))
            .collect();
        if found.is_empty() {
            let text = pattern.to_string();
            let last = text.rsplit('.').next().unwrap_or_default();
            let near = all.iter().map(|(address, _)| address).filter(|address| {
                address
                    .field
                    .last()
                    .is_some_and(|field| field.contains(last) || last.contains(field.as_str()))
            });
            let near = near.take(3).map(Address::to_string).collect();
            return Err(SetError::NoMatch { pattern: text, near });
        }
        Ok(found)
    }

    /// Sets every field that a pattern means, and says which these are. What a field may hold is checked when
    /// the model is.
    ///
    /// # Errors
    /// When there is none.
    pub fn set(&mut self, pattern: &Pattern, value: &Value) -> Result<Vec<Address>, SetError> {
        let addresses: Vec<Address> = self.get(pattern)?.into_iter().map(|(address, _)| address).collect();
        let complete = self.complete()?;
        let mut expanded = self.expanded()?;
        for address in &addresses {
            address.write(&mut expanded.config, &complete.config, value.clone());
        }
        *self = expanded;
        Ok(addresses)
    }

    /// What differs from another model.
    ///
    /// # Errors
    /// When the defaults of one of them cannot be filled in.
    pub fn diff(&self, other: &Self) -> Result<Vec<Change>, CompleteError> {
        let (before, after) = (self.complete()?, other.complete()?);
        let mut found = changes(&before.config, &after.config);
        if before.module != after.module {
            let [before, after] = [before.module, after.module].map(|module| Some(Value::from(module)));
            found.insert(0, Change::Changed { path: "module".to_owned(), before, after });
        }
        Ok(found)
    }

    /// The same model with another seed: everything that is drawn at random is drawn anew.
    #[must_use]
    pub fn with_new_seeds(&self, seed: u64) -> Self {
        fn forget(modules: &mut [ModuleSpec]) {
            for module in modules {
                module.config.fields.remove("seed");
                forget(&mut module.config.modules);
            }
        }
        let mut model = self.clone();
        model.config.fields.insert("seed".to_owned(), seed.into());
        forget(&mut model.config.modules);
        for definition in model.neurons.values_mut() {
            definition.config.fields.remove("seed");
            forget(&mut definition.config.modules);
        }
        model
    }

    /// The configuration, checked: every mistake that shows without knowing the shapes of the inputs.
    ///
    /// # Errors
    /// Everything that is wrong, each with its path.
    pub fn checked(&self) -> Result<Box<dyn AnyConfig>, Problems> {
        let mut problems = Problems::default();
        if self.version == 0 || self.version > VERSION {
            problems.push("spark", self.version, format!("version 1 to {VERSION}"));
        }
        let expanded = self.expanded().map_err(|error| not_registered(error, &problems))?;
        let before = problems.list().len();
        names(&expanded.config.modules, "", &mut problems);
        if problems.list().len() > before {
            return Err(problems);
        }
        let complete = self.complete().map_err(|error| not_registered(error, &problems))?;
        let parsed = match registry::find(&complete.module) {
            Ok((registration, _)) => registration.parse_settings(complete.config),
            Err(error) => Err(("module".to_owned(), error.to_string())),
        };
        match parsed {
            Ok(config) => {
                config.validate("", &mut problems);
                problems.into_result().map(|()| config)
            }
            Err((path, message)) => {
                problems.push(path, message, "a configuration of its module");
                Err(problems)
            }
        }
    }

    /// The shapes of the inputs as far as the model states them, as `{"signal": [4]}` in the field `inputs` of
    /// its controller.
    ///
    /// # Errors
    /// When the model does not make sense.
    pub fn declared_inputs(&self) -> Result<InputShapes, Problems> {
        self.checked().map(|config| config.declared_inputs())
    }

    /// The model, built for inputs of these shapes.
    ///
    /// # Errors
    /// When it does not make sense, or does not fit the inputs.
    pub fn build(
        &self,
        inputs: &InputShapes,
        batch: usize,
        context: &Context,
    ) -> Result<Box<dyn Instance>, BuildError> {
        let config = self
            .checked()
            .map_err(|problems| BuildError::Config { module: context.name.clone(), problems })?;
        config.instance(inputs, batch, context)
    }
}

fn not_registered(error: CompleteError, problems: &Problems) -> Problems {
    let mut problems = problems.clone();
    let path = if error.path.is_empty() { "module".to_owned() } else { error.path };
    problems.push(path, error.message, "a registered module");
    problems
}

/// Modules that are not registered, all of them, and names that two modules share: defaults cannot be filled in
/// then, for modules of the same name are laid over one another.
fn names(modules: &[ModuleSpec], path: &str, problems: &mut Problems) {
    for (place, spec) in modules.iter().enumerate() {
        let path = crate::schema::join(path, &spec.name);
        if modules[..place].iter().any(|other| other.name == spec.name) {
            problems.push(&path, "a name that another module has", "a name of its own");
        }
        // Where nothing is said, a registered neuron may know what it is.
        if !spec.module.is_empty()
            && let Err(error) = registry::find(&spec.module)
        {
            problems.push(&path, error, "a registered module");
        }
        names(&spec.config.modules, &path, problems);
    }
}
