//! `spark predict`

use anyhow::{Context, Result, bail};
use serde_json::json;
use spark::prelude::TrainConfig;
use spark::train::Purpose;
use spark::train::data::{self, Frames, Rows, Source, Task};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use super::{Common, DataArgs, open};
use crate::output::{Output, rates};

/// Classify one sample
#[derive(clap::Args)]
pub struct Args {
    /// Checkpoint, or the folder of a run for its best one
    checkpoint: PathBuf,
    /// PNG picture to classify; resized to the size of the training images
    #[arg(long, value_name = "FILE", required_unless_present = "index", conflicts_with = "index")]
    image: Option<PathBuf>,
    /// The picture has dark strokes on a bright ground
    #[arg(long, requires = "image")]
    invert: bool,
    /// Test sample to classify, from 0
    #[arg(long, value_name = "N")]
    index: Option<usize>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    common: Common,
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let out = Output { json: args.common.json };
    let mut model = open(&args.checkpoint, args.common.device)?;
    args.data.apply(&mut model.config);
    let (samples, index, label, classes) = match (&args.image, args.index) {
        (Some(path), _) => {
            let picture = picture(path, args.invert, &model.config)?;
            (picture, 0, None, Vec::new())
        }
        (None, index) => {
            let data = model.config.load_data()?;
            let (index, count) = (index.unwrap_or_default(), data.test.labels().len());
            if index >= count {
                bail!("--index {index}: there are {count} test samples, from 0");
            }
            let label = data.test.labels()[index];
            let names = (0..data.class_count()).map(|class| data.class(class)).collect();
            (data.test, index, Some(label), names)
        }
    };
    let prediction = model.config.evaluator().predict(&model.network, &*samples, index, &model.device);
    let name = |class: usize| classes.get(class).cloned().unwrap_or_else(|| class.to_string());

    draw(out, &*samples, index)?;
    out.text(format_args!("predicted  {}", name(prediction.class)))?;
    if let Some(label) = label {
        out.text(format_args!("label      {}", name(label.into())))?;
    }
    // Spikes where there are any; of units that never spike, what the loss compares.
    let spiking = prediction.counts.iter().all(|count| *count >= 0.0 && count.fract() == 0.0);
    let (values, unit) = if spiking { (&prediction.counts, "spikes") } else { (&prediction.scores, "") };
    let lowest = values.iter().copied().fold(0.0, f32::min);
    let highest = values.iter().copied().fold(lowest + 1.0, f32::max);
    let width = (0..values.len()).map(|class| name(class).chars().count()).max().unwrap_or(0).max(4);
    for (class, &value) in values.iter().enumerate() {
        let bar = "█".repeat((30.0 * (value - lowest) / (highest - lowest)).round() as usize);
        let value = if spiking { format!("{value:>5}") } else { format!("{value:>9.3}") };
        out.text(format_args!("{:>width$} {value} {unit} {bar}", name(class)))?;
    }
    out.text(format_args!("rates      {}  spikes per unit and step, by layer", rates(&prediction.rates)))?;
    out.json(&json!({
        "event": "summary",
        "class": prediction.class,
        "name": name(prediction.class),
        "label": label,
        "scores": prediction.scores,
        "counts": prediction.counts,
        "rates": prediction.rates,
        "checkpoint": model.path,
    }))?;
    Ok(ExitCode::SUCCESS)
}

/// A picture as the only sample, of the size that the network takes, and row by row where it was trained so.
fn picture(path: &Path, invert: bool, config: &TrainConfig) -> Result<Arc<dyn Source>> {
    let input = &config.network.input;
    match config.data.task {
        Task::Mnist { rows: false, .. } | Task::Pictures { .. } => {
            let (height, width) =
                image_size(input).context("the network does not take images: use --index")?;
            Ok(Arc::new(data::read_picture(path, height, width, invert)?))
        }
        Task::Mnist { rows: true, .. } => {
            // As many rows as the images that it was trained with.
            let frames = config.load_data()?.test.frames();
            let picture = data::read_picture(path, frames, config.network.inputs(), invert)?;
            Ok(Arc::new(Rows::new(Arc::new(picture))))
        }
        _ => bail!("the network was not trained with images: use --index"),
    }
}

/// Height and width of the images that a network with this input shape takes.
fn image_size(input: &[usize]) -> Option<(usize, usize)> {
    match *input {
        [1, height, width] | [height, width] => Some((height, width)),
        [pixels] => {
            let side = pixels.isqrt();
            (side * side == pixels).then_some((side, side))
        }
        _ => None,
    }
}

/// The most columns of a drawing.
const COLUMNS: usize = 100;

/// The sample in shades of text: an image two columns a pixel; a sequence a row a channel, over time.
fn draw(out: Output, samples: &dyn Source, index: usize) -> Result<()> {
    let (shape, frames) = (samples.shape(), samples.sample(index, 0, Purpose::Evaluate));
    let values: Vec<f32> = match &frames {
        Frames::Levels(levels) => levels.iter().map(|&level| f32::from(level)).collect(),
        Frames::Values(values) => values.to_vec(),
    };
    let lowest = values.iter().copied().fold(f32::INFINITY, f32::min).min(0.0);
    let highest = values.iter().copied().fold(lowest + f32::MIN_POSITIVE, f32::max);
    let shade = |value: f32| ((value - lowest) / (highest - lowest) * 4.0).round() as usize;
    const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
    let (width, steps) =
        (shape.iter().product::<usize>().max(1), values.len() / shape.iter().product::<usize>().max(1));
    let rows: Vec<Vec<f32>> = match shape[..] {
        // A gray image, whole or row by row.
        [1, _, columns] if steps == 1 => values.chunks(columns).map(<[f32]>::to_vec).collect(),
        [columns] if matches!(frames, Frames::Levels(_)) => {
            values.chunks(columns).map(<[f32]>::to_vec).collect()
        }
        _ if width <= COLUMNS => {
            (0..width).map(|channel| values.iter().skip(channel).step_by(width).copied().collect()).collect()
        }
        _ => return Ok(()),
    };
    if rows.first().is_none_or(|row| row.len() > COLUMNS) {
        return Ok(());
    }
    for row in rows {
        let line: String = row.iter().flat_map(|&value| [SHADES[shade(value)]; 2]).collect();
        out.text(line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::image_size;

    #[test]
    fn image_sizes_follow_from_the_input_shape() {
        assert_eq!(image_size(&[784]), Some((28, 28)));
        assert_eq!(image_size(&[1, 20, 30]), Some((20, 30)));
        assert_eq!(image_size(&[3, 32, 32]), None);
        assert_eq!(image_size(&[700]), None);
    }
}
