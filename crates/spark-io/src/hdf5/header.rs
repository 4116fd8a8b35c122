//! Superblocks and the headers of objects.

use super::array::Array;
use super::chunks::Index;
use super::datatype::Datatype;
use super::filters::{Filter, filters};
use super::{UNDEFINED, slice};
use crate::cursor::Cursor;

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// More axes than this have no use, and HDF5 allows no more.
const MAX_RANK: u8 = 32;

/// The types of messages.
mod message {
    pub const DATASPACE: u16 = 0x01;
    pub const LINK_INFO: u16 = 0x02;
    pub const DATATYPE: u16 = 0x03;
    pub const LINK: u16 = 0x06;
    pub const LAYOUT: u16 = 0x08;
    pub const FILTERS: u16 = 0x0b;
    pub const ATTRIBUTE: u16 = 0x0c;
    pub const CONTINUATION: u16 = 0x10;
    pub const SYMBOL_TABLE: u16 = 0x11;
}

/// Where the header of the root group is.
pub(super) fn superblock(file: &[u8]) -> Result<u64, String> {
    let mut cursor = Cursor::new(file, 0);
    if cursor.take(8, "a signature").ok() != Some(SIGNATURE) {
        return Err("found no signature of HDF5 at the beginning of the file".to_owned());
    }
    let version = cursor.u8("a version")?;
    let sizes = match version {
        0 | 1 => {
            cursor.take(4, "versions")?;
            let sizes = cursor.array::<2>("sizes of addresses")?;
            cursor.take(if version == 0 { 9 } else { 13 }, "sizes of trees")?;
            sizes
        }
        2 | 3 => {
            let sizes = cursor.array::<2>("sizes of addresses")?;
            cursor.u8("flags")?;
            sizes
        }
        _ => return Err(format!("found version {version} of HDF5's superblock, expected 0 to 3")),
    };
    if sizes != [8, 8] {
        return Err(format!("found addresses and lengths of {sizes:?} bytes, expected 8"));
    }
    if cursor.u64("the base address")? != 0 {
        return Err("found a base address, expected a file that starts with its superblock".to_owned());
    }
    // Free space or an extension, the end of the file, and of the older versions a driver and a name.
    cursor.take(if version < 2 { 32 } else { 16 }, "addresses")?;
    cursor.u64("the address of the root")
}

/// The messages of the header of an object.
#[derive(Clone, Debug)]
pub(super) struct Header<'a> {
    messages: Vec<Message<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    kind: u16,
    shared: bool,
    data: &'a [u8],
}

/// Where the data of an array is.
#[derive(Clone, Debug)]
pub(super) enum Layout<'a> {
    /// In one piece.
    Here(&'a [u8]),
    /// In pieces.
    Chunks(Index),
}

