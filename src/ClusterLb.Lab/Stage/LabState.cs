using System.Text.Json;
using System.Text.Json.Serialization;

namespace ClusterLb.Lab.Stage;

/// <summary>What a lab leaves in its folder about itself, for later commands.</summary>
/// <param name="Name">The lab's name.</param>
/// <param name="Mtu">Bytes of IP packet on every link.</param>
/// <param name="WithAgents">Whether agents were started.</param>
/// <param name="Program">How clusterlb is started.</param>
/// <param name="OwnerProcess">The process it must not outlive; 0 if it stays until it is taken down.</param>
/// <param name="OwnerStarted">When that process started, in clock ticks since boot: process ids are used again.</param>
public sealed record LabState(
    string Name, int Mtu, bool WithAgents, IReadOnlyList<string> Program, int OwnerProcess, string OwnerStarted)
{
    /// <summary>Queues of each agent's TUN device.</summary>
    public int Queues { get; init; } = 2;

    /// <summary>False if the lab has an owner and that process is gone.</summary>
    [JsonIgnore]
    public bool IsWanted => OwnerProcess == 0 || StartTime(OwnerProcess) == OwnerStarted;

    internal static string StartTime(int process)
    {
        try
        {
            // proc(5): the name in parentheses may hold blanks, so count from behind it; starttime is field 22.
            string stat = File.ReadAllText($"/proc/{process}/stat");
            return stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[19];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    internal static LabState? Read(string file)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(file), LabJson.Default.LabState);
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null;
        }
    }

    /// <summary>Replaces the file as a whole: without it nobody knows that the namespaces are the lab's.</summary>
    internal void Write(string file)
    {
        File.WriteAllText(file + ".new", JsonSerializer.Serialize(this, LabJson.Default.LabState));
        File.Move(file + ".new", file, overwrite: true);
    }
}
