// Uniform values in slots of one buffer, bound with dynamic offsets; equal ones share a slot.

const WORD_BYTES = 4;
const GRANULE = 16;
const UNIFORM_BYTES = 1 << 20;

/** Uniforms may be declared as an array of vec4. @param {number[]} values */
export const uniformBytes = (values) => Math.ceil((values.length * WORD_BYTES) / GRANULE) * GRANULE;

export class UniformTable {
  /**
   * @param {GPUDevice} device
   * @param {number} alignment
   */
  constructor(device, alignment) {
    this.device = device;
    this.alignment = alignment;
    const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST;
    this.buffer = device.createBuffer({ size: UNIFORM_BYTES, usage });
    this.words = new Int32Array(UNIFORM_BYTES / WORD_BYTES);
    /** @type {Map<string, number>} */
    this.offsets = new Map();
    this.next = 0;
    this.written = 0;
  }

  /**
   * Where `values` are; null when there is no room: submit, `clear`, ask again.
   * @param {number[]} values
   */
  offset(values) {
    const key = values.join();
    const found = this.offsets.get(key);
    if (found !== undefined) return found;
    const offset = this.next;
    const size = Math.ceil(uniformBytes(values) / this.alignment) * this.alignment;
    if (offset + size > UNIFORM_BYTES) return null;
    this.words.set(values, offset / WORD_BYTES);
    this.offsets.set(key, offset);
    this.next += size;
    return offset;
  }

  clear() {
    this.offsets.clear();
    this.next = this.written = 0;
  }

  /** Send what the device has not got yet. */
  write() {
    const { written, next, words } = this;
    if (next === written) return;
    const [from, to] = [written / WORD_BYTES, next / WORD_BYTES];
    this.device.queue.writeBuffer(this.buffer, written, words.subarray(from, to));
    this.written = next;
  }
}
