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

const [folder, name] = process.argv.slice(2);
const require = createRequire(join(folder, 'node_modules', 'x.js'));
const module = await import(pathToFileURL(require.resolve(name)));
const ort = module.InferenceSession ? module : module.default;
if (name === 'onnxruntime-web') {
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = pathToFileURL(dirname(require.resolve(name))).href + '/';
}
ort.env.logLevel = 'error';

const arrays = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array };

function tensor({ type, dims, values }) {
    const data = type === 'int64' ? values.map(BigInt) : values;
    return new ort.Tensor(type, arrays[type].from(data), dims);
}

function difference(wanted, got) {
    if (JSON.stringify(wanted.dims) !== JSON.stringify([...got.dims]))
        return `shape ${got.dims}, not ${wanted.dims}`;
    let worst = 0, largest = 1e-30;
    wanted.values.forEach((value, i) => {
        worst = Math.max(worst, Math.abs(value - Number(got.data[i])));
        largest = Math.max(largest, Math.abs(value));
    });
    return worst / largest;
}

async function answer([path, feeds, wanted]) {
    const read = (file) => Object.entries(JSON.parse(readFileSync(file, 'utf8')));
    const session = await ort.InferenceSession.create(new Uint8Array(readFileSync(path)), {
        executionProviders: [name === 'onnxruntime-web' ? 'wasm' : 'cpu'],
        extra: { session: { qdq_matmulnbits_accuracy_level: '0' } },
    });
    const feed = Object.fromEntries(read(feeds).map(([key, value]) => [key, tensor(value)]));
    const got = await session.run(feed);
    const worst = read(wanted).map(([key, value]) => difference(value, got[key]));
    return worst.find((x) => typeof x === 'string') ?? Math.max(...worst);
}

const answers = [];
for (const job of JSON.parse(readFileSync(0, 'utf8'))) {
    try {
        answers.push(await answer(job));
    } catch (error) {
        answers.push(String(error.message ?? error).slice(0, 2000));
    }
}
writeSync(1, JSON.stringify(answers));
process.exit(0);
