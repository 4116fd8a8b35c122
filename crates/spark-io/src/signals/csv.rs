//! Rows of numbers with commas between them.

/// The shape `[rows, columns]` and the numbers; a first line without any number is one of names, and lines
/// that are empty or start with `#` are passed over.
pub(super) fn parse(bytes: &[u8]) -> Result<(Vec<usize>, Vec<f32>), String> {
    let text = str::from_utf8(bytes).map_err(|error| {
        let row = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("row {row}: found bytes that are not UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    let mut lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).peekable();
    lines.next_if(|(_, line)| is_names(line));
    // As many as there can be, so that memory does not grow beyond them.
    let cells = bytes.iter().filter(|byte| matches!(byte, b',' | b'\n')).count() + 1;
    let (mut values, mut columns, mut rows) = (Vec::with_capacity(cells), None, 0);
    for (row, line) in lines {
        let before = values.len();
        for (column, cell) in cells_of(line).enumerate() {
            let value = cell.parse::<f32>().ok().filter(|value| value.is_finite());
            let wrong =
                || format!("row {row}, column {}: found `{cell}`, expected a finite number", column + 1);
            values.push(value.ok_or_else(wrong)?);
        }
        let found = values.len() - before;
        let expected = *columns.get_or_insert(found);
        if found != expected {
            return Err(format!("row {row}: found {found} columns, expected {expected}"));
        }
        rows += 1;
    }
    Ok((vec![rows, columns.unwrap_or(0)], values))
}

fn cells_of(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|cell| cell.trim().trim_matches('"'))
}

fn is_names(line: &str) -> bool {
    cells_of(line).all(|cell| !cell.is_empty() && cell.parse::<f32>().is_err())
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::events::damaged;
    use crate::test_memory::peak;
    use proptest::prelude::*;

    #[test]
    fn names_comments_and_spaces_are_passed_over() {
        let (shape, values) = parse(b"# of a run\nleft, \"a, right\"\n 1, 2\n3 ,4e-1\n").unwrap();
        assert_eq!((shape, values), (vec![2, 2], vec![1.0, 2.0, 3.0, 0.4]));
        assert_eq!(parse(b"1\n2\n").unwrap().0, [2, 1]);
    }

    #[test]
    fn cells_that_are_no_numbers_are_found_by_line() {
        for (text, message) in [
            ("a,b\n1,2\n3\n", "row 3: found 1 columns, expected 2"),
            ("1,2\n3,\n", "row 2, column 2: found ``"),
            ("1,x\n", "row 1, column 2: found `x`"),
            ("1\ninf\n", "row 2, column 1: found `inf`"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        assert!(parse(b"0,1\n1,\xff\n").unwrap_err().starts_with("row 2: found bytes that are not UTF-8"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]
        #[test]
        fn damaged_files_never_panic_nor_take_much_memory(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
        ) {
            for bytes in damaged(b"a,b\n1,2\n3,4.5e1\n,,,\n", &changes, &cut) {
                let (_, peak) = peak(|| parse(&bytes));
                prop_assert!(peak <= 4 * bytes.len() + 1024, "{peak}");
            }
        }
    }
}
