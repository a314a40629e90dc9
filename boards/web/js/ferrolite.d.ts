/** The element type of a port. */
export type DType = "bool" | "int8" | "uint8" | "int16" | "int32" | "int64" | "float32";

/** Elements as they are stored. */
export type Stored = Int8Array | Uint8Array | Int16Array | Int32Array | BigInt64Array | Float32Array;

/** Numbers for an input: flat or nested as its shape, typed or not. What is no number is refused. */
export type Numbers = number | bigint | boolean | ArrayLike<Numbers>;

/** An input, an output or a variable. */
export interface Port {
  readonly name: string;
  /** Dimensions, outermost first. */
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly size: number;
  readonly dtype: DType;
  /** real = scale * (stored - zero_point); null where elements stand for themselves. */
  readonly scale: number | null;
  readonly zero_point: number | null;
  /** Of an input of indices: how many rows they choose among, from 0 on; others are refused. Else null. */
  readonly count: number | null;
}

/** A variable. */
export interface Variable extends Port {
  /** Where it begins among the bytes of a snapshot. */
  readonly offset: number;
}

/** An op of the program. */
export interface Layer {
  /** The author's name. */
  readonly name: string;
  /** The operator in TensorFlow Lite's words. */
  readonly op: string;
  /** The operator that runs. */
  readonly kernel: string;
  /** Multiply-accumulates of one inference. */
  readonly macs: number;
  /** Shapes of its outputs. */
  readonly outputs: readonly (readonly number[])[];
}

/** What a model or its data are refused with. */
export class FerroliteError extends Error {}

/** What can be read: an address (in Node also a path, from the working folder on), a `Response`, a dropped file, or bytes. */
export type Source = string | URL | Response | Blob | ArrayBuffer | ArrayBufferView;

/**
 * Loads the WebAssembly module, from beside this file where nothing is given. Models do it by themselves.
 */
export function init(source?: string | URL | Response | ArrayBuffer | ArrayBufferView): Promise<unknown>;

/** A model: a verified `.ferro` file with its memory. */
export class Model {
  private constructor();
  /**
   * Reads and verifies a `.ferro` file.
   * @throws FerroliteError the file cannot be read, is none, is damaged, or needs an operator that is not here.
   */
  static load(source: Source): Promise<Model>;

  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** What outlives an inference. */
  readonly variables: readonly Variable[];
  /** Names of the classes, where the file has them. */
  readonly labels: readonly string[];
  readonly layers: readonly Layer[];
  /** Bytes of the arena: what a device needs of RAM, but for its stack. */
  readonly arenaBytes: number;
  /** Bytes of the file. */
  readonly modelBytes: number;
  /** The core that its weights are packed for; `host` is the fastest here. */
  readonly target: string;
  /** Multiply-accumulates of one inference. */
  readonly macs: number;

  /**
   * One inference of real numbers: the only input, or an object or array of all.
   * @returns the outputs by name, as real numbers.
   */
  run(input: Numbers | Record<string, Numbers>): Record<string, Float32Array | Stored>;
  /** The same in the model's own integers, in and out. */
  runRaw(input: Numbers | Record<string, Numbers>): Record<string, Stored>;
  /** One inference op by op, with the microseconds that each took. */
  profile(input: Numbers | Record<string, Numbers>): {
    outputs: Record<string, Float32Array | Stored>;
    layers: (Layer & { micros: number })[];
  };

  /** Gives all state its first value. */
  reset(): void;
  /** All of the state; `restore` takes it, also on a device. */
  snapshot(): Uint8Array;
  /** Goes on from a snapshot; one of another size is refused. */
  restore(snapshot: Uint8Array | ArrayBuffer): void;
  /** What a variable holds, as stored. */
  readState(name: string): Stored;
  writeState(name: string, value: Numbers): void;
  /** Gives the memory back. */
  close(): void;
}
