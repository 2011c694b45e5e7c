//! Where a checked JSON value stands in its text, for owners of the text.

use crate::json::Value;

/// A range of a text. Texts are at most as large as a token or a document, so 32 bits suffice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `value`, a slice of `text`, stands in it.
    pub(crate) fn of(text: &str, value: Value<'_>) -> Self {
        let start = (value.text().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let end = start.saturating_add(value.text().len());
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// The value again.
    pub(crate) fn value(self, text: &str) -> Value<'_> {
        Value::checked(text.get(self.start as usize..self.end as usize).unwrap_or("null"))
    }
}
