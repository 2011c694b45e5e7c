//! TOML, as a generic tree with positions.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::error::Origin;
use super::{Entry, Kind, Node, Unreadable};

/// Reads a text, giving every value the origin that `origin` makes of line and column.
pub(super) fn parse(
    text: &str,
    origin: &dyn Fn(u32, u32) -> Origin,
) -> Result<Node, Vec<Unreadable>> {
    let reading = Reading { text, lines: line_starts(text), origin };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let kind = reading.map(table.into_inner());
        return Ok(Node { origin: origin(1, 1), kind });
    }
    let unreadable = |error: toml::de::Error| Unreadable {
        at: error.span().map_or((1, 1), |span| reading.position(span.start)),
        problem: sentence(&error),
    };
    Err(errors.into_iter().map(unreadable).collect())
}

/// The first line of the library's message is a fixed sentence; the rest is not needed.
fn sentence(error: &toml::de::Error) -> String {
    let first = error.message().lines().next().unwrap_or_default();
    format!("it is not TOML: {first}")
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

struct Reading<'a> {
    text: &'a str,
    lines: Vec<usize>,
    origin: &'a dyn Fn(u32, u32) -> Origin,
}

impl Reading<'_> {
    fn map(&self, table: DeTable<'_>) -> Kind {
        let entry = |(name, value): (Spanned<_>, Spanned<DeValue<'_>>)| Entry {
            origin: self.origin(name.span().start),
            name: String::from(name.into_inner()),
            value: self.node(value),
        };
        Kind::Map(table.into_iter().map(entry).collect())
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let span = value.span();
        let origin = self.origin(span.start);
        let kind = match value.into_inner() {
            DeValue::String(text) => Kind::Text(text.into()),
            DeValue::Array(items) => {
                Kind::List(items.into_iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => self.map(table),
            // Numbers, booleans and dates keep the words they were written in.
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {
                Kind::Text(self.text.get(span).unwrap_or_default().to_owned())
            }
        };
        Node { origin, kind }
    }

    fn origin(&self, at: usize) -> Origin {
        let (line, column) = self.position(at);
        (self.origin)(line, column)
    }

    fn position(&self, at: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let column = self.text.get(start..at).map_or(0, |before| before.chars().count()) + 1;
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (narrow(line), narrow(column))
    }
}
