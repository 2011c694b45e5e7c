//! The little of DER (X.690) that key files need: definite lengths, one-byte tags.

pub(super) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;
/// `[0]`, constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;

/// Reads one element after the other. `None` means that this is not the DER that was asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The inside of `bytes`, when they are one SEQUENCE and nothing else.
    pub(super) fn sequence_only(bytes: &'a [u8]) -> Option<Self> {
        let mut outer = Self::new(bytes);
        let inside = outer.sequence()?;
        outer.rest.is_empty().then_some(inside)
    }

    /// The contents of the next element, which must have this tag.
    pub(super) fn read(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents, rest) = split_element(self.rest)?;
        if found != tag {
            return None;
        }
        self.rest = rest;
        Some(contents)
    }

    /// The inside of the next element, which must be a SEQUENCE.
    pub(super) fn sequence(&mut self) -> Option<Self> {
        self.read(SEQUENCE).map(Self::new)
    }

    /// The next element with its tag and length, whatever it is.
    pub(super) fn whole(&mut self) -> Option<&'a [u8]> {
        let (_, _, rest) = split_element(self.rest)?;
        let element = self.rest.get(..self.rest.len().checked_sub(rest.len())?)?;
        self.rest = rest;
        Some(element)
    }

    /// The next element, which must be an INTEGER that is not negative; big-endian.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        let contents = self.read(INTEGER)?;
        contents.first().is_some_and(|first| *first < 0x80).then_some(contents)
    }

    /// The next element, which must be a BIT STRING of whole bytes.
    pub(super) fn bit_string(&mut self) -> Option<&'a [u8]> {
        let (unused, bits) = self.read(BIT_STRING)?.split_first()?;
        (*unused == 0).then_some(bits)
    }
}

/// The tag and contents of the first element, and what follows it.
fn split_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    if tag & 0x1f == 0x1f {
        return None; // a tag of several bytes: no key file has one
    }
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let len = digits.iter().fold(0, |len, digit| (len << 8) | usize::from(*digit));
            // DER lengths are as short as they can be (X.690 section 10.1).
            let shortest = len >= 0x80 && digits.first() != Some(&0);
            if !shortest {
                return None;
            }
            (len, rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((*tag, contents, rest))
}
