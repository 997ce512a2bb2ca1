namespace ClusterLb.Tests.Simulation;

/// <summary>What happens in one step of a history.</summary>
internal enum StepKind
{
    ClientSends,
    Deliver,
    Duplicate,
    Lose,
    RouterComplains,
    Stray,
    PodChanges,
    EndpointsArePublished,
    ServiceChanges,
    NodeChanges,
    Sync,
    TimePasses,
    Sweep,
    AgentDies,
    AgentStarts,
    AgentDiesWhileItWrites,
    DataplaneRestarts,
    LooksForOrphans,
}

/// <summary>One step, with all of its chance in a number of its own: it means the same whatever other steps are left out.</summary>
internal readonly record struct Step(StepKind Kind, int Seed);
