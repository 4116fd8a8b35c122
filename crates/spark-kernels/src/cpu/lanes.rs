//! Parameters of one value or one per unit, in pieces that vector loops can run over.

use std::borrow::Cow;
use std::cell::Cell;
use std::slice::ChunksExactMut;

/// Units that go through a step together: their state stays in the first-level cache.
pub(crate) const LANES: usize = 256;

thread_local! {
    /// Memory for parameters of one value, kept from step to step.
    static ROWS: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Calls `each` with memory for the lanes of up to `count` parameters of one value, for steps of `entries`.
pub(crate) fn with_rows<R>(
    count: usize,
    entries: usize,
    each: impl FnOnce(ChunksExactMut<'_, f32>) -> R,
) -> R {
    let width = entries.clamp(1, LANES);
    let mut rows = ROWS.take();
    if rows.len() < count * width {
        rows.resize(count * width, 0.0);
    }
    let result = each(rows.chunks_exact_mut(width));
    ROWS.set(rows);
    result
}

/// A parameter: a row of units, or one value repeated as often as a block is wide.
#[derive(Debug)]
pub(crate) struct Lane<'a> {
    values: Cow<'a, [f32]>,
    /// Whether all units share one value.
    pub shared: bool,
}

impl<'a> Lane<'a> {
    /// A parameter; one value is repeated in `row`, see [`with_rows`].
    pub fn new(values: Cow<'a, [f32]>, row: &'a mut [f32]) -> Self {
        match values[..] {
            [value] => {
                row.fill(value);
                Self { values: Cow::Borrowed(row), shared: true }
            }
            _ => Self { values, shared: false },
        }
    }

    /// A parameter of one value or one for each of `entries` units, with memory of its own.
    pub fn owned(values: Vec<f32>, entries: usize) -> Lane<'static> {
        match values[..] {
            [value] => Lane { values: Cow::Owned(vec![value; entries.clamp(1, LANES)]), shared: true },
            _ => Lane { values: Cow::Owned(values), shared: false },
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
