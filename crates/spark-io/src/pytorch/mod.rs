//! Tables of tensors that PyTorch saved: `torch.save(model.state_dict(), …)` in `.pt` or `.pth`.
//!
//! Such a file is a zip archive: `…/data.pkl` says in Python's pickle format what there is, `…/data/0` and so
//! on hold numbers. A pickle is a program. This reader knows only what tables of tensors need (dictionaries,
//! lists, numbers, texts, tensors, parameters and the storages of ten types), does that itself, and refuses
//! every other name and instruction by what it is: nothing of a file is ever executed.

mod pickle;
mod tensor;
#[cfg(test)]
mod tests;

use burn::tensor::TensorData;
use indexmap::IndexMap;
use std::path::Path;

use crate::format_error::read_bytes;
use crate::zip::Zip;
use crate::{FormatError, TensorFile, TensorFileError};
use pickle::{Budget, Id, Pickle, Value};

/// Tensors by name, in the order of the file.
pub type StateDict = IndexMap<String, TensorData>;

/// What a reader may take besides twice the size of the file.
const SLACK: usize = 4 << 20;
/// How deep dictionaries and lists may lie in each other.
const DEPTH: usize = 16;
/// What the files of PyTorch before 1.6 start with: a pickled number that tells them apart.
const LEGACY: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// Reads the tensors of a file of PyTorch (`.pt`, `.pth`) by name, in the order of the file.
///
/// Names of nested dictionaries and lists have dots between their parts: a checkpoint
/// `{"model": model.state_dict(), "epoch": 3}` gives `model.fc1.weight` and so on. What is no tensor – epochs,
/// settings of an optimizer – is left out. Views come out in row-major order; types are kept (f64, f32, f16,
/// bf16, i64, i32, i16, i8, u8, bool).
///
/// The tensors and everything that leads to them take at most twice the size of the file and 4 MiB: every
/// value is charged before it is made, so tensors that show the same numbers many times over are refused.
///
/// # Errors
/// When the file cannot be read; is no archive, is truncated or corrupt (check sums are compared); is of a
/// version before 1.6, which is no archive; holds a name or an instruction that tables of tensors do not need
/// (with that name); or a tensor reaches outside its storage.
///
/// # Examples
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.pt");
/// std::fs::write(&path, b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00exit\x85R.")?;
/// let error = spark_io::pytorch::read(&path).unwrap_err().to_string();
/// assert!(error.contains("no directory of a zip archive"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path) -> Result<StateDict, FormatError> {
    parse(&read_bytes(path)?).map_err(FormatError::content(path))
}

/// Reads the tensors of a `.safetensors` file or, by any other ending, of a file of PyTorch as [`read`] does.
///
/// A `.safetensors` file has no order of its own: its tensors come in that of their names, numbers by value.
///
/// # Errors
/// Those of [`TensorFile::read`] and of [`read`].
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::{TensorFile, pytorch};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("model.safetensors");
/// let mut file = TensorFile::default();
/// file.tensors.insert("fc1.weight".into(), TensorData::from([[1.0f32, 2.0]]));
/// file.write(&path)?;
/// assert_eq!(pytorch::read_any(&path)?["fc1.weight"], TensorData::from([[1.0f32, 2.0]]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read_any(path: &Path) -> Result<StateDict, StateDictError> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
        let mut tensors: StateDict = TensorFile::read(path)?.tensors.into_iter().collect();
        tensors.sort_by_cached_key(|name, _| in_order(name));
        return Ok(tensors);
    }
    Ok(read(path)?)
}

/// A name by which others sort as people count: `fc10` behind `fc9`.
fn in_order(name: &str) -> Vec<(u128, String)> {
    let mut parts: Vec<(u128, String)> = Vec::new();
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let mut rest = name;
    while !rest.is_empty() {
        let numeric = is_number(rest);
        let end = rest.find(|c: char| c.is_ascii_digit() != numeric).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(end);
        parts.push((if numeric { part.parse().unwrap_or(u128::MAX) } else { 0 }, part.to_owned()));
        rest = behind;
    }
    parts
}

