// One call of a linked wasm module under Node. In: the path of a JSON request (see wasm_node.py).
// Out: the output arrays, one after the other, in the file that the request names; on stdout JSON,
// either {"status", "milliseconds"} or {"trap"}.
import { readFileSync, writeFileSync } from "node:fs";

const request = JSON.parse(readFileSync(process.argv[2], "utf8"));
const module = new WebAssembly.Module(readFileSync(request.module));

const imports = {};
if (request.importedPages > 0) {
  imports.env = { memory: new WebAssembly.Memory({ initial: request.importedPages }) };
}
const instance = new WebAssembly.Instance(module, imports);
const memory = request.importedPages > 0 ? imports.env.memory : instance.exports.memory;

const missing = request.end - memory.buffer.byteLength;
if (missing > 0) memory.grow(Math.ceil(missing / 65536));
for (const { address, path } of request.writes) {
  new Uint8Array(memory.buffer).set(readFileSync(path), address);
}

function call() {
  const { args, symbols, workspace } = request;
  return instance.exports.tw_main(0, args, symbols, workspace);
}

const milliseconds = [];
let status = 0;
try {
  for (let round = 0; round < request.repeat && status === 0; round++) {
    const start = performance.now();
    status = call();
    milliseconds.push(performance.now() - start);
  }
  const read = ({ address, size }) => new Uint8Array(memory.buffer, address, size);
  writeFileSync(request.result, Buffer.concat(request.reads.map(read)));
  console.log(JSON.stringify({ status, milliseconds }));
} catch (error) {
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  console.log(JSON.stringify({ trap: error.message }));
}
