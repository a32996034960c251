"""Small models of common architectures with random weights, for bench/exports.py.

`ARCHITECTURES` has a function for each. It returns a module whose forward takes and returns
tensors only, and a tuple of example inputs. Nothing is downloaded."""

import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

HIDDEN, LAYERS, HEADS, TOKENS, VOCABULARY = 128, 2, 4, 12, 1000
ARCHITECTURES = {}


def architecture(function):
    ARCHITECTURES[function.__name__] = function
    return function


class Flat(nn.Module):
    """A model of transformers or diffusers behind positional tensors."""

    def __init__(self, model, names, output="logits", **more):
        super().__init__()
        self.model, self.names, self.output, self.more = model, names, output, more

    def forward(self, *tensors):
        result = self.model(**dict(zip(self.names, tensors)), **self.more)
        return getattr(result, self.output)


def ids(rows=1, tokens=TOKENS):
    return torch.arange(rows * tokens).reshape(rows, tokens) * 37 % VOCABULARY


def ones(tokens=TOKENS):
    return torch.ones(1, tokens, dtype=torch.int64)


def image(size=64):
    return torch.randn(1, 3, size, size)


# ---- transformers -----------------------------------------------------------------------


def sizes(**more):
    return {"vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": 4 * HIDDEN,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, **more}


@architecture
def bert():
    from transformers import BertConfig, BertForSequenceClassification
    model = BertForSequenceClassification(BertConfig(**sizes()))
    return Flat(model, ["input_ids", "attention_mask"]), (ids(), ones())


@architecture
def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel
    config = GPT2Config(vocab_size=VOCABULARY, n_embd=HIDDEN, n_layer=LAYERS, n_head=HEADS,
                        n_positions=64)
    names = ["input_ids", "attention_mask"]  # the old exporter has no model without a mask
    return Flat(GPT2LMHeadModel(config), names, use_cache=False), (ids(), ones())


