namespace ClusterLb.Tests.Simulation;

/// <summary>What must always hold did not.</summary>
internal sealed class SimulationException(string message) : Exception(message);
