//! Spikers on every backend: statistics of those that spike by chance, and the same spikes everywhere.

use spark::core::component::{ComponentConfig, Context};
use spark::core::payload::{Floats, PayloadKind, Shape};
use spark::core::ports::InputShapes;
use spark::nn::interfaces::input::{LinearSpikerConfig, PoissonSpikerConfig, SpikerInputs, SpikerOutputs};
use spark::prelude::*;

use crate::support::devices;

/// The spikes of each step under a constant signal that rises from unit to unit, up to 1, for two samples.
fn spikes<C>(config: &C, units: usize, steps: usize, device: &Device) -> Vec<Vec<f32>>
where
    C: ComponentConfig,
    C::Component: spark::core::Component<Inputs = SpikerInputs, Outputs = SpikerOutputs>,
{
    let wired = InputShapes::default().with("signal", Shape::new(PayloadKind::Floats, &[units]));
    let mut spiker = config.run(&wired, 2, &Context::new("spiker", device)).unwrap();
    let signal: Vec<f32> = (1..=units).map(|unit| unit as f32 / units as f32).collect();
    let signal = Tensor::<1>::from_floats(signal.as_slice(), device).unsqueeze().repeat(&[2, 1]);
    let step = |_| {
        let out = spiker.advance(SpikerInputs { signal: Floats(signal.clone()) });
        out.spikes.units().unwrap().into_data().iter().collect()
    };
    (0..steps).map(step).collect()
}

#[test]
fn one_seed_gives_the_same_spikes_on_every_backend() {
    let poisson = PoissonSpikerConfig { seed: Some(17), max_freq: 400.0, ..Default::default() };
    let linear = LinearSpikerConfig::default();
    let expected = (spikes(&poisson, 40, 30, &Device::flex()), spikes(&linear, 40, 30, &Device::flex()));
    assert!(
        expected.0.concat().iter().sum::<f32>() > 100.0 && expected.1.concat().iter().sum::<f32>() > 10.0
    );
    for (name, device) in devices() {
        assert_eq!(spikes(&poisson, 40, 30, &device), expected.0, "{name}");
        assert_eq!(spikes(&linear, 40, 30, &device), expected.1, "{name}");
    }
}

/// Counts of a Bernoulli process of `n` steps with probability `p`: mean `n·p` and variance `n·p·(1 − p)`, so
/// a Fano factor of `1 − p`, near that of a Poisson process for short steps.
#[test]
fn chance_spikes_have_the_rate_and_variability_of_their_process() {
    let (units, steps, samples) = (40, 20_000, 2);
    for (seed, dt) in [(1, 1.0), (2, 0.1)] {
        let config = PoissonSpikerConfig { seed: Some(seed), dt, ..Default::default() };
        let windows = 100;
        let spikes = spikes(&config, units, steps, &Device::flex());
        let count = |unit: usize, window: usize| -> f64 {
            let steps = &spikes[window * steps / windows..(window + 1) * steps / windows];
            steps.iter().map(|step| f64::from(step[unit])).sum()
        };
        let mut factors = 0.0;
        for unit in 0..units * samples {
            let p = f64::from(dt) * 0.1 * ((unit % units + 1) as f64 / units as f64);
            let counts: Vec<f64> = (0..windows).map(|window| count(unit, window)).collect();
            let mean = counts.iter().sum::<f64>() / windows as f64;
            let rate = mean * windows as f64 / steps as f64;
            // Of 160 units a few lie beyond 3 standard deviations, none beyond 4.5.
            let deviation = (p * (1.0 - p) / steps as f64).sqrt();
            assert!((rate - p).abs() < 4.5 * deviation, "unit {unit}: {rate} per step, expected {p}");
            let variance =
                counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / (windows - 1) as f64;
            factors += variance / mean / (1.0 - p);
        }
        let all: f64 = spikes.iter().flatten().map(|spike| f64::from(*spike)).sum();
        let mean_p = f64::from(dt) * 0.1 * (units as f64 + 1.0) / (2.0 * units as f64);
        let draws = (units * samples * steps) as f64;
        let deviation = (draws * mean_p).sqrt();
        assert!((all - draws * mean_p).abs() < 3.0 * deviation, "{all} spikes of {}", draws * mean_p);
        // The mean of 80 variances of 100 counts each.
        let (factor, spread) =
            (factors / (units * samples) as f64, (2.0 / ((windows - 1) * units * samples) as f64).sqrt());
        assert!((factor - 1.0).abs() < 4.0 * spread, "Fano factor {factor} of that of the process");
    }
}
