"""A vision model: PyTorch -> ONNX -> int4, and how many pictures it still names right."""

import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime
import torch

import nibble

SHAPES = 4  # disc, square, cross, stripes


def pictures(count, seed):
    """float32 [count, 1, 24, 24] in 0..1, and what they show."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :24]
    labels = rng.integers(0, SHAPES, count)
    images = np.zeros((count, 1, 24, 24), np.float32)
    for image, label in zip(images, labels):
        cy, cx, size = *rng.uniform(8, 16, 2), rng.uniform(4, 7)
        dy, dx = np.abs(y - cy), np.abs(x - cx)
        image[0] = [
            dy**2 + dx**2 < size**2,
            (dy < size) & (dx < size),
            ((dy < 2) | (dx < 2)) & (dy < size) & (dx < size),
            (dy < size) & (dx < size) & (x % 4 < 2),
        ][label]
    images = images * rng.uniform(0.5, 1, (count, 1, 1, 1)) + rng.normal(0, 0.2, images.shape)
    return images.astype(np.float32), labels


def network():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(64 * 36, 96),
        torch.nn.ReLU(),
        torch.nn.Linear(96, SHAPES),
    )


def train(model, steps=150):
    torch.manual_seed(0)
    images, labels = map(torch.from_numpy, pictures(2000, seed=1))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(steps):
        batch = torch.randint(0, len(images), (64,))
        loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def accuracy(path):
    session = onnxruntime.InferenceSession(str(path))
    images, labels = pictures(1000, seed=2)
    (logits,) = session.run(None, {"image": images})
    return float(np.mean(logits.argmax(1) == labels))


def main(folder):
    torch.set_num_threads(1)  # small models: more threads wait for each other
    torch.manual_seed(0)
    model = network()
    train(model)
    model.eval()

    # The five lines that matter.
    example = torch.from_numpy(pictures(2, seed=0)[0])
    program = torch.onnx.export(
        model,
        (example,),
        input_names=["image"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
    )
    program.save(folder / "float.onnx")
    data = [{"image": pictures(16, seed=seed)[0]} for seed in range(100, 120)]
    report = nibble.quantize(
        folder / "float.onnx", folder / "int4.onnx", data=data, decode="auto"
    )

    print(report)
    print(nibble.compare(folder / "float.onnx", folder / "int4.onnx", data=data))
    result = {name: accuracy(folder / f"{name}.onnx") for name in ("float", "int4")}
    print(f"pictures named right: float {result['float']:.1%}, int4 {result['int4']:.1%}")
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else temporary))
