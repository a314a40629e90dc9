// Makes the models of TensorFlow.js in this folder, with what TensorFlow.js answers. Needs npm's @tensorflow/tfjs:
//   npm install @tensorflow/tfjs@4 && node make.js
const fs = require("fs");
const tf = require("@tensorflow/tfjs");

let seed = 7;
function random() {
  // SplitMix32
  seed = (seed + 0x9e3779b9) | 0;
  let z = seed ^ (seed >>> 16);
  z = Math.imul(z, 0x21f0aaad);
  z ^= z >>> 15;
  z = Math.imul(z, 0x735a2d97);
  return ((z ^ (z >>> 15)) >>> 0) / 4294967296;
}
const numbers = (count, low, high) => Float32Array.from({ length: count }, () => low + (high - low) * random());

// Every weight gets numbers of its own; variances have to be positive.
function fill(model) {
  model.setWeights(model.weights.map((w) => {
    const size = w.shape.reduce((a, b) => a * b, 1);
    const low = /variance|gamma/.test(w.originalName) ? 0.4 : -0.6;
    return tf.tensor(numbers(size, low, low + 1.2), w.shape);
  }));
}

async function artifacts(model) {
  let kept;
  await model.save(tf.io.withSaveHandler(async (saved) => { kept = saved; return { modelArtifactsInfo: {} }; }));
  return kept;
}

// As the browser stores a model: one group, in files of at most 1000 bytes.
function write(name, { modelTopology, weightSpecs, weightData, signature, format }) {
  const bytes = Buffer.from(weightData);
  const paths = [];
  for (let at = 0; at < bytes.length; at += 1000) {
    paths.push(`${name}-${paths.length}.bin`);
    fs.writeFileSync(paths[paths.length - 1], bytes.subarray(at, at + 1000));
  }
  const model = { format, generatedBy: "make.js", modelTopology, signature, weightsManifest: [{ paths, weights: weightSpecs }] };
  fs.writeFileSync(`${name}.json`, JSON.stringify(model));
}

const HALF = (x) => {
  const f = new Float32Array([x]), bits = new Uint32Array(f.buffer)[0];
  const sign = (bits >>> 16) & 0x8000, exponent = ((bits >>> 23) & 255) - 112, mantissa = bits & 0x7fffff;
  if (exponent <= 0) return sign;
  return sign | (exponent << 10) | (mantissa >> 13);
};

// The converter's forms of fewer bits.
function quantized(saved, dtype) {
  const specs = [], parts = [];
  let at = 0;
  for (const spec of saved.weightSpecs) {
    const size = spec.shape.reduce((a, b) => a * b, 1);
    const real = new Float32Array(saved.weightData.slice(at, at + 4 * size));
    at += 4 * size;
    if (dtype === "float16") {
      specs.push({ ...spec, quantization: { dtype } });
      parts.push(Buffer.from(Uint16Array.from(real, HALF).buffer));
      continue;
    }
    const most = dtype === "uint8" ? 255 : 65535;
    const min = Math.min(...real), max = Math.max(...real);
    const scale = max > min ? (max - min) / most : 1;
    const stored = Array.from(real, (x) => Math.min(most, Math.max(0, Math.round((x - min) / scale))));
    specs.push({ ...spec, quantization: { dtype, min, scale, original_dtype: "float32" } });
    parts.push(Buffer.from(dtype === "uint8" ? Uint8Array.from(stored) : Uint16Array.from(stored).buffer));
  }
  const data = Buffer.concat(parts);
  return { ...saved, weightSpecs: specs, weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.length) };
}

async function layers(name, model, sizes, dtypes) {
  const inputs = numbers(6 * sizes.reduce((a, b) => a * b, 1), -1, 1);
  const saved = { ...(await artifacts(model)), format: "layers-model" };
  const answers = { inputs: Array.from(inputs), shape: [6, ...sizes], answers: {} };
  for (const dtype of [null, ...dtypes]) {
    const own = dtype ? quantized(saved, dtype) : saved;
    const file = dtype ? `${name}_${dtype}` : name;
    const loaded = await tf.loadLayersModel(tf.io.fromMemory(own));
    answers.answers[file] = Array.from(loaded.predict(tf.tensor(inputs, [6, ...sizes])).dataSync());
    write(file, own);
  }
  fs.writeFileSync(`${name}.answers.json`, JSON.stringify(answers));
}

