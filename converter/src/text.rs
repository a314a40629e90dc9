//! Formats numbers and tables for people.

use comfy_table::{CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};

/// The mark that Ferrolite puts into its files, in text and in comments: see `written`.
pub const MARK: &str = "Written by Ferrolite";

/// Tables have a line below their headings, and spaces between columns.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction(' '))
    .header_separator(LineStyle::none().fill('─').junction('─'))
    .content_lines(ContentLineStyle::none().junction(' '));

/// A number with separators between thousands: `1,234,567`.
pub fn thousands(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count of things in memory, formatted like [`thousands`].
pub fn count(number: usize) -> String {
    thousands(number as u128)
}

/// A share in percent with two digits, `-` if there is none.
pub fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{:.2} %", share * 100.0))
}

/// A share in percent without decimals, except for small ones; `-` if there is none.
pub fn share(share: Option<f64>) -> String {
    match share.map(|share| share * 100.0) {
        None => "-".into(),
        Some(percent) if percent == 0.0 || percent >= 9.95 => format!("{percent:.0} %"),
        Some(percent) if percent < 0.05 => "<0.1 %".into(),
        Some(percent) => format!("{percent:.1} %"),
    }
}

/// Bytes in KiB or MiB with three digits, for people: `23.0 KiB`.
pub fn size(bytes: u64) -> String {
    let (number, unit) = match bytes {
        0..1024 => return format!("{bytes} bytes"),
        1024..1_048_576 => (bytes as f64 / 1024.0, "KiB"),
        _ => (bytes as f64 / 1_048_576.0, "MiB"),
    };
    if number < 100.0 { format!("{number:.1} {unit}") } else { format!("{number:.0} {unit}") }
}

/// A count of operations with three digits and its unit: `2.66 M`.
pub fn scaled(number: u64) -> String {
    let (scaled, unit) = match number {
        0..10_000 => return thousands(number),
        10_000..1_000_000 => (number as f64 / 1e3, "k"),
        1_000_000..1_000_000_000 => (number as f64 / 1e6, "M"),
        _ => (number as f64 / 1e9, "G"),
    };
    let digits = if scaled < 10.0 { 2 } else { usize::from(scaled < 100.0) };
    format!("{scaled:.digits$} {unit}")
}

/// Decibels with one digit; `exact` for an infinite ratio, `-` if there is none.
pub fn decibels(ratio: Option<f64>) -> String {
    match ratio {
        None => "-".into(),
        Some(db) if db.is_infinite() => "exact".into(),
        Some(db) => format!("{db:.1} dB"),
    }
}

/// A layer's name as a table shows it. TensorFlow joins the names of layers that it fused; the first one is
/// enough.
pub fn layer(name: &str) -> String {
    match name.split_once(';') {
        Some((first, rest)) if !rest.is_empty() => format!("{first};…"),
        _ => name.to_string(),
    }
}

/// A column of a [`table`].
#[derive(Clone, Copy, Debug)]
pub enum Column {
    /// Words, aligned to the left.
    Left(&'static str),
    /// Numbers, aligned to the right.
    Right(&'static str),
}

/// Formats rows as a table that fits the terminal. A column that is `-` in every row is left out.
pub fn table(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    let says =
        |index: usize| rows.is_empty() || rows.iter().any(|row| row.get(index).is_some_and(|c| c != "-"));
    let shown: Vec<usize> = (0..columns.len()).filter(|&index| says(index)).collect();
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(shown.iter().map(|&index| match columns[index] {
        Column::Left(name) | Column::Right(name) => name,
    }));
    for (position, &index) in shown.iter().enumerate() {
        if let (Column::Right(_), Some(column)) = (columns[index], table.column_mut(position)) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.add_rows(
        rows.iter().map(|row| shown.iter().filter_map(|&index| row.get(index)).collect::<Vec<_>>()),
    );
    table.to_string()
}

/// A name without the decoration that frameworks add.
pub fn plain(name: &str) -> &str {
    let name = name.strip_prefix("serving_default_").unwrap_or(name);
    match name.rsplit_once(':') {
        Some((name, number)) if !name.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let cases: [(u64, &str); 5] =
            [(0, "0"), (999, "999"), (1000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")];
        for (number, want) in cases {
            assert_eq!(thousands(number), want);
        }
        assert_eq!(layer("dense/MatMul;dense/Relu"), "dense/MatMul;…");
        assert_eq!(layer("dense;"), "dense;");
        assert_eq!(percent(Some(0.98765)), "98.77 %");
        assert_eq!([0.0, 0.0001, 0.0312, 0.4567].map(|x| share(Some(x))), ["0 %", "<0.1 %", "3.1 %", "46 %"]);
        assert_eq!([100, 2048, 300_000, 5 << 20].map(size), ["100 bytes", "2.0 KiB", "293 KiB", "5.0 MiB"]);
        assert_eq!([9_999, 12_345, 262_112, 2_656_768].map(scaled), ["9,999", "12.3 k", "262 k", "2.66 M"]);
        assert_eq!(decibels(Some(f64::INFINITY)), "exact");
        assert_eq!(decibels(None), "-");
    }

    #[test]
    fn numbers_stand_on_the_right() {
        let text = table(
            &[Column::Left("name"), Column::Right("bytes")],
            [vec!["a".into(), "1".into()], vec!["b".into(), "1,000".into()]],
        );
        assert!(text.contains("     1"), "{text}");
        let text = table(&[Column::Left("name"), Column::Right("cycles")], [vec!["a".into(), "-".into()]]);
        assert!(!text.contains("cycles"), "{text}");
    }
}
