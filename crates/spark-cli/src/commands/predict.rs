//! `spark predict`

use anyhow::{Context, Result, bail};
use serde_json::json;
use spark::train::data::{self, Images};
use std::path::PathBuf;
use std::process::ExitCode;

use super::{Common, DataArgs, open};
use crate::output::{Output, rates};

/// Classify one image
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
    /// Test image to classify, from 0
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
    let (images, index, label) = match (&args.image, args.index) {
        (Some(path), _) => {
            let (height, width) = image_size(&model.config.network.input)
                .context("the network does not take images: use --index")?;
            (data::read_picture(path, height, width, args.invert)?, 0, None)
        }
        (None, index) => {
            let images = model.config.load_data()?.test;
            let index = index.unwrap_or_default();
            if index >= images.len() {
                bail!("--index {index}: there are {} test images, from 0", images.len());
            }
            let label = images.labels[index];
            (images, index, Some(label))
        }
    };
    let prediction = model.config.evaluator().predict(&model.network, &images, index, &model.device);

    draw(out, &images, index)?;
    out.text(format_args!("predicted  {}", prediction.class))?;
    if let Some(label) = label {
        out.text(format_args!("label      {label}"))?;
    }
    let highest = prediction.counts.iter().copied().fold(1.0, f32::max);
    for (class, count) in prediction.counts.iter().enumerate() {
        let bar = "█".repeat((30.0 * count / highest).round() as usize);
        out.text(format_args!("{class:>4} {count:>5} spikes {bar}"))?;
    }
    out.text(format_args!("rates      {}  spikes per unit and step, by layer", rates(&prediction.rates)))?;
    out.json(&json!({
        "event": "summary",
        "class": prediction.class,
        "label": label,
        "scores": prediction.scores,
        "counts": prediction.counts,
        "rates": prediction.rates,
        "checkpoint": model.path,
    }))?;
    Ok(ExitCode::SUCCESS)
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

/// The image in shades of text, two columns a pixel.
fn draw(out: Output, images: &Images, index: usize) -> Result<()> {
    const SHADES: [&str; 5] = ["  ", "░░", "▒▒", "▓▓", "██"];
    for row in images.image(index).chunks(images.width) {
        let line: String = row.iter().map(|&level| SHADES[usize::from(level) * 5 / 256]).collect();
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