async function main() {
  await tf.setBackend("cpu");
  // A base inside of a sequence, and a head: what Teachable Machine makes of pictures.
  const x = tf.input({ shape: [12, 12, 3] });
  let y = tf.layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: "same", useBias: false, name: "Conv1" }).apply(x);
  y = tf.layers.batchNormalization({ name: "bn_Conv1" }).apply(y);
  y = tf.layers.reLU({ maxValue: 6, name: "Conv1_relu" }).apply(y);
  y = tf.layers.depthwiseConv2d({ kernelSize: 3, padding: "same", useBias: false, name: "expanded_conv_depthwise" }).apply(y);
  y = tf.layers.batchNormalization({ name: "expanded_conv_depthwise_BN" }).apply(y);
  y = tf.layers.reLU({ maxValue: 6, name: "expanded_conv_depthwise_relu" }).apply(y);
  y = tf.layers.globalAveragePooling2d({ name: "pool" }).apply(y);
  const base = tf.model({ inputs: x, outputs: y, name: "base" });
  const head = tf.sequential({ name: "head", layers: [
    tf.layers.dense({ units: 8, activation: "relu", inputShape: [4], name: "dense_Dense1" }),
    tf.layers.dense({ units: 3, activation: "softmax", useBias: false, name: "dense_Dense2" }),
  ] });
  const picture = tf.sequential({ name: "picture", layers: [base, head] });
  fill(picture);
  await layers("picture", picture, [12, 12, 3], ["uint8", "uint16", "float16"]);

  // What it makes of sounds.
  const sound = tf.sequential({ layers: [
    tf.layers.conv2d({ filters: 4, kernelSize: [2, 4], activation: "relu", inputShape: [10, 12, 1] }),
    tf.layers.maxPooling2d({ poolSize: [2, 2], strides: [2, 2] }),
    tf.layers.flatten(),
    tf.layers.dropout({ rate: 0.25 }),
    tf.layers.dense({ units: 4, activation: "softmax" }),
  ] });
  fill(sound);
  await layers("sound", sound, [10, 12, 1], []);

  // A graph, fused as TensorFlow.js's converter fuses it.
  const weights = [["w1", [3, 3, 2, 4]], ["b1", [4]], ["w2", [3, 3, 4, 1]], ["b2", [4]], ["w3", [64, 5]], ["b3", [5]]];
  const b64 = (text) => Buffer.from(text).toString("base64");
  const fused = (...names) => ({ list: { s: names.map(b64) } });
  const node = (name, op, input, attr = {}) => ({ name, op, input, attr: { T: { type: "DT_FLOAT" }, ...attr } });
  const constant = (name, shape, dtype = "DT_FLOAT") => node(name, "Const", [], {
    dtype: { type: dtype }, value: { tensor: { dtype, tensorShape: { dim: shape.map((size) => ({ size: `${size}` })) } } } });
  const window = { strides: { list: { i: ["1", "1", "1", "1"] } }, dilations: { list: { i: ["1", "1", "1", "1"] } },
    padding: { s: b64("SAME") }, data_format: { s: b64("NHWC") }, epsilon: { f: 0 }, num_args: { i: "1" } };
  const half = { ...window, strides: { list: { i: ["1", "2", "2", "1"] } } };
  const graph = { node: [
    node("x", "Placeholder", [], { dtype: { type: "DT_FLOAT" }, shape: { shape: { dim: [{ size: "-1" }, { size: "8" }, { size: "8" }, { size: "2" }] } } }),
    ...weights.map(([name, shape]) => constant(name, shape)),
    constant("flat/shape", [2], "DT_INT32"),
    node("first", "_FusedConv2D", ["x", "w1", "b1"], { ...window, fused_ops: fused("BiasAdd", "Relu6") }),
    node("second", "FusedDepthwiseConv2dNative", ["first", "w2", "b2"], { ...half, fused_ops: fused("BiasAdd", "Relu") }),
    node("flat", "Reshape", ["second", "flat/shape"], { Tshape: { type: "DT_INT32" } }),
    node("third", "_FusedMatMul", ["flat", "w3", "b3"], { transpose_a: { b: false }, transpose_b: { b: false }, fused_ops: fused("BiasAdd"), num_args: { i: "1" }, epsilon: { f: 0 } }),
    node("Identity", "Softmax", ["third"]),
  ], library: {}, versions: { producer: 1 } };
  const data = Buffer.concat([
    ...weights.map(([, shape]) => Buffer.from(numbers(shape.reduce((a, b) => a * b, 1), -0.6, 0.6).buffer)),
    Buffer.from(Int32Array.from([-1, 64]).buffer),
  ]);
  const tensor = (name, sizes) => ({ name: `${name}:0`, dtype: "DT_FLOAT", tensorShape: { dim: sizes.map((size) => ({ size: `${size}` })) } });
  const saved = {
    format: "graph-model", modelTopology: graph,
    weightSpecs: [...weights.map(([name, shape]) => ({ name, shape, dtype: "float32" })), { name: "flat/shape", shape: [2], dtype: "int32" }],
    weightData: data.buffer.slice(data.byteOffset, data.byteOffset + data.length),
    signature: { inputs: { "image:0": tensor("x", [-1, 8, 8, 2]) }, outputs: { scores: tensor("Identity", [-1, 5]) } },
  };
  const inputs = numbers(6 * 128, -1, 1);
  const loaded = await tf.loadGraphModel(tf.io.fromMemory(saved));
  const answers = { graph: Array.from(loaded.execute(tf.tensor(inputs, [6, 8, 8, 2])).dataSync()) };
  write("graph", saved);
  fs.writeFileSync("graph.answers.json", JSON.stringify({ inputs: Array.from(inputs), shape: [6, 8, 8, 2], answers }));
}

main();
