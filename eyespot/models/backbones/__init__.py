"""Pretrained backbones by name: ordinary Keras models that take pixels 0-255, with weights of ImageNet."""
