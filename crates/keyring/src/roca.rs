//! CVE-2017-15361: Nemec et al., "The Return of Coppersmith's Attack", CCS 2017.
//!
//! A library in smart cards and TPMs made all its primes as `k·M + (65537^a mod M)`, where `M` is a product of the first
//! primes. So the modulus is a power of 65537 modulo every one of them, and the key can be computed from it.

/// For the shortest keys `M` ends with this prime, and for longer keys it goes on.
const LAST_PRIME: u32 = 167;

/// Whether the modulus (big-endian) is of that form. Of other moduli, one in 2^27 is taken for it.
pub(crate) fn is_roca_weak(modulus: &[u8]) -> bool {
    odd_primes().all(|prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn odd_primes() -> impl Iterator<Item = u32> {
    (3..=LAST_PRIME).filter(|number| (2..*number).all(|divisor| number % divisor != 0))
}

fn remainder(number: &[u8], prime: u32) -> u32 {
    number.iter().fold(0, |remainder, byte| ((remainder << 8) | u32::from(*byte)) % prime)
}

fn is_power_of_65537(number: u32, prime: u32) -> bool {
    // No prime has more different powers.
    powers_of_65537(prime).take(prime as usize - 1).any(|power| power == number)
}

fn powers_of_65537(prime: u32) -> impl Iterator<Item = u32> {
    std::iter::successors(Some(1), move |power| Some(power * 65537 % prime))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primes_are_the_first_39_without_2() {
        let primes: Vec<_> = odd_primes().collect();
        assert_eq!((primes.len(), &primes[..5]), (38, [3, 5, 7, 11, 13].as_slice()));
    }

    #[test]
    fn a_power_of_65537_is_weak() {
        for weak in [1, 65537, 65537_u128.pow(7)] {
            assert!(is_roca_weak(&weak.to_be_bytes()), "{weak}");
        }
        for sound in [0, 2, 65537 + 1, 65537 * 2, u128::MAX] {
            assert!(!is_roca_weak(&sound.to_be_bytes()), "{sound}");
        }
    }

    #[test]
    fn the_powers_are_the_numbers_whose_order_divides_that_of_65537() {
        for prime in odd_primes() {
            let order = (1..prime).find(|exponent| power(65537, *exponent, prime) == 1).unwrap();
            for number in 0..prime {
                let is_power = power(number, order, prime) == 1;
                assert_eq!(is_power_of_65537(number, prime), is_power, "{number} modulo {prime}");
            }
        }
    }

    fn power(number: u32, exponent: u32, prime: u32) -> u32 {
        (0..exponent).fold(1, |power, _| power * (number % prime) % prime)
    }
}
