//! Which units are connected.

use rand::RngExt;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use spark_core::Problems;
use spark_core::component::Defect;

use super::Ends;

/// Which units are connected. Units of several axes are counted row-major.
///
/// # Examples
/// ```
/// use spark_nn::components::synapses::{Connectivity, Ends};
///
/// let connectivity: Connectivity = serde_json::from_str(r#"{"kind": "fixed_in_degree", "count": 3}"#)?;
/// let ends = Ends { post: vec![2], pre: vec![10] };
/// let pairs = connectivity.pairs(&ends, &mut spark_core::seed::rng(1, "connectivity")).unwrap();
/// assert_eq!(pairs.iter().filter(|[_, post]| *post == 0).count(), 3);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Connectivity {
    /// Every pair by itself with this probability.
    Probability {
        /// The probability.
        probability: f32,
    },
    /// Every postsynaptic unit with so many presynaptic ones, drawn without repetition.
    FixedInDegree {
        /// How many.
        count: usize,
    },
    /// Every presynaptic unit with the postsynaptic one of the same place.
    OneToOne {},
    /// Just these pairs.
    Pairs {
        /// Presynaptic and postsynaptic unit of each synapse. A pair may have several.
        pairs: Vec<[u32; 2]>,
    },
}

impl Default for Connectivity {
    fn default() -> Self {
        Self::Probability { probability: 0.1 }
    }
}

impl Connectivity {
    /// Checks what does not depend on the units.
    pub(super) fn check(&self, path: &str, problems: &mut Problems) {
        if let Self::Probability { probability } = self {
            problems.unit_interval(format!("{path}.probability"), *probability);
        }
    }

    /// Presynaptic and postsynaptic unit of each synapse; explicit ones in their order.
    ///
    /// # Errors
    /// When the units do not allow for it; the field is named.
    ///
    /// # Examples
    /// See [`Connectivity`].
    pub fn pairs(&self, ends: &Ends, rng: &mut ChaCha8Rng) -> Result<Vec<[u32; 2]>, Defect> {
        let dims @ [pre, post] = ends.dims();
        Ok(match self {
            Self::Probability { probability } => independent(f64::from(*probability), dims, rng),
            Self::FixedInDegree { count } if *count > pre => {
                let expected = format!("at most the number of presynaptic units, {pre}");
                return Err(Defect::field("connectivity.count", count, expected));
            }
            Self::FixedInDegree { count } => {
                let of = |to: usize| index::sample(rng, pre, *count).into_iter().map(move |from| [from, to]);
                (0..post).flat_map(of).map(|pair| pair.map(|unit| unit as u32)).collect()
            }
            Self::OneToOne {} if pre != post => {
                let found = format!("{pre} presynaptic and {post} postsynaptic units");
                return Err(Defect::field("connectivity", found, "as many of either for one_to_one"));
            }
            Self::OneToOne {} => (0..pre as u32).map(|unit| [unit, unit]).collect(),
            Self::Pairs { pairs } => {
                let outside = |[from, to]: &[u32; 2]| *from as usize >= pre || *to as usize >= post;
                if let Some(place) = pairs.iter().position(outside) {
                    let path = format!("connectivity.pairs[{place}]");
                    let expected = format!("units below [{pre}, {post}]");
                    return Err(Defect::field(&path, format!("{:?}", pairs[place]), expected));
                }
                pairs.clone()
            }
        })
    }
}

/// Every pair with a probability of its own, by the gaps between those that are: as many draws as synapses.
fn independent(probability: f64, [pre, post]: [usize; 2], rng: &mut ChaCha8Rng) -> Vec<[u32; 2]> {
    let all = pre * post;
    let pair = |place: usize| [place / post, place % post].map(|unit| unit as u32);
    if probability >= 1.0 {
        return (0..all).map(pair).collect();
    }
    if probability <= 0.0 {
        return Vec::new();
    }
    let mut pairs = Vec::with_capacity((all as f64 * probability) as usize);
    let mut place = 0;
    loop {
        let gap = ((1.0 - rng.random::<f64>()).ln() / (-probability).ln_1p()).floor();
        place += if gap < all as f64 { gap as usize } else { all };
        if place >= all {
            return pairs;
        }
        pairs.push(pair(place));
        place += 1;
    }
}
