//! HDF5 files: groups, arrays and attributes, read with bounded memory and written so that others read them.
//!
//! Read are files of `h5py` and of the HDF5 library as they are written by default, and many written otherwise:
//! superblocks 0 to 3, object headers of both versions, groups as symbol tables and as links in their header,
//! data that is compact, contiguous or in chunks (packed with deflate, shuffled, with checksums), numbers,
//! strings and variable-length arrays. What is not known is an error that names it: links that are spread over
//! a fractal heap, other filters, compound types.
//!
//! Nothing is copied but data in chunks. A file cannot make the reader take memory for what it claims: all that
//! is set aside is bounded by bytes that are there, of packed data by what they can unpack to. Loops of links,
//! trees that share branches and heaps that overlap end in an error.
//!
//! Source: The HDF Group, *HDF5 File Format Specification*, version 3.0.

mod array;
mod chunks;
mod datatype;
mod filters;
mod groups;
mod header;
mod heap;
mod write;

pub use array::{Array, Sequences};
pub use write::{Contents, Tree};

use header::{Header, Layout, superblock};

/// An address that leads nowhere.
const UNDEFINED: u64 = u64::MAX;

/// The contents of an HDF5 file.
///
/// # Examples
/// ```
/// use spark_io::hdf5::{Contents, Hdf5, Tree};
///
/// let mut tree = Tree::default();
/// tree.insert("weight", Contents::floats(&[2], &[0.5, -1.0])?)?;
/// let bytes = tree.to_bytes()?;
/// let file = Hdf5::parse(&bytes)?;
/// assert_eq!(file.root()?.dataset("weight")?.read()?.floats()?, [0.5, -1.0]);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Hdf5<'a> {
    bytes: &'a [u8],
    root: u64,
}

/// What a link leads to.
#[derive(Clone, Debug)]
pub enum Object<'a> {
    /// A group of links.
    Group(Group<'a>),
    /// An array.
    Dataset(Dataset<'a>),
}

/// Names, and where they lead.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    file: &'a [u8],
    path: String,
    header: Header<'a>,
    links: Vec<(&'a str, u64)>,
}

/// An array in a file: its shape and type, and where its data is.
#[derive(Clone, Debug)]
pub struct Dataset<'a> {
    file: &'a [u8],
    path: String,
    header: Header<'a>,
    shape: Vec<usize>,
    layout: Layout<'a>,
}

impl<'a> Hdf5<'a> {
    /// Finds the root of a file.
    ///
    /// # Errors
    /// A sentence, when this is no HDF5 file or one of a version that is not known.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        superblock(bytes).map(|root| Self { bytes, root })
    }

    /// The group that holds all others.
    ///
    /// # Errors
    /// A sentence, when it is corrupt.
    pub fn root(&self) -> Result<Group<'a>, String> {
        match open(self.bytes, self.root, String::new())? {
            Object::Group(group) => Ok(group),
            Object::Dataset(_) => Err("found an array at the root, expected a group".to_owned()),
        }
    }
}

fn open(file: &[u8], address: u64, path: String) -> Result<Object<'_>, String> {
    let at = |message: String| format!("`{}`: {message}", if path.is_empty() { "/" } else { &path });
    let header = Header::read(file, address).map_err(at)?;
    if header.is_group() {
        let links = groups::links(file, &header).map_err(at)?;
        return Ok(Object::Group(Group { file, path, header, links }));
    }
    let shape = header.shape().map_err(at)?;
    let layout = header.layout(file).map_err(at)?;
    Ok(Object::Dataset(Dataset { file, path, header, shape, layout }))
}

