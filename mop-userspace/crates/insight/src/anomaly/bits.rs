//! Numbers of a snapshot as their bits.
//!
//! JSON readers may round a decimal number by one unit in the last place; a detector that goes on
//! from a snapshot must give the very scores that it would have given without one. Numbers that are
//! not finite are refused: no detector has one.

use serde::{
    Deserialize, Deserializer, Serializer,
    de::{Error, Unexpected},
};

/// A number.
pub(super) fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(number.to_bits())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let bits = u64::deserialize(deserializer)?;
    let number = f64::from_bits(bits);
    if number.is_finite() {
        Ok(number)
    } else {
        Err(Error::invalid_value(Unexpected::Unsigned(bits), &"the bits of a finite number"))
    }
}

/// An array of numbers.
pub(super) mod array {
    use serde::{
        Deserialize, Deserializer, Serializer,
        de::{Error, Unexpected},
    };

    pub(in super::super) fn serialize<S: Serializer, const N: usize>(
        numbers: &[f32; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(|number| number.to_bits()))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[f32; N], D::Error> {
        let numbers: Vec<f32> =
            Vec::<u32>::deserialize(deserializer)?.into_iter().map(f32::from_bits).collect();
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(Error::invalid_value(Unexpected::Seq, &"the bits of finite numbers"));
        }
        let length = numbers.len();
        numbers.try_into().map_err(|_wrong_length: Vec<f32>| {
            Error::invalid_length(length, &"as many numbers as there are slots")
        })
    }
}

/// An array of small counts.
pub(super) mod counts {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer, const N: usize>(
        counts: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(counts)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let counts = Vec::<u8>::deserialize(deserializer)?;
        let length = counts.len();
        counts.try_into().map_err(|_wrong_length: Vec<u8>| {
            Error::invalid_length(length, &"as many counts as there are shapes")
        })
    }
}
