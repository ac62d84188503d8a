// WebGPU as a machine for programs: arrays are storage buffers, launches are dispatches.

import { Pool } from "./pool.js";
import { DeviceProblem, wordCount } from "./program.js";
import { UniformTable, uniformBytes } from "./webgpu_uniforms.js";

/** @typedef {import("./program.js").BufferSpec} BufferSpec */
/** @typedef {import("./program.js").Launch} Launch */
/** @typedef {import("./pool.js").Pooled & { buffer: GPUBuffer, serial: number }} BufferLease */
/** @typedef {{ key: string, users: number, pipeline: GPUComputePipeline }} Pipeline */
/** A launch's pipeline, and its bind groups by the buffers that they bind. */
/** @typedef {{ pipeline: Pipeline, layout: GPUBindGroupLayout, groups: Map<string, GPUBindGroup> }} Prepared */
/** `adapters` asks for all that the adapter has. */
/** @typedef {{ memoryBytes: number, idleBytes: number, adapters: boolean }} Limits */
/** @typedef {{ queries: GPUQuerySet, resolved: GPUBuffer, staging: GPUBuffer }} Timer */

const WORD_BYTES = 4;
// Shaders may view any buffer as vec4, and WebGPU has no empty bindings.
const GRANULE = 16;
const SHARED_STAGING_BYTES = 64 << 20;
// A command buffer is kept in memory as a whole, and none of it runs before it is submitted.
const DISPATCHES_PER_SUBMIT = 4096;
// A chain of calls meets a few buffers in turn; more variants are not worth their memory.
const GROUPS_PER_LAUNCH = 8;
const FEATURES = ["shader-f16", "subgroups", "timestamp-query"];
const LIMITS = /** @type {const} */ ([
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
]);

/** @param {BufferSpec} spec */
const bufferBytes = (spec) =>
  Math.max(1, Math.ceil((wordCount(spec) * WORD_BYTES) / GRANULE)) * GRANULE;

export class WebGpuDevice {
  /**
   * @param {GPUAdapter} adapter
   * @param {GPUDevice} device
   * @param {Limits} limits
   */
  constructor(adapter, device, limits) {
    this.adapter = adapter;
    this.device = device;
    this.gone = "";
    device.lost.then(({ message }) => {
      this.gone = message || "it gave no reason";
    });
    device.addEventListener("uncapturederror", ({ error }) => {
      this.pending.push(Promise.resolve(error));
    });
    this.made = 0;
    // What is recorded and was not submitted may use what waits: that must not be freed.
    /** @type {Pool<BufferLease>} */
    this.pool = new Pool(limits, ({ buffer }) => buffer.destroy(), () => this.flush());
    /** @type {Map<number, GPUBuffer[]>} */
    this.staging = new Map();
    /** @type {Map<string, GPUBindGroupLayout>} */
    this.layouts = new Map();
    /** @type {Map<string, Pipeline>} */
    this.pipelines = new Map();
    /** Answers of error scopes that nobody has looked at. @type {Promise<GPUError | null>[]} */
    this.pending = [];
    /** @type {GPUCommandEncoder | null} */
    this.encoder = null;
    /** @type {GPUComputePassEncoder | null} */
    this.pass = null;
    this.dispatches = 0;
    this.uniforms = new UniformTable(device, device.limits.minUniformBufferOffsetAlignment);
    /** @type {Timer[]} */
    this.timers = [];
  }

  /** @param {Limits} limits */
  static async open(limits) {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
    if (!adapter) throw new DeviceProblem("missing", "the browser gives no WebGPU adapter");
    const device = await adapter.requestDevice({
      requiredFeatures: /** @type {GPUFeatureName[]} */ (
        FEATURES.filter((name) => adapter.features.has(name))),
      requiredLimits: Object.fromEntries(
        limits.adapters ? LIMITS.map((name) => [name, adapter.limits[name]]) : []),
    });
    return new WebGpuDevice(adapter, device, limits);
  }

  /** What the device says of itself. */
  facts() {
    const { vendor, architecture, device, description, isFallbackAdapter } = this.adapter.info;
    const { subgroupMinSize, subgroupMaxSize } = this.adapter.info;
    const { limits, features } = this.device;
    // Without subgroup_id no shader can tell which subgroups of its workgroup are which.
    const subgroups = features.has("subgroups")
      && navigator.gpu.wgslLanguageFeatures.has("subgroup_id");
    return {
      name: description || device || `${vendor} ${architecture}`,
      fallback: isFallbackAdapter,
      features: FEATURES.filter((name) => features.has(name)),
      subgroups: subgroups ? [subgroupMinSize, subgroupMaxSize] : null,
      limits: Object.fromEntries(
        [...LIMITS, /** @type {const} */ ("minUniformBufferOffsetAlignment")].map(
          (name) => [name, limits[name]])),
    };
  }

