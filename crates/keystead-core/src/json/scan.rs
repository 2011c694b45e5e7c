//! The scan itself: one pass over the text.
//!
//! Each step takes the position where it starts and gives the one where it ends, so that the position
//! stays in a register. What ends a scan early is kept aside for the same reason.

use super::names::Names;
use super::strings::{Raw, after_plain_bytes};
use super::{Duplicates, Escapes, INSIDE, JsonError, JsonProblem, Limits, Value};

/// A scan of one text.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    limits: Limits,
    problem: Option<JsonError>,
}

/// The scan has ended with the problem that is kept in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop;

/// Where the next step starts.
type Step = Result<usize, Stop>;

/// The same after a value.
type AfterValue = Result<(usize, Escapes), Stop>;

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a str, limits: Limits) -> Self {
        Self { text, limits, problem: None }
    }

    /// For texts that have been checked before.
    pub(super) const fn again(text: &'a str) -> Self {
        let limits = Limits {
            depth: usize::MAX,
            members: usize::MAX,
            number: usize::MAX,
            duplicates: Duplicates::RefusedAtTop,
        };
        Self::new(text, limits)
    }

    /// A whole document.
    pub(super) fn document(&mut self) -> Result<Value<'a>, Stop> {
        let start = self.space(0);
        let (end, escapes) = self.value(start, 0)?;
        self.end(end)?;
        Ok(self.slice(start, end, escapes))
    }

    /// A whole document that must be an object.
    pub(super) fn object_document(
        &mut self,
        member: impl FnMut(&str, Value<'a>),
    ) -> Result<Value<'a>, Stop> {
        let start = self.space(0);
        if self.peek(start) != Some(b'{') {
            self.document()?;
            return self.stop(start, JsonProblem::NotAnObject);
        }
        let end = self.object(start, 1, member)?;
        self.end(end)?;
        Ok(self.slice(start, end, Escapes::Maybe))
    }

    /// What ended the scan.
    pub(super) fn explain(self, _stop: Stop) -> JsonError {
        self.problem.unwrap_or(JsonError { problem: JsonProblem::Syntax, at: 0 })
    }

    /// The next element of an array or name of an object whose text was checked before, and where it
    /// ends.
    pub(super) fn item(&mut self, at: usize) -> Option<(Value<'a>, usize)> {
        let mut start = self.space(at);
        if self.peek(start) == Some(b',') {
            start = self.space(start + 1);
        }
        if matches!(self.peek(start), None | Some(b']' | b'}')) {
            return None;
        }
        let (end, escapes) = self.value(start, INSIDE).ok()?;
        Some((self.slice(start, end, escapes), end))
    }

    /// The value of the member whose name ends at `at`, in a text that was checked before, and where
    /// it ends.
    pub(super) fn after_name(&mut self, at: usize) -> Option<(Value<'a>, usize)> {
        let colon = self.space(at);
        let start = self.space(colon + 1);
        let (end, escapes) = self.value(start, INSIDE).ok()?;
        Some((self.slice(start, end, escapes), end))
    }

    const fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self, at: usize) -> Option<u8> {
        self.bytes().get(at).copied()
    }

    /// Ends the scan.
    #[cold]
    fn stop<T>(&mut self, at: usize, problem: JsonProblem) -> Result<T, Stop> {
        self.problem = Some(JsonError { problem, at });
        Err(Stop)
    }

    /// Both ends of a value are beside ASCII characters, so that they split none.
    fn slice(&self, start: usize, end: usize, escapes: Escapes) -> Value<'a> {
        Value::checked(self.text.get(start..end).unwrap_or("null"), escapes)
    }

    #[inline]
    fn space(&self, mut at: usize) -> usize {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek(at) {
            at += 1;
        }
        at
    }

    fn end(&mut self, at: usize) -> Result<(), Stop> {
        let end = self.space(at);
        if end == self.text.len() { Ok(()) } else { self.stop(end, JsonProblem::Syntax) }
    }

    /// One value; `depth` is how many arrays and objects are open around it.
    #[inline]
    fn value(&mut self, at: usize, depth: usize) -> AfterValue {
        let end = match self.peek(at) {
            Some(b'"') => return self.string(at),
            Some(b'{') => self.object(at, depth.saturating_add(1), |_, _| ()),
            Some(b'[') => self.array(at, depth.saturating_add(1)),
            Some(b't') => self.literal(at, "true"),
            Some(b'f') => self.literal(at, "false"),
            Some(b'n') => self.literal(at, "null"),
            Some(b'-' | b'0'..=b'9') => self.number(at),
            _ => self.stop(at, JsonProblem::Syntax),
        };
        end.map(|end| (end, Escapes::Maybe))
    }

    fn literal(&mut self, at: usize, word: &str) -> Step {
        if self.bytes().get(at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            return Ok(at + word.len());
        }
        self.stop(at, JsonProblem::Syntax)
    }

    fn array(&mut self, at: usize, depth: usize) -> Step {
        if depth > self.limits.depth {
            return self.stop(at, JsonProblem::Depth);
        }
        let mut at = self.space(at + 1);
        if self.peek(at) == Some(b']') {
            return Ok(at + 1);
        }
        loop {
            (at, _) = self.value(at, depth)?;
            at = self.space(at);
            match self.peek(at) {
                Some(b',') => at = self.space(at + 1),
                Some(b']') => return Ok(at + 1),
                _ => return self.stop(at, JsonProblem::Syntax),
            }
        }
    }

    fn object(&mut self, at: usize, depth: usize, mut member: impl FnMut(&str, Value<'a>)) -> Step {
        if depth > self.limits.depth {
            return self.stop(at, JsonProblem::Depth);
        }
        let watch = self.limits.duplicates == Duplicates::Refused || depth == 1;
        let mut names = Names::new(self.text);
        let mut count = 0_usize;
        let mut at = self.space(at + 1);
        if self.peek(at) == Some(b'}') {
            return Ok(at + 1);
        }
        loop {
            let raw = self.name(at)?;
            if count >= self.limits.members {
                return self.stop(raw.end(), JsonProblem::Members);
            }
            count = count.saturating_add(1);
            let name = raw.unescaped();
            if watch && names.seen_before(&name, raw) {
                return self.stop(raw.end(), JsonProblem::DuplicateMember(name.into()));
            }
            at = self.space(raw.end());
            if self.peek(at) != Some(b':') {
                return self.stop(at, JsonProblem::Syntax);
            }
            let start = self.space(at + 1);
            let (end, escapes) = self.value(start, depth)?;
            member(&name, self.slice(start, end, escapes));
            at = end;
            at = self.space(at);
            match self.peek(at) {
                Some(b',') => at = self.space(at + 1),
                Some(b'}') => break,
                _ => return self.stop(at, JsonProblem::Syntax),
            }
        }
        match names.duplicate_among_the_rest() {
            Some(name) => self.stop(at + 1, JsonProblem::DuplicateMember(name.into())),
            None => Ok(at + 1),
        }
    }

    /// The name of a member.
    #[inline]
    fn name(&mut self, at: usize) -> Result<Raw<'a>, Stop> {
        if self.peek(at) != Some(b'"') {
            return self.stop(at, JsonProblem::Syntax);
        }
        let (end, escapes) = self.string(at)?;
        let text = self.text.get(at + 1..end - 1).unwrap_or_default();
        Ok(Raw { text, start: at + 1, escapes })
    }

    /// One string, from its first quote on.
    #[inline]
    fn string(&mut self, at: usize) -> AfterValue {
        let mut escapes = Escapes::None;
        let mut at = at + 1;
        loop {
            at = after_plain_bytes(self.bytes(), at);
            match self.peek(at) {
                Some(b'"') => return Ok((at + 1, escapes)),
                Some(b'\\') => at = self.escape(at + 1)?,
                _ => return self.stop(at, JsonProblem::Syntax),
            }
            escapes = Escapes::Maybe;
        }
    }

    /// What comes after a backslash.
    fn escape(&mut self, at: usize) -> Step {
        match self.peek(at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => return Ok(at + 1),
            Some(b'u') => {}
            _ => return self.stop(at, JsonProblem::Syntax),
        }
        let (unit, end) = self.hex4(at + 1)?;
        match unit {
            0xd800..=0xdbff if self.bytes().get(end..).is_some_and(|s| s.starts_with(b"\\u")) => {
                match self.hex4(end + 2)? {
                    (0xdc00..=0xdfff, end) => Ok(end),
                    (_, end) => self.stop(end, JsonProblem::Encoding),
                }
            }
            0xd800..=0xdfff => self.stop(end, JsonProblem::Encoding),
            _ => Ok(end),
        }
    }

    /// A number of four hexadecimal digits, and where they end.
    fn hex4(&mut self, at: usize) -> Result<(u32, usize), Stop> {
        let end = at + 4;
        let digits = self.text.get(at..end).unwrap_or_default();
        let are_hex = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        match u32::from_str_radix(digits, 16) {
            Ok(unit) if are_hex => Ok((unit, end)),
            _ => self.stop(at, JsonProblem::Syntax),
        }
    }

    fn number(&mut self, start: usize) -> Step {
        let mut at = start;
        if self.peek(at) == Some(b'-') {
            at += 1;
        }
        at = match self.peek(at) {
            Some(b'0') => at + 1,
            Some(b'1'..=b'9') => self.digits(at),
            _ => return self.stop(at, JsonProblem::Syntax),
        };
        if self.peek(at) == Some(b'.') {
            at = self.some_digits(at + 1)?;
        }
        if let Some(b'e' | b'E') = self.peek(at) {
            let signed = matches!(self.peek(at + 1), Some(b'+' | b'-'));
            at = self.some_digits(at + 1 + usize::from(signed))?;
        }
        if at.saturating_sub(start) > self.limits.number {
            return self.stop(at, JsonProblem::Number);
        }
        Ok(at)
    }

    fn digits(&self, mut at: usize) -> usize {
        while let Some(b'0'..=b'9') = self.peek(at) {
            at += 1;
        }
        at
    }

    fn some_digits(&mut self, at: usize) -> Step {
        match self.digits(at) {
            end if end > at => Ok(end),
            _ => self.stop(at, JsonProblem::Syntax),
        }
    }
}
