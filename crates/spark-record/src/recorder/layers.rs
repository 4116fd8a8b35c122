//! Recording trained networks: all layers at all steps of a batch.

use burn::tensor::{Tensor, TensorData};
use spark_nn::layers::NetworkOutput;

use crate::window::{Rows, Stream, StreamKind, Window};

/// The spikes of every spiking layer, and the potential of the last layer, as a network gave them for a batch: a window
/// for each sample, as if the samples had been shown one after another.
///
/// Streams are named `layer_1.spikes`, `layer_2.spikes` and so on, in the order of [`NetworkOutput::spikes`], and
/// `output.potential`. The group of a window is the sample that it shows. Of a shorter sample there are only the steps
/// that it has.
///
/// * `samples`: a name, such as the place in the dataset, for each sample of the batch.
///
/// # Panics
/// If there are not as many names as samples.
///
/// # Examples
/// ```
/// use burn::tensor::{Device, Tensor};
/// use spark_nn::layers::{LayerConfig, LeakyConfig, NetworkConfig};
///
/// let device = Device::flex();
/// let units = LayerConfig::Leaky(LeakyConfig::default());
/// let network = NetworkConfig { input: vec![3], layers: vec![units] };
/// let output = network.init(1, &device)?.forward(Tensor::full([4, 2, 3], 2.0, &device), None);
/// let windows = spark_record::record_layers("batch", &output, &[7, 9]);
/// assert_eq!((windows[1].group, windows[1].first, windows[1].last), (Some(9), 5, 8));
/// assert_eq!(windows[0].rows[0].stream.name, "layer_1.spikes");
/// # Ok::<(), spark_core::Problems>(())
/// ```
pub fn record_layers(measurement: &str, output: &NetworkOutput, samples: &[i64]) -> Vec<Window> {
    let [time, batch, _] = output.output.dims();
    assert_eq!(samples.len(), batch, "a name for each sample");
    let layers: Vec<(Stream, Vec<f32>)> = output
        .spikes
        .iter()
        .enumerate()
        .map(|(layer, spikes)| plane(&format!("layer_{}.spikes", layer + 1), StreamKind::Raster, spikes))
        .chain([plane("output.potential", StreamKind::Trace, &output.potential)])
        .collect();
    let window = |(place, group): (usize, &i64)| {
        let length = output.lengths.as_ref().map_or(time, |lengths| lengths[place].min(time));
        let first = (place * time) as u64 + 1;
        let steps: Vec<u64> = (first..first + length as u64).collect();
        let rows = layers.iter().map(|(stream, values)| {
            let units = stream.source_units();
            let of_step = |step: usize| &values[(step * batch + place) * units..][..units];
            let shape = [&[length], &stream.row_shape()[..]].concat();
            let data = match stream.kind {
                StreamKind::Raster => {
                    let bits = (0..length).flat_map(|step| of_step(step).chunks(8).map(super::channel::byte));
                    TensorData::new(bits.collect::<Vec<u8>>(), shape)
                }
                _ => {
                    let values = (0..length).flat_map(of_step).copied();
                    TensorData::new(values.collect::<Vec<f32>>(), shape)
                }
            };
            Rows { stream: stream.clone(), steps: steps.clone(), data }
        });
        Window {
            measurement: measurement.to_owned(),
            first,
            last: first + length.max(1) as u64 - 1,
            group: Some(*group),
            dt: 1.0,
            rows: rows.filter(|rows| !rows.steps.is_empty()).collect(),
        }
    };
    let windows = samples.iter().enumerate().map(window);
    windows.filter(|window| !window.rows.is_empty()).collect()
}

/// A layer `[time, batch, units]` on the host, in one trip.
fn plane(name: &str, kind: StreamKind, values: &Tensor<3>) -> (Stream, Vec<f32>) {
    let stream = Stream {
        name: name.to_owned(),
        address: name.to_owned(),
        kind,
        unit: None,
        shape: vec![values.dims()[2]],
        units: None,
        groups: Vec::new(),
        statistics: Vec::new(),
        stride: 1,
    };
    (stream, values.to_data().iter().collect())
}
