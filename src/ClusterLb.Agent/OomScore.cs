using System.Globalization;
using Microsoft.Extensions.Logging;

namespace ClusterLb.Agent;

/// <summary>How unlikely the kernel ends this process, and the dataplane that it starts, when memory is short.</summary>
internal static class OomScore
{
    private const string Path = "/proc/self/oom_score_adj";

    /// <summary>Sets it; a node whose rights do not go so far is served all the same.</summary>
    /// <param name="score">−1000 to 1000.</param>
    /// <param name="log">Where a refusal is said.</param>
    public static void Set(int score, ILogger log)
    {
        try
        {
            File.WriteAllText(Path, score.ToString(CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            log.LogInformation("Cannot set oomScoreAdj; lowering it needs CAP_SYS_RESOURCE {Score} {Reason}", score, e.Message);
        }
    }
}
