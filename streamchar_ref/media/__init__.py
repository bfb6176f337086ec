"""What a viewer sees and hears: the currency of the model and the harness.

Importing this package needs NumPy only; the modules that read and write files need PyAV.
"""

from streamchar_ref.media.chunk import AVChunk, MediaError

__all__ = ["AVChunk", "MediaError"]
