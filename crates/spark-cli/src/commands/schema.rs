//! `spark schema`

use anyhow::Result;
use spark::core::{model, registry};
use std::process::ExitCode;

use super::model::Neurons;
use crate::output::Output;

/// Print the JSON Schema of model files, or of the configuration of one component
///
/// Editors that know JSON Schema complete and check model files with it as they are written.
///
/// Example: spark schema > model.schema.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Name of a component, neuron or brain
    name: Option<String>,
    #[command(flatten)]
    neurons: Neurons,
    /// Print it on one line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    args.neurons.define()?;
    let schema = match &args.name {
        Some(name) => model::module_schema(registry::find(name)?.0),
        None => model::schema(),
    };
    out.text(serde_json::to_string_pretty(&schema)?)?;
    out.json(&schema)?;
    Ok(ExitCode::SUCCESS)
}
