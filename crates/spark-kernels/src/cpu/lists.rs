//! Events as lists, for steps that visit them one by one.

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
        let mut ends = Vec::with_capacity(rows.len() / width);
        let mut columns = vec![0; rows.len()];
        let mut count = 0;
        let mut all_one = true;
        for row in rows.chunks_exact(width) {
            for (column, &value) in row.iter().enumerate() {
                // Written always and kept when it counts: no branch to mispredict.
                columns[count] = column as u32;
                count += usize::from(value != 0.0);
                all_one &= value == 0.0 || value == 1.0;
            }
            ends.push(count);
        }
        columns.truncate(count);
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
