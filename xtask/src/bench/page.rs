//! Results as tables in Markdown. Columns are called as in the JSON.

use serde_json::{Map, Value};

const BEGIN: &str = "<!-- cargo xtask bench writes from here -->\n";
const END: &str = "<!-- cargo xtask bench writes to here -->\n";

/// Puts `tables` between the two comments of a page. `None`: it has none.
pub(super) fn replace(page: &str, tables: &str) -> Option<String> {
    let (head, rest) = page.split_once(BEGIN)?;
    let (_, tail) = rest.split_once(END)?;
    Some([head, BEGIN, "\n", tables, END, tail].concat())
}

/// The tables of results, each with what it was measured by.
pub(super) fn tables(results: &[(String, Map<String, Value>)]) -> String {
    let mut text = String::new();
    for (name, result) in results {
        let [command, date, machine, kernel] =
            ["command", "date", "machine", "kernel"].map(|key| result.get(key).map(cell).unwrap_or_default());
        text += &format!("### {name}\n\n`{command}`, {date}; {machine}, {kernel}:\n\n");
        if let Some(report) = result.get("report") {
            put(report, &mut text);
        }
    }
    text
}

/// A table for each list of objects, and one of names and values for what else an object has.
fn put(value: &Value, text: &mut String) {
    let Value::Object(object) = value else { return };
    let (parts, values): (Vec<_>, Vec<_>) = object.iter().partition(|(_, value)| {
        value.is_object() || value.as_array().is_some_and(|list| list.iter().any(Value::is_object))
    });
    if !values.is_empty() {
        row(text, ["".into(), "".into()]);
        rule(text, 2);
        values.iter().for_each(|(name, value)| row(text, [name.to_string(), cell(value)]));
        text.push('\n');
    }
    for (_, part) in parts {
        match part {
            Value::Array(rows) => rows_of(rows, text),
            part => put(part, text),
        }
    }
}

fn rows_of(rows: &[Value], text: &mut String) {
    let Some(Value::Object(first)) = rows.first() else { return };
    row(text, first.keys().cloned());
    rule(text, first.len());
    for object in rows {
        row(text, first.keys().map(|key| cell(&object[key])));
    }
    text.push('\n');
}

fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    *text += "|";
    cells.into_iter().for_each(|cell| *text += &format!(" {cell} |"));
    text.push('\n');
}

fn rule(text: &mut String, columns: usize) {
    *text += &format!("|{}\n", "---|".repeat(columns));
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(" / "),
        Value::Number(number) => match number.as_f64() {
            Some(number) if number.fract() == 0.0 || number.abs() >= 1000.0 => format!("{number:.0}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_become_tables() {
        let result = r#"{"command": "c", "date": "d", "machine": "m", "kernel": "k",
            "report": {"a": {"n": 2.5, "rows": [{"way": "x", "y": [1, 20000.25]}, {"way": null, "y": [1.0]}]}}}"#;
        let results = [("a".to_owned(), serde_json::from_str(result).expect("JSON"))];
        let tables = tables(&results);
        assert_eq!(
            tables,
            "### a\n\n`c`, d; m, k:\n\n|  |  |\n|---|---|\n| n | 2.5 |\n\n\
             | way | y |\n|---|---|\n| x | 1 / 20000 |\n| – | 1 |\n\n"
        );
        let page = format!("head\n{BEGIN}old\n{END}tail\n");
        assert_eq!(replace(&page, "new\n"), Some(format!("head\n{BEGIN}\nnew\n{END}tail\n")));
        assert_eq!(replace("head\n", "new\n"), None);
    }
}
