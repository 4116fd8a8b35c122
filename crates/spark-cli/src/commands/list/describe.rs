//! A component for people and for programs.

use serde_json::{Value, json};
use spark::core::component::Alias;
use spark::core::ports::{PortSpec, PropertySpec};
use spark::core::registry::Registration;
use spark::core::schema::Field;
use std::fmt::Write;

/// A parameter of a component.
pub struct Parameter {
    pub field: Field,
    pub default: Value,
    /// The values that it can have, where it is one of a few names.
    pub choices: Vec<String>,
}

/// The parameters of a component, in the order of its schema.
pub fn parameters(component: &Registration) -> Vec<Parameter> {
    let (default, schema) = (component.default_config(), component.schema());
    let parameter = |field: Field| Parameter {
        default: default[&field.name].clone(),
        choices: choices(&schema, &schema["properties"][&field.name]),
        field,
    };
    component.fields().into_iter().map(parameter).collect()
}

impl Parameter {
    /// The default as a user would write it.
    pub fn written_default(&self) -> String {
        if self.default.is_null() { "absent".to_owned() } else { self.default.to_string() }
    }

    /// Unit and range, where they say something: `ms, > 0`.
    pub fn bounds(&self) -> String {
        let range = self.field.range.to_string();
        let range = (range != "finite").then_some(range);
        let choices = (!self.choices.is_empty()).then(|| self.choices.join(" or "));
        [self.field.unit.clone(), range, choices].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The names of an enumeration, itself or referred to.
fn choices(schema: &Value, property: &Value) -> Vec<String> {
    let referred = property["$ref"].as_str().and_then(|path| schema.pointer(path.strip_prefix('#')?));
    let property = referred.unwrap_or(property);
    let options = property["oneOf"].as_array().or(property["enum"].as_array());
    let name = |option: &Value| Some(option.as_str().or(option["const"].as_str())?.to_owned());
    options.into_iter().flatten().map(name).collect::<Option<_>>().unwrap_or_default()
}

/// The name of a port, and of many that it stands for.
pub fn port_name(port: &PortSpec, output: bool) -> String {
    match (port.many, output) {
        (false, _) => port.name.to_owned(),
        (true, true) => format!("{0}_0, {0}_1, …", port.name),
        (true, false) => "any names".to_owned(),
    }
}

/// What an alias stands for, in words.
pub fn alias(alias: &Alias) -> String {
    let fields = alias.fields.iter().map(|(field, value)| format!("{field} = {value}"));
    let ports = alias.ports.iter().map(|(old, new)| format!("port {old} for {new}"));
    let changes: Vec<_> = fields.chain(ports).collect();
    match changes.as_slice() {
        [] => alias.name.to_owned(),
        changes => format!("{} ({})", alias.name, changes.join(", ")),
    }
}

/// A component on some lines.
pub fn text(component: &Registration) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes everything");
    line(format!("{} ({})", component.name, component.family));
    line(format!("  {}", component.summary));
    line(format!("  {}", component.equation));
    if !component.source.is_empty() {
        line(format!("  Source: {}", component.source));
    }
    if !component.aliases.is_empty() {
        let aliases: Vec<_> = component.aliases.iter().map(alias).collect();
        line(format!("  Also called {}", aliases.join(", ")));
    }
    let row = |port: &PortSpec, output| {
        let optional = if port.optional { " (optional)" } else { "" };
        let name = port_name(port, output);
        [name, port.carries().to_owned(), format!("{}{optional}", port.description)]
    };
    let property = |property: &PropertySpec| {
        let writable = if property.writable { " (writable)" } else { "" };
        let description = format!("{}{writable}", property.description);
        [property.name.to_owned(), property.kind.name().to_owned(), description]
    };
    let parameter = |parameter: &Parameter| {
        let (default, bounds) = (parameter.written_default(), parameter.bounds());
        [parameter.field.name.clone(), default, bounds, parameter.field.description.clone()]
    };
    let inputs: Vec<_> = component.inputs.iter().map(|port| row(port, false)).collect();
    let outputs: Vec<_> = component.outputs.iter().map(|port| row(port, true)).collect();
    let properties: Vec<_> = component.properties.iter().map(property).collect();
    let parameters: Vec<_> = parameters(component).iter().map(parameter).collect();
    text += &columns("inputs", &inputs);
    text += &columns("outputs", &outputs);
    text += &columns("properties", &properties);
    text += &columns("parameters", &parameters);
    text
}

/// Rows under a title, the cells below one another; nothing without rows.
fn columns<const N: usize>(title: &str, rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| -> String {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ")).trim_end().to_owned() + "\n"
    };
    format!("\n{title}\n{}", rows.iter().map(line).collect::<String>())
}

/// A component as a JSON object.
pub fn json(component: &Registration, event: &str) -> Value {
    let ports = |ports: &[PortSpec]| -> Vec<Value> {
        let port = |port: &PortSpec| {
            json!({
                "name": port.name,
                "type": port.carries(),
                "optional": port.optional,
                "many": port.many,
                "description": port.description,
            })
        };
        ports.iter().map(port).collect()
    };
    let property = |property: &PropertySpec| {
        json!({
            "name": property.name,
            "type": property.kind.name(),
            "writable": property.writable,
            "description": property.description,
        })
    };
    let parameter = |parameter: Parameter| {
        let mut value = json!(parameter.field);
        value["default"] = parameter.default;
        if !parameter.choices.is_empty() {
            value["choices"] = json!(parameter.choices);
        }
        value
    };
    let alias = |alias: &Alias| json!({ "name": alias.name, "fields": alias.fields, "ports": alias.ports });
    let aliases: Vec<_> = component.aliases.iter().map(alias).collect();
    json!({
        "event": event,
        "name": component.name,
        "family": component.family,
        "summary": component.summary,
        "equation": component.equation,
        "source": component.source,
        "aliases": aliases,
        "inputs": ports(component.inputs),
        "outputs": ports(component.outputs),
        "properties": component.properties.iter().map(property).collect::<Vec<_>>(),
        "parameters": parameters(component).into_iter().map(parameter).collect::<Vec<_>>(),
    })
}
