//! Where a checked JSON value stands in its text, for owners of the text.

use core::num::NonZeroU32;

use crate::json::Value;

/// A range of a text. Texts are at most as large as a token or a document, so 32 bits suffice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    start: u32,
    /// No value is empty, so that a place for an absent one takes no more room.
    end: NonZeroU32,
}

impl Span {
    /// Where `value`, a slice of `text`, stands in it.
    pub(crate) fn of(text: &str, value: Value<'_>) -> Self {
        let start = (value.text().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let end = start.saturating_add(value.text().len());
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let end = NonZeroU32::new(narrow(end)).unwrap_or(NonZeroU32::MAX);
        Self { start: narrow(start), end }
    }

    /// The value again.
    pub(crate) fn value(self, text: &str) -> Value<'_> {
        Value::checked(text.get(self.start as usize..self.end.get() as usize).unwrap_or("null"))
    }
}
