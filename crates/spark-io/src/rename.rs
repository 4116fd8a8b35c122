//! Names of tensors changed by rules, which are data: weights of other libraries into networks of ours.

use burn::tensor::TensorData;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use spark_core::Problems;

use crate::pytorch::StateDict;

/// A rule that changes or drops names.
///
/// A name has parts with dots between them. In `from`, `*` stands for one part and `**`, at most once, for any
/// number of them, none included; in `to` the same signs put what they stood for back, in order.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::rename::{self, Rename};
///
/// // A network of snnTorch: `self.fc1 = nn.Linear(…)`, `self.lif1 = snn.Leaky(beta=…)`.
/// let one = TensorData::from([1.0f32]);
/// let names = ["fc1.weight", "fc1.bias", "lif1.threshold", "lif1.beta", "lif1.graded_spikes_factor"];
/// let tensors = names.map(|name| (name.to_owned(), one.clone())).into_iter().collect();
///
/// let mut rules = vec![Rename::module("fc1", "layers.0"), Rename::module("lif1", "layers.1")];
/// rules.extend(rename::snntorch());
/// let renamed = rename::apply(&rules, tensors)?;
/// let names: Vec<_> = renamed.keys().map(String::as_str).collect();
/// assert_eq!(names, ["layers.0.weight", "layers.0.bias", "layers.1.threshold", "layers.1.decay"]);
/// # Ok::<(), spark_core::Problems>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// Which names.
    pub from: String,
    /// What they become; absent for tensors to leave out.
    #[serde(default)]
    pub to: Option<String>,
    /// The number that every entry of a tensor must be for the rule to be right, such as the 1 of a factor
    /// that may be left out; any other is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<f64>,
}

impl Rename {
    /// A rule for names that match `from`.
    ///
    /// # Examples
    /// ```
    /// use spark_io::rename::Rename;
    ///
    /// let rule: Rename = serde_json::from_str(r#"{"from": "**.beta", "to": "**.decay"}"#)?;
    /// assert_eq!(rule, Rename::new("**.beta", "**.decay"));
    /// assert_eq!(rule.renamed("net.lif1.beta").as_deref(), Some("net.lif1.decay"));
    /// assert_eq!(rule.renamed("net.lif1.threshold"), None);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn new(from: &str, to: &str) -> Self {
        Self { from: from.to_owned(), to: Some(to.to_owned()), only: None }
    }

    /// A rule that leaves names out that match `from`.
    ///
    /// # Examples
    /// ```
    /// use spark_io::rename::Rename;
    ///
    /// assert_eq!(Rename::drop("**.num_batches_tracked").to, None);
    /// ```
    pub fn drop(from: &str) -> Self {
        Self { from: from.to_owned(), to: None, only: None }
    }

    /// A rule for everything in the module `from`.
    ///
    /// # Examples
    /// ```
    /// use spark_io::rename::Rename;
    ///
    /// let rule = Rename::module("net.0", "layers.0");
    /// assert_eq!(rule.renamed("net.0.recurrent.weight").as_deref(), Some("layers.0.recurrent.weight"));
    /// ```
    pub fn module(from: &str, to: &str) -> Self {
        Self::new(&format!("{from}.**"), &format!("{to}.**"))
    }

    /// What `name` becomes by this rule: nothing when it does not match, or when the rule leaves it out.
    pub fn renamed(&self, name: &str) -> Option<String> {
        let captured = captures(&self.from, name)?;
        let mut captured = captured.into_iter();
        let parts = self.to.as_deref()?.split('.').filter_map(|part| match part {
            "*" | "**" => captured.next().filter(|text| !text.is_empty()),
            part => Some(part),
        });
        Some(parts.collect::<Vec<_>>().join("."))
    }

    /// Checks that the signs of both patterns agree.
    fn validate(&self, path: &str, problems: &mut Problems) {
        let signs = |pattern: &str| -> Vec<String> {
            pattern.split('.').filter(|part| part.starts_with('*')).map(str::to_owned).collect()
        };
        let from = signs(&self.from);
        if from.iter().filter(|sign| *sign == "**").count() > 1 || from.iter().any(|sign| sign.len() > 2) {
            problems.push(format!("{path}.from"), &self.from, "parts, `*`, and at most one `**`");
        }
        if let Some(to) = &self.to
            && signs(to) != from
        {
            problems.push(format!("{path}.to"), to, format!("the signs of `{}`", self.from));
        }
    }
}

