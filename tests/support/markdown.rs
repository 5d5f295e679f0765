//! Markdown tables that are aligned, so that they read the same in a terminal.

use std::fmt::Write;

/// A table. Columns with figures are aligned to the right.
pub fn table(names: &[&str], rows: &[Vec<String>]) -> String {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&names]).map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(2)
    };
    let is_text =
        |column: usize| rows.iter().all(|row| !row[column].starts_with(|c: char| c.is_ascii_digit() || c == '-'));
    let mut text = String::new();
    let mut line = |cells: &[String]| {
        for (column, cell) in cells.iter().enumerate() {
            let width = width(column);
            if is_text(column) {
                write!(text, "| {cell:<width$} ").unwrap();
            } else {
                write!(text, "| {cell:>width$} ").unwrap();
            }
        }
        text.push_str("|\n");
    };
    line(&names);
    let rule = |column: usize| {
        let dashes = "-".repeat(width(column) - 1);
        if is_text(column) { format!("{dashes}-") } else { format!("{dashes}:") }
    };
    line(&(0..names.len()).map(rule).collect::<Vec<_>>());
    rows.iter().for_each(|row| line(row));
    text
}
