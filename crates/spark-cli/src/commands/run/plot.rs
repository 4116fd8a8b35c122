//! A picture of a run: spikes, rates and the other outputs.

use spark::burn::tensor::TensorData;
use spark::core::payload::PayloadKind;
use spark::core::simulation::Activity;
use spark::record::{Chart, Panel, Raster, Series, Stack};
use std::collections::BTreeMap;

/// Points of a curve at most.
const POINTS: usize = 1000;

/// Steps over which a rate is averaged at least.
const WINDOW: usize = 10;

/// Curves in one chart at most; above it their mean is drawn.
const CURVES: usize = 8;

/// Rasters of all spiking outputs, one chart of their rates, and one for each other output.
///
/// * `rows`: what was kept, `[time, units]` by output.
/// * `dt`: duration of a step in ms.
pub fn draw(rows: &BTreeMap<String, TensorData>, activity: &[Activity], dt: f64) -> Stack {
    let (mut rasters, mut rates, mut charts) = (Vec::new(), Vec::new(), Vec::new());
    for one in activity {
        let Some(data) = rows.get(&one.name) else { continue };
        let values: Vec<f32> = data.iter().collect();
        if one.kind == PayloadKind::Spikes {
            rasters.push(Panel::Raster(raster(&one.name, &values, one.units, dt)));
            let scale = 1000.0 / (dt * one.units as f64);
            let sums = |row: &[f32]| f64::from(row.iter().sum::<f32>()) * scale;
            rates.push(curve(&one.name, &values, one.units, WINDOW, dt, sums));
        } else {
            charts.push(Panel::Chart(chart(one, &values, dt)));
        }
    }
    let mut panels = rasters;
    if !rates.is_empty() {
        let (title, x, y) = ("Rates".into(), "time (ms)".into(), "rate (Hz)".into());
        panels.push(Panel::Chart(Chart { title, x, y, series: rates }));
    }
    panels.extend(charts);
    Stack { panels }
}

fn raster(name: &str, values: &[f32], units: usize, dt: f64) -> Raster {
    let spikes = values.iter().enumerate().filter(|(_, value)| **value > 0.0);
    let spikes = spikes.map(|(at, _)| ((at / units) as f64 * dt, at % units)).collect();
    let end = (values.len() / units.max(1)) as f64 * dt;
    Raster { title: name.to_owned(), units, end, spikes }
}

fn chart(one: &Activity, values: &[f32], dt: f64) -> Chart {
    let series = if one.units <= CURVES {
        let unit = |unit: usize| {
            let name = format!("{unit}");
            curve(&name, values, one.units, 1, dt, move |row| f64::from(row[unit]))
        };
        (0..one.units).map(unit).collect()
    } else {
        let units = one.units as f64;
        let mean = |row: &[f32]| f64::from(row.iter().sum::<f32>()) / units;
        vec![curve("mean of the units", values, one.units, 1, dt, mean)]
    };
    Chart { title: one.name.clone(), x: "time (ms)".into(), y: one.kind.to_string(), series }
}

/// Means over windows of steps, so that there are not too many points.
fn curve(
    name: &str,
    values: &[f32],
    units: usize,
    least: usize,
    dt: f64,
    of: impl Fn(&[f32]) -> f64,
) -> Series {
    let rows: Vec<f64> = values.chunks_exact(units.max(1)).map(of).collect();
    let window = rows.len().div_ceil(POINTS).max(least).min(rows.len().max(1));
    let mean = |(place, rows): (usize, &[f64])| {
        let middle = (place * window) as f64 + rows.len() as f64 / 2.0;
        (middle * dt, rows.iter().sum::<f64>() / rows.len() as f64)
    };
    let points = rows.chunks(window).enumerate().map(mean).collect();
    Series { name: name.to_owned(), points, marked: false }
}
