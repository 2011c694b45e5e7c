//! A gzip file (RFC 1952) that is small and becomes large.

use std::sync::OnceLock;

use bytes::Bytes;

/// How many spaces come before the document: 64 MiB.
const SPACES: usize = 1 << DOUBLINGS;
const DOUBLINGS: u32 = 26;

/// The longest repetition that DEFLATE has (RFC 1951 section 3.2.5).
const LONGEST: usize = 258;

/// The document after 64 MiB of white space, compressed to less than 512 KiB.
pub(super) fn bomb(document: &[u8]) -> Vec<u8> {
    // The document is small, so that what comes before it is most of the work.
    static FUSE: OnceLock<Bytes> = OnceLock::new();
    let fuse = FUSE.get_or_init(|| Bytes::from(head(SPACES)));
    tail(fuse, SPACES, crc(crc_of_spaces(DOUBLINGS), document.iter().copied()), document)
}

/// The header, and blocks for this many spaces: one as a literal, the rest as its repetitions. It
/// ends on a whole byte, with an empty stored block (RFC 1951 section 3.2.4).
fn head(spaces: usize) -> Vec<u8> {
    // Deflate, no flags, no time, an unknown system.
    let mut bits = Bits { bytes: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], ..Bits::default() };
    bits.push(0, 1);
    bits.push(1, 2);
    let repeated = spaces.saturating_sub(1);
    for _ in 0..spaces.min(1).saturating_add(repeated % LONGEST) {
        bits.literal(b' ');
    }
    for _ in 0..repeated / LONGEST {
        // Code 285 of the fixed codes (length 258), then distance code 0 (distance 1).
        bits.code(0b1100_0101, 8);
        bits.code(0, 5);
    }
    bits.end_block();
    bits.push(0, 3);
    bits.align();
    bits.bytes.extend([0, 0, 0xff, 0xff]);
    bits.bytes
}

/// What follows the head: the document as literals, in the last block, and the trailer.
fn tail(head: &[u8], spaces: usize, crc: u32, document: &[u8]) -> Vec<u8> {
    let mut bits = Bits { bytes: head.to_vec(), ..Bits::default() };
    bits.push(1, 1);
    bits.push(1, 2);
    for byte in document {
        bits.literal(*byte);
    }
    bits.end_block();
    bits.align();
    bits.bytes.extend((!crc).to_le_bytes());
    // The length modulo 2^32, of which these are far away.
    let length = u32::try_from(spaces.saturating_add(document.len())).unwrap_or(u32::MAX);
    bits.bytes.extend(length.to_le_bytes());
    bits.bytes
}

/// A CRC that goes on from `crc`, bit by bit.
fn crc(crc: u32, bytes: impl Iterator<Item = u8>) -> u32 {
    let bit = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
    bytes.fold(crc, |crc, byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| bit(crc)))
}

/// The CRC-32 (RFC 1952 section 8, before its final complement) of two to the power of `doublings`
/// spaces, without looking at each: what a byte does to a CRC is a linear map and a constant, and so
/// is doing it twice.
fn crc_of_spaces(doublings: u32) -> u32 {
    let mut constant = crc(0, [b' '].into_iter());
    let mut columns: Vec<u32> =
        (0..32).map(|bit| crc(1 << bit, [b' '].into_iter()) ^ constant).collect();
    for _ in 0..doublings {
        let linear = |from: u32| {
            let set = columns.iter().enumerate().filter(|(bit, _)| (from >> bit) & 1 == 1);
            set.fold(0, |sum, (_, column)| sum ^ column)
        };
        constant ^= linear(constant);
        columns = columns.iter().map(|column| linear(*column)).collect();
    }
    columns.iter().fold(constant, |sum, column| sum ^ column)
}

