//! Training as a whole: the same on every backend, resumable at every step, safe when it diverges.
#![recursion_limit = "256"] // The kernel compiler of the GPU backends nests its types deeply.

#[path = "../examples/train_then_adapt/protocol.rs"]
mod adapt;
mod support;

use adapt::{Answer, Stream, Subject, Timing};
use proptest::prelude::*;
use spark::io::TensorFile;
use spark::prelude::*;
use spark::train::{DataConfig, GradientClip, Guard, Penalty, TrainError, TrainedBrain};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use support::devices;

/// A small experiment that still has every ingredient.
fn config() -> TrainConfig {
    let leaky = LeakyConfig { decay: 0.9, learn_decay: true, learn_threshold: true, ..Default::default() };
    let mut config = TrainConfig {
        network: NetworkConfig::mlp(&[784, 20, 10], leaky),
        steps: 6,
        epochs: 2,
        batch: 32,
        validation: 0.2,
        learning_rate: 5e-3,
        schedule: Schedule::Cosine { floor: 0.1, warmup: 3 },
        clip: Some(GradientClip::Norm { max: 1.0 }),
        seed: 3,
        ..Default::default()
    };
    config.data.train_limit = Some(200);
    config.data.test_limit = Some(60);
    config
}

fn trainer(config: &TrainConfig, folder: &Path, device: &Device) -> Trainer {
    let folder = RunFolder::create(folder, true).unwrap();
    Trainer::new(config.clone(), config.load_data().unwrap(), folder, device).unwrap()
}

/// Runs, and returns the loss of every step as its bits.
fn losses(trainer: &mut Trainer, stop_after: Option<u64>) -> (Vec<u64>, Outcome) {
    let stop = AtomicBool::new(false);
    let mut losses = Vec::new();
    let outcome = trainer.run(
        &mut |event: &Event| {
            if let Event::Step { step, loss, .. } = event {
                losses.push(loss.to_bits());
                stop.store(stop_after == Some(*step), Ordering::Relaxed);
            }
        },
        &stop,
    );
    (losses, outcome.unwrap())
}

fn resume(folder: &Path, device: &Device) -> Trainer {
    let folder = RunFolder::of(folder);
    let path = folder.last();
    let checkpoint = Checkpoint::read(&path).unwrap();
    let config = spark::train::config_of(&checkpoint, &path).unwrap();
    let data = config.load_data().unwrap();
    Trainer::resume(config, data, folder, device, checkpoint, &path).unwrap()
}