/// What the signs of a pattern stand for in a name that it matches.
fn captures<'a>(pattern: &str, name: &'a str) -> Option<Vec<&'a str>> {
    let Some((before, after)) = split_any(pattern) else {
        let (captured, rest) = ahead(pattern, Some(name))?;
        return rest.is_none().then_some(captured);
    };
    let (mut captured, rest) = ahead(before, Some(name))?;
    let wanted = if after.is_empty() { 0 } else { after.split('.').count() };
    let Some(rest) = rest else {
        captured.push("");
        return (wanted == 0).then_some(captured);
    };
    let middle = rest.split('.').count().checked_sub(wanted)?;
    // The place of the dot behind the parts that `**` stands for.
    let end = match middle {
        0 => None,
        _ => Some(rest.match_indices('.').nth(middle - 1).map_or(rest.len(), |(at, _)| at)),
    };
    captured.push(end.map_or("", |end| &rest[..end]));
    if wanted == 0 {
        return Some(captured);
    }
    let (more, rest) = ahead(after, Some(end.map_or(rest, |end| &rest[end + 1..])))?;
    captured.extend(more);
    rest.is_none().then_some(captured)
}

/// The patterns before and after `**`, where there is one.
fn split_any(pattern: &str) -> Option<(&str, &str)> {
    let at = pattern.split('.').scan(0, |at, part| {
        let start = *at;
        *at += part.len() + 1;
        Some((start, part))
    });
    let (start, _) = at.into_iter().find(|(_, part)| *part == "**")?;
    let after = pattern[start + 2..].strip_prefix('.').unwrap_or_default();
    Some((pattern[..start].strip_suffix('.').unwrap_or_default(), after))
}

/// What the parts of a pattern without `**` stand for at the start of a name, and what is left of it.
fn ahead<'a>(pattern: &str, name: Option<&'a str>) -> Option<(Vec<&'a str>, Option<&'a str>)> {
    let (mut captured, mut rest) = (Vec::new(), name);
    for part in pattern.split('.').filter(|part| !part.is_empty()) {
        let name = rest?;
        let (first, others) = match name.split_once('.') {
            Some((first, others)) => (first, Some(others)),
            None => (name, None),
        };
        match part {
            "*" => captured.push(first),
            _ if part != first => return None,
            _ => {}
        }
        rest = others;
    }
    Some((captured, rest))
}

/// Changes names by all rules in order, each applied to what those before it made.
///
/// # Errors
/// Every rule whose patterns do not fit together, every tensor that a rule with
/// [`only`](Rename::only) finds to be something else, and every name that two tensors would have.
///
/// # Examples
/// ```
/// use burn::tensor::TensorData;
/// use spark_io::rename::{Rename, apply};
///
/// let tensors = ["a.w", "b.w"].map(|name| (name.to_owned(), TensorData::from([1.0f32])));
/// let error = apply(&[Rename::new("*.w", "w")], tensors.clone().into_iter().collect()).unwrap_err();
/// assert!(error.to_string().contains("the signs of `*.w`"));
/// let error = apply(&[Rename::new("a.w", "b.w")], tensors.into_iter().collect()).unwrap_err();
/// assert!(error.to_string().contains("another name"));
/// ```
pub fn apply(rules: &[Rename], tensors: StateDict) -> Result<StateDict, Problems> {
    let mut problems = Problems::default();
    for (index, rule) in rules.iter().enumerate() {
        rule.validate(&format!("rules[{index}]"), &mut problems);
    }
    problems.into_result()?;
    let (mut problems, mut renamed) = (Problems::default(), IndexMap::with_capacity(tensors.len()));
    for (original, data) in tensors {
        let Some(name) = rename(rules, &original, &data, &mut problems) else { continue };
        if renamed.contains_key(&name) {
            problems.push(&original, format!("`{name}`, which another tensor is called"), "another name");
        } else {
            renamed.insert(name, data);
        }
    }
    problems.into_result().map(|()| renamed)
}

/// The name that a tensor has after all rules; none when one leaves it out.
fn rename(rules: &[Rename], original: &str, data: &TensorData, problems: &mut Problems) -> Option<String> {
    let mut name = original.to_owned();
    for rule in rules {
        if captures(&rule.from, &name).is_none() {
            continue;
        }
        if let Some(only) = rule.only
            && let Some(other) = data.iter::<f64>().find(|value| *value != only)
        {
            problems.push(
                original,
                other,
                format!("{only} only: anything else is lost by the rule `{}`", rule.from),
            );
        }
        name = rule.renamed(&name)?;
    }
    Some(name)
}

