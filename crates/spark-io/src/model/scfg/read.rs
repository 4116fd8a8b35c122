//! From a file to a model.

use serde_json::{Map, Value};
use spark_core::component::{Alias, Family};
use spark_core::model::{Model, ModuleSpec, Origin, Settings, Wire, Wiring, is_name};
use spark_core::registry;
use spark_core::schema::join;
use std::collections::HashMap;

use super::module::{Handed, Reader};
use super::{BESIDE, Beside, Noted, VERSION, names};
use crate::model::Loaded;
use crate::model::tree::{At, Entries, Json, Wrong, parse};

/// Reads the unpacked text of a file.
pub(in crate::model) fn read(text: &[u8]) -> Result<Loaded, Wrong> {
    let tree = parse(text)?;
    let root = At::root(&tree);
    let mut reader = Reader::default();
    let (config, beside) = match root.get("__data__") {
        Some(data) => {
            root.only(&["__version__", "__data__", BESIDE])?;
            let version = root.need("__version__")?;
            if version.text()? != VERSION {
                return Err(version.wrong(format!("version {VERSION}")));
            }
            (data, root.get(BESIDE).map(|at| beside(&at)).transpose()?)
        }
        None if root.get("__cfg__").is_some() => {
            reader.notes.push("the form of version 1.0.0: it is written again as that of 1.2.2".to_owned());
            (root, None)
        }
        None => return Err(root.wrong("an object with `__data__` or `__cfg__`")),
    };
    let mut model = reader.model(&config)?;
    if let Some(beside) = beside {
        lay_on(beside, &mut model.metadata, &mut model.config, "", &mut reader.notes);
    }
    Ok(Loaded { model, notes: reader.notes })
}

fn beside(at: &At<'_>) -> Result<Beside, Wrong> {
    serde_json::from_str(at.text()?).map_err(|error| Wrong::new(at.path.clone(), error.to_string()))
}

/// Puts back what had no place in the file itself; what the file says counts.
fn lay_on(
    beside: Beside,
    metadata: &mut Map<String, Value>,
    settings: &mut Settings,
    path: &str,
    notes: &mut Vec<String>,
) {
    let (read, kept) = (Noted::of(metadata), Noted::of(&beside.metadata));
    for (name, value) in beside.metadata {
        metadata.entry(name).or_insert(value);
    }
    let merged = Noted {
        class: read.class.or(kept.class),
        narrowed: kept.narrowed,
        entries: kept.entries.into_iter().chain(read.entries).collect(),
        ..read
    };
    if merged != Noted::default() {
        merged.into_metadata(metadata);
    }
    for (name, value) in beside.fields {
        settings.fields.entry(name).or_insert(value);
    }
    for (name, beside) in beside.modules {
        let path = join(path, &name);
        match settings.module_mut(&name) {
            Some(module) => lay_on(beside, &mut module.metadata, &mut module.config, &path, notes),
            None => notes.push(format!("{path}: what is noted of it is left out, there is no such module")),
        }
    }
}

/// A module without its name and its wiring.
struct Unnamed {
    module: String,
    config: Settings,
    metadata: Map<String, Value>,
    alias: Option<&'static Alias>,
}

impl Reader {
    fn model(&mut self, at: &At<'_>) -> Result<Model, Wrong> {
        at.only(&["__type__", "__cfg__"])?;
        let kind = at.need("__type__")?;
        let class =
            kind.text()?.strip_suffix("_config").ok_or_else(|| kind.wrong("the type of a configuration"))?;
        let Unnamed { module, config, mut metadata, .. } =
            self.module(class, &kind, &at.need("__cfg__")?, &Handed::default())?;
        if let Some(dtype) = self.dtype.take().filter(|dtype| dtype != "float32") {
            self.notes.push(format!(
                "numbers are {dtype}: they are computed in float32, the type is kept for writing"
            ));
            Noted { dtype: Some(dtype), ..Noted::of(&metadata) }.into_metadata(&mut metadata);
        }
        Ok(Model { metadata, ..Model::new(&module, config) })
    }