#[test]
fn every_backend_gives_the_same_losses() {
    let mut config = config();
    config.epochs = 1;
    config.batch = 16;
    let mut reference: Vec<u64> = Vec::new();
    for (name, device) in devices() {
        let folder = tempfile::tempdir().unwrap();
        let (found, _) = losses(&mut trainer(&config, folder.path(), &device), Some(10));
        assert_eq!(found.len(), 10);
        if reference.is_empty() {
            reference = found;
            continue;
        }
        for (step, (found, expected)) in found.iter().zip(&reference).enumerate() {
            let (found, expected) = (f64::from_bits(*found), f64::from_bits(*expected));
            assert!((found - expected).abs() < 1e-3, "{name}, step {step}: {found} against {expected}");
        }
    }
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_bit_for_bit() {
    for (name, device) in &devices()[..2] {
        let folder = tempfile::tempdir().unwrap();
        let (whole, outcome) = losses(&mut trainer(&config(), folder.path(), device), None);
        assert_eq!(whole.len(), 10);
        let expected = Checkpoint::read(&RunFolder::of(folder.path()).last()).unwrap();

        // In the middle of an epoch, at its end, and after the last step of all.
        for stop in [1, 3, 5, 7, 10] {
            let folder = tempfile::tempdir().unwrap();
            let (mut found, first) = losses(&mut trainer(&config(), folder.path(), device), Some(stop));
            assert!(first.interrupted);
            let (rest, second) = losses(&mut resume(folder.path(), device), None);
            found.extend(rest);
            assert_eq!(found, whole, "{name}, stopped after step {stop}");
            let accuracy = |outcome: &Outcome| outcome.best.as_ref().map(|epoch| epoch.test_accuracy);
            assert_eq!(accuracy(&second), accuracy(&outcome), "{name}");
            let resumed = Checkpoint::read(&RunFolder::of(folder.path()).last()).unwrap();
            assert_eq!(resumed.parameters, expected.parameters, "{name}");
            assert_eq!(resumed.optimizer, expected.optimizer, "{name}");

            let events = RunFolder::of(folder.path()).events().unwrap();
            let logged = events.iter().filter(|event| matches!(event, Event::Step { .. })).count();
            assert_eq!(logged, 10, "{name}: every step is in the log once");
        }
    }
}

#[test]
fn a_run_may_go_on_with_another_number_of_devices() {
    let mut config = TrainConfig { micro_batch: Some(16), ..config() };
    config.network.layers.insert(1, serde_json::from_str(r#"{"kind": "batch_norm"}"#).unwrap());
    config
        .network
        .layers
        .insert(3, serde_json::from_str(r#"{"kind": "dropout", "probability": 0.2}"#).unwrap());
    let flex = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let (whole, _) = losses(&mut trainer(&config, folder.path(), &flex), None);
    let expected = Checkpoint::read(&RunFolder::of(folder.path()).last()).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let mut several = trainer(&config, folder.path(), &flex);
    several.share(std::slice::from_ref(&flex)).unwrap();
    let (mut found, _) = losses(&mut several, Some(3));
    let (one, _) = losses(&mut resume(folder.path(), &flex), Some(6));
    let mut several = resume(folder.path(), &flex);
    several.share(&vec![flex.clone(); 2]).unwrap();
    let (rest, _) = losses(&mut several, None);
    found.extend([one, rest].concat());
    assert_eq!(found, whole);
    let resumed = Checkpoint::read(&RunFolder::of(folder.path()).last()).unwrap();
    assert_eq!((resumed.parameters, resumed.optimizer), (expected.parameters, expected.optimizer));
}

#[test]
fn two_backends_share_a_batch() {
    let config = TrainConfig { epochs: 1, ..config() };
    let folder = tempfile::tempdir().unwrap();
    let mut one =
        trainer(&TrainConfig { micro_batch: Some(16), ..config.clone() }, folder.path(), &Device::flex());
    let (expected, _) = losses(&mut one, None);
    let folder = tempfile::tempdir().unwrap();
    let mut two = trainer(&config, folder.path(), &Device::flex());
    let ndarray = DeviceChoice::NdArray.resolve().unwrap();
    two.share(&[ndarray]).unwrap();
    let (found, _) = losses(&mut two, None);
    assert_eq!(found.len(), 5);
    for (found, expected) in found.into_iter().zip(expected) {
        let (found, expected) = (f64::from_bits(found), f64::from_bits(expected));
        assert!((found - expected).abs() < 1e-3, "{found} against {expected}");
    }

    let mut few = trainer(&TrainConfig { batch: 2, ..config }, folder.path(), &Device::flex());
    let error = few.share(&vec![Device::flex(); 2]).unwrap_err().to_string();
    assert!(error.contains("at least one sample for each of 3 devices"), "{error}");
}

#[test]
fn a_killed_run_goes_on_from_its_last_checkpoint() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { checkpoint_steps: 2, ..config() };
    let (whole, _) = losses(&mut trainer(&config, folder.path(), &device), None);
    let killed = tempfile::tempdir().unwrap();
    // A panic in the observer stands in for the kill: nothing after it runs, nothing is saved.
    let mut doomed = trainer(&config, killed.path(), &device);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = doomed.run(
            &mut |event: &Event| {
                assert!(!matches!(event, Event::Step { step: 4, .. }), "killed");
            },
            &AtomicBool::new(false),
        );
    }));
    assert!(result.is_err());
    let (rest, _) = losses(&mut resume(killed.path(), &device), None);
    assert_eq!(rest, whole[2..], "goes on from step 2, the last checkpoint before the kill");
}

/// A recurrent network on sequences that need memory, in 2 epochs of 5 steps.
fn recalling(checkpoint_steps: u64, batch: usize) -> TrainConfig {
    let leaky = LeakyConfig { decay: 0.9, ..Default::default() };
    TrainConfig {
        data: DataConfig {
            task: serde_json::from_str(r#"{"kind": "recall", "samples": 40, "pause": 2}"#).unwrap(),
            ..Default::default()
        },
        network: NetworkConfig::recurrent(4, &[6], 2, leaky),
        steps: 1,
        encoding: Encoding::Direct { gain: 1.0 },
        epochs: 2,
        batch,
        validation: 0.2,
        checkpoint_steps,
        ..Default::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_run_killed_at_any_moment_goes_on_bit_for_bit(
        event in 0usize..40,
        checkpoint_steps in 1u64..6,
        batch in prop::sample::select(vec![7usize, 8, 16]),
    ) {
        let device = Device::flex();
        let config = recalling(checkpoint_steps, batch);
        let folder = tempfile::tempdir().unwrap();
        let (whole, _) = losses(&mut trainer(&config, folder.path(), &device), None);
        let expected = Checkpoint::read(&RunFolder::of(folder.path()).last()).unwrap();

        // A panic at any event stands in for the kill: before or after a step is logged, an epoch judged, a
        // checkpoint reported.
        let killed = tempfile::tempdir().unwrap();
        let mut doomed = trainer(&config, killed.path(), &device);
        let (mut seen, mut done) = (0, 0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _ = doomed.run(
                &mut |found: &Event| {
                    if let Event::Step { step, .. } = found {
                        done = *step;
                    }
                    seen += 1;
                    assert!(seen <= event, "killed");
                },
                &AtomicBool::new(false),
            );
        }));
        let last = RunFolder::of(killed.path()).last();
        if !last.exists() {
            // Killed before the first checkpoint, there is nothing to lose.
            prop_assert!(result.is_err() && done == 0);
            return Ok(());
        }
        let kept = Checkpoint::read(&last).unwrap().step;
        prop_assert!(done - kept.min(done) <= checkpoint_steps, "{done} steps done, {kept} kept");
        let (rest, _) = losses(&mut resume(killed.path(), &device), None);
        prop_assert_eq!(&rest, &whole[kept as usize..]);
        let resumed = Checkpoint::read(&last).unwrap();
        prop_assert_eq!(resumed.parameters, expected.parameters);
        prop_assert_eq!(resumed.optimizer, expected.optimizer);
        let events = RunFolder::of(killed.path()).events().unwrap();
        let logged = events.iter().filter(|event| matches!(event, Event::Step { .. })).count();
        prop_assert_eq!(logged, whole.len(), "every step is in the log once");
    }
}

#[test]
fn learned_delays_are_judged_and_used_in_whole_steps() {
    let network = r#"{"input": [4], "layers": [{"kind": "delayed_dense", "units": 8, "max_delay": 6},
        {"kind": "leaky", "decay": 0.7}, {"kind": "dense", "units": 2}, {"kind": "leaky_integrator"}]}"#;
    let network = serde_json::from_str(network).unwrap();
    let config = TrainConfig { network, epochs: 3, learning_rate: 0.02, ..recalling(3, 8) };
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let (whole, outcome) = losses(&mut trainer(&config, folder.path(), &device), None);
    let checkpoint = Checkpoint::read(&outcome.checkpoint).unwrap();
    let (config, network) = spark::train::restore(&checkpoint, &outcome.checkpoint, &device).unwrap();
    let test = config.load_data().unwrap().test;
    let indices: Vec<usize> = (0..test.labels().len()).collect();
    let found = config.evaluator().evaluate(&network, &test, &indices, &device, |_| true).unwrap();
    let best = outcome.best.unwrap();
    assert_eq!((found.accuracy, found.loss), (best.test_accuracy, best.test_loss));

    let stopped = tempfile::tempdir().unwrap();
    let (mut found, _) = losses(&mut trainer(&config, stopped.path(), &device), Some(7));
    found.extend(losses(&mut resume(stopped.path(), &device), None).0);
    assert_eq!(found, whole, "a run that goes on narrows its delays as the whole one did");
}

