"""Evaluation of prompted language models: rivals without any training, on the same rows and by the same metrics.

    evaluate(spec, data, outputs, names, shots=..., cache=..., code=...)

A row becomes a request (`requests`): a prompt, and the choices whose likelihoods are asked for, or none for an answer
in writing. A backend answers it (`local`: transformers; `server`: OpenAI's completions protocol), and the answer is
kept before the next one is asked for (`answers`).
"""
