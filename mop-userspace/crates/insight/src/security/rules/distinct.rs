//! How many different values there were in a time: exact while they are few, estimated beyond.

/// Different values of one key.
///
/// Up to [`EXACT_VALUES`] are remembered with the time of each, and the number is exact for a window
/// that ends with the newest. When there are more, 64 registers of one byte take their place
/// (HyperLogLog: the standard error is 1.04 / √64 = 13 %) until the time since the oldest value is
/// over. A number beyond [`EXACT_VALUES`] is thus of values within the window, never of older ones.
#[derive(Clone, Debug)]
pub struct Distinct(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Exact(Vec<Seen>),
    Sketch {
        registers: Box<[u8; REGISTERS]>,
        /// When the oldest value is no longer within the window.
        until_ns: u64,
    },
}

/// A value, by its digest, and when it was seen last.
#[derive(Clone, Copy, Debug)]
struct Seen {
    value: u64,
    at_ns: u64,
}

impl Distinct {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Kept::Exact(Vec::new()))
    }

    /// Takes a value in, by a digest whose bits are all as good as random, and gives the number of
    /// different ones in the `timespan_ns` before.
    pub fn add(&mut self, value: u64, at_ns: u64, timespan_ns: u64) -> u64 {
        if let Kept::Sketch { until_ns, .. } = &self.0
            && *until_ns <= at_ns
        {
            *self = Self::new();
        }
        let seen = match &mut self.0 {
            Kept::Sketch { registers, .. } => {
                note(registers, value);
                return estimate(registers);
            }
            Kept::Exact(seen) => seen,
        };
        seen.retain(|seen| at_ns < seen.at_ns.saturating_add(timespan_ns));
        if let Some(known) = seen.iter_mut().find(|seen| seen.value == value) {
            known.at_ns = known.at_ns.max(at_ns);
        } else {
            seen.push(Seen { value, at_ns });
        }
        if seen.len() <= EXACT_VALUES {
            return u64::try_from(seen.len()).unwrap_or(u64::MAX);
        }
        let mut registers = Box::new([0; REGISTERS]);
        let mut oldest = at_ns;
        for seen in seen.iter() {
            note(&mut registers, seen.value);
            oldest = oldest.min(seen.at_ns);
        }
        let number = estimate(&registers);
        self.0 = Kept::Sketch { registers, until_ns: oldest.saturating_add(timespan_ns) };
        number
    }
}

impl Default for Distinct {
    fn default() -> Self {
        Self::new()
    }
}

/// The low bits choose a register, which keeps the longest run of zeros at the top of the rest.
fn note(registers: &mut [u8; REGISTERS], value: u64) {
    let register = usize::try_from(value % REGISTERS as u64).unwrap_or_default();
    let zeros = u8::try_from((value | LOW_BITS).leading_zeros()).unwrap_or(u8::MAX);
    if let Some(longest) = registers.get_mut(register) {
        *longest = (*longest).max(zeros + 1);
    }
}

/// Flajolet, Fusy, Gandouet and Meunier 2007, with their correction for small numbers. Never below
/// what is known to have been seen.
fn estimate(registers: &[u8; REGISTERS]) -> u64 {
    let size = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|register| 2_f64.powi(-i32::from(*register))).sum();
    let raw = ALPHA * size * size / sum;
    let empty = registers.iter().filter(|register| **register == 0).count();
    let number =
        if raw <= 2.5 * size && empty > 0 { size * (size / empty as f64).ln() } else { raw };
    (number.round() as u64).max(EXACT_VALUES as u64 + 1)
}

/// Values that are remembered; 16 bytes each.
pub const EXACT_VALUES: usize = 64;

/// Registers of the estimate.
const REGISTERS: usize = 64;

/// Bits that choose the register; set, so that they do not count as zeros.
const LOW_BITS: u64 = REGISTERS as u64 - 1;

/// The constant of the estimate for 64 registers.
const ALPHA: f64 = 0.709;

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests that are as good as random: the finaliser of splitmix64.
    fn digest(number: u64) -> u64 {
        let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    #[test]
    fn few_values_are_counted_exactly_within_their_time() {
        let mut distinct = Distinct::new();
        for number in 1..=64 {
            assert_eq!(distinct.add(digest(number), number, 1_000), number);
            assert_eq!(distinct.add(digest(number), number, 1_000), number);
        }
        // Of the times 1 to 64, 31 are over at 1031.
        assert_eq!(distinct.add(digest(64), 1_031, 1_000), 33);
        assert_eq!(distinct.add(digest(99), 5_000, 1_000), 1);
    }

    #[test]
    fn many_values_are_estimated_until_their_time_is_over() {
        for many in [70, 100, 500, 5_000, 100_000] {
            let mut distinct = Distinct::new();
            let mut number = 0;
            for value in 1..=many {
                number = distinct.add(digest(value), 7, 1_000);
            }
            // Three standard errors.
            let off = (number as f64 - many as f64).abs() / many as f64;
            assert!(off < 0.39, "{many} are told as {number}");
            assert_eq!(distinct.add(digest(1), 1_007, 1_000), 1);
        }
    }
}
