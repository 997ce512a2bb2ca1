using System.Collections.Concurrent;

namespace ClusterLb.ClusterRun;

/// <summary>What happened to the requests that were begun during one step. Thread-safe.</summary>
internal sealed class StepResult(string name, bool mayBeRefused)
{
    private const string Refusal = "refused";

    private readonly ConcurrentDictionary<string, int> _failures = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _backends = new(StringComparer.Ordinal);
    private int _requests;
    private int _slow;

    public string Name { get; } = name;

    /// <summary>True for steps in which there is no pod for a while: a refusal is the right answer then.</summary>
    public bool MayBeRefused { get; } = mayBeRefused;

    public TimeSpan Elapsed { get; set; }

    public int Requests => Volatile.Read(ref _requests);

    /// <summary>Answered, but only after a packet was lost and sent again (a second or more).</summary>
    public int Slow => Volatile.Read(ref _slow);

    /// <summary>How many pods answered.</summary>
    public int Backends => _backends.Count;

    /// <summary>Requests without an answer, the right refusals not counted.</summary>
    public int Lost => _failures.Where(f => !IsRight(f.Key)).Sum(f => f.Value);

    /// <summary>Refused while there may be no pod.</summary>
    public int Refused => MayBeRefused ? _failures.GetValueOrDefault(Refusal) : 0;

    /// <summary>Why requests were lost, and how many.</summary>
    public string Reasons => string.Join(", ", _failures.Where(f => !IsRight(f.Key))
        .OrderByDescending(f => f.Value).Select(f => $"{f.Value} {f.Key}"));

    /// <summary>Counts a request.</summary>
    /// <returns>True if it is lost.</returns>
    public bool Add(string origin, Answer answer)
    {
        Interlocked.Increment(ref _requests);
        if (answer.Failure.Length > 0)
        {
            string reason = answer.Failure == Refusal ? Refusal : $"{answer.Failure} ({origin})";
            _failures.AddOrUpdate(reason, 1, (_, count) => count + 1);
            return !IsRight(reason);
        }

        _backends.TryAdd(answer.Body, true);
        if (answer.Elapsed > TimeSpan.FromMilliseconds(900)) // TCP sends a lost SYN again after a second
        {
            Interlocked.Increment(ref _slow);
        }

        return false;
    }

    private bool IsRight(string reason) => MayBeRefused && reason == Refusal;
}
