//! Where a checked JSON value stands in its text, for owners of the text.

use core::num::NonZeroU32;

use crate::json::{Escapes, Value};

/// A range of a text. Texts are at most as large as a token or a document, so 31 bits suffice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// Where it starts, and [`PLAIN`].
    start: u32,
    /// No value is empty, so that a place for an absent one takes no more room.
    end: NonZeroU32,
}

/// Set for a string without escapes.
const PLAIN: u32 = 1 << 31;

impl Span {
    /// Where `value`, a slice of `text`, stands in it.
    pub(crate) fn of(text: &str, value: Value<'_>) -> Self {
        let start = (value.text().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        let end = start.saturating_add(value.text().len());
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).min(PLAIN - 1);
        let end = NonZeroU32::new(narrow(end)).unwrap_or(NonZeroU32::MAX);
        let plain = if value.escapes() == Escapes::None { PLAIN } else { 0 };
        Self { start: narrow(start) | plain, end }
    }

    /// Whether the value is a string without escapes; asks nothing of the text.
    pub(crate) const fn is_plain_string(self) -> bool {
        self.start & PLAIN != 0
    }

    /// The value again.
    pub(crate) fn value(self, text: &str) -> Value<'_> {
        let (start, end) = (self.start & !PLAIN, self.end.get());
        let escapes = if self.is_plain_string() { Escapes::None } else { Escapes::Maybe };
        let text = text.get(start as usize..end as usize);
        text.map_or(Value::checked("null", Escapes::Maybe), |text| Value::checked(text, escapes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse_object};

    #[test]
    fn a_value_comes_back_as_it_was() {
        let text = r#" {"a":"plain","b":"\u0065scaped","c":[1],"d":7} "#;
        let mut spans = Vec::new();
        parse_object(text, Limits::TOKEN, |_, value| spans.push((Span::of(text, value), value)))
            .unwrap();
        let plain = spans.iter().map(|(span, _)| span.is_plain_string());
        assert_eq!(plain.collect::<Vec<_>>(), [true, false, false, false]);
        for (span, value) in spans {
            let again = span.value(text);
            assert_eq!((again.text(), again.escapes()), (value.text(), value.escapes()));
        }
    }
}