    /// Reads the configuration of a module.
    ///
    /// * `class`: what it is, as the file says at `from`.
    /// * `handed`: what the controller around it decides.
    fn module(
        &mut self,
        class: &str,
        from: &At<'_>,
        config: &At<'_>,
        handed: &Handed,
    ) -> Result<Unnamed, Wrong> {
        let mut noted = Noted::default();
        let mut metadata = Map::new();
        let specs = config.get("modules_specs");
        let (mut registration, alias) = match registry::find_snake_case(class) {
            Ok(found) => found,
            Err(_) if specs.is_some() => {
                let base = if config.get("units").is_some() { "Neuron" } else { "Brain" };
                self.note(from, format!("`{class}` is not registered: read as a {base} of its modules, the name is kept for writing"));
                noted.class = Some(class.to_owned());
                registry::find(base).map_err(|error| Wrong::new(from.path.clone(), error.to_string()))?
            }
            Err(error) => return Err(Wrong::new(from.path.clone(), error.to_string())),
        };
        let mut fields = self.fields(registration, config, &mut noted, &mut metadata)?;
        self.narrow(class, &mut fields, config, &mut noted);
        self.complete(registration, alias, &mut fields, handed, config, &mut noted);
        let modules = match &specs {
            None => Vec::new(),
            Some(specs) if registration.family.is_controller() => {
                self.modules(specs, &handed.below(registration, &fields))?
            }
            Some(specs) => {
                return Err(Wrong::new(specs.path.clone(), format!("{} has no modules", registration.name)));
            }
        };
        if registration.family.is_controller() && !keeps(&registration.default_settings().modules, &modules) {
            let base = if registration.family == Family::Neuron { "Neuron" } else { "Brain" };
            let message =
                format!("`{class}` has other modules here: read as a {base}, the name is kept for writing");
            self.note(from, message);
            noted.class = Some(class.to_owned());
            (registration, _) =
                registry::find(base).map_err(|error| Wrong::new(from.path.clone(), error.to_string()))?;
        }
        if alias.is_some() {
            self.note(from, format!("`{class}` is {} now", registration.name));
            noted.class = Some(class.to_owned());
        }
        noted.into_metadata(&mut metadata);
        let (module, config) = (registration.name.to_owned(), Settings { fields, modules });
        Ok(Unnamed { module, config, metadata, alias })
    }

    fn modules(&mut self, specs: &At<'_>, handed: &Handed) -> Result<Vec<ModuleSpec>, Wrong> {
        let mut modules: Vec<ModuleSpec> = Vec::new();
        let mut aliases = HashMap::new();
        for spec in specs.items()? {
            let data = tagged(&spec, "module_specs")?;
            data.only(&["name", "module_cls", "inputs", "config", "outputs", "effects"])?;
            let at = data.need("name")?;
            let name = named(&at)?;
            if modules.iter().any(|module| module.name == name) {
                return Err(at.wrong("a name that no other module has"));
            }
            let (module, alias) = self.spec(name, &data, handed)?;
            if let Some(alias) = alias {
                aliases.insert(name.to_owned(), alias);
            }
            modules.push(module);
        }
        for module in &mut modules {
            for wire in module.inputs.values_mut().chain(module.effects.values_mut()).flatten() {
                let Origin::Module(origin) = &wire.origin else { continue };
                if let Some(alias) = aliases.get(origin) {
                    wire.port = alias.port(&wire.port).to_owned();
                }
            }
        }
        Ok(modules)
    }

