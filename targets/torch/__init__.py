"""The torch target: a program as PyTorch modules to train.

tree -> component -> method -> classes -> module make the text; expressions/ and layer_table say how an op is written;
runtime/ is what the text imports, copied beside it.
"""
