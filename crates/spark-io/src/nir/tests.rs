use super::*;
use crate::events::damaged;
use crate::test_memory::peak;
use proptest::prelude::*;

const CONV: &[u8] = include_bytes!("../../../../tests/golden/nir/conv_if_sumpool_lif.nir");
const RECURRENT: &[u8] = include_bytes!("../../../../tests/golden/nir/recurrent_subgraph_snntorch.nir");

/// One node of each kind.
fn every_kind() -> Graph {
    let array = |shape: &[usize]| {
        let count: usize = shape.iter().product();
        Array::doubles(shape.to_vec(), (0..count).map(|i| 0.5 + i as f64).collect())
    };
    let v = || array(&[2]);
    let pooling = || Pooling { kernel_size: [2, 2], stride: [2, 1], padding: [0, 1] };
    let inside = Graph {
        nodes: [("x".to_owned(), Kind::Scale { scale: array(&[]) }.into())].into(),
        edges: Vec::new(),
        metadata: [("who".to_owned(), Meta::Text("x".into()))].into(),
    };
    let conv = |kernel: &[usize], padding| Convolution {
        input_shape: Some(vec![8; kernel.len()]),
        weight: Array::floats([&[4, 1], kernel].concat(), vec![0.25; 4 * kernel.iter().product::<usize>()]),
        stride: vec![1; kernel.len()],
        padding,
        dilation: vec![2; kernel.len()],
        groups: 2,
        bias: array(&[4]),
    };
    let kinds = vec![
        Kind::Input { shape: vec![2] },
        Kind::Output { shape: vec![2] },
        Kind::Affine { weight: array(&[2, 3]), bias: v() },
        Kind::Linear { weight: array(&[2, 3]) },
        Kind::Scale { scale: v() },
        Kind::Conv1d(conv(&[3], Padding::Same)),
        Kind::Conv2d(conv(&[3, 5], Padding::Zeros(vec![1, 2]))),
        Kind::Conv2d(Convolution { input_shape: None, ..conv(&[3, 5], Padding::Valid) }),
        Kind::SumPool2d(pooling()),
        Kind::AvgPool2d(pooling()),
        Kind::Flatten { input_shape: Some(vec![2, 3]), start_dim: 0, end_dim: -1 },
        Kind::Delay { delay: v() },
        Kind::Threshold { threshold: v() },
        Kind::I { r: v() },
        Kind::If { r: v(), v_threshold: v(), v_reset: v() },
        Kind::Li { tau: v(), r: v(), v_leak: v() },
        Kind::Lif { tau: v(), r: v(), v_leak: v(), v_threshold: v(), v_reset: v() },
        Kind::CubaLi { tau_syn: v(), tau_mem: v(), r: v(), v_leak: v(), w_in: v() },
        Kind::CubaLif {
            tau_syn: v(),
            tau_mem: v(),
            r: v(),
            v_leak: v(),
            w_in: v(),
            v_threshold: v(),
            v_reset: v(),
        },
    ];
    let mut graph = Graph::default();
    for (i, kind) in kinds.into_iter().enumerate() {
        graph.nodes.insert(format!("{i}.{}", kind.name()), kind.into());
    }
    let metadata: BTreeMap<_, _> = [
        ("note".to_owned(), Meta::Text("a scale".into())),
        ("inside".to_owned(), Meta::Group([("n".to_owned(), Meta::Numbers(array(&[3])))].into())),
    ]
    .into();
    graph.nodes.insert(
        "graph".into(),
        Node {
            metadata: inside.metadata.clone(),
            kind: Kind::Graph(Graph { metadata: BTreeMap::new(), ..inside }),
        },
    );
    graph.nodes.get_mut("4.Scale").unwrap().metadata = metadata.clone();
    graph.metadata = metadata;
    graph.connect("0.Input", "4.Scale");
    graph.connect("4.Scale", "1.Output");
    graph
}

#[test]
fn every_kind_of_node_comes_back() {
    let graph = every_kind();
    assert_eq!(parse(&to_bytes(&graph).unwrap()).unwrap(), graph);
}

