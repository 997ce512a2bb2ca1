namespace ClusterLb.ControlPlane.Model;

/// <summary>When the change happened that an object tells of. No part of what the object means: equality ignores it.</summary>
/// <param name="Triggered">
/// When the cluster changed, by the clock of the control plane: annotation endpoints.kubernetes.io/last-change-trigger-time of a slice.
/// Null if nobody said.
/// </param>
/// <param name="Received">When the bytes were here, as <see cref="TimeProvider.GetTimestamp"/> of the system counts; 0 if nobody noted it.</param>
public readonly record struct ChangeTimes(DateTimeOffset? Triggered, long Received);
