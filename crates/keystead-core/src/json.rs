//! A strict one-pass JSON scanner (RFC 8259) for text that decides verdicts.
//!
//! It checks UTF-8, syntax, depth, member counts, number length and duplicate members at every
//! level, and builds no tree: a [`Value`] is a slice of text that is known to be well-formed.
//! No serde here, because another crate's feature flags must not be able to change a verdict.

mod names;
mod scan;
mod strings;

use core::fmt;
use std::borrow::Cow;

use scan::Scan;
use strings::unescape;

/// What a document may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep arrays and objects may nest.
    pub depth: usize,
    /// How many members one object may have.
    pub members: usize,
    /// How many bytes one number may have.
    pub number: usize,
    /// Whether an object may name a member twice.
    pub duplicates: Duplicates,
}

/// Whether duplicate members are refused while scanning.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Duplicates {
    /// Refused at every level (RFC 7515 section 4 and RFC 7519 section 4 allow this).
    Refused,
    /// Refused at the top level only; below it, whoever reads an object judges it on its own.
    RefusedAtTop,
}

impl Limits {
    /// The limits of tokens: depth 32, 1,024 members, 128 bytes per number, no duplicates.
    pub const TOKEN: Self =
        Self { depth: 32, members: 1024, number: 128, duplicates: Duplicates::Refused };

    /// The limits of key and metadata documents: those of tokens, but an inner object with a
    /// duplicate member does not spoil the document around it.
    pub const DOCUMENT: Self = Self { duplicates: Duplicates::RefusedAtTop, ..Self::TOKEN };
}

/// Why a text is not acceptable JSON.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct JsonError {
    /// What is wrong.
    pub problem: JsonProblem,
    /// The byte at which it shows.
    pub at: usize,
}

/// What is wrong with a JSON text.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum JsonProblem {
    /// Not the grammar of RFC 8259.
    Syntax,
    /// Not UTF-8, or a lone surrogate in an escape.
    Encoding,
    /// A member named twice in one object.
    DuplicateMember(Box<str>),
    /// Nested too deep.
    Depth,
    /// An object with too many members.
    Members,
    /// A number with too many bytes.
    Number,
    /// Well-formed, but not an object where one is needed.
    NotAnObject,
}

impl JsonProblem {
    /// Whether a limit was exceeded, as opposed to a rule broken.
    #[must_use]
    pub const fn is_limit(&self) -> bool {
        matches!(self, Self::Depth | Self::Members | Self::Number)
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            JsonProblem::Syntax => write!(f, "not JSON at byte {}", self.at),
            JsonProblem::Encoding => write!(f, "not UTF-8 at byte {}", self.at),
            JsonProblem::DuplicateMember(name) => {
                write!(f, "member {} appears twice", crate::text::quoted(name))
            }
            JsonProblem::Depth => write!(f, "nested too deep at byte {}", self.at),
            JsonProblem::Members => write!(f, "too many members at byte {}", self.at),
            JsonProblem::Number => write!(f, "number too long at byte {}", self.at),
            JsonProblem::NotAnObject => f.write_str("not a JSON object"),
        }
    }
}

/// A well-formed JSON value, as the text it was written in.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    text: &'a str,
    escapes: Escapes,
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Value<'_> {}

/// Whether the text of a value may have escapes in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Escapes {
    /// A string without any: what stands between its quotes is what it says.
    None,
    /// It has escapes, or is no string, or nobody has looked.
    Maybe,
}

/// The kind of a JSON value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// Checks a whole document.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn parse(bytes: &[u8], limits: Limits) -> Result<Value<'_>, JsonError> {
    let mut scan = Scan::new(utf8(bytes)?, limits);
    scan.document().map_err(|stop| scan.explain(stop))
}

/// Checks a whole document that must be an object, showing each of its members on the way.
///
/// Members are shown before the rest is known to be well-formed: use them only if this returns
/// `Ok`.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn parse_object<'a>(
    text: &'a str,
    limits: Limits,
    member: impl FnMut(&str, Value<'a>),
) -> Result<Value<'a>, JsonError> {
    let mut scan = Scan::new(text, limits);
    scan.object_document(member).map_err(|stop| scan.explain(stop))
}

