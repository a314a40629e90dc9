//! A file that changed since its module was written is noticed when both are compiled.

use ferrolite_misuse::sine;

static OF_ANOTHER_SIZE: sine::File =
    sine::File::new(include_bytes!("../../../models/sine/version_1.ferro"));

const CHANGED: [u8; sine::MODEL_BYTES] = {
    let mut bytes = *include_bytes!("../../../models/sine/sine.ferro");
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] ^= 1;
        at += 1;
    }
    bytes
};
static OF_OTHER_CONTENTS: sine::File = sine::File::new(&CHANGED);

fn main() {}
