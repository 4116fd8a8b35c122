//! Where a run starts.

use anyhow::{Context as _, Result, bail, ensure};
use spark::core::component::Context;
use spark::core::model::Model;
use spark::core::simulation::{Drives, Simulation};
use spark::io::Snapshot;
use spark::prelude::Device;
use std::path::{Path, PathBuf};

/// How many differences between models an error names.
const NAMED: usize = 3;

/// From the beginning, or from a state that another run left.
pub struct Start(Option<(PathBuf, Snapshot)>);

impl Start {
    /// Reads a state, which has to be one of `model`.
    pub fn read(path: Option<&Path>, model: &Model) -> Result<Self> {
        let Some(path) = path else { return Ok(Self(None)) };
        let snapshot = Snapshot::read(path)?;
        let found = snapshot.batch;
        ensure!(found == 1, "{}: found a state of {found} samples, expected one", path.display());
        let changes = snapshot.model.diff(model)?;
        if !changes.is_empty() {
            let named: Vec<String> = changes.iter().take(NAMED).map(ToString::to_string).collect();
            let more = changes.len() - named.len();
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            bail!("{} is the state of another model: {}{more}", path.display(), named.join("; "));
        }
        Ok(Self(Some((path.to_owned(), snapshot))))
    }

    /// Steps that were done before.
    pub fn steps(&self) -> u64 {
        self.0.as_ref().map_or(0, |(_, snapshot)| snapshot.steps)
    }

    /// Where to build: with the seed of the state.
    pub fn context(&self, device: &Device) -> Context {
        let context = Context::new("", device);
        match &self.0 {
            Some((_, snapshot)) => Context { seed: snapshot.seed, ..context },
            None => context,
        }
    }

    /// Refuses inputs of other shapes than those that the state was made with.
    pub fn check(&self, drives: &Drives) -> Result<()> {
        let Some((path, snapshot)) = &self.0 else { return Ok(()) };
        for (port, expected) in &snapshot.inputs {
            match drives.shapes().get(port) {
                Some(found) if found == expected => {}
                found => {
                    let found = found.map_or_else(|| "nothing".to_owned(), ToString::to_string);
                    bail!(
                        "{}: input `{port}`: found {found}, the state was made with {expected}",
                        path.display()
                    );
                }
            }
        }
        Ok(())
    }

    /// Puts the state in.
    pub fn put(&self, simulation: &mut Simulation) -> Result<()> {
        let Some((path, snapshot)) = &self.0 else { return Ok(()) };
        simulation
            .restore(&snapshot.state)
            .with_context(|| format!("{} is the state of another model", path.display()))
    }
}
