//! C's integers.

/// The integer that a number stands for: `0x1C`, `10'240`, `64u`, `010`, `0b1`.
pub(super) fn integer(number: &str) -> Option<u64> {
    let plain: String = number.chars().filter(|&c| c != '\'').collect::<String>().to_ascii_lowercase();
    let digits = plain.trim_end_matches(['u', 'l', 'z']);
    match digits.as_bytes() {
        [b'0', b'x', ..] => u64::from_str_radix(&digits[2..], 16).ok(),
        [b'0', b'b', ..] => u64::from_str_radix(&digits[2..], 2).ok(),
        [b'0', _, ..] => u64::from_str_radix(&digits[1..], 8).ok(),
        _ => digits.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_bases_separators_and_suffixes() {
        for (text, value) in
            [("10'240", Some(10240)), ("0x1FUL", Some(31)), ("010", Some(8)), ("0", Some(0)), ("1.5", None)]
        {
            assert_eq!(integer(text), value, "{text}");
        }
        assert_eq!((integer("08"), integer("99999999999999999999")), (None, None));
    }
}
