//! Which tensor of a library is which parameter of a layer.

use spark_nn::layers::{Connection, LayerConfig, RecurrentUnitsConfig};

use super::Library;
use super::groups::Class;

/// Names of tensors in a module of the library, and of parameters in the layer.
pub(super) type Slots = &'static [(&'static str, &'static str)];

const SYNAPSES: Slots = &[("weight", "weight"), ("bias", "bias")];
const NORM: Slots =
    &[("weight", "weight"), ("bias", "bias"), ("running_mean", "mean"), ("running_var", "variance")];
const LSTM: Slots = &[
    ("lstm_cell.weight_ih", "weight_ih"),
    ("lstm_cell.weight_hh", "weight_hh"),
    ("lstm_cell.bias_ih", "bias_ih"),
    ("lstm_cell.bias_hh", "bias_hh"),
    ("threshold", "threshold"),
];
const RECURRENT_LEAKY: Slots = &[
    ("recurrent.weight", "recurrent.weight"),
    ("recurrent.bias", "recurrent.bias"),
    ("beta", "units.decay"),
    ("threshold", "units.threshold"),
];
const RECURRENT_SYNAPTIC: Slots = &[
    ("recurrent.weight", "recurrent.weight"),
    ("recurrent.bias", "recurrent.bias"),
    ("alpha", "units.current_decay"),
    ("beta", "units.decay"),
    ("threshold", "units.threshold"),
];
const SELF_LEAKY: Slots = &[("V", "weight"), ("beta", "units.decay"), ("threshold", "units.threshold")];
const SELF_SYNAPTIC: Slots = &[
    ("V", "weight"),
    ("alpha", "units.current_decay"),
    ("beta", "units.decay"),
    ("threshold", "units.threshold"),
];

/// How a layer stands in a library.
pub(super) enum Counterpart {
    /// It holds tensors there.
    Module(Class, Slots),
    /// It is there, or needs not be, but holds no tensors.
    Empty,
    /// It has no counterpart.
    None,
}

/// How `layer` stands in `library`.
pub(super) fn counterpart(library: Library, layer: &LayerConfig) -> Counterpart {
    use Counterpart::{Empty, Module, None};
    use LayerConfig as L;
    match (library, layer) {
        (_, L::Dense(_)) => Module(Class::Linear, SYNAPSES),
        (_, L::Conv1d(_)) => Module(Class::Conv1d, SYNAPSES),
        (_, L::Conv2d(_)) => Module(Class::Conv2d, SYNAPSES),
        (_, L::BatchNorm(_)) => Module(Class::Norm, NORM),
        (
            _,
            L::MaxPool2d(_) | L::AvgPool2d(_) | L::SumPool2d(_) | L::Flatten(_) | L::Dropout(_) | L::Scale(_),
        ) => Empty,
        (Library::SnnTorch, L::Leaky(_)) => {
            Module(Class::Units, &[("beta", "decay"), ("threshold", "threshold")])
        }
        (Library::SnnTorch, L::LeakyIntegrator(_)) => Module(Class::Units, &[("beta", "decay")]),
        (Library::SnnTorch, L::IntegrateAndFire(_)) => Module(Class::Units, &[("threshold", "threshold")]),
        (Library::SnnTorch, L::Lapicque(_)) => {
            Module(Class::Units, &[("R", "resistance"), ("C", "capacitance"), ("threshold", "threshold")])
        }
        (Library::SnnTorch, L::Synaptic(_)) => {
            Module(Class::Units, &[("alpha", "current_decay"), ("beta", "decay"), ("threshold", "threshold")])
        }
        (Library::SnnTorch, L::Alpha(_)) => Module(
            Class::Units,
            &[("alpha", "decay_excitatory"), ("beta", "decay_inhibitory"), ("threshold", "threshold")],
        ),
        (Library::SnnTorch, L::SpikingLstm(_)) => Module(Class::Units, LSTM),
        (Library::SnnTorch, L::Recurrent(config)) => match (&config.units, config.connection) {
            (RecurrentUnitsConfig::Leaky(_), Connection::AllToAll) => Module(Class::Units, RECURRENT_LEAKY),
            (RecurrentUnitsConfig::Leaky(_), Connection::OneToOne) => Module(Class::Units, SELF_LEAKY),
            (RecurrentUnitsConfig::Synaptic(_), Connection::AllToAll) => {
                Module(Class::Units, RECURRENT_SYNAPTIC)
            }
            (RecurrentUnitsConfig::Synaptic(_), Connection::OneToOne) => Module(Class::Units, SELF_SYNAPTIC),
            _ => None,
        },
        (Library::SpikingJelly, L::Leaky(_) | L::IntegrateAndFire(_)) => Empty,
        (Library::SpikingJelly, L::Parametric(_)) => Module(Class::Units, &[("w", "w")]),
        (Library::SpikingJelly, L::Parallel(_)) => Module(Class::Units, SYNAPSES),
        _ => None,
    }
}

/// What layers are called in configurations.
pub(super) fn kind(layer: &LayerConfig) -> String {
    let json = serde_json::to_value(layer).ok();
    json.and_then(|json| Some(json.get("kind")?.as_str()?.to_owned())).unwrap_or_default()
}
