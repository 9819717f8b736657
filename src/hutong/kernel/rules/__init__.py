"""Declared rules: vocabulary, language, compiler, machine, lint, stages. Knows no system and no feature.

A system brings a `Vocabulary` and rule files; `loader.load_ruleset` gives a frozen `Ruleset` whose
`program` the compiled `machine.run_rules` executes over a feature vector. The same program judges a live
event and a year of history.
"""
