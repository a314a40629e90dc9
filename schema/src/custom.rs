//! Operators of the user's own: how a file tells them from one another.
//!
//! An op has room for 16 bits of code. That of a custom operator has the highest bit set, and below it 15 bits of a hash of
//! the operator's name; the op's first two parameter words are the whole hash. So two operators whose codes are equal are
//! still told apart, and no list of names has to be kept anywhere.
//!
//! The hash is FNV-1a of 64 bits (Fowler, Noll, Vo) over the name's bytes in UTF-8.

/// The lowest code of a custom operator.
pub const CUSTOM: u16 = 0x8000;

/// Parameter words before those that belong to the operator: the hash of its name.
pub const CUSTOM_WORDS: usize = 2;

/// The hash of a custom operator's name: FNV-1a of 64 bits.
pub const fn custom_hash(name: &str) -> u64 {
    const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01B3;
    let bytes = name.as_bytes();
    let (mut hash, mut index) = (BASIS, 0);
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(PRIME);
        index += 1;
    }
    hash
}

/// The code of the custom operator of this name.
pub const fn custom_code(name: &str) -> u16 {
    CUSTOM | custom_hash(name) as u16
}

/// The parameter words of a custom op of this name begin with these.
pub const fn custom_words(name: &str) -> [u32; CUSTOM_WORDS] {
    let hash = custom_hash(name);
    [hash as u32, (hash >> 32) as u32]
}

/// Whether a code is that of a custom operator.
pub const fn is_custom(code: u16) -> bool {
    code >= CUSTOM
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // Of the test vectors that the authors publish.
        for (name, hash) in
            [("", 0xCBF2_9CE4_8422_2325), ("a", 0xAF63_DC4C_8601_EC8C), ("foobar", 0x8594_4171_F739_67E8)]
        {
            assert_eq!(custom_hash(name), hash, "{name}");
        }
        assert_eq!(custom_words("foobar"), [0xF739_67E8, 0x8594_4171]);
        assert_eq!(custom_code("foobar"), 0xE7E8);
        assert!(is_custom(custom_code("")) && !is_custom(0x7FFF));
    }
}
