"""The sections of the configuration, one idea per module; `intermezzo.config.models` combines them."""
