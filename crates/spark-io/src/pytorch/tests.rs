//! Archives as `torch.save` writes them, and others.

use super::*;
use crate::test_memory::peak;
use crate::zip::archive;
use proptest::prelude::*;

/// A pickle of protocol 2 under construction, in the instructions that Python's pickler uses.
#[derive(Clone, Default)]
struct Pickler(Vec<u8>);

impl Pickler {
    fn new() -> Self {
        Self(vec![0x80, 2])
    }

    fn code(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.code(b"X").code(&(text.len() as u32).to_le_bytes()).code(text.as_bytes())
    }

    fn numbers(self, numbers: &[i32]) -> Self {
        let start = self.code(b"(");
        let all =
            numbers.iter().fold(start, |pickler, number| pickler.code(b"J").code(&number.to_le_bytes()));
        all.code(b"t")
    }

    fn tensor(self, storage: &str, key: &str, count: i32, offset: i32, size: &[i32], stride: &[i32]) -> Self {
        let open = self.code(b"ctorch._utils\n_rebuild_tensor_v2\n((").text("storage");
        let kind = open.code(format!("ctorch\n{storage}\n").as_bytes()).text(key).text("cpu");
        let view = kind.code(b"J").code(&count.to_le_bytes()).code(b"tQJ").code(&offset.to_le_bytes());
        view.numbers(size).numbers(stride).code(b"\x89ccollections\nOrderedDict\n)RtR")
    }

    fn dict(self) -> Self {
        self.code(b"ccollections\nOrderedDict\n)Rq\x00(")
    }

    /// The end of a state_dict, with the metadata that PyTorch attaches.
    fn end(self) -> Vec<u8> {
        self.code(b"u}").text("_metadata").code(b"h\x00sb.").0
    }
}

fn file(pickle: &[u8], storages: &[&[u8]]) -> Vec<u8> {
    let names: Vec<String> = (0..storages.len()).map(|index| format!("model/data/{index}")).collect();
    let mut entries = vec![("model/data.pkl", pickle, false), ("model/byteorder", b"little", false)];
    entries.extend(names.iter().zip(storages).map(|(name, &bytes)| (name.as_str(), bytes, false)));
    archive(&entries)
}

fn numbers() -> Vec<u8> {
    (0..6).flat_map(|number| (number as f32).to_le_bytes()).collect()
}

fn sample() -> Vec<u8> {
    let pickle = Pickler::new().dict();
    let pickle = pickle.text("fc1.weight").tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3, 1]);
    let pickle = pickle.text("fc1.turned").tensor("FloatStorage", "0", 6, 0, &[3, 2], &[1, 3]);
    let pickle = pickle.text("steps").tensor("LongStorage", "1", 1, 0, &[], &[]);
    file(&pickle.end(), &[&numbers(), &7i64.to_le_bytes()])
}

#[test]
fn views_of_storages_come_out_in_rows_and_in_order() {
    let tensors = parse(&sample()).unwrap();
    let names: Vec<_> = tensors.keys().map(String::as_str).collect();
    assert_eq!(names, ["fc1.weight", "fc1.turned", "steps"]);
    assert_eq!(tensors["fc1.weight"], TensorData::from([[0.0f32, 1.0, 2.0], [3.0, 4.0, 5.0]]));
    assert_eq!(tensors["fc1.turned"], TensorData::from([[0.0f32, 3.0], [1.0, 4.0], [2.0, 5.0]]));
    assert_eq!(tensors["steps"].iter::<i64>().collect::<Vec<_>>(), [7]);
    assert!(tensors["steps"].shape().to_vec().is_empty());
}

#[test]
fn every_type_is_kept() {
    let halves = [0x3c00u16, 0xc000].map(u16::to_le_bytes).concat();
    for (kind, bytes, expected) in [
        ("DoubleStorage", [1.5f64, -2.0].map(f64::to_le_bytes).concat(), [1.5, -2.0]),
        ("HalfStorage", halves, [1.0, -2.0]),
        ("BFloat16Storage", [0x3f80u16, 0xc000].map(u16::to_le_bytes).concat(), [1.0, -2.0]),
        ("IntStorage", [3i32, -4].map(i32::to_le_bytes).concat(), [3.0, -4.0]),
        ("ShortStorage", [3i16, -4].map(i16::to_le_bytes).concat(), [3.0, -4.0]),
        ("CharStorage", vec![3, 0xfc], [3.0, -4.0]),
        ("ByteStorage", vec![3, 252], [3.0, 252.0]),
        ("BoolStorage", vec![1, 0], [1.0, 0.0]),
    ] {
        let pickle = Pickler::new().dict().text("x").tensor(kind, "0", 2, 0, &[2], &[1]).end();
        let tensors = parse(&file(&pickle, &[&bytes])).unwrap();
        assert_eq!(tensors["x"].iter::<f64>().collect::<Vec<_>>(), expected, "{kind}");
    }
}

