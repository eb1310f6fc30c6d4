"""Where in the network a file's error starts: each operator against the float32 network's."""