    fn spec(
        &mut self,
        name: &str,
        data: &At<'_>,
        handed: &Handed,
    ) -> Result<(ModuleSpec, Option<&'static Alias>), Wrong> {
        let kind = data.need("module_cls")?;
        kind.only(&["__module_type__", "__subregistry__"])?;
        let (from, subregistry) = (kind.need("__module_type__")?, kind.need("__subregistry__")?);
        let class = from.text()?;
        let nothing = Json::Object(Entries::new());
        let config = match data.get("config") {
            None | Some(At { json: Json::Null, .. }) => At { json: &nothing, path: data.path.clone() },
            Some(config) => unwrapped(config, class)?,
        };
        let Unnamed { module, config, mut metadata, alias } = self.module(class, &from, &config, handed)?;
        self.subregistry(&module, &subregistry, &mut metadata)?;
        let port = |name: &str| alias.map_or(name, |alias| alias.port(name)).to_owned();
        let (mut inputs, mut effects) = (Wiring::new(), Wiring::new());
        for (what, wiring) in [("inputs", &mut inputs), ("effects", &mut effects)] {
            for (name, wires) in data.get(what).map(|at| at.entries()).transpose()?.into_iter().flatten() {
                let wires: Result<Vec<Wire>, Wrong> = wires.items()?.map(|at| wire(&at)).collect();
                wiring.insert(port(name), wires?);
            }
        }
        let outputs = data.get("outputs").map(|at| at.entries()).transpose()?.into_iter().flatten();
        let outputs = outputs.map(|(name, at)| Ok((name.to_owned(), port(named(&at)?))));
        let outputs = outputs.collect::<Result<_, Wrong>>()?;
        Ok((ModuleSpec { name: name.to_owned(), module, inputs, outputs, effects, config, metadata }, alias))
    }

    /// Keeps the part of the registry where a file expects a module, if it is an unusual one.
    fn subregistry(
        &mut self,
        module: &str,
        at: &At<'_>,
        metadata: &mut Map<String, Value>,
    ) -> Result<(), Wrong> {
        let found = at.text()?;
        let usual = registry::find(module).map(|(registration, _)| names::subregistry(registration.family));
        if !["MODULES", "NEURONS"].contains(&found) && usual.is_ok_and(|usual| usual != found) {
            self.note(at, format!("`{found}` has no meaning here, it is kept in the metadata"));
            let mut noted = Noted::of(metadata);
            noted.entries.insert("__subregistry__".to_owned(), found.into());
            noted.into_metadata(metadata);
        }
        Ok(())
    }
}

/// Whether modules keep all that a registered neuron has, in its order: it is laid under them otherwise.
fn keeps(preset: &[ModuleSpec], modules: &[ModuleSpec]) -> bool {
    let within = |below: &Wiring, above: &Wiring| below.keys().all(|port| above.contains_key(port));
    preset.len() <= modules.len()
        && preset.iter().zip(modules).all(|(below, above)| {
            below.name == above.name
                && below.module == above.module
                && within(&below.inputs, &above.inputs)
                && within(&below.effects, &above.effects)
                && below.outputs.keys().all(|name| above.outputs.contains_key(name))
        })
}

/// The data of something that says what it is.
fn tagged<'a>(at: &At<'a>, tag: &str) -> Result<At<'a>, Wrong> {
    at.only(&["__type__", "__data__"])?;
    let kind = at.need("__type__")?;
    if kind.text()? == tag { at.need("__data__") } else { Err(kind.wrong(format!("`{tag}`"))) }
}

/// A configuration without what 1.2.2 wraps it in.
fn unwrapped<'a>(at: At<'a>, class: &str) -> Result<At<'a>, Wrong> {
    let Some(config) = at.get("__cfg__") else { return Ok(at) };
    at.only(&["__type__", "__cfg__"])?;
    let (kind, expected) = (at.need("__type__")?, format!("{class}_config"));
    if kind.text()? == expected { Ok(config) } else { Err(kind.wrong(format!("`{expected}`"))) }
}

fn named<'a>(at: &At<'a>) -> Result<&'a str, Wrong> {
    let name = at.text()?;
    if is_name(name) { Ok(name) } else { Err(at.wrong("a name without dots, spaces and brackets")) }
}

fn wire(at: &At<'_>) -> Result<Wire, Wrong> {
    let data = tagged(at, "port_map")?;
    data.only(&["origin", "port", "is_property"])?;
    let (origin, port) = (named(&data.need("origin")?)?, named(&data.need("port")?)?);
    let property = data.get("is_property").map_or(Ok(false), |at| at.boolean())?;
    match (origin, property) {
        ("__call__", true) => {
            Err(data.need("is_property")?.wrong("false: inputs of the controller are no properties"))
        }
        _ => Ok(Wire { origin: Origin::from(origin), port: port.to_owned(), property }),
    }
}
