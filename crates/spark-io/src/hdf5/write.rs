//! Groups and arrays on their way into a file.

use std::collections::BTreeMap;

use super::UNDEFINED;

/// Half the number of branches of a node of a tree of links.
const HALF_NODE: u16 = 16;

/// Half the number of links of a leaf, as the library has it.
const HALF_LEAF: u16 = 4;

/// Where the root begins: behind the superblock.
const SUPERBLOCK: usize = 96;

/// An array to write; its data lies in one piece.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    shape: Vec<usize>,
    datatype: Vec<u8>,
    data: Vec<u8>,
}

/// A group to write: names of arrays and of further groups.
///
/// # Examples
/// ```
/// use spark_io::hdf5::{Contents, Hdf5, Tree};
///
/// let mut tree = Tree::default();
/// tree.insert("version", Contents::text("1.0"))?;
/// tree.group("node")?.insert("tau", Contents::doubles(&[2], &[0.5, 0.25])?)?;
/// let bytes = tree.to_bytes()?;
/// let root = Hdf5::parse(&bytes)?.root()?;
/// assert_eq!(root.dataset("version")?.read()?.strings()?, ["1.0"]);
/// assert_eq!(root.group("node")?.dataset("tau")?.read()?.doubles()?, [0.5, 0.25]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq)]
enum Entry {
    Group(Tree),
    Array(Contents),
}

impl Contents {
    /// Numbers of 32 bits.
    ///
    /// # Errors
    /// A sentence, when there are more or fewer than the shape says.
    pub fn floats(shape: &[usize], values: &[f32]) -> Result<Self, String> {
        let datatype = float(4, 31, [23, 8, 0, 23], 127);
        Self::new(
            shape,
            datatype,
            values.len(),
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        )
    }

    /// Numbers of 64 bits.
    ///
    /// # Errors
    /// A sentence, when there are more or fewer than the shape says.
    pub fn doubles(shape: &[usize], values: &[f64]) -> Result<Self, String> {
        let datatype = float(8, 63, [52, 11, 0, 52], 1023);
        Self::new(
            shape,
            datatype,
            values.len(),
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        )
    }

    /// Whole numbers of 64 bits.
    ///
    /// # Errors
    /// A sentence, when there are more or fewer than the shape says.
    pub fn integers(shape: &[usize], values: &[i64]) -> Result<Self, String> {
        let datatype = [&[0x10, 8, 0, 0][..], &8u32.to_le_bytes(), &[0, 0, 64, 0]].concat();
        Self::new(
            shape,
            datatype,
            values.len(),
            values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        )
    }

    /// One string.
    pub fn text(text: &str) -> Self {
        let length = text.len().max(1);
        let mut data = text.as_bytes().to_vec();
        data.resize(length, 0);
        Self { shape: Vec::new(), datatype: string(length), data }
    }

    /// Strings, as long as the longest of them.
    ///
    /// # Errors
    /// A sentence, when there are more or fewer than the shape says.
    pub fn texts(shape: &[usize], texts: &[&str]) -> Result<Self, String> {
        let length = texts.iter().map(|text| text.len()).max().unwrap_or(0).max(1);
        let padded = |text: &&str| {
            let mut bytes = text.as_bytes().to_vec();
            bytes.resize(length, 0);
            bytes
        };
        Self::new(shape, string(length), texts.len(), texts.iter().flat_map(padded).collect())
    }

    fn new(shape: &[usize], datatype: Vec<u8>, count: usize, data: Vec<u8>) -> Result<Self, String> {
        if shape.iter().product::<usize>() != count {
            return Err(format!("found {count} entries for the shape {shape:?}"));
        }
        Ok(Self { shape: shape.to_vec(), datatype, data })
    }
}

/// The type of a number: its bytes, the place of its sign, those of exponent and fraction, and its bias.
fn float(size: u32, sign: u8, parts: [u8; 4], bias: u32) -> Vec<u8> {
    let bits = (8 * size as u16).to_le_bytes();
    [&[0x11, 0x20, sign, 0][..], &size.to_le_bytes(), &[0, 0], &bits, &parts, &bias.to_le_bytes()].concat()
}

/// The type of strings of UTF-8 of so many bytes, filled up with zeros.
fn string(length: usize) -> Vec<u8> {
    [&[0x13, 0x11, 0, 0][..], &(length as u32).to_le_bytes()].concat()
}

impl Tree {
    /// Adds an array.
    ///
    /// # Errors
    /// A sentence, when the name is taken or cannot be one.
    pub fn insert(&mut self, name: &str, contents: Contents) -> Result<(), String> {
        check_name(name)?;
        match self.entries.insert(name.to_owned(), Entry::Array(contents)) {
            None => Ok(()),
            Some(_) => Err(format!("found two entries called `{name}`")),
        }
    }

    /// The group called `name`, which is made when it is not there.
    ///
    /// # Errors
    /// A sentence, when an array has this name, or when it cannot be one.
    pub fn group(&mut self, name: &str) -> Result<&mut Self, String> {
        check_name(name)?;
        match self.entries.entry(name.to_owned()).or_insert_with(|| Entry::Group(Self::default())) {
            Entry::Group(group) => Ok(group),
            Entry::Array(_) => Err(format!("found an array called `{name}`, expected a group")),
        }
    }

