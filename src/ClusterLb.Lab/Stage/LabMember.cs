namespace ClusterLb.Lab.Stage;

/// <summary>One part of a running lab.</summary>
/// <param name="Name">What `lab exec` takes.</param>
/// <param name="Kind">node, pod, client or switch.</param>
/// <param name="Node">For a pod: where it runs; else empty.</param>
/// <param name="Namespace">Its network namespace.</param>
/// <param name="Addresses">Its addresses, IPv4 first.</param>
/// <param name="Processes">Ids of the processes that live in its namespace.</param>
/// <param name="State">up, missing; for a node with an agent: healthy or unhealthy.</param>
public sealed record LabMember(
    string Name, string Kind, string Node, string Namespace, IReadOnlyList<string> Addresses,
    IReadOnlyList<int> Processes, string State);
