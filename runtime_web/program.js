// Running a program on any GPU interface of a browser.
//
// In: the description of a program (plain JSON, as `ir/gpu_encoding.py` writes it) and the words of
// its constants; then arrays, call by call. Out: arrays on the device. What differs between WebGL
// and WebGPU is behind `Machine`. Nothing here talks to Python.

/** @typedef {{ width: number, height: number, format: "rgba32f" | "rgba32i" | "rgba32ui" }} TextureLayout */

/**
 * One buffer: `size` elements of the host's array, `packed` of them in each 32-bit word.
 * @typedef {object} BufferSpec
 * @property {"input" | "output" | "constant" | "temporary"} role
 * @property {string} storage
 * @property {number} size
 * @property {number} packed
 * @property {TextureLayout | null} texture
 */

/**
 * One run of one shader; see `ShaderLaunch` in `ir/artifact.py`.
 * @typedef {object} Launch
 * @property {string} name
 * @property {string} source
 * @property {string} entry_point
 * @property {number[]} bindings
 * @property {number[]} outputs
 * @property {[number, number, number]} grid
 * @property {number[]} uniforms
 */

/** @typedef {{ repeat: number, steps: Step[] }} Repeat */
/** @typedef {{ launch: Launch } | { copy: [number, number] } | Repeat} Step */

/**
 * @typedef {object} Description
 * @property {"wgsl" | "glsl"} target
 * @property {BufferSpec[]} buffers
 * @property {number[]} inputs
 * @property {number[]} outputs
 * @property {Step[]} steps
 */

/** Memory of the device, counted: `users` hold it. @typedef {{ users: number }} Lease */

/** What is moved to and from a device. @typedef {Uint8Array<ArrayBuffer>} Words */

/**
 * A GPU interface. Work is queued in the order of the calls; `flush` sends it off. `C` is a shader
 * that is ready to run.
 * @template {Lease} L
 * @template C
 * @typedef {object} Machine
 * @property {(launches: Launch[]) => Promise<C[]>} compile
 * @property {(compiled: C[]) => void} discard
 * @property {(spec: BufferSpec) => L} acquire memory with undefined contents and one user
 * @property {(lease: L) => void} release drop one user; the last gives the memory back
 * @property {(lease: L, words: Words) => void} write
 * @property {(launch: Launch, compiled: C, bindings: L[], outputs: L[], uniforms: number[]) => void} dispatch
 * @property {(source: L, destination: L) => void} copy
 * @property {() => void} flush
 * @property {(lease: L, words: number) => Promise<Words>} read
 * @property {(lease?: L) => Promise<void>} finish wait until what wrote `lease` is done
 * @property {() => Promise<void>} check raise what went wrong since the last check
 */

/** What a device answers with; `kind` says who can do something about it. */
export class DeviceProblem extends Error {
  /**
   * @param {"lost" | "missing" | "shader" | "limit" | "memory" | "device" | "bug"} kind
   * @param {string} message
   * @param {number} [shader] the number of the launch whose shader was refused
   */
  constructor(kind, message, shader = 0) {
    super(message);
    this.kind = kind;
    this.shader = shader;
  }
}

/** @param {BufferSpec} spec */
export const wordCount = (spec) => Math.ceil(spec.size / spec.packed);

/**
 * Every launch in `steps`, those inside of repeats once.
 * @param {Step[]} steps
 * @returns {Launch[]}
 */
export function launchesOf(steps) {
  return steps.flatMap((step) => {
    if ("launch" in step) return [step.launch];
    return "repeat" in step ? launchesOf(step.steps) : [];
  });
}

/**
 * The buffers that a step reads or writes.
 * @param {Step} step
 * @returns {number[]}
 */
function buffersOf(step) {
  if ("launch" in step) return [...step.launch.bindings, ...step.launch.outputs];
  return "copy" in step ? step.copy : step.steps.flatMap(buffersOf);
}

/** @typedef {{ step: Step, acquire: number[], release: number[] }} PlannedStep */

/**
 * When each buffer of a call needs memory: from the first step that uses it to the last. A repeat
 * is one step, as what one round writes the next may read.
 * @param {Description} program
 * @returns {PlannedStep[]}
 */
export function plan(program) {
  const used = program.steps.map((step) => [...new Set(buffersOf(step))]);
  /** @type {Map<number, number>} */
  const first = new Map();
  /** @type {Map<number, number>} */
  const last = new Map();
  used.forEach((buffers, position) => {
    for (const buffer of buffers) {
      if (!first.has(buffer)) first.set(buffer, position);
      last.set(buffer, position);
    }
  });
  /** @param {number} buffer */
  const own = (buffer) => ["output", "temporary"].includes(program.buffers[buffer].role);
  return program.steps.map((step, position) => ({
    step,
    acquire: used[position].filter((b) => own(b) && first.get(b) === position),
    release: used[position].filter(
      (b) => own(b) && last.get(b) === position && !program.outputs.includes(b)),
  }));
}

