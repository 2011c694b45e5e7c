//! PEM sections (RFC 7468), read as forgivingly as the text around them tends to be mangled.

/// What OpenSSL writes before an EC private key.
pub(super) const EC_PARAMETERS: &str = "EC PARAMETERS";

/// One section, from its BEGIN line to its END line.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// The label; `None` when the BEGIN line is not one.
    pub(super) label: Option<&'a str>,
    /// Its place among the sections, counted from 1.
    pub(super) number: usize,
    /// What the body decodes to, or why it does not.
    pub(super) body: Result<Vec<u8>, BodyProblem>,
}

/// Why the body of a section cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyProblem {
    /// No END line before the next BEGIN line.
    NoEnd,
    /// The END line names another label.
    OtherEnd,
    /// Encrypted in the old way, with headers (RFC 1421 section 4.6).
    Encrypted,
    /// Not base64.
    Base64,
    /// Nothing between the lines.
    Empty,
}

impl BodyProblem {
    /// What is wrong, as part of a sentence.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NoEnd => "has no END line",
            Self::OtherEnd => "has an END line with another label",
            Self::Encrypted => "is encrypted; write the public key instead",
            Self::Base64 => "is not base64",
            Self::Empty => "is empty",
        }
    }
}

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The sections of `text`; what stands between them is not looked at (RFC 7468 section 2).
pub(super) fn sections(text: &str) -> Vec<Section<'_>> {
    let mut pieces = text.split(BEGIN);
    // What comes before the first BEGIN line.
    let _prelude = pieces.next();
    pieces.zip(1..).map(|(piece, number)| section(piece, number)).collect()
}

/// Reads what follows `-----BEGIN `, up to the next section.
fn section(piece: &str, number: usize) -> Section<'_> {
    let Some((label, rest)) = piece.split_once(DASHES).filter(|(label, _)| is_label(label)) else {
        return Section { label: None, number, body: Err(BodyProblem::NoEnd) };
    };
    let body = match rest.split_once(END) {
        None => Err(BodyProblem::NoEnd),
        Some((_, end)) if !is_end_of(label, end) => Err(BodyProblem::OtherEnd),
        Some((body, _)) => decode(body),
    };
    Section { label: Some(label), number, body }
}

/// Whether this can be shown as a label: a BEGIN line without its dashes must not make key material
/// one.
fn is_label(label: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ';
    !label.is_empty() && label.len() <= 32 && label.bytes().all(allowed)
}

fn is_end_of(label: &str, end: &str) -> bool {
    end.strip_prefix(label).is_some_and(|rest| rest.starts_with(DASHES))
}

fn decode(body: &str) -> Result<Vec<u8>, BodyProblem> {
    if body.contains("Proc-Type:") && body.contains("ENCRYPTED") {
        return Err(BodyProblem::Encrypted);
    }
    let digits = without_line_breaks(body);
    if digits.is_empty() {
        return Err(BodyProblem::Empty);
    }
    base64_simd::forgiving_decode_to_vec(digits.as_bytes()).map_err(|_| BodyProblem::Base64)
}

/// The body without white space, real or written as `\n` or `\r` (escaped once or more often).
fn without_line_breaks(body: &str) -> String {
    let mut digits = String::with_capacity(body.len());
    let mut escaped = false;
    for c in body.chars() {
        let line_break = escaped && matches!(c, 'n' | 'r');
        escaped = c == '\\';
        if !(line_break || escaped || c.is_whitespace()) {
            digits.push(c);
        }
    }
    digits
}
