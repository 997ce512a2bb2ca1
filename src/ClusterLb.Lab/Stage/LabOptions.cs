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

    /// <summary>False: only the network and the pods, no ClusterLb.</summary>
    public bool WithAgents { get; init; } = true;

    /// <summary>True: the lab goes when this process ends, however it ends. False: it stays until `lab down`.</summary>
    public bool EndsWithThisProcess { get; init; }

    /// <summary>What the cluster consists of.</summary>
    public LabTopology Topology { get; init; } = LabTopology.Default;

    /// <summary>How to start ClusterLb: a program and its first arguments.</summary>
    public IReadOnlyList<string> Program { get; init; } = LabProgram.Running();

    /// <summary>Every problem at once.</summary>
    public IEnumerable<string> Problems()
    {
        if (Name.Length is < 1 or > 16 || Name.Any(c => c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9'))))
        {
            yield return $"The lab's name is '{Name}', but must be 1 to 16 lower-case letters and digits.";
        }

        if (Mtu is < 1280 or > 65535)
        {
            yield return $"The lab's MTU is {Mtu}, but must be from 1280 to 65535 bytes.";
        }

        if (Program.Count == 0)
        {
            yield return "The lab does not know how to start clusterlb: its program is empty.";
        }
    }
}
