// What runner.mjs and runner_page.html share: one job in an ONNX Runtime for JavaScript.
const arrays = { float32: Float32Array, int64: BigInt64Array, bool: Uint8Array };

function tensor(ort, { type, dims, values }) {
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

// The largest difference from the outputs that are wanted, or why there is none. `read` gives the
// bytes of a file, and `provider` is what computes.
async function answer(ort, provider, read, [path, feeds, wanted]) {
    const json = async (file) =>
        Object.entries(JSON.parse(new TextDecoder().decode(await read(file))));
    const session = await ort.InferenceSession.create(await read(path), {
        executionProviders: [provider],
        extra: { session: { qdq_matmulnbits_accuracy_level: '0' } },
    });
    const feed = (await json(feeds)).map(([key, value]) => [key, tensor(ort, value)]);
    const got = await session.run(Object.fromEntries(feed));
    const worst = (await json(wanted)).map(([key, value]) => difference(value, got[key]));
    await session.release();
    return worst.find((x) => typeof x === 'string') ?? Math.max(...worst);
}

// An answer for each job.
export async function answers(ort, provider, read, jobs) {
    const found = [];
    for (const job of jobs) {
        try {
            found.push(await answer(ort, provider, read, job));
        } catch (error) {
            found.push(String(error.message ?? error).slice(0, 2000));
        }
    }
    return found;
}
