//! The scan itself: one pass over the text, one position.

use super::names::Names;
use super::strings::{Raw, after_plain_bytes};
use super::{Duplicates, INSIDE, JsonError, JsonProblem, Limits, Value};

/// A position in a text.
#[derive(Clone, Debug)]
pub(super) struct Scan<'a> {
    text: &'a str,
    pub(super) at: usize,
    limits: Limits,
    /// What ended the scan.
    problem: Option<JsonProblem>,
}

/// The scan has ended with a problem. That is kept aside, so that what is returned for every string
/// and number of a document that has none fits a register.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop;

impl<'a> Scan<'a> {
    pub(super) const fn new(text: &'a str, at: usize, limits: Limits) -> Self {
        Self { text, at, limits, problem: None }
    }

    /// Reads the inside of an array or object whose text has been checked before.
    pub(super) fn inside(text: &'a str) -> Self {
        let limits = Limits {
            depth: usize::MAX,
            members: usize::MAX,
            number: usize::MAX,
            duplicates: Duplicates::RefusedAtTop,
        };
        Self::new(text, 1, limits)
    }

    pub(super) fn document(&mut self) -> Result<Value<'a>, Stop> {
        self.space();
        let start = self.at;
        self.value(0)?;
        let value = self.slice(start);
        self.end()?;
        Ok(value)
    }

    pub(super) fn object_document(
        &mut self,
        member: impl FnMut(&str, Value<'a>),
    ) -> Result<Value<'a>, Stop> {
        self.space();
        let start = self.at;
        if self.peek() != Some(b'{') {
            self.document()?;
            self.at = start;
            return self.stop(JsonProblem::NotAnObject);
        }
        self.object(1, member)?;
        let value = self.slice(start);
        self.end()?;
        Ok(value)
    }

    pub(super) fn next_item(&mut self) -> Option<Value<'a>> {
        self.space();
        if self.peek() == Some(b',') {
            self.at += 1;
            self.space();
        }
        if matches!(self.peek(), None | Some(b']' | b'}')) {
            return None;
        }
        let start = self.at;
        self.value(INSIDE).ok()?;
        Some(self.slice(start))
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn peek(&self) -> Option<u8> {
        self.bytes().get(self.at).copied()
    }

    /// Ends the scan here.
    #[cold]
    fn stop<T>(&mut self, problem: JsonProblem) -> Result<T, Stop> {
        self.problem = Some(problem);
        Err(Stop)
    }

    pub(super) fn explain(&mut self, _stop: Stop) -> JsonError {
        let problem = self.problem.take().unwrap_or(JsonProblem::Syntax);
        JsonError { problem, at: self.at }
    }

    /// The text since `start`. Both ends are beside ASCII characters, so that they split none.
    pub(super) fn slice(&self, start: usize) -> Value<'a> {
        Value::checked(self.text.get(start..self.at).unwrap_or("null"))
    }

    #[inline]
    pub(super) fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn end(&mut self) -> Result<(), Stop> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.stop(JsonProblem::Syntax) }
    }

    fn literal(&mut self, word: &str) -> Result<(), Stop> {
        let rest = self.bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            self.stop(JsonProblem::Syntax)
        }
    }

    /// One value; `depth` is how many arrays and objects are open around it.
    #[inline]
    pub(super) fn value(&mut self, depth: usize) -> Result<(), Stop> {
        match self.peek() {
            Some(b'"') => self.string().map(|_escaped| ()),
            Some(b'{') => self.object(depth.saturating_add(1), |_, _| ()),
            Some(b'[') => self.array(depth.saturating_add(1)),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.stop(JsonProblem::Syntax),
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Stop> {
        if depth > self.limits.depth {
            return self.stop(JsonProblem::Depth);
        }
        self.at += 1;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            self.value(depth)?;
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return self.stop(JsonProblem::Syntax),
            }
        }
    }

    fn object(
        &mut self,
        depth: usize,
        mut member: impl FnMut(&str, Value<'a>),
    ) -> Result<(), Stop> {
        if depth > self.limits.depth {
            return self.stop(JsonProblem::Depth);
        }
        let watch = self.limits.duplicates == Duplicates::Refused || depth == 1;
        let mut names = Names::new(self.text);
        let mut count = 0_usize;
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let raw = self.name()?;
            if count >= self.limits.members {
                return self.stop(JsonProblem::Members);
            }
            count = count.saturating_add(1);
            let name = raw.unescaped();
            if watch && names.seen_before(&name, raw) {
                return self.stop(JsonProblem::DuplicateMember(name.into()));
            }
            self.space();
            if self.peek() != Some(b':') {
                return self.stop(JsonProblem::Syntax);
            }
            self.at += 1;
            self.space();
            let start = self.at;
            self.value(depth)?;
            member(&name, self.slice(start));
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return match names.duplicate_among_the_rest() {
                        Some(name) => self.stop(JsonProblem::DuplicateMember(name.into())),
                        None => Ok(()),
                    };
                }
                _ => return self.stop(JsonProblem::Syntax),
            }
        }
    }

    /// The name of a member.
    #[inline]
    fn name(&mut self) -> Result<Raw<'a>, Stop> {
        if self.peek() != Some(b'"') {
            return self.stop(JsonProblem::Syntax);
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let text = self.text.get(start..self.at - 1).unwrap_or_default();
        Ok(Raw { text, start, escaped })
    }

    /// One string, from its first quote on; whether it has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Stop> {
        let bytes = self.bytes();
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = after_plain_bytes(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.stop(JsonProblem::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Stop> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                self.at += 1;
                let unit = self.hex4()?;
                match unit {
                    0xd800..=0xdbff => {
                        self.literal("\\u").or_else(|_| self.stop(JsonProblem::Encoding))?;
                        match self.hex4()? {
                            0xdc00..=0xdfff => Ok(()),
                            _ => self.stop(JsonProblem::Encoding),
                        }
                    }
                    0xdc00..=0xdfff => self.stop(JsonProblem::Encoding),
                    _ => Ok(()),
                }
            }
            _ => self.stop(JsonProblem::Syntax),
        }
    }

    fn hex4(&mut self) -> Result<u32, Stop> {
        let digits = self.text.get(self.at..self.at.saturating_add(4)).unwrap_or_default();
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return self.stop(JsonProblem::Syntax);
        }
        self.at += 4;
        u32::from_str_radix(digits, 16).or_else(|_| self.stop(JsonProblem::Syntax))
    }

    fn number(&mut self) -> Result<(), Stop> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.stop(JsonProblem::Syntax),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if self.at.saturating_sub(start) > self.limits.number {
            return self.stop(JsonProblem::Number);
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Stop> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.stop(JsonProblem::Syntax);
        }
        self.digits();
        Ok(())
    }
}
