"""A user's program with three mistakes: a type checker reports each of them, and nothing else."""

import eyespot

eyespot.train("digits", model="mlp", epoch=3)  # mistake: the option is called epochs
eyespot.train("digits", learning_rate="fast")  # mistake: a learning rate is a number
accuracy = eyespot.evaluate("runs/a").acuracy  # mistake: a result has an accuracy
