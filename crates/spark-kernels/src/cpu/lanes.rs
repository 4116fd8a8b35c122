//! Parameters of one value or one per unit, in pieces that vector loops can run over.

use std::borrow::Cow;

/// Units that go through a step together: their state stays in the first-level cache.
pub(crate) const LANES: usize = 256;

/// A parameter: a row of units, or one value repeated as often as a block is wide.
pub(crate) struct Lane<'a> {
    values: Cow<'a, [f32]>,
    /// Whether all units share one value.
    pub shared: bool,
}

impl<'a> Lane<'a> {
    pub fn new(values: Cow<'a, [f32]>) -> Self {
        match values[..] {
            [value] => Self { values: vec![value; LANES].into(), shared: true },
            _ => Self { values, shared: false },
        }
    }

    /// The number of entries, of a parameter that is not shared.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The entry of one unit.
    #[inline(always)]
    pub fn at(&self, unit: usize) -> f32 {
        if self.shared { self.values[0] } else { self.values[unit] }
    }

    /// The entries of `length` units from `start` on, at most [`LANES`].
    pub fn block(&self, start: usize, length: usize) -> &[f32] {
        let start = if self.shared { 0 } else { start };
        &self.values[start..start + length]
    }
}

/// Cuts entries `start..start + length`, of rows `width` wide, into blocks within a row: calls `each` with
/// the unit that a block starts with and the range of the block, counted from `start`.
pub(crate) fn blocks(
    start: usize,
    length: usize,
    width: usize,
    mut each: impl FnMut(usize, std::ops::Range<usize>),
) {
    let mut from = 0;
    while from < length {
        let unit = (start + from) % width;
        let count = LANES.min(width - unit).min(length - from);
        each(unit, from..from + count);
        from += count;
    }
}