  statistics() {
    return { bytes: this.pool.allocated, idle: this.pool.idle, shaders: this.pipelines.size };
  }

  /** Lose the device, as a reset of the driver does. */
  lose() {
    this.device.destroy();
  }

  // --- Shaders ----------------------------------------------------------------------------------

  /**
   * @param {Launch[]} launches
   * @returns {Promise<Prepared[]>}
   */
  async compile(launches) {
    const made = await Promise.allSettled(launches.map((launch, k) => this.#prepare(launch, k)));
    const failed = made.find((each) => each.status === "rejected");
    const done = made.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    if (!failed) return done;
    this.discard(done);
    throw failed.reason;
  }

  /**
   * What the compiler says of each module, warnings too, and then, with `pipelines`, of a pipeline
   * of it, which takes software adapters up to seconds; nothing if all is well.
   * @param {string[]} sources
   * @param {boolean} pipelines
   */
  async logs(sources, pipelines) {
    return Promise.all(sources.map(async (code) => {
      const { device } = this;
      device.pushErrorScope("validation");
      const module = device.createShaderModule({ code });
      await device.popErrorScope();
      const { messages } = await module.getCompilationInfo();
      const said = messages.map(shown);
      if (!pipelines || messages.some(({ type }) => type === "error")) return said;
      return device.createComputePipelineAsync({ layout: "auto", compute: { module } }).then(
        () => said, (error) => [...said, `pipeline: ${error.message}`]);
    }));
  }

  /** @param {Prepared[]} prepared */
  discard(prepared) {
    for (const { pipeline } of prepared) {
      pipeline.users--;
      if (!pipeline.users) this.pipelines.delete(pipeline.key);
    }
  }

  /**
   * @param {Launch} launch
   * @param {number} number
   * @returns {Promise<Prepared>}
   */
  async #prepare(launch, number) {
    const { bindings, outputs, uniforms, source, entry_point: entryPoint } = launch;
    /** @type {GPUBufferBindingType[]} */
    const types = bindings.map((b) => (outputs.includes(b) ? "storage" : "read-only-storage"));
    if (uniforms.length) types.push("uniform");
    const layout = this.#layout(types);
    const key = `${types.join(" ")} ${entryPoint} ${source}`;
    const made = this.pipelines.get(key)
      ?? { key, users: 0, pipeline: await this.#compile(source, entryPoint, layout, number) };
    // Equal launches of one program are compiled at the same time: the first one stays.
    const pipeline = this.pipelines.get(key) ?? made;
    this.pipelines.set(key, pipeline);
    pipeline.users++;
    return { pipeline, layout, groups: new Map() };
  }

  /**
   * @param {string} code
   * @param {string} entryPoint
   * @param {GPUBindGroupLayout} layout
   * @param {number} number
   */
  async #compile(code, entryPoint, layout, number) {
    const { device } = this;
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code });
    const invalid = device.popErrorScope();
    try {
      const pipeline = await device.createComputePipelineAsync({
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint },
      });
      await invalid;
      return pipeline;
    } catch (error) {
      await invalid;
      const loss = this.#loss();
      if (loss) throw loss;
      const { messages } = await module.getCompilationInfo();
      const log = messages.map(shown).join("\n") || /** @type {Error} */ (error).message;
      throw new DeviceProblem("shader", log, number);
    }
  }

  /** @param {GPUBufferBindingType[]} types */
  #layout(types) {
    const key = types.join(" ");
    const found = this.layouts.get(key);
    if (found) return found;
    const entries = types.map((type, binding) => ({
      binding,
      visibility: GPUShaderStage.COMPUTE,
      buffer: { type, hasDynamicOffset: type === "uniform" },
    }));
    const layout = this.device.createBindGroupLayout({ entries });
    this.layouts.set(key, layout);
    return layout;
  }

  // --- Buffers ----------------------------------------------------------------------------------

  /**
   * @param {BufferSpec} spec
   * @returns {BufferLease}
   */
  acquire(spec) {
    const bytes = bufferBytes(spec);
    const { limits } = this.device;
    const most = Math.min(limits.maxStorageBufferBindingSize, limits.maxBufferSize);
    if (bytes > most) {
      throw new DeviceProblem(
        "limit", `a buffer of ${bytes} bytes exceeds the ${most} bytes that the device binds`);
    }
    const kind = String(bytes);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    return this.pool.acquire(kind, bytes, "a buffer", () => {
      const buffer = this.#create({ size: bytes, usage });
      return { users: 1, kind, bytes, buffer, serial: this.made++ };
    });
  }

  /**
   * What is queued may still use the buffer: whoever gets it next is queued later.
   * @param {BufferLease} lease
   */
  release(lease) {
    this.pool.release(lease);
    if (!this.encoder) this.pool.trim();
  }

  /**
   * @param {BufferLease} lease
   * @param {import("./program.js").Words} words
   */
  write({ buffer }, words) {
    // Before what is recorded and not sent, which may read what the buffer held.
    this.flush();
    if (words.byteLength) this.device.queue.writeBuffer(buffer, 0, words);
  }

  /**
   * The first `count` words of a buffer.
   * @param {BufferLease} lease
   * @param {number} count
   */
  async read({ buffer }, count) {
    const size = Math.max(GRANULE, count * WORD_BYTES);
    const staging = this.#takeStaging(size);
    this.#endPass();
    this.#open().copyBufferToBuffer(buffer, 0, staging, 0, count * WORD_BYTES);
    this.flush();
    /** @type {import("./program.js").Words} */
    let words;
    try {
      words = await this.#mapped(
        staging, (bytes) => new Uint8Array(bytes.slice(0, count * WORD_BYTES)));
    } catch (error) {
      staging.destroy(); // it may still be about to be mapped
      throw error;
    }
    if (staging.size > SHARED_STAGING_BYTES) staging.destroy();
    else this.staging.get(staging.size)?.push(staging);
    return words;
  }

  /**
   * What `use` makes of the contents of a staging buffer, once they are there.
   * @template T
   * @param {GPUBuffer} staging
   * @param {(bytes: ArrayBuffer) => T} use
   */
  async #mapped(staging, use) {
    const mapped = staging.mapAsync(GPUMapMode.READ).then(() => null, (error) => error);
    await this.check(); // mapping an invalid buffer fails too, with less to say
    const failed = await mapped;
    if (failed) throw await this.explained(failed);
    try {
      return use(staging.getMappedRange());
    } finally {
      staging.unmap();
    }
  }

  /** @param {number} size */
  #takeStaging(size) {
    // Powers of two, so that results of many sizes share few buffers.
    const room = size > SHARED_STAGING_BYTES ? size : 2 ** Math.ceil(Math.log2(size));
    const waiting = this.staging.get(room) ?? [];
    this.staging.set(room, waiting);
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    return waiting.pop() ?? this.#create({ size: room, usage });
  }

  /** @param {GPUBufferDescriptor} descriptor */
  #create(descriptor) {
    return this.#guarded("out-of-memory", () => this.device.createBuffer(descriptor));
  }

  // --- Work -------------------------------------------------------------------------------------

  /**
   * @param {Launch} launch
   * @param {Prepared} prepared
   * @param {BufferLease[]} bindings
   * @param {BufferLease[]} _outputs
   * @param {number[]} values
   */
  dispatch(launch, prepared, bindings, _outputs, values) {
    if (this.dispatches === DISPATCHES_PER_SUBMIT) this.flush();
    const offsets = values.length ? [this.#uniformOffset(values)] : [];
    this.pass ??= this.#open().beginComputePass();
    this.pass.setPipeline(prepared.pipeline.pipeline);
    this.pass.setBindGroup(0, this.#group(launch, prepared, bindings), offsets);
    this.pass.dispatchWorkgroups(...launch.grid);
    this.dispatches++;
  }

  /**
   * @param {BufferLease} source
   * @param {BufferLease} destination
   */
  copy(source, destination) {
    this.#endPass();
    const { size } = source.buffer;
    this.#open().copyBufferToBuffer(source.buffer, 0, destination.buffer, 0, size);
  }

  /** Submit what was recorded. */
  flush() {
    if (!this.encoder) return;
    this.#endPass();
    this.uniforms.write();
    const { encoder } = this;
    this.encoder = null;
    this.dispatches = 0;
    this.#guarded("validation", () => this.device.queue.submit([encoder.finish()]));
    this.pool.trim();
  }

  async check() {
    const answers = await Promise.all(this.pending.splice(0));
    const loss = this.#loss();
    if (loss) throw loss;
    const error = answers.find((answer) => answer !== null);
    if (!error) return;
    const kind = error instanceof GPUOutOfMemoryError ? "memory" : "device";
    throw new DeviceProblem(kind, kind === "memory" ? "the device ran out of memory" : error.message);
  }

  /** Wait until all submitted work is done. */
  async finish() {
    this.flush();
    await this.device.queue.onSubmittedWorkDone();
    await this.check();
  }

  /**
   * What an error of the browser's means: a loss breaks calls before it is told.
   * @param {Error} error
   */
  async explained(error) {
    await Promise.race([this.device.lost, soon()]);
    return this.#loss() ?? new DeviceProblem("device", error.message);
  }

  #loss() {
    return this.gone
      ? new DeviceProblem("lost", `the WebGPU device was lost (${this.gone})`) : null;
  }

  /** Whether the device has a clock for `deviceSeconds`. */
  get clock() {
    return this.device.features.has("timestamp-query");
  }

  /**
   * Seconds on the device's clock that the work recorded by `issue` takes.
   * @param {() => void} issue
   */
  async deviceSeconds(issue) {
    const timer = this.timers.pop() ?? this.#makeTimer();
    const { queries, resolved, staging } = timer;
    this.#mark(queries, 0);
    issue();
    this.#mark(queries, 1);
    const encoder = this.#open();
    encoder.resolveQuerySet(queries, 0, 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, staging.size);
    this.flush();
    const ticks = await this.#mapped(staging, (bytes) => [...new BigUint64Array(bytes)]);
    this.timers.push(timer);
    return Number(ticks[1] - ticks[0]) * 1e-9;
  }

  /** @returns {Timer} */
  #makeTimer() {
    const { device } = this;
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    return {
      queries: device.createQuerySet({ type: "timestamp", count: 2 }),
      resolved: device.createBuffer({ size: 16, usage: QUERY_RESOLVE | COPY_SRC }),
      staging: device.createBuffer({ size: 16, usage: COPY_DST | MAP_READ }),
    };
  }

  /**
   * A pass that does nothing but to look at the clock, when all before it is done.
   * @param {GPUQuerySet} querySet
   * @param {number} index
   */
  #mark(querySet, index) {
    this.#endPass();
    const timestampWrites = { querySet, beginningOfPassWriteIndex: index };
    this.#open().beginComputePass({ timestampWrites }).end();
  }

  /** @param {number[]} values */
  #uniformOffset(values) {
    const offset = this.uniforms.offset(values);
    if (offset !== null) return offset;
    this.flush(); // what is recorded uses the old values
    this.uniforms.clear();
    return /** @type {number} */ (this.uniforms.offset(values));
  }

  /**
   * @param {Launch} launch
   * @param {Prepared} prepared
   * @param {BufferLease[]} bindings
   */
  #group(launch, { layout, groups }, bindings) {
    const key = bindings.map(({ serial }) => serial).join(" ");
    const found = groups.get(key);
    if (found) {
      groups.delete(key);
      groups.set(key, found);
      return found;
    }
    /** @type {GPUBufferBinding[]} */
    const bound = bindings.map(({ buffer }) => ({ buffer }));
    if (launch.uniforms.length) {
      bound.push({ buffer: this.uniforms.buffer, size: uniformBytes(launch.uniforms) });
    }
    const entries = bound.map((resource, binding) => ({ binding, resource }));
    const group = this.#guarded(
      "validation", () => this.device.createBindGroup({ layout, entries }));
    groups.set(key, group);
    if (groups.size > GROUPS_PER_LAUNCH) groups.delete([...groups.keys()][0]);
    return group;
  }

  #open() {
    this.encoder ??= this.device.createCommandEncoder();
    return this.encoder;
  }

  #endPass() {
    this.pass?.end();
    this.pass = null;
  }

  /**
   * Call `use`; what it does wrong is told by the next `check`.
   * @template T
   * @param {GPUErrorFilter} filter
   * @param {() => T} use
   */
  #guarded(filter, use) {
    this.device.pushErrorScope(filter);
    try {
      return use();
    } finally {
      this.pending.push(this.device.popErrorScope());
    }
  }
}

/** @param {GPUCompilationMessage} message */
const shown = ({ type, lineNum, linePos, message }) => `${type} ${lineNum}:${linePos}: ${message}`;

/** Long enough for a loss to be told after what it broke. */
const soon = () => new Promise((resume) => setTimeout(resume, 200));
