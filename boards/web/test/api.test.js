// The library's functions, in Node: `node --test boards/web/test`. FERROLITE_MODELS names the folder of `cargo xtask web`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { basename, dirname } from "node:path";
import { pathToFileURL } from "node:url";
import { FerroliteError, Model } from "../js/ferrolite.js";

const folder = process.env.FERROLITE_MODELS;
const file = `${folder}/digits.ferro`;

test("a model is read from bytes and from an address", async () => {
  const model = await Model.load(readFileSync(file));
  const again = await Model.load(pathToFileURL(file));
  assert.deepEqual(model.inputs, again.inputs);
  assert.deepEqual(model.inputs[0].shape, [1, 28, 28, 1]);
  assert.ok(model.arenaBytes > 0 && model.macs > 100_000 && model.layers.length > 3);
  assert.equal(model.target, "host");
});

test("real numbers and stored ones say the same", async () => {
  const model = await Model.load(readFileSync(file));
  const [input] = model.inputs;
  const [output] = model.outputs;
  const real = Float32Array.from({ length: 784 }, (_, index) => ((index * 37) % 256) / 255);
  const raw = Int8Array.from(real, (x) => Math.max(-128, Math.min(127, Math.floor(x / Math.fround(input.scale) + 0.5) + input.zero_point)));
  const scores = model.run(real)[output.name];
  const stored = model.runRaw(raw)[output.name];
  assert.deepEqual([...scores], [...stored].map((x) => Math.fround(output.scale * (x - output.zero_point))));
  assert.deepEqual(model.run({ [input.name]: real })[output.name], scores);
  const rows = Array.from({ length: 28 }, (_, y) => [...real.subarray(y * 28, y * 28 + 28)]);
  assert.deepEqual(model.run([rows])[output.name], scores);
  const { outputs, layers } = model.profile(real);
  assert.deepEqual(outputs[output.name], scores);
  assert.equal(layers.length, model.layers.length);
});

test("what does not fit is refused with a reason", async () => {
  const model = await Model.load(readFileSync(file));
  const [input] = model.inputs;
  assert.throws(() => model.run(new Float32Array(3)), { name: "FerroliteError", message: /784 elements.*3 were given/ });
  assert.throws(() => model.run(), { name: "FerroliteError", message: new RegExp(`\`${input.name}\` was not given`) });
  assert.throws(() => model.run(new Float32Array(784).fill(NaN)), FerroliteError);
  assert.throws(() => model.runRaw(new Array(784).fill(300)), FerroliteError);
  assert.throws(() => model.readState("h"), /has no variable/);
  await assert.rejects(Model.load(new Uint8Array(100)), FerroliteError);
  await assert.rejects(Model.load(new Uint8Array(0)), FerroliteError);
  const damaged = new Uint8Array(readFileSync(file));
  for (let at = 0; at < damaged.length; at += 97) {
    const copy = damaged.slice();
    copy[at] ^= 0x55;
    await assert.rejects(Model.load(copy), FerroliteError, `byte ${at}`);
    await assert.rejects(Model.load(damaged.slice(0, at)), FerroliteError, `${at} bytes`);
  }
  model.close();
  assert.throws(() => model.run(new Float32Array(784)), /closed/);
});

test("many models come and go in the same memory", async () => {
  const bytes = readFileSync(file);
  for (let count = 0; count < 300; count++) {
    const model = await Model.load(bytes);
    model.run(new Float32Array(784));
    model.close();
  }
});

