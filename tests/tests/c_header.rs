//! The header of the C library is what cbindgen makes of its source. `FERROLITE_UPDATE_GOLDEN=1` renews it.

use std::fs;
use std::path::Path;

#[test]
fn it_is_made_of_the_source() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../boards/c");
    let config = cbindgen::Config::from_file(library.join("cbindgen.toml")).expect("a sound configuration");
    let mut builder = cbindgen::Builder::new().with_config(config);
    for module in ["error", "model", "net", "entries", "ports", "observer", "quantize"] {
        builder = builder.with_src(library.join(format!("src/{module}.rs")));
    }
    let mut made = Vec::new();
    builder.generate().expect("cbindgen reads the source").write(&mut made);
    let made = String::from_utf8(made).expect("ASCII");
    let path = library.join("include/ferrolite.h");
    if std::env::var_os("FERROLITE_UPDATE_GOLDEN").is_some() {
        fs::write(&path, &made).expect("is writable");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == made,
        "{} is not what the source says: renew it with FERROLITE_UPDATE_GOLDEN=1 cargo test -p ferrolite-conformance --test c_header",
        path.display()
    );
    assert!(made.is_ascii());
}
