// The page: opens a model, gives it what the input asks for, and shows what it answers and what that took.

import { Model } from "./ferrolite.js";

const $ = (id) => document.getElementById(id);
const number = (n) => n.toLocaleString("en");

/** Least and largest integer of each type. */
const INTEGERS = { bool: [0, 1], int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767], int32: [-(2 ** 31), 2 ** 31 - 1] };

/** Side of the drawing in pixels of the screen. */
const SIDE = 280;

let model;
let frame;
let microphone;

/** How many models have been asked for: of two that load at once, the later one is shown. */
let asked = 0;

navigator.serviceWorker?.register("worker.js").catch(() => {});

async function open(source, name) {
  say(`Reading ${name} …`);
  const turn = ++asked;
  try {
    const next = await Model.load(source);
    if (turn !== asked) return next.close();
    model?.close();
    stopListening();
    model = next;
  } catch (error) {
    if (turn === asked) say(`${name}: ${error.message}`, true);
    return;
  }
  say(`${name} is verified.`);
  show();
}

function say(text, isError = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", isError);
}

/** Height, width and channels where the only input is a picture. */
function pictureOf(port) {
  const shape = port.shape.filter((size, index) => index > 0 || size > 1 || port.shape.length < 4);
  if (model.inputs.length !== 1 || shape.length !== 3) return null;
  const [height, width, channels] = shape;
  return (channels === 1 || channels === 3) && height > 7 && width > 7 ? { height, width, channels } : null;
}

/** Samples where the only input is a stretch of sound. */
function soundOf(port) {
  const long = port.shape.filter((size) => size > 1);
  return model.inputs.length === 1 && long.length === 1 && long[0] >= 2000 ? long[0] : 0;
}

function show() {
  const [input] = model.inputs;
  frame = pictureOf(input);
  $("model").hidden = false;
  $("name").textContent = model.name || "Model";
  const ports = (list) => list.map((port) => `${port.name} ${port.dtype} ${port.shape.join("×")}`).join(", ");
  const facts = {
    inputs: ports(model.inputs),
    outputs: ports(model.outputs),
    flash: `${number(model.modelBytes)} bytes`,
    RAM: `${number(model.arenaBytes)} bytes of arena`,
    work: `${number(model.macs)} multiply-accumulates`,
    "packed for": model.target,
  };
  if (model.variables.length > 0) facts.state = ports(model.variables);
  $("facts").replaceChildren(...Object.entries(facts).flatMap(([key, value]) => [element("dt", key), element("dd", value)]));
  $("pad").hidden = $("clear").hidden = $("picture").hidden = !frame;
  $("listen").hidden = !soundOf(input) || !navigator.mediaDevices;
  if (frame) clear();
  else run(new Float32Array(input.size));
}

function element(tag, text, name) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

/** Real numbers for all inputs: the given ones for the first, zeroes for the others. */
function run(first) {
  const inputs = model.inputs.map((port, index) => (index === 0 ? first : new Float32Array(port.size)));
  let found;
  try {
    found = timed(model.inputs.length === 1 ? inputs[0] : inputs);
  } catch (error) {
    say(error.message, true);
    return;
  }
  $("time").textContent = `One inference takes ${(found.total / 1000).toFixed(3)} ms here.`;
  const rows = found.layers.map((layer, index) => {
    const row = document.createElement("tr");
    const cells = [index, layer.name, layer.op, layer.outputs.map((shape) => shape.join("×")).join(" "), number(layer.macs), layer.micros.toFixed(1)];
    row.append(...cells.map((cell) => element("td", cell)));
    row.children[1].title = layer.name;
    return row;
  });
  $("layers").tBodies[0].replaceChildren(...rows);
  answers(found.outputs);
}

/** A browser's clock may be too coarse for one layer, so an inference is repeated for some milliseconds. */
function timed(input) {
  const start = model.snapshot();
  const repeat = (milliseconds, work) => {
    const before = performance.now();
    let count = 0;
    let last;
    for (; performance.now() < before + milliseconds; count++) {
      model.restore(start);
      last = work();
    }
    return { each: ((performance.now() - before) * 1000) / count, count, last };
  };
  const { each: total } = repeat(3, () => model.run(input));
  const micros = model.layers.map(() => 0);
  const { count, last } = repeat(8, () => {
    const found = model.profile(input);
    found.layers.forEach((layer, index) => (micros[index] += layer.micros));
    return found;
  });
  return { outputs: last.outputs, total, layers: model.layers.map((layer, index) => ({ ...layer, micros: micros[index] / count })) };
}

/** The largest elements of each output, or all where they are few. */
function answers(outputs) {
  const items = [];
  for (const [name, values] of Object.entries(outputs)) {
    const all = Array.from(values, Number);
    const order = all.map((value, index) => [value, index]).sort((a, b) => b[0] - a[0] || a[1] - b[1]);
    const shown = all.length > 1 ? order.slice(0, 10) : order;
    const [least, most] = [all.reduce((a, b) => Math.min(a, b), 0), all.reduce((a, b) => Math.max(a, b), 1)];
    for (const [value, index] of all.length <= 10 ? shown.toSorted((a, b) => a[1] - b[1]) : shown) {
      const item = document.createElement("li");
      const bar = document.createElement("meter");
      Object.assign(bar, { min: least, max: most, value });
      const label = model.labels[index] ?? (all.length > 1 ? String(index) : name);
      item.append(element("span", label), bar, element("span", value.toFixed(3)));
      if (all.length > 1 && index === order[0][1]) item.className = "best";
      items.push(item);
    }
  }
  $("answers").replaceChildren(...items);
}