/**
 * A program whose shaders are compiled and whose constants are on the device.
 * @template {Lease} L
 * @template C
 */
export class Program {
  /**
   * @param {Machine<L, C>} machine
   * @param {Description} description
   * @param {Map<Launch, C>} compiled
   * @param {Map<number, L>} constants
   */
  constructor(machine, description, compiled, constants) {
    this.machine = machine;
    this.description = description;
    this.compiled = compiled;
    this.constants = constants;
    this.plan = plan(description);
  }

  /**
   * `constants` are the words of the buffers with role "constant", in buffer order.
   * @template {Lease} L
   * @template C
   * @param {Machine<L, C>} machine
   * @param {Description} description
   * @param {Words[]} constants
   */
  static async load(machine, description, constants) {
    const launches = launchesOf(description.steps);
    const shaders = await machine.compile(launches);
    const compiled = new Map(launches.map((launch, k) => [launch, shaders[k]]));
    const program = new Program(machine, description, compiled, new Map());
    try {
      description.buffers.forEach((spec, index) => {
        if (spec.role !== "constant") return;
        const lease = machine.acquire(spec);
        program.constants.set(index, lease);
        machine.write(lease, constants[program.constants.size - 1]);
      });
      await machine.check();
    } catch (error) {
      program.unload();
      throw error;
    }
    return program;
  }

  /**
   * Queue one run. The inputs stay their owner's; the caller must release each of the results.
   * Each launch is made by `around`, which must call `issue` at once.
   * @param {L[]} inputs
   * @param {(launch: Launch, issue: () => void) => void} around
   * @returns {L[]}
   */
  run(inputs, around = (_, issue) => issue()) {
    const { buffers, outputs } = this.description;
    const leases = new Map(this.constants);
    this.description.inputs.forEach((index, k) => leases.set(index, inputs[k]));
    /** @type {Set<number>} */
    const own = new Set();
    try {
      for (const { step, acquire, release } of this.plan) {
        for (const index of acquire) {
          leases.set(index, this.machine.acquire(buffers[index]));
          own.add(index);
        }
        this.#execute(step, leases, null, around);
        for (const index of release) this.#release(leases, own, index);
      }
      this.machine.flush();
      return outputs.map((index) => this.#result(leases, index));
    } finally {
      for (const index of own) this.#release(leases, own, index);
    }
  }

  /** Give back what loading took. */
  unload() {
    this.machine.discard([...this.compiled.values()]);
    for (const lease of this.constants.values()) this.machine.release(lease);
    this.constants.clear();
  }

  /**
   * @param {Step} step
   * @param {Map<number, L>} leases
   * @param {number | null} counter that of the innermost repeat
   * @param {(launch: Launch, issue: () => void) => void} around
   */
  #execute(step, leases, counter, around) {
    if ("launch" in step) {
      const { launch } = step;
      if (!this.#isEmpty(launch)) around(launch, () => this.#launch(launch, leases, counter));
    } else if ("copy" in step) {
      this.machine.copy(held(leases, step.copy[0]), held(leases, step.copy[1]));
    } else {
      for (let round = 0; round < step.repeat; round++) {
        for (const inner of step.steps) this.#execute(inner, leases, round, around);
      }
    }
  }

  /**
   * Whether there is nothing to write: index arithmetic over an empty array may divide by zero.
   * @param {Launch} launch
   */
  #isEmpty({ outputs, grid }) {
    const { buffers } = this.description;
    return grid.includes(0) || outputs.every((index) => buffers[index].size === 0);
  }

  /**
   * @param {Launch} launch
   * @param {Map<number, L>} leases
   * @param {number | null} counter
   */
  #launch(launch, leases, counter) {
    const { uniforms } = launch;
    const counted = counter === null || !uniforms.length ? uniforms
      : [counter, ...uniforms.slice(1)];
    const compiled = /** @type {C} */ (this.compiled.get(launch));
    this.machine.dispatch(
      launch,
      compiled,
      launch.bindings.map((index) => held(leases, index)),
      launch.outputs.map((index) => held(leases, index)),
      counted,
    );
  }

  /**
   * An output, held for the caller. One without elements need not be written by any step.
   * @param {Map<number, L>} leases
   * @param {number} index
   */
  #result(leases, index) {
    const spec = this.description.buffers[index];
    if (!leases.has(index) && spec.size === 0) return this.machine.acquire(spec);
    const lease = held(leases, index);
    lease.users++;
    return lease;
  }

  /**
   * @param {Map<number, L>} leases
   * @param {Set<number>} own
   * @param {number} index
   */
  #release(leases, own, index) {
    this.machine.release(held(leases, index));
    own.delete(index);
  }
}

/**
 * @template {Lease} L
 * @param {Map<number, L>} leases
 * @param {number} index
 */
function held(leases, index) {
  const lease = leases.get(index);
  if (!lease) throw new DeviceProblem("bug", `buffer ${index} is used before it is written`);
  return lease;
}