fn warnings(config: &TrainConfig) -> (Vec<String>, Outcome) {
    let folder = tempfile::tempdir().unwrap();
    let mut warnings = Vec::new();
    let outcome = trainer(config, folder.path(), &Device::flex()).run(
        &mut |event: &Event| {
            if let Event::Warning { message, .. } = event {
                warnings.push(message.clone());
            }
        },
        &AtomicBool::new(false),
    );
    (warnings, outcome.unwrap())
}

#[test]
fn a_silent_layer_is_reported_and_can_be_revived() {
    let leaky = LeakyConfig { decay: 0.5, threshold: 50.0, ..Default::default() };
    let silent = TrainConfig { network: NetworkConfig::mlp(&[784, 20, 10], leaky), epochs: 1, ..config() };
    let (found, outcome) = warnings(&silent);
    assert!(found[0].contains("spiking layer 0 is silent"), "{found:?}");
    assert!(outcome.latest.unwrap().rates.iter().all(|&rate| rate == 0.0));

    let guard = Guard { revive: true, ..Default::default() };
    let (found, outcome) = warnings(&TrainConfig { guard, ..silent });
    assert!(found[0].contains("were scaled up"), "{found:?}");
    let latest = outcome.latest.unwrap();
    assert!(latest.rates.iter().all(|&rate| rate > 1e-3), "{latest:?}");
    assert!(latest.sparsity > 0.0 && latest.cost.unwrap().operations > 0.0, "{latest:?}");
}