#[test]
fn nested_checkpoints_have_dotted_names() {
    let pickle = Pickler::new().code(b"}(").text("epoch").code(b"K\x03").text("model").dict();
    let pickle = pickle.text("w").tensor("FloatStorage", "0", 6, 4, &[2], &[1]).code(b"u");
    let pickle =
        pickle.text("state").code(b"}K\x05}").text("step").tensor("FloatStorage", "0", 6, 1, &[], &[]);
    let tensors = parse(&file(&pickle.code(b"ssu.").0, &[&numbers()])).unwrap();
    assert_eq!(tensors.keys().collect::<Vec<_>>(), ["model.w", "state.5.step"]);
    assert_eq!(tensors["model.w"], TensorData::from([4.0f32, 5.0]));
}

#[test]
fn a_checkpoint_of_pythons_own_pickler_is_read() {
    let tensors = parse(include_bytes!("../../testdata/checkpoint.pt")).unwrap();
    let names: Vec<_> = tensors.keys().map(String::as_str).collect();
    assert_eq!(names, ["model.fc.weight", "model.fc.t", "model.n", "opt.state.0.step"]);
    assert_eq!(tensors["model.fc.weight"].iter::<f32>().sum::<f32>(), 66.0);
    assert_eq!(tensors["model.fc.t"], TensorData::from([[1.0f32, 5.0, 9.0], [2.0, 6.0, 10.0]]));
    assert_eq!(tensors["model.n"], TensorData::from([5i64, -6]));
    assert_eq!(tensors["opt.state.0.step"].iter::<i64>().collect::<Vec<_>>(), [-6]);
}

fn error(pickle: &[u8]) -> String {
    parse(&file(pickle, &[&numbers(), &[2, 0]])).unwrap_err()
}

#[test]
fn code_is_refused_by_name_and_never_run() {
    let call = |name: &str| Pickler::new().code(name.as_bytes()).text("touch /tmp/x").code(b"\x85R.").0;
    for (global, name) in [
        ("cos\nsystem\n", "os.system"),
        ("cbuiltins\neval\n", "builtins.eval"),
        ("ctorch\nload\n", "torch.load"),
        ("ctorch._utils\n_rebuild_device_tensor_from_numpy\n", "_rebuild_device_tensor_from_numpy"),
        ("c__main__\nNet\n", "__main__.Net"),
    ] {
        let error = error(&call(global));
        assert!(error.contains(name) && error.contains("nothing was run"), "{error}");
    }
    let stacked = Pickler::new().text("posix").text("system").code(b"\x93.").0;
    assert!(error(&stacked).contains("`posix.system`"));
    let object = Pickler::new().code(b"ccollections\nOrderedDict\n)\x81.").0;
    assert!(error(&object).contains("the instruction 0x81"));
    let indirect = Pickler::new().text("os").code(b")R.").0;
    assert!(error(&indirect).contains("no function; nothing was run"));
}

#[test]
fn tensors_that_do_not_fit_their_storage_are_refused() {
    let tensor = |kind: &str, count, offset, size: &[i32], stride: &[i32]| {
        error(&Pickler::new().dict().text("x").tensor(kind, "0", count, offset, size, stride).end())
    };
    for (offset, size, stride) in
        [(0, &[7][..], &[1][..]), (1, &[2, 3], &[3, 1]), (0, &[2], &[i32::MAX]), (0, &[2], &[])]
    {
        assert!(tensor("FloatStorage", 6, offset, size, stride).contains("reaches outside its storage"));
    }
    assert!(tensor("FloatStorage", 6, -1, &[1], &[1]).contains("the offset -1"));
    assert!(tensor("FloatStorage", 6, 0, &[1], &[-1]).contains("the stride -1"));
    assert!(tensor("FloatStorage", 5, 0, &[1], &[1]).contains("storage `0`: found 24 bytes for 5 numbers"));
    assert!(tensor("FloatStorage", -1, 0, &[1], &[1]).contains("24 bytes for -1 numbers"));
    let bools = Pickler::new().dict().text("x").tensor("BoolStorage", "1", 2, 0, &[2], &[1]).end();
    assert!(error(&bools).contains("byte 0: found 2, expected 0 or 1"));
    let missing = Pickler::new().dict().text("x").tensor("FloatStorage", "9", 6, 0, &[1], &[1]).end();
    assert!(error(&missing).contains("no entry `model/data/9`"));
}