class WithCache(nn.Module):
    """One step of a decoder: keys and values go in and come out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, *past):
        from transformers import DynamicCache
        cache = DynamicCache()
        for layer in range(len(past) // 2):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        result = self.model(input_ids=input_ids, attention_mask=attention_mask,
                            past_key_values=cache, use_cache=True)
        present = [t for layer in cache.layers for t in (layer.keys, layer.values)]
        return result.logits, *present


def decoder(name, config, **more):
    import transformers
    made = getattr(transformers, config)(**sizes(num_key_value_heads=2, **more))
    past = [torch.randn(1, 2, 5, HIDDEN // HEADS) for _ in range(2 * LAYERS)]
    return (WithCache(getattr(transformers, name)(made)),
            (ids(1, 1), ones(6), *past))


@architecture
def llama():
    return decoder("LlamaForCausalLM", "LlamaConfig")


@architecture
def qwen3_tied():
    return decoder("Qwen3ForCausalLM", "Qwen3Config", head_dim=HIDDEN // HEADS,
                   tie_word_embeddings=True)


@architecture
def mixtral():
    return decoder("MixtralForCausalLM", "MixtralConfig", num_local_experts=4,
                   experts_implementation="batched_mm")  # the default one has no export


@architecture
def t5():
    from transformers import T5Config, T5ForConditionalGeneration
    config = T5Config(vocab_size=VOCABULARY, d_model=HIDDEN, d_kv=32, d_ff=4 * HIDDEN,
                      num_layers=LAYERS, num_heads=HEADS, decoder_start_token_id=0)
    model = Flat(T5ForConditionalGeneration(config), ["input_ids", "decoder_input_ids"],
                 use_cache=False)
    return model, (ids(), ids(1, 4))


def whisper_model():
    from transformers import WhisperConfig, WhisperForConditionalGeneration
    return WhisperForConditionalGeneration(WhisperConfig(
        vocab_size=VOCABULARY, d_model=HIDDEN, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, num_mel_bins=40,
        encoder_ffn_dim=4 * HIDDEN, decoder_ffn_dim=4 * HIDDEN, max_source_positions=100,
        max_target_positions=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1))


@architecture
def whisper():
    names = ["input_features", "decoder_input_ids", "decoder_attention_mask"]
    model = Flat(whisper_model(), names, use_cache=False)
    return model, (torch.randn(1, 40, 200), ids(1, 4), ones(4))


class WhisperDecoder(nn.Module):
    """The decoder, with the past of its own keys and values or without it."""

    def __init__(self):
        super().__init__()
        self.whisper = whisper_model()

    def forward(self, input_ids, encoded, *past):
        from transformers import DynamicCache, EncoderDecoderCache
        cache = EncoderDecoderCache(DynamicCache(), DynamicCache())
        for layer in range(len(past) // 2):
            cache.self_attention_cache.update(past[2 * layer], past[2 * layer + 1], layer)
        decoder_ = self.whisper.model.decoder
        hidden = decoder_(input_ids=input_ids, encoder_hidden_states=encoded,
                          past_key_values=cache, use_cache=True)[0]
        present = [t for layer in cache.self_attention_cache.layers
                   for t in (layer.keys, layer.values)]
        return self.whisper.proj_out(hidden), *present


@architecture
def whisper_decoder():
    """bench/exports.py merges it: one branch with the past, one without."""
    past = [torch.randn(1, HEADS, 3, HIDDEN // HEADS) for _ in range(2 * LAYERS)]
    return WhisperDecoder(), (ids(1, 1), torch.randn(1, 100, HIDDEN), *past)


@architecture
def wav2vec2():
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC
    config = Wav2Vec2Config(**sizes(vocab_size=32), conv_dim=(64,) * 3, conv_stride=(5, 2, 2),
                            conv_kernel=(10, 3, 2), num_conv_pos_embeddings=16,
                            num_conv_pos_embedding_groups=4)
    return Flat(Wav2Vec2ForCTC(config), ["input_values"]), (torch.randn(1, 4000),)


@architecture
def clip():
    from transformers import CLIPConfig, CLIPModel
    config = CLIPConfig(text_config=sizes(max_position_embeddings=32, eos_token_id=2),
                        vision_config={**sizes(), "image_size": 64, "patch_size": 16},
                        projection_dim=64)
    names = ["input_ids", "pixel_values", "attention_mask"]
    model = Flat(CLIPModel(config), names, "logits_per_image")
    return model, (ids(2), image(), ones().repeat(2, 1))


@architecture
def vit():
    from transformers import ViTConfig, ViTForImageClassification
    config = ViTConfig(**sizes(image_size=64, patch_size=8))
    return Flat(ViTForImageClassification(config), ["pixel_values"]), (image(),)


# ---- images -----------------------------------------------------------------------------


def of_timm(name, size=64, **more):
    import timm
    return timm.create_model(name, pretrained=False, num_classes=100, **more), (image(size),)


@architecture
def swin():
    import timm
    model = timm.models.SwinTransformer(img_size=64, patch_size=4, embed_dim=48, depths=(2, 2),
                                        num_heads=(2, 4), window_size=4, num_classes=100)
    return model, (image(),)


@architecture
def convnext():
    return of_timm("convnext_atto")


@architecture
def resnet():
    return of_timm("resnet18")


@architecture
def densenet():
    import torchvision
    model = torchvision.models.DenseNet(growth_rate=16, block_config=(3, 4, 3), num_classes=100)
    return model, (image(),)


@architecture
def mobilenet_v3():
    return of_timm("mobilenetv3_small_100")


@architecture
def yolo_head():
    """A backbone, two scales, and boxes decoded by DFL as YOLO 8 does it."""
    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            def block(inner, outer, stride=1):
                return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1, bias=False),
                                     nn.BatchNorm2d(outer), nn.SiLU())
            self.stem = nn.Sequential(block(3, 32, 2), block(32, 64, 2), block(64, 64))
            self.down = nn.Sequential(block(64, 128, 2), block(128, 128))
            self.lateral = nn.Conv2d(128, 64, 1)
            self.boxes = nn.ModuleList(nn.Conv2d(n, 64, 1) for n in (64, 128))
            self.classes = nn.ModuleList(nn.Conv2d(n, 80, 1) for n in (64, 128))
            self.dfl = nn.Conv2d(16, 1, 1, bias=False)
            self.dfl.weight.data[:] = torch.arange(16.0).view(1, 16, 1, 1)

        def forward(self, x):
            fine = self.stem(x)
            coarse = self.down(fine)
            fine = fine + nn.functional.interpolate(self.lateral(coarse), scale_factor=2)
            features = (fine, coarse)
            boxes = torch.cat([b(f).flatten(2) for b, f in zip(self.boxes, features)], 2)
            scores = torch.cat([c(f).flatten(2) for c, f in zip(self.classes, features)], 2)
            bins = boxes.view(1, 4, 16, -1).transpose(1, 2).softmax(1)
            return torch.cat([self.dfl(bins).view(1, 4, -1), scores.sigmoid()], 1)
    return Head(), (image(),)


@architecture
def unet():
    from diffusers import UNet2DConditionModel
    model = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=(32, 64),
        layers_per_block=1, cross_attention_dim=64, attention_head_dim=8, norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    inputs = torch.randn(1, 4, 16, 16), torch.tensor([7]), torch.randn(1, 8, 64)
    return Flat(model, ["sample", "timestep", "encoder_hidden_states"], "sample"), inputs


# ---- sequences and sound ------------------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.cell = kind(HIDDEN, HIDDEN, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, 100)

    def forward(self, tokens):
        return self.head(self.cell(self.embedding(tokens))[0])


@architecture
def lstm():
    return Recurrent(nn.LSTM), (ids(),)


@architecture
def gru():
    return Recurrent(nn.GRU), (ids(),)


@architecture
def vocoder():
    """As HiFi-GAN: transposed convolutions and residual blocks, all with weight norm."""
    norm = parametrizations.weight_norm

    class Vocoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = norm(nn.Conv1d(80, 128, 7, padding=3))
            self.up = nn.ModuleList(
                norm(nn.ConvTranspose1d(n, n // 2, 8, 4, 2)) for n in (128, 64))
            self.blocks = nn.ModuleList(norm(nn.Conv1d(n, n, 3, padding=1)) for n in (64, 32))
            self.last = norm(nn.Conv1d(32, 1, 7, padding=3))

        def forward(self, mel):
            x = self.first(mel)
            for up, block in zip(self.up, self.blocks):
                x = up(nn.functional.leaky_relu(x, 0.1))
                x = x + block(nn.functional.leaky_relu(x, 0.1))
            return torch.tanh(self.last(nn.functional.leaky_relu(x)))
    return Vocoder(), (torch.randn(1, 80, 20),)


# ---- LoRA -------------------------------------------------------------------------------


class Delta(nn.Module):
    """W + B A, computed in the graph."""

    def __init__(self, outer, inner, rank=8):
        super().__init__()
        self.a = nn.Parameter(torch.randn(rank, inner) * 0.05)
        self.b = nn.Parameter(torch.randn(outer, rank) * 0.05)

    def forward(self, weight):
        return weight + self.b @ self.a


@architecture
def lora():
    model = nn.Sequential(nn.Linear(HIDDEN, 4 * HIDDEN), nn.GELU(),
                          nn.Linear(4 * HIDDEN, HIDDEN))
    for layer in (model[0], model[2]):
        parametrize.register_parametrization(layer, "weight",
                                             Delta(layer.out_features, layer.in_features))
    return model, (torch.randn(1, TOKENS, HIDDEN),)


@architecture
def lora_beside():
    """The adapter as peft leaves it: a branch beside the layer."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM
    model = LlamaForCausalLM(LlamaConfig(**sizes()))
    model = get_peft_model(model, LoraConfig(r=8, target_modules=["q_proj", "v_proj"]))
    return Flat(model, ["input_ids", "attention_mask"], use_cache=False), (ids(), ones())
