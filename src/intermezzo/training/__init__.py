"""The one training loop and its two uses: pretraining an encoder, and fine-tuning in either phase."""