#[test]
fn what_grows_without_end_is_refused_before_it_does() {
    // One number shown 2³⁰ times.
    let expanded = Pickler::new().dict().text("x").tensor("FloatStorage", "0", 6, 0, &[1 << 30], &[0]).end();
    // Lists of eight of the list before: 2³⁶ paths.
    let mut laughs = Pickler::new().code(b"}").text("x").code(b"]");
    for _ in 0..12 {
        laughs = laughs.code(b"q\x010](h\x01h\x01h\x01h\x01h\x01h\x01h\x01h\x01e");
    }
    // A list that holds itself.
    let circle = Pickler::new().code(b"}").text("x").code(b"]q\x01h\x01as.").0;
    for (pickle, message) in
        [(expanded, "twice its size"), (laughs.code(b"s.").0, "twice its size"), (circle, "in each other")]
    {
        let bytes = file(&pickle, &[&numbers()]);
        let (result, peak) = peak(|| parse(&bytes));
        assert!(result.unwrap_err().contains(message), "{message}");
        assert!(peak <= 2 * bytes.len() + SLACK, "{peak}");
    }
    let many = vec![b'N'; 1 << 20];
    let bytes = file(&Pickler::new().code(&many).0, &[]);
    let (result, peak) = peak(|| parse(&bytes));
    assert!(result.is_err() && peak <= 2 * bytes.len() + SLACK, "{peak}");
}

#[test]
fn other_archives_are_explained() {
    assert!(parse(LEGACY).unwrap_err().contains("before 1.6"));
    assert!(parse(&archive(&[("a/b.pkl", b"", false)])).unwrap_err().contains("no `…/data.pkl`"));
    assert!(parse(&archive(&[("a/data.pkl", b"", true)])).unwrap_err().contains("expected stored"));
    let big = archive(&[("a/data.pkl", b"", false), ("a/byteorder", b"big", false)]);
    assert!(parse(&big).unwrap_err().contains("byte order `big`"));
    assert!(error(&Pickler::new().code(b"K\x01.").0).contains("no dictionary"));
    let good = sample();
    for length in 0..good.len() {
        assert!(parse(&good[..length]).is_err(), "{length}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100_000))]
    #[test]
    fn mutated_pickles_never_panic_nor_take_much_memory(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let pickle = Pickler::new().dict().text("w").tensor("FloatStorage", "0", 6, 0, &[2, 3], &[3, 1]).end();
        // The check sums are right, so that the pickle is what is tested.
        for pickle in crate::events::damaged(&pickle, &changes, &cut) {
            let bytes = file(&pickle, &[&numbers()]);
            let (_, peak) = peak(|| parse(&bytes));
            prop_assert!(peak <= 2 * bytes.len() + SLACK, "{peak}");
        }
    }

    #[test]
    fn any_instructions_are_taken_or_refused(codes in prop::collection::vec(any::<prop::sample::Index>(), 0..40)) {
        // Whole instructions, so that much of what they do to each other is met.
        let tensor = Pickler::default().tensor("FloatStorage", "0", 6, 0, &[2], &[1]).0;
        let known: [&[u8]; 24] = [
            b"(", b"0", b"N", b"K\x01", b"J\xff\xff\xff\xff", b"\x8a\x09123456789", b"X\x01\0\0\0a", b"\x85",
            b"\x86", b"\x87", b"t", b")", b"]", b"}", b"l", b"d", b"a", b"e", b"s", b"u", b"q\x01", b"h\x01", b"R", &tensor,
        ];
        let start = Pickler::new().code(b"}");
        let pickle = codes.iter().fold(start, |pickle, code| pickle.code(known[code.index(known.len())])).code(b".").0;
        let bytes = file(&pickle, &[&numbers()]);
        let (_, peak) = peak(|| parse(&bytes));
        prop_assert!(peak <= 2 * bytes.len() + SLACK, "{peak}");
    }

    #[test]
    fn mutated_archives_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        for bytes in crate::events::damaged(&sample(), &changes, &cut) {
            let _ = parse(&bytes);
        }
    }
}

#[test]
fn names_of_a_safetensors_file_are_ordered_as_people_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.safetensors");
    let names = ["fc2.bias", "fc2.weight", "fc9.weight", "fc10.weight", "net.2.weight", "net.10.weight"];
    let mut file = TensorFile::default();
    file.tensors.extend(names.map(|name| (name.to_owned(), TensorData::from([1.0f32]))));
    file.write(&path).unwrap();
    assert_eq!(read_any(&path).unwrap().keys().collect::<Vec<_>>(), names);
}