/// A table of tensors that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StateDictError {
    /// A `.safetensors` file.
    #[error(transparent)]
    Tensors(#[from] TensorFileError),
    /// A file of PyTorch.
    #[error(transparent)]
    Pytorch(#[from] FormatError),
}

fn parse(bytes: &[u8]) -> Result<StateDict, String> {
    if bytes.starts_with(LEGACY) {
        return Err(
            "found the format of PyTorch before 1.6, expected the archive of later ones: load it there \
                    and call torch.save again"
                .to_owned(),
        );
    }
    let zip = Zip::parse(bytes)?;
    let mut pickles = zip.entries().iter().filter_map(|entry| entry.name.strip_suffix("/data.pkl"));
    let (Some(folder), None) = (pickles.next(), pickles.next()) else {
        return Err("found no `…/data.pkl` or several, expected an archive of torch.save".to_owned());
    };
    let entry = |name: &str| {
        let name = format!("{folder}/{name}");
        let entry = zip.entry(&name).ok_or_else(|| format!("found no entry `{name}` in the archive"))?;
        zip.stored(entry)
    };
    if let Ok(order) = entry("byteorder")
        && order != b"little"
    {
        return Err(format!("found the byte order `{}`, expected little", String::from_utf8_lossy(order)));
    }
    let mut budget = Budget(bytes.len().saturating_mul(2).saturating_add(SLACK));
    let pickle = Pickle::parse(entry("data.pkl")?, &|key| entry(&format!("data/{key}")), &mut budget)?;
    let mut found = Found { pickle: &pickle, budget: &mut budget, tensors: StateDict::new() };
    if !matches!(pickle.value(pickle.root()), Value::Dict(_)) {
        return Err(
            "found no dictionary, expected the result of `torch.save(model.state_dict(), …)`".to_owned()
        );
    }
    found.visit(String::new(), pickle.root(), 0)?;
    Ok(found.tensors)
}

/// The tensors on the way through a pickle.
struct Found<'a, 'b> {
    pickle: &'b Pickle<'a>,
    budget: &'b mut Budget,
    tensors: StateDict,
}

impl Found<'_, '_> {
    fn visit(&mut self, name: String, id: Id, depth: usize) -> Result<(), String> {
        // Values may be shared: a short pickle can describe very many paths.
        self.budget.take(2 * name.len() + 64)?;
        if depth > DEPTH {
            return Err(format!("`{name}`: found more than {DEPTH} dictionaries in each other"));
        }
        let pickle = self.pickle;
        match pickle.value(id) {
            Value::Tensor(view) => {
                let data = view.data(self.budget).map_err(|message| format!("`{name}`: {message}"))?;
                if self.tensors.contains_key(&name) {
                    return Err(format!("found two tensors `{name}`"));
                }
                self.tensors.insert(name, data);
            }
            Value::Dict(entries) => {
                for &(key, value) in entries {
                    let key = match pickle.value(key) {
                        Value::Text(text) => (*text).to_owned(),
                        Value::Int(number) => number.to_string(),
                        _ => return Err(format!("`{name}`: found a key that is no text or whole number")),
                    };
                    self.visit(join(&name, &key), value, depth + 1)?;
                }
            }
            Value::List(entries) => self.list(&name, entries, depth)?,
            Value::Tuple(entries) => self.list(&name, entries, depth)?,
            Value::Other | Value::Int(_) | Value::Text(_) | Value::Global(_) | Value::Storage(_) => {}
        }
        Ok(())
    }

    fn list(&mut self, name: &str, entries: &[Id], depth: usize) -> Result<(), String> {
        for (index, &entry) in entries.iter().enumerate() {
            self.visit(join(name, &index.to_string()), entry, depth + 1)?;
        }
        Ok(())
    }
}

fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}
