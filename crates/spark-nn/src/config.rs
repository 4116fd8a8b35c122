//! What the configurations of components and interfaces have in common.

use spark_core::Problems;
use spark_core::schema::join;

/// Declares a configuration with its defaults; seed and duration of a step come with it.
macro_rules! config {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$field_meta:meta])* $field:ident: $type:ty = $default:expr),* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            /// Seed of what is drawn at random; derived from that of the controller where absent.
            pub seed: Option<u64>,
            /// Duration of a step.
            #[schemars(extend("unit" = "ms", "range" = "positive"))]
            pub dt: f32,
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { seed: None, dt: 1.0, $($field: $default,)* }
            }
        }
    };
}

pub(crate) use config;

/// Units have a shape.
pub(crate) fn check_units(units: &[usize], path: &str, problems: &mut Problems) {
    if units.is_empty() {
        problems.push(join(path, "units"), "no axis", "the extent of at least one axis");
    }
}
