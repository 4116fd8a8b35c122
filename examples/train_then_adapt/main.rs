//! A network learns digits by gradient and goes on as a brain that keeps learning without one.
//!
//! ```sh
//! cargo run --release --example train_then_adapt
//! cargo run --release --example train_then_adapt -- --shift permute --seed 2 --out runs/permuted
//! ```
//!
//! 1. A network 784-512-10 of leaky units is trained on 5,000 digits by surrogate gradient.
//! 2. [`TrainedBrain`] puts it into a model file with a state. What that is must be the network: both are shown the
//!    same digits, and every spike of every unit is compared.
//! 3. The brain runs on its own, one digit after another, without being reset in between. A digit is shown for 25
//!    steps in which the spikes of the ten output units are counted: the answer. It stays for some steps more, in
//!    which the adapting brain is told the lesson, and 5 steps without spikes follow.
//! 4. After 1,000 digits the world changes: from then on all digits are turned (`--shift rotate`), or all their pixels
//!    are in another order (`--shift permute`).
//!
//! The lesson is one number for each output unit: by how much it should have been more active, the right class less
//! the share of the unit in the softmax of counts. As a third factor it meets presynaptic spikes at the synapses onto
//! the output, `ΔW_ij = η·M_i·s_j` ([`protocol`]): the `ModulatedQuadrupletRule` with its first term. It is as strong
//! as errors were frequent of late, as noradrenaline is said to make brains learn where they are surprised (Yu & Dayan,
//! *Uncertainty, neuromodulation, and attention*, 2005). Nothing else changes, nothing is computed backwards, nothing
//! remembers digits. What the hidden units learnt to tell apart in
//! upright digits tells turned ones apart too, if the readout learns what it means. The rule is on all the time, and
//! nobody tells the brain of the shift; its frozen copy hears the same spikes.
//!
//! # What was seen
//! The seeds 1, 2 and 3 (`--seed N --shift S`), digits turned by 60° and pixels in another order; a run takes about
//! 25 s on one core. Accuracy of the frozen brain → of the one that adapts, in
//! percent:
//!
//! | | turned 1 | 2 | 3 | permuted 1 | 2 | 3 |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 1,000 digits before | 95.0 → 94.6 | 94.4 → 93.1 | 93.9 → 93.2 | 95.0 → 94.6 | 94.4 → 93.1 | 93.9 → 93.2 |
//! | the first 500 after | 17.8 → 54.8 | 19.4 → 55.4 | 20.0 → 52.4 | 3.6 → 38.6 | 8.0 → 43.4 | 7.6 → 35.0 |
//! | the last 500 of 4,000 | 21.4 → 86.6 | 18.8 → 83.0 | 17.2 → 88.0 | 6.0 → 79.6 | 8.4 → 78.0 | 7.2 → 80.2 |
//!
//! Before the shift, brain and network gave the same answer to every one of 1,000 digits; of about 1.5 million spikes 0,
//! 0 and 4 differed.
//!
//! ![Turned digits](curves.png) ![Permuted digits](permuted.png)
//!
//! Learning all the time costs a percent before the shift. With a lesson that is always as strong (η between 0.0003 and
//! 0.003, 256 hidden units) it cost 1 to 9 percent and came no further after it: hence the surprise.
#![recursion_limit = "256"] // The kernel compiler of the GPU backends nests its types deeply.

mod protocol;
mod report;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use spark::core::seed;
use spark::io::Snapshot;
use spark::prelude::*;
use spark::train::TrainedBrain;
use spark::train::data::{Images, Split, mnist10k};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use protocol::{Agreement, Answer, Pair, Stream, Subject, Timing, WINDOW, agreement, learning, show};
use report::{Reporter, Summary};

#[global_allocator]
static ALLOCATOR: spark::memory::Allocator = spark::memory::Allocator;

