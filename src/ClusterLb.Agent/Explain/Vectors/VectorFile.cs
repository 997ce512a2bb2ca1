using System.Text.Json;
using System.Text.Json.Serialization;

namespace ClusterLb.Agent.Explain.Vectors;

// The format of conformance vectors, field for field: objects, node and configuration in, what must become of flows out.
// Properties with a default have a setter: for init-only ones the generated code puts null where a field is absent.
// Fields that are not listed are kept apart, so that a flow whose meaning we do not understand is skipped, not passed.

/// <summary>A file of conformance cases.</summary>
internal sealed record VectorFile
{
    public required IReadOnlyList<VectorCase> Cases { get; init; }
}

/// <summary>One cluster, in one or more states one after the other.</summary>
internal sealed record VectorCase
{
    public required string Id { get; init; }

    public string Title { get; set; } = "";

    public required VectorNode Node { get; init; }

    public required VectorNetwork Cluster { get; init; }

    public VectorConfig? Config { get; init; }

    public required IReadOnlyList<VectorStep> Steps { get; init; }

    public IReadOnlyList<string> Requires { get; set; } = [];
}

/// <summary>The node whose dataplane it is.</summary>
internal sealed record VectorNode
{
    public required string Name { get; init; }

    /// <summary>Null: no zone label. Empty: a label without value.</summary>
    public string? Zone { get; init; }

    /// <summary>The first of each family is the primary address.</summary>
    public required IReadOnlyList<string> Ips { get; init; }

    [JsonPropertyName("podCIDRs")]
    public IReadOnlyList<string> PodCidrs { get; set; } = [];

    /// <summary>Null: all local addresses. <c>primary</c>: the primary ones. Else CIDRs.</summary>
    public IReadOnlyList<string>? NodePortAddresses { get; init; }
}

/// <summary>What all nodes share.</summary>
internal sealed record VectorNetwork
{
    [JsonPropertyName("serviceCIDRs")]
    public IReadOnlyList<string> ServiceCidrs { get; set; } = [];
}

/// <summary>Settings; absent means default.</summary>
internal sealed record VectorConfig
{
    public string DetectLocal { get; set; } = "clusterCIDR";

    public bool MasqueradeAll { get; init; }

    public bool LocalhostNodePorts { get; set; } = true;

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Unknown { get; set; }
}

/// <summary>A state of the cluster, and the flows to try in it.</summary>
internal sealed record VectorStep
{
    /// <summary>Kubernetes objects, which replace those of the step before.</summary>
    public required IReadOnlyList<JsonElement> Objects { get; init; }

    public IReadOnlyList<VectorFlow> Flows { get; set; } = [];

    /// <summary>Ready addresses on this node, by service; services with 0 are left out.</summary>
    public IReadOnlyDictionary<string, int>? LocalReadyEndpoints { get; init; }

    /// <summary>Health check node ports that are listened on: by service, or only the numbers.</summary>
    public JsonElement? HealthCheckNodePorts { get; init; }

    /// <summary>Gauges by name; each by the value of its label.</summary>
    public IReadOnlyDictionary<string, Dictionary<string, int>>? Metrics { get; init; }

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Unknown { get; set; }
}

/// <summary>A client that opens connections.</summary>
internal sealed record VectorFlow
{
    public required string Name { get; init; }

    public required string Protocol { get; init; }

    [JsonPropertyName("sourceIP")]
    public required string SourceIp { get; init; }

    [JsonPropertyName("destIP")]
    public required string DestIp { get; init; }

    public required ushort DestPort { get; init; }

    /// <summary>A socket that stays open over flows and steps: the same port is the same flow. Null: a new connection.</summary>
    public ushort? SourcePort { get; init; }

    public required VectorExpectation Expect { get; init; }

    /// <summary>Other outcomes that are right as well.</summary>
    public IReadOnlyList<VectorExpectation> Alternatives { get; set; } = [];

    /// <summary>Overrides <see cref="VectorExpectation.Masquerade"/> for some backends.</summary>
    public IReadOnlyDictionary<string, bool>? MasqueradeByBackend { get; init; }

    public VectorSpread? Spread { get; init; }

    public VectorAffinity? Affinity { get; init; }

    /// <summary>Time that passes before the flow.</summary>
    public double WaitSeconds { get; init; }

    public IReadOnlyList<string> Tags { get; set; } = [];

    /// <summary>How the expectation is known; for people.</summary>
    public string Basis { get; set; } = "";

    [JsonExtensionData]
    public Dictionary<string, JsonElement>? Unknown { get; set; }
}

/// <summary>What must become of a flow.</summary>
internal sealed record VectorExpectation
{
    /// <summary>forward, reject, drop or pass.</summary>
    public required string Verdict { get; init; }

    /// <summary>Exactly the backends that are possible.</summary>
    public IReadOnlyList<string>? Backends { get; init; }

    public bool? Masquerade { get; init; }
}

/// <summary>Many connections must reach every backend.</summary>
internal sealed record VectorSpread
{
    public int Connections { get; init; }

    /// <summary>Part of all connections, 0 to 1.</summary>
    public double MinSharePerBackend { get; init; }

    /// <summary><c>first-last</c>: one client for each of these addresses.</summary>
    public string? SourceRange { get; init; }

    public int ConnectionsPerClient { get; set; } = 1;
}

/// <summary>Many connections must all reach one backend, the same in the whole group.</summary>
internal sealed record VectorAffinity
{
    public required string Group { get; init; }

    public int Connections { get; set; } = 1;
}
