//! A picture of a run: spikes, rates and the other outputs.

use spark::burn::tensor::TensorData;
use spark::core::payload::PayloadKind;
use spark::core::simulation::Activity;
use spark::record::figures::{Figure, activity as spikes_and_rate, traces};
use spark::record::{Recording, Rows, Stream, StreamKind};
use std::collections::BTreeMap;

/// Spikes and rates of all spiking outputs, and below them the values of the other ones.
///
/// * `rows`: what was kept, `[time, units]` by output.
/// * `dt`: duration of a step in ms.
pub fn draw(rows: &BTreeMap<String, TensorData>, activity: &[Activity], dt: f64) -> Figure {
    let (mut spikes, mut others) = (Figure::default(), Figure::default());
    for one in activity {
        let Some(data) = rows.get(&one.name) else { continue };
        let recording = recording(one, data, dt);
        if one.kind == PayloadKind::Spikes {
            spikes = spikes.above(spikes_and_rate(&recording));
        } else {
            others = others.above(traces(&recording, None, None));
        }
    }
    spikes.above(others)
}

/// The output as a recording of every step.
fn recording(one: &Activity, data: &TensorData, dt: f64) -> Recording {
    let values: Vec<f32> = data.iter().collect();
    let units = one.units.max(1);
    let steps: Vec<u64> = (1..=(values.len() / units) as u64).collect();
    let (kind, data) = if one.kind == PayloadKind::Spikes {
        let byte = |units: &[f32]| {
            let bits = units.iter().enumerate().filter(|(_, value)| **value > 0.0);
            bits.fold(0_u8, |byte, (bit, _)| byte | 1 << bit)
        };
        let bytes: Vec<u8> = values.chunks_exact(units).flat_map(|row| row.chunks(8).map(byte)).collect();
        (StreamKind::Raster, TensorData::new(bytes, [steps.len(), units.div_ceil(8)]))
    } else {
        (StreamKind::Trace, TensorData::new(values, [steps.len(), units]))
    };
    let stream = Stream {
        name: one.name.clone(),
        address: one.name.clone(),
        kind,
        unit: None,
        shape: vec![units],
        units: None,
        groups: Vec::new(),
        statistics: Vec::new(),
        stride: 1,
    };
    Recording { measurement: "outputs".to_owned(), dt, rows: Rows { stream, steps, data } }
}
