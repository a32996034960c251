// Runs models in onnxruntime-node or onnxruntime-web (WebAssembly), as runner.py does
// in runtimes for Python (elsewhere.py starts it):
//
//     node runner.mjs FOLDER onnxruntime-node|onnxruntime-web <JOBS >ANSWERS
//
// FOLDER has the package in its node_modules. Feeds and outputs are JSON files:
// {name: {type, dims, values}}.
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { dirname, join } from 'node:path';
import { answers } from './runner_job.mjs';

const [folder, name] = process.argv.slice(2);
const require = createRequire(join(folder, 'node_modules', 'x.js'));
const module = await import(pathToFileURL(require.resolve(name)));
const ort = module.InferenceSession ? module : module.default;
if (name === 'onnxruntime-web') {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = pathToFileURL(dirname(require.resolve(name))).href + '/';
}
ort.env.logLevel = 'error';

const provider = name === 'onnxruntime-web' ? 'wasm' : 'cpu';
const read = async (file) => new Uint8Array(readFileSync(file));
const jobs = JSON.parse(readFileSync(0, 'utf8'));
writeSync(1, JSON.stringify(await answers(ort, provider, read, jobs)));
process.exit(0);
