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
        print(format_args!("{}", if json { self.json() } else { self.text() }));
    }

    fn json(&self) -> String {
        let object = |row: &Vec<Option<String>>| {
            let cell = |cell: &Option<String>| cell.clone().map_or(Value::Null, Value::String);
            let members = self.columns.iter().zip(row).map(|(name, value)| ((*name).to_owned(), cell(value)));
            escaped_json(&Value::Object(members.collect::<Map<_, _>>()).to_string()) + "\n"
        };
        self.rows.iter().map(object).collect()
    }

    /// Columns that are as wide as what stands in them.
    fn text(&self) -> String {
        let heads = self.columns.iter().map(|name| name.replace('_', " ").to_uppercase()).collect();
        let cell = |cell: &Option<String>| cell.as_deref().map_or_else(|| "-".to_owned(), escaped);
        let body = self.rows.iter().map(|row| row.iter().map(cell).collect());
        let rows: Vec<Vec<String>> = std::iter::once(heads).chain(body).collect();
        let mut widths = vec![0; self.columns.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width);
            }
        }
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        rows.iter().map(line).collect()
    }
}

/// Whether a character would do something to a terminal, or to the order of what stands beside it.
fn is_active(character: char) -> bool {
    !character.is_ascii_graphic() && character.escape_debug().len() > 1
}

/// Text that only looks like what it is.
pub(super) fn escaped(text: &str) -> String {
    inert(&text.replace('\\', "\\\\"))
}

/// The same of what is to be copied as it is: a backslash stays one.
pub(super) fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        if is_active(character) { out.extend(character.escape_default()) } else { out.push(character) }
    }
    out
}

/// The same for JSON, which stays the same JSON: such characters stand in its texts only.
pub(super) fn escaped_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for character in json.chars() {
        if is_active(character) {
            out.extend(character.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_shown_acts() {
        for (text, shown) in [
            ("a b-ü語", "a b-ü語"),
            ("\"it's\"", "\"it's\""),
            ("a\\n", "a\\\\n"),
            ("a\n\r\t\u{1b}[2J\0", "a\\n\\r\\t\\u{1b}[2J\\u{0}"),
            (
                "\u{9b}\u{7f}\u{202e}\u{200b}\u{feff}\u{2028}",
                "\\u{9b}\\u{7f}\\u{202e}\\u{200b}\\u{feff}\\u{2028}",
            ),
        ] {
            assert_eq!(escaped(text), shown);
            let json = escaped_json(&serde_json::to_string(text).unwrap());
            assert!(!json.chars().any(is_active), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
        assert_eq!(escaped_json("\"\u{e0001}\""), "\"\\udb40\\udc01\"");
    }

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["id", "created_at"]);
        table.row([Some("ä\n".to_owned()), Some("b".to_owned())]);
        table.row([None, None]);
        assert_eq!(table.text(), "ID   CREATED AT\nä\\n  b\n-    -\n");
        assert_eq!(
            table.json(),
            "{\"created_at\":\"b\",\"id\":\"ä\\n\"}\n{\"created_at\":null,\"id\":null}\n"
        );
    }
}
