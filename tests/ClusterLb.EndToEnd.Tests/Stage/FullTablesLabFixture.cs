using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>A lab in which every table is small enough to be filled by real clients.</summary>
public sealed class FullTablesLabFixture : LabFixture
{
    /// <summary>Flows that fit, per family.</summary>
    public const int Flows = 1_024;

    /// <summary>Clients that can be pinned for certain; there are some places more.</summary>
    public const int Affinity = 64;

    /// <summary>Fragmented datagrams that fit.</summary>
    public const int Fragments = 64;

    protected override string Tag => "t";

    protected override LabSettings Settings => new(
        "iptables: {minSyncPeriod: 20ms, syncPeriod: 2s}", $"affinity: {Affinity}, fragments: {Fragments}", Flows: Flows);
}
