//! Arrays that are stored in pieces.

use std::collections::HashSet;

use super::filters::{Filter, can_unpack, unpack};
use super::header::{sized, unsigned};
use super::{UNDEFINED, slice};
use crate::cursor::Cursor;

/// Packed arrays unpack to at most this many bytes.
const LIMIT: usize = 2 << 30;

/// Where the chunks of an array are found.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// Extents of a chunk, and the size of an entry behind them.
    extents: Vec<usize>,
    kind: Kind,
    address: u64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tree,
    /// One chunk, of so many bytes where filters were applied, with the mask of those that were left out.
    Single(Option<(u64, u32)>),
}

/// A chunk in the file.
#[derive(Clone, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) stored: &'a [u8],
    mask: u32,
    /// Where its first entry belongs; as long as the shape.
    start: Vec<usize>,
}

impl Index {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let rank = cursor.u8("a number of axes")?;
        let address = cursor.u64("the address of chunks")?;
        let extents = (0..rank).map(|_| cursor.length("the extent of a chunk")).collect::<Result<_, _>>()?;
        Ok(Self { extents, kind: Kind::Tree, address })
    }

    /// As the latest versions of the library write it, when they are asked to.
    pub(super) fn parse_latest(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        let [flags, rank, bytes] = cursor.array("a layout")?;
        let extents = (0..rank).map(|_| {
            let extent = unsigned(cursor.take(bytes.into(), "the extent of a chunk")?)?;
            usize::try_from(extent).map_err(|_| format!("found a chunk of extent {extent}"))
        });
        let extents = extents.collect::<Result<_, _>>()?;
        let kind = match cursor.u8("the kind of an index")? {
            1 if flags & 2 != 0 => {
                Kind::Single(Some((sized(cursor, 3, "a length")?, cursor.u32("a mask of filters")?)))
            }
            1 => Kind::Single(None),
            other => {
                return Err(format!(
                    "found index {other} of chunks, as in files for the latest versions of HDF5 alone, \
                     expected a tree or one chunk"
                ));
            }
        };
        Ok(Self { extents, kind, address: cursor.u64("the address of chunks")? })
    }

    /// Extents of a chunk and the size of an entry.
    fn parts(&self, rank: usize) -> Result<(&[usize], usize), String> {
        let (size, extents) = self.extents.split_last().ok_or("found chunks without a shape")?;
        if extents.len() != rank || extents.contains(&0) {
            return Err(format!("found chunks of shape {extents:?} for {rank} axes"));
        }
        Ok((extents, *size))
    }

    fn bytes(&self) -> Result<usize, String> {
        let bytes = self.extents.iter().try_fold(1usize, |bytes, &extent| bytes.checked_mul(extent));
        bytes.ok_or_else(|| format!("found chunks of shape {:?}", self.extents))
    }

    /// All chunks of an array of `rank` axes; together they take no more than the file.
    pub(super) fn find<'a>(&self, file: &'a [u8], rank: usize) -> Result<Vec<Chunk<'a>>, String> {
        self.parts(rank)?;
        if self.address == UNDEFINED {
            return Ok(Vec::new());
        }
        let bytes = self.bytes()? as u64;
        let single = |length, mask| {
            let stored = slice(file, self.address, length, "a chunk")?;
            Ok(vec![Chunk { stored, mask, start: vec![0; rank] }])
        };
        match self.kind {
            Kind::Single(Some((length, mask))) => single(length, mask),
            Kind::Single(None) => single(bytes, 0),
            Kind::Tree => {
                let mut walk = Walk { file, rank, seen: HashSet::new(), chunks: Vec::new(), stored: 0 };
                walk.node(self.address, None)?;
                Ok(walk.chunks)
            }
        }
    }
}

struct Walk<'a> {
    file: &'a [u8],
    rank: usize,
    seen: HashSet<u64>,
    chunks: Vec<Chunk<'a>>,
    stored: usize,
}

