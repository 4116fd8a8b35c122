//! The derivatives themselves, each written once for scalars and tensors.
//!
//! `x` is the membrane potential minus the threshold. Equations and parameters are documented at the
//! variants of [`Surrogate`](crate::Surrogate).

use std::f32::consts::{FRAC_2_SQRT_PI, FRAC_PI_2, TAU};

use super::number::Number;

/// Evaluates an expression with the derivative of a surrogate in hand.
///
/// `with_derivative!(surrogate, |derivative| body)` is one match whose every arm holds the body with
/// `derivative` bound to that arm's formula, so that a loop in the body has no choice left to make. The
/// formula takes a number, `f32` or tensor, and gives the derivative there.
macro_rules! with_derivative {
    ($surrogate:expr, |$derivative:ident| $body:expr) => {
        $crate::surrogate::formula::with_derivative!(@match $surrogate, $derivative, $body,
            Atan { alpha } => atan,
            FastSigmoid { slope } => fast_sigmoid,
            Sigmoid { slope } => sigmoid,
            Triangular { slope } => triangular,
            DampedTriangular { height, slope } => damped_triangular,
            StraightThrough {} => straight_through,
            SuperSpike { alpha } => super_spike,
            SparseFastSigmoid { slope, boundary } => sparse_fast_sigmoid,
            PiecewiseQuadratic { alpha } => piecewise_quadratic,
            PiecewiseExponential { alpha } => piecewise_exponential,
            SoftSign { alpha } => soft_sign,
            Erf { alpha } => erf,
            Gaussian { sigma, scale } => gaussian,
            Tanh { alpha } => tanh,
            Circ { alpha } => circ,
            Rectangular { alpha } => rectangular,
            PiecewiseLeakyRelu { width, leak } => piecewise_leaky_relu,
            LeakyKRelu { leak, slope } => leaky_k_relu,
            LogTailedRelu { alpha } => log_tailed_relu,
            NonzeroSignLogAbs { alpha } => nonzero_sign_log_abs,
            FakeNumericalGradient { alpha } => fake_numerical_gradient,
            SpikeRateEscape { slope, beta } => spike_rate_escape,
            S2nn { alpha, beta } => s2nn,
            QPseudoSpike { alpha } => q_pseudo_spike,
            SquarewaveFourierSeries { terms, period } => squarewave_fourier_series,
        )
    };
    (@match $surrogate:expr, $derivative:ident, $body:expr,
        $($variant:ident { $($parameter:ident),* } => $formula:ident,)*) => {
        match $surrogate {
            $($crate::Surrogate::$variant { $($parameter),* } => {
                let $derivative = move |x| $crate::surrogate::formula::$formula(x $(, $parameter)*);
                $body
            })*
        }
    };
}
pub(crate) use with_derivative;

#[inline(always)]
pub(crate) fn atan<N: Number>(x: N, alpha: f32) -> N {
    let z = x * (FRAC_PI_2 * alpha);
    (z.clone() * z + 1.0).recip() * (0.5 * alpha)
}

#[inline(always)]
pub(crate) fn fast_sigmoid<N: Number>(x: N, slope: f32) -> N {
    let z = x.abs() * slope + 1.0;
    (z.clone() * z).recip()
}

#[inline(always)]
pub(crate) fn sigmoid<N: Number>(x: N, slope: f32) -> N {
    // Written with e^{−|kx|} so that it cannot overflow; the derivative is even in x.
    let e = ((x * slope).abs() * -1.0).exp();
    let z = e.clone() + 1.0;
    e * (z.clone() * z).recip() * slope
}

#[inline(always)]
pub(crate) fn triangular<N: Number>(x: N, slope: f32) -> N {
    (x.abs() * -slope + 1.0).at_least(0.0)
}

#[inline(always)]
pub(crate) fn damped_triangular<N: Number>(x: N, height: f32, slope: f32) -> N {
    triangular(x, slope) * height
}

#[inline(always)]
pub(crate) fn straight_through<N: Number>(x: N) -> N {
    x.constant(1.0)
}

#[inline(always)]
pub(crate) fn super_spike<N: Number>(x: N, alpha: f32) -> N {
    fast_sigmoid(x, 1.0) * alpha
}

#[inline(always)]
pub(crate) fn sparse_fast_sigmoid<N: Number>(x: N, slope: f32, boundary: f32) -> N {
    let zero = x.constant(0.0);
    x.clone().choose(boundary, fast_sigmoid(x, slope), zero)
}

