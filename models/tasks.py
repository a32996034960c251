"""Real tasks for real models: data to calibrate on, other data to test on, and a rule for what
counts as a right answer.

    python models/tasks.py NAME FOLDER [COUNT]

writes COUNT inputs for calibration into FOLDER, a .npz file for each run of the model,
as `nibble --data` takes them. From Python:

    task = tasks.TASKS["ppocr_rec"]()
    feeds = task.calibration(64)
    answers = task.answers(run)      # run(feed) -> {output: array}
    task.score(answers, reference)   # {"characters right, %": 99.4}

`reference` are the answers of the float model. Some tasks score agreement with it.
MatMulNBits computes in float32 (feeds.session).
"""

import functools
import json
import pathlib
import sys

import numpy as np

import data
import feeds
import texts

HERE = pathlib.Path(__file__).resolve().parent
FETCHED = HERE.parent / "build" / "models"


def runner(path, threads=0):
    """run(feed) -> {output: array}"""
    session = feeds.session(path, threads)
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(None, feed)))


def snr(reference, answers, name):
    """The SNR of one output over all answers, in dB."""
    signal = noise = 0.0
    for want, got in zip(reference, answers, strict=True):
        want, got = want[name].astype(np.float64), got[name].astype(np.float64)
        signal += (want ** 2).sum()
        noise += ((want - got) ** 2).sum()
    return 10 * np.log10(signal / noise) if noise else np.inf


class Task:
    """One model with its data. `count` is the number of samples for calibration."""

    model, outputs, count = None, [], 64

    def calibration(self, count, seed=0):
        """Feeds that hold `count` samples together."""
        raise NotImplementedError

    def tests(self):
        raise NotImplementedError

    def answers(self, run):
        return [{name: got[name] for name in self.outputs}
                for got in map(run, self.tests())]

    def score(self, answers, reference):
        raise NotImplementedError

    def snr(self, reference, answers):
        """Of the worst output, in dB."""
        return min(snr(reference, answers, name) for name in self.outputs)


class Fashion(Task):
    model, outputs, count = HERE / "fashion_cnn_ts17.onnx", ["logits"], 512

    def calibration(self, count, seed=0):
        images, _ = data.fashion("train")
        chosen = np.random.default_rng(seed).permutation(len(images))[:count]
        return [{"image": images[chosen[i:i + 64]]} for i in range(0, count, 64)]

    def tests(self):
        images, _ = data.fashion("t10k")
        return [{"image": part} for part in np.split(images, 20)]

    def score(self, answers, reference):
        _, labels = data.fashion("t10k")
        logits = np.concatenate([answer["logits"] for answer in answers])
        return {"top-1, %": 100 * float((logits.argmax(1) == labels).mean())}


class Bible(Task):
    model, outputs, count = HERE / "bible_lm_ts17.onnx", ["logits"], 128

    def calibration(self, count, seed=0):
        text = data.bible_train()
        starts = np.random.default_rng(seed).integers(0, len(text) - feeds.CONTEXT, count)
        windows = text[starts[:, None] + np.arange(feeds.CONTEXT)]
        return [{"tokens": windows[i:i + 16]} for i in range(0, count, 16)]

    def _windows(self):
        return np.split(data.bible_test(512, feeds.CONTEXT), 16)

    def tests(self):
        return [{"tokens": windows[:, :-1]} for windows in self._windows()]

    def score(self, answers, reference):
        bits = []
        for windows, answer in zip(self._windows(), answers, strict=True):
            logits = answer["logits"].astype(np.float64)
            logits -= logits.max(-1, keepdims=True)
            right = np.take_along_axis(logits, windows[:, 1:, None], -1)[..., 0]
            bits.append((np.log(np.exp(logits).sum(-1)) - right).mean() / np.log(2))
        return {"bits per character": float(np.mean(bits))}


class Sentences(Task):
    """Finds neighbours among descriptions of packages, as the float model does."""

    model, outputs, count = FETCHED / "minilm.onnx", ["461"], 256
    longest, tested, asked = 128, 2600, 700

    @functools.cached_property
    def tokenizer(self):
        from tokenizers import BertWordPieceTokenizer
        pieces = json.loads((FETCHED / "bert_vocabulary.json").read_text("utf-8"))
        # The file marks the beginnings of words. BERT marks pieces that continue a word.
        words = [piece if piece[0] == "[" and piece[-1] == "]" and len(piece) > 1 else
                 piece[1:] if piece[0] == "▁" else "##" + piece for piece in pieces]
        words[1] = "[unused0]"
        return BertWordPieceTokenizer({word: i for i, word in enumerate(words)})

    def _tokens(self, text):
        return self.tokenizer.encode(text).ids[:self.longest]

    def calibration(self, count, seed=0):
        rng = np.random.default_rng(seed)
        sources = [texts.aphorisms("calibration"), texts.verses("calibration"),
                   [words for _, words in texts.descriptions("calibration")]]
        chosen = [sources[i % 3][rng.integers(len(sources[i % 3]))] for i in range(count)]
        return [self._feed([self._tokens(text)]) for text in chosen]

    @staticmethod
    def _feed(tokens):
        tokens = np.array(tokens, np.int64)
        return {"input_ids": tokens, "attention_mask": np.ones_like(tokens)}

    @functools.cache
    def tests(self):
        """Texts with the same length together."""
        lengths = {}
        for _, words in texts.descriptions("test")[:self.tested]:
            tokens = self._tokens(words)
            lengths.setdefault(len(tokens), []).append(tokens)
        return [self._feed(same[i:i + 64]) for _, same in sorted(lengths.items())
                for i in range(0, len(same), 64)]

    def _similarity(self, answers):
        vectors = np.concatenate([answer["461"] for answer in answers])
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        order = np.random.default_rng(0).permutation(len(vectors))
        return vectors[order[:self.asked]] @ vectors[order[self.asked:]].T

    def score(self, answers, reference):
        mine, wanted = self._similarity(answers), self._similarity(reference)
        return {"nearest neighbour as float's, %":
                100 * float((mine.argmax(1) == wanted.argmax(1)).mean()),
                "correlation of similarities":
                float(np.corrcoef(mine.ravel()[::7], wanted.ravel()[::7])[0, 1])}