impl<'a> Group<'a> {
    /// Where it is, such as `/node/nodes`; the root is empty.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The names of what it holds, in the order of the file.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &'a str> {
        self.links.iter().map(|&(name, _)| name)
    }

    /// Whether it holds something of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.links.iter().any(|&(link, _)| link == name)
    }

    /// What is called `name`; `None` when there is no such thing.
    ///
    /// # Errors
    /// A sentence with its path, when it is corrupt or of a kind that is not known.
    pub fn get(&self, name: &str) -> Result<Option<Object<'a>>, String> {
        let Some(&(_, address)) = self.links.iter().find(|&&(link, _)| link == name) else { return Ok(None) };
        open(self.file, address, format!("{}/{name}", self.path)).map(Some)
    }

    /// The group called `name`.
    ///
    /// # Errors
    /// A sentence with its path, when there is none.
    pub fn group(&self, name: &str) -> Result<Group<'a>, String> {
        match self.existing(name)? {
            Object::Group(group) => Ok(group),
            Object::Dataset(_) => Err(format!("`{}/{name}`: found an array, expected a group", self.path)),
        }
    }

    /// The array called `name`.
    ///
    /// # Errors
    /// A sentence with its path, when there is none.
    pub fn dataset(&self, name: &str) -> Result<Dataset<'a>, String> {
        match self.existing(name)? {
            Object::Dataset(dataset) => Ok(dataset),
            Object::Group(_) => Err(format!("`{}/{name}`: found a group, expected an array", self.path)),
        }
    }

    fn existing(&self, name: &str) -> Result<Object<'a>, String> {
        self.get(name)?.ok_or_else(|| {
            let names: Vec<_> = self.names().take(20).collect();
            let path = if self.path.is_empty() { "/" } else { &self.path };
            format!("`{path}`: found {names:?}, expected `{name}` among them")
        })
    }

    /// The attribute called `name`; `None` when there is none beside the group itself.
    ///
    /// # Errors
    /// A sentence, when it is corrupt or of a type that is not known.
    pub fn attribute(&self, name: &str) -> Result<Option<Array<'a>>, String> {
        self.header.attribute(self.file, name)
    }
}

impl<'a> Dataset<'a> {
    /// Where it is, such as `/node/nodes/lif/tau`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The extents of its axes; none for a single entry.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The attribute called `name`; `None` when there is none beside the array itself.
    ///
    /// # Errors
    /// A sentence, when it is corrupt or of a type that is not known.
    pub fn attribute(&self, name: &str) -> Result<Option<Array<'a>>, String> {
        self.header.attribute(self.file, name)
    }

    /// How many bytes of the file its data takes, packed as it is.
    ///
    /// # Errors
    /// A sentence with its path, when the index of its chunks is corrupt.
    pub fn stored_bytes(&self) -> Result<usize, String> {
        self.at(match &self.layout {
            Layout::Here(data) => Ok(data.len()),
            Layout::Chunks(index) => index
                .find(self.file, self.shape.len())
                .map(|chunks| chunks.iter().map(|chunk| chunk.stored.len()).sum()),
        })
    }

    /// The data. What is in chunks is unpacked and put together; all else stays where it is.
    ///
    /// # Errors
    /// A sentence with its path, when the data is not all there, of a type or filter that is not known, or does
    /// not unpack.
    pub fn read(&self) -> Result<Array<'a>, String> {
        self.at(self.data())
    }

    fn data(&self) -> Result<Array<'a>, String> {
        let datatype = self.header.datatype()?;
        let count = self.shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
        let size = count.and_then(|count| count.checked_mul(datatype.size));
        let size = size.ok_or_else(|| format!("found the shape {:?}", self.shape))?;
        let data = match &self.layout {
            Layout::Here(data) => std::borrow::Cow::Borrowed(*data),
            Layout::Chunks(index) => {
                let filters = self.header.filters()?;
                chunks::assemble(self.file, index, &filters, &self.shape, datatype.size)?.into()
            }
        };
        if data.len() < size {
            let found = data.len();
            return Err(format!(
                "found {found} bytes of data for the shape {:?}, expected {size}",
                self.shape
            ));
        }
        Ok(Array::new(self.file, self.shape.clone(), datatype, data, size))
    }

    fn at<T>(&self, result: Result<T, String>) -> Result<T, String> {
        result.map_err(|message| format!("`{}`: {message}", self.path))
    }
}

/// The `length` bytes of a file at `address`, which are `what`.
fn slice<'a>(file: &'a [u8], address: u64, length: u64, what: &str) -> Result<&'a [u8], String> {
    let range = usize::try_from(address).ok().zip(usize::try_from(length).ok());
    let bytes = range.and_then(|(start, length)| file.get(start..)?.get(..length));
    bytes.ok_or_else(|| format!("found no {length} bytes of {what} at byte {address}: truncated or corrupt"))
}

#[cfg(test)]
mod tests;
