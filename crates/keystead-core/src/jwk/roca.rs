//! RSA moduli that can be factored by whoever reads them: ROCA (CVE-2017-15361).

/// Whether the modulus, big-endian and of 2,048 bits or more, has the shape of a ROCA key.
///
/// A library on millions of smart cards and TPMs made its primes as `k * M + (65537^a mod M)`, `M`
/// being the product of the first primes: up to 701 for keys of 2,048 bits, and more of them for
/// longer ones. The modulus is then a power of 65537 modulo each of these, which is enough to factor
/// it (Nemec and others, "The Return of Coppersmith's Attack", 2017). An honest modulus passes for
/// one by chance once in 2^167 times.
pub(super) fn is_roca(modulus: &[u8]) -> bool {
    let mut primes = (3..=701).filter(|number| is_prime(*number));
    primes.all(|prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn is_prime(number: u32) -> bool {
    !(2..number).any(|divisor| number.is_multiple_of(divisor))
}

fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % divisor)
}

fn is_power_of_65537(residue: u32, prime: u32) -> bool {
    let mut power = 1;
    while power != residue {
        power = power * 65_537 % prime;
        if power == 1 {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product, big-endian.
    fn times(number: &[u8], factor: u32) -> Vec<u8> {
        let (mut product, mut carry) = (Vec::new(), 0);
        for byte in number.iter().rev() {
            carry += u32::from(*byte) * factor;
            product.push(carry.to_le_bytes()[0]);
            carry >>= 8;
        }
        product.extend(carry.to_le_bytes().iter().take_while(|byte| **byte != 0));
        product.reverse();
        product
    }

    /// `k * M + 65537^power`, as a modulus of ROCA's primes is, with `M` up to the largest prime.
    fn roca(largest: u32, power: u32) -> Vec<u8> {
        let primes = (2..=largest).filter(|number| is_prime(*number));
        let product = primes.fold(vec![1], |product, prime| times(&product, prime));
        // 2^k for k: room for the power of 65537 below it, and a length as real keys have it.
        let mut modulus = product;
        modulus.resize(256, 0);
        let summand = (0..power).fold(vec![1], |sum, _| times(&sum, 65_537));
        let at = modulus.len() - summand.len();
        modulus[at..].copy_from_slice(&summand);
        modulus
    }

    #[test]
    fn a_modulus_of_the_weak_library_is_found() {
        for power in [0, 1, 2, 7] {
            assert!(is_roca(&roca(701, power)), "{power}");
            let mut other = roca(701, power);
            *other.last_mut().unwrap() ^= 2;
            assert!(!is_roca(&other), "{power}");
        }
        assert!(!is_roca(&roca(307, 0)), "a shorter product is that of shorter keys");
        assert!(!is_roca(&[0xff; 256]));
    }

    #[test]
    fn powers_go_round_in_their_group() {
        // 65537 is 10 modulo 11, whose powers are 10 and 1.
        let powers = |prime: u32| {
            (0..prime).filter(|residue| is_power_of_65537(*residue, prime)).collect::<Vec<_>>()
        };
        assert_eq!(powers(11), [1, 10]);
        assert_eq!(powers(3), [1, 2]);
        assert_eq!(remainder(&[1, 0, 1], 11), 10);
        assert_eq!((2..30).filter(|n| is_prime(*n)).count(), 10);
    }
}
