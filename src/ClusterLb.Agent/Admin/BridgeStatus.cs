using ClusterLb.Agent.Steering;

namespace ClusterLb.Agent.Admin;

/// <summary>A Linux bridge whose ports are pods, and how answers between two of them come back to us.</summary>
/// <param name="Name">Of the bridge.</param>
/// <param name="Subnet">Addresses of its pods, of one family.</param>
/// <param name="Fix">What is done.</param>
public sealed record BridgeStatus(string Name, string Subnet, BridgeFix Fix)
{
    /// <summary>The same in words.</summary>
    public string What => BridgeWords.Of(Fix).What;
}
