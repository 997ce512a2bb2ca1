// Labs are timed (refused in under a second, no gap while the agent dies): one at a time.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
