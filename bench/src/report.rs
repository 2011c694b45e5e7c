//! The table: printed, and kept in `bench/results.json` and in `docs/performance.md`.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value};

use crate::Result;
use crate::figure::Figure;
use crate::machine::Conditions;

/// The lines between which the page is ours.
const MARKS: (&str, &str) = ("<!-- measured: begin -->\n", "<!-- measured: end -->\n");

const HEADINGS: [&str; 7] = ["name", "measured", "min", "max", "bar", "", "seen beside it"];

/// Figures of one kind.
#[derive(Debug)]
pub(crate) struct Table {
    /// As `make bench ONLY=` knows it.
    pub(crate) kind: &'static str,
    pub(crate) meaning: &'static str,
    pub(crate) figures: Vec<Figure>,
}

/// The tables for a terminal, as one.
pub(crate) fn text(tables: &[Table], conditions: &Conditions) -> String {
    let figures = tables.iter().flat_map(|table| &table.figures);
    let rows: Vec<_> = [HEADINGS.map(ToOwned::to_owned)].into_iter().chain(rows(figures)).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    format!("\n{text}\n{}\n", conditions.0.join("\n"))
}

/// Writes both files.
pub(crate) fn write(root: &Path, tables: &[Table], conditions: &Conditions) -> Result<()> {
    let figures = tables.iter().flat_map(|table| &table.figures);
    let measured =
        figures.filter_map(|figure| Some((figure.name.clone(), Value::from(figure.measured?.p25))));
    let results = Value::Object(measured.collect::<Map<_, _>>());
    std::fs::write(root.join("bench/results.json"), format!("{results:#}\n"))?;
    let page = root.join("docs/performance.md");
    let text = std::fs::read_to_string(&page)?;
    let (before, rest) = text.split_once(MARKS.0).ok_or("docs/performance.md has no first mark")?;
    let (_, after) = rest.split_once(MARKS.1).ok_or("docs/performance.md has no last mark")?;
    let ours = markdown(tables, conditions);
    std::fs::write(page, format!("{before}{}{ours}{}{after}", MARKS.0, MARKS.1))?;
    Ok(())
}

fn markdown(tables: &[Table], conditions: &Conditions) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = format!("{}\n", conditions.0.join("\n"));
    for Table { kind, meaning, figures } in tables {
        text.extend(["\n### ", meaning, "\n\n`make bench ONLY=", kind, "`\n\n"]);
        text += &line(&HEADINGS.map(ToOwned::to_owned));
        text += &line(&HEADINGS.map(|_| "---".to_owned()));
        text.extend(rows(figures).map(|mut row| {
            if let Some(name) = row.first_mut() {
                *name = format!("`{name}`");
            }
            line(&row)
        }));
    }
    text
}

fn rows<'f>(
    figures: impl IntoIterator<Item = &'f Figure>,
) -> impl Iterator<Item = [String; HEADINGS.len()]> {
    figures.into_iter().map(|figure| {
        let number = |value: Option<f64>| value.map(rounded).unwrap_or_default();
        let measured = number(figure.measured.map(|measured| measured.p25));
        [
            figure.name.clone(),
            format!("{measured} {}", figure.unit).trim().to_owned(),
            number(figure.measured.map(|measured| measured.min)),
            number(figure.measured.and_then(|measured| measured.max)),
            figure.bar.map(|bar| bar.to_string()).unwrap_or_default(),
            figure.verdict().to_string(),
            figure.notes.replace('\n', " "),
        ]
    })
}

/// To about three digits.
fn rounded(value: f64) -> String {
    match value.abs() {
        // A count.
        _ if value.fract() == 0.0 => format!("{value}"),
        magnitude if magnitude < 10.0 => format!("{value:.2}"),
        magnitude if magnitude < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
