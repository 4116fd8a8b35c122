//! Zip archives, as NumPy and PyTorch write them: entries that are stored or deflated.
//!
//! Source: PKWARE, *.ZIP File Format Specification* (APPNOTE 6.3.10). Archives over 4 GiB (zip64), encrypted
//! entries and archives in several parts are refused.

use flate2::Crc;
use flate2::read::DeflateDecoder;
use std::borrow::Cow;
use std::io::{self, Read, Write};

use crate::cursor::Cursor;

/// What the record at the end of an archive starts with, and its length without a comment.
const END: (&[u8], usize) = (b"PK\x05\x06", 22);
/// What an entry of the directory starts with.
const DIRECTORY: &[u8] = b"PK\x01\x02";
/// What an entry itself starts with.
const LOCAL: &[u8] = b"PK\x03\x04";
/// The longest comment at the end of an archive.
const COMMENT: usize = u16::MAX as usize;

/// The directory of an archive, sorted by name.
#[derive(Clone, Debug)]
pub(crate) struct Zip<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry<'a>>,
}

/// An entry of the directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    deflated: bool,
    crc: u32,
    packed: usize,
    unpacked: usize,
    offset: usize,
}

impl<'a> Zip<'a> {
    /// Reads the directory.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let missing = "found no directory of a zip archive: truncated, corrupt or another format";
        let end = find_end(bytes).ok_or(missing)?;
        let mut cursor = Cursor::new(bytes, end + 4);
        let parts = [cursor.u16("part")?, cursor.u16("part")?];
        let (here, count) = (cursor.u16("count")?, cursor.u16("count")?);
        let (size, offset) = (cursor.length("size")?, cursor.length("offset")?);
        if count == u16::MAX || offset == u32::MAX as usize {
            return Err("found a zip64 archive, which is for more than 4 GiB or 65,534 entries; expected a \
                        smaller one"
                .to_owned());
        }
        if parts != [0, 0] || here != count {
            return Err("found a part of a zip archive, expected a whole one".to_owned());
        }
        if offset.checked_add(size).is_none_or(|directory_end| directory_end > end) {
            return Err(format!("byte {end}: found a directory that reaches past the end of the archive"));
        }
        let mut cursor = Cursor::new(bytes, offset);
        let mut entries = Vec::with_capacity(usize::from(count).min(size / 46));
        for _ in 0..count {
            entries.push(entry(&mut cursor)?);
        }
        entries.sort_by_key(|entry| entry.name);
        match entries.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(format!("found two entries `{}`", pair[0].name)),
            None => Ok(Self { bytes, entries }),
        }
    }

    /// All entries, sorted by name.
    pub(crate) fn entries(&self) -> &[Entry<'a>] {
        &self.entries
    }

    /// The entry `name`.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry<'a>> {
        self.entries.binary_search_by_key(&name, |entry| entry.name).ok().map(|index| &self.entries[index])
    }

    /// The contents of an entry that is stored as it is.
    pub(crate) fn stored(&self, entry: &Entry<'a>) -> Result<&'a [u8], String> {
        if entry.deflated {
            return Err(format!("entry `{}`: found packed bytes, expected stored ones", entry.name));
        }
        let bytes = self.packed(entry)?;
        entry.check(bytes)?;
        Ok(bytes)
    }

    /// The contents of an entry, of which there may be `limit` bytes.
    pub(crate) fn read(&self, entry: &Entry<'a>, limit: usize) -> Result<Cow<'a, [u8]>, String> {
        if !entry.deflated {
            return self.stored(entry).map(Cow::Borrowed);
        }
        if entry.unpacked > limit {
            return Err(format!(
                "entry `{}` unpacks to {} bytes, expected at most {limit}",
                entry.name, entry.unpacked
            ));
        }
        let mut unpacked = Vec::new();
        DeflateDecoder::new(self.packed(entry)?)
            .take(entry.unpacked as u64 + 1)
            .read_to_end(&mut unpacked)
            .map_err(|error| format!("entry `{}`: corrupt packed bytes: {error}", entry.name))?;
        entry.check(&unpacked)?;
        Ok(Cow::Owned(unpacked))
    }

    /// The bytes of an entry as they lie in the archive.
    fn packed(&self, entry: &Entry<'a>) -> Result<&'a [u8], String> {
        let place = |message: String| format!("entry `{}`: {message}", entry.name);
        let mut cursor = Cursor::new(self.bytes, entry.offset);
        let signature = cursor.take(4, "an entry").map_err(place)?;
        if signature != LOCAL {
            return Err(place(format!("byte {}: found no entry there", entry.offset)));
        }
        cursor.take(22, "an entry").map_err(place)?;
        let (name, extra) = (cursor.u16("length").map_err(place)?, cursor.u16("length").map_err(place)?);
        cursor.take(usize::from(name) + usize::from(extra), "name").map_err(place)?;
        cursor.take(entry.packed, "contents").map_err(place)
    }
}

impl Entry<'_> {
    fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let mut crc = Crc::new();
        crc.update(bytes);
        if bytes.len() == self.unpacked && crc.sum() == self.crc {
            return Ok(());
        }
        Err(format!("entry `{}`: its length or check sum is wrong: corrupt", self.name))
    }
}