// A drawing, white on black as the usual data sets have it.

const pad = $("pad");
const pen = pad.getContext("2d", { willReadFrequently: true });
let drawing = false;

function clear() {
  pad.width = pad.height = SIDE;
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, SIDE, SIDE);
  pen.strokeStyle = "#fff";
  pen.lineWidth = SIDE / 12;
  pen.lineCap = pen.lineJoin = "round";
  look();
}

/** The real numbers that an input can hold, or all integers of its type where they stand for themselves. */
function rangeOf(port) {
  const [least, most] = INTEGERS[port.dtype] ?? [0, 1];
  return port.scale === null ? [least, most] : [(least - port.zero_point) * port.scale, (most - port.zero_point) * port.scale];
}

/** What a pixel of 0 to 255 is in the range that the model was calibrated for: 0 to 1, -1 to 1, 0 to 255, or -128 to 127. */
function pixelsOf(port) {
  const [least, most] = rangeOf(port);
  if (most > 10) return least < -10 ? (pixel) => Math.round(pixel) - 128 : port.scale === null ? Math.round : (pixel) => pixel;
  return least < -0.5 ? (pixel) => pixel / 127.5 - 1 : (pixel) => pixel / 255;
}

/** Runs what is on the pad. */
function look() {
  const { height, width, channels } = frame;
  const small = new OffscreenCanvas(width, height);
  const brush = small.getContext("2d");
  brush.imageSmoothingQuality = "high";
  brush.drawImage(pad, 0, 0, width, height);
  const pixels = brush.getImageData(0, 0, width, height).data;
  const port = model.inputs[0];
  const scaled = pixelsOf(port);
  const input = new Float32Array(height * width * channels);
  for (let at = 0; at < height * width; at++) {
    const [red, green, blue] = pixels.subarray(at * 4, at * 4 + 3);
    if (channels === 1) input[at] = scaled(0.299 * red + 0.587 * green + 0.114 * blue);
    else [red, green, blue].forEach((value, channel) => (input[at * 3 + channel] = scaled(value)));
  }
  run(input);
}

function place(event) {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) / box.width) * SIDE, ((event.clientY - box.top) / box.height) * SIDE];
}

pad.addEventListener("pointerdown", (event) => {
  drawing = true;
  pad.setPointerCapture(event.pointerId);
  pen.beginPath();
  pen.moveTo(...place(event));
});
pad.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  pen.lineTo(...place(event));
  pen.stroke();
  look();
});
pad.addEventListener("pointerup", () => (drawing = false));
pad.addEventListener("pointercancel", () => (drawing = false));
$("clear").addEventListener("click", clear);
$("image").addEventListener("change", async ({ target }) => {
  if (!target.files[0]) return;
  try {
    const picture = await createImageBitmap(target.files[0]);
    if (!frame) return;
    // As large as it fits in the model's picture, which the pad shows as a square; black around and behind it.
    const fit = Math.min(frame.width / picture.width, frame.height / picture.height);
    const [width, height] = [(picture.width * fit * SIDE) / frame.width, (picture.height * fit * SIDE) / frame.height];
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
    pen.drawImage(picture, (SIDE - width) / 2, (SIDE - height) / 2, width, height);
    look();
  } catch {
    say(`${target.files[0].name} is no picture.`, true);
  }
});
$("random").addEventListener("click", () => {
  const port = model.inputs[0];
  const [low, high] = rangeOf(port);
  // Whole numbers that choose among rows are no larger than those; others are as good as any.
  const whole = port.scale === null && port.dtype !== "float32";
  const rows = port.count ?? (high > 255 ? 1 : high + 1);
  run(Float32Array.from({ length: port.size }, () => (whole ? Math.floor(Math.random() * rows) : low + Math.random() * (high - low))));
});

// The microphone, 16,000 samples a second, for models of raw sound.

async function listen() {
  if (microphone) return stopListening();
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    const context = new AudioContext({ sampleRate: 16000 });
    await context.audioWorklet.addModule("sound.js");
    const node = new AudioWorkletNode(context, "tap");
    const window = new Float32Array(soundOf(model.inputs[0]));
    let fresh = 0;
    node.port.onmessage = ({ data }) => {
      window.copyWithin(0, data.length);
      window.set(data.subarray(0, window.length), Math.max(window.length - data.length, 0));
      fresh += data.length;
      if (fresh >= 4000) {
        fresh = 0;
        run(window);
      }
    };
    context.createMediaStreamSource(stream).connect(node);
    microphone = { stream, context };
    $("listen").textContent = "Stop";
  } catch (error) {
    say(`The microphone cannot be heard: ${error.message}`, true);
  }
}

function stopListening() {
  microphone?.stream.getTracks().forEach((track) => track.stop());
  microphone?.context.close();
  microphone = undefined;
  $("listen").textContent = "Microphone";
}
$("listen").addEventListener("click", listen);

// Files.

$("file").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0], target.files[0].name));
$("digits").addEventListener("click", () => open("digits.ferro", "digits.ferro"));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file) open(file, file.name);
});
const given = new URLSearchParams(location.search).get("model");
if (given) open(given, given);
