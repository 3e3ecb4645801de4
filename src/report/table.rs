//! Tables of text.

use crate::text::{pad, printable, width};

/// A table with a rule under its header, aligned by display width; nothing in it acts on a terminal.
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let escape = |cell: &str| printable(cell).into_owned();
    let header: Vec<String> = header.iter().map(|cell| escape(cell)).collect();
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
    let mut widths: Vec<usize> = header.iter().map(|cell| width(cell)).collect();
    for row in &rows {
        for (columns, cell) in widths.iter_mut().zip(row) {
            *columns = (*columns).max(width(cell));
        }
    }
    let mut out = String::new();
    let mut line = |cells: &[String]| {
        let cells: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, columns)| pad(cell, *columns)).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    };
    line(&header);
    line(&widths.iter().map(|columns| "─".repeat(*columns)).collect::<Vec<_>>());
    for row in &rows {
        line(row);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_on_a_terminal() {
        let rows = [["東京", "1"], ["e\u{301}", "2"], ["\u{1b}[2J", "3"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        assert_eq!(
            render(&["city\n", "n"], &rows),
            "city\\n     n\n─────────  ─\n東京       1\ne\u{301}          2\n\\u{1b}[2J  3\n"
        );
    }
}
