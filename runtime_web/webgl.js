// WebGL 2 as a machine for programs: arrays are textures, launches are draws to them.

import { Pool } from "./pool.js";
import { DeviceProblem } from "./program.js";

/** @typedef {import("./program.js").BufferSpec} BufferSpec */
/** @typedef {import("./program.js").Launch} Launch */
/** @typedef {import("./program.js").TextureLayout} TextureLayout */
/** @typedef {import("./pool.js").Pooled & { texture: WebGLTexture, layout: TextureLayout }} TextureLease */
/** @typedef {{ program: WebGLProgram, source: string, users: number, uniforms: WebGLUniformLocation | null }} Shader */

const LANES = 4;
const COMPONENT_BYTES = 4;
const CANARY = [0x7469_6c65, 0x7772_6967, 0x6874_2d31, 0x8000_0001];
const MOST_FRAMEBUFFERS = 512;

// One triangle, not two, so that no fragment lies on an inner edge.
const VERTEX_SHADER = `#version 300 es
void main() {
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
  gl_Position = vec4(corner * 4.0 - 1.0, 0.0, 1.0);
}
`;

const lost = () => new DeviceProblem("lost", "the WebGL context was lost");

export class WebGlDevice {
  /**
   * @param {WebGL2RenderingContext} gl
   * With `halfFloat` floats are kept in 16 bits.
   * @param {{ memoryBytes: number, idleBytes: number, halfFloat?: boolean }} limits
   */
  constructor(gl, { halfFloat = false, ...limits }) {
    this.gl = gl;
    /** @type {Pool<TextureLease>} */
    this.pool = new Pool(limits, ({ texture }) => this.#free(texture));
    /** Framebuffers by the textures they draw to. @type {Map<string, { framebuffer: WebGLFramebuffer, textures: WebGLTexture[] }>} */
    this.framebuffers = new Map();
    /** @type {Map<WebGLTexture, number>} */
    this.numbers = new Map();
    this.made = 0;
    /** @type {Map<string, Shader>} */
    this.shaders = new Map();
    /** @type {WebGLFramebuffer | null} */
    this.canary = null;
    this.vertices = this.#compileShader(gl.VERTEX_SHADER, VERTEX_SHADER);
    this.formats = {
      rgba32f: {
        internal: halfFloat ? gl.RGBA16F : gl.RGBA32F, stored: halfFloat ? 2 : COMPONENT_BYTES,
        format: gl.RGBA, type: gl.FLOAT, View: Float32Array,
      },
      rgba32i: {
        internal: gl.RGBA32I, stored: COMPONENT_BYTES,
        format: gl.RGBA_INTEGER, type: gl.INT, View: Int32Array,
      },
      rgba32ui: {
        internal: gl.RGBA32UI, stored: COMPONENT_BYTES,
        format: gl.RGBA_INTEGER, type: gl.UNSIGNED_INT, View: Uint32Array,
      },
    };
  }

  /** @param {{ memoryBytes: number, idleBytes: number, halfFloat?: boolean }} limits */
  static open(limits) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const gl = canvas.getContext("webgl2", {
      alpha: false, antialias: false, depth: false, powerPreference: "high-performance",
    });
    if (!gl) throw new DeviceProblem("missing", "the browser gives no WebGL 2 context");
    const half = limits.halfFloat && gl.getExtension("EXT_color_buffer_half_float");
    if (!gl.getExtension("EXT_color_buffer_float") && !half) {
      throw new DeviceProblem("missing", limits.halfFloat
        ? "the device cannot draw to half-float textures: EXT_color_buffer_half_float is missing"
        : "the device cannot draw to float textures: EXT_color_buffer_float is missing; "
          + "tw.choose_device(half_float=True) keeps floats in 16 bits");
    }
    return new WebGlDevice(gl, limits);
  }

