"""What rules would have done: judged over an archive, held against labels, kept, and asked for before a rule may act.

`backtest` runs it and `figures` counts; `model` is the result; `store` keeps it; `promotion` says what evidence a stage
asks for; `drift` watches the rules that act. Reading call records and judging them are other modules' business.
"""
