use super::*;
use crate::Purpose;
use crate::data::Frames;
use std::fs;
use std::path::Path;

fn parsed(text: &str) -> Task {
    serde_json::from_str(text).unwrap()
}

/// A folder with two classes of two gray pictures each.
fn pictures(folder: &Path) {
    for class in ["day", "night"] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for name in ["a.png", "b.png"] {
            image::GrayImage::new(3, 2).save(folder.join(class).join(name)).unwrap();
        }
    }
}

#[test]
fn tasks_that_ship_load_without_a_folder() {
    for (text, shape, frames, samples, classes) in [
        (r#"{"kind": "mnist"}"#, vec![1, 28, 28], 1, [8000, 2000], 10),
        (r#"{"kind": "mnist", "rows": true, "shift": 1}"#, vec![28], 28, [8000, 2000], 10),
        (r#"{"kind": "japanese_vowels"}"#, vec![12], 29, [270, 370], 9),
        (r#"{"kind": "recall", "samples": 40}"#, vec![4], 24, [40, 10], 2),
    ] {
        let data = parsed(text).load(None, 1).unwrap();
        assert_eq!((data.train.shape(), data.train.frames()), (shape, frames), "{text}");
        assert_eq!([data.train.labels().len(), data.test.labels().len()], samples, "{text}");
        assert_eq!(data.class_count(), classes, "{text}");
        let limited = data.limited(Some(5), None);
        assert_eq!([limited.train.labels().len(), limited.test.labels().len()], [5, samples[1]], "{text}");
    }
}

#[test]
fn made_up_samples_of_the_test_are_not_those_of_training() {
    let data = parsed(r#"{"kind": "recall", "samples": 40, "noise": 0.5}"#).load(None, 1).unwrap();
    let values = |source: &Arc<dyn Source>, index: usize| match source.sample(index, 1, Purpose::Evaluate) {
        Frames::Values(values) => values.to_vec(),
        Frames::Levels(_) => panic!("spikes are values"),
    };
    assert!((0..40).all(|index| values(&data.train, index) != values(&data.test, 0)));
    assert!(data.train.spikes());
}

#[test]
fn folders_and_files_are_recognised() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let task = |path: &Path| Task::at(path).map(|(task, _)| task.name());

    for part in ["train", "test"] {
        pictures(&at("pictures").join(part));
    }
    assert_eq!(task(&at("pictures")).unwrap(), "pictures");
    let (found, folder) = Task::at(&at("pictures")).unwrap();
    let data = found.load(Some(&folder), 1).unwrap();
    assert_eq!((data.train.shape(), data.class(1)), (vec![1, 2, 3], "night".to_owned()));

    for part in ["Train/0", "Train/1", "Test/0", "Test/1"] {
        fs::create_dir_all(at("events").join(part)).unwrap();
        fs::write(at("events").join(part).join("1.bin"), [10, 20, 0x80, 0x01, 0x02]).unwrap();
    }
    let (found, folder) = Task::at(&at("events")).unwrap();
    assert_eq!(found.load(Some(&folder), 1).unwrap().train.shape(), [2, 34, 34]);

    let series = "@classLabel true a b\n@data\n1,2,3:a\n4,5:b\n";
    fs::create_dir(at("series")).unwrap();
    for part in ["TRAIN", "TEST"] {
        fs::write(at("series").join(format!("Toy_{part}.ts")), series).unwrap();
    }
    assert_eq!(task(&at("series")).unwrap(), "series");
    let (found, folder) = Task::at(&at("series/Toy_TEST.ts")).unwrap();
    let data = found.load(Some(&folder), 1).unwrap();
    assert_eq!((data.train.frames(), data.class(0)), (3, "a".to_owned()));

    let speech = concat!(env!("CARGO_MANIFEST_DIR"), "/../spark-io/tests/fixtures/speech_synthetic.h5");
    fs::create_dir(at("speech")).unwrap();
    for part in ["train", "test"] {
        fs::copy(speech, at("speech").join(format!("shd_{part}.h5"))).unwrap();
    }
    let (found, folder) = Task::at(&at("speech")).unwrap();
    let data = found.load(Some(&folder), 1).unwrap();
    assert_eq!(
        (data.train.shape(), data.train.frames(), data.class(3)),
        (vec![1, 1, 700], 100, "three".into())
    );

    fs::write(at("table.csv"), "0.5,0\n0.1,1\n0.6,0\n0.2,1\n0.7,0\n").unwrap();
    let (found, file) = Task::at(&at("table.csv")).unwrap();
    let data = found.load(Some(&file), 1).unwrap();
    assert_eq!([data.train.labels().len(), data.test.labels().len()], [4, 1]);

    fs::write(at("notes.txt"), "").unwrap();
    for unknown in ["notes.txt", "nothing", ""] {
        let error = Task::at(&at(unknown)).unwrap_err().to_string();
        assert!(error.contains("expected IDX files"), "{error}");
    }
}

#[test]
fn files_that_are_needed_are_asked_for() {
    let error = parsed(r#"{"kind": "series", "name": "Toy"}"#).load(None, 1).unwrap_err().to_string();
    assert!(error.contains("task `series` needs the folder"), "{error}");
    let root = tempfile::tempdir().unwrap();
    pictures(&root.path().join("train"));
    fs::create_dir_all(root.path().join("test/day")).unwrap();
    image::GrayImage::new(3, 2).save(root.path().join("test/day/a.png")).unwrap();
    let task = parsed(r#"{"kind": "pictures", "height": 2, "width": 3}"#);
    let error = task.load(Some(root.path()), 1).unwrap_err().to_string();
    assert!(error.contains(r#"classes ["day"] for the test"#), "{error}");
}

#[test]
fn scaling_is_that_of_the_training_set_alone() {
    let data = parsed(r#"{"kind": "japanese_vowels"}"#).load(None, 1).unwrap();
    let mut sums = [0.0f64; 2];
    for index in 0..270 {
        let Frames::Values(values) = data.train.sample(index, 1, Purpose::Evaluate) else { panic!() };
        for value in values.iter().step_by(12).map(|&value| f64::from(value)) {
            sums = [sums[0] + value, sums[1] + 1.0];
        }
    }
    assert!((sums[0] / sums[1]).abs() < 1e-4, "{sums:?}");
    let raw = parsed(r#"{"kind": "japanese_vowels", "scaling": "none"}"#).load(None, 1).unwrap();
    let Frames::Values(values) = raw.train.sample(0, 1, Purpose::Evaluate) else { panic!() };
    assert_eq!(values[..2], [1.860936, -0.207383]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for (text, path) in [
        (r#"{"kind": "mnist", "flip": 2.0}"#, "t.flip"),
        (r#"{"kind": "arrays", "test": 0.0}"#, "t.test"),
        (r#"{"kind": "recall", "cue": 0}"#, "t.cue"),
        (r#"{"kind": "saccades", "frames": 0}"#, "t.frames"),
        (r#"{"kind": "gestures", "shrink": 0}"#, "t.shrink"),
    ] {
        let mut problems = Problems::default();
        parsed(text).validate("t", &mut problems);
        assert_eq!(problems.list()[0].path, path, "{text}");
    }
    assert!(serde_json::from_str::<Task>(r#"{"kind": "mnist", "colour": 1}"#).is_err());
}