#[test]
fn steps_with_exploding_gradients_are_left_out() {
    let guard = Guard { explode: Some(1e-9), ..Default::default() };
    let config = TrainConfig { guard, epochs: 1, ..config() };
    let folder = tempfile::tempdir().unwrap();
    let mut trained = trainer(&config, folder.path(), &Device::flex());
    let before = spark::io::parameters::collect(trained.network());
    let mut warnings = 0;
    let mut watch = |event: &Event| warnings += u64::from(matches!(event, Event::Warning { .. }));
    let outcome = trained.run(&mut watch, &AtomicBool::new(false)).unwrap();
    assert_eq!(warnings, outcome.step);
    assert_eq!(spark::io::parameters::collect(trained.network()), before);
}

#[test]
fn a_penalty_makes_a_network_fire_less() {
    let rate = |penalties: Vec<Penalty>| {
        let folder = tempfile::tempdir().unwrap();
        let config = TrainConfig { penalties, epochs: 4, ..config() };
        let (_, outcome) = losses(&mut trainer(&config, folder.path(), &Device::flex()), None);
        outcome.latest.unwrap().rates[0]
    };
    let (free, penalised) = (rate(Vec::new()), rate(vec![Penalty::Operations { weight: 20.0 }]));
    assert!(penalised < 0.9 * free, "{penalised} against {free}");
}

#[test]
fn divergence_stops_with_the_step_and_keeps_the_last_good_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    // The first step throws the weights so far that the second has no gradient left.
    let config = TrainConfig {
        learning_rate: 1e37,
        schedule: Schedule::Constant {},
        clip: None,
        optimizer: OptimizerConfig::Sgd { momentum: 0.0 },
        ..config()
    };
    let mut trainer = trainer(&config, folder.path(), &Device::flex());
    let error = trainer.run(&mut |_: &Event| {}, &AtomicBool::new(false)).unwrap_err();
    let TrainError::Diverged { step, checkpoint, .. } = &error else {
        panic!("expected divergence, found: {error}");
    };
    assert_eq!(*step, 2, "{error}");
    let kept = Checkpoint::read(checkpoint).unwrap();
    assert!(kept.parameters.values().all(|data| data.iter::<f32>().all(f32::is_finite)));
}

#[test]
fn checkpoints_open_in_python_terms() {
    let folder = tempfile::tempdir().unwrap();
    let (_, outcome) = losses(&mut trainer(&config(), folder.path(), &Device::flex()), None);
    let file = TensorFile::read(&outcome.checkpoint).unwrap();
    let shape = |name: &str| file.tensors[name].shape().to_vec();
    assert_eq!(shape("layers.0.weight"), [20, 784], "weights are [post, pre]");
    assert_eq!(shape("optimizer.layers.0.weight.momentum.moment_1"), [20, 784]);
    assert_eq!(file.metadata["format"], "\"spark-checkpoint\"");
}

#[test]
fn a_resumed_run_keeps_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    losses(&mut trainer(&config(), folder.path(), &Device::flex()), Some(2));
    let run = RunFolder::of(folder.path());
    let attempt = |config: TrainConfig| {
        let checkpoint = Checkpoint::read(&run.last()).unwrap();
        let data = config.load_data().unwrap();
        Trainer::resume(config, data, run.clone(), &Device::flex(), checkpoint, &run.last())
    };
    assert!(attempt(TrainConfig { epochs: 9, patience: Some(2), ..config() }).is_ok());
    for changed in [
        TrainConfig { batch: 16, ..config() },
        TrainConfig { seed: 4, ..config() },
        TrainConfig { learning_rate: 1e-4, ..config() },
    ] {
        let error = attempt(changed).err().expect("another configuration").to_string();
        assert!(error.contains("configuration is another one"), "{error}");
    }
}

#[test]
fn an_overwritten_run_leaves_no_results_behind() {
    let folder = tempfile::tempdir().unwrap();
    losses(&mut trainer(&config(), folder.path(), &Device::flex()), None);
    let run = RunFolder::of(folder.path());
    assert!(run.best().exists());
    let (_, outcome) = losses(&mut trainer(&config(), folder.path(), &Device::flex()), Some(1));
    assert!(!run.best().exists() && outcome.best.is_none());
    assert_eq!(outcome.checkpoint, run.last());
}

