// Memory of a device, used again by its kind instead of allocated again.

import { DeviceProblem } from "./program.js";

/** What `Pool` knows of each piece of memory. @typedef {{ users: number, kind: string, bytes: number }} Pooled */

/** @template {Pooled} L */
export class Pool {
  /**
   * `memoryBytes` bounds all of it and `idleBytes` what waits for another use. `free` gives one
   * back to the device; before anything is given back to make room, `settle` is called.
   * @param {{ memoryBytes: number, idleBytes: number }} limits
   * @param {(lease: L) => void} free
   * @param {() => void} settle
   */
  constructor({ memoryBytes, idleBytes }, free, settle = () => {}) {
    this.memoryBytes = memoryBytes;
    this.idleBytes = idleBytes;
    this.free = free;
    this.settle = settle;
    this.allocated = 0;
    this.idle = 0;
    /** What waits, by kind, the kinds longest unused first. @type {Map<string, L[]>} */
    this.waiting = new Map();
  }

  /**
   * Memory of a kind with undefined contents and one user; `make` is called if none waits.
   * @param {string} kind
   * @param {number} bytes
   * @param {string} what
   * @param {() => L} make
   */
  acquire(kind, bytes, what, make) {
    const same = this.waiting.get(kind);
    const lease = same?.pop();
    if (lease) {
      this.waiting.delete(kind); // and back at the end, as the kind used last
      if (same?.length) this.waiting.set(kind, same);
      this.idle -= bytes;
      lease.users = 1;
      return lease;
    }
    if (this.allocated + bytes > this.memoryBytes) {
      this.settle();
      this.trim(0);
    }
    if (this.allocated + bytes > this.memoryBytes) {
      throw new DeviceProblem(
        "limit",
        `${what} needs ${bytes} bytes; ${this.allocated} of ${this.memoryBytes} bytes are in use`);
    }
    const made = make();
    this.allocated += bytes;
    return made;
  }

  /**
   * Drop one user; with the last the memory waits for another use.
   * @param {L} lease
   */
  release(lease) {
    lease.users--;
    if (lease.users > 0) return;
    const same = this.waiting.get(lease.kind) ?? [];
    same.push(lease);
    this.waiting.delete(lease.kind);
    this.waiting.set(lease.kind, same);
    this.idle += lease.bytes;
  }

  /**
   * Free what waits until no more than `limit` bytes do.
   * @param {number} limit
   */
  trim(limit = this.idleBytes) {
    for (const [kind, same] of this.waiting) {
      while (this.idle > limit && same.length) {
        const lease = /** @type {L} */ (same.shift());
        this.free(lease);
        this.idle -= lease.bytes;
        this.allocated -= lease.bytes;
      }
      if (!same.length) this.waiting.delete(kind);
      if (this.idle <= limit) return;
    }
  }
}