test("state has names, and is kept, saved and reset", async () => {
  const model = await Model.load(readFileSync(`${folder}/stream.ferro`));
  assert.ok(model.variables.length > 0);
  const [input] = model.inputs;
  const [output] = model.outputs;
  const given = Float32Array.from({ length: input.size }, (_, index) => Math.sin(index));
  const run = () => [...model.runRaw(Int8Array.from(given, (x) => 50 * x))[output.name]];
  const name = model.variables[0].name;
  const before = model.readState(name);
  const first = run();
  assert.notDeepEqual(model.readState(name), before);
  const kept = model.snapshot();
  const second = run();
  model.restore(kept);
  assert.deepEqual(run(), second);
  model.reset();
  assert.deepEqual(model.readState(name), before);
  assert.deepEqual(run(), first);
  model.writeState(name, new Array(before.length).fill(0));
  assert.ok(model.readState(name).every((x) => x === 0));
  assert.throws(() => model.restore(kept.slice(1)), FerroliteError);
});

test("in Node a path is one from the working folder on, and what cannot be read is said", async () => {
  const before = process.cwd();
  process.chdir(dirname(file));
  try {
    assert.equal((await Model.load(basename(file))).inputs.length, 1);
    await assert.rejects(Model.load("absent.ferro"), { name: "FerroliteError", message: /absent\.ferro cannot be read/ });
  } finally {
    process.chdir(before);
  }
  for (const wrong of [undefined, null, 3, {}]) await assert.rejects(Model.load(wrong), { name: "FerroliteError", message: /cannot be read/ });
  await assert.rejects(Model.load(new Response(readFileSync(file), { status: 404 })), { name: "FerroliteError", message: /404/ });
  assert.equal((await Model.load(new Response(readFileSync(file)))).inputs.length, 1);
});

test("numbers come in lists of all kinds, and what is no number is refused", async () => {
  const model = await Model.load(readFileSync(file));
  const [input] = model.inputs;
  const [output] = model.outputs;
  const real = Float32Array.from({ length: 784 }, (_, index) => (index % 7) / 7);
  const scores = model.run(real)[output.name];
  const rows = Array.from({ length: 28 }, (_, y) => real.slice(y * 28, y * 28 + 28));
  const like = Object.assign({ length: 784 }, [...real]);
  for (const given of [rows, [real], like, [...real], { [input.name]: rows }]) assert.deepEqual(model.run(given)[output.name], scores);
  const zeros = new Array(784).fill(0);
  assert.deepEqual(model.runRaw(zeros.map(BigInt))[output.name], model.runRaw(zeros)[output.name]);
  for (const wrong of ["", "1", null, undefined, NaN, {}]) {
    const given = [...zeros];
    given[5] = wrong;
    assert.throws(() => model.run(given), FerroliteError, String(wrong));
    assert.throws(() => model.runRaw(given), FerroliteError, String(wrong));
  }
  assert.throws(() => model.run({ wrongName: real }), { name: "FerroliteError", message: /no input `wrongName`.*the inputs are/ });
});

test("a snapshot is taken as a whole or not at all", async () => {
  const model = await Model.load(readFileSync(`${folder}/stream.ferro`));
  const kept = model.snapshot();
  for (const wrong of [6, kept.length, [...kept], undefined, new Uint8Array(kept.length + 1)]) assert.throws(() => model.restore(wrong), FerroliteError);
  assert.deepEqual(model.snapshot(), kept);
  model.restore(kept.buffer);
  assert.ok(model.variables.every((port) => Number.isInteger(port.offset)));
  model.close();
  // Were the bytes of each of these kept, there would be no memory left.
  const many = new Uint8Array(1 << 24);
  for (let count = 0; count < 300; count++) assert.throws(() => model.restore(many), /closed/);
});

test("an index that names no row is refused", async () => {
  const model = await Model.load(readFileSync(`${folder}/embedding.ferro`));
  const [input] = model.inputs;
  assert.ok(input.count > 0);
  const run = (index) => model.run(new Array(input.size).fill(index));
  run(0);
  run(input.count - 1);
  for (const wrong of [-1, input.count]) assert.throws(() => run(wrong), { name: "FerroliteError", message: /is asked for index/ });
  assert.equal((await Model.load(readFileSync(file))).inputs[0].count, null);
});
