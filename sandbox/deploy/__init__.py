"""Bootstrap of a machine: engine, tools, images, Compose, doctor."""
