"""The masked-language-model head of any type of encoder, as transformers has it.

Types differ in the head's projections, norms and activations, and in whether the output matrix is that of the word
embeddings. So the head is not written again: transformers' own model is run over states that are there already.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from transformers import AutoModelForMaskedLM
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from intermezzo.modeling import architectures
from intermezzo.modeling.encoder import Encoder, quietly
from intermezzo.modeling.kernels import use_bfloat16


def has_head(encoder: Encoder) -> bool:
    """Whether transformers has a masked language model of the encoder's type."""
    return encoder.config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES


class PretrainedHead(nn.Module):
    """States (M, H) -> logits (M, vocabulary), with the weights of the head that `folder` has (random ones if none).

    Parameters that are the encoder's own, as a tied output matrix is, are no parameters of this module.
    """

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        super().__init__()
        changes = architectures.settings(encoder.config, object, None)
        with quietly():
            model = AutoModelForMaskedLM.from_pretrained(folder, local_files_only=True, **changes)
        setattr(model, model.base_model_prefix, encoder.model)
        model.tie_weights()
        use_bfloat16(model)
        self._model = [model]  # in a list: its encoder is no part of the head
        shared = {id(parameter) for parameter in encoder.model.parameters()}
        for name, parameter in model.named_parameters():
            if id(parameter) not in shared:
                self.register_parameter(name.replace(".", "_"), parameter)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Logits of each state."""
        (model,) = self._model
        outputs = _Outputs(states[None])
        with patch.object(model.base_model, "forward", lambda *_, **__: outputs):
            logits = model(input_ids=torch.zeros(1, len(states), dtype=torch.long, device=states.device)).logits
        return logits[0]


class _Outputs:
    """What a model's head reads of the encoder's outputs: the states, and nothing else."""

    def __init__(self, states: torch.Tensor) -> None:
        self.last_hidden_state = states

    def __getitem__(self, place: Any) -> Any:
        return (self.last_hidden_state,)[place]

    def __getattr__(self, name: str) -> None:
        return None
