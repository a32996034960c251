"""A language model: PyTorch -> ONNX -> int4, and how well it still predicts characters."""

import pathlib
import sys
import tempfile

import numpy as np
import onnxruntime
import torch

import nibble

WIDTH, LENGTH = 128, 48
WORDS = {
    "who": ["the old man", "a small dog", "our neighbour", "the quick fox", "my sister"],
    "does": ["sees", "follows", "remembers", "paints", "forgets"],
    "what": ["the river", "a red house", "every star", "the long road", "an open door"],
}


def texts(count, seed):
    """int64 [count, LENGTH + 1]: ASCII codes of sentences."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        text = ""
        while len(text) <= LENGTH:
            text += " ".join(rng.choice(words) for words in WORDS.values()) + ". "
        rows.append([ord(c) for c in text[: LENGTH + 1]])
    return np.array(rows, np.int64)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(128, WIDTH)
        self.attention = torch.nn.MultiheadAttention(WIDTH, 4, batch_first=True)
        self.hidden = torch.nn.Linear(WIDTH, 4 * WIDTH)
        self.back = torch.nn.Linear(4 * WIDTH, WIDTH)
        self.position = torch.nn.Parameter(0.1 * torch.randn(LENGTH, WIDTH))
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), -1e9).triu(1))
        self.head = torch.nn.Linear(WIDTH, 128)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.position
        x = x + self.attention(x, x, x, attn_mask=self.mask, need_weights=False)[0]
        x = x + self.back(torch.nn.functional.gelu(self.hidden(x)))
        return self.head(x)


def train(model, steps=250):
    rows = torch.from_numpy(texts(1000, seed=1))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(steps):
        batch = rows[torch.randint(0, len(rows), (32,))]
        logits = model(batch[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def bits(path):
    """Mean bits per character on new sentences."""
    session = onnxruntime.InferenceSession(str(path))
    rows = texts(64, seed=2)
    (logits,) = session.run(None, {"tokens": rows[:, :-1]})
    logits = logits.astype(np.float64)
    logits -= logits.max(-1, keepdims=True)
    right = np.take_along_axis(logits, rows[:, 1:, None], -1)[..., 0]
    return float(np.mean(np.log(np.exp(logits).sum(-1)) - right) / np.log(2))


def main(folder):
    torch.set_num_threads(1)  # small models: more threads wait for each other
    torch.manual_seed(0)
    model = Network()
    train(model)
    model.eval()

    # The five lines that matter.
    example = torch.from_numpy(texts(2, seed=0)[:, :-1])
    program = torch.onnx.export(
        model,
        (example,),
        input_names=["tokens"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        dynamo=True,
    )
    program.save(folder / "float.onnx")
    data = [{"tokens": texts(8, seed=seed)[:, :-1]} for seed in range(100, 120)]
    report = nibble.quantize(folder / "float.onnx", folder / "int4.onnx", data=data)

    print(report)
    print(nibble.compare(folder / "float.onnx", folder / "int4.onnx", data=data))
    result = {name: bits(folder / f"{name}.onnx") for name in ("float", "int4")}
    print(f"bits per character: float {result['float']:.3f}, int4 {result['int4']:.3f}")
    return result


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        main(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else temporary))