/// A network learns digits by gradient and goes on as a brain that keeps learning without one
#[derive(Parser)]
#[command(name = "train_then_adapt")]
struct Args {
    /// Seed of the network, of the order of the digits and of their spikes
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What happens to the digits
    #[arg(long, value_enum, default_value = "rotate")]
    shift: Shift,
    /// By how many degrees digits are turned, counter-clockwise
    #[arg(long, default_value_t = 60.0, allow_negative_numbers = true)]
    angle: f32,
    /// Digits before the shift
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = at_least_one)]
    before: usize,
    /// Digits after the shift
    #[arg(long, default_value_t = 4000, value_name = "N", value_parser = at_least_one)]
    after: usize,
    /// Passes over the digits that the network is trained with
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = at_least_one)]
    epochs: usize,
    /// Learning rate of the local rule, in pA for a spike
    #[arg(long, default_value_t = 0.004)]
    eta: f32,
    /// Folder for the model, its states, accuracies and curves
    #[arg(long, value_name = "DIR", default_value = "runs/train_then_adapt")]
    out: PathBuf,
    /// Replace the run that --out holds
    #[arg(long)]
    overwrite: bool,
    /// Where to compute: flex, ndarray, wgpu or cuda. Steps are small: the CPU is fastest
    #[arg(long, default_value = "flex")]
    device: DeviceChoice,
    /// Print the summary as a line of JSON
    #[arg(long)]
    json: bool,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    let number = text.parse().map_err(|error| format!("{error}"))?;
    if number == 0 { Err("expected at least 1".to_owned()) } else { Ok(number) }
}

/// How the world changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shift {
    /// Digits are turned.
    Rotate,
    /// Pixels change their places, the same way in all digits.
    Permute,
}

/// Digits of the data set that the network is trained with; the others come one after another.
const TRAINING: usize = 5000;
/// Hidden units.
const HIDDEN: usize = 512;
const TIMING: Timing = Timing { look: 25, lesson: 10, pause: 5 };
/// Digits for which network and brain go on before they are compared anew.
const COMPARED: usize = 100;

fn main() -> ExitCode {
    spark::memory::keep_pages();
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let device = args.device.resolve()?;
    let (data, upright) = digits(args)?;
    let (shifted, shift) = match args.shift {
        Shift::Rotate => (upright.rotated(args.angle), format!("turned by {}°", args.angle)),
        Shift::Permute => (upright.permuted(args.seed), "pixels in another order".to_owned()),
    };
    let folder = RunFolder::create(&args.out, args.overwrite)?;
    let mut reporter = Reporter::new(args.json);

    let begun = Instant::now();
    let (config, mut trainer) = trainer(args, data, folder, &device)?;
    let trained = train(&mut trainer, &mut reporter)?;
    let network = trainer.network().clone().valid();
    let training = begun.elapsed().as_secs_f64();

    let brain = TrainedBrain::new(&config.network, &network, &learning(args.eta))?;
    let [model, state] = brain.write(&args.out, args.overwrite)?;
    // From here on, what was written.
    let brain = TrainedBrain { snapshot: Snapshot::read(&state)?, ..brain };
    let stream = |images| Stream::new(images, config.encoder(), TIMING, brain.latency(), &device);

    let begun = Instant::now();
    reporter.begin("comparing", args.before);
    let done = |digits| reporter.done(digits, "digits");
    let agreement = agreement(&brain, &network, &stream(&upright), args.before, COMPARED, done)?;
    check(&agreement)?;
    let comparing = begun.elapsed().as_secs_f64();

    let begun = Instant::now();
    reporter.begin("digits", args.before + args.after);
    let mut frozen = Subject::new(&brain, false, &device)?;
    let mut adapting = Subject::new(&brain, true, &device)?;
    let mut answers: Vec<Answer> = Vec::new();
    let mut answered = |answer| {
        answers.push(answer);
        let Pair { frozen, adapting } = Pair::over(&answers[answers.len().saturating_sub(WINDOW)..]);
        reporter.done(answers.len(), format!("frozen {frozen:.0} %, adapting {adapting:.0} %"));
        Ok(())
    };
    let subjects = [&mut frozen, &mut adapting];
    show(&stream(&upright), 0..args.before, false, subjects, &mut answered)?;
    let rest = args.before..args.before + args.after;
    let subjects = [&mut frozen, &mut adapting];
    show(&stream(&shifted), rest, true, subjects, &mut answered)?;
    let showing = begun.elapsed().as_secs_f64();

    let mut summary = Summary {
        shift: shift.clone(),
        seed: args.seed,
        trained,
        agreement,
        before: Pair::default(),
        first_after: Pair::default(),
        last_after: Pair::default(),
        recovered: None,
        digits: [0, 0],
        seconds: [training, comparing, showing],
    };
    summary.judge(&answers);
    let [lines, all] = report::write(&answers, &summary, &args.out)?;
    let [curves, adapted] = ["curves.png", "adapted.safetensors"].map(|name| args.out.join(name));
    report::draw(&answers, &shift, &curves)?;
    let steps = adapting.steps();
    Snapshot { state: adapting.brain().save(), steps, ..brain.snapshot.clone() }.write(&adapted)?;
    reporter.finish(&summary, &[model, state, adapted, lines, all, curves])
}

