namespace ClusterLb.Lab.Stage;

/// <summary>How to set up a lab.</summary>
public sealed record LabOptions
{
    /// <summary>The name of `clusterlb lab up` without `--name`.</summary>
    public const string DefaultName = "clblab";

    /// <summary>Prefix of every namespace: 1 to 16 lower-case letters and digits.</summary>
    public string Name { get; init; } = DefaultName;

    /// <summary>Bytes of IP packet on every link: 1280 (the least IPv6 allows) to 65535.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>Queues of each agent's TUN device.</summary>
    public int Queues { get; init; } = 2;

    /// <summary>False: only the network and the pods, no ClusterLb.</summary>
    public bool WithAgents { get; init; } = true;

    /// <summary>True: the lab goes when this process ends, however it ends. False: it stays until `lab down`.</summary>
    public bool EndsWithThisProcess { get; init; }

    /// <summary>Further lines of the agents' configuration.</summary>
    public LabSettings Settings { get; init; } = new();

    /// <summary>What the cluster consists of.</summary>
    public LabTopology Topology { get; init; } = LabTopology.Default;

    /// <summary>How to start ClusterLb: a program and its first arguments.</summary>
    public IReadOnlyList<string> Program { get; init; } = LabProgram.Running();

    /// <summary>Why a lab cannot have this name; null if it can. A name is part of paths: it must not lead elsewhere.</summary>
    internal static string? NameProblem(string name) =>
        name.Length is < 1 or > 16 || name.Any(c => c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9')))
            ? "its name must be 1 to 16 lower-case letters and digits"
            : null;

    /// <summary>Every problem at once.</summary>
    public IEnumerable<string> Problems()
    {
        if (NameProblem(Name) is { } problem)
        {
            yield return problem;
        }

        if (Mtu is < 1280 or > 65535)
        {
            yield return $"its MTU is {Mtu}, but must be from 1280 to 65535 bytes";
        }

        if (Program.Count == 0)
        {
            yield return "it does not know how to start clusterlb, because its program is empty";
        }
    }
}
