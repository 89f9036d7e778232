"""What is known of Apple's chips and systems: Neural Engine families with their limits, systems with their opsets.

families (limits, one row a family) · devices (chips by family) · systems (iOS and macOS by opset). Data with sources;
the passes that split dimensions and the lint rules read the same rows.
"""
