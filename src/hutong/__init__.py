"""Hutong 护通: observe, judge, act, prove, for the people who use a province's networks.

`app` wires; systems (`calls`, …) judge; `protocols` turn bytes into values; `kernel` is what all of them speak.
"""
