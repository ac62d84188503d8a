// The results of a call, read from the device.

/** @typedef {import("./program.js").Lease} Lease */
/** @typedef {import("./program.js").Words} Words */
/** @typedef {{ read: (lease: any, count: number) => Promise<Words> }} Reader */

const WORD_BYTES = 4;
// Beyond this copies take longer than waiting for them, and their memory is not needed twice.
const TOGETHER_BYTES = 16 << 20;

/**
 * The first `counts` words of each of `leases`: all under way at once where they are small. What is
 * under way when one fails is waited for, so that none is left when the next call begins.
 * @param {Reader} device
 * @param {Lease[]} leases
 * @param {number[]} counts
 * @returns {Promise<Words[]>}
 */
export async function readResults(device, leases, counts) {
  const bytes = counts.reduce((sum, count) => sum + count * WORD_BYTES, 0);
  if (bytes > TOGETHER_BYTES) return oneByOne(device, leases, counts);
  const done = await Promise.allSettled(leases.map((lease, k) => device.read(lease, counts[k])));
  // The first has been told of all errors that came before.
  return done.map((one) => {
    if (one.status === "rejected") throw one.reason;
    return one.value;
  });
}

/**
 * @param {Reader} device
 * @param {Lease[]} leases
 * @param {number[]} counts
 */
async function oneByOne(device, leases, counts) {
  /** @type {Words[]} */
  const read = [];
  for (const [k, lease] of leases.entries()) read.push(await device.read(lease, counts[k]));
  return read;
}
