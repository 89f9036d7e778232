"""How a .mlpackage folder is laid out: the parts in it and the manifest that names them. The same bytes every time."""

from __future__ import annotations

import json
import uuid

AUTHOR = "com.apple.CoreML"
MODEL = "model.mlmodel"
# Identifiers in a package's own manifest only have to differ from one another: they are derived from what they name.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://developer.apple.com/documentation/coreml/mlpackage")


def manifest_text() -> str:
    """Manifest.json of a package with a model and weights."""
    items = {
        "weights": {"description": "CoreML Model Weights", "path": f"{AUTHOR}/weights"},
        MODEL: {"description": "CoreML Model Specification", "path": f"{AUTHOR}/{MODEL}"},
    }
    identifiers = {name: str(uuid.uuid5(NAMESPACE, entry["path"])) for name, entry in items.items()}
    entries = {identifiers[name]: {"author": AUTHOR, "name": name, **entry} for name, entry in items.items()}
    content = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": entries,
        "rootModelIdentifier": identifiers[MODEL],
    }
    return json.dumps(content, indent=4, sort_keys=True) + "\n"
