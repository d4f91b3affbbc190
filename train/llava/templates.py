"""Turns as text, as ``processor.apply_chat_template`` renders them: one picture and a question, then the answer."""

from __future__ import annotations

_USER = (
    "{% for p in message['content'] if message['content'] is not string and p['type'] == 'image' %}"
    "<image>\n{% endfor %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for p in message['content'] if p['type'] == 'text' %}{{ p['text'] }}{% endfor %}{% endif %}"
)

#: Vicuna 1.1 as LLaVA 1.5 uses it (Liu et al., arXiv 2310.03744; conversation ``vicuna_v1``).
VICUNA = (
    "{{ bos_token }}{% if messages[0]['role'] != 'system' %}A chat between a curious user and an artificial "
    "intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions."
    "{% endif %}"
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    + _USER
    + "{% elif message['role'] == 'user' %} "
    "USER: " + _USER + "{% else %} ASSISTANT: " + _USER + "{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)

#: Turns of Qwen2.5 and SmolLM2; without a system turn unless one is given.
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n" + _USER + "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

#: For a base model: the picture, a line, the answer.
PLAIN = (
    "{{ bos_token }}{% for message in messages %}" + _USER + "{% if message['role'] == 'assistant' %}"
    "{{ eos_token }}{% else %}{{ '\\n' }}{% endif %}{% endfor %}"
)

#: By the name that a recipe gives.
TEMPLATES = {"vicuna": VICUNA, "chatml": CHATML, "plain": PLAIN}
