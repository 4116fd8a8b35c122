//! The registry as a page of Markdown.

use spark::core::ports::PortSpec;
use spark::core::registry::Registration;
use std::fmt::Write;

use super::describe::{self, parameters, port_name};

/// A page with a table of the components of each family, then a section with the parameters of each.
///
/// * `components`: by family and name, as [`spark::core::registry::all`] gives them.
pub fn page(components: &[&'static Registration]) -> String {
    let mut page = String::from(
        "# Components\n\n\
         Written by `spark list --markdown` from what the components say of themselves. Every component \
         takes its parameters in a configuration under the names below; `spark list NAME` shows one.\n",
    );
    for family in components.chunk_by(|a, b| a.family == b.family) {
        write(&mut page, &format!("\n## Family: {}\n", family[0].family));
        table(
            &mut page,
            &["Component", "What it is", "Inputs", "Outputs"],
            family.iter().map(|one| {
                let optional = |port: &PortSpec| if port.optional { "?" } else { "" };
                let ports = |ports: &[PortSpec], output| -> String {
                    let port = |port: &PortSpec| format!("{}{}", port_name(port, output), optional(port));
                    ports.iter().map(port).collect::<Vec<_>>().join(", ")
                };
                let interface = one.interface();
                vec![
                    one.name.to_owned(),
                    one.summary.to_owned(),
                    ports(&interface.inputs, false),
                    ports(&interface.outputs, true),
                ]
            }),
        );
        for component in family {
            section(&mut page, component);
        }
    }
    page
}

fn section(page: &mut String, component: &Registration) {
    write(page, &format!("\n### {}\n", component.name));
    write(page, &format!("{}.\n", component.summary));
    if !component.equation.is_empty() {
        write(page, &format!("```text\n{}\n```", component.equation));
    }
    if !component.source.is_empty() {
        write(page, &format!("\nSource: {}.", component.source));
    }
    if !component.aliases.is_empty() {
        let aliases: Vec<_> = component.aliases.iter().map(describe::alias).collect();
        write(page, &format!("\nAlso called {}.", aliases.join(", ")));
    }
    write(page, "");
    let port = |direction: &'static str| {
        move |port: &PortSpec| {
            let what = match (direction, port.optional) {
                ("input", true) => "optional input",
                _ => direction,
            };
            let name = port_name(port, direction == "output");
            vec![name, what.to_owned(), port.carries().to_owned(), port.description.to_owned()]
        }
    };
    let interface = component.interface();
    let properties = interface.properties.iter().map(|property| {
        let what = if property.writable { "writable property" } else { "property" };
        let [name, kind, description] = [property.name, property.kind.name(), property.description];
        [name, what, kind, description].map(str::to_owned).to_vec()
    });
    let (inputs, outputs) = (interface.inputs.iter().map(port("input")), interface.outputs.iter());
    let rows: Vec<_> = inputs.chain(outputs.map(port("output"))).chain(properties).collect();
    // Brains and neurons without modules have no ports yet.
    if !rows.is_empty() {
        table(page, &["Port", "Is", "Carries", "What it is for"], rows.into_iter());
        write(page, "");
    }
    let modules = describe::modules(component);
    if !modules.is_empty() {
        let rows = modules.into_iter().map(|row| row.to_vec());
        table(page, &["Module", "Is", "Wiring", "Settings"], rows);
        write(page, "");
    }
    let rows = parameters(component).into_iter().map(|parameter| {
        let (default, bounds) = (parameter.written_default(), parameter.bounds());
        vec![format!("`{}`", parameter.field.name), default, bounds, parameter.field.description]
    });
    table(page, &["Parameter", "Default", "Unit and range", "Meaning"], rows);
}

fn table(page: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let row = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    write(page, &row(head.iter().map(|cell| (*cell).to_owned()).collect()));
    write(page, &row(vec!["---".to_owned(); head.len()]));
    for cells in rows {
        // A bar would end the cell.
        write(page, &row(cells.into_iter().map(|cell| cell.replace('|', "\\|")).collect()));
    }
}

fn write(page: &mut String, line: &str) {
    writeln!(page, "{line}").expect("a string takes everything");
}
