"""The heavy half of each verb: runs in the worker process, where torch is imported."""
