"""What vLLM's LLaVA asks of a checkpoint, held against the one that is shipped.

Read in vLLM 0.33.0: ``model_executor/models/{llava,clip,llama,vision,registry}.py``, ``renderers/hf.py`` and
``model_executor/layers/activation.py``. Each requirement names where it comes from; vLLM itself is not run here.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jinja2
import pytest
from jinja2 import nodes
from PIL import Image

from cadcoder.errors import InputError
from cadcoder.model import Model
from cadcoder.model.checkpoint import find, prompt_ids, read_card
from cadcoder.model.engines import copy_for_engines, engine_name, make_readable
from cadcoder.model.framing import frame
from cadcoder.pictures import load
from cadcoder.serve.remote import RemoteModel

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
#: ``_ACTIVATION_REGISTRY`` of activation.py.
ACTIVATIONS = {"gelu", "gelu_fast", "gelu_new", "gelu_pytorch_tanh", "relu", "relu2", "silu", "quick_gelu", "tanh"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_for_engines("default", tmp_path_factory.mktemp("engines") / "model")


@pytest.fixture(scope="module")
def config(folder: Path) -> Any:
    from transformers import LlavaConfig

    # get_hf_config(LlavaConfig): the class is checked, not only the fields.
    return LlavaConfig.from_pretrained(folder)


@pytest.fixture(scope="module")
def processor(folder: Path) -> Any:
    from transformers import AutoProcessor, LlavaProcessor

    found = AutoProcessor.from_pretrained(folder)
    # get_hf_processor(LlavaProcessor).
    assert isinstance(found, LlavaProcessor)
    return found


@pytest.fixture(scope="module")
def picture(folder: Path, config: Any) -> Image.Image:
    return frame(load(EXAMPLES / "guide_rail.png"), config.vision_config.image_size, read_card(folder).framing)


def test_architectures(config: Any) -> None:
    # registry.py: the key by which the model class is found.
    assert config.architectures == ["LlavaForConditionalGeneration"]
    # LlavaForConditionalGeneration.__init__ builds the decoder from text_config by its architecture; only newer
    # versions infer it from the model_type (VllmConfig.with_hf_config).
    assert config.text_config.architectures == ["LlamaForCausalLM"]
    assert json.loads((find("default") / "config.json").read_text())["text_config"]["architectures"]


def test_vision(config: Any) -> None:
    from transformers import CLIPVisionConfig

    vision = config.vision_config
    # get_vision_encoder_info and init_vision_tower_for_llava: CLIP, SigLIP or Pixtral.
    assert isinstance(vision, CLIPVisionConfig)
    # CLIPVisionEmbeddings asserts it.
    assert vision.image_size % vision.patch_size == 0
    # CLIPAttention.
    assert vision.hidden_size % vision.num_attention_heads == 0
    assert vision.hidden_act in ACTIVATIONS
    # _get_num_hidden_layers: an int or a list, not beyond the layers that there are.
    layer = config.vision_feature_layer
    assert isinstance(layer, int)
    assert 0 < vision.num_hidden_layers + layer + 1 <= vision.num_hidden_layers
    # _get_vision_feature_selector.
    assert config.vision_feature_select_strategy in {"class", "default", "full"}


def test_projector(config: Any) -> None:
    # LlavaMultiModalProjector: two linear layers with get_act_fn between them.
    assert config.projector_hidden_act in ACTIVATIONS
    assert isinstance(config.multimodal_projector_bias, bool)


def test_decoder(config: Any) -> None:
    text = config.text_config
    assert text.model_type == "llama"
    # LlamaMLP: "Only silu is supported for now".
    assert text.hidden_act == "silu"
    assert text.num_attention_heads % text.num_key_value_heads == 0
    # Attention kernels: FlashAttention takes multiples of 8 up to 256.
    assert text.head_dim % 8 == 0
    assert text.head_dim <= 256
    assert text.rope_parameters["rope_type"] == "default"
    # max_model_len is derived from this; a picture, the prompt and a script must fit.
    assert text.max_position_embeddings >= config.image_seq_length + 512
    # with_hf_config copies it to the decoder, which then ties lm_head to embed_tokens, which alone is stored.
    assert config.tie_word_embeddings
    assert text.tie_word_embeddings


def test_names_of_the_weights(folder: Path, config: Any) -> None:
    """What load_weights finds modules for, after hf_to_vllm_mapper, no more and no less."""
    from safetensors import safe_open

    layers = range(config.text_config.num_hidden_layers)
    names = {"language_model.model.embed_tokens.weight", "language_model.model.norm.weight"}
    parts = [f"self_attn.{x}_proj" for x in "qkvo"] + [f"mlp.{x}_proj" for x in ("gate", "up", "down")]
    parts += ["input_layernorm", "post_attention_layernorm"]
    names |= {f"language_model.model.layers.{i}.{part}.weight" for i in layers for part in parts}
    both = [f"multi_modal_projector.linear_{i}" for i in (1, 2)]
    tower = "vision_tower.vision_model"
    names |= {f"{tower}.embeddings.{x}" for x in ("class_embedding", "patch_embedding.weight")}
    names |= {f"{tower}.embeddings.position_embedding.weight"}
    # post_layernorm is dropped by the mapper of CLIPVisionTransformer where it is not needed.
    both += [f"{tower}.pre_layrnorm", f"{tower}.post_layernorm"]
    parts = [f"self_attn.{x}_proj" for x in ("q", "k", "v", "out")] + [
        "mlp.fc1",
        "mlp.fc2",
        "layer_norm1",
        "layer_norm2",
    ]
    both += [f"{tower}.encoder.layers.{i}.{p}" for i in range(config.vision_config.num_hidden_layers) for p in parts]
    names |= {f"{name}.{kind}" for name in both for kind in ("weight", "bias")}
    with safe_open(folder / "model.safetensors", "pt") as stored:
        assert set(stored.keys()) == names
        assert stored.metadata()["format"] == "pt"


def test_the_copy_writes_the_same(folder: Path) -> None:
    image = load(EXAMPLES / "guide_rail.png")
    here, there = (Model.load(place, device="cpu") for place in ("default", folder))
    assert there.candidates(image, n=4, seed=2) == here.candidates(image, n=4, seed=2)
    assert not (folder / "bank.npz").exists()


def test_export_makes_checkpoints_readable(tmp_path: Path) -> None:
    shutil.copytree(find("default"), tmp_path / "model", ignore=shutil.ignore_patterns("*.npz"))
    weights = tmp_path / "model" / "model.safetensors"
    make_readable(tmp_path / "model")
    once = weights.read_bytes()
    make_readable(tmp_path / "model")
    assert weights.read_bytes() == once
    with pytest.raises(InputError, match="is there already"):
        copy_for_engines("default", tmp_path / "model")
    assert engine_name("model.vision_tower.encoder.x") == "model.vision_tower.vision_model.encoder.x"
    assert engine_name("vision_tower.vision_model.y") == "vision_tower.vision_model.y"
    assert engine_name("language_model.model.norm.weight") == "language_model.model.norm.weight"
    source = (Path(__file__).resolve().parents[2] / "train" / "export.py").read_text()
    assert "make_readable(folder)" in source


def test_placeholders(config: Any, processor: Any, picture: Image.Image) -> None:
    # LlavaDummyInputsBuilder and get_placeholder_str write this; _get_prompt_updates looks for the id.
    assert processor.image_token == "<image>"
    assert isinstance(config.image_token_index, int)
    assert config.image_token_index < config.text_config.vocab_size
    tokenizer = processor.tokenizer
    assert tokenizer("<image>", add_special_tokens=False)["input_ids"] == [config.image_token_index]
    # LlavaProcessingInfo.get_hf_processor: None would be patched, a wrong one would not.
    assert processor.patch_size == config.vision_config.patch_size
    # get_num_image_tokens: patches and the class token (CLIPEncoderInfo), less the one that "default" leaves out.
    grid = config.vision_config.image_size // config.vision_config.patch_size
    wanted = grid**2 + 1 - {"default": 1, "full": 0}[config.vision_feature_select_strategy]
    read = processor(text="<image>", images=picture, return_tensors="pt", add_special_tokens=False)
    assert read["input_ids"].tolist() == [[config.image_token_index] * wanted]
    assert wanted == config.image_seq_length


def test_pixels(config: Any, processor: Any, picture: Image.Image, folder: Path) -> None:
    import torch

    # LlavaImagePixelInputs: (pictures, 3, image_size, image_size), whatever comes in.
    side = config.vision_config.image_size
    for image in (picture, picture.resize((300, 200)), picture.resize((50, 90))):
        pixels = processor(text="<image>", images=image, return_tensors="pt")["pixel_values"]
        assert tuple(pixels.shape) == (1, 3, side, side)
    # A framed picture is taken as it is: whatever an engine scales with, there is nothing to scale.
    pixels = processor(text="<image>", images=picture, return_tensors="pt")["pixel_values"][0]
    plain = torch.tensor(list(picture.tobytes()), dtype=torch.float32).reshape(side, side, 3).permute(2, 0, 1) / 255
    kind = processor.image_processor
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in (kind.image_mean, kind.image_std))
    assert torch.allclose(pixels, (plain - mean) / std, atol=1e-5)


def test_chat_template(processor: Any, folder: Path) -> None:
    # resolve_chat_template: the processor's first; without one, chat is refused.
    template = processor.chat_template
    assert isinstance(template, str)
    # _detect_content_format: "openai" (and not "string") where a loop goes over message['content'].
    loops = jinja2.Environment().parse(template).find_all(nodes.For)
    over = [loop.iter for loop in loops if isinstance(loop.iter, nodes.Getitem)]
    assert any(isinstance(it.arg, nodes.Const) and it.arg.value == "content" for it in over)
    # parse_chat_messages hands parts over as {"type": "image"} and {"type": "text", "text": ...}, in any order, and
    # chat prompts are tokenized without special tokens: what comes out is what the model was trained with.
    card = read_card(folder)
    before, after = prompt_ids(processor, card.prompt)
    parts = [{"type": "image"}, {"type": "text", "text": card.prompt}]
    for content in (parts, parts[::-1]):
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        ids = processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert ids == [*before, processor.tokenizer.convert_tokens_to_ids("<image>"), *after]
        assert ids.count(processor.tokenizer.bos_token_id) == 1


def test_the_end(folder: Path, config: Any, processor: Any) -> None:
    # vLLM takes its stop tokens and sampling defaults from generation_config.json.
    tree = json.loads((folder / "generation_config.json").read_text())
    assert tree["eos_token_id"] == processor.tokenizer.eos_token_id == config.text_config.eos_token_id
    assert not {"temperature", "top_p", "top_k"} & tree.keys()


def test_a_remote_model_writes_as_the_one_here(server: Any) -> None:
    """Our own server stands for an engine; the same client, the same requests."""
    image = load(EXAMPLES / "guide_rail.png")
    extra = {"cadcoder": {"effort": 0, "style": "raw"}}
    there = RemoteModel(f"{server.url}/v1", "cadcoder", key="secret", extra=extra)
    here = Model.load("default", device="cpu")
    scripts = there.candidates(image, n=3, seed=4)
    assert list(scripts) == here.candidates(image, n=3, seed=4)
    (cut,) = there.candidates(image, max_new_tokens=4)
    assert scripts[0].startswith(cut.rstrip("\n"))
    with pytest.raises(InputError, match="answers 401: show the server's key"):
        RemoteModel(f"{server.url}/v1", "cadcoder").candidates(image)
    with pytest.raises(InputError, match="cannot be used"):
        RemoteModel("http://127.0.0.1:9/v1", "cadcoder").candidates(image)
    with pytest.raises(InputError, match="must start with http"):
        RemoteModel("127.0.0.1:9", "cadcoder")
