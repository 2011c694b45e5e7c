//! Octets in other forms: base64, DER, and numbers of a fixed length.

use base64_simd::{STANDARD, URL_SAFE_NO_PAD};

pub(crate) fn base64(octets: &[u8]) -> String {
    STANDARD.encode_to_string(octets)
}

pub(crate) fn base64url(octets: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode_to_string(octets)
}

/// The octets of unpadded base64url; none when it is something else.
pub(crate) fn octets(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode_to_vec(text).unwrap_or_default()
}

/// The same text with the first of the bits set that stand for nothing, which a decoder may
/// overlook (RFC 4648 section 3.5). A text without such bits stays as it is.
pub(crate) fn with_stray_bit(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut octets = text.as_bytes().to_vec();
    if !matches!(octets.len() % 4, 2 | 3) {
        return text.to_owned();
    }
    if let Some(last) = octets.last_mut()
        && let Some(value) = ALPHABET.iter().position(|letter| letter == last)
        && let Some(stray) = ALPHABET.get(value | 1)
    {
        *last = *stray;
    }
    String::from_utf8(octets).unwrap_or_default()
}

/// Two numbers side by side, as an ECDSA signature in DER (RFC 3279 section 2.2.3).
pub(crate) fn ecdsa_der(signature: &[u8]) -> Vec<u8> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let body = [der_integer(r), der_integer(s)].concat();
    der(0x30, &body)
}

fn der_integer(number: &[u8]) -> Vec<u8> {
    let mut number = without_leading_zeros(number).to_vec();
    if number.first().is_none_or(|first| *first >= 0x80) {
        number.insert(0, 0);
    }
    der(0x02, &number)
}

fn der(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap_or_default();
    let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
    [head, body.to_vec()].concat()
}

pub(crate) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The sum of two big-endian numbers, as long as the first, and whether it overflowed.
pub(crate) fn sum(one: &[u8], other: &[u8]) -> (Vec<u8>, bool) {
    let mut carry = 0_u16;
    let mut digits: Vec<u8> = aligned(one, other)
        .map(|(one, other)| {
            let [high, low] = (u16::from(one) + u16::from(other) + carry).to_be_bytes();
            carry = u16::from(high);
            low
        })
        .collect();
    digits.reverse();
    (digits, carry != 0)
}

/// The difference of two big-endian numbers, of which the first is the greater.
pub(crate) fn difference(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut borrow = 0_i16;
    let mut digits: Vec<u8> = aligned(one, other)
        .map(|(one, other)| {
            let digit = i16::from(one) - i16::from(other) - borrow;
            borrow = i16::from(digit < 0);
            digit.to_be_bytes()[1]
        })
        .collect();
    digits.reverse();
    digits
}

/// The digits of two big-endian numbers from the last to the first of the first number.
fn aligned<'a>(one: &'a [u8], other: &'a [u8]) -> impl Iterator<Item = (u8, u8)> + 'a {
    let other = other.iter().rev().copied().chain(std::iter::repeat(0));
    one.iter().rev().copied().zip(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_length() {
        assert_eq!(sum(&[1, 255], &[2]), (vec![2, 1], false));
        assert_eq!(sum(&[255, 255], &[1]), (vec![0, 0], true));
        assert_eq!(difference(&[2, 1], &[2]), [1, 255]);
    }

    #[test]
    fn a_stray_bit_changes_the_text_and_not_the_octets() {
        assert_eq!(with_stray_bit("YQ"), "YR");
        assert_eq!(with_stray_bit("YWI"), "YWJ");
        assert_eq!(with_stray_bit("YWJj"), "YWJj");
    }

    #[test]
    fn der_numbers_are_positive_and_short() {
        assert_eq!(ecdsa_der(&[0x80, 0, 0, 1]), [0x30, 8, 2, 3, 0, 0x80, 0, 2, 1, 1]);
    }
}
