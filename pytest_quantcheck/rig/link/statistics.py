"""What went over a line."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class LinkStatistics:
    """Counts of one link. ``payload_bytes`` counts each payload once, however often it was sent.

    ``crc_errors`` are damaged frames, ``stale`` whole ones that answer nothing. What a sound line brings
    has counts of its own: ``texts`` between frames (a boot ROM's), ``banners`` of starts that were
    expected, ``repeated`` answers to a request that was sent again.
    """

    frames_sent: int = 0
    frames_received: int = 0
    resent: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    payload_bytes: int = 0
    crc_errors: int = 0
    stale: int = 0
    texts: int = 0
    banners: int = 0
    repeated: int = 0
    busy: int = 0

    @property
    def bytes_on_line(self) -> int:
        """Both directions together."""
        return self.bytes_sent + self.bytes_received

    @property
    def efficiency(self) -> float:
        """Payload bytes per byte on the line, both directions together; resends lower it."""
        return self.payload_bytes / self.bytes_on_line if self.bytes_on_line else 0.0

    @property
    def resend_rate(self) -> float:
        """Share of the frames sent that had been sent before."""
        return self.resent / self.frames_sent if self.frames_sent else 0.0

    def summary(self) -> dict[str, float]:
        """All counts, and what follows from them, for a report."""
        return {
            **asdict(self),
            "resend_rate": round(self.resend_rate, 4),
            "efficiency": round(self.efficiency, 4),
        }
