"""Train a small character-level language model on the King James Bible and
export it beside this script as bible_lm_ts17.onnx and bible_lm_dynamo18.onnx.

    python models/bible_lm.py        about six minutes on two cores
"""

import time

import torch
from torch import nn
import torch.nn.functional as F

import data
import evaluate
import export
from feeds import CONTEXT

VOCABULARY = 128  # a token is an ASCII code
WIDTH = 128
HEADS = 4
LAYERS = 2
STEPS = 2500
BATCH = 32


class Attention(nn.Module):
    """Causal self-attention in plain matrix products."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)

    def forward(self, x, mask):
        batch, time, _ = x.shape
        qkv = self.qkv(x).view(batch, time, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = q @ k.transpose(2, 3) / (WIDTH // HEADS) ** 0.5 + mask
        mixed = scores.softmax(-1) @ v
        return self.out(mixed.transpose(1, 2).reshape(batch, time, WIDTH))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.mlp_norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(),
                                 nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x, mask):
        x = x + self.attention(self.attention_norm(x), mask)
        return x + self.mlp(self.mlp_norm(x))


class Model(nn.Module):
    """Tokens [batch, time] to the logits of the next token. The embedding is the weight of the
    output layer, too."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, WIDTH)
        self.position = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)
        future = torch.full((CONTEXT, CONTEXT), -1e9).triu(1)
        self.register_buffer("future", future, persistent=False)
        nn.init.normal_(self.embedding.weight, std=0.05)
        nn.init.normal_(self.position, std=0.02)

    def forward(self, tokens):
        time = tokens.shape[1]
        x = self.embedding(tokens) + self.position[:time]
        mask = self.future[:time, :time]
        for block in self.blocks:
            x = block(x, mask)
        return F.linear(self.norm(x), self.embedding.weight)


def train(model):
    text = torch.from_numpy(data.bible_train().copy())
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.05,
                                  betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-3, STEPS, pct_start=0.1)
    start = time.time()
    for step in range(1, STEPS + 1):
        places = torch.randint(len(text) - CONTEXT, (BATCH, 1))
        window = text[places + torch.arange(CONTEXT + 1)]
        logits = model(window[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}/{STEPS}: {loss.item() / 0.6931:.3f} bits, "
                  f"{time.time() - start:.0f} s", flush=True)


def main():
    torch.manual_seed(1)
    torch.set_num_threads(2)
    model = Model()
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    train(model)
    example = torch.zeros(2, 17, dtype=torch.int64)
    paths = export.export_both(model, "bible_lm", example, "tokens",
                               {0: "batch", 1: "time"})
    evaluate.main([str(p) for p in paths])


if __name__ == "__main__":
    main()
