"""No group of the vectors file is forgotten: each is used by a test here, or named below with a reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

OUT_OF_SCOPE = {
    "blinding",  # identities in communities, which this product does not join
    "config_encryption",  # configuration messages are opaque to us
    "multi_recipient_encryption",  # closed groups' key messages
    "attachment_stream_encryption",  # newer attachments; we write and read the older form
    "service_node_sample_keys",  # a test record whose keys do not belong together
    "expected_swarm_count",  # the blockchain's assignment of nodes; ours is another function
}


def test_every_group_is_used_or_named_as_out_of_scope(vectors: dict[str, Any]) -> None:
    used = {
        group
        for file in Path(__file__).parent.glob("test_*.py")
        for group in re.findall(r'vectors[(\[]"(\w+)"', file.read_text())
    }
    assert used | OUT_OF_SCOPE == set(vectors)
    assert not used & OUT_OF_SCOPE
