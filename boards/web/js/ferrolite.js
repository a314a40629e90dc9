/**
 * Ferrolite's interpreter: runs `.ferro` files with the bytes of a microcontroller.
 *
 * const model = await Model.load("model.ferro");
 * const { scores } = model.run(pixels);          // real numbers in, real numbers out, by output name
 *
 * The names are those of the command and of the Python package. What `ferrolite.d.ts` says is not repeated here.
 */

const ARRAYS = {
  bool: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float32: Float32Array,
};

const RANGES = {
  bool: [0, 1],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  int32: [-2147483648, 2147483647],
};

/** What a model or its data are refused with. */
export class FerroliteError extends Error {
  constructor(message) {
    super(message);
    this.name = "FerroliteError";
  }
}

/** The module's functions, once for a page. */
let engine;

/**
 * Loads the WebAssembly module. Models do it by themselves; a program that has the module elsewhere gives its address,
 * its bytes, or a `Response`.
 */
export function init(source = new URL("./ferrolite.wasm", import.meta.url)) {
  engine ??= instantiate(source).catch((error) => {
    engine = undefined;
    throw error;
  });
  return engine;
}

async function instantiate(source) {
  const bytes = source instanceof ArrayBuffer || ArrayBuffer.isView(source) ? source : await read(source, "the module");
  const { instance } = await WebAssembly.instantiate(bytes, {});
  return instance.exports;
}

/** The bytes behind an address. Node's `fetch` does not read files. */
async function read(source, what) {
  if (source instanceof Response) return body(source, what, source.url || "a response");
  if (typeof Blob !== "undefined" && source instanceof Blob) return source.arrayBuffer();
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new FerroliteError(`${what}: ${source === null ? "null" : typeof source} cannot be read; give an address, a Response, a Blob, or bytes`);
  }
  const node = globalThis.process?.versions?.node;
  const here = globalThis.location?.href;
  let address;
  try {
    // In Node, what is no address is a path from the working folder on, as for `fs`.
    if (node && !here && typeof source === "string" && !/^[a-z][a-z0-9+.-]+:/i.test(source)) {
      const { pathToFileURL } = await import("node:url");
      address = pathToFileURL(source);
    } else {
      address = new URL(source, here);
    }
  } catch {
    throw new FerroliteError(`${what}: ${source} is no address`);
  }
  try {
    if (address.protocol === "file:" && node) {
      const { readFile } = await import("node:fs/promises");
      return await readFile(address);
    }
    return await body(await fetch(address), what, address);
  } catch (error) {
    if (error instanceof FerroliteError) throw error;
    throw new FerroliteError(`${what}: ${address} cannot be read: ${error.message}`);
  }
}

