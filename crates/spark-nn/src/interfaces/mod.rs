//! Where signals become spikes, spikes become signals, and payloads are joined, picked and averaged.
//!
//! Signals are dimensionless numbers; what they mean in Hz stands in the configuration of each interface.
//! As with [`components`](crate::components), each is a file of its own and registers itself.

pub mod control;
pub mod input;
pub mod output;

/// Declares the configuration of an interface: the given fields after those that all have.
macro_rules! interface_config {
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

pub(crate) use interface_config;
