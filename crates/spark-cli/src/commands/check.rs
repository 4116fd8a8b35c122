//! `spark check`

use anyhow::Result;
use serde_json::json;
use spark::core::component::Context;
use spark::core::model::Model;
use spark::core::payload::Shape;
use spark::core::ports::InputShapes;
use spark::core::{DeviceChoice, Problem};
use std::process::ExitCode;

use super::model::{ModelArgs, Size, input_shapes, problems};
use crate::output::Output;

/// Check a model file: everything that is wrong with it, each with its path
///
/// Fields, names and wiring are checked as they are written. Where the sizes of all inputs are known, declared in
/// the model or given by --size, the model is built as well, so that sizes that do not fit show. The exit code is
/// 0 only for a model that can be used.
///
/// Example: spark check brain.json --size signal=4
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Size of an input, such as signal=4 or image=16x16; may be repeated
    #[arg(long = "size", value_name = "PORT=SIZE")]
    sizes: Vec<Size>,
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

/// What is known of a model.
struct Findings {
    problems: Vec<Problem>,
    inputs: InputShapes,
    /// Inputs of unknown size, for want of which it was not built.
    unknown: Vec<&'static str>,
    outputs: Vec<(String, Shape)>,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    let path = args.model.path.display();
    let found = findings(&args.model.open()?, &args.sizes)?;
    for problem in &found.problems {
        out.text(problem)?;
        let Problem { path, found, expected } = problem;
        out.json(&json!({ "event": "problem", "path": path, "found": found, "expected": expected }))?;
    }
    let valid = found.problems.is_empty();
    match (found.problems.len(), found.unknown.as_slice()) {
        (0, []) => {
            out.text(format_args!("{path}: nothing wrong; it was built"))?;
            for (direction, ports) in [("input", shapes(&found.inputs)), ("output", found.outputs.clone())] {
                for (port, shape) in ports {
                    out.text(format_args!("  {direction:<6} {port:<16} {shape}"))?;
                }
            }
        }
        (0, unknown) => out.text(format_args!(
            "{path}: nothing wrong; not built, for that takes --size {}=N",
            unknown.join("=N --size ")
        ))?,
        (count, _) => {
            out.text(format_args!("{path}: {count} {}", if count == 1 { "problem" } else { "problems" }))?;
        }
    }
    out.json(&json!({
        "event": "summary",
        "model": args.model.path,
        "valid": valid,
        "problems": found.problems.len(),
        "built": valid && found.unknown.is_empty(),
        "unknown_sizes": found.unknown,
    }))?;
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shapes(inputs: &InputShapes) -> Vec<(String, Shape)> {
    inputs.iter().map(|(port, shape)| (port.to_owned(), shape.clone())).collect()
}

fn findings(model: &Model, sizes: &[Size]) -> Result<Findings> {
    let (inputs, unknown, outputs) = Default::default();
    let mut found = Findings { problems: Vec::new(), inputs, unknown, outputs };
    let config = match model.checked() {
        Ok(config) => config,
        Err(problems) => {
            found.problems = problems.list().to_vec();
            return Ok(found);
        }
    };
    let (inputs, missing) = input_shapes(config.as_ref(), sizes)?;
    found.unknown = missing.iter().map(|port| port.name).collect();
    if missing.is_empty() {
        let device = DeviceChoice::Flex.resolve()?;
        match config.instance(&inputs, 1, &Context::new("", &device)) {
            Ok(instance) => {
                let ports = instance.output_ports().into_iter();
                found.outputs = ports.map(|(port, shape)| (port.into_owned(), shape)).collect();
            }
            Err(error) => found.problems = problems(&error),
        }
        found.inputs = inputs;
    }
    Ok(found)
}
