//! The wire format of Protocol Buffers, as far as records need it: fields of a message where they lie.

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// An integer, or a number of 64 or 32 bits.
    Number(u64),
    /// A text, bytes, a message, or numbers side by side.
    Bytes(&'a [u8]),
}

/// The fields of a message, with their numbers. `None` ends a message that is none.
pub fn fields(message: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let (mut rest, mut fields) = (message, Vec::new());
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut rest)?),
            1 => Value::Number(u64::from_le_bytes(*take(&mut rest, 8)?.first_chunk()?)),
            2 => {
                let size = usize::try_from(varint(&mut rest)?).ok()?;
                Value::Bytes(take(&mut rest, size)?)
            }
            5 => Value::Number(u32::from_le_bytes(*take(&mut rest, 4)?.first_chunk()?).into()),
            _ => return None,
        };
        fields.push((tag >> 3, value));
    }
    Some(fields)
}

/// The bytes of the fields of one number, in their order.
pub fn parts(message: &[u8], number: u64) -> Option<Vec<&[u8]>> {
    let part = |(own, value)| match value {
        Value::Bytes(bytes) if own == number => Some(bytes),
        _ => None,
    };
    Some(fields(message)?.into_iter().filter_map(part).collect())
}

/// Integers, each in a field of this number or several side by side.
pub fn integers(message: &[u8], number: u64) -> Option<Vec<i64>> {
    let mut integers = Vec::new();
    for (_, value) in fields(message)?.into_iter().filter(|(own, _)| *own == number) {
        match value {
            Value::Number(one) => integers.push(one as i64),
            Value::Bytes(mut several) => {
                while !several.is_empty() {
                    integers.push(varint(&mut several)? as i64);
                }
            }
        }
    }
    Some(integers)
}

/// The bytes of numbers of `SIZE` bytes, each in a field of this number or several side by side.
pub fn fixed<const SIZE: usize>(message: &[u8], number: u64) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    for (_, value) in fields(message)?.into_iter().filter(|(own, _)| *own == number) {
        match value {
            Value::Number(one) => all.extend_from_slice(&one.to_le_bytes()[..SIZE]),
            Value::Bytes(several) if several.len() % SIZE == 0 => all.extend_from_slice(several),
            Value::Bytes(_) => return None,
        }
    }
    Some(all)
}

/// An integer of seven bits a byte.
pub fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(rest, 1)?.first()?;
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], size: usize) -> Option<&'a [u8]> {
    let (part, behind) = rest.split_at_checked(size)?;
    *rest = behind;
    Some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_nonsense_refused() {
        let message = [0x08, 0x96, 0x01, 0x12, 0x02, b'h', b'i', 0x1D, 1, 0, 0, 0];
        let wanted = vec![(1, Value::Number(150)), (2, Value::Bytes(b"hi")), (3, Value::Number(1))];
        assert_eq!(fields(&message), Some(wanted));
        for cut in [1, 2, 4, 6, 9] {
            assert_eq!(fields(&message[..cut]), None, "{cut}");
        }
        // Groups, and a number of more than 64 bits.
        assert_eq!(fields(&[0x0B]), None);
        assert_eq!(fields(&[[0xFF; 10].as_slice(), &[1]].concat()), None);
        assert_eq!(integers(&[0x08, 1, 0x0A, 2, 2, 3], 1), Some(vec![1, 2, 3]));
        assert_eq!(fixed::<4>(&[0x0A, 3, 0, 0, 0], 1), None);
    }
}
