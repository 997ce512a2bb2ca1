using ClusterLb.Lab.Stage;

namespace ClusterLb.EndToEnd.Tests.Stage;

/// <summary>Tests of traffic share a lab, because none of them changes it for good.</summary>
[CollectionDefinition(Name)]
public sealed class LabCollection : ICollectionFixture<LabFixture>
{
    public const string Name = "lab";
}

/// <summary>The same lab, without offloads on the nodes' side of every link.</summary>
[CollectionDefinition(Name)]
public sealed class PlainLabCollection : ICollectionFixture<PlainLabFixture>
{
    public const string Name = "lab without offloads";
}

/// <summary>The same lab, with one queue per device.</summary>
[CollectionDefinition(Name)]
public sealed class OneQueueLabCollection : ICollectionFixture<OneQueueLabFixture>
{
    public const string Name = "lab with one queue";
}

/// <summary>A lab with pods on bridges.</summary>
[CollectionDefinition(Name)]
public sealed class BridgedLabCollection : ICollectionFixture<BridgedLabFixture>
{
    public const string Name = "lab with bridged pods";
}

/// <summary>The same lab, without offloads on the nodes' side of every link.</summary>
[CollectionDefinition(Name)]
public sealed class PlainBridgedLabCollection : ICollectionFixture<PlainBridgedLabFixture>
{
    public const string Name = "lab with bridged pods, without offloads";
}

/// <summary>A lab for the tests that change services and kill processes.</summary>
[CollectionDefinition(Name)]
public sealed class ChangingLabCollection : ICollectionFixture<ChangingLabFixture>
{
    public const string Name = "lab that changes";
}

/// <summary>A lab whose services are reached from outside.</summary>
[CollectionDefinition(Name)]
public sealed class ExposedLabCollection : ICollectionFixture<ExposedLabFixture>
{
    public const string Name = "lab with exposed services";
}

/// <summary>The same lab, without offloads on the nodes' side of every link, and with one queue per device.</summary>
[CollectionDefinition(Name)]
public sealed class PlainExposedLabCollection : ICollectionFixture<PlainExposedLabFixture>
{
    public const string Name = "lab with exposed services, without offloads";
}

/// <summary>The same lab, with pods on bridges.</summary>
[CollectionDefinition(Name)]
public sealed class BridgedExposedLabCollection : ICollectionFixture<BridgedExposedLabFixture>
{
    public const string Name = "lab with exposed services and bridged pods";
}

/// <summary>A lab without ClusterLb.</summary>
[CollectionDefinition(Name)]
public sealed class BareLabCollection : ICollectionFixture<BareLabFixture>
{
    public const string Name = "lab without agents";
}

public sealed class ChangingLabFixture : LabFixture
{
    protected override string Tag => "c";
}

public sealed class OneQueueLabFixture : LabFixture
{
    protected override string Tag => "q";

    protected override int Queues => 1;
}

public sealed class PlainBridgedLabFixture : BridgedLabFixture
{
    protected override string Tag => "s";

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        SwitchOffloadsOff();
    }
}

public class BridgedLabFixture : LabFixture
{
    protected override string Tag => "r";

    protected override LabTopology Initial => LabTopology.OnBridges;
}

public sealed class BareLabFixture : LabFixture
{
    protected override string Tag => "b";

    protected override bool WithAgents => false;
}

/// <summary>
/// Nodes whose interfaces have checksum and segmentation offload off: only then does the kernel look at what a partial
/// checksum became. On plain veth a wrong one is never noticed, because nobody verifies it.
/// </summary>
public sealed class PlainLabFixture : LabFixture
{
    protected override string Tag => "p";

    public override async Task InitializeAsync()
    {
        await base.InitializeAsync();
        SwitchOffloadsOff();
    }
}
