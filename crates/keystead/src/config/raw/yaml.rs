//! YAML, and with it JSON: a generic tree with positions, read before any meaning is given.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::granit_parser::ErrorKind;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Error, ExternalMessageSource, Location, Spanned};

use super::super::error::Origin;
use super::{Entry, Kind, Node, Unreadable};

/// How many nodes a file may have once its aliases are written out.
const MAX_NODES: usize = 200_000;
/// How many bytes its scalars may have then. A file has at most 1 MiB as written.
const MAX_SCALAR_BYTES: usize = 8 * 1024 * 1024;
/// How deep it may nest. A key inside a list inside a provider stands at depth 6.
const MAX_DEPTH: usize = 32;

/// Reads a text, giving every value the origin that `origin` makes of line and column.
pub(super) fn parse(
    text: &str,
    origin: &dyn Fn(u32, u32) -> Origin,
) -> Result<Node, Vec<Unreadable>> {
    let bare = serde_saphyr::from_str_with_options::<Option<Spanned<Raw>>>(text, options());
    match bare {
        Ok(Some(raw)) => Ok(Reading { text, origin }.node(raw)),
        Ok(None) => Ok(Node { origin: origin(1, 1), kind: Kind::Null }),
        Err(error) => Err(vec![unreadable(&error)]),
    }
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            // Many providers may share one anchor; the limits above bound what that can cost.
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_NODES },
        // Reported later, with path and both lines, beside every other mistake.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Merge,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
    }
}

/// Of the library's own sentences only those are used that are fixed: others may quote the text.
fn unreadable(error: &Error) -> Unreadable {
    let error = error.without_snippet();
    let at = error.location().map_or((1, 1), position);
    Unreadable { at, problem: sentence(error) }
}

fn sentence(error: &Error) -> String {
    let fixed = match error.without_snippet() {
        Error::AliasError { error, .. } => return sentence(error),
        Error::ExternalMessage { source, .. } => return syntax(source),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasExpansionLimitExceeded { .. } => {
            "it is nested too deep, or too large once its aliases are written out"
        }
        Error::UnknownAnchor { .. } => "an alias names an anchor that is not there",
        Error::RecursiveReferencesRequireWeakTypes { .. } => {
            "an alias stands inside its own anchor"
        }
        Error::MultipleDocuments { .. } => "there is more than one document",
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "a merge key needs a map, or a list of maps",
        Error::Eof { .. } => "it ends too early",
        _ => "it is not YAML",
    };
    fixed.to_owned()
}

fn syntax(source: &ExternalMessageSource) -> String {
    match source {
        ExternalMessageSource::Parser(error)
            if !matches!(
                error.kind(),
                ErrorKind::Custom(_) | ErrorKind::InputIo { .. } | ErrorKind::InputDecoding { .. }
            ) =>
        {
            format!("it is not YAML: {}", error.kind())
        }
        _ => "it is not YAML".to_owned(),
    }
}

fn position(location: Location) -> (u32, u32) {
    let narrow = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    (narrow(location.line()), narrow(location.column()))
}

/// The tree as serde sees it.
enum Raw {
    Null,
    /// A plain scalar that was taken for something else than text, as that something prints.
    Guessed(String),
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Guessed(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Guessed(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Guessed(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Guessed(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Guessed(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Guessed(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

struct Reading<'a> {
    text: &'a str,
    origin: &'a dyn Fn(u32, u32) -> Origin,
}

impl Reading<'_> {
    fn node(&self, raw: Spanned<Raw>) -> Node {
        let origin = self.origin(raw.referenced);
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Text(text) => Kind::Text(text),
            Raw::Guessed(guess) => Kind::Text(self.written(raw.defined).unwrap_or(guess)),
            Raw::List(items) => Kind::List(items.into_iter().map(|item| self.node(item)).collect()),
            Raw::Map(entries) => {
                let entry = |(name, value): (Spanned<String>, _)| Entry {
                    origin: self.origin(name.referenced),
                    name: name.value,
                    value: self.node(value),
                };
                Kind::Map(entries.into_iter().map(entry).collect())
            }
        };
        Node { origin, kind }
    }

    fn origin(&self, location: Location) -> Origin {
        let (line, column) = position(location);
        (self.origin)(line, column)
    }

    /// A plain scalar in its own words.
    fn written(&self, defined: Location) -> Option<String> {
        let span = defined.span();
        let start = usize::try_from(span.byte_offset()?).ok()?;
        let len = usize::try_from(span.byte_len()?).ok()?;
        let range: Range<usize> = start..start.checked_add(len)?;
        let text = self.text.get(range)?.trim();
        // A quoted scalar gets here only when a tag made a number of it.
        let unquoted = ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
        Some(unquoted.unwrap_or(text).to_owned()).filter(|text| !text.is_empty())
    }
}