/** The bytes that a server sent, and not those of its page about an error. */
async function body(response, what, address) {
  if (!response.ok) throw new FerroliteError(`${what}: ${address} cannot be read: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

export class Model {
  #wasm;
  #handle;
  #facts;
  #running = false;

  /** Reads a `.ferro` file from an address, a `Response`, a `Blob` (a dropped file), or its bytes. */
  static async load(source) {
    const isBytes = source instanceof ArrayBuffer || ArrayBuffer.isView(source);
    const bytes = isBytes ? source : await read(source, "the model");
    return new Model(await init(), toBytes(bytes));
  }

  /** Use `load`. */
  constructor(wasm, bytes) {
    this.#wasm = wasm;
    const memory = this.#take(bytes, "the model");
    this.#handle = wasm.open(memory, bytes.length);
    if (this.#handle === 0) throw new FerroliteError(this.#text(wasm.refused()));
    this.#facts = JSON.parse(this.#text(wasm.facts(this.#handle)));
    for (const port of [...this.#facts.inputs, ...this.#facts.outputs, ...this.#facts.variables]) {
      port.size = port.shape.reduce((product, size) => product * size, 1);
    }
  }

  /** The module's memory with these bytes in it. It counts addresses in 32 bits, of which JavaScript sees the sign. */
  #take(bytes, what) {
    const memory = bytes.length < 2 ** 31 ? this.#wasm.take(bytes.length) >>> 0 : 0;
    if (memory === 0) throw new FerroliteError(`there are no ${bytes.length} bytes of memory for ${what}`);
    new Uint8Array(this.#wasm.memory.buffer, memory, bytes.length).set(bytes);
    return memory;
  }

  #text(length) {
    return new TextDecoder().decode(new Uint8Array(this.#wasm.memory.buffer, this.#wasm.text(), length));
  }

  #open() {
    if (this.#handle === 0) throw new FerroliteError("the model is closed");
    return this.#handle;
  }

  get name() {
    return this.#facts.name;
  }
  get inputs() {
    return this.#facts.inputs;
  }
  get outputs() {
    return this.#facts.outputs;
  }
  get variables() {
    return this.#facts.variables;
  }
  get labels() {
    return this.#facts.labels;
  }
  get layers() {
    return this.#facts.layers;
  }
  get arenaBytes() {
    return this.#facts.arena_bytes;
  }
  get modelBytes() {
    return this.#facts.model_bytes;
  }
  get target() {
    return this.#facts.target;
  }

  /** Multiply-accumulates of one inference. */
  get macs() {
    return this.layers.reduce((sum, layer) => sum + layer.macs, 0);
  }

  run(input) {
    this.#write(input, toStored);
    this.#invoke();
    return this.#answers((port, stored) => toReal(port, stored));
  }

  runRaw(input) {
    // What has the input's own type is taken as it is.
    this.#write(input, (port, value) => (value instanceof ARRAYS[port.dtype] ? flat(port, value) : stored(port, value)));
    this.#invoke();
    return this.#answers((port, stored) => stored.slice());
  }

  profile(input) {
    this.#write(input, toStored);
    const micros = new Array(this.layers.length).fill(0);
    for (let last = -1; ; ) {
      const before = performance.now();
      const index = this.#wasm.step(this.#open());
      const after = performance.now();
      if (index === -2) throw new FerroliteError(this.#text(this.#wasm.refused()));
      // The last one is not called by its number.
      last = index >= 0 ? index : Math.max(last + 1, this.layers.length - 1);
      micros[last] = (after - before) * 1000;
      if (index === -1) break;
    }
    const outputs = this.#answers((port, stored) => toReal(port, stored));
    return { outputs, layers: this.layers.map((layer, index) => ({ ...layer, micros: micros[index] })) };
  }

  #invoke() {
    if (this.#wasm.invoke(this.#open()) !== 0) throw new FerroliteError(this.#text(this.#wasm.refused()));
  }

  #write(input, convert) {
    const handle = this.#open();
    const known = this.inputs.map((one) => one.name);
    const others = isObject(input) ? Object.keys(input).filter((name) => !known.includes(name)) : [];
    if (others.length > 0) {
      throw new FerroliteError(`there is no input \`${others[0]}\`; the inputs are ${known.map((name) => `\`${name}\``).join(", ")}`);
    }
    this.inputs.forEach((port, index) => {
      const value = this.inputs.length === 1 && !isObject(input) ? input : input?.[port.name] ?? input?.[index];
      if (value === undefined || value === null) {
        const names = this.inputs.map((one) => `\`${one.name}\``).join(", ");
        throw new FerroliteError(`input \`${port.name}\` was not given; the inputs are ${names}`);
      }
      const elements = convert(port, value);
      if (port.count !== null) {
        const wrong = elements.find((element) => element < 0 || element >= port.count);
        if (wrong !== undefined) {
          throw new FerroliteError(`\`${port.name}\` (GATHER) is asked for index ${wrong}, but has 0 to ${port.count - 1}`);
        }
      }
      const place = this.#wasm.input(handle, index);
      new ARRAYS[port.dtype](this.#wasm.memory.buffer, place, port.size).set(elements);
    });
  }

  #answers(convert) {
    const handle = this.#open();
    const answers = {};
    this.outputs.forEach((port, index) => {
      const place = this.#wasm.output(handle, index);
      answers[port.name] = convert(port, new ARRAYS[port.dtype](this.#wasm.memory.buffer, place, port.size));
    });
    return answers;
  }

  reset() {
    this.#wasm.reset(this.#open());
  }

  snapshot() {
    const place = this.#wasm.state(this.#open());
    return new Uint8Array(this.#wasm.memory.buffer, place, this.#facts.state_bytes).slice();
  }

  restore(snapshot) {
    const handle = this.#open();
    if (!(snapshot instanceof ArrayBuffer) && !ArrayBuffer.isView(snapshot)) {
      throw new FerroliteError("a snapshot is bytes, as `snapshot` gives them");
    }
    const bytes = toBytes(snapshot);
    if (bytes.length !== this.#facts.state_bytes) {
      throw new FerroliteError(`the state has ${this.#facts.state_bytes} bytes, the snapshot ${bytes.length}`);
    }
    const memory = this.#take(bytes, "the snapshot");
    const failed = this.#wasm.restore(handle, memory, bytes.length);
    this.#wasm.give_back(memory, bytes.length);
    if (failed) throw new FerroliteError(this.#text(this.#wasm.refused()));
  }

  readState(name) {
    const port = this.#variable(name);
    const state = this.snapshot();
    return new ARRAYS[port.dtype](state.buffer.slice(port.offset, port.offset + port.size * ARRAYS[port.dtype].BYTES_PER_ELEMENT));
  }

  writeState(name, value) {
    const port = this.#variable(name);
    const state = this.snapshot();
    const elements = stored(port, value);
    state.set(new Uint8Array(new ARRAYS[port.dtype](elements).buffer), port.offset);
    this.restore(state);
  }

  #variable(name) {
    const port = this.variables.find((one) => one.name === name);
    if (port) return port;
    const names = this.variables.map((one) => `\`${one.name}\``).join(", ") || "none";
    throw new FerroliteError(`the model has no variable \`${name}\`; its variables are ${names}`);
  }

  close() {
    if (this.#handle !== 0) this.#wasm.close(this.#handle);
    this.#handle = 0;
  }
}

/** Whether an object gives inputs by name rather than being the only input. */
function isObject(input) {
  return input !== null && typeof input === "object" && !isList(input);
}

/** Whether a value is a list of elements: an array, a typed one, or what has a length. */
function isList(value) {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView)) || (value !== null && typeof value === "object" && Number.isInteger(value.length));
}

