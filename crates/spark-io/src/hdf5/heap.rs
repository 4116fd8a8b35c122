//! The global heap, where entries of variable length are.

use super::slice;
use crate::cursor::Cursor;

/// A collection of the heap: the objects in it by their numbers, in rising order.
#[derive(Clone, Debug, Default)]
pub(super) struct Collection<'a> {
    address: u64,
    objects: Vec<(u16, &'a [u8])>,
}

impl<'a> Collection<'a> {
    /// The object `number` of the collection at `address`; that collection is kept for the next call.
    pub(super) fn object(&mut self, file: &'a [u8], address: u64, number: u32) -> Result<&'a [u8], String> {
        // No collection is at the beginning of the file, where `Default` says that it is.
        if self.address != address || self.address == 0 {
            *self = Self { address: 0, objects: Vec::new() };
            *self = Self::read(file, address)?;
        }
        let number = u16::try_from(number).ok();
        let place = number.and_then(|n| self.objects.binary_search_by_key(&n, |&(n, _)| n).ok());
        let place = place.ok_or_else(|| format!("found no such object in the heap at byte {address}"))?;
        Ok(self.objects[place].1)
    }

    fn read(file: &'a [u8], address: u64) -> Result<Self, String> {
        let head = slice(file, address, 16, "a global heap")?;
        if !head.starts_with(b"GCOL\x01") {
            return Err(format!("found no global heap at byte {address}"));
        }
        let length = Cursor::new(head, 8).u64("a length")?;
        let mut cursor = Cursor::new(slice(file, address, length, "a global heap")?, 16);
        let mut objects = Vec::new();
        while cursor.rest().len() >= 16 && objects.len() < usize::from(u16::MAX) {
            let number = cursor.u16("an object")?;
            if number == 0 {
                break;
            }
            cursor.take(6, "an object")?;
            let length = usize::try_from(cursor.u64("a length")?).unwrap_or(usize::MAX);
            objects.push((number, cursor.take(length, "an object of the heap")?));
            let padding = length.next_multiple_of(8) - length;
            cursor.take(padding.min(cursor.rest().len()), "padding")?;
        }
        objects.sort_by_key(|&(number, _)| number);
        Ok(Self { address, objects })
    }
}
