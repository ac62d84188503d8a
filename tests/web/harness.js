// Runs inside a blank page of a browser under test; tests/browser.py calls the functions on
// `harness`. Buffers cross the border as base64 of their 32-bit words, packed on the Python side.
"use strict";

const harness = (() => {
  const toBytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

  function toBase64(bytes) {
    let text = "";
    for (let at = 0; at < bytes.length; at += 32768) {
      text += String.fromCharCode(...bytes.subarray(at, at + 32768));
    }
    return btoa(text);
  }

  // --- WebGPU -----------------------------------------------------------------------------------

  let devicePromise = null;

  // Default limits on purpose: what passes here runs on every WebGPU device.
  function openDevice() {
    devicePromise ??= (async () => {
      const adapter = await navigator.gpu?.requestAdapter();
      if (!adapter) throw new Error("this browser has no WebGPU adapter");
      const wanted = ["shader-f16", "subgroups"];
      const requiredFeatures = wanted.filter((name) => adapter.features.has(name));
      return adapter.requestDevice({ requiredFeatures });
    })();
    return devicePromise;
  }

  const say = ({ type, lineNum, linePos, message }) => `${type} ${lineNum}:${linePos}: ${message}`;

  // What Tint says, and then, with `pipelines`, what SwiftShader says, which takes up to seconds.
  async function compileWgsl(sources, pipelines) {
    const device = await openDevice();
    device.pushErrorScope("validation");
    const modules = sources.map((code) => device.createShaderModule({ code }));
    const said = Promise.all(modules.map((module) => compileModule(device, module, pipelines)));
    await device.popErrorScope();
    return said;
  }

  async function compileModule(device, module, pipelines) {
    const { messages } = await module.getCompilationInfo();
    const said = messages.map(say);
    if (!pipelines || messages.some(({ type }) => type === "error")) return said;
    try {
      await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
    } catch (error) {
      said.push(`pipeline: ${error.message}`);
    }
    return said;
  }

  class WebGpuRun {
    constructor(device, program) {
      this.device = device;
      this.program = program;
      this.encoder = device.createCommandEncoder();
      this.pipelines = new Map();
      const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
      this.buffers = program.buffers.map(({ bytes, data }) => {
        const usage = STORAGE | COPY_SRC | COPY_DST;
        const buffer = device.createBuffer({ size: bytes, usage });
        if (data) device.queue.writeBuffer(buffer, 0, toBytes(data));
        return buffer;
      });
    }

    pipeline(launch) {
      if (!this.pipelines.has(launch)) {
        const types = launch.bindings.map((index) =>
          launch.outputs.includes(index) ? "storage" : "read-only-storage");
        if (launch.uniforms.length) types.push("uniform");
        const entries = types.map((type, binding) =>
          ({ binding, visibility: GPUShaderStage.COMPUTE, buffer: { type } }));
        const layout = this.device.createBindGroupLayout({ entries });
        const pipeline = this.device.createComputePipeline({
          layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: {
            module: this.device.createShaderModule({ code: launch.source }),
            entryPoint: launch.entry_point,
          },
        });
        this.pipelines.set(launch, { pipeline, layout });
      }
      return this.pipelines.get(launch);
    }

    uniformBuffer(values) {
      const size = Math.ceil(values.length / 4) * 16;
      const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
      const buffer = this.device.createBuffer({ size, usage });
      this.device.queue.writeBuffer(buffer, 0, Int32Array.from(values));
      return buffer;
    }

    launch(launch, uniforms) {
      const { pipeline, layout } = this.pipeline(launch);
      const bound = launch.bindings.map((index) => this.buffers[index]);
      if (uniforms.length) bound.push(this.uniformBuffer(uniforms));
      const entries = bound.map((buffer, binding) => ({ binding, resource: { buffer } }));
      const pass = this.encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, this.device.createBindGroup({ layout, entries }));
      pass.dispatchWorkgroups(...launch.grid);
      pass.end();
    }

    copy(source, destination) {
      const [from, to] = [this.buffers[source], this.buffers[destination]];
      this.encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
    }

    async results() {
      const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
      const staged = this.program.outputs.map((index) => {
        const buffer = this.device.createBuffer({ size: this.buffers[index].size, usage });
        this.encoder.copyBufferToBuffer(this.buffers[index], 0, buffer, 0, buffer.size);
        return buffer;
      });
      this.device.queue.submit([this.encoder.finish()]);
      await Promise.all(staged.map((buffer) => buffer.mapAsync(GPUMapMode.READ)));
      return staged.map((buffer) => toBase64(new Uint8Array(buffer.getMappedRange())));
    }
  }

  // --- WebGL 2 ----------------------------------------------------------------------------------

  const TRIANGLE = `#version 300 es
    void main() {
      gl_Position = vec4(vec2((gl_VertexID & 1) * 4 - 1, (gl_VertexID & 2) * 2 - 1), 0.0, 1.0);
    }`;

  let gl = null;

  function openGl() {
    if (gl) return gl;
    const context = document.createElement("canvas").getContext("webgl2");
    if (!context) throw new Error("this browser has no WebGL 2");
    if (!context.getExtension("EXT_color_buffer_float")) {
      throw new Error("this browser cannot draw to float textures");
    }
    gl = context;
    return gl;
  }

  // The program, or its logs; asking for the link log waits for the compiler.
  function link(source) {
    const gl = openGl();
    const program = gl.createProgram();
    const stages = [[gl.VERTEX_SHADER, TRIANGLE], [gl.FRAGMENT_SHADER, source]];
    const logs = stages.map(([kind, text]) => {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
      return gl.getShaderParameter(shader, gl.COMPILE_STATUS) ? "" : gl.getShaderInfoLog(shader);
    });
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) logs.push(gl.getProgramInfoLog(program));
    return { program, log: logs.filter(Boolean).join("\n") };
  }

  function compileGlsl(source) {
    const { program, log } = link(source);
    openGl().deleteProgram(program);
    return log;
  }

  const FORMATS = (gl) => ({
    rgba32f: [gl.RGBA32F, gl.RGBA, gl.FLOAT, Float32Array],
    rgba32i: [gl.RGBA32I, gl.RGBA_INTEGER, gl.INT, Int32Array],
    rgba32ui: [gl.RGBA32UI, gl.RGBA_INTEGER, gl.UNSIGNED_INT, Uint32Array],
  });

  class WebGlRun {
    constructor(program) {
      this.gl = openGl();
      this.program = program;
      this.programs = new Map();
      this.textures = program.buffers.map((buffer) => this.texture(buffer));
    }

    texture({ texture: { width, height, format }, data }) {
      const gl = this.gl;
      const [internal, layout, type, View] = FORMATS(gl)[format];
      const texture = gl.createTexture();
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texStorage2D(gl.TEXTURE_2D, 1, internal, width, height);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
      if (data) {
        const texels = new Uint8Array(width * height * 16);
        texels.set(toBytes(data));
        const view = new View(texels.buffer);
        gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, layout, type, view);
      }
      return texture;
    }

    linked(launch) {
      if (!this.programs.has(launch)) {
        const { program, log } = link(launch.source);
        if (log) throw new Error(`shader ${launch.name}: ${log}`);
        this.programs.set(launch, program);
      }
      return this.programs.get(launch);
    }

    framebuffer(target, indexes) {
      const gl = this.gl;
      const framebuffer = gl.createFramebuffer();
      gl.bindFramebuffer(target, framebuffer);
      indexes.forEach((index, k) => gl.framebufferTexture2D(
        target, gl.COLOR_ATTACHMENT0 + k, gl.TEXTURE_2D, this.textures[index], 0));
      return framebuffer;
    }

    launch(launch, uniforms) {
      const gl = this.gl;
      const program = this.linked(launch);
      const framebuffer = this.framebuffer(gl.FRAMEBUFFER, launch.outputs);
      gl.drawBuffers(launch.outputs.map((_, k) => gl.COLOR_ATTACHMENT0 + k));
      gl.useProgram(program);
      launch.bindings.forEach((index, k) => {
        gl.activeTexture(gl.TEXTURE0 + k);
        gl.bindTexture(gl.TEXTURE_2D, this.textures[index]);
        gl.uniform1i(gl.getUniformLocation(program, `t${k}`), k);
      });
      if (uniforms.length) gl.uniform1iv(gl.getUniformLocation(program, "u"), uniforms);
      gl.viewport(0, 0, launch.grid[0], launch.grid[1]);
      gl.drawArrays(gl.TRIANGLES, 0, 3);
      gl.deleteFramebuffer(framebuffer);
      launch.bindings.forEach((_, k) => {
        gl.activeTexture(gl.TEXTURE0 + k);
        gl.bindTexture(gl.TEXTURE_2D, null);
      });
    }

    copy(source, destination) {
      const gl = this.gl;
      const { width, height } = this.program.buffers[source].texture;
      const from = this.framebuffer(gl.READ_FRAMEBUFFER, [source]);
      const to = this.framebuffer(gl.DRAW_FRAMEBUFFER, [destination]);
      const box = [0, 0, width, height];
      gl.blitFramebuffer(...box, ...box, gl.COLOR_BUFFER_BIT, gl.NEAREST);
      gl.deleteFramebuffer(from);
      gl.deleteFramebuffer(to);
    }

    read(index) {
      const gl = this.gl;
      const { width, height, format } = this.program.buffers[index].texture;
      const [, layout, type, View] = FORMATS(gl)[format];
      const framebuffer = this.framebuffer(gl.FRAMEBUFFER, [index]);
      const words = new View(width * height * 4);
      gl.readPixels(0, 0, width, height, layout, type, words);
      gl.deleteFramebuffer(framebuffer);
      return toBase64(new Uint8Array(words.buffer));
    }

    results() {
      const read = this.program.outputs.map((index) => this.read(index));
      const error = this.gl.getError();
      this.textures.forEach((texture) => this.gl.deleteTexture(texture));
      if (error) throw new Error(`WebGL error 0x${error.toString(16)}`);
      return read;
    }
  }

  // --- Programs ---------------------------------------------------------------------------------

  function runSteps(run, steps, counter) {
    for (const step of steps) {
      if (step.kind === "Repeat") {
        for (let k = 0; k < step.count; k++) runSteps(run, step.steps, k);
      } else if (step.kind === "CopyBuffer") {
        run.copy(step.source, step.destination);
      } else if (!step.grid.includes(0)) {
        const { uniforms } = step;
        const counted = counter === null || !uniforms.length ? uniforms
          : [counter, ...uniforms.slice(1)];
        run.launch(step, counted);
      }
    }
  }

  async function runProgram(program) {
    if (program.target === "glsl") {
      const run = new WebGlRun(program);
      runSteps(run, program.steps, null);
      return run.results();
    }
    const device = await openDevice();
    device.pushErrorScope("validation");
    let results = null;
    let failure = null;
    try {
      const run = new WebGpuRun(device, program);
      runSteps(run, program.steps, null);
      results = await run.results();
    } catch (error) {
      failure = error;
    }
    // Mapping an invalid buffer fails too, with less to say: the validation error comes first.
    const invalid = await device.popErrorScope();
    if (invalid) throw new Error(invalid.message);
    if (failure) throw failure;
    return results;
  }

  return { compileWgsl, compileGlsl, runProgram };
})();
