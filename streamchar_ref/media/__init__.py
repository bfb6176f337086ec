"""Audio and video: chunks of a stream, and files as a viewer sees and hears them.

Importing this package needs only NumPy; the modules that read and write files need PyAV.
"""

from streamchar_ref.media.chunk import AVChunk, MediaError

__all__ = ["AVChunk", "MediaError"]