#[test]
fn the_golden_files_are_read_with_their_shapes() {
    let graph = parse(CONV).unwrap();
    let shapes = graph.shapes().unwrap();
    assert_eq!(shapes["pool"], (vec![3, 8, 8], vec![3, 4, 4]));
    assert_eq!(shapes["flat"].1, [48]);
    let Kind::Lif { tau, v_reset, .. } = &graph.nodes["lif"].kind else { panic!("no LIF") };
    assert_eq!((tau.at(0), v_reset.at(4)), (1e-3, -0.1));
    let recurrent = parse(RECURRENT).unwrap().flat().unwrap();
    assert_eq!(recurrent.shapes().unwrap()["1.w_rec"], (vec![6], vec![6]));
}

/// The file of `every_kind` with one node changed.
fn error(change: impl FnOnce(&mut Graph)) -> String {
    let mut graph = every_kind();
    change(&mut graph);
    graph.check().unwrap_err()
}

#[test]
fn what_is_wrong_is_named_by_node_and_field() {
    let unknown = error(|graph| graph.connect("4.Scale", "nobody"));
    assert!(unknown.starts_with("edge `4.Scale` → `nobody`: found no node `nobody` among"), "{unknown}");
    let twice = error(|graph| graph.connect("0.Input", "4.Scale"));
    assert_eq!(twice, "edge `0.Input` → `4.Scale`: found it twice");
    let tau = error(|graph| {
        let v = || Array::doubles(vec![1], vec![0.0]);
        graph.nodes.insert("a".into(), Kind::Li { tau: v(), r: v(), v_leak: v() }.into());
    });
    assert_eq!(tau, "node `a` (LI): tau: found 0, expected a time above 0");
    let shape = error(|graph| {
        let of = |n: usize| Array::doubles(vec![n], vec![1.0; n]);
        graph.nodes.insert("a".into(), Kind::If { r: of(3), v_threshold: of(2), v_reset: of(3) }.into());
    });
    assert_eq!(shape, "node `a` (IF): v_threshold: found the shape [2], expected [3]");
    let mut graph = every_kind();
    graph.connect("0.Input", "2.Affine");
    let message = graph.shapes().unwrap_err();
    assert_eq!(
        message,
        "node `2.Affine` (Affine), behind `0.Input`: found an input of shape [2], expected [3]"
    );
}

/// A file with a node `x` of fields as `add` makes them.
fn parsed(add: impl FnOnce(&mut crate::hdf5::Tree)) -> String {
    use crate::hdf5::{Contents, Tree};
    let mut tree = Tree::default();
    let node = tree.group("node").unwrap();
    node.insert("type", Contents::text("NIRGraph")).unwrap();
    node.insert("edges", Contents::texts(&[0, 2], &[]).unwrap()).unwrap();
    add(node.group("nodes").unwrap().group("x").unwrap());
    match parse(&tree.to_bytes().unwrap()) {
        Ok(graph) => format!("{:?}", graph.nodes["x"].kind),
        Err(message) => message,
    }
}

#[test]
fn unknown_types_and_fields_are_named_and_a_missing_reset_is_zero() {
    use crate::hdf5::Contents;
    let unknown = parsed(|x| x.insert("type", Contents::text("Sigmoid")).unwrap());
    assert_eq!(unknown, "`/node/nodes/x`: found a node of the unknown type `Sigmoid`");
    let missing = parsed(|x| x.insert("type", Contents::text("Linear")).unwrap());
    assert_eq!(missing, "`/node/nodes/x`: found [\"type\"], expected `weight` among them");
    let unit = |more: bool| {
        parsed(|x| {
            x.insert("type", Contents::text("IF")).unwrap();
            x.insert("r", Contents::doubles(&[1], &[2.0]).unwrap()).unwrap();
            x.insert("v_threshold", Contents::floats(&[1], &[3.0]).unwrap()).unwrap();
            if more {
                x.insert("refractory", Contents::doubles(&[1], &[2.0]).unwrap()).unwrap();
            }
        })
    };
    assert!(unit(false).ends_with("v_reset: Array { shape: [1], numbers: F64([0.0]) } }"), "{}", unit(false));
    assert!(unit(true).contains("found the field `refractory`, expected [\"r\", \"v_threshold\""));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn damaged_files_never_panic_nor_take_much_memory(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        for bytes in damaged(&to_bytes(&every_kind()).unwrap(), &changes, &cut) {
            let (result, peak) = peak(|| parse(&bytes));
            prop_assert!(peak <= 2 * bytes.len() + 1024, "{peak}");
            if let Ok(graph) = result {
                let _ = graph.flat().map(|graph| graph.shapes().map(|_| ()));
            }
        }
        for bytes in damaged(CONV, &changes, &cut) {
            let _ = parse(&bytes);
        }
    }
}
