"""Other libraries beside this one: each in an environment of its own, judged by one evaluator."""
