//! Tables of FlatBuffers, as far as AEDAT 4 needs them.
//!
//! Source: Google, *FlatBuffers internals*. A table begins with the distance back to a list of 16-bit places,
//! one for each field; strings and vectors lie where a distance forwards says, and begin with their length.

use crate::cursor::Cursor;

/// A table in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Table<'a> {
    /// The outermost table of a buffer whose length stands before it, when it is of the kind `identifier`.
    pub(super) fn root(bytes: &'a [u8], identifier: &[u8; 4]) -> Result<Option<Self>, String> {
        let mut cursor = Cursor::new(bytes, 0);
        let size = cursor.length("a FlatBuffer")?;
        let bytes = cursor.take(size, "a FlatBuffer")?;
        let mut cursor = Cursor::new(bytes, 0);
        let at = cursor.length("a FlatBuffer")?;
        Ok((cursor.take(4, "a FlatBuffer")? == identifier).then_some(Self { bytes, at }))
    }

    /// Where field `slot` lies, when the table has it.
    fn field(&self, slot: usize) -> Result<Option<usize>, String> {
        let wrong = || format!("byte {}: found a table that reaches outside its buffer", self.at);
        let distance = self.cursor(self.at)?.u32("a table")? as i32;
        let fields = usize::try_from(self.at as i64 - i64::from(distance)).map_err(|_| wrong())?;
        let mut cursor = self.cursor(fields)?;
        let size = usize::from(cursor.u16("a table")?);
        let entry = 4 + 2 * slot;
        if entry + 2 > size {
            return Ok(None);
        }
        let place = usize::from(self.cursor(fields + entry)?.u16("a table")?);
        Ok((place != 0).then_some(self.at + place))
    }

    /// A number of 32 bits; 0 where it is absent.
    pub(super) fn u32(&self, slot: usize) -> Result<u32, String> {
        self.field(slot)?.map_or(Ok(0), |at| self.cursor(at)?.u32("a field"))
    }

    /// A number of 64 bits; `default` where it is absent.
    pub(super) fn i64(&self, slot: usize, default: i64) -> Result<i64, String> {
        self.field(slot)?.map_or(Ok(default), |at| self.cursor(at)?.array("a field").map(i64::from_le_bytes))
    }

    /// A vector of things of `N` bytes each; an empty one where it is absent.
    pub(super) fn vector<const N: usize>(&self, slot: usize) -> Result<&'a [[u8; N]], String> {
        let Some(at) = self.field(slot)? else { return Ok(&[]) };
        let distance = self.cursor(at)?.length("a vector")?;
        let mut cursor = self.cursor(at + distance)?;
        let count = cursor.length("a vector")?;
        let size =
            count.checked_mul(N).ok_or_else(|| format!("byte {at}: found {count} things of {N} bytes"))?;
        Ok(cursor.take(size, "a vector")?.as_chunks().0)
    }

    fn cursor(&self, at: usize) -> Result<Cursor<'a>, String> {
        if at > self.bytes.len() {
            return Err(format!(
                "byte {at}: found a place after the end of a buffer of {}",
                self.bytes.len()
            ));
        }
        Ok(Cursor::new(self.bytes, at))
    }
}