impl<'a> Header<'a> {
    pub(super) fn read(file: &'a [u8], address: u64) -> Result<Self, String> {
        let start = usize::try_from(address).unwrap_or(usize::MAX);
        let mut cursor = Cursor::new(file, start);
        let mut reading = Reading { file, messages: Vec::new(), read: 0, second: false, ordered: false };
        let first = if cursor.rest().starts_with(b"OHDR") {
            cursor.take(4, "a signature")?;
            let [version, flags] = cursor.array("the version and flags of a header")?;
            if version != 2 {
                return Err(format!("found version {version} of an object header, expected 2"));
            }
            let skipped = if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 };
            cursor.take(skipped, "times and limits")?;
            (reading.second, reading.ordered) = (true, flags & 4 != 0);
            sized(&mut cursor, flags & 3, "the length of a header")?
        } else {
            let version = cursor.u8("the version of a header")?;
            if version != 1 {
                return Err(format!("found no object header at byte {address}"));
            }
            cursor.take(7, "counts")?;
            let length = u64::from(cursor.u32("the length of a header")?);
            cursor.take(4, "padding")?;
            length
        };
        let mut blocks = vec![slice(file, cursor.at() as u64, first, "an object header")?];
        while let Some(block) = blocks.pop() {
            // An honest header has each of its bytes once.
            reading.read += block.len() + 16;
            if reading.read > file.len() + 16 {
                return Err("found an object header that contains itself".to_owned());
            }
            reading.block(block, &mut blocks)?;
        }
        Ok(Self { messages: reading.messages })
    }

    /// The first message of a kind.
    fn first(&self, kind: u16) -> Option<&Message<'a>> {
        self.messages.iter().find(|message| message.kind == kind)
    }

    fn required(&self, kind: u16, what: &str) -> Result<&'a [u8], String> {
        let message = self.first(kind).ok_or_else(|| format!("found no {what}"))?;
        if message.shared {
            return Err(format!("found a {what} that is stored elsewhere, expected one of its own"));
        }
        Ok(message.data)
    }

    pub(super) fn is_group(&self) -> bool {
        [message::SYMBOL_TABLE, message::LINK_INFO, message::LINK]
            .iter()
            .any(|&kind| self.first(kind).is_some())
    }

    /// The addresses of the tree and of the heap of names of a group that is a symbol table.
    pub(super) fn symbol_table(&self) -> Result<Option<[u64; 2]>, String> {
        let Some(message) = self.first(message::SYMBOL_TABLE) else { return Ok(None) };
        let mut cursor = Cursor::new(message.data, 0);
        Ok(Some([cursor.u64("the address of a tree")?, cursor.u64("the address of a heap")?]))
    }

    /// The links in the header itself.
    pub(super) fn links(&self) -> impl Iterator<Item = &'a [u8]> {
        self.messages.iter().filter(|message| message.kind == message::LINK).map(|message| message.data)
    }

    /// Whether there are links in a fractal heap.
    pub(super) fn has_dense_links(&self) -> Result<bool, String> {
        let Some(message) = self.first(message::LINK_INFO) else { return Ok(false) };
        let mut cursor = Cursor::new(message.data, 0);
        let [_, flags] = cursor.array("information on links")?;
        cursor.take(if flags & 1 != 0 { 8 } else { 0 }, "an index")?;
        Ok(cursor.u64("the address of a heap")? != UNDEFINED)
    }

    pub(super) fn shape(&self) -> Result<Vec<usize>, String> {
        dataspace(self.required(message::DATASPACE, "dataspace")?)
    }

    pub(super) fn datatype(&self) -> Result<Datatype, String> {
        Datatype::parse(&mut Cursor::new(self.required(message::DATATYPE, "datatype")?, 0))
    }

    pub(super) fn filters(&self) -> Result<Vec<Filter>, String> {
        self.first(message::FILTERS).map_or(Ok(Vec::new()), |message| filters(message.data))
    }

    pub(super) fn layout(&self, file: &'a [u8]) -> Result<Layout<'a>, String> {
        let mut cursor = Cursor::new(self.required(message::LAYOUT, "layout of data")?, 0);
        let [version, class] = cursor.array("a layout")?;
        match (version, class) {
            (3..=5, 0) => {
                let length = usize::from(cursor.u16("a length")?);
                cursor.take(length, "compact data").map(Layout::Here)
            }
            (3..=5, 1) => {
                let (address, length) = (cursor.u64("an address")?, cursor.u64("a length")?);
                // Data that nobody wrote has no place.
                let length = if address == UNDEFINED { 0 } else { length };
                let address = if address == UNDEFINED { 0 } else { address };
                slice(file, address, length, "data").map(Layout::Here)
            }
            (3, 2) => Index::parse(&mut cursor).map(Layout::Chunks),
            (4 | 5, 2) => Index::parse_latest(&mut cursor).map(Layout::Chunks),
            _ => Err(format!("found layout {class} of version {version}, expected 0 to 2 of version 3 to 5")),
        }
    }

    pub(super) fn attribute(&self, file: &'a [u8], name: &str) -> Result<Option<Array<'a>>, String> {
        for message in self.messages.iter().filter(|message| message.kind == message::ATTRIBUTE) {
            let (found, parts) = attribute_parts(message.data)?;
            if found == name.as_bytes() {
                return attribute_value(file, parts)
                    .map(Some)
                    .map_err(|message| format!("attribute `{name}`: {message}"));
            }
        }
        Ok(None)
    }
}

/// An object header on its way in.
struct Reading<'a> {
    file: &'a [u8],
    messages: Vec<Message<'a>>,
    read: usize,
    /// Whether it is of the second version.
    second: bool,
    /// Whether messages have numbers.
    ordered: bool,
}