function toBytes(bytes) {
  return ArrayBuffer.isView(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength) : new Uint8Array(bytes);
}

/** Elements of nested or flat lists, typed or not: numbers, big integers and truth values. */
function flat(port, value) {
  const elements = isTyped(value) ? value : gather(value, []);
  for (const element of isTyped(elements) ? [] : elements) {
    if (typeof element !== "number" && typeof element !== "bigint" && typeof element !== "boolean") {
      const what = typeof element === "string" ? JSON.stringify(element) : String(element);
      throw new FerroliteError(`\`${port.name}\` takes numbers, ${what} was given`);
    }
  }
  if (elements.length === port.size) return elements;
  throw new FerroliteError(`\`${port.name}\` takes ${port.size} elements (${port.shape.join(" x ")}), ${elements.length} were given`);
}

function isTyped(value) {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

/** All elements of a list and of the lists in it. */
function gather(value, into) {
  if (!isList(value)) into.push(value);
  else for (let index = 0; index < value.length; index++) gather(value[index], into);
  return into;
}

/** Elements in the port's own type, as they are stored. */
function stored(port, value) {
  const elements = flat(port, value);
  if (port.dtype === "int64") return BigInt64Array.from(elements, (element) => big(port, element));
  const [least, most] = RANGES[port.dtype] ?? [-Infinity, Infinity];
  // A big integer beyond what a number can hold is beyond each of these ranges, too.
  return Array.from(elements, (element) => {
    const number = Number(element);
    const fits = port.dtype === "float32" ? Number.isFinite(Math.fround(number)) : Number.isInteger(number);
    if (!fits || number < least || number > most) throw new FerroliteError(`\`${port.name}\` takes ${port.dtype}, ${element} was given`);
    return number;
  });
}

/** An integer of 64 bits. */
function big(port, element) {
  const whole = typeof element === "bigint" || Number.isInteger(Number(element)) ? BigInt(element) : undefined;
  if (whole === undefined || BigInt.asIntN(64, whole) !== whole) throw new FerroliteError(`\`${port.name}\` takes int64, ${element} was given`);
  return whole;
}

/** Real numbers as the port's integers: rounded half away from zero, and clamped. */
function toStored(port, value) {
  if (port.scale === null) return stored(port, value);
  const elements = flat(port, value);
  const [least, most] = RANGES[port.dtype];
  const scale = Math.fround(port.scale);
  const result = new ARRAYS[port.dtype](port.size);
  for (let index = 0; index < result.length; index++) {
    const real = Number(elements[index]);
    if (!Number.isFinite(real)) throw new FerroliteError(`\`${port.name}\` takes real numbers, ${elements[index]} was given`);
    const steps = Math.fround(Math.fround(real) / scale);
    const rounded = Math.sign(steps) * Math.floor(Math.abs(steps) + 0.5);
    result[index] = Math.min(Math.max(rounded + port.zero_point, least), most);
  }
  return result;
}

/** The real numbers that stored elements stand for. Integers of 64 bits are given as they are. */
function toReal(port, stored) {
  if (port.scale === null) return stored.slice();
  const scale = Math.fround(port.scale);
  return Float32Array.from(stored, (element) => scale * (element - port.zero_point));
}
