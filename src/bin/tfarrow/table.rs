//! Tables of text for a terminal.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tfarrow::Result;

/// Characters of a cell before it is cut.
const CELL: usize = 40;
/// Values of a list that are shown.
const SHOWN: usize = 8;

/// A table with a rule under its header.
pub(crate) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = String>| {
        let text: Vec<String> = cells.collect();
        out.push_str(text.join("  ").trim_end());
        out.push('\n');
    };
    let pad = |text: &str, width: usize| {
        format!("{text}{}", " ".repeat(width.saturating_sub(text.chars().count())))
    };
    line(&mut header.iter().zip(&widths).map(|(h, w)| pad(h, *w)));
    line(&mut widths.iter().map(|w| "─".repeat(*w)));
    for row in rows {
        line(&mut row.iter().zip(&widths).map(|(cell, w)| pad(cell, *w)));
    }
    out
}

/// The rows of `batches`; long cells are cut.
pub(crate) fn batches(schema: &Schema, batches: &[RecordBatch]) -> Result<String> {
    let header: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    let options = FormatOptions::default().with_null("null").with_display_error(true);
    let mut rows = Vec::new();
    for batch in batches {
        // A cell of a million values is not formatted to show eight.
        let columns: Vec<_> = batch.columns().iter().map(|column| (column, column.data_type())).collect();
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(columns.len());
            for (column, data_type) in &columns {
                let one = column.slice(row, 1);
                cells.push(cell(one.as_ref(), data_type, &options)?);
            }
            rows.push(cells);
        }
    }
    Ok(render(&header, &rows))
}

fn cell(one: &dyn arrow::array::Array, data_type: &DataType, options: &FormatOptions<'_>) -> Result<String> {
    use arrow::array::AsArray;
    if one.is_null(0) {
        return Ok("null".to_owned());
    }
    let list = |values: arrow::array::ArrayRef| -> Result<String> {
        let shown = values.len().min(SHOWN);
        let mut parts = Vec::with_capacity(shown + 1);
        for i in 0..shown {
            parts.push(cell(values.slice(i, 1).as_ref(), values.data_type(), options)?);
        }
        if values.len() > shown {
            parts.push(format!("… {} values", values.len()));
        }
        Ok(format!("[{}]", parts.join(", ")))
    };
    match data_type {
        DataType::List(_) => list(one.as_list::<i32>().value(0)),
        DataType::FixedSizeList(..) => list(one.as_fixed_size_list().value(0)),
        DataType::Binary => {
            let value = one.as_binary::<i32>().value(0);
            let shown: String = value.iter().take(CELL / 4).map(|b| format!("{b:02x}")).collect();
            Ok(if value.len() > CELL / 4 { format!("{shown}… {} bytes", value.len()) } else { shown })
        }
        _ => {
            let formatter = ArrayFormatter::try_new(one, options)?;
            let text = formatter.value(0).to_string().replace(['\n', '\r', '\t'], " ");
            Ok(match text.char_indices().nth(CELL) {
                Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
                None => text,
            })
        }
    }
}
