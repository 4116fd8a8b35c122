use super::*;
use crate::events::damaged;
use crate::test_memory::peak;
use proptest::prelude::*;

/// Everything in a file, as text; as much as a walk of a few levels finds.
fn walk(group: &Group<'_>, depth: usize, found: &mut Vec<String>) -> Result<(), String> {
    for name in group.names() {
        match group.get(name)? {
            Some(Object::Group(inside)) if depth < 3 => walk(&inside, depth + 1, found)?,
            Some(Object::Dataset(dataset)) => {
                let array = dataset.read()?;
                let text = if array.is_text() {
                    format!("{:?}", array.strings()?)
                } else if array.is_integer() {
                    format!("{:?}", array.integers()?)
                } else if let Ok(mut sequences) = array.sequences() {
                    let mut all = Vec::new();
                    while let Some(sequence) = sequences.next_doubles() {
                        all.push(sequence?.collect::<Vec<_>>());
                    }
                    format!("{all:?}")
                } else {
                    format!("{:?}", array.doubles()?)
                };
                found.push(format!("{} {:?} {text}", dataset.path(), dataset.shape()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Opens everything that a walk of a few levels finds, and unpacks it.
fn unpack(group: &Group<'_>, depth: usize) -> Result<(), String> {
    for name in group.names() {
        match group.get(name)? {
            Some(Object::Group(inside)) if depth < 3 => unpack(&inside, depth + 1)?,
            Some(Object::Dataset(dataset)) => drop(dataset.read()?),
            _ => {}
        }
    }
    Ok(())
}

fn contents(bytes: &[u8]) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    walk(&Hdf5::parse(bytes)?.root()?, 0, &mut found)?;
    Ok(found)
}

fn sample() -> Vec<u8> {
    let mut tree = Tree::default();
    tree.insert("version", Contents::text("1.0")).unwrap();
    let node = tree.group("node").unwrap();
    node.insert("edges", Contents::texts(&[2, 2], &["a", "b", "b", "output"]).unwrap()).unwrap();
    node.insert("tau", Contents::doubles(&[2], &[0.5, -1.25]).unwrap()).unwrap();
    let inside = node.group("inside").unwrap();
    inside.insert("weight", Contents::floats(&[2, 2], &[1.0, 2.0, 3.0, 4.5]).unwrap()).unwrap();
    inside.insert("shape", Contents::integers(&[3], &[1, -8, 8]).unwrap()).unwrap();
    inside.insert("none", Contents::floats(&[0], &[]).unwrap()).unwrap();
    tree.to_bytes().unwrap()
}

#[test]
fn what_was_written_is_read() {
    let expected = [
        r#"/node/edges [2, 2] ["a", "b", "b", "output"]"#,
        "/node/inside/none [0] []",
        "/node/inside/shape [3] [1, -8, 8]",
        "/node/inside/weight [2, 2] [1.0, 2.0, 3.0, 4.5]",
        "/node/tau [2] [0.5, -1.25]",
        r#"/version [] ["1.0"]"#,
    ];
    assert_eq!(contents(&sample()).unwrap(), expected);
}

#[test]
fn large_groups_take_larger_leaves() {
    let mut tree = Tree::default();
    for i in 0..5000 {
        tree.insert(&format!("n{i:05}"), Contents::integers(&[], &[i]).unwrap()).unwrap();
    }
    let bytes = tree.to_bytes().unwrap();
    let root = Hdf5::parse(&bytes).unwrap().root().unwrap();
    assert_eq!(root.names().len(), 5000);
    assert_eq!(root.dataset("n04999").unwrap().read().unwrap().integers().unwrap(), [4999]);
}

/// Written by h5py 3.16 in all the ways that [`contents`] can read: `tests/fixtures/hdf5.py` beside it says how.
const H5PY: &[u8] = include_bytes!("../../tests/fixtures/arrays.h5");

#[test]
fn what_h5py_writes_is_read() {
    let expected = [
        "/bools [3] [1, 0, 1]",
        "/chunked [5, 7] [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, \
         16.0, 17.0, 18.0, 19.0, 20.0, 21.0, 22.0, 23.0, 24.0, 25.0, 26.0, 27.0, 28.0, 29.0, 30.0, 31.0, 32.0, \
         33.0, 34.0]",
        "/compact [2] [7, -7]",
        "/fixed [2] [\"ab\", \"c\"]",
        "/group/big [2] [1.5, -2.0]",
        "/group/half [3] [0.5, -1.0, 65504.0]",
        "/strings [3] [\"one\", \"zwei\", \"\"]",
        "/times [3] [[0.5, 1.0], [], [2.0, 3.0, 4.0]]",
        "/unsigned [] [255]",
    ];
    assert_eq!(contents(H5PY).unwrap(), expected);
    let root = Hdf5::parse(H5PY).unwrap().root().unwrap();
    assert_eq!(root.attribute("kind").unwrap().unwrap().strings().unwrap(), ["a test"]);
    let chunked = root.dataset("chunked").unwrap();
    assert_eq!(chunked.attribute("dt").unwrap().unwrap().doubles().unwrap(), [1e-4]);
    assert!(chunked.attribute("none").unwrap().is_none());
    // Six chunks of 6 numbers, packed.
    assert!(chunked.stored_bytes().unwrap() > 100);
}

/// The same written with `libver="latest"`.
const LATEST: &[u8] = include_bytes!("../../tests/fixtures/arrays_latest.h5");

#[test]
fn files_of_the_latest_versions_are_read_or_explained() {
    let root = Hdf5::parse(LATEST).unwrap().root().unwrap();
    assert_eq!(root.dataset("compact").unwrap().read().unwrap().integers().unwrap(), [7, -7]);
    assert_eq!(root.dataset("single").unwrap().read().unwrap().floats().unwrap(), [1.0; 12]);
    let error = root.dataset("chunked").unwrap_err();
    assert!(error.starts_with("`/chunked`: found index 3 of chunks"), "{error}");
    let error = root.group("many").unwrap_err();
    assert!(error.starts_with("`/many`: found links in a fractal heap"), "{error}");
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    let bytes = sample();
    let root = Hdf5::parse(&bytes).unwrap().root().unwrap();
    let node = root.group("node").unwrap();
    let error = node.dataset("tao").unwrap_err();
    assert_eq!(error, "`/node`: found [\"edges\", \"inside\", \"tau\"], expected `tao` among them");
    assert!(node.group("tau").unwrap_err().contains("`/node/tau`: found an array, expected a group"));
    assert!(node.dataset("edges").unwrap().read().unwrap().floats().unwrap_err().contains("found strings"));
    assert!(Hdf5::parse(b"PK\x03\x04").unwrap_err().contains("no signature of HDF5"));
    let mut tree = Tree::default();
    assert!(tree.insert("a/b", Contents::text("")).unwrap_err().contains("`a/b`"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50_000))]
    #[test]
    fn damaged_files_never_panic_nor_take_much_memory(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        // Two files per case.
        for bytes in damaged(&sample(), &changes, &cut) {
            let (result, peak) = peak(|| unpack(&Hdf5::parse(&bytes)?.root()?, 0));
            prop_assert!(peak <= 2 * bytes.len() + 4096, "{peak} {result:?}");
            let _ = contents(&bytes);
        }
    }

    #[test]
    fn damaged_files_of_h5py_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        for bytes in damaged(H5PY, &changes, &cut) {
            let _ = contents(&bytes);
        }
    }
}
