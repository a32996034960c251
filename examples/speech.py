"""A speech model: PyTorch -> ONNX -> int4, and how often it still tells voice from noise."""

import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime
import torch

import nibble

FRAMES, BINS = 20, 64


def spectra(count, seed):
    """float32 [count, FRAMES, BINS], logarithms; and whether each frame holds a voice."""
    rng = np.random.default_rng(seed)
    bins = np.arange(BINS)
    sound = 0.3 * rng.random((count, FRAMES, BINS)).astype(np.float32)
    voiced = np.zeros((count, FRAMES), np.int64)
    for clip, flags in zip(sound, voiced):
        begin, end = np.sort(rng.integers(0, FRAMES, 2))
        pitch, formant = rng.uniform(3, 7), rng.uniform(10, 40)
        harmonics = np.cos(2 * np.pi * bins / pitch) > 0.3
        envelope = np.exp(-(((bins - formant) / 12) ** 2))
        clip[begin:end] += rng.uniform(0.2, 1) * harmonics * envelope
        hum = rng.integers(0, BINS)
        clip[:, hum] += rng.uniform(0, 1)  # a tone without harmonics is no voice
        flags[begin:end] = 1
    return np.log(sound + 0.01), voiced


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv1d(BINS, 64, 3, padding=1)
        self.second = torch.nn.Conv1d(64, 64, 3, padding=1)
        self.recurrent = torch.nn.GRU(64, 64, batch_first=True)
        self.head = torch.nn.Linear(64, 2)

    def forward(self, frames):
        x = torch.relu(self.first(frames.transpose(1, 2)))
        x = torch.relu(self.second(x)).transpose(1, 2)
        return self.head(self.recurrent(x)[0])


def train(model, steps=150):
    clips, flags = map(torch.from_numpy, spectra(1500, seed=1))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(steps):
        batch = torch.randint(0, len(clips), (32,))
        logits = model(clips[batch])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), flags[batch].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accuracy(path):
    session = onnxruntime.InferenceSession(str(path))
    clips, flags = spectra(300, seed=2)
    right = [session.run(None, {"frames": clip[None]})[0].argmax(-1)[0] for clip in clips]
    return float(np.mean(np.array(right) == flags))


def main(folder):
    torch.set_num_threads(1)  # small models: more threads wait for each other
    torch.manual_seed(0)
    model = Network()
    train(model)
    model.eval()

    # The five lines that matter.
    example = torch.from_numpy(spectra(1, seed=0)[0])
    torch.onnx.export(
        model,
        (example,),
        folder / "float.onnx",
        input_names=["frames"],
        dynamo=False,
    )
    data = [{"frames": spectra(1, seed=seed)[0]} for seed in range(100, 160)]
    report = nibble.quantize(
        folder / "float.onnx", folder / "int4.onnx", data=data, decode="load"
    )

    print(report)
    print(nibble.compare(folder / "float.onnx", folder / "int4.onnx", data=data))
    result = {name: accuracy(folder / f"{name}.onnx") for name in ("float", "int4")}
    print(f"frames decided right: float {result['float']:.1%}, int4 {result['int4']:.1%}")
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else temporary))
