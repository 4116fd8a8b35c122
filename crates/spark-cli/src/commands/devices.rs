//! `spark devices`

use anyhow::Result;
use serde_json::json;
use spark::core::device;
use std::process::ExitCode;

use crate::output::Output;

/// List the devices that this build and this machine offer
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON lines, the last one a summary
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.json };
    let devices = device::list();
    let automatic = device::automatic_choice(&devices);
    for info in &devices {
        let name = info.choice.to_string();
        let mark = if info.choice == automatic { "  (auto)" } else { "" };
        out.text(format_args!("{name:<10} {}{mark}", info.description))?;
        out.json(&json!({
            "event": "device",
            "device": name,
            "description": info.description,
            "gpu": info.gpu,
        }))?;
    }
    let missing = device::missing_features();
    for (feature, brings) in &missing {
        out.text(format_args!("{feature:<10} not in this build (--features {feature}): {brings}"))?;
    }
    out.json(&json!({
        "event": "summary",
        "devices": devices.iter().map(|info| info.choice.to_string()).collect::<Vec<_>>(),
        "auto": automatic.to_string(),
        "missing_features": missing.iter().map(|(feature, _)| feature).collect::<Vec<_>>(),
    }))?;
    Ok(ExitCode::SUCCESS)
}
