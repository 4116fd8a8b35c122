//! The entries of arrays.

use std::borrow::Cow;

use super::datatype::{Class, Datatype, Kind, Number};
use super::heap::Collection;
use crate::cursor::Cursor;

/// An array out of an HDF5 file, its numbers as they lie in the file.
#[derive(Clone, Debug)]
pub struct Array<'a> {
    file: &'a [u8],
    shape: Vec<usize>,
    datatype: Datatype,
    data: Cow<'a, [u8]>,
    size: usize,
}

impl<'a> Array<'a> {
    /// Of `data` the first `size` bytes.
    pub(super) fn new(
        file: &'a [u8],
        shape: Vec<usize>,
        datatype: Datatype,
        data: Cow<'a, [u8]>,
        size: usize,
    ) -> Self {
        Self { file, shape, datatype, data, size }
    }

    /// The extents of its axes; none for a single entry.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the entries are whole numbers.
    pub fn is_integer(&self) -> bool {
        self.number().is_ok_and(|number| number.kind != Kind::Float)
    }

    /// Whether the entries are numbers of so many bytes with a fraction.
    pub fn is_float(&self, bytes: usize) -> bool {
        self.number().is_ok_and(|number| number.kind == Kind::Float && number.size == bytes)
    }

    /// Whether the entries are strings.
    pub fn is_text(&self) -> bool {
        matches!(self.datatype.class, Class::Text | Class::FreeText)
    }

    /// The numbers in row-major order.
    ///
    /// # Errors
    /// A sentence, when the entries are not numbers.
    pub fn floats(&self) -> Result<Vec<f32>, String> {
        let number = self.number()?;
        Ok(self.entries().map(|bytes| number.double(bytes) as f32).collect())
    }

    /// The numbers in row-major order.
    ///
    /// # Errors
    /// A sentence, when the entries are not numbers.
    pub fn doubles(&self) -> Result<Vec<f64>, String> {
        let number = self.number()?;
        Ok(self.entries().map(|bytes| number.double(bytes)).collect())
    }

    /// The whole numbers in row-major order; those of 64 bits without sign wrap around.
    ///
    /// # Errors
    /// A sentence, when the entries are not whole numbers.
    pub fn integers(&self) -> Result<Vec<i64>, String> {
        let number = self.number()?;
        if number.kind == Kind::Float {
            return Err(format!("found {}, expected whole numbers", self.datatype.name()));
        }
        Ok(self.entries().map(|bytes| number.integer(bytes)).collect())
    }

    /// The strings in row-major order; together they are no longer than the file.
    ///
    /// # Errors
    /// A sentence, when the entries are not strings of UTF-8.
    pub fn strings(&self) -> Result<Vec<String>, String> {
        let mut heap = Collection::default();
        let mut length = 0;
        self.entries()
            .map(|bytes| {
                let text = match &self.datatype.class {
                    Class::Text => bytes,
                    Class::FreeText => referenced(&mut heap, self.file, bytes, 1)?,
                    _ => return Err(format!("found {}, expected strings", self.datatype.name())),
                };
                let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
                length += text.len();
                if length > self.file.len().max(self.data.len()) {
                    return Err("found more text than the file has room for".to_owned());
                }
                let text = str::from_utf8(text).map_err(|_| "found a string that is not UTF-8".to_owned())?;
                Ok(text.to_owned())
            })
            .collect()
    }

    /// The sequences of numbers that the entries are, one by one.
    ///
    /// # Errors
    /// A sentence, when the entries are not sequences of numbers.
    pub fn sequences(&self) -> Result<Sequences<'_, 'a>, String> {
        match self.datatype.class {
            Class::Sequence(number) => {
                Ok(Sequences { array: self, number, heap: Collection::default(), next: 0 })
            }
            _ => Err(format!("found {}, expected sequences of numbers", self.datatype.name())),
        }
    }

    fn number(&self) -> Result<Number, String> {
        match self.datatype.class {
            Class::Number(number) => Ok(number),
            _ => Err(format!("found {}, expected numbers", self.datatype.name())),
        }
    }

    fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.data[..self.size].chunks_exact(self.datatype.size)
    }
}

/// What an entry of `size` bytes per piece refers to in the global heap.
fn referenced<'a>(
    heap: &mut Collection<'a>,
    file: &'a [u8],
    entry: &[u8],
    size: usize,
) -> Result<&'a [u8], String> {
    let mut cursor = Cursor::new(entry, 0);
    let count = cursor.length("a count")?;
    let (address, number) = (cursor.u64("an address")?, cursor.u32("a number")?);
    if count == 0 {
        return Ok(&[]);
    }
    let object = heap.object(file, address, number)?;
    let length = count.checked_mul(size);
    length
        .and_then(|length| object.get(..length))
        .ok_or_else(|| format!("found {} bytes in the heap, expected {count} times {size}", object.len()))
}

/// The entries of an array of sequences; see [`Array::sequences`].
#[derive(Clone, Debug)]
pub struct Sequences<'s, 'a> {
    array: &'s Array<'a>,
    number: Number,
    heap: Collection<'a>,
    next: usize,
}

impl<'a> Sequences<'_, 'a> {
    /// The numbers of the next entry; `None` behind the last.
    pub fn next_doubles(&mut self) -> Option<Result<impl ExactSizeIterator<Item = f64> + use<'a>, String>> {
        let number = self.number;
        let bytes = self.next_bytes()?;
        Some(bytes.map(|bytes| bytes.chunks_exact(number.size).map(move |bytes| number.double(bytes))))
    }

    fn next_bytes(&mut self) -> Option<Result<&'a [u8], String>> {
        let array = self.array;
        let size = array.datatype.size;
        let entry = array.data[..array.size].get(self.next * size..(self.next + 1) * size)?;
        self.next += 1;
        Some(referenced(&mut self.heap, array.file, entry, self.number.size))
    }
}
