"""Build the container images: what goes into each, by the lock, and the build itself without a network.

``python -m tools.images --help`` lists the commands. Everything made is under ``dist/images``, which is also all that an
image build sees of the project (``.dockerignore``).
"""
