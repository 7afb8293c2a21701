//! Lists for people, in columns, or for programs, one JSON object a line.

use super::print;
use serde_json::{Map, Value};

/// Rows under named columns.
pub(super) struct Table {
    columns: &'static [&'static str],
    rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// An empty table. The columns' names are JSON members; people see them in capitals.
    pub(super) fn new(columns: &'static [&'static str]) -> Self {
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, in the order of the columns.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Option<String>>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Writes the table to standard output.
    pub(super) fn print(&self, json: bool) {
        if json { self.print_json() } else { self.print_columns() }
    }

    fn print_json(&self) {
        for row in &self.rows {
            let cell = |cell: &Option<String>| cell.clone().map_or(Value::Null, Value::String);
            let members = self.columns.iter().zip(row).map(|(name, value)| ((*name).to_owned(), cell(value)));
            print(format_args!("{}\n", Value::Object(members.collect::<Map<_, _>>())));
        }
    }

    fn print_columns(&self) {
        let heads = self.columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
        let body = self.rows.iter().map(|row| row.iter().map(|cell| shown(cell.as_deref())).collect());
        let lines: Vec<Vec<String>> = std::iter::once(heads).chain(body).collect();
        let width =
            |at: usize| lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count()).max();
        let widths: Vec<usize> = (0..self.columns.len()).map(|at| width(at).unwrap_or(0)).collect();
        for line in &lines {
            let cells: Vec<String> =
                line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            print(format_args!("{}\n", cells.join("  ").trim_end()));
        }
    }
}

/// A cell for a terminal: what people typed cannot move its cursor.
fn shown(cell: Option<&str>) -> String {
    cell.map_or_else(
        || "-".to_owned(),
        |text| {
            text.chars()
                .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
                .collect()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(shown(Some("a\u{1b}[2Jé\n")), "a\\u{1b}[2Jé\\n");
        assert_eq!(shown(None), "-");
    }
}