/// What units of snnTorch call their parameters, for `Leaky`, `Synaptic` and what recurs on them.
///
/// `beta` becomes `decay`, `alpha` becomes `current_decay`; `reset_mechanism_val` and what a unit remembered
/// (`mem`, `syn`, `spk`) are left out, and `graded_spikes_factor` where it is 1. snnTorch's `Alpha` means other
/// things by `alpha` and `beta`: put rules of its own before these. Source: snnTorch 1.0, `snntorch._neurons`.
///
/// # Examples
/// ```
/// use spark_io::rename::snntorch;
///
/// let renamed = |name: &str| snntorch().iter().find_map(|rule| rule.renamed(name));
/// assert_eq!(renamed("lif1.beta").as_deref(), Some("lif1.decay"));
/// assert_eq!(renamed("lif1.mem"), None);
/// ```
pub fn snntorch() -> Vec<Rename> {
    vec![
        Rename::new("**.beta", "**.decay"),
        Rename::new("**.alpha", "**.current_decay"),
        Rename { only: Some(1.0), ..Rename::drop("**.graded_spikes_factor") },
        Rename::drop("**.reset_mechanism_val"),
        Rename::drop("**.mem"),
        Rename::drop("**.syn"),
        Rename::drop("**.spk"),
    ]
}

/// What networks of SpikingJelly hold besides parameters that are called the same here: the counters of batch
/// norms are left out. Nodes without learned parameters hold nothing; `ParametricLIFNode` holds `w`.
///
/// Source: SpikingJelly 0.0.0.0.14, `spikingjelly.activation_based`.
///
/// # Examples
/// ```
/// use spark_io::rename::spikingjelly;
///
/// assert!(spikingjelly().iter().all(|rule| rule.renamed("conv_fc.0.weight").is_none()));
/// assert_eq!(spikingjelly()[0].from, "**.num_batches_tracked");
/// ```
pub fn spikingjelly() -> Vec<Rename> {
    vec![Rename::drop("**.num_batches_tracked")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signs_stand_for_parts() {
        let renamed = |from: &str, to: &str, name: &str| Rename::new(from, to).renamed(name);
        assert_eq!(renamed("a.*.c", "x.*", "a.b.c").as_deref(), Some("x.b"));
        assert_eq!(renamed("a.*.c", "x.*", "a.b.b.c"), None);
        assert_eq!(renamed("*.*.w", "*.z.*", "a.b.w").as_deref(), Some("a.z.b"));
        assert_eq!(renamed("**.w", "**.v", "w").as_deref(), Some("v"));
        assert_eq!(renamed("**.w", "**.v", "a.b.w").as_deref(), Some("a.b.v"));
        assert_eq!(renamed("a.**", "b.**", "a.x.y").as_deref(), Some("b.x.y"));
        assert_eq!(renamed("a.**", "b.**", "a").as_deref(), Some("b"));
        assert_eq!(renamed("a.**", "b.**", "ab.x"), None);
        assert_eq!(renamed("a.**.*.w", "**.*", "a.p.q.r.w").as_deref(), Some("p.q.r"));
        assert_eq!(renamed("**", "model.**", "a.b").as_deref(), Some("model.a.b"));
    }

    #[test]
    fn what_a_rule_would_lose_is_reported() {
        let tensors = |value: f32| -> StateDict {
            [("lif.graded_spikes_factor".to_owned(), TensorData::from([value]))].into_iter().collect()
        };
        assert!(apply(&snntorch(), tensors(1.0)).unwrap().is_empty());
        let error = apply(&snntorch(), tensors(0.7)).unwrap_err().to_string();
        assert!(error.contains("lif.graded_spikes_factor") && error.contains("1 only"), "{error}");
    }

    proptest! {
        #[test]
        fn any_pattern_and_name_is_handled(pattern in "[a.*]{0,8}", to in "[a.*]{0,8}", name in "[ab.]{0,10}") {
            let _ = Rename::new(&pattern, &to).renamed(&name);
        }

        #[test]
        fn a_pattern_without_signs_matches_itself_only(pattern in "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}", name in "[a-c]{1,2}(\\.[a-c]{1,2}){0,3}") {
            let renamed = Rename::new(&pattern, "x").renamed(&name);
            prop_assert_eq!(renamed.is_some(), pattern == name);
        }
    }
}
