"""Forms: `%train --form` and `%tune --form` as widgets, made from the options and the model's `__init__`."""
