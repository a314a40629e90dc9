// Runs the cases of a folder, which `tests/tests/boards.rs` has written: files with samples and their answers, byte by byte.
//
//   node boards/web/test/cases.js FOLDER

import { readFileSync } from "node:fs";
import { Model } from "../js/ferrolite.js";

const ARRAYS = {
  bool: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
};

const folder = process.argv[2];
const bytes = readFileSync(`${folder}/cases.bin`);
const cases = JSON.parse(readFileSync(`${folder}/cases.json`, "utf8"));
const part = ([from, to]) => bytes.subarray(from, to);

let samples = 0;
let refused = 0;
const failures = [];
for (const { name, file, samples: all, sequence } of cases) {
  try {
    const model = await Model.load(part(file));
    const start = model.snapshot();
    for (const [index, [input, wanted]] of all.entries()) {
      if (!sequence) model.restore(start);
      let at = 0;
      const inputs = model.inputs.map((port) => {
        const size = port.size * ARRAYS[port.dtype].BYTES_PER_ELEMENT;
        at += size;
        return new ARRAYS[port.dtype](Uint8Array.from(part(input).subarray(at - size, at)).buffer);
      });
      const answers = Object.values(model.runRaw(inputs.length === 1 ? inputs[0] : inputs));
      const found = Buffer.concat(answers.map((array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength)));
      if (!found.equals(part(wanted))) failures.push(`${name}: sample ${index}: ${difference(found, part(wanted))}`);
      samples += 1;
    }
    model.close();
  } catch (error) {
    // Random operators are asked for rows that are not there, too: a device takes the nearest, a page is told.
    if (/^Gather \d+: /.test(name) && / is asked for index -?\d+, but has /.test(error.message)) refused += 1;
    else failures.push(`${name}: ${error.message}`);
  }
}

function difference(found, wanted) {
  if (found.length !== wanted.length) return `${found.length} bytes, not ${wanted.length}`;
  const at = found.findIndex((byte, index) => byte !== wanted[index]);
  return `byte ${at} is ${found[at]}, not ${wanted[at]}`;
}

console.log(`browser: ${cases.length} models, ${samples} samples, ${refused} refused, ${failures.length} differences`);
failures.slice(0, 30).forEach((failure) => console.log(failure));
process.exit(failures.length === 0 && samples > 0 ? 0 : 1);
