// Hands the microphone's samples to the page, 1,024 at a time.
class Tap extends AudioWorkletProcessor {
  #block = new Float32Array(1024);
  #filled = 0;

  process([[samples]]) {
    if (!samples) return true;
    this.#block.set(samples, this.#filled);
    this.#filled += samples.length;
    if (this.#filled + samples.length > this.#block.length) {
      this.port.postMessage(this.#block.slice(0, this.#filled));
      this.#filled = 0;
    }
    return true;
  }
}
registerProcessor("tap", Tap);