/// Digits to train with, and those that come one after another, which the network never learns from.
fn digits(args: &Args) -> Result<(Split, Images)> {
    let Split { mut train, test } = mnist10k()?;
    let mut stream = Images {
        pixels: [&train.pixels[TRAINING * train.size()..], &test.pixels].concat(),
        labels: [&train.labels[TRAINING..], &test.labels].concat(),
        ..train.clone()
    };
    train.truncate(TRAINING);
    let (found, expected) = (stream.len(), args.before + args.after);
    ensure!(expected <= found, "--before and --after: {expected} digits, but there are {found}");
    let order = seed::permutation(found, &mut seed::rng(args.seed, "stream"));
    stream.labels = order.iter().map(|index| stream.labels[*index]).collect();
    stream.pixels = order.iter().flat_map(|index| stream.image(*index).to_vec()).collect();
    let mut test = stream.clone();
    test.truncate(args.before);
    Ok((Split { train, test }, stream))
}

fn trainer(args: &Args, data: Split, folder: RunFolder, device: &Device) -> Result<(TrainConfig, Trainer)> {
    let leaky = LeakyConfig { decay: 0.8, reset: Reset::Zero, ..LeakyConfig::default() };
    let config = TrainConfig {
        network: NetworkConfig::mlp(&[data.train.size(), HIDDEN, protocol::CLASSES], leaky),
        steps: TIMING.look,
        epochs: args.epochs,
        seed: args.seed,
        ..TrainConfig::default()
    };
    let trainer = Trainer::new(config.clone(), data, folder, device)?;
    Ok((config, trainer))
}

/// Trains, and returns the accuracy on validation digits in percent.
fn train(trainer: &mut Trainer, reporter: &mut Reporter) -> Result<f64> {
    let mut observer = |event: &Event| match event {
        Event::Start { steps_per_epoch, epochs, .. } => {
            reporter.begin("training", *steps_per_epoch as usize * epochs);
        }
        Event::Step { step, loss, .. } => reporter.done(*step as usize, format!("steps, loss {loss:.3}")),
        _ => {}
    };
    let outcome = trainer.run(&mut observer, &AtomicBool::new(false))?;
    Ok(outcome.latest.and_then(|epoch| epoch.validation_accuracy).unwrap_or_default() * 100.0)
}

/// Refuses a brain that is another one than the network.
fn check(found: &Agreement) -> Result<()> {
    let Agreement { digits, same_answer, same_spikes, .. } = *found;
    ensure!(
        same_answer * 100 >= digits * 99 && same_spikes * 100 >= digits * 90,
        "the brain is not the network: the same answer to {same_answer} of {digits} digits, the same spikes for \
         {same_spikes}"
    );
    Ok(())
}
