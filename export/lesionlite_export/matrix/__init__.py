"""The same ``.tflite`` in every backend: bit-equal or by how much, and which decisions differ."""
