//! What an index may say of a file: an address, a path below its folder, a SHA-256.

/// Whether a path only goes down, on every system: not absolute, no `..`, no drive, no control characters.
pub fn stays(file: &str) -> bool {
    let mut steps = file.split(['/', '\\']);
    steps.all(|step| !matches!(step, "" | ".."))
        && !file.chars().any(|c| c == ':' && cfg!(windows) || c.is_control())
}

/// Whether this can be a SHA-256.
pub fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a file lies on a server.
pub fn is_address(file: &str) -> bool {
    file.starts_with("http://") || file.starts_with("https://")
}
