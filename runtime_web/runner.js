// The page of the headless browser that runs programs for Python (`runner/`).
//
// One request at a time comes through a WebSocket and gets one reply. Both are a JSON text with the
// lengths of its blobs, followed by their bytes in chunks. Lengths are multiples of four.

import { DeviceProblem, Program, launchesOf, wordCount } from "./program.js";
import { readResults } from "./read_results.js";
import { WebGlDevice } from "./webgl.js";
import { WebGpuDevice } from "./webgpu.js";

/** @typedef {import("./program.js").BufferSpec} BufferSpec */
/** @typedef {import("./program.js").Description} Description */
/** @typedef {import("./program.js").Launch} Launch */
/** @typedef {import("./program.js").Lease} Lease */
/** @typedef {import("./program.js").Words} Words */
/** @typedef {{ spec: BufferSpec, lease: Lease }} Held */
/** @typedef {{ answer: object, blobs?: Words[] }} Reply */
/** @typedef {(string | ArrayBuffer)} Message */

// Chromium moves messages of this size several times faster than larger or much smaller ones.
const CHUNK_BYTES = 1 << 20;
// Each takes a query of the device's.
const MOST_TIMED_LAUNCHES = 8192;

/**
 * @typedef {object} Inspected
 * @property {() => object} facts
 * @property {() => { bytes: number, idle: number, shaders: number }} statistics
 * @property {(sources: string[], pipelines: boolean) => Promise<string[][]>} logs
 * @property {() => void} lose
 * @property {(error: Error) => Promise<DeviceProblem>} explained
 * @property {unknown} clock
 * @property {(issue: () => void) => Promise<number>} deviceSeconds
 */

/** @type {import("./program.js").Machine<any, any> & Inspected} */
let device;
let ids = 0;
/** @type {Map<number, Program<any, any>>} */
const programs = new Map();
/** @type {Map<number, Held>} */
const arrays = new Map();

/** @type {Record<string, (request: any, blobs: Words[]) => Promise<Reply>>} */
const operations = {
  async open({ target, limits }) {
    device = await (target === "glsl" ? WebGlDevice : WebGpuDevice).open(limits);
    return { answer: device.facts() };
  },

  async load({ program }, blobs) {
    programs.set(++ids, await Program.load(device, program, blobs));
    return { answer: { program: ids } };
  },

  /** Results stay here if `keep`, and are sent otherwise. */
  async run({ program: id, inputs, keep }, blobs) {
    const program = found(programs, id);
    const outputs = await withInputs(program, inputs, blobs, async (leases) => program.run(leases));
    const specs = program.description.outputs.map((index) => program.description.buffers[index]);
    if (keep) {
      await checked(outputs);
      return { answer: { arrays: outputs.map((lease, k) => hold(specs[k], lease)) } };
    }
    try {
      return { answer: {}, blobs: await readResults(device, outputs, specs.map(wordCount)) };
    } finally {
      for (const lease of outputs) device.release(lease);
    }
  },

  /** The time of `runs` runs issued together, by the device's clock or this machine's. */
  async time({ program: id, inputs, runs, clock }, blobs) {
    const program = found(programs, id);
    return withInputs(program, inputs, blobs, async (leases) => {
      const repeat = (/** @type {number} */ count) => {
        /** @type {Lease[]} */
        let last = [];
        for (let k = 0; k < count; k++) {
          for (const lease of last) device.release(lease);
          last = program.run(leases);
        }
        return last;
      };
      await finished(repeat(1));
      if (clock === "device") {
        if (!device.clock) return { answer: { seconds: 0 } };
        /** @type {Lease[]} */
        let last = [];
        const seconds = await device.deviceSeconds(() => { last = repeat(runs); });
        await finished(last);
        return { answer: { seconds } };
      }
      const begin = performance.now();
      await finished(repeat(runs));
      return { answer: { seconds: (performance.now() - begin) * 1e-3 } };
    });
  },

  /** Seconds of each launch by the device's clock; nothing where they cannot be told apart. */
  async launches({ program: id, inputs, runs }, blobs) {
    const program = found(programs, id);
    if (!device.clock) return { answer: { seconds: [] } };
    return withInputs(program, inputs, blobs, async (leases) => {
      /** @type {Map<Launch, Promise<number>[]>} */
      const timed = new Map(launchesOf(program.description.steps).map((launch) => [launch, []]));
      let count = 0;
      for (let k = 0; k < runs && count < MOST_TIMED_LAUNCHES; k++) {
        const outputs = program.run(leases, (launch, issue) => {
          count++;
          if (count >= MOST_TIMED_LAUNCHES) issue();
          else timed.get(launch)?.push(device.deviceSeconds(issue));
        });
        await finished(outputs);
      }
      /** @type {number[]} */
      const seconds = [];
      for (const one of timed.values()) {
        seconds.push((await Promise.all(one)).reduce((sum, each) => sum + each, 0) / runs);
      }
      return { answer: { seconds: count < MOST_TIMED_LAUNCHES ? seconds : [] } };
    });
  },

  async upload({ spec }, [words]) {
    const lease = device.acquire(spec);
    device.write(lease, words);
    await checked([lease]);
    return { answer: { array: hold(spec, lease) } };
  },

  async read({ array }) {
    const { spec, lease } = found(arrays, array);
    return { answer: {}, blobs: [await device.read(lease, wordCount(spec))] };
  },

  /** Wait for all that was queued. */
  async synchronize() {
    await device.finish([...arrays.values()].pop()?.lease);
    return { answer: {} };
  },

  async logs({ sources, pipelines }) {
    return { answer: { logs: await device.logs(sources, pipelines) } };
  },

  /** What is in use, for whoever looks for leaks. */
  async statistics() {
    return { answer: device.statistics() };
  },

  async lose() {
    device.lose();
    return { answer: {} };
  },
};