/// Bits into bytes, the least significant first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    kept: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, value: u32, count: u32) {
        self.kept |= value << self.count;
        self.count = self.count.saturating_add(count);
        while self.count >= 8 {
            let [low, ..] = self.kept.to_le_bytes();
            self.bytes.push(low);
            self.kept >>= 8;
            self.count = self.count.saturating_sub(8);
        }
    }

    /// A Huffman code, which goes the other way round.
    fn code(&mut self, code: u32, count: u32) {
        self.push(code.reverse_bits() >> 32_u32.saturating_sub(count), count);
    }

    /// A byte as itself, by the fixed codes (RFC 1951 section 3.2.6).
    fn literal(&mut self, byte: u8) {
        let byte = u32::from(byte);
        if byte < 144 {
            self.code(byte.saturating_add(0x30), 8);
        } else {
            self.code(byte.saturating_add(0x100), 9);
        }
    }

    fn end_block(&mut self) {
        self.code(0, 7);
    }

    fn align(&mut self) {
        if self.count > 0 {
            self.push(0, 8_u32.saturating_sub(self.count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads bits back.
    struct Reader<'a>(&'a [u8], usize);

    impl Reader<'_> {
        fn bits(&mut self, count: usize) -> u32 {
            (0..count).fold(0, |value, place| value | (self.bit() << place))
        }

        fn bit(&mut self) -> u32 {
            let bit = u32::from(self.0[self.1 / 8] >> (self.1 % 8)) & 1;
            self.1 += 1;
            bit
        }

        fn code(&mut self, count: usize) -> u32 {
            (0..count).fold(0, |code, _| code << 1 | self.bit())
        }

        /// A symbol of the fixed codes.
        fn symbol(&mut self) -> u32 {
            let seven = self.code(7);
            if seven < 0b001_1000 {
                return 256 + seven;
            }
            let eight = seven << 1 | self.bit();
            match eight {
                0x30..=0xbf => eight - 0x30,
                0xc0..=0xc7 => eight - 0xc0 + 280,
                _ => (eight << 1 | self.bit()) - 0x190 + 144,
            }
        }
    }

    /// As much of RFC 1951 as these files use; what comes out, and the trailer.
    fn inflated(gzip: &[u8]) -> (Vec<u8>, &[u8]) {
        let mut reader = Reader(gzip, 80);
        let mut out = Vec::new();
        loop {
            let is_last = reader.bit() == 1;
            match reader.bits(2) {
                0 => {
                    reader.1 = reader.1.div_ceil(8) * 8;
                    assert_eq!(reader.bits(32), 0xffff_0000);
                }
                1 => loop {
                    match reader.symbol() {
                        256 => break,
                        285 => {
                            assert_eq!(reader.code(5), 0);
                            let last = *out.last().unwrap();
                            out.resize(out.len() + 258, last);
                        }
                        literal => out.push(u8::try_from(literal).unwrap()),
                    }
                },
                other => panic!("block type {other}"),
            }
            if is_last {
                return (out, &gzip[reader.1.div_ceil(8)..]);
            }
        }
    }

    fn length(bytes: &[u8]) -> [u8; 4] {
        u32::try_from(bytes.len()).unwrap().to_le_bytes()
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        // RFC 1952 has no example; this is the one that every CRC-32 is tested with.
        assert_eq!(!crc(u32::MAX, b"123456789".iter().copied()), 0xcbf4_3926);
        let document = "{\"keys\": [\"\u{e9}\u{ff}\"]}".as_bytes();
        for spaces in [0, 1, 2, 258, 259, 260, 1000, 258 * 8 + 1] {
            let all = [&vec![b' '; spaces], document].concat();
            let sum = crc(u32::MAX, all.iter().copied());
            let gzip = tail(&head(spaces), spaces, sum, document);
            let (out, trailer) = inflated(&gzip);
            assert_eq!(out, all);
            assert_eq!(trailer, [(!sum).to_le_bytes(), length(&all)].concat());
        }
    }

    #[test]
    fn the_sum_of_many_spaces_is_that_of_each_of_them() {
        for doublings in 0..12 {
            let spaces = [b' '].into_iter().cycle().take(1 << doublings);
            assert_eq!(crc_of_spaces(doublings), crc(u32::MAX, spaces));
        }
        // As zlib counts it.
        assert_eq!(crc_of_spaces(DOUBLINGS), 0x6840_2c13);
    }

    #[test]
    fn the_bomb_is_small_and_becomes_large() {
        let gzip = bomb(b"{}");
        assert!(gzip.len() < 512 * 1024, "{}", gzip.len());
        let (out, trailer) = inflated(&gzip);
        assert_eq!(out.len(), SPACES + 2);
        assert_eq!(trailer[4..], length(&out));
    }
}
