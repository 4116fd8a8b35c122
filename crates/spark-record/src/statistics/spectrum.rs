//! Power spectra.

use std::f64::consts::PI;

/// How much of a signal's variance is at which frequency.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spectrum {
    /// Frequencies in Hz, from 0 in equal steps to half the sampling rate.
    pub frequencies: Vec<f64>,
    /// One-sided density at each, in the squared unit of the signal per Hz.
    pub density: Vec<f64>,
}

/// The power spectrum of a signal by the mean of half-overlapping, Hann-windowed stretches, each less its mean (Welch,
/// *The use of fast Fourier transform for the estimation of power spectra*, 1967). Its sum times the step of frequency is
/// the variance of the signal, up to what the window takes from slow changes.
///
/// * `values`: the signal at equal steps; only numbers that are finite.
/// * `rate`: samples per second, in Hz.
/// * `length`: samples in a stretch, taken down to a power of two and to what there is.
///
/// `None` where there are fewer than eight samples.
///
/// # Examples
/// ```
/// use spark_record::statistics::welch;
///
/// let wave = |t: i32| (2.0 * std::f64::consts::PI * 50.0 * f64::from(t) / 1000.0).sin();
/// let spectrum = welch(&(0..4096).map(wave).collect::<Vec<_>>(), 1000.0, 512).unwrap();
/// let peak = spectrum.density.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
/// assert!((spectrum.frequencies[peak] - 50.0).abs() < 2.0);
/// ```
pub fn welch(values: &[f64], rate: f64, length: usize) -> Option<Spectrum> {
    if values.len() < 8 {
        return None;
    }
    let most = length.clamp(8, values.len());
    let length = 1 << most.ilog2();
    let window: Vec<f64> = (0..length).map(|n| (PI * n as f64 / length as f64).sin().powi(2)).collect();
    let power: f64 = window.iter().map(|weight| weight * weight).sum();
    let mut density = vec![0.0; length / 2 + 1];
    let stretches = (values.len() - length) / (length / 2) + 1;
    for stretch in 0..stretches {
        let part = &values[stretch * length / 2..][..length];
        let mean = part.iter().sum::<f64>() / length as f64;
        let mut signal: Vec<(f64, f64)> =
            part.iter().zip(&window).map(|(v, w)| ((v - mean) * w, 0.0)).collect();
        transform(&mut signal);
        for (place, (sum, (re, im))) in density.iter_mut().zip(&signal).enumerate() {
            // Every frequency stands for its negative as well, but for the two that have none.
            let sides = if place == 0 || place == length / 2 { 1.0 } else { 2.0 };
            *sum += sides * (re * re + im * im) / (rate * power * stretches as f64);
        }
    }
    let frequencies = (0..density.len()).map(|place| place as f64 * rate / length as f64).collect();
    Some(Spectrum { frequencies, density })
}

/// The discrete Fourier transform Xₖ = Σₙ xₙ·e^(−2πikn/N) in place (Cooley & Tukey, *An algorithm for the machine
/// calculation of complex Fourier series*, 1965).
///
/// * `signal`: real and imaginary parts; their number is a power of two.
fn transform(signal: &mut [(f64, f64)]) {
    let length = signal.len();
    let bits = length.trailing_zeros();
    for place in 0..length {
        let mirrored = place.reverse_bits() >> (usize::BITS - bits.max(1)) as usize;
        if bits > 0 && place < mirrored {
            signal.swap(place, mirrored);
        }
    }
    let mut half = 1;
    while half < length {
        let turns: Vec<(f64, f64)> = (0..half).map(|k| (-PI * k as f64 / half as f64).sin_cos()).collect();
        for block in signal.chunks_exact_mut(2 * half) {
            let (even, odd) = block.split_at_mut(half);
            for ((a, b), (sin, cos)) in even.iter_mut().zip(odd).zip(&turns) {
                let turned = (b.0 * cos - b.1 * sin, b.0 * sin + b.1 * cos);
                *b = (a.0 - turned.0, a.1 - turned.1);
                *a = (a.0 + turned.0, a.1 + turned.1);
            }
        }
        half *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_transform_is_the_slow_one(
            bits in 0..7_u32, values in prop::collection::vec((-1.0..1.0_f64, -1.0..1.0_f64), 64),
        ) {
            let signal = &values[..1 << bits];
            let mut fast = signal.to_vec();
            transform(&mut fast);
            for (k, (re, im)) in fast.iter().enumerate() {
                let (mut slow_re, mut slow_im) = (0.0, 0.0);
                for (n, (x, y)) in signal.iter().enumerate() {
                    let (sin, cos) = (-2.0 * PI * (k * n) as f64 / signal.len() as f64).sin_cos();
                    slow_re += x * cos - y * sin;
                    slow_im += x * sin + y * cos;
                }
                prop_assert!((re - slow_re).abs() < 1e-9 && (im - slow_im).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn the_spectrum_sums_to_the_variance() {
        // Noise of a linear congruence: the same each time, and flat.
        let mut state = 7_u64;
        let noise = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        };
        let values: Vec<f64> = (0..65_536).map(noise).collect();
        let spectrum = welch(&values, 1000.0, 256).unwrap();
        let step = spectrum.frequencies[1];
        let variance = spectrum.density.iter().sum::<f64>() * step;
        assert!((variance - 1.0 / 12.0).abs() < 0.002, "{variance}");
        // A uniform density of 1/12 has 2/12 ms of it at each frequency.
        let flat = 2.0 / 12.0 / 1000.0;
        let middle = &spectrum.density[10..120];
        assert!(middle.iter().all(|one| (one / flat - 1.0).abs() < 0.35));
        assert_eq!(spectrum.frequencies.last(), Some(&500.0));
    }

    #[test]
    fn too_little_has_no_spectrum() {
        assert_eq!(welch(&[1.0; 7], 1000.0, 64), None);
        let constant = welch(&[1.0; 9], 1000.0, 64).unwrap();
        assert!(constant.density.iter().all(|one| *one < 1e-20));
    }
}