impl<'a> Reading<'a> {
    /// The messages of a block, and the blocks that follow it.
    fn block(&mut self, block: &'a [u8], blocks: &mut Vec<&'a [u8]>) -> Result<(), String> {
        let mut cursor = Cursor::new(block, 0);
        let head = if self.second { 4 + if self.ordered { 2 } else { 0 } } else { 8 };
        while cursor.rest().len() >= head {
            let (kind, length, flags);
            if self.second {
                kind = u16::from(cursor.u8("a message")?);
                length = cursor.u16("a message")?;
                flags = cursor.u8("a message")?;
                cursor.take(head - 4, "a number")?;
            } else {
                kind = cursor.u16("a message")?;
                length = cursor.u16("a message")?;
                flags = cursor.u8("a message")?;
                cursor.take(3, "padding")?;
            }
            let data = cursor.take(length.into(), "a message of an object header")?;
            if kind == message::CONTINUATION {
                blocks.push(self.continued(data)?);
            } else if kind != 0 {
                self.messages.push(Message { kind, shared: flags & 2 != 0, data });
            }
        }
        Ok(())
    }

    fn continued(&self, data: &[u8]) -> Result<&'a [u8], String> {
        let mut cursor = Cursor::new(data, 0);
        let (address, length) = (cursor.u64("an address")?, cursor.u64("a length")?);
        let block = slice(self.file, address, length, "an object header")?;
        if !self.second {
            return Ok(block);
        }
        let inside = block.strip_prefix(b"OCHK").and_then(|block| block.split_last_chunk::<4>());
        inside.map(|(block, _)| block).ok_or_else(|| format!("found no object header at byte {address}"))
    }
}

/// A number of 1, 2, 4 or 8 bytes.
pub(super) fn sized(cursor: &mut Cursor<'_>, log: u8, what: &str) -> Result<u64, String> {
    unsigned(cursor.take(1 << log, what)?)
}

/// A number of up to 8 bytes.
pub(super) fn unsigned(bytes: &[u8]) -> Result<u64, String> {
    let mut wide = [0; 8];
    let place =
        wide.get_mut(..bytes.len()).ok_or_else(|| format!("found a number of {} bytes", bytes.len()))?;
    place.copy_from_slice(bytes);
    Ok(u64::from_le_bytes(wide))
}

/// The extents of axes.
fn dataspace(data: &[u8]) -> Result<Vec<usize>, String> {
    let mut cursor = Cursor::new(data, 0);
    let [version, rank, _flags] = cursor.array("a dataspace")?;
    match version {
        1 => cursor.take(5, "padding").map(|_| ())?,
        2 => {
            if cursor.u8("the type of a dataspace")? == 2 {
                return Ok(vec![0]);
            }
        }
        _ => return Err(format!("found version {version} of a dataspace, expected 1 or 2")),
    }
    if rank > MAX_RANK {
        return Err(format!("found {rank} axes, expected at most {MAX_RANK}"));
    }
    (0..rank)
        .map(|_| {
            let extent = cursor.u64("an extent")?;
            usize::try_from(extent).map_err(|_| format!("found an extent of {extent}"))
        })
        .collect()
}

/// Name, type, shape and value of an attribute.
fn attribute_parts(data: &[u8]) -> Result<(&[u8], [&[u8]; 3]), String> {
    let mut cursor = Cursor::new(data, 0);
    let [version, _] = cursor.array("an attribute")?;
    let mut length = || cursor.u16("the length of an attribute").map(usize::from);
    let lengths = [length()?, length()?, length()?];
    match version {
        1 | 2 => {}
        3 => cursor.take(1, "an encoding").map(|_| ())?,
        _ => return Err(format!("found version {version} of an attribute, expected 1 to 3")),
    }
    let mut part = |length: usize| {
        let part = cursor.take(length, "an attribute")?;
        if version == 1 {
            cursor.take(length.next_multiple_of(8) - length, "padding")?;
        }
        Ok::<_, String>(part)
    };
    let [name, datatype, shape] = [part(lengths[0])?, part(lengths[1])?, part(lengths[2])?];
    let name = name.split(|&byte| byte == 0).next().unwrap_or_default();
    Ok((name, [datatype, shape, cursor.rest()]))
}

fn attribute_value<'a>(file: &'a [u8], [datatype, shape, value]: [&'a [u8]; 3]) -> Result<Array<'a>, String> {
    let datatype = Datatype::parse(&mut Cursor::new(datatype, 0))?;
    let shape = dataspace(shape)?;
    let count = shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
    let size = count.and_then(|count| count.checked_mul(datatype.size)).filter(|&size| size <= value.len());
    let size = size.ok_or_else(|| format!("found {} bytes for the shape {shape:?}", value.len()))?;
    Ok(Array::new(file, shape, datatype, value.into(), size))
}
