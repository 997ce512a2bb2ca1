using System.Text.Json;

namespace ClusterLb.Agent;

/// <summary>What the agent was started with, for the command line and for whom it meets next: DIR/config.json.</summary>
public sealed record AgentRecord
{
    /// <summary>Of the whole state directory. Another number is another version of ClusterLb, which cannot adopt it.</summary>
    public int Layout { get; init; } = CurrentLayout;

    /// <summary>The layout that this version writes.</summary>
    public const int CurrentLayout = 1;

    /// <summary>Of the program.</summary>
    public required string Version { get; init; }

    /// <summary>The agent's process id; it may have ended since.</summary>
    public required int Pid { get; init; }

    /// <summary>When it was started.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>Name of this node.</summary>
    public required string NodeName { get; init; }

    /// <summary>Name of the TUN device.</summary>
    public required string Device { get; init; }

    /// <summary>Directory of manifests; null if there is none.</summary>
    public string? Manifests { get; init; }

    /// <summary>Kubeconfig of the API server; null if there is none.</summary>
    public string? Kubeconfig { get; init; }

    /// <summary>Where service addresses come from, as configured.</summary>
    public IReadOnlyList<string> ServiceCidrs { get; init; } = [];

    /// <summary>Where pods live, as configured.</summary>
    public IReadOnlyList<string> ClusterCidrs { get; init; } = [];

    /// <summary>Source ports of masqueraded connections, as configured; empty: the usual ones.</summary>
    public string SnatPorts { get; init; } = "";

    /// <summary>Where /healthz answers; empty if nowhere.</summary>
    public string HealthzBindAddress { get; init; } = "";

    /// <summary>Where /metrics answers; empty if nowhere.</summary>
    public string MetricsBindAddress { get; init; } = "";

    /// <summary>The record of a state directory, or null if no agent was ever started there.</summary>
    /// <exception cref="AgentException">It is not readable, or of another version.</exception>
    public static AgentRecord? Load(string stateDirectory)
    {
        string path = PathOf(stateDirectory);
        AgentRecord? record;
        try
        {
            record = JsonSerializer.Deserialize(File.ReadAllBytes(path), AgentRecordJson.Default.AgentRecord);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new AgentException($"Cannot read {path}: {e.Message.TrimEnd('.')}. Run this as root, or as the user of the agent.", e);
        }
        catch (Exception e) when (e is JsonException or IOException)
        {
            throw new AgentException($"Cannot read {path}: {e.Message} It only remembers how the agent was started: delete it to go on.", e);
        }

        return record?.Layout == CurrentLayout
            ? record
            : throw new AgentException($"The state directory '{stateDirectory}' has layout {record?.Layout} (ClusterLb {record?.Version}), but this version " +
                $"knows {CurrentLayout}. Run `clusterlb cleanup` of that version, or choose another directory (--state-dir).");
    }

    /// <summary>The record, or null; a damaged one gets another name first, for the agent writes its own anyway.</summary>
    /// <exception cref="AgentException">It is of another version.</exception>
    internal static AgentRecord? LoadOrSetAside(string stateDirectory, Action<string> warn)
    {
        try
        {
            return Load(stateDirectory);
        }
        catch (AgentException e) when (e.InnerException is JsonException)
        {
            string path = PathOf(stateDirectory);
            File.Move(path, path + ".bad", overwrite: true);
            warn($"{path} was damaged and is now '{path}.bad'");
            return null;
        }
    }

    internal static AgentRecord Of(AgentOptions options, DateTimeOffset startedAt) => new()
    {
        Version = ProgramVersion,
        Pid = Environment.ProcessId,
        StartedAt = startedAt,
        NodeName = options.NodeName,
        Device = options.Tun.Name,
        Manifests = options.ManifestDirectory,
        Kubeconfig = options.KubeconfigFile,
        ServiceCidrs = [.. options.ServiceCidrs.Select(prefix => prefix.ToString())],
        ClusterCidrs = [.. options.ClusterCidrs.Select(prefix => prefix.ToString())],
        SnatPorts = options.Conntrack.SnatPorts.ToString(),
        HealthzBindAddress = options.HealthzBindAddress?.ToString() ?? "",
        MetricsBindAddress = options.MetricsBindAddress?.ToString() ?? "",
    };

    internal static string ProgramVersion { get; } = typeof(AgentRecord).Assembly.GetName().Version?.ToString(3) ?? "";

    internal void Save(string stateDirectory)
    {
        string path = PathOf(stateDirectory);
        File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(this, AgentRecordJson.Default.AgentRecord));
        File.Move(path + ".new", path, overwrite: true);
    }

    private static string PathOf(string stateDirectory) => Path.Combine(stateDirectory, "config.json");
}
