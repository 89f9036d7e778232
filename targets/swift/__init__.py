"""Swift packages: a model with what an app needs around it.

`runtime` is Swift text that every package has, byte for byte; `templates` are the texts around it, where the model's
names are filled in; what the model is goes into `Model/model.json` (description).
"""
