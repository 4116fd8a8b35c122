//! Events as lists, for steps that visit them one by one.

use super::masks::{BITS, pack};

/// The non-zero entries of some rows.
pub(crate) struct Block {
    /// Where the entries of each row end.
    ends: Vec<usize>,
    /// Columns of the entries, row after row.
    columns: Vec<u32>,
    /// Their values; empty when all are 1.
    values: Vec<f32>,
}

impl Block {
    pub fn new(rows: &[f32], width: usize) -> Self {
        let (height, words) = (rows.len() / width, width.div_ceil(BITS));
        let mut bits = vec![0; height * words];
        let (count, all_one) = pack(rows, width, &mut bits);
        let (mut ends, mut columns) = (Vec::with_capacity(height), Vec::with_capacity(count));
        for row in bits.chunks_exact(words) {
            for (place, &word) in row.iter().enumerate() {
                let mut left = word;
                while left != 0 {
                    columns.push((place * BITS) as u32 + left.trailing_zeros());
                    left &= left - 1;
                }
            }
            ends.push(columns.len());
        }
        let values = if all_one { Vec::new() } else { rows.iter().copied().filter(|&x| x != 0.0).collect() };
        Self { ends, columns, values }
    }

    /// The number of entries.
    pub fn count(&self) -> usize {
        self.columns.len()
    }

    /// Columns and values of a row; no values where all are 1.
    pub fn row(&self, row: usize) -> (&[u32], &[f32]) {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        let range = start..self.ends[row];
        (&self.columns[range.clone()], self.values.get(range).unwrap_or_default())
    }
}
