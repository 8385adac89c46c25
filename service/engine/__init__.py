"""What meets the device: admission, decoding, the scheduler and the batcher."""
