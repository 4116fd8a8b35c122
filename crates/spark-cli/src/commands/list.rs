//! `spark list`

mod describe;
mod markdown;
mod values;

use anyhow::{Result, bail};
use serde_json::json;
use spark::core::component::Family;
use spark::core::registry::{self, Registration};
use std::process::ExitCode;

use super::model::Neurons;
use crate::output::Output;
use values::Values;

/// List what models can be made of, or describe one of it
///
/// Kinds are those of components, such as soma or plasticity, then neurons, brains, initializers and payloads. A
/// component is described by its ports, parameters and equations, a neuron by its modules and their wiring.
///
/// Example: spark list neurons LIFNeuron
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Kind, such as soma or plasticity; or the name of a component, neuron, initializer or payload
    #[arg(value_name = "KIND")]
    first: Option<String>,
    /// Name of what is to be described
    name: Option<String>,
    #[command(flatten)]
    neurons: Neurons,
    /// Print JSON lines, the last one a summary
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the whole registry as Markdown
    #[arg(long, conflicts_with_all = ["first", "name"])]
    markdown: bool,
}

/// What the arguments ask for.
enum Wanted {
    Listed(Vec<&'static Registration>),
    Described(&'static Registration),
    /// Initializers or payloads, all of them or one.
    Values(Values, Option<String>),
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    args.neurons.define()?;
    if args.markdown {
        out.text(markdown::page(&registry::all()).trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    match wanted(args.first.as_deref(), args.name.as_deref())? {
        Wanted::Listed(components) => list(&components, out)?,
        Wanted::Described(component) => {
            out.text(describe::text(component).trim_end())?;
            out.json(&describe::json(component, "summary"))?;
        }
        Wanted::Values(values, name) => values.show(name.as_deref(), out)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(first: Option<&str>, name: Option<&str>) -> Result<Wanted> {
    let Some(first) = first else {
        return Ok(Wanted::Listed(registry::all()));
    };
    if let Some(values) = Values::of_kind(first) {
        let name = name.map(|name| values.known(name)).transpose()?;
        return Ok(Wanted::Values(values, name));
    }
    let of_kind: Vec<_> =
        registry::all().into_iter().filter(|component| is_kind(first, component.family)).collect();
    match name {
        Some(name) if of_kind.is_empty() => {
            bail!("unknown kind `{first}` before the component `{name}`: there are {}", kinds())
        }
        Some(name) => {
            let component = registry::find(name)?.0;
            if !of_kind.iter().any(|other| other.name == component.name) {
                bail!("{} is of the kind {}, not {first}", component.name, component.family);
            }
            Ok(Wanted::Described(component))
        }
        None if !of_kind.is_empty() => Ok(Wanted::Listed(of_kind)),
        None => match registry::find(first) {
            Ok((component, _)) => Ok(Wanted::Described(component)),
            Err(error) => match Values::with(first) {
                Some(values) => Ok(Wanted::Values(values, Some(first.to_owned()))),
                None => bail!("{error}; kinds of components are {}", kinds()),
            },
        },
    }
}

/// Whether a user means this family: by its name or a word of it, in the singular or plural.
fn is_kind(word: &str, family: Family) -> bool {
    let word = word.to_lowercase().replace(['-', '_'], " ");
    let family = family.to_string();
    let means = |word: &str| word == family || family.split(' ').any(|part| part == word);
    means(&word) || word.strip_suffix('s').is_some_and(means)
}

/// The families that have components, in words.
fn kinds() -> String {
    let mut families: Vec<String> =
        registry::all().iter().map(|component| component.family.to_string()).collect();
    families.dedup();
    families.extend(Values::ALL.map(|values| values.kind().to_owned()));
    families.join(", ")
}

fn list(components: &[&'static Registration], out: Output) -> Result<()> {
    let width = components.iter().map(|component| component.name.len()).max().unwrap_or_default();
    let mut family = None;
    for component in components {
        if family != Some(component.family) {
            let gap = if family.is_some() { "\n" } else { "" };
            out.text(format_args!("{gap}{}", component.family))?;
            family = Some(component.family);
        }
        out.text(format_args!("  {:<width$}  {}", component.name, component.summary))?;
        out.json(&describe::json(component, "component"))?;
    }
    out.text(
        "\n`spark list NAME` describes one of them; `spark list initializers` and `payloads` list values.",
    )?;
    let names: Vec<_> = components.iter().map(|component| component.name).collect();
    out.json(&json!({ "event": "summary", "components": names }))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_understood_as_people_write_them() {
        for word in ["soma", "Somas"] {
            assert!(is_kind(word, Family::Soma));
        }
        for word in ["input", "input_interface", "input-interfaces", "interface", "interfaces"] {
            assert!(is_kind(word, Family::InputInterface), "{word}");
        }
        assert!(!is_kind("input", Family::OutputInterface));
        assert!(!is_kind("som", Family::Soma));
    }

    #[test]
    fn initializers_and_payloads_are_kinds() {
        let shown = |first, name| matches!(wanted(Some(first), name), Ok(Wanted::Values(..)));
        assert!(shown("initializers", None) && shown("payload", Some("spikes")) && shown("log_normal", None));
        let error = wanted(Some("payloads"), Some("spike")).err().unwrap().to_string();
        assert!(error.contains("there are spikes, currents"), "{error}");
    }

    #[test]
    fn names_are_found_with_or_without_their_kind() {
        let described = |first, name| matches!(wanted(Some(first), name), Ok(Wanted::Described(_)));
        assert!(described("LeakySoma", None));
        assert!(described("soma", Some("LeakySoma")));
        let error = |first, name| wanted(Some(first), name).err().unwrap().to_string();
        assert!(error("LeakySomma", None).contains("did you mean LeakySoma"));
        assert!(error("soma", Some("LeakySomma")).contains("did you mean LeakySoma"));
        assert_eq!(error("control", Some("LeakySoma")), "LeakySoma is of the kind soma, not control");
        assert!(error("sotma", Some("LeakySoma")).contains("unknown kind `sotma`"));
    }
}