class Lines(Task):
    """Reads rendered lines of English and Chinese."""

    model, outputs, count = FETCHED / "ppocr_rec.onnx", ["softmax_11.tmp_0"], 64
    tested = 240

    @functools.cached_property
    def characters(self):
        """The meaning of the model's classes. The first class is between characters."""
        keys = (FETCHED / "ppocr_keys.txt").read_text("utf-8").split("\n")
        return ["", *(key.rstrip("\r") for key in keys[:6623]), " "]

    def _make(self, part, count, seed):
        import lines
        rng = np.random.default_rng([seed, texts.PARTS.index(part)])
        chosen = lines.some_texts(part, count, set(self.characters), rng)
        return chosen, [{"x": lines.draw(text, rng)} for text in chosen]

    def calibration(self, count, seed=0):
        return self._make("calibration", count, seed)[1]

    @functools.cached_property
    def _test(self):
        return self._make("test", self.tested, 0)

    def tests(self):
        return self._test[1]

    def _read(self, answer):
        best = answer["softmax_11.tmp_0"][0].argmax(1)
        new = [c for i, c in enumerate(best) if c and (i == 0 or c != best[i - 1])]
        return "".join(self.characters[c] for c in new)

    def score(self, answers, reference):
        import lines
        wrong = total = whole = 0
        for text, answer in zip(self._test[0], answers, strict=True):
            text, got = text.replace(" ", ""), self._read(answer).replace(" ", "")
            edits = lines.distance(got, text)
            wrong, total, whole = wrong + edits, total + len(text), whole + (edits == 0)
        return {"characters right, %": 100 * (1 - wrong / total),
                "lines right, %": 100 * whole / self.tested}


class Speech(Task):
    """Says if somebody speaks, for each 32 ms of a stream. The model's state goes from one
    piece to the next."""

    model, outputs, count = FETCHED / "silero_vad.onnx", ["output"], 2048
    streams, chunk, context = {"calibration": 16, "test": 24}, 512, 64

    def _walk(self, run, samples, keep=None):
        """The outputs, [streams, chunks]. `keep` gets the feeds."""
        state = np.zeros((2, len(samples), 128), np.float32)
        before = np.zeros((len(samples), self.context), np.float32)
        found = []
        for at in range(0, samples.shape[1] - self.chunk + 1, self.chunk):
            chunk = samples[:, at:at + self.chunk]
            feed = {"input": np.concatenate([before, chunk], 1), "state": state,
                    "sr": np.array(16000, np.int64)}
            if keep is not None:
                keep.append(feed)
            got = run(feed)
            state, before = got["stateN"], chunk[:, -self.context:]
            found.append(got["output"])
        return np.concatenate(found, 1)

    @functools.cached_property
    def _calibration(self):
        import speech
        kept = []
        samples, _ = speech.streams("calibration", self.streams["calibration"])
        self._walk(runner(self.model), samples, kept)
        return kept

    def calibration(self, count, seed=0):
        """Chunks with the states that the float model has there, 16 in a feed."""
        order = np.random.default_rng(seed).permutation(len(self._calibration))
        each = self.streams["calibration"]
        return [self._calibration[i] for i in order[:max(1, count // each)]]

    def answers(self, run):
        import speech
        samples, _ = speech.streams("test", self.streams["test"])
        return [{"output": self._walk(run, samples)}]

    def score(self, answers, reference):
        import speech
        _, speaking = speech.streams("test", self.streams["test"])
        whole = speaking.shape[1] // self.chunk * self.chunk
        truth = speaking[:, :whole].reshape(len(speaking), -1, self.chunk).mean(2) > 0.5
        mine, wanted = answers[0]["output"] > 0.5, reference[0]["output"] > 0.5
        return {"decisions as float's, %": 100 * float((mine == wanted).mean()),
                "decisions right, %": 100 * float((mine == truth).mean())}


class Lstm(Speech):
    """The same weights as their authors publish them."""

    model = FETCHED / "silero_lstm.onnx"


TASKS = {"fashion_cnn": Fashion, "bible_lm": Bible, "minilm": Sentences,
         "ppocr_rec": Lines, "silero_vad": Speech, "silero_lstm": Lstm}


def save(found, folder):
    """Writes a folder for `nibble --data`."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, feed in enumerate(found):
        np.savez(folder / f"{i:05}.npz", **feed)


def main(words):
    if len(words) not in (2, 3) or words[0] not in TASKS:
        print(f"usage: python models/tasks.py {'|'.join(TASKS)} FOLDER [COUNT]",
              file=sys.stderr)
        return 2
    task = TASKS[words[0]]()
    save(task.calibration(int(words[2]) if words[2:] else task.count), pathlib.Path(words[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
