"""lesionlite's export: from a ``.keras`` with its contract to a proved ``.tflite``.

TensorFlow is imported only inside the functions that need it.
"""
