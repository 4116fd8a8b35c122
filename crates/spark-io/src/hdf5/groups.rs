//! The links of groups.

use std::collections::HashSet;

use super::header::{Header, sized};
use super::{UNDEFINED, slice};
use crate::cursor::Cursor;

/// A node of a tree of links is one of a leaf.
const TO_LEAVES: u8 = 0;

/// Bytes of an entry of a symbol table.
const ENTRY: usize = 40;

/// The names in a group, and the addresses that they lead to.
pub(super) fn links<'a>(file: &'a [u8], header: &Header<'a>) -> Result<Vec<(&'a str, u64)>, String> {
    if header.has_dense_links()? {
        return Err(
            "found links in a fractal heap, expected them in a symbol table or in the header".to_owned()
        );
    }
    let mut links = Vec::new();
    for message in header.links() {
        links.extend(link(message)?);
    }
    if let Some([tree, heap]) = header.symbol_table()? {
        let names = names(file, heap)?;
        let mut walk = Walk { file, names, seen: HashSet::new(), links: &mut links };
        walk.node(tree, None)?;
    }
    Ok(links)
}

/// A link in a header; `None` when it leads to a name or to another file.
fn link(message: &[u8]) -> Result<Option<(&str, u64)>, String> {
    let mut cursor = Cursor::new(message, 0);
    let [version, flags] = cursor.array("a link")?;
    if version != 1 {
        return Err(format!("found version {version} of a link, expected 1"));
    }
    let kind = if flags & 8 != 0 { cursor.u8("the kind of a link")? } else { 0 };
    cursor.take(if flags & 4 != 0 { 8 } else { 0 }, "the number of a link")?;
    cursor.take(if flags & 16 != 0 { 1 } else { 0 }, "an encoding")?;
    let length = sized(&mut cursor, flags & 3, "the length of a name")?;
    let name = cursor.take(usize::try_from(length).unwrap_or(usize::MAX), "a name")?;
    if kind != 0 {
        return Ok(None);
    }
    Ok(Some((text(name)?, cursor.u64("an address")?)))
}

fn text(name: &[u8]) -> Result<&str, String> {
    str::from_utf8(name).map_err(|_| format!("found the name {:?}", String::from_utf8_lossy(name)))
}

/// The data of a heap of names.
fn names(file: &[u8], address: u64) -> Result<&[u8], String> {
    let mut cursor = Cursor::new(slice(file, address, 32, "a heap of names")?, 0);
    if cursor.take(4, "a signature")? != b"HEAP" {
        return Err(format!("found no heap of names at byte {address}"));
    }
    cursor.take(4, "a version")?;
    let length = cursor.u64("a length")?;
    cursor.u64("free space")?;
    slice(file, cursor.u64("an address")?, length, "names")
}

struct Walk<'w, 'a> {
    file: &'a [u8],
    names: &'a [u8],
    seen: HashSet<u64>,
    links: &'w mut Vec<(&'a str, u64)>,
}

impl Walk<'_, '_> {
    /// A node of the tree, whose level is known from its parent.
    fn node(&mut self, address: u64, level: Option<u8>) -> Result<(), String> {
        if !self.seen.insert(address) {
            return Err("found a tree of links that contains itself".to_owned());
        }
        let mut cursor = Cursor::new(self.file, usize::try_from(address).unwrap_or(usize::MAX));
        let (signature, [kind, found]) = (cursor.array::<4>("a tree")?, cursor.array("a tree")?);
        if signature != *b"TREE" || kind != 0 || level.is_some_and(|level| level != found) {
            return Err(format!("found no tree of links at byte {address}"));
        }
        let count = cursor.u16("a number of branches")?;
        cursor.take(16, "neighbours")?;
        for _ in 0..count {
            cursor.u64("a key")?;
            let child = cursor.u64("a branch")?;
            match found {
                TO_LEAVES => self.leaf(child)?,
                _ => self.node(child, Some(found - 1))?,
            }
        }
        Ok(())
    }

    fn leaf(&mut self, address: u64) -> Result<(), String> {
        if !self.seen.insert(address) {
            return Err("found a tree of links that contains itself".to_owned());
        }
        let mut cursor = Cursor::new(self.file, usize::try_from(address).unwrap_or(usize::MAX));
        if cursor.array::<6>("a symbol table")? != *b"SNOD\x01\0" {
            return Err(format!("found no symbol table at byte {address}"));
        }
        for _ in 0..cursor.u16("a number of links")? {
            let mut entry = Cursor::new(cursor.take(ENTRY, "a link")?, 0);
            let name = usize::try_from(entry.u64("a name")?).ok().and_then(|start| self.names.get(start..));
            let name = name.and_then(|names| names.split(|&byte| byte == 0).next());
            let name = text(name.ok_or("found a link without a name")?)?;
            let target = entry.u64("an address")?;
            // A link to a name has no address.
            if target != UNDEFINED {
                self.links.push((name, target));
            }
        }
        // Tables that overlap could hold more than the file does.
        if self.links.len() > self.file.len() / ENTRY {
            return Err("found more links than the file has room for".to_owned());
        }
        Ok(())
    }
}
