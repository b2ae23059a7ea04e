"""The compiled kernels. They know arrays and numbers, and nothing else of the package knows how they are compiled.

Each module is Python with type annotations that Cython compiles; `docs/engine.md` says how to build them and how to add
one. Without being compiled they run as they are, slowly, which is how the tests check them.
"""
