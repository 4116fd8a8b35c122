//! What the configurations of components have in common.

/// Declares the configuration of a component with its defaults; seed and duration of a step come with it.
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
            /// Seed of the parameters that are drawn; derived from that of the controller where absent.
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
pub(crate) fn check_units(units: &[usize], path: &str, problems: &mut spark_core::Problems) {
    if units.is_empty() {
        let path = if path.is_empty() { "units".to_owned() } else { format!("{path}.units") };
        problems.push(path, "no axis", "the extent of at least one axis");
    }
}