    /// The file whose root this is.
    ///
    /// # Errors
    /// A sentence, when a group has more than four million entries or an array more than four gigabytes of
    /// strings.
    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        // A tree of links of one level: with more links its leaves are larger.
        let half_leaf = self.most_entries().div_ceil(4 * usize::from(HALF_NODE)).max(HALF_LEAF.into());
        let half_leaf =
            u16::try_from(half_leaf).map_err(|_| "found too many entries in a group".to_owned())?;
        let mut file = File { bytes: vec![0; SUPERBLOCK], half_leaf };
        let root = file.group(self);
        let end = file.bytes.len() as u64;
        let mut head = b"\x89HDF\r\n\x1a\n\0\0\0\0\0\x08\x08\0".to_vec();
        head.extend(half_leaf.to_le_bytes());
        head.extend(HALF_NODE.to_le_bytes());
        head.extend([0; 4]);
        for address in [0, UNDEFINED, end, UNDEFINED, 0, root.header, 1, root.tree, root.heap] {
            head.extend(address.to_le_bytes());
        }
        file.bytes[..SUPERBLOCK].copy_from_slice(&head);
        Ok(file.bytes)
    }

    fn most_entries(&self) -> usize {
        let inside = self.entries.values().map(|entry| match entry {
            Entry::Group(group) => group.most_entries(),
            Entry::Array(_) => 0,
        });
        inside.max().unwrap_or(0).max(self.entries.len())
    }
}

fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name == "." || name.contains(['/', '\0']) {
        return Err(format!("found the name `{name}`, expected one without slashes"));
    }
    Ok(())
}

/// Where a group was written.
struct Place {
    header: u64,
    tree: u64,
    heap: u64,
}

struct File {
    bytes: Vec<u8>,
    half_leaf: u16,
}

impl File {
    /// Where the bytes, filled up to a multiple of 8, were written.
    fn append(&mut self, bytes: &[u8]) -> u64 {
        let address = self.bytes.len() as u64;
        self.bytes.extend(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        address
    }

    fn group(&mut self, tree: &Tree) -> Place {
        let mut links = Vec::with_capacity(tree.entries.len());
        // The empty name, with which keys begin, comes first.
        let mut names = vec![0; 8];
        for (name, entry) in &tree.entries {
            let target = match entry {
                Entry::Group(group) => self.group(group).header,
                Entry::Array(contents) => self.array(contents),
            };
            links.push((names.len() as u64, target));
            names.extend(name.as_bytes());
            names.push(0);
            names.resize(names.len().next_multiple_of(8), 0);
        }
        let heap = self.heap(&names);
        let tree = self.tree(&links);
        let header = self.header(&[(0x11, [tree, heap].map(u64::to_le_bytes).concat())]);
        Place { header, tree, heap }
    }

    fn heap(&mut self, names: &[u8]) -> u64 {
        let data = self.append(names);
        let mut heap = b"HEAP\0\0\0\0".to_vec();
        // 1 says that there is no room that is free.
        for number in [names.len() as u64, 1, data] {
            heap.extend(number.to_le_bytes());
        }
        self.append(&heap)
    }

    fn tree(&mut self, links: &[(u64, u64)]) -> u64 {
        let room = 2 * usize::from(self.half_leaf);
        let mut branches = Vec::new();
        for links in links.chunks(room) {
            let mut leaf = b"SNOD\x01\0".to_vec();
            leaf.extend((links.len() as u16).to_le_bytes());
            for &(name, target) in links {
                leaf.extend([name, target, 0, 0, 0].map(u64::to_le_bytes).concat());
            }
            leaf.resize(8 + room * 40, 0);
            let last = links.last().map_or(0, |&(name, _)| name);
            branches.push((self.append(&leaf), last));
        }
        let mut node = b"TREE\0\0".to_vec();
        node.extend((branches.len() as u16).to_le_bytes());
        node.extend([UNDEFINED, UNDEFINED, 0].map(u64::to_le_bytes).concat());
        for (leaf, last) in branches {
            node.extend([leaf, last].map(u64::to_le_bytes).concat());
        }
        node.resize(24 + 8 * (4 * usize::from(HALF_NODE) + 1), 0);
        self.append(&node)
    }

    fn array(&mut self, contents: &Contents) -> u64 {
        let length = contents.data.len() as u64;
        let address = if length == 0 { UNDEFINED } else { self.append(&contents.data) };
        let mut space = vec![1, contents.shape.len() as u8, 0, 0, 0, 0, 0, 0];
        space.extend(contents.shape.iter().flat_map(|&extent| (extent as u64).to_le_bytes()));
        // Room is made late, written when it is set, and what was never set is zero.
        let fill = vec![2, 2, 2, 1, 0, 0, 0, 0];
        let layout = [&[3, 1][..], &address.to_le_bytes(), &length.to_le_bytes()].concat();
        self.header(&[(0x01, space), (0x03, contents.datatype.clone()), (0x05, fill), (0x08, layout)])
    }

    fn header(&mut self, messages: &[(u16, Vec<u8>)]) -> u64 {
        let mut body = Vec::new();
        for (kind, data) in messages {
            let length = data.len().next_multiple_of(8);
            body.extend(kind.to_le_bytes());
            body.extend((length as u16).to_le_bytes());
            body.extend([0; 4]);
            body.extend(data);
            body.resize(body.len().next_multiple_of(8), 0);
        }
        let mut header = vec![1, 0];
        header.extend((messages.len() as u16).to_le_bytes());
        header.extend(1u32.to_le_bytes());
        header.extend((body.len() as u32).to_le_bytes());
        header.extend([0; 4]);
        header.extend(body);
        self.append(&header)
    }
}
