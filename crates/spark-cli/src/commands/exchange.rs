//! What import and export have in common.

use anyhow::{Result, bail};
use spark::io::rename::Rename;
use std::path::Path;
use std::str::FromStr;

/// A change of names on the command line: `FROM=TO`.
#[derive(Clone, Debug)]
pub struct Renaming(pub Rename);

impl FromStr for Renaming {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text
            .split_once('=')
            .ok_or("expected FROM=TO, such as fc1=layers.0; nothing behind = leaves FROM out")?;
        // Without signs a module is meant, or a single tensor.
        let all = if from.contains('*') { "" } else { ".**" };
        let from = format!("{from}{all}");
        Ok(Self(if to.is_empty() { Rename::drop(&from) } else { Rename::new(&from, &format!("{to}{all}")) }))
    }
}

/// The rules in their order.
pub fn rules(renamings: &[Renaming]) -> Vec<Rename> {
    renamings.iter().map(|renaming| renaming.0.clone()).collect()
}

/// Refuses to replace a file.
pub fn check_new(path: &Path, overwrite: bool) -> Result<()> {
    if path.exists() && !overwrite {
        bail!("{} is there already: --overwrite replaces it", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_signs_is_a_module() {
        let rule = |text: &str| text.parse::<Renaming>().unwrap().0;
        assert_eq!(rule("fc1=layers.0"), Rename::module("fc1", "layers.0"));
        assert_eq!(rule("**.beta=**.decay"), Rename::new("**.beta", "**.decay"));
        assert_eq!(rule("optimizer="), Rename::drop("optimizer.**"));
        assert!("fc1".parse::<Renaming>().unwrap_err().contains("FROM=TO"));
    }
}