#[inline(always)]
pub(crate) fn piecewise_quadratic<N: Number>(x: N, alpha: f32) -> N {
    triangular(x, alpha) * alpha
}

#[inline(always)]
pub(crate) fn piecewise_exponential<N: Number>(x: N, alpha: f32) -> N {
    (x.abs() * -alpha).exp() * (0.5 * alpha)
}

#[inline(always)]
pub(crate) fn soft_sign<N: Number>(x: N, alpha: f32) -> N {
    fast_sigmoid(x, alpha) * (0.5 * alpha)
}

#[inline(always)]
pub(crate) fn erf<N: Number>(x: N, alpha: f32) -> N {
    let z = x * alpha;
    (-(z.clone() * z)).exp() * (0.5 * FRAC_2_SQRT_PI * alpha)
}

#[inline(always)]
pub(crate) fn gaussian<N: Number>(x: N, sigma: f32, scale: f32) -> N {
    let z = x * (1.0 / sigma);
    (z.clone() * z * -0.5).exp() * (scale / (sigma * TAU.sqrt()))
}

#[inline(always)]
pub(crate) fn tanh<N: Number>(x: N, alpha: f32) -> N {
    // 1 − tanh² z = 4·e^{−2|z|}/(1 + e^{−2|z|})², which does not cancel.
    sigmoid(x, 2.0 * alpha) * (2.0 / alpha)
}

#[inline(always)]
pub(crate) fn circ<N: Number>(x: N, alpha: f32) -> N {
    let z = x * (1.0 / alpha);
    let q = z.clone() * z + 1.0;
    (q.clone() * q.sqrt()).recip()
}

#[inline(always)]
pub(crate) fn rectangular<N: Number>(x: N, alpha: f32) -> N {
    let (inside, outside) = (x.constant(alpha), x.constant(0.0));
    (-x.abs()).choose(-0.5 / alpha, inside, outside)
}

#[inline(always)]
pub(crate) fn piecewise_leaky_relu<N: Number>(x: N, width: f32, leak: f32) -> N {
    let (inside, outside) = (x.constant(0.5 / width), x.constant(leak));
    (-x.abs()).choose(-width, inside, outside)
}

#[inline(always)]
pub(crate) fn leaky_k_relu<N: Number>(x: N, leak: f32, slope: f32) -> N {
    let (below, above) = (x.constant(leak), x.constant(slope));
    // x = 0 counts as above.
    (-x).choose(0.0, below, above)
}

#[inline(always)]
pub(crate) fn log_tailed_relu<N: Number>(x: N, alpha: f32) -> N {
    let below = x.constant(alpha);
    x.clone().choose(0.0, x.at_least(1.0).recip(), below)
}

#[inline(always)]
pub(crate) fn nonzero_sign_log_abs<N: Number>(x: N, alpha: f32) -> N {
    (x.abs() + 1.0 / alpha).recip()
}

#[inline(always)]
pub(crate) fn fake_numerical_gradient<N: Number>(x: N, alpha: f32) -> N {
    (x.abs() * alpha).at_least(1.0).recip() * alpha
}

#[inline(always)]
pub(crate) fn spike_rate_escape<N: Number>(x: N, slope: f32, beta: f32) -> N {
    ((x + -1.0).abs() * -beta).exp() * slope
}

#[inline(always)]
pub(crate) fn s2nn<N: Number>(x: N, alpha: f32, beta: f32) -> N {
    let above = (x.clone().abs() + 1.0).recip() * beta;
    (-x.clone()).choose(0.0, sigmoid(x, alpha), above)
}

#[inline(always)]
pub(crate) fn q_pseudo_spike<N: Number>(x: N, alpha: f32) -> N {
    let z = x.abs() * (2.0 / (alpha - 1.0)) + 1.0;
    (z.ln() * -alpha).exp()
}

#[inline(always)]
pub(crate) fn squarewave_fourier_series<N: Number>(x: N, terms: u32, period: f32) -> N {
    // The one formula whose length is a parameter: a loop in the loop, which stays scalar.
    let turns = (x * (1.0 / period)).fraction();
    let mut sum = turns.clone().cos_turns();
    for odd in (3..2 * terms).step_by(2) {
        sum = sum + (turns.clone() * odd as f32).fraction().cos_turns();
    }
    sum * (4.0 / period)
}
