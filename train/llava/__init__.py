"""Two-stage training of any LLaVA: a CLIP or SigLIP tower, a projector, a Llama- or Qwen2-type language model."""