impl Walk<'_> {
    fn node(&mut self, address: u64, level: Option<u8>) -> Result<(), String> {
        if !self.seen.insert(address) {
            return Err("found a tree of chunks that contains itself".to_owned());
        }
        let mut cursor = Cursor::new(self.file, usize::try_from(address).unwrap_or(usize::MAX));
        let (signature, [kind, found]) = (cursor.array::<4>("a tree")?, cursor.array("a tree")?);
        if signature != *b"TREE" || kind != 1 || level.is_some_and(|level| level != found) {
            return Err(format!("found no tree of chunks at byte {address}"));
        }
        let count = cursor.u16("a number of branches")?;
        cursor.take(16, "neighbours")?;
        for _ in 0..count {
            let (length, mask) = (cursor.u32("a length")?, cursor.u32("a mask of filters")?);
            let mut start = Vec::with_capacity(self.rank);
            for _ in 0..self.rank {
                let place = cursor.u64("a place")?;
                start.push(usize::try_from(place).map_err(|_| format!("found a chunk at {place}"))?);
            }
            cursor.u64("a place")?;
            let child = cursor.u64("a branch")?;
            if found > 0 {
                self.node(child, Some(found - 1))?;
                continue;
            }
            let stored = slice(self.file, child, length.into(), "a chunk")?;
            self.stored += stored.len();
            // Entries of trees that overlap could name more than there is.
            if self.stored > self.file.len() || self.chunks.len() > self.file.len() / 32 {
                return Err("found more chunks than the file has room for".to_owned());
            }
            self.chunks.push(Chunk { stored, mask, start });
        }
        Ok(())
    }
}

/// The entries of an array of `shape`, of `size` bytes each, out of their chunks.
pub(super) fn assemble(
    file: &[u8],
    index: &Index,
    filters: &[Filter],
    shape: &[usize],
    size: usize,
) -> Result<Vec<u8>, String> {
    let (extents, stored_size) = index.parts(shape.len())?;
    if stored_size != size {
        return Err(format!("found chunks of entries of {stored_size} bytes, expected {size}"));
    }
    let chunk_bytes = index.bytes()?;
    let total = shape.iter().try_fold(size, |total, &extent| total.checked_mul(extent));
    let total = total.filter(|&total| total <= LIMIT);
    let total = total.ok_or_else(|| format!("found the shape {shape:?}, expected at most {LIMIT} bytes"))?;
    let chunks = index.find(file, shape.len())?;
    if let Some(chunk) = chunks.iter().find(|chunk| !can_unpack(filters, chunk.stored.len(), chunk_bytes)) {
        return Err(format!("found a chunk of {} bytes, expected {chunk_bytes}", chunk.stored.len()));
    }
    // Each piece of the array has its chunk: what is not written would have to be made up.
    let needed = shape.iter().zip(extents).map(|(&extent, &chunk)| extent.div_ceil(chunk)).product::<usize>();
    if chunks.len() != needed {
        return Err(format!("found {} chunks, expected {needed} for the shape {shape:?}", chunks.len()));
    }
    let mut data = vec![0; total];
    for chunk in &chunks {
        let unpacked = unpack(chunk.stored, filters, chunk.mask, chunk_bytes, size)?;
        place(&mut data, &unpacked, shape, extents, &chunk.start, size)?;
    }
    Ok(data)
}

/// Copies the part of a chunk that lies inside the array, row by row.
fn place(
    data: &mut [u8],
    chunk: &[u8],
    shape: &[usize],
    extents: &[usize],
    start: &[usize],
    size: usize,
) -> Result<(), String> {
    if start.iter().zip(shape).any(|(start, extent)| start >= extent) {
        return Err(format!("found a chunk at {start:?} for the shape {shape:?}"));
    }
    let Some(last) = shape.len().checked_sub(1) else {
        data.copy_from_slice(&chunk[..size]);
        return Ok(());
    };
    let width = |axis: usize| extents[axis].min(shape[axis] - start[axis]);
    let rows: usize = (0..last).map(width).product();
    let row = width(last) * size;
    for index in 0..rows {
        let (mut rest, mut from, mut to) = (index, 0, 0);
        let (mut from_stride, mut to_stride) = (extents[last], shape[last]);
        for axis in (0..last).rev() {
            let along = rest % width(axis);
            rest /= width(axis);
            from += along * from_stride;
            to += (start[axis] + along) * to_stride;
            from_stride *= extents[axis];
            to_stride *= shape[axis];
        }
        let (from, to) = (from * size, (to + start[last]) * size);
        data[to..to + row].copy_from_slice(&chunk[from..from + row]);
    }
    Ok(())
}
