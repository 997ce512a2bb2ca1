namespace ClusterLb.Agent.Capabilities;

/// <summary>One row of the table that <c>status</c> and <c>doctor</c> print: something that the kernel or the machine can do, or not.</summary>
/// <param name="Name">A few words, the same in every release.</param>
/// <param name="State">Whether it can.</param>
/// <param name="Detail">What was seen: a version, a value.</param>
/// <param name="Without">What is lost without it.</param>
public sealed record Capability(string Name, CapabilityState State, string Detail, string Without);