/// The text of a document (RFC 8259 section 8.1).
///
/// # Errors
/// When it is not UTF-8.
pub fn utf8(bytes: &[u8]) -> Result<&str, JsonError> {
    core::str::from_utf8(bytes)
        .map_err(|e| JsonError { problem: JsonProblem::Encoding, at: e.valid_up_to() })
}

impl<'a> Value<'a> {
    /// A value whose text was checked before.
    pub(crate) const fn checked(text: &'a str, escapes: Escapes) -> Self {
        Self { text, escapes }
    }

    pub(crate) const fn escapes(self) -> Escapes {
        self.escapes
    }

    /// The text of the value.
    #[must_use]
    pub const fn text(self) -> &'a str {
        self.text
    }

    /// The kind of the value.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// Whether this is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.kind() == Kind::Object
    }

    /// The string, with its escapes resolved.
    #[must_use]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(match self.escapes {
            Escapes::None => Cow::Borrowed(inner),
            Escapes::Maybe => unescape(inner),
        })
    }

    /// The number as binary64 (RFC 8259 section 6); too large a magnitude is an infinity.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        if let Some(integer) = self.small_integer() {
            return Some(f64::from(integer));
        }
        (self.kind() == Kind::Number).then(|| self.text.parse().ok()).flatten()
    }

    /// The number if it is one that a date of this century is, which is read in a fraction of the time
    /// that any number takes.
    fn small_integer(self) -> Option<u32> {
        let add = |sum: u32, digit: &u8| {
            let digit = char::from(*digit).to_digit(10)?;
            sum.checked_mul(10)?.checked_add(digit)
        };
        // No value is empty.
        self.text.as_bytes().iter().try_fold(0, add)
    }

    /// The boolean.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn elements(self) -> Option<Elements<'a>> {
        (self.kind() == Kind::Array).then(|| Elements { scan: Scan::again(self.text), at: 1 })
    }

    /// The members of an object.
    #[must_use]
    pub fn members(self) -> Option<Members<'a>> {
        self.is_object().then(|| Members { scan: Scan::again(self.text), at: 1 })
    }

    /// The member with this name; the last one, should an unchecked object name it twice.
    #[must_use]
    pub fn member(self, name: &str) -> Option<Self> {
        self.members()?.filter(|(found, _)| found == name).last().map(|(_, value)| value)
    }

    /// The first name that this object, or an object anywhere inside it, uses twice.
    #[must_use]
    pub fn duplicate_member(self) -> Option<String> {
        match parse(self.text.as_bytes(), Limits::TOKEN) {
            Err(JsonError { problem: JsonProblem::DuplicateMember(name), .. }) => Some(name.into()),
            _ => None,
        }
    }
}

/// Iterates over an array; see [`Value::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    scan: Scan<'a>,
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (element, end) = self.scan.item(self.at)?;
        self.at = end;
        Some(element)
    }
}

/// Iterates over an object; see [`Value::members`].
#[derive(Clone, Debug)]
pub struct Members<'a> {
    scan: Scan<'a>,
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, end) = self.scan.item(self.at)?;
        let (value, end) = self.scan.after_name(end)?;
        self.at = end;
        Some((name.as_str()?, value))
    }
}

