//! Bytes read from front to back, with the place in every error.

/// Where a reader is in the bytes of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At byte `at` of a file; the end of the file when there is no such byte.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at.min(bytes.len()) }
    }

    /// The number of bytes before this place.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The bytes that are left.
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next `count` bytes, which are `what`.
    pub(crate) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], String> {
        match self.rest().get(..count) {
            Some(bytes) => {
                self.at += count;
                Ok(bytes)
            }
            None => Err(format!(
                "byte {}: found {} more bytes, expected {count} of {what}: truncated or corrupt",
                self.at,
                self.rest().len()
            )),
        }
    }

    /// The next `N` bytes, which are `what`.
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N, what)?);
        Ok(array)
    }

    /// The next byte.
    pub(crate) fn u8(&mut self, what: &str) -> Result<u8, String> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    /// The next two bytes, little-endian.
    pub(crate) fn u16(&mut self, what: &str) -> Result<u16, String> {
        self.array(what).map(u16::from_le_bytes)
    }

    /// The next four bytes, little-endian.
    pub(crate) fn u32(&mut self, what: &str) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// The next eight bytes, little-endian.
    pub(crate) fn u64(&mut self, what: &str) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// The next four bytes, little-endian, as a length.
    pub(crate) fn length(&mut self, what: &str) -> Result<usize, String> {
        self.u32(what).map(|length| length as usize)
    }
}

/// A number of up to eight bytes, widened with zeros.
pub(crate) fn bits(bytes: &[u8], big_endian: bool) -> u64 {
    let mut wide = [0; 8];
    let used = &mut wide[..bytes.len()];
    used.copy_from_slice(bytes);
    if big_endian {
        used.reverse();
    }
    u64::from_le_bytes(wide)
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn what_is_not_there_is_an_error_with_its_place() {
        let mut cursor = Cursor::new(&[1, 2, 3, 4, 5, 6], 0);
        assert_eq!((cursor.u16("a"), cursor.at()), (Ok(0x0201), 2));
        let error = cursor.take(9, "a picture").unwrap_err();
        assert!(error.starts_with("byte 2: found 4 more bytes, expected 9 of a picture"), "{error}");
        assert_eq!((cursor.u32("b"), cursor.rest()), (Ok(0x0605_0403), &[][..]));
        assert!(cursor.u8("c").is_err());
    }
}