/// Where the last record begins: the last place that has its mark and a comment up to the end.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let latest = bytes.len().checked_sub(END.1)?;
    (latest.saturating_sub(COMMENT)..=latest).rev().find(|&at| {
        bytes[at..].starts_with(END.0)
            && usize::from(u16::from_le_bytes([bytes[at + 20], bytes[at + 21]])) == latest - at
    })
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>, String> {
    let at = cursor.at();
    if cursor.take(4, "the directory")? != DIRECTORY {
        return Err(format!("byte {at}: found no entry of the directory of a zip archive"));
    }
    cursor.take(4, "the directory")?;
    let (flags, method) = (cursor.u16("flags")?, cursor.u16("method")?);
    cursor.take(4, "the directory")?;
    let crc = cursor.u32("check sum")?;
    let (packed, unpacked) = (cursor.length("length")?, cursor.length("length")?);
    let (name, extra, comment) = (cursor.u16("length")?, cursor.u16("length")?, cursor.u16("length")?);
    cursor.take(8, "the directory")?;
    let offset = cursor.length("offset")?;
    let name = str::from_utf8(cursor.take(usize::from(name), "name")?)
        .map_err(|_| format!("byte {at}: found a name that is not UTF-8"))?;
    cursor.take(usize::from(extra) + usize::from(comment), "the directory")?;
    if flags & 1 != 0 || !matches!(method, 0 | 8) {
        return Err(format!("entry `{name}` is encrypted or packed by method {method}, expected 0 or 8"));
    }
    Ok(Entry { name, deflated: method == 8, crc, packed, unpacked, offset })
}

/// Writes an archive whose entries are stored as they are.
pub(crate) struct ZipWriter<W> {
    to: W,
    directory: Vec<u8>,
    offset: usize,
    count: usize,
}

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(to: W) -> Self {
        Self { to, directory: Vec::new(), offset: 0, count: 0 }
    }

    /// Adds an entry that is made of these parts.
    pub(crate) fn entry(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.packed_entry(name, 0, checked(parts), parts)
    }

    /// Adds an entry whose parts are packed by a method from contents of a check sum and length.
    fn packed_entry(
        &mut self,
        name: &str,
        method: u8,
        (crc, unpacked): (u32, usize),
        parts: &[&[u8]],
    ) -> io::Result<()> {
        let packed: usize = parts.iter().map(|part| part.len()).sum();
        let offset = length(self.offset)?.to_le_bytes();
        // The flag says that names are UTF-8.
        let mut common = [&[20, 0, 0, 8][..], &[method, 0], &[0; 4], &crc.to_le_bytes()].concat();
        for number in [packed, unpacked] {
            common.extend(length(number)?.to_le_bytes());
        }
        let name_length = u16::try_from(name.len()).map_err(|_| too_large())?;
        common.extend(name_length.to_le_bytes());
        common.extend([0; 2]);
        for part in [LOCAL, &common, name.as_bytes()].iter().chain(parts) {
            self.to.write_all(part)?;
            self.offset += part.len();
        }
        self.directory.extend([DIRECTORY, &[20, 0], &common, &[0; 10], &offset, name.as_bytes()].concat());
        self.count += 1;
        Ok(())
    }

    /// Writes the directory.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        let count = u16::try_from(self.count).ok().filter(|count| *count < u16::MAX).ok_or_else(too_large)?;
        let (count, size) = (count.to_le_bytes(), length(self.directory.len())?.to_le_bytes());
        let offset = length(self.offset)?.to_le_bytes();
        let end = [END.0, &[0; 4], &count, &count, &size, &offset, &[0; 2]].concat();
        self.to.write_all(&self.directory)?;
        self.to.write_all(&end)?;
        Ok(self.to)
    }
}

