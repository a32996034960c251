"""Makes a small decoder with the builder of onnxruntime-genai, and generates with it. loaders.py
runs this in an environment that has both.

    python bench/decoder.py make FOLDER        FOLDER/float, and FOLDER/int4, genai's own
    python bench/decoder.py generate FOLDER FLOAT PROMPT LENGTH
"""

import json
import os
import pathlib
import subprocess
import sys


def make(folder):
    os.environ["HF_HUB_OFFLINE"] = "1"
    import tokenizers
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=512, hidden_size=128, intermediate_size=256, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
        bos_token_id=1, eos_token_id=2, pad_token_id=0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder / "source")
    words = tokenizers.models.WordLevel({f"t{i}": i for i in range(512)}, unk_token="t0")
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(words), bos_token="t1", eos_token="t2",
        pad_token="t0", unk_token="t0").save_pretrained(folder / "source")
    for name, precision in [("float", "fp32"), ("int4", "int4")]:
        subprocess.run(
            [sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", folder / "source",
             "-o", folder / name, "-p", precision, "-e", "cpu", "-c", folder / "cache"], check=True)


def run(folder, prompt, length):
    """The logits behind the prompt, and the number of tokens that follow."""
    import numpy as np
    import onnxruntime_genai as og

    model = og.Model(str(folder))
    parameters = og.GeneratorParams(model)
    parameters.set_search_options(max_length=length, do_sample=False)
    generator = og.Generator(model, parameters)
    generator.append_tokens(np.array(prompt, np.int32))
    logits = np.array(generator.get_logits(), float).ravel()
    while not generator.is_done():
        generator.generate_next_token()
    return logits, len(generator.get_sequence(0)) - len(prompt)


def generate(folder, source, prompt, length):
    import numpy as np

    (want, _), (got, tokens) = (run(path, prompt, length) for path in (source, folder))
    noise = max(float(((want - got) ** 2).sum()), 1e-30)
    snr = float(10 * np.log10((want**2).sum() / noise))
    print(json.dumps({"tokens": tokens, "snr": snr}))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    else:
        generate(sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), int(sys.argv[5]))
