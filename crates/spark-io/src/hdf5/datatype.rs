//! Types of entries.

use crate::cursor::{Cursor, bits};

/// What an entry is, and how many bytes it takes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Datatype {
    pub(super) size: usize,
    pub(super) class: Class,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Class {
    Number(Number),
    /// Text of a fixed length.
    Text,
    /// Text in the global heap.
    FreeText,
    /// Numbers in the global heap.
    Sequence(Number),
}

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) size: usize,
    pub(super) kind: Kind,
    pub(super) big_endian: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Float,
    Signed,
    Unsigned,
}

/// Length of a reference into the global heap: a count, an address and a number.
pub(super) const REFERENCE: usize = 16;

impl Datatype {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, String> {
        Self::nested(cursor, 0)
    }

    fn nested(cursor: &mut Cursor<'_>, depth: usize) -> Result<Self, String> {
        let [class, bits, _, _] = cursor.array("a datatype")?;
        let size = cursor.length("the size of a datatype")?;
        let version = class >> 4;
        if !(1..=4).contains(&version) {
            return Err(format!("found version {version} of a datatype, expected 1 to 4"));
        }
        if depth > 1 {
            return Err("found types inside of types, expected arrays of numbers or strings".to_owned());
        }
        let class = match class & 15 {
            0 => {
                let properties = cursor.array::<4>("the bits of a number")?;
                let kind = if bits & 8 != 0 { Kind::Signed } else { Kind::Unsigned };
                Class::Number(Number { size, kind, big_endian: bits & 1 != 0 }.whole(properties)?)
            }
            1 => {
                let properties = cursor.array::<12>("the bits of a number")?;
                if bits & 0x40 != 0 {
                    return Err("found numbers in the byte order of a VAX".to_owned());
                }
                Class::Number(
                    Number { size, kind: Kind::Float, big_endian: bits & 1 != 0 }.float(properties)?,
                )
            }
            3 => Class::Text,
            // The names of the values of an enumeration do not matter here.
            8 => Self::nested(cursor, depth + 1)?.class,
            9 => {
                let base = Self::nested(cursor, depth + 1)?;
                match (bits & 15, base.class) {
                    (1, _) => Class::FreeText,
                    (0, Class::Number(number)) => Class::Sequence(number),
                    _ => return Err("found sequences of something else than numbers".to_owned()),
                }
            }
            other => {
                return Err(format!("found type {other} of entries, expected numbers, strings or sequences"));
            }
        };
        let expected = match &class {
            Class::Number(number) => number.size,
            Class::Text => size.max(1),
            Class::FreeText | Class::Sequence(_) => REFERENCE,
        };
        if size != expected {
            return Err(format!("found entries of {size} bytes, expected {expected}"));
        }
        Ok(Self { size, class })
    }

    /// What entries are called in errors.
    pub(super) fn name(&self) -> String {
        match &self.class {
            Class::Number(number) => number.name(),
            Class::Text | Class::FreeText => "strings".to_owned(),
            Class::Sequence(number) => format!("sequences of {}", number.name()),
        }
    }
}

impl Number {
    /// Checks that all bits of a whole number count.
    fn whole(self, properties: [u8; 4]) -> Result<Self, String> {
        let [offset, precision] = [[properties[0], properties[1]], [properties[2], properties[3]]];
        let bits = u16::from_le_bytes(precision);
        let plain =
            matches!(self.size, 1 | 2 | 4 | 8) && offset == [0, 0] && usize::from(bits) == 8 * self.size;
        plain.then_some(self).ok_or_else(|| {
            format!("found whole numbers of {bits} bits in {} bytes, expected all of 1, 2, 4 or 8", self.size)
        })
    }

    /// Checks that a number is one of IEEE 754.
    fn float(self, properties: [u8; 12]) -> Result<Self, String> {
        // Place and size of the exponent, place and size of the fraction.
        let expected = match self.size {
            2 => [10, 5, 0, 10],
            4 => [23, 8, 0, 23],
            8 => [52, 11, 0, 52],
            _ => {
                return Err(format!(
                    "found numbers with a fraction of {} bytes, expected 2, 4 or 8",
                    self.size
                ));
            }
        };
        if properties[4..8] != expected {
            return Err(format!("found numbers of {} bytes that are not of IEEE 754", self.size));
        }
        Ok(self)
    }

    fn name(self) -> String {
        let kind = match self.kind {
            Kind::Float => "float",
            Kind::Signed => "int",
            Kind::Unsigned => "uint",
        };
        format!("{kind}{}", 8 * self.size)
    }

    fn bits(self, bytes: &[u8]) -> u64 {
        bits(bytes, self.big_endian)
    }

    /// The number in so many bytes.
    pub(super) fn double(self, bytes: &[u8]) -> f64 {
        let bits = self.bits(bytes);
        match (self.kind, self.size) {
            (Kind::Float, 2) => half(bits as u16),
            (Kind::Float, 4) => f32::from_bits(bits as u32).into(),
            (Kind::Float, _) => f64::from_bits(bits),
            (Kind::Signed, _) => self.integer(bytes) as f64,
            (Kind::Unsigned, _) => bits as f64,
        }
    }

    /// The whole number in so many bytes; those of 64 bits without sign wrap around.
    pub(super) fn integer(self, bytes: &[u8]) -> i64 {
        let (bits, unused) = (self.bits(bytes), 64 - 8 * self.size as u32);
        // Moved up and back down, so that the sign is kept.
        if self.kind == Kind::Signed { ((bits << unused) as i64) >> unused } else { bits as i64 }
    }
}

/// A number of 16 bits of IEEE 754.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_exact() {
        let expected = [(0x3c00, 1.0), (0xc000, -2.0), (0x0001, 2f64.powi(-24)), (0x7bff, 65504.0)];
        for (bits, value) in expected {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