#[test]
fn a_foreign_optimizer_state_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    losses(&mut trainer(&config(), folder.path(), &Device::flex()), Some(2));
    let run = RunFolder::of(folder.path());
    let checkpoint = Checkpoint::read(&run.last()).unwrap();
    let attempt = |change: &dyn Fn(&mut Checkpoint)| {
        let mut changed = checkpoint.clone();
        change(&mut changed);
        let data = config().load_data().unwrap();
        match Trainer::resume(config(), data, run.clone(), &Device::flex(), changed, &run.last()) {
            Ok(_) => panic!("accepted"),
            Err(error) => error.to_string(),
        }
    };
    let moment = "layers.0.weight.momentum.moment_1";
    let error = attempt(&|checkpoint| {
        checkpoint.optimizer.remove(moment);
    });
    assert!(error.contains("incomplete state"), "{error}");
    let error = attempt(&|checkpoint| {
        let data = checkpoint.optimizer["layers.0.bias.momentum.moment_1"].clone();
        checkpoint.optimizer.insert(moment.to_owned(), data);
    });
    assert!(error.contains(moment), "{error}");
    let error = attempt(&|checkpoint| {
        checkpoint.progress = serde_json::json!({"epoch": "one"});
    });
    assert!(error.contains("progress"), "{error}");
}

/// The example `train_then_adapt`, in small.
#[test]
fn a_trained_network_goes_on_as_a_brain_that_adapts() {
    let device = Device::flex();
    let leaky = LeakyConfig { decay: 0.8, reset: Reset::Zero, ..Default::default() };
    let mut config = TrainConfig {
        network: NetworkConfig::mlp(&[784, 64, adapt::CLASSES], leaky),
        steps: 12,
        epochs: 4,
        batch: 64,
        seed: 1,
        ..Default::default()
    };
    config.data.train_limit = Some(2000);
    config.data.test_limit = Some(700);
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(&config, folder.path(), &device);
    trainer.run(&mut |_: &Event| {}, &AtomicBool::new(false)).unwrap();
    let network = trainer.network().clone().valid();
    let brain = TrainedBrain::new(&config.network, &network, &adapt::learning(0.02)).unwrap();

    let mut upright = spark::train::data::mnist10k().unwrap().test;
    upright.truncate(700);
    let shifted = upright.permuted(1);
    let timing = Timing { look: 12, lesson: 6, pause: 4 };
    let stream = |images| Stream::new(images, config.encoder(), timing, brain.latency(), &device);
    let found = adapt::agreement(&brain, &network, &stream(&upright), 30, 15, |_| {}).unwrap();
    assert!(found.digits == 30 && found.same_answer == 30 && found.same_spikes >= 29, "{found:?}");
    assert!(found.spikes > 1000.0 && found.differing < 10.0, "{found:?}");

    let mut frozen = Subject::new(&brain, false, &device).unwrap();
    let mut adapting = Subject::new(&brain, true, &device).unwrap();
    let mut right = |images, digits: std::ops::Range<usize>, shift| {
        let mut right = [0.0; 2];
        let count = digits.len() as f64;
        let answered = |answer: Answer| {
            assert_eq!(answer.shifted, shift);
            let label = usize::from(answer.label);
            for (right, said) in right.iter_mut().zip([answer.frozen, answer.adapting]) {
                *right += f64::from(u8::from(said == label)) / count;
            }
            Ok(())
        };
        adapt::show(&stream(images), digits, shift, [&mut frozen, &mut adapting], answered).unwrap();
        right
    };
    let before = right(&upright, 0..100, false);
    right(&shifted, 100..500, true);
    let after = right(&shifted, 500..700, true);
    assert!(before[0] > 0.75 && before[1] > 0.75, "{before:?}");
    assert!(after[0] < 0.3 && after[1] > after[0] + 0.25, "{after:?}");
    let (start, end) = (&brain.snapshot.state, adapting.brain().save());
    assert_eq!(start["hidden_1.synapses.kernel"], end["hidden_1.synapses.kernel"]);
    assert_ne!(start["output.synapses.kernel"], end["output.synapses.kernel"]);
    assert_eq!(start["output.synapses.kernel"], frozen.brain().save()["output.synapses.kernel"]);
    assert_eq!(adapting.steps(), 700 * (12 + 1 + 6 + 4));
}
