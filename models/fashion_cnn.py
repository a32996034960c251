"""Train a small convolutional network on Fashion-MNIST and export it beside
this script as fashion_cnn_ts17.onnx and fashion_cnn_dynamo18.onnx.

    python models/fashion_cnn.py        about six minutes on two cores
"""

import time

import torch
from torch import nn
import torch.nn.functional as F

import data
import evaluate
import export

EPOCHS = 8
BATCH = 128


def conv(inputs, outputs, size, **more):
    """Convolution, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False,
                  **more),
        nn.BatchNorm2d(outputs), nn.ReLU())


def network():
    return nn.Sequential(
        nn.BatchNorm2d(1),                  # cannot be folded: zero padding
        conv(1, 32, 3), nn.MaxPool2d(2),    # 14 x 14
        conv(32, 32, 3, groups=32),         # depthwise
        conv(32, 64, 1),                    # pointwise
        conv(64, 128, 3, groups=2, stride=2),  # 7 x 7
        conv(128, 64, 3),
        nn.Flatten(), nn.Dropout(0.3),
        nn.Linear(7 * 7 * 64, 96), nn.ReLU(),
        nn.Linear(96, 10))


def augment(images):
    """Mirrors half of the images."""
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return torch.where(mirrored, images.flip(3), images)


def train(model):
    images, labels = map(torch.from_numpy, data.fashion("train"))
    steps = EPOCHS * (len(images) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for epoch in range(EPOCHS):
        start, total = time.time(), 0.0
        order = torch.randperm(len(images))[:steps // EPOCHS * BATCH]
        for batch in order.split(BATCH):
            loss = F.cross_entropy(model(augment(images[batch])),
                                   labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1}/{EPOCHS}: loss "
              f"{total * EPOCHS / steps:.3f}, {time.time() - start:.0f} s",
              flush=True)


def main():
    torch.manual_seed(1)
    torch.set_num_threads(2)
    model = network()
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    train(model)
    paths = export.export_both(model, "fashion_cnn",
                               torch.zeros(2, 1, 28, 28), "image",
                               {0: "batch"})
    evaluate.main([str(p) for p in paths])


if __name__ == "__main__":
    main()
