"""The command line: arguments in, recipes called, words out."""