/// The depth of what stands in an array or object: never the top, so whether its members are used
/// twice has been judged before.
const INSIDE: usize = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Result<Value<'_>, JsonProblem> {
        parse(text.as_bytes(), Limits::TOKEN).map_err(|e| e.problem)
    }

    fn document(text: &str) -> Result<Value<'_>, JsonProblem> {
        parse(text.as_bytes(), Limits::DOCUMENT).map_err(|e| e.problem)
    }

    fn duplicate(name: &str) -> JsonProblem {
        JsonProblem::DuplicateMember(name.into())
    }

    #[test]
    fn small_integers_are_the_numbers_that_they_would_be_anyway() {
        for text in ["0", "-0", "7", "-7", "10", "99", "4294967295", "4294967296", "42949672960"] {
            let number = token(text).unwrap().as_f64().unwrap();
            assert_eq!(number.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        for text in ["\"\"", "\"7\"", "[]", "null"] {
            assert_eq!(token(text).unwrap().as_f64(), None, "{text}");
        }
    }

    #[test]
    fn values_are_equal_when_their_texts_are() {
        let text = r#"["x","x","y"]"#;
        let all: Vec<_> = token(text).unwrap().elements().unwrap().collect();
        assert_eq!(all[0], all[1]);
        assert_eq!(all[0], Value::checked(r#""x""#, Escapes::Maybe), "known to be plain or not");
        assert_ne!(all[0], all[2]);
    }

    #[test]
    fn an_escape_is_resolved_wherever_its_string_is_kept() {
        let text = r#"{"a":"x","b":"\u0078","c":["y","\u0079"]}"#;
        let all: Vec<_> = token(text).unwrap().members().unwrap().collect();
        let [(_, plain), (_, escaped), (_, array)] = all[..] else { panic!("{all:?}") };
        assert_eq!((plain.escapes(), escaped.escapes()), (Escapes::None, Escapes::Maybe));
        assert_eq!((plain.as_str().unwrap(), escaped.as_str().unwrap()), ("x".into(), "x".into()));
        let elements: Vec<_> = array.elements().unwrap().filter_map(Value::as_str).collect();
        assert_eq!(elements, ["y", "y"]);
    }

    #[test]
    fn what_is_not_the_grammar_is_refused() {
        let broken = r#"{ } [ [1 [1, [1,] [,1] {,} {"a"} {"a":} {"a":1,} {a:1} {'a':1} {1:1} "a "\ "\"
            "\x" "\u12" "\u12g4" "\u+123" "\u12é1" tru True nul nulll NaN Infinity - +1 01 -01 .5 1.
            1.e5 1e 1e+ 0x10 1_0 {}{} {}x 1//"#;
        let with_space = [
            "",
            " ",
            "[1 2]",
            "1 2",
            "{\"a\":1 \"b\":2}",
            "/* */1",
            "\"a\nb\"",
            "\"\t\"",
            "\"\u{0}\"",
            "\u{feff}1",
            "\u{a0}1",
            "\u{b}1",
        ];
        for text in broken.split_whitespace().chain(with_space) {
            assert_eq!(token(text), Err(JsonProblem::Syntax), "{text:?}");
        }
        for text in
            ["0", "-0", "10", "0.5", "-0.0e-0", "1E+2", " \t\r\n1\n", "[ ]", "{ }", "\"\u{7f}\""]
        {
            assert!(token(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn text_is_utf_8_without_lone_surrogates() {
        for bytes in [
            &b"\"\xff\""[..],
            b"\"\xc0\xaf\"",
            b"\"\xed\xa0\x80\"",
            b"\"\xf4\x90\x80\x80\"",
            b"\"\xe2\x82\"",
        ] {
            let error = parse(bytes, Limits::TOKEN).unwrap_err();
            assert_eq!(error, JsonError { problem: JsonProblem::Encoding, at: 1 }, "{bytes:?}");
        }
        for text in [
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800a""#,
            r#""\ud800\n""#,
            r#""\ud800\u0041""#,
            r#""\ud800\ud800""#,
            r#"{"\udfff":1}"#,
        ] {
            assert_eq!(token(text), Err(JsonProblem::Encoding), "{text}");
        }
        assert_eq!(token(r#""\ud83d\ude00\uD83D\uDE00""#).unwrap().as_str().unwrap(), "😀😀");
    }

    #[test]
    fn escapes_are_resolved() {
        let string = token(r#""\"\\\/\b\f\n\r\tA\u00e9\u0000\u20ac z""#).unwrap();
        assert_eq!(string.as_str().unwrap(), "\"\\/\u{8}\u{c}\n\r\tAé\u{0}€ z");
        assert!(matches!(token(r#""plain""#).unwrap().as_str(), Some(Cow::Borrowed("plain"))));
    }

    #[test]
    fn a_duplicate_is_found_whatever_its_spelling_and_place() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"\u0061":3}"#,
            r#"{"\u0061":1,"\u0061":3}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"b":[],"a":{}}]]}"#,
            r#"[{"a":1,"a":2}]"#,
        ] {
            assert_eq!(token(text), Err(duplicate("a")), "{text}");
        }
        assert_eq!(token(r#"{"":1,"":2}"#), Err(duplicate("")));
        assert!(token(r#"{"a":{"a":{"a":1}},"A":[{"a":1},{"a":1}],"\\u0061":1}"#).is_ok());
    }

    /// `count` members, of which the one at `copy` is named as the one at `original`.
    fn members(count: usize, original: usize, copy: usize) -> String {
        let name = |i: usize| if i == copy { original } else { i };
        let members: Vec<_> = (0..count).map(|i| format!("\"n{}\":0", name(i))).collect();
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn a_duplicate_is_found_among_many_members() {
        for (original, copy) in [
            (0, 1),
            (0, 23),
            (22, 23),
            (0, 24),
            (23, 24),
            (23, 1023),
            (24, 25),
            (24, 1023),
            (1022, 1023),
        ] {
            let text = members(1024, original, copy);
            assert_eq!(token(&text), Err(duplicate(&format!("n{original}"))), "{original} {copy}");
        }
        assert!(token(&members(1024, 0, 0)).is_ok());
    }

    /// Only the ends of a name are hashed.
    #[test]
    fn names_with_one_hash_are_as_many_names() {
        let alike = |middle: char| format!("\"12345678{middle}12345678\":0");
        for before in [0, 23, 24, 100] {
            let object = |more: &[char]| {
                let fillers = (0..before).map(|n| format!("\"{n}\":0"));
                let members: Vec<_> = fillers.chain(more.iter().copied().map(alike)).collect();
                format!("{{{}}}", members.join(","))
            };
            assert!(token(&object(&['a', 'b', 'c'])).is_ok(), "{before}");
            for more in [['a', 'b', 'a'], ['a', 'a', 'b'], ['b', 'a', 'a']] {
                let twice = duplicate("12345678a12345678");
                assert_eq!(token(&object(&more)), Err(twice), "{before} {more:?}");
            }
        }
    }

    #[test]
    fn a_document_refuses_duplicates_at_its_top_only() {
        assert_eq!(document(r#"{"keys":[],"keys":[]}"#), Err(duplicate("keys")));
        let inner = r#"{"meta":{"a":1,"a":2},"list":[{"b":1,"b":2},3],"keys":[4]}"#;
        let value = document(inner).unwrap();
        assert_eq!(value.duplicate_member().as_deref(), Some("a"));
        // What stands behind an inner duplicate is still there.
        let names: Vec<_> = value.members().unwrap().map(|(name, _)| name).collect();
        assert_eq!(names, ["meta", "list", "keys"]);
        assert_eq!(value.member("keys").unwrap().text(), "[4]");
        assert_eq!(value.member("list").unwrap().elements().unwrap().count(), 2);
        assert_eq!(value.member("meta").unwrap().member("a").unwrap().text(), "2");
        assert_eq!(value.member("keys").unwrap().duplicate_member(), None);
    }

    #[test]
    fn limits_hold_and_what_reaches_them_passes() {
        let nested =
            |open: &str, close: &str, depth| open.repeat(depth) + "0" + &close.repeat(depth);
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let per = open.matches(['[', '{']).count();
            assert!(token(&nested(open, close, 32 / per)).is_ok());
            assert_eq!(token(&nested(open, close, 32 / per + 1)), Err(JsonProblem::Depth));
            assert_eq!(token(&open.repeat(100_000)), Err(JsonProblem::Depth));
        }
        assert!(document(&members(1024, 0, 0)).is_ok());
        let many = members(1025, 0, 0);
        assert_eq!(token(&many), Err(JsonProblem::Members));
        for text in [many.clone(), format!("{{\"a\":{many}}}"), format!("[{many}]")] {
            assert_eq!(document(&text), Err(JsonProblem::Members));
        }
        let digits = |count: usize| "1".repeat(count);
        assert!(token(&digits(128)).is_ok());
        assert_eq!(token(&digits(129)), Err(JsonProblem::Number));
        assert_eq!(token(&format!("[-0.{}]", digits(126))), Err(JsonProblem::Number));
        for limit in [JsonProblem::Depth, JsonProblem::Members, JsonProblem::Number] {
            assert!(limit.is_limit());
        }
        assert!(!JsonProblem::Syntax.is_limit() && !duplicate("a").is_limit());
    }

    #[test]
    fn an_error_says_where() {
        for (text, shown) in [
            ("{\"a\":tru}", "not JSON at byte 5"),
            ("[1,", "not JSON at byte 3"),
            ("{} x", "not JSON at byte 3"),
            ("\"\\ud800\"", "not UTF-8 at byte 7"),
            ("{\"a\\u001b\":1,\"a\\u001b\":2}", "member \"a\\u{1b}\" appears twice"),
        ] {
            assert_eq!(parse(text.as_bytes(), Limits::TOKEN).unwrap_err().to_string(), shown);
        }
        // After the name that comes again; among many, which are compared at the end, after them all.
        let at = |text: &str| parse(text.as_bytes(), Limits::TOKEN).unwrap_err().at;
        assert_eq!(at(r#"{"a":1,"a":2} "#), 10);
        let many = members(30, 24, 28);
        assert_eq!(at(&format!("{many} ")), many.len());
    }

    #[test]
    fn accessors_give_a_value_only_as_what_it_is() {
        let cases = [
            ("null", Kind::Null),
            ("true", Kind::Bool),
            ("false", Kind::Bool),
            ("-1.5e1", Kind::Number),
            ("\"1\"", Kind::String),
            ("[1, [2] ,{}]", Kind::Array),
            ("{ \"a\" : [1] , \"b\":\"x\" }", Kind::Object),
        ];
        for (text, kind) in cases {
            let padded = format!(" {text}\n");
            let value = token(&padded).unwrap();
            assert_eq!((value.text(), value.kind()), (text, kind));
            assert_eq!(value.is_object(), kind == Kind::Object);
            assert_eq!(value.as_str().is_some(), kind == Kind::String);
            assert_eq!(value.as_f64().is_some(), kind == Kind::Number);
            assert_eq!(value.as_bool().is_some(), kind == Kind::Bool);
            assert_eq!(value.elements().is_some(), kind == Kind::Array);
            assert_eq!(value.members().is_some(), kind == Kind::Object);
        }
        assert_eq!(token("true").unwrap().as_bool(), Some(true));
        assert_eq!(token("-1.5e1").unwrap().as_f64(), Some(-15.0));
        let texts: Vec<_> =
            token(cases[5].0).unwrap().elements().unwrap().map(Value::text).collect();
        assert_eq!(texts, ["1", "[2]", "{}"]);
        let object = token(cases[6].0).unwrap();
        assert_eq!(object.member("a").unwrap().text(), "[1]");
        assert_eq!(object.member("b").unwrap().as_str().unwrap(), "x");
        assert_eq!(object.member("c"), None);
        assert_eq!(token("[]").unwrap().elements().unwrap().count(), 0);
        assert_eq!(token("{}").unwrap().members().unwrap().count(), 0);
    }

    #[test]
    fn numbers_are_read_as_binary64() {
        for (text, number) in [
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("1e400", f64::INFINITY),
            ("-1e400", f64::NEG_INFINITY),
            ("1e-400", 0.0),
            ("0.1", 0.1),
        ] {
            assert_eq!(token(text).unwrap().as_f64().map(f64::to_bits), Some(f64::to_bits(number)));
        }
    }

    #[test]
    fn an_object_shows_its_own_members_in_order() {
        let mut shown = Vec::new();
        let text = r#" {"a":1,"\u0062":{"c":2}} "#;
        let value = parse_object(text, Limits::TOKEN, |name, value| {
            shown.push((name.to_owned(), value.text()));
        });
        assert_eq!(value.unwrap().text(), text.trim());
        assert_eq!(shown, [("a".to_owned(), "1"), ("b".to_owned(), r#"{"c":2}"#)]);

        for (text, problem) in [
            (" [1]", JsonProblem::NotAnObject),
            ("\"a\"", JsonProblem::NotAnObject),
            ("[1", JsonProblem::Syntax),
            ("", JsonProblem::Syntax),
            ("{}{}", JsonProblem::Syntax),
            ("{\"a\":1,\"a\":2}", duplicate("a")),
        ] {
            let error = parse_object(text, Limits::TOKEN, |_, _| ()).unwrap_err();
            assert_eq!(error.problem, problem, "{text}");
        }
    }
}