/**
 * Call `use` with the leases of a program's inputs: arrays that are here, or the next blob.
 * @template T
 * @param {Program<any, any>} program
 * @param {(number | null)[]} inputs
 * @param {Words[]} blobs
 * @param {(leases: Lease[]) => Promise<T>} use
 */
async function withInputs(program, inputs, blobs, use) {
  /** @type {Lease[]} */
  const leases = [];
  let next = 0;
  try {
    inputs.forEach((array, k) => {
      if (array !== null) {
        const { lease } = found(arrays, array);
        lease.users++;
        leases.push(lease);
      } else {
        const { description } = program;
        const lease = device.acquire(description.buffers[description.inputs[k]]);
        leases.push(lease);
        device.write(lease, blobs[next++]);
      }
    });
    return await use(leases);
  } finally {
    for (const lease of leases) device.release(lease);
  }
}

/**
 * Wait for results that nobody needs.
 * @param {Lease[]} outputs
 */
async function finished(outputs) {
  try {
    await device.check();
    for (const lease of outputs) await device.finish(lease);
  } finally {
    for (const lease of outputs) device.release(lease);
  }
}

/**
 * Raise what the device has to report, and give `leases` back then.
 * @param {Lease[]} leases
 */
async function checked(leases) {
  try {
    await device.check();
  } catch (error) {
    for (const lease of leases) device.release(lease);
    throw error;
  }
}

/**
 * @param {BufferSpec} spec
 * @param {Lease} lease
 */
function hold(spec, lease) {
  arrays.set(++ids, { spec, lease });
  return ids;
}

/**
 * @template T
 * @param {Map<number, T>} things
 * @param {number} id
 * @returns {T}
 */
function found(things, id) {
  const thing = things.get(id);
  if (thing === undefined) throw new DeviceProblem("bug", `there is no number ${id} here`);
  return thing;
}

/**
 * What Python has dropped since its last request.
 * @param {number[]} numbers
 */
function free(numbers) {
  for (const number of numbers) {
    programs.get(number)?.unload();
    programs.delete(number);
    const held = arrays.get(number);
    if (held) device.release(held.lease);
    arrays.delete(number);
  }
}

// --- The connection -------------------------------------------------------------------------------

/**
 * @param {any} request
 * @param {Words[]} blobs
 * @returns {Promise<Reply>}
 */
async function reply(request, blobs) {
  try {
    free(request.free);
    return await operations[request.op](request, blobs);
  } catch (error) {
    const { kind, message, shader } = await problem(/** @type {Error} */ (error));
    return { answer: { error: { kind, message, shader } } };
  }
}

/** @param {Error} error */
async function problem(error) {
  if (error instanceof DeviceProblem) return error;
  if (!device) return new DeviceProblem("device", `it did not open: ${error.message}`);
  if (error instanceof DOMException) return device.explained(error);
  return new DeviceProblem("bug", `${error} ${error.stack}`);
}

/**
 * @param {WebSocket} socket
 * @param {Reply} reply
 */
function send(socket, { answer, blobs = [] }) {
  socket.send(JSON.stringify({ ...answer, blobs: blobs.map((blob) => blob.byteLength) }));
  for (const blob of blobs) {
    for (let at = 0; at < blob.byteLength; at += CHUNK_BYTES) {
      socket.send(blob.subarray(at, at + CHUNK_BYTES));
    }
  }
}

/** @param {WebSocket} socket */
function serve(socket) {
  /** @type {any} */
  let request = null;
  let bytes = new Uint8Array(0);
  let filled = 0;
  socket.binaryType = "arraybuffer";
  socket.onmessage = async (/** @type {MessageEvent<Message>} */ { data }) => {
    if (typeof data === "string") {
      request = JSON.parse(data);
      const total = request.blobs.reduce((/** @type {number} */ a, /** @type {number} */ b) => a + b, 0);
      bytes = new Uint8Array(total);
      filled = 0;
    } else {
      bytes.set(new Uint8Array(data), filled);
      filled += data.byteLength;
    }
    if (filled < bytes.byteLength) return;
    let at = 0;
    /** @type {Words[]} */
    const blobs = request.blobs.map((/** @type {number} */ length) =>
      bytes.subarray(at, (at += length)));
    send(socket, await reply(request, blobs));
  };
  socket.onclose = () => window.close(); // Python has ended
}

serve(new WebSocket(new URL("socket", location.href.replace(/^http/, "ws"))));
