"""What an earlier release left behind, which must stay usable: a store, runs, payloads, journals, a notebook.

`left.tar.xz` was made by release 0.1.0 itself: `git show 79d869e:tests/before/make.py`.
"""
