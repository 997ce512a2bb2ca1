namespace ClusterLb.Lab.Stage;

/// <summary>A lab as it is now.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Mtu">Bytes of IP packet on every link.</param>
/// <param name="Folder">Where its manifests, configurations, logs and state directories are.</param>
/// <param name="Members">Nodes, pods, the client and the switch.</param>
public sealed record LabStatus(string Name, int Mtu, string Folder, IReadOnlyList<LabMember> Members);
