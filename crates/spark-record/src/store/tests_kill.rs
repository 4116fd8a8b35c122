//! A process that records and is killed at any moment leaves a run that opens and goes on.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::tests::window;
use super::{RunAbout, RunPaths, RunReader, RunWriter, Status};

const KILLS: u32 = 50;
const FOLDER: &str = "SPARK_TEST_RUN_FOLDER";
const FROM: &str = "SPARK_TEST_RUN_FROM";
/// Steps of a window.
const LENGTH: u64 = 5;

/// Records until somebody kills it, and says up to which step everything is written.
#[test]
#[ignore = "the process that is killed by the test below"]
#[allow(clippy::print_stdout)]
fn records_until_it_is_killed() {
    let (Ok(folder), Ok(from)) = (std::env::var(FOLDER), std::env::var(FROM)) else { return };
    let mut step: u64 = from.parse().unwrap();
    let folder = Path::new(&folder);
    let run = match RunPaths::new(folder).is_run() {
        true => RunWriter::resume(folder, step).unwrap(),
        false => RunWriter::create(folder, RunAbout::new("run"), false).unwrap(),
    };
    loop {
        run.window(window("activity", step + 1, step + LENGTH)).unwrap();
        for _ in 0..LENGTH {
            step += 1;
            run.scalar("step", step, step as f64).unwrap();
        }
        if !step.is_multiple_of(3) {
            run.flush().unwrap();
            println!("written {step}");
        }
    }
}

fn start(folder: &Path, from: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["store::tests_kill::records_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .env(FROM, from.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The steps that the process says are written.
fn steps_written(child: &mut Child) -> impl Iterator<Item = u64> + use<> {
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    lines.filter_map(|line| line.rsplit_once("written ")?.1.parse().ok())
}

#[test]
fn a_run_survives_fifty_kills() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run");
    let (mut from, mut resumed) = (0, 0);
    for kill in 0..KILLS {
        let mut child = start(&folder, from);
        let mut steps = steps_written(&mut child);
        // Most are killed while they record, the others while they start or go on.
        let first = if kill % 5 == 0 { None } else { steps.next() };
        let moment = f64::from(kill) * 0.618_034 % 1.0;
        std::thread::sleep(Duration::from_secs_f64(0.06 * moment));
        child.kill().unwrap();
        child.wait().unwrap();
        let written = steps.last().or(first);
        if written.is_none() && !RunPaths::new(&folder).is_run() {
            continue;
        }
        let run = RunReader::open(&folder).unwrap();
        assert!(run.problems().is_empty(), "kill {kill}: {:?}", run.problems());
        let known = written.unwrap_or(from);
        let steps = run.scalars("step").unwrap();
        assert!(steps.iter().enumerate().all(|(place, one)| one.step == place as u64 + 1));
        assert!(steps.len() as u64 >= known, "kill {kill}: {} of {known}", steps.len());
        if known > 0 {
            for (place, stream) in ["pool.out_spikes", "pool.soma.potential"].into_iter().enumerate() {
                let found = run.recording("activity", stream, ..=known).unwrap();
                assert_eq!(found.rows, window("activity", 1, known).rows[place], "kill {kill}");
            }
        }
        resumed += u32::from(written.is_some());
        // Sometimes the last checkpoint is older than what was recorded.
        from = known - (u64::from(kill) % 4).min(known);
    }
    assert!(resumed >= KILLS * 4 / 5, "{resumed} processes came to record");
    assert_eq!(RunReader::open(&folder).unwrap().status(), Status::Abandoned);
    let run = RunWriter::resume(&folder, from).unwrap();
    run.window(window("activity", from + 1, from + 2)).unwrap();
    run.finish(Status::Finished).unwrap();
    let run = RunReader::open(&folder).unwrap();
    let found = run.recording("activity", "pool.out_spikes", ..).unwrap();
    assert_eq!(found.rows, window("activity", 1, from + 2).rows[0]);
    assert!(run.problems().is_empty() && run.status() == Status::Finished);
}
