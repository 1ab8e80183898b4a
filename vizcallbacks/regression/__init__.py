"""Regression checks on attention: snapshots, baselines, rules, the comparison and its report.

Never imports MXNet: stored snapshots are checked on any machine. May import `pictures`, `measures`, `probes`, and
of `attribution` the table of methods and the result.
"""
