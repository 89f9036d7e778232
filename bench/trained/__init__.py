"""How a trained model hears, and whether what is proven of its package holds with trained weights: error tables.

    python -m bench.trained BUILD TEST.jsonl ... --weights model.safetensors --out tables.md

model (a build, its variants, what each hears) · sound, conditions (what happens to recordings) · cells (the text of
tables) · sets, through, chunks, drift, checks (a table each).
"""