  /** What the device says of itself. */
  facts() {
    const { gl } = this;
    const names = gl.getExtension("WEBGL_debug_renderer_info");
    return {
      renderer: gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER),
      version: gl.getParameter(gl.VERSION),
      max_texture_size: gl.getParameter(gl.MAX_TEXTURE_SIZE),
      max_draw_buffers: gl.getParameter(gl.MAX_DRAW_BUFFERS),
      max_texture_units: gl.getParameter(gl.MAX_TEXTURE_IMAGE_UNITS),
    };
  }

  statistics() {
    return { bytes: this.pool.allocated, idle: this.pool.idle, shaders: this.shaders.size };
  }

  /** Lose the context, as a reset of the driver does. */
  lose() {
    this.gl.getExtension("WEBGL_lose_context")?.loseContext();
  }

  // --- Shaders ----------------------------------------------------------------------------------

  /**
   * All are compiled before the first is asked how it went, so that drivers may do it in parallel.
   * @param {Launch[]} launches
   * @returns {Promise<Shader[]>}
   */
  async compile(launches) {
    const shaders = launches.map(({ source }) => this.#shader(source));
    try {
      launches.forEach((launch, k) => this.#finish(launch, k, shaders[k]));
    } catch (error) {
      this.discard(shaders);
      throw error;
    }
    return shaders;
  }

  /**
   * What the compiler says of each shader; nothing if all is well.
   * @param {string[]} sources
   */
  async logs(sources) {
    return sources.map((source) => {
      const shader = this.#shader(source);
      const log = this.#log(shader.program);
      this.discard([shader]);
      return log ? [log] : [];
    });
  }

  /** @param {Shader[]} shaders */
  discard(shaders) {
    for (const shader of shaders) {
      shader.users--;
      if (shader.users > 0) continue;
      this.gl.deleteProgram(shader.program);
      this.shaders.delete(shader.source);
    }
  }

  /** @param {string} source */
  #shader(source) {
    const found = this.shaders.get(source);
    if (found) {
      found.users++;
      return found;
    }
    const { gl } = this;
    const fragments = this.#compileShader(gl.FRAGMENT_SHADER, source);
    const program = gl.createProgram();
    gl.attachShader(program, this.vertices);
    gl.attachShader(program, fragments);
    gl.linkProgram(program);
    gl.deleteShader(fragments); // goes with the program
    /** @type {Shader} */
    const shader = { program, source, users: 1, uniforms: null };
    this.shaders.set(source, shader);
    return shader;
  }

  /**
   * @param {number} kind
   * @param {string} source
   */
  #compileShader(kind, source) {
    const shader = this.gl.createShader(kind);
    if (!shader) throw lost();
    this.gl.shaderSource(shader, source);
    this.gl.compileShader(shader);
    return shader;
  }

  /**
   * Why a program could not be linked; waits for the driver.
   * @param {WebGLProgram} program
   */
  #log(program) {
    const { gl } = this;
    if (gl.getProgramParameter(program, gl.LINK_STATUS)) return "";
    if (gl.isContextLost()) throw lost();
    const logs = (gl.getAttachedShaders(program) ?? []).map((s) => gl.getShaderInfoLog(s));
    return [...logs, gl.getProgramInfoLog(program)].filter(Boolean).join("\n") || "it gave no log";
  }

  /**
   * Wait for the driver, and tie samplers `t0`, `t1`, … to the units of their numbers.
   * @param {Launch} launch
   * @param {number} number
   * @param {Shader} shader
   */
  #finish({ name }, number, shader) {
    const { gl } = this;
    const { program } = shader;
    const log = this.#log(program);
    if (log) throw new DeviceProblem("shader", log, number);
    gl.useProgram(program);
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
    for (let k = 0; k < count; k++) {
      const uniform = gl.getActiveUniform(program, k)?.name ?? "";
      const location = gl.getUniformLocation(program, uniform);
      if (/^t\d+$/.test(uniform)) gl.uniform1i(location, Number(uniform.slice(1)));
      else if (/^u(\[0\])?$/.test(uniform)) shader.uniforms = location;
      else {
        const said = `shader '${name}' declares uniform '${uniform}', which is never set`;
        throw new DeviceProblem("bug", said);
      }
    }
  }

  // --- Textures ---------------------------------------------------------------------------------

  /**
   * @param {BufferSpec} spec
   * @returns {TextureLease}
   */
  acquire({ texture: layout }) {
    if (!layout) throw new DeviceProblem("bug", "a buffer has no texture layout");
    const { width, height, format } = layout;
    const bytes = this.#bytes(layout);
    const kind = `${width} ${height} ${format}`;
    return this.pool.acquire(
      kind, bytes, `a texture of ${width} x ${height} texels`,
      () => ({ users: 1, kind, bytes, texture: this.#allocate(layout), layout }));
  }

  /** @param {TextureLease} lease */
  release(lease) {
    this.pool.release(lease);
    this.pool.trim();
  }

  /**
   * Write words to the first elements, and zeros to the rest of the row that they end in.
   * @param {TextureLease} lease
   * @param {import("./program.js").Words} bytes
   */
  write({ texture, layout }, bytes) {
    const { gl } = this;
    const { format, type, View } = this.formats[layout.format];
    const words = new View(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    const perRow = layout.width * LANES;
    const rows = Math.floor(words.length / perRow);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    if (rows) gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, layout.width, rows, format, type, words);
    if (words.length > rows * perRow) {
      const last = new View(perRow);
      last.set(words.subarray(rows * perRow));
      gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, rows, layout.width, 1, format, type, last);
    }
  }

  /**
   * The first `count` words of a texture.
   * @param {TextureLease} lease
   * @param {number} count
   */
  async read(lease, count) {
    const { gl } = this;
    const { width, format: name } = lease.layout;
    const { format, type, View } = this.formats[name];
    const words = new View(count);
    const perRow = width * LANES;
    const rows = Math.floor(count / perRow);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebuffer([lease]));
    if (rows) gl.readPixels(0, 0, width, rows, format, type, words);
    if (count > rows * perRow) {
      const texels = Math.ceil(count / LANES) - rows * width;
      const last = new View(texels * LANES);
      gl.readPixels(0, rows, texels, 1, format, type, last);
      words.set(last.subarray(0, count - rows * perRow), rows * perRow);
    }
    this.#checkAlive();
    await this.check();
    return new Uint8Array(words.buffer);
  }

  /** @param {TextureLayout} layout */
  #bytes({ width, height, format }) {
    return width * height * LANES * this.formats[format].stored;
  }

  /** @param {TextureLayout} layout */
  #allocate({ width, height, format }) {
    const { gl } = this;
    const texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.texStorage2D(gl.TEXTURE_2D, 1, this.formats[format].internal, width, height);
    // 32-bit textures cannot be filtered: with any other filter they read as zero.
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    this.numbers.set(texture, this.made++);
    return texture;
  }

  /** @param {WebGLTexture} texture */
  #free(texture) {
    for (const [key, { framebuffer, textures }] of this.framebuffers) {
      if (!textures.includes(texture)) continue;
      this.gl.deleteFramebuffer(framebuffer);
      this.framebuffers.delete(key);
    }
    this.gl.deleteTexture(texture);
    this.numbers.delete(texture);
  }

  // --- Work -------------------------------------------------------------------------------------

  /**
   * Draw to every texel of `outputs`, which all have one size.
   * @param {Launch} launch
   * @param {Shader} shader
   * @param {TextureLease[]} bindings
   * @param {TextureLease[]} outputs
   * @param {number[]} uniforms
   */
  dispatch(launch, shader, bindings, outputs, uniforms) {
    const { gl } = this;
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.#framebuffer(outputs));
    gl.useProgram(shader.program);
    bindings.forEach(({ texture }, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
    });
    if (shader.uniforms) gl.uniform1iv(shader.uniforms, uniforms);
    gl.viewport(0, 0, launch.grid[0], launch.grid[1]);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /**
   * @param {TextureLease} source
   * @param {TextureLease} destination
   */
  copy(source, destination) {
    const { gl } = this;
    const { width, height } = source.layout;
    const from = this.#framebuffer([source]); // which may bind it: before the other is bound
    const to = this.#framebuffer([destination]);
    gl.bindFramebuffer(gl.READ_FRAMEBUFFER, from);
    gl.bindFramebuffer(gl.DRAW_FRAMEBUFFER, to);
    gl.blitFramebuffer(
      0, 0, width, height, 0, 0, width, height, gl.COLOR_BUFFER_BIT, gl.NEAREST);
  }

  /** Draws are on their way as soon as they are issued. */
  flush() {
    this.gl.flush();
  }

  /**
   * What an error of the browser's means.
   * @param {Error} error
   */
  async explained(error) {
    return this.gl.isContextLost() ? lost() : new DeviceProblem("bug", error.message);
  }

  /**
   * Raise if the context was lost before now. Browsers tell of a loss in a later task; until then
   * reads give zeros and report no error. What was written at the start must still be there.
   */
  #checkAlive() {
    const { gl } = this;
    this.canary ??= this.#makeCanary();
    const found = new Uint32Array(LANES);
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.canary);
    gl.readPixels(0, 0, 1, 1, gl.RGBA_INTEGER, gl.UNSIGNED_INT, found);
    if (found.some((value, k) => value !== CANARY[k])) {
      throw lost();
    }
  }

  #makeCanary() {
    const { gl } = this;
    const texture = this.#allocate({ width: 1, height: 1, format: "rgba32ui" });
    gl.texSubImage2D(
      gl.TEXTURE_2D, 0, 0, 0, 1, 1, gl.RGBA_INTEGER, gl.UNSIGNED_INT, new Uint32Array(CANARY));
    const framebuffer = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, texture, 0);
    return framebuffer;
  }

  async check() {
    const { gl } = this;
    const error = gl.getError();
    if (error === gl.CONTEXT_LOST_WEBGL || gl.isContextLost()) {
      throw lost();
    }
    if (error === gl.OUT_OF_MEMORY) {
      throw new DeviceProblem("memory", "the device ran out of memory");
    }
    if (error) throw new DeviceProblem("device", `WebGL reported error 0x${error.toString(16)}`);
  }

  /**
   * Wait until the work that wrote `lease` is done.
   * @param {TextureLease} [lease]
   */
  async finish(lease) {
    this.gl.finish(); // which browsers need not wait for
    if (lease) await this.read(lease, LANES);
  }

  /** Whether the device has a clock for `deviceSeconds`. */
  get clock() {
    return this.gl.getExtension("EXT_disjoint_timer_query_webgl2");
  }

  /**
   * Seconds on the device's clock that the work issued by `issue` takes; 0 if that was disturbed.
   * @param {() => void} issue
   */
  async deviceSeconds(issue) {
    const { gl, clock } = this;
    const query = gl.createQuery();
    gl.beginQuery(clock.TIME_ELAPSED_EXT, query);
    try {
      issue();
    } finally {
      gl.endQuery(clock.TIME_ELAPSED_EXT);
    }
    gl.flush();
    while (!gl.getQueryParameter(query, gl.QUERY_RESULT_AVAILABLE)) {
      await this.check();
      await new Promise((resume) => setTimeout(resume));
    }
    const disturbed = gl.getParameter(clock.GPU_DISJOINT_EXT);
    const seconds = disturbed ? 0 : gl.getQueryParameter(query, gl.QUERY_RESULT) * 1e-9;
    gl.deleteQuery(query);
    return seconds;
  }

  /** @param {TextureLease[]} targets */
  #framebuffer(targets) {
    const { gl } = this;
    const key = targets.map(({ texture }) => this.numbers.get(texture)).join(" ");
    const found = this.framebuffers.get(key);
    if (found) {
      this.framebuffers.delete(key);
      this.framebuffers.set(key, found);
      return found.framebuffer;
    }
    if (this.framebuffers.size >= MOST_FRAMEBUFFERS) {
      const [[oldest, { framebuffer }]] = this.framebuffers;
      gl.deleteFramebuffer(framebuffer);
      this.framebuffers.delete(oldest);
    }
    const framebuffer = gl.createFramebuffer();
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    targets.forEach(({ texture }, k) => gl.framebufferTexture2D(
      gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + k, gl.TEXTURE_2D, texture, 0));
    gl.drawBuffers(targets.map((_, k) => gl.COLOR_ATTACHMENT0 + k));
    this.framebuffers.set(key, { framebuffer, textures: targets.map(({ texture }) => texture) });
    return framebuffer;
  }
}
