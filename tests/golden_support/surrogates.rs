//! Surrogate derivatives on a grid, as other libraries compute them.

use super::{Case, Checked, agree, floats};
use spark::kernels::spike;
use spark::prelude::*;
use std::f32::consts::SQRT_2;

/// How a library's function is said in Spark.
fn surrogate(case: &Case) -> Checked<Surrogate> {
    let number = |name: &str| case.number(name);
    Ok(match (case.library()?, case.text("function")?) {
        ("snntorch", "fast_sigmoid") => Surrogate::FastSigmoid { slope: number("slope")? },
        ("snntorch", "sigmoid") => Surrogate::Sigmoid { slope: number("slope")? },
        // The threshold below it and minus the threshold above it.
        ("snntorch", "triangular") => {
            Surrogate::LeakyKRelu { leak: number("threshold")?, slope: -number("threshold")? }
        }
        ("snntorch", "straight_through_estimator") => Surrogate::StraightThrough {},
        ("snntorch", "spike_rate_escape") => {
            Surrogate::SpikeRateEscape { slope: number("slope")?, beta: number("beta")? }
        }
        ("snntorch", "SFS") => {
            Surrogate::SparseFastSigmoid { slope: number("slope")?, boundary: number("B")? }
        }
        ("spikingjelly", "Sigmoid") => Surrogate::Sigmoid { slope: number("alpha")? },
        ("spikingjelly", "ATan") => Surrogate::Atan { alpha: number("alpha")? },
        ("spikingjelly", "PiecewiseQuadratic") => Surrogate::PiecewiseQuadratic { alpha: number("alpha")? },
        ("spikingjelly", "PiecewiseExp") => Surrogate::PiecewiseExponential { alpha: number("alpha")? },
        ("spikingjelly", "SoftSign") => Surrogate::SoftSign { alpha: number("alpha")? },
        ("spikingjelly", "SuperSpike") => Surrogate::SuperSpike { alpha: number("alpha")? },
        ("spikingjelly", "Erf") => Surrogate::Erf { alpha: number("alpha")? },
        ("spikingjelly", "NonzeroSignLogAbs") => Surrogate::NonzeroSignLogAbs { alpha: number("alpha")? },
        ("spikingjelly", "PiecewiseLeakyReLU") => {
            Surrogate::PiecewiseLeakyRelu { width: number("w")?, leak: number("c")? }
        }
        // Its sum ends one term before n.
        ("spikingjelly", "SquarewaveFourierSeries") => Surrogate::SquarewaveFourierSeries {
            terms: (number("n")? as u32).saturating_sub(1),
            period: number("T_period")?,
        },
        ("spikingjelly", "S2NN") => Surrogate::S2nn { alpha: number("alpha")?, beta: number("beta")? },
        ("spikingjelly", "QPseudoSpike") => Surrogate::QPseudoSpike { alpha: number("alpha")? },
        ("spikingjelly", "LeakyKReLU") => {
            Surrogate::LeakyKRelu { leak: number("leak")?, slope: number("k")? }
        }
        ("spikingjelly", "FakeNumericalGradient") => {
            Surrogate::FakeNumericalGradient { alpha: number("alpha")? }
        }
        ("spikingjelly", "LogTailedReLU") => Surrogate::LogTailedRelu { alpha: number("alpha")? },
        ("spikingjelly", "Rect") => Surrogate::Rectangular { alpha: number("alpha")? },
        ("spikingjelly", "DeterministicPass") => Surrogate::StraightThrough {},
        // Takes a steepness and does not use it.
        ("norse", "super") => Surrogate::SuperSpike { alpha: 1.0 },
        // 2/√π·e^{−(αx)²}, twice the derivative of erf over α.
        ("norse", "heavi_erfc") => {
            let alpha = number("alpha")?;
            Surrogate::Gaussian { sigma: 1.0 / (SQRT_2 * alpha), scale: 2.0 / alpha }
        }
        ("norse", "tanh") => Surrogate::Tanh { alpha: number("alpha")? },
        ("norse", "circ") => Surrogate::Circ { alpha: number("alpha")? },
        ("norse", "triangle") => Surrogate::DampedTriangular { height: number("alpha")?, slope: 1.0 },
        (library, function) => return Err(format!("unknown function {function} of {library}")),
    })
}

/// Spikes exact, derivatives within 1e-5.
pub fn check(case: &Case, device: &Device) -> Checked {
    let surrogate = surrogate(case)?;
    surrogate.validate().map_err(|error| error.to_string())?;
    let x = case.tensor::<1>("x", &device.clone().autodiff())?.require_grad();
    let spikes = spike(x.clone(), surrogate);
    agree(&floats(spikes.clone()), &case.values("spike")?, 0.0, "spike")?;
    let gradient = x.grad(&spikes.sum().backward()).ok_or("x has no gradient")?;
    agree(&floats(gradient), &case.values("dspike_dx")?, 1e-5, "dspike_dx")
}