/// Check sum and length of an entry.
fn checked(parts: &[&[u8]]) -> (u32, usize) {
    let mut crc = Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    (crc.sum(), parts.iter().map(|part| part.len()).sum())
}

fn length(bytes: usize) -> io::Result<u32> {
    u32::try_from(bytes).ok().filter(|bytes| *bytes < u32::MAX).ok_or_else(too_large)
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "a zip archive holds at most 4 GiB and 65,534 entries")
}

/// An archive of the given entries, each stored or deflated; for tests of what reads archives.
#[cfg(test)]
pub(crate) fn archive(entries: &[(&str, &[u8], bool)]) -> Vec<u8> {
    use flate2::{Compression, write::DeflateEncoder};

    let mut archive = ZipWriter::new(Vec::new());
    for &(name, contents, deflate) in entries {
        if !deflate {
            archive.entry(name, &[contents]).unwrap();
            continue;
        }
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(contents).unwrap();
        let packed = encoder.finish().unwrap();
        archive.packed_entry(name, 8, checked(&[contents]), &[&packed]).unwrap();
    }
    archive.finish().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Vec<u8> {
        archive(&[("b/data.pkl", b"some text", false), ("a", &[7; 1000], true)])
    }

    #[test]
    fn stored_and_deflated_entries_are_read_by_name() {
        let bytes = sample();
        let zip = Zip::parse(&bytes).unwrap();
        let names: Vec<_> = zip.entries().iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a", "b/data.pkl"]);
        let (text, packed) = (zip.entry("b/data.pkl").unwrap(), zip.entry("a").unwrap());
        assert_eq!(zip.stored(text).unwrap(), b"some text");
        assert_eq!(*zip.read(packed, 1000).unwrap(), [7; 1000]);
        assert!(zip.read(packed, 999).unwrap_err().contains("unpacks to 1000 bytes, expected at most 999"));
        assert!(zip.stored(packed).unwrap_err().contains("expected stored"));
        assert!(zip.entry("c").is_none());
    }

    #[test]
    fn damage_is_explained() {
        let good = sample();
        for length in 0..good.len() {
            assert!(Zip::parse(&good[..length]).is_err(), "{length}");
        }
        let mut bytes = good.clone();
        let text = bytes.windows(4).position(|part| part == b"some").unwrap();
        bytes[text] ^= 1;
        let zip = Zip::parse(&bytes).unwrap();
        assert!(zip.stored(zip.entry("b/data.pkl").unwrap()).unwrap_err().contains("check sum"));
        let twice = archive(&[("a", b"1", false), ("a", b"2", false)]);
        assert!(Zip::parse(&twice).unwrap_err().contains("two entries `a`"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn mutated_archives_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let mut bytes = sample();
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(zip) = Zip::parse(&bytes) {
                for entry in zip.entries() {
                    if let Ok(contents) = zip.read(entry, 1 << 20) {
                        prop_assert!(contents.len() <= 1 << 20);
                    }
                }
            }
        }
    }
}
