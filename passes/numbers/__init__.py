"""How fp16 holds the numbers of a program.

half (its numbers) · surroundings (what becomes of a value) · floors (small numbers beside logarithms, roots, quotients)
· substitutes (what a number that it doesn't hold becomes, by the ops around it).
"""
